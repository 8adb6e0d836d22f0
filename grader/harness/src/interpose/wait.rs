//! Waits of the operating system on the runtime's thread: std locks, channels, joins.
//!
//! std waits through `syscall(SYS_futex, …)`. A wait inside a poll is no mistake in itself:
//! a job on the blocking pool may hold a lock for a moment. It is one for certain when no
//! other thread is left that could end it, and that is known at once.

use std::ffi::{c_int, c_long, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use super::{in_poll, next, set_in_poll};
use crate::blocked;
use crate::threads;

type Syscall =
    unsafe extern "C" fn(c_long, c_long, c_long, c_long, c_long, c_long, c_long) -> c_long;
type Join = unsafe extern "C" fn(libc::pthread_t, *mut *mut c_void) -> c_int;

/// How long to wait before looking again whether anybody is left.
const GLANCE: libc::timespec = libc::timespec {
    tv_sec: 0,
    tv_nsec: 2_000_000,
};
/// After so many looks the wait is a real one, and the watchdog tells if it has no end.
const LOOKS: u32 = 100;

pub(super) fn link() {
    std::hint::black_box(syscall as *const ());
    std::hint::black_box(pthread_join as *const ());
    real_syscall();
    real_join();
}

fn real_syscall() -> Syscall {
    static REAL: OnceLock<Syscall> = OnceLock::new();
    *REAL.get_or_init(|| {
        // SAFETY: libc's function takes a system call's number and up to six words.
        unsafe { std::mem::transmute::<*mut c_void, Syscall>(next(c"syscall")) }
    })
}

fn real_join() -> Join {
    static REAL: OnceLock<Join> = OnceLock::new();
    *REAL.get_or_init(|| {
        // SAFETY: the type is the one in libc's header.
        unsafe { std::mem::transmute::<*mut c_void, Join>(next(c"pthread_join")) }
    })
}

/// What std's locks, channels and parking call. libc's is variadic; every system call takes at
/// most six words, which Linux passes in registers whether or not the callee is variadic.
///
/// # Safety
/// As the C function's: the words are what the system call `number` asks for.
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: c_long,
    first: c_long,
    second: c_long,
    third: c_long,
    fourth: c_long,
    fifth: c_long,
    sixth: c_long,
) -> c_long {
    if number == libc::SYS_futex && in_poll() && is_wait(second) {
        // SAFETY: a wait's first word points to a futex, says our caller.
        let word = unsafe { &*(first as *const AtomicU32) };
        set_in_poll(false); // what we ask of the system meanwhile is our own affair
        let answer = wait(word, second, third, fourth != 0);
        set_in_poll(true);
        if let Some(answer) = answer {
            return answer;
        }
    }
    // SAFETY: the caller's promise, passed on as it is.
    unsafe { real_syscall()(number, first, second, third, fourth, fifth, sixth) }
}

fn is_wait(operation: c_long) -> bool {
    let operation = c_int::try_from(operation).unwrap_or(0) & libc::FUTEX_CMD_MASK;
    operation == libc::FUTEX_WAIT || operation == libc::FUTEX_WAIT_BITSET
}

/// Waits for a futex inside a poll. `None`: the real wait shall follow.
fn wait(word: &AtomicU32, operation: c_long, expected: c_long, timed: bool) -> Option<c_long> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a futex has 32 bits"
    )]
    let expected = expected as u32;
    let operation = operation & c_long::from(libc::FUTEX_PRIVATE_FLAG);
    for _ in 0..LOOKS {
        if word.load(SeqCst) != expected {
            set_errno(libc::EAGAIN);
            return Some(-1);
        }
        if timed {
            // It would come back, but in real time, and meanwhile nothing else runs.
            blocked::waited();
            return None;
        }
        if threads::nobody_else_runs() && word.load(SeqCst) == expected {
            blocked::waited();
            return None;
        }
        if !threads::can_tell() {
            return None;
        }
        // SAFETY: a futex wait reads the word, for which we hold a reference, and the time.
        let answer = unsafe {
            real_syscall()(
                libc::SYS_futex,
                std::ptr::from_ref(word) as c_long,
                c_long::from(libc::FUTEX_WAIT) | operation,
                c_long::from(expected),
                std::ptr::from_ref(&GLANCE) as c_long,
                0,
                0,
            )
        };
        if answer == 0 {
            return Some(0);
        }
    }
    None
}

fn set_errno(error: c_int) {
    // SAFETY: libc gives the address of the calling thread's own `errno`.
    unsafe { *libc::__errno_location() = error }
}

/// What std's `JoinHandle::join` calls.
///
/// # Safety
/// As the C function's: the thread is joinable, `value` is null or points to a pointer.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_join(thread: libc::pthread_t, value: *mut *mut c_void) -> c_int {
    if in_poll() {
        blocked::waited();
    }
    // SAFETY: the caller's promise, passed on as it is.
    unsafe { real_join()(thread, value) }
}
