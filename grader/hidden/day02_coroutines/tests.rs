//! Hidden checks of day 2: futures polled by hand, and an executor.

use exercise::{Countdown, Join2, SenderDropped, block_on, one_shot_cell};
use kata_harness::futures::FutureExt;
use kata_harness::{Expectation, Lab, Suite, ms};
use std::fmt::Debug;
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
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

fn main() -> ExitCode {
    Suite::new()
        .task(1)
        .check("a countdown from 0 is ready at the first poll", 1, zero)
        .check("a countdown pends n times, then gives n", 2, steps)
        .check("each pending poll wakes its own waker once", 2, self_wakes)
        .check("an awaited countdown takes n + 1 polls", 1, awaited)
        .task(2)
        .check("a value sent before the first poll is kept", 1, kept)
        .check("a pending cell keeps one waker, wakes nobody", 2, one_waker)
        .check("sending wakes the latest poll's waker alone", 2, latest)
        .check("a waiting task sleeps until the value is sent", 2, sleeps)
        .check("dropping the sender ends the wait", 2, wait_ends)
        .check("sending to a dropped cell returns the value", 1, cell_gone)
        .task(3)
        .check("both outputs come, whichever side ends first", 1, outputs)
        .check("a side that was ready is not polled again", 2, no_repoll)
        .check("the two waits overlap", 2, overlap)
        .check("the join is woken by its inner futures alone", 2, woken)
        .check("a side that has ended is dropped at once", 2, dropped)
        .task(4)
        .check("block_on returns any future's output", 1, any_future)
        .check("a wake during the poll is not lost", 2, own_wake)
        .check("a wake from another thread is not lost", 2, thread_wake)
        .seeds(1) // waits for a real thread: once is enough
        .check("block_on sleeps until it is woken", 3, asleep)
        .run()
}

// ---- task 1: Countdown ----------------------------------------------------

