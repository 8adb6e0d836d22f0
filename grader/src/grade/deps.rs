//! What a day's crates link: built once by cargo, then found without it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{
    cargo::{Artifact, Message, Metadata},
    manifest::{WORKSPACE, manifest, of_demo},
    phase::Phase,
};
use crate::{
    model::{demo::Demo, exercise::Exercise},
    world::{
        course::Course,
        disk,
        process::{Cancel, Line, capture, capture_lines, command},
        toolchain::Toolchain,
    },
};

/// The flags of every crate on the way to a test process.
///
/// The harness is linked dynamically: linking it anew at each save would take
/// longer than running the checks.
pub const RUSTFLAGS: [&str; 4] = ["--cfg", "tokio_unstable", "-C", "prefer-dynamic"];

/// A day's dependencies, compiled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deps {
    /// Changes when any of it would have to be compiled anew.
    pub fingerprint: String,
    /// `--extern` of the learner's library: name and file.
    pub learner: BTreeMap<String, PathBuf>,
    /// `--extern` of the hidden test: name and file.
    pub hidden: BTreeMap<String, PathBuf>,
    /// Where they and all they depend on lie.
    pub folder: PathBuf,
}

/// How a day's dependencies are to be built.
#[derive(Debug)]
pub struct Recipe {
    slug: String,
    learner: String,
    hidden: String,
    lock: Vec<u8>,
    fingerprint: String,
    folder: PathBuf,
    target: PathBuf,
    quiet: bool,
}

impl Recipe {
    /// Reads what the day depends on; builds nothing.
    pub fn read(course: &Course, exercise: &Exercise, toolchain: &Toolchain) -> Result<Self> {
        let solution = course.solution(exercise);
        let hidden = course.hidden(exercise);
        let learner = manifest(
            "learner",
            &solution,
            &disk::text(&solution.join("Cargo.toml"))?,
        )?;
        let hidden = manifest("hidden", &hidden, &disk::text(&hidden.join("Cargo.toml"))?)?;
        Self::of(course, &exercise.slug, learner, hidden, toolchain)
    }

    /// Reads what a demo depends on; demos that link the same share it.
    pub fn of_demo(course: &Course, demo: &Demo, toolchain: &Toolchain) -> Result<Self> {
        let book = course.trusted.join("docs");
        let text = disk::text(&book.join("Cargo.toml"))?;
        let hidden = manifest("hidden", &book, &of_demo(&text, &demo.about.crates)?)?;
        let learner = manifest("learner", &book, "")?;
        let parts = [vec!["demo".to_owned()], demo.about.crates.clone()];
        Self::of(
            course,
            &parts.concat().join("-"),
            learner,
            hidden,
            toolchain,
        )
    }

    fn of(
        course: &Course,
        name: &str,
        learner: String,
        hidden: String,
        toolchain: &Toolchain,
    ) -> Result<Self> {
        let lock = disk::read(&course.trusted.join("Cargo.lock")).unwrap_or_default();
        let mut parts = vec![
            toolchain.version.clone().into_bytes(),
            learner.clone().into_bytes(),
            hidden.clone().into_bytes(),
            lock.clone(),
            RUSTFLAGS.join(" ").into_bytes(),
            WORKSPACE.as_bytes().to_vec(),
        ];
        for folder in ["grader/harness", "grader/report"] {
            let folder = course.trusted.join(folder);
            parts.push(disk::read(&folder.join("Cargo.toml"))?);
            for (name, bytes) in disk::tree(&folder.join("src"))? {
                parts.push(name.into_bytes());
                parts.push(bytes);
            }
        }
        let fingerprint = disk::digest(parts.iter().map(Vec::as_slice));
        let deps = &course.deps;
        Ok(Self {
            slug: name.to_owned(),
            learner,
            hidden,
            lock,
            fingerprint,
            folder: deps.join(name),
            target: deps.join("target"),
            quiet: false,
        })
    }

    /// Builds at low priority: nobody waits for it.
    #[must_use]
    pub fn quietly(self) -> Self {
        Self {
            quiet: true,
            ..self
        }
    }

    /// What was built before, if nothing has changed since.
    pub fn built(&self) -> Option<Deps> {
        let deps: Deps =
            serde_json::from_slice(&disk::read(&self.folder.join("deps.json")).ok()?).ok()?;
        let there = deps
            .learner
            .values()
            .chain(deps.hidden.values())
            .all(|file| file.is_file());
        (deps.fingerprint == self.fingerprint && there).then_some(deps)
    }

    /// Changes when any of the dependencies would have to be compiled anew.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Builds with cargo, or returns what is there.
    pub fn build(
        &self,
        toolchain: &Toolchain,
        cancel: &Cancel,
        on: &dyn Fn(Phase),
    ) -> Result<Deps> {
        if let Some(deps) = self.built() {
            return Ok(deps);
        }
        on(Phase::Preparing {
            krate: String::new(),
            done: 0,
            total: 0,
        });
        disk::write_if_changed(&self.folder.join("Cargo.toml"), WORKSPACE.as_bytes())?;
        for (name, manifest) in [("learner", &self.learner), ("hidden", &self.hidden)] {
            let package = self.folder.join(name);
            disk::write_if_changed(&package.join("Cargo.toml"), manifest.as_bytes())?;
            disk::write_if_changed(&package.join("lib.rs"), b"//! Nothing.\n")?;
        }
        if !self.lock.is_empty() {
            disk::write_if_changed(&self.folder.join("Cargo.lock"), &self.lock)?;
        }
        let metadata = self.metadata(toolchain, cancel)?;
        let artifacts = self.compile(toolchain, &metadata, cancel, on)?;
        let deps = self.collect(&metadata, &artifacts)?;
        disk::write(
            &self.folder.join("deps.json"),
            &serde_json::to_vec_pretty(&deps)?,
        )?;
        Ok(deps)
    }

