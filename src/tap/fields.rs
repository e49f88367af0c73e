//! Numbers and texts one behind the other, as records of a ring hold them. Only this process reads what it wrote.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A record that is being made.
pub(super) struct Put<'a>(pub(super) &'a mut Vec<u8>);

impl Put<'_> {
    pub(super) fn number<const N: usize>(&mut self, octets: [u8; N]) {
        self.0.extend_from_slice(&octets);
    }

    /// At most 255 octets of it.
    pub(super) fn text(&mut self, text: &[u8]) {
        let text = &text[..text.len().min(255)];
        self.0.push(text.len() as u8);
        self.0.extend_from_slice(text);
    }

    pub(super) fn addr(&mut self, addr: SocketAddr) {
        match addr.ip() {
            IpAddr::V4(v4) => self.text(&v4.octets()),
            IpAddr::V6(v6) => self.text(&v6.octets()),
        }
        self.number(addr.port().to_le_bytes());
    }
}

/// A record that is being read; `None`: it is shorter than it should be.
pub(super) struct Take<'a>(pub(super) &'a [u8]);

impl<'a> Take<'a> {
    pub(super) fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (octets, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*octets)
    }

    pub(super) fn octet(&mut self) -> Option<u8> {
        self.number::<1>().map(|[octet]| octet)
    }

    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(self.octet()?);
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(text)
    }

    pub(super) fn addr(&mut self) -> Option<SocketAddr> {
        let ip = match *self.text()? {
            [a, b, c, d] => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            ref octets => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)),
        };
        Some(SocketAddr::new(ip, u16::from_le_bytes(self.number()?)))
    }
}
