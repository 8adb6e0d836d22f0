//! Hidden checks of day 8: waiting for a condition, a bounded buffer, a rate limiter.

use std::cell::Cell;
use std::fmt::Display;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use exercise::{BoundedBuffer, Closed, RateLimiter, Signal};
use kata_harness::{Cancel, Lab, Probe, Suite, ms};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

#[rustfmt::skip] // A table: one check, one line.
fn main() -> ExitCode {
    Suite::new()
        .task(1)
        .check("a wait ends the moment its condition holds", 2, wait_ends)
        .check("a notice wakes everybody who waits", 1, notice_for_all)
        .check("a notice between look and wait is not lost", 2, notice_between)
        .check("nobody looks again while nothing was notified", 1, no_idle_looks)
        .task(2)
        .check("items come out in the order in which they went in", 1, items_in_order)
        .check("who has to wait goes on at that instant, not sooner", 2, waits_no_longer)
        .check("never more inside than the capacity, and never less", 2, capacity)
        .check("items and room go first come, first served", 3, first_come)
        .check("a push or pop dropped at any pending loses nothing", 2, dropped_waiter)
        .check("who is dropped after the wake-up passes the turn on", 2, woken_and_dropped)
        .task(3)
        .check("close wakes everybody who waits", 2, close_wakes)
        .check("what is inside at the close still comes out", 2, close_keeps_items)
        .check("a closed buffer takes nothing more", 1, closed_takes_nothing)
        .task(4)
        .check("up to the limit nobody waits; the next wait for room", 2, limiter_window)
        .check("no window of that length holds more than the limit", 2, limiter_sliding)
        .check("calls go through first come, first served", 1, limiter_in_order)
        .check("a call that gives up takes nobody's place", 2, limiter_gives_up)
        .check("a raised limit lets calls through at that instant", 2, limit_raised)
        .check("a lowered limit holds for those who wait already", 2, limit_lowered)
        .check("when its sender is gone the last limit stays", 1, limit_orphaned)
        .run()
}

// ---------------------------------------------------------------- helpers

/// How long a check waits for what must come at once before it calls it lost.
const PATIENCE: Duration = Duration::from_secs(1);

/// What happened, and when, in the order in which it happened.
#[derive(Clone)]
struct Notes {
    lab: Lab,
    notes: Arc<Mutex<Vec<(u64, String)>>>,
}

impl Notes {
    fn new(lab: &Lab) -> Self {
        let notes = Arc::default();
        Self {
            lab: lab.clone(),
            notes,
        }
    }

    fn note(&self, what: impl Display) {
        let note = (self.lab.now_ms(), what.to_string());
        self.notes.lock().expect("nobody panics here").push(note);
    }

    /// `a@0, b@100`.
    fn line(&self) -> String {
        let notes = self.notes.lock().expect("nobody panics here");
        let words: Vec<_> = notes
            .iter()
            .map(|(at_ms, what)| format!("{what}@{at_ms}"))
            .collect();
        words.join(", ")
    }

    /// What happened so far is exactly this.
    fn expect(&self, expected: &str, why: &str, pitfall: &str) {
        let got = self.line();
        self.lab
            .expect(got == expected)
            .expected(shown(expected))
            .got(shown(&got))
            .why(why)
            .pitfall(pitfall)
            .or_fail();
    }
}

fn shown(line: &str) -> String {
    if line.is_empty() {
        return "nothing".to_owned();
    }
    format!("{line} (what@ms)")
}

fn buffer<T>(capacity: usize) -> Arc<BoundedBuffer<T>> {
    let capacity = NonZeroUsize::new(capacity).expect("every check has room");
    Arc::new(BoundedBuffer::new(capacity))
}

