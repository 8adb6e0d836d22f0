//! The rules of progress, as sentences.
