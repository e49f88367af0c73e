//! Tests of changes: what a file says afterwards, octet for octet; and random changes against a plain list of records.

use std::collections::BTreeSet;
use std::io;

use proptest::prelude::*;

use super::*;
use crate::record::{Name, rdata_to_text};

const TODAY: u32 = 20_261_130;

fn apex() -> Name {
    Name::parse("example.org").expect("a name")
}

fn includes(name: &str) -> io::Result<Vec<u8>> {
    match name {
        "more" => Ok(b"inc A 192.0.2.77\nwww A 192.0.2.78\n".to_vec()),
        _ => Err(io::Error::other("no such file")),
    }
}

fn read(text: &str) -> MasterFile {
    let mut main = Some(text.as_bytes().to_vec());
    let mut open = |name: &str| main.take().map_or_else(|| includes(name), Ok);
    MasterFile::read(&apex(), "zone", None, &mut open).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"))
}

/// `add www 300 A 192.0.2.1`, `set www 300 A 192.0.2.1 | 192.0.2.2`, `remove www A 192.0.2.1`.
fn change(words: &str) -> Change {
    let mut parts = words.splitn(3, ' ');
    let (verb, owner, rest) = (parts.next().expect(words), parts.next().expect(words), parts.next().unwrap_or_default());
    let owner = Name::parse_bytes(owner.as_bytes(), &apex()).expect(words);
    if verb == "remove" {
        let (rtype, data) = rest.split_once(' ').map_or((rest, None), |(rtype, data)| (rtype, Some(data)));
        let rtype = Some(rtype).filter(|rtype| !rtype.is_empty()).map(|rtype| rtype.parse().expect(words));
        let rdata =
            data.zip(rtype).map(|(data, rtype)| NewRecord::parse(&apex(), owner.clone(), 0, rtype, data).expect(words).record.rdata);
        return Change::Remove { owner, rtype, rdata };
    }
    let mut parts = rest.splitn(3, ' ');
    let (ttl, rtype) = (parts.next().expect(words).parse().expect(words), parts.next().expect(words).parse().expect(words));
    let data = parts.next().expect(words).split(" | ");
    let records = data.map(|data| NewRecord::parse(&apex(), owner.clone(), ttl, rtype, data).expect(words)).collect();
    if verb == "set" { Change::Set(records) } else { Change::Add(records) }
}

fn after(text: &str, change: &Change) -> Result<String, Refusal> {
    let file = read(text);
    let delta = Delta::of(&file, change, TODAY)?;
    let mut open = |name: &str| includes(name);
    let edited = file.edited(&delta, &mut open)?;
    Ok(String::from_utf8(edited.text().to_vec()).expect("text"))
}

/// A head, then the lines of each row.
const HEAD: &str = "$TTL 3600\n@ SOA ns host SERIAL 1 1 1 1\n@ NS ns\n";