/// The output of what must end within a second; if it does not, `why` says why.
async fn soon<T>(
    lab: &Lab,
    what: &str,
    future: impl Future<Output = T>,
    why: &str,
    pitfall: &str,
) -> T {
    let output = timeout(PATIENCE, future).await;
    lab.expect(output.is_ok())
        .expected(format!("{what} ends: it has nothing to wait for"))
        .got(format!("{what} still waits after 1000 ms"))
        .why(why)
        .pitfall(pitfall)
        .or_fail();
    output.expect("a failed expectation ends the check")
}

/// A task's output; its panic goes on in the check.
async fn joined<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(output) => output,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// Polls a future, at this instant, until it is ready or nothing goes on.
async fn ready_now<F: Future>(lab: &Lab, probe: &mut Probe<F>) -> Option<F::Output> {
    for _ in 0..8 {
        if let Poll::Ready(output) = probe.poll() {
            return Some(output);
        }
        lab.settle().await;
    }
    None
}

/// Something has to wait: there is nothing for it.
fn expect_waiting<T>(lab: &Lab, poll: &Poll<T>, what: &str) {
    lab.expect(poll.is_pending())
        .expected(format!("{what} waits"))
        .got(format!("{what} was ready at its first poll"))
        .why("It has to wait until somebody else makes room, or brings an item.")
        .pitfall("wrong-result")
        .or_fail();
}

// ----------------------------------------------------------------- task 1

async fn wait_ends(lab: Lab) {
    let signal = Arc::new(Signal::new());
    let notes = Notes::new(&lab);
    let level = Arc::new(AtomicUsize::new(0));
    for wanted in [0, 2, 3] {
        let (signal, level, notes) = (Arc::clone(&signal), Arc::clone(&level), notes.clone());
        tokio::spawn(async move {
            signal.wait_until(|| level.load(SeqCst) >= wanted).await;
            notes.note(format!("level {wanted}"));
        });
    }
    for reached in 1..=4 {
        sleep(ms(35)).await;
        level.store(reached, SeqCst);
        signal.notify();
    }
    lab.settle().await;
    notes.expect(
        "level 0@0, level 2@70, level 3@105",
        "The level rises by 1 every 35 ms, with a notice each time. A wait looks first, and it \
         looks again at every notice: not every notice is about what this one waits for.",
        "lost-wakeup",
    );
}

async fn notice_for_all(lab: Lab) {
    let signal = Arc::new(Signal::new());
    let notes = Notes::new(&lab);
    let open = Arc::new(AtomicBool::new(false));
    for who in ["a", "b", "c", "d"] {
        let (signal, open, notes) = (Arc::clone(&signal), Arc::clone(&open), notes.clone());
        tokio::spawn(async move {
            signal.wait_until(|| open.load(SeqCst)).await;
            notes.note(who);
        });
    }
    sleep(ms(50)).await;
    open.store(true, SeqCst);
    signal.notify();
    lab.settle().await;
    let mut words: Vec<_> = notes.line().split(", ").map(str::to_owned).collect();
    words.sort_unstable(); // in which order they wake is nobody's business
    lab.expect_eq(&words.join(", "), &"a@50, b@50, c@50, d@50".to_owned())
        .why(
            "Four wait for the same thing, and one notice says that it is so. Whoever is not \
             woken by it sleeps on.",
        )
        .pitfall("lost-wakeup")
        .or_fail();
}

async fn notice_between(lab: Lab) {
    // While a wait looks, for the 1st, 2nd, 3rd time, another thread makes it
    // so and notifies. The condition itself plays that thread: it has seen that
    // it is not so when it becomes so.
    for between in 1..=3 {
        let signal = Signal::new();
        let (looks, so) = (Cell::new(0), Cell::new(false));
        let waiting = signal.wait_until(|| {
            looks.set(looks.get() + 1);
            let seen = so.get();
            if looks.get() == between {
                so.set(true);
                signal.notify();
            }
            seen
        });
        let notices = async {
            for _ in 1..between {
                sleep(ms(10)).await;
                signal.notify();
            }
            sleep(PATIENCE).await;
        };
        let woken = tokio::select! {
            biased;
            () = waiting => true,
            () = notices => false,
        };
        lab.expect(woken)
            .expected(format!(
                "a notice that comes during look {between} makes the wait look again"
            ))
            .got(format!("it sleeps on, after {}", in_looks(looks.get())))
            .why(
                "The condition was false when it was looked at, became true, and the notice came \
                 before anybody listened. Who looks first and listens then misses it: listening \
                 has to begin before the look.",
            )
            .pitfall("lost-wakeup")
            .or_fail();
        lab.expect(so.get())
            .expected("the wait ends when the condition holds")
            .got(format!(
                "it ended before that, after {}",
                in_looks(looks.get())
            ))
            .why("A notice says that something has changed, not what: the condition decides.")
            .pitfall("wrong-result")
            .or_fail();
    }
}

