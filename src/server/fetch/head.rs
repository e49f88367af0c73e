//! What the head of a response means: data, nothing newer, another place, or a reason to refuse (RFC 9110).

use hyper::StatusCode;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED, LOCATION, RETRY_AFTER};
use serde::{Deserialize, Serialize};

use super::error::{FetchError, RetryAfter};
use crate::config::{HttpUrl, Scheme};
use crate::env::WallTime;
use crate::limits::fetch::VALIDATOR_BYTES_MAX;

/// What the server gives with its data, and is sent to ask for newer data only (RFC 9110 13.1). Kept and sent as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::server) struct Validators {
    pub(in crate::server) etag: Option<String>,
    pub(in crate::server) last_modified: Option<String>,
}

/// How the data is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// As it is; data that begins as a gzip file does is unpacked all the same.
    None,
    Gzip,
    Brotli,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Data(Packing, Validators),
    NotModified,
    Redirect(HttpUrl),
}

impl Validators {
    fn of(fields: &HeaderMap) -> Validators {
        let kept = |name: HeaderName| {
            let value = fields.get(name)?.to_str().ok()?;
            (value.len() <= VALIDATOR_BYTES_MAX).then(|| value.to_owned())
        };
        Validators { etag: kept(ETAG), last_modified: kept(LAST_MODIFIED) }
    }

    pub(super) fn are_none(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}

/// `is_conditional`: it was asked for newer data only.
pub(super) fn meaning(url: &HttpUrl, is_conditional: bool, status: StatusCode, fields: &HeaderMap) -> Result<Meaning, FetchError> {
    match status.as_u16() {
        200 => {
            refuse_other_kinds(fields)?;
            Ok(Meaning::Data(packing(fields)?, Validators::of(fields)))
        }
        304 if is_conditional => Ok(Meaning::NotModified),
        304 => Err(FetchError::NotModifiedUnasked),
        301 | 302 | 303 | 307 | 308 => redirect(url, fields, status).map(Meaning::Redirect),
        status @ (429 | 503) => Err(match retry_after(fields) {
            Some(retry) => FetchError::Busy { status, retry },
            None => FetchError::Status(status),
        }),
        other => Err(FetchError::Status(other)),
    }
}

/// RFC 9110 10.2.3: seconds or a date, of which servers send the preferred form alone (RFC 9110 5.6.7).
fn retry_after(fields: &HeaderMap) -> Option<RetryAfter> {
    let text = fields.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(RetryAfter::Seconds(seconds));
    }
    let date = jiff::fmt::strtime::parse("%a, %d %b %Y %H:%M:%S GMT", text).ok()?.to_datetime().ok()?;
    let date = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    Some(RetryAfter::At(WallTime(u64::try_from(date).ok()?)))
}

fn redirect(url: &HttpUrl, fields: &HeaderMap, status: StatusCode) -> Result<HttpUrl, FetchError> {
    // A redirect without a place is of no use.
    let location = fields.get(LOCATION).ok_or(FetchError::Status(status.as_u16()))?;
    let told = || String::from_utf8_lossy(location.as_bytes()).chars().filter(|c| !c.is_control()).take(100).collect::<String>();
    let to = url.join(location.as_bytes()).map_err(|why| FetchError::BadRedirect { to: told(), why })?;
    match (url.scheme, to.scheme) {
        (Scheme::Https, Scheme::Http) => Err(FetchError::LessSecure { to: to.to_string() }),
        _ => Ok(to),
    }
}

/// Kinds of data that are surely no list. Lists come as text, as octets, or without any kind.
fn refuse_other_kinds(fields: &HeaderMap) -> Result<(), FetchError> {
    const OTHER: [&str; 11] = [
        "text/html",
        "text/xml",
        "text/css",
        "application/xhtml+xml",
        "application/xml",
        "application/json",
        "application/pdf",
        "application/zip",
        "application/javascript",
        "text/javascript",
        "application/x-tar",
    ];
    const OTHER_FAMILIES: [&str; 6] = ["image/", "audio/", "video/", "font/", "multipart/", "model/"];
    let Some(value) = fields.get(CONTENT_TYPE) else { return Ok(()) };
    let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    let kind = text.split(';').next().unwrap_or_default().trim();
    match OTHER.contains(&kind) || OTHER_FAMILIES.iter().any(|family| kind.starts_with(family)) {
        true => Err(FetchError::ContentType(kind.chars().take(100).collect())),
        false => Ok(()),
    }
}

