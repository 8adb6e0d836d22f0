//! wrong: plates and parts are listed as they become ready
//! fails: the plates keep the order of the orders: failed
//! fails: a recipe's parts keep the order of its steps: failed
//! pitfall: wrong-result

mod given;
pub use given::*;

use futures::stream::{FuturesUnordered, StreamExt};
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
    let mut serving: FuturesUnordered<_> = orders
        .iter()
        .map(|order| serve_one(*order, kitchen))
        .collect();
    let mut plates = Vec::new();
    while let Some(plate) = serving.next().await {
        plates.push(plate);
    }
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
    let mut parts = Vec::new();
    let prepare = |index: usize| async move { (index, kitchen.prepare(&recipe[index]).await) };
    let ready = (0..recipe.len()).filter(|&index| missing[index] == 0);
    let mut cooking: FuturesUnordered<_> = ready.map(prepare).collect();
    while let Some((done, part)) = cooking.next().await {
        parts.push(part);
        for (index, step) in recipe.iter().enumerate() {
            if step.needs.contains(&done) {
                missing[index] -= 1;
                if missing[index] == 0 {
                    cooking.push(prepare(index));
                }
            }
        }
    }
    Ok(parts)
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
