//! The header of the PROXY protocol, version 2, by which a load balancer says on whose behalf it asks. Pure: octets in, addresses out.
//!
//! ```text
//!   0              12        13        14      16
//!   | signature    | version | family  | length | addresses and ports | TLVs |
//!   |              | command | protocol|        |<------- length ----------->|
//! ```
//!
//! Only addresses count here; what else a balancer tells in TLVs is passed over. Addresses that are no Internet addresses
//! (unspecified, unix sockets), and connections of the balancer's own (LOCAL), leave those of the connection in force, as the
//! protocol asks for. Everything that it does not define is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a header begins with.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Octets up to the addresses: from these the length of the rest is known.
pub const FIXED_BYTES: usize = 16;

/// The client of a connection, and the address that it has asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ends {
    pub client: SocketAddr,
    pub server: SocketAddr,
}

/// A whole header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Its length.
    pub len: usize,
    /// `None`: the balancer asks for itself.
    pub ends: Option<Ends>,
}

/// These octets do not begin with a header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoHeader;

/// The length of the whole header, from its fixed part.
pub fn whole_len(fixed: &[u8; FIXED_BYTES]) -> Result<usize, NoHeader> {
    let (command, family, length) = (fixed[12], fixed[13], [fixed[14], fixed[15]]);
    // The family of LOCAL says nothing, and a receiver has to ignore it.
    let is_known = fixed.starts_with(&SIGNATURE) && (command == LOCAL || command == PROXY && family >> 4 <= 3 && family & 15 <= 2);
    if is_known { Ok(FIXED_BYTES + usize::from(u16::from_be_bytes(length))) } else { Err(NoHeader) }
}

/// Version 2, and the command.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

/// The header that these octets begin with; it must be there as a whole.
pub fn read(octets: &[u8]) -> Result<Header, NoHeader> {
    let (fixed, _) = octets.split_first_chunk::<FIXED_BYTES>().ok_or(NoHeader)?;
    let len = whole_len(fixed)?;
    let rest = octets.get(FIXED_BYTES..len).ok_or(NoHeader)?;
    let (command, family) = (fixed[12], fixed[13] >> 4);
    let ends = match (command, family) {
        (PROXY, 1) => Some(ends::<4>(rest, |octets| Ipv4Addr::from(octets).into())?),
        (PROXY, 2) => Some(ends::<16>(rest, |octets| Ipv6Addr::from(octets).into())?),
        _ => None,
    };
    Ok(Header { len, ends })
}

/// Source and destination address, then their ports.
fn ends<const N: usize>(rest: &[u8], address: impl Fn([u8; N]) -> IpAddr) -> Result<Ends, NoHeader> {
    let (source, rest) = rest.split_first_chunk::<N>().ok_or(NoHeader)?;
    let (destination, rest) = rest.split_first_chunk::<N>().ok_or(NoHeader)?;
    let (source_port, rest) = rest.split_first_chunk::<2>().ok_or(NoHeader)?;
    let (destination_port, _) = rest.split_first_chunk::<2>().ok_or(NoHeader)?;
    // An IPv4 client of a balancer's IPv6 socket is an IPv4 client.
    let end = |octets: [u8; N], port: [u8; 2]| SocketAddr::new(address(octets).to_canonical(), u16::from_be_bytes(port));
    Ok(Ends { client: end(*source, *source_port), server: end(*destination, *destination_port) })
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header as a balancer writes it.
    pub(super) fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        [&SIGNATURE[..], &[command, family], &(rest.len() as u16).to_be_bytes(), rest].concat()
    }

    /// For a client at 192.0.2.`last`, port 4000, which has asked 198.51.100.9, port 53.
    pub(in super::super) fn of_client(last: u8, more: &[u8]) -> Vec<u8> {
        header(0x21, 0x11, &[&[192, 0, 2, last, 198, 51, 100, 9, 0x0f, 0xa0, 0, 53][..], more].concat())
    }

    /// For a question of the balancer's own.
    pub(in super::super) fn own() -> Vec<u8> {
        header(0x20, 0x00, &[])
    }

    fn ends_of(client: &str, server: &str) -> Option<Ends> {
        Some(Ends { client: client.parse().expect("an address"), server: server.parse().expect("an address") })
    }

    #[test]
    fn headers_and_what_they_say() {
        let v6 = |last: u8| [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[last]].concat();
        let mapped = [&[0; 10][..], &[0xff, 0xff, 192, 0, 2, 1]].concat();
        let of_v6 = [v6(1), v6(2), vec![0x0f, 0xa0, 3, 0x55]].concat();
        let of_mapped = [mapped.clone(), mapped, vec![0x0f, 0xa0, 0, 53]].concat();
        for (octets, expected) in [
            (of_client(1, &[]), ends_of("192.0.2.1:4000", "198.51.100.9:53")),
            (of_client(1, &[4, 0, 2, 7, 7]), ends_of("192.0.2.1:4000", "198.51.100.9:53")),
            (header(0x21, 0x12, &[192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2]), ends_of("192.0.2.1:1", "192.0.2.2:2")),
            (header(0x21, 0x21, &of_v6), ends_of("[2001:db8::1]:4000", "[2001:db8::2]:853")),
            (header(0x21, 0x22, &of_mapped), ends_of("192.0.2.1:4000", "192.0.2.1:53")),
            // The balancer's own, and addresses that mean nothing here.
            (header(0x20, 0x00, &[]), None),
            (header(0x20, 0x11, &[192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2]), None),
            (header(0x20, 0x41, &[]), None),
            (header(0x20, 0xff, &[1, 2, 3]), None),
            (header(0x21, 0x00, &[1, 2, 3]), None),
            (header(0x21, 0x31, &[b'/'; 216]), None),
        ] {
            assert_eq!(read(&[&octets[..], b"query"].concat()), Ok(Header { len: octets.len(), ends: expected }), "{octets:x?}");
            for end in 0..octets.len() {
                assert_eq!(read(&octets[..end]), Err(NoHeader), "{end} of {octets:x?}");
            }
        }
    }

    #[test]
    fn what_the_protocol_does_not_define_is_refused() {
        let good = of_client(1, &[]);
        for (at, octet) in [(0, b'P'), (11, 0), (12, 0x11), (12, 0x31), (12, 0x22), (13, 0x41), (13, 0x13)] {
            let mut changed = good.clone();
            changed[at] = octet;
            assert_eq!(read(&changed), Err(NoHeader), "{at}: {octet:x}");
        }
        // Too short for its family.
        assert_eq!(read(&header(0x21, 0x21, &[0; 12])), Err(NoHeader));
        assert_eq!(read(b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 53\r\n"), Err(NoHeader), "version 1");
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..300), start in 0usize..17) {
            let good = of_client(1, &[]);
            let begun = [&good[..start], &octets].concat();
            if let Ok(Header { len, .. }) = read(&begun) {
                prop_assert!((FIXED_BYTES..=begun.len()).contains(&len));
                // What follows does not change what was read.
                prop_assert_eq!(read(&begun[..len]), read(&begun));
            }
        }

        #[test]
        fn addresses_are_those_that_were_written(source: [u8; 4], destination: [u8; 4], ports: [u8; 4], more: Vec<u8>) {
            let octets = header(0x21, 0x12, &[&source[..], &destination, &ports, &more].concat());
            let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
            let ends = Ends { client: (source, port(0)).into(), server: (destination, port(2)).into() };
            prop_assert_eq!(read(&octets), Ok(Header { len: octets.len(), ends: Some(ends) }));
        }
    }
}
