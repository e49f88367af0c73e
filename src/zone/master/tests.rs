//! Master files in, records and problems out. Whole sample files, good and bad, are in `tests/zones/`: beside each
//! bad one stand the problems it must show.

use std::io;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::record::rdata_to_text;

fn name(text: &str) -> Name {
    Name::parse(text).expect(text)
}

/// The zone as sorted lines, or its problems.
fn load(text: &str, included: &[(&str, &str)]) -> Result<(Vec<String>, Vec<String>), Vec<String>> {
    let mut open = |file: &str| match file {
        "main" => Ok(text.as_bytes().to_vec()),
        other => included
            .iter()
            .find(|(file, _)| *file == other)
            .map(|(_, text)| text.as_bytes().to_vec())
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound)),
    };
    let strings = |problems: Vec<Problem>| problems.iter().map(Problem::to_string).collect();
    load_zone(&name("example."), "main", &mut open).map(|(zone, warnings)| (lines(&zone), strings(warnings))).map_err(strings)
}

fn lines(zone: &Zone) -> Vec<String> {
    let mut lines: Vec<String> = zone
        .sets()
        .flat_map(|(owner, set)| {
            let owner = Name::from_wire(owner).expect("owner");
            set.rdatas().map(move |rdata| format!("{owner} {} {} {}", set.ttl, set.rtype, rdata_to_text(set.rtype, rdata)))
        })
        .collect();
    lines.sort();
    lines
}

const APEX: &str = "$TTL 60\n@ SOA a a 1 2 3 4 5\n@ NS a\na A 192.0.2.1\n";

/// The lines that `text` adds to a minimal zone.
fn added(text: &str, included: &[(&str, &str)]) -> Vec<String> {
    let (without, _) = load(APEX, &[]).expect("apex");
    let (with, _) = load(&format!("{APEX}{text}"), included).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
    with.into_iter().filter(|line| !without.contains(line)).collect()
}

#[test]
fn the_language() {
    for (text, expected) in [
        ("b A 192.0.2.2", &["b.example. 60 A 192.0.2.2"][..]),
        ("b.example. A 192.0.2.2\r\n\tAAAA ::1\r\n", &["b.example. 60 A 192.0.2.2", "b.example. 60 AAAA ::1"]),
        ("b 1h IN A 192.0.2.2\nc IN 1h30m A 192.0.2.3", &["b.example. 3600 A 192.0.2.2", "c.example. 5400 A 192.0.2.3"]),
        ("b CLASS1 TYPE1 \\# 4 C0000202", &["b.example. 60 A 192.0.2.2"]),
        ("b ( 1h ; one\n IN ; two\n ) MX ( 10\n\n C.Example. )", &["b.example. 3600 MX 10 C.Example."]),
        ("b TXT \"x;y\" z ; no", &["b.example. 60 TXT \"x;y\" \"z\""]),
        (
            "$ORIGIN sub\nb A 192.0.2.2\n@ A 192.0.2.3\n$ORIGIN .\nc.example TXT d",
            &["b.sub.example. 60 A 192.0.2.2", "c.example. 60 TXT \"d\"", "sub.example. 60 A 192.0.2.3"],
        ),
        (
            "$TTL 2\nb A 192.0.2.2\n$TTL 3\n A 192.0.2.3\nc A 192.0.2.3",
            &["b.example. 2 A 192.0.2.2", "b.example. 2 A 192.0.2.3", "c.example. 3 A 192.0.2.3"],
        ),
        ("b A 192.0.2.2\nb a 192.0.2.2\nm MX 1 X\nM MX 1 x", &["b.example. 60 A 192.0.2.2", "m.example. 60 MX 1 X.example."]),
        ("1.0/25 CNAME 1", &["1.0/25.example. 60 CNAME 1.example."]),
        ("a\\.b\\032c\\;\\255 TXT \\065\\\"", &["a\\.b\\032c\\;\\255.example. 60 TXT \"A\\\"\""]),
        ("in A 192.0.2.2\nin in in A 192.0.2.3", &[]),
        ("* A 192.0.2.2\nx.* A 192.0.2.3", &["*.example. 60 A 192.0.2.2", "x.*.example. 60 A 192.0.2.3"]),
    ] {
        if expected.is_empty() {
            assert!(load(&format!("{APEX}{text}"), &[]).is_err(), "{text}");
        } else {
            assert_eq!(added(text, &[]), expected, "{text}");
        }
    }
    // An owner may look like a class.
    assert_eq!(added("in A 192.0.2.2", &[]), ["in.example. 60 A 192.0.2.2"]);
}

