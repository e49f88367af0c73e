//! A listening TCP socket. Small replies must not wait for the client's acknowledgement of earlier ones, so Nagle's
//! algorithm is off on accepted connections. The writer joins replies into one call instead.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::net::TcpListener;

use super::super::net::{Accepted, StreamListener};
use super::syscalls::plain;

/// A listening TCP socket of the kernel.
pub struct RealStreamListener(TcpListener);

impl RealStreamListener {
    /// Takes a socket from `bind_tcp`. To be called on the thread that will read it, inside its runtime.
    pub fn new(listener: std::net::TcpListener) -> io::Result<RealStreamListener> {
        TcpListener::from_std(listener).map(RealStreamListener)
    }
}

impl StreamListener for RealStreamListener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let (stream, peer) = ready!(self.0.poll_accept(cx))?;
        let local = stream.local_addr()?;
        stream.set_nodelay(true)?;
        Poll::Ready(Ok(Accepted { stream: Box::new(stream), peer: plain(peer), local: plain(local) }))
    }
}