fn in_looks(looks: usize) -> String {
    match looks {
        1 => "1 look".to_owned(),
        _ => format!("{looks} looks"),
    }
}

async fn no_idle_looks(lab: Lab) {
    let signal = Arc::new(Signal::new());
    let looks = Arc::new(AtomicUsize::new(0));
    let waiting = {
        let (signal, looks) = (Arc::clone(&signal), Arc::clone(&looks));
        tokio::spawn(async move {
            signal.wait_until(|| looks.fetch_add(1, SeqCst) >= 3).await;
        })
    };
    lab.settle().await;
    let mut seen = vec![looks.load(SeqCst)];
    for _ in 0..2 {
        sleep(ms(10_000)).await;
        signal.notify();
        lab.settle().await;
        seen.push(looks.load(SeqCst));
    }
    waiting.abort();
    lab.expect_eq(&seen, &vec![1, 2, 3])
        .expected("looks so far: [1, 2, 3]: one at the start, one more after each of two notices")
        .got(format!("looks so far: {seen:?}"))
        .why(
            "Between two notices nothing has changed, so there is nothing to look at. Looking \
             again on a timer, or at every poll, is work that grows with the number of waiters, \
             and still comes too late.",
        )
        .pitfall("busy-loop")
        .or_fail();
}

// ----------------------------------------------------------------- task 2

async fn items_in_order(lab: Lab) {
    let buffer = buffer(3);
    for round in 0..3_u32 {
        for item in 0..3 {
            let pushed = buffer.push(10 * round + item).await;
            lab.expect_eq(&pushed, &Ok(()))
                .why("The buffer is open and has room.")
                .pitfall("wrong-result")
                .or_fail();
        }
        let mut items = Vec::new();
        for _ in 0..3 {
            items.push(buffer.pop().await);
        }
        let expected: Vec<_> = (0..3).map(|item| Some(10 * round + item)).collect();
        lab.expect_eq(&items, &expected)
            .why("A buffer is a queue: the oldest item comes out first, each once.")
            .pitfall("wrong-result")
            .or_fail();
    }
    lab.expect_took(lab.now(), 0)
        .why("There was always room to push and an item to pop.")
        .pitfall("sequential-awaits")
        .or_fail();
}

