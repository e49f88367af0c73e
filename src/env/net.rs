//! The network, reduced to what Cairn needs. In service real sockets stand behind these traits, in the simulation an
//! in-memory internet; the callers cannot tell which.
//!
//! Towards servers: `UdpFlow` is one connected socket on a port of its own, used for one query at a time; `Stream` is
//! one TCP or TLS connection. Towards clients: `DatagramSocket` receives and sends in batches, each datagram with the
//! local address that it was sent to, so that the reply leaves from there.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::stream::Stream;
use super::tls::{Secured, secure};

/// A future on one thread, as the traits here return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Opens sockets and connections to servers. One per worker, used on the worker's thread alone.
pub trait Net {
    /// A socket connected to `server`, bound to `port`, which the caller has drawn at random (0: any). In its place the
    /// system may draw another port by itself, as long as the ports of many calls are spread like those drawn by the
    /// caller. `AddrInUse` means that another port must be drawn.
    fn udp(&self, server: SocketAddr, port: u16) -> io::Result<Box<dyn UdpFlow>>;

    fn tcp(&self, server: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>>;

    /// Speaks TLS over a connection to the server of this name. A network in memory may leave it out.
    fn secure(
        &self,
        stream: Box<dyn Stream>,
        name: ServerName<'static>,
        client: Arc<ClientConfig>,
    ) -> BoxFuture<'static, io::Result<Secured>> {
        Box::pin(secure(stream, name, client))
    }
}

/// One UDP socket, connected to one server. Dropping it closes the port.
pub trait UdpFlow {
    fn send(&self, bytes: &[u8]) -> io::Result<()>;

    /// One datagram from the connected server. A refusal by its host is reported as `ConnectionRefused`, once: a flow
    /// that has reported an error may not report the next one, and is to be dropped.
    fn poll_recv(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>>;
}

/// Is this error one of our own machine, which has no descriptor, port or memory left? It says nothing of the server.
/// `AddrNotAvailable` is one of these only where other sockets of the same address family are open: it is also how a
/// machine without an address of that family reports itself.
pub fn is_own_shortage(error: &io::Error) -> bool {
    let by_kind = matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory);
    by_kind || is_out_of_descriptors(error) || matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ENOMEM))
}

/// True for EMFILE and ENFILE: the process or the system has no descriptor left.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// A connection that a client opened.
pub struct Accepted {
    pub stream: Box<dyn Stream>,
    pub peer: SocketAddr,
    pub local: SocketAddr,
}

/// A listening TCP socket.
pub trait StreamListener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>>;
}

/// One datagram in a batch; the first `len` octets of its slot are filled.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    pub len: usize,
    pub peer: SocketAddr,
    /// The address that the client sent it to; the reply leaves from here.
    pub local: SocketAddr,
    /// The datagram was longer than the slot.
    pub cut_off: bool,
}

/// Slots in one allocation, reused from batch to batch. A reply is written over its query.
pub struct DatagramBatch {
    arena: Vec<u8>,
    entries: Vec<Datagram>,
}

impl DatagramBatch {
    /// Larger than any UDP reply we send and any honest query.
    pub const SLOT_BYTES: usize = 2048;
    /// Datagrams in one batch.
    pub const SLOTS: usize = 64;

    /// An empty batch with all its memory.
    pub fn new() -> DatagramBatch {
        DatagramBatch { arena: vec![0; Self::SLOT_BYTES * Self::SLOTS], entries: Vec::with_capacity(Self::SLOTS) }
    }

    /// Makes the batch empty; the memory stays.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Datagrams in the batch, those without a reply included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without any datagram.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// True when no slot is left.
    pub fn is_full(&self) -> bool {
        self.entries.len() == Self::SLOTS
    }

    /// The whole arena, for a receiver that fills several slots in one call and then calls `push` for each.
    pub fn arena(&mut self) -> &mut [u8] {
        &mut self.arena
    }

    /// Adds the datagram whose octets are in the next free slot; the batch must not be full.
    pub fn push(&mut self, datagram: Datagram) {
        if !self.is_full() {
            self.entries.push(datagram);
        }
    }

    /// The entry and the octets it received.
    pub fn get(&self, index: usize) -> (&Datagram, &[u8]) {
        let entry = &self.entries[index];
        let start = index * Self::SLOT_BYTES;
        (entry, &self.arena[start..start + entry.len])
    }

    /// The entries that have something to send, in order.
    pub fn filled(&self) -> impl Iterator<Item = (&Datagram, &[u8])> {
        (0..self.entries.len()).map(|index| self.get(index)).filter(|(entry, _)| entry.len > 0)
    }

    /// The entry and its whole slot, to write a reply in place; set `len` to 0 to send nothing.
    pub fn get_mut(&mut self, index: usize) -> (&mut Datagram, &mut [u8]) {
        let start = index * Self::SLOT_BYTES;
        (&mut self.entries[index], &mut self.arena[start..start + Self::SLOT_BYTES])
    }
}

impl Default for DatagramBatch {
    fn default() -> DatagramBatch {
        DatagramBatch::new()
    }
}

/// Whether a socket has more to read after a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rest {
    /// The next receive waits until something comes.
    Nothing,
    /// The next receive may find something at once, so other tasks must have a turn before it.
    Probable,
}

impl Rest {
    /// A receive that fills less than a batch has emptied the socket.
    pub fn after(batch: &DatagramBatch) -> Rest {
        if batch.is_full() { Rest::Probable } else { Rest::Nothing }
    }
}

/// A listening UDP socket.
pub trait DatagramSocket {
    /// Fills an empty batch with what has arrived. Ready as soon as there is at least one datagram.
    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut DatagramBatch) -> Poll<io::Result<Rest>>;

    /// Sends every entry with `len` > 0 to its `peer` from its `local`. A datagram that the kernel refuses is dropped, and
    /// never retried in a loop. Returns the number dropped.
    fn send(&self, batch: &DatagramBatch) -> usize;

    /// Sends one reply that was not ready with its batch.
    fn send_one(&self, bytes: &[u8], peer: SocketAddr, local: SocketAddr) -> io::Result<()>;
}
