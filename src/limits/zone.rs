//! Limits for reading and holding zones: master files, and what they expand to.
//!
//! A zone file comes from the operator, or from another server by way of an import: it must not exhaust memory or time.

/// Octets of text that one load reads, all `$INCLUDE`d files together. The largest zones that are published as text (com.)
/// are larger; this server holds zones in memory and is not made for them.
pub const MASTER_TEXT_BYTES_MAX: usize = 2 << 30;
/// Files that include files (RFC 1035 5.1), counted in depth. It ends a file that includes itself.
pub const INCLUDE_DEPTH_MAX: usize = 10;
/// Records made by all `$GENERATE` lines of one load. A reverse zone of a /12 has about as many.
pub const GENERATED_RECORDS_MAX: usize = 1_000_000;
/// Octets that all `$GENERATE` lines of one load expand to: the text with each `$` replaced, and the owners and RDATA read
/// from it. A template of ten octets can ask for 253 of output (`${0,253}`), and a relative name grows by the origin.
pub const GENERATED_BYTES_MAX: usize = if cfg!(test) { 1 << 20 } else { 256 << 20 };
/// Digits that `${offset,width}` may ask for: a longer number fits into no name (RFC 1035 2.3.4).
pub const GENERATED_WIDTH_MAX: usize = 253;
/// Octets of RDATA in one RRset of a small file of records, such as root hints or trust anchors. Each new record is compared
/// with all before it, and an RRset that fits into no message (RFC 1035 4.2.2) is a mistake.
pub const SMALL_FILE_SET_BYTES_MAX: usize = 65_536;
/// Mistakes of one load that are reported; further ones are only counted. A person mends the first few and looks again.
pub const PROBLEMS_MAX: usize = 100;
/// Fields of one record's data that are compared one by one when the data is replaced in a master file, so that fields which stay
/// keep their form. Each costs one reading of the data; more fields are replaced as a whole.
pub const KEPT_FIELDS_MAX: usize = 64;
/// Lines of a master file around a new one that are looked at for how records are written there.
pub const NEIGHBOUR_LINES_MAX: usize = 200;
/// NSEC3 iterations of a hosted zone above which the check warns: validators treat such a zone as unsigned or refuse its
/// denials (RFC 9276 3.2 lets them choose the number; the common ones chose 50 to 150).
pub const NSEC3_ITERATIONS_MAX: u16 = 50;
/// Shards of one zone. Past 16 million names the shards grow instead of their table, which each edit copies.
pub const ZONE_SHARDS_MAX: usize = 1 << 16;
/// Address RRsets that an authoritative answer looks up for its additional section (RFC 1034 4.3.2 step 6). The largest
/// sensible NS, MX or SRV RRset needs fewer, and more would not fit into a UDP reply.
pub const ADDITIONAL_SETS_MAX: usize = 32;
/// CNAMEs and AliasMode records that are followed for the additional section of one SVCB or HTTPS RRset (RFC 9460 2.4.2: chains
/// may be limited, and 8 is a common limit). It ends an alias of itself.
pub const SERVICE_ALIASES_MAX: usize = 8;
/// Octets of one message of a transfer to others, signature included. Compression pointers reach no further, and other clients
/// of the worker wait for the time that one message takes.
pub const TRANSFER_MESSAGE_BYTES: usize = 16 << 10;
/// Messages of a transfer without a signature between two that are signed (RFC 8945 5.3.1).
pub const UNSIGNED_MESSAGES_MAX: usize = 99;
/// Changes of one zone that are remembered for incremental transfers. A secondary that was away for longer gets the whole zone.
pub const DIFFS_PER_ZONE_MAX: usize = 100;
/// Octets of these changes. One that is larger than the zone is not sent in any case.
pub const DIFF_OCTETS_PER_ZONE_MAX: usize = 16 << 20;
/// Octets of the remembered changes of all zones; past them the largest are forgotten, and their secondaries get the whole zone.
pub const DIFF_OCTETS_MAX: usize = if cfg!(test) { 64 << 10 } else { 256 << 20 };
/// Seconds by which a signature is replaced sooner than it must be, when another one is: few versions of a zone in place of many.
pub const SIGN_TOGETHER_S: u64 = 12 * 3_600;
/// Seconds until a zone that could not be signed is tried again.
pub const SIGN_AGAIN_S: u64 = 300;
/// Seconds until all servers of a zone are taken to have a version: its SOA's REFRESH, within these bounds. RFC 7583 has a name
/// for this time and no number.
pub const PROPAGATION_S_LIMITS: std::ops::RangeInclusive<u32> = 300..=86_400;
/// Seconds until all servers of the parent are taken to have a DS record; registries publish hourly or more often.
pub const PARENT_PROPAGATION_S: u32 = 3_600;
/// Seconds until the parent is told of new CDS records: the other servers of the zone have to have them by then.
pub const TELL_PARENT_AFTER_S: u64 = 10;
/// Names, and addresses, at which a parent is told of new CDS records.
pub const PARENT_TARGETS_MAX: usize = 8;
/// The least TTL in seconds that a DS set is taken to have: what a resolver shows of it may have aged in its cache.
pub const DS_TTL_LEAST_S: u32 = 86_400;
/// Seconds that a clock may go back before no more signatures are made with it.
pub const CLOCK_BEHIND_S_MAX: u64 = 86_400;
/// Records of the prerequisite and the update section of one message (RFC 2136). 65,535 octets hold about as many of the smallest.
pub const UPDATE_RECORDS_MAX: usize = 5_000;
/// The longest TTL in seconds of addresses that an ALIAS record stands for: whoever runs its target may move it.
pub const ALIAS_TTL_S_MAX: u32 = 300;
/// The least time in seconds until the target of an ALIAS record is asked for again, whatever its TTL.
pub const ALIAS_REFRESH_S_MIN: u32 = 10;
/// Addresses of each family that are taken from the target of an ALIAS record.
pub const ALIAS_ADDRESSES_MAX: usize = 32;
/// Octets of the file that keeps what is known of one ALIAS record.
pub const ALIAS_FILE_BYTES_MAX: u64 = 64 << 10;
/// Targets of ALIAS records that are looked up at the same time.
pub const ALIASES_UNDER_WAY_MAX: usize = 16;
/// Octets of one RRset that an update makes: a larger one fits into no message (RFC 1035 4.2.2).
pub const UPDATED_SET_OCTETS_MAX: usize = 60_000;
/// Octets in memory past which a zone does not grow by updates: as for a zone that is transferred from a primary.
pub const UPDATED_ZONE_BYTES_MAX: usize = 1 << 30;
/// Octets of a zone's journal past which it is made smaller, where the zone itself has fewer.
pub const JOURNAL_OCTETS_LIMIT: u64 = if cfg!(test) { 4 << 10 } else { 4 << 20 };
/// Response policy zones: a set of them is a number of this many bits.
pub const RPZ_ZONES_MAX: usize = 64;
/// Records of a response policy zone that are no rule and are told as examples.
pub const RPZ_EXAMPLES_MAX: usize = 5;
