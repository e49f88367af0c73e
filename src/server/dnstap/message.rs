//! One message as a dnstap frame: the Protocol Buffers encoding of `Dnstap` with its `Message` (dnstap.proto, 2014 to 2023). Only a
//! writer is needed, and of that format no more than three kinds of fields.

use std::net::{IpAddr, SocketAddr};

use crate::tap::{Passed, PassedKind};

/// `Dnstap.Type.MESSAGE`.
const TYPE_MESSAGE: u64 = 1;

/// Appends the octets of a frame.
pub(super) fn write(passed: &Passed<'_>, identity: &[u8], version: &[u8], scratch: &mut Vec<u8>, frame: &mut Vec<u8>) {
    scratch.clear();
    message(passed, scratch);
    octets(1, identity, frame);
    octets(2, version, frame);
    octets(14, scratch, frame);
    number(15, TYPE_MESSAGE, frame);
}

fn message(passed: &Passed<'_>, out: &mut Vec<u8>) {
    let Passed { kind, query_us, response_us, from, to, transport, zone, message } = *passed;
    let (message_type, is_response) = message_type(kind);
    number(1, message_type, out);
    number(2, if from.ip().to_canonical().is_ipv4() { 1 } else { 2 }, out);
    number(3, socket_protocol(transport), out);
    let is_known = !from.ip().is_unspecified();
    if is_known {
        address(4, from, out);
    }
    address(5, to, out);
    if is_known {
        number(6, from.port().into(), out);
    }
    number(7, to.port().into(), out);
    time(8, 9, query_us, out);
    if is_response {
        time(12, 13, response_us, out);
        octets(14, message, out);
    } else {
        octets(10, message, out);
    }
    if !zone.is_empty() {
        octets(11, zone, out);
    }
}

/// `Message.Type`, and whether it is a response.
fn message_type(kind: PassedKind) -> (u64, bool) {
    match kind {
        PassedKind::ResolverQuery => (3, false),
        PassedKind::ResolverResponse => (4, true),
        PassedKind::ClientQuery => (5, false),
        PassedKind::ClientResponse => (6, true),
        PassedKind::ForwarderQuery => (7, false),
        PassedKind::ForwarderResponse => (8, true),
    }
}

/// `SocketProtocol`.
fn socket_protocol(transport: &str) -> u64 {
    match transport {
        "tcp" => 2,
        "tls" => 3,
        "https" => 4,
        "quic" => 7,
        _ => 1,
    }
}

fn address(field: u32, addr: SocketAddr, out: &mut Vec<u8>) {
    match addr.ip().to_canonical() {
        IpAddr::V4(v4) => octets(field, &v4.octets(), out),
        IpAddr::V6(v6) => octets(field, &v6.octets(), out),
    }
}

/// Seconds as a number, nanoseconds as a word of fixed length.
fn time(seconds: u32, nanoseconds: u32, us: u64, out: &mut Vec<u8>) {
    const FIXED_32: u64 = 5;
    number(seconds, us / 1_000_000, out);
    varint(u64::from(nanoseconds) << 3 | FIXED_32, out);
    out.extend_from_slice(&((us % 1_000_000 * 1_000) as u32).to_le_bytes());
}

fn number(field: u32, value: u64, out: &mut Vec<u8>) {
    varint(u64::from(field) << 3, out);
    varint(value, out);
}

fn octets(field: u32, value: &[u8], out: &mut Vec<u8>) {
    const LENGTH_DELIMITED: u64 = 2;
    varint(u64::from(field) << 3 | LENGTH_DELIMITED, out);
    varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// Seven bits an octet, the lowest first.
fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Field numbers with their values, as a reader of Protocol Buffers sees them.
    fn fields(mut rest: &[u8]) -> Vec<(u64, Vec<u8>)> {
        fn take(rest: &mut &[u8]) -> u64 {
            let mut value = 0;
            for shift in (0..).step_by(7) {
                let octet = rest[0];
                *rest = &rest[1..];
                value |= u64::from(octet & 0x7f) << shift;
                if octet < 0x80 {
                    break;
                }
            }
            value
        }
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let tag = take(&mut rest);
            let value = match tag & 7 {
                0 => take(&mut rest).to_be_bytes().to_vec(),
                2 => {
                    let len = take(&mut rest) as usize;
                    let value = rest[..len].to_vec();
                    rest = &rest[len..];
                    value
                }
                5 => {
                    let value = rest[..4].to_vec();
                    rest = &rest[4..];
                    value
                }
                other => panic!("a field of kind {other}"),
            };
            fields.push((tag >> 3, value));
        }
        fields
    }

    #[test]
    fn a_reader_finds_every_field() {
        let passed = Passed {
            kind: PassedKind::ForwarderResponse,
            query_us: 1_796_053_512_000_250,
            response_us: 1_796_053_513_000_001,
            from: "[::ffff:192.0.2.1]:53000".parse().expect("an address"),
            to: "192.0.2.2:853".parse().expect("an address"),
            transport: "tls",
            zone: b"\x07example\0",
            message: &[7; 300],
        };
        let (mut scratch, mut frame) = (vec![1, 2, 3], Vec::new());
        write(&passed, b"ns1", b"cairn 1", &mut scratch, &mut frame);
        let outer = fields(&frame);
        assert_eq!(outer.iter().map(|(field, _)| *field).collect::<Vec<_>>(), [1, 2, 14, 15]);
        assert_eq!((&outer[0].1[..], &outer[1].1[..], &outer[3].1[..]), (&b"ns1"[..], &b"cairn 1"[..], &1u64.to_be_bytes()[..]));
        let number = |value: u64| value.to_be_bytes().to_vec();
        let expected = [
            (1, number(8)),
            (2, number(1)),
            (3, number(3)),
            (4, vec![192, 0, 2, 1]),
            (5, vec![192, 0, 2, 2]),
            (6, number(53_000)),
            (7, number(853)),
            (8, number(1_796_053_512)),
            (9, 250_000u32.to_le_bytes().to_vec()),
            (12, number(1_796_053_513)),
            (13, 1_000u32.to_le_bytes().to_vec()),
            (14, vec![7; 300]),
            (11, b"\x07example\0".to_vec()),
        ];
        assert_eq!(fields(&outer[2].1), expected);
    }

    #[test]
    fn a_query_has_no_response() {
        let at: SocketAddr = "[2001:db8::1]:53".parse().expect("an address");
        let passed = Passed {
            kind: PassedKind::ClientQuery,
            query_us: 5,
            response_us: 0,
            from: at,
            to: at,
            transport: "udp",
            zone: &[],
            message: b"query",
        };
        let (mut scratch, mut frame) = (Vec::new(), Vec::new());
        write(&passed, b"", b"", &mut scratch, &mut frame);
        let message = fields(&fields(&frame)[2].1);
        assert_eq!(message.iter().map(|(field, _)| *field).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!((&message[1].1, &message[3].1.len()), (&2u64.to_be_bytes().to_vec(), &16));
    }
}
