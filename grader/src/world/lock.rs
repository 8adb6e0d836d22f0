//! One at a time: a lock on a file, held until dropped.

use std::{
    fs::{self, File, TryLockError},
    io::{self, ErrorKind::Unsupported},
    path::Path,
};

use anyhow::{Context, Result};

/// A held lock.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock. Where the file system knows no locks, goes on without.
    pub fn take(path: &Path) -> Result<Self> {
        let file = open(path)?;
        locked(path, file.lock())?;
        Ok(Self { _file: file })
    }

    /// The lock, unless somebody else holds it.
    pub fn try_take(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => locked(path, Err(error))?,
            Ok(()) => {}
        }
        Ok(Some(Self { _file: file }))
    }
}

fn open(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("{} could not be made", folder.display()))?;
    }
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("{} could not be opened", path.display()))
}

fn locked(path: &Path, result: io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != Unsupported => {
            Err(error).with_context(|| format!("{} could not be locked", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::Lock;

    #[test]
    fn what_one_holds_another_does_not_get() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/lock");
        let held = Lock::take(&path).unwrap();
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::try_take(&path).unwrap().is_some());
    }
}
