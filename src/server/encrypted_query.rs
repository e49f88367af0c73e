//! One question to one server over an encrypted connection, for those who look whether servers can be reached; and which servers
//! those are. The calling thread waits, so it must be one that may.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Settings;
use crate::env::{Random, RealClock, RealNet};
use crate::limits::Limits;
use crate::record::{Name, Question};
use crate::resolve::{Anchors, Routes};
use crate::upstream::{Ask, AskError, EdnsOut, SocketWait, TlsServer, Upstream};

/// The servers of forward and stub rules, with what proves those that are asked over encrypted connections.
pub(in crate::server) struct Forwarders(Routes);

impl Forwarders {
    /// The files of CAs have been read into the settings.
    pub(in crate::server) fn new(settings: &Settings) -> Forwarders {
        Forwarders(Routes::new(settings, Limits::default(), Vec::new(), Anchors::default(), Arc::new(RealClock)))
    }

    /// Those of the rule for this zone, as far as their addresses are configured.
    pub(in crate::server) fn of(&self, zone: &Name) -> Vec<(SocketAddr, Option<Arc<TlsServer>>)> {
        let rule = self.0.nearest_rule(zone).filter(|rule| rule.zone == *zone);
        rule.map_or_else(Vec::new, |rule| rule.addresses().collect())
    }
}

/// The reply, whatever it says. `dnssec`: with DO.
pub(in crate::server) fn ask_encrypted(
    server: SocketAddr,
    tls: &Arc<TlsServer>,
    question: &Question,
    dnssec: bool,
    wait: Duration,
) -> Result<Vec<u8>, AskError> {
    let short = |error: io::Error| AskError::NoSocket(error.kind());
    let random = Random::from_system().map_err(short)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(short)?;
    let limits = Limits::default();
    let ask = Ask {
        server,
        tls: Some(tls),
        zone: None,
        translator: None,
        question,
        recursion_desired: true,
        checking_disabled: false,
        edns: Some(EdnsOut { udp_size: limits.edns_udp_bytes, dnssec_ok: dnssec, cookie: None }),
        randomise_case: false,
        timeout: wait,
        overdue: None,
        tcp_timeout: wait,
        force_tcp: false,
        wait: SocketWait { most: wait, client: 0, known: None },
    };
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let upstream = Upstream::new(Rc::new(RealNet::default()), Rc::new(random), &limits);
        upstream.ask(&ask).await.map(|reply| reply.bytes)
    })
}
