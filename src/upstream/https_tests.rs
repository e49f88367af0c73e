//! Exchanges over HTTPS with a server that is real HTTP/2 over real TLS, in memory and in virtual time.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::encrypted_tests::{Ca, ask, fault_of, good, named, network};
use super::fake_net::run;
use super::*;
use crate::wire::Message;

/// As many octets, each frame after a pause, and then the end or none.
struct Chunks {
    chunks: Vec<Bytes>,
    endless: bool,
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.endless {
            let mut pause = self.pause.take().unwrap_or_else(|| Box::pin(tokio::time::sleep(Duration::from_millis(300))));
            if pause.as_mut().poll(cx).is_pending() {
                self.pause = Some(pause);
                return Poll::Pending;
            }
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))));
        }
        Poll::Ready(self.chunks.pop().map(|chunk| Ok(Frame::data(chunk))))
    }
}

fn body(bytes: Vec<u8>) -> Chunks {
    Chunks { chunks: vec![Bytes::from(bytes)], endless: false, pause: None }
}

fn reply(bytes: Vec<u8>) -> Response<Chunks> {
    Response::builder().header("content-type", "application/dns-message").body(body(bytes)).expect("a response")
}

#[derive(Clone, Copy)]
struct Local;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, work: F) {
        tokio::task::spawn_local(work);
    }
}

type Handler = fn(Request<Incoming>, Vec<u8>) -> Pin<Box<dyn Future<Output = Response<Chunks>>>>;

fn server(ca: &Ca, handler: Handler) -> (Rc<Upstream>, Rc<super::fake_net::FakeNet>) {
    network(ca.right(), move |stream, _| async move {
        let service = service_fn(move |mut request: Request<Incoming>| async move {
            let query = request.body_mut().collect().await.expect("a body").to_bytes().to_vec();
            Ok::<_, Infallible>(handler(request, query).await)
        });
        let _ = http2::Builder::new(Local).serve_connection(TokioIo::new(stream), service).await;
    })
}

const URL: &str = "https://dns.example/q?a=b#192.0.2.1";

#[test]
fn queries_are_posted() {
    thread_local! {
        static SEEN: RefCell<Vec<(String, Vec<u8>)>> = const { RefCell::new(Vec::new()) };
    }
    run(async {
        let ca = Ca::new();
        let (upstream, net) = server(&ca, |request, query| {
            let head = format!(
                "{} {} {:?} {:?}",
                request.method(),
                request.uri(),
                request.headers().get("content-type"),
                request.headers().get("accept")
            );
            assert_eq!(request.method(), Method::POST);
            SEEN.with_borrow_mut(|seen| seen.push((head, query.clone())));
            Box::pin(async move { reply(good(&query)) })
        });
        let tls = ca.client(URL);
        for name in ["a.", "www.some-example."] {
            let question = named(name);
            let answered = upstream.ask(&ask(&question, &tls)).await.expect("a reply");
            assert!(Message::parse(&answered.bytes).expect("a message").asks(&question));
            assert_eq!(answered.transport, Transport::Https);
            let secure = answered.secure.expect("over TLS");
            assert_eq!((secure.is_first, secure.opened.tls.protocol.as_deref()), (name == "a.", Some(&b"h2"[..])));
        }
        let seen = SEEN.take();
        let media = "Some(\"application/dns-message\")";
        assert_eq!(seen[0].0, format!("POST https://dns.example/q?a=b {media} {media}"));
        for (_, query) in seen {
            assert_eq!((query[0], query[1], query.len()), (0, 0, 128), "ID 0, padded");
        }
        assert_eq!((net.tcp_count.get(), net.udp_count.get()), (1, 0));
    });
}

