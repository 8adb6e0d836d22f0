//! Whole files and folders: written atomically, read as a tree, digested.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Writes a whole file, or leaves the old one: through a temporary file in the same folder.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("a file needs a folder")?;
    let what = || format!("{} could not be written", path.display());
    fs::create_dir_all(folder).with_context(what)?;
    // As any new file: readable as far as the user's umask allows.
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .with_context(what)?;
    if let Ok(old) = fs::metadata(path) {
        file.as_file()
            .set_permissions(old.permissions())
            .with_context(what)?;
    }
    file.write_all(bytes).with_context(what)?;
    file.persist(path).with_context(what)?;
    Ok(())
}

/// A whole file's bytes; the error names it.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// A whole file's text; the error names it.
pub fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// Makes a folder and those around it.
pub fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("{} could not be made", path.display()))
}

/// Gives a file another name, in the place of what has it; the folder is made if need be.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    let what = || format!("{} could not become {}", from.display(), to.display());
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(what)?;
    }
    fs::rename(from, to).with_context(what)
}

/// Removes a file.
pub fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).with_context(|| format!("{} could not be removed", path.display()))
}

/// An error if anything on the way from `base` down to `path` is a link: what is written or
/// removed there would be somebody else's.
pub fn refuse_links(base: &Path, path: &Path) -> Result<()> {
    for folder in path.ancestors().take_while(|folder| *folder != base) {
        if folder.is_symlink() {
            anyhow::bail!(
                "{} is a symbolic link, where the grader keeps its own files\nNothing was touched. \
                 Remove the link.",
                folder.display()
            );
        }
    }
    Ok(())
}

/// Removes a file if there is one.
pub fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} could not be removed", path.display()))
        }
        _ => Ok(()),
    }
}

/// Removes a folder with all that is in it, if it is there.
pub fn remove_folder(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    fs::remove_dir_all(path).with_context(|| format!("{} could not be removed", path.display()))
}

/// The names in a folder, sorted; none if there is no such folder.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A folder that goes, with all that is in it, when it is dropped.
pub fn temporary_folder() -> Result<TempDir> {
    tempfile::tempdir().context("no temporary folder could be made")
}

/// The same inside another folder.
pub fn temporary_folder_in(folder: &Path) -> Result<TempDir> {
    tempfile::tempdir_in(folder).context("no temporary folder could be made")
}

/// Bytes free where `folder` lies, if the system tells.
pub fn free(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Writes only what differs, so that unchanged files keep their times.
pub fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        Ok(())
    } else {
        write(path, bytes)
    }
}

/// Writes a script that can be run, if it is not there already.
pub fn write_program(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let folder = path.parent().context("a file needs a folder")?;
    let what = || format!("{} could not be written", path.display());
    fs::create_dir_all(folder).with_context(what)?;
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o777))
        .tempfile_in(folder)
        .with_context(what)?;
    file.write_all(text.as_bytes()).with_context(what)?;
    // Closed before it gets its name: a program that is open for writing cannot be run.
    file.into_temp_path().persist(path).with_context(what)
}

/// All regular files beneath a folder, by their path in it, sorted; links are passed over.
pub fn tree(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    fn walk(folder: &Path, prefix: &str, found: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
        let what = || format!("{} cannot be read", folder.display());
        for entry in fs::read_dir(folder).with_context(what)? {
            let entry = entry.with_context(what)?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().with_context(what)?;
            if kind.is_dir() {
                walk(&entry.path(), &format!("{name}/"), found)?;
            } else if kind.is_file() {
                let bytes = fs::read(entry.path())
                    .with_context(|| format!("{} cannot be read", entry.path().display()))?;
                found.push((name, bytes));
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(folder, "", &mut found)?;
    found.sort();
    Ok(found)
}

/// The file in `folder` whose name begins with `prefix` and that is a hard link to `file`, or a copy of it.
pub fn twin(file: &Path, folder: &Path, prefix: &str) -> Result<Option<PathBuf>> {
    use std::os::unix::fs::MetadataExt;
    let own = fs::metadata(file).with_context(|| format!("{} is gone", file.display()))?;
    let mut copy = None;
    for entry in fs::read_dir(folder).with_context(|| format!("{} is gone", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with(prefix) || path.extension() != file.extension() {
            continue;
        }
        let other = fs::metadata(&path)?;
        if (own.dev(), own.ino()) == (other.dev(), other.ino()) {
            return Ok(Some(path));
        }
        if own.len() == other.len() && fs::read(file)? == fs::read(&path)? {
            copy = Some(path);
        }
    }
    Ok(copy)
}

/// A digest of byte strings; their borders count.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher
        .finalize()
        .iter()
        .take(16)
        .fold(String::new(), |mut text, byte| {
            use std::fmt::Write;
            let _ = write!(text, "{byte:02x}");
            text
        })
}
