//! What of a learner's exercise is read: the regular `*.rs` files under `src`, and nothing else.

use std::{
    fs::{self, DirEntry, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The most bytes one source file may have: 256 KiB.
pub const MAX_FILE_BYTES: u64 = 256 * 1024;
/// The most source files one exercise may have.
pub const MAX_FILES: usize = 64;
/// How deep folders may nest under `src`; deeper ones are refused.
const MAX_DEPTH: usize = 8;

/// One file of the learner's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Beneath the exercise's folder, with `/` between the parts: `src/lib.rs`.
    pub relative: String,
    /// UTF-8.
    pub bytes: Vec<u8>,
}

/// Why an exercise's sources are not read; the message says which file and what to do.
/// Paths stand beneath the exercise's folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no `src/lib.rs`.
    #[error(
        "src/lib.rs is missing: restore it from your editor, or take the stub again with `kata reset`"
    )]
    Missing,
    /// A symbolic link.
    #[error("{file} is a symbolic link: put the file itself in its place")]
    Link {
        /// The link.
        file: String,
    },
    /// A pipe, a device, a folder with a file's name.
    #[error("{file} is not a regular file: move it out of src")]
    Special {
        /// The file.
        file: String,
    },
    /// Larger than [`MAX_FILE_BYTES`].
    #[error("{file} is larger than {} KiB: move data out of the source", MAX_FILE_BYTES / 1024)]
    TooBig {
        /// The file.
        file: String,
    },
    /// More than [`MAX_FILES`].
    #[error(
        "src has more than {MAX_FILES} Rust files ({file} is one too many): move some out of src"
    )]
    TooMany {
        /// The first one beyond the limit, in the order of their names.
        file: String,
    },
    /// Folders nest too deeply.
    #[error("{file} nests more than {MAX_DEPTH} folders deep: move it up")]
    TooDeep {
        /// The folder.
        file: String,
    },
    /// Its content or its name is not UTF-8.
    #[error("{file} is not UTF-8: save it with that encoding")]
    NotUtf8 {
        /// The file; what is not UTF-8 in its name is replaced.
        file: String,
    },
    /// The system does not let it be read.
    #[error("{file} cannot be read: {reason}")]
    Unreadable {
        /// The file or the folder.
        file: String,
        /// The system's words.
        reason: String,
    },
}

/// What lies under an exercise's `src`.
#[derive(Debug, Default)]
pub struct Listing {
    /// `src` and the folders in it; empty when there is no `src`.
    pub folders: Vec<PathBuf>,
    /// Rust files with their paths beneath the exercise's folder, in the order of those.
    pub files: Vec<(String, PathBuf)>,
    /// The first thing that is refused. The rest is listed nevertheless.
    pub refusal: Option<Refusal>,
}

impl Listing {
    fn refuse(&mut self, refusal: Refusal) {
        self.refusal.get_or_insert(refusal);
    }
}

/// Whether a file of this name can be a source: `*.rs`, and not what editors keep beside one.
/// (Emacs marks an edited `lib.rs` with a dangling link `.#lib.rs`.)
pub fn is_source_name(name: &str) -> bool {
    let is_rust = Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "rs");
    is_rust && !name.starts_with(['.', '#'])
}

/// Lists the folders and Rust files under `exercise/src` without reading them.
///
/// Hidden entries, `target`, and files that are not Rust are passed over. Links are never
/// followed beneath `exercise`; the path to `exercise` itself may lead through links.
pub fn list(exercise: &Path) -> Listing {
    let mut listing = Listing::default();
    let src = exercise.join("src");
    match fs::symlink_metadata(&src) {
        Ok(metadata) if metadata.is_dir() => list_folder(&src, "src", 1, &mut listing),
        Ok(metadata) if metadata.is_symlink() => {
            listing.refuse(Refusal::Link { file: "src".into() });
        }
        Ok(_) => listing.refuse(Refusal::Special { file: "src".into() }),
        Err(error) if is_absent(&error) => listing.refuse(Refusal::Missing),
        Err(error) => listing.refuse(unreadable("src", &error)),
    }
    listing.files.sort();
    if let Some((file, _)) = listing.files.get(MAX_FILES) {
        let file = file.clone();
        listing.refuse(Refusal::TooMany { file });
    }
    if !listing.files.iter().any(|(file, _)| file == "src/lib.rs") {
        listing.refuse(Refusal::Missing);
    }
    listing
}

