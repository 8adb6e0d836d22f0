//! Copies an implementation into the grader's own folder, where rustc reads it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use similar::{Algorithm, DiffTag};

use crate::world::{
    disk,
    files::{Refusal, SourceFile, learner_sources},
};

/// The sources of one implementation, with the course's own files laid over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// Sorted by path.
    pub files: Vec<SourceFile>,
}

impl Sources {
    /// What lies in a learner's folder. The course's given files win over the learner's.
    pub fn learner(stub: &Path, original: &Path) -> Result<Result<Self, Refusal>> {
        match learner_sources(stub) {
            Ok(mut files) => {
                for file in &mut files {
                    if let Some(beneath) = file.relative.strip_prefix("src/") {
                        file.relative = beneath.to_owned();
                    }
                }
                Ok(Ok(Self { files }.with_given(original)?))
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// One file as the whole implementation: a solution, a `right/` or a `wrong/`.
    pub fn single(lib: &Path, original: &Path) -> Result<Self> {
        let text = disk::text(lib)?;
        let bytes = beside_given(&text).into_bytes();
        let lib = SourceFile {
            relative: "lib.rs".to_owned(),
            bytes,
        };
        Self { files: vec![lib] }.with_given(original)
    }

    /// The stub as the course gives it.
    pub fn original(original: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for (relative, bytes) in disk::tree(original)? {
            files.push(SourceFile { relative, bytes });
        }
        Ok(Self { files })
    }

    /// Lays every file of the original but `lib.rs` over these.
    fn with_given(mut self, original: &Path) -> Result<Self> {
        for given in Self::original(original)?.files {
            if given.relative == "lib.rs" {
                continue;
            }
            self.files.retain(|file| file.relative != given.relative);
            self.files.push(given);
        }
        self.files
            .sort_by(|one, other| one.relative.cmp(&other.relative));
        Ok(self)
    }

    /// A digest of paths and contents.
    pub fn digest(&self) -> String {
        disk::digest(
            self.files
                .iter()
                .flat_map(|file| [file.relative.as_bytes(), file.bytes.as_slice()]),
        )
    }

    /// In how many lines of code these differ from `original`: see [`changed_lines`].
    pub fn changed_lines(&self, original: &Self) -> usize {
        let text = |sources: &Self| -> String {
            let texts = sources.files.iter();
            texts
                .map(|file| String::from_utf8_lossy(&file.bytes) + "\n")
                .collect()
        };
        changed_lines(&text(original), &text(self))
    }

    /// Makes `folder/src` hold these files and no others.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        let src = folder.join("src");
        if src.is_dir() {
            for (relative, _) in disk::tree(&src)? {
                if !self.files.iter().any(|file| file.relative == relative) {
                    disk::remove(&src.join(relative))?;
                }
            }
        }
        for file in &self.files {
            disk::write_if_changed(&src.join(&file.relative), &file.bytes)?;
        }
        Ok(src)
    }
}

/// The lines of code that were added, removed or replaced between two texts; of lines that took
/// the place of others the greater number counts. Blank lines, comments and indentation do not.
fn changed_lines(old: &str, new: &str) -> usize {
    let lines = |text: &'_ str| -> Vec<String> {
        let lines = text.lines().map(str::trim);
        lines
            .filter(|line| !line.is_empty() && !line.starts_with("//"))
            .map(str::to_owned)
            .collect()
    };
    let changes = similar::capture_diff_slices(Algorithm::Patience, &lines(old), &lines(new));
    changes
        .iter()
        .filter(|change| change.tag() != DiffTag::Equal)
        .map(|change| change.old_range().len().max(change.new_range().len()))
        .sum()
}

/// The solution finds the given files by `#[path]` in another tree; staged,
/// they lie beside it. Lines keep their numbers.
fn beside_given(text: &str) -> String {
    let is_path = |line: &str| line.starts_with("#[path = ") && line.contains("given.rs");
    text.lines()
        .map(|line| {
            if is_path(line) {
                "\n".to_owned()
            } else {
                format!("{line}\n")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::changed_lines;

    const OLD: &str = "//! Old.\nfn a() {\n    one();\n    two();\n}\n\nfn b() {}\n";

    #[test]
    fn comments_blank_lines_and_indentation_are_no_change() {
        let new = "//! New.\n\nfn a() {\n  one();\n    // why\n    two();\n}\nfn b() {}\n";
        assert_eq!(changed_lines(OLD, new), 0);
    }

    #[test]
    fn replaced_lines_count_once_and_moved_ones_twice() {
        assert_eq!(changed_lines(OLD, &OLD.replace("one()", "three()")), 1);
        assert_eq!(changed_lines(OLD, &OLD.replace("one();", "1;\n2;\n3;")), 3);
        assert_eq!(changed_lines(OLD, &OLD.replace("    two();\n", "")), 1);
        let swapped = OLD
            .replace("one", "x")
            .replace("two", "one")
            .replace("x()", "two()");
        assert_eq!(changed_lines(OLD, &swapped), 2);
    }
}
