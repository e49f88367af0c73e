//! Uses small memory pages, and gives unused ones back soon.
//!
//! The allocator asks for huge pages, and the first touch of a huge page clears 2 MiB at once: a worker whose cache grows then
//! stands still for 0.1 to 6 ms, depending on the machine. Answers cost the same either way, and with small pages less unused
//! memory is held. It also keeps freed pages for a second, by default: during a flood and after a cache that has grown, these
//! are many MiB.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_long};
use std::io;

// The functions below are its own: without this line a program that does not use it lacks them.
use libmimalloc_sys as _;

use crate::limits::server::FREED_PAGES_KEPT_MS;

/// `mi_option_purge_delay` of mimalloc.h, in milliseconds.
const PURGE_DELAY: c_int = 15;

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
    fn mi_collect(force: bool);
    #[cfg(test)]
    fn mi_option_get(option: c_int) -> c_long;
}

/// Has the allocator give back pages that have been unused for a short time.
pub(super) fn give_back_soon() {
    // SAFETY: takes plain numbers, and may be called at any time.
    unsafe { mi_option_set(PURGE_DELAY, FREED_PAGES_KEPT_MS) }
}

/// Gives back all pages that are unused now. The allocator looks at them only when it is used: after a large zone has been
/// read, that may be much later.
pub(super) fn give_back_now() {
    // SAFETY: may be called at any time, on any thread.
    unsafe { mi_collect(true) }
}

/// Disables huge pages for this process.
pub(super) fn stay_small() -> io::Result<()> {
    // SAFETY: takes and returns plain numbers; the three unused ones have to be 0.
    match unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        // SAFETY: takes and returns plain numbers.
        let delay = || unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(delay(), 1_000, "what mimalloc documents as its default");
        give_back_soon();
        assert_eq!(delay(), FREED_PAGES_KEPT_MS);
    }

    #[test]
    fn no_huge_pages_are_given() {
        stay_small().expect("always permitted");
        let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
        if let Some(line) = status.lines().find(|line| line.starts_with("THP_enabled:")) {
            assert_eq!(line.split_whitespace().nth(1), Some("0"), "{line}");
        }
    }
}
