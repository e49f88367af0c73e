//! One exchange with an encrypted server. Nobody on the way can forge a reply, so the secrets of UDP (letter case, cookies) are not
//! needed; the query is padded so that its length tells nothing (RFC 8467). It never goes out in any other way.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::connection::{Key, Secure};
use super::dns0x20;
use super::exchange::{AskError, Notes, Reply, Transport, Upstream};
use super::fault::TcpFault;
use super::query::{Ask, Query};
use super::tls_server::TlsServer;
use crate::config::EncryptedProtocol;

impl Upstream {
    /// Whether a query to this server needs no new connection.
    pub fn is_connected(&self, address: SocketAddr, server: &Arc<TlsServer>) -> bool {
        self.connections().is_connected(&Key { server: address, tls: Some(server.clone()) })
    }

    pub(super) async fn ask_encrypted(&self, ask: &Ask<'_>, server: &Arc<TlsServer>) -> Result<Reply, AskError> {
        let transport = match server.protocol() {
            EncryptedProtocol::Tls => Transport::Tls,
            EncryptedProtocol::Https(_) => Transport::Https,
        };
        let query = Query::new(ask, self.random());
        let key = Key { server: ask.server, tls: Some(server.clone()) };
        let fault = |fault| match fault {
            TcpFault::Timeout => AskError::Timeout { waited: ask.tcp_timeout, notes: Notes::default() },
            TcpFault::Connect(kind) if kind != io::ErrorKind::ConnectionRefused => AskError::Unreachable(kind),
            fault => AskError::TlsFailed { server: server.clone(), fault },
        };
        let sent = Instant::now();
        let mut waiting = self.connections().submit(&key, ask.translator, &query).map_err(fault)?;
        let watched = self.watched();
        let mut deadline = pin!(sleep_until(sent + ask.tcp_timeout));
        let mut is_asked_again = false;
        let mut overdue = ask.overdue;
        loop {
            let overdue_at = overdue.map(|(after, _)| (sent + after).min(waiting.silent_at()));
            let result = tokio::select! {
                biased;
                result = &mut waiting => result,
                () = deadline.as_mut() => return Err(fault(TcpFault::Timeout)),
                () = sleep_until(overdue_at.unwrap_or(sent)), if overdue_at.is_some() => {
                    // Something may have come meanwhile for another query, and then the connection lives.
                    if let Some((after, is_overdue)) = overdue
                        && Instant::now() >= (sent + after).min(waiting.silent_at())
                    {
                        is_overdue.set(true);
                        overdue = None;
                    }
                    continue;
                }
            };
            match result {
                Ok(arrived) => {
                    let mut bytes = arrived.message;
                    dns0x20::restore(&mut bytes, ask.question.name.as_wire());
                    let secure =
                        arrived.opened.map(|opened| Box::new(Secure { server: server.clone(), opened, is_first: arrived.is_first }));
                    let reply = Reply { bytes, rtt: arrived.rtt, transport, notes: Notes::default(), secure };
                    if let Some((witness, query_us)) = watched {
                        witness.replied(ask, query.bytes(), query_us, transport.name(), &reply.bytes);
                    }
                    return Ok(reply);
                }
                Err(failed) if failed.is_worth_another_try() && !is_asked_again => {
                    is_asked_again = true;
                    waiting = self.connections().submit(&key, ask.translator, &query).map_err(fault)?;
                }
                Err(failed) => return Err(fault(failed)),
            }
        }
    }
}
