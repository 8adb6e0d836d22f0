//! The public shapes of day 17.

/// `both` takes two `Send` futures and is one.
pub fn both() {
    fn is_send<F: Future<Output = (u64, u64)> + Send>(_: F) {}
    is_send(exercise::both(async { 1 }, async { 2 }));
}
