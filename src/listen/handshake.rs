//! TLS handshakes: how many may be under way, how long each may take, and in which order they use the processor.
//!
//! A handshake has an expensive step, key exchange and signature, a fifth of a millisecond: when the ClientHello is there, or the
//! second one after a HelloRetryRequest (RFC 8446 4.1.4). TLS 1.2 has a second step, when the client's key is there. From the
//! ClientHello on, all steps take turns, one between two rounds of the runtime, so that a flood of new connections makes handshakes
//! wait, and not the queries of connections that stand.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use rustls::server::Acceptor;
use tokio::sync::{Notify, Semaphore};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::limits::{Connections, LiveBounds, Permit};
use super::tls::{Encrypted, Tls};
use crate::env::{BootTime, Stream};
use crate::limits::clients::{HANDSHAKE_MAX, HANDSHAKES_OF_OTHERS, RESUMED_GIVES_BACK_MILLI, TLS_BUFFER_BYTES_MAX};
use crate::policy::Rate;

/// In a box, because it is large and is handed on several times.
pub(super) type Secured = Box<TlsStream<Box<dyn Stream>>>;

/// The handshakes of one thread.
pub(super) struct Handshakes {
    tls: Tls,
    /// Connections without TLS yet. A new one is never refused: at the limit the oldest is closed, one of the same client if the
    /// client's limit is reached.
    pub(super) under_way: Rc<Connections>,
    turns: Semaphore,
    bounds: LiveBounds,
}

impl Handshakes {
    pub(super) fn new(tls: Tls, bounds: LiveBounds) -> Handshakes {
        Handshakes { tls, under_way: Rc::new(Connections::new(bounds.clone())), turns: Semaphore::new(1), bounds }
    }

    /// What clients of this kind may begin.
    fn rate(&self, is_allowed: bool) -> Rate {
        let bounds = self.bounds.now();
        let (per_second, burst) = if is_allowed { bounds.handshakes } else { HANDSHAKES_OF_OTHERS };
        Rate::of(per_second, burst)
    }

    /// False: its network has begun so many that it has to wait.
    pub(super) fn may_begin(&self, client: IpAddr, is_allowed: bool, now: BootTime) -> bool {
        self.tls.may_begin(client, self.rate(is_allowed), now)
    }

    /// A session that is resumed needs no signature.
    pub(super) fn was_resumed(&self, client: IpAddr, is_allowed: bool) {
        self.tls.give_back(client, self.rate(is_allowed), RESUMED_GIVES_BACK_MILLI);
    }

    /// `place` is held until the handshake has ended.
    pub(super) async fn perform(&self, over: Encrypted, stream: Box<dyn Stream>, place: Permit) -> io::Result<Secured> {
        let handshake = async {
            let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
            let mut rest = Box::pin(hello.into_stream_with(self.tls.config(over), |connection| {
                connection.set_buffer_limit(Some(TLS_BUFFER_BYTES_MAX));
            }));
            let woken = Arc::new(Woken(Notify::new()));
            let waker = Waker::from(Arc::clone(&woken));
            loop {
                // Never closed.
                let turn = self.turns.acquire().await;
                let outcome = rest.as_mut().poll(&mut Context::from_waker(&waker));
                tokio::task::yield_now().await;
                drop(turn);
                match outcome {
                    Poll::Ready(outcome) => return outcome,
                    Poll::Pending => woken.0.notified().await,
                }
            }
        };
        let outcome = tokio::time::timeout(HANDSHAKE_MAX, handshake).await;
        drop(place);
        outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map(Box::new)
    }
}

/// Remembers that a handshake can go on while it waits for its turn.
struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::ClientConfig;
    use rustls::crypto::{CryptoProvider, aws_lc_rs};
    use rustls::pki_types::ServerName;
    use tokio_rustls::TlsConnector;

    use super::super::encrypted_tests::certificate;
    use super::super::fake::{bounds, peer};
    use super::*;

    /// The last expensive step comes with the client's second flight, over TLS 1.2 and after a HelloRetryRequest.
    #[tokio::test(start_paused = true)]
    async fn later_steps_wait_for_their_turn_as_well() {
        let provider = |groups| CryptoProvider { kx_groups: groups, ..aws_lc_rs::default_provider() };
        use aws_lc_rs::kx_group::{MLKEM768, X25519};
        for (version, groups) in [(&rustls::version::TLS12, vec![X25519]), (&rustls::version::TLS13, vec![MLKEM768, X25519])] {
            let (certificate, roots) = certificate();
            let tls = Tls::new(7).expect("TLS");
            tls.show(certificate);
            let handshakes = Handshakes::new(tls, LiveBounds::new(bounds()));
            let config = ClientConfig::builder_with_provider(Arc::new(provider(groups))).with_protocol_versions(&[version]);
            let config = config.expect("a version").with_root_certificates(roots).with_no_client_auth();
            // The client's first flight passes at once, and what the server says waits until the client reads.
            let (client, server) = tokio::io::duplex(64 << 10);
            let (place, _) = handshakes.under_way.admit(peer(1).ip());
            let mut served = std::pin::pin!(handshakes.perform(Encrypted::Tls, Box::new(server), place));
            let name = ServerName::try_from("dns.example").expect("a name");
            let mut connected = std::pin::pin!(TlsConnector::from(Arc::new(config)).connect(name, client));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(connected.as_mut().poll(&mut cx).is_pending(), "the ClientHello is sent");
            while handshakes.turns.available_permits() == 1 {
                assert!(served.as_mut().poll(&mut cx).is_pending());
            }
            while handshakes.turns.available_permits() == 0 {
                assert!(served.as_mut().poll(&mut cx).is_pending());
                tokio::task::yield_now().await;
            }
            let others = handshakes.turns.acquire().await.expect("open");
            let both = async { tokio::join!(connected, served) };
            let mut both = std::pin::pin!(both);
            assert!(tokio::time::timeout(Duration::from_secs(1), both.as_mut()).await.is_err(), "it waits for its turn");
            drop(others);
            let (connected, served) = both.await;
            assert!(connected.is_ok() && served.is_ok());
        }
    }
}
