//! Exchanges with encrypted servers, over an in-memory network and in virtual time. TLS and HTTP/2 are real.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::fake_net::{FakeNet, RTT, Shared, run};
use super::*;
use crate::config::{Pin, Settings};
use crate::env::{BoxFuture, Clock, Random, RealClock};
use crate::limits::Limits;
use crate::limits::upstream::{TLS_CONNECTIONS_PER_SERVER_MAX, TLS_IDLE_MAX, TLS_QUERIES_PER_CONNECTION_MAX, TLS_REST};
use crate::record::{Name, Question, Rtype};
use crate::wire::{Message, OptionCode};

type Tls = TlsStream<DuplexStream>;

const SECOND: Duration = Duration::from_secs(1);

/// A CA of a test's own.
pub(super) struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate of it for `dns.example`, in a server that offers these protocols.
pub(super) struct Shown {
    pub server: Arc<ServerConfig>,
    pub pin: Pin,
}

impl Ca {
    pub fn new() -> Ca {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        // An issuer is found by its name.
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("CA {}", COUNT.fetch_add(1, Ordering::Relaxed)));
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(2000, 1, 1), rcgen::date_time_ymd(2090, 1, 1));
        Ca(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate"))
    }

    pub fn shown(&self, names: &[&str], years: (i32, i32), protocols: &[&str]) -> Shown {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names");
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(years.0, 1, 1), rcgen::date_time_ymd(years.1, 1, 1));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate").der().clone();
        let private = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
        let server = server.with_no_client_auth().with_single_cert(vec![certificate.clone()], private);
        let mut server = server.expect("they belong together");
        server.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let parsed = rustls::server::ParsedCertificate::try_from(&certificate).expect("a certificate");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &parsed.subject_public_key_info());
        Shown { server: Arc::new(server), pin: Pin(digest.as_ref().try_into().expect("32 octets")) }
    }

    /// For the name that is asked, valid now.
    pub fn right(&self) -> Arc<ServerConfig> {
        self.shown(&["dns.example"], (2020, 2080), &["dot", "h2"]).server
    }

    pub fn trust(&self) -> TlsTrust {
        TlsTrust::from_pem(self.0.pem().as_bytes()).expect("a CA")
    }

    pub fn client(&self, url: &str) -> Arc<TlsServer> {
        client(url, Some(&self.trust()), &[])
    }
}

fn client(url: &str, trust: Option<&TlsTrust>, pins: &[Pin]) -> Arc<TlsServer> {
    let settings = Settings::from_toml(&format!("[[forward]]\nzone = 'a.'\nto = ['{url}']"), "c.toml").expect(url);
    let clock: Arc<dyn Clock> = Arc::new(RealClock);
    Arc::new(TlsServer::new(settings.forwards[0].to[0].encrypted().expect(url), trust, pins, &clock).expect(url))
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::new([192, 0, 2, last].into(), 853)
}

pub(super) fn named(name: &str) -> Question {
    Question::new(Name::parse(name).expect(name), Rtype::A)
}

pub(super) fn ask<'a>(question: &'a Question, tls: &'a Arc<TlsServer>) -> Ask<'a> {
    Ask {
        server: address(1),
        tls: Some(tls),
        zone: None,
        translator: None,
        question,
        recursion_desired: true,
        checking_disabled: false,
        edns: Some(EdnsOut { udp_size: 1232, dnssec_ok: true, cookie: Some(b"CLIENT01server-cookie") }),
        randomise_case: true,
        timeout: 3 * SECOND,
        overdue: None,
        tcp_timeout: 4 * SECOND,
        force_tcp: false,
        wait: SocketWait { most: 2 * SECOND, client: 0, known: None },
    }
}

/// A network whose only host speaks TLS with this certificate; `serve` is given each connection and how many came before it.
pub(super) fn network<F: Future<Output = ()> + 'static>(
    server: Arc<ServerConfig>,
    serve: impl Fn(Tls, usize) -> F + Clone + 'static,
) -> (Rc<Upstream>, Rc<FakeNet>) {
    let net = FakeNet::new(|_, _| panic!("a query in clear text")).with_tcp(move |stream, index| {
        let (acceptor, serve) = (TlsAcceptor::from(server.clone()), serve.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, index).await;
            }
        }
    });
    over(net)
}

