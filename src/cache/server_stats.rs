//! What is known of the servers that were asked: how fast each is and whether it answers at all (`server_record.rs`), what
//! it copes with (`server_abilities.rs`), for which zones it is of no use; and, in `families.rs`, whether a whole address
//! family works from here. Choosing a server is left to others.

use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;

use super::families::{Families, Family, FamilyStanding};
use super::server_abilities::Abilities;
use super::server_record::{Manner, ServerRecord, Standing, TIMEOUT_INITIAL, TIMEOUTS_FOR_BACK_OFF, Unfit};
use super::server_table::ServerTable;
use crate::env::{BootTime, Random};
use crate::record::Name;

/// All servers that were asked.
pub struct Servers {
    table: ServerTable,
    families: Mutex<Families>,
}

impl Servers {
    /// `bytes` limits the table; `random` seeds its hashes.
    pub fn new(bytes: usize, random: &Random) -> Servers {
        Servers { table: ServerTable::new(bytes, random), families: Mutex::default() }
    }

    /// What each server copes with.
    pub fn abilities(&self) -> Abilities<'_> {
        Abilities::of(&self.table)
    }

    /// Smoothed; `None` for a server that has not replied yet.
    #[cfg(test)]
    pub fn rtt_estimate(&self, addr: IpAddr) -> Option<Duration> {
        self.table.peek(addr, |server| server.srtt).flatten()
    }

    /// Whether the server replied within the last two seconds.
    pub fn was_heard_lately(&self, addr: IpAddr, now: BootTime) -> bool {
        self.table.peek(addr, |server| server.was_heard_lately(now)).unwrap_or(false)
    }

    /// Time-outs since the last reply.
    #[cfg(test)]
    pub fn timeouts_in_a_row(&self, addr: IpAddr) -> u8 {
        self.table.peek(addr, |server| server.timeouts).unwrap_or(0)
    }

    /// A query was sent.
    pub fn on_asked(&self, addr: IpAddr, now: BootTime) {
        self.families.lock().on_asked(Family::of(addr), now);
    }

    /// A reply came after `rtt`.
    pub fn on_reply(&self, addr: IpAddr, rtt: Duration, now: BootTime) {
        self.table.change(addr, |server| server.on_reply(rtt, now));
        self.families.lock().on_reply(Family::of(addr), now);
    }

    /// The server was silent for `waited`. Until it replies, faster servers are asked first.
    pub fn on_timeout(&self, addr: IpAddr, waited: Duration, now: BootTime) {
        if !self.is_familys_fault(addr, now) {
            self.table.change(addr, |server| server.on_timeout(waited, now));
        }
    }

    /// The host, or the whole network, refuses: as clear as several time-outs.
    pub fn on_unreachable(&self, addr: IpAddr, now: BootTime) {
        if !self.is_familys_fault(addr, now) {
            self.on_useless(addr, now);
        }
    }

    /// The server replies, but nothing can be done with it: it is left alone as if it were silent.
    pub fn on_useless(&self, addr: IpAddr, now: BootTime) {
        self.table.change(addr, |server| {
            server.timeouts = server.timeouts.max(TIMEOUTS_FOR_BACK_OFF - 1);
            server.on_silence(TIMEOUT_INITIAL, now);
        });
    }

    /// When a whole address family is silent, no single server of it is blamed.
    fn is_familys_fault(&self, addr: IpAddr, now: BootTime) -> bool {
        let mut families = self.families.lock();
        families.on_silence(addr, now);
        families.standing(Family::of(addr), now) == FamilyStanding::Broken
    }

    /// Forgets every back-off and the state of the address families: the network has changed, or is back.
    pub fn forgive(&self) {
        self.table.change_all(|server| (server.timeouts, server.backed_off_until) = (0, BootTime::default()));
        *self.families.lock() = Default::default();
    }

    /// Whether this server should be asked for `zone` now.
    #[cfg(test)]
    pub fn usable(&self, addr: IpAddr, zone: &Name, now: BootTime) -> super::server_record::Usable {
        self.standing(addr, zone, now).usable
    }

    /// What is known of the server, for the choice of one for `zone`.
    pub fn standing(&self, addr: IpAddr, zone: &Name, now: BootTime) -> Standing {
        self.table.standing(addr, zone, now)
    }

    /// Marks the server as useless for `zone`, for this many seconds.
    pub fn set_unfit(&self, addr: IpAddr, zone: &Name, reason: Unfit, for_s: u32, now: BootTime) {
        self.table.set_unfit(addr, zone, reason, now + Duration::from_secs(u64::from(for_s)));
    }

    /// How the server is asked now.
    pub fn manner(&self, addr: IpAddr, now: BootTime) -> Manner {
        let unknown = || ServerRecord::new(addr).manner(now);
        self.table.peek(addr, |server| server.manner(now)).unwrap_or_else(unknown)
    }

    /// What is known of IPv4 and IPv6 as a whole.
    pub fn families(&self) -> Families {
        *self.families.lock()
    }

    /// True for the one query that is to test a broken family now.
    pub fn take_family_test(&self, family: Family, now: BootTime) -> bool {
        self.families.lock().take_test(family, now)
    }

    /// Servers in the table.
    pub fn count(&self) -> usize {
        self.table.count()
    }

    /// Octets of the table.
    pub fn bytes(&self) -> usize {
        self.table.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::cache::tests::{at, name};
    use super::super::server_record::{CaseState, EdnsState, Usable};
    use super::*;
    use crate::limits::servers::TIMEOUT_MAX;

    const V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

    fn servers() -> Servers {
        Servers::new(1 << 20, &Random::from_seed(3))
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn round_trips_are_smoothed() {
        let servers = servers();
        let wait = || servers.manner(V4, at(9)).timeout(0);
        assert_eq!((servers.rtt_estimate(V4), wait()), (None, ms(400)));
        servers.on_reply(V4, ms(80), at(0));
        assert_eq!((servers.rtt_estimate(V4), wait()), (Some(ms(80)), ms(240)));
        servers.on_reply(V4, ms(160), at(1));
        assert_eq!((servers.rtt_estimate(V4), wait()), (Some(ms(90)), ms(290)));
        for _ in 0..60 {
            servers.on_reply(V4, ms(10), at(2));
        }
        assert!(wait() >= ms(30) && wait() < ms(40), "{:?}", wait());
    }

    #[test]
    fn silence_is_left_alone_for_longer_and_longer() {
        let servers = servers();
        let zone = name("test.");
        servers.on_timeout(V4, ms(400), at(0));
        assert_eq!((servers.usable(V4, &zone, at(0)), servers.manner(V4, at(0)).timeout(0)), (Usable::Yes, ms(800)));
        for (secs, wait) in [(10, 1), (20, 2), (30, 4), (40, 8), (50, 16), (90, 32), (200, 64), (300, 64)] {
            servers.on_timeout(V4, ms(800), at(secs));
            assert_eq!(servers.usable(V4, &zone, at(secs)), Usable::BackedOff(at(secs + wait)));
            assert_eq!(servers.usable(V4, &zone, at(secs + wait)), Usable::Yes);
        }
        assert_eq!(servers.manner(V4, at(300)).timeout(0), TIMEOUT_MAX);
        servers.on_reply(V4, ms(20), at(300));
        assert_eq!((servers.usable(V4, &zone, at(300)), servers.timeouts_in_a_row(V4)), (Usable::Yes, 0));
        let other = IpAddr::from([192, 0, 2, 2]);
        servers.on_unreachable(other, at(300));
        assert_eq!(servers.usable(other, &zone, at(300)), Usable::BackedOff(at(301)));
        servers.forgive();
        assert_eq!(servers.usable(other, &zone, at(300)), Usable::Yes);
    }

    /// On a lossy link nobody is waited for the longer, and nobody left alone; a question goes to the others first.
    #[test]
    fn loss_is_not_slowness() {
        let servers = servers();
        let zone = name("test.");
        (0..60).for_each(|_| servers.on_reply(V4, ms(10), at(10)));
        let usual = servers.manner(V4, at(10)).timeout(0);
        (0..3).for_each(|n| servers.on_timeout(V4, ms(30), at(10) + ms(100 * n)));
        assert_eq!((servers.manner(V4, at(11)).timeout(0), servers.manner(V4, at(11)).timeout(1)), (usual, usual * 2));
        let standing = servers.standing(V4, &zone, at(11));
        assert_eq!((standing.rtt, standing.usable), (Some(ms(10 + 3 * 30)), Usable::Yes));
        servers.on_timeout(V4, ms(30), at(13));
        assert_eq!((servers.manner(V4, at(13)).timeout(0), servers.usable(V4, &zone, at(13))), (usual * 16, Usable::BackedOff(at(17))));
        servers.on_reply(V4, ms(10), at(14));
        assert_eq!((servers.manner(V4, at(14)).timeout(0), servers.standing(V4, &zone, at(14)).rtt), (usual, Some(ms(10))));
    }

    #[test]
    fn one_silence_counts_once() {
        let servers = servers();
        let at_ms = |ms: u64| BootTime(100_000 + ms);
        for begun in [0, 5, 200, 399] {
            servers.on_timeout(V4, ms(400), at_ms(begun + 400));
        }
        assert_eq!((servers.timeouts_in_a_row(V4), servers.manner(V4, at_ms(800)).timeout(0)), (1, ms(800)));
        servers.on_timeout(V4, ms(800), at_ms(400 + 800));
        assert_eq!(servers.timeouts_in_a_row(V4), 2, "asked after the first silence was noticed");
        servers.on_reply(V4, ms(20), at_ms(1300));
        servers.on_timeout(V4, ms(80), at_ms(1310));
        assert_eq!(servers.timeouts_in_a_row(V4), 1, "after a reply every silence is a new one");
    }

    #[test]
    fn unfit_for_one_zone_only() {
        let servers = servers();
        servers.set_unfit(V4, &name("lame.test."), Unfit::Lame, 60, at(0));
        assert_eq!(servers.usable(V4, &name("lame.test."), at(59)), Usable::Unfit(Unfit::Lame, at(60)));
        assert_eq!(servers.usable(V4, &name("good.test."), at(59)), Usable::Yes);
        assert_eq!(servers.usable(V6, &name("lame.test."), at(59)), Usable::Yes);
        assert_eq!(servers.usable(V4, &name("lame.test."), at(60)), Usable::Yes);
        servers.set_unfit(V4, &name("lame.test."), Unfit::Refused, 60, at(60));
    }

    #[test]
    fn abilities_are_remembered() {
        let servers = servers();
        let known = |secs| {
            let Manner { case, cookie, .. } = servers.manner(V4, at(secs));
            (servers.abilities().edns(V4, at(secs)), servers.standing(V4, &name("x.test."), at(secs)).edns, case, cookie.to_vec())
        };
        assert_eq!(known(0), (EdnsState::Unknown, EdnsState::Unknown, CaseState::Unknown, Vec::new()));
        servers.abilities().set_edns(V4, EdnsState::BrokenUntil(at(60)));
        servers.abilities().set_lower_case(V4, at(90));
        servers.abilities().set_cookie(V4, b"12345678", at(0));
        let broken = EdnsState::BrokenUntil(at(60));
        assert_eq!(known(59), (broken, broken, CaseState::LowerUntil(at(90)), b"12345678".to_vec()));
        assert_eq!(known(60), (EdnsState::Unknown, EdnsState::Unknown, CaseState::LowerUntil(at(90)), b"12345678".to_vec()));
        assert_eq!(known(90).2, CaseState::Unknown, "it ends by itself");
        servers.abilities().set_cookie(V4, b"short", at(0));
        assert_eq!(known(60).3, Vec::<u8>::new());
    }

    /// One forged reply does not turn 0x20 off, and nothing turns it off for ever.
    #[test]
    fn other_letter_case_counts_after_several_in_a_row() {
        let servers = servers();
        let case = |secs| servers.manner(V4, at(secs)).case;
        servers.abilities().on_other_case(V4, at(0));
        assert_eq!(case(0), CaseState::Unknown);
        servers.abilities().case_works(V4, at(0));
        for _ in 0..10 {
            servers.abilities().on_other_case(V4, at(1));
            assert_eq!((case(1), servers.manner(V4, at(1)).was_doubted), (CaseState::Works, true));
            servers.abilities().full_form_works(V4, at(1));
            assert!(!servers.manner(V4, at(1)).was_doubted, "a right one came between");
        }
        assert_eq!((case(3_600), case(3_601)), (CaseState::Works, CaseState::Unknown), "it is shown anew");
        servers.abilities().on_other_case(V4, at(1));
        servers.abilities().on_other_case(V4, at(2));
        assert_eq!((case(2), case(602)), (CaseState::LowerUntil(at(602)), CaseState::Unknown));
    }

    #[test]
    fn a_simpler_form_counts_after_several_in_a_row() {
        let servers = servers();
        for _ in 0..10 {
            assert!(!servers.abilities().on_simpler_form(V4));
            servers.abilities().full_form_works(V4, at(1));
        }
        assert_eq!([(); 3].map(|()| servers.abilities().on_simpler_form(V4)), [false, true, true]);
    }

    #[test]
    fn few_denials_are_checked() {
        let servers = servers();
        let taken = |secs| (0..10).filter(|_| servers.abilities().take_check(V4, at(secs))).count();
        assert_eq!((taken(0), taken(599), taken(600)), (3, 0, 3));
    }

    #[test]
    fn a_word_is_taken_after_several_were_kept() {
        let servers = servers();
        let mut told = Vec::new();
        for kept in [true, true, true, false].into_iter().chain([true; 19]) {
            servers.abilities().on_alias_tail_checked(V4, kept);
            told.push(servers.abilities().alias_tails_are_consistent(V4));
        }
        let trusted: Vec<usize> = (0..told.len()).filter(|&at| told[at]).collect();
        assert_eq!(trusted, [2, 22]);
        assert!(!servers.abilities().alias_tails_are_consistent(V6));
    }

    #[test]
    fn nothing_is_held_against_one_server_of_a_broken_family() {
        let servers = servers();
        servers.on_reply(V4, ms(20), at(0));
        for secs in 0..10 {
            servers.on_timeout(V6, ms(400), at(secs));
            servers.on_unreachable(V6, at(secs));
        }
        assert_eq!(servers.families().standing(Family::V6, at(10)), FamilyStanding::Broken);
        assert_eq!(servers.standing(V6, &name("test."), at(10)), Standing::UNKNOWN);
        servers.on_useless(V6, at(10));
        assert_eq!(servers.usable(V6, &name("test."), at(10)), Usable::BackedOff(at(11)), "it was there");
        servers.forgive();
        assert_eq!(servers.families().standing(Family::V6, at(10)), FamilyStanding::Works);
    }

    #[test]
    fn a_flood_of_servers_is_bounded() {
        let servers = servers();
        for n in 0..20_000u32 {
            let addr = IpAddr::from((n | 0x0a00_0000).to_be_bytes());
            servers.on_timeout(addr, ms(400), at(0));
            servers.set_unfit(addr, &name("x.test."), Unfit::Lame, 60, at(0));
        }
        assert!(servers.count() > 1000 && servers.bytes() <= 1 << 20, "{}", servers.bytes());
    }
}
