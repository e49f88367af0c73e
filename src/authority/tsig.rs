//! TSIG (RFC 8945): messages signed with a secret that two sides share.
//!
//! The record and the hash are hickory-proto's; what is hashed, in which order things are checked, and what is answered to a
//! bad signature is here. A server uses [`verify_request`] and then a [`Signer`] for its replies; a client signs with
//! [`sign_request`] and checks the replies with a [`Verifier`]. Pure: the caller gives the time.
//!
//! ```text
//! request        key ─► MAC ─► time                      a failure is answered in this order (RFC 8945 5.2)
//! first reply    MAC of the request, message, all TSIG variables
//! later replies  MAC of the reply before, messages since then, times only (RFC 8945 5.3.1)
//! ```
//!
//! Not here: algorithms older than SHA-256, which are answered like an unknown key.

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::constant_time;
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::tsig::{TSIG, TsigAlgorithm};

use crate::config::{KeyAlgorithm, KeySettings};
use crate::env::WallTime;
use crate::limits::zone::UNSIGNED_MESSAGES_MAX;
use crate::record::{Class, Name, Rcode, Rtype};
use crate::wire::{Flags, HEADER_BYTES, Header, Message, Section, name_of, typed_rdata};

/// Seconds that the clocks of both sides may differ (RFC 8945 10 recommends it).
const FUDGE_S: u16 = 300;
/// RFC 8945 5.2.2.1: a MAC is never shorter.
const MAC_OCTETS_FLOOR: usize = 10;

/// A shared secret.
pub struct Key {
    name: Name,
    algorithm: TsigAlgorithm,
    secret: Vec<u8>,
}

/// The keys of this server, by name.
#[derive(Default)]
pub struct Keyring(HashMap<Name, Arc<Key>>);

impl Keyring {
    /// Keys without a secret are left out.
    pub fn new(keys: &[KeySettings]) -> Keyring {
        let key = |settings: &KeySettings| {
            let algorithm = match settings.algorithm {
                KeyAlgorithm::Sha256 => TsigAlgorithm::HmacSha256,
                KeyAlgorithm::Sha384 => TsigAlgorithm::HmacSha384,
                KeyAlgorithm::Sha512 => TsigAlgorithm::HmacSha512,
            };
            let secret = settings.secret.as_ref()?.octets().to_vec();
            Some((settings.name.clone(), Arc::new(Key { name: settings.name.clone(), algorithm, secret })))
        };
        Keyring(keys.iter().filter_map(key).collect())
    }

    /// The key of this name.
    pub fn get(&self, name: &Name) -> Option<&Arc<Key>> {
        self.0.get(name)
    }
}

/// RFC 8945 3: what a TSIG record says of the signature that it answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TsigError {
    Signature,
    Key,
    Time,
}

impl TsigError {
    fn code(self) -> u16 {
        match self {
            TsigError::Signature => 16,
            TsigError::Key => 17,
            TsigError::Time => 18,
        }
    }
}

impl std::fmt::Display for TsigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            TsigError::Signature => "BADSIG",
            TsigError::Key => "BADKEY",
            TsigError::Time => "BADTIME",
        })
    }
}

/// What came of a request.
pub enum Request {
    /// There is no TSIG record.
    Unsigned,
    /// The message without its TSIG record, and who signed it.
    Signed { message: Vec<u8>, signer: Signer },
    /// A TSIG record that is not the last record, not the only one, or malformed: FORMERR (RFC 8945 5.1, 5.2.2.1).
    Malformed,
    /// The signature is not accepted; this is the reply (RFC 8945 5.3.2).
    Refused { error: TsigError, key: Name, reply: Vec<u8> },
}

/// Checks the signature of a request.
pub fn verify_request(packet: &[u8], keys: &Keyring, now: WallTime) -> Request {
    let signed = match Signed::read(packet) {
        Ok(None) => return Request::Unsigned,
        Ok(Some(signed)) => signed,
        Err(Malformed) => return Request::Malformed,
    };
    let refused = |error: TsigError, signer: Option<&mut Signer>| Request::Refused {
        error,
        key: signed.key.clone(),
        reply: signed.refusal(packet, error, signer, now),
    };
    let Some(key) = keys.get(&signed.key).filter(|key| key.algorithm == signed.tsig.algorithm) else {
        return refused(TsigError::Key, None);
    };
    let message = signed.message(packet);
    match signed.check(key, &[&message, &signed.variables()]) {
        Ok(()) => {}
        Err(Some(Malformed)) => return Request::Malformed,
        Err(None) => return refused(TsigError::Signature, None),
    }
    let mut signer = Signer { key: key.clone(), previous: signed.tsig.mac.clone(), is_first: true };
    if !signed.is_timely(now) {
        return refused(TsigError::Time, Some(&mut signer));
    }
    Request::Signed { message, signer }
}