#[test]
fn streams_end_in_any_order() {
    thread_local! {
        static COUNT: Cell<u64> = const { Cell::new(0) };
    }
    run(async {
        let ca = Ca::new();
        let (upstream, net) = server(&ca, |_, query| {
            let before = COUNT.replace(COUNT.get() + 1);
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(400 - 20 * before)).await;
                reply(good(&query))
            })
        });
        let tls = ca.client(URL);
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
fn what_is_no_reply_has_a_reason() {
    let rows: [(&str, Handler, TcpFault); 7] = [
        (
            "a status",
            |_, _| Box::pin(async { Response::builder().status(503).body(body(Vec::new())).expect("a response") }),
            TcpFault::Http(HttpFault::Status(503)),
        ),
        (
            "a redirect is not followed",
            |_, _| Box::pin(async { Response::builder().status(307).header("location", "/x").body(body(Vec::new())).expect("a response") }),
            TcpFault::Http(HttpFault::Status(307)),
        ),
        (
            "a page",
            |_, _| Box::pin(async { Response::builder().header("content-type", "text/html").body(body(Vec::new())).expect("a response") }),
            TcpFault::Http(HttpFault::ContentType),
        ),
        (
            "a long body",
            |_, _| {
                Box::pin(async {
                    let chunks = vec![Bytes::from(vec![0; 10_000]); 8];
                    let body = Chunks { chunks, endless: false, pause: None };
                    Response::builder().header("content-type", "application/dns-message").body(body).expect("a response")
                })
            },
            TcpFault::Http(HttpFault::TooLong),
        ),
        ("an empty body", |_, _| Box::pin(async { reply(Vec::new()) }), TcpFault::Unasked),
        (
            "another question",
            |_, query| {
                Box::pin(async move {
                    let mut bytes = good(&query);
                    bytes[13] ^= 1;
                    reply(bytes)
                })
            },
            TcpFault::Unasked,
        ),
        (
            "an ID",
            |_, query| {
                Box::pin(async move {
                    let mut bytes = good(&query);
                    bytes[1] = 1;
                    reply(bytes)
                })
            },
            TcpFault::Unasked,
        ),
    ];
    for (what, handler, expected) in rows {
        run(async {
            let ca = Ca::new();
            let (upstream, _) = server(&ca, handler);
            let tls = ca.client(URL);
            assert_eq!(fault_of(upstream.ask(&ask(&named("a."), &tls)).await), expected, "{what}");
        });
    }
}

#[test]
fn endless_responses_end_with_the_time_out() {
    run(async {
        let ca = Ca::new();
        let (upstream, _) = server(&ca, |_, _| {
            Box::pin(async {
                let body = Chunks { chunks: Vec::new(), endless: true, pause: None };
                Response::builder().header("content-type", "application/dns-message").body(body).expect("a response")
            })
        });
        let tls = ca.client(URL);
        let began = Instant::now();
        let result = upstream.ask(&ask(&named("a."), &tls)).await;
        assert!(matches!(result, Err(AskError::Timeout { .. })), "{result:?}");
        assert_eq!(began.elapsed(), Duration::from_secs(4));
    });
}

#[test]
fn a_head_that_is_too_long_is_not_read() {
    run(async {
        let ca = Ca::new();
        let (upstream, _) = server(&ca, |_, _| {
            Box::pin(async {
                let mut response = Response::builder().header("content-type", "application/dns-message");
                for at in 0..40 {
                    response = response.header(format!("x-{at}"), "x".repeat(1000));
                }
                response.body(body(Vec::new())).expect("a response")
            })
        });
        let tls = ca.client(URL);
        let fault = fault_of(upstream.ask(&ask(&named("a."), &tls)).await);
        assert!(matches!(fault, TcpFault::Http(HttpFault::Broken) | TcpFault::Closed), "{fault:?}");
    });
}

#[test]
fn without_http_2_there_is_no_query() {
    run(async {
        let ca = Ca::new();
        for protocols in [&["http/1.1"][..], &[]] {
            let (upstream, _) = network(ca.shown(&["dns.example"], (2020, 2080), protocols).server, |_, _| async {});
            let tls = ca.client(URL);
            let fault = fault_of(upstream.ask(&ask(&named("a."), &tls)).await);
            assert!(matches!(fault, TcpFault::Tls(TlsFault::NoHttp2 | TlsFault::NoProtocol)), "{fault:?}");
        }
    });
}
