//! What a walk does, as typed events. `cairn explain`, the log, EDE texts and test failures all print from
//! these, and nothing else in the walk makes text for people.
//!
//! A walk without a listener pays one branch per event: the event is only built when somebody listens.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::cache::Family;
use crate::env::Instant;
use crate::record::{Name, Question, Rank, Rcode, Rtype, Security};
use crate::resolve::context::failure::Cause;
use crate::resolve::reply::classify::Kind;
use crate::upstream::TcpReason;
use crate::validate::Signed;

#[derive(Clone, Debug)]
pub enum Step {
    /// A question begins (depth tells whose child it is).
    Begin {
        question: Question,
        purpose: Purpose,
    },
    /// Found without asking anybody.
    CacheHit {
        question: Question,
        what: CacheHit,
        age_s: u32,
        ttl_s: u32,
    },
    /// The name is hosted or special here and never leaves.
    Local {
        question: Question,
        zone: Name,
        /// What makes it special; `None` where it is hosted.
        document: Option<&'static str>,
    },
    /// A route of the configuration decides who is asked.
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
    /// The servers of a cut that was known from before are of no use: the parent is asked for the delegation again.
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
        /// Reason TCP was asked too; the reply may have come by UDP all the same.
        tcp_because: Option<TcpReason>,
        near_misses: u16,
        dropped: usize,
    },
    /// The reply that gave the alias says what it leads to as well.
    InPassing {
        question: Question,
        zone: Name,
        because: Believed,
    },
    /// No server at all is heard of: nobody is asked until the network is back.
    Offline {
        /// The kernel knows no way out; else everybody is silent.
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
    /// What DNSSEC said of a zone or a set.
    Proof {
        subject: String,
        security: Security,
        detail: String,
        /// Where it stands in the chain of trust.
        part: Option<Box<ChainPart>>,
    },
    /// The answer was put together; or why not.
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

/// One link of the chain of trust: a zone with its keys, or the set that was to be proved.
#[derive(Clone, Debug)]
pub struct ChainPart {
    pub name: Name,
    /// Of the set; `None` for a zone.
    pub rtype: Option<Rtype>,
    /// The configuration vouches for the zone's keys, not the zone above.
    pub anchored: bool,
    /// Tag and algorithm of the zone's keys.
    pub keys: Vec<(u16, u8)>,
    /// The signature that held: of a zone, over its DNSKEY set.
    pub signed: Option<Signed>,
}

#[derive(Clone, Debug)]
pub struct Asked {
    pub server_name: Option<Name>,
    pub address: IpAddr,
    pub zone: Name,
    pub question: Question,
    pub minimised: bool,
    pub why: Choice,
    pub attempt: u8,
    pub with_edns: bool,
    pub passed_over: Option<PassedOver>,
}

/// Reason what a reply says beyond its alias is given to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Believed {
    /// Its signatures hold.
    Proved,
    /// The alias leads to the zone's own name, for which the zone's server speaks with authority.
    Apex,
    /// What this server says in passing has been what it says when it is asked, each time.
    KeepsItsWord,
}

/// Servers that were not thought of because nobody answers by their address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassedOver {
    pub family: Family,
    pub addresses: usize,
    /// Until the family is tested again.
    pub test_in: Duration,
}

/// Reason this server and not another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Smallest smoothed round-trip time of so many usable addresses.
    Fastest { rtt_ms: u32, of: usize },
    /// Not asked before; so many others are known.
    Untried { of: usize },
    /// Asked at random now and then, to notice a server that has become faster.
    Exploring { of: usize },
    /// Another server lets us wait.
    Beside,
    /// Of the other address family: nobody knows yet which of the two works here.
    Race,
    /// Whether its address family works again; the question does not wait for it.
    FamilyTest(Family),
    /// The only address left.
    LastResort,
    /// A forwarder or stub server of the configuration, in its order.
    Configured,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheHit {
    Set,
    Alias,
    NxDomain,
    NoData,
    Failure,
    Stale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Client,
    AliasTarget,
    ServerAddress,
    Ds,
    Dnskey,
    Priming,
    Prefetch,
    /// What was said in passing is asked for, before it is kept.
    Confirmation,
}

impl Purpose {
    /// Does anybody wait for the outcome?
    pub fn is_awaited(self) -> bool {
        !matches!(self, Purpose::Prefetch | Purpose::Confirmation)
    }
}

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

/// A question within its budget cannot make more; a bound all the same.
const EVENTS_MAX: usize = 4096;

impl Trace {
    pub fn off() -> Trace {
        Trace { sink: None, depth: 0 }
    }

    pub fn recording() -> Trace {
        Trace { sink: Some(Rc::new(Sink { start: Instant::now(), events: RefCell::default() })), depth: 0 }
    }

    pub fn child(&self) -> Trace {
        Trace { sink: self.sink.clone(), depth: self.depth.saturating_add(1) }
    }

    pub fn is_on(&self) -> bool {
        self.sink.is_some()
    }

    pub fn emit(&self, step: impl FnOnce() -> Step) {
        if let Some(sink) = &self.sink {
            let mut events = sink.events.borrow_mut();
            if events.len() < EVENTS_MAX {
                events.push(Event { at: sink.start.elapsed(), depth: self.depth, step: step() });
            }
        }
    }

    pub fn events(&self) -> Vec<Event> {
        self.sink.as_ref().map(|sink| sink.events.borrow().clone()).unwrap_or_default()
    }
}
