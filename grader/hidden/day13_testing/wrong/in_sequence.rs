//! wrong: one after the other
//! fails: the two waits overlap: failed
//! pitfall: sequential-awaits

pub async fn both<A, B>(one: A, other: B) -> (u64, u64)
where
    A: Future<Output = u64> + Send,
    B: Future<Output = u64> + Send,
{
    (one.await, other.await)
}