async fn waits_no_longer(lab: Lab) {
    let notes = Notes::new(&lab);
    let full = buffer(2);
    let producer = {
        let (buffer, notes) = (Arc::clone(&full), notes.clone());
        tokio::spawn(async move {
            for item in 0..5 {
                let _ = buffer.push(item).await;
                notes.note(format!("in {item}"));
            }
        })
    };
    for _ in 0..3 {
        sleep(ms(50)).await;
        let _ = soon(&lab, "pop", full.pop(), PRODUCER_STUCK, "lock-across-await").await;
        lab.settle().await;
    }
    notes.expect(
        "in 0@0, in 1@0, in 2@50, in 3@100, in 4@150",
        "Room for 2, and a pop every 50 ms: from the third on each push goes on at the very \
         instant of a pop.",
        "lost-wakeup",
    );
    joined(producer).await;

    let notes = Notes::new(&lab);
    let empty = buffer(2);
    let consumer = {
        let (buffer, notes) = (Arc::clone(&empty), notes.clone());
        tokio::spawn(async move {
            for _ in 0..3 {
                let item: Option<u32> = buffer.pop().await;
                notes.note(format!("out {}", item.unwrap_or(99)));
            }
        })
    };
    for item in 0..3 {
        sleep(ms(50)).await;
        let _ = soon(
            &lab,
            "push",
            empty.push(item),
            PRODUCER_STUCK,
            "lock-across-await",
        )
        .await;
        lab.settle().await;
    }
    notes.expect(
        "out 0@200, out 1@250, out 2@300",
        "A push every 50 ms, from 200 ms on: a pop that waits goes on at that very instant.",
        "lost-wakeup",
    );
    joined(consumer).await;

    let one = buffer(1);
    let consumers = [Arc::clone(&one), Arc::clone(&one)]
        .map(|buffer| tokio::spawn(async move { buffer.pop().await }));
    lab.settle().await;
    let why = "Two pops wait. One push wakes the first; a second push has to wait until that one \
               has run. A notice that both sides listen to may reach the wrong one: the other pop, \
               which has nothing to take.";
    for item in 1..=2 {
        let _ = soon(&lab, "push", one.push(item), why, "lost-wakeup").await;
    }
    for consumer in consumers {
        let _ = joined(consumer).await;
    }
}

const PRODUCER_STUCK: &str = "Somebody waits with a lock in hand, and whoever could end that wait \
     needs the lock. Let go of it before you await.";

async fn capacity(lab: Lab) {
    let capacity = usize::try_from(lab.pick(1..=4)).expect("a small number");
    let buffer = buffer(capacity);
    let inside = Arc::new(AtomicUsize::new(0));
    let producers: Vec<_> = (0..12)
        .map(|item| {
            let (buffer, inside) = (Arc::clone(&buffer), Arc::clone(&inside));
            tokio::spawn(async move {
                let _ = buffer.push(item).await;
                inside.fetch_add(1, SeqCst);
            })
        })
        .collect();
    lab.settle().await;
    for _ in 0..6 {
        let _ = soon(
            &lab,
            "pop",
            buffer.pop(),
            PRODUCER_STUCK,
            "lock-across-await",
        )
        .await;
        inside.fetch_sub(1, SeqCst);
        // Somebody waits for this room. Another comes before that one can run.
        let mut late = lab.probe(buffer.push(99));
        let mut barged = late.poll().is_ready();
        lab.settle().await;
        barged = barged || late.poll().is_ready();
        let inside = inside.fetch_add(usize::from(barged), SeqCst) + usize::from(barged);
        lab.expect(inside == capacity)
            .expected(format!("{capacity} inside: full, for others wait to push"))
            .got(format!("{inside} inside"))
            .why(
                "Either a push waits beside room, or it looked, waited, and then put its item in \
                 without another look: meanwhile somebody else had taken the room.",
            )
            .pitfall("shared-state-race")
            .or_fail();
    }
    for producer in producers {
        producer.abort();
    }
}

