//! C functions that a run answers itself, and the two other things that need `unsafe`.
//!
//! A dynamic linker takes the first definition of a name that it finds, and a test program's
//! come before libc's. So std's `thread::sleep`, its locks and channels, its random numbers
//! its ways to start processes and to reach what lies outside lead here when the code under test uses them. Each function
//! asks first whether the calling thread belongs to a run; everybody else gets the real one.
#![expect(
    unsafe_code,
    reason = "defining a C function is the one way to see what std asks of the system"
)]

#[cfg(interposing)]
mod outside;
#[cfg(interposing)]
mod process;
#[cfg(interposing)]
mod random;
#[cfg(interposing)]
mod sleep;
#[cfg(interposing)]
mod stack;
#[cfg(interposing)]
mod thread;
#[cfg(interposing)]
mod wait;
pub(crate) mod waker;

use std::cell::Cell;

#[cfg(interposing)]
pub(crate) use process::refuse as refuse_processes;
#[cfg(interposing)]
pub(crate) use stack::stack_of;

thread_local! {
    static ON_RUNTIME: Cell<bool> = const { Cell::new(false) };
    static IN_POLL: Cell<bool> = const { Cell::new(false) };
    /// The seed and how many words were drawn from it.
    static RANDOM: Cell<Option<(u64, u64)>> = const { Cell::new(None) };
}

/// Whether the calling thread is a run's own.
pub(crate) fn on_runtime() -> bool {
    ON_RUNTIME.try_with(Cell::get).unwrap_or(false)
}

/// Marks the calling thread as a run's own, or no more.
pub(crate) fn set_on_runtime(yes: bool) {
    ON_RUNTIME.with(|cell| cell.set(yes));
}

/// Marks the calling thread as inside a poll, where waiting for anything blocks the runtime.
pub(crate) fn set_in_poll(yes: bool) {
    let _ = IN_POLL.try_with(|cell| cell.set(yes));
}

#[cfg_attr(
    not(interposing),
    expect(dead_code, reason = "asked by the interposed functions only")
)]
fn in_poll() -> bool {
    on_runtime() && IN_POLL.try_with(Cell::get).unwrap_or(false)
}

/// Fixes every random number that the calling thread asks the system for.
pub(crate) fn seed_thread(seed: u64) {
    RANDOM.with(|cell| cell.set(Some((seed, 0))));
}

/// The definition of a C function that follows ours: libc's.
#[cfg(interposing)]
fn next(name: &std::ffi::CStr) -> *mut std::ffi::c_void {
    // SAFETY: the name is a C string, and `dlsym` may be called from anywhere.
    let function = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    assert!(!function.is_null(), "libc has no {name:?}");
    function
}

/// The raw name of the function at an address in a shared library, if the library exports it.
pub(crate) fn exported_name(address: usize) -> Option<Vec<u8>> {
    // SAFETY: a zeroed `Dl_info` is a valid one; `dladdr` takes any address and fills in
    // strings that live as long as the library, and this process closes none.
    unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        let known =
            libc::dladdr(address as *const _, &raw mut info) != 0 && !info.dli_sname.is_null();
        known.then(|| {
            std::ffi::CStr::from_ptr(info.dli_sname)
                .to_bytes()
                .to_owned()
        })
    }
}

/// Makes sure that the linker keeps the functions, and readies what a signal handler needs.
#[cfg(interposing)]
pub(crate) fn link() {
    sleep::link();
    random::link();
    wait::link();
    process::link();
    outside::link();
    thread::link();
    stack::install();
}

/// Has malloc reserve two arenas and no more: a run leaves threads behind, each would get one,
/// and the address space is limited.
#[cfg(interposing)]
pub(crate) fn few_arenas() {
    // SAFETY: `mallopt` takes two numbers and may be called at any time.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 2) };
}

/// Elsewhere nothing is interposed.
#[cfg(not(interposing))]
pub(crate) fn link() {}

/// Elsewhere malloc is left alone.
#[cfg(not(interposing))]
pub(crate) fn few_arenas() {}

/// Elsewhere processes are left to the grader.
#[cfg(not(interposing))]
pub(crate) fn refuse_processes() {}

/// Elsewhere another thread's stack is out of reach.
#[cfg(not(interposing))]
pub(crate) fn stack_of(_: i32) -> Option<Vec<crate::place::Ip>> {
    None
}

/// Ends the process here and now: no exit handlers, no waiting for threads that never end.
pub(crate) fn end_process() -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(0) }
}