#[rustfmt::skip]
const ROWS: &[(&str, &str, &str)] = &[
    // A new record stands behind its set, its name, or all others.
    ("ns A 192.0.2.1\nwww A 192.0.2.2 ; web\n\n; end\n", "add www 3600 A 192.0.2.3", "ns A 192.0.2.1\nwww A 192.0.2.2 ; web\nwww A 192.0.2.3\n\n; end\n"),
    ("www A 192.0.2.2\nns A 192.0.2.1\n", "add www 3600 AAAA 2001:db8::1", "www A 192.0.2.2\nwww AAAA 2001:db8::1\nns A 192.0.2.1\n"),
    ("ns A 192.0.2.1", "add www 60 A 192.0.2.3", "ns A 192.0.2.1\nwww 60 A 192.0.2.3\n"),
    ("ns      IN  A     192.0.2.1\r\n", "add www 60 MX 10 mail", "ns      IN  A     192.0.2.1\r\nwww 60  IN  MX    10 mail\n"),
    ("ns A 192.0.2.1\n        TXT \"x\"\nftp A 192.0.2.9\n", "add ns 3600 A 192.0.2.2", "ns A 192.0.2.1\n        A 192.0.2.2\n        TXT \"x\"\nftp A 192.0.2.9\n"),
    ("ns A 192.0.2.1\n$ORIGIN sub.example.org.\na A 192.0.2.4\n", "add b.sub 3600 CNAME a.sub", "ns A 192.0.2.1\n$ORIGIN sub.example.org.\na A 192.0.2.4\nb CNAME a.sub.example.org.\n"),
    ("ns A 192.0.2.1\n$ORIGIN sub.example.org.\n  A 192.0.2.4\n", "add www 3600 A 192.0.2.5", "ns A 192.0.2.1\nwww A 192.0.2.5\n$ORIGIN sub.example.org.\nns.example.org. A 192.0.2.4\n"),
    ("ns.example.org. A 192.0.2.1\n", "add www 3600 A 192.0.2.5", "ns.example.org. A 192.0.2.1\nwww.example.org. A 192.0.2.5\n"),
    ("Ns A 192.0.2.1\n", "add ns 3600 A 192.0.2.5", "Ns A 192.0.2.1\nNs A 192.0.2.5\n"),
    ("ns A 192.0.2.1\n$INCLUDE more\n", "add www 3600 A 192.0.2.5", "ns A 192.0.2.1\nwww A 192.0.2.5\n$INCLUDE more\n"),
    // Data is replaced in its line; what means the same stays as it is written.
    ("mx MX 10 Mail.Example.org. ; first\n", "set mx 3600 MX 20 mail", "mx MX 20 Mail.Example.org. ; first\n"),
    ("t TXT ( \"a\"\n  \"b\" ) ; two\n", "set t 3600 TXT \"a\" \"c\"", "t TXT ( \"a\"\n  \"c\" ) ; two\n"),
    ("t TXT ( \"a\"\n  \"b\" ) ; two\n", "set t 3600 TXT \"c\"", "t TXT \"c\"\n"),
    ("www A 192.0.2.2 ; one\nwww A 192.0.2.3 ; two\n", "set www 3600 A 192.0.2.3 | 192.0.2.4", "www A 192.0.2.4 ; one\nwww A 192.0.2.3 ; two\n"),
    ("www A 192.0.2.2 ; one\nwww A 192.0.2.3 ; two\n", "set www 3600 A 192.0.2.3", "www A 192.0.2.3 ; two\n"),
    // A TTL is that of the whole set.
    ("www A 192.0.2.2 ; one\nwww        A 192.0.2.3\n", "add www 60 A 192.0.2.4", "www 60 A 192.0.2.2 ; one\nwww 60     A 192.0.2.3\nwww 60     A 192.0.2.4\n"),
    ("www 60 A 192.0.2.2\n", "set www 3600 A 192.0.2.2", "www 3600 A 192.0.2.2\n"),
    // Lines that took their owner from one that goes get their own.
    ("www     A 192.0.2.2\n        AAAA 2001:db8::1\n", "remove www A", "www     AAAA 2001:db8::1\n"),
    ("www\tA 192.0.2.2\n\tAAAA 2001:db8::1\n", "remove www A", "www\tAAAA 2001:db8::1\n"),
    ("www A 192.0.2.2\n A 192.0.2.3\nftp A 192.0.2.4\n", "remove www", "ftp A 192.0.2.4\n"),
    ("www A 192.0.2.2\nwww A 192.0.2.2\n", "remove www A 192.0.2.2", ""),
    ("www 60 A 192.0.2.2\nwww A 192.0.2.2\nwww 30 A 192.0.2.2\n", "set www 3600 A 192.0.2.2", "www A 192.0.2.2\n"),
    ("www 60 A 192.0.2.2\nwww 30 A 192.0.2.2\n", "set www 3600 A 192.0.2.2", "www 3600 A 192.0.2.2\n"),
    ("mx MX 10 Mail\n", "remove mx MX 10 mail.example.org.", ""),
];

#[test]
fn what_is_not_changed_stays_as_it_is() {
    let (before, next) = (HEAD.replace("SERIAL", "7"), HEAD.replace("SERIAL", "8"));
    for (lines, words, expected) in ROWS {
        let text = format!("{before}{lines}");
        assert_eq!(after(&text, &change(words)).as_deref(), Ok(format!("{next}{expected}").as_str()), "{words}\n{text}");
    }
}

