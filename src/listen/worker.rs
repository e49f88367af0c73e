//! One worker: all its loops until the stop, then a clean shutdown.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_local};

use super::dispatch::{Admission, Answer, Dispatch};
use super::{stream, udp};
use crate::env::{Clock, DatagramSocket, RealDatagramSocket, RealStreamListener, StreamListener};

/// Task polls between two checks of sockets and timers. tokio's default of 61 suits tasks that do little; one poll of a walk
/// takes about 10 us, and 61 of them would delay cached answers by more than half a millisecond. A check costs 0.3 us.
const EVENT_INTERVAL: u32 = 16;

/// What a worker is told about the addresses it listens on, by whoever took in a new configuration.
pub enum SocketChange<U, T> {
    Open {
        addr: SocketAddr,
        udp: U,
        tcp: T,
    },
    /// No new query is taken there; what was asked before is answered. `done` is dropped when the sockets are closed.
    Close {
        addr: SocketAddr,
        done: mpsc::UnboundedSender<()>,
    },
}

/// The socket changes that a reload sends to one worker.
pub type SocketChanges = mpsc::UnboundedReceiver<SocketChange<UdpSocket, TcpListener>>;

/// One address, its socket for datagrams and the loops that serve there.
struct Opened<S> {
    /// Unknown where nobody will ask to close it.
    addr: Option<SocketAddr>,
    udp: Rc<S>,
    loops: Vec<JoinHandle<()>>,
}

impl<S: DatagramSocket + 'static> Opened<S> {
    fn new<A: Answer>(dispatch: &Rc<Dispatch<A>>, addr: Option<SocketAddr>, udp: S, tcp: Option<Box<dyn StreamListener>>) -> Opened<S> {
        let udp = Rc::new(udp);
        let datagrams = spawn_local(udp::serve(Rc::clone(dispatch), Rc::clone(&udp)));
        let connections = tcp.map(|listener| spawn_local(accept(dispatch, listener)));
        Opened { addr, udp, loops: [datagrams].into_iter().chain(connections).collect() }
    }

    /// Takes no new work; what stands in the socket is answered.
    async fn close<A: Answer>(self, dispatch: &Rc<Dispatch<A>>) {
        for one in &self.loops {
            one.abort();
        }
        for one in self.loops {
            let _ = one.await;
        }
        udp::finish(dispatch, &self.udp).await;
    }
}

/// Serves until `stop` holds true or its sender is dropped; then takes no new work and lets work in progress finish within
/// `stop_ms`. Work that is not finished by then is lost with the runtime. Meanwhile opens and closes sockets as `next_change`
/// says, which is dropped while it waits, and called again.
///
/// Needs `tokio::task::spawn_local`: a `LocalRuntime` or a `LocalSet`.
pub async fn serve_worker<A: Answer, S: DatagramSocket + 'static>(
    answer: Rc<A>,
    udp: Vec<(Option<SocketAddr>, S)>,
    tcp: Vec<Box<dyn StreamListener>>,
    mut next_change: impl AsyncFnMut() -> SocketChange<S, Box<dyn StreamListener>>,
    clock: Arc<dyn Clock>,
    admission: Admission,
    mut stop: watch::Receiver<bool>,
) {
    let dispatch = Rc::new(Dispatch::new(answer, clock, admission, stop.clone()));
    let mut tcp = tcp.into_iter();
    let mut opened: Vec<Opened<S>> = udp.into_iter().map(|(addr, udp)| Opened::new(&dispatch, addr, udp, tcp.next())).collect();
    // Listeners without a datagram socket beside them.
    let others: Vec<_> = tcp.map(|listener| spawn_local(accept(&dispatch, listener))).collect();
    loop {
        let change = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            change = next_change() => change,
        };
        match change {
            SocketChange::Open { addr, udp, tcp } => opened.push(Opened::new(&dispatch, Some(addr), udp, Some(tcp))),
            SocketChange::Close { addr, done } => {
                for one in opened.extract_if(.., |one| one.addr == Some(addr)) {
                    one.close(&dispatch).await;
                }
                drop(done);
            }
        }
    }
    // All stop taking new work before the first is emptied.
    for one in opened.iter().flat_map(|one| &one.loops).chain(&others) {
        one.abort();
    }
    for one in others {
        let _ = one.await;
    }
    for one in opened {
        one.close(&dispatch).await;
    }
    let rest = async {
        dispatch.answered_all().await;
        dispatch.connections.emptied().await;
    };
    let _ = tokio::time::timeout(dispatch.bounds.now().stop, rest).await;
}

