//! Master files, read by Cairn and by the reader of the crate `domain`: both must find the same records.
//!
//! What the other reader does not know stands in `REFUSED`, and that it still does not is checked as well; TTL units,
//! $GENERATE and $INCLUDE are left to the tests of `zone::master`, and all types to `named-compilezone` in
//! `tests/e2e`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use cairn::record::{Name, Rtype, canonical_rdata};
use cairn::zone::{load_zone, parse_records};
use domain::base::iana::Class;
use domain::base::name::ToName;
use domain::base::rdata::ComposeRecordData;
use domain::zonefile::inplace::{Entry, Zonefile};
use proptest::prelude::*;

/// Types whose own presentation form `domain` 0.12 does not read.
const REFUSED: &[&str] = &[
    "AFSDB", "X25", "ISDN", "RT", "NSAP", "NSAP-PTR", "PX", "GPOS", "LOC", "EID", "NIMLOC", "ATMA", "KX", "CERT", "A6", "SINK", "APL",
    "KEY", "DHCID", "SMIMEA", "HIP", "NINFO", "RKEY", "TALINK", "CSYNC", "SPF", "NID", "L32", "L64", "LP", "EUI48", "EUI64", "URI", "AVC",
    "DOA", "AMTRELAY", "RESINFO", "WALLET", "TA", "DLV", "DSYNC", "HHIT", "BRID", "WKS",
];

/// Lines of other types that it refuses: algorithms by name, `alpn` with escapes inside a value.
const REFUSED_LINES: &[&str] = &["sub", "dnskey", "d.svc"];

/// Owner (lower-case) and type to TTL and data; a set holds no record twice and has one TTL (RFC 2181 5).
type Sets = BTreeMap<(Vec<u8>, u16), (u32, BTreeSet<Vec<u8>>)>;

fn put(sets: &mut Sets, owner: &[u8], rtype: Rtype, ttl: u32, rdata: &[u8]) {
    let (least, data) = sets.entry((owner.to_ascii_lowercase(), rtype.0)).or_insert((ttl, BTreeSet::new()));
    *least = ttl.min(*least);
    let mut canonical = Vec::new();
    canonical_rdata(rtype, rdata, &mut canonical);
    let repeated = data.iter().any(|known: &Vec<u8>| {
        let mut other = Vec::new();
        canonical_rdata(rtype, known, &mut other);
        other == canonical
    });
    if !repeated {
        data.insert(rdata.to_vec());
    }
}

fn by_domain(origin: &str, text: &str) -> Result<Sets, String> {
    let mut file = Zonefile::from(text);
    file.set_origin(origin.parse().map_err(|error| format!("{error}"))?);
    file.set_default_class(Class::IN);
    let mut sets = Sets::new();
    while let Some(entry) = file.next_entry().map_err(|error| error.to_string())? {
        let Entry::Record(record) = entry else { return Err("$INCLUDE".to_owned()) };
        let owner: domain::base::Name<Vec<u8>> = record.owner().to_name();
        let mut rdata: Vec<u8> = Vec::new();
        record.data().compose_rdata(&mut rdata).map_err(|_| "RDATA too long")?;
        put(&mut sets, owner.as_octets(), Rtype(record.rtype().to_int()), record.ttl().as_secs(), &rdata);
    }
    Ok(sets)
}

/// As plain records: nothing is asked of them as a zone.
fn by_cairn(text: &str) -> Result<Sets, String> {
    let (found, _) = parse_records("text", text.as_bytes()).map_err(|problems| format!("{problems:?}"))?;
    let mut sets = Sets::new();
    for set in &found {
        set.data.iter().for_each(|rdata| put(&mut sets, set.name.as_wire(), set.rtype, set.ttl, rdata));
    }
    Ok(sets)
}

/// A record a line, each read on its own, so that one that is refused does not hide the others.
#[test]
fn every_type() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zones/every-type.zone");
    let text = std::fs::read_to_string(file).expect("the corpus");
    let mut types = BTreeSet::new();
    let (mut refused, mut read_by_both) = (Vec::new(), BTreeSet::new());
    for line in text.lines().filter(|line| !line.starts_with([';', '$'])) {
        let lines = format!("$ORIGIN example.\n$TTL 3600\n{line}\n");
        let own = by_cairn(&lines).expect(line);
        let mut words = line.split_whitespace();
        let (owner, word) = (words.next().expect(line), words.next().expect(line));
        types.insert(Rtype(own.keys().next().expect(line).1));
        match by_domain("example.", &lines) {
            Ok(sets) => {
                assert_eq!(own, sets, "{line}");
                read_by_both.insert(word);
            }
            Err(_) => refused.push((owner, word)),
        }
    }
    let (lines, whole): (Vec<_>, Vec<_>) = refused.into_iter().partition(|(_, word)| read_by_both.contains(word));
    assert_eq!(BTreeSet::from_iter(whole.iter().map(|(_, word)| *word)), BTreeSet::from_iter(REFUSED.iter().copied()), "types");
    assert_eq!(Vec::from_iter(lines.iter().map(|(owner, _)| *owner)), REFUSED_LINES, "lines");
    // Neither in use nor ever more than an experiment: obsolete (RFC 973, RFC 3755), reserved, or not for zones.
    let missing: Vec<Rtype> =
        (1..=264).chain(32768..=32769).map(Rtype).filter(|rtype| is_in_use(*rtype) && !types.contains(rtype)).collect();
    assert_eq!(missing, [], "types without a line in the corpus");
}

