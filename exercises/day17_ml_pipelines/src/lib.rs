//! Day 17: ML Pipelines.

mod given;

use std::sync::Arc;

pub use given::*;

// ---------------------------------------------------------------- Tasks 1, 3

/// Runs the model over the inputs of `jobs`, in their order, and sends each job
/// the output of its own input, at the instant at which it is there.
///
/// A job whose caller has left when the run begins is left out. If nobody is
/// left, the model does not run. A caller who leaves during the run changes
/// nothing for the others.
///
/// When the model fails at several inputs (task 3) they are run again in two
/// halves, the first one first; it has one more if their number is odd. Each
/// half is treated as `jobs` were. When it fails at a single input, that job
/// gets the error.
pub async fn run_batch(model: &dyn Model, jobs: Vec<Job>) {
    let _ = (model, jobs);
    todo!("task 1: one run over all inputs, and to each job its own output")
}

// ---------------------------------------------------------------- Task 2

/// Gathers the calls of many into batches for a model.
pub struct Batcher {
    // your fields
}

impl Batcher {
    /// A batcher that nobody has called yet. It is made inside of the runtime,
    /// and may spawn tasks there; when it is dropped, none is left.
    pub fn new(model: Arc<dyn Model>, codec: Arc<dyn Codec>, settings: Settings) -> Self {
        let _ = (model, codec, settings, Self {});
        todo!("task 2: a queue, and somebody who makes batches of it")
    }

    /// The answer to `text`: encoded, run in a batch with others, decoded.
    ///
    /// What is encoded waits in line. A batch is made of the first
    /// `settings.max_batch` inputs of the line as soon as there are so many; or
    /// of all that wait, as soon as the first of them has waited for
    /// `settings.max_wait`. One batch runs at a time: one that cannot run yet
    /// stays in the line, and others may still join it.
    ///
    /// At most `settings.workers` texts are encoded at a time, and as many
    /// scores decoded meanwhile (task 4).
    ///
    /// When this future is dropped before its batch runs, its input is in no
    /// batch; later, the batch goes on for the others.
    ///
    /// # Errors
    /// At once: [`InferError::Closed`] if `shutdown` was called (task 5), and
    /// else [`InferError::Overloaded`] if `settings.max_queued` calls are
    /// queued. Later: what fails at this text alone.
    pub async fn infer(&self, text: &str) -> Result<String, InferError> {
        let _ = text;
        todo!("task 2: encode, wait in line for a batch, decode")
    }
}

// ---------------------------------------------------------------- Task 5

impl Batcher {
    /// Takes no more calls, and waits until those that have begun are over.
    ///
    /// From now on a call fails at once, and no input waits for others to come:
    /// as soon as the model is free all that wait run, in batches. Returns when
    /// the last call has ended or was dropped; then no task is left. More than
    /// once is as good as once, and each returns then. If this is dropped, the
    /// batcher stays shut down.
    pub async fn shutdown(&self) {
        todo!("task 5: refuse new calls, let those that have begun end")
    }
}
