//! DNS over TLS and HTTPS as clients see it: rustls and hyper as clients, over connections in memory and in virtual time.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ProtocolVersion, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::encrypted::{EncryptedAddr, Encryption, ListenerChange, serve_encrypted};
use super::fake::{ASKED, Dialler, Fake, LARGE_MADE, StoppedClock, admission, bounds, listener, local, peer, query, update};
use super::https::HttpsUris;
use super::limits::{Bounds, LiveBounds};
use super::tls::{Encrypted, Tls};
use crate::limits::clients::HANDSHAKE_MAX;

/// A certificate for `dns.example`, and a store of roots that has it.
pub(super) fn certificate() -> (Arc<CertifiedKey>, RootCertStore) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let parameters = rcgen::CertificateParams::new(vec!["dns.example".to_owned()]).expect("a name");
    let der: CertificateDer<'static> = parameters.self_signed(&key).expect("a certificate").der().clone();
    let mut roots = RootCertStore::empty();
    roots.add(der.clone()).expect("a root");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("PKCS#8");
    let key = aws_lc_rs::sign::any_supported_type(&key).expect("ECDSA");
    (Arc::new(CertifiedKey::new(vec![der], key)), roots)
}

pub(super) struct Server {
    pub(super) dialler: Dialler,
    tls: Tls,
    roots: RootCertStore,
    pub(super) metrics: Rc<Fake>,
    stop: watch::Sender<bool>,
}

/// Runs `test` beside a thread's loops with one listener.
async fn serving(over: Encrypted, bounds: Bounds, handshakes: Bounds, test: impl AsyncFnOnce(Server)) {
    serving_as(Fake::new(), over, bounds, handshakes, test).await;
}

pub(super) async fn serving_as(fake: Fake, over: Encrypted, bounds: Bounds, handshakes: Bounds, test: impl AsyncFnOnce(Server)) {
    let (certificate, roots) = certificate();
    let tls = Tls::new(7).expect("TLS");
    tls.show(certificate);
    let (dialler, listener) = listener();
    let (stop, stopped) = watch::channel(false);
    let encryption = Encryption {
        tls: tls.clone(),
        uris: Arc::new(ArcSwap::from_pointee(HttpsUris { path: "/dns-query".to_owned(), json: true })),
        handshakes: LiveBounds::new(handshakes),
    };
    let mut first = Some(ListenerChange::Open { at: EncryptedAddr { over, addr: local() }, listener });
    let next_change = async move || match first.take() {
        Some(change) => change,
        None => std::future::pending().await,
    };
    let metrics = Rc::new(fake);
    let served = serve_encrypted(Rc::clone(&metrics), encryption, next_change, Arc::new(StoppedClock), admission(bounds), stopped);
    let run = async {
        let served = spawn_local(served);
        let stopping = stop.clone();
        test(Server { dialler, tls, roots, metrics, stop }).await;
        let _ = stopping.send(true);
        served.await.expect("no panic");
    };
    LocalSet::new().run_until(run).await;
}

impl Server {
    pub(super) fn client(&self, protocols: &[&str], version: Option<&'static rustls::SupportedProtocolVersion>) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let versions = version.map_or(rustls::ALL_VERSIONS.to_vec(), |version| vec![version]);
        let builder = builder.with_protocol_versions(&versions).expect("versions");
        let mut config = builder.with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config
    }

    async fn connect(&self, from: SocketAddr, config: ClientConfig) -> std::io::Result<TlsStream<DuplexStream>> {
        self.handshake(config, self.dialler.dial(from, 64 << 10)).await
    }

