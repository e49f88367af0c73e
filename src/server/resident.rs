//! The memory of this process, as the kernel counts it.

use std::fs;

/// Octets that are in memory now; `None`: the kernel does not say.
pub(super) fn resident_bytes() -> Option<u64> {
    resident(&fs::read_to_string("/proc/self/status").ok()?)
}

fn resident(status: &str) -> Option<u64> {
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    kib.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_kernel_is_read() {
        assert_eq!(resident("Name:\tcairn\nVmHWM:\t  9 kB\nVmRSS:\t    2048 kB\nThreads:\t3\n"), Some(2 << 20));
        for odd in ["", "VmRSS:\n", "VmRSS:\t12\n", "VmRSS:\tmany kB\n", "VmRSS:\t18446744073709551615 kB\n"] {
            assert_eq!(resident(odd), None, "{odd}");
        }
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
