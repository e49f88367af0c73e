//! What the damage begins with: sound input of each kind.

use cairn::env::Random;
use cairn::record::{Class, Name, Question, Rcode, Rtype};
use cairn::wire::{Flags, Header, Section, Writer};

pub fn seeds_of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "message" => vec![
            reply(&[Section::Answer]),
            reply(&[Section::Authority, Section::Additional]),
            reply(&[]),
            // An MX record whose host borrows its capital letter from the question.
            b"\0\x01\x84\0\0\x01\0\x01\0\0\0\0\x03Www\x07Example\0\0\x01\0\x01\xc0\x0c\0\x0f\0\x01\0\0\x01\x2c\0\x09\0\x0a\x04mail\xc0\x10"
                .to_vec(),
        ],
        "name" => [&b"www.example."[..], b"\x03www\x07example\x00\x07EXAMPLE\x00", b"\\255\\.a.*.", b"\x01*\x01a\x00\x01a\x00"]
            .map(<[u8]>::to_vec)
            .into(),
        "master_file" => vec![
            include_bytes!("../zones/good.zone").to_vec(),
            include_bytes!("../zones/broken.zone").to_vec(),
            include_bytes!("../zones/inconsistent.zone").to_vec(),
            b"$ORIGIN example.test.\n$TTL 1h\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n$GENERATE 1-3 h$ A 192.0.2.$\n".to_vec(),
        ],
        "list" => (0..8u8).flat_map(|form| LISTS.map(|text| [&[form], text.as_bytes()].concat())).collect(),
        "url" => {
            [&b"https://[2001:db8::1]:8443/a/../b?c#d"[..], b"HTTP://A.example.:80", b"../x?y", b"//b.example/\xc3\xa9", b"?x", b"/./.."]
                .map(<[u8]>::to_vec)
                .into()
        }
        "proxy_header" => [
            &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x0f\xa0\0\x35query"[..],
            b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x10\xc0\0\x02\x01\xc0\0\x02\x02\x0f\xa0\0\x35\x04\0\x01x",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x22\0\x24aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb\x0f\xa0\0\x35",
            b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
        ]
        .map(<[u8]>::to_vec)
        .into(),
        "policy" => (0..8u8).map(|seed| (0..240u8).map(|at| at.wrapping_mul(37).wrapping_add(seed.wrapping_mul(91))).collect()).collect(),
        "proof" => (0..8u8).map(|seed| (0..160u8).map(|at| at.wrapping_mul(31).wrapping_add(seed.wrapping_mul(77))).collect()).collect(),
        "patching" => {
            // What is kept ready has no OPT.
            vec![
                [&[1, 2, 3, 45][..], &body_of(&[Section::Answer])].concat(),
                [&[1, 2, 200, 0][..], &body_of(&[Section::Authority])].concat(),
            ]
        }
        "walk" => walks(),
        other => panic!("no seeds for {other}"),
    }
}

/// One of each form.
const LISTS: [&str; 7] = [
    "\u{feff}# hosts\r\n127.0.0.1 localhost\n0.0.0.0 a.example www.a.example #x\n::1\tb.example\n192.0.2.1 c.example\n",
    "a.example\n*.b.example.\nxn--bcher-kva.example\nb\u{fc}cher.example\n_x.example\n\nlocalhost\nexample\n192.0.2.1\n",
    "[Adblock Plus 2.0]\n! x\n||a.example^\n@@||b.a.example^$important\n||c.example^$badfilter\n||d.example^$denyallow=x.d.example\n",
    "||a.example^$dnstype=~A|AAAA\n|b.example^\n||c.example^$dnsrewrite=NOERROR;A;192.0.2.1\na.example##.x\n/^a[.]b$/\n||*.d.example^|\n",
    "address=/a.example/b.example/0.0.0.0\nlocal=/c.example/\nserver=/d.example/192.0.2.1\nserver=/c.example/#\naddress=/#/\n",
    "server:\n  local-zone: \"a.example.\" always_null # x\nlocal-data: 'b.example 60 IN A 0.0.0.0'\nlocal-zone: c.example transparent\n",
    "$TTL 300\n$ORIGIN rpz.test.\n@ SOA a. b. (1 2\n 3 4 5)\na.example CNAME .\n*.a.example CNAME *.\n\tA 0.0.0.0\n32.1.2.0.192.rpz-ip CNAME .\n",
];

fn name(text: &str) -> Name {
    Name::parse(text).expect(text)
}

/// A reply with records of many types in these sections, and OPT.
fn reply(sections: &[Section]) -> Vec<u8> {
    let mut writer = writer_of(sections);
    writer.opt(1232, Rcode::NOERROR, true, &[]).expect("room");
    writer.finish()
}

fn body_of(sections: &[Section]) -> Vec<u8> {
    writer_of(sections).finish()
}

fn writer_of(sections: &[Section]) -> Writer {
    let mut writer = Writer::new(Vec::new(), 4096);
    writer.header(Header { id: 1, flags: Flags(Flags::QR | Flags::AA), counts: [0; 4] });
    writer.question(&Question::new(name("www.example."), Rtype::A)).expect("room");
    for section in sections {
        for (owner, rtype, rdata) in records() {
            writer.record(*section, &owner, rtype, Class::IN, 300, &rdata).expect("room");
        }
    }
    writer
}

