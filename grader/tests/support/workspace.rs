//! A learner's workspace in a temporary folder, graded by this repository's course.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Once,
};

/// The day that the tests of the command line work on.
pub const DAY: &str = "day01_basic_async";

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the grader lies in the repository")
        .into()
}

/// A workspace, and what is to be called in it.
#[must_use]
pub struct Test {
    folder: tempfile::TempDir,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Test {
    /// A workspace with the stubs of every day.
    pub fn new() -> Self {
        prepare();
        Self::unprepared()
    }

    /// The same, when no test process is to be built.
    pub fn unprepared() -> Self {
        let test = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            arguments: Vec::new(),
            variables: Vec::new(),
        };
        fs::create_dir_all(test.path(".kata")).expect("a folder");
        test.write(".kata/workspace.json", "{\"version\":1}");
        let hidden = repository().join("grader/hidden");
        for day in fs::read_dir(&hidden).expect("the hidden tests").flatten() {
            let slug = day.file_name().to_string_lossy().into_owned();
            let original = day.path().join("original");
            for file in fs::read_dir(original).into_iter().flatten().flatten() {
                let name = file.file_name().to_string_lossy().into_owned();
                let text = fs::read_to_string(file.path()).expect("a stub");
                test.write(&format!("exercises/{slug}/src/{name}"), &text);
            }
        }
        test
    }

    /// The workspace's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the workspace.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes a file of the workspace.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// Reads a file of the workspace.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Puts this source in the place of [`DAY`]'s stub.
    pub fn source(self, text: &str) -> Self {
        self.write(&format!("exercises/{DAY}/src/lib.rs"), text);
        self
    }

    /// Solves [`DAY`].
    pub fn solve(self) -> Self {
        self.source(&solution())
    }

    /// The arguments of `kata`.
    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().copied().map(str::to_owned).collect();
        self
    }

    /// A variable of the environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The command, ready to be started.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test starts kata as a shell would"
    )]
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kata"));
        command
            .args(&self.arguments)
            .current_dir(self.folder())
            .env("KATA_COURSE", repository())
            .env("NO_COLOR", "1")
            .env("LANG", "C.UTF-8")
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Calls `kata`.
    pub fn run(&self) -> Run {
        let output = self.command().output().expect("kata starts");
        Run::new(&output)
    }
}

/// Compiles [`DAY`]'s dependencies, so that no test measures that by accident.
fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let run = Test::unprepared().solve().args(&["check", DAY]).run();
        assert_eq!(
            run.code, 0,
            "the solution of {DAY} must pass:\n{}{}",
            run.stdout, run.stderr
        );
    });
}

/// The reference solution of [`DAY`] as a learner would write it.
pub fn solution() -> String {
    let file = repository().join("solutions").join(DAY).join("src/lib.rs");
    let text = fs::read_to_string(file).expect("the solution");
    let lines = text.lines().filter(|line| !line.starts_with("#[path"));
    lines.collect::<Vec<_>>().join(
        "
",
    ) + "
"
}

/// What a call of `kata` gave.
#[derive(Debug)]
pub struct Run {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    fn new(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Asserts that standard output contains this.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text),
            "no {text:?} in stdout:\n{}\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Asserts that standard error contains this.
    #[track_caller]
    pub fn complains(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "no {text:?} in stderr:\n{}\n{}",
            self.stderr,
            self.stdout
        );
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}:\n{}\n{}", self.stdout, self.stderr))
    }
}
