//! The local copy of the root zone (RFC 8806): transferred from the root servers, verified, and renewed by its SOA timers.
//!
//! A copy is used only if it verifies as a whole: its DNSKEY RRset by a trust anchor, its SOA and ZONEMD RRsets by those keys,
//! and all its records by the digest of the ZONEMD record (RFC 8976). The walk stays as it is: the copy takes the place of the
//! root servers, and its data is validated like their replies. If no server gives a new copy before the last one expires, the
//! root servers are queried again.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::{info, warn};

use crate::answer::{LocalRoot, Service};
use crate::config::Sha1;
use crate::env::{BootTime, Net, Random, Stream};
use crate::limits::ValidationLimits;
use crate::limits::server::{ROOT_INTERVAL_S_LIMITS, ROOT_SERVERS_PER_ROUND_MAX, ROOT_TRANSFER_MAX};
use crate::record::{Name, Question, RrSet, Rtype};
use crate::resolve::Routes;
use crate::validate::{Anchor, KeyVerdict, Now, Sha1Policy, WorkBudget, keys_from_anchor, verify_set};
use crate::wire::{Flags, Header, Writer};
use crate::zone::{TransferReader, Zone, ZonemdVerdict, verify_zonemd};

/// How often the setting and the time of the next renewal are checked: timers do not run while a machine sleeps.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Keeps the copy until the process ends; run as a task of the thread that handles trust anchors.
pub(super) async fn keep(service: Arc<Service>, net: Rc<dyn Net>, random: Random) {
    let mut next = BootTime(0);
    loop {
        let routes = service.snapshot().routes.clone();
        if !routes.recursion.local_root || !routes.recursion.enabled {
            service.set_local_root(None);
            next = BootTime(0);
        } else if service.resolve.clock.boot() >= next {
            let wait = renew(&service, &routes, &*net, &random).await;
            next = service.resolve.clock.boot() + wait;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Asks some of the root servers for the zone. Returns the time until the next renewal.
async fn renew(service: &Service, routes: &Routes, net: &dyn Net, random: &Random) -> Duration {
    let enabled = routes.hints.iter().filter(|(_, address)| routes.family_enabled(*address));
    let mut servers: Vec<SocketAddr> = enabled.map(|(_, address)| SocketAddr::new(*address, 53)).collect();
    for at in (1..servers.len()).rev() {
        servers.swap(at, random.below(at + 1));
    }
    for server in servers.into_iter().take(ROOT_SERVERS_PER_ROUND_MAX) {
        let copy = match tokio::time::timeout(ROOT_TRANSFER_MAX, transfer(net, server, random.u16(), routes.limits.local_root_bytes)).await
        {
            Ok(copy) => copy,
            Err(_) => Err("the transfer took too long".to_owned()),
        };
        let (now, wall) = (service.resolve.clock.boot(), service.resolve.clock.wall());
        match copy.and_then(|zone| check(&zone, &routes.anchors, routes.recursion.sha1, Now::At(wall.0)).map(|()| zone)) {
            Ok(zone) => {
                let timers = Timers::of(&zone);
                let kept_max = Duration::from_secs(routes.limits.local_root_kept_s.into());
                info!(serial = zone.serial(), records = zone.record_count(), %server, "local copy of the root zone renewed");
                service.set_local_root(Some(LocalRoot::new(zone, now + timers.expire.min(kept_max))));
                return timers.refresh;
            }
            Err(reason) => info!(%server, "no copy of the root zone from this server: {reason}"),
        }
    }
    let copy = service.local_root().filter(|copy| copy.is_live(service.resolve.clock.boot()));
    if copy.is_none() {
        warn!("no root server gave a copy of the root zone that can be verified: the root servers are queried instead");
    }
    copy.as_ref().and_then(|copy| copy.zone()).map_or(Timers::DEFAULT, |zone| Timers::of(zone)).retry
}

struct Timers {
    refresh: Duration,
    retry: Duration,
    expire: Duration,
}

impl Timers {
    const DEFAULT: Timers =
        Timers { refresh: Duration::from_secs(1_800), retry: Duration::from_secs(900), expire: Duration::from_secs(604_800) };

    fn of(zone: &Zone) -> Timers {
        let soa = zone.apex_set(Rtype::SOA);
        let Some(numbers) = soa.as_ref().and_then(|soa| soa.data.first()).and_then(|rdata| rdata.last_chunk::<20>()) else {
            return Timers::DEFAULT;
        };
        let seconds = |at: usize| u32::from_be_bytes([numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]]);
        let within = |value: u32| Duration::from_secs(value.clamp(*ROOT_INTERVAL_S_LIMITS.start(), *ROOT_INTERVAL_S_LIMITS.end()).into());
        Timers { refresh: within(seconds(4)), retry: within(seconds(8)), expire: Duration::from_secs(seconds(12).into()) }
    }
}

/// The root zone from one server, not verified yet.
async fn transfer(net: &dyn Net, server: SocketAddr, id: u16, octets_max: usize) -> Result<Zone, String> {
    let mut stream = net.tcp(server).await.map_err(|error| error.to_string())?;
    let root = Name::root();
    let mut writer = Writer::new(Vec::new(), 512);
    writer.header(Header { id, flags: Flags(0), counts: [0; 4] });
    writer.question(&Question::new(root.clone(), Rtype::AXFR)).map_err(|_| "the question does not fit".to_owned())?;
    let question = writer.finish();
    let mut framed = (question.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(&question);
    stream.write_all(&framed).await.map_err(|error| error.to_string())?;
    let mut reader = TransferReader::new(root, id, octets_max);
    loop {
        let message = read_message(&mut *stream).await.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => "the connection ended before the zone was complete".to_owned(),
            _ => error.to_string(),
        })?;
        if reader.message(&message).map_err(|error| error.to_string())? {
            return reader.finish().map_err(|error| error.to_string());
        }
    }
}

async fn read_message(stream: &mut dyn Stream) -> io::Result<Vec<u8>> {
    let len = stream.read_u16().await?;
    let mut message = vec![0; usize::from(len)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// Verifies that this is the root zone as it was signed.
fn check(zone: &Zone, anchors: &[Anchor], sha1: Sha1, now: Now) -> Result<(), String> {
    let apex = zone.apex();
    let set = |rtype: Rtype| -> Result<RrSet, String> { zone.apex_set(rtype).ok_or_else(|| format!("it has no {rtype} RRset")) };
    let sha1 = match sha1 {
        Sha1::Insecure => Sha1Policy::Insecure,
        Sha1::Validate => Sha1Policy::Validate,
    };
    let mut work = WorkBudget::new(ValidationLimits::default());
    let keys = match keys_from_anchor(apex, &set(Rtype::DNSKEY)?, anchors, now, sha1, &mut work) {
        KeyVerdict::Secure(keys) => keys,
        KeyVerdict::Insecure(_) => return Err("no trust anchor can be used".to_owned()),
        KeyVerdict::Bogus(reason) => return Err(reason.to_string()),
    };
    for rtype in [Rtype::SOA, Rtype::ZONEMD] {
        verify_set(&set(rtype)?, &keys, now, &mut work).map_err(|reason| reason.to_string())?;
    }
    match verify_zonemd(zone) {
        ZonemdVerdict::Verified => Ok(()),
        ZonemdVerdict::Absent => Err("it has no ZONEMD record".to_owned()),
        ZonemdVerdict::Unsupported => Err("none of its ZONEMD records can be verified".to_owned()),
        ZonemdVerdict::Mismatch => Err("its records do not match the digest of its ZONEMD record".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::task::LocalSet;

    use super::*;
    use crate::env::{BoxFuture, UdpFlow};
    use crate::record::{Class, rdata_from_text};
    use crate::wire::Section;

    /// A server that has one reply for whoever connects, in pieces.
    struct OneServer(RefCell<Vec<Vec<u8>>>);

    impl Net for OneServer {
        fn udp(&self, _server: SocketAddr, _port: u16) -> io::Result<Box<dyn UdpFlow>> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn tcp(&self, _server: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
            let messages = std::mem::take(&mut *self.0.borrow_mut());
            Box::pin(async move {
                let (ours, mut theirs) = tokio::io::duplex(64);
                tokio::task::spawn_local(async move {
                    let question = read_message(&mut theirs).await.expect("a question");
                    for message in messages {
                        let message = [&question[..2], &message[2..]].concat();
                        theirs.write_u16(message.len() as u16).await.expect("it reads");
                        theirs.write_all(&message).await.expect("it reads");
                    }
                });
                Ok(Box::new(ours) as Box<dyn Stream>)
            })
        }
    }

    fn message(lines: &[&str]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), 65_535);
        writer.header(Header { id: 0, flags: Flags(Flags::QR | Flags::AA), counts: [0; 4] });
        for line in lines {
            let mut words = line.splitn(3, ' ');
            let mut next = || words.next().expect("three words");
            let (owner, rtype, rdata) = (Name::parse(next()).expect("a name"), next().parse().expect("a type"), next());
            let rdata = rdata_from_text(rtype, rdata, b"\0").expect("data");
            writer.record(Section::Answer, &owner, rtype, Class::IN, 300, &rdata).expect("room");
        }
        writer.finish()
    }

    async fn transferred(messages: Vec<Vec<u8>>) -> Result<Zone, String> {
        let server = OneServer(RefCell::new(messages));
        let address = SocketAddr::from(([192, 0, 2, 1], 53));
        LocalSet::new().run_until(transfer(&server, address, 7, 10_000)).await
    }

    const SOA: &str = ". SOA a.root. host. 7 1800 900 604800 86400";

    #[tokio::test]
    async fn a_transfer_of_two_messages() {
        let zone = transferred(vec![message(&[SOA, ". NS a.root."]), message(&["a.root. A 192.0.2.1", SOA])]).await.expect("a zone");
        assert_eq!((zone.serial(), zone.record_count()), (7, 3));
        let timers = Timers::of(&zone);
        assert_eq!((timers.refresh.as_secs(), timers.retry.as_secs(), timers.expire.as_secs()), (1_800, 900, 604_800));
        assert_eq!(check(&zone, &[], Sha1::Insecure, Now::At(0)), Err("it has no DNSKEY RRset".to_owned()));
    }

    #[tokio::test]
    async fn a_transfer_that_ends_too_early() {
        let error = transferred(vec![message(&[SOA, ". NS a.root."])]).await.expect_err("it is not whole");
        assert_eq!(error, "the connection ended before the zone was complete");
    }
}
