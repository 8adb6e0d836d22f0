//! right: both are polled by hand, no macro

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

pub async fn both<A, B>(one: A, other: B) -> (u64, u64)
where
    A: Future<Output = u64> + Send,
    B: Future<Output = u64> + Send,
{
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut first, mut second) = (None, None);
    poll_fn(move |context| {
        if first.is_none()
            && let Poll::Ready(value) = one.as_mut().poll(context)
        {
            first = Some(value);
        }
        if second.is_none()
            && let Poll::Ready(value) = other.as_mut().poll(context)
        {
            second = Some(value);
        }
        match (first, second) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            _ => Poll::Pending,
        }
    })
    .await
}
