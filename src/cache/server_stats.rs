//! What is known of the servers that were asked: how fast each is, whether it answers at all, what it can do,
//! for which zones it is of no use; and, in `families.rs`, whether a whole address family works from here. Choosing is left
//! to others.
//!
//! Round-trip times are smoothed as in RFC 6298 2, of replies alone: a lost packet says nothing of them. A server that
//! keeps silent is left alone for a time that doubles, bounded by about a minute, so that it is found again. Bounded by
//! count: the least recently used goes.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use lru::LruCache;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::families::{Families, Family, FamilyStanding};
use super::store::{ByIdentity, Hashing};
use crate::env::{BootTime, Random};
use crate::limits::cache::CASE_CHECKS_MAX;
use crate::limits::servers::{BACK_OFF_DOUBLINGS_MAX, RTT_MARGIN_MIN, TIMEOUT_DOUBLINGS_MAX, TIMEOUT_MAX};
use crate::record::Name;

const TIMEOUT_INITIAL: Duration = Duration::from_millis(400);
/// A server that was heard so lately is there: what it did not answer was lost on the way, and waiting longer for the
/// next reply would not bring it.
const HEARD_LATELY: Duration = Duration::from_secs(2);
/// One lost packet is nothing; from the second time-out in a row on the server is left alone for a while.
const TIMEOUTS_FOR_BACK_OFF: u8 = 2;
const BACK_OFF_FIRST: Duration = Duration::from_secs(1);
const COOKIE_BYTES_MAX: usize = 32;
/// Replies in other letter case, in a row, after which the server counts as one that changes it: two forgers who each
/// guess ID and port have a chance of 2^-64.
const CASE_MISSES: u8 = 2;
/// How long such a server is asked in lower case.
const LOWER_CASE: Duration = Duration::from_secs(600);
const CHECKS_ANEW: Duration = Duration::from_secs(600);
/// So often what a server says in passing must have been what it says when asked, before its word is taken.
const WORDS_KEPT: i8 = 3;
/// One broken word takes so many kept ones to be forgotten.
const WORD_BROKEN: i8 = -16;

/// Node, table and record of one server, and of one pair of server and zone with a long name.
const SERVER_BYTES: usize = 256;
const UNFIT_BYTES: usize = 512;
const SHARDS: usize = 8;

pub struct Servers {
    shards: [Mutex<Shard>; SHARDS],
    families: Mutex<Families>,
    hashing: Hashing,
    servers_max: usize,
    unfit_max: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EdnsState {
    #[default]
    Unknown,
    Works,
    /// Ask without EDNS until then.
    BrokenUntil(BootTime),
}

/// Does the server cope with mixed letter case in the question (0x20)?
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CaseState {
    #[default]
    Unknown,
    /// It has given data for a name in mixed case, and repeated the letter case.
    Works,
    /// Ask in lower case until then.
    LowerUntil(BootTime),
}

/// Reason a server is of no use for a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// Neither answers with authority nor refers downwards.
    Lame,
    Refused,
    ServFail,
    FormErr,
    /// What it says makes no sense, or its signatures do not hold.
    Broken,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Usable {
    Yes,
    /// Silent so far; leave it alone until then.
    BackedOff(BootTime),
    Unfit(Unfit, BootTime),
}

/// What is known of a server that one thinks of asking for a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Smoothed; `None` for a server that was never asked. One that only kept silent counts as slow.
    pub rtt: Option<Duration>,
    /// How far its round-trip times spread around that.
    pub variance: Duration,
    pub replies: u32,
    pub last_reply: BootTime,
    pub usable: Usable,
    pub edns: EdnsState,
}

impl Standing {
    pub const UNKNOWN: Standing = Standing {
        rtt: None,
        variance: Duration::ZERO,
        replies: 0,
        last_reply: BootTime(0),
        usable: Usable::Yes,
        edns: EdnsState::Unknown,
    };
}

/// How a server is to be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manner {
    /// It has replied before.
    pub is_known: bool,
    /// RFC 6298's sum.
    pub usual_wait: Duration,
    /// Time-outs in a row, of a server that was not heard lately.
    pub silences: u32,
    pub case: CaseState,
    /// It does not cope with EDNS options.
    pub no_options: bool,
    /// TCP to it has failed.
    pub no_tcp: bool,
    /// The cookie it gave last (RFC 7873 5.3), 8 to 32 octets, or nothing.
    pub cookie: SmallVec<[u8; COOKIE_BYTES_MAX]>,
}