    /// Cargo, undisturbed by what the learner's environment says of building.
    fn cargo(&self, toolchain: &Toolchain, verb: &str) -> Command {
        let mut cargo = if self.quiet {
            let mut nice = command("nice");
            nice.args(["-n", "19"]).arg(toolchain.cargo());
            nice
        } else {
            command(toolchain.cargo())
        };
        cargo
            .arg(verb)
            .current_dir(&self.folder)
            .env("RUSTC", toolchain.rustc())
            .env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS.join("\u{1f}"))
            // A workspace's own settings would else be obeyed.
            .env("RUSTC_WRAPPER", "")
            .env("RUSTC_WORKSPACE_WRAPPER", "")
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_TERM_COLOR", "never")
            // Gives the dylib's file name a hash: two days may unify features
            // differently and then need two of it.
            .env("__CARGO_DEFAULT_LIB_METADATA", "kata")
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("CARGO_BUILD_TARGET_DIR")
            .env_remove("CARGO_BUILD_TARGET")
            .env_remove("RUSTFLAGS");
        cargo
    }

    fn metadata(&self, toolchain: &Toolchain, cancel: &Cancel) -> Result<Metadata> {
        let mut cargo = self.cargo(toolchain, "metadata");
        cargo.args([
            "--format-version",
            "1",
            "--filter-platform",
            toolchain.host(),
        ]);
        let printed = capture(&mut cargo, cancel)?;
        if !printed.status.success() {
            bail!(
                "the dependencies of {} cannot be resolved:\n{}",
                self.slug,
                printed.stderr.trim()
            );
        }
        serde_json::from_str(&printed.stdout).context("`cargo metadata` was not understood")
    }

    fn compile(
        &self,
        toolchain: &Toolchain,
        metadata: &Metadata,
        cancel: &Cancel,
        on: &dyn Fn(Phase),
    ) -> Result<Vec<Artifact>> {
        let total = metadata.crates();
        let mut cargo = self.cargo(toolchain, "build");
        cargo
            .args([
                "--message-format",
                "json-render-diagnostics",
                "--target-dir",
            ])
            .arg(&self.target);
        let (mut artifacts, mut krate) = (Vec::new(), String::new());
        let printed = capture_lines(&mut cargo, None, cancel, |line| {
            match line {
                Line::Out(json) => artifacts.extend(Message::artifact(json)),
                Line::Err(text) => match compiling(text) {
                    Some(name) => name.clone_into(&mut krate),
                    None => return,
                },
            }
            let done = artifacts
                .iter()
                .filter(|artifact: &&Artifact| artifact.is_library())
                .count();
            on(Phase::Preparing {
                krate: krate.clone(),
                done: done.min(total),
                total,
            });
        })?;
        if !printed.status.success() {
            bail!(
                "the dependencies of {} do not build:\n{}",
                self.slug,
                printed.stderr.trim()
            );
        }
        Ok(artifacts)
    }

    fn collect(&self, metadata: &Metadata, artifacts: &[Artifact]) -> Result<Deps> {
        let folder = self.target.join("debug/deps");
        let externs = |package| externs(metadata, artifacts, package, &folder);
        Ok(Deps {
            fingerprint: self.fingerprint.clone(),
            learner: externs("learner")?,
            hidden: externs("hidden")?,
            folder: folder.clone(),
        })
    }
}

/// The libraries that a package depends on, by the name under which code uses them.
fn externs(
    metadata: &Metadata,
    artifacts: &[Artifact],
    package: &str,
    folder: &Path,
) -> Result<BTreeMap<String, PathBuf>> {
    metadata
        .direct(package)?
        .into_iter()
        .map(|(name, id)| {
            let artifact = artifacts
                .iter()
                .find(|artifact| artifact.package_id == id && artifact.is_library())
                .with_context(|| format!("cargo built no library for `{name}`"))?;
            let file = artifact
                .linkable()
                .with_context(|| format!("`{name}` cannot be linked"))?;
            Ok((name, hashed(&file, folder)?))
        })
        .collect()
}

/// Cargo names a path dependency's library without its hash, and links that
/// name to whichever build of it came last. The name with the hash stays.
fn hashed(file: &Path, folder: &Path) -> Result<PathBuf> {
    if file.parent() == Some(folder) {
        return Ok(file.to_path_buf());
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    disk::twin(file, folder, &format!("{stem}-"))?
        .with_context(|| format!("{} has no twin in {}", file.display(), folder.display()))
}

/// The two packages without code: nobody waits for them.
const OWN: [&str; 2] = ["learner", "hidden"];

/// `   Compiling tokio v1.54.1` → `tokio`
fn compiling(line: &str) -> Option<&str> {
    line.trim_start()
        .strip_prefix("Compiling ")?
        .split(' ')
        .next()
        .filter(|krate| !OWN.contains(krate))
}
