//! The public shapes of day 13.

use exercise::{Maker, circuit, expiry, keeping, recovery};

/// Holds only for a future that gives nothing.
fn test<F: Future<Output = ()>>(_future: F) {}

/// Tasks 1 to 4. A test may keep to one thread: its future need not be `Send`.
pub fn shapes_of_tests(maker: &dyn Maker) {
    test(keeping(maker));
    test(expiry(maker));
    test(circuit(maker));
    test(recovery(maker));
}
