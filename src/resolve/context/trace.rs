//! What a walk does, as typed events. `cairn explain`, the log, EDE texts and test failures all print from
//! these, and nothing else in the walk makes text for people.
//!
//! A walk without a listener pays one branch per event: the event is only built when somebody listens.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::Family;
use crate::env::Instant;
use crate::limits::walk::TRACE_EVENTS_MAX;
use crate::record::{Name, Question, Rank, Rcode, Rtype, Security};
use crate::resolve::context::failure::Cause;
use crate::resolve::context::local::LocalSource;
use crate::resolve::reply::classify::Kind;
use crate::upstream::{Secure, TcpReason};
use crate::validate::Signed;

/// One step of a walk.
#[derive(Clone, Debug)]
pub enum Step {
    /// A question begins; `depth` of the event shows the nesting.
    Begin {
        question: Question,
        purpose: Purpose,
    },
    /// Found in the cache.
    CacheHit {
        question: Question,
        what: CacheHit,
        age_s: u32,
        ttl_s: u32,
    },
    /// This server itself has the answer, and no other server is asked.
    Local {
        question: Question,
        zone: Name,
        source: LocalSource,
    },
    /// The local copy of the root zone replies in place of the root servers.
    LocalRoot {
        question: Question,
        kind: Kind,
    },
    /// A rule of the configuration decides which servers are asked.
    Routed {
        zone: Name,
        forward: bool,
    },
    /// The deepest known zone cut from which the walk goes on.
    Cut {
        zone: Name,
        servers: usize,
        addresses: usize,
        from_cache: bool,
    },
    /// The servers of a cached delegation are useless: the parent is asked for the delegation again.
    Restart {
        zone: Name,
        cause: Cause,
    },
    /// Another walk is already looking for this.
    Joined {
        question: Question,
    },
    Asked(Asked),
    /// What the reply meant, after bailiwick and relevance were checked.
    Reply {
        kind: Kind,
        rcode: Rcode,
        took: Duration,
        tcp: bool,
        /// Why TCP was used too; the reply may still have come by UDP.
        tcp_because: Option<TcpReason>,
        near_misses: u16,
        dropped: usize,
        /// The encrypted connection that it came over.
        secure: Option<Box<Secure>>,
    },
    /// The reply that gave the alias also has the records that it leads to.
    AliasTail {
        question: Question,
        zone: Name,
        because: AliasTailReason,
    },
    /// No server at all replies: none is asked until the network is back.
    Offline {
        /// The kernel has no route to any server; otherwise no server replies.
        without_route: bool,
    },
    /// No usable reply came.
    NoReply {
        reason: String,
        took: Duration,
    },
    Alias {
        from: Name,
        to: Name,
        rtype: Rtype,
    },
    Cached {
        name: Name,
        rtype: Rtype,
        records: usize,
        ttl_s: u32,
        rank: Rank,
    },
    CachedDenial {
        name: Name,
        rtype: Rtype,
        nxdomain: bool,
        ttl_s: u32,
    },
    /// The result of validation for a zone or an RRset.
    Proof {
        subject: String,
        security: Security,
        detail: String,
        /// Its place in the chain of trust.
        part: Option<Box<ChainPart>>,
    },
    /// The question was answered.
    Done {
        question: Question,
        rcode: Rcode,
        records: usize,
        security: Security,
    },
    Failed {
        question: Question,
        cause: Cause,
    },
}

/// One part of the chain of trust: a zone with its keys, or the RRset to be validated.
#[derive(Clone, Debug)]
pub struct ChainPart {
    pub name: Name,
    /// Of the RRset; `None` for a zone.
    pub rtype: Option<Rtype>,
    /// The configuration vouches for the zone's keys, not the zone above.
    pub anchored: bool,
    pub keys: Vec<ZoneKey>,
    /// The signature that validated; for a zone, the one over its DNSKEY set.
    pub signed: Option<Signed>,
}

/// A key of a zone's DNSKEY set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneKey {
    pub key_tag: u16,
    pub algorithm: u8,
}

