//! right: a JoinSet of tasks with their places, which aborts them when it is dropped

mod given;
pub use given::*;

use tokio::task::JoinSet;
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
    let mut serving = JoinSet::new();
    for (index, order) in orders.iter().copied().enumerate() {
        let kitchen = kitchen.clone();
        serving.spawn(async move { (index, serve_one(order, kitchen).await) });
    }
    let mut plates = serving.join_all().await;
    plates.sort_by_key(|(index, _)| *index);
    let plates = plates.into_iter().map(|(_, plate)| plate).collect();
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
    let mut parts = vec![None; recipe.len()];
    let mut waiting: Vec<usize> = (0..recipe.len()).collect();
    let mut cooking = JoinSet::new();
    loop {
        waiting.retain(|&index| {
            let step = recipe[index].clone();
            let ready = step.needs.iter().all(|&need| parts[need].is_some());
            if ready {
                let kitchen = kitchen.clone();
                cooking.spawn(async move { (index, kitchen.prepare(&step).await) });
            }
            !ready
        });
        match cooking.join_next().await {
            Some(joined) => {
                let (done, part) = joined.expect("no step panics");
                parts[done] = Some(part);
            }
            None => return Ok(parts.into_iter().flatten().collect()),
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