#[test]
fn ttls_where_none_is_given() {
    let soa = "@ SOA a a 1 2 3 4 5";
    let (lines, warnings) = load(&format!("{soa}\n@ NS a\na A 192.0.2.1"), &[]).expect("minimum");
    assert!(lines.contains(&"a.example. 5 A 192.0.2.1".to_string()), "{lines:?}");
    assert_eq!(warnings, ["main:1: warning: found no TTL and no $TTL, expected one of them: the SOA's minimum 5 is used"]);
    let (lines, warnings) = load(&format!("@ 7 {}\n@ NS a\na 8 A 192.0.2.1\nb A 192.0.2.1", &soa[2..]), &[]).expect("last");
    assert!(
        lines.contains(&"example. 7 NS a.example.".to_string()) && lines.contains(&"b.example. 8 A 192.0.2.1".to_string()),
        "{lines:?}"
    );
    assert_eq!(warnings, ["main:2: warning: found no TTL and no $TTL, expected one of them: 7 of the record before is used"]);
    let problems = load(&format!("a A 192.0.2.1\n{soa}\n@ NS a"), &[]).expect_err("first");
    assert_eq!(problems[0], "main:1:3: error: found `A`, expected a TTL, or $TTL or the SOA record before");
}

#[test]
fn include_keeps_origin_and_owner_of_the_outer_file() {
    let included = [("inner", "@ TXT i\nb TXT j\n$ORIGIN deep\nc TXT k"), ("loop", "$INCLUDE loop"), ("bad", "\n  x y z")];
    assert_eq!(
        added("o TXT p\n$INCLUDE inner sub\n TXT q\nr TXT s", &included),
        [
            "b.sub.example. 60 TXT \"j\"",
            "c.deep.sub.example. 60 TXT \"k\"",
            "o.example. 60 TXT \"p\"",
            "o.example. 60 TXT \"q\"",
            "r.example. 60 TXT \"s\"",
            "sub.example. 60 TXT \"i\"",
        ]
    );
    let problems = |text: &str| load(&format!("{APEX}{text}"), &included).expect_err(text);
    assert_eq!(
        problems("$INCLUDE loop"),
        ["loop:1:10: error: found `loop`, expected at most 10 files inside one another (does this one include itself?)"]
    );
    assert_eq!(problems("$INCLUDE bad"), ["bad:2:3: error: found `x`, expected a record type as A, MX or TYPE731"]);
    assert_eq!(problems("$INCLUDE none"), ["main:5:10: error: found `none`, expected a file that can be included, but entity not found"]);
}