/// A query that is about to be sent.
#[derive(Clone, Debug)]
pub struct Asked {
    pub server_name: Option<Name>,
    /// Of a server that is asked over an encrypted connection.
    pub url: Option<Arc<str>>,
    pub address: IpAddr,
    pub zone: Name,
    pub question: Question,
    pub minimised: bool,
    pub why: Choice,
    pub attempt: u8,
    pub with_edns: bool,
    /// Where the network's translator receives the query; `None` where it goes to the server itself.
    pub translated: Option<IpAddr>,
    pub passed_over: Option<PassedOver>,
}

/// Why the alias tail of a reply is given to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AliasTailReason {
    /// It is validated.
    Validated,
    /// The alias leads to the apex of the zone, for which the zone's server is authoritative.
    Apex,
    /// The alias tails of this server have always agreed with its answers.
    ConsistentServer,
}

/// Servers that were left out because no server replies by their address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassedOver {
    pub family: Family,
    pub addresses: usize,
    /// Until the family is tested again.
    pub test_in: Duration,
}

/// Why this server was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The smallest smoothed round-trip time of `of` usable addresses.
    Fastest { rtt_ms: u32, of: usize },
    /// Never asked before; one of `of` usable addresses.
    Untried { of: usize },
    /// Asked at random now and then, to notice a server that has become faster.
    Exploring { of: usize },
    /// Another server has not replied yet.
    SecondQuery,
    /// Of the other address family: it is not known yet which of the two works here.
    Race,
    /// Whether its address family works again; the question does not wait for it.
    FamilyTest { family: Family },
    /// The only address left.
    LastResort,
    /// A forwarder or stub server of the configuration, in its order.
    Configured,
}

/// What the cache had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheHit {
    Set,
    Alias,
    NxDomain,
    NoData,
    Failure,
    Stale,
}

/// Why a question is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Client,
    ServerAddress,
    Ds,
    Dnskey,
    Priming,
    Prefetch,
    /// A report of a failure to the agent of a zone (RFC 9567).
    ErrorReport,
    /// A signal of the key tags of trust anchors (RFC 8145).
    AnchorSignal,
    /// The name of an alias tail is asked for, before anything is stored for it.
    Confirmation,
}

impl Purpose {
    /// Does a client wait for the outcome?
    pub fn is_awaited(self) -> bool {
        !matches!(self, Purpose::Prefetch | Purpose::ErrorReport | Purpose::AnchorSignal | Purpose::Confirmation)
    }
}

/// A step with its time and depth.
#[derive(Clone, Debug)]
pub struct Event {
    /// Since the question came.
    pub at: Duration,
    pub depth: u8,
    pub step: Step,
}

/// A handle that walks and their children write to; clones share one list.
#[derive(Clone)]
pub struct Trace {
    sink: Option<Rc<Sink>>,
    depth: u8,
}

struct Sink {
    start: Instant,
    events: RefCell<Vec<Event>>,
}

impl Trace {
    /// Records nothing.
    pub fn off() -> Trace {
        Trace { sink: None, depth: 0 }
    }

    /// Records every step, timed from now.
    pub fn recording() -> Trace {
        Trace { sink: Some(Rc::new(Sink { start: Instant::now(), events: RefCell::default() })), depth: 0 }
    }

    /// The same recorder, one level deeper.
    pub fn child(&self) -> Trace {
        Trace { sink: self.sink.clone(), depth: self.depth.saturating_add(1) }
    }

    /// Whether somebody listens.
    pub fn is_on(&self) -> bool {
        self.sink.is_some()
    }

    /// Records the step that `step` makes, if somebody listens.
    pub fn emit(&self, step: impl FnOnce() -> Step) {
        if let Some(sink) = &self.sink {
            let mut events = sink.events.borrow_mut();
            if events.len() < TRACE_EVENTS_MAX {
                events.push(Event { at: sink.start.elapsed(), depth: self.depth, step: step() });
            }
        }
    }

    /// The steps so far, in order.
    pub fn events(&self) -> Vec<Event> {
        self.sink.as_ref().map(|sink| sink.events.borrow().clone()).unwrap_or_default()
    }
}
