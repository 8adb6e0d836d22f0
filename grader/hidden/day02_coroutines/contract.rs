//! The public shapes of day 2.

use exercise::{Countdown, Join2, OneShotCell, Sender, SenderDropped, block_on, one_shot_cell};
use std::future::Ready;

/// Accepts futures with this output that may run in a spawned task.
fn spawnable<F: Future<Output = T> + Send + 'static, T>(_: &F) {}

fn sendable<T: Send + 'static>(_: &T) {}

/// Task 1.
pub fn countdown() {
    let countdown: Countdown = Countdown::new(3_u32);
    spawnable::<_, u32>(&countdown);
}

/// Task 2.
pub fn cell() {
    let (sender, cell): (Sender<String>, OneShotCell<String>) = one_shot_cell::<String>();
    spawnable::<_, Result<String, SenderDropped>>(&cell);
    sendable(&sender);
    let _: Result<(), String> = sender.send(String::new());
}

/// Task 3.
pub fn join(left: Ready<u8>, right: Ready<String>) {
    let join: Join2<Ready<u8>, Ready<String>> = Join2::new(left, right);
    spawnable::<_, (u8, String)>(&join);
}

/// Tasks 3 and 4: futures that borrow, and futures that are neither `Send` nor `Unpin`.
pub fn any_future(word: &str) {
    let local = std::rc::Rc::new(7_usize);
    let borrowing = async { word.len() };
    let not_send = async move { *local };
    let _: (usize, usize) = block_on(Join2::new(borrowing, not_send));
}
