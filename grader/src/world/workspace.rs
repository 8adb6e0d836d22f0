//! A learner's workspace made from the binary alone: `kata init`, `kata update`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{
    disk,
    embedded::{self, Files},
};
use crate::model::progress::Progress;

/// What the course gave, as it gave it: whatever differs from it is the learner's.
const GIVEN: &str = ".kata/given";

/// Marks a folder as a workspace and says which version made it.
const MARK: &str = ".kata/workspace.json";

const MANIFEST: &str = "\
# The learner's workspace. The exercises are crates of their own, so that an
# editor helps in each; `kata watch` grades them without cargo.
[workspace]
resolver = \"3\"
members = [\"exercises/*\"]
";

const IGNORE: &str = "/target\n/.kata\n";

const README: &str = "\
# kata: twenty days of async Rust

    kata watch        grades the current day at every save
    kata progress     where you stand
    kata read         the reference book
    kata demo         its examples, drawn in virtual time
    kata              goes on where you stopped

Each day lies in `exercises/`: its README, and the stub in `src/lib.rs`.
`kata update` brings new texts and never touches a file that you changed.
";

/// Why no workspace was made.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} is not empty: {found} is in it\nNothing was touched. Name a folder that is empty or does not exist yet.",
    folder.display()
)]
pub struct Occupied {
    folder: PathBuf,
    found: String,
}

/// What an update did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Files that are new, or were as the course gave them and are newer now.
    pub written: Vec<String>,
    /// Files that the learner changed and the course changed too: path, and
    /// what the course changed as a unified diff.
    pub kept: Vec<(String, String)>,
}

/// Makes a workspace in `folder`, which must be empty or missing.
pub fn init(folder: &Path) -> Result<Result<usize, Occupied>> {
    if folder.exists() {
        let mut entries = fs::read_dir(folder)
            .with_context(|| format!("{} cannot be used", folder.display()))?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name != ".git");
        if let Some(found) = entries.next() {
            return Ok(Err(Occupied {
                folder: folder.to_path_buf(),
                found,
            }));
        }
    }
    let files = given();
    for (path, bytes) in &files {
        disk::write(&folder.join(GIVEN).join(path), bytes)?;
        disk::write(&folder.join(path), bytes)?;
    }
    disk::write(
        &folder.join("progress.json"),
        Progress::default().to_json().as_bytes(),
    )?;
    mark(folder)?;
    Ok(Ok(files
        .keys()
        .filter(|path| path.ends_with("src/lib.rs"))
        .count()))
}

/// Whether `folder` is a workspace that [`init`] made.
pub fn is_workspace(folder: &Path) -> bool {
    folder.join(MARK).is_file()
}

/// Brings a workspace up to this binary's course. A file that differs from
/// what the course gave is the learner's and stays as it is.
pub fn update(folder: &Path) -> Result<Update> {
    let mut update = Update::default();
    for (path, new) in given() {
        let given = fs::read(folder.join(GIVEN).join(&path)).ok();
        let own = fs::read(folder.join(&path)).ok();
        if given.as_deref() == Some(&*new) && own.is_some() {
            continue;
        }
        let untouched = own.is_none() || own == given || own.as_deref() == Some(&*new);
        if untouched {
            disk::write(&folder.join(&path), &new)?;
            update.written.push(path.clone());
        } else {
            update
                .kept
                .push((path.clone(), diff(&given.unwrap_or_default(), &new)));
        }
        disk::write(&folder.join(GIVEN).join(&path), &new)?;
    }
    mark(folder)?;
    Ok(update)
}

fn given() -> Files {
    let mut files = embedded::learner();
    for (path, text) in [
        ("Cargo.toml", MANIFEST),
        (".gitignore", IGNORE),
        ("README.md", README),
    ] {
        files.insert(path.to_owned(), text.as_bytes().into());
    }
    files
}

fn mark(folder: &Path) -> Result<()> {
    let mark = format!(
        "{{\"version\":1,\"kata\":\"{}\"}}\n",
        env!("CARGO_PKG_VERSION")
    );
    disk::write(&folder.join(MARK), mark.as_bytes())
}

fn diff(old: &[u8], new: &[u8]) -> String {
    let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    similar::TextDiff::from_lines(&*old, &*new)
        .unified_diff()
        .context_radius(2)
        .header("the course before", "the course now")
        .to_string()
}
