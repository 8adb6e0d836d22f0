//! right: a buffered stream for the orders, a OnceCell per step for the recipe

mod given;
pub use given::*;

use futures::future::{BoxFuture, join_all};
use futures::stream::{self, StreamExt};
use tokio::sync::OnceCell;
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
    let plates = stream::iter(orders.to_vec())
        .map(|order| serve_one(order, kitchen))
        .buffered(orders.len().max(1))
        .collect()
        .await;
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
    let cells: Vec<OnceCell<Part>> = recipe.iter().map(|_| OnceCell::new()).collect();
    let parts = (0..recipe.len()).map(|index| part(index, recipe, &cells, kitchen));
    Ok(join_all(parts).await)
}

/// Whoever asks first makes the part; whoever asks meanwhile waits for it.
fn part<'a>(
    index: usize,
    recipe: &'a [Step],
    cells: &'a [OnceCell<Part>],
    kitchen: &'a Kitchen,
) -> BoxFuture<'a, Part> {
    Box::pin(async move {
        let make = async || {
            let needs = recipe[index].needs.iter();
            join_all(needs.map(|&need| part(need, recipe, cells, kitchen))).await;
            kitchen.prepare(&recipe[index]).await
        };
        cells[index].get_or_init(make).await.clone()
    })
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
