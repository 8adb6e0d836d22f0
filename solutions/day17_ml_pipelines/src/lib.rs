//! Day 17: ML Pipelines, solved.

/// Waits for both futures at the same time and returns what they return, in
/// the order of the arguments. Takes as long as the longer one.
pub async fn both<A, B>(one: A, other: B) -> (u64, u64)
where
    A: Future<Output = u64> + Send,
    B: Future<Output = u64> + Send,
{
    // `join!` polls both whenever one of them can go on.
    tokio::join!(one, other)
}
