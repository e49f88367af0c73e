//! Replies of one TCP connection that wait for the client to read. Room is asked for before a question is taken, so that each question
//! is answered once. The reply to a question that was taken has a place, or its connection is closed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::dispatch::MESSAGE_BYTES;
use super::limits::Permit;
use crate::env::Stream;
use crate::limits::clients::{KEPT_BUFFER_BYTES_MAX, OUTBOX_PIECE_BYTES_MAX, REPLY_BYTES_USUAL};

/// The outbox grows by at least this.
const GROW_BYTES: usize = 4096;

/// Answers for the client of one connection.
pub(super) struct Replies {
    pub(super) permit: Permit,
    pub(super) outbox: RefCell<Outbox>,
    pub(super) bytes_most: usize,
    /// All connections together have no room: nothing more is taken before the client has read.
    pub(super) is_crowded: Cell<bool>,
}

/// The octets that are held for a question in progress: its own, and those of a reply of usual length.
pub(super) struct Room(usize);

impl Replies {
    pub(super) fn is_empty(&self) -> bool {
        self.outbox.borrow().is_empty()
    }

    pub(super) fn unsent_bytes(&self) -> usize {
        let outbox = self.outbox.borrow();
        outbox.unsent().len() + outbox.behind_bytes
    }

    /// Whether one more question may be taken.
    pub(super) fn has_room(&self) -> bool {
        self.permit.bytes() < self.bytes_most && !self.must_wait()
    }

    fn must_wait(&self) -> bool {
        self.is_crowded.get() && self.unsent_bytes() > 0
    }

    /// Room for a question of so many octets. `None`: there is none.
    pub(super) fn room_for(&self, query_len: usize) -> Option<Room> {
        let octets = query_len + REPLY_BYTES_USUAL;
        self.reserve(octets).then_some(Room(octets))
    }

    fn reserve(&self, octets: usize) -> bool {
        let has_room = self.permit.reserve(octets, self.unsent_bytes() == 0);
        self.is_crowded.set(!has_room);
        has_room
    }

    /// One message of a transfer. False if there is no room.
    pub(super) fn push(&self, message: &[u8]) -> bool {
        let framed = framed_len(message);
        if !self.reserve(framed) {
            return false;
        }
        if framed > 0 {
            self.outbox.borrow_mut().push(message);
        }
        true
    }

    /// The end of a question that was taken. Without a reply, only its room is given back.
    pub(super) fn give(&self, Room(octets): Room, reply: &[u8]) {
        let framed = framed_len(reply);
        let is_held = match framed.checked_sub(octets) {
            Some(more) => self.permit.hold(more, self.unsent_bytes()),
            None => {
                self.permit.release(octets - framed);
                true
            }
        };
        if is_held && framed > 0 {
            self.outbox.borrow_mut().push(reply);
        }
    }

    pub(super) fn poll_write(&self, stream: &mut Box<dyn Stream>, cx: &mut Context<'_>) -> io::Result<bool> {
        let (written, has_flushed) = self.outbox.borrow_mut().poll_write(stream, cx)?;
        if written > 0 {
            self.permit.release(written);
            self.is_crowded.set(false);
        }
        Ok(written > 0 || has_flushed)
    }

    /// When the client last read something, if something is waiting for it.
    pub(super) fn unread_since(&self) -> Option<Instant> {
        let outbox = self.outbox.borrow();
        (!outbox.is_empty()).then_some(outbox.moved)
    }
}

/// Octets of a message with its length prefix. One that is longer than any message is a bug, and is not sent.
fn framed_len(message: &[u8]) -> usize {
    if message.is_empty() || message.len() > MESSAGE_BYTES { 0 } else { 2 + message.len() }
}

/// Replies waiting to be written, each with its length prefix.
pub(super) struct Outbox {
    bytes: Vec<u8>,
    written: usize,
    /// What follows `bytes`; empty if that is.
    behind: VecDeque<Vec<u8>>,
    behind_bytes: usize,
    /// The stream has octets of its own that are not on their way: TLS seals what it takes, and keeps what the kernel refuses.
    pub(super) is_unflushed: bool,
    /// When the client last read something, or when the first reply was put here.
    pub(super) moved: Instant,
}

impl Outbox {
    pub(super) fn new(now: Instant) -> Outbox {
        Outbox { bytes: Vec::new(), written: 0, behind: VecDeque::new(), behind_bytes: 0, is_unflushed: false, moved: now }
    }

    /// `reply` has at most 65,535 octets.
    pub(super) fn push(&mut self, reply: &[u8]) {
        let len = reply.len() as u16;
        if self.bytes.is_empty() {
            self.moved = Instant::now();
        }
        let needed = 2 + reply.len();
        if !self.behind.is_empty() || self.bytes.len() + needed > OUTBOX_PIECE_BYTES_MAX {
            self.behind.push_back([&len.to_be_bytes()[..], reply].concat());
            self.behind_bytes += needed;
            return;
        }
        if self.bytes.capacity() - self.bytes.len() < needed {
            // Doubling the buffer would hold twice the octets that are counted.
            self.bytes.reserve_exact(needed.max(GROW_BYTES));
        }
        self.bytes.extend_from_slice(&len.to_be_bytes());
        self.bytes.extend_from_slice(reply);
    }

    /// Nothing waits for the client to read.
    pub(super) fn is_empty(&self) -> bool {
        self.unsent().is_empty() && !self.is_unflushed
    }

    pub(super) fn unsent(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    pub(super) fn poll_write(&mut self, stream: &mut Box<dyn Stream>, cx: &mut Context<'_>) -> io::Result<(usize, bool)> {
        let mut sum = 0;
        while !self.unsent().is_empty() {
            match Pin::new(&mut *stream).poll_write(cx, &self.bytes[self.written..]) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => (self.written, sum) = (self.written + count, sum + count),
                Poll::Ready(Err(error)) => return Err(error),
            }
            if self.unsent().is_empty()
                && let Some(next) = self.behind.pop_front()
            {
                self.behind_bytes -= next.len();
                (self.bytes, self.written) = (next, 0);
            }
        }
        let was_unflushed = self.is_unflushed;
        if sum > 0 || was_unflushed {
            self.is_unflushed = match Pin::new(&mut *stream).poll_flush(cx) {
                Poll::Pending => true,
                Poll::Ready(flushed) => flushed.map(|()| false)?,
            };
        }
        let has_flushed = was_unflushed && !self.is_unflushed;
        if sum > 0 || has_flushed {
            self.moved = Instant::now();
            self.tidy();
        }
        Ok((sum, has_flushed))
    }

    pub(super) fn tidy(&mut self) {
        if self.unsent().is_empty() {
            self.written = 0;
            self.bytes.clear();
            if self.bytes.capacity() > KEPT_BUFFER_BYTES_MAX {
                self.bytes = Vec::new();
            }
        } else if self.written >= self.bytes.len() / 2 {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }
}
