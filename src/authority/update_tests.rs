//! Updates by the rules of RFC 2136, and random ones beside a model that follows the pseudocode of 3.2.5 and 3.4.2.7 record by
//! record.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::update::Update;
use crate::record::{Class, Name, Rcode, Rtype, rdata_from_text, rdata_to_text};
use crate::wire::{Flags, Header, Message, Opcode, Section, Writer};
use crate::zone::{Zone, edit_zone, have_same_data, load_zone};

const TODAY: u32 = 20_261_130;
const ZONE: &str = "$TTL 300\n@ SOA ns host 7 2 3 4 60\n@ NS ns\n@ NS ns2\n@ MX 10 mail\nns A 192.0.2.53\nns2 A 192.0.2.54\n\
                    www A 192.0.2.1\nwww A 192.0.2.2\nwww TXT \"x\"\nalias CNAME www\ndeep.ent TXT \"y\"\n*.wild A 192.0.2.9\n\
                    cut NS ns.cut\nns.cut A 192.0.2.10\nmail MX 1 MAIL\ntree DNAME other.test.\nkey KEY 512 3 8 AQID\n";

fn name(text: &str) -> Name {
    Name::parse_bytes(text.as_bytes(), &Name::parse("example.").expect("a name")).expect(text)
}

fn zone(text: &str) -> Zone {
    load_zone(&name("@"), "test", &mut |_| Ok(text.as_bytes().to_vec())).unwrap_or_else(|problems| panic!("{problems:?}")).0
}

/// One line as nsupdate reads it; `raw` gives class, type, TTL and whether there is data.
fn put(writer: &mut Writer, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let rtype = |at: usize| words.get(at).map_or(Rtype::ANY, |word| word.parse().expect("a type"));
    let data = |from: usize, rtype: Rtype| match words.get(from..).unwrap_or_default().join(" ") {
        none if none.is_empty() => Vec::new(),
        text => rdata_from_text(rtype, &text, name("@").as_wire()).expect(line),
    };
    let (section, owner, rtype, class, ttl, rdata) = match words[0] {
        "yxdomain" => (Section::Answer, words[1], Rtype::ANY, Class::ANY, 0, Vec::new()),
        "nxdomain" => (Section::Answer, words[1], Rtype::ANY, Class::NONE, 0, Vec::new()),
        "nxrrset" => (Section::Answer, words[1], rtype(2), Class::NONE, 0, Vec::new()),
        "yxrrset" if words.len() == 3 => (Section::Answer, words[1], rtype(2), Class::ANY, 0, Vec::new()),
        "yxrrset" => (Section::Answer, words[1], rtype(2), Class::IN, 0, data(3, rtype(2))),
        "add" => (Section::Authority, words[1], rtype(3), Class::IN, words[2].parse().expect("a TTL"), data(4, rtype(3))),
        "delete" if words.len() <= 3 => (Section::Authority, words[1], rtype(2), Class::ANY, 0, Vec::new()),
        "delete" => (Section::Authority, words[1], rtype(2), Class::NONE, 0, data(3, rtype(2))),
        other => {
            let section = if other == "raw-prerequisite" { Section::Answer } else { Section::Authority };
            let class = Class(words[2].parse().expect("a class"));
            let rdata = if words[5] == "data" { vec![192, 0, 2, 1] } else { Vec::new() };
            (section, words[1], rtype(3), class, words[4].parse().expect("a TTL"), rdata)
        }
    };
    writer.record(section, &name(owner), rtype, class, ttl, &rdata).expect("room");
}

fn message(lines: &[String]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), 65_535);
    writer.header(Header { id: 1, flags: Flags(u16::from(Opcode::UPDATE.0) << 11), counts: [0; 4] });
    writer.question(&crate::record::Question::new(name("@"), Rtype::SOA)).expect("room");
    // Prerequisites stand first.
    let (first, second): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| line.contains("xdomain") || line.contains("xrrset") || line.contains("raw-p"));
    first.into_iter().chain(second).for_each(|line| put(&mut writer, line));
    writer.finish()
}

/// The zone after the update, or the RCODE.
fn updated(zone: &Zone, lines: &[String]) -> Result<Option<Zone>, Rcode> {
    let packet = message(lines);
    let parsed = Message::parse(&packet).expect("well formed");
    let changes = Update::read(&parsed, zone.apex()).and_then(|update| update.decide(zone, TODAY)).map_err(|refusal| refusal.rcode)?;
    if changes.is_empty() { Ok(None) } else { Ok(Some(edit_zone(zone, &changes).expect("a zone"))) }
}