/// What a slip of the pen makes, and what is said of it: each row is added to a minimal zone.
#[test]
fn slips_are_told_with_the_way_out() {
    let hash = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom";
    let nsec3 = |hash: &str| format!("x NSEC3 1 0 0 abcd {hash} A");
    let (short, whole) = (nsec3("alkmaao"), nsec3(hash));
    for (text, expected) in [
        ("b CNMAE a", &["main:5:3: error: found `CNMAE`, expected a record type; did you mean CNAME?"][..]),
        ("b AAA ::1", &["main:5:3: error: found `AAA`, expected a record type; did you mean AAAA?"]),
        ("b 1h IN IN A 192.0.2.1", &["main:5:9: error: found `IN`, expected a record type after the class"]),
        ("b 192.0.2.1", &["main:5:3: error: found `192.0.2.1`, expected a record type: write `A 192.0.2.1`"]),
        ("b 1h IN 2001:db8::1", &["main:5:9: error: found `2001:db8::1`, expected a record type: write `AAAA 2001:db8::1`"]),
        ("b ::1", &["main:5:3: error: found `::1`, expected a record type: write `AAAA ::1`"]),
        ("b 192.0.2", &["main:5:3: error: found `192.0.2`, expected a TTL as 3600 or 1h30m, or a record type"]),
        ("b QQ 1", &["main:5:3: error: found `QQ`, expected a record type as A, MX or TYPE731"]),
        (
            "  b A 192.0.2.1",
            &["main:5:3: error: found `b`, expected a TTL, class or type: a line that begins with a blank has the owner of the record \
               before; take the blank away"],
        ),
        ("  b A", &["main:5:3: error: found `b`, expected a record type as A, MX or TYPE731"]),
        ("# a comment", &["main:5:1: error: found `#`, expected `;` in front of a comment"]),
        ("//b A 192.0.2", &["main:5:1: error: found `//b`, expected `;` in front of a comment"]),
        ("$TTLL 5", &["main:5:1: error: found `$TTLL`, expected $ORIGIN, $TTL, $INCLUDE or $GENERATE; did you mean $TTL?"]),
        ("b A 192.0.2.\0", &["main:5:13: error: found an octet 0, expected text; the octet itself is written `\\000`"]),
        (short.as_str(), &["main:5: error: found a next hash of 4 octets for x.example. NSEC3, expected the 20 of SHA-1"]),
        (whole.as_str(), &[]),
        (
            "$GENERATE 1-2000000 h$ A 192.0.2.1\n$GENERATE 1-2 h$ A 192.0.2.$",
            &["main:5:11: error: found `1-2000000`, expected at most 1000000 generated records and 256 MiB of them in all"],
        ),
        (
            "m\u{fc}ller A 192.0.2.1",
            &["main:5: warning: found the name `m\u{fc}ller`, expected ASCII, which clients ask for (RFC 5891 4.4): write `xn--mller-kva`"],
        ),
        (
            "_dmarc TXT v=DMARC1; p=none",
            &["main:5: warning: found a `;` after `v=DMARC1` in TXT data, where it begins a comment: write quotes around the whole text"],
        ),
        (
            "b TXT ( v=DKIM1\n k=rsa ; p=AAAA\n )\nc CAA 0 issue ca.example;policy=ev",
            &[
                "main:6: warning: found a `;` after `k=rsa` in TXT data, where it begins a comment: write quotes around the whole text",
                "main:8: warning: found a `;` after `ca.example` in CAA data, where it begins a comment: write quotes around the whole text",
            ],
        ),
        ("b TXT \"v=DMARC1; p=none\"; the policy\nc TXT x ; p=1\nd A 192.0.2.1;office\ne TXT v=DMARC1\\;p=none", &[]),
        ("b ZONEMD 1 1 1 000102030405060708090a0b", &["main:5: warning: found a ZONEMD digest of 12 octets for b.example., expected 48"]),
        (
            "b NAPTR 1 1 \"u\" \"e\" \"blegh\" foo",
            &[
                "main:5: warning: found both a regular expression and a replacement for b.example. NAPTR, expected one of them",
                "main:5: warning: found no substitution for b.example. NAPTR, expected one as `!^.*$!sip:info@example.org!`",
            ],
        ),
        ("b NAPTR 1 1 \"u\" \"e\" \"!^(.*)\\\\!$!sip:\\\\1@a!i\" .\nc NAPTR 1 1 \"s\" \"e\" \"\" foo", &[]),
    ] {
        let problems = match load(&format!("{APEX}{text}"), &[]) {
            Ok((_, warnings)) => warnings,
            Err(problems) => problems,
        };
        assert_eq!(problems, expected, "{text}");
    }
}

