//! The content of the cache as text: records in presentation form (RFC 1035 5.1). A comment after each says where it came from
//! and how far it is trusted, so that a dump is still a master file.

use crate::cache::{CachedDenial, CachedSet, DenialKind, Entry};
use crate::record::{Question, Rtype, rdata_to_text};

/// The lines of one entry.
pub(super) fn dumped(entry: &Entry) -> Vec<String> {
    match entry {
        Entry::Set(cached) if cached.set.rtype == Rtype::DELEGATION => Vec::new(),
        Entry::Set(cached) => set(cached),
        Entry::Denial(question, denial) => vec![denied(question, denial)],
        Entry::Failure(question, failed) => vec![format!("; {question} failed, for {} s more: {}", failed.ttl, failed.ede)],
    }
}

fn set(cached: &CachedSet) -> Vec<String> {
    let set = &cached.set;
    let stale = if cached.stale_s > 0 { format!(", expired {} s ago", cached.stale_s) } else { String::new() };
    let note = format!("{:?}, {}{stale}", cached.rank, format!("{:?}", cached.security).to_lowercase());
    set.data.iter().map(|rdata| format!("{} {} IN {} {} ; {note}", set.name, set.ttl, set.rtype, rdata_to_text(set.rtype, rdata))).collect()
}

fn denied(question: &Question, denial: &CachedDenial) -> String {
    let security = format!("{:?}", denial.security).to_lowercase();
    match denial.kind {
        DenialKind::NxDomain => format!("; {} does not exist, for {} s more ; {security}", question.name, denial.ttl),
        DenialKind::NoData => format!("; {question} has no records of this type, for {} s more ; {security}", denial.ttl),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Cache, CacheLimits};
    use crate::env::{BootTime, Random};
    use crate::record::{Name, Rank, RrSet, Security};

    #[test]
    fn a_dump_reads_like_a_master_file() {
        let name = Name::parse("www.example.").expect("name");
        let cache = Cache::new(CacheLimits::default(), &Random::from_seed(1));
        cache.sets().put(&RrSet::with(name.clone(), Rtype::A, 300, &[192, 0, 2, 1]), Rank::AuthAnswer, Security::Insecure, BootTime(0));
        cache.sets().put(&RrSet::with(name, Rtype::DELEGATION, 300, &[0]), Rank::Referral, Security::Indeterminate, BootTime(0));
        let mut lines = Vec::new();
        cache.dump(BootTime(100_000), |entry| lines.extend(dumped(&entry)));
        assert_eq!(lines, ["www.example. 200 IN A 192.0.2.1 ; AuthAnswer, insecure"]);
    }
}
