//! One at a time: a lock on a file, held until dropped.

use std::{
    fs::{self, File},
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
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("{} could not be made", folder.display()))?;
        }
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .with_context(|| format!("{} could not be opened", path.display()))?;
        match file.lock() {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("{} could not be locked", path.display()));
            }
        }
        Ok(Self { _file: file })
    }
}
