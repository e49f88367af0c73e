//! The threads that serve encrypted transports, beside the workers: handshakes and ciphers must not delay plain DNS.
//!
//! A connection over TLS is a TCP connection over another stream (`connection.rs`), or an HTTP connection (`https/`). Each thread
//! has its own listening sockets; it opens and closes them as it is told, and has none at its start.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

use super::connection;
use super::dispatch::{Admission, Answer, Dispatch};
use super::handshake::{Handshakes, Secured};
use super::https::{self, HttpsUris};
use super::limits::{LiveBounds, Permit};
use super::proxied::{self, Inside};
use super::stream;
use super::tls::{Encrypted, Tls};
use crate::answer::{Client, Transport};
use crate::env::{Accepted, Clock, RealStreamListener, Stream, StreamListener};
use crate::metrics::Counter;

/// Where an encrypted transport is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EncryptedAddr {
    pub over: Encrypted,
    pub addr: SocketAddr,
}

/// What a thread is told about the addresses it listens on.
pub enum ListenerChange<T> {
    Open {
        at: EncryptedAddr,
        listener: T,
    },
    /// Connections that stand stay. `done` is dropped when the socket is closed.
    Close {
        at: EncryptedAddr,
        done: mpsc::UnboundedSender<()>,
    },
}

/// What all threads for encrypted transports share.
#[derive(Clone)]
pub struct Encryption {
    pub tls: Tls,
    /// A reload may change them.
    pub uris: Arc<ArcSwap<HttpsUris>>,
    /// Bounds of handshakes under way.
    pub handshakes: LiveBounds,
}

struct Shared<A> {
    dispatch: Rc<Dispatch<A>>,
    handshakes: Handshakes,
    uris: Arc<ArcSwap<HttpsUris>>,
}

/// Serves until `stop` holds true or its sender is dropped; then takes no new connection and lets work in progress finish within
/// `stop_ms`. Needs a `LocalRuntime` or a `LocalSet`.
pub async fn serve_encrypted<A: Answer>(
    answer: Rc<A>,
    encryption: Encryption,
    mut next_change: impl AsyncFnMut() -> ListenerChange<Box<dyn StreamListener>>,
    clock: Arc<dyn Clock>,
    admission: Admission,
    mut stop: watch::Receiver<bool>,
) {
    let Encryption { tls, uris, handshakes } = encryption;
    let dispatch = Rc::new(Dispatch::new(answer, clock, admission, stop.clone()));
    let shared = Rc::new(Shared { dispatch: Rc::clone(&dispatch), handshakes: Handshakes::new(tls, handshakes), uris });
    let mut opened: Vec<(EncryptedAddr, JoinHandle<()>)> = Vec::new();
    loop {
        let change = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            change = next_change() => change,
        };
        match change {
            ListenerChange::Open { at, listener } => {
                let (shared, over) = (Rc::clone(&shared), at.over);
                let start = move |accepted| begin(&shared, over, accepted);
                opened.push((at, spawn_local(stream::accept(Rc::clone(&dispatch), listener, start))));
            }
            ListenerChange::Close { at, done } => {
                for (_, accepting) in opened.extract_if(.., |(known, _)| *known == at) {
                    accepting.abort();
                    let _ = accepting.await;
                }
                drop(done);
            }
        }
    }
    for (_, accepting) in opened {
        accepting.abort();
        let _ = accepting.await;
    }
    let rest = async {
        dispatch.answered_all().await;
        dispatch.connections.emptied().await;
    };
    let _ = tokio::time::timeout(dispatch.bounds.now().stop, rest).await;
}

fn begin<A: Answer>(shared: &Rc<Shared<A>>, over: Encrypted, accepted: Accepted) {
    let dispatch = &shared.dispatch;
    let Accepted { stream, peer, local } = accepted;
    let transport = match over {
        Encrypted::Tls => Transport::Tls,
        Encrypted::Https => Transport::Https,
    };
    let client = Client { peer, local, transport, is_behind_balancer: false };
    if dispatch.is_proxy(&dispatch.moment(), peer.ip()) {
        let shared = Rc::clone(shared);
        proxied::begin_tls(dispatch, stream, client, move |stream, client, inside| secure(&shared, over, stream, client, inside));
    } else {
        secure(shared, over, stream, client, Inside::No);
    }
}

