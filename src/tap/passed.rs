//! One message that passed, with who sent it to whom, as one record.

use std::net::SocketAddr;

use super::fields::{Put, Take};

/// Between whom, and which way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PassedKind {
    ClientQuery,
    ClientResponse,
    /// To a server that is authoritative for a zone, RD=0.
    ResolverQuery,
    ResolverResponse,
    /// To another resolver, RD=1.
    ForwarderQuery,
    ForwarderResponse,
}

const KINDS: [PassedKind; 6] = [
    PassedKind::ClientQuery,
    PassedKind::ClientResponse,
    PassedKind::ResolverQuery,
    PassedKind::ResolverResponse,
    PassedKind::ForwarderQuery,
    PassedKind::ForwarderResponse,
];

/// A message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Passed<'a> {
    pub kind: PassedKind,
    /// Microseconds since 1970.
    pub query_us: u64,
    /// Of a response.
    pub response_us: u64,
    /// Who has sent the query.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    pub transport: &'static str,
    /// The zone whose servers are asked, in wire form; empty: none.
    pub zone: &'a [u8],
    pub message: &'a [u8],
}

const TRANSPORTS: [&str; 6] = ["udp", "tcp", "tls", "https", "quic", "other"];

impl<'a> Passed<'a> {
    pub(super) fn put(&self, record: &mut Vec<u8>) {
        let mut put = Put(record);
        let transport = TRANSPORTS.iter().position(|known| *known == self.transport).unwrap_or(TRANSPORTS.len() - 1);
        put.number([self.kind as u8, transport as u8]);
        put.number(self.query_us.to_le_bytes());
        put.number(self.response_us.to_le_bytes());
        put.addr(self.from);
        put.addr(self.to);
        put.text(self.zone);
        record.extend_from_slice(self.message);
    }

    /// `None`: not such a record.
    pub fn read(record: &'a [u8]) -> Option<Passed<'a>> {
        let mut take = Take(record);
        let kind = *KINDS.get(usize::from(take.octet()?))?;
        let transport = TRANSPORTS.get(usize::from(take.octet()?))?;
        let [query_us, response_us] = [take.number()?, take.number()?].map(u64::from_le_bytes);
        let (from, to, zone) = (take.addr()?, take.addr()?, take.text()?);
        Some(Passed { kind, query_us, response_us, from, to, transport, zone, message: take.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_read() {
        for (at, kind) in KINDS.into_iter().enumerate() {
            let message = vec![at as u8; 17 * at];
            let passed = Passed {
                kind,
                query_us: 1 << 50,
                response_us: 7,
                from: "192.0.2.1:53000".parse().expect("an address"),
                to: "[2001:db8::1]:53".parse().expect("an address"),
                transport: TRANSPORTS[at],
                zone: b"\x07example\0",
                message: &message,
            };
            let mut record = Vec::new();
            passed.put(&mut record);
            assert_eq!(Passed::read(&record), Some(passed));
            assert_eq!(Passed::read(&record[..20]), None);
        }
    }
}