async fn first_come(lab: Lab) {
    let why = "What becomes free belongs to whoever has waited longest, and still waits. If it is \
               left for anybody to take, it goes to whoever runs first.";
    let notes = Notes::new(&lab);
    let line = buffer(5);
    let mut consumers = Vec::new();
    for who in 0..5 {
        let (buffer, notes) = (Arc::clone(&line), notes.clone());
        consumers.push(tokio::spawn(async move {
            let item: Option<u32> = buffer.pop().await;
            notes.note(format!("item {} to {who}", item.unwrap_or(99)));
        }));
        lab.settle().await;
    }
    consumers.remove(2).abort();
    for item in 0..4 {
        sleep(ms(10)).await;
        let _ = line.push(item).await;
    }
    lab.settle().await;
    notes.expect(
        "item 0 to 0@10, item 1 to 1@20, item 2 to 3@30, item 3 to 4@40",
        why,
        "shared-state-race",
    );

    let items = buffer(1);
    let mut waiter = lab.probe(items.pop());
    expect_waiting(&lab, &waiter.poll(), "a pop from an empty buffer");
    let _ = items.push(7).await;
    let mut newcomer = lab.probe(items.pop());
    let barged = ready_now(&lab, &mut newcomer).await;
    let served = ready_now(&lab, &mut waiter).await;
    lab.expect_eq(&(served, barged), &(Some(Some(7)), None))
        .expected("the pop that waited gets the item; one that comes after the push waits")
        .got(format!("the waiter: {served:?}, the newcomer: {barged:?}"))
        .why(why)
        .pitfall("shared-state-race")
        .or_fail();

    let room = buffer(1);
    let _ = room.push(0).await;
    let mut waiter = lab.probe(room.push(1));
    expect_waiting(&lab, &waiter.poll(), "a push into a full buffer");
    let _ = room.pop().await;
    let mut newcomer = lab.probe(room.push(2));
    let barged = ready_now(&lab, &mut newcomer).await.is_some();
    let served = ready_now(&lab, &mut waiter).await.is_some();
    lab.expect(served && !barged)
        .expected("the push that waited gets the room; one that comes after the pop waits")
        .got(if barged {
            "the newcomer got the room"
        } else {
            "neither of them got the room"
        })
        .why(why)
        .pitfall("shared-state-race")
        .or_fail();
}

async fn dropped_waiter(lab: Lab) {
    let why = "A waiter that is dropped must leave nothing behind: no count, no reserved place, no \
               item on its way to somebody who is gone.";
    lab.cancel_sweep(async |cancel: Cancel| {
        let buffer = buffer(1);
        let _ = buffer.push(0).await;
        let popping = {
            let buffer = Arc::clone(&buffer);
            tokio::spawn(async move {
                sleep(ms(20)).await;
                buffer.pop().await
            })
        };
        let pushed = cancel.drop_at(buffer.push(1)).await;
        let first = joined(popping).await;
        if pushed.is_none() {
            let _ = soon(&lab, "push", buffer.push(2), why, "cancellation-ignored").await;
        }
        let second = soon(&lab, "pop", buffer.pop(), why, "cancellation-ignored").await;
        let expected = if pushed.is_none() { 2 } else { 1 };
        lab.expect_eq(&(first, second), &(Some(0), Some(expected)))
            .expected("a push that was dropped has put nothing in")
            .got(format!("first out: {first:?}, then: {second:?}"))
            .why(why)
            .pitfall("cancellation-ignored")
            .or_fail();
    })
    .await;
    lab.cancel_sweep(async |cancel: Cancel| {
        let buffer = buffer(1);
        let pushing = {
            let buffer = Arc::clone(&buffer);
            tokio::spawn(async move {
                sleep(ms(20)).await;
                let _ = buffer.push(7).await;
            })
        };
        let mut popped = cancel.drop_at(buffer.pop()).await;
        joined(pushing).await;
        if popped.is_none() {
            popped = Some(soon(&lab, "pop", buffer.pop(), why, "cancellation-ignored").await);
        }
        lab.expect_eq(&popped, &Some(Some(7)))
            .expected("a pop that was dropped has taken nothing: the next one gets the item")
            .why(why)
            .pitfall("cancellation-ignored")
            .or_fail();
    })
    .await;
}