fn is_in_use(rtype: Rtype) -> bool {
    let obsolete = [Rtype::MD, Rtype::MF, Rtype::NULL, Rtype::SIG, Rtype::NXT, Rtype::UINFO, Rtype::UID, Rtype::GID, Rtype::UNSPEC];
    let drafts = [Rtype::CLA, Rtype::IPN];
    rtype.mnemonic().is_some() && !rtype.is_meta() && !obsolete.contains(&rtype) && !drafts.contains(&rtype)
}

/// The zone files of the tree that are within what `domain` reads.
#[test]
fn zones_of_the_tree() {
    let world = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/world");
    let mut count = 0;
    for (folder, zones) in [
        ("root", &["root", "root-servers.net"][..]),
        ("tld", &["com", "net", "arpa", "gtld-servers.net"]),
        ("leaf1", &["example.com"]),
        ("leaf2", &["six.com", "glueless.com", "lame.com", "halfdead.com", "example.net", "216.184.93.in-addr.arpa"]),
        ("hosted", &["hosted.example"]),
    ] {
        for zone in zones {
            let file = world.join(folder).join(format!("{zone}.zone"));
            let origin = if *zone == "root" { ".".to_owned() } else { format!("{zone}.") };
            count += same_sets(&origin, &std::fs::read_to_string(file).expect(zone));
        }
    }
    assert!(count > 100, "{count} sets");
}

/// How many sets both find.
fn same_sets(origin: &str, text: &str) -> usize {
    let other = by_domain(origin, text).unwrap_or_else(|error| panic!("{origin}: {error}"));
    let apex = Name::parse(origin).expect(origin);
    let (zone, _) = load_zone(&apex, origin, &mut |_| Ok(text.as_bytes().to_vec())).expect(origin);
    let mut own = Sets::new();
    for (owner, set) in zone.sets() {
        set.rdatas().for_each(|rdata| put(&mut own, owner, set.rtype, set.ttl, rdata));
    }
    assert_eq!(own, other, "{origin}");
    own.len()
}

/// One record with everything that may vary around it.
#[derive(Clone, Debug)]
struct Line {
    owner: Option<String>,
    ttl: Option<u32>,
    with_class: bool,
    class_first: bool,
    data: (&'static str, String),
    layout: Layout,
}

#[derive(Clone, Copy, Debug)]
enum Layout {
    Plain,
    Comment,
    Parentheses,
    BlankLines,
    Origin,
    Ttl(u32),
}

impl Line {
    fn write(&self, text: &mut String, end: &str) {
        let (rtype, data) = &self.data;
        match self.layout {
            Layout::BlankLines => write!(text, "{end}  ; nothing{end}\t{end}"),
            Layout::Origin => write!(text, "$ORIGIN sub{end}"),
            Layout::Ttl(ttl) => write!(text, "$TTL {ttl} ; of what follows{end}"),
            Layout::Plain | Layout::Comment | Layout::Parentheses => Ok(()),
        }
        .expect("a string takes everything");
        text.push_str(self.owner.as_deref().unwrap_or(""));
        let ttl = self.ttl.map(|ttl| ttl.to_string());
        let class = self.with_class.then(|| "IN".to_owned());
        let head = if self.class_first { [class, ttl] } else { [ttl, class] };
        head.into_iter().flatten().for_each(|word| text.extend([" ", &word]));
        let data = match self.layout {
            Layout::Parentheses => format!("({end}\t{data} ; inside{end} )"),
            Layout::Comment => format!("{data} ; and a \"comment\" ( with )"),
            _ => data.clone(),
        };
        write!(text, "\t{rtype} {data}{end}").expect("a string takes everything");
    }
}

/// A name as a person, or somebody with strange ideas, would write it.
fn name() -> impl Strategy<Value = String> {
    let label = prop_oneof![
        6 => "[A-Za-z0-9_]([A-Za-z0-9_-]{0,10}[A-Za-z0-9])?",
        1 => "[a-z]{1,3}\\\\(\\.|;|\\(|\"|@|\\\\|032|000|255|065)[a-z0-9]{0,3}",
        1 => "[0-9]{1,3}/[0-9]{1,2}",
        1 => Just("*".to_owned()),
    ];
    let name = (proptest::collection::vec(label, 1..4), any::<bool>());
    prop_oneof![
        9 => name.prop_map(|(labels, absolute)| labels.join(".") + if absolute { "." } else { "" }),
        1 => Just("example.".to_owned()),
    ]
}

/// In RDATA the other reader takes `@` for a label.
fn owner() -> impl Strategy<Value = String> {
    prop_oneof![9 => name(), 1 => Just("@".to_owned())]
}

/// A <character-string>, in quotes or without.
fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9=:._-]{1,20}",
        r#""([ -!#-\[\]-~]|\\"|\\\\|\\;|\\[01][0-9][0-9]|\\255){0,30}""#,
        r"[a-z](\\;|\\032|\\200|x){0,6}",
    ]
}

