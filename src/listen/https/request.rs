//! What an HTTP request asks for, or why it is refused (RFC 8484 4.1, RFC 9110 15.5). Nothing here waits.

use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use hyper::{Method, StatusCode, Uri};

use super::accept::Wish;
use super::dns_json::{self, BadParameter};
use super::media_type::{DNS_JSON, DNS_MESSAGE};
use crate::listen::dispatch::MESSAGE_BYTES;
use crate::record::base64url_from_text;
use crate::wire::HEADER_BYTES;

/// The URIs at which DNS over HTTPS is served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpsUris {
    /// Of RFC 8484.
    pub path: String,
    /// Whether the JSON form is served as well, there and at `/resolve`.
    pub json: bool,
}

/// In which form a reply goes to the client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Message,
    Json,
}

impl Form {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Form::Message => DNS_MESSAGE,
            Form::Json => DNS_JSON,
        }
    }
}

/// A request that is understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The query was in the URI; `head`: the client wants no content.
    Query { message: Vec<u8>, head: bool, form: Form },
    /// The query is the body.
    Body,
}

/// A request that is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// The methods that are understood there, for a client that used another one (RFC 9110 15.5.6).
    pub(super) allow: &'static str,
    /// For people.
    pub(super) why: Option<BadParameter>,
}

impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Refusal {
        Refusal { status, allow: "GET, HEAD, POST", why: None }
    }
}

pub(super) fn asked(method: &Method, uri: &Uri, headers: &HeaderMap, uris: &HttpsUris) -> Result<Asked, Refusal> {
    let (path, parameters) = (uri.path(), uri.query().unwrap_or_default());
    let is_ours = path == uris.path;
    let is_of_json = uris.json && path == dns_json::PATH;
    if !is_ours && !is_of_json {
        return Err(StatusCode::NOT_FOUND.into());
    }
    let (is_head, is_get) = (method == Method::HEAD, method == Method::GET || method == Method::HEAD);
    if is_ours && !(uris.json && is_get && dns_json::is_meant(parameters)) {
        return Ok(asked_in_messages(method, parameters, headers)?);
    }
    if !is_get {
        return Err(Refusal { allow: "GET, HEAD", ..StatusCode::METHOD_NOT_ALLOWED.into() });
    }
    asked_in_json(parameters, headers, is_head)
}

fn accepts(headers: &HeaderMap, media_types: &[&str]) -> bool {
    let lines = || headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    media_types.iter().any(|media_type| Wish::of(lines(), media_type).is_there())
}

fn asked_in_json(parameters: &str, headers: &HeaderMap, head: bool) -> Result<Asked, Refusal> {
    let told = |why| Refusal { why: Some(why).filter(|_| !head), ..StatusCode::BAD_REQUEST.into() };
    let query = dns_json::query(parameters).map_err(told)?;
    let (form, media_types) = match query.wants_message {
        true => (Form::Message, &[DNS_MESSAGE][..]),
        // Clients name the type of the content or that of JSON.
        false => (Form::Json, &[DNS_JSON, "application/json"][..]),
    };
    if !accepts(headers, media_types) {
        return Err(StatusCode::NOT_ACCEPTABLE.into());
    }
    Ok(Asked::Query { message: query.message, head, form })
}

/// RFC 8484.
fn asked_in_messages(method: &Method, parameters: &str, headers: &HeaderMap) -> Result<Asked, StatusCode> {
    let is_post = method == Method::POST;
    if !is_post && method != Method::GET && method != Method::HEAD {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    if !accepts(headers, &[DNS_MESSAGE]) {
        return Err(StatusCode::NOT_ACCEPTABLE);
    }
    if is_post {
        let is_message = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_media_type);
        return if is_message { Ok(Asked::Body) } else { Err(StatusCode::UNSUPPORTED_MEDIA_TYPE) };
    }
    let message = parameters.split('&').find_map(|pair| pair.strip_prefix("dns="));
    let message = message.and_then(decoded).ok_or(StatusCode::BAD_REQUEST)?;
    fits(&message)?;
    Ok(Asked::Query { message, head: method == Method::HEAD, form: Form::Message })
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
    value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(DNS_MESSAGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8484 4.1.1: the first example.
    const EXAMPLE: &str = "AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB";

    fn status(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Asked, u16> {
        status_at(false, method, uri, headers)
    }

    fn status_at(json: bool, method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Asked, u16> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: hyper::header::HeaderName = name.parse().expect("a name");
            map.append(name, value.parse().expect("a value"));
        }
        let method: Method = method.parse().expect("a method");
        let uris = HttpsUris { path: "/dns-query".to_owned(), json };
        asked(&method, &uri.parse().expect("a URI"), &map, &uris).map_err(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn requests_and_their_status() {
        let good = &format!("/dns-query?dns={EXAMPLE}")[..];
        let message = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01".to_vec();
        assert_eq!(status("GET", good, &[]), Ok(Asked::Query { message: message.clone(), head: false, form: Form::Message }));
        assert_eq!(status("HEAD", good, &[]), Ok(Asked::Query { message: message.clone(), head: true, form: Form::Message }));
        let with_others = format!("https://dns.example/dns-query?ct&dns={EXAMPLE}&x=1");
        assert_eq!(status("GET", &with_others, &[("accept", DNS_MESSAGE)]), Ok(Asked::Query { message, head: false, form: Form::Message }));
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

    #[test]
    fn the_json_form_is_served_where_it_is_turned_on() {
        let form = |method: &str, uri: &str, headers: &[(&str, &str)]| {
            status_at(true, method, uri, headers).map(|asked| match asked {
                Asked::Query { form, head, message } => (form, head, message.len() > HEADER_BYTES),
                Asked::Body => panic!("it is in the URI"),
            })
        };
        let json = |head| Ok((Form::Json, head, true));
        assert_eq!(form("GET", "/resolve?name=example.com", &[]), json(false));
        assert_eq!(form("HEAD", "/dns-query?type=AAAA&name=example.com", &[]), json(true));
        for accept in ["application/dns-json", "application/json", "*/*", "text/html, application/*;q=0.1"] {
            assert_eq!(form("GET", "/dns-query?name=example.com", &[("accept", accept)]), json(false), "{accept}");
        }
        let in_wire_form = "/resolve?name=example.com&ct=application/dns-message";
        assert_eq!(form("GET", in_wire_form, &[]), Ok((Form::Message, false, true)));
        assert_eq!(form("GET", &format!("/dns-query?dns={EXAMPLE}"), &[]), Ok((Form::Message, false, true)));
        for (method, uri, headers, expected) in [
            ("GET", "/resolve", &[][..], 400),
            ("GET", "/resolve?name=example.com&type=nothing", &[], 400),
            ("GET", &format!("/resolve?dns={EXAMPLE}"), &[], 400),
            ("GET", "/resolve/?name=example.com", &[], 404),
            ("POST", "/resolve?name=example.com", &[], 405),
            ("GET", "/resolve?name=example.com", &[("accept", "text/html")], 406),
            ("GET", in_wire_form, &[("accept", "application/dns-json")], 406),
            ("POST", "/dns-query?name=example.com", &[], 415),
        ] {
            assert_eq!(form(method, uri, headers), Err(expected), "{method} {uri} {headers:?}");
        }
        assert_eq!(status("GET", "/resolve?name=example.com", &[]), Err(404), "it is turned off");
    }
}
