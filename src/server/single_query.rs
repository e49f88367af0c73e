//! One question to one server, over UDP or TCP, by a command of its own: for `cairn health` and `cairn doctor`.
//!
//! The reply is looked at and never believed: nothing of it is cached or given to a client. So it needs none of the guards of a
//! resolver's own queries but a random ID and port.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::env::{BootTime, Clock, Random, RealClock};
use crate::limits::server::SINGLE_QUERY_DATAGRAMS_MAX;
use crate::record::{Question, Rcode};
use crate::wire::{Flags, Header, Message, Writer};

/// The size of UDP replies that Cairn asks for (RFC 9715).
const UDP_SIZE: u16 = 1232;

/// A question, and how it is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct SingleQuery<'a> {
    pub(super) server: SocketAddr,
    pub(super) question: &'a Question,
    pub(super) recursion_desired: bool,
    /// With EDNS and DO, as the resolver itself asks.
    pub(super) dnssec: bool,
    pub(super) tcp: bool,
    /// How long the reply is waited for.
    pub(super) wait: Duration,
}

impl SingleQuery<'_> {
    /// The reply, which belongs to the question; `TimedOut` if none came in time.
    pub(super) fn ask(&self) -> io::Result<Vec<u8>> {
        let query = self.query(Random::from_system()?.u16())?;
        let until = RealClock.boot() + self.wait;
        let reply = if self.tcp { self.over_tcp(&query, until) } else { self.over_udp(&query, until) };
        reply.map_err(|error| if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error })
    }

    fn query(&self, id: u16) -> io::Result<Vec<u8>> {
        let too_long = |_| io::Error::other("the question does not fit into a message");
        let mut writer = Writer::new(Vec::with_capacity(512), 512);
        writer.header(Header { id, flags: Flags(0).with(Flags::RD, self.recursion_desired), counts: [0; 4] });
        writer.question(self.question).map_err(too_long)?;
        if self.dnssec {
            writer.opt(UDP_SIZE, Rcode::NOERROR, true, &[]).map_err(too_long)?;
        }
        Ok(writer.finish())
    }

    fn over_udp(&self, query: &[u8], until: BootTime) -> io::Result<Vec<u8>> {
        let any: SocketAddr = if self.server.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
        let socket = UdpSocket::bind(any)?;
        socket.connect(self.server)?;
        socket.send(query)?;
        let mut reply = vec![0; 65_535];
        for _ in 0..SINGLE_QUERY_DATAGRAMS_MAX {
            socket.set_read_timeout(Some(left(until)?))?;
            let len = socket.recv(&mut reply)?;
            if belongs(&reply[..len], query) {
                reply.truncate(len);
                return Ok(reply);
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    fn over_tcp(&self, query: &[u8], until: BootTime) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&self.server, left(until)?)?;
        stream.set_write_timeout(Some(left(until)?))?;
        // A query has 512 octets at most.
        stream.write_all(&[&(query.len() as u16).to_be_bytes(), query].concat())?;
        let mut prefix = [0; 2];
        read_until(&mut stream, &mut prefix, until)?;
        let mut reply = vec![0; usize::from(u16::from_be_bytes(prefix))];
        read_until(&mut stream, &mut reply, until)?;
        if belongs(&reply, query) { Ok(reply) } else { Err(io::Error::other("the reply belongs to another question")) }
    }
}

/// A peer that sends octet by octet is not waited for any longer.
fn read_until(stream: &mut TcpStream, mut buffer: &mut [u8], until: BootTime) -> io::Result<()> {
    while !buffer.is_empty() {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => buffer = &mut buffer[count..],
        }
    }
    Ok(())
}

fn left(until: BootTime) -> io::Result<Duration> {
    let left = until.since(RealClock.boot());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn belongs(reply: &[u8], query: &[u8]) -> bool {
    let (Ok(reply), Ok(query)) = (Message::parse(reply), Message::parse(query)) else { return false };
    reply.header().id == query.header().id && reply.header().flags.has(Flags::QR) && reply.question_wire() == query.question_wire()
}