async fn zero(lab: Lab) {
    let mut probe = lab.probe(Countdown::new(0));
    lab.expect_eq(&probe.poll(), &Poll::Ready(0))
        .why("With nothing to count, the first poll already has the answer.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn steps(lab: Lab) {
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

async fn self_wakes(lab: Lab) {
    let n = number(&lab, 2..=9);
    let mut probe = lab.probe(Countdown::new(n));
    for poll in 1..=n as usize {
        let _ = probe.poll();
        expect_count(&lab, "wake", probe.wakes(), poll)
            .expected(format!(
                "{} in {}",
                counted(poll, "wake"),
                counted(poll, "pending poll")
            ))
            .why(
                "Pending promises that the waker of this poll will be woken. Nobody else \
                 knows of a countdown, so each pending poll wakes it: once, not more.",
            )
            .pitfall("lost-wakeup")
            .or_fail();
    }
    let _ = probe.poll();
    expect_count(&lab, "wake", probe.wakes(), n as usize)
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

async fn awaited(lab: Lab) {
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
    expect_count(&lab, "poll", polls.get(), n + 1)
        .why("A countdown is pending n times and wakes itself once for each.")
        .pitfall("wrong-result")
        .or_fail();
}

// ---- task 2: OneShotCell --------------------------------------------------

async fn kept(lab: Lab) {
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

async fn one_waker(lab: Lab) {
    let (_sender, cell) = one_shot_cell::<u32>();
    let mut probe = lab.probe(cell);
    for poll in 1..=number(&lab, 1..=4) {
        lab.expect_eq(&probe.poll(), &Poll::Pending)
            .why("Nothing was sent and the sender is still there: the cell has to wait.")
            .pitfall("wrong-result")
            .or_fail();
        expect_count(&lab, "wake", probe.wakes(), 0)
            .why("A cell that wakes its own task is polled again at once, for ever.")
            .pitfall("busy-loop")
            .or_fail();
        expect_count(&lab, "kept waker", probe.wakers_held(), 1)
            .expected(format!(
                "1 kept waker after {}",
                counted(poll, "pending poll")
            ))
            .why(
                "The sender can only wake a waker that somebody kept; and each poll's \
                 waker takes the place of the one before.",
            )
            .pitfall("lost-wakeup")
            .or_fail();
    }
}

async fn latest(lab: Lab) {
    let (sender, cell) = one_shot_cell();
    let mut probe = lab.probe(cell);
    let _ = probe.poll();
    for _ in 0..number(&lab, 1..=3) {
        let _ = probe.poll_with_new_waker();
    }
    let sent = sender.send("seven");
    let (latest, older) = (probe.is_woken(), probe.stale_wakes());
    lab.expect(latest || older > 0)
        .expected("a wake of the waker that came with the latest poll")
        .got("no wake")
        .why("Pending promised a wake, but nobody who hears of the value kept the waker.")
        .pitfall("lost-wakeup")
        .or_fail();
    lab.expect(latest)
        .expected("a wake of the waker that came with the latest poll")
        .got("a wake of an older poll's waker")
        .why(
            "The cell moved to another task and was polled there. The task that polled it \
             first has gone on: waking it wakes nobody.",
        )
        .pitfall("stale-waker")
        .or_fail();
    lab.expect(older == 0)
        .expected("no wake of an older poll's waker")
        .got(counted(older, "such wake"))
        .why("A task that no longer waits for this cell was woken for nothing.")
        .pitfall("stale-waker")
        .or_fail();
    lab.expect_eq(&(sent, probe.poll()), &(Ok(()), Poll::Ready(Ok("seven"))))
        .why("After the wake the value must be there.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn sleeps(lab: Lab) {
    let after = lab.pick(10..=200);
    let (sender, cell) = one_shot_cell();
    let (polls, cell) = count_polls(cell);
    let waiting = tokio::spawn(cell);
    sleep(ms(after)).await;
    let sent = sender.send("tea");
    let (got, took) = lab.timed(joined(waiting)).await;
    lab.expect_eq(&(sent, got), &(Ok(()), Ok("tea")))
        .expected(format!(
            "Ok(()) from send at {after} ms, and Ok(\"tea\") from the cell"
        ))
        .why("The value that was sent is what the waiting task gets.")
        .pitfall("wrong-result")
        .or_fail();
    lab.expect_took(took, 0)
        .why("The task is woken by the send itself, at the same instant.")
        .pitfall("lost-wakeup")
        .or_fail();
    expect_count(&lab, "poll", polls.get(), 2)
        .expected("2 polls: one that waits, one that is woken by the send")
        .why("Between the first poll and the send nothing happens that is worth a poll.")
        .pitfall("busy-loop")
        .or_fail();
}

async fn wait_ends(lab: Lab) {
    let (sender, cell) = one_shot_cell::<u32>();
    let mut probe = lab.probe(cell);
    lab.expect_eq(&probe.poll(), &Poll::Pending)
        .why("Nothing was sent and the sender is still there: the cell has to wait.")
        .pitfall("wrong-result")
        .or_fail();
    let before = probe.wakes();
    drop(sender);
    lab.expect(probe.wakes() > before)
        .expected("the waiting task woken by the drop of the sender")
        .got("no wake")
        .why("A sender that goes without sending has to tell whoever waits, or they wait for ever.")
        .pitfall("lost-wakeup")
        .or_fail();
    expect_sender_dropped(&lab, &probe.poll());

    let (sender, cell) = one_shot_cell::<u32>();
    drop(sender);
    expect_sender_dropped(&lab, &lab.probe(cell).poll());
}

fn expect_sender_dropped(lab: &Lab, polled: &Poll<Result<u32, SenderDropped>>) {
    lab.expect_eq(polled, &Poll::Ready(Err(SenderDropped)))
        .why("No value can come any more, so there is nothing left to wait for.")
        .pitfall("lost-wakeup")
        .or_fail();
}

async fn cell_gone(lab: Lab) {
    let value = number(&lab, 1..=99);
    let (sender, cell) = one_shot_cell();
    let mut probe = lab.probe(cell);
    if lab.seed().is_multiple_of(2) {
        let _ = probe.poll();
    }
    let live = one_shot_cell();
    drop(probe);
    lab.expect_eq(
        &(live.0.send(value), sender.send(value)),
        &(Ok(()), Err(value)),
    )
    .expected(format!(
        "Ok(()) from the sender of a live cell, Err({value}) from this one"
    ))
    .why("Nobody will ever look into a cell that was dropped: its sender should hear of it.")
    .pitfall("cancellation-ignored")
    .or_fail();
}

// ---- task 3: Join2 --------------------------------------------------------

async fn outputs(lab: Lab) {
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

async fn overlap(lab: Lab) {
    let (left_ms, right_ms) = (lab.pick(50..=250), lab.pick(50..=250));
    let left = lab.service("left").takes(left_ms).build();
    let right = lab.service("right").takes(right_ms).build();
    // Fused: a side polled after it was ready is another check's affair.
    let join = Join2::new(left.call("left").fuse(), right.call("right").fuse());
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

async fn no_repoll(lab: Lab) {
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
            .got(counted(first.polls(), "poll"))
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

async fn woken(lab: Lab) {
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

async fn dropped(lab: Lab) {
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

async fn any_future(lab: Lab) {
    let n = number(&lab, 1..=99);
    let word = String::from("borrowed");
    let local = Rc::new(n);
    let future = async { (word.as_str(), *local) };
    lab.expect_eq(&block_on(future), &("borrowed", n))
        .why("The output of the future is what block_on returns.")
        .pitfall("wrong-result")
        .or_fail();
}

async fn own_wake(lab: Lab) {
    wakes_are_answered(&lab, |waker| waker.wake()).await;
}

async fn thread_wake(lab: Lab) {
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
    expect_count(lab, "poll", polls, pending + 1)
        .expected(format!(
            "{} after {}",
            counted(pending + 1, "poll"),
            counted(pending, "wake")
        ))
        .why("Each wake asks for one poll.")
        .pitfall("busy-loop")
        .or_fail();
}

/// So many polls without a wake are no accident: `park` may return for no
/// reason, but not again and again.
const TOO_MANY_POLLS: u32 = 3;

async fn asleep(lab: Lab) {
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
    let outside = watch.clone();
    thread::spawn(move || {
        let Ok(waker) = waker.recv() else { return };
        if outside.sleeps_while(|watch| watch.polls() < TOO_MANY_POLLS) {
            may_end.store(true, SeqCst);
            waker.wake();
            outside.was_woken();
        }
    });
    let ended = watch.block_on(future).await.is_some();
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
        let job = spawn_blocking(move || {
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
            output = joined(job) => Some(output),
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
        let enough = if self.0.stat.get().is_some() {
            60
        } else {
            1000
        };
        let mut looks = 0;
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
        let Some(path) = self.0.stat.get() else {
            return true;
        };
        // "1234 (name) S …": the letter is the state.
        let stat = std::fs::read_to_string(path).unwrap_or_default();
        stat.rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('S'))
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

/// The output of a task; its panic is the check's panic.
async fn joined<T>(task: JoinHandle<T>) -> T {
    task.await
        .unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

/// Expects so many of a thing: "1 poll", "3 polls".
fn expect_count<N>(lab: &Lab, thing: &str, got: N, want: N) -> Expectation
where
    N: TryInto<u64, Error: Debug> + PartialEq,
{
    let holds = got == want;
    lab.expect(holds)
        .expected(counted(want, thing))
        .got(counted(got, thing))
}

fn counted<N: TryInto<u64, Error: Debug>>(number: N, thing: &str) -> String {
    match number.try_into().expect("a small number") {
        1 => format!("1 {thing}"),
        number => format!("{number} {thing}s"),
    }
}

fn number(lab: &Lab, range: std::ops::RangeInclusive<u64>) -> u32 {
    u32::try_from(lab.pick(range)).expect("a small number")
}