#[test]
fn the_serial_is_raised_where_it_stands() {
    for (text, expected) in [
        (
            "$TTL 60\n@ IN SOA ns host (\n\t2026112907 ; serial\n\t1h 1h\n\t1w 1h ) ; end\n",
            "$TTL 60\n@ IN SOA ns host (\n\t2026113001 ; serial\n\t1h 1h\n\t1w 1h ) ; end\nwww IN A 192.0.2.1\n",
        ),
        (
            "$ORIGIN org.\nexample 60 SOA a.b. c.d. ( 7 1 1 1 1 )\n",
            "$ORIGIN org.\nexample 60 SOA a.b. c.d. ( 8 1 1 1 1 )\nwww.example 60 A 192.0.2.1\n",
        ),
        ("@ 60 SOA ns host 4294967295 1 1 1 1\n", "@ 60 SOA ns host 1 1 1 1 1\nwww 60 A 192.0.2.1\n"),
    ] {
        assert_eq!(after(text, &change("add www 60 A 192.0.2.1")).as_deref(), Ok(expected));
    }
    let soa = "@ 60 SOA ns host 7 1 1 1 1\n";
    for (words, expected) in [
        ("set @ 60 SOA ns host 3 2 2 2 2", "@ 60 SOA ns host 8 2 2 2 2\n"),
        ("set @ 60 SOA ns host 100 2 2 2 2", "@ 60 SOA ns host 100 2 2 2 2\n"),
    ] {
        assert_eq!(after(soa, &change(words)).as_deref(), Ok(expected));
    }
}

/// Without $TTL a line takes the TTL of the line before.
#[test]
fn ttls_that_are_taken_from_other_lines() {
    let text = "@ 60 SOA ns host 7 1 1 1 1\n@ NS ns\nns 30 A 192.0.2.1\nftp A 192.0.2.2\n";
    assert_eq!(after(text, &change("remove ns")).as_deref(), Ok("@ 60 SOA ns host 8 1 1 1 1\n@ NS ns\nftp 30 A 192.0.2.2\n"));
    assert_eq!(
        after(text, &change("add @ 60 NS ns2")).as_deref(),
        Ok("@ 60 SOA ns host 8 1 1 1 1\n@ NS ns\n@ NS ns2\nns 30 A 192.0.2.1\nftp A 192.0.2.2\n")
    );
    assert_eq!(
        after(text, &change("set ns 90 A 192.0.2.1")).as_deref(),
        Ok("@ 60 SOA ns host 8 1 1 1 1\n@ NS ns\nns 90 A 192.0.2.1\nftp 30 A 192.0.2.2\n")
    );
}

#[test]
fn what_is_refused() {
    let text = "$TTL 60\n@ SOA ns host 7 1 1 1 1\n@ NS ns\nns A 192.0.2.1\n$GENERATE 1-3 host$ A 192.0.2.$\n$INCLUDE more\n";
    for (words, part) in [
        ("remove ftp", "there is no record of ftp.example.org."),
        ("remove ns AAAA", "ns.example.org. has no AAAA record; it has A"),
        ("remove ns A 192.0.2.9", "ns.example.org. has no A record with this data; it has '192.0.2.1'"),
        ("remove @ SOA", "exactly one SOA"),
        ("remove @", "exactly one SOA"),
        ("remove @ NS", "without an NS record"),
        ("add @ 60 SOA ns host 9 1 1 1 1", "exactly one SOA"),
        ("set www 60 SOA ns host 9 1 1 1 1", "exactly one SOA"),
        ("add www.example.net. 60 A 192.0.2.1", "www.example.net. is not within example.org."),
        ("remove www.example.net.", "www.example.net. is not within example.org."),
        ("remove host2", "host2.example.org. A 192.0.2.2 is made by the $GENERATE at zone:5: change it there"),
        ("set host2 60 A 192.0.2.9", "is made by the $GENERATE at zone:5"),
        ("add host2 90 A 192.0.2.9", "is made by the $GENERATE at zone:5"),
        ("remove inc A", "inc.example.org. A 192.0.2.77 is read by $INCLUDE from more:1: change it there"),
    ] {
        let told = after(text, &change(words)).expect_err(words).to_string();
        assert!(told.contains(part), "{words}: {told}");
    }
    assert!(after(text, &change("add host2 60 A 192.0.2.9")).is_ok(), "beside what is made");
    let signed = format!("{text}ns RRSIG A 13 3 60 20270101000000 20260101000000 1 example.org. AAAA\n");
    assert!(after(&signed, &change("add www 60 A 192.0.2.1")).is_err_and(|refusal| matches!(refusal, Refusal::Signed(_))));
}