fn lines(text: &str) -> Vec<String> {
    text.split(';').map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

#[test]
fn prerequisites() {
    let zone = zone(ZONE);
    for (text, rcode) in [
        // 2.4.4, 2.4.5.
        ("yxdomain www", Rcode::NOERROR),
        ("yxdomain WWW", Rcode::NOERROR),
        ("yxdomain none", Rcode::NXDOMAIN),
        ("yxdomain ent", Rcode::NXDOMAIN),
        ("yxdomain x.wild", Rcode::NXDOMAIN),
        ("yxdomain @", Rcode::NOERROR),
        ("nxdomain none", Rcode::NOERROR),
        ("nxdomain ent", Rcode::NOERROR),
        ("nxdomain www", Rcode::YXDOMAIN),
        // 2.4.1, 2.4.3.
        ("yxrrset www A", Rcode::NOERROR),
        ("yxrrset www AAAA", Rcode::NXRRSET),
        ("yxrrset none A", Rcode::NXRRSET),
        ("yxrrset alias A", Rcode::NXRRSET),
        ("nxrrset www AAAA", Rcode::NOERROR),
        ("nxrrset www A", Rcode::YXRRSET),
        // 2.4.2: the whole set, in any order, names without regard to case.
        ("yxrrset www A 192.0.2.2; yxrrset www A 192.0.2.1", Rcode::NOERROR),
        ("yxrrset www A 192.0.2.1", Rcode::NXRRSET),
        ("yxrrset www A 192.0.2.1; yxrrset www A 192.0.2.2; yxrrset www A 192.0.2.3", Rcode::NXRRSET),
        ("yxrrset @ MX 10 MaiL", Rcode::NOERROR),
        ("yxrrset @ MX 20 mail", Rcode::NXRRSET),
        ("yxrrset none A 192.0.2.1", Rcode::NXRRSET),
        // All must be met.
        ("yxdomain www; nxdomain none; yxrrset www TXT x; nxrrset www MX; yxdomain none", Rcode::NXDOMAIN),
        ("yxdomain other.test.", Rcode::NOTZONE),
        ("yxrrset other.test. A 192.0.2.1", Rcode::NOTZONE),
        // 3.2.1 to 3.2.3: TTL 0, no data with ANY and NONE, no other class.
        ("raw-prerequisite www 255 A 1 none", Rcode::FORMERR),
        ("raw-prerequisite www 255 A 0 data", Rcode::FORMERR),
        ("raw-prerequisite www 254 A 0 data", Rcode::FORMERR),
        ("raw-prerequisite www 255 ANY 0 data", Rcode::FORMERR),
        ("raw-prerequisite www 3 A 0 data", Rcode::FORMERR),
        ("raw-prerequisite www 1 A 0 none", Rcode::FORMERR),
        ("raw-prerequisite www 1 ANY 0 data", Rcode::FORMERR),
        ("raw-prerequisite www 255 AXFR 0 none", Rcode::FORMERR),
        ("raw-prerequisite www 254 MAILB 0 none", Rcode::FORMERR),
    ] {
        let said = updated(&zone, &lines(text)).map(|changed| assert!(changed.is_none(), "{text}"));
        assert_eq!(said.err().unwrap_or(Rcode::NOERROR), rcode, "{text}");
        // What is not met keeps the change from being made.
        let with_change = updated(&zone, &lines(&format!("{text}; add new 60 A 192.0.2.1")));
        assert_eq!(with_change.map(|changed| changed.is_some()), if rcode == Rcode::NOERROR { Ok(true) } else { Err(rcode) }, "{text}");
    }
}

#[test]
fn updates_that_are_refused() {
    let zone = zone(ZONE);
    for (text, rcode) in [
        ("add other.test. 60 A 192.0.2.1", Rcode::NOTZONE),
        ("delete other.test.", Rcode::NOTZONE),
        ("raw www 1 ANY 60 none", Rcode::FORMERR),
        ("raw www 1 AXFR 60 none", Rcode::FORMERR),
        ("raw www 1 MAILA 60 none", Rcode::FORMERR),
        ("raw www 1 A 60 none", Rcode::FORMERR),
        ("raw www 1 AAAA 60 data", Rcode::FORMERR),
        ("raw www 255 A 60 none", Rcode::FORMERR),
        ("raw www 255 A 0 data", Rcode::FORMERR),
        ("raw www 255 MAILB 0 none", Rcode::FORMERR),
        ("raw www 254 A 60 data", Rcode::FORMERR),
        ("raw www 254 ANY 0 none", Rcode::FORMERR),
        ("raw www 254 A 0 none", Rcode::FORMERR),
        ("raw www 3 A 0 data", Rcode::FORMERR),
        ("raw www 1 OPT 0 none", Rcode::FORMERR),
        ("raw-prerequisite www 255 OPT 0 none", Rcode::FORMERR),
        ("add *.x 60 NS ns", Rcode::REFUSED),
        ("add www 60 RRSIG A 8 2 300 20300101000000 20200101000000 1 example. Zm9v", Rcode::REFUSED),
        ("add www 60 NSEC example. A", Rcode::REFUSED),
        // Nothing of it is carried out.
        ("add new 60 A 192.0.2.1; delete www; add other.test. 60 A 192.0.2.1", Rcode::NOTZONE),
    ] {
        assert_eq!(updated(&zone, &lines(text)).map(|_| ()), Err(rcode), "{text}");
    }
    let large: Vec<String> = (0..250).map(|n| format!("add big 60 TXT {}", format!("{n:03}").repeat(80))).collect();
    assert_eq!(updated(&zone, &large).map(|_| ()), Err(Rcode::REFUSED));
    let many: Vec<String> = (0..5_001).map(|_| "delete a".to_owned()).collect();
    assert_eq!(updated(&zone, &many).map(|_| ()), Err(Rcode::REFUSED));
}

#[test]
fn changes() {
    let without = |gone: &str| {
        ZONE.lines().filter(|line| !gone.split('|').any(|gone| line.starts_with(gone))).map(|line| format!("{line}\n")).collect::<String>()
    };
    for (text, expected) in [
        // 3.4.2.2.
        ("add new 60 A 192.0.2.1", format!("{ZONE}new 60 A 192.0.2.1\n")),
        ("add www 300 A 192.0.2.3", format!("{ZONE}www A 192.0.2.3\n")),
        ("add new.cut 60 A 192.0.2.3", format!("{ZONE}new.cut 60 A 192.0.2.3\n")),
        ("add www 60 A 192.0.2.3", format!("{}www TXT x\nwww 60 A 192.0.2.1\nwww 60 A 192.0.2.2\nwww 60 A 192.0.2.3\n", without("www"))),
        ("add www 60 A 192.0.2.1", format!("{}www TXT x\nwww 60 A 192.0.2.1\nwww 60 A 192.0.2.2\n", without("www"))),
        ("add new 60 TYPE65300 \\# 2 00ff", format!("{ZONE}new 60 TYPE65300 \\# 2 00ff\n")),
        // The letters of a name in data are data.
        ("add mail 300 MX 1 mail", format!("{}mail MX 1 mail\n", without("mail "))),
        // CNAME: beside nothing, and one takes the place of another.
        ("add alias 60 CNAME ns", format!("{}alias 60 CNAME ns\n", without("alias"))),
        ("add alias 60 A 192.0.2.1; add www 60 CNAME ns; add new 60 CNAME ns", format!("{ZONE}new 60 CNAME ns\n")),
        ("add new 60 CNAME ns; add new 60 A 192.0.2.1", format!("{ZONE}new 60 CNAME ns\n")),
        ("add new 60 A 192.0.2.1; add new 60 CNAME ns", format!("{ZONE}new 60 A 192.0.2.1\n")),
        ("add key 60 CNAME ns; add alias 60 KEY 512 3 8 AQID", format!("{ZONE}key 60 CNAME ns\nalias 60 KEY 512 3 8 AQID\n")),
        ("delete alias CNAME; add alias 60 A 192.0.2.1", format!("{}alias 60 A 192.0.2.1\n", without("alias"))),
        // DNAME: RFC 6672 5.2.
        ("add tree 60 DNAME a.test.; add alias 60 DNAME b.test.", format!("{}tree 60 DNAME a.test.\n", without("tree"))),
        // SOA: only a newer one of the zone's own name.
        ("add @ 60 SOA ns host 6 1 1 1 1; add new 60 A 192.0.2.1", format!("{ZONE}new 60 A 192.0.2.1\n")),
        ("add www 60 SOA ns host 99 1 1 1 1; add new 60 A 192.0.2.1", format!("{ZONE}new 60 A 192.0.2.1\n")),
        // 3.4.2.3.
        ("delete www A", without("www A")),
        ("delete www", without("www")),
        ("delete deep.ent; delete none; delete none A; delete www AAAA", without("deep")),
        ("delete @", without("@ MX")),
        ("delete @ NS; delete @ SOA; delete @ MX", without("@ MX")),
        ("delete cut NS", without("cut")),
        // 3.4.2.4.
        ("delete www A 192.0.2.1; delete www A 192.0.2.8; delete www TXT y", without("www A 192.0.2.1")),
        ("delete www A 192.0.2.1; delete www A 192.0.2.2", without("www A")),
        ("delete @ NS ns; delete @ NS ns2", without("@ NS ns\n").replace("@ NS ns\n", "")),
        ("delete @ MX 10 MAIL", without("@ MX")),
        // In the order of the message.
        ("delete www; add www 60 A 192.0.2.7", format!("{}www 60 A 192.0.2.7\n", without("www"))),
        ("add new 60 A 192.0.2.7; delete new A; add new 60 TXT z", format!("{ZONE}new 60 TXT z\n")),
    ] {
        let changed = updated(&zone(ZONE), &lines(text)).expect(text).unwrap_or_else(|| panic!("{text}: nothing has changed"));
        let wanted = zone(&expected.replace("host 7", "host 8"));
        assert!(have_same_data(&changed, &wanted), "{text}:\n{:#?}\n{expected}", changed.sets().collect::<Vec<_>>());
        assert_eq!(changed.record_count(), wanted.record_count(), "{text}");
    }
}

#[test]
fn what_changes_nothing_keeps_the_serial() {
    for text in [
        "",
        "add www 300 A 192.0.2.1",
        "delete none",
        "delete www AAAA; delete www A 192.0.2.9",
        "add alias 60 A 192.0.2.1",
        "delete @ SOA",
        "add new 60 A 192.0.2.1; delete new",
        "delete www; add www 300 A 192.0.2.2; add www 300 A 192.0.2.1; add www 300 TXT x",
    ] {
        assert!(updated(&zone(ZONE), &lines(text)).expect(text).is_none(), "{text}");
    }
}

#[test]
fn the_serial() {
    for (before, text, after) in [
        ("7", "add new 60 A 192.0.2.1", 8),
        ("4294967295", "add new 60 A 192.0.2.1", 1),
        ("2026112907", "add new 60 A 192.0.2.1", 2_026_113_001),
        ("2026113007", "add new 60 A 192.0.2.1", 2_026_113_008),
        ("7", "add @ 60 SOA ns host 99 1 1 1 1", 99),
        ("7", "add @ 60 SOA ns host 99 1 1 1 1; add new 60 A 192.0.2.1", 99),
        ("7", "add @ 60 SOA ns host 7 1 1 1 1; add new 60 A 192.0.2.1", 8),
        ("4294967295", "add @ 60 SOA ns host 0 1 1 1 1", 0),
    ] {
        let changed = updated(&zone(&ZONE.replace("host 7", &format!("host {before}"))), &lines(text)).expect(text).expect(text);
        assert_eq!(changed.serial(), after, "{before} {text}");
    }
}

#[test]
fn a_zone_that_was_signed_elsewhere() {
    let signed = zone(&format!("{ZONE}@ RRSIG SOA 8 1 300 20300101000000 20200101000000 1 example. Zm9v\n"));
    assert_eq!(updated(&signed, &lines("add new 60 A 192.0.2.1")).map(|_| ()), Err(Rcode::REFUSED));
    assert!(updated(&signed, &lines("yxdomain www")).expect("prerequisites alone").is_none());
}

/// The zone as records, changed by the pseudocode.
type Model = BTreeMap<(String, String), (u32, BTreeSet<String>)>;

fn model_of(zone: &Zone) -> Model {
    let set = |(owner, set): (&[u8], crate::zone::SetRef<'_>)| {
        let data = set.rdatas().map(|rdata| rdata_to_text(set.rtype, rdata)).collect();
        ((Name::from_wire(owner).expect("a name").to_string(), set.rtype.to_string()), (set.ttl, data))
    };
    zone.sets().filter(|(_, set)| set.rtype != Rtype::SOA).map(set).collect()
}

const DATA: [(&str, &str); 7] = [
    ("A", "192.0.2.1"),
    ("A", "192.0.2.2"),
    ("TXT", "x"),
    ("CNAME", "b.example."),
    ("NS", "ns.other."),
    ("NS", "ns2.other."),
    ("DNAME", "c.other."),
];

/// `None`: a prerequisite is not met.
fn play(model: &Model, lines: &[String]) -> Option<Model> {
    let mut next = model.clone();
    let full = |short: &str| name(short).to_string();
    let shown = |rtype: &str, text: &str| {
        let rtype: Rtype = rtype.parse().expect("a type");
        rdata_to_text(rtype, &rdata_from_text(rtype, text, name("@").as_wire()).expect("data"))
    };
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let owner = full(words[1]);
        let in_use = |model: &Model| model.keys().any(|(have, _)| *have == owner) || owner == "example.";
        let is_met = match words[0] {
            "yxdomain" => in_use(model),
            "nxdomain" => !in_use(model),
            "yxrrset" => model.contains_key(&(owner.clone(), words[2].to_owned())),
            "nxrrset" => !model.contains_key(&(owner.clone(), words[2].to_owned())),
            _ => true,
        };
        if !is_met {
            return None;
        }
    }
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let owner = full(words[1]);
        let (is_apex, key) = (owner == "example.", |rtype: &str| (owner.clone(), rtype.to_owned()));
        match (words[0], words.len()) {
            ("add", _) => {
                let (ttl, rtype, data) = (words[2].parse().expect("a TTL"), words[3], shown(words[3], words[4]));
                let others = next.keys().any(|(have, kind)| *have == owner && kind != "CNAME");
                if rtype == "CNAME" && (others || is_apex) || rtype != "CNAME" && next.contains_key(&key("CNAME")) {
                    continue;
                }
                let set = next.entry(key(rtype)).or_default();
                if ["CNAME", "DNAME"].contains(&rtype) {
                    set.1.clear();
                }
                set.1.insert(data);
                set.0 = ttl;
            }
            ("delete", 2) => next.retain(|(have, rtype), _| *have != owner || is_apex && rtype == "NS"),
            ("delete", 3) if is_apex && words[2] == "NS" => {}
            ("delete", 3) => drop(next.remove(&key(words[2]))),
            ("delete", _) => {
                let data = shown(words[2], words[3]);
                if let Some(set) = next.get_mut(&key(words[2])) {
                    let is_last = set.1.len() == 1 && set.1.contains(&data);
                    if !(is_last && is_apex && words[2] == "NS") {
                        set.1.remove(&data);
                    }
                }
                next.retain(|_, set| !set.1.is_empty());
            }
            _ => {}
        }
    }
    Some(next)
}

