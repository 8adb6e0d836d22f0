//! right: FuturesOrdered for the orders, FuturesUnordered and a countdown for the recipe

mod given;
pub use given::*;

use futures::stream::{FuturesOrdered, FuturesUnordered, StreamExt};
use tokio::time::Instant;

pub async fn make_toast(table: u32, kitchen: &Kitchen) -> ButteredToast {
    let slice = kitchen.slice(table).await;
    let toast = kitchen.toast(slice).await;
    kitchen.butter(toast).await
}

pub async fn make_coffee(table: u32, kitchen: &Kitchen) -> Coffee {
    let both = futures::future::join(kitchen.heat_water(table), kitchen.grind(table));
    let (water, grounds) = both.await;
    let pressed_at = Instant::now() + STEEP;
    tokio::time::sleep_until(pressed_at).await;
    kitchen.press(water, grounds).await
}

pub async fn serve(orders: &[Order], kitchen: &Kitchen) -> Receipt {
    let start = Instant::now();
    let serving: FuturesOrdered<_> = orders
        .iter()
        .map(|order| serve_one(*order, kitchen))
        .collect();
    let plates = serving.collect().await;
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
    needs_first(recipe)?;
    let mut missing: Vec<usize> = recipe.iter().map(|step| step.needs.len()).collect();
    let mut parts = vec![None; recipe.len()];
    let prepare = |index: usize| async move { (index, kitchen.prepare(&recipe[index]).await) };
    let ready = (0..recipe.len()).filter(|&index| missing[index] == 0);
    let mut cooking: FuturesUnordered<_> = ready.map(prepare).collect();
    while let Some((done, part)) = cooking.next().await {
        parts[done] = Some(part);
        for (index, step) in recipe.iter().enumerate() {
            if step.needs.contains(&done) {
                missing[index] -= 1;
                if missing[index] == 0 {
                    cooking.push(prepare(index));
                }
            }
        }
    }
    Ok(parts.into_iter().flatten().collect())
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
