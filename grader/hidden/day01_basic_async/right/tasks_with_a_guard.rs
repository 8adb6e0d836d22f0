//! right: spawned tasks behind a guard that aborts on drop, a watch channel per step

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
    let here = kitchen.clone();
    let water = spawn(async move { here.heat_water(table).await });
    let grounds = kitchen.grind(table).await;
    let water = water.output().await;
    sleep(STEEP).await;
    kitchen.press(water, grounds).await
}

/// A spawned task that is aborted when nobody waits for it any more.
struct Task<T>(tokio::task::JoinHandle<T>);

fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Task<T> {
    Task(tokio::spawn(future))
}

impl<T> Task<T> {
    async fn output(mut self) -> T {
        (&mut self.0).await.expect("no step panics")
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub async fn serve(orders: &[Order], kitchen: &Kitchen) -> Receipt {
    let start = Instant::now();
    let spawn_one = |order: &Order| spawn(serve_one(*order, kitchen.clone()));
    let tasks: Vec<Task<Plate>> = orders.iter().map(spawn_one).collect();
    let mut plates = Vec::new();
    for task in tasks {
        plates.push(task.output().await);
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
    let done: Vec<watch::Sender<bool>> = recipe.iter().map(|_| watch::Sender::new(false)).collect();
    let steps = recipe.iter().zip(&done).map(async |(step, own)| {
        for &need in &step.needs {
            let mut need = done[need].subscribe();
            need.wait_for(|done| *done).await.expect("kept by `done`");
        }
        let part = kitchen.prepare(step).await;
        own.send_replace(true);
        part
    });
    Ok(join_all(steps).await)
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
