//! The table of checks, and the report that is made of it.

use super::facts::Facts;
use super::verdict::{Checked, Severity, ZoneFinding};
use super::{delegation, servers, values};

/// What each check found, in the order of the table.
#[derive(Clone, Debug)]
pub struct ZoneReport {
    pub checks: Vec<(&'static str, Checked)>,
}

impl ZoneReport {
    /// All findings, each with the name of its check.
    pub fn findings(&self) -> impl Iterator<Item = (&'static str, &ZoneFinding)> {
        self.checks.iter().flat_map(|(check, checked)| {
            let findings = match checked {
                Checked::Found(findings) => &findings[..],
                Checked::Good | Checked::NotKnown(_) => &[],
            };
            findings.iter().map(|finding| (*check, finding))
        })
    }

    pub fn fault_count(&self) -> usize {
        self.findings().filter(|(_, finding)| finding.severity == Severity::Fault).count()
    }
}

type Check = fn(&Facts) -> Checked;

/// Every check by its name: the data, then the parent, then the servers.
const CHECKS: &[(&str, Check)] = &[
    ("in force", values::in_force),
    ("SOA", values::soa),
    ("server names", values::server_names),
    ("number of servers", values::number_of_servers),
    ("parent", delegation::parent),
    ("NS records", delegation::ns_records),
    ("glue", delegation::glue),
    ("DS", delegation::ds),
    ("UDP", servers::udp),
    ("TCP", servers::tcp),
    ("authority", servers::authority),
    ("serials", servers::serials),
    ("NS records of servers", servers::ns_records),
    ("signatures", servers::signatures),
    ("open recursion", servers::open_recursion),
];

pub(super) fn report(facts: &Facts) -> ZoneReport {
    ZoneReport { checks: CHECKS.iter().map(|(name, check)| (*name, check(facts))).collect() }
}
