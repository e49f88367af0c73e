//! One HTTP connection: each request becomes a query, its answer a response.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Buf;
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use super::body::{Held, ReplyBody, Reserved};
use super::cork::Corked;
use super::freshness::max_age;
use super::request::{Asked, MEDIA_TYPE, METHODS, asked, fits};
use crate::answer::{AtOnce, Client};
use crate::limits::clients::{
    HTTP_CLOSE_MAX, HTTP_HEADER_BYTES_MAX, HTTP_HEADERS_MAX, HTTP_RESETS_MAX, HTTP_STREAMS_MAX, HTTP_UNREAD_BYTES_MAX, HTTP_WINDOW_BYTES,
};
use crate::listen::dispatch::{Answer, Dispatch, MESSAGE_BYTES};
use crate::listen::failure;
use crate::listen::handshake::Secured;
use crate::listen::limits::{Bounds, Permit};
use crate::metrics::{Counter, Gauge};
use crate::record::Rcode;

/// The protocol that ALPN names (RFC 9113 3.2).
const HTTP_2: &[u8] = b"h2";

struct Shared<A> {
    dispatch: Rc<Dispatch<A>>,
    /// As they were when the connection began.
    bounds: Bounds,
    client: Client,
    path: Arc<String>,
    held: Rc<Held>,
    /// Requests that have no response yet.
    requests: Cell<usize>,
    /// When there was last something to do.
    busy_until: Cell<Instant>,
}

/// Serves the connection until either side closes it or a limit is reached.
pub(in crate::listen) async fn converse<A: Answer>(
    dispatch: Rc<Dispatch<A>>,
    stream: Secured,
    client: Client,
    permit: Permit,
    path: Arc<String>,
) {
    let is_http_2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
    let (bounds, now) = (dispatch.bounds.now(), Instant::now());
    let held = Rc::new(Held { permit, room: Notify::new(), moved: Cell::new(now), unread: Cell::new(0) });
    let metrics = dispatch.metrics.clone();
    let mut stop = dispatch.stop.clone();
    let shared = Rc::new(Shared { dispatch, bounds, client, path, held, requests: Cell::new(0), busy_until: Cell::new(now) });
    metrics.up(Gauge::ConnectionsOpen);
    let _open = OnDrop(|| metrics.down(Gauge::ConnectionsOpen));
    let builder = builder(is_http_2, &bounds);
    let service = {
        let shared = Rc::clone(&shared);
        service_fn(move |request| respond(Rc::clone(&shared), request))
    };
    let stream = Corked::new(stream);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream.clone()), service));
    let mut timer = pin!(sleep_until(now + bounds.idle));
    let mut is_stopping = false;
    loop {
        tokio::select! {
            biased;
            () = poll_fn(|cx| {
                let outcome = connection.as_mut().poll(cx).map(drop);
                if outcome.is_pending() {
                    if let Poll::Ready(Err(_)) = stream.poll_uncork(cx) {
                        return Poll::Ready(());
                    }
                    // What its client does not read may make room for others.
                    shared.held.permit.waits();
                }
                outcome
            }) => return,
            _ = stop.wait_for(|stop| *stop), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = timer.as_mut() => match shared.deadline(is_stopping) {
                Some(deadline) if deadline > Instant::now() => timer.as_mut().reset(deadline),
                // The client does not read, or has had its time to close.
                _ if is_stopping || shared.held.unread.get() > 0 => {
                    shared.dispatch.metrics.count(Counter::ConnectionsTimedOut);
                    return;
                }
                _ => {
                    shared.dispatch.metrics.count(Counter::ConnectionsTimedOut);
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                    timer.as_mut().reset(Instant::now() + HTTP_CLOSE_MAX);
                }
            },
        }
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn builder(is_http_2: bool, bounds: &Bounds) -> Builder<InPlace> {
    let mut builder = Builder::new(InPlace);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(HTTP_WINDOW_BYTES)
        .initial_connection_window_size(HTTP_WINDOW_BYTES)
        .max_concurrent_streams(HTTP_STREAMS_MAX)
        .max_send_buf_size(HTTP_WINDOW_BYTES as usize)
        .max_header_list_size(HTTP_HEADER_BYTES_MAX)
        .max_pending_accept_reset_streams(HTTP_RESETS_MAX)
        .max_local_error_reset_streams(HTTP_RESETS_MAX);
    builder
        .http1()
        .timer(TokioTimer::new())
        // Runs also while the client sends nothing; then this connection is closed in order before.
        .header_read_timeout(bounds.idle + HTTP_CLOSE_MAX)
        .max_headers(HTTP_HEADERS_MAX)
        .max_buf_size(HTTP_HEADER_BYTES_MAX as usize);
    if is_http_2 { builder.http2_only() } else { builder.http1_only() }
}

/// Polls what a request starts at once, and makes a task of it only if it has to wait.
#[derive(Clone, Copy)]
struct InPlace;

impl<F: Future<Output = ()> + 'static> Executor<F> for InPlace {
    fn execute(&self, future: F) {
        let mut future = Box::pin(future);
        // A new task is polled at least once more, with a waker of its own.
        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Pending {
            tokio::task::spawn_local(future);
        }
    }
}

impl<A: Answer> Shared<A> {
    /// When the connection is to be closed, if nothing happens; `None`: now.
    fn deadline(&self, is_stopping: bool) -> Option<Instant> {
        let unread = (self.held.unread.get() > 0).then(|| self.held.moved.get() + self.bounds.message);
        match (unread, self.requests.get()) {
            (Some(unread), _) => Some(unread),
            // Answers have their own deadline.
            (None, 1..) => Some(Instant::now() + self.bounds.idle),
            (None, 0) if is_stopping => None,
            (None, 0) => Some(self.busy_until.get() + self.dispatch.connections.idle_timeout()),
        }
    }

