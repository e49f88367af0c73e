//! The JSON schema of `cairn explain`: one object a line, one type per event. `docs/explain.md` describes it; a change that
//! breaks a reader raises `VERSION`.
//!
//! Names and record types are in presentation form, times in milliseconds, lifetimes in seconds. A member without a value
//! is left out.

use serde::{Deserialize, Serialize};

use super::rdata::Rdata;
use crate::{cache, record, resolve};

/// How a line is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    Plain,
    /// Of less interest.
    Faint,
    Good,
    /// The step failed.
    Bad,
}

/// One event of an explanation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Event {
    // Where the explanation comes from.
    NoServer(NoServer),
    Server(Server),
    OwnProcess(OwnProcess),
    // Decisions.
    Hosted(Hosted),
    LocalData(LocalData),
    TranslatedAddress(TranslatedAddress),
    SpecialUse(SpecialUse),
    PolicyRule(PolicyRule),
    OnList(OnList),
    OutOfForce(OutOfForce),
    View(View),
    SafeSearch(SafeSearch),
    NotFollowed(NotFollowed),
    Stripped(Stripped),
    Synthesised(Synthesised),
    // The walk.
    Begin(Begin),
    CacheHit(CacheHit),
    Local(Local),
    LocalRoot(LocalRoot),
    Routed(Routed),
    Cut(Cut),
    Restart(Restart),
    Joined(Joined),
    Asked(Asked),
    Reply(Reply),
    NoReply(NoReply),
    AliasTail(AliasTail),
    Offline(Offline),
    Alias(Alias),
    Cached(Cached),
    CachedDenial(CachedDenial),
    Proof(Proof),
    Done(Done),
    Unresolved(Unresolved),
    // The reply.
    Answer(Answer),
    Failed(Failed),
    Refused(Refused),
    Chain(Chain),
}

/// No running server was asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NoServer {
    pub reason: String,
}

/// The running server explains, from its cache.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Server {
    pub process: u32,
    pub cached_sets: usize,
}

/// A process of its own explains, with an empty cache.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OwnProcess {
    pub settings: String,
}

/// The name lies in a zone hosted here.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hosted {
    pub question: String,
    pub zone: String,
}

/// `local-data` or `hosts-file` of the configuration has the name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LocalData {
    pub question: String,
}

/// The name stands for an address behind `dns64.prefix`: an alias leads to the name of the IPv4 address in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TranslatedAddress {
    pub question: String,
}

/// The name is a special-use name (RFC 6761).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpecialUse {
    pub question: String,
    pub name: String,
    pub document: String,
}

/// An alias leads out of the hosted zones and is not followed for this client.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NotFollowed {
    pub target: String,
    pub reason: String,
    pub rule: String,
    pub advice: String,
}

/// A rule of a response policy zone matched.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyRule {
    pub zone: String,
    /// What the rule looks at.
    pub trigger: String,
    /// Owner of the rule's records.
    pub owner: String,
    pub action: String,
    /// It changes nothing.
    pub log_only: bool,
}

/// The view of the client.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct View {
    pub view: String,
}

/// The view leads to another form of a search engine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SafeSearch {
    pub name: String,
    pub target: String,
}

/// A list in force has a name of the question or of its answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OnList {
    pub name: String,
    /// The type for which it has it.
    #[serde(rename = "type")]
    pub rtype: String,
    pub list: String,
    /// `blocks`, `allows` or `rewrites`.
    pub verdict: String,
    /// Where the list has it: the file or URL, the line from 1, and its text. Only of a server with lists of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A list has a name, and is not in force for the client.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutOfForce {
    pub name: String,
    pub list: String,
    pub why: String,
}

/// The rebinding guard removed addresses from an RRset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stripped {
    pub name: String,
    #[serde(rename = "type")]
    pub rtype: String,
    /// The first address that was removed.
    pub address: String,
}

/// AAAA records were made of A records for this client (RFC 6147).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Synthesised {
    pub name: String,
    /// The first IPv4 address.
    pub from: String,
    /// The IPv6 address that stands for it.
    pub to: String,
}

/// A question of the walk begins.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Begin {
    pub question: String,
    pub purpose: Purpose,
}

/// The cache has the answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CacheHit {
    pub question: String,
    pub what: CacheHitKind,
    pub age_s: u32,
    pub ttl_s: u32,
}

/// Where a local answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocalSource {
    Zone,
    LocalData,
    Dns64,
    SpecialUse,
}

/// A hosted zone, local data or a special-use name answers, at the target of an alias.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Local {
    pub question: String,
    pub zone: String,
    pub source: LocalSource,
    /// The document of a special-use name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
}

/// The local copy of the root zone answers in place of the root servers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LocalRoot {
    pub question: String,
    pub kind: ReplyKind,
}

