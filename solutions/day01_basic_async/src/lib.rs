//! Day 1: Basic Async, solved.

#[path = "../../../exercises/day01_basic_async/src/given.rs"]
mod given;
pub use given::*;

use futures::future::{FutureExt, join_all};
use tokio::time::{Instant, sleep};

/// Makes a buttered toast for `table`: slices, then toasts, then butters.
pub async fn make_toast(table: u32, kitchen: &Kitchen) -> ButteredToast {
    let slice = kitchen.slice(table).await;
    let toast = kitchen.toast(slice).await;
    kitchen.butter(toast).await
}

/// Makes a cup of coffee for `table`: water and beans together, then the rest.
pub async fn make_coffee(table: u32, kitchen: &Kitchen) -> Coffee {
    let (water, grounds) = tokio::join!(kitchen.heat_water(table), kitchen.grind(table));
    // tokio's sleep gives the thread away while it waits; std's would keep it.
    sleep(STEEP).await;
    kitchen.press(water, grounds).await
}

/// Serves all `orders` at the same time; the plates keep the order of the orders.
pub async fn serve(orders: &[Order], kitchen: &Kitchen) -> Receipt {
    // The runtime's clock: it stands still, jumps and flows as `sleep` does.
    let start = Instant::now();
    // `join_all` is `join!` for a number known only at run time. It hands the
    // outputs back in the order of the futures, and drops them all if dropped.
    let plates = join_all(orders.iter().map(|order| serve_one(*order, kitchen))).await;
    let took = start.elapsed();
    Receipt { plates, took }
}

/// One order from first to last, bell included: this way each bell rings when
/// its own plate is ready, whatever the other tables wait for.
async fn serve_one(order: Order, kitchen: &Kitchen) -> Plate {
    let Order { table, dish } = order;
    let plate = match dish {
        Dish::Toast => Plate::Toast(make_toast(table, kitchen).await),
        Dish::Coffee => Plate::Coffee(make_coffee(table, kitchen).await),
        Dish::Breakfast => {
            let (coffee, toast) =
                tokio::join!(make_coffee(table, kitchen), make_toast(table, kitchen));
            Plate::Breakfast(coffee, toast)
        }
    };
    kitchen.ring_bell(table).await;
    plate
}

/// Cooks a recipe: each step at the moment when the last of its needs is done.
///
/// The recipe's graph becomes a graph of futures: a step's future first awaits
/// the futures of its needs. Because futures are lazy, the graph can be built
/// in peace before anything starts.
pub async fn cook(recipe: &[Step], kitchen: &Kitchen) -> Result<Vec<Part>, RecipeError> {
    let mut parts = vec![None; recipe.len()];
    for index in needs_first(recipe)? {
        let step = &recipe[index];
        let needs = step.needs.iter().filter_map(|&need| parts[need].clone());
        let needs = join_all(needs);
        let part = async move {
            needs.await;
            kitchen.prepare(step).await
        };
        // An ordinary future has one owner and is awaited once. `shared` runs
        // it once for any number of clones; `boxed` makes all types the same.
        parts[index] = Some(part.boxed().shared());
    }
    Ok(join_all(parts.into_iter().flatten()).await)
}

/// The places of all steps in an order in which every step follows its needs.
fn needs_first(recipe: &[Step]) -> Result<Vec<usize>, RecipeError> {
    let mut missing: Vec<usize> = recipe.iter().map(|step| step.needs.len()).collect();
    let mut needed_by = vec![Vec::new(); recipe.len()];
    for (index, step) in recipe.iter().enumerate() {
        for &need in &step.needs {
            let users = needed_by.get_mut(need);
            users.ok_or(RecipeError::NoSuchStep(need))?.push(index);
        }
    }
    let mut order: Vec<usize> = (0..recipe.len()).filter(|&i| missing[i] == 0).collect();
    let mut next = 0;
    while let Some(&done) = order.get(next) {
        next += 1;
        for &user in &needed_by[done] {
            missing[user] -= 1;
            if missing[user] == 0 {
                order.push(user);
            }
        }
    }
    // The steps of a circle wait for each other, so none of them was reached.
    if order.len() < recipe.len() {
        return Err(RecipeError::Circular);
    }
    Ok(order)
}
