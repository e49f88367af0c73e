//! Does this message belong to that query? Pure. The kernel has matched address and port already.

use super::query::Query;
use crate::record::Rcode;
use crate::wire::{Flags, HEADER_BYTES, Header, Message, Opcode, OptionCode};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Belongs(Proof),
    /// Belongs, but is cut: TC is set, or it is longer than we offered to take.
    Truncated,
    /// The ID is right, but something else is wrong.
    Doubtful(Doubt),
    NearMiss,
}

/// What a reply shows besides ID and question.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Proof {
    /// Our client cookie, 64 bits that only the server and hosts on the way know (RFC 7873 4.1).
    pub has_cookie: bool,
    /// The letter case of the question is not ours. Believed only with our cookie.
    pub other_case: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Doubt {
    Case,
    Malformed,
    CookieMissing,
}

/// RFC 5452 9.1, and the secrets that came after it: letter case and cookies.
pub(super) fn judge(query: &Query, datagram: &[u8]) -> Verdict {
    let Some(header) = Header::read(datagram).filter(|header| header.id == query.id() && is_response(header)) else {
        return Verdict::NearMiss;
    };
    let other_case = match header.counts[0] {
        0 if is_bare_error(&header) => false,
        1 => match compare_question(query, datagram) {
            Some(SameQuestion::ToTheLetter) => false,
            Some(SameQuestion::ButForCase) => query.case_is_secret(),
            None => return Verdict::NearMiss,
        },
        _ => return Verdict::NearMiss,
    };
    let verdict = judge_rest(query, &header, datagram);
    match verdict {
        Verdict::Belongs(proof) if other_case && proof.has_cookie => Verdict::Belongs(Proof { other_case, ..proof }),
        Verdict::Belongs(_) | Verdict::Truncated | Verdict::Doubtful(_) if other_case => Verdict::Doubtful(Doubt::Case),
        Verdict::Belongs(_) | Verdict::Truncated | Verdict::Doubtful(_) | Verdict::NearMiss => verdict,
    }
}

fn judge_rest(query: &Query, header: &Header, datagram: &[u8]) -> Verdict {
    if header.flags.has(Flags::TC) || datagram.len() > query.reply_bytes_max() {
        return Verdict::Truncated;
    }
    match Message::parse(datagram) {
        Err(_) => Verdict::Doubtful(Doubt::Malformed),
        Ok(message) => judge_cookie(query, &message),
    }
}

/// Nobody else can write to a connection, so letter case and cookies prove nothing more there. The ID is one of the
/// connection's own and has been looked up.
pub(super) fn belongs_on_stream(question: &[u8], message: &[u8]) -> bool {
    Header::read(message).is_some_and(|header| {
        is_response(&header)
            && match header.counts[0] {
                0 => is_bare_error(&header),
                1 => compare_wire(question, message).is_some(),
                _ => false,
            }
    })
}

fn is_response(header: &Header) -> bool {
    header.flags.has(Flags::QR) && header.flags.opcode() == Opcode::QUERY
}

/// Old servers leave the question out of an error. The reply says only that this server has no answer.
fn is_bare_error(header: &Header) -> bool {
    let errors = [Rcode::FORMERR, Rcode::NOTIMP, Rcode::REFUSED, Rcode::SERVFAIL];
    errors.contains(&Rcode(header.flags.rcode())) && header.counts[1] == 0 && header.counts[2] == 0
}

enum SameQuestion {
    ToTheLetter,
    ButForCase,
}

fn compare_question(query: &Query, datagram: &[u8]) -> Option<SameQuestion> {
    compare_wire(query.question(), datagram)
}

fn compare_wire(sent: &[u8], message: &[u8]) -> Option<SameQuestion> {
    let came = message.get(HEADER_BYTES..HEADER_BYTES + sent.len())?;
    if came == sent {
        return Some(SameQuestion::ToTheLetter);
    }
    // Type and class are numbers, not letters.
    let name_len = sent.len().checked_sub(4)?;
    let same = came.get(name_len..) == sent.get(name_len..) && came.get(..name_len)?.eq_ignore_ascii_case(sent.get(..name_len)?);
    same.then_some(SameQuestion::ButForCase)
}

