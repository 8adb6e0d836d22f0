//! What an exercise's sources are, as a hash, and what the file system said of them then.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use sha2::{Digest as _, Sha256};

use crate::world::files::{self, Refusal, SourceFile};

/// The SHA-256 of an exercise's sources: of their paths and bytes, never of times or inodes.
/// Shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of sources in the order in which [`files::learner_sources`] gives them.
    pub fn of(sources: &[SourceFile]) -> Self {
        let mut hasher = Sha256::new();
        for source in sources {
            // The lengths keep `a` + `bc` apart from `ab` + `c`.
            for part in [source.relative.as_bytes(), &source.bytes] {
                hasher.update((part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
        Self(hasher.finalize().into())
    }

    /// The digest that stands for sources that are refused; different for each message.
    fn of_refusal(refusal: &Refusal) -> Self {
        // No sources start with a length of eight times 0xff.
        let hasher = Sha256::new().chain_update([0xff; 8]);
        Self(hasher.chain_update(refusal.to_string()).finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The digest of the sources in an exercise's folder.
pub fn digest(exercise: &Path) -> Result<Digest, Refusal> {
    files::learner_sources(exercise).map(|sources| Digest::of(&sources))
}

/// One look at an exercise.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// Of the sources, or of the refusal.
    pub digest: Digest,
    /// By relative path; empty if the sources are refused.
    files: BTreeMap<String, Content>,
    /// Taken before anything was read, so that a later change shows.
    stamps: Vec<(PathBuf, Option<Stamp>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Content {
    hash: [u8; 32],
    empty: bool,
}

impl Look {
    /// Reads the exercise.
    pub fn at(exercise: &Path) -> Self {
        let listing = files::list(exercise);
        let places = [exercise.to_owned(), exercise.join("src")].into_iter();
        let places = places
            .chain(listing.folders.iter().skip(1).cloned())
            .chain(listing.files.iter().map(|(_, path)| path.clone()));
        let stamps = places
            .map(|path| (path.clone(), Stamp::of(&path)))
            .collect();
        match files::read(listing) {
            Ok(sources) => Self {
                digest: Digest::of(&sources),
                files: sources.iter().map(content).collect(),
                stamps,
            },
            Err(refusal) => Self {
                digest: Digest::of_refusal(&refusal),
                files: BTreeMap::new(),
                stamps,
            },
        }
    }

    /// Whether the file system says that something was touched since. Opens nothing.
    pub fn is_stale(&self) -> bool {
        self.stamps
            .iter()
            .any(|(path, stamp)| Stamp::of(path) != *stamp)
    }

    /// Whether `self` looks like a moment within the replacement of `before`:
    /// something that had content is missing or empty.
    pub fn is_fragile_after(&self, before: &Self) -> bool {
        before.files.iter().any(|(file, content)| {
            !content.empty && self.files.get(file).is_none_or(|content| content.empty)
        })
    }

    /// The files that differ from those of `before`, in order; also those that are gone.
    pub fn changed_since(&self, before: &Self) -> Vec<String> {
        let names = self.files.keys().chain(before.files.keys());
        let mut changed: Vec<String> = names
            .filter(|file| self.files.get(*file) != before.files.get(*file))
            .cloned()
            .collect();
        changed.sort();
        changed.dedup();
        changed
    }
}

fn content(source: &SourceFile) -> (String, Content) {
    let content = Content {
        hash: Sha256::digest(&source.bytes).into(),
        empty: source.bytes.is_empty(),
    };
    (source.relative.clone(), content)
}

/// What the file system tells of a path without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    changed: (i64, i64),
    length: u64,
    identity: (u64, u64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            modified: metadata.modified().ok(),
            changed: changed(&metadata),
            length: metadata.len(),
            identity: identity(&metadata),
        })
    }
}

/// The device and inode of a path, where there are such.
pub(super) fn identity_of(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|metadata| identity(&metadata))
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(unix)]
fn changed(metadata: &Metadata) -> (i64, i64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

#[cfg(not(unix))]
fn changed(_: &Metadata) -> (i64, i64) {
    (0, 0)
}

#[cfg(test)]
#[path = "digest_tests.rs"]
mod tests;
