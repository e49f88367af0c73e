//! What is asked, and the query as it is sent. The reply must repeat its secrets: ID, letter case, cookie.

use std::cell::Cell;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::dns0x20;
use super::tls_server::TlsServer;
use super::translator::Translator;
use crate::config::EncryptedProtocol;
use crate::env::Random;
use crate::record::{Class, Name, Question, Rcode};
use crate::wire::{Flags, HEADER_BYTES, Header, OptionCode, Writer};

/// RFC 7873 4: a client cookie of 8 octets, alone or followed by a server cookie of 8 to 32.
const COOKIE_CLIENT_BYTES: usize = 8;
const COOKIE_BYTES_MAX: usize = 40;
/// RFC 8467 4.1: the length of a padded query is a multiple of this.
const QUERY_BLOCK_BYTES: usize = 128;
/// RFC 6891 6.1.2: an OPT record without options, and an option without its data.
const OPT_BYTES: usize = 11;
const OPTION_BYTES: usize = 4;
/// The longest query: name 255, header 12, type and class 4, OPT 11 and cookie 44 octets are less, and so is their next multiple of 128.
const QUERY_BYTES_MAX: usize = 512;

/// One question for one server.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    pub server: SocketAddr,
    /// The server is asked over an encrypted connection, and in no other way.
    pub tls: Option<&'a Arc<TlsServer>>,
    /// Whose servers are asked, for whoever watches.
    pub zone: Option<&'a Name>,
    /// For a server to which IPv4 has no route.
    pub translator: Option<Translator>,
    pub question: &'a Question,
    pub recursion_desired: bool,
    pub checking_disabled: bool,
    /// `None`: no OPT at all, for servers that cannot bear one.
    pub edns: Option<EdnsOut<'a>>,
    /// Mix the letter case of the name and insist on getting it back ("0x20"); not for servers that change it.
    pub randomise_case: bool,
    /// For the UDP exchange.
    pub timeout: Duration,
    /// Set after a shorter time, when the reply is overdue. The exchange goes on waiting for it.
    pub overdue: Option<(Duration, &'a Cell<bool>)>,
    /// For the TCP exchange, connecting included.
    pub tcp_timeout: Duration,
    pub force_tcp: bool,
    /// What to do where no socket is free.
    pub wait: SocketWait<'a>,
}

/// How a query waits for a socket. The time-outs of the exchange begin when it has one.
#[derive(Clone, Copy)]
pub struct SocketWait<'a> {
    pub most: Duration,
    /// For whom: clients take turns.
    pub client: u64,
    /// How much is known of the way to the answer. Where others have found more during the wait, the query is not sent.
    pub known: Option<&'a dyn Fn() -> usize>,
}

impl SocketWait<'_> {
    pub(super) fn known(&self) -> usize {
        self.known.map_or(0, |known| known())
    }
}

impl fmt::Debug for SocketWait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketWait").field("most", &self.most).field("client", &self.client).finish_non_exhaustive()
    }
}

/// The OPT of a query.
#[derive(Clone, Copy, Debug)]
pub struct EdnsOut<'a> {
    pub udp_size: u16,
    pub dnssec_ok: bool,
    /// Our client cookie, followed by the server's if it gave one before.
    pub cookie: Option<&'a [u8]>,
}

pub(super) struct Query {
    bytes: Vec<u8>,
    id: u16,
    question: SmallVec<[u8; 64]>,
    /// The reply must show the same letter case.
    case_is_secret: bool,
    cookie: Option<CookieSent>,
    /// A longer UDP reply exceeds the size that we offered, and came in fragments that anybody may have replaced.
    reply_bytes_max: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct CookieSent {
    pub client: [u8; COOKIE_CLIENT_BYTES],
    /// The server has sent a cookie before.
    pub expected_back: bool,
}

impl Query {
    /// Draws ID and letter case; the question's name is in lower case.
    pub fn new(ask: &Ask<'_>, random: &Random) -> Query {
        let id = random.u16();
        // Nobody can forge what comes over an encrypted connection.
        let secrets = ask.tls.is_none();
        let question = question_wire(ask.question, (ask.randomise_case && secrets).then_some(random));
        let cookie = ask.edns.and_then(|edns| edns.cookie);
        let cookie = cookie.filter(|cookie| secrets && (COOKIE_CLIENT_BYTES..=COOKIE_BYTES_MAX).contains(&cookie.len()));
        let mut writer = Writer::new(Vec::with_capacity(question.len() + 80), QUERY_BYTES_MAX);
        let flags = Flags(0).with(Flags::RD, ask.recursion_desired).with(Flags::CD, ask.checking_disabled);
        writer.header(Header { id, flags, counts: [0; 4] });
        writer.question_wire(&question).expect("a question of at most 259 octets fits");
        if let Some(edns) = ask.edns {
            let mut options: SmallVec<[(OptionCode, &[u8]); 2]> = cookie.map(|cookie| (OptionCode::COOKIE, cookie)).into_iter().collect();
            if let Some(server) = ask.tls {
                // RFC 7828 3.2.1: the server may say how long it keeps a connection, which HTTP/2 says in its own way.
                if *server.protocol() == EncryptedProtocol::Tls {
                    options.push((OptionCode::TCP_KEEPALIVE, &[]));
                }
                let len = HEADER_BYTES + question.len() + OPT_BYTES + OPTION_BYTES * (options.len() + 1);
                let padding = len.next_multiple_of(QUERY_BLOCK_BYTES) - len;
                options.push((OptionCode::PADDING, &[0; QUERY_BLOCK_BYTES][..padding]));
            }
            writer.opt(edns.udp_size, Rcode::NOERROR, edns.dnssec_ok, &options).expect("cookie or padding, and 11 octets, fit");
        }
        Query {
            bytes: writer.finish(),
            id,
            question,
            case_is_secret: ask.randomise_case && secrets,
            cookie: cookie.and_then(CookieSent::from_wire),
            reply_bytes_max: usize::from(ask.edns.map_or(512, |edns| edns.udp_size)).max(512),
        }
    }

    /// The message as UDP sends it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// ID of the message as UDP sends it.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// Name, type and class as sent.
    pub fn question(&self) -> &[u8] {
        &self.question
    }

    /// Whether the letter case was mixed, so that a reply must repeat it.
    pub fn case_is_secret(&self) -> bool {
        self.case_is_secret
    }

    /// The cookie that was sent, if any.
    pub fn cookie(&self) -> Option<CookieSent> {
        self.cookie
    }

    /// Octets of the longest UDP reply that was offered.
    pub fn reply_bytes_max(&self) -> usize {
        self.reply_bytes_max
    }

    /// For a connection, where the ID must differ from those in flight.
    pub fn framed(&self, id: u16) -> impl Iterator<Item = u8> {
        let len = self.bytes.len() as u16;
        len.to_be_bytes().into_iter().chain(id.to_be_bytes()).chain(self.bytes.iter().skip(2).copied())
    }
}

impl CookieSent {
    fn from_wire(cookie: &[u8]) -> Option<CookieSent> {
        let client = *cookie.first_chunk()?;
        Some(CookieSent { client, expected_back: cookie.len() > COOKIE_CLIENT_BYTES })
    }
}

fn question_wire(question: &Question, mixed_by: Option<&Random>) -> SmallVec<[u8; 64]> {
    let mut wire = SmallVec::from_slice(question.name.as_wire());
    if let Some(random) = mixed_by {
        dns0x20::randomise(&mut wire, random);
    }
    wire.extend_from_slice(&question.rtype.0.to_be_bytes());
    wire.extend_from_slice(&Class::IN.0.to_be_bytes());
    wire
}
