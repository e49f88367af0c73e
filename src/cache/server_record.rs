//! What is known of one server: its speed, its silences, and what it copes with.
//!
//! Round-trip times are smoothed as in RFC 6298 2, of replies alone: a lost packet says nothing of them. A server that
//! keeps silent is left alone for a time that doubles, bounded by about a minute, so that it is found again.

use std::net::IpAddr;
use std::time::Duration;

use smallvec::SmallVec;

use crate::env::BootTime;
use crate::limits::servers::{BACK_OFF_DOUBLINGS_MAX, RTT_MARGIN_MIN, TIMEOUT_DOUBLINGS_MAX, TIMEOUT_MAX};

/// The time-out for a server that has never replied.
pub const TIMEOUT_INITIAL: Duration = Duration::from_millis(400);
/// A server that has replied within this time is alive: a missing reply was lost on the way, and waiting longer for the next
/// one would not help.
const HEARD_LATELY: Duration = Duration::from_secs(2);
/// One lost packet means nothing; from this many time-outs in a row on, the server is left alone for a while.
pub const TIMEOUTS_FOR_BACK_OFF: u8 = 2;
const BACK_OFF_FIRST: Duration = Duration::from_secs(1);
/// RFC 7873 4: octets of the longest server cookie.
pub const COOKIE_BYTES_MAX: usize = 32;

/// What is known of a server's EDNS.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EdnsState {
    #[default]
    Unknown,
    Works,
    /// Sent queries without EDNS until this time.
    BrokenUntil(BootTime),
}

/// Whether the server supports mixed letter case in the question (0x20).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CaseState {
    #[default]
    Unknown,
    /// It has given data for a name in mixed case, and repeated the letter case, within the last hour.
    Works,
    /// Sent names in lower case until this time.
    LowerUntil(BootTime),
}

/// Reason why a server is useless for a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// It neither answers with AA nor refers downwards.
    Lame,
    Refused,
    ServFail,
    FormErr,
    /// Its replies make no sense, or its signatures are invalid.
    Broken,
}

/// Whether a server should be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Usable {
    Yes,
    /// Silent so far; it is left alone until this time.
    BackedOff(BootTime),
    Unfit(Unfit, BootTime),
}

/// What is known of a server, for the choice of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Smoothed; `None` for a server that was never asked. A server that has only been silent counts as slow.
    pub rtt: Option<Duration>,
    /// The spread of its round-trip times.
    pub variance: Duration,
    pub replies: u32,
    pub last_reply: BootTime,
    pub usable: Usable,
    pub edns: EdnsState,
}

impl Standing {
    /// A server that was never asked.
    pub const UNKNOWN: Standing = Standing {
        rtt: None,
        variance: Duration::ZERO,
        replies: 0,
        last_reply: BootTime(0),
        usable: Usable::Yes,
        edns: EdnsState::Unknown,
    };
}

/// How a server is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manner {
    /// It has replied before.
    pub is_known: bool,
    /// The sum of RFC 6298 2.3.
    pub usual_wait: Duration,
    /// Time-outs in a row, of a server that has not replied lately.
    pub silences: u32,
    pub case: CaseState,
    /// Something spoke against the form of its queries since it last replied well to one in full form.
    pub was_doubted: bool,
    /// It does not support EDNS options.
    pub no_options: bool,
    /// TCP to it has failed.
    pub no_tcp: bool,
    /// The last cookie that it gave (RFC 7873 5.3), 8 to 32 octets, or nothing.
    pub cookie: SmallVec<[u8; COOKIE_BYTES_MAX]>,
}

impl Manner {
    /// How long to wait for its reply: longer after each silence, of this question or of all questions.
    pub fn timeout(&self, silences_of_question: u8) -> Duration {
        let doublings = self.silences.max(u32::from(silences_of_question)).min(TIMEOUT_DOUBLINGS_MAX);
        (self.usual_wait * (1 << doublings)).min(TIMEOUT_MAX)
    }
}

/// What is known of one server.
pub struct ServerRecord {
    pub addr: IpAddr,
    pub srtt: Option<Duration>,
    pub variance: Duration,
    pub replies: u32,
    pub last_reply: BootTime,
    pub timeouts: u8,
    pub last_timeout: BootTime,
    /// The last time that was waited in vain.
    pub waited: Duration,
    pub backed_off_until: BootTime,
    pub edns: EdnsState,
    pub case: CaseState,
    /// A server may be replaced: what it once coped with counts until this time.
    pub copes_until: BootTime,
    /// Replies in a row whose letter case differed from the question's.
    pub case_misses: u8,
    /// Questions in a row that it answered in a simpler form only, as far as could be seen over UDP.
    pub simpler_only: u8,
    pub no_options_until: BootTime,
    pub no_tcp_until: BootTime,
    /// Checks of its denials and errors that were begun, and when the count starts anew.
    pub checks: u8,
    pub checks_anew: BootTime,
    pub cookie: [u8; COOKIE_BYTES_MAX],
    pub cookie_len: u8,
    pub cookie_until: BootTime,
    /// Queries in a row whose replies lacked the cookie.
    pub cookie_misses: u8,
    /// There are or were zones for which it is useless.
    pub was_unfit: bool,
    /// How many of its alias tails in a row were the same as its direct answers, up to `CONSISTENT_TAILS`.
    pub consistent_tails: i8,
}

