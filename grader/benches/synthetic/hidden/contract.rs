//! The public shapes of the synthetic exercise.

fn _shapes() {
    let _: fn(exercise::Shop) -> axum::Router = exercise::app;
    let _: fn(&exercise::Order) -> String = exercise::to_json;
}
