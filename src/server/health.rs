//! One question to a server over UDP, and whether an answer comes back: `cairn health`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::single_query::SingleQuery;
use crate::env::{Clock, RealClock};
use crate::limits::server::{HEALTH_QUERIES_MAX, HEALTH_WAIT_MAX};
use crate::record::{Question, Rcode};
use crate::wire::Message;

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
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                last = format!("nothing came within {} s", HEALTH_WAIT_MAX.as_secs());
            }
            Err(error) => return Health::Silent(error.to_string()),
        }
    }
    Health::Silent(last)
}

/// A wildcard address is reached at loopback.
pub fn reachable_here(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port()),
        _ => address,
    }
}

fn ask(address: SocketAddr, question: &Question) -> io::Result<Rcode> {
    let single = SingleQuery { server: address, question, recursion_desired: true, dnssec: false, tcp: false, wait: HEALTH_WAIT_MAX };
    let reply = single.ask()?;
    Message::parse(&reply).map(|message| message.rcode()).map_err(|_| io::Error::other("the reply is no message"))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

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
