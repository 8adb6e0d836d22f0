//! System calls that a run answers itself: sleeping on the runtime's thread, and random numbers.
#![expect(
    unsafe_code,
    reason = "defining a C function is the one way to see std's sleeps and random numbers"
)]

use std::cell::Cell;
use std::ffi::{c_int, c_uint, c_void};

use crate::world::mix;

thread_local! {
    static ON_RUNTIME: Cell<bool> = const { Cell::new(false) };
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

/// Fixes every random number that the calling thread asks the system for.
pub(crate) fn seed_thread(seed: u64) {
    RANDOM.with(|cell| cell.set(Some((seed, 0))));
}

/// Makes sure that the linker keeps the functions below.
pub(crate) fn link() {
    std::hint::black_box(clock_nanosleep as *const ());
    std::hint::black_box(getrandom as *const ());
}

/// What std's `thread::sleep` calls.
///
/// # Safety
/// As the C function's: `request` points to a time, `remain` to room for one or is null.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_nanosleep(
    clock: c_int,
    flags: c_int,
    request: *const libc::timespec,
    remain: *mut libc::timespec,
) -> c_int {
    if on_runtime() {
        crate::runtime::slept();
        return 0;
    }
    // SAFETY: the caller's promise, passed on as it is.
    let result = unsafe { libc::syscall(libc::SYS_clock_nanosleep, clock, flags, request, remain) };
    if result == 0 {
        return 0;
    }
    std::io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EINTR)
}

/// What std's `RandomState` and the random crates call.
///
/// # Safety
/// As the C function's: `buffer` points to `length` writable bytes.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    let Some((seed, mut drawn)) = RANDOM.try_with(Cell::get).ok().flatten() else {
        // SAFETY: the caller's promise, passed on as it is.
        let count = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
        return isize::try_from(count).unwrap_or(-1);
    };
    // SAFETY: the caller promises `length` writable bytes.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    for chunk in bytes.chunks_mut(8) {
        let word = mix(seed, drawn).to_le_bytes();
        drawn += 1;
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    RANDOM.with(|cell| cell.set(Some((seed, drawn))));
    isize::try_from(length).unwrap_or(-1)
}
