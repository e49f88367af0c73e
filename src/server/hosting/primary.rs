//! One primary of one zone: what is its serial, and the zone itself (RFC 1034 4.3.5, RFC 1995, RFC 5936).
//!
//! The serial is asked for over UDP, and over TCP where that fails. Changes are asked for if there is something that they can
//! be applied to; if they do not fit, or the primary does not have them, the whole zone is asked for at once on a new
//! connection. With a TSIG key every message must be signed.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::authority::{Key, Timers, Verifier, sign_request};
use crate::env::{Clock, Net, Random, Stream, UdpFlow};
use crate::limits::server::{PRIMARY_WAIT_MAX, TRANSFER_SILENCE_MAX, TRANSFER_TIME_MAX, TRANSFERS_IN_BYTES_MAX};
use crate::record::{Class, Name, Question, Rcode, Rtype};
use crate::wire::{Flags, Header, Message, Section, Writer};
use crate::zone::{IncrementalReader, Received, TransferReader, Zone, is_newer};

/// A primary, and what is needed to speak with it.
pub(super) struct Primary<'a> {
    pub(super) net: &'a dyn Net,
    pub(super) random: &'a Random,
    pub(super) clock: &'a dyn Clock,
    pub(super) zone: &'a Name,
    pub(super) server: SocketAddr,
    pub(super) key: Option<Arc<Key>>,
    /// What is held has expired, so that older data is better than none.
    pub(super) takes_older: bool,
    /// Octets of a transfer, and of the zone in memory.
    pub(super) octets_max: usize,
    /// Octets of all transfers that are not complete yet.
    pub(super) incoming: &'a Cell<usize>,
}

/// The octets of one transfer among those of all.
struct Incoming<'a>(&'a Cell<usize>, usize);

impl Incoming<'_> {
    fn add(&mut self, octets: usize) -> Result<(), String> {
        if self.0.get() + octets > TRANSFERS_IN_BYTES_MAX {
            return Err(format!("all transfers under way together are larger than {} MiB", TRANSFERS_IN_BYTES_MAX >> 20));
        }
        self.0.set(self.0.get() + octets);
        self.1 += octets;
        Ok(())
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(self.1));
    }
}

/// What a primary has.
pub(super) enum Fetched {
    /// The data held is right.
    UpToDate(Timers),
    /// A transfer that is complete; making the zone of it takes time.
    Arrived(Arrived),
}

pub(super) enum Arrived {
    Whole(Box<TransferReader>),
    Changes(Box<IncrementalReader>),
}

impl Arrived {
    /// The zone; for a thread that may be slow.
    pub(super) fn finish(self) -> Result<Zone, String> {
        let zone = match self {
            Arrived::Whole(reader) => reader.finish(),
            Arrived::Changes(reader) => reader.finish(),
        };
        zone.map_err(|error| error.to_string())
    }
}

