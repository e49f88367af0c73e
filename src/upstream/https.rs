//! DNS over HTTPS towards a server (RFC 8484): each query is a POST on one HTTP/2 connection (RFC 9113). What the server sends is
//! bounded: header fields, octets of a body, octets that it may send ahead.

use std::future::Future;
use std::rc::Rc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::connection::Connection;
use super::fault::{HttpFault, TcpFault};
use super::tls_server::TlsServer;
use crate::env::Stream;
use crate::limits::upstream::{HTTPS_HEAD_BYTES_MAX, HTTPS_STREAM_BYTES_MAX, HTTPS_WINDOW_BYTES_MAX, TCP_SILENCE_MAX};

const DNS_MESSAGE: &str = "application/dns-message";
/// RFC 1035 4.2.2: the longest message.
const MESSAGE_BYTES: usize = 65_535;

type Sender = http2::SendRequest<Full<Bytes>>;

/// Runs what HTTP/2 needs beside the requests on this thread.
#[derive(Clone, Copy)]
struct LocalTasks;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalTasks {
    fn execute(&self, work: F) {
        tokio::task::spawn_local(work);
    }
}

/// Asks until one side ends the connection.
pub(super) async fn talk(connection: &Rc<Connection>, stream: Box<dyn Stream>, server: &TlsServer) -> TcpFault {
    let mut builder = http2::Builder::new(LocalTasks);
    builder
        .initial_stream_window_size(HTTPS_STREAM_BYTES_MAX)
        .initial_connection_window_size(HTTPS_WINDOW_BYTES_MAX)
        .max_header_list_size(HTTPS_HEAD_BYTES_MAX);
    let Ok((sender, http)) = builder.handshake(TokioIo::new(stream)).await else { return TcpFault::Closed };
    let mut http = std::pin::pin!(http);
    let mut requests: JoinSet<(u16, Result<Vec<u8>, TcpFault>)> = JoinSet::new();
    let mut outbox = Vec::new();
    let Some(mut look_again) = connection.look_again() else { return TcpFault::Closed };
    while !connection.is_over() {
        connection.take_unsent(&mut outbox);
        for (id, query) in queries(&mut outbox) {
            let Ok(request) = request(server, query) else { return TcpFault::Http(HttpFault::Broken) };
            let mut sender = sender.clone();
            requests.spawn_local(async move { (id, exchange(&mut sender, request).await) });
        }
        tokio::select! {
            biased;
            _ = &mut http => return TcpFault::Closed,
            Some(done) = requests.join_next() => match done {
                Ok((id, Ok(mut message))) => {
                    // RFC 8484 4.1: queries have the ID 0.
                    let Some(of_message) = message.first_chunk_mut::<2>().filter(|of_message| **of_message == [0, 0]) else {
                        return TcpFault::Unasked;
                    };
                    *of_message = id.to_be_bytes();
                    if !connection.deliver(message) {
                        return TcpFault::Unasked;
                    }
                }
                Ok((id, Err(fault))) => connection.fail(id, fault),
                Err(_) => {}
            },
            // The server may have asked for a shorter idle time.
            () = connection.wake.notified() => look_again = connection.look_again().map_or(look_again, |at| at.min(look_again)),
            () = tokio::time::sleep_until(look_again) => match connection.look_again() {
                Some(at) => look_again = at,
                None => break,
            },
        }
    }
    // Without senders the connection ends as HTTP/2 asks for it, if the server takes part.
    drop((sender, requests));
    let _ = tokio::time::timeout(TCP_SILENCE_MAX, http).await;
    TcpFault::Closed
}

/// The messages, each with the ID that it had and the ID 0 in its place.
fn queries(outbox: &mut Vec<u8>) -> Vec<(u16, Vec<u8>)> {
    let mut all = Vec::new();
    let mut rest = &outbox[..];
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let Some((message, after)) = after.split_at_checked(usize::from(u16::from_be_bytes(*length))) else { break };
        let mut message = message.to_vec();
        if let Some(id) = message.first_chunk_mut::<2>() {
            all.push((u16::from_be_bytes(std::mem::take(id)), message));
        }
        rest = after;
    }
    outbox.clear();
    all
}

fn request(server: &TlsServer, query: Vec<u8>) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let (authority, path) = server.authority_and_path();
    let request = Request::post(format!("https://{authority}{path}")).header(CONTENT_TYPE, DNS_MESSAGE).header(ACCEPT, DNS_MESSAGE);
    request.body(Full::new(Bytes::from(query)))
}

async fn exchange(sender: &mut Sender, request: Request<Full<Bytes>>) -> Result<Vec<u8>, TcpFault> {
    let response = sender.send_request(request).await.map_err(|error| fault_of(&error))?;
    reply_of(response).await
}

/// The server may take back a connection or a stream at any time (RFC 9113 6.8): the query is asked again on another one.
fn fault_of(error: &hyper::Error) -> TcpFault {
    if error.is_parse() || error.is_user() { TcpFault::Http(HttpFault::Broken) } else { TcpFault::Closed }
}

async fn reply_of(response: Response<Incoming>) -> Result<Vec<u8>, TcpFault> {
    if response.status() != StatusCode::OK {
        return Err(TcpFault::Http(HttpFault::Status(response.status().as_u16())));
    }
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case(DNS_MESSAGE) {
        return Err(TcpFault::Http(HttpFault::ContentType));
    }
    let body = Limited::new(response.into_body(), MESSAGE_BYTES).collect().await;
    match body {
        Ok(body) => Ok(body.to_bytes().to_vec()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(TcpFault::Http(HttpFault::TooLong)),
        Err(_) => Err(TcpFault::Http(HttpFault::Broken)),
    }
}