/// Where the SOA record is not where it is looked for, or is none.
#[test]
fn a_file_of_another_zone() {
    let rest = "1 2 3 4 5\n@ NS a.example.";
    for (text, expected) in [
        (
            "$TTL 60\nexample.org. SOA a a ",
            "main:2: error: found the SOA record of example.org., expected that of example.: is this the file of the zone example.org.?",
        ),
        (
            "$TTL 60\n\nsub SOA a a ",
            "main:3: error: found the SOA record of sub.example., expected that of example.: is this the file of the zone sub.example.?",
        ),
        ("@ 60 TXT ", "main: error: found no SOA record, expected one for example., as `@ SOA ns1 hostmaster 1 1d 2h 4w 1h`"),
    ] {
        let problems = load(&format!("{text}{rest}"), &[]).expect_err(text);
        let errors: Vec<&String> = problems.iter().filter(|problem| problem.contains(": error: ")).collect();
        assert_eq!(errors, [expected], "{text}");
    }
    let warnings = load("$TTL 60\n@ SOA a host@example.org. 1 2 3 4 5\n@ NS a\na A 192.0.2.1", &[]).expect("a zone").1;
    assert_eq!(warnings, ["main:2: warning: found `@` in the mailbox host\\@example.org., expected a dot in its place"]);
}

/// Saved by an editor that writes two octets a character.
#[test]
fn utf_16_is_told_in_one_line() {
    for text in [&b"\xff\xfe@\0 \0"[..], b"\xfe\xff\0@\0 "] {
        let Err(problems) = load_zone(&name("example."), "main", &mut |_| Ok(text.to_vec())) else { panic!("{text:?} is no zone") };
        let shown: Vec<String> = problems.iter().map(Problem::to_string).collect();
        assert_eq!(shown, ["main:1: error: found UTF-16 text, expected a file saved as ASCII or UTF-8"]);
    }
}

#[test]
fn generate() {
    for (text, expected) in [
        ("$GENERATE 1-5/2 h$ A 192.0.2.$", &["h1.example. 60 A 192.0.2.1", "h3.example. 60 A 192.0.2.3", "h5.example. 60 A 192.0.2.5"][..]),
        (
            "$GENERATE 9-10 h${-9,3} 5 IN CNAME x${10,4,x}.y",
            &["h000.example. 5 CNAME x0013.y.example.", "h001.example. 5 CNAME x0014.y.example."],
        ),
        ("$GENERATE 171-171 ${0,3,n}.${0,0,N} TXT $$ \\$ \"a $\"", &["b.a.B.A.example. 60 TXT \"$\" \"$\" \"a 171\""]),
        ("$GENERATE 1-1 m MX \"$ x\"", &["m.example. 60 MX 1 x.example."]),
    ] {
        let expected: Vec<String> = expected.iter().map(|line| line.replace("b.a.B.A", "b.a.b.a")).collect();
        assert_eq!(added(text, &[]), expected, "{text}");
    }
    for (text, problem) in [
        ("$GENERATE 2-1 a A 192.0.2.1", "11: error: found `2-1`, expected a range as 1-100 or 1-100/2, its numbers at most 2147483647"),
        ("$GENERATE 9--10 a A 192.0.2.1", "11: error: found `9--10`, expected a range as 1-100 or 1-100/2, its numbers at most 2147483647"),
        ("$GENERATE 1-2/0 a A 192.0.2.1", "11: error: found `1-2/0`, expected a range as 1-100 or 1-100/2, its numbers at most 2147483647"),
        (
            "$GENERATE 0-2147483647 a A 192.0.2.1",
            "11: error: found `0-2147483647`, expected at most 1000000 generated records and 256 MiB of them in all",
        ),
        (
            "$GENERATE 1-2 a${0,999} A 192.0.2.1",
            "15: error: found `a${0,999}`, expected `${offset,width,base}` with a base of d, o, x, X, n or N",
        ),
        ("$GENERATE 1-2 a${0 A 192.0.2.1", "15: error: found `a${0`, expected `${offset,width,base}` with a base of d, o, x, X, n or N"),
        ("$GENERATE 1-2 a${-2} A 192.0.2.1", "15: error: found `a${-2}`, expected an offset that leaves no number below 0"),
        ("$GENERATE 1-2 a$ A 192.0.2.$$", "20: error: found `192.0.2.\\$`, expected an IPv4 address"),
        (
            "$GENERATE 1-2 a$ TKEY x",
            "18: error: found `TKEY`, expected a type that records can have; this one is for questions and messages only",
        ),
    ] {
        assert_eq!(load(&format!("{APEX}{text}"), &[]).expect_err(text), [format!("main:5:{problem}")], "{text}");
    }
}

