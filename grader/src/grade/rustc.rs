//! The command lines of rustc: the learner's library, the hidden test, the contract.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::Command,
};

use super::deps::Deps;
use crate::world::{
    process::{Limits, command},
    toolchain::Toolchain,
};

/// Where one implementation of one exercise is compiled.
#[derive(Debug)]
pub struct Shop<'a> {
    /// The compiler.
    pub toolchain: &'a Toolchain,
    /// The compiled dependencies.
    pub deps: &'a Deps,
    /// The staged sources.
    pub src: PathBuf,
    /// The folder by which the learner knows them: `exercises/<slug>/src`.
    pub known_as: String,
    /// Where the results go.
    pub out: PathBuf,
    /// Links the hidden test, once the library is there.
    pub linker: PathBuf,
    /// Whether the contract is compiled even if all is well.
    pub prove_contract: bool,
    /// Columns of the terminal, for rustc's rendering.
    pub width: usize,
}

/// What compiling one exercise may take: far more than any solution needs, and less than would
/// make a machine unusable.
pub const LIMITS: Limits = Limits {
    memory: 6 << 30,
    seconds: 120,
    file: 1 << 30,
};

impl Shop<'_> {
    /// The learner's library. Unsafe code is forbidden: with it a test process
    /// could not trust its own memory.
    pub fn library(&self) -> Command {
        let mut rustc = self.rustc("exercise", &self.src.join("lib.rs"));
        rustc
            .args(["--crate-type", "lib", "--emit", "dep-info,metadata,link"])
            .args(["-F", "unsafe_code", "-C", "debuginfo=line-tables-only"])
            .arg(self.incremental("library"))
            .arg(self.remap());
        externs(&mut rustc, &self.deps.learner);
        rustc
    }

    /// The hidden test, against the library.
    pub fn test(&self, tests: &Path) -> Command {
        let mut rustc = self.rustc("hidden", tests);
        rustc
            .args([
                "--crate-type",
                "bin",
                "--emit",
                "link",
                "--cap-lints",
                "allow",
            ])
            .args(["-C", "prefer-dynamic", "-C", "debuginfo=line-tables-only"])
            .arg(self.incremental("test"))
            .arg(format!("-Clinker={}", self.linker.display()));
        self.link_library(&mut rustc, &self.linked());
        rustc
    }

    /// The public shapes alone, against the library; nothing is generated.
    pub fn contract(&self, contract: &Path) -> Command {
        let mut rustc = self.rustc("contract", contract);
        rustc
            .args([
                "--crate-type",
                "lib",
                "--emit",
                "metadata",
                "--cap-lints",
                "allow",
            ])
            .arg(format!(
                "--remap-path-prefix={}=contract",
                contract.parent().unwrap_or(contract).display()
            ));
        self.link_library(&mut rustc, &self.metadata());
        rustc
    }

    /// A demo's driver, which brings its example along.
    pub fn demo(&self, driver: &Path) -> Command {
        let mut rustc = self.rustc("hidden", driver);
        rustc
            .args(["--crate-type", "bin", "--emit", "link"])
            .args(["--cap-lints", "warn", "-F", "unsafe_code"])
            .args(["-C", "prefer-dynamic", "-C", "debuginfo=line-tables-only"])
            .arg(self.remap());
        externs(&mut rustc, &self.deps.hidden);
        rustc
    }

    /// The program that [`Shop::test`] or [`Shop::demo`] makes.
    pub fn program(&self) -> PathBuf {
        self.out.join("hidden")
    }

    /// The library as rustc writes it.
    pub fn archive(&self) -> PathBuf {
        self.out.join("libexercise.rlib")
    }

    /// What of the library others are compiled against; there before any code is generated.
    pub fn metadata(&self) -> PathBuf {
        self.out.join("libexercise.rmeta")
    }

    /// The library as the hidden test links it.
    pub fn linked(&self) -> PathBuf {
        self.out.join("linked/libexercise.rlib")
    }

    /// The list of files that the library was made of.
    pub fn dep_info(&self) -> PathBuf {
        self.out.join("exercise.d")
    }

    /// Messages name the sources as the learner knows them.
    fn remap(&self) -> String {
        let (src, known_as) = (self.src.display(), &self.known_as);
        format!("--remap-path-prefix={src}={known_as}")
    }

    /// It will be compiled again, after small changes.
    fn incremental(&self, name: &str) -> String {
        let folder = self.out.join("incremental").join(name);
        format!("-Cincremental={}", folder.display())
    }

    fn link_library(&self, rustc: &mut Command, file: &Path) {
        rustc.arg("--extern").arg(pair("exercise", file));
        externs(rustc, &self.deps.hidden);
    }

    /// What all of them share. The environment is empty but for what a linker
    /// needs: `env!` and `option_env!` find nothing.
    fn rustc(&self, name: &str, source: &Path) -> Command {
        let mut rustc = command(self.toolchain.rustc());
        rustc.env_clear();
        for name in ["PATH", "HOME", "TMPDIR", "LANG"] {
            if let Some(value) = env::var_os(name) {
                rustc.env(name, value);
            }
        }
        rustc
            .args(["--edition", "2024", "--crate-name", name])
            .args([
                "--error-format",
                "json",
                "--json",
                "diagnostic-rendered-ansi,artifacts",
            ])
            .arg(format!("--diagnostic-width={}", self.width))
            .args(["-C", "embed-bitcode=no"])
            .arg("--out-dir")
            .arg(&self.out)
            .arg("-L")
            .arg(format!("dependency={}", self.deps.folder.display()))
            .arg(source);
        rustc
    }
}

fn externs(rustc: &mut Command, externs: &BTreeMap<String, PathBuf>) {
    for (name, file) in externs {
        rustc
            .arg("--extern")
            .arg(pair(&name.replace('-', "_"), file));
    }
}

fn pair(name: &str, file: &Path) -> String {
    format!("{name}={}", file.display())
}
