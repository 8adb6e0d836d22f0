//! What is measured: an exercise, as kata and as cargo see it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// One exercise in a learner's workspace, and the same two crates for cargo.
pub struct Course {
    /// How rows name it.
    pub name: &'static str,
    /// The exercise.
    pub slug: String,
    /// The folder of the hidden tests.
    pub trusted: PathBuf,
    /// The learner's workspace.
    pub workspace: TempDir,
    /// A cargo workspace with `exercise` and `hidden`.
    pub cargo: PathBuf,
    source: String,
}

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the repository")
        .to_path_buf()
}

impl Course {
    /// Day 1.
    pub fn day_one() -> Self {
        Self::new("day 1", repository(), "day01_basic_async")
    }

    /// An exercise that uses axum, serde and tokio-util.
    pub fn synthetic() -> Self {
        let trusted = repository().join("target/bench/course");
        let copy = |path: &str| copy_tree(&repository().join(path), &trusted.join(path));
        copy("grader/harness");
        copy("grader/report");
        copy_tree(
            &repository().join("grader/benches/synthetic/hidden"),
            &trusted.join("grader/hidden/day99_synthetic"),
        );
        copy_tree(
            &repository().join("grader/benches/synthetic/solution"),
            &trusted.join("solutions/day99_synthetic"),
        );
        let manifest = fs::read_to_string(repository().join("Cargo.toml")).expect("a manifest");
        let manifest: String = manifest
            .lines()
            .map(|line| match line {
                line if line.starts_with("members") => {
                    "members = [\"grader/harness\", \"grader/report\"]\n".to_owned()
                }
                line if line.starts_with("default-members") => String::new(),
                line => format!("{line}\n"),
            })
            .collect();
        write(&trusted.join("Cargo.toml"), &manifest);
        let lock = fs::read_to_string(repository().join("Cargo.lock")).expect("a lock");
        write(&trusted.join("Cargo.lock"), &lock);
        Self::new("axum, serde, tokio-util", trusted, "day99_synthetic")
    }

    fn new(name: &'static str, trusted: PathBuf, slug: &str) -> Self {
        let hidden = trusted.join("grader/hidden").join(slug);
        let solution = trusted.join("solutions").join(slug);
        let source = fs::read_to_string(solution.join("src/lib.rs")).expect("a solution");
        let source = source
            .lines()
            .filter(|line| !line.starts_with("#[path"))
            .map(|line| format!("{line}\n"))
            .collect();
        let workspace = tempfile::tempdir().expect("a folder");
        write(&workspace.path().join(".kata/workspace.json"), "{}");
        copy_tree(
            &hidden.join("original"),
            &workspace.path().join("exercises").join(slug).join("src"),
        );
        let cargo = repository().join("target/bench").join(slug);
        cargo_workspace(&cargo, &trusted, &hidden, &solution);
        let course = Self {
            name,
            slug: slug.to_owned(),
            trusted,
            workspace,
            cargo,
            source,
        };
        course.change(0);
        course
    }

    /// Writes the source with a change that no compiler can overlook.
    pub fn change(&self, round: usize) {
        self.write(&format!(
            "{}\npub fn round_{round}() -> usize {{ {round} }}\n",
            self.source
        ));
    }

    /// Writes the source with a type error.
    pub fn break_types(&self, round: usize) {
        self.write(&format!(
            "{}\npub fn round_{round}() -> usize {{ \"text\" }}\n",
            self.source
        ));
    }

    fn write(&self, text: &str) {
        write(&self.file(), text);
        write(&self.cargo.join("exercise/src/lib.rs"), text);
    }

    /// The learner's file.
    pub fn file(&self) -> PathBuf {
        self.workspace
            .path()
            .join("exercises")
            .join(&self.slug)
            .join("src/lib.rs")
    }

    /// `kata` in the workspace.
    pub fn kata(&self, arguments: &[&str]) -> Command {
        let mut kata = Command::new(env!("CARGO_BIN_EXE_kata"));
        kata.args(arguments)
            .current_dir(self.workspace.path())
            .env("KATA_COURSE", &self.trusted)
            .env("LANG", "C.UTF-8");
        kata
    }

    /// `cargo` on the same crates.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = Command::new("cargo");
        cargo
            .args(arguments)
            .arg("--offline")
            .current_dir(&self.cargo)
            .env("CARGO_ENCODED_RUSTFLAGS", "--cfg\u{1f}tokio_unstable")
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_TARGET_DIR");
        cargo
    }
}

/// Runs a command and throws away what it prints.
pub fn quiet(command: &mut Command) {
    let _ = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// Writes a file and its folders.
pub fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return;
    }
    fs::write(path, text).expect("a file");
}

fn copy_tree(from: &Path, to: &Path) {
    for entry in fs::read_dir(from)
        .unwrap_or_else(|e| panic!("{}: {e}", from.display()))
        .flatten()
    {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_tree(&source, &target);
        } else if let Ok(text) = fs::read_to_string(&source) {
            write(&target, &text);
        }
    }
}

/// The same two crates as a cargo workspace: what `cargo test` would build.
fn cargo_workspace(cargo: &Path, trusted: &Path, hidden: &Path, solution: &Path) {
    write(
        &cargo.join("Cargo.toml"),
        "[workspace]\nresolver = \"3\"\nmembers = [\"exercise\", \"hidden\"]\n",
    );
    let lock = fs::read_to_string(trusted.join("Cargo.lock")).expect("a lock");
    if !cargo.join("Cargo.lock").exists() {
        write(&cargo.join("Cargo.lock"), &lock);
    }
    let manifest =
        |folder: &Path| fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
    write(&cargo.join("exercise/Cargo.toml"), &manifest(solution));
    copy_tree(&hidden.join("original"), &cargo.join("exercise/src"));
    let name = solution
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let text = manifest(hidden)
        .replace(&format!("../../../solutions/{name}"), "../exercise")
        .replace(
            "../../harness",
            &trusted.join("grader/harness").to_string_lossy(),
        );
    write(&cargo.join("hidden/Cargo.toml"), &text);
    for file in ["tests.rs", "contract.rs"] {
        write(
            &cargo.join("hidden").join(file),
            &fs::read_to_string(hidden.join(file)).expect(file),
        );
    }
}