impl Primary<'_> {
    /// Checks the serial, and transfers what is newer than `held`. With `is_forced` the whole zone is transferred in any case.
    pub(super) async fn fetch(&self, held: Option<&Arc<Zone>>, is_forced: bool) -> Result<Fetched, String> {
        if is_forced {
            return self.whole().await.map(Fetched::Arrived);
        }
        let soa = self.soa().await?;
        let (serial, timers) = (serial_of(&soa), Timers::of_soa(&soa));
        let (Some(serial), Some(timers)) = (serial, timers) else { return Err("its SOA is malformed".to_owned()) };
        let Some(held) = held else { return self.whole().await.map(Fetched::Arrived) };
        if serial == held.serial() {
            return Ok(Fetched::UpToDate(timers));
        }
        if !is_newer(serial, held.serial()) && self.takes_older {
            return self.whole().await.map(Fetched::Arrived);
        }
        if !is_newer(serial, held.serial()) {
            return Err(format!("it has serial {serial}, which is older than {} here", held.serial()));
        }
        match timeout(TRANSFER_TIME_MAX, self.changes(held)).await {
            Ok(Ok(Some(arrived))) => Ok(Fetched::Arrived(arrived)),
            Ok(Ok(None)) => Ok(Fetched::UpToDate(timers)),
            Ok(Err(why)) => {
                tracing::debug!(zone = %self.zone, server = %self.server, "no incremental transfer, the whole zone instead: {why}");
                self.whole().await.map(Fetched::Arrived)
            }
            Err(_) => Err("the transfer took too long".to_owned()),
        }
    }

    async fn whole(&self) -> Result<Arrived, String> {
        let transfer = async {
            let id = self.random.u16();
            let (packet, verifier) = self.query(Rtype::AXFR, id, None)?;
            let mut reader = TransferReader::new(self.zone.clone(), id, self.octets_max);
            self.messages(&packet, verifier, |message| reader.message(message).map_err(|error| error.to_string())).await?;
            Ok(Arrived::Whole(Box::new(reader)))
        };
        timeout(TRANSFER_TIME_MAX, transfer).await.map_err(|_| "the transfer took too long".to_owned())?
    }

    /// `None`: the primary says that there is nothing newer.
    async fn changes(&self, held: &Arc<Zone>) -> Result<Option<Arrived>, String> {
        let id = self.random.u16();
        let (packet, verifier) = self.query(Rtype::IXFR, id, Some(held))?;
        let mut reader = IncrementalReader::new(held.clone(), id, self.octets_max);
        let mut is_up_to_date = false;
        let each = |message: &[u8]| {
            let received = reader.message(message).map_err(|error| error.to_string())?;
            is_up_to_date = received == Received::UpToDate;
            Ok(received != Received::More)
        };
        self.messages(&packet, verifier, each).await?;
        if is_up_to_date {
            return Ok(None);
        }
        // Records that do not make a zone together are found only now: the whole zone may still be a good one.
        Ok(Some(Arrived::Changes(Box::new(reader))))
    }

    /// Sends the query over TCP and gives each message of the reply to `each`, until it returns true.
    async fn messages(
        &self,
        packet: &[u8],
        mut verifier: Option<Verifier>,
        mut each: impl FnMut(&[u8]) -> Result<bool, String>,
    ) -> Result<(), String> {
        let mut stream = self.connect().await?;
        send(&mut *stream, packet).await.map_err(told)?;
        let mut incoming = Incoming(self.incoming, 0);
        loop {
            let message = timeout(TRANSFER_SILENCE_MAX, receive(&mut *stream)).await;
            let message = message.map_err(|_| "it stopped sending before the zone was complete".to_owned())?.map_err(told)?;
            incoming.add(message.len())?;
            let message = self.verified(message, verifier.as_mut())?;
            if each(&message)? {
                // RFC 8945 5.3.1: the last message is signed.
                return match verifier.is_none_or(|verifier| verifier.is_complete()) {
                    true => Ok(()),
                    false => Err("the last message is not signed".to_owned()),
                };
            }
        }
    }

    fn verified(&self, message: Vec<u8>, verifier: Option<&mut Verifier>) -> Result<Vec<u8>, String> {
        match verifier {
            Some(verifier) => verifier.verify(&message, self.clock.wall()).map_err(|distrust| distrust.to_string()),
            None => Ok(message),
        }
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, String> {
        let connected = timeout(PRIMARY_WAIT_MAX, self.net.tcp(self.server)).await;
        connected.map_err(|_| "no connection within the time allowed".to_owned())?.map_err(|error| error.to_string())
    }

    /// RDATA of the zone's SOA.
    async fn soa(&self) -> Result<Vec<u8>, String> {
        for _ in 0..2 {
            match timeout(PRIMARY_WAIT_MAX, self.soa_over_udp()).await {
                Ok(Ok(Some(soa))) => return Ok(soa),
                // Truncated, refused or an error of the network: TCP is asked. Knot refuses questions for a catalog over UDP.
                Ok(Ok(None)) => break,
                Ok(Err(Failed::Answer(why))) => return Err(why),
                Ok(Err(Failed::Network)) => break,
                Err(_) => {}
            }
        }
        let id = self.random.u16();
        let (packet, mut verifier) = self.query(Rtype::SOA, id, None)?;
        let mut stream = self.connect().await?;
        let exchange = async {
            send(&mut *stream, &packet).await?;
            receive(&mut *stream).await
        };
        let reply = timeout(PRIMARY_WAIT_MAX, exchange).await.map_err(|_| "no reply".to_owned())?.map_err(told)?;
        self.soa_in(&self.verified(reply, verifier.as_mut())?, id)?.ok_or_else(|| "its reply is truncated".to_owned())
    }

    /// `None`: TCP may have another answer.
    async fn soa_over_udp(&self) -> Result<Option<Vec<u8>>, Failed> {
        let id = self.random.u16();
        let (packet, mut verifier) = self.query(Rtype::SOA, id, None).map_err(Failed::Answer)?;
        let flow = open(self.net, self.random, self.server).map_err(|_| Failed::Network)?;
        flow.send(&packet).map_err(|_| Failed::Network)?;
        let mut space = vec![0; 4_096];
        loop {
            let len = poll_fn(|cx| flow.poll_recv(cx, &mut space)).await.map_err(|_| Failed::Network)?;
            let reply = space.get(..len).unwrap_or_default().to_vec();
            // A forged or late reply does not end the wait.
            if Header::read(&reply).is_none_or(|header| header.id != id || !header.flags.has(Flags::QR)) {
                continue;
            }
            let reply = self.verified(reply, verifier.as_mut()).map_err(Failed::Answer)?;
            if Message::parse(&reply).is_ok_and(|message| message.rcode() == Rcode::REFUSED) {
                return Ok(None);
            }
            return self.soa_in(&reply, id).map_err(Failed::Answer);
        }
    }

    /// `None` if the reply is truncated.
    fn soa_in(&self, reply: &[u8], id: u16) -> Result<Option<Vec<u8>>, String> {
        let message = Message::parse(reply).map_err(|error| error.to_string())?;
        let header = message.header();
        if header.id != id || message.question() != Some((self.zone.clone(), Rtype::SOA, Class::IN)) {
            return Err("its reply does not belong to the question".to_owned());
        }
        if message.rcode() != Rcode::NOERROR {
            return Err(format!("it answers {}", message.rcode()));
        }
        if header.flags.has(Flags::TC) {
            return Ok(None);
        }
        if !header.flags.has(Flags::AA) {
            return Err("it is not authoritative for the zone, or its own copy has expired".to_owned());
        }
        let soa = message.records(Section::Answer).find(|record| record.rtype() == Rtype::SOA && record.owner().as_ref() == Ok(self.zone));
        let mut rdata = Vec::new();
        match soa.map(|soa| soa.expand_rdata(&mut rdata)) {
            Some(Ok(())) => Ok(Some(rdata)),
            Some(Err(_)) => Err("its SOA is malformed".to_owned()),
            None => Err("it has no SOA of the zone".to_owned()),
        }
    }

    /// `held`: for IXFR, whose SOA says from where the changes are wanted (RFC 1995 3).
    fn query(&self, rtype: Rtype, id: u16, held: Option<&Arc<Zone>>) -> Result<(Vec<u8>, Option<Verifier>), String> {
        let mut writer = Writer::new(Vec::new(), 4_096);
        writer.header(Header { id, flags: Flags(0), counts: [0; 4] });
        let no_room = |_| "the query does not fit".to_owned();
        writer.question(&Question::new(self.zone.clone(), rtype)).map_err(no_room)?;
        if let Some((soa, rdata)) = held.map(|held| held.soa()).and_then(|soa| Some((soa, soa.rdatas().next()?))) {
            writer.record(Section::Authority, self.zone, Rtype::SOA, Class::IN, soa.ttl, rdata).map_err(no_room)?;
        }
        let mut packet = writer.finish();
        let verifier = self.key.as_ref().map(|key| sign_request(key, &mut packet, self.clock.wall()));
        Ok((packet, verifier))
    }
}

