//! The addresses that a running server listens on, and how they change at a reload.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::encrypted::EncryptedListening;
use super::ports::{self, BindError, Ports};
use crate::limits::server::ADDRESS_CLOSE_MAX;
use crate::listen::SocketChange;

pub(super) struct Listening {
    addrs: Vec<SocketAddr>,
    /// One for each worker.
    workers: Vec<mpsc::UnboundedSender<SocketChange<UdpSocket, TcpListener>>>,
    receive_bytes: usize,
    /// `None` only in tests.
    pub(super) encrypted: Option<EncryptedListening>,
}

/// What a change came to.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) opened: Vec<SocketAddr>,
    pub(super) closed: Vec<SocketAddr>,
    pub(super) failed: Vec<BindError>,
}

impl Listening {
    pub(super) fn new(
        addrs: Vec<SocketAddr>,
        workers: Vec<mpsc::UnboundedSender<SocketChange<UdpSocket, TcpListener>>>,
        receive_bytes: usize,
    ) -> Listening {
        Listening { addrs, workers, receive_bytes, encrypted: None }
    }

    pub(super) fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// Opens what is new before it closes what is no longer wanted: a server never listens nowhere.
    pub(super) async fn change_to(&mut self, wanted: &[SocketAddr]) -> Changed {
        let unwanted: Vec<SocketAddr> = self.addrs.iter().copied().filter(|addr| !wanted.contains(addr)).collect();
        let mut changed = Changed::default();
        let mut blocked = Vec::new();
        for addr in wanted.iter().copied().filter(|addr| !self.addrs.contains(addr)).collect::<Vec<_>>() {
            match self.bind(addr) {
                Ok(ports) => self.open(addr, ports, &mut changed),
                // A wildcard address and one of the machine's own are in each other's way.
                Err(error) if error.is_in_use() && unwanted.iter().any(|old| old.port() == addr.port()) => blocked.push(addr),
                Err(error) => changed.failed.push(error),
            }
        }
        if blocked.is_empty() && !self.addrs.iter().any(|addr| wanted.contains(addr)) {
            return changed;
        }
        for addr in unwanted {
            self.close(addr).await;
            changed.closed.push(addr);
        }
        for addr in blocked {
            match self.bind(addr) {
                Ok(ports) => self.open(addr, ports, &mut changed),
                Err(error) => changed.failed.push(error),
            }
        }
        if self.addrs.is_empty() {
            for addr in std::mem::take(&mut changed.closed) {
                if let Ok(ports) = self.bind(addr) {
                    self.open(addr, ports, &mut Changed::default());
                }
            }
        }
        changed
    }

    fn bind(&self, addr: SocketAddr) -> Result<Ports, BindError> {
        ports::bind_one(addr, self.workers.len(), self.receive_bytes)
    }

    fn open(&mut self, addr: SocketAddr, ports: Ports, changed: &mut Changed) {
        for (worker, sockets) in self.workers.iter().zip(ports.workers) {
            for (udp, tcp) in sockets.udp.into_iter().zip(sockets.tcp) {
                // Fails only where the worker has ended, which ends the server.
                let _ = worker.send(SocketChange::Open { addr, udp, tcp });
            }
        }
        self.addrs.push(addr);
        changed.opened.push(addr);
    }

    /// Returns when the sockets are closed, or when a worker does not close them in time.
    async fn close(&mut self, addr: SocketAddr) {
        let (done, mut closed) = mpsc::unbounded_channel();
        for worker in &self.workers {
            let _ = worker.send(SocketChange::Close { addr, done: done.clone() });
        }
        drop(done);
        if timeout(ADDRESS_CLOSE_MAX, closed.recv()).await.is_err() {
            tracing::warn!("{addr} is not closed yet: a worker is busy");
        }
        self.addrs.retain(|known| *known != addr);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(host: &str) -> SocketAddr {
        let tcp = TcpListener::bind((host, 0)).expect("a port is free");
        tcp.local_addr().expect("bound")
    }

    /// Stands for a worker: holds what it is given, and closes what it is told to.
    async fn work(mut changes: crate::listen::SocketChanges) {
        let mut held = Vec::new();
        while let Some(change) = changes.recv().await {
            match change {
                SocketChange::Open { addr, udp, tcp } => held.push((addr, udp, tcp)),
                SocketChange::Close { addr, .. } => held.retain(|(known, ..)| *known != addr),
            }
        }
    }

    #[tokio::test]
    async fn addresses_come_and_go() {
        let (sender, changes) = mpsc::unbounded_channel();
        let _work = tokio::spawn(work(changes));
        let (one, two) = (free("127.84.0.1"), free("127.84.0.1"));
        let mut listening = Listening::new(Vec::new(), vec![sender], 1 << 16);
        let changed = listening.change_to(&[one]).await;
        assert_eq!((changed.opened, changed.failed.len()), (vec![one], 0));
        let changed = listening.change_to(&[one, two]).await;
        assert_eq!((changed.opened, changed.closed.len()), (vec![two], 0));
        let any = SocketAddr::new("0.0.0.0".parse().expect("v4"), one.port());
        let changed = listening.change_to(&[any]).await;
        assert_eq!((changed.opened, changed.closed, listening.addrs()), (vec![any], vec![one, two], &[any][..]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stuck_worker_does_not_hold_a_reload_for_ever() {
        let (sender, _never_read) = mpsc::unbounded_channel();
        let (one, two) = (free("127.84.0.3"), free("127.84.0.3"));
        let mut listening = Listening::new(Vec::new(), vec![sender], 1 << 16);
        listening.change_to(&[one]).await;
        let changed = listening.change_to(&[two]).await;
        assert_eq!((changed.closed, listening.addrs()), (vec![one], &[two][..]));
    }

    #[tokio::test]
    async fn a_server_never_listens_nowhere() {
        let (sender, changes) = mpsc::unbounded_channel();
        let _work = tokio::spawn(work(changes));
        let mut listening = Listening::new(Vec::new(), vec![sender], 1 << 16);
        let (one, taken) = (free("127.84.0.2"), free("127.84.0.2"));
        listening.change_to(&[one]).await;
        let _holder = TcpListener::bind(taken).expect("free");
        let changed = listening.change_to(&[taken]).await;
        assert_eq!((changed.failed.len(), changed.closed.len(), listening.addrs()), (1, 0, &[one][..]));
    }
}
