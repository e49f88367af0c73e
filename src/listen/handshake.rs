//! TLS handshakes: how many may be under way, how long each may take, and in which order they use the processor.
//!
//! A handshake has one expensive step, when the ClientHello is there: key exchange and signature, a fifth of a millisecond. These
//! steps take turns, one between two rounds of the runtime, so that a flood of new connections makes handshakes wait, and not the
//! queries of connections that stand.

use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::Poll;

use rustls::server::Acceptor;
use tokio::sync::Semaphore;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::limits::{Connections, LiveBounds, Permit};
use super::tls::{Encrypted, Tls};
use crate::env::{BootTime, Stream};
use crate::limits::clients::{HANDSHAKE_MAX, HANDSHAKES_OF_ALLOWED, HANDSHAKES_OF_OTHERS, TLS_BUFFER_BYTES_MAX};
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
}

impl Handshakes {
    pub(super) fn new(tls: Tls, bounds: LiveBounds) -> Handshakes {
        Handshakes { tls, under_way: Rc::new(Connections::new(bounds)), turns: Semaphore::new(1) }
    }

    /// A client may not begin more handshakes in a second than this.
    pub(super) fn may_begin(&self, client: IpAddr, is_allowed: bool, now: BootTime) -> bool {
        let (per_second, burst) = if is_allowed { HANDSHAKES_OF_ALLOWED } else { HANDSHAKES_OF_OTHERS };
        self.tls.may_begin(client, Rate::of(per_second, burst), now)
    }

    /// `place` is held until the handshake has ended.
    pub(super) async fn perform(&self, over: Encrypted, stream: Box<dyn Stream>, place: Permit) -> io::Result<Secured> {
        let handshake = async {
            let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
            // Never closed.
            let turn = self.turns.acquire().await;
            let rest = hello.into_stream_with(self.tls.config(over), |connection| {
                connection.set_buffer_limit(Some(TLS_BUFFER_BYTES_MAX));
            });
            let mut rest = Box::pin(rest);
            let first = poll_fn(|cx| Poll::Ready(rest.as_mut().poll(cx))).await;
            tokio::task::yield_now().await;
            drop(turn);
            match first {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => rest.await,
            }
        };
        let outcome = tokio::time::timeout(HANDSHAKE_MAX, handshake).await;
        drop(place);
        outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map(Box::new)
    }
}
