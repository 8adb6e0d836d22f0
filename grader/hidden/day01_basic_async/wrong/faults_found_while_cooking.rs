//! wrong: a fault in the recipe is found when nothing is left that could be cooked
//! fails: a circular recipe is refused before anything starts: failed
//! fails: a need outside the recipe is refused by its number: failed
//! pitfall: wrong-result

mod given;
pub use given::*;

use futures::future::join_all;
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
    for (index, step) in recipe.iter().enumerate() {
        if let Some(&need) = step.needs.iter().find(|need| **need >= recipe.len()) {
            return Err(RecipeError::NoSuchStep(need));
        }
        if missing[index] > 0 {
            return Err(RecipeError::Circular);
        }
    }
    Ok(parts.into_iter().flatten().collect())
}