impl ServerRecord {
    /// A server that was never asked.
    pub fn new(addr: IpAddr) -> ServerRecord {
        ServerRecord {
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
            copes_until: BootTime::default(),
            case_misses: 0,
            simpler_only: 0,
            no_options_until: BootTime::default(),
            no_tcp_until: BootTime::default(),
            checks: 0,
            checks_anew: BootTime::default(),
            cookie: [0; COOKIE_BYTES_MAX],
            cookie_len: 0,
            cookie_until: BootTime::default(),
            cookie_misses: 0,
            was_unfit: false,
            consistent_tails: 0,
        }
    }

    /// What is known of the server, for the choice of one.
    pub fn standing(&self, now: BootTime) -> Standing {
        let usable = if self.backed_off_until > now { Usable::BackedOff(self.backed_off_until) } else { Usable::Yes };
        let rtt = match (self.srtt, self.timeouts) {
            (srtt, 0) => srtt,
            // Until it replies again, faster servers are asked first.
            (srtt, silences) => Some(srtt.map_or(TIMEOUT_INITIAL, |srtt| srtt + self.waited * u32::from(silences))),
        };
        let edns = self.edns_at(now);
        Standing { rtt, variance: self.variance, replies: self.replies, last_reply: self.last_reply, usable, edns }
    }

    /// The state of its EDNS now.
    pub fn edns_at(&self, now: BootTime) -> EdnsState {
        match self.edns {
            EdnsState::BrokenUntil(until) if until <= now => EdnsState::Unknown,
            state => state,
        }
    }

    /// How the server is asked now.
    pub fn manner(&self, now: BootTime) -> Manner {
        Manner {
            is_known: self.srtt.is_some(),
            usual_wait: self.usual_wait(),
            silences: if self.was_heard_lately(now) { 0 } else { u32::from(self.timeouts) },
            case: match self.case {
                CaseState::LowerUntil(until) if until <= now => CaseState::Unknown,
                CaseState::Works if self.copes_until <= now => CaseState::Unknown,
                state => state,
            },
            was_doubted: self.case_misses > 0 || self.simpler_only > 0,
            no_options: self.no_options_until > now,
            no_tcp: self.no_tcp_until > now,
            cookie: SmallVec::from_slice(if self.cookie_until > now { &self.cookie[..usize::from(self.cookie_len)] } else { &[] }),
        }
    }

    /// Whether it replied within the last two seconds.
    pub fn was_heard_lately(&self, now: BootTime) -> bool {
        self.replies > 0 && now.since(self.last_reply) < HEARD_LATELY
    }

    fn usual_wait(&self) -> Duration {
        self.srtt.map_or(TIMEOUT_INITIAL, |srtt| srtt + (self.variance * 4).max(RTT_MARGIN_MIN))
    }

    /// RFC 6298 2.2 and 2.3.
    pub fn on_reply(&mut self, rtt: Duration, now: BootTime) {
        self.replies = self.replies.saturating_add(1);
        self.last_reply = now;
        let rtt = rtt.min(TIMEOUT_MAX * 4);
        (self.srtt, self.variance) = match self.srtt {
            None => (Some(rtt), rtt / 2),
            Some(srtt) => (Some((srtt * 7 + rtt) / 8), (self.variance * 3 + srtt.abs_diff(rtt)) / 4),
        };
        (self.timeouts, self.backed_off_until) = (0, BootTime::default());
    }

    /// Several questions that waited at the same time saw one silence, not several: the time-out doubles once for all of them.
    /// Otherwise a few clients of a zone with a dead server would soon wait very long for it.
    pub fn on_timeout(&mut self, waited: Duration, now: BootTime) {
        if self.timeouts == 0 || now.since(self.last_timeout) >= waited {
            self.on_silence(waited, now);
        }
    }

    /// The server was silent for `waited`.
    pub fn on_silence(&mut self, waited: Duration, now: BootTime) {
        (self.last_timeout, self.waited) = (now, waited);
        self.timeouts = self.timeouts.saturating_add(1);
        if self.timeouts >= TIMEOUTS_FOR_BACK_OFF && !self.was_heard_lately(now) {
            let doublings = u32::from(self.timeouts - TIMEOUTS_FOR_BACK_OFF).min(BACK_OFF_DOUBLINGS_MAX);
            self.backed_off_until = now + BACK_OFF_FIRST * (1 << doublings);
        }
    }
}
