//! What grading is doing at the moment, for whoever shows it.

/// A step on the way from source to verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Dependencies are being compiled, once.
    Preparing {
        /// The crate that was started last; empty at the beginning.
        krate: String,
        /// Crates compiled so far.
        done: usize,
        /// Crates in all.
        total: usize,
    },
    /// The learner's library is being compiled.
    Compiling,
    /// The hidden test is being compiled against it.
    Linking,
    /// Checks are running.
    Testing {
        /// Checks that ended.
        done: usize,
        /// Checks in all.
        total: usize,
    },
}
