//! Messages about zones: transfers (RFC 5936, RFC 1995), NOTIFY (RFC 1996), UPDATE (RFC 2136), and whatever is signed with TSIG
//! (RFC 8945). They are rare, so each is read from its first octet, apart from the way of ordinary questions.
//!
//! ```text
//! signature ─► NOTIFY            known primary: its zone is checked soon; others are not answered
//!              UPDATE            `update` of the zone; then it is carried out, and answered when it is in force
//!              AXFR, IXFR        `transfer` of the zone; over TCP many messages, over UDP the SOA (IXFR) or REFUSED (AXFR)
//!              other questions   back to the pipeline; the reply is signed
//! ```

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::failure_log::Subject;
use super::permitted_update::PermittedUpdate;
use super::reply::bare_error;
use super::service::Service;
use super::snapshot::Snapshot;
use super::transfer_places::TransferPlace;
use super::{Client, Messages, Transport};
use crate::authority::{Outgoing, Request, Signer, Wanted, verify_request};
use crate::env::{BootTime, Clock};
use crate::limits::clients::UDP_REPLY_BYTES_MAX;
use crate::limits::server::TRANSFER_OUT_TIME_MAX;
use crate::record::{Class, Name, Question, Rcode, Rtype};
use crate::wire::{Flags, Header, Message, Opcode, Section};

/// What becomes of such a message.
pub(super) enum ZoneMessage {
    Silence,
    Reply(Vec<u8>),
    Transfer(Box<dyn Messages>),
    Update(Box<PermittedUpdate>),
    /// An ordinary question with a good signature.
    Question {
        packet: Vec<u8>,
        signer: Signer,
    },
}

/// Reads a message that `request::read` has left to this file.
pub(super) fn answer(service: &Service, snapshot: &Arc<Snapshot>, packet: &[u8], client: &Client) -> ZoneMessage {
    let now = service.resolve.clock.wall();
    let (message, mut signer) = match verify_request(packet, &snapshot.keyring, now) {
        Request::Unsigned => (packet.to_vec(), None),
        Request::Signed { message, signer } => (message, Some(signer)),
        Request::Malformed => return bare(packet, Rcode::FORMERR, &[], None),
        Request::Refused { error, key, reply } => {
            if service.may_log(Subject::Failure, &Question::new(key.clone(), Rtype::TSIG)) {
                tracing::info!(client = %client.peer, %key, "signature refused: {error}");
            }
            return ZoneMessage::Reply(reply);
        }
    };
    let question = Message::parse(&message).ok().and_then(|parsed| {
        let (name, rtype, class) = parsed.question()?;
        Some((name, rtype, class, parsed.question_wire().to_vec(), parsed.edns().map(|edns| edns.version), serial_asked_from(&parsed)))
    });
    let flags = Header::read(&message).map_or(Flags(0), |header| header.flags);
    let (Some((name, rtype, class, question_wire, edns_version, serial)), false) = (question, flags.has(Flags::QR)) else {
        return bare(&message, Rcode::FORMERR, &[], signer.as_mut().map(|signer| (signer, service)));
    };
    let has_edns = edns_version.is_some();
    let asked = Asked { service, snapshot, message: &message, client, name, question_wire, has_edns };
    if edns_version.is_some_and(|version| version != 0) {
        // RFC 6891 6.1.3.
        return asked.error(Rcode::BADVERS, signer);
    }
    match (flags.opcode(), rtype) {
        (Opcode::NOTIFY, _) if class == Class::IN && rtype == Rtype::SOA => asked.notify(signer),
        (Opcode::UPDATE, Rtype::SOA) => asked.update(class, signer),
        // RFC 2136 3.1.1.
        (Opcode::UPDATE, _) => asked.error(Rcode::FORMERR, signer),
        (Opcode::QUERY, Rtype::AXFR) if class == Class::IN => asked.transfer(Some(Wanted::Whole), signer),
        (Opcode::QUERY, Rtype::IXFR) if class == Class::IN => asked.transfer(serial.map(Wanted::Since), signer),
        (Opcode::QUERY, Rtype::AXFR | Rtype::IXFR) => asked.error(Rcode::REFUSED, signer),
        (Opcode::QUERY, _) => match signer {
            Some(signer) => ZoneMessage::Question { packet: message, signer },
            None => asked.error(Rcode::FORMERR, None),
        },
        _ => asked.error(Rcode::NOTIMP, signer),
    }
}

/// IXFR: the serial in the authority section (RFC 1995 3).
fn serial_asked_from(message: &Message<'_>) -> Option<u32> {
    let record = message.records(Section::Authority).find(|record| record.rtype() == Rtype::SOA)?;
    let mut rdata = Vec::new();
    record.expand_rdata(&mut rdata).ok()?;
    rdata.last_chunk::<20>().map(|numbers| u32::from_be_bytes([numbers[0], numbers[1], numbers[2], numbers[3]]))
}