impl Manner {
    /// How long its reply is waited for: longer after each silence, of this question or all in all.
    pub fn timeout(&self, silences_of_question: u8) -> Duration {
        let doublings = self.silences.max(u32::from(silences_of_question)).min(TIMEOUT_DOUBLINGS_MAX);
        (self.usual_wait * (1 << doublings)).min(TIMEOUT_MAX)
    }
}

struct Server {
    addr: IpAddr,
    srtt: Option<Duration>,
    variance: Duration,
    replies: u32,
    last_reply: BootTime,
    timeouts: u8,
    last_timeout: BootTime,
    /// In vain, the last time.
    waited: Duration,
    backed_off_until: BootTime,
    edns: EdnsState,
    case: CaseState,
    /// Replies in a row whose letter case was not the question's.
    case_misses: u8,
    no_options_until: BootTime,
    no_tcp_until: BootTime,
    /// Checks of its denials and errors that were begun, and when they count anew.
    checks: u8,
    checks_anew: BootTime,
    cookie: [u8; COOKIE_BYTES_MAX],
    cookie_len: u8,
    /// There are or were zones for which it is of no use.
    was_unfit: bool,
    /// How often in a row what it said in passing was what it said when asked, up to `WORDS_KEPT`.
    words_kept: i8,
}

struct UnfitFor {
    addr: IpAddr,
    zone: Name,
    reason: Unfit,
    until: BootTime,
}

struct Shard {
    servers: LruCache<u64, Server, ByIdentity>,
    unfit: LruCache<u64, UnfitFor, ByIdentity>,
}

impl Servers {
    pub fn new(bytes: usize, random: &Random) -> Servers {
        let shard = || {
            Mutex::new(Shard {
                servers: LruCache::unbounded_with_hasher(ByIdentity::default()),
                unfit: LruCache::unbounded_with_hasher(ByIdentity::default()),
            })
        };
        Servers {
            shards: std::array::from_fn(|_| shard()),
            families: Mutex::default(),
            hashing: Hashing::new(random),
            servers_max: (bytes / 2 / SERVER_BYTES / SHARDS).max(8),
            unfit_max: (bytes / 2 / UNFIT_BYTES / SHARDS).max(8),
        }
    }

    /// Smoothed; `None` for a server that has not replied yet.
    #[cfg(test)]
    pub fn rtt_estimate(&self, addr: IpAddr) -> Option<Duration> {
        self.peek(addr, |server| server.srtt).flatten()
    }

    pub fn was_heard_lately(&self, addr: IpAddr, now: BootTime) -> bool {
        self.peek(addr, |server| server.was_heard_lately(now)).unwrap_or(false)
    }

    #[cfg(test)]
    pub fn timeouts_in_a_row(&self, addr: IpAddr) -> u8 {
        self.peek(addr, |server| server.timeouts).unwrap_or(0)
    }

    pub fn on_asked(&self, addr: IpAddr, now: BootTime) {
        self.families.lock().on_asked(Family::of(addr), now);
    }

    pub fn on_reply(&self, addr: IpAddr, rtt: Duration, now: BootTime) {
        self.change(addr, |server| server.on_reply(rtt, now));
        self.families.lock().on_reply(Family::of(addr), now);
    }

    /// `waited` in vain. Faster ones are asked first from now on, until it replies.
    pub fn on_timeout(&self, addr: IpAddr, waited: Duration, now: BootTime) {
        if !self.is_familys_fault(addr, now) {
            self.change(addr, |server| server.on_timeout(waited, now));
        }
    }

    /// The host, or the whole network, refuses: as clear as several time-outs.
    pub fn on_unreachable(&self, addr: IpAddr, now: BootTime) {
        if !self.is_familys_fault(addr, now) {
            self.on_useless(addr, now);
        }
    }

    /// It is there and cannot be talked to: it is left alone as if it were silent.
    pub fn on_useless(&self, addr: IpAddr, now: BootTime) {
        self.change(addr, |server| {
            server.timeouts = server.timeouts.max(TIMEOUTS_FOR_BACK_OFF - 1);
            server.on_silence(TIMEOUT_INITIAL, now);
        });
    }

    /// Where a whole family is silent, nothing is held against one server of it.
    fn is_familys_fault(&self, addr: IpAddr, now: BootTime) -> bool {
        let mut families = self.families.lock();
        families.on_silence(addr, now);
        families.standing(Family::of(addr), now) == FamilyStanding::Broken
    }

