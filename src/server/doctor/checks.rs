//! The table of checks, and the report that is made of it.

use super::facts::{Control, Facts};
use super::verdict::{Finding, Verdict};
use super::{machine, network, trust};

/// All verdicts, in the order of the table.
#[derive(Clone, Debug)]
pub struct Report {
    /// The name of each check, with its verdict.
    pub verdicts: Vec<(&'static str, Verdict)>,
    /// What the running server may do, in its own words.
    pub privileges: Option<String>,
}

impl Report {
    /// The faults, each with the name of the check that found it.
    pub fn faults(&self) -> impl Iterator<Item = (&'static str, &Finding)> {
        self.verdicts.iter().filter_map(|(check, verdict)| match verdict {
            Verdict::Fault(finding) => Some((*check, finding)),
            Verdict::Good | Verdict::NotKnown(_) => None,
        })
    }
}

type Check = fn(&Facts) -> Verdict;

/// Every check by its name: first this machine, then its network, then what DNSSEC and forwarding need.
const CHECKS: &[(&str, Check)] = &[
    ("configuration", machine::configuration),
    ("server", machine::server),
    ("port", machine::port),
    ("packet filter", machine::packet_filter),
    ("resolv.conf", machine::resolv_conf),
    ("open files", machine::open_files),
    ("open resolver", machine::open_resolver),
    ("network", network::network),
    ("IPv6", network::ipv6),
    ("captive portal", network::captive_portal),
    ("interception", network::interception),
    ("large answers", network::large_answers),
    ("TCP", network::tcp),
    ("clock", trust::clock),
    ("trust anchors", trust::anchors),
    ("forwarders", trust::forwarders),
    ("DNSSEC of forwarders", trust::forwarded_proofs),
];

pub(super) fn report(facts: &Facts) -> Report {
    let privileges = match &facts.control {
        Control::Answers { privileges, .. } => Some(privileges.clone()),
        Control::Hangs | Control::Unreachable { .. } => None,
    };
    Report { verdicts: CHECKS.iter().map(|(name, check)| (*name, check(facts))).collect(), privileges }
}
