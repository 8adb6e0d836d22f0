//! `std::thread::sleep` on the runtime's thread: told at once, and not slept.

use std::ffi::c_int;

use super::on_runtime;
use crate::blocked;
use crate::world::World;

pub(super) fn link() {
    std::hint::black_box(clock_nanosleep as *const ());
}

/// What std's `thread::sleep` calls on Linux.
///
/// # Safety
/// As the C function's: `request` points to a time, `remain` to room for one or is null.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_nanosleep(
    clock: c_int,
    flags: c_int,
    request: *const libc::timespec,
    remain: *mut libc::timespec,
) -> c_int {
    if on_runtime() {
        blocked::slept();
        return 0;
    }
    let world = World::current();
    if let Some(world) = &world {
        world.pulse.set_job_sleeps(true);
    }
    // SAFETY: the caller's promise, passed on as it is.
    let result = unsafe { libc::syscall(libc::SYS_clock_nanosleep, clock, flags, request, remain) };
    let error = std::io::Error::last_os_error();
    if let Some(world) = &world {
        world.pulse.set_job_sleeps(false);
    }
    if result == 0 {
        return 0;
    }
    // The C function returns the error, the system call leaves it in `errno`.
    error.raw_os_error().unwrap_or(libc::EINTR)
}