/// Signs the replies to one request.
#[derive(Clone)]
pub struct Signer {
    key: Arc<Key>,
    /// MAC of the request, then of the reply before.
    previous: Vec<u8>,
    is_first: bool,
}

impl Signer {
    /// The name of the key that the request was signed with.
    pub fn key(&self) -> &Name {
        &self.key.name
    }

    /// Octets that `sign` adds to a message.
    pub fn octets(&self) -> usize {
        self.key.record_octets()
    }

    /// Appends the TSIG record to the next reply.
    pub fn sign(&mut self, message: &mut Vec<u8>, now: WallTime) {
        self.sign_with(message, now.0, None);
    }

    /// `time` is the time in the record: for BADTIME the client's, with ours beside it (RFC 8945 5.2.3).
    fn sign_with(&mut self, message: &mut Vec<u8>, time: u64, bad_time: Option<WallTime>) {
        let mut tsig = self.key.record(message, time);
        if let Some(now) = bad_time {
            (tsig.error, tsig.other) = (Some(TsigError::Time.code().into()), now.0.to_be_bytes()[2..].to_vec());
        }
        let previous = with_length(&self.previous);
        let variables = if self.is_first { variables(&self.key.name, &tsig) } else { times(&tsig) };
        tsig.mac = self.key.mac(&[&previous, message, &variables]);
        self.previous.clone_from(&tsig.mac);
        self.is_first = false;
        append(message, &self.key.name, &tsig);
    }
}

/// Signs a request; the verifier checks its replies.
pub fn sign_request(key: &Arc<Key>, message: &mut Vec<u8>, now: WallTime) -> Verifier {
    let mut tsig = key.record(message, now.0);
    tsig.mac = key.mac(&[message, &variables(&key.name, &tsig)]);
    append(message, &key.name, &tsig);
    Verifier { key: key.clone(), previous: tsig.mac, is_first: true, unsigned: Vec::new(), unsigned_count: 0 }
}

/// Checks the replies to one signed request.
pub struct Verifier {
    key: Arc<Key>,
    /// MAC of the request, then of the last signed reply.
    previous: Vec<u8>,
    is_first: bool,
    /// Messages since the last signed one (RFC 8945 5.3.1).
    unsigned: Vec<u8>,
    unsigned_count: usize,
}

/// Why a reply is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Distrust {
    /// The TSIG record is malformed.
    Malformed,
    /// There is no signature where there must be one.
    Unsigned,
    /// It is signed with another key.
    OtherKey,
    /// The signature is wrong.
    BadSignature,
    /// The clocks of both sides differ too much.
    BadTime,
    /// The server does not accept our signature, for this reason.
    Server(u16),
}

impl std::fmt::Display for Distrust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Distrust::Malformed => f.write_str("the TSIG record of the reply is malformed"),
            Distrust::Unsigned => f.write_str("the reply is not signed"),
            Distrust::OtherKey => f.write_str("the reply is signed with another key"),
            Distrust::BadSignature => f.write_str("the signature of the reply is wrong: is the secret the same on both sides?"),
            Distrust::BadTime => f.write_str("the clocks of both servers differ too much"),
            Distrust::Server(16) => f.write_str("the server answers BADSIG: is the secret the same on both sides?"),
            Distrust::Server(17) => f.write_str("the server answers BADKEY: it does not have this key with this algorithm"),
            Distrust::Server(18) => f.write_str("the server answers BADTIME: the clocks of both servers differ too much"),
            Distrust::Server(code) => write!(f, "the server answers with TSIG error {code}"),
        }
    }
}