struct Asked<'a> {
    service: &'a Service,
    snapshot: &'a Arc<Snapshot>,
    message: &'a [u8],
    client: &'a Client,
    name: Name,
    question_wire: Vec<u8>,
    has_edns: bool,
}

impl Asked<'_> {
    fn error(&self, rcode: Rcode, mut signer: Option<Signer>) -> ZoneMessage {
        bare_with(self.message, rcode, &self.question_wire, self.has_edns, signer.as_mut().map(|signer| (signer, self.service)))
    }

    /// What strangers do must not fill the log.
    fn log(&self, what: &str) {
        if self.service.may_log(Subject::Failure, &Question::new(self.name.clone(), Rtype::AXFR)) {
            tracing::info!(client = %self.client.peer, zone = %self.name, "{what}");
        }
    }

    /// RFC 1996 3.10, 3.11: a NOTIFY of a stranger is ignored; that of a primary has its zone checked, whatever it says.
    fn notify(&self, mut signer: Option<Signer>) -> ZoneMessage {
        let Some(rules) = self.snapshot.zone_rules(&self.name).filter(|rules| !rules.primaries.is_empty()) else {
            return self.error(Rcode::NOTAUTH, signer);
        };
        let (peer, key) = (self.client.peer.ip(), signer.as_ref().map(Signer::key));
        let is_of = |ip: IpAddr| ip.to_canonical() == peer.to_canonical();
        let is_primary = rules
            .primaries
            .iter()
            .any(|primary| primary.host().is_some_and(|host| is_of(host.ip())) || primary.key.is_some() && primary.key.as_ref() == key);
        if !is_primary {
            self.log("NOTIFY ignored: it is not from a primary of this zone");
            return ZoneMessage::Silence;
        }
        self.service.notified.heard(&self.name, peer);
        let Some(header) = Header::read(self.message) else { return ZoneMessage::Silence };
        let flags = Flags(header.flags.0 & 0x7800 | Flags::QR | Flags::AA);
        let mut reply = Header { id: header.id, flags, counts: [1, 0, 0, 0] }.to_bytes().to_vec();
        reply.extend_from_slice(&self.question_wire);
        if let Some(signer) = &mut signer {
            signer.sign(&mut reply, self.service.resolve.clock.wall());
        }
        ZoneMessage::Reply(reply)
    }

    /// RFC 2136 3.1.2, 3.3: the permission is looked at before the prerequisites, so that strangers learn nothing from these.
    fn update(&self, class: Class, signer: Option<Signer>) -> ZoneMessage {
        let refuse = |rcode: Rcode, why: &str, signer: Option<Signer>| {
            self.log(&format!("update refused: {why}"));
            self.error(rcode, signer)
        };
        if class != Class::IN || !self.snapshot.zones.has(self.name.as_wire()) {
            return refuse(Rcode::NOTAUTH, "the zone is not hosted here", signer);
        }
        let rules = self.snapshot.zone_rules(&self.name);
        if rules.is_some_and(|rules| !rules.primaries.is_empty()) {
            return refuse(Rcode::REFUSED, "this server is a secondary of the zone: send it to the primary", signer);
        }
        let (peer, key) = (self.client.peer, signer.as_ref().map(Signer::key));
        if !rules.is_some_and(|rules| rules.update.iter().any(|entry| entry.admits(peer.ip(), key))) {
            return refuse(Rcode::REFUSED, "the client is not in `update` of the [[zone]]", signer);
        }
        let (zone, message, question_wire) = (self.name.clone(), self.message.to_vec(), self.question_wire.clone());
        ZoneMessage::Update(Box::new(PermittedUpdate { zone, message, question_wire, has_edns: self.has_edns, signer, client: peer }))
    }

    fn transfer(&self, wanted: Option<Wanted>, signer: Option<Signer>) -> ZoneMessage {
        let snapshot = self.snapshot;
        let refuse = |rcode: Rcode, why: &str, signer: Option<Signer>| {
            self.log(&format!("transfer refused: {why}"));
            self.error(rcode, signer)
        };
        let rules = snapshot.zone_rules(&self.name);
        if !snapshot.zones.has(self.name.as_wire()) {
            // RFC 5936 2.2.1.
            return refuse(Rcode::NOTAUTH, "the zone is not hosted here", signer);
        }
        let key = signer.as_ref().map(Signer::key);
        let peer = self.client.peer.ip();
        if !rules.is_some_and(|rules| rules.transfer.iter().any(|entry| entry.admits(peer, key))) {
            return refuse(Rcode::REFUSED, "the client is not in `transfer` of the [[zone]]", signer);
        }
        let Some(zone) = snapshot.zones.get(self.name.as_wire()).cloned() else {
            return refuse(Rcode::SERVFAIL, "the zone has no data here", signer);
        };
        let Some(wanted) = wanted else { return refuse(Rcode::FORMERR, "IXFR without a serial", signer) };
        let Some(header) = Header::read(self.message) else { return ZoneMessage::Silence };
        // Over HTTPS a reply is one message too (RFC 8484 4.2.1).
        if matches!(self.client.transport, Transport::Udp | Transport::Https) {
            let Wanted::Since(_) = wanted else { return refuse(Rcode::REFUSED, "AXFR over UDP or HTTPS", signer) };
            let (mut outgoing, mut signer) = (Outgoing::soa_only(zone, header.id, &self.question_wire, self.has_edns), signer);
            let reserved = signer.as_ref().map_or(0, Signer::octets);
            let Some(mut reply) = outgoing.next(reserved).filter(|reply| reply.len() + reserved <= UDP_REPLY_BYTES_MAX) else {
                return self.error(Rcode::REFUSED, signer);
            };
            if let Some(signer) = &mut signer {
                signer.sign(&mut reply, self.service.resolve.clock.wall());
            }
            return ZoneMessage::Reply(reply);
        }
        let Some(place) = self.service.transfer_places.take(peer) else {
            return refuse(Rcode::SERVFAIL, "too many transfers are under way", signer);
        };
        let history = snapshot.histories.get(self.name.as_wire());
        let outgoing = Outgoing::new(zone, history, wanted, header.id, &self.question_wire, self.has_edns);
        let clock = self.service.resolve.clock.clone();
        let told = Some((self.client.peer, self.name.clone()));
        ZoneMessage::Transfer(Box::new(Transfer {
            outgoing,
            signer,
            began: clock.boot(),
            clock,
            told,
            _place: place,
            _snapshot: snapshot.clone(),
        }))
    }
}