enum Failed {
    Network,
    /// There is an answer, and it is no good.
    Answer(String),
}

/// A socket for one exchange, at a port that is hard to guess (RFC 5452 9.2).
pub(super) fn open(net: &dyn Net, random: &Random, server: SocketAddr) -> io::Result<Box<dyn UdpFlow>> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..4 {
        match net.udp(server, 1_024 + random.below(64_512) as u16) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
            opened => return opened,
        }
    }
    Err(last)
}

async fn send(stream: &mut dyn Stream, packet: &[u8]) -> io::Result<()> {
    let framed = [&(packet.len() as u16).to_be_bytes(), packet].concat();
    stream.write_all(&framed).await
}

async fn receive(stream: &mut dyn Stream) -> io::Result<Vec<u8>> {
    let len = stream.read_u16().await?;
    let mut message = vec![0; usize::from(len)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

fn told(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "it closed the connection before the reply was complete".to_owned(),
        _ => error.to_string(),
    }
}

fn serial_of(soa: &[u8]) -> Option<u32> {
    soa.last_chunk::<20>().map(|numbers| u32::from_be_bytes([numbers[0], numbers[1], numbers[2], numbers[3]]))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::task::LocalSet;

    use super::super::fake::{OneServer, Server, TestClock, keys, name, server, zone};
    use super::*;
    use crate::authority::Keyring;
    use crate::zone::have_same_data;

    /// What was fetched: `up to date`, or how the zone came; and what the server was asked.
    async fn fetched(server: Server, held: Option<&Arc<Zone>>, is_forced: bool, key: Option<&str>) -> (Result<String, String>, Vec<Rtype>) {
        let (server, random) = (Rc::new(server), Random::from_seed(1));
        let (net, clock) = (OneServer::new(server.clone()), TestClock::new());
        let key = key.map(|secret| keys(secret).get(&name("k.")).cloned().expect("the key"));
        let (apex, incoming) = (name("example."), Cell::new(0));
        let address = SocketAddr::from(([192, 0, 2, 1], 53));
        let primary = Primary {
            net: &net,
            random: &random,
            clock: &clock,
            zone: &apex,
            server: address,
            key,
            takes_older: false,
            octets_max: 10 << 20,
            incoming: &incoming,
        };
        let fetched = LocalSet::new().run_until(primary.fetch(held, is_forced)).await;
        let told = fetched.and_then(|fetched| match fetched {
            Fetched::UpToDate(_) => Ok("up to date".to_owned()),
            Fetched::Arrived(arrived) => {
                let how = if matches!(arrived, Arrived::Whole(_)) { "whole" } else { "changes" };
                let zone = arrived.finish()?;
                assert!(have_same_data(&zone, &server.zone), "{how}");
                Ok(how.to_owned())
            }
        });
        let asked = server.asked.borrow().clone();
        assert_eq!(incoming.get(), 0, "given back");
        (told, asked)
    }

    /// Sixty-four zones of the largest size must not arrive at the same time.
    #[test]
    fn all_transfers_together_are_bounded() {
        let sum = Cell::new(0);
        let (mut one, mut two) = (Incoming(&sum, 0), Incoming(&sum, 0));
        assert_eq!((one.add(TRANSFERS_IN_BYTES_MAX - 10), two.add(10)), (Ok(()), Ok(())));
        assert!(two.add(1).is_err_and(|why| why == "all transfers under way together are larger than 2048 MiB"));
        drop(one);
        assert_eq!((two.add(1), sum.get()), (Ok(()), 11));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_newer_is_transferred() {
        let (one, two) = (zone(1, "a TXT 1\n"), zone(2, "a TXT 2\n"));
        let both = || server(&[&one, &two]);
        let none = || server(&[&two]);
        let (soa, axfr, ixfr) = (Rtype::SOA, Rtype::AXFR, Rtype::IXFR);
        for (server, held, is_forced, expected, asked) in [
            (both(), None, false, "whole", vec![soa, axfr]),
            (both(), Some(&two), false, "up to date", vec![soa]),
            (both(), Some(&two), true, "whole", vec![axfr]),
            (both(), Some(&one), false, "changes", vec![soa, ixfr]),
            // The server does not know the way from there: the reply to IXFR is the whole zone.
            (none(), Some(&one), false, "changes", vec![soa, ixfr]),
            (Server { refuses_ixfr: true, ..both() }, Some(&one), false, "whole", vec![soa, ixfr, axfr]),
            // What is held is another version with the same serial: the changes do not fit.
            (both(), Some(&zone(1, "a TXT 9\n")), false, "whole", vec![soa, ixfr, axfr]),
        ] {
            let (told, was_asked) = fetched(server, held, is_forced, None).await;
            assert_eq!((told, was_asked), (Ok(expected.to_owned()), asked));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_good_changes_nothing() {
        let (one, two) = (zone(1, ""), zone(2, "a TXT 2\n"));
        for (server, held, told) in [
            (server(&[&one]), Some(&two), "it has serial 1, which is older than 2 here"),
            (Server { cuts: true, ..server(&[&two]) }, None, "it closed the connection before the reply was complete"),
        ] {
            assert_eq!(fetched(server, held, false, None).await.0, Err(told.to_owned()));
        }
        let apex = name("example.");
        let (net, random, clock) = (OneServer::new(Rc::new(server(&[&two]))), Random::from_seed(1), TestClock::new());
        let address = SocketAddr::from(([192, 0, 2, 1], 53));
        let small = Primary {
            net: &net,
            random: &random,
            clock: &clock,
            zone: &apex,
            server: address,
            key: None,
            takes_older: true,
            octets_max: 100,
            incoming: &Cell::new(0),
        };
        let error = LocalSet::new().run_until(small.fetch(None, true)).await.err();
        assert_eq!(error.as_deref(), Some("the zone is larger than allowed"));
        let large = Primary { octets_max: 10 << 20, ..small };
        let later = zone(3, "");
        let older = LocalSet::new().run_until(large.fetch(Some(&later), false)).await;
        assert!(matches!(older, Ok(Fetched::Arrived(Arrived::Whole(_)))), "older data is better than expired data");
    }

    #[tokio::test(start_paused = true)]
    async fn with_a_key_every_message_must_be_signed() {
        let (one, two) = (zone(1, ""), zone(2, "a TXT 2\n"));
        let with = |secret: &str| Server { keys: keys(secret), ..server(&[&one, &two]) };
        assert_eq!(fetched(with("c2VjcmV0"), Some(&one), false, Some("c2VjcmV0")).await.0, Ok("changes".to_owned()));
        assert_eq!(fetched(with("c2VjcmV0"), None, false, Some("c2VjcmV0")).await.0, Ok("whole".to_owned()));
        let told = fetched(with("AAAA"), None, false, Some("c2VjcmV0")).await.0.expect_err("another secret");
        assert!(told.contains("BADSIG"), "{told}");
        let unknown = Server { keys: Keyring::default(), ..server(&[&two]) };
        let told = fetched(unknown, None, false, Some("c2VjcmV0")).await.0.expect_err("no such key");
        assert!(told.contains("BADKEY"), "{told}");
    }
}
