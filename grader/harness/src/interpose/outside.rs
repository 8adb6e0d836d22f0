//! What Landlock does not know of: sockets, and who may do what with a file. Refused while a check
//! runs, wherever the file lies.

use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;

use super::{next, process};

pub(super) fn link() {
    std::hint::black_box(LINKED);
}

/// Defines C functions that fail with `EPERM` once processes are refused, too.
macro_rules! refuse {
    ($($name:ident($($argument:ident: $kind:ty),*);)*) => {
        /// So that the linker keeps them.
        const LINKED: [*const (); [$(stringify!($name)),*].len()] = [$($name as *const ()),*];

        $(
            /// As std calls it.
            ///
            /// # Safety
            /// As the C function's.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name($($argument: $kind),*) -> c_int {
                type Real = unsafe extern "C" fn($($kind),*) -> c_int;
                static REAL: OnceLock<Real> = OnceLock::new();
                if process::are_refused() {
                    // SAFETY: libc gives the address of the calling thread's own `errno`.
                    unsafe { *libc::__errno_location() = libc::EPERM };
                    return -1;
                }
                let name = concat!(stringify!($name), "\0");
                let name = std::ffi::CStr::from_bytes_with_nul(name.as_bytes());
                // SAFETY: the type is the one in libc's header; the rest is the caller's promise.
                unsafe {
                    let real = *REAL.get_or_init(|| {
                        let real = next(name.expect("it ends where it should"));
                        std::mem::transmute::<*mut c_void, Real>(real)
                    });
                    real($($argument),*)
                }
            }
        )*
    };
}

refuse! {
    socket(domain: c_int, kind: c_int, protocol: c_int);
    chmod(path: *const c_char, mode: libc::mode_t);
    fchmod(file: c_int, mode: libc::mode_t);
    fchmodat(folder: c_int, path: *const c_char, mode: libc::mode_t, flags: c_int);
    chown(path: *const c_char, user: libc::uid_t, group: libc::gid_t);
    lchown(path: *const c_char, user: libc::uid_t, group: libc::gid_t);
    fchown(file: c_int, user: libc::uid_t, group: libc::gid_t);
    futimens(file: c_int, times: *const libc::timespec);
    utimensat(folder: c_int, path: *const c_char, times: *const libc::timespec, flags: c_int);
}
