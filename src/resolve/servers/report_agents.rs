//! The agents to whom failures may be reported (RFC 9567): which agent the servers of a zone have named, and which reports
//! were made lately.
//!
//! A zone can name anybody as its agent, and every name below it can be made to fail. So reports are few: in a minute so
//! many about one zone, to one agent, and in all.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::quality::RandomState;
use parking_lot::Mutex;

use crate::cache::Memo;
use crate::env::BootTime;
use crate::limits::Limits;
use crate::record::Name;

const AGENT_KEPT: Duration = Duration::from_secs(86_400);
/// A failure is reported once in this time (RFC 9567 6.1: repeated reports are to be suppressed).
const REPORT_AGAIN: Duration = Duration::from_secs(3_600);
const MINUTE_S: u64 = 60;

/// Agents for error reports, and reports made lately. Both are bounded in number.
pub(in crate::resolve) struct ReportAgents {
    agents: Memo<Name>,
    reports: Memo<()>,
    minute: Mutex<Minute>,
    limits: Limits,
}

/// The reports of one minute. An agent or zone is in a table only with a report that was made, so
/// `Limits::error_reports_per_minute` bounds them.
#[derive(Default)]
struct Minute {
    number: u64,
    all: u32,
    agents: HashMap<Name, u32, RandomState>,
    zones: HashMap<Name, u32, RandomState>,
}

/// Whom to tell of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::resolve) struct Agent {
    pub domain: Name,
    /// Whose servers have named it.
    pub zone: Name,
}

impl ReportAgents {
    /// Empty tables with these limits.
    pub(in crate::resolve) fn new(limits: Limits) -> ReportAgents {
        let (agents, reports) = (Memo::new(limits.report_agents), Memo::new(limits.error_reports));
        ReportAgents { agents, reports, minute: Mutex::default(), limits }
    }

    /// A server of `zone` has named `agent` in a reply.
    pub(in crate::resolve) fn put(&self, zone: &Name, agent: Name, now: BootTime) {
        self.agents.put(zone.clone(), agent, now + AGENT_KEPT);
    }

    /// The agent of the closest zone at or above `name` that has one.
    pub(in crate::resolve) fn agent_for(&self, name: &Name, now: BootTime) -> Option<Agent> {
        (0..=name.label_count()).rev().find_map(|labels| {
            let zone = name.suffix(labels);
            self.agents.get(&zone, now).map(|domain| Agent { domain, zone })
        })
    }

    /// May this report be made now? It counts as made then.
    pub(in crate::resolve) fn take(&self, report: &Name, agent: &Agent, now: BootTime) -> bool {
        let is_due = self.reports.get(report, now).is_none() && self.minute.lock().take(agent, &self.limits, now);
        if is_due {
            self.reports.put(report.clone(), (), now + REPORT_AGAIN);
        }
        is_due
    }
}

impl Minute {
    fn take(&mut self, agent: &Agent, limits: &Limits, now: BootTime) -> bool {
        let number = u64::from(now.secs()) / MINUTE_S;
        if self.number != number {
            *self = Minute { number, ..Minute::default() };
        }
        let has_room = |made: Option<&u32>, most: u32| made.is_none_or(|made| *made < most);
        if self.all >= limits.error_reports_per_minute
            || !has_room(self.agents.get(&agent.domain), limits.error_reports_per_agent)
            || !has_room(self.zones.get(&agent.zone), limits.error_reports_per_zone)
        {
            return false;
        }
        self.all += 1;
        *self.agents.entry(agent.domain.clone()).or_default() += 1;
        *self.zones.entry(agent.zone.clone()).or_default() += 1;
        true
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
        let (agents, now) = (ReportAgents::new(Limits::default()), BootTime(0));
        agents.put(&name("test."), name("a.example."), now);
        agents.put(&name("sub.test."), name("b.example."), now);
        let agent = |domain: &str, zone: &str| Some(Agent { domain: name(domain), zone: name(zone) });
        assert_eq!(agents.agent_for(&name("www.sub.test."), now), agent("b.example.", "sub.test."));
        assert_eq!(agents.agent_for(&name("www.other.test."), now), agent("a.example.", "test."));
        assert_eq!(agents.agent_for(&name("www.example."), now), None);
        let (report, agent) = (name("_er.1.test.7._er.a.example."), agent("a.example.", "test.").expect("one"));
        assert!(agents.take(&report, &agent, now));
        assert!(!agents.take(&report, &agent, now + (REPORT_AGAIN - Duration::from_secs(1))));
        assert!(agents.take(&report, &agent, now + REPORT_AGAIN));
    }

    #[test]
    fn reports_of_one_minute_are_few() {
        let limits = Limits { error_reports_per_minute: 12, error_reports_per_agent: 8, error_reports_per_zone: 5, ..Limits::default() };
        let agents = ReportAgents::new(limits);
        let mut number = 0;
        let mut made = |domain: &str, zone: &str, now: u64| {
            let agent = Agent { domain: name(domain), zone: name(zone) };
            let one = |_: &usize| {
                number += 1;
                agents.take(&name(&format!("_er.1.x{number}.{zone}7._er.{domain}")), &agent, BootTime(0) + Duration::from_secs(now))
            };
            (0..100).filter(one).count()
        };
        assert_eq!(made("a.example.", "one.test.", 0), 5, "of one zone");
        assert_eq!(made("a.example.", "two.test.", 1), 3, "to one agent");
        assert_eq!(made("b.example.", "three.test.", 2), 4, "in all");
        assert_eq!(made("c.example.", "four.test.", 59), 0);
        assert_eq!(made("c.example.", "four.test.", 60), 5, "another minute");
        let minute = agents.minute.lock();
        assert_eq!((minute.agents.len(), minute.zones.len()), (1, 1));
    }
}
