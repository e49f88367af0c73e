//! The network, as narrow as what is needed of it. Real sockets stand behind these traits in service, an
//! in-memory internet in the simulation; nobody above can tell which.
//!
//! Towards servers: `UdpFlow` is one connected socket on a port of its own, used for one query at a time;
//! `Stream` one TCP (later TLS) connection. Towards clients: `DatagramSocket` receives and sends in batches,
//! each datagram with the local address it came to, so that replies leave from there.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Opens the ways out. One per worker, used on its thread alone.
pub trait Net {
    /// A fresh socket connected to `server`, bound to `port` (0: any). `AddrInUse` means: try another port.
    fn udp(&self, server: SocketAddr, port: u16) -> io::Result<Box<dyn UdpFlow>>;

    fn tcp(&self, server: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>>;
}

pub trait UdpFlow {
    fn send(&self, bytes: &[u8]) -> io::Result<()>;

    /// One datagram from the connected server; a refusal by its host comes as `ConnectionRefused`, once: a flow
    /// that reported an error may not report the next and is to be dropped.
    fn poll_recv(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>>;

    fn local_port(&self) -> u16;
}

pub trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// A connection that a client opened.
pub struct Accepted {
    pub stream: Box<dyn Stream>,
    pub peer: SocketAddr,
    pub local: SocketAddr,
}

pub trait StreamListener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>>;

    fn local_addr(&self) -> SocketAddr;
}

/// One datagram in a batch: `len` octets of the slot are filled.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    pub len: usize,
    pub peer: SocketAddr,
    /// Where the client sent it to; the reply leaves from here.
    pub local: SocketAddr,
    /// It was longer than the slot.
    pub cut_off: bool,
}

/// Slots of one allocation, reused from batch to batch. A reply is written over its query.
pub struct DatagramBatch {
    arena: Vec<u8>,
    entries: Vec<Datagram>,
}

impl DatagramBatch {
    /// Larger than any UDP reply we send and any honest query.
    pub const SLOT_BYTES: usize = 2048;
    pub const SLOTS: usize = 64;

    pub fn new() -> DatagramBatch {
        DatagramBatch { arena: vec![0; Self::SLOT_BYTES * Self::SLOTS], entries: Vec::with_capacity(Self::SLOTS) }
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.entries.len() == Self::SLOTS
    }

    /// The whole arena, for a receiver that fills several slots in one call and then `push`es each.
    pub fn arena(&mut self) -> &mut [u8] {
        &mut self.arena
    }

    pub fn push(&mut self, datagram: Datagram) {
        if !self.is_full() {
            self.entries.push(datagram);
        }
    }

    pub fn get(&self, index: usize) -> (&Datagram, &[u8]) {
        let entry = &self.entries[index];
        let start = index * Self::SLOT_BYTES;
        (entry, &self.arena[start..start + entry.len])
    }

    /// The entries with something to send, in order.
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

/// What is to be expected of a socket after a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rest {
    /// The next receive waits for what comes then.
    Nothing,
    /// The next receive may well not wait: others are to be given a turn before it.
    Probable,
}

impl Rest {
    /// A receive that fills less than a batch has emptied the socket.
    pub fn after(batch: &DatagramBatch) -> Rest {
        if batch.is_full() { Rest::Probable } else { Rest::Nothing }
    }
}

pub trait DatagramSocket {
    /// Fills an empty batch with what has come; ready with at least one datagram.
    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut DatagramBatch) -> Poll<io::Result<Rest>>;

    /// Sends every entry with `len` > 0 to its `peer` from its `local`. What the kernel refuses is dropped, never
    /// retried in a loop; the result is how many were dropped.
    fn send(&self, batch: &DatagramBatch) -> usize;

    /// One reply that took longer than its batch.
    fn send_one(&self, bytes: &[u8], peer: SocketAddr, local: SocketAddr) -> io::Result<()>;

    fn local_addr(&self) -> SocketAddr;
}
