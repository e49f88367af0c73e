//! Whether IPv4 and IPv6 work from here. A tunnel that drops packets reports nothing, so silence must show it.
//!
//! An address family is suspected at the first silence if it has never replied, otherwise after two silent servers in a row.
//! While the other family replies, a suspected one counts as broken, and its servers are asked last. Single queries that no
//! client waits for test it, first after one second, then after five, then with doubling pauses; any reply ends the suspicion.
//!
//! ```text
//!            silence, without any reply before; or of two servers in a row
//!  trusted ─────────────────────────────────────────────────────────────────► suspected (tested now and then)
//!     ▲                                                                           │
//!     └──────────────────────────────── any reply ◄───────────────────────────────┘
//! ```

use std::net::IpAddr;
use std::time::Duration;

use crate::env::BootTime;
use crate::limits::servers::{FAMILY_TEST_AFTER_MAX, FAMILY_TEST_MAX};

const FIRST_TEST_AFTER: Duration = Duration::from_secs(1);
const SECOND_TEST_AFTER: Duration = Duration::from_secs(5);

/// Address family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    /// Both families.
    #[cfg(any(test, feature = "internals"))]
    pub const BOTH: [Family; 2] = [Family::V4, Family::V6];

    /// The family of an address.
    pub fn of(addr: IpAddr) -> Family {
        if addr.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// The other family.
    pub fn other(self) -> Family {
        match self {
            Family::V4 => Family::V6,
            Family::V6 => Family::V4,
        }
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

/// How far an address family can be relied on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FamilyStanding {
    /// It works, as far as is known.
    Works,
    /// It was used and has not replied yet, while the other family has.
    Doubtful,
    /// Silent, while the other family replies.
    Broken,
}

/// What is known of both families.
#[derive(Clone, Copy, Default, Debug)]
pub struct Families([State; 2]);

#[derive(Clone, Copy, Default, Debug)]
struct State {
    /// The oldest query that may still be in progress, if there was no reply.
    asked: Option<BootTime>,
    last_reply: Option<BootTime>,
    /// The last server that was silent; `None` after a reply.
    silent: Option<IpAddr>,
    suspicion: Option<Suspicion>,
}

#[derive(Clone, Copy, Debug)]
struct Suspicion {
    tests: u32,
    test_at: BootTime,
}

impl Families {
    /// A query was sent over this family.
    pub fn on_asked(&mut self, family: Family, now: BootTime) {
        let state = &mut self.0[family as usize];
        if state.last_reply.is_none() && !state.is_under_way(now) {
            state.asked = Some(now);
        }
    }

    /// A reply came over this family.
    pub fn on_reply(&mut self, family: Family, now: BootTime) {
        self.0[family as usize] = State { last_reply: Some(now), ..State::default() };
    }

    /// A server did not reply in time.
    pub fn on_silence(&mut self, server: IpAddr, now: BootTime) {
        let state = &mut self.0[Family::of(server) as usize];
        let before = state.silent.replace(server);
        // A single silent server may be dead.
        let convinces = state.last_reply.is_none() || before.is_some_and(|before| before != server);
        if convinces && state.suspicion.is_none() {
            state.suspicion = Some(Suspicion { tests: 0, test_at: now + FIRST_TEST_AFTER });
        }
    }

    /// How far the family can be relied on now.
    pub fn standing(&self, family: Family, now: BootTime) -> FamilyStanding {
        let (this, other) = (&self.0[family as usize], &self.0[family.other() as usize]);
        let other_replies = other.last_reply.is_some() && other.suspicion.is_none();
        if other_replies && this.suspicion.is_some() {
            FamilyStanding::Broken
        } else if other_replies && this.is_under_way(now) {
            FamilyStanding::Doubtful
        } else {
            FamilyStanding::Works
        }
    }

    /// Whether the family has neither replied nor failed yet: a query over the other family should run beside it.
    pub fn is_unproved(&self, family: Family) -> bool {
        let state = &self.0[family as usize];
        state.last_reply.is_none() && state.suspicion.is_none()
    }

    /// When a broken family is tested again.
    pub fn test_at(&self, family: Family, now: BootTime) -> Option<BootTime> {
        let suspicion = self.0[family as usize].suspicion?;
        (self.standing(family, now) == FamilyStanding::Broken).then_some(suspicion.test_at)
    }

    /// True for the one query that is to test a broken family now. The next test is far off until a reply comes.
    pub fn take_test(&mut self, family: Family, now: BootTime) -> bool {
        let due = self.test_at(family, now).is_some_and(|at| at <= now);
        if let Some(suspicion) = self.0[family as usize].suspicion.as_mut().filter(|_| due) {
            let pause = SECOND_TEST_AFTER * (1 << suspicion.tests.min(6));
            suspicion.tests += 1;
            suspicion.test_at = now + pause.min(FAMILY_TEST_AFTER_MAX);
        }
        due
    }
}

impl State {
    fn is_under_way(&self, now: BootTime) -> bool {
        self.asked.is_some_and(|asked| now.since(asked) <= FAMILY_TEST_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::super::cache::tests::at;
    use super::*;

    #[derive(Clone, Copy)]
    enum Do {
        Ask(Family),
        Reply(Family),
        /// The server's number and its family.
        Silence(u8, Family),
    }
    use Do::{Ask, Reply, Silence};
    use Family::{V4, V6};
    use FamilyStanding::{Broken, Doubtful, Works};

    fn server(number: u8, family: Family) -> IpAddr {
        match family {
            V4 => IpAddr::from([192, 0, 2, number]),
            V6 => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(number)]),
        }
    }

    fn after(events: &[Do]) -> Families {
        let mut families = Families::default();
        for event in events {
            match *event {
                Ask(family) => families.on_asked(family, at(1)),
                Reply(family) => families.on_reply(family, at(1)),
                Silence(number, family) => families.on_silence(server(number, family), at(1)),
            }
        }
        families
    }

    #[test]
    fn standing_by_what_was_heard() {
        let rows: &[(&[Do], [FamilyStanding; 2])] = &[
            (&[], [Works, Works]),
            // A family that was never heard is out at the first silence, whatever comes first.
            (&[Reply(V4), Silence(1, V6)], [Works, Broken]),
            (&[Silence(1, V6), Reply(V4)], [Works, Broken]),
            (&[Reply(V6), Silence(1, V4)], [Broken, Works]),
            (&[Silence(1, V6)], [Works, Works]),
            // Asked and not heard, while the other was: worth a thought before any time-out.
            (&[Ask(V6), Ask(V4), Reply(V4)], [Works, Doubtful]),
            (&[Ask(V6), Ask(V4)], [Works, Works]),
            (&[Reply(V4)], [Works, Works]),
            // One that was heard is not out for one dead server.
            (&[Reply(V4), Reply(V6), Silence(1, V6)], [Works, Works]),
            (&[Reply(V4), Reply(V6), Silence(1, V6), Silence(1, V6)], [Works, Works]),
            (&[Reply(V4), Reply(V6), Silence(1, V6), Silence(2, V6)], [Works, Broken]),
            (&[Reply(V4), Reply(V6), Silence(1, V6), Reply(V6), Silence(2, V6)], [Works, Works]),
            // Nobody replies: that is not a family.
            (&[Silence(1, V6), Silence(1, V4)], [Works, Works]),
            (&[Reply(V4), Reply(V6), Silence(1, V6), Silence(2, V6), Silence(1, V4), Silence(2, V4)], [Works, Works]),
            (&[Silence(1, V6), Silence(1, V4), Reply(V4)], [Works, Broken]),
            // One reply clears it.
            (&[Reply(V4), Silence(1, V6), Silence(2, V6), Silence(3, V6), Reply(V6)], [Works, Works]),
            // A host with one family only: there is nothing to prefer.
            (&[Reply(V4), Silence(1, V4), Silence(2, V4)], [Works, Works]),
        ];
        for (row, (events, expected)) in rows.iter().enumerate() {
            let families = after(events);
            assert_eq!([families.standing(V4, at(2)), families.standing(V6, at(2))], *expected, "row {row}");
        }
    }

    #[test]
    fn a_broken_family_is_tested_by_one_query_at_a_time() {
        let mut families = after(&[Reply(V4), Silence(1, V6)]);
        assert!(!families.take_test(V4, at(9)), "it works");
        let mut tests = Vec::new();
        for secs in 1..2_000 {
            // Others may be asked all the while; their silence changes nothing.
            families.on_silence(server(7, V6), at(secs));
            if families.take_test(V6, at(secs)) {
                tests.push(secs);
                assert!(!families.take_test(V6, at(secs)), "one query, not all");
            }
        }
        let pauses: Vec<u64> = tests.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!((tests[0], pauses), (2, vec![5, 10, 20, 40, 80, 160, 320, 320, 320, 320, 320]));
        families.on_reply(V6, at(2_000));
        assert!(families.standing(V6, at(2_000)) == Works && families.test_at(V6, at(2_000)).is_none());
        families.on_silence(server(1, V6), at(2_001));
        families.on_silence(server(2, V6), at(2_001));
        assert_eq!(families.test_at(V6, at(2_001)), Some(at(2_002)), "the pauses begin again");
    }

    #[test]
    fn unproved_until_heard_or_missed() {
        assert!(after(&[Ask(V6)]).is_unproved(V6));
        assert!(!after(&[Reply(V6)]).is_unproved(V6));
        assert!(!after(&[Silence(1, V6)]).is_unproved(V6));
        // What became of a query may never be known.
        let forgotten = after(&[Ask(V6), Reply(V4)]);
        assert_eq!((forgotten.standing(V6, at(4)), forgotten.standing(V6, at(5))), (Doubtful, Works));
    }
}
