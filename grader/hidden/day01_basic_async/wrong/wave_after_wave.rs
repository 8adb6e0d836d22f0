//! wrong: the recipe is cooked in waves: a wave waits for the whole one before it
//! fails: a step starts the moment its last need is done: failed
//! pitfall: sequential-awaits
//! line: 62

mod given;
pub use given::*;

use futures::future::join_all;
use tokio::time::{Instant, sleep};

pub async fn make_toast(table: u32, kitchen: &Kitchen) -> ButteredToast {
    let slice = kitchen.slice(table).await;
    let toast = kitchen.toast(slice).await;
    kitchen.butter(toast).await
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
    needs_first(recipe)?;
    let mut parts = vec![None; recipe.len()];
    loop {
        let ready = |index: &usize| {
            let needs = &recipe[*index].needs;
            parts[*index].is_none() && needs.iter().all(|&need| parts[need].is_some())
        };
        let wave: Vec<usize> = (0..recipe.len()).filter(ready).collect();
        if wave.is_empty() {
            return Ok(parts.into_iter().flatten().collect());
        }
        let made = join_all(wave.iter().map(|&index| kitchen.prepare(&recipe[index]))).await;
        for (index, part) in wave.into_iter().zip(made) {
            parts[index] = Some(part);
        }
    }
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