/// A forward or stub rule of the configuration applies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Routed {
    pub zone: String,
    pub forward: bool,
}

/// The walk is at this zone cut.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cut {
    pub zone: String,
    pub servers: usize,
    pub addresses: usize,
    pub from_cache: bool,
}

/// The cached servers of a zone are useless.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Restart {
    pub zone: String,
    pub cause: Cause,
}

/// Another query is resolving the same question.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Joined {
    pub question: String,
}

/// A query to a server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Asked {
    /// Of a server that is asked over encrypted connections alone, as the configuration has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    pub address: String,
    pub zone: String,
    pub question: String,
    pub minimised: bool,
    pub attempt: u8,
    pub choice: Choice,
    pub edns: bool,
    /// The IPv6 address at which the network's translator (NAT64) receives the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translated: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<PassedOver>,
}

/// Why this server was chosen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Choice {
    Fastest {
        rtt_ms: u32,
        of: usize,
    },
    Untried {
        of: usize,
    },
    /// Asked before for the same question of the client, and no reply has come from it yet.
    Unanswered {
        of: usize,
    },
    Exploring {
        of: usize,
    },
    SecondQuery,
    Race,
    FamilyTest {
        family: Family,
    },
    LastResort,
    Configured,
}

/// Servers left out because no server answers over their address family.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PassedOver {
    pub family: Family,
    pub addresses: usize,
    pub test_in_ms: f64,
}

/// A server's reply.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reply {
    pub kind: ReplyKind,
    pub rcode: String,
    pub took_ms: f64,
    pub tcp: bool,
    /// Why TCP was used as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_reason: Option<String>,
    /// Datagrams that did not match the query.
    pub mismatched: u16,
    /// Records that were not asked for or out of bailiwick.
    pub dropped: usize,
    /// A rule of the configuration names the server, not a delegation.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_rule: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure: Option<Secure>,
}

/// The encrypted connection that a reply came over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Secure {
    pub transport: SecureTransport,
    pub tls: String,
    /// By which the keys were agreed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The name or address that the server has proved to have, or whose key was pinned.
    pub verified: String,
    /// The session of an earlier connection was resumed.
    pub resumed: bool,
    /// The connection was there before; the times are left out.
    pub kept: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connecting_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_ms: Option<f64>,
}

/// How queries are carried over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecureTransport {
    Tls,
    Https,
}

/// No reply came in time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NoReply {
    pub reason: String,
    pub took_ms: f64,
}

/// The reply with the alias has data of its target too.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AliasTail {
    pub question: String,
    pub zone: String,
    pub reason: AliasTailReason,
}

/// No server answers at all: this machine is offline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Offline {
    pub without_route: bool,
}

/// The name is an alias.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alias {
    pub from: String,
    pub to: String,
    #[serde(rename = "type")]
    pub rtype: String,
}

/// An RRset was cached.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cached {
    pub name: String,
    #[serde(rename = "type")]
    pub rtype: String,
    pub records: usize,
    pub ttl_s: u32,
    pub rank: Rank,
}

/// NXDOMAIN or NODATA was cached (RFC 2308).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CachedDenial {
    pub name: String,
    #[serde(rename = "type")]
    pub rtype: String,
    pub nxdomain: bool,
    pub ttl_s: u32,
}

/// The verdict of DNSSEC validation on a zone or an RRset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proof {
    pub subject: String,
    pub security: Security,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// A question of the walk is answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Done {
    pub question: String,
    pub rcode: String,
    pub records: usize,
    pub security: Security,
}

/// A question of the walk could not be answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unresolved {
    pub question: String,
    pub cause: Cause,
}

/// The client gets this answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    pub rcode: String,
    pub authoritative: bool,
    pub security: Security,
    /// Expired data (RFC 8767).
    pub stale: bool,
    pub answers: Vec<Record>,
    pub authority: Vec<Record>,
    pub ede: Vec<Ede>,
    pub upstream_queries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// The client gets SERVFAIL, or another error that comes before any decision.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failed {
    pub rcode: String,
    /// The zone whose servers were queried last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    pub ede: Vec<Ede>,
    /// Records that failed DNSSEC validation: only a client with CD gets them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Record>,
    pub upstream_queries: u32,
    pub advice: String,
}

/// The client gets REFUSED.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refused {
    pub rcode: String,
    pub reason: String,
    /// The rule of the configuration, and its place.
    pub rule: String,
    pub ede: Vec<Ede>,
    pub advice: String,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    pub name: String,
    pub ttl: u32,
    #[serde(rename = "type")]
    pub rtype: String,
    /// RDATA in presentation form.
    pub data: String,
    /// RDATA by its fields, for common types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rdata: Option<Rdata>,
}

