//! The agents to whom failures may be reported (RFC 9567): which agent the servers of a zone have named, and which reports
//! were made lately.

use std::time::Duration;

use crate::cache::Memo;
use crate::env::BootTime;
use crate::limits::Limits;
use crate::record::Name;

const AGENT_KEPT: Duration = Duration::from_secs(86_400);
/// A failure is reported once in this time (RFC 9567 6.1: repeated reports are to be suppressed).
const REPORT_AGAIN: Duration = Duration::from_secs(3_600);

pub(in crate::resolve) struct ReportAgents {
    agents: Memo<Name>,
    reports: Memo<()>,
}

impl ReportAgents {
    pub(in crate::resolve) fn new(limits: &Limits) -> ReportAgents {
        ReportAgents { agents: Memo::new(limits.report_agents), reports: Memo::new(limits.error_reports) }
    }

    /// A server of `zone` has named `agent` in a reply.
    pub(in crate::resolve) fn put(&self, zone: &Name, agent: Name, now: BootTime) {
        self.agents.put(zone.clone(), agent, now + AGENT_KEPT);
    }

    /// The agent of the closest zone at or above `name` that has one.
    pub(in crate::resolve) fn agent_for(&self, name: &Name, now: BootTime) -> Option<Name> {
        (0..=name.label_count()).rev().find_map(|labels| self.agents.get(&name.suffix(labels), now))
    }

    /// Is this report due? It counts as made from now on.
    pub(in crate::resolve) fn take(&self, report: &Name, now: BootTime) -> bool {
        let is_due = self.reports.get(report, now).is_none();
        if is_due {
            self.reports.put(report.clone(), (), now + REPORT_AGAIN);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    #[test]
    fn the_closest_zone_decides_and_a_report_is_made_once_an_hour() {
        let (agents, now) = (ReportAgents::new(&Limits::default()), BootTime(0));
        agents.put(&name("test."), name("a.example."), now);
        agents.put(&name("sub.test."), name("b.example."), now);
        assert_eq!(agents.agent_for(&name("www.sub.test."), now), Some(name("b.example.")));
        assert_eq!(agents.agent_for(&name("www.other.test."), now), Some(name("a.example.")));
        assert_eq!(agents.agent_for(&name("www.example."), now), None);
        let report = name("_er.1.test.7._er.a.example.");
        assert!(agents.take(&report, now));
        assert!(!agents.take(&report, now + (REPORT_AGAIN - Duration::from_secs(1))));
        assert!(agents.take(&report, now + REPORT_AGAIN));
    }
}