impl Verifier {
    /// Checks the next message, and returns it without its TSIG record. Messages after the first may be without one, and then
    /// count only once a later one is signed; the last must be signed, which `is_complete` says.
    pub fn verify(&mut self, packet: &[u8], now: WallTime) -> Result<Vec<u8>, Distrust> {
        let Some(signed) = Signed::read(packet).map_err(|Malformed| Distrust::Malformed)? else {
            self.unsigned_count += 1;
            if self.is_first || self.unsigned_count > UNSIGNED_MESSAGES_MAX {
                return Err(Distrust::Unsigned);
            }
            self.unsigned.extend_from_slice(packet);
            return Ok(packet.to_vec());
        };
        if signed.key != self.key.name || signed.tsig.algorithm != self.key.algorithm {
            return Err(Distrust::OtherKey);
        }
        let error = signed.tsig.error.map_or(0, u16::from);
        // BADSIG and BADKEY come without a signature (RFC 8945 5.3.2): believed only in so far as the exchange fails.
        if error != 0 && signed.tsig.mac.is_empty() {
            return Err(Distrust::Server(error));
        }
        let message = signed.message(packet);
        let previous = with_length(&self.previous);
        let variables = if self.is_first { signed.variables() } else { times(&signed.tsig) };
        match signed.check(&self.key, &[&previous, &self.unsigned, &message, &variables]) {
            Ok(()) => {}
            Err(Some(Malformed)) => return Err(Distrust::Malformed),
            Err(None) => return Err(Distrust::BadSignature),
        }
        if error != 0 {
            return Err(Distrust::Server(error));
        }
        if !signed.is_timely(now) {
            return Err(Distrust::BadTime);
        }
        self.previous = signed.tsig.mac;
        self.is_first = false;
        self.unsigned.clear();
        self.unsigned_count = 0;
        Ok(message)
    }

    /// Whether everything that came is covered by a signature.
    pub fn is_complete(&self) -> bool {
        self.unsigned_count == 0
    }
}

impl Key {
    /// The record for `message` without its MAC.
    fn record(&self, message: &[u8], time: u64) -> TSIG {
        let id = Header::read(message).map_or(0, |header| header.id);
        TSIG::new(self.algorithm.clone(), time, FUDGE_S, Vec::new(), id, None, Vec::new())
    }

    fn mac(&self, parts: &[&[u8]]) -> Vec<u8> {
        // All algorithms of a key can be computed.
        self.algorithm.mac_data(&self.secret, &parts.concat()).unwrap_or_default()
    }

    fn mac_octets(&self) -> usize {
        match self.algorithm {
            TsigAlgorithm::HmacSha384 => 48,
            TsigAlgorithm::HmacSha512 => 64,
            _ => 32,
        }
    }

    fn record_octets(&self) -> usize {
        // TYPE, CLASS, TTL, RDLENGTH; times, lengths, ID and error; the time beside BADTIME.
        self.name.as_wire().len() + 10 + algorithm_name(&self.algorithm).as_wire().len() + 16 + self.mac_octets() + 6
    }
}

struct Malformed;

/// A message whose last record is TSIG.
struct Signed {
    key: Name,
    tsig: TSIG,
    /// Where the record begins.
    at: usize,
}

impl Signed {
    fn read(packet: &[u8]) -> Result<Option<Signed>, Malformed> {
        let message = Message::parse(packet).map_err(|_| Malformed)?;
        let is_tsig = |section| message.records(section).any(|record| record.rtype() == Rtype::TSIG);
        let others = [Section::Answer, Section::Authority].into_iter().any(is_tsig);
        let count = message.records(Section::Additional).filter(|record| record.rtype() == Rtype::TSIG).count();
        let (last, at, end) = match message.last_record() {
            Some((record, at, end)) if record.rtype() == Rtype::TSIG => (record, at, end),
            _ if others || count > 0 => return Err(Malformed),
            _ => return Ok(None),
        };
        if others || count != 1 || end != packet.len() || last.class() != Class::ANY || last.ttl() != 0 {
            return Err(Malformed);
        }
        let mut rdata = Vec::new();
        last.expand_rdata(&mut rdata).map_err(|_| Malformed)?;
        let key = last.owner().map_err(|_| Malformed)?;
        match typed_rdata(Rtype::TSIG, &rdata) {
            Some(RData::TSIG(tsig)) => Ok(Some(Signed { key, tsig, at })),
            _ => Err(Malformed),
        }
    }

    /// RFC 8945 4.3.2: the message as it was before TSIG was added, with its original ID.
    fn message(&self, packet: &[u8]) -> Vec<u8> {
        let mut message = packet[..self.at].to_vec();
        message[..2].copy_from_slice(&self.tsig.oid.to_be_bytes());
        let additional = u16::from_be_bytes([message[10], message[11]]).saturating_sub(1);
        message[10..12].copy_from_slice(&additional.to_be_bytes());
        message
    }

