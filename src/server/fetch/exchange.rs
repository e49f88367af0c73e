//! One request and its response over one connection (HTTP/1.1, RFC 9112), with a bound on each part of the response.

use std::error::Error;
use std::io::{self, Write};
use std::pin::pin;

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, HOST, IF_MODIFIED_SINCE, IF_NONE_MATCH, USER_AGENT};
use hyper_util::rt::TokioIo;

use super::error::FetchError;
use super::head::{self, Meaning, Validators};
use super::unpack::Unpacker;
use crate::config::HttpUrl;
use crate::env::Stream;
use crate::limits::fetch::{FETCHED_BYTES_MAX, HEAD_BYTES_MAX, HEADER_FIELDS_MAX};

/// What a response gave. Data has been written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Got {
    Data(Validators),
    NotModified,
    Redirect(HttpUrl),
}

/// Asks for the URL; the data goes to `into`, unpacked.
pub(super) async fn get(
    stream: Box<dyn Stream>,
    url: &HttpUrl,
    validators: Option<&Validators>,
    into: &mut dyn Write,
) -> Result<Got, FetchError> {
    let handshake = http1::Builder::new().max_headers(HEADER_FIELDS_MAX).max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(told)?;
    let request = request(url, validators)?;
    let talk = async move {
        let response = sender.send_request(request).await.map_err(told)?;
        let meaning = head::meaning(url, validators.is_some(), response.status(), response.headers())?;
        match meaning {
            Meaning::NotModified => Ok(Got::NotModified),
            Meaning::Redirect(to) => Ok(Got::Redirect(to)),
            Meaning::Data(packing, validators) => {
                take(response.into_body(), Unpacker::new(packing, into)).await?;
                Ok(Got::Data(validators))
            }
        }
    };
    // The connection moves what the talk waits for. It may end first: what it has read is still there to take.
    let (mut talk, mut connection, mut is_open) = (pin!(talk), pin!(connection), true);
    loop {
        tokio::select! {
            biased;
            got = &mut talk => return got,
            _ = &mut connection, if is_open => is_open = false,
        }
    }
}

fn request(url: &HttpUrl, validators: Option<&Validators>) -> Result<Request<Empty<Bytes>>, FetchError> {
    let mut request = Request::builder()
        .uri(&*url.target)
        .header(HOST, url.authority())
        .header(USER_AGENT, concat!("cairn/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "*/*")
        .header(ACCEPT_ENCODING, "gzip, br")
        .header(CONNECTION, "close");
    let Validators { etag, last_modified } = validators.cloned().unwrap_or_default();
    // RFC 9110 13.1.3: a server that knows the tag ignores the date.
    for (name, value) in [(IF_NONE_MATCH, etag), (IF_MODIFIED_SINCE, last_modified)] {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    request.body(Empty::new()).map_err(|error| FetchError::NotHttp(error.to_string()))
}

async fn take(mut body: Incoming, mut unpacker: Unpacker<'_>) -> Result<(), FetchError> {
    if body.size_hint().lower() > FETCHED_BYTES_MAX {
        return Err(FetchError::TooLarge);
    }
    while let Some(frame) = body.frame().await {
        // Trailers have nothing for us.
        if let Ok(piece) = frame.map_err(told)?.into_data() {
            unpacker.take(&piece)?;
            // A server that is faster than the disk and the decoder leaves other fetches their turn.
            tokio::task::yield_now().await;
        }
    }
    unpacker.finish()
}

/// Our reason for an error of HTTP.
fn told(error: hyper::Error) -> FetchError {
    let mut source: Option<&dyn Error> = Some(&error);
    let mut is_cut_short = error.is_incomplete_message();
    let mut words = error.to_string();
    while let Some(inner) = source {
        let kind = inner.downcast_ref::<io::Error>().map(io::Error::kind);
        is_cut_short |= matches!(kind, Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe));
        words = inner.to_string();
        source = inner.source();
    }
    match () {
        () if error.is_parse_too_large() => FetchError::HeadTooLarge,
        () if is_cut_short => FetchError::CutShort,
        () => FetchError::NotHttp(words),
    }
}
