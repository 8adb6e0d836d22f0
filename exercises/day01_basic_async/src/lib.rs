//! Day 1: Basic Async.
//!
//! A kitchen: some steps depend on each other and some don't. Write four
//! functions that take no longer than the dependencies ask for.
//!
//! For every function here: calling it does no work, awaiting the future does.
//! Its future is `Send`. Dropping the future stops the kitchen at that very
//! moment, and once the future has returned nothing is still running. No step
//! is done twice.

mod given;
pub use given::*;

/// Makes a buttered toast for `table`: slices, then toasts, then butters.
///
/// Takes exactly as long as these three steps together.
pub async fn make_toast(table: u32, kitchen: &Kitchen) -> ButteredToast {
    let _ = (table, kitchen);
    todo!("task 1: slice, then toast, then butter")
}

/// Makes a cup of coffee for `table`.
///
/// Heating water and grinding beans both start at once. When both are done the
/// coffee steeps for exactly [`STEEP`]; then it is pressed. While it steeps
/// everybody else works on.
pub async fn make_coffee(table: u32, kitchen: &Kitchen) -> Coffee {
    let _ = (table, kitchen);
    todo!("task 2: heat and grind together, steep, press")
}

/// Serves all `orders` at the same time; a breakfast's coffee and toast are
/// made at the same time, too.
///
/// The bell rings for an order, once, at the moment its plate is ready. Returns
/// when the last bell has rung. [`Receipt::plates`] has the plate of `orders[i]`
/// at `i`, whichever was ready first; [`Receipt::took`] is the time from the
/// first poll to the return, on the runtime's clock. No orders: no plates, no
/// time.
pub async fn serve(orders: &[Order], kitchen: &Kitchen) -> Receipt {
    let _ = (orders, kitchen);
    todo!("task 3: all orders together, the plates in their order")
}

/// Cooks a recipe: prepares every step once, each at the moment when the last
/// of its needs is done, and at once if it needs nothing.
///
/// Returns what the steps made, in the order of the recipe. An empty recipe
/// makes nothing and takes no time.
///
/// # Errors
///
/// [`RecipeError::NoSuchStep`] if a step needs a place outside the recipe, and
/// [`RecipeError::Circular`] if a step needs itself, directly or through
/// others; either may be told if both are true. They are found before any step
/// is prepared.
pub async fn cook(recipe: &[Step], kitchen: &Kitchen) -> Result<Vec<Part>, RecipeError> {
    let _ = (recipe, kitchen);
    todo!("task 4: each step the moment its last need is done")
}