/// `inside`: the client's address comes inside TLS, and until then the connection counts as the load balancer's.
fn secure<A: Answer>(shared: &Rc<Shared<A>>, over: Encrypted, stream: Box<dyn Stream>, client: Client, inside: Inside) {
    let Shared { dispatch, handshakes, .. } = &**shared;
    let peer = client.peer.ip();
    let (now, is_allowed) = dispatch.now_and_rights(peer);
    // A load balancer's handshakes are those of many clients.
    if inside == Inside::No && !handshakes.may_begin(peer, is_allowed, now) {
        dispatch.metrics.count(Counter::TlsHandshakesRefused);
        return;
    }
    let permit = dispatch.admit_connection(peer);
    let (place, evicted) = handshakes.under_way.admit(peer);
    dispatch.metrics.add(Counter::TlsHandshakesEvicted, usize::from(evicted.of_client) + usize::from(evicted.of_all));
    let (number, place_number) = (permit.number(), place.number());
    let shared = Rc::clone(shared);
    let task = spawn_local(async move {
        let Shared { dispatch, handshakes, .. } = &*shared;
        // Its memory goes with the handshake, and that of the conversation is as large as that needs.
        let mut stream = match Box::pin(handshakes.perform(over, stream, place)).await {
            Ok(stream) => stream,
            Err(_) => return dispatch.metrics.count(Counter::TlsHandshakesFailed),
        };
        dispatch.metrics.count(Counter::TlsHandshakes);
        let is_resumed = stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        if is_resumed {
            dispatch.metrics.count(Counter::TlsResumed);
            handshakes.was_resumed(peer, is_allowed);
        }
        if inside == Inside::No {
            return converse(&shared, over, stream, client, permit).await;
        }
        let Ok(Ok(ends)) = timeout(dispatch.bounds.now().message, proxied::read(&mut stream, Vec::new())).await else {
            return dispatch.metrics.count(Counter::ProxyHeadersRefused);
        };
        drop(permit);
        let client = proxied::of(client, ends);
        let permit = dispatch.admit_connection(client.peer.ip());
        let (number, connections) = (permit.number(), Rc::clone(&dispatch.connections));
        let shared = Rc::clone(&shared);
        let task = spawn_local(async move { converse(&shared, over, stream, client, permit).await });
        connections.set_task(number, task.abort_handle());
    });
    shared_tasks(&dispatch.connections, &handshakes.under_way, number, place_number, &task);
}

async fn converse<A: Answer>(shared: &Rc<Shared<A>>, over: Encrypted, stream: Secured, client: Client, permit: Permit) {
    let Shared { dispatch, uris, .. } = &**shared;
    match over {
        Encrypted::Tls => connection::converse(Rc::clone(dispatch), stream, client, permit).await,
        Encrypted::Https => {
            let uris = uris.load_full();
            Box::pin(https::converse(Rc::clone(dispatch), stream, client, permit, uris)).await;
        }
    }
}

fn shared_tasks(
    connections: &super::limits::Connections,
    handshakes: &super::limits::Connections,
    number: u64,
    place: u64,
    task: &JoinHandle<()>,
) {
    connections.set_task(number, task.abort_handle());
    handshakes.set_task(place, task.abort_handle());
}

/// The changes of listening sockets that one thread is sent.
pub type ListenerChanges = mpsc::UnboundedReceiver<ListenerChange<TcpListener>>;

/// The main function of one thread; it calls `make` inside its runtime. Returns after the stop, or at once with the reason why it
/// cannot serve.
pub fn run_encrypted<A: Answer>(
    make: impl FnOnce() -> io::Result<Rc<A>>,
    encryption: Encryption,
    mut changes: ListenerChanges,
    clock: Arc<dyn Clock>,
    admission: Admission,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let answer = make()?;
        let next_change = async || {
            loop {
                match changes.recv().await {
                    Some(ListenerChange::Open { at, listener }) => match RealStreamListener::new(listener) {
                        Ok(listener) => return ListenerChange::Open { at, listener: Box::new(listener) as Box<dyn StreamListener> },
                        Err(error) => tracing::error!(%error, "a thread cannot listen on {}", at.addr),
                    },
                    Some(ListenerChange::Close { at, done }) => return ListenerChange::Close { at, done },
                    None => std::future::pending().await,
                }
            }
        };
        serve_encrypted(answer, encryption, next_change, clock, admission, stop).await;
        Ok(())
    })
}
