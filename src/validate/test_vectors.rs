//! For the tests: examples that RFCs and the root zone publish, as master-file lines.

use super::bitmap::bitmap_of;
use super::nsec3::from_base32hex;
use super::test_signer::name;
use crate::record::{Name, RrSet, Rtype};

/// Published examples, one record a line; RRSIGs stand with the set they cover.
pub(super) struct Vectors(Vec<RrSet>);

impl Vectors {
    pub(super) fn of_rfcs() -> Vectors {
        Vectors::read(include_str!("../../tests/vectors/dnssec-rfc.zone"))
    }

    pub(super) fn of_rfc_5155() -> Vectors {
        Vectors::read(include_str!("../../tests/vectors/dnssec-rfc5155.zone"))
    }

    pub(super) fn of_root() -> Vectors {
        Vectors::read(include_str!("../../tests/vectors/dnssec-root.zone"))
    }

    fn read(text: &str) -> Vectors {
        let mut sets = Vectors(Vec::new());
        for line in text.lines().filter(|line| !line.starts_with(';')) {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (owner, ttl, rtype) = (name(fields[0]), fields[1].parse().expect("TTL"), fields[3].parse().expect("type"));
            let rdata = rdata_of(rtype, &fields[4..]);
            let covered = if rtype == Rtype::RRSIG { fields[4].parse().expect("type") } else { rtype };
            let set = sets.entry(owner, covered, ttl);
            if rtype == Rtype::RRSIG { set.sigs.push(&rdata) } else { set.data.push(&rdata) }
        }
        sets
    }

    fn entry(&mut self, owner: Name, rtype: Rtype, ttl: u32) -> &mut RrSet {
        let at = self.0.iter().position(|set| set.name == owner && set.rtype == rtype).unwrap_or_else(|| {
            self.0.push(RrSet::new(owner, rtype, ttl));
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    pub(super) fn get(&self, owner: &str, rtype: Rtype) -> RrSet {
        self.0.iter().find(|set| set.name == name(owner) && set.rtype == rtype).expect(owner).clone()
    }
}

fn rdata_of(rtype: Rtype, words: &[&str]) -> Vec<u8> {
    let number = |at: usize| words[at].parse::<u32>().expect(words[at]);
    let short = |at: usize| (number(at) as u16).to_be_bytes();
    match rtype {
        Rtype::A => words[0].split('.').map(|octet| octet.parse().expect("octet")).collect(),
        Rtype::NS => name(words[0]).as_wire().to_vec(),
        Rtype::MX => [&short(0)[..], name(words[1]).as_wire()].concat(),
        Rtype::SOA => {
            let numbers: Vec<u8> = (2..7).flat_map(|at| number(at).to_be_bytes()).collect();
            [name(words[0]).as_wire(), name(words[1]).as_wire(), &numbers].concat()
        }
        Rtype::NSEC3 => {
            let salt = hex(words[3]);
            let types: Vec<Rtype> = words[5..].iter().map(|word| word.parse().expect("type")).collect();
            let head = [&[number(0) as u8, number(1) as u8][..], &short(2), &[salt.len() as u8], &salt].concat();
            [&head[..], &[20], &from_base32hex(words[4].as_bytes()).expect("hash"), &bitmap_of(&types)].concat()
        }
        Rtype::NSEC => {
            let types: Vec<Rtype> = words[1..].iter().map(|word| word.parse().expect("type")).collect();
            [name(words[0]).as_wire(), &bitmap_of(&types)].concat()
        }
        Rtype::DS => [&short(0)[..], &[number(1) as u8, number(2) as u8], &hex(words[3])].concat(),
        Rtype::DNSKEY => [&short(0)[..], &[number(1) as u8, number(2) as u8], &base64(words[3])].concat(),
        Rtype::RRSIG => {
            let covered: Rtype = words[0].parse().expect("type");
            let head = [&covered.0.to_be_bytes()[..], &[number(1) as u8, number(2) as u8], &number(3).to_be_bytes()].concat();
            let dates = [date(words[4]).to_be_bytes(), date(words[5]).to_be_bytes()].concat();
            [&head[..], &dates, &short(6), name(words[7]).as_wire(), &base64(words[8])].concat()
        }
        other => panic!("no examples of {other}"),
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).expect("hex")).collect()
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut out) = (0u32, 0, Vec::new());
    for digit in text.bytes().filter(|digit| *digit != b'=') {
        bits = bits << 6 | DIGITS.iter().position(|known| *known == digit).expect("base64") as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

/// `YYYYMMDDHHmmSS`.
pub(super) fn date(text: &str) -> u32 {
    let part = |from: usize, to: usize| text[from..to].parse::<u32>().expect("digits");
    let (year, month, day) = (part(0, 4), part(4, 6), part(6, 8));
    let leap = |year: u32| u32::from(year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)));
    let before: u32 = (1970..year).map(|year| 365 + leap(year)).sum();
    let lengths = [31, 28 + leap(year), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days = before + lengths[..month as usize - 1].iter().sum::<u32>() + day - 1;
    days * 86_400 + part(8, 10) * 3_600 + part(10, 12) * 60 + part(12, 14)
}
