//! `kill -9` at any moment.

use std::time::{Duration, Instant};

use super::{
    child::{start, state, writes},
    workspace::Workspace,
};

const WRITES: u64 = 1000;

#[test]
fn a_killed_process_leaves_a_written_state_and_loses_nothing_acknowledged() {
    let workspace = Workspace::new();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut kills = 0;
    let mut known = 0;
    while known < WRITES {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (mut child, mut said) = start("write for ever", workspace.root());
        let patience = usize::try_from(random % 40).unwrap();
        let last = said.by_ref().nth(patience).expect("it writes for ever");
        spin(Duration::from_micros(random / 40 % 5000));
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged = said.last().unwrap_or(last);
        kills += 1;

        let progress = workspace.load_quietly();
        known = writes(&progress);
        assert!(
            known == acknowledged || known == acknowledged + 1,
            "{acknowledged} were acknowledged, {known} are there"
        );
        assert!(progress == state(known), "no state that was ever written");
    }
    println!("{kills} kills in {known} writes");
    // Whatever the last one left is cleared away.
    workspace.update(|progress| *progress = state(known + 1));
    assert_eq!(workspace.names(), [".kata", "progress.json"]);
}

/// Waits for less than a sleep can.
fn spin(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        std::hint::spin_loop();
    }
}
