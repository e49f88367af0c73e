//! TSIG against messages that dnspython signed, and against every possible damage of one bit.

use proptest::prelude::*;

use super::tsig::*;
use crate::config::{KeyAlgorithm, KeySettings, Secret};
use crate::env::WallTime;
use crate::record::{Name, Question, Rcode, Rtype};
use crate::wire::{Flags, Header, Message, Writer};

const NOW: WallTime = WallTime(1_764_457_200);

/// An AXFR query, and two replies of one SOA each that belong to it: signed by dnspython 2.9 with the key of `ring` at `NOW`.
#[rustfmt::skip]
const SIGNED_ELSEWHERE: [(KeyAlgorithm, &str, [&str; 2]); 3] = [
    (
        KeyAlgorithm::Sha256,
        "123400000001000000000001076578616d706c650000fc0001085472616e73666572c00c00fa00ff00000000003d0b686d61632d736861323536000000692b7af0012c0020c874e2c79f206cbaf1830f10b7d4df67c43195f93bd0eab420979aaa6b4d7f5a123400000000",
        [
            "123480000001000100000001076578616d706c650000fc0001c00c000600010000012c0020026e73c00c04686f7374c00c0000000700000001000000010000000100000001085472616e73666572c00c00fa00ff00000000003d0b686d61632d736861323536000000692b7af0012c0020b6acb36e6c285a32dad2d3be822c31e0687a066835c3f7e9de53dea34a0e35e4123400000000",
            "123480000001000100000001076578616d706c650000fc0001c00c000600010000012c0020026e73c00c04686f7374c00c0000000700000001000000010000000100000001085472616e73666572c00c00fa00ff00000000003d0b686d61632d736861323536000000692b7af0012c002008325819d5d03511f482c97ce8d3e45f8be3139f162460dc220d485b76719497123400000000",
        ],
    ),
    (
        KeyAlgorithm::Sha384,
        "123400000001000000000001076578616d706c650000fc0001085472616e73666572c00c00fa00ff00000000004d0b686d61632d736861333834000000692b7af0012c0030fd8fb2c84fdcd5d777c16a00528d4f767184f3baae8c09e7d6ac3160d2566db9bf5c4d63527239f84fe2aa78da784b5b123400000000",
        [
            "123480000001000100000001076578616d706c650000fc0001c00c000600010000012c0020026e73c00c04686f7374c00c0000000700000001000000010000000100000001085472616e73666572c00c00fa00ff00000000004d0b686d61632d736861333834000000692b7af0012c0030e0e31480fe1dccf8e61082d3eb329634d11eabb59ed0a7f047985db7fbe662a6fe7704a70f47e5859fe6ff4956d19345123400000000",
            "123480000001000100000001076578616d706c650000fc0001c00c000600010000012c0020026e73c00c04686f7374c00c0000000700000001000000010000000100000001085472616e73666572c00c00fa00ff00000000004d0b686d61632d736861333834000000692b7af0012c003038b62d3c77e2d7f26bc1632dee915c88f6c8a8c653082145ee078a54070604f264e25daaf2d30f71fd1855cde1a44b8d123400000000",
        ],
    ),
    (
        KeyAlgorithm::Sha512,
        "123400000001000000000001076578616d706c650000fc0001085472616e73666572c00c00fa00ff00000000005d0b686d61632d736861353132000000692b7af0012c0040cbec3b73eab09e137142d9513785df2d57a7f9499ed15c60fa05a2743aa221df7d0a1084038c8f45c7d92f97a44dd52a17eab756fa954034469e2c6f00549d03123400000000",
        [
            "123480000001000100000001076578616d706c650000fc0001c00c000600010000012c0020026e73c00c04686f7374c00c0000000700000001000000010000000100000001085472616e73666572c00c00fa00ff00000000005d0b686d61632d736861353132000000692b7af0012c00408f2418acb573988cf07e606cbeeb5894445433a26f80987ba7c0ff336c26bb18faa220aaa23d82394a2c35ae83bb145c58fd9c5c96cab8ebe257adb28a58921d123400000000",
            "123480000001000100000001076578616d706c650000fc0001c00c000600010000012c0020026e73c00c04686f7374c00c0000000700000001000000010000000100000001085472616e73666572c00c00fa00ff00000000005d0b686d61632d736861353132000000692b7af0012c00402270714bce02b9c1cede874997c8179d1e2771c5760c974dd15849422d1b19b245e8048b5c7c10aad1aaf192efec4acf1d89c7df7893e8899f35ef5de12fc5cd123400000000",
        ],
    ),
];

fn name(text: &str) -> Name {
    Name::parse(text).expect(text)
}

