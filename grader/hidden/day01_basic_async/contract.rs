//! The public shapes of day 1.

use exercise::{ButteredToast, Coffee, Kitchen, Order, Part, Receipt, RecipeError, Step};

/// Holds only for a future that gives a `T` and may move to another thread.
fn send_future_of<T>(_future: impl Future<Output = T> + Send) {}

/// Task 1.
pub fn shape_of_make_toast(table: u32, kitchen: &Kitchen) {
    send_future_of::<ButteredToast>(exercise::make_toast(table, kitchen));
}

/// Task 2.
pub fn shape_of_make_coffee(table: u32, kitchen: &Kitchen) {
    send_future_of::<Coffee>(exercise::make_coffee(table, kitchen));
}

/// Task 3.
pub fn shape_of_serve(orders: &[Order], kitchen: &Kitchen) {
    send_future_of::<Receipt>(exercise::serve(orders, kitchen));
}

/// Task 4.
pub fn shape_of_cook(recipe: &[Step], kitchen: &Kitchen) {
    send_future_of::<Result<Vec<Part>, RecipeError>>(exercise::cook(recipe, kitchen));
}