    fn variables(&self) -> Vec<u8> {
        variables(&self.key, &self.tsig)
    }

    /// `Err(None)`: the MAC is not that of these octets.
    fn check(&self, key: &Key, parts: &[&[u8]]) -> Result<(), Option<Malformed>> {
        let mac = key.mac(parts);
        let given = &self.tsig.mac;
        // RFC 8945 5.2.2.1: longer than the hash, or cut to less than half of it.
        if given.len() > mac.len() || given.len() < MAC_OCTETS_FLOOR.max(mac.len() / 2) {
            return Err(Some(Malformed));
        }
        constant_time::verify_slices_are_equal(&mac[..given.len()], given).map_err(|_| None)
    }

    fn is_timely(&self, now: WallTime) -> bool {
        self.tsig.time.abs_diff(now.0) <= u64::from(self.tsig.fudge)
    }

    /// RFC 8945 5.3.2: NOTAUTH with the error in a TSIG record, which is signed only for BADTIME.
    fn refusal(&self, packet: &[u8], error: TsigError, signer: Option<&mut Signer>, now: WallTime) -> Vec<u8> {
        let header = Header::read(packet).unwrap_or_default();
        let mut reply = packet[..self.at].to_vec();
        // The question alone is repeated.
        let question = Message::parse(packet).map_or(0, |message| message.question_wire().len());
        reply.truncate(HEADER_BYTES + question);
        let flags = Flags(header.flags.0 & (0x7800 | Flags::RD | Flags::CD) | Flags::QR).with_rcode(Rcode::NOTAUTH.0);
        let counts = [header.counts[0], 0, 0, 0];
        reply[..HEADER_BYTES].copy_from_slice(&Header { id: header.id, flags, counts }.to_bytes());
        match signer {
            Some(signer) => signer.sign_with(&mut reply, self.tsig.time, Some(now)),
            None => {
                let mut tsig = self.tsig.clone();
                (tsig.mac, tsig.error, tsig.other) = (Vec::new(), Some(error.code().into()), Vec::new());
                append(&mut reply, &self.key, &tsig);
            }
        }
        reply
    }
}

fn algorithm_name(algorithm: &TsigAlgorithm) -> Name {
    name_of(&algorithm.to_name()).unwrap_or_else(Name::root)
}

/// RFC 8945 4.3.3.
fn variables(key: &Name, tsig: &TSIG) -> Vec<u8> {
    let mut out = key.as_wire().to_vec();
    out.extend_from_slice(&Class::ANY.0.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(algorithm_name(&tsig.algorithm).as_wire());
    out.extend_from_slice(&times(tsig));
    out.extend_from_slice(&tsig.error.map_or(0, u16::from).to_be_bytes());
    out.extend_from_slice(&(tsig.other.len() as u16).to_be_bytes());
    out.extend_from_slice(&tsig.other);
    out
}

fn times(tsig: &TSIG) -> Vec<u8> {
    let mut out = tsig.time.to_be_bytes()[2..].to_vec();
    out.extend_from_slice(&tsig.fudge.to_be_bytes());
    out
}

fn with_length(mac: &[u8]) -> Vec<u8> {
    [&(mac.len() as u16).to_be_bytes(), mac].concat()
}

/// Adds the record at the end of the message (RFC 8945 4.2, 5.1: the last of the additional section, nothing compressed).
fn append(message: &mut Vec<u8>, key: &Name, tsig: &TSIG) {
    let mut rdata = algorithm_name(&tsig.algorithm).as_wire().to_vec();
    rdata.extend_from_slice(&times(tsig));
    rdata.extend_from_slice(&with_length(&tsig.mac));
    rdata.extend_from_slice(&tsig.oid.to_be_bytes());
    rdata.extend_from_slice(&tsig.error.map_or(0, u16::from).to_be_bytes());
    rdata.extend_from_slice(&with_length(&tsig.other));
    message.extend_from_slice(key.as_wire());
    message.extend_from_slice(&Rtype::TSIG.0.to_be_bytes());
    message.extend_from_slice(&Class::ANY.0.to_be_bytes());
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
    message.extend_from_slice(&rdata);
    let additional = u16::from_be_bytes([message[10], message[11]]).saturating_add(1);
    message[10..12].copy_from_slice(&additional.to_be_bytes());
}
