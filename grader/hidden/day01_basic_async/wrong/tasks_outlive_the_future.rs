//! wrong: spawned tasks run on when the future is dropped
//! fails: a coffee given up leaves nothing cooking: failed
//! fails: a serve given up leaves nothing cooking: failed
//! fails: a recipe given up leaves nothing cooking: failed
//! pitfall: leaked-task
//! line: 23

mod given;
pub use given::*;

use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

pub async fn make_toast(table: u32, kitchen: &Kitchen) -> ButteredToast {
    let slice = kitchen.slice(table).await;
    let toast = kitchen.toast(slice).await;
    kitchen.butter(toast).await
}

pub async fn make_coffee(table: u32, kitchen: &Kitchen) -> Coffee {
    let (first, second) = (kitchen.clone(), kitchen.clone());
    let water = tokio::spawn(async move { first.heat_water(table).await });
    let grounds = tokio::spawn(async move { second.grind(table).await });
    let (water, grounds) = (water.await.unwrap(), grounds.await.unwrap());
    sleep(STEEP).await;
    kitchen.press(water, grounds).await
}

pub async fn serve(orders: &[Order], kitchen: &Kitchen) -> Receipt {
    let start = Instant::now();
    let spawn_one = |order: &Order| tokio::spawn(serve_one(*order, kitchen.clone()));
    let handles: Vec<_> = orders.iter().map(spawn_one).collect();
    let mut plates = Vec::new();
    for handle in handles {
        plates.push(handle.await.unwrap());
    }
    let took = start.elapsed();
    Receipt { plates, took }
}

async fn serve_one(order: Order, kitchen: Kitchen) -> Plate {
    let plate = plate(order, &kitchen).await;
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
    let done: Vec<_> = recipe
        .iter()
        .map(|_| Arc::new(watch::Sender::new(false)))
        .collect();
    let mut handles = Vec::new();
    for (index, step) in recipe.iter().cloned().enumerate() {
        let (kitchen, done) = (kitchen.clone(), done.clone());
        handles.push(tokio::spawn(async move {
            for &need in &step.needs {
                let mut need = done[need].subscribe();
                need.wait_for(|done| *done).await.unwrap();
            }
            let part = kitchen.prepare(&step).await;
            done[index].send_replace(true);
            part
        }));
    }
    let mut parts = Vec::new();
    for handle in handles {
        parts.push(handle.await.unwrap());
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
