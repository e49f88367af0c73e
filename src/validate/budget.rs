//! The budget: how much a question may cost in signatures and hashes.
//!
//! Every check and hash that the records of others can cause is paid from one [`WorkBudget`], which travels with the question
//! and is never refilled. Two published attacks set the limits: CVE-2023-50387 (many keys with one tag times many signatures,
//! or times many DS records) and CVE-2023-50868 (long names against NSEC3 with many iterations). Once a limit is exceeded,
//! every later payment fails too, so that all work ends.
//!
//! Signatures, keys and hashes are paid for by the time that they take, because a check costs from 3 µs (RSA-1024) to 150 µs
//! (P-384), and a large RRset costs time for its octets besides. The times are nominal, for one core at 3 GHz, so that a
//! verdict does not depend on how busy a machine is.

use std::fmt;

use crate::limits::ValidationLimits;

/// The limit that was exceeded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    Time,
    FailedSignatures,
    SignaturesPerSet,
    SignedBytes,
    KeysPerTag,
    Nsec3Hashes,
    /// Not a limit of this question alone: too many checks failed in this second for its client, its zone or everybody.
    FailuresPerSecond,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bound::Time => "checks and hashes for one question",
            Bound::FailedSignatures => "failed signature checks for one question",
            Bound::SignaturesPerSet => "signature checks for one RRset",
            Bound::SignedBytes => "octets in one RRset",
            Bound::KeysPerTag => "keys with the same tag and algorithm",
            Bound::FailuresPerSecond => "failed signature checks in this second",
            Bound::Nsec3Hashes => "NSEC3 hashes for one question",
        })
    }
}

/// Nominal time on one core.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Cost {
    ns: u64,
}

impl Cost {
    pub(super) const fn us(us: u64) -> Cost {
        Cost { ns: us * 1_000 }
    }

    /// The cost of hashing this many octets, or of bringing them into canonical form: SHA-384 and SHA-512 take 1.2 ns for each.
    pub(super) const fn of_bytes(bytes: usize) -> Cost {
        Cost { ns: bytes as u64 * 3 / 2 }
    }

    const NSEC3_BLOCK: Cost = Cost { ns: 100 };
    /// The share of one record in sorting a large RRset.
    pub(super) const A_RECORD_SORTED: Cost = Cost { ns: 100 };

    pub(super) fn times(self, count: usize) -> Cost {
        Cost { ns: self.ns.saturating_mul(count as u64) }
    }

    /// Whole microseconds.
    pub fn as_us(self) -> u64 {
        self.ns / 1_000
    }
}

impl std::ops::Add for Cost {
    type Output = Cost;

    fn add(self, other: Cost) -> Cost {
        Cost { ns: self.ns.saturating_add(other.ns) }
    }
}

/// What has been spent so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spent {
    pub time: Cost,
    pub signatures: u32,
    pub failed_signatures: u32,
    /// The part of `time` that failed checks took. The first failed check of an RRset that validates in the end is left out:
    /// two keys with one tag cause it in honest zones, and it costs no more than the check that succeeds.
    pub failed_time: Cost,
    pub nsec3_blocks: u32,
}

/// What one question may still spend. Clones are budgets of their own.
#[derive(Clone, Debug)]
pub struct WorkBudget {
    limits: ValidationLimits,
    spent: Spent,
    broke: Option<Bound>,
}

impl WorkBudget {
    /// Nothing spent yet.
    pub fn new(limits: ValidationLimits) -> WorkBudget {
        WorkBudget { limits, spent: Spent::default(), broke: None }
    }

    /// The limits that this budget was made with.
    pub fn limits(&self) -> &ValidationLimits {
        &self.limits
    }

    /// What has been spent so far.
    pub fn spent(&self) -> Spent {
        self.spent
    }

    /// The first limit that was exceeded, if any.
    pub fn broke(&self) -> Option<Bound> {
        self.broke
    }

    /// Pays for work before it is done.
    pub(super) fn pay(&mut self, cost: Cost) -> Result<(), Bound> {
        let after = self.spent.time + cost;
        self.hold(after <= Cost::us(u64::from(self.limits.time_us)), Bound::Time)?;
        self.spent.time = after;
        Ok(())
    }

    /// Pays for a signature before it is checked.
    pub(super) fn pay_signature(&mut self, cost: Cost) -> Result<(), Bound> {
        self.pay(cost)?;
        self.spent.signatures += 1;
        Ok(())
    }

    /// Charges for checks that failed.
    pub(super) fn charge_failed(&mut self, cost: Cost) {
        self.spent.failed_time = self.spent.failed_time + cost;
    }

    /// Counts a check that failed.
    pub(super) fn pay_failure(&mut self) -> Result<(), Bound> {
        self.spent.failed_signatures += 1;
        self.hold(self.spent.failed_signatures <= self.limits.failed_signatures, Bound::FailedSignatures)
    }

    /// Ends all work for this question, for a reason outside it.
    pub fn end(&mut self, bound: Bound) {
        self.broke.get_or_insert(bound);
    }

    pub(super) fn pay_nsec3(&mut self, blocks: u32) -> Result<(), Bound> {
        let after = self.spent.nsec3_blocks.saturating_add(blocks);
        self.hold(after <= self.limits.nsec3_blocks, Bound::Nsec3Hashes)?;
        self.pay(Cost::NSEC3_BLOCK.times(blocks as usize))?;
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

impl Default for WorkBudget {
    fn default() -> WorkBudget {
        WorkBudget::new(ValidationLimits::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_broken_bound_ends_all_work() {
        let mut work = WorkBudget::new(ValidationLimits { time_us: 200, nsec3_blocks: 10, ..ValidationLimits::default() });
        let check = Cost::us(90);
        assert_eq!((work.pay_signature(check), work.pay_nsec3(10), work.pay_signature(check)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(work.pay_nsec3(1), Err(Bound::Nsec3Hashes));
        assert_eq!(work.pay_signature(Cost::default()), Err(Bound::Nsec3Hashes));
        assert_eq!((work.broke(), work.spent().nsec3_blocks, work.spent().signatures), (Some(Bound::Nsec3Hashes), 10, 2));
    }

    #[test]
    fn time_is_one_budget_for_everything() {
        let limits = ValidationLimits { time_us: 100, ..ValidationLimits::default() };
        let mut work = WorkBudget::new(limits);
        assert_eq!((work.pay_signature(Cost::us(60)), work.pay(Cost::of_bytes(20_000)), work.pay_nsec3(100)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(work.pay(Cost::us(1)), Err(Bound::Time));
        assert_eq!(work.pay_signature(Cost::us(1)), Err(Bound::Time));
        assert_eq!((work.spent().signatures, work.spent().time.as_us()), (1, 100));
    }
}