fn list_folder(folder: &Path, relative: &str, depth: usize, listing: &mut Listing) {
    if depth > MAX_DEPTH {
        listing.refuse(Refusal::TooDeep {
            file: relative.into(),
        });
        return;
    }
    listing.folders.push(folder.to_owned());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return listing.refuse(unreadable(relative, &error)),
    };
    let mut entries: Vec<DirEntry> = entries.filter_map(Result::ok).collect();
    entries.sort_by_key(DirEntry::file_name);
    for entry in entries {
        list_entry(&entry, relative, depth, listing);
    }
}

fn list_entry(entry: &DirEntry, parent: &str, depth: usize, listing: &mut Listing) {
    let name = entry.file_name();
    let lossy = name.to_string_lossy();
    if lossy.starts_with('.') || lossy == "target" {
        return;
    }
    // An entry that vanished since is nobody's business any more.
    let Ok(file_type) = entry.file_type() else {
        return;
    };
    let relative = format!("{parent}/{lossy}");
    // Such a name would paint on the terminal of whoever is shown it.
    if lossy.chars().any(char::is_control) {
        let file = relative.escape_debug().to_string();
        return listing.refuse(Refusal::Special { file });
    }
    if file_type.is_dir() && !is_source_name(&lossy) {
        list_folder(&entry.path(), &relative, depth + 1, listing);
    } else if !is_source_name(&lossy) {
        // A link to a folder could be a module; one to a note is no concern.
        if file_type.is_symlink() && entry.path().is_dir() {
            listing.refuse(Refusal::Link { file: relative });
        }
    } else if name.to_str().is_none() {
        listing.refuse(Refusal::NotUtf8 { file: relative });
    } else if file_type.is_file() {
        listing.files.push((relative, entry.path()));
    } else if file_type.is_symlink() {
        listing.refuse(Refusal::Link { file: relative });
    } else {
        listing.refuse(Refusal::Special { file: relative });
    }
}

/// Reads what [`list`] lists of an exercise, in the order of the relative paths.
pub fn learner_sources(exercise: &Path) -> Result<Vec<SourceFile>, Refusal> {
    read(list(exercise))
}

/// Reads the files of a listing.
pub fn read(listing: Listing) -> Result<Vec<SourceFile>, Refusal> {
    if let Some(refusal) = listing.refusal {
        return Err(refusal);
    }
    let sources = listing.files.into_iter();
    sources
        .map(|(relative, path)| read_source(relative, &path))
        .collect()
}

fn read_source(relative: String, path: &Path) -> Result<SourceFile, Refusal> {
    let file = match open(path) {
        Ok(file) => file,
        // Between listing and opening, a link or nothing may have taken its place.
        Err(_) if path.is_symlink() => return Err(Refusal::Link { file: relative }),
        Err(error) if is_absent(&error) && relative == "src/lib.rs" => {
            return Err(Refusal::Missing);
        }
        Err(error) => return Err(unreadable(&relative, &error)),
    };
    match file.metadata() {
        Ok(metadata) if !metadata.is_file() => return Err(Refusal::Special { file: relative }),
        Ok(_) => {}
        Err(error) => return Err(unreadable(&relative, &error)),
    }
    let mut bytes = Vec::new();
    if let Err(error) = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes) {
        return Err(unreadable(&relative, &error));
    }
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Refusal::TooBig { file: relative });
    }
    if str::from_utf8(&bytes).is_err() {
        return Err(Refusal::NotUtf8 { file: relative });
    }
    Ok(SourceFile { relative, bytes })
}

/// Opens for reading; never follows a link, never waits for a pipe's other end.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};

    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn unreadable(file: &str, error: &io::Error) -> Refusal {
    Refusal::Unreadable {
        file: file.into(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
