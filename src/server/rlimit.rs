//! Raises the soft limit on open files to the hard one: each upstream query and each TCP client holds a descriptor, and the
//! usual soft limit of 1024 is meant for programs that use `select`.
//!
//! `pages.rs`, `priority.rs` and this file are the only ones in `server` with `unsafe`: the standard library has no call for
//! resource limits.

#![allow(unsafe_code)]

use std::io;

use crate::config::LimitSettings;
use crate::limits::Limits;

/// The limits of a server with this many workers, within the open files that this process may have.
pub(super) fn limits(workers: usize, asked: &LimitSettings) -> Limits {
    // If the limit cannot be read, it is not enforced either.
    let open_files = raise_open_files().ok().and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    asked.within(open_files, workers)
}

/// Raises the soft limit and returns it.
pub(super) fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a live, writable rlimit for the whole call, and the kernel keeps no pointer to it.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a live, initialised rlimit that the kernel only reads.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    #[test]
    fn soft_becomes_hard() {
        let raised = super::raise_open_files().expect("raising to the hard limit is always permitted");
        let shown = std::fs::read_to_string("/proc/self/limits").expect("this is Linux");
        let line = shown.lines().find(|line| line.starts_with("Max open files")).expect("the kernel lists it");
        let soft = line.split_whitespace().nth(3).expect("the soft limit");
        assert!(soft == raised.to_string() || soft == "unlimited", "{line}");
    }
}
