//! Random numbers that follow from the seed: the order of hash maps, jitter, unbiased choices.

use std::ffi::{c_uint, c_void};

use super::RANDOM;
use crate::world::mix;

pub(super) fn link() {
    std::hint::black_box(getrandom as *const ());
}

/// What std's `RandomState` and the random crates call.
///
/// # Safety
/// As the C function's: `buffer` points to `length` writable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    let Some((seed, mut drawn)) = RANDOM.try_with(std::cell::Cell::get).ok().flatten() else {
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
