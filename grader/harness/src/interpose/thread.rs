//! Threads that the code under test starts: virtual time cannot see them.

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

use super::{in_poll, next};
use crate::place::Stack;
use crate::world::World;

type Start = extern "C" fn(*mut c_void) -> *mut c_void;
type Create = unsafe extern "C" fn(
    *mut libc::pthread_t,
    *const libc::pthread_attr_t,
    Start,
    *mut c_void,
) -> c_int;

pub(super) fn link() {
    std::hint::black_box(pthread_create as *const ());
}

/// What std calls to start a thread, tokio's pool included.
///
/// # Safety
/// As the C function's.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    static REAL: OnceLock<Create> = OnceLock::new();
    if in_poll()
        && let Some(world) = World::current()
    {
        world.written().threads.push(Stack::here());
    }
    // SAFETY: the type is the one in libc's header; the rest is the caller's promise.
    unsafe {
        let real = *REAL
            .get_or_init(|| std::mem::transmute::<*mut c_void, Create>(next(c"pthread_create")));
        real(thread, attributes, start, argument)
    }
}
