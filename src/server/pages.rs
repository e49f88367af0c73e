//! Uses small memory pages. The allocator asks for huge ones, and the first touch of a huge page clears 2 MiB at once: a worker
//! whose cache grows then stands still for 0.1 to 6 ms, depending on the machine. Answers cost the same either way, and with
//! small pages less unused memory is held.

#![allow(unsafe_code)]

use std::io;

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
    #[test]
    fn no_huge_pages_are_given() {
        super::stay_small().expect("always permitted");
        let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
        if let Some(line) = status.lines().find(|line| line.starts_with("THP_enabled:")) {
            assert_eq!(line.split_whitespace().nth(1), Some("0"), "{line}");
        }
    }
}
