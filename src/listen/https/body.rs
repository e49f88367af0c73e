//! The body of a reply, which counts among the octets held for its connection until the last of them has been written.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Buf;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::listen::limits::Permit;

/// What one connection holds for its client.
pub(super) struct Held {
    pub(super) permit: Permit,
    /// Told when octets have been given back.
    pub(super) room: Notify,
    /// When the client last read something.
    pub(super) moved: Cell<Instant>,
    /// Octets of responses among those that are held.
    pub(super) unread: Cell<usize>,
}

impl Held {
    /// `None`: there is no room for so many octets.
    pub(super) fn reserve(self: &Rc<Self>, octets: usize, must: bool) -> Option<Reserved> {
        self.permit.reserve(octets, must).then(|| Reserved { held: Rc::clone(self), octets })
    }
}

/// Octets that are given back when this is dropped.
pub(super) struct Reserved {
    held: Rc<Held>,
    octets: usize,
}

impl Reserved {
    /// False if there is no room for so many more octets.
    pub(super) fn grow(&mut self, more: usize) -> bool {
        let has_room = self.held.permit.reserve(more, false);
        self.octets += if has_room { more } else { 0 };
        // The rest of the body has to come first.
        self.held.permit.waits();
        has_room
    }

    /// The octets of the reply that this was reserved for.
    pub(super) fn hold(&mut self, octets: usize) {
        let Held { permit, unread, .. } = &*self.held;
        match octets.checked_sub(self.octets) {
            // If there is no room, the connection is closed, and with it ends whoever would write the reply.
            Some(more) => _ = permit.hold(more, unread.get()),
            None => permit.release(self.octets - octets),
        }
        self.octets = octets;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.held.permit.release(self.octets);
        // Nobody else may be there to say it: requests run beside their connection.
        self.held.permit.waits();
        self.held.room.notify_waiters();
    }
}

/// Empty, or one message.
pub(super) struct ReplyBody(Option<Message>);

impl ReplyBody {
    pub(super) fn empty() -> ReplyBody {
        ReplyBody(None)
    }

    pub(super) fn message(octets: Vec<u8>, reserved: Reserved) -> ReplyBody {
        let held = &reserved.held;
        if held.unread.get() == 0 {
            held.moved.set(Instant::now());
        }
        held.unread.set(held.unread.get() + octets.len());
        ReplyBody(Some(Message { octets, written: 0, reserved }))
    }
}

pub(super) struct Message {
    octets: Vec<u8>,
    written: usize,
    reserved: Reserved,
}

impl Drop for Message {
    fn drop(&mut self) {
        let held = &self.reserved.held;
        held.unread.set(held.unread.get() - self.octets.len());
        held.moved.set(Instant::now());
    }
}

impl Buf for Message {
    fn remaining(&self) -> usize {
        self.octets.len() - self.written
    }

    fn chunk(&self) -> &[u8] {
        self.octets.get(self.written..).unwrap_or_default()
    }

    fn advance(&mut self, count: usize) {
        self.written = (self.written + count).min(self.octets.len());
        self.reserved.held.moved.set(Instant::now());
    }
}

impl Body for ReplyBody {
    type Data = Message;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Message>, Infallible>>> {
        Poll::Ready(self.0.take().map(|message| Ok(Frame::data(message))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |message| message.remaining() as u64))
    }
}