#[test]
fn what_is_there_already_changes_nothing() {
    let file = read("$TTL 60\n@ SOA ns host 7 1 1 1 1\n@ NS ns\nns A 192.0.2.1\n");
    for words in ["add ns 60 A 192.0.2.1", "set ns 60 A 192.0.2.1", "add @ 60 NS NS.example.org."] {
        assert_eq!(Delta::of(&file, &change(words), TODAY), Ok(Delta::default()), "{words}");
    }
}

#[test]
fn data_that_a_person_gets_wrong() {
    for (rtype, data, part) in [
        ("A", "192.0.2", "found `192.0.2`"),
        ("MX", "mail", "MX data 'mail': found"),
        ("TXT", "v=DMARC1; p=reject", "write quotes around the text, and apostrophes around all: '\"v=DMARC1; p=reject\"'"),
        ("A", "192.0.2.1\n192.0.2.2", "a second line"),
        ("A", "\\# 1 00", "these octets are no A data"),
    ] {
        let told = NewRecord::parse(&apex(), apex(), 60, rtype.parse().expect(rtype), data).expect_err(data);
        assert!(told.contains(part), "{told}");
    }
    assert!(record_type("IN").is_err_and(|told| told.contains("class")) && record_type("ANY").is_err() && record_type("AAA").is_err());
    assert_eq!(record_type("type731"), Ok(Rtype(731)));
}

/// Read and written, every file of the tree is the same octet for octet, and so are all octets around a change.
#[test]
fn files_of_the_tree() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zones");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the zones") {
        let path = entry.expect("an entry").path();
        let Ok(text) = std::fs::read(&path) else { continue };
        let zone = Name::parse("example.").expect("a name");
        let mut main = Some(text.clone());
        let mut open = |name: &str| main.take().map_or_else(|| std::fs::read(folder.join(name)), Ok);
        let Ok(file) = MasterFile::read(&zone, "zone", None, &mut open) else { continue };
        assert!(file.text() == text, "{}", path.display());
        let record = ZoneRecord { owner: zone.child(b"zz-new").expect("a name"), rtype: Rtype::A, ttl: 7, rdata: vec![192, 0, 2, 1] };
        let delta = Delta { removed: Vec::new(), added: vec![NewRecord { record, written: None }] };
        let edited = file.edited(&delta, &mut |name: &str| std::fs::read(folder.join(name))).expect("it is taken");
        let new = edited.text();
        let same_start = text.iter().zip(new).take_while(|(old, new)| old == new).count();
        let same_end = text.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
        assert!(same_start + same_end >= text.len(), "{}: {}", path.display(), String::from_utf8_lossy(new));
        count += 1;
    }
    assert!(count >= 3, "{count} files");
}

/// One line of a random file.
fn line() -> impl Strategy<Value = String> {
    let owner = prop_oneof![Just("a"), Just("b"), Just("@"), Just("a.sub"), Just("c.example.org."), Just(" "), Just("\t"), Just("     ")];
    let ttl = prop_oneof![Just(""), Just(""), Just("60 "), Just("1h\t"), Just("IN "), Just("30 IN "), Just("in  90 ")];
    let data = prop_oneof![
        Just("A 192.0.2.1"),
        Just("A     192.0.2.2 ; two"),
        Just("A (192.0.2.3\n)"),
        Just("TXT \"x\" ; y"),
        Just("TXT ( \"x\" ; (\n y )"),
        Just("MX 10 a"),
        Just("MX\t20\tb.example.org."),
    ];
    let record = (owner, ttl, data).prop_map(|(owner, ttl, data)| format!("{owner} {ttl}{data}\n"));
    let other = prop_oneof![
        Just("\n"),
        Just("; a comment\n"),
        Just("$ORIGIN sub.example.org.\n"),
        Just("$ORIGIN example.org.\n"),
        Just("$TTL 120\n"),
        Just("$INCLUDE more\n"),
        Just("$GENERATE 1-2 g$ A 192.0.2.$\n"),
        Just("  \r\n"),
    ];
    prop_oneof![4 => record, 1 => other.prop_map(str::to_owned)]
}