async fn woken_and_dropped(lab: Lab) {
    let why = "The turn went to a waiter that was dropped before it ran again. What is on its way \
               to somebody has to pass on to the next, or stay where it was.";
    let items = buffer(1);
    let mut first = lab.probe(items.pop());
    expect_waiting(&lab, &first.poll(), "a pop from an empty buffer");
    let second = {
        let buffer = Arc::clone(&items);
        tokio::spawn(async move { buffer.pop().await })
    };
    lab.settle().await;
    let _ = items.push(7).await;
    lab.settle().await;
    drop(first);
    let popped = soon(
        &lab,
        "the pop behind it",
        joined(second),
        why,
        "lost-wakeup",
    )
    .await;
    lab.expect_eq(&popped, &Some(7))
        .why(why)
        .pitfall("lost-wakeup")
        .or_fail();

    let room = buffer(1);
    let _ = room.push(0).await;
    let mut first = lab.probe(room.push(1));
    expect_waiting(&lab, &first.poll(), "a push into a full buffer");
    let second = {
        let buffer = Arc::clone(&room);
        tokio::spawn(async move { buffer.push(2).await })
    };
    lab.settle().await;
    let _ = room.pop().await;
    lab.settle().await;
    drop(first);
    let _ = soon(
        &lab,
        "the push behind it",
        joined(second),
        why,
        "lost-wakeup",
    )
    .await;
    let popped = soon(&lab, "pop", room.pop(), why, "lost-wakeup").await;
    lab.expect_eq(&popped, &Some(2))
        .expected("Some(2): a push that was dropped has put nothing in")
        .why(why)
        .pitfall("cancellation-ignored")
        .or_fail();
}

// ----------------------------------------------------------------- task 3

async fn close_wakes(lab: Lab) {
    let notes = Notes::new(&lab);
    let (empty, full) = (buffer(1), buffer(1));
    let _ = full.push(0).await;
    let mut tasks = Vec::new();
    for who in 1..=3 {
        let (buffer, own) = (Arc::clone(&empty), notes.clone());
        tasks.push(tokio::spawn(async move {
            let item: Option<u32> = buffer.pop().await;
            own.note(format!("pop {who}: {item:?}"));
        }));
        let (buffer, own) = (Arc::clone(&full), notes.clone());
        tasks.push(tokio::spawn(async move {
            let pushed = buffer.push(who).await;
            own.note(format!("push {who}: {pushed:?}"));
        }));
    }
    sleep(ms(30)).await;
    empty.close();
    full.close();
    lab.settle().await;
    let expected = "pop 1: None@30, pop 2: None@30, pop 3: None@30, push 1: Err(Closed(1))@30, \
                    push 2: Err(Closed(2))@30, push 3: Err(Closed(3))@30";
    let mut got: Vec<_> = {
        let notes = notes.notes.lock().expect("nobody panics here");
        let notes = notes.iter();
        notes
            .map(|(at_ms, what)| format!("{what}@{at_ms}"))
            .collect()
    };
    got.sort_unstable();
    let got = got.join(", ");
    lab.expect(got == expected)
        .expected(shown(expected))
        .got(shown(&got))
        .why(
            "After the close nobody brings an item or makes room: whoever is not woken by the \
             close itself sleeps for ever. A push that is woken so gets its item back.",
        )
        .pitfall("lost-wakeup")
        .or_fail();
    for task in tasks {
        task.abort();
    }
}

const POP_STUCK: &str = "After the close a pop never waits: it gets what is left, or `None`.";

async fn close_keeps_items(lab: Lab) {
    let buffer = buffer(3);
    for item in 0..3 {
        let _ = buffer.push(item).await;
    }
    let mut waiter = lab.probe(buffer.push(3));
    expect_waiting(&lab, &waiter.poll(), "a push into a full buffer");
    buffer.close();
    lab.settle().await;
    let mut popped = Vec::new();
    for _ in 0..5 {
        popped.push(soon(&lab, "pop", buffer.pop(), POP_STUCK, "lost-wakeup").await);
    }
    lab.expect_eq(&popped, &vec![Some(0), Some(1), Some(2), None, None])
        .why(
            "`close` ends the pushing. Items that were accepted before are as good as ever, and \
             `None` means that none is left.",
        )
        .pitfall("leaked-resource")
        .or_fail();
}

