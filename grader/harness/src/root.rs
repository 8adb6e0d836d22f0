//! The root of a run: its polls, its waker, and the sentinel that proves that it will not end.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::idle::MAX_IDLES;
use crate::interpose;
use crate::panics::Stop;
use crate::runtime::{Root, Run};
use crate::world::World;

/// How a run's root ended.
pub(crate) enum End {
    /// It returned, or an expectation failed.
    Done,
    Panicked(Box<dyn Any + Send>),
    /// Every task waits and no timer is pending, since this instant.
    Deadlock(Duration),
    /// Only periodic timers fire.
    NeverEnds(Duration),
    /// Polls without end while time stands still.
    Busy(Duration),
}

/// Milliseconds from the start at which the sentinel wakes: 64⁴, 64⁵ and 60·64⁵. Each is the
/// start of a slot of tokio's timer wheel, so that no cascade of its own wakes it earlier.
const STEPS: [u64; 3] = [1 << 24, 1 << 30, 60 << 30];
/// An idle that old (about a year) was the last one.
const LONG_AGO: Duration = Duration::from_millis(30 << 30);

/// Polls the body until it ends, or until the sentinel proves that it never will.
///
/// The proof: the clock of a paused runtime moves only when nothing can run, to the next
/// timer, and not while a blocking job runs. So if the sentinel's last step is reached and
/// nobody was idle for a year before, no other timer was pending in that year.
pub(crate) fn drive(world: &World, run: &mut Run, body: impl FnOnce() -> Root) -> End {
    let Run {
        runtime,
        root,
        counted_polls,
    } = run;
    let mut body = Some(body);
    let waker = Arc::new(RootWaker::default());
    runtime.block_on(async {
        let begin = Instant::now();
        let at = |step: usize| Duration::from_millis(STEPS[step]);
        let mut sentinel = std::pin::pin!(sleep_until(begin + at(0)));
        let (mut step, mut mark) = (0, Duration::ZERO);
        poll_fn(|context| {
            world.idle.set_root(context.waker());
            waker.pass_on_to(context.waker());
            if waker.was_woken() {
                if world.idle.about_to_poll() {
                    *counted_polls += 1;
                }
                if let Some(end) = poll_root(world, root, &mut body, &waker) {
                    return Poll::Ready(end);
                }
            }
            if world.has_failed() {
                return Poll::Ready(End::Done);
            }
            if world.idle.is_busy() {
                return Poll::Ready(End::Busy(world.now()));
            }
            let last = world.idle.last();
            if world.idle.idles() > MAX_IDLES {
                return Poll::Ready(End::NeverEnds(last));
            }
            while sentinel.as_mut().poll(context).is_ready() {
                if step == 0 || last > at(step - 1) {
                    mark = last; // an idle after our own re-arm: somebody else's timer ran
                }
                if step + 1 == STEPS.len() {
                    let silent = world.now().saturating_sub(mark) > LONG_AGO;
                    return Poll::Ready(if silent {
                        End::Deadlock(mark)
                    } else {
                        End::NeverEnds(mark)
                    });
                }
                step += 1;
                sentinel.as_mut().reset(begin + at(step));
            }
            Poll::Pending
        })
        .await
    })
}

/// The root's own waker. The sentinel and the detectors wake the runtime's waker, and a root
/// that is polled for their sake might get on although nobody woke *it*.
struct RootWaker {
    woken: AtomicBool,
    runtime: Mutex<Option<Waker>>,
}

impl Default for RootWaker {
    fn default() -> Self {
        // The first poll needs no wake.
        Self {
            woken: AtomicBool::new(true),
            runtime: Mutex::default(),
        }
    }
}

impl RootWaker {
    fn pass_on_to(&self, waker: &Waker) {
        *self.runtime.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }

    fn was_woken(&self) -> bool {
        self.woken.swap(false, SeqCst)
    }
}

impl Wake for RootWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, SeqCst);
        let waker = self
            .runtime
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Polls the learner's code once. `None`: it waits.
fn poll_root(
    world: &World,
    root: &mut Option<Root>,
    body: &mut Option<impl FnOnce() -> Root>,
    waker: &Arc<RootWaker>,
) -> Option<End> {
    let waker = Waker::from(Arc::clone(waker));
    let mut context = Context::from_waker(&waker);
    world.pulse.beat();
    interpose::set_in_poll(true);
    let polled = catch_unwind(AssertUnwindSafe(|| {
        if let Some(body) = body.take() {
            *root = Some(body());
        }
        root.as_mut().map(|root| root.as_mut().poll(&mut context))
    }));
    interpose::set_in_poll(false);
    match polled {
        Err(payload) if payload.is::<Stop>() => Some(End::Done),
        Err(payload) => Some(End::Panicked(payload)),
        Ok(Some(Poll::Pending)) => None,
        Ok(_) => Some(End::Done),
    }
}
