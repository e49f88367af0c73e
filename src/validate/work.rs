//! The purse: how much a question may cost in signatures and hashes.
//!
//! Everything a stranger's records can make the validator do is paid from one [`Work`], which travels with
//! the question and is never refilled. Two published attacks set the bounds: CVE-2023-50387 (many keys of one
//! tag times many signatures, or times many DS records) and CVE-2023-50868 (long names against NSEC3 with
//! many iterations). When a bound breaks, every later payment fails too, so that work ends at once.

use std::fmt;

/// What one question may cost. The defaults keep the worst case under 10 ms on a small machine, at 50 to
/// 150 µs a signature and 0.2 µs a SHA-1 block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Signature checks. A cold chain of three zones needs 6; eight cold aliases in zones of their own 48.
    pub signatures: u32,
    /// Checks that came out wrong. Honest zones have hardly one: a colliding key tag, a key being replaced.
    pub failed_signatures: u32,
    /// Checks for one record set. Two algorithms with two keys each, while keys are being replaced, need 4.
    pub signatures_per_set: u32,
    /// Keys that share tag and algorithm and are tried for one signature (RFC 4034 B: tags may collide).
    pub keys_per_tag: u32,
    /// Keys of one zone that are read at all. The largest honest sets hold about ten.
    pub keys_per_zone: u32,
    /// DS digests computed.
    pub digests: u32,
    /// Keys read for one question. Reading one costs about a tenth of a signature check.
    pub keys: u32,
    /// SHA-1 blocks for NSEC3. One name at 50 iterations costs 51 with a short salt.
    pub nsec3_blocks: u32,
    /// Iterations above which a zone with NSEC3 is insecure (RFC 9276 3.2).
    pub nsec3_iterations: u16,
    /// NSEC and NSEC3 sets of one reply that are looked at. No proof needs more than three.
    pub denial_sets: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            signatures: 64,
            failed_signatures: 12,
            signatures_per_set: 8,
            keys_per_tag: 4,
            keys_per_zone: 32,
            digests: 32,
            keys: 160,
            nsec3_blocks: 2_000,
            nsec3_iterations: 50,
            denial_sets: 12,
        }
    }
}

/// Which bound broke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    Signatures,
    FailedSignatures,
    SignaturesPerSet,
    KeysPerTag,
    Digests,
    Keys,
    Nsec3Hashes,
    /// Not of this question alone: all of them together have failed too often in this second.
    FailuresPerSecond,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bound::Signatures => "signature checks for one question",
            Bound::FailedSignatures => "failed signature checks for one question",
            Bound::SignaturesPerSet => "signature checks for one record set",
            Bound::KeysPerTag => "keys with the same tag and algorithm",
            Bound::Digests => "DS digests for one question",
            Bound::Keys => "keys read for one question",
            Bound::FailuresPerSecond => "failed signature checks in this second",
            Bound::Nsec3Hashes => "NSEC3 hashes for one question",
        })
    }
}

/// What has been spent so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spent {
    pub signatures: u32,
    pub failed_signatures: u32,
    pub digests: u32,
    pub keys: u32,
    pub nsec3_blocks: u32,
}

#[derive(Clone, Debug)]
pub struct Work {
    limits: Limits,
    spent: Spent,
    broke: Option<Bound>,
}

impl Work {
    pub fn new(limits: Limits) -> Work {
        Work { limits, spent: Spent::default(), broke: None }
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub fn spent(&self) -> Spent {
        self.spent
    }

    /// The first bound that broke, if one did.
    pub fn broke(&self) -> Option<Bound> {
        self.broke
    }

    /// To be paid before a signature is checked.
    pub(super) fn pay_signature(&mut self) -> Result<(), Bound> {
        self.spent.signatures += 1;
        self.hold(self.spent.signatures <= self.limits.signatures, Bound::Signatures)
    }

    /// To be paid after a check came out wrong.
    pub(super) fn pay_failure(&mut self) -> Result<(), Bound> {
        self.spent.failed_signatures += 1;
        self.hold(self.spent.failed_signatures <= self.limits.failed_signatures, Bound::FailedSignatures)
    }

    pub(super) fn pay_digest(&mut self) -> Result<(), Bound> {
        self.spent.digests += 1;
        self.hold(self.spent.digests <= self.limits.digests, Bound::Digests)
    }

    /// To be paid before a key is read.
    pub(super) fn pay_key(&mut self) -> Result<(), Bound> {
        self.spent.keys += 1;
        self.hold(self.spent.keys <= self.limits.keys, Bound::Keys)
    }

    /// No more work for this question, for a reason outside it.
    pub fn end(&mut self, bound: Bound) {
        self.broke.get_or_insert(bound);
    }

    pub(super) fn pay_nsec3(&mut self, blocks: u32) -> Result<(), Bound> {
        let after = self.spent.nsec3_blocks.saturating_add(blocks);
        self.hold(after <= self.limits.nsec3_blocks, Bound::Nsec3Hashes)?;
        self.spent.nsec3_blocks = after;
        Ok(())
    }

    fn hold(&mut self, within: bool, bound: Bound) -> Result<(), Bound> {
        if !within && self.broke.is_none() {
            self.broke = Some(bound);
        }
        self.broke.map_or(Ok(()), Err)
    }
}

impl Default for Work {
    fn default() -> Work {
        Work::new(Limits::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_broken_bound_ends_all_work() {
        let mut work = Work::new(Limits { signatures: 2, nsec3_blocks: 10, ..Limits::default() });
        assert_eq!((work.pay_signature(), work.pay_nsec3(10), work.pay_signature()), (Ok(()), Ok(()), Ok(())));
        assert_eq!(work.pay_nsec3(1), Err(Bound::Nsec3Hashes));
        assert_eq!(work.pay_signature(), Err(Bound::Nsec3Hashes));
        assert_eq!((work.broke(), work.spent().nsec3_blocks), (Some(Bound::Nsec3Hashes), 10));
    }
}
