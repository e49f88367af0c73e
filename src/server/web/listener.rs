//! Accepts connections, reads requests and sends pages, on one thread.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName};
use hyper::http::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tracing::warn;

use super::explanations::Explanations;
use super::pages::{Api, Asked, Page, page};
use super::password::{Logins, Password};
use super::probe::Probe;
use super::timed_stream::TimedStream;
use super::{dashboard, exposition};
use crate::env::{BootTime, Clock, RealClock};
use crate::limits::Limits;
use crate::limits::clients::CLOSE_MAX;
use crate::limits::server::{
    WEB_CONNECTIONS_MAX, WEB_CONNECTIONS_PER_CLIENT_MAX, WEB_ENTRIES_MAX, WEB_HEAD_BYTES_MAX, WEB_IDLE_MAX, WEB_UNREAD_MAX,
};
use crate::listen::{Bounds, Connections, LiveBounds, Permit, close_in_order};
use crate::server::engine::Engine;
use crate::server::priority;

/// After a failed accept: out of descriptors, most likely.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Sockets that are listened on.
#[derive(Default)]
pub(in crate::server) struct Bound(Vec<std::net::TcpListener>);

/// Binds what can be bound: a port in use must not keep names from being resolved.
pub(in crate::server) fn bind(addrs: &[SocketAddr]) -> Bound {
    let bound = addrs.iter().filter_map(|addr| {
        let listener = std::net::TcpListener::bind(addr).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        listener.map_err(|error| warn!("no metrics at {addr}: {error}; `web.listen` says where they are served, [] for nowhere")).ok()
    });
    Bound(bound.collect())
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().filter_map(|listener| listener.local_addr().ok())).finish()
    }
}

/// Serves until the process ends.
pub(in crate::server) fn serve(bound: Bound, engine: Arc<dyn Engine>, password: Option<Password>) {
    if bound.0.is_empty() {
        return;
    }
    let spawned = thread::Builder::new().name("web".to_owned()).spawn(move || {
        let _ = priority::give_way();
        if let Err(error) = listen(bound, engine, password) {
            warn!(%error, "the web listener has ended");
        }
    });
    if let Err(error) = spawned {
        warn!(%error, "could not start the thread of the web listener");
    }
}

struct Site {
    engine: Arc<dyn Engine>,
    logins: RefCell<Logins>,
    connections: Rc<Connections>,
    ready: Probe,
    explanations: Explanations,
    scratch: Rc<RefCell<Vec<u8>>>,
}

impl Site {
    fn new(engine: Arc<dyn Engine>, password: Option<Password>) -> Rc<Site> {
        let bounds = Bounds {
            connections: WEB_CONNECTIONS_MAX,
            connections_per_client: WEB_CONNECTIONS_PER_CLIENT_MAX,
            ..Bounds::share(&Limits::default(), 1)
        };
        let connections = Rc::new(Connections::new(LiveBounds::new(bounds)));
        Rc::new(Site {
            engine,
            logins: RefCell::new(Logins::new(password)),
            connections,
            ready: Probe::default(),
            explanations: Explanations::default(),
            scratch: Rc::new(RefCell::new(vec![0; SCRATCH_BYTES])),
        })
    }
}

fn listen(bound: Bound, engine: Arc<dyn Engine>, password: Option<Password>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build()?;
    let site = Site::new(engine, password);
    LocalSet::new().block_on(&runtime, async {
        let mut tasks = Vec::new();
        for listener in bound.0 {
            tasks.push(tokio::task::spawn_local(accept(TcpListener::from_std(listener)?, site.clone())));
        }
        for task in tasks {
            let _ = task.await;
        }
        Ok(())
    })
}