fn asked() -> impl Strategy<Value = String> {
    let owner = prop_oneof![Just("a"), Just("b"), Just("@"), Just("a.sub"), Just("c"), Just("new"), Just("x.sub"), Just("g1"), Just("inc")];
    let ttl = prop_oneof![Just("60"), Just("3600"), Just("120")];
    let data = prop_oneof![Just("A 192.0.2.1"), Just("A 192.0.2.9"), Just("TXT \"x\" y"), Just("TXT z"), Just("MX 10 a"), Just("MX 30 b")];
    prop_oneof![
        (owner.clone(), ttl.clone(), data.clone()).prop_map(|(owner, ttl, data)| format!("add {owner} {ttl} {data}")),
        (owner.clone(), ttl, data.clone()).prop_map(|(owner, ttl, data)| format!("set {owner} {ttl} {data}")),
        (owner.clone(), data).prop_map(|(owner, data)| format!("remove {owner} {data}")),
        (owner, prop_oneof![Just("A"), Just("TXT")]).prop_map(|(owner, rtype)| format!("remove {owner} {rtype}")),
    ]
}

type Model = BTreeSet<(String, u32, String, String)>;

fn model(file: &MasterFile) -> Model {
    let row = |record: &ZoneRecord| (record.owner.to_string(), record.ttl, record.rtype.to_string(), record.data());
    file.records().filter(|record| record.rtype != Rtype::SOA).map(row).collect()
}

/// What a change does to plain records.
fn apply(model: &mut Model, change: &Change) {
    let new = match change {
        Change::Remove { owner, rtype, rdata } => {
            let data = rdata.as_ref().zip(*rtype).map(|(rdata, rtype)| rdata_to_text(rtype, rdata));
            let is_meant = |row: &(String, u32, String, String)| {
                row.0 == owner.to_string()
                    && rtype.is_none_or(|rtype| row.2 == rtype.to_string())
                    && data.as_ref().is_none_or(|data| row.3 == *data)
            };
            return model.retain(|row| !is_meant(row));
        }
        Change::Set(new) => {
            model.retain(|row| row.0 != new[0].record.owner.to_string() || row.2 != new[0].record.rtype.to_string());
            new
        }
        Change::Add(new) => new,
    };
    for NewRecord { record, .. } in new {
        let key = (record.owner.to_string(), record.rtype.to_string());
        let (mut set, rest): (Model, Model) = std::mem::take(model).into_iter().partition(|row| row.0 == key.0 && row.2 == key.1);
        set.insert((key.0.clone(), record.ttl, key.1.clone(), record.data()));
        *model = rest;
        model.extend(set.into_iter().map(|row| (row.0, record.ttl, row.2, row.3)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// After random changes the file says what the records say, and no line is lost that has no part in it.
    #[test]
    fn random_changes(lines in proptest::collection::vec(line(), 0..12), asked in proptest::collection::vec(asked(), 1..6)) {
        let mut text = format!("$TTL 3600\n@ SOA ns host 7 1 1 1 1\n@ NS ns\n{}; the end", lines.concat());
        if lines.len() % 3 == 0 {
            text = text.replacen("$TTL 3600\n@ SOA", "@ 300 SOA", 1);
        }
        let mut file = read(&text);
        prop_assert_eq!(file.text(), text.as_bytes());
        for words in &asked {
            let change = change(words);
            let mut expected = model(&file);
            match Delta::of(&file, &change, TODAY) {
                Ok(delta) if delta == Delta::default() => apply(&mut expected, &change),
                Ok(delta) => match file.edited(&delta, &mut |name: &str| includes(name)) {
                    Ok(edited) => {
                        apply(&mut expected, &change);
                        file = edited;
                    }
                    Err(Refusal::MadeElsewhere(..)) => {}
                    // What is read by $INCLUDE takes its TTL from the lines before it.
                    Err(Refusal::Entangled) => prop_assert!(text.contains("$INCLUDE") || text.contains("$GENERATE"), "{} in\n{}", words, text),
                    Err(other) => prop_assert!(false, "{words}: {other}"),
                },
                Err(Refusal::NotThere(_)) => {}
                Err(other) => prop_assert!(false, "{words}: {other}"),
            }
            prop_assert_eq!(model(&file), expected, "{} in\n{}gives\n{}", words, &text, String::from_utf8_lossy(file.text()));
            let new = String::from_utf8_lossy(file.text()).into_owned();
            for line in text.lines().filter(|line| line.starts_with(['$', ';'])) {
                prop_assert!(new.contains(line), "{} is lost from\n{}", line, new);
            }
        }
    }
}
