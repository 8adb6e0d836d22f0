//! Whether notifications work where the learner saves: a write of our own must be announced.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use super::{engine::Signal, notify::Watches};

/// An idle machine takes less than a millisecond; a busy one deserves patience.
const PATIENCE: Duration = Duration::from_secs(1);
/// Beside the exercises, where git ignores it.
const FOLDER: &str = ".kata";

/// Writes a file beside the exercises and waits for its notification; `Err` says why not to
/// rely on them. What else arrives on `signals` meanwhile is lost: look at everything after.
pub(super) fn passes(
    watches: &mut Watches,
    signals: &Receiver<Signal>,
    exercise: &Path,
) -> Result<(), String> {
    let around = exercise.parent().unwrap_or(exercise);
    let probe = [around, exercise].into_iter().find_map(Probe::make);
    let probe = probe.ok_or_else(|| {
        format!(
            "{} cannot be written to, so notifications cannot be tested",
            around.display()
        )
    })?;
    watches
        .hold(&probe.folder)
        .map_err(|error| super::notify::explain(&error))?;
    let announced = match fs::write(&probe.file, "is anybody listening?") {
        Ok(()) => wait(&probe.file, signals),
        Err(error) => Err(format!("a test write failed: {error}")),
    };
    watches.release(&probe.folder);
    announced
}

fn wait(file: &Path, signals: &Receiver<Signal>) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match signals.recv_timeout(left) {
            // By its name: some systems report the path with links resolved.
            Ok(Signal::Touched(path, _)) if path.file_name() == file.file_name() => return Ok(()),
            Ok(Signal::Failed(why)) => return Err(why),
            Ok(_) => {}
            Err(_) => {
                return Err(format!(
                    "a test write beside the exercises was not announced within {} s",
                    PATIENCE.as_secs()
                ));
            }
        }
    }
}

/// The folder and the file of the test; gone when dropped.
struct Probe {
    folder: PathBuf,
    file: PathBuf,
    made: bool,
}

impl Probe {
    fn make(around: &Path) -> Option<Self> {
        let folder = around.join(FOLDER);
        let made = fs::create_dir(&folder).is_ok();
        let file = folder.join(format!("probe{}.rs", std::process::id()));
        // Made now, so that a folder that cannot be written to is found out at once.
        fs::write(&file, "").ok()?;
        Some(Self { folder, file, made })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.file));
        if self.made {
            // Another program may have put something there: then it stays.
            drop(fs::remove_dir(&self.folder));
        }
    }
}
