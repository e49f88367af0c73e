//! Joins what HTTP writes into few TLS records: HTTP/2 flushes after each response, and each flush would be a record and a system
//! call. What is written waits here until the connection has nothing more to do.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::clients::{CORKED_BYTES_MAX, HTTP_TURN_BYTES_MAX, KEPT_BUFFER_BYTES_MAX};
use crate::listen::close;

/// One stream over TLS, for HTTP and for whoever polls HTTP and calls `poll_uncork` afterwards.
pub(super) struct Corked<S>(Rc<RefCell<Inner<S>>>);

impl<S> Clone for Corked<S> {
    fn clone(&self) -> Corked<S> {
        Corked(Rc::clone(&self.0))
    }
}

struct Inner<S> {
    stream: S,
    waiting: Vec<u8>,
    /// How many of them have been written.
    written: usize,
    /// Octets that may still be read before others get their turn.
    readable: usize,
}

impl<S: AsyncWrite + Unpin> Corked<S> {
    pub(super) fn new(stream: S) -> Corked<S> {
        Corked(Rc::new(RefCell::new(Inner { stream, waiting: Vec::new(), written: 0, readable: 0 })))
    }

    /// HTTP reads for as long as there is anything: it is made to stop after some octets, so that one client does not keep the thread.
    pub(super) fn begin_turn(&self) {
        self.0.borrow_mut().readable = HTTP_TURN_BYTES_MAX;
    }

    /// Writes what waits, and ends TLS in order (RFC 8446 6.1).
    pub(super) fn poll_close(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        ready!(inner.poll_drain(cx))?;
        Pin::new(&mut inner.stream).poll_shutdown(cx)
    }

    /// Reads and drops what the client still sends, of which so many octets are left to it.
    pub(super) fn poll_drop_input(&self, scratch: &RefCell<Vec<u8>>, left: &mut usize, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncRead,
    {
        close::poll_drain(&mut self.0.borrow_mut().stream, scratch, left, cx)
    }

    /// Writes what waits. Pending: the client does not read, and the task is woken when it does.
    pub(super) fn poll_uncork(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_drain(cx)
    }
}

impl<S: AsyncWrite + Unpin> Inner<S> {
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.waiting.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.waiting[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        self.written = 0;
        self.waiting.clear();
        if self.waiting.capacity() > KEPT_BUFFER_BYTES_MAX {
            self.waiting = Vec::new();
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// How many more octets may wait; at least one.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.waiting.len() >= CORKED_BYTES_MAX {
            ready!(self.poll_drain(cx))?;
        }
        Poll::Ready(Ok(CORKED_BYTES_MAX - self.waiting.len()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Corked<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        if inner.readable == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut inner.stream).poll_read(cx, into))?;
        inner.readable = inner.readable.saturating_sub(into.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(octets)])
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut inner = self.0.borrow_mut();
        let mut room = ready!(inner.poll_room(cx))?;
        let mut taken = 0;
        for slice in slices {
            let part = &slice[..slice.len().min(room)];
            inner.waiting.extend_from_slice(part);
            (room, taken) = (room - part.len(), taken + part.len());
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// `poll_uncork` does it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn a_turn_reads_no_more_than_its_share() {
        let (mut client, server) = tokio::io::duplex(4 * HTTP_TURN_BYTES_MAX);
        client.write_all(&[7; 3 * HTTP_TURN_BYTES_MAX]).await.expect("room");
        let mut stream = Corked::new(server);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            stream.begin_turn();
            let mut read = 0;
            let mut octets = [0; 8 << 10];
            loop {
                let mut into = ReadBuf::new(&mut octets);
                match Pin::new(&mut stream).poll_read(&mut cx, &mut into) {
                    Poll::Ready(done) => done.expect("open"),
                    Poll::Pending => break,
                }
                read += into.filled().len();
            }
            assert!((HTTP_TURN_BYTES_MAX..HTTP_TURN_BYTES_MAX + (8 << 10)).contains(&read), "{read}");
        }
    }
}