fn records() -> Vec<(Name, Rtype, Vec<u8>)> {
    let www = name("www.example.");
    let rrsig = [&[0, 1, 15, 2][..], &[0; 14], name("example.").as_wire(), &[9; 64]].concat();
    let soa = [name("ns.example.").as_wire(), name("h.example.").as_wire(), &[0; 20]].concat();
    vec![
        (www.clone(), Rtype::A, vec![192, 0, 2, 1]),
        (www.clone(), Rtype::RRSIG, rrsig),
        (www.clone(), Rtype::MX, [&[0, 10][..], name("mail.example.").as_wire()].concat()),
        (www.clone(), Rtype::TXT, b"\x05hello".to_vec()),
        (www, Rtype::CNAME, name("other.example.").as_wire().to_vec()),
        (name("example."), Rtype::SOA, soa),
        (name("example."), Rtype::NS, name("ns.example.").as_wire().to_vec()),
        (name("ns.example."), Rtype::A, vec![192, 0, 2, 2]),
        (name("example."), Rtype::DS, [&[0, 1, 15, 2][..], &[7; 32]].concat()),
        (name("a.example."), Rtype::NSEC, [name("b.example.").as_wire(), &[0, 1, 0x40]].concat()),
        (name("example."), Rtype::DNSKEY, [&[1, 1, 3, 15][..], &[5; 32]].concat()),
    ]
}

/// Runs of replies as `targets::walk` takes them: priming, a referral, an answer; and with a denial, an alias, damage between.
fn walks() -> Vec<Vec<u8>> {
    let root_ns = body(0x84, 0, &[(0, 0)], &[(".", Rtype::NS, name("a.root-servers.net.").as_wire().to_vec())]);
    let referral = body(
        0x80,
        0,
        &[(1, 1)],
        &[("example.", Rtype::NS, name("ns.example.").as_wire().to_vec()), ("ns.example.", Rtype::A, vec![192, 0, 2, 2])],
    );
    let answer = body(0x84, 0, &[(0, 0)], &[("www.example.", Rtype::A, vec![192, 0, 2, 1])]);
    let alias = body(0x84, 0, &[(0, 0)], &[("www.example.", Rtype::CNAME, name("www.example.").as_wire().to_vec())]);
    let soa = [name("ns.example.").as_wire(), name("h.example.").as_wire(), &[0; 20]].concat();
    let denial = body(0x84, 3, &[(1, 0)], &[("example.", Rtype::SOA, soa)]);
    let refused = body(0x80, 5, &[], &[]);
    let runs: [&[&Vec<u8>]; 5] = [
        &[&root_ns, &referral, &answer],
        &[&root_ns, &referral, &denial],
        &[&root_ns, &referral, &alias, &answer],
        &[&refused, &referral, &refused, &answer],
        &[&answer, &answer, &answer],
    ];
    runs.map(|run| run.iter().flat_map(|body| behind_length(body)).collect()).into()
}

/// Flags, RCODE, where the records go (by default the answer), and the records.
fn body(high: u8, rcode: u8, sections: &[(u8, u8)], records: &[(&str, Rtype, Vec<u8>)]) -> Vec<u8> {
    let counts = match sections {
        [(0, 0)] => [records.len() as u8, 0, 0],
        [(authority, additional)] => [0, *authority, *additional],
        _ => [0, 0, 0],
    };
    let mut out = vec![high, rcode, counts[0], counts[1], counts[2]];
    for (owner, rtype, rdata) in records {
        out.extend_from_slice(name(owner).as_wire());
        out.extend_from_slice(&rtype.0.to_be_bytes());
        out.extend_from_slice(&[0, 1, 0, 0, 1, 44]);
        out.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
        out.extend_from_slice(rdata);
    }
    out
}

fn behind_length(body: &[u8]) -> Vec<u8> {
    let units = body.len().div_ceil(4);
    let mut out = vec![units as u8];
    out.extend_from_slice(body);
    out.resize(1 + units * 4, 0);
    out
}

/// A few octets flipped, cut out, doubled, or taken from another seed.
pub fn damaged(seed: &[u8], others: &[Vec<u8>], random: &Random) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..1 + random.below(6) {
        let at = random.below(data.len() + 1);
        let len = random.below(1 + (data.len() - at).min(16));
        match random.below(7) {
            0 => data[at..at + len].iter_mut().for_each(|octet| *octet ^= 1 << random.below(8)),
            1 => data[at..at + len].iter_mut().for_each(|octet| *octet = random.below(256) as u8),
            2 => data[at..at + len].iter_mut().for_each(|octet| *octet = [0, 1, 0xc0, 0xff][random.below(4)]),
            3 => drop(data.drain(at..at + len)),
            4 => {
                let doubled = data[at..at + len].to_vec();
                data.splice(at..at, doubled);
            }
            5 => data.truncate(at.max(1)),
            _ => {
                let other = &others[random.below(others.len())];
                let from = random.below(other.len());
                data.splice(at..at + len, other[from..].iter().copied().take(len + 8));
            }
        }
    }
    data
}
