//! Hidden checks of day 2: futures polled by hand, and an executor.

use exercise::{Countdown, Join2, SenderDropped, block_on, one_shot_cell};
use kata_harness::{Expectation, Lab, Suite, ms};
use std::fmt::Display;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

fn main() -> ExitCode {
    Suite::new()
        .task(1)
        .check(
            "a countdown from 0 is ready at the first poll",
            1,
            countdown_from_zero,
        )
        .check(
            "a countdown pends n times, then gives n",
            2,
            countdown_pends_n_times,
        )
        .check(
            "each pending poll wakes its own waker once",
            2,
            countdown_wakes_itself,
        )
        .check(
            "an awaited countdown ends after n + 1 polls",
            1,
            countdown_awaited,
        )
        .task(2)
        .check(
            "a value sent before the first poll is there at once",
            1,
            sent_before_poll,
        )
        .check(
            "a pending cell keeps one waker and wakes nobody",
            2,
            keeps_one_waker,
        )
        .check(
            "sending wakes the waker of the latest poll alone",
            2,
            latest_waker,
        )
        .check(
            "a waiting task sleeps until the value is sent",
            2,
            sleeps_until_sent,
        )
        .check(
            "a sender dropped before the first poll is an error",
            1,
            dropped_before_poll,
        )
        .check(
            "dropping the sender ends the wait with an error",
            2,
            dropped_ends_wait,
        )
        .check(
            "sending to a dropped cell gives the value back",
            1,
            cell_dropped,
        )
        .task(3)
        .check(
            "both outputs come, left first, whichever ends first",
            1,
            both_outputs,
        )
        .check(
            "a future that was ready is not polled again",
            2,
            no_poll_after_ready,
        )
        .check("the two waits overlap", 2, waits_overlap)
        .check(
            "the join is woken by its inner futures alone",
            2,
            woken_by_inner,
        )
        .check(
            "inner futures are dropped: ended ones at once",
            2,
            inner_dropped,
        )
        .task(4)
        .check(
            "block_on runs any future and returns its output",
            1,
            runs_any_future,
        )
        .check("a wake during the poll is not lost", 2, wake_during_poll)
        .check("a wake by another thread is not lost", 2, wake_by_thread)
        .seeds(1) // waits for a real thread: once is enough
        .check("block_on sleeps until it is woken", 3, sleeps_until_woken)
        .run()
}

// ---- task 1: Countdown ----------------------------------------------------