    /// Forgets every back-off, and what was found of families: the network is another one, or is back.
    pub fn forgive(&self) {
        for shard in &self.shards {
            for (_, server) in shard.lock().servers.iter_mut() {
                (server.timeouts, server.backed_off_until) = (0, BootTime::default());
            }
        }
        *self.families.lock() = Default::default();
    }

    #[cfg(test)]
    pub fn usable(&self, addr: IpAddr, zone: &Name, now: BootTime) -> Usable {
        self.standing(addr, zone, now).usable
    }

    pub fn standing(&self, addr: IpAddr, zone: &Name, now: BootTime) -> Standing {
        let hash = self.hash(addr, None);
        let mut shard = self.shard(hash).lock();
        let Some(server) = shard.servers.peek(&hash).filter(|server| server.addr == addr) else { return Standing::UNKNOWN };
        let mut standing = server.standing(now);
        if server.was_unfit {
            let meant = |unfit: &&UnfitFor| unfit.until > now && unfit.addr == addr && unfit.zone == *zone;
            if let Some(unfit) = shard.unfit.get(&self.hash(addr, Some(zone))).filter(meant) {
                standing.usable = Usable::Unfit(unfit.reason, unfit.until);
            }
        }
        standing
    }

    pub fn set_unfit(&self, addr: IpAddr, zone: &Name, reason: Unfit, for_s: u32, now: BootTime) {
        self.change(addr, |server| server.was_unfit = true);
        let until = now + Duration::from_secs(u64::from(for_s));
        let unfit = &mut self.shard(self.hash(addr, None)).lock().unfit;
        unfit.put(self.hash(addr, Some(zone)), UnfitFor { addr, zone: zone.clone(), reason, until });
        if unfit.len() > self.unfit_max {
            unfit.pop_lru();
        }
    }

    pub fn edns(&self, addr: IpAddr, now: BootTime) -> EdnsState {
        self.peek(addr, |server| server.edns_at(now)).unwrap_or_default()
    }

    pub fn manner(&self, addr: IpAddr, now: BootTime) -> Manner {
        let unknown = || Server::new(addr).manner(now);
        self.peek(addr, |server| server.manner(now)).unwrap_or_else(unknown)
    }

    pub fn set_edns(&self, addr: IpAddr, state: EdnsState) {
        self.change(addr, |server| server.edns = state);
    }

    /// The server copes with mixed letter case.
    pub fn case_works(&self, addr: IpAddr) {
        self.change(addr, |server| (server.case, server.case_misses) = (CaseState::Works, 0));
    }

    /// The server answered in lower case only what it did not answer in mixed case.
    pub fn set_lower_case(&self, addr: IpAddr, until: BootTime) {
        self.change(addr, |server| (server.case, server.case_misses) = (CaseState::LowerUntil(until), 0));
    }

    /// A reply had another letter case than the question. One such reply may be a forgery; several in a row, without
    /// one that is right, come from the server.
    pub fn on_other_case(&self, addr: IpAddr, now: BootTime) {
        self.change(addr, |server| {
            server.case_misses += 1;
            if server.case_misses >= CASE_MISSES {
                (server.case, server.case_misses) = (CaseState::LowerUntil(now + LOWER_CASE), 0);
            }
        });
    }

    /// True for a denial or an error of this server that is to be checked: the first few, so that honest denials do not
    /// cost twice as much.
    pub fn take_check(&self, addr: IpAddr, now: BootTime) -> bool {
        let mut taken = false;
        self.change(addr, |server| {
            if server.checks_anew <= now {
                (server.checks, server.checks_anew) = (0, now + CHECKS_ANEW);
            }
            taken = server.checks < CASE_CHECKS_MAX;
            server.checks += u8::from(taken);
        });
        taken
    }

    pub fn set_no_options(&self, addr: IpAddr, until: BootTime) {
        self.change(addr, |server| server.no_options_until = until);
    }

    pub fn set_no_tcp(&self, addr: IpAddr, until: BootTime) {
        self.change(addr, |server| server.no_tcp_until = until);
    }

    /// Other lengths than RFC 7873 allows forget it.
    pub fn set_cookie(&self, addr: IpAddr, cookie: &[u8]) {
        let kept = if (8..=COOKIE_BYTES_MAX).contains(&cookie.len()) { cookie } else { &[] };
        self.change(addr, |server| {
            server.cookie[..kept.len()].copy_from_slice(kept);
            server.cookie_len = kept.len() as u8;
        });
    }