/// What counts is what comes out: templates of a few octets whose output is large.
#[test]
fn generate_is_bounded_by_its_output() {
    let wide = "\"${0,253}\" ".repeat(200);
    let long = format!("$ORIGIN {}example.\n", "a23456789012345678901234567890.".repeat(7));
    for text in [
        format!("$GENERATE 1-1000000 h TXT {wide}"),
        format!("$GENERATE 1-500000 ${{0,60}} TXT {}", "\"${0,250}\" ".repeat(2)),
        format!("{long}$GENERATE 1-900000 h$ NS n$"),
    ] {
        let line = 5 + text.lines().count() - 1;
        let problems = load(&format!("{APEX}{text}"), &[]).expect_err("too much");
        assert_eq!(problems.len(), 1, "{}", &text[..40]);
        let expected = format!("main:{line}:");
        assert!(problems[0].starts_with(&expected) && problems[0].ends_with("256 MiB of them in all"), "{}", problems[0]);
    }
}

#[test]
fn each_problem_of_a_zone() {
    for (text, expected) in [
        (
            "o.other. A 192.0.2.2",
            "5: warning: found a record for o.other., expected names in example.: it is left out; write it into the file of its own zone",
        ),
        (
            "b A 192.0.2.2\nb CNAME c",
            "6: error: found CNAME beside the A of line 5 for b.example., expected a CNAME to stand alone (RFC 1034 3.6.2): write A and AAAA in its place",
        ),
        ("b CNAME c\nb CNAME d", "6: error: found a second CNAME record for b.example., expected one"),
        ("@ SOA a a 2 2 3 4 5", "5: error: found a second SOA record for example., expected one"),
        ("b SOA a a 2 2 3 4 5", "5: error: found a SOA record for b.example., expected it for example. only"),
        ("* NS a", "5: error: found NS for the wildcard *.example., expected no delegation there"),
        ("b 1 TXT x\nb 2 TXT y", "6: warning: found TTL 2 for b.example. TXT after 1, expected one TTL in a set: 1 is used"),
        ("b NS ns.b", "5: warning: found no glue for ns.b.example., expected A or AAAA: it lies in b.example. itself"),
        ("@ NS nowhere", "5: warning: found no address for nowhere.example., expected A or AAAA for the NS of example."),
        (
            "@ MX 1 b\nb CNAME a",
            "5: warning: found MX of example. to b.example., an alias, expected a name with addresses: write the name that the alias leads to",
        ),
        (
            "@ RRSIG SOA 8 1 60 20300101000000 20200101000000 1 example. Zm9v",
            "5: warning: found example. signed without NSEC and NSEC3PARAM, expected one of them: validators refuse its negative answers",
        ),
        (
            "@ RRSIG SOA 8 1 60 20300101000000 20200101000000 1 example. Zm9v\n@ NSEC3PARAM 1 0 51 -",
            "6: warning: found 51 iterations of NSEC3 for example., expected 0: validators take it for unsigned, or refuse its negative answers",
        ),
        ("b NS c.other.\nx.b TXT y", "6: warning: found TXT for x.b.example. below a delegation or a DNAME: it is never served"),
        ("b NS c.other.\nb TXT y", "6: warning: found TXT for b.example. at a delegation: it is never served"),
        (
            "b CNAME c.example",
            "5: warning: found the name c.example.example., expected a final dot after c.example: write `c.example.` or `c`",
        ),
        ("b NS c.other.\nb DS 1 8 2 AABB", "6: warning: found a DS digest of 2 octets for b.example., expected 32"),
        ("b 4294967295 TXT x", "5: warning: found TTL 4294967295, expected at most 2147483647: 0 is used"),
    ] {
        let problems = match load(&format!("{APEX}{text}"), &[]) {
            Ok((_, warnings)) => warnings,
            Err(problems) => problems,
        };
        assert_eq!(problems, [format!("main:{expected}")], "{text}");
    }
    let empty = load("", &[]).expect_err("empty");
    assert_eq!(
        empty,
        [
            "main: error: found no SOA record, expected one for example., as `@ SOA ns1 hostmaster 1 1d 2h 4w 1h`",
            "main: warning: found no NS records, expected at least one for example."
        ]
    );
    // What is right says nothing: glue below, addresses from a wildcard, servers elsewhere, the null MX.
    let fine = "b NS ns.b\nns.b A 192.0.2.2\nc MX 1 x.w\n*.w A 192.0.2.3\nd NS ns.other.\ne MX 0 .\nf NS ns.b";
    assert_eq!(load(&format!("{APEX}{fine}"), &[]).expect(fine).1, Vec::<String>::new());
}