fn over(net: FakeNet) -> (Rc<Upstream>, Rc<FakeNet>) {
    let net = Rc::new(net);
    (Rc::new(Upstream::new(Rc::new(Shared(Rc::clone(&net))), Rc::new(Random::from_seed(7)), &Limits::default())), net)
}

async fn read_query(stream: &mut Tls) -> Option<Vec<u8>> {
    let len = stream.read_u16().await.ok()?;
    let mut query = vec![0; usize::from(len)];
    stream.read_exact(&mut query).await.ok()?;
    Some(query)
}

async fn write_reply(stream: &mut Tls, reply: &[u8]) {
    let framed = [&(reply.len() as u16).to_be_bytes()[..], reply].concat();
    let _ = stream.write_all(&framed).await;
    let _ = stream.flush().await;
}

/// The query as an empty reply.
pub(super) fn good(query: &[u8]) -> Vec<u8> {
    let mut bytes = query.to_vec();
    bytes[2] |= 0x80;
    bytes
}

/// An empty reply whose OPT has this option alone.
fn with_option(query: &[u8], code: OptionCode, data: &[u8]) -> Vec<u8> {
    let end_of_question = 12 + query[12..].iter().position(|octet| *octet == 0).expect("a name") + 5;
    let mut bytes = good(&query[..end_of_question]);
    bytes[6..12].copy_from_slice(&[0, 0, 0, 0, 0, 1]);
    bytes.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0]);
    bytes.extend_from_slice(&(4 + data.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&code.0.to_be_bytes());
    bytes.extend_from_slice(&(data.len() as u16).to_be_bytes());
    bytes.extend_from_slice(data);
    bytes
}

async fn serve(mut stream: Tls, _: usize) {
    while let Some(query) = read_query(&mut stream).await {
        tokio::time::sleep(Duration::from_millis(RTT)).await;
        write_reply(&mut stream, &good(&query)).await;
    }
}

async fn keep_silent(mut stream: Tls) {
    while read_query(&mut stream).await.is_some() {}
}

