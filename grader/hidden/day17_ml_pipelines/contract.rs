//! The public shapes of day 17.

use std::sync::Arc;

use exercise::{Batcher, Codec, InferError, Job, Model, Settings, run_batch};

fn is_send<T, F: Future<Output = T> + Send>(_: F) {}
fn is_shared<T: Send + Sync + 'static>() {}

/// `run_batch` takes any model and gives nothing back.
pub fn one_batch(model: &dyn Model, jobs: Vec<Job>) {
    is_send::<(), _>(run_batch(model, jobs));
}

/// `Batcher` is shared by its callers.
pub fn batcher(model: Arc<dyn Model>, codec: Arc<dyn Codec>, settings: Settings) {
    is_shared::<Batcher>();
    let batcher: Batcher = Batcher::new(model, codec, settings);
    is_send::<Result<String, InferError>, _>(batcher.infer("text"));
    is_send::<(), _>(batcher.shutdown());
}
