//! Child processes: each in its own group, each killed with all its descendants.

mod cancel;
mod capture;
mod check;
mod gate;
mod orphans;

pub use cancel::{Cancel, Cancelled};
pub use capture::{Captured, Limits, Line, capture, capture_lines, capture_within};
pub use check::{CheckExit, CheckRun, run_check};
pub use gate::{Gate, gate};
pub use orphans::welcome;

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::process::{Pid, Signal, kill_process_group};

/// The children that this program started and has not yet reaped. Whatever else
/// turns up as a child of ours is an orphan of a test process.
static CHILDREN: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn children() -> MutexGuard<'static, Vec<u32>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A command without a standard input, in a process group of its own.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where children are made"
)]
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).process_group(0);
    command
}

/// A command in this program's own process group: the terminal is its, too, until it ends.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where children are made"
)]
pub fn foreground(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}

/// A started child; dropping it kills its group and reaps it.
struct Group {
    child: Child,
    pid: Pid,
}

impl Group {
    fn spawn(command: &mut Command) -> std::io::Result<Self> {
        // Under the lock, so that nobody takes the new child for an orphan.
        let mut children = children();
        let child = command.spawn()?;
        children.push(child.id());
        let pid = Pid::from_child(&child);
        Ok(Self { child, pid })
    }

    fn kill(&self) {
        kill_group(self.pid);
    }

    fn wait(&mut self) -> std::io::Result<std::process::ExitStatus> {
        self.child.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The group may outlive its leader: kill it before the leader's number is given away.
        self.kill();
        let _ = self.child.wait();
        let id = self.child.id();
        children().retain(|child| *child != id);
    }
}

/// Kills a process group; one that is gone already is fine.
fn kill_group(pid: Pid) {
    let _ = kill_process_group(pid, Signal::KILL);
}