async fn countdown_from_zero(lab: Lab) {
    let mut probe = lab.probe(Countdown::new(0));
    lab.expect_eq(&probe.poll(), &Poll::Ready(0))
        .why("With nothing to count, the first poll already has the answer.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn countdown_pends_n_times(lab: Lab) {
    let n = number(&lab, 1..=9);
    let mut probe = lab.probe(Countdown::new(n));
    for poll in 1..=n {
        lab.expect_eq(&probe.poll(), &Poll::Pending)
            .expected(format!("Pending at poll {poll} of a Countdown::new({n})"))
            .why("One poll makes one step, and then returns to its caller.")
            .pitfall("wrong-result")
            .or_fail();
    }
    lab.expect_eq(&probe.poll(), &Poll::Ready(n))
        .expected(format!(
            "Ready({n}) at poll {} of a Countdown::new({n})",
            n + 1
        ))
        .why("After n pending polls the next one is ready with the n it began with.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn countdown_wakes_itself(lab: Lab) {
    let n = number(&lab, 2..=9);
    let mut probe = lab.probe(Countdown::new(n));
    for poll in 1..=n as usize {
        let _ = probe.poll();
        expect_count(&lab, "wakes", probe.wakes(), poll)
            .expected(format!("{poll} wakes after {poll} pending polls"))
            .why(
                "Pending promises that the waker of this poll will be woken. Nobody else \
                 knows of a countdown, so each pending poll wakes it: once, not more.",
            )
            .pitfall("lost-wakeup")
            .or_fail();
    }
    let _ = probe.poll();
    expect_count(&lab, "wakes", probe.wakes(), n as usize)
        .expected("no further wake by the poll that is ready")
        .why("A future that is ready needs no further poll, so it asks for none.")
        .pitfall("busy-loop")
        .or_fail();

    let mut moved = lab.probe(Countdown::new(2));
    let _ = moved.poll();
    let before = moved.wakes();
    let _ = moved.poll_with_new_waker();
    let stale = moved.stale_wakes() - before;
    lab.expect(moved.is_woken() && stale == 0)
        .expected("a wake of the waker that came with the second poll")
        .got(if stale == 0 {
            "no wake"
        } else {
            "a wake of the first poll's waker"
        })
        .why("A future may be polled by another task than before: only this poll's waker counts.")
        .pitfall("stale-waker")
        .or_fail();
}

async fn countdown_awaited(lab: Lab) {
    let n = number(&lab, 1..=9);
    let (polls, countdown) = count_polls(Countdown::new(n));
    let (got, took) = lab.timed(countdown).await;
    lab.expect_eq(&got, &n)
        .why("The output of a countdown is the n that it began with.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect_took(took, 0)
        .why("A countdown waits for nobody: no time may pass.")
        .pitfall("wrong-result")
        .or_fail();
    expect_count(&lab, "polls", polls.get(), n + 1)
        .why("A countdown is pending n times and wakes itself once for each.")
        .pitfall("wrong-result")
        .or_fail();
}

// ---- task 2: OneShotCell --------------------------------------------------

async fn sent_before_poll(lab: Lab) {
    let value = number(&lab, 1..=99);
    let (sender, cell) = one_shot_cell();
    let sent = sender.send(value);
    lab.expect_eq(&sent, &Ok(()))
        .why("The cell was still there, so the value was delivered.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect_eq(&lab.probe(cell).poll(), &Poll::Ready(Ok(value)))
        .why("A value sent while nobody waits must stay in the cell until somebody asks.")
        .pitfall("lost-wakeup")
        .or_fail();
}

async fn keeps_one_waker(lab: Lab) {
    let (_sender, cell) = one_shot_cell::<u32>();
    let mut probe = lab.probe(cell);
    for poll in 1..=number(&lab, 1..=4) {
        lab.expect_eq(&probe.poll(), &Poll::Pending)
            .why("Nothing was sent and the sender is still there: the cell has to wait.")
            .pitfall("wrong-result")
            .or_fail();
        expect_count(&lab, "wakes", probe.wakes(), 0)
            .why("A cell that wakes its own task is polled again at once, for ever.")
            .pitfall("busy-loop")
            .or_fail();
        expect_count(&lab, "wakers kept", probe.wakers_held(), 1)
            .expected(format!("1 waker kept after {poll} pending polls"))
            .why(
                "The sender can only wake a waker that somebody kept; and each poll's \
                 waker takes the place of the one before.",
            )
            .pitfall("lost-wakeup")
            .or_fail();
    }
}

async fn latest_waker(lab: Lab) {
    let (sender, cell) = one_shot_cell();
    let mut probe = lab.probe(cell);
    let _ = probe.poll();
    for _ in 0..number(&lab, 1..=3) {
        let _ = probe.poll_with_new_waker();
    }
    let sent = sender.send("seven");
    lab.expect(sent.is_ok() && probe.is_woken())
        .expected("a wake of the waker that came with the latest poll")
        .got(if probe.stale_wakes() > 0 {
            "a wake of an older poll's waker"
        } else {
            "no wake"
        })
        .why(
            "The cell moved to another task and was polled there. The task that polled it \
             first has gone on: waking it wakes nobody.",
        )
        .pitfall("stale-waker")
        .or_fail();
    expect_count(&lab, "wakes of older wakers", probe.stale_wakes(), 0)
        .why("A task that no longer waits for this cell was woken for nothing.")
        .pitfall("stale-waker")
        .or_fail();
    lab.expect_eq(&probe.poll(), &Poll::Ready(Ok("seven")))
        .why("After the wake the value must be there.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn sleeps_until_sent(lab: Lab) {
    let after = lab.pick(10..=200);
    let (sender, cell) = one_shot_cell();
    let (polls, cell) = count_polls(cell);
    let waiting = tokio::spawn(cell);
    sleep(ms(after)).await;
    let sent = sender.send("tea");
    let (got, took) = lab.timed(waiting).await;
    lab.expect(sent.is_ok() && matches!(got, Ok(Ok("tea"))))
        .expected(format!("Ok(\"tea\"), sent at {after} ms"))
        .got(format!("{got:?}"))
        .why("The value that was sent is what the waiting task gets.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect_took(took, 0)
        .why("The task is woken by the send itself, at the same instant.")
        .pitfall("lost-wakeup")
        .or_fail();
    expect_count(&lab, "polls", polls.get(), 2)
        .expected("2 polls: one that waits, one that is woken by the send")
        .why("Between the first poll and the send nothing happens that is worth a poll.")
        .pitfall("busy-loop")
        .or_fail();
}

async fn dropped_before_poll(lab: Lab) {
    let (sender, cell) = one_shot_cell::<u32>();
    drop(sender);
    lab.expect_eq(&lab.probe(cell).poll(), &Poll::Ready(Err(SenderDropped)))
        .why("No value can come any more, so there is nothing to wait for.")
        .pitfall("lost-wakeup")
        .or_fail();
}

async fn dropped_ends_wait(lab: Lab) {
    let after = lab.pick(10..=200);
    let (sender, cell) = one_shot_cell::<u32>();
    let waiting = tokio::spawn(cell);
    sleep(ms(after)).await;
    drop(sender);
    let (got, took) = lab.timed(waiting).await;
    lab.expect(matches!(got, Ok(Err(SenderDropped))))
        .expected(format!(
            "Err(SenderDropped), once the sender is dropped at {after} ms"
        ))
        .got(format!("{got:?}"))
        .why("A sender that goes without sending has to tell whoever waits.")
        .pitfall("lost-wakeup")
        .or_fail();
    lab.expect_took(took, 0)
        .why("The task is woken by the drop itself, at the same instant.")
        .pitfall("lost-wakeup")
        .or_fail();
}

async fn cell_dropped(lab: Lab) {
    let value = number(&lab, 1..=99);
    let (sender, cell) = one_shot_cell();
    let mut probe = lab.probe(cell);
    if lab.seed().is_multiple_of(2) {
        let _ = probe.poll();
    }
    drop(probe);
    lab.expect_eq(&sender.send(value), &Err(value))
        .why("Nobody will ever look into a cell that was dropped: its sender should hear of it.")
        .pitfall("cancellation-ignored")
        .or_fail();
}

// ---- task 3: Join2 --------------------------------------------------------

async fn both_outputs(lab: Lab) {
    for right_first in [false, true] {
        let (left, left_future) = lab.controlled();
        let (right, right_future) = lab.controlled();
        let mut probe = lab.probe(Join2::new(left_future, right_future));
        let mut polls = vec![probe.poll()];
        if right_first {
            right.resolve("right");
            polls.push(probe.poll());
            left.resolve(1);
        } else {
            left.resolve(1);
            polls.push(probe.poll());
            right.resolve("right");
        }
        polls.push(probe.poll());
        let expected = [Poll::Pending, Poll::Pending, Poll::Ready((1, "right"))];
        lab.expect_eq(&polls.as_slice(), &expected.as_slice())
            .why(
                "The join is ready at the poll in which the second side is ready; what the \
                 first side gave has to be kept until then, on its own side.",
            )
            .pitfall("wrong-result")
            .or_fail();
    }
}

async fn waits_overlap(lab: Lab) {
    let (left_ms, right_ms) = (lab.pick(50..=250), lab.pick(50..=250));
    let left = lab.service("left").takes(left_ms).build();
    let right = lab.service("right").takes(right_ms).build();
    let join = Join2::new(left.call("left"), right.call("right"));
    let (got, took) = lab.timed(join).await;
    lab.expect(matches!(got, (Ok(_), Ok(_))))
        .expected("the answers of both calls")
        .got(format!("{got:?}"))
        .why("What the two futures give is handed on as it is.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect_took(took, left_ms.max(right_ms))
        .expected(format!("the longer of {left_ms} ms and {right_ms} ms"))
        .why("The first poll has to start both: while one side is pending, poll the other too.")
        .pitfall("sequential-awaits")
        .or_fail();
}

async fn no_poll_after_ready(lab: Lab) {
    for right_first in [false, true] {
        let (left, left_future) = lab.controlled();
        let (right, right_future) = lab.controlled();
        let mut probe = lab.probe(Join2::new(left_future, right_future));
        let (first, second) = if right_first {
            (&right, &left)
        } else {
            (&left, &right)
        };
        first.resolve(1);
        for _ in 0..number(&lab, 1..=3) {
            let _ = probe.poll();
            second.wake();
        }
        second.resolve(2);
        let got = probe.poll();
        let side = if right_first { "right" } else { "left" };
        lab.expect(!first.polled_after_ready())
            .expected(format!(
                "1 poll of the {side} future, which was ready at once"
            ))
            .got(format!("{} polls", first.polls()))
            .why(
                "A future that was ready is used up: to poll it again may panic, hang or \
                 give a second answer. Remember which side has ended.",
            )
            .pitfall("poll-after-ready")
            .or_fail();
        lab.expect(got.is_ready() && !second.polled_after_ready())
            .expected("Ready at the poll in which the second side is ready")
            .got(format!("{got:?}"))
            .why("Both sides have given their outputs: there is nothing more to wait for.")
            .pitfall("wrong-result")
            .or_fail();
    }
}

async fn woken_by_inner(lab: Lab) {
    let (left, left_future) = lab.controlled();
    let (right, right_future) = lab.controlled();
    let mut probe = lab.probe(Join2::new(left_future, right_future));
    let _ = probe.poll();
    expect_no_self_wake(&lab, probe.is_woken());
    right.resolve(2);
    lab.expect(probe.is_woken())
        .expected("a wake when the right side is ready, though the left one is not")
        .got("no wake")
        .why("Each poll hands its waker to every side that is pending, not to the first alone.")
        .pitfall("lost-wakeup")
        .or_fail();
    let _ = probe.poll();
    expect_no_self_wake(&lab, probe.is_woken());
    let _ = probe.poll_with_new_waker();
    left.resolve(1);
    lab.expect(probe.is_woken())
        .expected("a wake of the latest waker when the left side is ready")
        .got("no wake of the latest waker")
        .why("The join was polled by another task since: its inner futures must learn of it.")
        .pitfall("stale-waker")
        .or_fail();
}

fn expect_no_self_wake(lab: &Lab, woken: bool) {
    lab.expect(!woken)
        .expected("no wake while nothing has happened")
        .got("a wake during the poll")
        .why("A join that wakes its own task is polled again and again while both sides wait.")
        .pitfall("busy-loop")
        .or_fail();
}

async fn inner_dropped(lab: Lab) {
    let (left, left_future) = lab.controlled();
    let (right, right_future) = lab.controlled::<u32>();
    let mut probe = lab.probe(Join2::new(left_future, right_future));
    let _ = probe.poll();
    left.resolve(1);
    let _ = probe.poll();
    lab.expect(left.dropped())
        .expected("the left future dropped by the poll in which it was ready")
        .got("it is still kept, while the right one runs")
        .why("What an ended future holds (a permit, a buffer, a connection) stays in use with it.")
        .pitfall("leaked-resource")
        .or_fail();
    drop(probe);
    lab.expect(right.dropped())
        .expected("the right future dropped together with the join")
        .got("it lives on")
        .why("Dropping a future cancels it, and with it everything that it drives.")
        .pitfall("cancellation-ignored")
        .or_fail();
}

// ---- task 4: block_on -----------------------------------------------------

async fn runs_any_future(lab: Lab) {
    let n = number(&lab, 1..=99);
    let word = String::from("borrowed");
    let local = Rc::new(n);
    let future = async { (word.as_str(), *local) };
    lab.expect_eq(&block_on(future), &("borrowed", n))
        .why("The output of the future is what block_on returns.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn wake_during_poll(lab: Lab) {
    wakes_are_answered(&lab, |waker| waker.wake()).await;
}

async fn wake_by_thread(lab: Lab) {
    let wake_elsewhere = |waker: Waker| thread::spawn(|| waker.wake()).join();
    wakes_are_answered(&lab, move |waker| {
        wake_elsewhere(waker).expect("a waker that does not panic");
    })
    .await;
}

/// Each pending poll is woken before it returns, so before any park.
async fn wakes_are_answered(lab: &Lab, wake: impl Fn(Waker) + Send + 'static) {
    let pending = number(lab, 1..=3);
    let watch = Watch::default();
    let future = {
        let watch = watch.clone();
        poll_fn(move |cx| {
            if watch.polled() > pending {
                return Poll::Ready(());
            }
            wake(cx.waker().clone());
            watch.was_woken();
            Poll::Pending
        })
    };
    let ended = watch.block_on(future).await.is_some();
    let polls = watch.polls();
    lab.expect(ended)
        .expected("a poll after each wake")
        .got(format!(
            "asleep for good after poll {polls}, in which the waker was woken"
        ))
        .why(
            "A wake may come before the waiting thread goes to sleep, and from any thread. It \
             has to be remembered, and it has to reach the thread that called block_on.",
        )
        .pitfall("lost-wakeup")
        .or_fail();
    expect_count(lab, "polls", polls, pending + 1)
        .expected(format!(
            "{} polls of a future that is woken {pending} times",
            pending + 1
        ))
        .why("Each wake asks for one poll.")
        .pitfall("busy-loop")
        .or_fail();
}

/// So many polls without a wake are no accident: `park` may return for no
/// reason, but not again and again.
const TOO_MANY_POLLS: u32 = 3;

async fn sleeps_until_woken(lab: Lab) {
    let watch = Watch::default();
    let (first_poll, waker) = mpsc::channel::<Waker>();
    let may_end = Arc::new(AtomicBool::new(false));
    let future = {
        let (watch, may_end) = (watch.clone(), Arc::clone(&may_end));
        poll_fn(move |cx| {
            if watch.polled() == TOO_MANY_POLLS || may_end.load(SeqCst) {
                return Poll::Ready(());
            }
            let _ = first_poll.send(cx.waker().clone());
            Poll::Pending
        })
    };
    let waking = {
        let watch = watch.clone();
        thread::spawn(move || {
            let Ok(waker) = waker.recv() else { return };
            if watch.sleeps_while(|watch| watch.polls() < TOO_MANY_POLLS) {
                may_end.store(true, SeqCst);
                waker.wake();
                watch.was_woken();
            }
        })
    };
    let ended = watch.block_on(future).await.is_some();
    waking.join().expect("a waker that does not panic");
    lab.expect(watch.polls() < TOO_MANY_POLLS)
        .expected("2 polls: one that is pending, one after the wake")
        .got(format!("{TOO_MANY_POLLS} polls before any wake"))
        .why("To poll a future that has not asked for it is to waste a CPU, or to come too late.")
        .pitfall("busy-loop")
        .or_fail();
    lab.expect(ended)
        .expected("a poll after the wake")
        .got("asleep for good, though another thread woke the waker")
        .why("The wake has to reach the thread that called block_on, whoever wakes.")
        .pitfall("lost-wakeup")
        .or_fail();
}

/// A thread in `block_on`, watched from outside.
#[derive(Clone, Default)]
struct Watch(Arc<Watched>);

#[derive(Default)]
struct Watched {
    polls: AtomicU32,
    /// Woken since the last poll.
    woken: AtomicBool,
    ended: AtomicBool,
    /// Where the kernel tells what the thread does. Elsewhere time must do.
    stat: OnceLock<PathBuf>,
}

impl Watch {
    /// Runs the future on a thread of its own. `None`: woken, it sleeps on.
    async fn block_on<F>(&self, future: F) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let watch = self.clone();
        // No plain thread: while this one runs, virtual time stands still.
        let mut job = spawn_blocking(move || {
            if let Ok(this) = std::fs::read_link("/proc/thread-self") {
                let _ = watch.0.stat.set(Path::new("/proc").join(this).join("stat"));
            }
            let output = block_on(future);
            watch.0.ended.store(true, SeqCst);
            output
        });
        let (hangs, hung) = oneshot::channel();
        let watch = self.clone();
        thread::spawn(move || {
            while !watch.0.ended.load(SeqCst) {
                if watch.sleeps_while(|watch| watch.0.woken.load(SeqCst)) {
                    let _ = hangs.send(());
                    return;
                }
            }
        });
        tokio::select! {
            biased;
            output = &mut job => Some(output.unwrap_or_else(|error| resume_unwind(error.into_panic()))),
            Ok(()) = hung => None,
        }
    }

    /// Counts a poll; the first is 1.
    fn polled(&self) -> u32 {
        self.0.woken.store(false, SeqCst);
        self.0.polls.fetch_add(1, SeqCst) + 1
    }

    fn polls(&self) -> u32 {
        self.0.polls.load(SeqCst)
    }

    fn was_woken(&self) {
        self.0.woken.store(true, SeqCst);
    }

    /// Looks every millisecond. True: the thread slept at so many looks in a
    /// row that it will sleep on, and `still` held all the time.
    fn sleeps_while(&self, still: impl Fn(&Self) -> bool) -> bool {
        let (mut looks, enough) = (
            0,
            if self.0.stat.get().is_some() {
                60
            } else {
                1000
            },
        );
        while looks < enough {
            thread::sleep(Duration::from_millis(1));
            if !still(self) || self.0.ended.load(SeqCst) {
                return false;
            }
            looks = if self.is_asleep() { looks + 1 } else { 0 };
        }
        true
    }

    /// False while the thread runs or waits for a CPU, however loaded the
    /// machine is: a thread that has something to do is never taken for idle.
    fn is_asleep(&self) -> bool {
        let stat = self
            .0
            .stat
            .get()
            .and_then(|path| std::fs::read_to_string(path).ok());
        stat.is_none_or(|stat| {
            stat.rsplit(')')
                .next()
                .is_some_and(|rest| rest.starts_with(" S"))
        })
    }
}

// ---- helpers --------------------------------------------------------------

/// How often a future was polled; clones count together.
#[derive(Clone, Default)]
struct Polls(Arc<AtomicU32>);

impl Polls {
    fn get(&self) -> u32 {
        self.0.load(SeqCst)
    }
}

/// Counts the polls of a future, and is otherwise that future.
fn count_polls<F: Future>(future: F) -> (Polls, impl Future<Output = F::Output>) {
    let polls = Polls::default();
    let counter = polls.clone();
    let counted = async move {
        let mut future = pin!(future);
        poll_fn(|cx| {
            counter.0.fetch_add(1, SeqCst);
            future.as_mut().poll(cx)
        })
        .await
    };
    (polls, counted)
}

/// Expects a number of `things`: "3 polls".
fn expect_count<N: Display + PartialEq>(lab: &Lab, things: &str, got: N, want: N) -> Expectation {
    lab.expect(got == want)
        .expected(format!("{want} {things}"))
        .got(format!("{got} {things}"))
}

fn number(lab: &Lab, range: std::ops::RangeInclusive<u64>) -> u32 {
    u32::try_from(lab.pick(range)).expect("a small number")
}
