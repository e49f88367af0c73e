//! Limits on what signatures, keys and hashes of strangers may cost.
//!
//! Two published attacks set the numbers: KeyTrap (CVE-2023-50387) and NSEC3 hashing (CVE-2023-50868).

use std::time::Duration;

/// What one question may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ValidationLimits {
    /// All checks and hashes together, in microseconds: half of the 10 ms that a hostile question may cost in all. A cold
    /// chain of three zones needs 200 to 400; eight aliases in zones of their own, all cold and signed by P-384, 3,000.
    pub time_us: u32,
    /// Checks that came out wrong. Honest zones have hardly one: a colliding key tag, a key being replaced.
    pub failed_signatures: u32,
    /// Checks for one record set. Two algorithms with two keys each, while keys are being replaced, need 4.
    pub signatures_per_set: u32,
    /// Bytes of one set as they are signed. 64 KiB of message grow by the owner's name, once a record: 3,500 addresses
    /// with an owner of 60 octets still fit. Hashed in one go, so this bounds how long other work waits.
    pub signed_bytes: usize,
    /// Keys that share tag and algorithm and are tried for one signature (RFC 4034 B: tags may collide).
    pub keys_per_tag: u32,
    /// Keys of one zone that are read at all. The largest honest sets hold about ten.
    pub keys_per_zone: u32,
    /// SHA-1 blocks for NSEC3. One name at 50 iterations costs 51 with a short salt.
    pub nsec3_blocks: u32,
    /// Iterations above which a zone with NSEC3 is insecure (RFC 9276 3.2).
    pub nsec3_iterations: u16,
    /// NSEC and NSEC3 sets of one reply that are looked at. No proof needs more than three.
    pub denial_sets: u32,
}

impl Default for ValidationLimits {
    fn default() -> ValidationLimits {
        ValidationLimits {
            time_us: 5_000,
            failed_signatures: 12,
            signatures_per_set: 8,
            signed_bytes: 256 << 10,
            keys_per_tag: 4,
            keys_per_zone: 32,
            nsec3_blocks: 2_000,
            nsec3_iterations: 50,
            denial_sets: 12,
        }
    }
}

/// RRSIG records of one RRset that are read at all. An RRset in the middle of an algorithm roll has four.
pub const SIGNATURES_READ_MAX: usize = 32;
/// Keys of one trust point (RFC 5011) that are followed. The root has three in the middle of a roll; further ones are not
/// taken up.
pub const TRUST_POINT_KEYS_MAX: usize = 16;
/// Keys that are parsed in one step, so that a step takes less than `Limits::cold_slice_us`.
pub const KEYS_PER_STEP_MAX: usize = 8;
/// Types of an NSEC bitmap for which cached data is looked up. A name has few types; each costs a cache look-up.
pub const BITMAP_TYPES_MAX: usize = 16;
/// Times that one reply is validated again with the keys of a zone further down: the signer of its records may be several
/// cuts below the zone that was asked.
pub const VALIDATION_TURNS_MAX: usize = 16;
/// Further servers that are asked when the reply of one does not validate: the server may be stale or its path forged, and
/// the next one right.
pub const SECOND_OPINIONS_MAX: usize = 2;
/// Time after the start in which a clock that is plainly wrong suspends the dates of signatures. A machine that has not set
/// its clock by then will not.
pub const CLOCK_DOUBT_MAX: Duration = Duration::from_secs(600);