fn accept<A: Answer>(dispatch: &Rc<Dispatch<A>>, listener: Box<dyn StreamListener>) -> impl Future<Output = ()> + use<A> {
    let starting = Rc::clone(dispatch);
    stream::accept(Rc::clone(dispatch), listener, move |accepted| stream::start(&starting, accepted))
}

/// The sockets of one worker, as `env::bind_udp` and `env::bind_tcp` return them.
#[derive(Default)]
pub struct Sockets {
    pub udp: Vec<UdpSocket>,
    pub tcp: Vec<TcpListener>,
}

/// The main function of one worker's thread; it calls `make` inside its runtime. Returns after the stop, or at once with the
/// reason why it cannot serve.
pub fn run_worker<A: Answer>(
    make: impl FnOnce() -> io::Result<Rc<A>>,
    sockets: Sockets,
    mut changes: SocketChanges,
    clock: Arc<dyn Clock>,
    admission: Admission,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().event_interval(EVENT_INTERVAL).build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let answer = make()?;
        let addrs: Vec<_> = sockets.udp.iter().map(|udp| udp.local_addr().ok()).collect();
        let (udp, tcp) = open(sockets)?;
        let udp = addrs.into_iter().zip(udp).collect();
        let next_change = async || {
            loop {
                match changes.recv().await {
                    Some(SocketChange::Open { addr, udp, tcp }) => match open(Sockets { udp: vec![udp], tcp: vec![tcp] }) {
                        Ok((mut udp, mut tcp)) => {
                            let (Some(udp), Some(tcp)) = (udp.pop(), tcp.pop()) else { continue };
                            return SocketChange::Open { addr, udp, tcp };
                        }
                        Err(error) => tracing::error!(%error, "a worker cannot listen on {addr}"),
                    },
                    Some(SocketChange::Close { addr, done }) => return SocketChange::Close { addr, done },
                    None => std::future::pending().await,
                }
            }
        };
        serve_worker(answer, udp, tcp, next_change, clock, admission, stop).await;
        Ok(())
    })
}

type RealSockets = (Vec<RealDatagramSocket>, Vec<Box<dyn StreamListener>>);