/// The RCODE that a client at this address gets for such a message over TCP.
pub(super) fn rcode(service: &Service, snapshot: &Arc<Snapshot>, packet: &[u8], peer: IpAddr) -> Rcode {
    let local = SocketAddr::new(peer, 0);
    match answer(service, snapshot, packet, &Client { peer: local, local, transport: Transport::Tcp, is_behind_balancer: false }) {
        ZoneMessage::Reply(reply) => Header::read(&reply).map_or(Rcode::FORMERR, |header| Rcode(header.flags.rcode())),
        ZoneMessage::Transfer(_) | ZoneMessage::Question { .. } | ZoneMessage::Update(_) => Rcode::NOERROR,
        ZoneMessage::Silence => Rcode::FORMERR,
    }
}

/// A reply without records, signed if the request was.
fn bare(message: &[u8], rcode: Rcode, question: &[u8], signer: Option<(&mut Signer, &Service)>) -> ZoneMessage {
    bare_with(message, rcode, question, false, signer)
}

/// The same, with OPT if the request had it.
fn bare_with(message: &[u8], rcode: Rcode, question: &[u8], has_edns: bool, signer: Option<(&mut Signer, &Service)>) -> ZoneMessage {
    let Some(mut reply) = bare_error(message, rcode, question, has_edns) else { return ZoneMessage::Silence };
    if let Some((signer, service)) = signer {
        signer.sign(&mut reply, service.resolve.clock.wall());
    }
    ZoneMessage::Reply(reply)
}

/// The messages of one transfer, each signed if the request was.
struct Transfer {
    outgoing: Outgoing,
    signer: Option<Signer>,
    clock: Arc<dyn Clock>,
    began: BootTime,
    _place: TransferPlace,
    /// Who asks for which zone, until the log has it.
    told: Option<(SocketAddr, Name)>,
    /// The zone is freed with its snapshot, on a thread that may be slow.
    _snapshot: Arc<Snapshot>,
}

impl Messages for Transfer {
    fn next(&mut self) -> Option<Vec<u8>> {
        if let Some((client, zone)) = self.told.take() {
            tracing::info!(%client, %zone, serial = self.outgoing.serial(), "transfer begins: {}", self.outgoing.form());
        }
        // The client sees that the closing SOA is missing, and comes again.
        if self.clock.boot().since(self.began) > TRANSFER_OUT_TIME_MAX {
            return None;
        }
        let reserved = self.signer.as_ref().map_or(0, Signer::octets);
        let mut message = self.outgoing.next(reserved)?;
        if let Some(signer) = &mut self.signer {
            signer.sign(&mut message, self.clock.wall());
        }
        Some(message)
    }
}
