//! Connections of load balancers in `server.proxy-from`: the header that says who the client is comes before anything else.
//!
//! ```text
//!   header | DNS over TCP                 every balancer
//!   header | TLS | DNS or HTTP            HAProxy, nginx
//!   TLS | header | DNS or HTTP            dnsdist
//! ```
//!
//! Both forms over TLS are told apart by their first octets. A listed balancer that sends no header is not served: its own
//! address says nothing of who asks. A header of anybody else is never looked at.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::dispatch::{Answer, Dispatch};
use super::proxy_header::{self, Ends, FIXED_BYTES, SIGNATURE};
use crate::answer::Client;
use crate::env::Stream;
use crate::limits::clients::PROXY_HEADER_BYTES_MAX;
use crate::metrics::Counter;

/// Where the header of a connection over TLS is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Inside {
    /// There is none to come.
    No,
    /// The first octets inside TLS.
    Yes,
}

/// Has the header of a TCP connection read, and goes on with the client that it names. `balancer`: who has connected.
pub(super) fn begin<A: Answer>(
    dispatch: &Rc<Dispatch<A>>,
    mut stream: Box<dyn Stream>,
    balancer: Client,
    then: impl FnOnce(Box<dyn Stream>, Client) + 'static,
) {
    let first = async move || {
        let client = of(balancer, read(&mut stream, Vec::new()).await?);
        Ok((stream, client))
    };
    read_first(dispatch, balancer, first, |(stream, client)| then(stream, client));
}

/// The same for a connection over TLS, whose header may be inside.
pub(super) fn begin_tls<A: Answer>(
    dispatch: &Rc<Dispatch<A>>,
    mut stream: Box<dyn Stream>,
    balancer: Client,
    then: impl FnOnce(Box<dyn Stream>, Client, Inside) + 'static,
) {
    let first = async move || {
        let mut start = vec![0; SIGNATURE.len()];
        stream.read_exact(&mut start).await?;
        if start == SIGNATURE {
            let client = of(balancer, read(&mut stream, start).await?);
            return Ok((stream, client, Inside::No));
        }
        let stream: Box<dyn Stream> = Box::new(Replayed { start, stream });
        Ok((stream, balancer, Inside::Yes))
    };
    read_first(dispatch, balancer, first, |(stream, client, inside)| then(stream, client, inside));
}

/// The balancer's connection has a place of its own until the client is known.
fn read_first<A: Answer, T: 'static>(
    dispatch: &Rc<Dispatch<A>>,
    balancer: Client,
    first: impl AsyncFnOnce() -> io::Result<T> + 'static,
    then: impl FnOnce(T) + 'static,
) {
    let permit = dispatch.admit_connection(balancer.peer.ip());
    let number = permit.number();
    let patience = dispatch.bounds.now().message;
    let shared = Rc::clone(dispatch);
    let task = spawn_local(async move {
        let read = timeout(patience, first()).await;
        drop(permit);
        match read {
            Ok(Ok(read)) => then(read),
            Ok(Err(_)) | Err(_) => shared.metrics.count(Counter::ProxyHeadersRefused),
        }
    });
    dispatch.connections.set_task(number, task.abort_handle());
}

/// Whose connection it is; `None`: the balancer's own.
pub(super) fn of(balancer: Client, ends: Option<Ends>) -> Client {
    match ends {
        Some(Ends { client, server }) => Client { peer: client, local: server, is_behind_balancer: true, ..balancer },
        None => balancer,
    }
}

/// Reads one header and nothing behind it; `read` has its first octets already.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin), mut read: Vec<u8>) -> io::Result<Option<Ends>> {
    let refused = || io::Error::from(io::ErrorKind::InvalidData);
    let begun = read.len();
    read.resize(FIXED_BYTES, 0);
    stream.read_exact(&mut read[begun..]).await?;
    let fixed = read.first_chunk::<FIXED_BYTES>().ok_or_else(refused)?;
    let len = proxy_header::whole_len(fixed).map_err(|_| refused())?;
    if len > PROXY_HEADER_BYTES_MAX {
        return Err(refused());
    }
    read.resize(len, 0);
    stream.read_exact(&mut read[FIXED_BYTES..]).await?;
    proxy_header::read(&read).map(|header| header.ends).map_err(|_| refused())
}

/// A stream of which some octets have been read already.
struct Replayed {
    /// To be read first.
    start: Vec<u8>,
    stream: Box<dyn Stream>,
}

impl AsyncRead for Replayed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.start.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, into);
        }
        let count = self.start.len().min(into.remaining());
        into.put_slice(&self.start[..count]);
        self.start.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replayed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
