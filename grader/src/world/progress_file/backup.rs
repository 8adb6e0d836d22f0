//! The last good state, kept out of the learner's way.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    STATE_FOLDER,
    notice::Saved,
    replace::{follow, replace},
};
use crate::{
    model::{
        exercise::Exercise,
        marker::Marker,
        progress::{Progress, time},
    },
    world::clock,
};

/// `.kata/progress.backup.json`.
pub(super) struct Backup<'a> {
    root: &'a Path,
}

impl<'a> Backup<'a> {
    pub(super) const fn in_workspace(root: &'a Path) -> Self {
        Self { root }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.root.join(STATE_FOLDER).join("progress.backup.json")
    }

    /// The last good state; `None` if there is none, or none that can be read.
    pub(super) fn load(&self) -> Option<(Progress, Saved)> {
        let progress = Progress::parse_bytes(&fs::read(self.path()).ok()?).ok()?;
        let saved = self.saved(&progress);
        Some((progress, saved))
    }

    /// Keeps a state as the last good one.
    ///
    /// If the one kept so far knows of completed exercises that the new one
    /// does not – `progress.json` was deleted, or replaced by an older one –
    /// it is not dropped: it gets a name of its own, which is returned.
    pub(super) fn save(
        &self,
        progress: &Progress,
        alone: bool,
    ) -> io::Result<Option<(PathBuf, Saved)>> {
        let path = self.path();
        let kept = match self.load() {
            Some((known, saved)) if !covers(progress, &known) => {
                let time = clock::for_file_name(&clock::now());
                let kept = set_aside(
                    &path,
                    &path.with_file_name(format!("progress.backup-{time}.json")),
                )?;
                Some((kept, saved))
            }
            _ => None,
        };
        // Should the folder not be synced, an older backup may come back: good enough.
        let _folder_sync = replace(&path, &progress.to_json(), alone)?;
        Ok(kept)
    }

    /// How to speak of a state that was saved when the backup was.
    fn saved(&self, progress: &Progress) -> Saved {
        let modified = fs::metadata(self.path()).and_then(|metadata| metadata.modified());
        let time = modified.ok().and_then(clock::local);
        Saved {
            completed: progress.completed(),
            of: self.days(),
            time: time.and_then(|time| time::short_time(&time, &clock::now())),
        }
    }

    /// How many days the course has.
    fn days(&self) -> Option<usize> {
        let folder = fs::read_dir(self.root.join("exercises")).ok()?;
        let names = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let days = names
            .filter(|name| Exercise::day_of(name).is_some())
            .count();
        (days > 0).then_some(days)
    }
}

/// Whether every exercise that is completed in `known` is so in `progress`.
fn covers(progress: &Progress, known: &Progress) -> bool {
    known.exercises.iter().all(|(slug, entry)| {
        entry.marker != Marker::Completed || progress.marker(slug) == Marker::Completed
    })
}

/// Gives a file a second name, `wanted` or one like it that is free, and
/// returns that. The file keeps its first name until something replaces it,
/// so that there is no moment without it.
pub(super) fn set_aside(path: &Path, wanted: &Path) -> io::Result<PathBuf> {
    let source = follow(path)?;
    let mut name = wanted.to_owned();
    for number in 2.. {
        // Unlike a rename, neither a link nor a new file ever takes the place of another file.
        match fs::hard_link(&source, &name).or_else(|error| copy_unless(error, &source, &name)) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let mut numbered = wanted.as_os_str().to_owned();
                numbered.push(format!("-{number}"));
                name = numbered.into();
            }
            Err(error) => return Err(error),
        }
    }
    unreachable!("some number is free")
}

/// Not every filesystem knows links.
fn copy_unless(error: io::Error, source: &Path, name: &Path) -> io::Result<()> {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return Err(error);
    }
    let bytes = fs::read(source)?;
    let mut file = fs::File::create_new(name)?;
    let written = io::Write::write_all(&mut file, &bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // The half of a copy is worth nothing, and the original is still there.
        drop(fs::remove_file(name));
    }
    written
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::set_aside;

    #[test]
    fn a_second_name_never_takes_the_place_of_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "broken").unwrap();
        fs::write(path("aside"), "of last week").unwrap();
        fs::write(path("aside-2"), "of yesterday").unwrap();
        let kept = set_aside(&path("file"), &path("aside")).unwrap();
        assert_eq!(kept, path("aside-3"));
        let text = |name: &str| fs::read_to_string(path(name)).unwrap();
        assert_eq!(text("aside"), "of last week");
        assert_eq!(text("aside-2"), "of yesterday");
        assert_eq!(
            (text("aside-3"), text("file")),
            ("broken".into(), "broken".into())
        );
    }
}