    pub(super) async fn handshake(&self, config: ClientConfig, stream: DuplexStream) -> std::io::Result<TlsStream<DuplexStream>> {
        let name = ServerName::try_from("dns.example").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    async fn dot(&self, from: SocketAddr) -> TlsStream<DuplexStream> {
        self.connect(from, self.client(&["dot"], None)).await.expect("a handshake")
    }

    /// HTTP status, the header `cache-control`, and the body.
    async fn fetch(&self, config: ClientConfig, request: Request<Full<Bytes>>) -> (u16, Option<String>, Vec<u8>) {
        let is_2 = config.alpn_protocols == [b"h2".to_vec()];
        let io = TokioIo::new(self.connect(peer(1), config).await.expect("a handshake"));
        let response = if is_2 {
            let (mut sender, connection) = hyper::client::conn::http2::handshake(Local, io).await.expect("HTTP/2");
            spawn_local(connection);
            sender.send_request(request).await
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("HTTP/1.1");
            spawn_local(connection);
            sender.send_request(request).await
        };
        let response = response.expect("a response");
        let age = response.headers().get("cache-control").and_then(|age| age.to_str().ok()).map(str::to_owned);
        let status = response.status().as_u16();
        (status, age, response.into_body().collect().await.expect("a body").to_bytes().to_vec())
    }
}

#[derive(Clone)]
struct Local;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

fn framed(query: &[u8]) -> Vec<u8> {
    [&(query.len() as u16).to_be_bytes()[..], query].concat()
}

async fn ids(stream: &mut TlsStream<DuplexStream>, count: usize) -> Vec<u8> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let len = stream.read_u16().await.expect("a reply");
        let mut reply = vec![0; usize::from(len)];
        stream.read_exact(&mut reply).await.expect("a reply");
        ids.push(reply[1]);
    }
    ids
}