/// RFC 9110 8.4: several encodings may follow one another; only one is asked for.
fn packing(fields: &HeaderMap) -> Result<Packing, FetchError> {
    let mut packing = Packing::None;
    for value in fields.get_all(CONTENT_ENCODING) {
        let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        for encoding in value.split(',').map(str::trim).filter(|encoding| !encoding.is_empty() && *encoding != "identity") {
            packing = match (packing, encoding) {
                (Packing::None, "gzip" | "x-gzip") => Packing::Gzip,
                (Packing::None, "br") => Packing::Brotli,
                _ => return Err(FetchError::ContentEncoding(value.chars().filter(|c| !c.is_control()).take(100).collect())),
            };
        }
    }
    Ok(packing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(is_conditional: bool, status: u16, fields: &[(&str, &str)]) -> Result<Meaning, FetchError> {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_bytes(name.as_bytes()).expect("a name"), value.parse().expect("a value"));
        }
        let url = HttpUrl::parse("https://a.example/ads.txt").expect("a URL");
        meaning(&url, is_conditional, StatusCode::from_u16(status).expect("a status"), &map)
    }

    #[test]
    fn kinds_and_packings() {
        let kind = |kind: &str| Err(FetchError::ContentType(kind.to_owned()));
        let data = |packing| Ok(Meaning::Data(packing, Validators::default()));
        let packed = |text: &str| Err(FetchError::ContentEncoding(text.to_owned()));
        for (fields, expected) in [
            (&[][..], data(Packing::None)),
            (&[("content-type", "text/plain; charset=utf-8")], data(Packing::None)),
            (&[("content-type", "application/octet-stream")], data(Packing::None)),
            (&[("content-type", "binary/octet-stream")], data(Packing::None)),
            (&[("content-type", "")], data(Packing::None)),
            (&[("content-type", "Text/HTML;charset=utf-8")], kind("text/html")),
            (&[("content-type", "image/png")], kind("image/png")),
            (&[("content-type", "application/json")], kind("application/json")),
            (&[("content-encoding", "gzip")], data(Packing::Gzip)),
            (&[("content-encoding", "X-GZIP")], data(Packing::Gzip)),
            (&[("content-encoding", "identity, br")], data(Packing::Brotli)),
            (&[("content-encoding", "deflate")], packed("deflate")),
            (&[("content-encoding", "gzip, gzip")], packed("gzip, gzip")),
            (&[("content-encoding", "gzip"), ("content-encoding", "br")], packed("br")),
        ] {
            assert_eq!(of(false, 200, fields), expected, "{fields:?}");
        }
        let kept = Validators { etag: Some("W/\"x\"".to_owned()), last_modified: Some("Mon".to_owned()) };
        let fields = [("etag", "W/\"x\""), ("last-modified", "Mon")];
        assert_eq!(of(false, 200, &fields), Ok(Meaning::Data(Packing::None, kept)));
        let long = "x".repeat(VALIDATOR_BYTES_MAX + 1);
        assert_eq!(of(false, 200, &[("etag", &long)]), data(Packing::None));
    }

    #[test]
    fn when_to_come_again() {
        let busy = |status, retry| Err(FetchError::Busy { status, retry });
        for (status, value, expected) in [
            (429, "120", busy(429, RetryAfter::Seconds(120))),
            (503, " 0 ", busy(503, RetryAfter::Seconds(0))),
            (503, "Fri, 31 Dec 1999 23:59:59 GMT", busy(503, RetryAfter::At(WallTime(946_684_799)))),
            (503, "Fri, 31 Dec 1969 23:59:59 GMT", Err(FetchError::Status(503))),
            (503, "99999999999999999999", Err(FetchError::Status(503))),
            (503, "-1", Err(FetchError::Status(503))),
            (503, "soon", Err(FetchError::Status(503))),
            (503, "", Err(FetchError::Status(503))),
            // Other failures are not for the server to say when they end.
            (404, "120", Err(FetchError::Status(404))),
        ] {
            assert_eq!(of(false, status, &[("retry-after", value)]), expected, "{status} {value}");
        }
        let retry = RetryAfter::At(WallTime(100));
        assert_eq!((retry.wait_s(WallTime(40)), retry.wait_s(WallTime(400))), (60, 0));
    }

    #[test]
    fn statuses_and_redirects() {
        assert_eq!(of(true, 304, &[]), Ok(Meaning::NotModified));
        assert_eq!(of(false, 304, &[]), Err(FetchError::NotModifiedUnasked));
        for status in [204, 206, 300, 400, 404, 429, 500, 503] {
            assert_eq!(of(true, status, &[("location", "/x")]), Err(FetchError::Status(status)));
        }
        for status in [301, 302, 303, 307, 308] {
            let to = HttpUrl::parse("https://a.example/x").expect("a URL");
            assert_eq!(of(true, status, &[("location", "x")]), Ok(Meaning::Redirect(to)));
            assert_eq!(of(true, status, &[]), Err(FetchError::Status(status)));
        }
        let less = FetchError::LessSecure { to: "http://a.example/x".to_owned() };
        assert_eq!(of(true, 302, &[("location", "http://a.example/x")]), Err(less));
        let bad = |to: &str, why| Err(FetchError::BadRedirect { to: to.to_owned(), why });
        assert_eq!(
            of(true, 302, &[("location", "ftp://a.example/x")]),
            bad("ftp://a.example/x", "is neither an https:// nor an http:// URL")
        );
    }
}
