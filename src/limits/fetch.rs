//! Limits of what is fetched over HTTP: what a server that somebody else runs can cost.

use std::time::Duration;

/// Octets of a URL, which a redirect may give too. Servers refuse longer ones (RFC 9110 4.1 asks for 8,000 to be read).
pub const URL_BYTES_MAX: usize = 2_048;
/// One fetch with all its look-ups, connections and redirects: `cairn list update` waits for it.
pub const FETCH_TIME_MAX: Duration = Duration::from_secs(15);
/// Redirects of one fetch. More than two are a mistake of the server.
pub const REDIRECTS_MAX: usize = 5;
/// Addresses of one host that are tried.
pub const ADDRESSES_MAX: usize = 8;
/// The next address is tried beside one that has not answered for this long (RFC 8305 5: the Connection Attempt Delay).
pub const CONNECT_STAGGER: Duration = Duration::from_millis(250);
/// A handshake of TLS that takes longer has failed, and another address of the host has a try.
pub const TLS_TIME_MAX: Duration = Duration::from_secs(5);
/// Octets of the head of a response. Many servers send no more than 8 KiB.
pub const HEAD_BYTES_MAX: usize = 64 << 10;
/// Header fields of a response.
pub const HEADER_FIELDS_MAX: usize = 100;
/// Octets of an entity tag or a date that is kept and sent back.
pub const VALIDATOR_BYTES_MAX: usize = 512;
/// Octets of what is fetched, unpacked: the largest public lists have 60 MB. A server that somebody else runs must not fill the disk,
/// or the memory with names.
pub const FETCHED_BYTES_MAX: u64 = 256 << 20;
/// Octets that one octet of packed data may become. Lists reach 4 to 10; data made to cost memory reaches 1,000 and more.
pub const UNPACKED_RATIO_MAX: u64 = 100;
/// Octets of unpacked data from which the ratio counts: a short list of similar names packs well.
pub const UNPACKED_RATIO_FROM_BYTES: u64 = 1 << 20;
/// Octets of a file of CA certificates: the system's have some 300 KB.
pub const CA_FILE_BYTES_MAX: u64 = 8 << 20;
/// Fetches under way. Each may have a connection, 16 MiB of a decoder's window, and the certificates of the system.
pub const FETCHES_MAX: usize = 4;
/// Between a failure and the next try; it doubles with each failure, up to `RETRY_INTERVAL_MAX_S` and the interval of the list.
pub const RETRY_INTERVAL_S: u32 = 60;
/// The same where there is no copy to go on with.
pub const RETRY_INTERVAL_WITHOUT_COPY_S: u32 = 10;
/// A server that is down for a day is asked some ten times.
pub const RETRY_INTERVAL_MAX_S: u32 = 4 * 3_600;
/// The longest wait that a server can ask for with `Retry-After`: whoever runs it must not end the updates of a list.
pub const RETRY_AFTER_MAX_S: u32 = 86_400;
/// Copies that are due when the server starts are renewed within this time, each at a moment of its own.
pub const START_SPREAD_S: u32 = 60;
/// How soon failed fetches are tried again after the network has changed: routes come before they work.
pub const NETWORK_RETRY_S: u32 = 2;
/// Octets of the file of facts beside a copy.
pub const COPY_FACTS_BYTES_MAX: u64 = 16 << 10;