/// An Extended DNS Error (RFC 8914).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ede {
    pub code: u16,
    pub meaning: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// The chain of trust of one name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chain {
    pub question: String,
    /// From the trust anchor to the RRset.
    pub links: Vec<ChainLink>,
}

/// A zone with its keys, or the RRset that was validated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChainLink {
    pub name: String,
    /// Type of the RRset; left out for a zone.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub rtype: Option<String>,
    pub security: Security,
    /// The keys are a trust anchor of the configuration.
    pub anchored: bool,
    pub keys: Vec<ChainKey>,
    /// The valid signature: for a zone the one over its DNSKEY RRset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signature>,
    /// Validation fails here; links below fail because of this one.
    pub broken: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// A key of a zone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChainKey {
    pub key_tag: u16,
    pub algorithm: u8,
}

/// A signature and its dates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    pub key_tag: u16,
    pub algorithm: u8,
    pub algorithm_name: String,
    pub inception: String,
    pub expiration: String,
}

/// A closed set of words. A new variant of the original stops the build here, where the schema must be considered.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident of $original:ty { $($variant:ident $(= $of:ident)?),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($variant),* }

        impl From<$original> for $name {
            fn from(original: $original) -> $name {
                type Original = $original;
                match original { $(words!(@pattern $variant $($of)?) => $name::$variant),* }
            }
        }
    };
    (@pattern $variant:ident $of:ident) => { Original::$of };
    (@pattern $variant:ident) => { Original::$variant };
}

words!(Family of cache::Family { Ipv4 = V4, Ipv6 = V6 });
words!(Security of record::Security { Indeterminate, Insecure, Secure, Bogus });
words!(
    /// Where cached data comes from (RFC 2181 5.4.1).
    Rank of record::Rank { Glue, Referral, Additional, Answer, AuthAuthority, AuthAnswer }
);
words!(Purpose of resolve::Purpose {
    Client, ServerAddress, Ds, Dnskey, Priming, Prefetch, ErrorReport, AnchorSignal, Confirmation,
});
words!(CacheHitKind of resolve::CacheHit { Set, Alias, Nxdomain = NxDomain, Nodata = NoData, Failure, Stale });
words!(AliasTailReason of resolve::AliasTailReason { Validated, Apex, ConsistentServer });
words!(ReplyKind of resolve::Kind {
    Answer, Alias, Referral, Nodata = NoData, Nxdomain = NxDomain, Empty, Lame, RecursionLame, Refused, Servfail = ServFail,
    NeedsPlainDns, NewCookie, Broken,
});

/// Why a question could not be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    NoReachableAuthority,
    ServersFailed,
    NoServerAddress,
    FamilyMissing,
    Cycle,
    AliasLoop,
    AliasTooLong,
    LimitReached,
    CachedFailure,
    Bogus,
    TimedOut,
    NoSocket,
    NotCached,
    ZoneNotLoaded,
    Shed,
    Internal,
}

impl From<&resolve::Cause> for Cause {
    fn from(cause: &resolve::Cause) -> Cause {
        match cause {
            resolve::Cause::NoReachableAuthority => Cause::NoReachableAuthority,
            resolve::Cause::ServersFailed => Cause::ServersFailed,
            resolve::Cause::NoServerAddress => Cause::NoServerAddress,
            resolve::Cause::FamilyMissing { .. } => Cause::FamilyMissing,
            resolve::Cause::Cycle => Cause::Cycle,
            resolve::Cause::AliasLoop => Cause::AliasLoop,
            resolve::Cause::AliasTooLong => Cause::AliasTooLong,
            resolve::Cause::Spent(_) => Cause::LimitReached,
            resolve::Cause::Remembered(_) => Cause::CachedFailure,
            resolve::Cause::TimedOut => Cause::TimedOut,
            resolve::Cause::NoSocket => Cause::NoSocket,
            resolve::Cause::NotCached => Cause::NotCached,
            resolve::Cause::ZoneNotLoaded(_) => Cause::ZoneNotLoaded,
            resolve::Cause::Shed => Cause::Shed,
            resolve::Cause::Internal => Cause::Internal,
        }
    }
}

impl From<&record::Ede> for Ede {
    fn from(ede: &record::Ede) -> Ede {
        Ede { code: ede.code.0, meaning: ede.code.meaning().to_owned(), text: ede.text.clone() }
    }
}

impl Record {
    /// The records of an RRset.
    pub fn of(set: &record::RrSet) -> impl Iterator<Item = Record> {
        set.data.iter().map(|rdata| Record {
            name: set.name.to_string(),
            ttl: set.ttl,
            rtype: set.rtype.to_string(),
            data: record::rdata_to_text(set.rtype, rdata),
            rdata: Rdata::of(set.rtype, rdata),
        })
    }
}
