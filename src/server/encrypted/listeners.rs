//! The addresses of encrypted transports, the threads that serve them, and how the addresses change at a reload.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::config::ServerSettings;
use crate::limits::server::ADDRESS_CLOSE_MAX;
use crate::listen::{Encrypted, EncryptedAddr, HttpsUris, ListenerChange};
use crate::server::engine::Engine;
use crate::server::ports::{BindError, bind_stream};

/// Where these settings have encrypted transports served.
pub(in crate::server) fn wanted(server: &ServerSettings) -> Vec<EncryptedAddr> {
    let tls = server.listen_tls.iter().map(|addr| EncryptedAddr { over: Encrypted::Tls, addr: *addr });
    let https = server.listen_https.iter().map(|addr| EncryptedAddr { over: Encrypted::Https, addr: *addr });
    tls.chain(https).collect()
}

/// The URIs of DNS over HTTPS.
pub(in crate::server) fn uris(server: &ServerSettings) -> HttpsUris {
    HttpsUris { path: server.https_path.clone(), json: server.https_json }
}

pub(in crate::server) struct EncryptedListening {
    engine: Arc<dyn Engine>,
    /// How many threads serve, once there is anything to serve.
    thread_count: usize,
    threads: Vec<mpsc::UnboundedSender<ListenerChange<TcpListener>>>,
    open: Vec<EncryptedAddr>,
    stop: watch::Receiver<bool>,
    /// Dropped by each thread when it ends.
    ended: mpsc::UnboundedSender<usize>,
}

/// What a change came to.
#[derive(Debug, Default)]
pub(in crate::server) struct Changed {
    pub(in crate::server) opened: Vec<EncryptedAddr>,
    pub(in crate::server) closed: Vec<EncryptedAddr>,
    pub(in crate::server) failed: Vec<BindError>,
}

impl EncryptedListening {
    pub(in crate::server) fn new(
        engine: Arc<dyn Engine>,
        thread_count: usize,
        stop: watch::Receiver<bool>,
        ended: mpsc::UnboundedSender<usize>,
    ) -> EncryptedListening {
        EncryptedListening { engine, thread_count, threads: Vec::new(), open: Vec::new(), stop, ended }
    }

    pub(in crate::server) fn addrs(&self) -> &[EncryptedAddr] {
        &self.open
    }

    /// Has the threads listen on sockets that are bound already, one for each.
    pub(in crate::server) fn open(&mut self, at: EncryptedAddr, listeners: Vec<TcpListener>) -> io::Result<()> {
        self.start_threads()?;
        for (thread, listener) in self.threads.iter().zip(listeners) {
            // Fails only where the thread has ended, which ends the server.
            let _ = thread.send(ListenerChange::Open { at, listener });
        }
        self.open.push(at);
        Ok(())
    }

    /// Opens what is new and closes what is no longer wanted. A connection that stands stays.
    pub(in crate::server) async fn change_to(&mut self, wanted: &[EncryptedAddr]) -> Changed {
        let mut changed = Changed::default();
        let unwanted: Vec<EncryptedAddr> = self.open.iter().copied().filter(|at| !wanted.contains(at)).collect();
        for at in unwanted {
            self.close(at).await;
            changed.closed.push(at);
        }
        for at in wanted.iter().copied().filter(|at| !self.open.contains(at)).collect::<Vec<_>>() {
            let opened = bind_stream(at.addr, self.thread_count)
                .and_then(|listeners| self.open(at, listeners).map_err(|error| BindError::of_stream(at.addr, error)));
            match opened {
                Ok(()) => changed.opened.push(at),
                Err(error) => changed.failed.push(error),
            }
        }
        changed
    }

    /// Returns when the sockets are closed, or when a thread does not close them in time.
    async fn close(&mut self, at: EncryptedAddr) {
        let (done, mut closed) = mpsc::unbounded_channel();
        for thread in &self.threads {
            let _ = thread.send(ListenerChange::Close { at, done: done.clone() });
        }
        drop(done);
        if timeout(ADDRESS_CLOSE_MAX, closed.recv()).await.is_err() {
            tracing::warn!("{} is not closed yet: a thread is busy", at.addr);
        }
        self.open.retain(|known| *known != at);
    }

    fn start_threads(&mut self) -> io::Result<()> {
        for number in self.threads.len()..self.thread_count {
            let (sender, changes) = mpsc::unbounded_channel();
            let (engine, stop) = (Arc::clone(&self.engine), self.stop.clone());
            let at_end = AtEnd { number, ended: self.ended.clone() };
            thread::Builder::new().name(format!("cairn-tls-{number}")).spawn(move || {
                let _at_end = at_end;
                engine.work_encrypted(number, changes, stop);
            })?;
            self.threads.push(sender);
        }
        Ok(())
    }
}

/// Tells the control thread that a thread has ended, even by a panic.
struct AtEnd {
    number: usize,
    ended: mpsc::UnboundedSender<usize>,
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        // Fails only if the control thread is already gone.
        let _ = self.ended.send(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::engine::testing::Idle;

    fn free(over: Encrypted) -> EncryptedAddr {
        let listener = TcpListener::bind("127.86.0.1:0").expect("a port is free");
        EncryptedAddr { over, addr: listener.local_addr().expect("bound") }
    }

    #[tokio::test]
    async fn addresses_come_and_go_and_a_taken_one_is_told() {
        let (stop, stopped) = watch::channel(false);
        let (ended, mut ends) = mpsc::unbounded_channel();
        let mut listening = EncryptedListening::new(Arc::new(Idle::default()), 2, stopped, ended);
        assert!(listening.threads.is_empty(), "nothing to serve, no thread");
        let (dot, doh, taken) = (free(Encrypted::Tls), free(Encrypted::Https), free(Encrypted::Tls));
        let holder = TcpListener::bind(taken.addr).expect("free");
        let changed = listening.change_to(&[dot, taken]).await;
        assert_eq!((changed.opened, changed.failed.len(), listening.threads.len()), (vec![dot], 1, 2));
        drop(holder);
        let changed = listening.change_to(&[doh, taken]).await;
        assert_eq!((changed.closed, changed.opened), (vec![dot], vec![doh, taken]));
        assert_eq!(listening.addrs(), [doh, taken]);
        // From one transport to another at the same address.
        let swapped = EncryptedAddr { over: Encrypted::Tls, addr: doh.addr };
        let changed = listening.change_to(&[swapped]).await;
        assert_eq!((changed.opened, listening.addrs()), (vec![swapped], &[swapped][..]));
        stop.send(true).expect("threads wait for it");
        drop(listening);
        let mut numbers = Vec::new();
        while let Some(number) = ends.recv().await {
            numbers.push(number);
        }
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1]);
    }
}
