//! The Rust toolchain: the real rustc behind rustup, and what it is.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{
    disk,
    process::{Cancel, capture, command},
};

/// The oldest rustc that the course compiles with.
pub const OLDEST: (u32, u32) = (1, 90);

/// A Rust toolchain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolchain {
    /// Its folder; `bin/rustc` and `lib` are in it.
    pub sysroot: PathBuf,
    /// What `rustc -vV` prints.
    pub version: String,
}

impl Toolchain {
    /// The compiler itself, not rustup's proxy: that saves some milliseconds at each call.
    pub fn rustc(&self) -> PathBuf {
        self.sysroot.join("bin/rustc")
    }

    /// Cargo of the same toolchain, or the one on the path.
    pub fn cargo(&self) -> PathBuf {
        let own = self.sysroot.join("bin/cargo");
        if own.is_file() { own } else { "cargo".into() }
    }

    /// Where the dynamic standard library lies.
    pub fn lib(&self) -> PathBuf {
        self.sysroot
            .join("lib/rustlib")
            .join(self.host())
            .join("lib")
    }

    /// `x86_64-unknown-linux-gnu`
    pub fn host(&self) -> &str {
        self.field("host: ").unwrap_or_default()
    }

    /// `1.95.0`
    pub fn release(&self) -> &str {
        self.field("release: ").unwrap_or_default()
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.version
            .lines()
            .find_map(|line| line.strip_prefix(name))
    }

    /// An error with the mend if this compiler is too old for the course.
    pub fn require_recent(&self) -> Result<()> {
        let mut numbers = self
            .release()
            .split('.')
            .map_while(|part| part.parse::<u32>().ok());
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if version < OLDEST {
            bail!(
                "rustc {} is too old: the course needs {}.{} or newer\nrun `rustup update stable`",
                self.release(),
                OLDEST.0,
                OLDEST.1
            );
        }
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    asked: String,
    toolchain: Toolchain,
}

/// Finds the toolchain that `rustc` means in `workspace`.
///
/// The answer is remembered in `scratch`, for rustup takes longer to answer
/// than an unchanged course takes to grade; it is asked again when its
/// settings, the override or the binary on the path change.
pub fn find(workspace: &Path, scratch: &Path) -> Result<Toolchain> {
    let memory = scratch.join("toolchain.json");
    let asked = question(workspace);
    if let Some(remembered) = read_json::<Remembered>(&memory)
        && remembered.asked == asked
        && remembered.toolchain.rustc().is_file()
    {
        return Ok(remembered.toolchain);
    }
    let toolchain = ask(workspace)?;
    toolchain.require_recent()?;
    let remembered = Remembered { asked, toolchain };
    disk::write(&memory, &serde_json::to_vec(&remembered)?)?;
    Ok(remembered.toolchain)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Everything that the answer depends on, as far as it costs nothing to look at.
fn question(workspace: &Path) -> String {
    let home = env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".rustup")));
    let stamp = |path: PathBuf| {
        let modified = fs::metadata(&path).and_then(|meta| meta.modified()).ok();
        format!("{} {modified:?}", path.display())
    };
    let mut parts = vec![format!("{:?}", env::var_os("RUSTUP_TOOLCHAIN"))];
    parts.extend(on_path("rustc").map(stamp));
    parts.extend(home.map(|home| stamp(home.join("settings.toml"))));
    for folder in workspace.ancestors() {
        for name in ["rust-toolchain.toml", "rust-toolchain"] {
            let file = folder.join(name);
            if file.is_file() {
                parts.push(stamp(file));
            }
        }
    }
    parts.join("\n")
}

fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn ask(workspace: &Path) -> Result<Toolchain> {
    let missing = "no Rust toolchain was found; install one from https://rustup.rs";
    let cancel = Cancel::default();
    let printed = capture(
        command("rustc")
            .args(["--print", "sysroot"])
            .current_dir(workspace),
        &cancel,
    )
    .context(missing)?;
    if !printed.status.success() {
        bail!("`rustc --print sysroot` failed:\n{}", printed.stderr.trim());
    }
    let sysroot = PathBuf::from(printed.stdout.trim());
    let rustc = sysroot.join("bin/rustc");
    let printed = capture(command(&rustc).arg("-vV"), &cancel).context(missing)?;
    if !printed.status.success() {
        bail!(
            "`{} -vV` failed:\n{}",
            rustc.display(),
            printed.stderr.trim()
        );
    }
    Ok(Toolchain {
        sysroot,
        version: printed.stdout,
    })
}
