//! Descendants that left a test process's group: daemons.
//!
//! On Linux this program is a *child subreaper*: whatever loses its parent
//! becomes our child, so that it can be found and killed.

use std::{
    hash::{BuildHasher, RandomState},
    process::Command,
    sync::OnceLock,
};

use super::children;

/// A variable that whatever we started for the learner carries, with a value
/// that a test process cannot know: an editor that becomes an orphan is no daemon.
const GUEST: &str = "KATA_GUEST";

fn pass() -> &'static str {
    static PASS: OnceLock<String> = OnceLock::new();
    PASS.get_or_init(|| format!("{:016x}", RandomState::new().hash_one(0_u8)))
}

/// Lets this command and its descendants live when they lose their parent.
pub fn welcome(command: &mut Command) {
    command.env(GUEST, pass());
}

/// Makes this program the parent of all orphans beneath it; once is enough.
#[cfg(target_os = "linux")]
pub(super) fn adopt() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    });
}

/// Kills every child of ours that we did not start, until none is left.
///
/// Killing one may hand us its own children, hence the loop; the bound stops a
/// fork bomb from keeping us here for ever.
#[cfg(target_os = "linux")]
pub(super) fn kill_all() {
    use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

    for _ in 0..1000 {
        // Under the lock, so that no child of ours is started and seen before it is known.
        let known = children();
        let orphans: Vec<i32> = current_children()
            .into_iter()
            .filter(|id| u32::try_from(*id).is_ok_and(|id| !known.contains(&id)))
            .filter(|id| !is_guest(*id))
            .collect();
        if orphans.is_empty() {
            return;
        }
        for pid in orphans.into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
            let _ = waitpid(Some(pid), WaitOptions::empty());
        }
    }
}

#[cfg(target_os = "linux")]
fn is_guest(id: i32) -> bool {
    let entry = format!("{GUEST}={}", pass());
    std::fs::read(format!("/proc/{id}/environ")).is_ok_and(|all| {
        all.split(|byte| *byte == 0)
            .any(|own| own == entry.as_bytes())
    })
}

#[cfg(target_os = "linux")]
fn current_children() -> Vec<i32> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<i32>>()
        })
        .collect()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn adopt() {}

#[cfg(not(target_os = "linux"))]
pub(super) fn kill_all() {
    let _ = children();
}
