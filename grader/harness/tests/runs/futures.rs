//! Futures by hand: probes, controlled futures and cancel sweeps.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::support::{finding, passes};
use kata_harness::{Lab, ms};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Keeps the wakers of all its polls, as no future should.
struct KeepsAll(Arc<Mutex<Vec<Waker>>>);

impl Future for KeepsAll {
    type Output = ();
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.lock().unwrap().push(context.waker().clone());
        Poll::Pending
    }
}

#[test]
fn a_probe_counts_polls_and_wakes() {
    passes(async |lab: Lab| {
        let (send, receive) = oneshot::channel();
        let mut probe = lab.probe(receive);
        assert!(probe.poll().is_pending());
        assert_eq!(
            (probe.wakers_held(), probe.wakes(), probe.is_woken()),
            (1, 0, false)
        );
        send.send(7).unwrap();
        assert_eq!(
            (probe.wakers_held(), probe.wakes(), probe.is_woken()),
            (1, 1, true)
        );
        assert_eq!(probe.poll(), Poll::Ready(Ok(7)));
        assert_eq!((probe.polls(), probe.is_woken()), (2, false));
    });
}

#[test]
fn a_probe_knows_a_future_that_keeps_no_waker() {
    passes(async |lab: Lab| {
        let mut probe = lab.probe(poll_fn(|_| Poll::<()>::Pending));
        assert!(probe.poll().is_pending());
        assert_eq!(probe.wakers_held(), 0);
    });
}

#[test]
fn a_probe_tells_a_stale_waker_from_the_current_one() {
    passes(async |lab: Lab| {
        let wakers = Arc::new(Mutex::new(Vec::new()));
        let mut probe = lab.probe(KeepsAll(wakers.clone()));
        assert!(probe.poll().is_pending());
        assert!(probe.poll_with_new_waker().is_pending());
        wakers.lock().unwrap()[0].wake_by_ref();
        assert_eq!(
            (probe.wakes(), probe.stale_wakes(), probe.is_woken()),
            (0, 1, false)
        );
        wakers.lock().unwrap()[1].wake_by_ref();
        assert_eq!(
            (probe.wakes(), probe.stale_wakes(), probe.is_woken()),
            (1, 1, true)
        );
    });
}

#[test]
fn a_future_that_wakes_itself_is_seen_to() {
    passes(async |lab: Lab| {
        let mut probe = lab.probe(poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        assert!(probe.poll().is_pending());
        assert!(probe.is_woken());
    });
}

#[test]
fn a_controlled_future_is_resolved_by_hand() {
    passes(async |lab: Lab| {
        let (handle, future) = lab.controlled::<u32>();
        let task = tokio::spawn(future);
        lab.settle().await;
        assert_eq!(
            (handle.polls(), handle.has_waker(), handle.dropped()),
            (1, true, false)
        );
        handle.wake();
        lab.settle().await;
        assert_eq!(handle.polls(), 2);
        handle.resolve(5);
        assert_eq!(task.await.unwrap(), 5);
        assert!(handle.dropped() && !handle.polled_after_ready());
    });
}

#[test]
fn a_controlled_future_tells_of_a_poll_after_ready() {
    passes(async |lab: Lab| {
        let (handle, future) = lab.controlled::<u32>();
        handle.resolve(5);
        let mut probe = lab.probe(future);
        assert_eq!(probe.poll(), Poll::Ready(5));
        assert!(!handle.polled_after_ready());
        assert!(probe.poll().is_pending());
        assert!(handle.polled_after_ready());
        drop(probe);
        assert!(handle.dropped());
    });
}

#[test]
fn a_sweep_drops_at_every_pending_and_ends_with_a_whole_run() {
    passes(async |lab: Lab| {
        let rounds = Mutex::new(Vec::new());
        lab.cancel_sweep(async |cancel| {
            let began = lab.now_ms();
            let operation = async {
                sleep(ms(5)).await;
                sleep(ms(6)).await;
                7
            };
            let got = cancel.drop_at(operation).await;
            rounds
                .lock()
                .unwrap()
                .push((cancel.round(), got, lab.now_ms() - began));
        })
        .await;
        assert_eq!(
            *rounds.lock().unwrap(),
            [(0, None, 0), (1, None, 5), (2, Some(7), 11)]
        );
    });
}

#[test]
fn what_never_pends_is_swept_in_one_round() {
    passes(async |lab: Lab| {
        let rounds = Mutex::new(0);
        lab.cancel_sweep(async |cancel| {
            assert_eq!(cancel.drop_at(async { 1 }).await, Some(1));
            *rounds.lock().unwrap() += 1;
        })
        .await;
        assert_eq!(*rounds.lock().unwrap(), 1);
    });
}

#[test]
fn a_finding_in_a_sweep_says_at_which_pending() {
    let finding = finding(async |lab: Lab| {
        lab.cancel_sweep(async |cancel| {
            let operation = async {
                for _ in 0..3 {
                    sleep(ms(1)).await;
                }
            };
            cancel.drop_at(operation).await;
            lab.expect(cancel.round() != 1)
                .got("a slot is lost")
                .or_fail();
        })
        .await;
    });
    assert_eq!(
        finding.unwrap().got,
        "a slot is lost (the operation was dropped at its 2nd pending)"
    );
}

#[test]
fn a_finding_after_a_sweep_does_not_speak_of_it() {
    let finding = finding(async |lab: Lab| {
        lab.cancel_sweep(async |cancel| {
            cancel.drop_at(sleep(ms(1))).await;
        })
        .await;
        lab.expect(false).got("something else").or_fail();
    });
    assert_eq!(finding.unwrap().got, "something else");
}

#[test]
fn an_operation_that_pends_for_ever_is_not_swept_for_ever() {
    let finding = finding(async |lab: Lab| {
        lab.cancel_sweep(async |cancel| {
            let ticks = async {
                loop {
                    sleep(ms(1)).await;
                }
            };
            cancel.drop_at::<_>(ticks).await;
        })
        .await;
    });
    assert_eq!(finding.unwrap().got, "it pends again and again");
}
