//! Replaces a file's contents in one step: all of the new, or all of the old.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// How many links `progress.json` may be away from the file; as many as Linux follows.
const MAX_LINKS: u32 = 40;

/// Writes `text` to a temporary file beside `path`, syncs it, and renames it
/// to `path`. A link is followed: the file it names is replaced.
///
/// `alone` says that nobody else writes at this time: then the temporary file
/// has a fixed name, and what a killed process left of it is cleared away.
///
/// The inner error means: replaced, but the folder could not be synced, so
/// that a power cut may still bring the old contents back.
///
/// # Errors
///
/// On an error `path` is as it was, and no temporary file is left.
pub(super) fn replace(path: &Path, text: &str, alone: bool) -> io::Result<io::Result<()>> {
    let target = follow(path)?;
    let folder = parent(&target);
    let mut name = tempfile::Builder::new();
    name.prefix(".progress.json").suffix(".tmp");
    // A file outside may belong to two workspaces, each with a lock of its own.
    if alone && target == path {
        name.rand_bytes(0);
        remove_if_there(&folder.join(".progress.json.tmp"))?;
    }
    // The mode is what it was, or what the user's umask makes of a new file.
    let old = fs::metadata(&target).ok().map(|old| old.permissions());
    let new = Permissions::from_mode(0o666);
    let mut file = name
        .permissions(old.clone().unwrap_or(new))
        .tempfile_in(folder)?;
    if let Some(old) = old {
        file.as_file().set_permissions(old)?;
    }
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&target).map_err(|error| error.error)?;
    Ok(sync_folder(folder))
}

/// The file that a chain of links names, whether or not it exists.
pub(super) fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&target) {
            Ok(next) => target = parent(&target).join(next),
            Err(_) => return Ok(target),
        }
    }
    Err(io::Error::other("too many links"))
}

/// The folder of a file; never the empty path.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some filesystems sync no folders; they have no promise to break.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}
