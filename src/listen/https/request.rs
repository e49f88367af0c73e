//! What an HTTP request asks for, or why it is refused (RFC 8484 4.1, RFC 9110 15.5). Nothing here waits.

use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use hyper::{Method, StatusCode, Uri};

use super::accept::Wish;
use crate::listen::dispatch::MESSAGE_BYTES;
use crate::record::base64url_from_text;
use crate::wire::HEADER_BYTES;

/// RFC 8484 6.
pub(super) const MEDIA_TYPE: &str = "application/dns-message";
/// The methods that are understood, for a client that used another one (RFC 9110 15.5.6).
pub(super) const METHODS: &str = "GET, HEAD, POST";

/// A request that is understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The query was in the URI; `head`: the client wants no content.
    Query { message: Vec<u8>, head: bool },
    /// The query is the body.
    Body,
}

pub(super) fn asked(method: &Method, uri: &Uri, headers: &HeaderMap, path: &str) -> Result<Asked, StatusCode> {
    if uri.path() != path {
        return Err(StatusCode::NOT_FOUND);
    }
    let is_post = method == Method::POST;
    if !is_post && method != Method::GET && method != Method::HEAD {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    if !Wish::of(headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok()), MEDIA_TYPE).is_there() {
        return Err(StatusCode::NOT_ACCEPTABLE);
    }
    if is_post {
        let is_message = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_media_type);
        return if is_message { Ok(Asked::Body) } else { Err(StatusCode::UNSUPPORTED_MEDIA_TYPE) };
    }
    let message = uri.query().and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("dns=")));
    let message = message.and_then(decoded).ok_or(StatusCode::BAD_REQUEST)?;
    fits(&message)?;
    Ok(Asked::Query { message, head: method == Method::HEAD })
}

/// RFC 8484 6: base 64 for URLs without padding.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(text.len() / 4 * 3 + 2);
    base64url_from_text(text.as_bytes(), &mut message).then_some(message)
}

/// A message of this length can be a query.
pub(super) fn fits(message: &[u8]) -> Result<(), StatusCode> {
    match message.len() {
        ..HEADER_BYTES => Err(StatusCode::BAD_REQUEST),
        HEADER_BYTES..=MESSAGE_BYTES => Ok(()),
        _ => Err(StatusCode::PAYLOAD_TOO_LARGE),
    }
}

/// Parameters behind the type do not count (RFC 9110 8.3.1).
fn is_media_type(value: &str) -> bool {
    value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(MEDIA_TYPE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8484 4.1.1: the first example.
    const EXAMPLE: &str = "AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB";

    fn status(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Asked, u16> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: hyper::header::HeaderName = name.parse().expect("a name");
            map.append(name, value.parse().expect("a value"));
        }
        let method: Method = method.parse().expect("a method");
        asked(&method, &uri.parse().expect("a URI"), &map, "/dns-query").map_err(|status| status.as_u16())
    }

    #[test]
    fn requests_and_their_status() {
        let good = &format!("/dns-query?dns={EXAMPLE}")[..];
        let message = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01".to_vec();
        assert_eq!(status("GET", good, &[]), Ok(Asked::Query { message: message.clone(), head: false }));
        assert_eq!(status("HEAD", good, &[]), Ok(Asked::Query { message: message.clone(), head: true }));
        let with_others = format!("https://dns.example/dns-query?ct&dns={EXAMPLE}&x=1");
        assert_eq!(status("GET", &with_others, &[("accept", MEDIA_TYPE)]), Ok(Asked::Query { message, head: false }));
        let (post, ours) = (("content-type", "application/dns-message"), ("content-type", "Application/DNS-Message; v=1"));
        assert_eq!((status("POST", "/dns-query", &[post]), status("POST", "/dns-query", &[ours])), (Ok(Asked::Body), Ok(Asked::Body)));
        let padded = format!("{good}=");
        for (method, uri, headers, expected) in [
            ("GET", "/", &[][..], 404),
            ("GET", "/dns-query/", &[], 404),
            ("DELETE", "/other", &[], 404),
            ("PUT", good, &[], 405),
            ("OPTIONS", good, &[], 405),
            ("GET", "/dns-query", &[], 400),
            ("GET", "/dns-query?dns=", &[], 400),
            ("GET", "/dns-query?dns=AAAA", &[], 400),
            ("GET", &padded, &[], 400),
            ("GET", "/dns-query?dns=AA+A", &[], 400),
            ("GET", "/dns-query?name=example.com&type=A", &[], 400),
            ("GET", good, &[("accept", "text/html")], 406),
            ("GET", good, &[("accept", "application/dns-message;q=0, text/html")], 406),
            ("GET", good, &[("accept", "application/dns-message;q=0, */*")], 406),
            ("GET", good, &[("accept", "application/dns-message; Q=0.000"), ("accept", "*/*")], 406),
            ("GET", good, &[("accept", "text/html"), ("accept", "application/json")], 406),
            ("POST", "/dns-query", &[], 415),
            ("POST", "/dns-query", &[("content-type", "application/json")], 415),
            ("POST", "/dns-query", &[post, ("accept", "application/json")], 406),
        ] {
            assert_eq!(status(method, uri, headers), Err(expected), "{method} {uri:.60} {headers:?}");
        }
        for accept in ["*/*", "", "application/*", "text/html, application/dns-message;q=0.1", "Application/Dns-Message"] {
            assert!(status("GET", good, &[("accept", accept)]).is_ok(), "{accept}");
        }
        // Several lines are one list.
        for lines in
            [["text/html", "application/dns-message"], ["*/*;q=0.1", "text/html"], ["application/*;q=0", "application/dns-message"]]
        {
            assert!(status("GET", good, &lines.map(|line| ("accept", line))).is_ok(), "{lines:?}");
        }
    }
}