    fn note_request(&self, more: isize) {
        self.requests.set(self.requests.get().saturating_add_signed(more));
        self.held.permit.questions_under_way(self.requests.get());
        self.busy_until.set(Instant::now());
    }

    /// Waits until the client has read what fills the room of this connection.
    async fn room(&self) {
        while self.held.permit.bytes() >= self.bounds.bytes_per_connection {
            let room = self.held.room.notified();
            room.await;
        }
    }
}

/// An error resets the stream, or closes a connection over HTTP/1.1: what a rule drops gets no response.
#[derive(Debug)]
struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no answer")
    }
}

impl std::error::Error for Dropped {}

async fn respond<A: Answer>(shared: Rc<Shared<A>>, request: Request<Incoming>) -> Result<Response<ReplyBody>, Dropped> {
    shared.note_request(1);
    let _request = OnDrop(|| shared.note_request(-1));
    shared.held.permit.question_came();
    let query = match asked(request.method(), request.uri(), request.headers(), &shared.path) {
        Ok(Asked::Query { message, head }) => Ok((message, head, None)),
        Ok(Asked::Body) => match timeout(shared.bounds.message, body(&shared, request.into_body())).await {
            Ok(read) => read.map(|(message, reserved)| (message, false, Some(reserved))),
            Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
        },
        Err(status) => {
            // A client that is still sending would not read the status: a response before the end of its body resets the stream.
            let _ = timeout(shared.bounds.message, body(&shared, request.into_body())).await;
            Err(status)
        }
    };
    let (query, head, reserved) = match query {
        Ok(query) => query,
        Err(status) => {
            shared.dispatch.metrics.count(Counter::HttpRefused);
            return Ok(refusal(status));
        }
    };
    shared.dispatch.metrics.count(Counter::StreamQueries);
    let reply = match at_once(&shared, &query) {
        Ok(reply) => reply,
        Err(pending) => later(&shared, &query, pending).await,
    };
    drop(reserved);
    let Some(reply) = reply.filter(|reply| !reply.is_empty()) else {
        // What has no readable header is no query at all; a rule drops the rest.
        return if failure::reply(&query, Rcode::FORMERR).is_none() { Ok(refusal(StatusCode::BAD_REQUEST)) } else { Err(Dropped) };
    };
    let mut response = Response::new(ReplyBody::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(CACHE_CONTROL, max_age_header(max_age(&reply)));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(reply.len()));
    if !head {
        shared.room().await;
        match shared.held.reserve(reply.len(), shared.held.permit.bytes() == 0) {
            Some(reserved) => *response.body_mut() = ReplyBody::message(reply, reserved),
            None => return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE)),
        }
    }
    Ok(response)
}

fn max_age_header(seconds: u32) -> HeaderValue {
    // Digits are valid in a header.
    HeaderValue::try_from(format!("max-age={seconds}")).unwrap_or_else(|_| HeaderValue::from_static("no-store"))
}

fn refusal(status: StatusCode) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::empty());
    *response.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
    }
    response
}

/// The answer that needs no waiting; `Ok(None)`: there is none.
fn at_once<A: Answer>(shared: &Shared<A>, query: &[u8]) -> Result<Option<Vec<u8>>, A::Pending> {
    let dispatch = &shared.dispatch;
    let began = dispatch.batch_begins();
    let moment = dispatch.moment();
    let mut slot = dispatch.scratch.borrow_mut();
    slot[..query.len()].copy_from_slice(query);
    let outcome = match dispatch.at_once(&moment, &mut slot, query.len(), &shared.client) {
        AtOnce::Reply(len) => {
            dispatch.metrics.count(Counter::StreamAtOnce);
            Ok(Some(slot[..len.min(MESSAGE_BYTES)].to_vec()))
        }
        AtOnce::Silence => Ok(None),
        // Zone transfers have many messages, and a response has one (RFC 8484 4.2.1).
        AtOnce::Many(_) => Ok(failure::reply(query, Rcode::REFUSED)),
        AtOnce::Later(pending) => Err(pending),
    };
    dispatch.batch_ends(began);
    outcome
}

async fn later<A: Answer>(shared: &Shared<A>, query: &[u8], pending: A::Pending) -> Option<Vec<u8>> {
    let Shared { dispatch, client, .. } = shared;
    match dispatch.admit(client) {
        Some(waiting) => dispatch.later(query, pending, client, &waiting).await,
        None => {
            dispatch.metrics.count(Counter::TurnedAway);
            failure::reply(query, Rcode::SERVFAIL)
        }
    }
}

/// Reads the body, and holds its octets.
async fn body<A: Answer>(shared: &Shared<A>, body: Incoming) -> Result<(Vec<u8>, Reserved), StatusCode> {
    let (mut message, mut octets) = (Vec::new(), 0);
    let mut reserved = shared.held.reserve(0, false).ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    let mut body = pin!(body);
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        let Ok(mut data) = frame.into_data() else { continue };
        octets += data.remaining();
        if octets > HTTP_UNREAD_BYTES_MAX {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        if octets > MESSAGE_BYTES {
            // A client that is still sending would not read the status: the rest is dropped.
            continue;
        }
        if shared.held.permit.bytes() + data.remaining() > shared.bounds.bytes_per_connection {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        if !reserved.grow(data.remaining()) {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        while data.has_remaining() {
            let chunk = data.chunk();
            message.extend_from_slice(chunk);
            let len = chunk.len();
            data.advance(len);
        }
    }
    if octets > MESSAGE_BYTES {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    fits(&message)?;
    Ok((message, reserved))
}
