//! Given, not to be changed: what goes through the pipeline, and its two ends.

use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::oneshot;

/// What a codec makes of a text, and a model reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens(pub String);

/// What a model says of one text, and a codec makes an answer of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scores(pub String);

/// A model, which is best at many inputs at a time.
pub trait Model: Send + Sync + 'static {
    /// One run over a batch, which is never empty. It gives one output for each
    /// input, in their order, or fails as a whole.
    fn run(&self, batch: Vec<Tokens>) -> BoxFuture<'_, Result<Vec<Scores>, ModelError>>;
}

/// What stands before and behind the model: one text at a time.
pub trait Codec: Send + Sync + 'static {
    /// Makes tokens of a text.
    fn encode<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<Tokens, CodecError>>;

    /// Makes an answer of scores.
    fn decode(&self, scores: Scores) -> BoxFuture<'_, Result<String, CodecError>>;
}

/// The model could not run over this batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelError(pub String);

/// This text, or these scores, are no good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecError(pub String);

/// One input for the model, and where its output goes.
#[derive(Debug)]
pub struct Job {
    /// The input.
    pub tokens: Tokens,
    /// Where the caller waits, unless he has left: then it is closed.
    pub reply: oneshot::Sender<Result<Scores, ModelError>>,
}

/// How a batcher works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// So many inputs are in one batch, at most.
    pub max_batch: NonZeroUsize,
    /// So long an input waits for others to come, at most.
    pub max_wait: Duration,
    /// So many calls are queued, at most: begun, and not yet in a batch that
    /// runs.
    pub max_queued: NonZeroUsize,
    /// So many texts are encoded at a time, and so many scores are decoded at a
    /// time, at most.
    pub workers: NonZeroUsize,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InferError {
    /// Too many calls are queued. Another time, perhaps.
    Overloaded,
    /// The batcher is shut down.
    Closed,
    /// The text could not be encoded.
    Encode(CodecError),
    /// The model fails at this input.
    Model(ModelError),
    /// The scores could not be decoded.
    Decode(CodecError),
}

impl fmt::Display for InferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overloaded => write!(f, "too many calls are queued"),
            Self::Closed => write!(f, "the batcher is shut down"),
            Self::Encode(error) => write!(f, "the text could not be encoded: {}", error.0),
            Self::Model(error) => write!(f, "the model failed: {}", error.0),
            Self::Decode(error) => write!(f, "the scores could not be decoded: {}", error.0),
        }
    }
}

impl Error for InferError {}