/// RFC 7873 5.3: a cookie that comes back must be ours; one that is expected must come back.
fn judge_cookie(query: &Query, message: &Message<'_>) -> Verdict {
    let plain = Verdict::Belongs(Proof::default());
    let Some(sent) = query.cookie() else { return plain };
    match message.edns().and_then(|edns| edns.option(OptionCode::COOKIE)) {
        Some(came) if came.starts_with(&sent.client) => Verdict::Belongs(Proof { has_cookie: true, other_case: false }),
        Some(_) => Verdict::NearMiss,
        None if sent.expected_back => Verdict::Doubtful(Doubt::CookieMissing),
        None => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Random;
    use crate::record::{Class, Name, Question, Rtype};
    use crate::upstream::{Ask, EdnsOut, SocketWait};
    use crate::wire::{Section, Writer};
    use std::time::Duration;

    const BELONGS: Verdict = Verdict::Belongs(Proof { has_cookie: false, other_case: false });
    const PROVED: Verdict = Verdict::Belongs(Proof { has_cookie: true, other_case: false });
    const COOKIE: &[u8] = b"CLIENT01server-cookie";

    fn query(randomise_case: bool, cookie: Option<&[u8]>) -> Query {
        let ask = Ask {
            server: "192.0.2.1:53".parse().expect("address"),
            tls: None,
            zone: None,
            translator: None,
            question: &Question::new(Name::parse("www.example.").expect("name"), Rtype::A),
            recursion_desired: false,
            checking_disabled: false,
            edns: Some(EdnsOut { udp_size: 1232, dnssec_ok: true, cookie }),
            randomise_case,
            timeout: Duration::from_secs(1),
            overdue: None,
            tcp_timeout: Duration::from_secs(1),
            force_tcp: false,
            wait: SocketWait { most: Duration::ZERO, client: 0, known: None },
        };
        Query::new(&ask, &Random::from_seed(3))
    }

    fn reply(query: &Query, cookie: Option<&[u8]>) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), 1232);
        writer.header(Header { id: query.id(), flags: Flags(Flags::QR | Flags::AA), counts: [0; 4] });
        writer.question_wire(query.question()).expect("room");
        let name = Name::parse("www.example.").expect("name");
        writer.record(Section::Answer, &name, Rtype::A, Class::IN, 60, &[192, 0, 2, 7]).expect("room");
        let option = cookie.map(|cookie| (OptionCode::COOKIE, cookie));
        writer.opt(1232, Rcode::NOERROR, true, option.as_slice()).expect("room");
        writer.finish()
    }

    fn bare(query: &Query, flags: u16, rcode: Rcode, answers: u16) -> Vec<u8> {
        Header { id: query.id(), flags: Flags(flags).with_rcode(rcode.0), counts: [0, answers, 0, 0] }.to_bytes().to_vec()
    }

    #[test]
    fn only_the_reply_belongs() {
        let query = query(true, None);
        let good = reply(&query, None);
        let edited = |at: usize, flip: u8| {
            let mut bytes = good.clone();
            bytes[at] ^= flip;
            bytes
        };
        let name_len = query.question().len() - 4;
        for (what, datagram, verdict) in [
            ("as it should be", good.clone(), BELONGS),
            ("ID, high octet", edited(0, 1), Verdict::NearMiss),
            ("ID, low octet", edited(1, 0x80), Verdict::NearMiss),
            ("a query", edited(2, 0x80), Verdict::NearMiss),
            ("another opcode", edited(2, 0x28), Verdict::NearMiss),
            ("two questions", edited(5, 3), Verdict::NearMiss),
            ("no question, yet an answer", edited(5, 1), Verdict::NearMiss),
            ("another letter", edited(13, 1), Verdict::NearMiss),
            ("another label length", edited(12, 1), Verdict::NearMiss),
            ("another case", edited(13, 0x20), Verdict::Doubtful(Doubt::Case)),
            ("another type", edited(12 + name_len + 1, 1), Verdict::NearMiss),
            ("another type that differs like letters do", edited(12 + name_len, 0x20), Verdict::NearMiss),
            ("another class", edited(12 + name_len + 3, 2), Verdict::NearMiss),
            ("TC", edited(2, 2), Verdict::Truncated),
            ("another rcode", edited(3, 2), BELONGS),
            ("more records promised than sent", edited(7, 6), Verdict::Doubtful(Doubt::Malformed)),
            ("cut in the answer", good[..good.len() - 20].to_vec(), Verdict::Doubtful(Doubt::Malformed)),
            ("cut in the question", good[..14].to_vec(), Verdict::NearMiss),
            ("cut in the header", good[..11].to_vec(), Verdict::NearMiss),
            ("empty", Vec::new(), Verdict::NearMiss),
            ("longer than offered", [good.clone(), vec![0; 1232]].concat(), Verdict::Truncated),
            ("bare REFUSED", bare(&query, Flags::QR, Rcode::REFUSED, 0), BELONGS),
            ("bare FORMERR", bare(&query, Flags::QR, Rcode::FORMERR, 0), BELONGS),
            ("bare NXDOMAIN", bare(&query, Flags::QR, Rcode::NXDOMAIN, 0), Verdict::NearMiss),
            ("bare NOERROR", bare(&query, Flags::QR, Rcode::NOERROR, 0), Verdict::NearMiss),
            ("bare REFUSED with an answer", bare(&query, Flags::QR, Rcode::REFUSED, 1), Verdict::NearMiss),
            ("bare REFUSED that is a query", bare(&query, 0, Rcode::REFUSED, 0), Verdict::NearMiss),
        ] {
            assert_eq!(judge(&query, &datagram), verdict, "{what}");
        }
    }

    #[test]
    fn case_counts_only_where_it_was_mixed() {
        let plain = query(false, None);
        let mut bytes = reply(&plain, None);
        bytes[13] ^= 0x20;
        assert_eq!(judge(&plain, &bytes), BELONGS);
        assert!(belongs_on_stream(query(true, None).question(), &bytes));
        bytes[13] ^= 1;
        assert!(!belongs_on_stream(plain.question(), &bytes));
    }

    #[test]
    fn cookies() {
        let (none, first, known) = (query(false, None), query(false, Some(&COOKIE[..8])), query(false, Some(COOKIE)));
        for (what, query, came, verdict) in [
            ("not asked for", &none, Some(COOKIE), BELONGS),
            ("ours with the server's", &first, Some(COOKIE), PROVED),
            ("a server without cookies", &first, None, BELONGS),
            ("somebody else's", &first, Some(&b"CLIENT02server-cookie"[..]), Verdict::NearMiss),
            ("too short", &first, Some(&b"CLIENT"[..]), Verdict::NearMiss),
            ("a new server cookie", &known, Some(&b"CLIENT01SERVER-COOKIE"[..]), PROVED),
            ("gone missing", &known, None, Verdict::Doubtful(Doubt::CookieMissing)),
        ] {
            assert_eq!(judge(query, &reply(query, came)), verdict, "{what}");
        }
    }

    /// A forger who does not know the letter case does not know the cookie either (RFC 7873 4.1).
    #[test]
    fn the_cookie_stands_in_for_the_letter_case() {
        let query = query(true, Some(&COOKIE[..8]));
        let other_case = |cookie| {
            let mut bytes = reply(&query, cookie);
            bytes[13] ^= 0x20;
            judge(&query, &bytes)
        };
        assert_eq!(other_case(Some(COOKIE)), Verdict::Belongs(Proof { has_cookie: true, other_case: true }));
        assert_eq!(other_case(None), Verdict::Doubtful(Doubt::Case));
        assert_eq!(other_case(Some(&b"CLIENT02server-cookie"[..])), Verdict::NearMiss);
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_comes_panics_and_noise_never_belongs(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..100)) {
            let query = query(true, Some(COOKIE));
            let mut addressed = bytes.clone();
            addressed.iter_mut().zip(query.id().to_be_bytes()).for_each(|(octet, id)| *octet = id);
            judge(&query, &addressed);
            proptest::prop_assert!(bytes.starts_with(&query.id().to_be_bytes()) || judge(&query, &bytes) == Verdict::NearMiss);
            belongs_on_stream(query.question(), &bytes);
        }
    }
}
