//! A learner's sources: what of a stub's folder is graded, and what is refused.

use std::path::Path;

use anyhow::Result;

use super::files;

/// One source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path beneath `src`: `lib.rs`.
    pub relative: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// Why a folder is not graded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// Reads `src/**/*.rs` of an exercise.
pub fn learner_sources(exercise: &Path) -> Result<Vec<SourceFile>, Refusal> {
    let files = files::tree(&exercise.join("src")).map_err(|e| Refusal(format!("{e:#}")))?;
    Ok(files
        .into_iter()
        .filter(|(name, _)| name.ends_with(".rs"))
        .map(|(relative, bytes)| SourceFile { relative, bytes })
        .collect())
}
