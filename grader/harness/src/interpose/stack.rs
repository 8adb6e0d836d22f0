//! The stack of another thread: a signal has it write down where it stands.

use std::ffi::c_int;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use crate::place::Ip;

const MAX_FRAMES: usize = 200;
const SIGNAL: c_int = libc::SIGPROF;
/// A thread that does not answer for so long gets no time from a very busy machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// Two words for each frame, instruction and start of the function, filled by the handler.
static FRAMES: [[AtomicUsize; 2]; MAX_FRAMES] =
    [const { [const { AtomicUsize::new(0) }; 2] }; MAX_FRAMES];
/// How many frames were filled, plus one; 0 while the handler has not run.
static FILLED: AtomicUsize = AtomicUsize::new(0);

/// Readies the signal's handler.
pub(super) fn install() {
    // SAFETY: a zeroed `sigaction` is a valid one; the handler only walks the stack and
    // stores to atomics, and glibc's and libgcc's unwinders take no lock and no memory.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handle as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(SIGNAL, &raw const action, std::ptr::null_mut());
    }
}

extern "C" fn handle(_: c_int) {
    let mut count = 0;
    // SAFETY: `stack_of` lets one thread at a time get here, and nobody else walks a stack
    // through this crate's unsynchronized way.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            FRAMES[count][0].store(frame.ip() as usize, SeqCst);
            FRAMES[count][1].store(frame.symbol_address() as usize, SeqCst);
            count += 1;
            count < MAX_FRAMES
        });
    }
    FILLED.store(count + 1, SeqCst);
}

/// Where the thread stands now, innermost frame first; `None` if it does not answer.
pub(crate) fn stack_of(thread_id: i32) -> Option<Vec<Ip>> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().ok()?;
    FILLED.store(0, SeqCst);
    // SAFETY: `tgkill` takes three numbers; a thread that is gone is an error, no harm.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread_id, SIGNAL) };
    if sent != 0 {
        return None;
    }
    let glance = Duration::from_micros(200);
    for _ in 0..PATIENCE.as_micros() / glance.as_micros() {
        let filled = FILLED.load(SeqCst);
        if filled > 0 {
            let frames = FRAMES.iter().take(filled - 1);
            return Some(
                frames
                    .map(|[ip, start]| Ip {
                        ip: ip.load(SeqCst),
                        start: start.load(SeqCst),
                    })
                    .collect(),
            );
        }
        thread::sleep(glance);
    }
    None
}
