//! Limits of `cairn system`: how long the system's tools and names may take, and how large its files may be.

use std::time::Duration;

/// Octets of a file of the system that is read or changed, and of the manifest. Honest ones have a few kilobytes.
pub const SYSTEM_FILE_BYTES_MAX: u64 = 1 << 20;
/// Links that are followed from /etc/resolv.conf; more are a circle.
pub const LINKS_FOLLOWED_MAX: usize = 16;
/// The longest run of one of the system's tools. A restart of systemd-resolved takes less than a second.
pub const TOOL_RUN_MAX: Duration = Duration::from_secs(15);
/// Octets of a tool's output that are kept for the message about its failure.
pub const TOOL_OUTPUT_BYTES_MAX: usize = 4096;
/// The longest time from the switch until a name resolves through the system; after it the switch is undone.
pub const NAME_TEST_MAX: Duration = Duration::from_secs(30);
/// The longest single look-up of that test. The C library waits 5 s for each of its tries.
pub const NAME_LOOK_UP_MAX: Duration = Duration::from_secs(10);
/// Queries to Cairn before the switch: the first one may have to walk from the root with an empty cache.
pub const PROBES_MAX: usize = 3;