fn ring_of(names: &[&str], algorithm: KeyAlgorithm, secret: &str) -> Keyring {
    let key = |text: &&str| KeySettings {
        name: name(text),
        algorithm,
        secret: Some(Secret::parse(secret).expect("base 64")),
        ..KeySettings::default()
    };
    Keyring::new(&names.iter().map(key).collect::<Vec<_>>())
}

/// The secret is `0123456789abcdef`, twice.
fn ring(algorithm: KeyAlgorithm) -> Keyring {
    ring_of(&["transfer.example."], algorithm, "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn query() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), 512);
    writer.header(Header { id: 0x1234, flags: Flags(0), counts: [0; 4] });
    writer.question(&Question::new(name("example."), Rtype::AXFR)).expect("room");
    writer.finish()
}

fn signed_query(ring: &Keyring, now: WallTime) -> (Vec<u8>, Verifier) {
    let mut message = query();
    let verifier = sign_request(ring.get(&name("transfer.example.")).expect("the key"), &mut message, now);
    (message, verifier)
}

fn error_of(request: &Request) -> String {
    match request {
        Request::Unsigned => "unsigned".to_owned(),
        Request::Signed { signer, .. } => format!("good {}", signer.key()),
        Request::Malformed => "malformed".to_owned(),
        Request::Refused { error, .. } => error.to_string(),
    }
}

#[test]
fn what_another_program_signed() {
    for (algorithm, sent, replies) in SIGNED_ELSEWHERE {
        let (ring, sent) = (ring(algorithm), bytes(sent));
        let Request::Signed { message, signer } = verify_request(&sent, &ring, NOW) else { panic!("{algorithm:?}") };
        assert_eq!((message, signer.key()), (query(), &name("transfer.example.")));
        // Our own signature of the same query has the same MAC, so the replies belong to it.
        let (ours, mut verifier) = signed_query(&ring, NOW);
        // The last octets of the MAC.
        let mac = |packet: &[u8]| packet[packet.len() - 6 - 32..packet.len() - 6].to_vec();
        assert_eq!(mac(&ours), mac(&sent), "{algorithm:?}");
        let mut signer = signer;
        for reply in replies.map(bytes) {
            let mut again = verifier.verify(&reply, NOW).unwrap_or_else(|distrust| panic!("{algorithm:?}: {distrust}"));
            assert!(verifier.is_complete());
            signer.sign(&mut again, NOW);
            assert_eq!(mac(&again), mac(&reply), "{algorithm:?}: the MACs that we would have sent");
        }
    }
}

#[test]
fn requests_that_are_refused() {
    let good = ring(KeyAlgorithm::Sha256);
    let (packet, _) = signed_query(&good, NOW);
    let other_secret = ring_of(&["transfer.example."], KeyAlgorithm::Sha256, "AAAA");
    let other_name = ring_of(&["other.example."], KeyAlgorithm::Sha256, "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    for (ring, now, expected) in [
        (&good, NOW, "good transfer.example."),
        (&good, WallTime(NOW.0 + 300), "good transfer.example."),
        (&good, WallTime(NOW.0 + 301), "BADTIME"),
        (&good, WallTime(NOW.0 - 301), "BADTIME"),
        (&good, WallTime(0), "BADTIME"),
        (&other_secret, NOW, "BADSIG"),
        (&other_name, NOW, "BADKEY"),
        (&ring(KeyAlgorithm::Sha512), NOW, "BADKEY"),
        // The key comes before the time.
        (&other_name, WallTime(0), "BADKEY"),
        (&other_secret, WallTime(0), "BADSIG"),
    ] {
        assert_eq!(error_of(&verify_request(&packet, ring, now)), expected);
    }
    assert_eq!(error_of(&verify_request(&query(), &good, NOW)), "unsigned");
    let trailing = [&packet[..], &[0]].concat();
    assert_eq!(error_of(&verify_request(&trailing, &good, NOW)), "malformed");
    let twice = {
        let mut message = packet.clone();
        let _ = sign_request(good.get(&name("transfer.example.")).expect("the key"), &mut message, NOW);
        message
    };
    assert_eq!(error_of(&verify_request(&twice, &good, NOW)), "malformed");
}

/// RFC 8945 5.3.2: NOTAUTH, the error in the record, no MAC; for BADTIME a MAC, the client's time and ours.
#[test]
fn the_reply_to_a_bad_signature() {
    let good = ring(KeyAlgorithm::Sha256);
    let (packet, mut verifier) = signed_query(&good, NOW);
    let empty = Keyring::default();
    let Request::Refused { reply, .. } = verify_request(&packet, &empty, NOW) else { panic!("no such key") };
    let message = Message::parse(&reply).expect("well formed");
    assert_eq!((message.rcode(), message.header().id, message.header().counts), (Rcode::NOTAUTH, 0x1234, [1, 0, 0, 1]));
    assert_eq!(verifier.verify(&reply, NOW), Err(Distrust::Server(17)));
    let late = WallTime(NOW.0 + 1_000);
    let Request::Refused { reply, .. } = verify_request(&packet, &good, late) else { panic!("too late") };
    assert_eq!(verifier.verify(&reply, NOW), Err(Distrust::Server(18)));
    assert_eq!(reply[reply.len() - 6..], late.0.to_be_bytes()[2..], "our time");
    let at = reply.len() - 1;
    let damaged = [&reply[..at], &[reply[at] ^ 1]].concat();
    assert_eq!(verifier.verify(&damaged, NOW), Err(Distrust::BadSignature), "it is signed");
}

/// RFC 8945 5.2.2.1: a MAC may be cut to half of the hash, and no further.
#[test]
fn truncated_macs() {
    let ring = ring(KeyAlgorithm::Sha512);
    let (packet, _) = signed_query(&ring, NOW);
    let cut_to = |octets: usize| {
        let (mac_at, mac_end) = (packet.len() - 6 - 64, packet.len() - 6);
        let mut cut = [&packet[..mac_at + octets], &packet[mac_end..]].concat();
        cut[mac_at - 2..mac_at].copy_from_slice(&(octets as u16).to_be_bytes());
        let len_at = mac_at - 2 - 8 - 13 - 2;
        let len = u16::from_be_bytes([cut[len_at], cut[len_at + 1]]) - (64 - octets as u16);
        cut[len_at..len_at + 2].copy_from_slice(&len.to_be_bytes());
        error_of(&verify_request(&cut, &ring, NOW))
    };
    for (octets, expected) in [
        (64, "good transfer.example."),
        (63, "good transfer.example."),
        (32, "good transfer.example."),
        (31, "malformed"),
        (10, "malformed"),
        (0, "malformed"),
    ] {
        assert_eq!(cut_to(octets), expected, "{octets} octets");
    }
}

/// RFC 8945 5.3.1: messages between signed ones count once a later one is signed.
#[test]
fn unsigned_messages_between_signed_ones() {
    let good = ring(KeyAlgorithm::Sha256);
    let (packet, mut verifier) = signed_query(&good, NOW);
    let Request::Signed { mut signer, .. } = verify_request(&packet, &good, NOW) else { panic!("good") };
    let reply = |flag: u8| {
        let mut message = query();
        message[2] |= 0x80 | flag;
        message
    };
    assert_eq!(verifier.verify(&reply(0), NOW), Err(Distrust::Unsigned), "the first must be signed");
    let mut first = reply(0);
    signer.sign(&mut first, NOW);
    verifier.verify(&first, NOW).expect("signed");
    verifier.verify(&reply(1), NOW).expect("covered later");
    assert!(!verifier.is_complete());
    // The MAC covers what stands between, so one that does not is wrong.
    let mut without = reply(2);
    signer.clone().sign(&mut without, NOW);
    assert_eq!(verifier.verify(&without, NOW), Err(Distrust::BadSignature));
    for _ in 0..98 {
        verifier.verify(&reply(1), NOW).expect("covered later");
    }
    assert_eq!(verifier.verify(&reply(1), NOW), Err(Distrust::Unsigned), "RFC 8945 5.3.1: at most 99 in a row");
}

proptest! {
    /// No damage of one bit is accepted, besides what a signature does not cover: the ID, the case of letters in names,
    /// and the sign of the TTL.
    #[test]
    fn any_flipped_bit_fails(at in 2_usize..120, bit in 0_u32..8) {
        let ring = ring(KeyAlgorithm::Sha256);
        let (mut packet, _) = signed_query(&ring, NOW);
        prop_assume!(at < packet.len());
        let before = packet[at];
        packet[at] ^= 1 << bit;
        // Names of the question are covered as they were sent; those of the TSIG record without regard to case.
        let is_case = at > 25 && before.is_ascii_alphabetic() && bit == 5;
        let is_good = matches!(verify_request(&packet, &ring, NOW), Request::Signed { .. });
        // The highest bit of the record's TTL, behind header, question, owner, type and class: such a TTL is read as 0 (RFC 2181 8).
        let is_ttl_sign = at == 12 + 13 + 18 + 4 && bit == 7;
        prop_assert!(!is_good || is_case || is_ttl_sign, "octet {} bit {}", at, bit);
    }

    #[test]
    fn no_packet_panics(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
        let ring = ring(KeyAlgorithm::Sha256);
        let _ = verify_request(&packet, &ring, NOW);
        let (_, mut verifier) = signed_query(&ring, NOW);
        let _ = verifier.verify(&packet, NOW);
    }
}