#[test]
fn all_errors_are_shown_but_not_without_end() {
    let problems = load(&format!("{APEX}b A x\nc B y\n\"d e\nf MX 10\ng"), &[]).expect_err("five");
    assert_eq!(
        problems,
        [
            "main:5:5: error: found `x`, expected an IPv4 address",
            "main:6:3: error: found `B`, expected a record type as A, MX or TYPE731",
            "main:7:1: error: found a string without end, expected a closing `\"` on the same line",
            "main:8:8: error: found the end of the record, expected a domain name",
            "main:9:2: error: found the end of the record, expected TTL, class, type and data after the owner",
        ]
    );
    assert_eq!(load(&"b A x\n".repeat(1000), &[]).expect_err("many").len(), 101);
}

#[test]
fn plain_records() {
    let text = ". 518400 NS A.root-servers.net.\na.root-servers.net 3600 A 198.41.0.4\n. NS b.root-servers.net.\n. IN DS 1 8 2 AA";
    let (sets, warnings) = parse_records("hints", text.as_bytes()).expect("hints");
    let shown: Vec<String> = sets.iter().map(|set| format!("{} {} {} {}", set.name, set.ttl, set.rtype, set.data.len())).collect();
    assert_eq!(shown, [". 3600 NS 2", "a.root-servers.net. 3600 A 1", ". 3600 DS 1"]);
    assert_eq!(warnings.len(), 1);
    let (anchors, warnings) = parse_records("anchors", b". DS 1 8 2 AA\n. IN DNSKEY 257 3 8 Zm9v").expect("anchors");
    assert_eq!((anchors.len(), warnings.len()), (2, 0));
    assert!(parse_records("bad", b"$INCLUDE x").is_err());
}

#[test]
fn the_files_that_come_with_the_program() {
    let read = |file: &str| std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect(file);
    let (hints, warnings) = parse_records("root.hints", &read("zones/root.hints")).expect("hints");
    assert_eq!((hints.len(), hints[0].data.len(), warnings), (27, 13, vec![]));
    let (anchors, warnings) = parse_records("root.anchors", &read("zones/root.anchors")).expect("anchors");
    assert_eq!((anchors.len(), anchors[0].data.len(), warnings), (1, 2, vec![]));
    let (zone, warnings) =
        load_zone(&name("example.test."), "zone", &mut |_| Ok(read("zones/example.test.zone"))).expect("the sample zone");
    assert_eq!((zone.record_count(), warnings), (30, vec![]));
}

