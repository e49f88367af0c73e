//! For the tests of this folder: a primary in memory, reached over connections in memory, and a clock that follows tokio's.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::authority::{Histories, Keyring, Outgoing, Request, Wanted, verify_request};
use crate::config::Settings;
use crate::env::{BootTime, BoxFuture, Clock, Net, Stream, UdpFlow, WallTime};
use crate::record::{Class, Name, Question, Rtype};
use crate::wire::{Flags, HEADER_BYTES, Header, Message, Section, Writer};
use crate::zone::{Zone, Zones, load_zone};

/// When tests begin.
pub(super) const WALL: WallTime = WallTime(1_800_000_000);

/// Time as tokio has it, which tests let pass.
pub(super) struct TestClock(tokio::time::Instant);

impl TestClock {
    pub(super) fn new() -> TestClock {
        TestClock(tokio::time::Instant::now())
    }
}

impl Clock for TestClock {
    fn boot(&self) -> BootTime {
        BootTime(1_000_000 + self.0.elapsed().as_millis() as u64)
    }

    fn wall(&self) -> WallTime {
        WallTime(WALL.0 + self.0.elapsed().as_secs())
    }
}

/// A primary, and its peculiarities.
pub(super) struct Server {
    pub(super) zone: Arc<Zone>,
    /// Further zones that it has.
    pub(super) others: Vec<Arc<Zone>>,
    pub(super) histories: Histories,
    pub(super) keys: Keyring,
    pub(super) refuses_ixfr: bool,
    /// Leaves out what stands between the first message and the last of a transfer.
    pub(super) cuts: bool,
    pub(super) asked: RefCell<Vec<Rtype>>,
}

impl Server {
    fn replies(&self, packet: &[u8]) -> Vec<Vec<u8>> {
        let (message, mut signer) = match verify_request(packet, &self.keys, WALL) {
            Request::Unsigned => (packet.to_vec(), None),
            Request::Signed { message, signer } => (message, Some(signer)),
            Request::Refused { reply, .. } => return vec![reply],
            Request::Malformed => panic!("malformed"),
        };
        let parsed = Message::parse(&message).expect("well formed");
        let (name, rtype, _) = parsed.question().expect("a question");
        self.asked.borrow_mut().push(rtype);
        let served = self.others.iter().find(|zone| *zone.apex() == name).unwrap_or(&self.zone);
        let id = parsed.header().id;
        let mut replies = Vec::new();
        if rtype == Rtype::SOA {
            let mut writer = Writer::new(Vec::new(), 512);
            writer.header(Header { id, flags: Flags(Flags::QR | Flags::AA), counts: [0; 4] });
            writer.question(&Question::new(name.clone(), rtype)).expect("room");
            let soa = served.soa();
            writer.record(Section::Answer, &name, rtype, Class::IN, soa.ttl, soa.rdatas().next().expect("one")).expect("room");
            replies.push(writer.finish());
        } else if rtype == Rtype::IXFR && self.refuses_ixfr {
            replies.push([&message[..2], &[0x80, 5, 0, 0, 0, 0, 0, 0, 0, 0]].concat());
        } else {
            let mut rdata = Vec::new();
            let soa = parsed.records(Section::Authority).next();
            let serial = soa
                .and_then(|soa| soa.expand_rdata(&mut rdata).ok())
                .and_then(|()| rdata.last_chunk::<20>())
                .map(|numbers| u32::from_be_bytes([numbers[0], numbers[1], numbers[2], numbers[3]]));
            let history = self.histories.get(name.as_wire());
            let question = &message[HEADER_BYTES..HEADER_BYTES + parsed.question_wire().len()];
            let wanted = serial.map_or(Wanted::Whole, Wanted::Since);
            let mut outgoing = Outgoing::new(served.clone(), history, wanted, id, question, false);
            replies.extend(std::iter::from_fn(|| outgoing.next(200)));
            if self.cuts {
                replies.truncate(replies.len() - 1);
            }
        }
        for reply in &mut replies {
            if let Some(signer) = &mut signer {
                signer.sign(reply, WALL);
            }
        }
        replies
    }
}

/// Datagrams are lost; connections lead to the server, if there is one at the time.
pub(super) struct OneServer(pub(super) Rc<RefCell<Option<Rc<Server>>>>);

impl OneServer {
    pub(super) fn new(server: Rc<Server>) -> OneServer {
        OneServer(Rc::new(RefCell::new(Some(server))))
    }
}

impl Net for OneServer {
    fn udp(&self, _server: SocketAddr, _port: u16) -> io::Result<Box<dyn UdpFlow>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn tcp(&self, _server: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        let server = self.0.borrow().clone();
        Box::pin(async move {
            let server = server.ok_or(io::ErrorKind::ConnectionRefused)?;
            let (ours, mut theirs) = tokio::io::duplex(64);
            tokio::task::spawn_local(async move {
                let len = theirs.read_u16().await.expect("a query");
                let mut query = vec![0; usize::from(len)];
                theirs.read_exact(&mut query).await.expect("all of it");
                for message in server.replies(&query) {
                    let framed = [&(message.len() as u16).to_be_bytes(), &message[..]].concat();
                    if theirs.write_all(&framed).await.is_err() {
                        return;
                    }
                }
            });
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    }
}

pub(super) fn name(text: &str) -> Name {
    Name::parse(text).expect(text)
}

pub(super) fn zone(serial: u32, more: &str) -> Arc<Zone> {
    let filler: String = (0..2_000).map(|n| format!("h{n} TXT \"text number {n}\"\n")).collect();
    let text = format!("$TTL 300\n@ SOA ns host {serial} 2 3 4 60\n@ NS ns\nns A 192.0.2.53\n{filler}{more}");
    Arc::new(load_zone(&name("example."), "test", &mut |_| Ok(text.clone().into_bytes())).expect("a good zone").0)
}

pub(super) fn keys(secret: &str) -> Keyring {
    let text = format!("[[key]]\nname = 'k'\nsecret = '{secret}'\n");
    Keyring::new(&Settings::from_toml(&text, "c.toml").expect("valid").keys)
}

pub(super) fn server(versions: &[&Arc<Zone>]) -> Server {
    let zones = |zone: &Arc<Zone>| Zones::new([zone.clone()], 1);
    let followed = |histories: Histories, pair: &[&Arc<Zone>]| histories.followed_by(&zones(pair[0]), &zones(pair[1]), |_| true);
    let histories = versions.windows(2).fold(Histories::default(), followed);
    let zone = (*versions.last().expect("one")).clone();
    Server { zone, others: Vec::new(), histories, keys: Keyring::default(), refuses_ixfr: false, cuts: false, asked: RefCell::default() }
}
