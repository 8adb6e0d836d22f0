//! Descendants that left a test process's group: daemons.
//!
//! On Linux this program is a *child subreaper*: whatever loses its parent
//! becomes our child, so that it can be found and killed.

use super::children;

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
