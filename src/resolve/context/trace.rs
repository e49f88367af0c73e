//! What a walk does, as typed events. `cairn explain`, the log, EDE texts and test failures all print from
//! these, and nothing else in the walk makes text for people.
//!
//! A walk without a listener pays one branch per event: the event is only built when somebody listens.
//!
//! Each event serialises by itself: `step` names its type, names and types of DNS are their presentation text, durations are
//! milliseconds in a member that ends in `_ms`.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::cache::Family;
use crate::env::Instant;
use crate::record::{Name, Question, Rank, Rcode, Rtype, Security};
use crate::resolve::context::failure::Cause;
use crate::resolve::reply::classify::Kind;
use crate::upstream::TcpReason;
use crate::validate::Signed;

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
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
        #[serde(rename = "took_ms", serialize_with = "as_ms")]
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
        #[serde(rename = "took_ms", serialize_with = "as_ms")]
        took: Duration,
    },
    Alias {
        from: Name,
        to: Name,
        #[serde(rename = "type")]
        rtype: Rtype,
    },
    Cached {
        name: Name,
        #[serde(rename = "type")]
        rtype: Rtype,
        records: usize,
        ttl_s: u32,
        rank: Rank,
    },
    CachedDenial {
        name: Name,
        #[serde(rename = "type")]
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
#[derive(Clone, Debug, Serialize)]
pub struct ChainPart {
    pub name: Name,
    /// Of the set; `None` for a zone.
    #[serde(rename = "type")]
    pub rtype: Option<Rtype>,
    /// The configuration vouches for the zone's keys, not the zone above.
    pub anchored: bool,
    pub keys: Vec<ZoneKey>,
    /// The signature that held: of a zone, over its DNSKEY set.
    pub signed: Option<Signed>,
}

/// A key of a zone's DNSKEY set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ZoneKey {
    pub key_tag: u16,
    pub algorithm: u8,
}

#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    #[serde(rename = "server")]
    pub server_name: Option<Name>,
    pub address: IpAddr,
    pub zone: Name,
    pub question: Question,
    pub minimised: bool,
    pub why: Choice,
    pub attempt: u8,
    #[serde(rename = "edns")]
    pub with_edns: bool,
    pub passed_over: Option<PassedOver>,
}

/// Reason what a reply says beyond its alias is given to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Believed {
    /// Its signatures hold.
    Proved,
    /// The alias leads to the zone's own name, for which the zone's server speaks with authority.
    Apex,
    /// What this server says in passing has been what it says when it is asked, each time.
    KeepsItsWord,
}

/// Servers that were not thought of because nobody answers by their address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    pub family: Family,
    pub addresses: usize,
    /// Until the family is tested again.
    #[serde(rename = "test_in_ms", serialize_with = "as_ms")]
    pub test_in: Duration,
}

/// Reason this server and not another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "choice", rename_all = "kebab-case")]
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
    FamilyTest { family: Family },
    /// The only address left.
    LastResort,
    /// A forwarder or stub server of the configuration, in its order.
    Configured,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheHit {
    Set,
    Alias,
    NxDomain,
    NoData,
    Failure,
    Stale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
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

#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// Since the question came.
    #[serde(rename = "at_ms", serialize_with = "as_ms")]
    pub at: Duration,
    pub depth: u8,
    #[serde(flatten)]
    pub step: Step,
}

/// Milliseconds, to a tenth.
fn as_ms<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 10_000.0).round() / 10.0)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::context::budget::Bound;

    #[test]
    fn events_serialise_in_the_terms_of_dns() {
        let name = |text: &str| Name::parse(text).expect(text);
        let question = Question::new(name("www.example."), Rtype::AAAA);
        let asked = Asked {
            server_name: Some(name("ns.example.")),
            address: IpAddr::from([192, 0, 2, 1]),
            zone: name("example."),
            question: question.clone(),
            minimised: false,
            why: Choice::Fastest { rtt_ms: 20, of: 3 },
            attempt: 1,
            with_edns: true,
            passed_over: Some(PassedOver { family: Family::V6, addresses: 2, test_in: Duration::from_millis(1500) }),
        };
        let rows = [
            (
                Step::Asked(asked),
                r#"{"step":"asked","server":"ns.example.","address":"192.0.2.1","zone":"example.","question":"www.example. AAAA","minimised":false,"why":{"choice":"fastest","rtt_ms":20,"of":3},"attempt":1,"edns":true,"passed_over":{"family":"IPv6","addresses":2,"test_in_ms":1500.0}}"#,
            ),
            (
                Step::Cached { name: name("example."), rtype: Rtype::NS, records: 2, ttl_s: 300, rank: Rank::AuthAnswer },
                r#"{"step":"cached","name":"example.","type":"NS","records":2,"ttl_s":300,"rank":"auth-answer"}"#,
            ),
            (
                Step::Failed { question: question.clone(), cause: Cause::Spent(Bound::Walks(9)) },
                r#"{"step":"failed","question":"www.example. AAAA","cause":{"kind":"spent","detail":{"bound":"walks","limit":9}}}"#,
            ),
            (
                Step::Failed { question, cause: Cause::ServersFailed },
                r#"{"step":"failed","question":"www.example. AAAA","cause":{"kind":"servers-failed"}}"#,
            ),
            (
                Step::NoReply { reason: "timed out".into(), took: Duration::from_micros(12_340) },
                r#"{"step":"no-reply","reason":"timed out","took_ms":12.3}"#,
            ),
        ];
        for (step, expected) in rows {
            assert_eq!(serde_json::to_string(&step).expect("serialisable"), expected);
        }
        let event = Event { at: Duration::from_millis(5), depth: 1, step: Step::Offline { without_route: true } };
        let text = serde_json::to_string(&event).expect("serialisable");
        assert_eq!(text, r#"{"at_ms":5.0,"depth":1,"step":"offline","without_route":true}"#);
    }
}
