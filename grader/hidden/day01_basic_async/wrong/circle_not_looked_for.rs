//! wrong: each step waits for its needs, also for those that never come
//! fails: a circular recipe is refused before anything starts: deadlock
//! pitfall: deadlock

mod given;
pub use given::*;

use futures::future::join_all;
use tokio::sync::watch;
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
    let mut needs = recipe.iter().flat_map(|step| &step.needs);
    if let Some(&need) = needs.find(|need| **need >= recipe.len()) {
        return Err(RecipeError::NoSuchStep(need));
    }
    let done: Vec<watch::Sender<bool>> = recipe.iter().map(|_| watch::Sender::new(false)).collect();
    let steps = recipe.iter().zip(&done).map(async |(step, own)| {
        for &need in &step.needs {
            let mut need = done[need].subscribe();
            need.wait_for(|done| *done).await.unwrap();
        }
        let part = kitchen.prepare(step).await;
        own.send_replace(true);
        part
    });
    Ok(join_all(steps).await)
}