    /// What it said of a name for which it was not asked turned out to be true, or not.
    pub fn on_word(&self, addr: IpAddr, kept: bool) {
        self.change(addr, |server| {
            server.words_kept = if kept { (server.words_kept + 1).min(WORDS_KEPT) } else { WORD_BROKEN };
        });
    }

    /// May what it says of a name for which it was not asked be taken for true?
    pub fn keeps_its_word(&self, addr: IpAddr) -> bool {
        self.peek(addr, |server| server.words_kept).is_some_and(|kept| kept >= WORDS_KEPT)
    }

    /// What is known of IPv4 and IPv6 as a whole.
    pub fn families(&self) -> Families {
        *self.families.lock()
    }

    /// True for the one query that is to test a broken family now.
    pub fn take_family_test(&self, family: Family, now: BootTime) -> bool {
        self.families.lock().take_test(family, now)
    }

    pub fn count(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().servers.len()).sum()
    }

    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock()).map(|shard| shard.servers.len() * SERVER_BYTES + shard.unfit.len() * UNFIT_BYTES).sum()
    }

    fn hash(&self, addr: IpAddr, zone: Option<&Name>) -> u64 {
        let mut hasher = self.hashing.hasher();
        addr.hash(&mut hasher);
        if let Some(zone) = zone {
            hasher.write(zone.as_wire());
        }
        hasher.finish()
    }

    /// The table inside uses the low bits and the seven on top.
    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[(hash >> 48) as usize % SHARDS]
    }

    fn peek<R>(&self, addr: IpAddr, read: impl FnOnce(&Server) -> R) -> Option<R> {
        let hash = self.hash(addr, None);
        self.shard(hash).lock().servers.peek(&hash).filter(|server| server.addr == addr).map(read)
    }

    fn change(&self, addr: IpAddr, change: impl FnOnce(&mut Server)) {
        let hash = self.hash(addr, None);
        let servers = &mut self.shard(hash).lock().servers;
        match servers.get_mut(&hash).filter(|server| server.addr == addr) {
            Some(server) => change(server),
            None => {
                let mut server = Server::new(addr);
                change(&mut server);
                servers.put(hash, server);
                if servers.len() > self.servers_max {
                    servers.pop_lru();
                }
            }
        }
    }
}

impl Server {
    fn new(addr: IpAddr) -> Server {
        Server {
            addr,
            srtt: None,
            variance: Duration::ZERO,
            replies: 0,
            last_reply: BootTime::default(),
            timeouts: 0,
            last_timeout: BootTime::default(),
            waited: Duration::ZERO,
            backed_off_until: BootTime::default(),
            edns: EdnsState::default(),
            case: CaseState::default(),
            case_misses: 0,
            no_options_until: BootTime::default(),
            no_tcp_until: BootTime::default(),
            checks: 0,
            checks_anew: BootTime::default(),
            cookie: [0; COOKIE_BYTES_MAX],
            cookie_len: 0,
            was_unfit: false,
            words_kept: 0,
        }
    }

    fn standing(&self, now: BootTime) -> Standing {
        let usable = if self.backed_off_until > now { Usable::BackedOff(self.backed_off_until) } else { Usable::Yes };
        let rtt = match (self.srtt, self.timeouts) {
            (srtt, 0) => srtt,
            // Until it replies again, faster ones are asked first.
            (srtt, silences) => Some(srtt.map_or(TIMEOUT_INITIAL, |srtt| srtt + self.waited * u32::from(silences))),
        };
        let edns = self.edns_at(now);
        Standing { rtt, variance: self.variance, replies: self.replies, last_reply: self.last_reply, usable, edns }
    }

    fn edns_at(&self, now: BootTime) -> EdnsState {
        match self.edns {
            EdnsState::BrokenUntil(until) if until <= now => EdnsState::Unknown,
            state => state,
        }
    }

    fn manner(&self, now: BootTime) -> Manner {
        Manner {
            is_known: self.srtt.is_some(),
            usual_wait: self.usual_wait(),
            silences: if self.was_heard_lately(now) { 0 } else { u32::from(self.timeouts) },
            case: match self.case {
                CaseState::LowerUntil(until) if until <= now => CaseState::Unknown,
                state => state,
            },
            no_options: self.no_options_until > now,
            no_tcp: self.no_tcp_until > now,
            cookie: SmallVec::from_slice(&self.cookie[..usize::from(self.cookie_len)]),
        }
    }

