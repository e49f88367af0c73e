//! Joins what HTTP writes into few TLS records: HTTP/2 flushes after each response, and each flush would be a record and a system
//! call. What is written waits here until the connection has nothing more to do.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::clients::{CORKED_BYTES_MAX, KEPT_BUFFER_BYTES_MAX};
use crate::listen::handshake::Secured;

/// One stream, for HTTP and for whoever polls HTTP and calls `poll_uncork` afterwards.
#[derive(Clone)]
pub(super) struct Corked(Rc<RefCell<Inner>>);

struct Inner {
    stream: Secured,
    waiting: Vec<u8>,
    /// How many of them have been written.
    written: usize,
}

impl Corked {
    pub(super) fn new(stream: Secured) -> Corked {
        Corked(Rc::new(RefCell::new(Inner { stream, waiting: Vec::new(), written: 0 })))
    }

    /// Writes what waits. Pending: the client does not read, and the task is woken when it does.
    pub(super) fn poll_uncork(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_drain(cx)
    }
}

impl Inner {
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

impl AsyncRead for Corked {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Corked {
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
        let mut inner = self.0.borrow_mut();
        ready!(inner.poll_drain(cx))?;
        Pin::new(&mut inner.stream).poll_shutdown(cx)
    }
}