#[tokio::test(start_paused = true)]
async fn dot_answers_out_of_order_and_closes_in_order() {
    serving(Encrypted::Tls, Bounds { idle: Duration::from_secs(30), ..bounds() }, bounds(), async |server| {
        let mut client = server.dot(peer(1)).await;
        let both = [framed(&query(1, b'w', 2)), framed(&query(2, b'e', 0))].concat();
        client.write_all(&both).await.expect("open");
        assert_eq!(ids(&mut client, 2).await, [2, 1]);
        assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"dot"[..]));
        let began = Instant::now();
        assert_eq!(client.read(&mut [0; 8]).await.expect("a clean end, not a cut"), 0);
        assert_eq!(began.elapsed().as_secs(), 30, "idle");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn both_sides_tell_their_end() {
    serving(Encrypted::Tls, bounds(), bounds(), async |server| {
        let mut client = server.dot(peer(1)).await;
        client.write_all(&framed(&query(1, b'w', 2))).await.expect("open");
        client.shutdown().await.expect("open");
        assert_eq!(ids(&mut client, 1).await, [1]);
        assert_eq!(client.read(&mut [0; 8]).await.expect("a clean end, not a cut"), 0);
    })
    .await;
    serving(Encrypted::Https, bounds(), bounds(), async |server| {
        let mut client = server.connect(peer(1), server.client(&["http/1.1"], None)).await.expect("a handshake");
        client.write_all(b"NONSENSE\r\n\r\n").await.expect("open");
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.expect("a clean end, not a cut");
        assert!(heard.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&heard));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_network_begins_so_many_handshakes_and_no_more() {
    let handshakes = Bounds { handshakes: (1, 3), ..bounds() };
    let other = SocketAddr::from(([198, 51, 100, 7], 4_000));
    serving(Encrypted::Tls, bounds(), handshakes, async |server| {
        for from in [1, 2, 3] {
            server.dot(peer(from)).await;
        }
        assert!(server.connect(peer(4), server.client(&["dot"], None)).await.is_err(), "all are of one /24");
        server.dot(other).await;
    })
    .await;
    serving(Encrypted::Tls, bounds(), handshakes, async |server| {
        let config = server.client(&["dot"], None);
        let mut count = 0;
        while let Ok(mut client) = server.connect(peer(1), config.clone()).await {
            client.write_all(&framed(&query(1, b'e', 0))).await.expect("open");
            assert_eq!(ids(&mut client, 1).await, [1]);
            count += 1;
        }
        assert_eq!(count, 1 + 5, "three less one, and then five times a quarter, until less than one is left");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn large_answers_reach_a_slow_client_whole() {
    serving(Encrypted::Tls, bounds(), bounds(), async |server| {
        let name = ServerName::try_from("dns.example").expect("a name");
        let stream = server.dialler.dial(peer(1), 512);
        let mut client = TlsConnector::from(Arc::new(server.client(&["dot"], None))).connect(name, stream).await.expect("a handshake");
        for id in 1..=3 {
            client.write_all(&framed(&query(id, b'b', 255))).await.expect("open");
        }
        let mut count = 0;
        let mut octets = vec![0; 997];
        while count < 3 * (2 + 255 * 256) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            count += client.read(&mut octets).await.expect("open");
        }
        assert_eq!(count, 3 * (2 + 255 * 256));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn versions_tickets_and_protocols() {
    serving(Encrypted::Tls, bounds(), bounds(), async |server| {
        for (version, expected) in
            [(&rustls::version::TLS13, ProtocolVersion::TLSv1_3), (&rustls::version::TLS12, ProtocolVersion::TLSv1_2)]
        {
            let config = server.client(&[], Some(version));
            for kind in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
                let mut client = server.connect(peer(1), config.clone()).await.expect("a handshake without ALPN");
                client.write_all(&framed(&query(1, b'e', 0))).await.expect("open");
                assert_eq!(ids(&mut client, 1).await, [1]);
                let session = client.get_ref().1;
                assert_eq!((session.protocol_version(), session.handshake_kind()), (Some(expected), Some(kind)));
                assert!(!session.is_early_data_accepted());
            }
        }
        let other = server.connect(peer(1), server.client(&["http/1.1"], None)).await;
        assert!(other.is_err(), "a browser is not let to speak HTTP to this port");
        // A new certificate is shown to new connections; one that stands is not touched.
        let mut old = server.dot(peer(1)).await;
        let (certificate, roots) = certificate();
        server.tls.show(certificate);
        assert!(server.connect(peer(1), server.client(&["dot"], None)).await.is_err(), "the old root does not know it");
        let server = Server { roots, ..server };
        for stream in [&mut server.dot(peer(1)).await, &mut old] {
            stream.write_all(&framed(&query(9, b'e', 0))).await.expect("open");
            assert_eq!(ids(stream, 1).await, [9]);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn half_open_handshakes_end_and_make_room() {
    let handshakes = Bounds { connections: 4, connections_per_client: 3, ..bounds() };
    serving(Encrypted::Tls, bounds(), handshakes, async |server| {
        let began = Instant::now();
        let mut silent: Vec<DuplexStream> = (0..3).map(|_| server.dialler.dial(peer(1), 4_096)).collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        silent.extend([server.dialler.dial(peer(1), 4_096), server.dialler.dial(peer(2), 4_096)]);
        // The client's own oldest made room; another client's handshake is carried out at the full limit.
        assert_eq!(silent[0].read(&mut [0; 8]).await.expect("closed"), 0);
        let mut live = server.dot(peer(3)).await;
        live.write_all(&framed(&query(1, b'e', 0))).await.expect("open");
        assert_eq!((ids(&mut live, 1).await, began.elapsed().as_secs()), (vec![1], 1));
        let mut last = silent.pop().expect("it is there");
        last.write_all(&[22, 3, 1, 0]).await.expect("open");
        assert_eq!(last.read(&mut [0; 8]).await.expect("closed"), 0);
        assert_eq!(began.elapsed(), Duration::from_secs(1) + HANDSHAKE_MAX);
        let metrics = super::dispatch::Answer::metrics(&*server.metrics);
        assert_eq!(metrics.get(crate::metrics::Counter::TlsHandshakesEvicted), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_handshake_is_refused_at_once() {
    serving(Encrypted::Tls, bounds(), bounds(), async |server| {
        for sent in [&b"GET / HTTP/1.1\r\n\r\n"[..], &framed(&query(1, b'e', 0)), &[0x16, 3, 1, 0xff, 0xff, 1, 2, 3]] {
            let mut client = server.dialler.dial(peer(1), 4_096);
            client.write_all(sent).await.expect("open");
            let mut heard = Vec::new();
            tokio::time::timeout(Duration::from_secs(11), client.read_to_end(&mut heard)).await.expect("closed").expect("closed");
            assert!(heard.is_empty() || heard[0] == 21, "an alert at most: {heard:?}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn doh_over_both_versions() {
    serving(Encrypted::Https, bounds(), bounds(), async |server| {
        for protocol in ["h2", "http/1.1"] {
            let post = |body: Vec<u8>, kind: &str| {
                let request = Request::post("https://dns.example/dns-query").header("content-type", kind).header("host", "dns.example");
                request.body(Full::new(Bytes::from(body))).expect("a request")
            };
            let get = |uri: &str| Request::get(uri).header("host", "dns.example").body(Full::default()).expect("a request");
            let config = || server.client(&[protocol], None);
            let ours = "application/dns-message";
            let mut expected = query(1, b'e', 0);
            expected[2] |= 0x80;
            // At once, after a wait, and large.
            assert_eq!(server.fetch(config(), post(query(1, b'e', 0), ours)).await.2, expected, "{protocol}");
            expected[12] = b'w';
            let (status, age, body) = server.fetch(config(), post(query(1, b'w', 0), ours)).await;
            assert_eq!((status, age.as_deref(), body), (200, Some("max-age=0"), expected.clone()), "{protocol}");
            assert_eq!(server.fetch(config(), post(query(1, b'b', 255), ours)).await.2.len(), 255 * 256, "{protocol}");
            let uri = "https://dns.example/dns-query?dns=AAEBAAAAAAAAAAAAdwE";
            assert_eq!(server.fetch(config(), get(uri)).await.2[..4], [0, 1, 0x81, 0], "{protocol}");
            for (request, status) in [
                (get("https://dns.example/"), 404),
                (get("https://dns.example/dns-query"), 400),
                (post(query(1, b'e', 0), "text/plain"), 415),
                (post(vec![0; 70_000], ours), 413),
                (post(vec![0; 5], ours), 400),
                // A response is no query.
                (post([&[0, 1, 0x80, 0][..], &[0; 8], b"s\0"].concat(), ours), 400),
            ] {
                assert_eq!(server.fetch(config(), request).await.0, status, "{protocol} {status}");
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn doh_in_json() {
    serving(Encrypted::Https, bounds(), bounds(), async |server| {
        for protocol in ["h2", "http/1.1"] {
            let get = |uri: &str| {
                let request = Request::get(format!("https://dns.example{uri}")).header("host", "dns.example");
                request.body(Full::default()).expect("a request")
            };
            let config = || server.client(&[protocol], None);
            for uri in ["/resolve?name=www.example&type=AAAA", "/dns-query?name=www.example&type=28&ct=application/dns-json"] {
                let (status, age, body) = server.fetch(config(), get(uri)).await;
                assert_eq!((status, age.as_deref()), (200, Some("max-age=0")), "{protocol} {uri}");
                let text: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
                let question = serde_json::json!([{ "name": "www.example.", "type": 28 }]);
                assert_eq!((&text["Status"], &text["RD"], &text["Question"]), (&0.into(), &true.into(), &question), "{protocol} {uri}");
            }
            let (status, _, body) = server.fetch(config(), get("/resolve?name=www.example&ct=application/dns-message")).await;
            assert_eq!((status, body[..4].to_vec(), body[12..17].to_vec()), (200, vec![0, 0, 0x81, 0x20], b"\x03www\x07".to_vec()));
            let (status, _, body) = server.fetch(config(), get("/resolve?name=www.example&type=0")).await;
            assert_eq!((status, body.starts_with(b"type= ")), (400, true), "{protocol}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_or_stuck_http_client_is_let_go() {
    let bounds = Bounds { idle: Duration::from_secs(30), ..bounds() };
    serving(Encrypted::Https, bounds, bounds, async |server| {
        for protocol in ["h2", "http/1.1"] {
            let began = Instant::now();
            let mut idle = server.connect(peer(1), server.client(&[protocol], None)).await.expect("a handshake");
            let mut heard = Vec::new();
            // A client that has not said a word of HTTP/2 is not owed a farewell.
            let ended = idle.read_to_end(&mut heard).await;
            assert!(ended.is_ok() || protocol == "h2", "closed in order: {ended:?}");
            assert!((30..=32).contains(&began.elapsed().as_secs()), "{protocol}: {:?}", began.elapsed());
            // The head of a request without an end.
            let began = Instant::now();
            let mut slow = server.connect(peer(1), server.client(&["http/1.1"], None)).await.expect("a handshake");
            for octet in b"POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: application/dns-message\r\nx-y: aaaaaaaaaaaaaaaaaaaa" {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if slow.write_all(&[*octet]).await.is_err() || slow.flush().await.is_err() {
                    break;
                }
            }
            assert!(began.elapsed().as_secs() <= 32, "{:?}", began.elapsed());
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn caches_of_many_clients_keep_nothing_that_differs() {
    serving(Encrypted::Https, bounds(), bounds(), async |server| {
        let uri = "https://dns.example/dns-query?dns=AAEBAAAAAAAAAAAAZQE";
        let get = || Request::get(uri).body(Full::default()).expect("a request");
        assert_eq!(server.fetch(server.client(&["h2"], None), get()).await.1.as_deref(), Some("max-age=0"));
        server.metrics.differ_by_client();
        assert_eq!(server.fetch(server.client(&["h2"], None), get()).await.1.as_deref(), Some("max-age=0, private"));
    })
    .await;
}

/// Posts each query as a request of its own over one connection. Bodies are read once `true` is sent: status and length of each. The
/// client takes no more than one answer before it is read.
async fn unread(server: Server, queries: impl Iterator<Item = Vec<u8>>) -> (watch::Sender<bool>, Vec<JoinHandle<(u16, usize)>>) {
    let io = TokioIo::new(server.connect(peer(1), server.client(&["h2"], None)).await.expect("a handshake"));
    let mut builder = hyper::client::conn::http2::Builder::new(Local);
    builder.initial_connection_window_size(65_535).initial_stream_window_size(65_535);
    let (sender, connection) = builder.handshake::<_, Full<Bytes>>(io).await.expect("HTTP/2");
    spawn_local(connection);
    let (read, may_read) = watch::channel(false);
    let mut responses = Vec::new();
    for query in queries {
        let request = Request::post("https://dns.example/dns-query").header("content-type", "application/dns-message");
        let request = request.body(Full::new(Bytes::from(query))).expect("a request");
        let (mut sender, mut may_read) = (sender.clone(), may_read.clone());
        responses.push(spawn_local(async move {
            let response = sender.send_request(request).await.expect("a response");
            may_read.wait_for(|read| *read).await.expect("the test goes on");
            (response.status().as_u16(), response.into_body().collect().await.expect("a body").to_bytes().len())
        }));
    }
    (read, responses)
}

/// Answers are made as far as there is room for them, and the rest when the client reads.
#[tokio::test(start_paused = true)]
async fn answers_over_http_2_are_made_when_there_is_room() {
    serving(Encrypted::Https, bounds(), bounds(), async |server| {
        let made = || LARGE_MADE.with(std::cell::Cell::get);
        let before = made();
        let (read, responses) = unread(server, (0..100).map(|id| query(id, b'B', 0))).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!((2..=4).contains(&(made() - before)), "{} of 100 answers of 64 KiB are held", made() - before);
        read.send(true).expect("the responses wait for it");
        for response in responses {
            assert_eq!(response.await.expect("a task"), (200, 65_535));
        }
    })
    .await;
}

/// Each question is counted, logged and looked up once, and an update that was carried out is answered, though all the room is taken
/// meanwhile.
#[tokio::test(start_paused = true)]
async fn a_question_over_http_2_is_asked_once() {
    serving(Encrypted::Https, bounds(), bounds(), async |server| {
        let before = ASKED.with(std::cell::Cell::get);
        let questions = (0..60).map(|id| if id == 0 { update(id, b'w', 2) } else { query(id, b'b', 255) });
        let (read, responses) = unread(server, questions).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        read.send(true).expect("the responses wait for it");
        for (id, response) in responses.into_iter().enumerate() {
            assert_eq!(response.await.expect("a task"), (200, if id == 0 { 14 } else { 65_280 }));
        }
        assert_eq!(ASKED.with(std::cell::Cell::get) - before, 60);
    })
    .await;
}

/// A status that is told while the client still sends is not lost: what it sends is read for a while.
#[tokio::test(start_paused = true)]
async fn the_last_words_of_http_are_heard() {
    serving(Encrypted::Https, bounds(), bounds(), async |server| {
        let stream = server.dialler.dial(peer(1), 4_096);
        let client = server.handshake(server.client(&["http/1.1"], None), stream).await.expect("a handshake");
        let (mut reading, mut writing) = tokio::io::split(client);
        let head = format!("GET /dns-query HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(100_000));
        let mut heard = Vec::new();
        let sent = async {
            writing.write_all(head.as_bytes()).await.expect("it is read");
            writing.flush().await.expect("it is read");
        };
        let (read, ()) = tokio::join!(reading.read_to_end(&mut heard), sent);
        read.expect("a clean end, not a cut");
        assert!(heard.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&heard));
    })
    .await;
}

/// What is held for clients that stopped in the middle of a request makes room for others.
#[tokio::test(start_paused = true)]
async fn half_a_request_holds_no_room_that_others_need() {
    let bounds = Bounds { bytes: 150_000, bytes_per_connection: 131_072, ..bounds() };
    serving(Encrypted::Https, bounds, bounds, async |server| {
        let mut stuck = Vec::new();
        for from in [1, 2] {
            let mut client = server.connect(peer(from), server.client(&["http/1.1"], None)).await.expect("a handshake");
            let head = "POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: application/dns-message\r\ncontent-length: 65000\r\n\r\n";
            client.write_all(&[head.as_bytes(), &[7; 60_000]].concat()).await.expect("open");
            client.flush().await.expect("open");
            stuck.push(client);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let request = Request::post("https://dns.example/dns-query").header("content-type", "application/dns-message");
        let request = request.body(Full::new(Bytes::from(query(2, b'b', 200)))).expect("a request");
        let config = server.client(&["h2"], None);
        let name = ServerName::try_from("dns.example").expect("a name");
        let stream = server.dialler.dial(peer(3), 64 << 10);
        let io = TokioIo::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake"));
        let (mut sender, connection) = hyper::client::conn::http2::handshake(Local, io).await.expect("HTTP/2");
        spawn_local(connection);
        assert_eq!(sender.send_request(request).await.expect("a response").status(), 200);
    })
    .await;
}

/// A client that asks and does not read holds no more than its bound, does not keep others from their answers, and is let go.
#[tokio::test(start_paused = true)]
async fn http_clients_that_do_not_read_are_bounded() {
    let bounds = Bounds { bytes: 300_000, bytes_per_connection: 131_072, idle: Duration::from_secs(30), ..bounds() };
    serving(Encrypted::Https, bounds, bounds, async |server| {
        let mut stuck = Vec::new();
        for from in 1..=6 {
            let name = ServerName::try_from("dns.example").expect("a name");
            let stream = server.dialler.dial(peer(from), 2_048);
            let tls = TlsConnector::from(Arc::new(server.client(&["http/1.1"], None))).connect(name, stream).await.expect("a handshake");
            let (reading, mut writing) = tokio::io::split(tls);
            let body = query(1, b'b', 255);
            let head = format!(
                "POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: application/dns-message\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            writing.write_all(&[head.as_bytes(), &body].concat()).await.expect("open");
            writing.flush().await.expect("open");
            stuck.push((reading, writing));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let request = || {
            let request = Request::post("https://dns.example/dns-query").header("content-type", "application/dns-message");
            request.body(Full::new(Bytes::from(query(2, b'b', 200)))).expect("a request")
        };
        assert_eq!(server.fetch(server.client(&["h2"], None), request()).await.0, 200);
        tokio::time::sleep(Duration::from_secs(40)).await;
        let metrics = super::dispatch::Answer::metrics(&*server.metrics);
        let ended = metrics.get(crate::metrics::Counter::ConnectionsTimedOut);
        assert_eq!(ended, 3, "two were closed to make room for their like, one for the client that reads");
        drop(stuck);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_answers_in_progress_leave() {
    for (over, protocol) in [(Encrypted::Tls, "dot"), (Encrypted::Https, "h2")] {
        serving(over, bounds(), bounds(), async |server| {
            if over == Encrypted::Https {
                let stop = server.stop.clone();
                spawn_local(async move {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    let _ = stop.send(true);
                });
                let request = Request::post("https://dns.example/dns-query").header("content-type", "application/dns-message");
                let request = request.body(Full::new(Bytes::from(query(1, b'w', 5)))).expect("a request");
                assert_eq!(server.fetch(server.client(&[protocol], None), request).await.0, 200);
                return;
            }
            let mut client = server.dot(peer(1)).await;
            client.write_all(&framed(&query(1, b'w', 5))).await.expect("open");
            tokio::time::sleep(Duration::from_millis(10)).await;
            server.stop.send(true).expect("served");
            assert_eq!(ids(&mut client, 1).await, [1]);
            assert_eq!(client.read(&mut [0; 8]).await.expect("closed in order"), 0);
        })
        .await;
    }
}