async fn accept(listener: TcpListener, site: Rc<Site>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => start(&site, stream, peer.ip()),
            Err(_) => {
                site.connections.close_longest_idle();
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// A new connection always finds a place: at the limit, the one that has been idle longest is closed.
fn start(site: &Rc<Site>, stream: TcpStream, client: IpAddr) {
    let (permit, _) = site.connections.admit(client);
    let number = permit.number();
    let (connections, site) = (site.connections.clone(), site.clone());
    let task = tokio::task::spawn_local(async move { serve_one(stream, client, site, &permit).await });
    connections.set_task(number, task.abort_handle());
}

async fn serve_one(mut stream: TcpStream, client: IpAddr, site: Rc<Site>, permit: &Permit) {
    let scratch = site.scratch.clone();
    let service = service_fn(|request: Request<Incoming>| {
        let site = site.clone();
        async move {
            permit.question_came();
            permit.questions_under_way(1);
            let response = site.respond(&request, client).await;
            permit.questions_under_way(0);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = http1::Builder::new();
    // The time for a head also bounds the wait for the next request; a body is never read.
    builder.timer(TokioTimer::new()).header_read_timeout(WEB_IDLE_MAX).max_buf_size(WEB_HEAD_BYTES_MAX);
    // What goes wrong on a connection is the client's.
    let _ = builder.serve_connection(TokioIo::new(TimedStream::new(&mut stream, WEB_UNREAD_MAX)), service).await;
    // What is wrong with a request is told while the client may still send the rest of it.
    close_in_order(&mut stream, &scratch, CLOSE_MAX).await;
}

/// What is read at the end of a connection, and dropped.
const SCRATCH_BYTES: usize = 4 << 10;

impl Site {
    async fn respond(&self, request: &Request<Incoming>, client: IpAddr) -> Response<Full<Bytes>> {
        let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        let target = request.uri();
        // Several lines are one list (RFC 9110 5.3).
        let accept = request.headers().get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok()).collect::<Vec<_>>().join(",");
        let asked = Asked {
            method: request.method().as_str(),
            path: target.path(),
            query: target.query().unwrap_or_default(),
            fetch_site: header(HeaderName::from_static("sec-fetch-site")),
            host: target.authority().map(|authority| authority.as_str()).or_else(|| header(HOST)),
            accept: Some(&*accept),
            authorization: header(AUTHORIZATION),
            client,
        };
        let now: BootTime = RealClock.boot();
        let page = page(&asked, &mut self.logins.borrow_mut(), now);
        match page {
            Page::Metrics(form) => {
                let (rows, histograms) = self.engine.measured();
                let text = exposition::text(form, &rows, &histograms, &self.engine.entries(WEB_ENTRIES_MAX));
                response(200, form.content_type(), text, None)
            }
            Page::Healthy => response(200, TEXT, "ok\n".to_owned(), None),
            Page::Ready => {
                let engine = self.engine.clone();
                match self.ready.ask(|| RealClock.boot(), move || engine.is_ready()).await {
                    Ok(()) => response(200, TEXT, "ready\n".to_owned(), None),
                    Err(why) => response(503, TEXT, format!("not ready: {why}\n"), None),
                }
            }
            Page::Overview => {
                let (_, histograms) = self.engine.measured();
                let seen = dashboard::Seen {
                    status: &self.engine.status(),
                    stats: &self.engine.stats(),
                    histograms: &histograms,
                    failing: &self.engine.failing(),
                };
                html(200, dashboard::overview(&seen))
            }
            Page::Style => response(200, "text/css; charset=utf-8", dashboard::STYLE.to_owned(), None),
            Page::Explanation(Err(what)) => html(400, dashboard::not_a_question(what)),
            Page::Explanation(Ok(question)) => match self.explanations.of(&*self.engine, question.clone()).await {
                Some(lines) => html(200, dashboard::explanation(&question, &lines)),
                None => html(503, dashboard::not_a_question(BUSY)),
            },
            Page::Api(Api::Status) => json(&self.engine.status()),
            Page::Api(Api::Stats) => json(&self.engine.stats()),
            Page::Api(Api::Failing) => json(&self.engine.failing()),
            Page::Api(Api::Explain(question)) => match self.explanations.of(&*self.engine, question).await {
                Some(lines) => json(&lines),
                None => response(503, TEXT, format!("{BUSY}\n"), Some(("retry-after", "1".to_owned()))),
            },
            Page::Refusal(status, what, more) => response(status, TEXT, format!("{what}\n"), more),
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const BUSY: &str = "other explanations are under way: try again in a moment";
/// No script, nothing of other sites, and no other site around it.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

fn html(status: u16, text: String) -> Response<Full<Bytes>> {
    let mut response = response(status, "text/html; charset=utf-8", text, Some(("content-security-policy", POLICY.to_owned())));
    response.headers_mut().insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    response
}

fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    let text = serde_json::to_string(value).unwrap_or_default();
    response(200, "application/json", text + "\n", None)
}

fn response(status: u16, content_type: &'static str, text: String, more: Option<(&'static str, String)>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    if let Some((name, value)) = more
        && let Ok(value) = HeaderValue::from_str(&value)
    {
        headers.insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::server::engine::testing::Idle;

    fn served(engine: Idle, password: Option<&str>) -> SocketAddr {
        let bound = bind(&["127.0.0.1:0".parse().expect("an address")]);
        let addr = bound.0.first().and_then(|listener| listener.local_addr().ok()).expect("a free port");
        serve(bound, Arc::new(engine), password.map(|password| Password::Plain(password.as_bytes().to_vec())));
        addr
    }

    /// The head and the content of the last reply on a connection.
    fn replies(addr: SocketAddr, requests: &str) -> (String, String) {
        let mut stream = std::net::TcpStream::connect(addr).expect("it listens");
        stream.write_all(requests.as_bytes()).expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it closes");
        let (head, content) = text.rsplit_once("\r\n\r\n").expect("a reply");
        (head.to_ascii_lowercase(), content.to_owned())
    }

    fn reply(addr: SocketAddr, line: &str, more: &str) -> (String, String) {
        replies(addr, &format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n"))
    }

    #[test]
    fn pages_over_http() {
        let addr = served(Idle::default(), None);
        let (head, content) = reply(addr, "GET /metrics", "");
        assert!(head.starts_with("http/1.1 200 ok") && head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        assert!(
            content.contains("# TYPE cairn_walks_total counter\ncairn_walks_total 0\n") && content.contains("cairn_build_info{version="),
            "{content}"
        );
        let (head, content) = reply(addr, "GET /metrics", "Accept: application/openmetrics-text\r\n");
        assert!(head.contains("content-type: application/openmetrics-text") && content.ends_with("# EOF\n"), "{head}");
        let (head, content) = reply(addr, "HEAD /metrics", "");
        assert!(head.starts_with("http/1.1 200") && content.is_empty(), "{head}");
        assert_eq!(reply(addr, "GET /healthz", "").1, "ok\n");
        assert_eq!(reply(addr, "GET /readyz", "").1, "ready\n");
        assert!(reply(addr, "GET /nothing", "").0.starts_with("http/1.1 404"));
        // Two requests on one connection.
        let two = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        assert_eq!(replies(addr, two).1, "ready\n");
        let failing = served(Idle { fails: true, ..Idle::default() }, None);
        let (head, content) = reply(failing, "GET /readyz", "");
        assert!(head.starts_with("http/1.1 503") && content.starts_with("not ready: "), "{head}");
    }

    #[test]
    fn pages_for_people_and_programs() {
        let addr = served(Idle::default(), None);
        let (head, content) = reply(addr, "GET /", "");
        assert!(head.contains("content-type: text/html") && head.contains("content-security-policy: default-src 'none'"), "{head}");
        assert!(content.contains("a&lt;b.example.") && !content.contains("<script"), "{content}");
        let (head, content) = reply(addr, "GET /explain?name=www.example.com&type=AAAA", "");
        assert!(head.starts_with("http/1.1 200") && content.contains("www.example.com. AAAA"), "{content}");
        let (head, content) = reply(addr, "GET /explain?name=a..b", "");
        assert!(head.starts_with("http/1.1 400") && content.contains("this is not a name"), "{content}");
        let (head, content) = reply(addr, "GET /api/v1/explain?name=www.example.com", "");
        let lines: serde_json::Value = serde_json::from_str(&content).expect("JSON");
        assert!(head.contains("content-type: application/json") && lines.as_array().is_some_and(|lines| lines.len() == 2), "{content}");
        assert!(lines[0]["heard"].as_str().is_some_and(|heard| heard.contains("www.example.com.")), "{content}");
        let failing: serde_json::Value = serde_json::from_str(&reply(addr, "GET /api/v1/failing", "").1).expect("JSON");
        assert_eq!(failing[0]["name"], "a<b.example.");
        assert_eq!(reply(addr, "GET /api/v1/stats", "").1, "{\"queries\":7}\n");
        assert_eq!(reply(addr, "GET /api/v1/status", "").1, "{}\n");
        assert!(reply(addr, "GET /style.css", "").0.contains("content-type: text/css"));
    }

    #[test]
    fn silent_connections_make_room_for_new_ones() {
        let addr = served(Idle::default(), None);
        let silent: Vec<_> = (0..WEB_CONNECTIONS_MAX + 50).map(|_| std::net::TcpStream::connect(addr).expect("it listens")).collect();
        assert_eq!(reply(addr, "GET /healthz", "").1, "ok\n");
        // The first ones have been closed.
        let mut first = &silent[0];
        assert_eq!(first.read(&mut [0; 8]).expect("closed in order"), 0);
    }

    #[test]
    fn lines_of_a_list_are_one_list() {
        let addr = served(Idle::default(), None);
        let (head, _) = reply(addr, "GET /metrics", "Accept: text/html\r\nAccept: application/openmetrics-text\r\n");
        assert!(head.contains("content-type: application/openmetrics-text"), "{head}");
    }

    #[test]
    fn numbers_need_the_password() {
        let addr = served(Idle::default(), Some("secret"));
        let (head, _) = reply(addr, "GET /metrics", "");
        assert!(head.starts_with("http/1.1 401") && head.contains("www-authenticate: basic"), "{head}");
        assert!(reply(addr, "GET /metrics", "Authorization: Basic OnNlY3JldA==\r\n").0.starts_with("http/1.1 200"));
        assert!(reply(addr, "GET /healthz", "").0.starts_with("http/1.1 200"));
    }

    #[test]
    fn odd_requests_end_at_once() {
        let addr = served(Idle::default(), None);
        let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(64 << 10));
        let fields = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "A: b\r\n".repeat(4_000));
        for request in ["\r\n\r\n\r\nnonsense\r\n\r\n", "GET\0/ HTTP/1.1\r\n\r\n", &long, &fields, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
            let mut stream = std::net::TcpStream::connect(addr).expect("it listens");
            stream.write_all(request.as_bytes()).expect("it is read");
            let mut reply = Vec::new();
            stream.read_to_end(&mut reply).expect("a clean end, not a reset");
            assert!(reply.is_empty() || reply.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&reply));
        }
        assert_eq!(reply(addr, "GET /healthz", "").1, "ok\n");
    }

    #[test]
    fn a_port_in_use_is_left_out() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = taken.local_addr().expect("bound");
        assert_eq!(bind(&[addr, "127.0.0.1:0".parse().expect("an address")]).0.len(), 1);
    }
}
