//! Notifications of the system: which folders are watched, and what an event means.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::mpsc::Sender,
};

use notify::{
    Config, ErrorKind, Event, EventKind, RecursiveMode, Watcher as Backend,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode},
};

use super::{debounce::Touch, digest::identity_of, engine::Signal};
use crate::world::files;

/// The watched folders. Each is watched by itself: a recursive watch on `exercises/` would
/// take one watch for every folder that cargo makes in `target`, and an event for every file.
pub(super) struct Watches {
    backend: Box<dyn Backend + Send>,
    /// With device and inode: a folder of the same name may be another one.
    armed: BTreeMap<PathBuf, (u64, u64)>,
}

impl Watches {
    /// Starts a backend that sends what it notices to `signals`.
    pub fn start<W: Backend + Send + 'static>(signals: Sender<Signal>) -> notify::Result<Self> {
        let handler = move |event: notify::Result<Event>| {
            // The engine may have gone; then nobody wants to know.
            let send = |signal| drop(signals.send(signal));
            match event {
                Ok(event) if event.need_rescan() => send(Signal::Lost),
                Ok(event) => touches(&event)
                    .into_iter()
                    .for_each(|(path, touch)| send(Signal::Touched(path, touch))),
                Err(error) => send(Signal::Failed(explain(&error))),
            }
        };
        Ok(Self {
            backend: Box::new(W::new(handler, Config::default())?),
            armed: BTreeMap::new(),
        })
    }

    /// Watches what the exercises' folders need and nothing else; true if anything is watched
    /// now that was not before. Folders that vanish in between are left for the next time.
    pub fn arm(&mut self, exercises: &[&Path]) -> notify::Result<bool> {
        let mut any_new = false;
        // A folder made before its parent was watched is found by listing once more.
        for _ in 0..8 {
            let wanted: BTreeSet<PathBuf> = exercises.iter().flat_map(|e| folders(e)).collect();
            let unwanted = self.armed.keys().filter(|folder| !wanted.contains(*folder));
            for folder in unwanted.cloned().collect::<Vec<_>>() {
                self.disarm(&folder);
            }
            let mut any_newer = false;
            for folder in wanted {
                any_newer |= self.arm_one(&folder)?;
            }
            if !any_newer {
                break;
            }
            any_new = true;
        }
        Ok(any_new)
    }

    fn arm_one(&mut self, folder: &Path) -> notify::Result<bool> {
        let Ok(identity) = identity_of(folder) else {
            self.disarm(folder);
            return Ok(false);
        };
        if self.armed.get(folder) == Some(&identity) {
            return Ok(false);
        }
        self.disarm(folder);
        match self.backend.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.armed.insert(folder.to_owned(), identity);
                Ok(true)
            }
            Err(error) if is_about_this_folder(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn disarm(&mut self, folder: &Path) {
        self.armed.remove(folder);
        // It fails if the folder is gone, and then it is not needed.
        drop(self.backend.unwatch(folder));
    }

    /// Watches one folder until [`Self::release`].
    pub fn hold(&mut self, folder: &Path) -> notify::Result<()> {
        self.backend.watch(folder, RecursiveMode::NonRecursive)
    }

    /// Ends [`Self::hold`].
    pub fn release(&mut self, folder: &Path) {
        self.disarm(folder);
    }

    /// The folder was moved or removed, and with it those beneath: the backend drops their
    /// watches, perhaps only after a new folder has taken the name.
    pub fn forget(&mut self, folder: &Path) {
        self.armed.retain(|armed, _| !armed.starts_with(folder));
    }

    /// Whether every watched folder is still the one that stands at its path.
    pub fn are_in_place(&self) -> bool {
        let mut armed = self.armed.iter();
        armed.all(|(folder, identity)| identity_of(folder).is_ok_and(|now| now == *identity))
    }
}

/// The folders to watch for one exercise: `src` and what is in it, the exercise, and the
/// folder around it, or what is left of that.
fn folders(exercise: &Path) -> Vec<PathBuf> {
    let mut folders = files::list(exercise).folders;
    folders.push(exercise.to_owned());
    let mut around = exercise.parent();
    while let Some(folder) = around {
        folders.push(folder.to_owned());
        if folder.is_dir() {
            break;
        }
        around = folder.parent();
    }
    folders
}

/// What an event says of which path. Only what can concern a Rust source is kept; above all not
/// that a file was opened, which every look does.
pub(super) fn touches(event: &Event) -> Vec<(PathBuf, Touch)> {
    let touches = |touch: Touch| event.paths.iter().cloned().map(move |path| (path, touch));
    let touches: Vec<_> = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
            touches(Touch::Finished).collect()
        }
        EventKind::Access(_) => Vec::new(),
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(_) => {
            touches(Touch::Gone).collect()
        }
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => touches(Touch::Gone)
            .take(1)
            .chain(touches(Touch::Finished).skip(1))
            .collect(),
        EventKind::Modify(ModifyKind::Name(_)) => touches(Touch::Finished).collect(),
        EventKind::Modify(ModifyKind::Metadata(_)) | EventKind::Create(CreateKind::Folder) => {
            touches(Touch::Structure).collect()
        }
        EventKind::Create(_) | EventKind::Modify(_) | EventKind::Any | EventKind::Other => {
            touches(Touch::Writing).collect()
        }
    };
    let may_be_folder = !matches!(
        event.kind,
        EventKind::Access(_)
            | EventKind::Modify(ModifyKind::Data(_))
            | EventKind::Create(CreateKind::File)
            | EventKind::Remove(RemoveKind::File)
    );
    let concern = |path: &Path| concerns(path, may_be_folder);
    touches
        .into_iter()
        .filter(|(path, _)| concern(path))
        .collect()
}

fn concerns(path: &Path, may_be_folder: bool) -> bool {
    // A name that is not UTF-8 can be that of a file to refuse.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    files::is_source_name(&name)
        || may_be_folder
            && !name.starts_with(['.', '#'])
            && !name.ends_with('~')
            && name != "target"
}

fn is_about_this_folder(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::PermissionDenied
        ),
        _ => false,
    }
}

/// Why notifications cannot be had, and what would help.
pub(super) fn explain(error: &notify::Error) -> String {
    const TOO_MANY_INSTANCES: i32 = 24;
    match &error.kind {
        ErrorKind::MaxFilesWatch => "the system's limit of watched folders is reached; \
            `sudo sysctl fs.inotify.max_user_watches=524288` raises it"
            .into(),
        ErrorKind::Io(error) if error.raw_os_error() == Some(TOO_MANY_INSTANCES) => {
            "the system's limit of programs that watch folders (or of open files) is reached; \
             `sudo sysctl fs.inotify.max_user_instances=512` raises it"
                .into()
        }
        _ => format!("the system's notifications failed: {error}"),
    }
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
