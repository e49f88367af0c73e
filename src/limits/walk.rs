//! Limits of one walk besides those that `Limits` hands down: rounds, waits and what a reply may hold.
//!
//! Each ends a loop that a hostile zone, or a mistake of ours, could otherwise keep going.

/// Steps of one walk at one zone: servers asked and addresses looked for. The limits on queries allow fewer; this one ends
/// a walk whatever is wrong with them.
pub const WALK_ROUNDS_MAX: usize = 128;
/// CNAMEs followed from the name of a server, which should have none (RFC 2181 10.3). Longer chains are an attacker's.
pub const SERVER_ALIASES_MAX: usize = 2;
/// Walks that wait in a row for one walk, and walks that one waits for. One question makes rows of at most
/// `Limits::glueless_depth`; longer ones begin where questions of several clients meet. The search for circles visits all.
pub const WALK_WAITS_MAX: usize = 32;
/// Walks of other clients that a question waits for, one after the other, before their failure becomes its own.
pub const WALK_JOINS_MAX: usize = 3;
/// RRsets, and RRSIG records, of one section of a reply that are taken; further ones are dropped. A root referral with glue
/// has about 30. Each new record is compared with the RRsets before it.
pub const REPLY_SETS_MAX: usize = 200;
/// Glue addresses of each family that are stored for one server of a delegation. `Limits::addresses_per_ns` are tried.
pub const GLUE_PER_NAME_MAX: usize = 4;
/// Servers that a failure names, in the log, in `explain` and in EXTRA-TEXT.
pub const FAULTS_MAX: usize = 8;
/// Events that are recorded for one question. A question within its budget of queries makes fewer.
pub const TRACE_EVENTS_MAX: usize = 4_096;
/// Microseconds of cold work after which a slice ends and other tasks of the thread run. Its last step may take
/// `Limits::cold_slice_us` more.
pub const SLICE_US_MAX: u64 = 50;
/// Steps of cold work in one slice, however cheap they are: their nominal cost may be wrong.
pub const STEPS_PER_SLICE_MAX: usize = 4;
/// What the search for a server's address costs of `Limits::searches_in_vain_per_question` where the name has no address or
/// its zone's servers are silent. It costs few queries and leads nowhere else.
pub const SEARCH_ENDED_COST: u32 = 1;
/// The same where a limit or a circle ended the search: each such search may have made many others.
pub const SEARCH_LOST_COST: u32 = 3;
/// Name servers of all zones on the way to one name that rules of response policy zones are compared with.
pub const DATA_PATH_SERVERS_MAX: usize = 200;