fn data() -> impl Strategy<Value = (&'static str, String)> {
    let joined = |items: Vec<String>| items.join(" ");
    let hex = || {
        proptest::collection::vec(any::<u8>(), 1..40)
            .prop_map(|octets| octets.iter().fold(String::new(), |text, octet| text + &format!("{octet:02X}")))
    };
    prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(|address| ("A", address.to_string())),
        any::<std::net::Ipv6Addr>().prop_map(|address| ("AAAA", address.to_string())),
        name().prop_map(|name| ("NS", name)),
        name().prop_map(|name| ("CNAME", name)),
        name().prop_map(|name| ("PTR", name)),
        name().prop_map(|name| ("DNAME", name)),
        (any::<u16>(), name()).prop_map(|(number, name)| ("MX", format!("{number} {name}"))),
        (any::<[u16; 3]>(), name()).prop_map(|([a, b, c], name)| ("SRV", format!("{a} {b} {c} {name}"))),
        (name(), name(), any::<[u32; 5]>()).prop_map(|(a, b, n)| ("SOA", format!("{a} {b} {} {} {} {} {}", n[0], n[1], n[2], n[3], n[4]))),
        proptest::collection::vec(string(), 1..5).prop_map(move |items| ("TXT", joined(items))),
        (string(), string()).prop_map(|(a, b)| ("HINFO", format!("{a} {b}"))),
        (any::<[u16; 2]>(), proptest::collection::vec(string(), 3), name())
            .prop_map(|([a, b], strings, name)| ("NAPTR", format!("{a} {b} {} {name}", strings.join(" ")))),
        (any::<u8>(), "[a-z]{1,9}", string()).prop_map(|(flags, tag, value)| ("CAA", format!("{flags} {tag} {value}"))),
        (any::<u16>(), 13u8..16, hex()).prop_map(|(tag, algorithm, digest)| ("DS", format!("{tag} {algorithm} 2 {digest}"))),
        (any::<[u8; 3]>(), hex()).prop_map(|([a, b, c], data)| ("TLSA", format!("{a} {b} {c} {data}"))),
        (any::<[u8; 2]>(), hex()).prop_map(|([a, b], data)| ("SSHFP", format!("{a} {b} {data}"))),
        (name(), proptest::sample::subsequence(&["A", "NS", "MX", "AAAA", "RRSIG", "CAA", "TYPE65280"][..], 1..7))
            .prop_map(|(next, types)| ("NSEC", format!("{next} {}", types.join(" ")))),
        (any::<u16>(), name(), any::<u16>()).prop_map(|(priority, target, port)| {
            ("HTTPS", if priority == 0 { format!("0 {target}") } else { format!("{priority} {target} alpn=\"h2,h3\" port={port}") })
        }),
        hex().prop_map(|data| ("TYPE65280", format!("\\# {} {data}", data.len() / 2))),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    let layout = prop_oneof![
        4 => Just(Layout::Plain),
        1 => Just(Layout::Comment),
        1 => Just(Layout::Parentheses),
        1 => Just(Layout::BlankLines),
        1 => Just(Layout::Origin),
        1 => (0u32..100_000).prop_map(Layout::Ttl),
    ];
    let owner = proptest::option::weighted(0.8, owner());
    let ttl = proptest::option::of(0u32..=i32::MAX as u32);
    (owner, ttl, any::<bool>(), any::<bool>(), data(), layout).prop_map(|(owner, ttl, with_class, class_first, data, layout)| Line {
        owner,
        ttl,
        with_class,
        class_first,
        data,
        layout,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_files(lines in proptest::collection::vec(line(), 1..20), crlf in any::<bool>(), ends in any::<bool>()) {
        let end = if crlf { "\r\n" } else { "\n" };
        let mut text = format!("$ORIGIN example.{end}$TTL 300{end}@ TXT first{end}");
        lines.iter().for_each(|line| line.write(&mut text, end));
        // The other reader needs the end of the last line.
        let own = if ends { &text[..] } else { text.trim_end_matches(['\r', '\n']) };
        // Names that grow past 255 octets by $ORIGIN after $ORIGIN are refused by both, or by neither.
        match (by_cairn(own), by_domain("example.", &text)) {
            (Ok(own), Ok(other)) => prop_assert_eq!(own, other, "{}", text),
            (Err(_), Err(_)) => {}
            (own, other) => prop_assert!(false, "{own:?}\n{other:?}\n{text}"),
        }
    }
}