async fn closed_takes_nothing(lab: Lab) {
    let buffer = buffer(2);
    let _ = buffer.push(1).await;
    buffer.close();
    buffer.close();
    let why = "The buffer has room, but it is closed.";
    let pushed = soon(&lab, "push", buffer.push(2), why, "lost-wakeup").await;
    lab.expect_eq(&pushed, &Err(Closed(2)))
        .why(why)
        .pitfall("wrong-result")
        .or_fail();
    let first = soon(&lab, "pop", buffer.pop(), POP_STUCK, "lost-wakeup").await;
    let second = soon(&lab, "pop", buffer.pop(), POP_STUCK, "lost-wakeup").await;
    let popped = [first, second];
    lab.expect_eq(&popped, &[Some(1), None])
        .why("What was refused must not come out, and what a pop takes makes no new room.")
        .pitfall("wrong-result")
        .or_fail();
    let pushed = soon(&lab, "push", buffer.push(3), why, "lost-wakeup").await;
    lab.expect_eq(&pushed, &Err(Closed(3)))
        .why("Closed is closed: also when all items are out.")
        .pitfall("wrong-result")
        .or_fail();
}

// ----------------------------------------------------------------- task 4

/// A limiter whose window is 100 ms, and the sender of its limit.
fn limiter(limit: usize) -> (Arc<RateLimiter>, watch::Sender<usize>) {
    let (sender, receiver) = watch::channel(limit);
    (Arc::new(RateLimiter::new(ms(100), receiver)), sender)
}

/// One call in a task of its own, which notes when it went through.
fn call(limiter: &Arc<RateLimiter>, notes: &Notes, who: impl Display) -> JoinHandle<()> {
    let (limiter, notes, who) = (Arc::clone(limiter), notes.clone(), who.to_string());
    tokio::spawn(async move {
        limiter.acquire().await;
        notes.note(who);
    })
}

async fn limiter_window(lab: Lab) {
    let (limiter, _limit) = limiter(3);
    let notes = Notes::new(&lab);
    for who in 1..=8 {
        call(&limiter, &notes, who);
    }
    sleep(ms(1000)).await;
    for who in 9..=12 {
        call(&limiter, &notes, who);
    }
    sleep(ms(1000)).await;
    notes.expect(
        "1@0, 2@0, 3@0, 4@100, 5@100, 6@100, 7@200, 8@200, 9@1000, 10@1000, 11@1000, 12@1100",
        "The limit is 3 in 100 ms. With room in the window a call goes through at once, several \
         together; without it, the moment a call of the window is 100 ms old. Room is not saved \
         up over an idle time.",
        "wrong-result",
    );
}

async fn limiter_sliding(lab: Lab) {
    let allowed = usize::try_from(lab.pick(1..=4)).expect("a small number");
    let (limiter, _limit) = limiter(allowed);
    let notes = Notes::new(&lab);
    let mut through: Vec<u64> = Vec::new();
    for who in 0..16_usize {
        sleep(ms(lab.pick(1..=60))).await;
        call(&limiter, &notes, who);
        // Not before the one ahead, and when the `allowed`th before it is old.
        let ahead = through.last().copied().unwrap_or(0);
        let leaves = who
            .checked_sub(allowed)
            .map_or(0, |before| through[before] + 100);
        through.push(lab.now_ms().max(ahead).max(leaves));
    }
    sleep(ms(3000)).await;
    let expected: Vec<_> = through
        .iter()
        .enumerate()
        .map(|(who, at_ms)| format!("{who}@{at_ms}"))
        .collect();
    notes.expect(
        &expected.join(", "),
        &format!(
            "The limit is {allowed} in any 100 ms, wherever they begin. Windows that begin at \
             fixed times let twice as many through around the border between two."
        ),
        "shared-state-race",
    );
}

