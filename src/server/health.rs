//! One question to a server over UDP, and whether an answer comes back: `cairn health`.
//!
//! Nothing of the answer is used but its header, so it needs none of the guards of a resolver's own queries.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::env::{Clock, Random, RealClock};
use crate::limits::server::{HEALTH_QUERIES_MAX, HEALTH_REPLIES_MAX, HEALTH_WAIT_MAX};
use crate::record::{Question, Rcode};
use crate::wire::{Flags, Header, Message, Writer};

/// What a server did with a query.
#[derive(Debug, PartialEq, Eq)]
pub enum Health {
    /// It replied with another response code than SERVFAIL: even REFUSED shows that the server is alive.
    Answered {
        rcode: Rcode,
        took: Duration,
    },
    Fails,
    Silent(String),
}

/// Sends the question to a server, again if there is no reply, and returns the result of the last try.
pub fn health(address: SocketAddr, question: &Question) -> Health {
    let began = RealClock.boot();
    let mut last = "no time to ask".to_owned();
    for _ in 0..HEALTH_QUERIES_MAX {
        match ask(address, question) {
            Ok(Rcode::SERVFAIL) => return Health::Fails,
            Ok(rcode) => return Health::Answered { rcode, took: RealClock.boot().since(began) },
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                last = format!("nothing came within {} s", HEALTH_WAIT_MAX.as_secs());
            }
            Err(error) => return Health::Silent(error.to_string()),
        }
    }
    Health::Silent(last)
}

fn ask(address: SocketAddr, question: &Question) -> io::Result<Rcode> {
    let any: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(HEALTH_WAIT_MAX))?;
    let id = Random::from_system()?.u16();
    let mut writer = Writer::new(Vec::with_capacity(512), 512);
    writer.header(Header { id, flags: Flags(Flags::RD), counts: [0; 4] });
    writer.question(question).map_err(|_| io::Error::other("the question does not fit into a message"))?;
    let query = writer.finish();
    let asked = Message::parse(&query).map_err(|_| io::Error::other("the query is no message"))?;
    socket.send(&query)?;
    let mut reply = [0; 4096];
    // Each datagram waits anew; a server that sends only others' replies is not worth more patience than this.
    for _ in 0..HEALTH_REPLIES_MAX {
        let len = socket.recv(&mut reply)?;
        let Ok(message) = Message::parse(&reply[..len]) else { continue };
        if message.header().id == id && message.header().flags.has(Flags::QR) && message.question_wire() == asked.question_wire() {
            return Ok(message.rcode());
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Name, Rtype};

    fn answered_with(rcode: u8) -> Health {
        let server = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let address = server.local_addr().expect("bound");
        let served = std::thread::spawn(move || {
            let mut query = [0; 512];
            let (len, client) = server.recv_from(&mut query).expect("a query");
            let mut other = query;
            other[0] ^= 1;
            query[2] |= 0x80;
            query[3] = rcode;
            server.send_to(&other[..len], client).expect("sent");
            server.send_to(&query[..len], client).expect("sent");
        });
        let health = health(address, &Question::new(Name::parse("localhost.").expect("a name"), Rtype::A));
        served.join().expect("no panic");
        health
    }

    #[test]
    fn only_an_answer_is_health() {
        assert!(matches!(answered_with(0), Health::Answered { rcode: Rcode::NOERROR, .. }));
        assert!(matches!(answered_with(5), Health::Answered { rcode: Rcode::REFUSED, .. }));
        assert_eq!(answered_with(2), Health::Fails);
        let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port is free");
        let question = Question::new(Name::root(), Rtype::A);
        assert!(matches!(health(free, &question), Health::Silent(reason) if reason.contains("refused")));
    }
}
