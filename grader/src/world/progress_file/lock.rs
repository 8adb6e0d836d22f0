//! The lock under which `progress.json` is changed.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

/// Held until dropped. The lock is the operating system's, so that it goes
/// with the process, however that ends.
#[derive(Debug)]
pub(super) struct Lock {
    held: Result<File, String>,
}

/// Somebody else kept the lock all the time.
#[derive(Debug)]
pub(super) struct Busy;

impl Lock {
    /// Takes the lock in `folder`, which is created if need be. A folder or a
    /// filesystem that offers no lock is no reason to refuse a learner's work.
    pub(super) fn take(folder: &Path, patience: Duration) -> Result<Self, Busy> {
        let held = match open(folder) {
            Ok(file) => lock(file, patience)?,
            Err(error) => Err(error),
        };
        Ok(Self {
            held: held.map_err(|error| error.to_string()),
        })
    }

    /// Whether nobody else can be writing.
    pub(super) const fn held(&self) -> bool {
        self.held.is_ok()
    }

    /// Why it could not be had.
    pub(super) fn missing(&self) -> Option<&str> {
        self.held.as_ref().err().map(String::as_str)
    }
}

/// The lock file; it stays empty, and it stays.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join("progress.lock")
}

fn open(folder: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    let file = path(folder);
    File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&file)
        // After one `sudo kata` the file is root's; to lock it, reading is enough.
        .or_else(|error| File::open(file).map_err(|_| error))
}

fn lock(file: File, patience: Duration) -> Result<io::Result<File>, Busy> {
    match file.try_lock() {
        Ok(()) => Ok(Ok(file)),
        Err(TryLockError::Error(error)) => Ok(Err(error)),
        Err(TryLockError::WouldBlock) => wait(file, patience),
    }
}

/// Waits in a thread of its own, for the operating system knows no lock with
/// a deadline. A thread that gets the lock too late lets it go at once.
fn wait(file: File, patience: Duration) -> Result<io::Result<File>, Busy> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let locked = file.lock().map(|()| file);
        drop(sender.send(locked));
    });
    receiver.recv_timeout(patience).map_err(|_| Busy)
}