fn open(sockets: Sockets) -> io::Result<RealSockets> {
    let udp = sockets.udp.into_iter().map(RealDatagramSocket::new).collect::<io::Result<_>>()?;
    let boxed = |listener| RealStreamListener::new(listener).map(|listener| Box::new(listener) as Box<dyn StreamListener>);
    let tcp = sockets.tcp.into_iter().map(boxed).collect::<io::Result<_>>()?;
    Ok((udp, tcp))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::thread;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::LocalSet;
    use tokio::time::Instant;

    use super::super::fake::{Fake, FakeSocket, StoppedClock, admission, bounds, listener, peer, query};
    use super::*;
    use crate::env::{RealClock, bind_tcp, bind_udp};

    /// Starts to serve, hands the last datagram in just before the stop, and says how long the end took.
    async fn stopped_with(slowest: Vec<u8>) -> (Vec<u8>, Duration, Vec<u8>) {
        let socket = Rc::new(FakeSocket::default());
        let (dialler, listener) = listener();
        let (stop, stopped) = watch::channel(false);
        let run = async {
            let served = serve_worker(
                Rc::new(Fake::new()),
                vec![(None, SharedSocket(Rc::clone(&socket)))],
                vec![listener],
                async || std::future::pending().await,
                Arc::new(StoppedClock),
                admission(bounds()),
                stopped,
            );
            let served = spawn_local(served);
            socket.ask(query(1, b'w', 3), peer(1));
            socket.ask(slowest, peer(1));
            socket.ask(query(3, b'e', 0), peer(1));
            let mut client = dialler.dial(peer(2), 4096);
            client.write_all(&[&[0, 14][..], &query(4, b'w', 5)].concat()).await.expect("open");
            socket.replies(1).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            let began = Instant::now();
            let heard = spawn_local(async move {
                let mut heard = Vec::new();
                client.read_to_end(&mut heard).await.expect("closed in order");
                heard
            });
            stop.send(true).expect("served");
            socket.ask(query(5, b'e', 0), peer(1));
            socket.ask(query(6, b'w', 1), peer(1));
            served.await.expect("no panic");
            let took = began.elapsed();
            (socket.replies(0).await, took, heard.await.expect("no panic"))
        };
        LocalSet::new().run_until(run).await
    }

    struct SharedSocket(Rc<FakeSocket>);

    impl DatagramSocket for SharedSocket {
        fn poll_recv(
            &self,
            cx: &mut std::task::Context<'_>,
            batch: &mut crate::env::DatagramBatch,
        ) -> std::task::Poll<io::Result<crate::env::Rest>> {
            self.0.poll_recv(cx, batch)
        }

        fn send(&self, batch: &crate::env::DatagramBatch) -> usize {
            self.0.send(batch)
        }

        fn send_one(&self, bytes: &[u8], peer: SocketAddr, local: SocketAddr) -> io::Result<()> {
            self.0.send_one(bytes, peer, local)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_orderly_stop_finishes_what_is_under_way() {
        let (replies, took, heard) = stopped_with(query(2, b's', 0)).await;
        assert_eq!(replies, [3, 5, 1], "the known one that came last is answered, the new miss is not begun");
        assert!(took <= Duration::from_millis(51), "{took:?}");
        assert_eq!(heard[3], 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_does_not_wait_for_ever() {
        let (replies, took, heard) = stopped_with(query(2, b'g', 0)).await;
        assert_eq!(replies, [3, 5, 1]);
        assert_eq!((took, heard[3]), (bounds().stop, 4));
    }

    fn over_tcp(server: SocketAddr, question: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(server).expect("loopback");
        stream.write_all(&[&(question.len() as u16).to_be_bytes()[..], question].concat()).expect("open");
        let mut reply = vec![0; 2 + question.len()];
        stream.read_exact(&mut reply).expect("reply");
        reply.split_off(2)
    }

    fn over_udp(server: SocketAddr, question: &[u8]) -> Vec<u8> {
        let client = UdpSocket::bind("127.0.0.1:0").expect("free port");
        client.send_to(question, server).expect("loopback");
        let mut reply = vec![0; 512];
        let len = client.recv(&mut reply).expect("reply");
        reply[..len].to_vec()
    }

    #[test]
    fn threads_serve_on_real_sockets_until_the_stop() {
        let udp = bind_udp("127.0.0.1:0".parse().expect("address"), 2, 1 << 16).expect("free port");
        let tcp = bind_tcp("127.0.0.1:0".parse().expect("address"), 2).expect("free port");
        let (udp_at, tcp_at) = (udp[0].local_addr().expect("bound"), tcp[0].local_addr().expect("bound"));
        let (stop, stopped) = watch::channel(false);
        let admission = admission(bounds());
        let mut senders = Vec::new();
        let serve = |(udp, tcp)| {
            let (sockets, admission, stopped) = (Sockets { udp: vec![udp], tcp: vec![tcp] }, admission.clone(), stopped.clone());
            {
                let (sender, changes) = mpsc::unbounded_channel();
                senders.push(sender);
                thread::spawn(move || run_worker(|| Ok(Rc::new(Fake::new())), sockets, changes, Arc::new(RealClock), admission, stopped))
            }
        };
        let workers: Vec<_> = udp.into_iter().zip(tcp).map(serve).collect();
        for id in 0..8 {
            for what in *b"ew" {
                let mut expected = query(id, what, 0);
                expected[2] |= 0x80;
                assert_eq!(over_udp(udp_at, &query(id, what, 0)), expected);
                assert_eq!(over_tcp(tcp_at, &query(id, what, 0)), expected);
            }
        }
        // A further address, and then no longer the first one.
        let more = bind_udp("127.0.0.1:0".parse().expect("address"), 2, 1 << 16).expect("free port");
        let more_tcp = bind_tcp("127.0.0.1:0".parse().expect("address"), 2).expect("free port");
        let more_at = more[0].local_addr().expect("bound");
        let (done, mut closed) = mpsc::unbounded_channel();
        for ((sender, udp), tcp) in senders.iter().zip(more).zip(more_tcp) {
            sender.send(SocketChange::Open { addr: more_at, udp, tcp }).expect("served");
            sender.send(SocketChange::Close { addr: udp_at, done: done.clone() }).expect("served");
        }
        drop(done);
        assert_eq!(closed.blocking_recv(), None, "both workers have closed it");
        assert_eq!(over_udp(more_at, &query(9, b'e', 0))[..2], [0, 9]);
        bind_udp(udp_at, 1, 1 << 16).expect("the first is free again");
        stop.send(true).expect("served");
        workers.into_iter().for_each(|worker| worker.join().expect("no panic").expect("served"));
    }

    #[test]
    fn a_worker_that_cannot_start_is_reported() {
        let (_stop, stopped) = watch::channel(false);
        let make = || Err::<Rc<Fake>, _>(io::Error::other("no"));
        let started = run_worker(make, Sockets::default(), mpsc::unbounded_channel().1, Arc::new(RealClock), admission(bounds()), stopped);
        assert_eq!(started.map_err(|error| error.to_string()), Err("no".to_owned()));
    }
}