async fn limiter_in_order(lab: Lab) {
    let (limiter, _limit) = limiter(1);
    let notes = Notes::new(&lab);
    for who in ["a", "b", "c", "d"] {
        call(&limiter, &notes, who);
        lab.settle().await;
    }
    sleep(ms(100)).await;
    let mut newcomer = lab.probe(limiter.acquire());
    let barged = newcomer.poll().is_ready();
    lab.settle().await;
    drop(newcomer);
    lab.expect(!barged)
        .expected("who calls at 100 ms waits: b came earlier, and waits for that room")
        .got("the newcomer went through, and b waits on")
        .why("Room in the window belongs to whoever has waited longest, not to who looks first.")
        .pitfall("shared-state-race")
        .or_fail();
    sleep(ms(500)).await;
    notes.expect(
        "a@0, b@100, c@200, d@300",
        "They came in the order a, b, c, d. Room in the window belongs to whoever has waited \
         longest.",
        "shared-state-race",
    );
}

async fn limiter_gives_up(lab: Lab) {
    let why = "A call that is dropped while it waits has not gone through. What it had booked, or \
               its place in the line, must go with it.";
    let (shared, _limit) = limiter(1);
    let notes = Notes::new(&lab);
    call(&shared, &notes, "a");
    lab.settle().await;
    let gives_up = call(&shared, &notes, "b");
    lab.settle().await;
    call(&shared, &notes, "c");
    lab.settle().await;
    sleep(ms(50)).await;
    gives_up.abort();
    sleep(ms(500)).await;
    notes.expect("a@0, c@100", why, "cancellation-ignored");

    lab.cancel_sweep(async |cancel: Cancel| {
        let (limiter, _limit) = limiter(1);
        limiter.acquire().await;
        let began_ms = lab.now_ms();
        let went_through = cancel.drop_at(limiter.acquire()).await.is_some();
        let expected = if went_through { 200 } else { 100 };
        let next = soon(
            &lab,
            "acquire",
            limiter.acquire(),
            why,
            "cancellation-ignored",
        );
        next.await;
        lab.expect_took(ms(lab.now_ms() - began_ms), expected)
            .why(why)
            .pitfall("cancellation-ignored")
            .or_fail();
    })
    .await;
}

async fn limit_raised(lab: Lab) {
    let (limiter, limit) = limiter(1);
    let notes = Notes::new(&lab);
    for _ in 1..=6 {
        call(&limiter, &notes, "call");
    }
    sleep(ms(50)).await;
    let _ = limit.send(3);
    sleep(ms(1000)).await;
    notes.expect(
        "call@0, call@50, call@50, call@100, call@150, call@150",
        "At 50 ms the limit rises from 1 to 3, so there is room for two more at once. Whoever \
         waits for the window has to wait for a new limit as well.",
        "lost-wakeup",
    );
}

async fn limit_lowered(lab: Lab) {
    let (limiter, limit) = limiter(4);
    let notes = Notes::new(&lab);
    for _ in 1..=8 {
        call(&limiter, &notes, "call");
    }
    sleep(ms(50)).await;
    let _ = limit.send(1);
    sleep(ms(160)).await;
    let _ = limit.send(0);
    sleep(ms(240)).await;
    let _ = limit.send(2);
    sleep(ms(1000)).await;
    notes.expect(
        "call@0, call@0, call@0, call@0, call@100, call@200, call@450, call@450",
        "The limit falls from 4 to 1 at 50 ms, to 0 at 210 ms, and rises to 2 at 450 ms. It is \
         the limit of the moment that lets a call through, not that of the moment when it came.",
        "shared-state-race",
    );
}

async fn limit_orphaned(lab: Lab) {
    lab.allow_polls(2_000); // each of them may be a whole budget of `changed`
    let (limiter, limit) = limiter(1);
    let notes = Notes::new(&lab);
    let _ = limit.send(2);
    for who in 1..=5 {
        call(&limiter, &notes, who);
    }
    sleep(ms(50)).await;
    drop(limit);
    sleep(ms(1000)).await;
    notes.expect(
        "1@0, 2@0, 3@100, 4@100, 5@200",
        "The sender sent 2 and went. `changed` then fails at once, again and again: that says \
         that nothing will change any more, not that the limiting is over.",
        "busy-loop",
    );
}