/// `NAME.zone` in `tests/zones/` is a zone `example.`; `NAME.problems` beside it is what it must show.
#[test]
fn sample_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zones");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("tests/zones").map(|entry| entry.expect("entry").path()) {
        if entry.extension().is_none_or(|extension| extension != "zone") {
            continue;
        }
        count += 1;
        let file = entry.file_name().and_then(|file| file.to_str()).expect("a file name").to_string();
        let loaded = load_zone(&name("example."), &file, &mut |file| std::fs::read(folder.join(file)));
        let problems = loaded.map_or_else(|problems| problems, |(_, warnings)| warnings);
        let shown: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
        let expected = std::fs::read_to_string(entry.with_extension("problems")).unwrap_or_default();
        if std::env::var_os("CAIRN_BLESS").is_some() && !shown.is_empty() {
            std::fs::write(entry.with_extension("problems"), &shown).expect("write");
        } else {
            assert_eq!(shown, expected, "{file}");
        }
    }
    assert!(count >= 3);
}

proptest! {
    /// Any soup of the language's own words ends in a zone or in problems.
    #[test]
    fn any_text_is_a_zone_or_has_problems(words in proptest::collection::vec(
        proptest::sample::select(&[
            "a", "@", "*", "example.", "A", "NS", "SOA", "CNAME", "TXT", "192.0.2.1", "1h", "IN", "(", ")", "\"", "\\", "\n", "\n ", ";", "$ORIGIN",
            "$TTL", "$INCLUDE", "main", "$GENERATE", "1-3", "$", "${1,2,n}", "\\#", "4", "C0000201", "RRSIG", "DNAME",
        ][..]), 0..60)) {
        let text = words.join(" ");
        let _ = load(&text, &[]);
        let _ = load(&format!("{APEX}{text}"), &[]);
    }

    #[test]
    fn any_octets_are_records_or_problems(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_records("any", &text);
    }
}

/// Each of these looks like a slip of the pen and is none.
#[test]
fn honest_zones_give_no_warning() {
    for (apex, text) in [
        ("in-addr.arpa.", "4.3.2.1 PTR host.example.\n5.3.2.1 CNAME 6.3.2.1"),
        ("com.", "com NS ns1.com\nns1.com A 192.0.2.2\nwww NS ns1.com.com."),
        ("example.", "printer._http._tcp TXT txtvers=1 path=/x"),
        ("example.", "$ORIGIN _ipp._tcp.example.\nprinter TXT txtvers=1 rp=x"),
        ("example.", "b TXT \"v=spf1 include:mail.exam\" \"ple.org -all\""),
    ] {
        let text = format!("{APEX}{text}");
        let loaded = load_zone(&name(apex), "main", &mut |_| Ok(text.as_bytes().to_vec()));
        let (_, warnings) = loaded.unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        assert_eq!(warnings.iter().map(Problem::to_string).collect::<Vec<_>>(), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn control_characters_of_a_file_reach_no_terminal() {
    let (_, warnings) = load(&format!("{APEX}b TXT x\u{1b}[2J y\nb\\027* A 192.0.2.2"), &[]).expect("a zone");
    assert_eq!(
        warnings,
        [
            "main:5: warning: found 2 strings without quotes in TXT data, which clients join to `x\\027[2Jy`: write `TXT \"x\\027[2J y\"`",
            "main:6: warning: found `*` inside the label `b\\027*` of b\\027*.example., where it stands for itself only (RFC 4592 2.1.1): \
             write `*` as the whole first label for all names there"
        ]
    );
}
