//! One HTTP connection: each request becomes a query, its answer a response.

use std::borrow::Cow;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
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
use super::dns_json;
use super::freshness::max_age;
use super::request::{Asked, Form, HttpsUris, Refusal, asked, fits};
use crate::answer::{AtOnce, Client};
use crate::limits::clients::{
    CLOSE_BYTES_MAX, CLOSE_MAX, HTTP_CLOSE_MAX, HTTP_HEADER_BYTES_MAX, HTTP_HEADERS_MAX, HTTP_RESETS_MAX, HTTP_ROOM_TURNS_MAX,
    HTTP_STREAMS_MAX, HTTP_UNREAD_BYTES_MAX, HTTP_WINDOW_BYTES, REPLY_BYTES_USUAL,
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
    uris: Arc<HttpsUris>,
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
    uris: Arc<HttpsUris>,
) {
    let is_http_2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
    let (bounds, now) = (dispatch.bounds.now(), Instant::now());
    let held = Rc::new(Held { permit, room: Notify::new(), moved: Cell::new(now), unread: Cell::new(0) });
    let metrics = dispatch.metrics.clone();
    let mut stop = dispatch.stop.clone();
    let shared = Rc::new(Shared { dispatch, bounds, client, uris, held, requests: Cell::new(0), busy_until: Cell::new(now) });
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
                stream.begin_turn();
                let outcome = connection.as_mut().poll(cx).map(drop);
                if outcome.is_pending() {
                    if let Poll::Ready(Err(_)) = stream.poll_uncork(cx) {
                        return Poll::Ready(());
                    }
                    // What its client does not read may make room for others.
                    shared.held.permit.waits();
                }
                outcome
            }) => break,
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
    // HTTP has ended, and its last words may still be here: what is wrong with a request over HTTP/1.1 is one of them, told while the
    // client still sends.
    let close = async {
        poll_fn(|cx| stream.poll_close(cx)).await?;
        // An idle connection has none.
        let mut left = if is_stopping && shared.busy_until.get() + CLOSE_MAX < Instant::now() { 0 } else { CLOSE_BYTES_MAX };
        poll_fn(|cx| stream.poll_drop_input(&shared.dispatch.scratch, &mut left, cx)).await
    };
    // The connection ends in any case.
    let _: Result<io::Result<()>, _> = timeout(CLOSE_MAX, close).await;
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

    /// Whether a question may be taken: there is room for one more answer of any length.
    fn has_room(&self) -> bool {
        self.held.unread.get() < self.bounds.bytes_per_connection
    }

    /// Whether there is room for so many more octets of queries. Answers do not count: a query may wait for them to be read.
    fn has_room_for(&self, octets: usize) -> bool {
        self.held.permit.bytes() + octets <= self.bounds.bytes_per_connection + self.held.unread.get()
    }

    /// Waits until octets of this connection have been given back.
    async fn room_changed(&self) {
        let changed = self.held.room.notified();
        self.held.permit.waits();
        changed.await;
    }

    /// Holds a query that came in a URI.
    fn hold(&self, message: Vec<u8>, is_head: bool, form: Form) -> Result<Query, Refusal> {
        let reserved = if self.has_room_for(message.len()) { self.held.reserve(message.len(), false) } else { None };
        let reserved = reserved.ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
        Ok(Query { message, is_head, form, _reserved: reserved })
    }

    /// Room for a reply of usual length, asked for before the query is answered: the answer itself always has a place then.
    async fn room_for_reply(&self) -> Result<Reserved, NoRoom> {
        let mut turns_left = HTTP_ROOM_TURNS_MAX;
        loop {
            while !self.has_room() {
                self.room_changed().await;
            }
            let is_first = self.held.unread.get() == 0;
            if let Some(reserved) = self.held.reserve(REPLY_BYTES_USUAL, is_first) {
                return Ok(reserved);
            }
            if is_first {
                // This connection has nothing to write: others hold the room, and are about to write.
                turns_left = turns_left.checked_sub(1).ok_or(NoRoom)?;
                tokio::task::yield_now().await;
            } else {
                self.room_changed().await;
            }
        }
    }
}