    fn was_heard_lately(&self, now: BootTime) -> bool {
        self.replies > 0 && now.since(self.last_reply) < HEARD_LATELY
    }

    fn usual_wait(&self) -> Duration {
        self.srtt.map_or(TIMEOUT_INITIAL, |srtt| srtt + (self.variance * 4).max(RTT_MARGIN_MIN))
    }

    /// RFC 6298 2.2 and 2.3.
    fn on_reply(&mut self, rtt: Duration, now: BootTime) {
        self.replies = self.replies.saturating_add(1);
        self.last_reply = now;
        let rtt = rtt.min(TIMEOUT_MAX * 4);
        (self.srtt, self.variance) = match self.srtt {
            None => (Some(rtt), rtt / 2),
            Some(srtt) => (Some((srtt * 7 + rtt) / 8), (self.variance * 3 + srtt.abs_diff(rtt)) / 4),
        };
        (self.timeouts, self.backed_off_until) = (0, BootTime::default());
    }

    /// Questions that waited side by side saw one silence, not several: the wait doubles once for all of them, or
    /// a few clients of one zone with a dead server would soon wait for it as long as for a whole answer.
    fn on_timeout(&mut self, waited: Duration, now: BootTime) {
        if self.timeouts == 0 || now.since(self.last_timeout) >= waited {
            self.on_silence(waited, now);
        }
    }

    fn on_silence(&mut self, waited: Duration, now: BootTime) {
        (self.last_timeout, self.waited) = (now, waited);
        self.timeouts = self.timeouts.saturating_add(1);
        if self.timeouts >= TIMEOUTS_FOR_BACK_OFF && !self.was_heard_lately(now) {
            let doublings = u32::from(self.timeouts - TIMEOUTS_FOR_BACK_OFF).min(BACK_OFF_DOUBLINGS_MAX);
            self.backed_off_until = now + BACK_OFF_FIRST * (1 << doublings);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cache::tests::{at, name};
    use super::*;

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
            (servers.edns(V4, at(secs)), servers.standing(V4, &name("x.test."), at(secs)).edns, case, cookie.to_vec())
        };
        assert_eq!(known(0), (EdnsState::Unknown, EdnsState::Unknown, CaseState::Unknown, Vec::new()));
        servers.set_edns(V4, EdnsState::BrokenUntil(at(60)));
        servers.set_lower_case(V4, at(90));
        servers.set_cookie(V4, b"12345678");
        let broken = EdnsState::BrokenUntil(at(60));
        assert_eq!(known(59), (broken, broken, CaseState::LowerUntil(at(90)), b"12345678".to_vec()));
        assert_eq!(known(60), (EdnsState::Unknown, EdnsState::Unknown, CaseState::LowerUntil(at(90)), b"12345678".to_vec()));
        assert_eq!(known(90).2, CaseState::Unknown, "it ends by itself");
        servers.set_cookie(V4, b"short");
        assert_eq!(known(60).3, Vec::<u8>::new());
    }

    /// One forged reply does not turn 0x20 off, and nothing turns it off for ever.
    #[test]
    fn other_letter_case_counts_after_several_in_a_row() {
        let servers = servers();
        let case = |secs| servers.manner(V4, at(secs)).case;
        servers.on_other_case(V4, at(0));
        assert_eq!(case(0), CaseState::Unknown);
        servers.case_works(V4);
        servers.on_other_case(V4, at(1));
        assert_eq!(case(1), CaseState::Works);
        servers.on_other_case(V4, at(2));
        assert_eq!((case(2), case(602)), (CaseState::LowerUntil(at(602)), CaseState::Unknown));
    }

    #[test]
    fn few_denials_are_checked() {
        let servers = servers();
        let taken = |secs| (0..10).filter(|_| servers.take_check(V4, at(secs))).count();
        assert_eq!((taken(0), taken(599), taken(600)), (3, 0, 3));
    }

    #[test]
    fn a_word_is_taken_after_several_were_kept() {
        let servers = servers();
        let mut told = Vec::new();
        for kept in [true, true, true, false].into_iter().chain([true; 19]) {
            servers.on_word(V4, kept);
            told.push(servers.keeps_its_word(V4));
        }
        let trusted: Vec<usize> = (0..told.len()).filter(|&at| told[at]).collect();
        assert_eq!(trusted, [2, 22]);
        assert!(!servers.keeps_its_word(V6));
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
