//! The course inside the binary: what `kata init` and `kata update` lay down,
//! and what an installed `kata` grades with.
//!
//! A debug build reads the tree it was built from instead.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rust_embed::RustEmbed;
use toml::{Table, Value};

use super::disk;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/hidden"]
#[exclude = "*/right/*"]
#[exclude = "*/wrong/*"]
struct Hidden;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/harness"]
#[include = "Cargo.toml"]
#[include = "build.rs"]
#[include = "src/*"]
struct Harness;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/report"]
#[include = "Cargo.toml"]
#[include = "src/*"]
struct Report;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../solutions"]
#[exclude = "*/target/*"]
struct Solutions;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../exercises"]
#[include = "*/README.md"]
#[include = "*/Cargo.toml"]
struct Exercises;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../docs"]
#[include = "*.md"]
#[include = "figures/*.svg"]
struct Docs;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../docs/examples"]
#[include = "*.rs"]
struct Examples;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../docs/demos"]
struct Demos;

/// Says which releases of what the examples link.
const BOOK: &[u8] = include_bytes!("../../../docs/Cargo.toml");
const MANIFEST: &str = include_str!("../../../Cargo.toml");
const LOCK: &[u8] = include_bytes!("../../../Cargo.lock");

/// Files by their path in the course.
pub type Files = BTreeMap<String, Cow<'static, [u8]>>;

fn under<E: RustEmbed>(prefix: &str, files: &mut Files) {
    for name in E::iter() {
        if let Some(file) = E::get(&name) {
            files.insert(format!("{prefix}/{name}"), file.data);
        }
    }
}

/// What a learner gets: stubs, their manifests and texts, the reference book and its examples.
pub fn learner() -> Files {
    let (mut hidden, mut files) = (Files::new(), Files::new());
    under::<Exercises>("exercises", &mut files);
    under::<Docs>("docs", &mut files);
    under::<Examples>("docs/examples", &mut files);
    under::<Hidden>("hidden", &mut hidden);
    for (path, bytes) in hidden {
        let mut parts = path.splitn(4, '/');
        if let (Some("hidden"), Some(slug), Some("original"), Some(name)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        {
            files.insert(format!("exercises/{slug}/src/{name}"), bytes);
        }
    }
    files
}

/// What the grader needs besides: hidden tests, harness, the solutions, the demos.
fn trusted() -> Result<Files> {
    let mut files = Files::new();
    under::<Hidden>("grader/hidden", &mut files);
    under::<Harness>("grader/harness", &mut files);
    under::<Report>("grader/report", &mut files);
    under::<Solutions>("solutions", &mut files);
    under::<Docs>("docs", &mut files);
    under::<Examples>("docs/examples", &mut files);
    under::<Demos>("docs/demos", &mut files);
    files.insert("docs/Cargo.toml".to_owned(), Cow::Borrowed(BOOK));
    // Its tests stay where they are, and a manifest must not name what is not there.
    if let Some(manifest) = files.get_mut("grader/harness/Cargo.toml") {
        let text = String::from_utf8_lossy(manifest).into_owned();
        *manifest = Cow::Owned(without_tests(&text)?.into_bytes());
    }
    files.insert(
        "Cargo.toml".to_owned(),
        Cow::Owned(manifest()?.into_bytes()),
    );
    files.insert("Cargo.lock".to_owned(), Cow::Borrowed(LOCK));
    Ok(files)
}

/// A digest of the course, which changes with any of its files.
fn digest(files: &Files) -> String {
    disk::digest(
        files
            .iter()
            .flat_map(|(path, bytes)| [path.as_bytes(), bytes]),
    )
}

/// Lays the trusted part of the course into a folder of its own beneath
/// `scratch`, unless it lies there already, and returns that folder.
pub fn unpack(scratch: &Path) -> Result<PathBuf> {
    let files = trusted()?;
    let folder = scratch.join(format!("course-{}", digest(&files)));
    let complete = folder.join("complete");
    if complete.is_file() {
        return Ok(folder);
    }
    for (path, bytes) in &files {
        disk::write_if_changed(&folder.join(path), bytes)?;
    }
    fs::write(&complete, b"")
        .with_context(|| format!("{} could not be written", complete.display()))?;
    Ok(folder)
}

/// The root manifest, with the members that are laid down and no others.
fn manifest() -> Result<String> {
    let mut manifest: Table = MANIFEST
        .parse()
        .context("the course's manifest is not understood")?;
    if let Some(Value::Table(workspace)) = manifest.get_mut("workspace") {
        let members = ["grader/harness", "grader/report"]
            .map(Value::from)
            .to_vec();
        workspace.insert("members".into(), members.into());
        workspace.remove("default-members");
        workspace.remove("exclude");
    }
    Ok(toml::to_string(&manifest)?)
}

/// A package's manifest without its tests and what only they need.
fn without_tests(manifest: &str) -> Result<String> {
    let mut manifest: Table = manifest
        .parse()
        .context("the harness's manifest is not understood")?;
    for name in ["test", "bench", "example", "dev-dependencies"] {
        manifest.remove(name);
    }
    Ok(toml::to_string(&manifest)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::process::{Cancel, capture, command};

    #[test]
    fn cargo_understands_the_course_as_it_is_laid_down() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = unpack(scratch.path()).unwrap();
        for package in ["harness", "report"] {
            let mut cargo = command("cargo");
            cargo.args([
                "metadata",
                "--no-deps",
                "--offline",
                "--format-version",
                "1",
            ]);
            cargo.current_dir(folder.join("grader").join(package));
            let printed = capture(&mut cargo, &Cancel::default()).unwrap();
            assert!(printed.status.success(), "{}", printed.stderr);
        }
    }

    #[test]
    fn a_learner_gets_stubs_and_texts_and_nothing_hidden() {
        let files = learner();
        assert!(files.contains_key("exercises/day01_basic_async/src/lib.rs"));
        assert!(files.contains_key("exercises/day01_basic_async/README.md"));
        assert!(files.contains_key("docs/pitfalls.md"));
        assert!(files.contains_key("docs/examples/web_scraper.rs"));
        assert!(
            files
                .keys()
                .all(|path| !path.contains("tests.rs") && !path.contains("solution"))
        );
    }
}