fn any_owner() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&["@", "a", "b", "c.a", "*.a", "d.c.a"][..])
}

fn any_line() -> impl Strategy<Value = String> {
    (any_owner(), 0..DATA.len(), 0..12u8, proptest::sample::select(&[60u32, 300][..])).prop_map(|(owner, at, kind, ttl)| {
        let (rtype, data) = DATA[at];
        match kind {
            0 => format!("yxdomain {owner}"),
            1 => format!("nxdomain {owner}"),
            2 => format!("yxrrset {owner} {rtype}"),
            3 => format!("nxrrset {owner} {rtype}"),
            4 => format!("delete {owner}"),
            5 => format!("delete {owner} {rtype}"),
            6 | 7 => format!("delete {owner} {rtype} {data}"),
            // A delegation at a wildcard is refused.
            _ if owner.starts_with('*') && rtype == "NS" => format!("delete {owner} NS"),
            _ => format!("add {owner} {ttl} {rtype} {data}"),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn updates_agree_with_the_model(updates in proptest::collection::vec(proptest::collection::vec(any_line(), 1..8), 1..12)) {
        let mut zone = zone("$TTL 300\n@ SOA ns host 7 2 3 4 60\n@ NS ns.other.\n");
        let mut model = model_of(&zone);
        for update in &updates {
            let before = zone.serial();
            // Prerequisites are checked first, wherever they stand in the line-up.
            match (updated(&zone, update), play(&model, update)) {
                (Ok(changed), Some(next)) => {
                    prop_assert_eq!(changed.is_some(), next != model, "{:?}", update);
                    model = next;
                    zone = changed.unwrap_or(zone);
                    prop_assert_eq!(&model_of(&zone), &model, "{:?}", update);
                    prop_assert!(zone.serial() - before <= 1);
                }
                (Err(rcode), None) => prop_assert!([Rcode::NXDOMAIN, Rcode::YXDOMAIN, Rcode::NXRRSET, Rcode::YXRRSET].contains(&rcode)),
                (said, expected) => prop_assert!(false, "{:?}: {:?} and not {:?}", update, said.map(|_| ()), expected.map(|_| ())),
            }
        }
    }

    #[test]
    fn any_octets_are_an_update_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..60), counts in any::<[u8; 2]>()) {
        let mut packet = message(&["add a 60 A 192.0.2.1".to_owned()]);
        packet[7] = counts[0] % 3;
        packet[9] = 1 + counts[1] % 3;
        packet.extend_from_slice(&octets);
        let zone = zone(ZONE);
        if let Ok(parsed) = Message::parse(&packet)
            && let Ok(changes) = Update::read(&parsed, zone.apex()).and_then(|update| update.decide(&zone, TODAY))
        {
            prop_assert!(changes.is_empty() || edit_zone(&zone, &changes).is_some());
        }
    }
}