pub(super) fn fault_of(result: Result<Reply, AskError>) -> TcpFault {
    match result {
        Err(AskError::TlsFailed { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_query_is_padded_and_carries_no_secret() {
    run(async {
        let (ca, seen) = (Ca::new(), Rc::new(RefCell::new(Vec::new())));
        let kept = seen.clone();
        let (upstream, net) = network(ca.right(), move |mut stream, _| {
            let kept = kept.clone();
            async move {
                while let Some(query) = read_query(&mut stream).await {
                    kept.borrow_mut().push(query.clone());
                    write_reply(&mut stream, &good(&query)).await;
                }
            }
        });
        let tls = ca.client("tls://dns.example#192.0.2.1");
        for name in ["a.".to_owned(), "www.some-example.".to_owned(), format!("{0}.{0}.{0}.", "x".repeat(63))] {
            let question = named(&name);
            let reply = upstream.ask(&ask(&question, &tls)).await.expect(&name);
            assert_eq!(reply.transport, Transport::Tls);
            let query = seen.borrow_mut().pop().expect("a query");
            assert_eq!(query.len() % 128, 0, "{name}");
            let message = Message::parse(&query).expect("a message");
            let edns = message.edns().expect("an OPT");
            assert_eq!(edns.option(OptionCode::TCP_KEEPALIVE), Some(&[][..]));
            assert!(edns.option(OptionCode::COOKIE).is_none() && edns.option(OptionCode(8)).is_none());
            assert!(query[12..].starts_with(question.name.as_wire()), "in lower case");
        }
        assert_eq!((net.tcp_count.get(), net.udp_count.get()), (1, 0));
    });
}

#[test]
fn facts_of_the_connection() {
    run(async {
        let ca = Ca::new();
        // Answers one query on each connection.
        let (upstream, net) = network(ca.right(), |mut stream, _| async move {
            let Some(query) = read_query(&mut stream).await else { return };
            write_reply(&mut stream, &with_option(&query, OptionCode::TCP_KEEPALIVE, &[0, 0])).await;
            read_query(&mut stream).await;
        });
        let (tls, question) = (ca.client("tls://dns.example#192.0.2.1"), named("a."));
        let first = upstream.ask(&ask(&question, &tls)).await.expect("a reply").secure.expect("over TLS");
        assert_eq!((first.opened.tls.version, first.opened.tls.resumed, first.is_first), ("TLS 1.3", false, true));
        assert_eq!(first.opened.tls.group.as_deref(), Some("X25519MLKEM768"), "post-quantum");
        assert_eq!(first.opened.tls.protocol.as_deref(), Some(&b"dot"[..]));
        assert_eq!(first.opened.connecting, Duration::from_millis(RTT));
        let second = upstream.ask(&ask(&question, &tls)).await.expect("a reply").secure.expect("over TLS");
        assert!(second.opened.tls.resumed && second.is_first, "RFC 7828: zero asks for the end of the connection");
        assert_eq!(net.tcp_count.get(), 2);
    });
}

#[test]
fn who_is_believed() {
    let (ca, other) = (Ca::new(), Ca::new());
    let now = (2020, 2080);
    let ours = ca.trust();
    let url = "tls://dns.example#192.0.2.1";
    let right = ca.shown(&["dns.example"], now, &["dot"]);
    let pin = [right.pin];
    let by_address = "tls://192.0.2.1";
    let rows: Vec<(&str, Shown, Arc<TlsServer>, Option<TlsFault>)> = vec![
        ("right", ca.shown(&["dns.example"], now, &["dot"]), client(url, Some(&ours), &[]), None),
        ("without ALPN", ca.shown(&["dns.example"], now, &[]), client(url, Some(&ours), &[]), None),
        ("an address", ca.shown(&["192.0.2.1"], now, &["dot"]), client(by_address, Some(&ours), &[]), None),
        ("another address", ca.shown(&["192.0.2.2"], now, &[]), client(by_address, Some(&ours), &[]), Some(TlsFault::WrongName)),
        ("another name", ca.shown(&["x.example"], now, &["dot"]), client(url, Some(&ours), &[]), Some(TlsFault::WrongName)),
        ("expired", ca.shown(&["dns.example"], (2020, 2021), &["dot"]), client(url, Some(&ours), &[]), Some(TlsFault::Expired)),
        ("to come", ca.shown(&["dns.example"], (2079, 2080), &["dot"]), client(url, Some(&ours), &[]), Some(TlsFault::NotYetValid)),
        ("another CA", other.shown(&["dns.example"], now, &["dot"]), client(url, Some(&ours), &[]), Some(TlsFault::UnknownIssuer)),
        (
            "the key alone",
            other.shown(&["x.example"], (2020, 2021), &["dot"]),
            client(url, None, &[Pin([1; 32])]),
            Some(TlsFault::WrongKey),
        ),
        ("a key that is not pinned", ca.shown(&["dns.example"], now, &[]), client(url, Some(&ours), &pin), Some(TlsFault::WrongKey)),
        ("a pinned key", right, client(url, Some(&ours), &pin), None),
    ];
    for (what, shown, tls, expected) in rows {
        run(async {
            let (upstream, _) = network(shown.server, serve);
            let question = named("a.");
            let result = upstream.ask(&ask(&question, &tls)).await;
            match expected {
                None => assert!(result.is_ok(), "{what}: {result:?}"),
                Some(fault) => {
                    let text = result.as_ref().expect_err(what).to_string();
                    assert!(text.starts_with("tls://"), "{text}");
                    assert_eq!(fault_of(result), TcpFault::Tls(fault), "{what}");
                }
            }
        });
    }
    // The key alone, whatever the certificate says.
    run(async {
        let shown = other.shown(&["x.example"], (2020, 2021), &["dot"]);
        let tls = client(url, None, &[Pin([1; 32]), shown.pin]);
        let (upstream, _) = network(shown.server, serve);
        upstream.ask(&ask(&named("a."), &tls)).await.expect("the key is pinned");
    });
}

#[test]
fn queries_share_a_connection_and_replies_come_in_any_order() {
    run(async {
        let ca = Ca::new();
        let (upstream, net) = network(ca.right(), |mut stream, _| async move {
            let mut queries = Vec::new();
            while queries.len() < 20 {
                queries.push(read_query(&mut stream).await.expect("a query"));
            }
            for query in queries.iter().rev() {
                write_reply(&mut stream, &good(query)).await;
            }
            keep_silent(stream).await;
        });
        let tls = ca.client("tls://dns.example#192.0.2.1");
        let tasks: Vec<_> = (0..20)
            .map(|index| {
                let (upstream, tls) = (upstream.clone(), tls.clone());
                tokio::task::spawn_local(async move {
                    let question = named(&format!("n{index}."));
                    let reply = upstream.ask(&ask(&question, &tls)).await.expect("a reply");
                    assert!(Message::parse(&reply.bytes).expect("a message").asks(&question));
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        assert_eq!(net.tcp_count.get(), 1);
    });
}

#[test]
fn what_was_in_flight_is_asked_again_once() {
    run(async {
        let ca = Ca::new();
        // Answers one, and closes when two more have come; all that come later are answered.
        let (upstream, net) = network(ca.right(), |mut stream, index| async move {
            if index > 0 {
                return serve(stream, index).await;
            }
            let query = read_query(&mut stream).await.expect("a query");
            write_reply(&mut stream, &good(&query)).await;
            read_query(&mut stream).await;
            read_query(&mut stream).await;
        });
        let tls = ca.client("tls://dns.example#192.0.2.1");
        let (a, b) = (named("a."), named("b."));
        upstream.ask(&ask(&a, &tls)).await.expect("the first");
        let (one, other) = (ask(&a, &tls), ask(&b, &tls));
        let both = tokio::join!(upstream.ask(&one), upstream.ask(&other));
        assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
        assert_eq!(net.tcp_count.get(), 2);
    });
}

#[test]
fn a_server_that_ends_each_connection_is_left_alone_for_a_while() {
    let garbage: fn(Tls, usize) -> BoxFuture<'static, ()> = |mut stream, _| {
        Box::pin(async move {
            read_query(&mut stream).await;
            write_reply(&mut stream, &[0; 12]).await;
            keep_silent(stream).await;
        })
    };
    let wrong_question: fn(Tls, usize) -> BoxFuture<'static, ()> = |mut stream, _| {
        Box::pin(async move {
            let Some(query) = read_query(&mut stream).await else { return };
            let mut reply = good(&query);
            reply[13] ^= 1;
            write_reply(&mut stream, &reply).await;
            keep_silent(stream).await;
        })
    };
    let close: fn(Tls, usize) -> BoxFuture<'static, ()> = |mut stream, _| {
        Box::pin(async move {
            read_query(&mut stream).await;
        })
    };
    for (serve, expected) in [(garbage, TcpFault::Unasked), (wrong_question, TcpFault::Unasked), (close, TcpFault::Closed)] {
        run(async {
            let ca = Ca::new();
            let (upstream, net) = network(ca.right(), serve);
            let (tls, question) = (ca.client("tls://dns.example#192.0.2.1"), named("a."));
            assert_eq!(fault_of(upstream.ask(&ask(&question, &tls)).await), expected);
            assert_eq!(net.tcp_count.get(), 2, "asked again once");
            for _ in 0..10 {
                assert_eq!(fault_of(upstream.ask(&ask(&question, &tls)).await), expected);
            }
            assert_eq!(net.tcp_count.get(), 2, "and not before its rest is over");
            tokio::time::sleep(TLS_REST).await;
            assert_eq!(fault_of(upstream.ask(&ask(&question, &tls)).await), expected);
            assert!(net.tcp_count.get() > 2);
        });
    }
}

#[test]
fn a_handshake_that_fails_ends_with_its_reason() {
    type Serve = fn(DuplexStream) -> BoxFuture<'static, ()>;
    let rows: [(Serve, TcpFault); 3] = [
        (|stream| Box::pin(async move { drop(stream) }), TcpFault::Tls(TlsFault::Closed)),
        (
            |mut stream| {
                Box::pin(async move {
                    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                })
            },
            TcpFault::Tls(TlsFault::Broken),
        ),
        (
            |mut stream| {
                Box::pin(async move {
                    // A fatal alert: handshake_failure.
                    let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 40]).await;
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                })
            },
            TcpFault::Tls(TlsFault::Alert(40)),
        ),
    ];
    for (serve, expected) in rows {
        run(async {
            let (upstream, _) = over(FakeNet::new(|_, _| panic!("clear text")).with_tcp(move |stream, _| serve(stream)));
            let tls = Ca::new().client("tls://dns.example#192.0.2.1");
            assert_eq!(fault_of(upstream.ask(&ask(&named("a."), &tls)).await), expected);
        });
    }
    run(async {
        let (upstream, _) = over(FakeNet::new(|_, _| panic!("clear text")));
        let tls = Ca::new().client("tls://dns.example#192.0.2.1");
        let refused = TcpFault::Connect(io::ErrorKind::ConnectionRefused);
        assert_eq!(fault_of(upstream.ask(&ask(&named("a."), &tls)).await), refused);
    });
}

/// A black hole: the connection stands, and nothing comes any more.
#[test]
fn a_silent_connection_is_left_within_a_second() {
    run(async {
        let ca = Ca::new();
        let (upstream, net) = network(ca.right(), |mut stream, index| async move {
            if index > 0 {
                return serve(stream, index).await;
            }
            let query = read_query(&mut stream).await.expect("a query");
            write_reply(&mut stream, &good(&query)).await;
            keep_silent(stream).await;
        });
        let (tls, question) = (ca.client("tls://dns.example#192.0.2.1"), named("a."));
        upstream.ask(&ask(&question, &tls)).await.expect("the first");
        let overdue = Cell::new(false);
        let began = Instant::now();
        let waits = Ask { overdue: Some((3 * SECOND, &overdue)), ..ask(&question, &tls) };
        let told = async {
            while !overdue.get() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            began.elapsed()
        };
        tokio::select! {
            result = upstream.ask(&waits) => panic!("{result:?}"),
            after = told => assert!(after <= SECOND + Duration::from_millis(20), "{after:?}"),
        }
        assert_eq!(net.tcp_count.get(), 1);
        upstream.ask(&ask(&question, &tls)).await.expect("over a new connection");
        assert_eq!(net.tcp_count.get(), 2);
    });
}

#[test]
fn a_connection_that_brings_other_replies_is_not_silent() {
    run(async {
        let ca = Ca::new();
        // The first query takes two seconds, the others none.
        let (upstream, net) = network(ca.right(), |mut stream, _| async move {
            let slow = read_query(&mut stream).await.expect("a query");
            let began = Instant::now();
            while began.elapsed() < 2 * SECOND {
                let query = read_query(&mut stream).await.expect("a query");
                write_reply(&mut stream, &good(&query)).await;
            }
            write_reply(&mut stream, &good(&slow)).await;
            serve(stream, 0).await;
        });
        let tls = ca.client("tls://dns.example#192.0.2.1");
        let (slow, quick) = (named("slow."), named("quick."));
        let overdue = Cell::new(false);
        let slow = Ask { overdue: Some((3 * SECOND, &overdue)), ..ask(&slow, &tls) };
        let others = async {
            for _ in 0..12 {
                tokio::time::sleep(Duration::from_millis(200)).await;
                upstream.ask(&ask(&quick, &tls)).await.expect("a reply");
            }
        };
        let (slow, ()) = tokio::join!(upstream.ask(&slow), others);
        slow.expect("the slow reply");
        assert_eq!((overdue.get(), net.tcp_count.get()), (false, 1));
    });
}

/// Octets that never make a message, an unfinished handshake, and a host that does not answer at all are silence too.
#[test]
fn what_never_ends_is_silence() {
    type Serve = fn(DuplexStream, Arc<ServerConfig>) -> BoxFuture<'static, ()>;
    let drip: Serve = |stream, server| {
        Box::pin(async move {
            let Ok(mut stream) = TlsAcceptor::from(server).accept(stream).await else { return };
            let _ = stream.write_all(&[0xff, 0xff]).await;
            while stream.write_all(&[0]).await.is_ok() && stream.flush().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        })
    };
    let unfinished: Serve = |mut stream, _| {
        Box::pin(async move {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
    };
    for serve in [drip, unfinished] {
        run(async {
            let ca = Ca::new();
            let server = ca.right();
            let (upstream, net) = over(FakeNet::new(|_, _| panic!("clear text")).with_tcp(move |stream, _| serve(stream, server.clone())));
            let (tls, question) = (ca.client("tls://dns.example#192.0.2.1"), named("a."));
            for _ in 0..20 {
                let began = Instant::now();
                let result = upstream.ask(&ask(&question, &tls)).await;
                assert!(matches!(result, Err(AskError::Timeout { .. })), "{result:?}");
                assert_eq!(began.elapsed(), 4 * SECOND);
            }
            assert!(net.tcp_count.get() > 2, "new connections are tried");
            assert!(upstream.connections().count() <= TLS_CONNECTIONS_PER_SERVER_MAX);
        });
    }
}

#[test]
fn idle_connections_end_when_the_server_says_so() {
    for (units, kept_for) in [(None, TLS_IDLE_MAX), (Some(20u16), 2 * SECOND), (Some(60_000), 120 * SECOND)] {
        run(async {
            let ca = Ca::new();
            let (upstream, net) = network(ca.right(), move |mut stream, _| async move {
                while let Some(query) = read_query(&mut stream).await {
                    let reply = match units {
                        None => good(&query),
                        Some(units) => with_option(&query, OptionCode::TCP_KEEPALIVE, &units.to_be_bytes()),
                    };
                    write_reply(&mut stream, &reply).await;
                }
            });
            let (tls, question) = (ca.client("tls://dns.example#192.0.2.1"), named("a."));
            upstream.ask(&ask(&question, &tls)).await.expect("a reply");
            tokio::time::sleep(kept_for - Duration::from_millis(100)).await;
            upstream.ask(&ask(&question, &tls)).await.expect("a reply");
            assert_eq!(net.tcp_count.get(), 1, "{units:?}");
            tokio::time::sleep(kept_for + SECOND).await;
            assert_eq!(upstream.connections().count(), 0, "{units:?}");
            upstream.ask(&ask(&question, &tls)).await.expect("a reply");
            assert_eq!(net.tcp_count.get(), 2, "{units:?}");
        });
    }
}

#[test]
fn connections_and_queries_are_bounded() {
    run(async {
        let ca = Ca::new();
        let (upstream, net) = network(ca.right(), |stream, _| keep_silent(stream));
        let tls = ca.client("tls://dns.example#192.0.2.1");
        let most = TLS_CONNECTIONS_PER_SERVER_MAX * TLS_QUERIES_PER_CONNECTION_MAX;
        let tasks: Vec<_> = (0..most + 50)
            .map(|_| {
                let (upstream, tls) = (upstream.clone(), tls.clone());
                tokio::task::spawn_local(async move { upstream.ask(&ask(&named("a."), &tls)).await })
            })
            .collect();
        let mut busy = 0;
        for task in tasks {
            match task.await.expect("no panic") {
                Err(AskError::TlsFailed { fault: TcpFault::Busy, .. }) => busy += 1,
                other => assert!(matches!(other, Err(AskError::Timeout { .. })), "{other:?}"),
            }
        }
        assert_eq!((busy, net.tcp_count.get()), (50, TLS_CONNECTIONS_PER_SERVER_MAX));
    });
}
