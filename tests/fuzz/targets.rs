//! What is thrown at each part, and what must hold then: one function a target, for any bytes at all.
//!
//! Called by libFuzzer (`libfuzzer/`) and by plain `cargo test` over damaged seeds (`main.rs`). A target panics if
//! something is wrong; none may hang.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use cairn::answer::{AtOnce, Client, Parts, Service, Transport, Worker};
use cairn::cache::{AnswerKey, Cache, CacheLimits};
use cairn::config::{HttpUrl, ListAction, ListFormat, ListMatch, Settings};
use cairn::env::{BootTime, BoxFuture, Clock, Net, Random, Stream, UdpFlow, WallTime};
use cairn::limits::Limits;
use cairn::listen::read_proxy_header;
use cairn::policy::{
    Builder as ListBuilder, Decided, Dialect, Facts, ListId, ListReader, Lists, NameServer, PolicyOptions, PolicySet, PolicyZone, Reach,
    ResponsePolicies, Rules, Step, decide,
};
use cairn::record::{Class, Name, Question, RrSet, Rtype, Validated, canonical_rdata};
use cairn::validate::{self, Denial, WorkBudget};
use cairn::wire::{Flags, Header, Message, QueryView, Section, Writer};
use cairn::zone::{Assembly, Zones, load_zone, parse_records};
use tokio::runtime::{Builder, LocalOptions};

pub type Target = fn(&[u8]);

pub const TARGETS: [(&str, Target); 10] = [
    ("message", message),
    ("name", name),
    ("master_file", master_file),
    ("list", list),
    ("url", url),
    ("proxy_header", proxy_header),
    ("policy", policy),
    ("proof", proof),
    ("patching", patching),
    ("walk", walk),
];

const NOW: BootTime = BootTime(1_000_000);

/// A header in front of a query is read to its own end, and what follows it changes nothing.
pub fn proxy_header(data: &[u8]) {
    let Ok(header) = read_proxy_header(data) else { return };
    assert!(header.len >= 16 && header.len <= data.len(), "{header:?}");
    assert_eq!(read_proxy_header(&data[..header.len]), Ok(header));
    assert!(read_proxy_header(&data[..header.len - 1]).is_err(), "a cut header");
}

/// A message is read to its end, and what was read of it survives being written and read again. Names are the same in
/// either letter case (RFC 4343): one that is compressed takes that of the name it points to.
pub fn message(data: &[u8]) {
    if let Ok(view) = QueryView::check(data) {
        let _ = (view.qname(), view.qtype(), view.qclass(), view.edns().is_some());
    }
    let Ok(message) = Message::parse(data) else { return };
    let once = contents(&message);
    let mut writer = Writer::new(Vec::new(), 65_535);
    writer.header(message.header());
    if let Some((name, rtype, Class::IN)) = message.question() {
        writer.question(&Question::new(name.clone(), rtype)).expect("a question always fits");
    }
    for (section, owner, rtype, class, ttl, rdata) in &once {
        if writer.record(*section, owner, *rtype, *class, *ttl, rdata).is_err() {
            return;
        }
    }
    let written = writer.finish();
    let again = Message::parse(&written).expect("what we write can be read");
    let folded = |all: Vec<Content>| {
        let fold = |(section, owner, rtype, class, ttl, rdata): Content| {
            let mut canonical = Vec::new();
            canonical_rdata(rtype, &rdata, &mut canonical);
            (section, owner, rtype, class, ttl, canonical)
        };
        all.into_iter().map(fold).collect::<Vec<Content>>()
    };
    assert_eq!(folded(once), folded(contents(&again)));
}

type Content = (Section, Name, Rtype, Class, u32, Vec<u8>);

fn contents(message: &Message<'_>) -> Vec<Content> {
    let mut all = Vec::new();
    for section in [Section::Answer, Section::Authority, Section::Additional] {
        for record in message.records(section).filter(|record| record.rtype() != Rtype::OPT) {
            let mut rdata = Vec::new();
            if let (Ok(owner), Ok(())) = (record.owner(), record.expand_rdata(&mut rdata)) {
                all.push((section, owner, record.rtype(), record.class(), record.ttl(), rdata));
            }
        }
    }
    all
}

