//! Starting a process: refused while a check runs, and told with the line that tried.

use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::next;
use crate::blocked;

static REFUSED: AtomicBool = AtomicBool::new(false);

type Words = *const *mut c_char;
type Spawn = unsafe extern "C" fn(
    *mut libc::pid_t,
    *const c_char,
    *const c_void,
    *const c_void,
    Words,
    Words,
) -> c_int;
type Fork = unsafe extern "C" fn() -> libc::pid_t;
type Exec = unsafe extern "C" fn(*const c_char, Words) -> c_int;

pub(super) fn link() {
    std::hint::black_box(posix_spawnp as *const ());
    std::hint::black_box(posix_spawn as *const ());
    std::hint::black_box(fork as *const ());
    std::hint::black_box(execvp as *const ());
}

/// From now on no process is started.
pub(crate) fn refuse() {
    REFUSED.store(true, SeqCst);
}

/// Whether no process is started any more.
pub(super) fn are_refused() -> bool {
    REFUSED.load(SeqCst)
}

/// Whether to refuse; if so, it is told.
fn refused() -> bool {
    let refused = are_refused();
    if refused {
        blocked::started_process();
        // SAFETY: libc gives the address of the calling thread's own `errno`.
        unsafe { *libc::__errno_location() = libc::EPERM };
    }
    refused
}

/// What std's `Command` calls for a program that is named by its path.
///
/// # Safety
/// As the C function's.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawn(
    child: *mut libc::pid_t,
    path: *const c_char,
    actions: *const c_void,
    attributes: *const c_void,
    arguments: Words,
    environment: Words,
) -> c_int {
    static REAL: OnceLock<Spawn> = OnceLock::new();
    if refused() {
        return libc::EPERM;
    }
    // SAFETY: the type is the one in libc's header; the rest is the caller's promise.
    unsafe {
        let real =
            *REAL.get_or_init(|| std::mem::transmute::<*mut c_void, Spawn>(next(c"posix_spawn")));
        real(child, path, actions, attributes, arguments, environment)
    }
}

/// What std's `Command` calls for a program that is looked up in `PATH`.
///
/// # Safety
/// As the C function's.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_spawnp(
    child: *mut libc::pid_t,
    file: *const c_char,
    actions: *const c_void,
    attributes: *const c_void,
    arguments: Words,
    environment: Words,
) -> c_int {
    static REAL: OnceLock<Spawn> = OnceLock::new();
    if refused() {
        return libc::EPERM;
    }
    // SAFETY: the type is the one in libc's header; the rest is the caller's promise.
    unsafe {
        let real =
            *REAL.get_or_init(|| std::mem::transmute::<*mut c_void, Spawn>(next(c"posix_spawnp")));
        real(child, file, actions, attributes, arguments, environment)
    }
}

/// What std's `Command` calls where `posix_spawn` cannot do what was asked.
///
/// # Safety
/// As the C function's.
#[unsafe(no_mangle)]
unsafe extern "C" fn fork() -> libc::pid_t {
    static REAL: OnceLock<Fork> = OnceLock::new();
    if refused() {
        return -1;
    }
    // SAFETY: the type is the one in libc's header; the rest is the caller's promise.
    unsafe { REAL.get_or_init(|| std::mem::transmute::<*mut c_void, Fork>(next(c"fork")))() }
}

/// What std's `CommandExt::exec` calls.
///
/// # Safety
/// As the C function's.
#[unsafe(no_mangle)]
unsafe extern "C" fn execvp(file: *const c_char, arguments: Words) -> c_int {
    static REAL: OnceLock<Exec> = OnceLock::new();
    if refused() {
        return -1;
    }
    // SAFETY: the type is the one in libc's header; the rest is the caller's promise.
    unsafe {
        REAL.get_or_init(|| std::mem::transmute::<*mut c_void, Exec>(next(c"execvp")))(
            file, arguments,
        )
    }
}
