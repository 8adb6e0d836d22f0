//! wrong: the call spawns the work at once
//! fails: nothing is cooked before the future is awaited: failed
//! fails: a serve given up leaves nothing cooking: failed
//! pitfall: over-engineered
//! line: 16

mod given;
pub use given::*;

use futures::future::{FutureExt, join_all};
use tokio::time::{Instant, sleep};

pub fn make_toast(table: u32, kitchen: &Kitchen) -> impl Future<Output = ButteredToast> + Send {
    let kitchen = kitchen.clone();
    let task = tokio::spawn(async move {
        let slice = kitchen.slice(table).await;
        let toast = kitchen.toast(slice).await;
        kitchen.butter(toast).await
    });
    async move { task.await.unwrap() }
}

pub async fn make_coffee(table: u32, kitchen: &Kitchen) -> Coffee {
    let (water, grounds) = tokio::join!(kitchen.heat_water(table), kitchen.grind(table));
    sleep(STEEP).await;
    kitchen.press(water, grounds).await
}

pub async fn serve(orders: &[Order], kitchen: &Kitchen) -> Receipt {
    let start = Instant::now();
    let plates = join_all(orders.iter().map(|order| serve_one(*order, kitchen))).await;
    let took = start.elapsed();
    Receipt { plates, took }
}

async fn serve_one(order: Order, kitchen: &Kitchen) -> Plate {
    let plate = plate(order, kitchen).await;
    kitchen.ring_bell(order.table).await;
    plate
}

async fn plate(order: Order, kitchen: &Kitchen) -> Plate {
    let Order { table, dish } = order;
    match dish {
        Dish::Toast => Plate::Toast(make_toast(table, kitchen).await),
        Dish::Coffee => Plate::Coffee(make_coffee(table, kitchen).await),
        Dish::Breakfast => {
            let (coffee, toast) =
                tokio::join!(make_coffee(table, kitchen), make_toast(table, kitchen));
            Plate::Breakfast(coffee, toast)
        }
    }
}

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
        parts[index] = Some(part.boxed().shared());
    }
    Ok(join_all(parts.into_iter().flatten()).await)
}

/// The places of all steps, each after its needs.
fn needs_first(recipe: &[Step]) -> Result<Vec<usize>, RecipeError> {
    let outside = |need: &&usize| **need >= recipe.len();
    if let Some(need) = recipe.iter().flat_map(|step| &step.needs).find(outside) {
        return Err(RecipeError::NoSuchStep(*need));
    }
    let mut order = Vec::new();
    let mut reached = vec![false; recipe.len()];
    while order.len() < recipe.len() {
        let next = (0..recipe.len())
            .find(|&index| !reached[index] && recipe[index].needs.iter().all(|&need| reached[need]))
            .ok_or(RecipeError::Circular)?;
        reached[next] = true;
        order.push(next);
    }
    Ok(order)
}