/// `None`: there is no answer.
fn kept(reply: Cow<'_, [u8]>, query: &Query, mut reserved: Reserved) -> Option<Reply> {
    if reply.is_empty() {
        return None;
    }
    let (max_age, form) = (max_age(&reply), query.form);
    let octets = match form {
        Form::Message => reply,
        Form::Json => Cow::Owned(dns_json::text(&reply)?),
    };
    let len = octets.len();
    let octets = if query.is_head { Vec::new() } else { octets.into_owned() };
    reserved.hold(octets.len());
    Some(Reply { octets, len, form, max_age, reserved })
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

/// A query, whose octets are held until it has an answer.
struct Query {
    message: Vec<u8>,
    /// The client wants no content.
    is_head: bool,
    form: Form,
    _reserved: Reserved,
}

/// A reply that has room on the connection.
struct Reply {
    /// None where the client wants no content.
    octets: Vec<u8>,
    len: usize,
    form: Form,
    max_age: u32,
    reserved: Reserved,
}

async fn respond<A: Answer>(shared: Rc<Shared<A>>, request: Request<Incoming>) -> Result<Response<ReplyBody>, Dropped> {
    shared.note_request(1);
    let _request = OnDrop(|| shared.note_request(-1));
    shared.held.permit.question_came();
    let query = match asked(request.method(), request.uri(), request.headers(), &shared.uris) {
        Ok(Asked::Query { message, head, form }) => {
            // The header is as large again as the query, and is not counted.
            drop(request);
            shared.hold(message, head, form)
        }
        Ok(Asked::Body) => match timeout(shared.bounds.message, body(&shared, request.into_body())).await {
            Ok(read) => read.map_err(Refusal::from),
            Err(_) => Err(StatusCode::REQUEST_TIMEOUT.into()),
        },
        Err(refusal) => {
            // A client that is still sending would not read the status: a response before the end of its body resets the stream.
            let _ = timeout(shared.bounds.message, body(&shared, request.into_body())).await;
            Err(refusal)
        }
    };
    let answered = match query {
        Ok(query) => {
            shared.dispatch.metrics.count(Counter::StreamQueries);
            match answer(&shared, &query).await {
                Ok(Some(reply)) => Ok(reply),
                // What has no readable header is no query at all; a rule drops the rest.
                Ok(None) if failure::reply(&query.message, Rcode::FORMERR).is_some() => return Err(Dropped),
                Ok(None) => Err(StatusCode::BAD_REQUEST.into()),
                Err(NoRoom) => Err(StatusCode::SERVICE_UNAVAILABLE.into()),
            }
        }
        Err(refusal) => Err(refusal),
    };
    match answered {
        Ok(reply) => Ok(response(reply, shared.dispatch.differs_by_client())),
        Err(refusal) => {
            shared.dispatch.metrics.count(Counter::HttpRefused);
            Ok(refused(&shared, refusal))
        }
    }
}

fn response(reply: Reply, differs_by_client: bool) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.form.media_type()));
    headers.insert(CACHE_CONTROL, cache_control(reply.max_age, differs_by_client));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(reply.len));
    if !reply.octets.is_empty() {
        *response.body_mut() = ReplyBody::message(reply.octets, reply.reserved);
    }
    response
}

/// A cache that several clients share must not keep what a view, for instance, says to one of them (RFC 9111 5.2.2.7).
fn cache_control(seconds: u32, differs_by_client: bool) -> HeaderValue {
    let private = if differs_by_client { ", private" } else { "" };
    // Digits and letters are valid in a header.
    HeaderValue::try_from(format!("max-age={seconds}{private}")).unwrap_or_else(|_| HeaderValue::from_static("no-store"))
}

fn refused<A>(shared: &Shared<A>, Refusal { status, allow, why }: Refusal) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::empty());
    *response.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    }
    if let Some(text) = why.map(|why| format!("{why}\n").into_bytes())
        && let Some(reserved) = shared.held.reserve(text.len(), false)
    {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        *response.body_mut() = ReplyBody::message(text, reserved);
    }
    response
}

/// Other connections hold all there is, and none of them can be closed.
struct NoRoom;

/// Answers the query, once; `Ok(None)`: there is no answer.
async fn answer<A: Answer>(shared: &Shared<A>, query: &Query) -> Result<Option<Reply>, NoRoom> {
    let room = shared.room_for_reply().await?;
    match at_once(shared, query, room) {
        Ok(reply) => Ok(reply),
        Err((pending, room)) => {
            shared.held.permit.waits();
            let reply = later(shared, &query.message, pending).await.unwrap_or_default();
            Ok(kept(Cow::Owned(reply), query, room))
        }
    }
}

/// The answer that needs no waiting.
fn at_once<A: Answer>(shared: &Shared<A>, query: &Query, room: Reserved) -> Result<Option<Reply>, (A::Pending, Reserved)> {
    let (dispatch, message) = (&shared.dispatch, &query.message[..]);
    let began = dispatch.batch_begins();
    let moment = dispatch.moment();
    let mut slot = dispatch.scratch.borrow_mut();
    slot[..message.len()].copy_from_slice(message);
    let outcome = match dispatch.at_once(&moment, &mut slot, message.len(), &shared.client) {
        AtOnce::Reply(len) => {
            dispatch.metrics.count(Counter::StreamAtOnce);
            Ok(kept(Cow::Borrowed(&slot[..len.min(MESSAGE_BYTES)]), query, room))
        }
        AtOnce::Silence => Ok(None),
        // Zone transfers have many messages, and a response has one (RFC 8484 4.2.1).
        AtOnce::Many(_) => Ok(kept(Cow::Owned(failure::reply(message, Rcode::REFUSED).unwrap_or_default()), query, room)),
        AtOnce::Later(pending) => Err((pending, room)),
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
async fn body<A: Answer>(shared: &Shared<A>, body: Incoming) -> Result<Query, StatusCode> {
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
        if !shared.has_room_for(data.remaining()) || !reserved.grow(data.remaining()) {
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
    Ok(Query { message, is_head: false, form: Form::Message, _reserved: reserved })
}