/// Names: wire and text forms lead back to each other, and the order is that of RFC 4034 6.1.
pub fn name(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(name) = Name::parse(text)
    {
        assert_eq!(Name::parse(&name.to_string()).as_ref(), Ok(&name));
    }
    let Ok((one, used)) = Name::from_wire_prefix(data) else { return };
    assert_eq!(Name::parse(&one.to_string()).as_ref(), Ok(&one));
    assert_eq!(Name::from_wire(one.as_wire()).as_ref(), Ok(&one));
    let other = Name::from_wire_prefix(&data[used..]).map_or_else(|_| Name::root(), |(other, _)| other);
    let labels = |name: &Name| name.labels().map(<[u8]>::to_vec).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>();
    assert_eq!(one.cmp(&other), labels(&one).cmp(&labels(&other)), "{one} {other}");
    assert_eq!(one.is_within(&other), labels(&one).starts_with(&labels(&other)), "{one} {other}");
    let shared = one.suffix(one.common_labels(&other));
    assert!(one.is_within(&shared) && other.is_within(&shared));
    assert_eq!(one.suffixes().count(), one.label_count() + 1);
}

/// Any text as a master file: a zone that can be asked, or problems that name a place.
pub fn master_file(data: &[u8]) {
    let apex = Name::parse("example.test.").expect("a name");
    let include = |file: &str| match file {
        "zone" => Ok(data.to_vec()),
        "good.inc" => Ok(b"host A 192.0.2.1\n".to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    match load_zone(&apex, "zone", &mut { include }) {
        Ok((zone, _)) => drop(zone),
        Err(problems) => assert!(!problems.is_empty(), "refused without a reason"),
    }
    if let Err(problems) = parse_records("records", data) {
        assert!(!problems.is_empty(), "refused without a reason");
    }
}

/// Any text as a list of names: each line is accounted for once, and the table knows the names of its rules and no others.
pub fn list(data: &[u8]) {
    let Some((form, text)) = data.split_first() else { return };
    let dialect = Dialect {
        format: ListFormat::ALL[usize::from(*form) % ListFormat::ALL.len()],
        matching: if form & 0x20 == 0 { ListMatch::Exact } else { ListMatch::Subtree },
        action: if form & 0x40 == 0 { ListAction::Block } else { ListAction::Allow },
        single_labels: form & 0x80 != 0,
        redirects: form & 0x10 == 0,
    };
    let (mut reader, mut rules) = (ListReader::new(dialect), Vec::new());
    let (empty, kept) = (Lists::default(), vec![None]);
    let mut builder = ListBuilder::new(vec!["list".to_owned()], [1, 2], &empty, kept);
    assert!(builder.next_round());
    for line in text.split(|octet| *octet == b'\n') {
        reader.line(line, &mut |rule| {
            builder.add(ListId(0), &rule);
            let name = Name::from_wire(rule.name).expect("a name");
            assert!(rule.name.iter().all(|octet| !octet.is_ascii_uppercase()) && !name.is_root(), "{name}");
            assert!(dialect.single_labels || name.label_count() > 1, "{name} is a whole top-level domain");
            rules.push((name, rule.reach, rule.cancels, rule.detail.is_some()));
        });
    }
    assert!(!builder.next_round());
    let tally = reader.into_tally();
    assert_eq!(tally.blocked + tally.exceptions + tally.comments + tally.empty + tally.skipped, tally.lines, "{tally:?}");
    let lists = builder.finish().expect("few names");
    let below = |name: &Name| Name::parse(&format!("x.{name}")).unwrap_or_else(|_| name.clone());
    let names = rules.iter().flat_map(|(name, ..)| [name.clone(), below(name), name.parent().unwrap_or_else(Name::root)]);
    for name in names.take(1_000) {
        let covers = |(own, reach, ..): &&(Name, Reach, bool, bool)| match reach {
            Reach::Name => *own == name,
            Reach::NameAndBelow => name.is_within(own),
            Reach::Below => *own != name && name.is_within(own),
        };
        let (is_covered, is_found) = (rules.iter().any(|rule| covers(&rule)), !lists.find(name.as_wire(), Rtype::A).is_nothing());
        assert!(is_covered || !is_found, "{name} is found, and no rule has it");
        // A rule may be cancelled, or be for other types and other names below.
        let is_plain = rules.iter().all(|(_, _, cancels, has_detail)| !cancels && !has_detail);
        assert!(!is_covered || is_found || !is_plain, "{name} has a rule, and is not found");
    }
}

/// Any text as a URL, or as what a redirect names: what is read is written as something that is read as the same.
pub fn url(data: &[u8]) {
    let base = HttpUrl::parse("https://a.example:8443/lists/ads.txt?v=1").expect("a URL");
    let written = std::str::from_utf8(data).ok().and_then(|text| HttpUrl::parse(text).ok());
    for url in written.into_iter().chain(base.join(data).ok()) {
        let text = url.to_string();
        assert_eq!(HttpUrl::parse(&text), Ok(url.clone()), "{text}");
        assert!(text.bytes().all(|octet| octet.is_ascii_graphic()) && url.target.starts_with('/'), "{text}");
        assert_eq!(base.join(text.as_bytes()).and_then(|url| base.join(url.to_string().as_bytes())), base.join(text.as_bytes()));
    }
}

/// Any records as the rules of a response policy zone: each is a rule or is counted, and what is decided before a response is there is
/// what the response would have led to.
pub fn policy(data: &[u8]) {
    const LABELS: [&[u8]; 16] = [
        b"*",
        b"a",
        b"b",
        b"32",
        b"24",
        b"128",
        b"0",
        b"1",
        b"192",
        b"zz",
        b"ffff",
        b"rpz-client-ip",
        b"rpz-ip",
        b"rpz-nsdname",
        b"rpz-nsip",
        b"rpz-x",
    ];
    const TARGETS: [&[u8]; 9] = [
        b"\0",
        b"\x01*\0",
        b"\x0crpz-passthru\0",
        b"\x08rpz-drop\0",
        b"\x0crpz-tcp-only\0",
        b"\x05rpz-x\0",
        b"\x01*\x06garden\0",
        b"\x01a\0",
        b"\x01a\x05rpz-y\0",
    ];
    let apex = Name::parse("rpz.test.").expect("a name");
    let mut bytes = Bytes(data);
    let mut zone = Assembly::new(apex.clone());
    zone.add(apex.as_wire(), Rtype::SOA, 60, b"\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05").expect("room");
    let mut owners = BTreeSet::new();
    while !bytes.0.is_empty() && owners.len() < 40 {
        let count = bytes.below(9);
        let labels: Vec<usize> = (0..count).map(|_| bytes.below(LABELS.len())).collect();
        let Ok(owner) = labels.into_iter().try_fold(apex.clone(), |name, at| name.child(LABELS[at])) else { continue };
        let rtype = [Rtype::CNAME, Rtype::CNAME, Rtype::A, Rtype::TXT, Rtype::NS, Rtype::DNAME][bytes.below(6)];
        let any: Vec<u8> = (0..bytes.below(20)).map(|_| bytes.below(256) as u8).collect();
        let rdata = if bytes.below(4) == 0 { &any } else { TARGETS[bytes.below(TARGETS.len())] };
        if owner != apex && owners.insert(owner.clone()) {
            zone.add(owner.as_wire(), rtype, 60, rdata).expect("room");
        }
    }
    let rules = Arc::new(Rules::compile(Arc::new(zone.finish().expect("a SOA"))));
    assert_eq!(rules.count() + rules.skipped().count, owners.len(), "{:?}", rules.skipped());
    let zone = PolicyZone { name: apex, options: PolicyOptions::default(), rules: Some(rules) };
    let policies = ResponsePolicies::new(vec![zone]);
    for qname in ["a.", "b.a.", "a.b.a.", "32.1.0.0.192.rpz-ip.", "."].map(|text| Name::parse(text).expect("a name")) {
        let addresses = vec!["192.0.0.1".parse().expect("an address"), "::1".parse().expect("an address")];
        let servers = vec![NameServer { name: Name::parse("a.b.").expect("a name"), addresses: addresses.clone() }];
        let before = Step { name: qname, addresses: Vec::new(), servers: Vec::new() };
        let after = Step { addresses: addresses.clone(), servers, ..before.clone() };
        let facts =
            |step, is_resolved| Facts { client: Some(addresses[0]), steps: vec![step], is_resolved, dnssec_ok: false, is_signed: false };
        let owner_of = |facts: &Facts| match decide(&policies, PolicySet::ALL, facts, &mut Vec::new()) {
            Decided::Rule(found) => Some((found.owner.clone(), found.action.local(&facts.steps[0].name, Rtype::A))),
            Decided::NoRule | Decided::NotYet => None,
        };
        let (early, late) = (owner_of(&facts(before, false)), owner_of(&facts(after, true)));
        assert!(early.is_none() || early == late, "{early:?}, then {late:?}");
    }
}

/// Any records that a zone's owner may sign: the proofs end within the budget, and prove no contradiction.
pub fn proof(data: &[u8]) {
    let zone = Name::parse("example.").expect("a name");
    let mut bytes = Bytes(data);
    let (qname, qtype) = (bytes.name(&zone), [Rtype::A, Rtype::DS, Rtype::NS, Rtype::CNAME][bytes.below(4)]);
    let mut sets = Vec::new();
    while !bytes.0.is_empty() && sets.len() < 20 {
        let owner = if bytes.below(4) == 0 { bytes.name(&zone) } else { bytes.hashed(&zone) };
        let rtype = if owner.labels().next().is_some_and(|label| label.len() == 32) { Rtype::NSEC3 } else { Rtype::NSEC };
        let rdata = bytes.rdata(rtype, &zone);
        let mut set = RrSet::with(owner, rtype, 300, &rdata);
        let labels = set.name.label_count() - usize::from(set.name.is_wildcard());
        let head = [&rtype.0.to_be_bytes()[..], &[15, labels as u8], &[0; 14]].concat();
        set.sigs.push(&[&head[..], zone.as_wire(), &[0; 64]].concat());
        sets.push(Validated::assertion(set));
    }
    let mut work = WorkBudget::default();
    let name_error = validate::prove_nxdomain(&qname, &zone, &sets, &mut work);
    let no_data = validate::prove_nodata(&qname, qtype, &zone, &sets, &mut work);
    let no_ds = validate::prove_no_ds(&qname, &zone, &sets, &mut work);
    let above = qname.parent().unwrap_or_else(Name::root);
    let wildcard = validate::prove_wildcard_answer(&qname, qtype, &above, &zone, &sets, &mut work);
    assert!(work.spent().nsec3_blocks <= work.limits().nsec3_blocks);
    assert!(work.spent().time.as_us() <= u64::from(work.limits().time_us));
    let sure = |denial: &Denial| matches!(denial, Denial::Proved(proof) if !proof.opt_out);
    // A name outside the zone is not the zone's to deny.
    if !qname.is_within(&zone) {
        assert!(![&name_error, &no_data, &no_ds, &wildcard].into_iter().any(sure), "{qname}");
    }
    // One record cannot say both that a name is there and that it is not.
    if sets.len() == 1 {
        assert!(!(sure(&name_error) && sure(&no_data)), "{qname} {qtype}");
    }
}

/// Any reply kept ready comes out whole, whatever is patched in it.
pub fn patching(data: &[u8]) {
    let Some((&[id_high, id_low, age, size], rest)) = data.split_first_chunk::<4>() else { return };
    let Ok(message) = Message::parse(rest) else { return };
    let Some((qname, qtype, Class::IN)) = message.question() else { return };
    let cache = Cache::new(CacheLimits::default(), &Random::from_seed(1));
    let key = AnswerKey { qname: qname.as_wire(), qtype, dnssec_ok: false, group: 0, generation: 1 };
    if !cache.answers().put(&key, rest, false, NOW) {
        return;
    }
    let later = BootTime(NOW.0 + 1_000 * u64::from(age));
    let limit = 512 + usize::from(size) * 16;
    let mut slot = vec![0; 65_536];
    // As the query left it: one question, of which the copy is the answer.
    let query = [&[id_high, id_low, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], qname.as_wire(), &qtype.0.to_be_bytes(), &[0, 1]].concat();
    slot[..query.len()].copy_from_slice(&query);
    if let Some(copied) = cache.answers().copy(&key, later, limit, &mut slot) {
        let len = copied.len;
        let given = Message::parse(&slot[..len]).expect("a ready answer can be read");
        assert!(given.question().is_some_and(|(name, rtype, _)| name == qname && rtype == qtype));
        for section in [Section::Answer, Section::Authority, Section::Additional] {
            let ttls = |message: &Message<'_>| {
                message.records(section).filter(|record| record.rtype() != Rtype::OPT).map(|record| record.ttl()).max()
            };
            assert!(ttls(&given) <= ttls(&message), "no TTL grows");
        }
    }
}

/// A run of replies to a walk: whatever servers say, the client hears a well-formed reply to its question, and the same again.
pub fn walk(data: &[u8]) {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build_local(LocalOptions::default()).expect("a runtime");
    let script = Rc::new(Script { replies: RefCell::new(replies_of(data)), sent: Cell::new(0) });
    let mut query = Writer::new(Vec::new(), 512);
    query.header(Header { id: 7, flags: Flags(Flags::RD), counts: [0; 4] });
    query.question(&Question::new(Name::parse("www.example.").expect("a name"), Rtype::A)).expect("room");
    query.opt(1232, cairn::record::Rcode::NOERROR, data.first().is_some_and(|octet| octet & 1 == 1), &[]).expect("room");
    let query = query.finish();
    let client = Client {
        peer: "127.0.0.1:4000".parse().expect("an address"),
        local: "127.0.0.1:53".parse().expect("an address"),
        transport: Transport::Udp,
        is_behind_balancer: false,
    };
    runtime.block_on(async {
        let worker = worker(script.clone());
        let first = worker.in_full(&query, &client).await.expect("a reply");
        whole(&first);
        assert!(script.sent.get() <= 2 * Limits::default().upstream_queries_per_question as usize);
        // A ready answer is a copy of an earlier reply, so it is of the same kind.
        let mut slot = vec![0; 65_536];
        slot[..query.len()].copy_from_slice(&query);
        if let AtOnce::Reply(len) = worker.at_once(&worker.moment(NOW), &mut slot, query.len(), &client) {
            whole(&slot[..len]);
        }
    });
}

fn whole(reply: &[u8]) {
    let read = Message::parse(reply).expect("a well-formed reply");
    assert!(reply.len() <= 1232 && read.header().flags.has(Flags::QR) && read.header().id == 7);
    assert!(read.question().is_some_and(|(name, rtype, _)| name.to_string() == "www.example." && rtype == Rtype::A));
    hickory_proto::op::Message::from_vec(reply).expect("another reader agrees");
}

fn worker(script: Rc<Script>) -> Rc<Worker> {
    let anchor = Name::parse("example.").expect("a name");
    let text = "[recursion]\nipv6 = false\ndnssec = true\n[policy]\nrebinding-protection = false\n";
    let parts = Parts {
        settings: Settings::from_toml(text, "fuzz").expect("valid settings"),
        hints: vec![(Name::parse("a.root-servers.net.").expect("a name"), "192.0.2.1".parse().expect("an address"))],
        anchors: Arc::new(
            validate::Anchor::from_record(anchor, Rtype::DS, &[[0, 1, 15, 2].as_slice(), &[7; 32]].concat()).into_iter().collect(),
        ),
        zones: Arc::new(Zones::new([], 1)),
        own_addresses: Vec::new(),
    };
    let service = Service::new(parts, Limits::default(), Arc::new(StoppedClock), &Random::from_seed(1));
    Worker::new(service, Rc::new(Scripted(script)), Random::from_seed(2))
}

struct StoppedClock;

impl Clock for StoppedClock {
    fn boot(&self) -> BootTime {
        NOW
    }

    fn wall(&self) -> WallTime {
        WallTime(1_785_758_400)
    }
}

/// The replies, in the order in which they are given, whatever is asked.
struct Script {
    replies: RefCell<Vec<Vec<u8>>>,
    sent: Cell<usize>,
}

struct Scripted(Rc<Script>);

struct Flow {
    script: Rc<Script>,
    inbox: RefCell<Vec<Vec<u8>>>,
}

impl Net for Scripted {
    fn udp(&self, _server: SocketAddr, _port: u16) -> io::Result<Box<dyn UdpFlow>> {
        Ok(Box::new(Flow { script: self.0.clone(), inbox: RefCell::default() }))
    }

    fn tcp(&self, _server: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
    }
}

impl UdpFlow for Flow {
    fn send(&self, query: &[u8]) -> io::Result<()> {
        self.script.sent.set(self.script.sent.get() + 1);
        let body = self.script.replies.borrow_mut().pop();
        self.inbox.borrow_mut().extend(body.and_then(|body| fitted(query, &body)));
        Ok(())
    }

    fn poll_recv(&self, _cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(reply) = self.inbox.borrow_mut().pop() else { return Poll::Pending };
        let len = reply.len().min(into.len());
        into[..len].copy_from_slice(&reply[..len]);
        Poll::Ready(Ok(len))
    }
}

/// Each reply stands behind its length.
fn replies_of(data: &[u8]) -> Vec<Vec<u8>> {
    let mut bytes = Bytes(data);
    let mut all = Vec::new();
    while !bytes.0.is_empty() && all.len() < 80 {
        let len = bytes.below(256) * 4;
        all.push(bytes.take(len).to_vec());
    }
    all.reverse();
    all
}

/// The reply with the ID and the question of the query, so that it is believed to be one. Its own are left out: two octets of
/// flags, three counts of one octet each, then records.
fn fitted(query: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let end = 12 + query.get(12..)?.iter().position(|octet| *octet == 0)? + 5;
    let (&[high, low, answer, authority, additional], records) = body.split_first_chunk::<5>()?;
    let header = [query[0], query[1], high | 0x80, low, 0, 1, 0, answer, 0, authority, 0, additional];
    Some([&header[..], query.get(12..end)?, records].concat())
}

/// Bytes as decisions.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn below(&mut self, bound: usize) -> usize {
        self.take(1).first().map_or(0, |octet| usize::from(*octet) % bound)
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Mostly below the zone.
    fn name(&mut self, zone: &Name) -> Name {
        let mut name = if self.below(16) == 0 { Name::parse("other.").expect("a name") } else { zone.clone() };
        for _ in 0..self.below(5) {
            let label = [&b"a"[..], b"b", b"*", b"\0", b"zz", b"cut", b"\xff", b"c"][self.below(8)];
            name = name.child(label).unwrap_or(name);
        }
        name
    }

    fn hashed(&mut self, zone: &Name) -> Name {
        let label: Vec<u8> = (0..32).map(|_| b"0123456789abcdefghijklmnopqrstuv"[self.below(32)]).collect();
        zone.child(&label).unwrap_or_else(|_| zone.clone())
    }

    fn rdata(&mut self, rtype: Rtype, zone: &Name) -> Vec<u8> {
        let mut rdata = match rtype {
            Rtype::NSEC => self.name(zone).as_wire().to_vec(),
            _ => {
                let head = [1, self.below(2) as u8, 0, self.below(60) as u8];
                let salt_len = self.below(9);
                let salt = self.take(salt_len);
                [&head[..], &[salt.len() as u8], salt, &[20], self.take(20)].concat()
            }
        };
        let types = self.below(12);
        rdata.extend_from_slice(&[0, 6]);
        rdata.extend_from_slice(self.take(types.min(6)));
        rdata.resize(rdata.len() + 6usize.saturating_sub(types.min(6)), 0x02);
        rdata
    }
}
