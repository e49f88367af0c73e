//! Decides what a request for a page gets: without waiting and without reading anything but the request.

use std::net::IpAddr;

use super::exposition::Form;
use super::password::{Login, Logins};
use crate::env::BootTime;

/// What of a request counts.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// The header `Host`, or the authority of the request's target.
    pub(super) host: Option<&'a str>,
    pub(super) accept: Option<&'a str>,
    pub(super) authorization: Option<&'a str>,
    pub(super) client: IpAddr,
}

/// What it gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Page {
    Metrics(Form),
    Healthy,
    Ready,
    Index,
    /// Status code, what is told, and one more header.
    Refusal(u16, &'static str, Option<(&'static str, String)>),
}

/// Health is told to everybody who may connect: a supervisor has no password.
pub(super) fn page(asked: &Asked<'_>, logins: &mut Logins, now: BootTime) -> Page {
    let refused = |status, what| Page::Refusal(status, what, None);
    let page = match asked.path {
        "/metrics" => Page::Metrics(Form::asked_for(asked.accept)),
        "/healthz" => Page::Healthy,
        "/readyz" => Page::Ready,
        "/" => Page::Index,
        _ => return refused(404, "no such page; there are /metrics, /healthz and /readyz"),
    };
    if !matches!(asked.method, "GET" | "HEAD") {
        return Page::Refusal(405, "only GET and HEAD", Some(("allow", "GET, HEAD".to_owned())));
    }
    // A page of another site may have its own name lead to this address (DNS rebinding), and has no password to give.
    if logins.is_open() && !asked.host.is_some_and(is_of_this_machine) {
        return refused(421, "without a password, this server is known by its address or as localhost alone");
    }
    if matches!(page, Page::Healthy | Page::Ready) {
        return page;
    }
    match logins.check(asked.client, asked.authorization, now) {
        Login::Good => page,
        Login::Missing => {
            Page::Refusal(401, "this page needs the password of web.password-file", Some(("www-authenticate", CHALLENGE.to_owned())))
        }
        Login::Wrong => Page::Refusal(401, "this is not the password", Some(("www-authenticate", CHALLENGE.to_owned()))),
        Login::Wait(wait) => {
            let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
            Page::Refusal(429, "too many wrong passwords", Some(("retry-after", seconds.to_string())))
        }
    }
}

/// RFC 7617 2, 2.1.
const CHALLENGE: &str = "Basic realm=\"cairn\", charset=\"UTF-8\"";

/// An address, or `localhost`, perhaps with a port.
fn is_of_this_machine(host: &str) -> bool {
    let without_port = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    without_port.parse::<IpAddr>().is_ok() || without_port.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::super::password::Password;
    use super::*;
    use crate::limits::server::WEB_FAILED_LOGINS_MAX;

    const OPEN: Asked<'static> = Asked {
        method: "GET",
        path: "/metrics",
        host: Some("127.0.0.1:8053"),
        accept: None,
        authorization: None,
        client: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    };

    fn status(asked: &Asked<'_>, logins: &mut Logins) -> u16 {
        match page(asked, logins, BootTime(0)) {
            Page::Refusal(status, ..) => status,
            _ => 200,
        }
    }

    #[test]
    fn pages_and_methods() {
        let mut logins = Logins::new(None);
        for (method, path, expected) in [
            ("GET", "/metrics", 200),
            ("HEAD", "/metrics", 200),
            ("POST", "/metrics", 405),
            ("GET", "/healthz", 200),
            ("GET", "/readyz", 200),
            ("GET", "/", 200),
            ("GET", "/metrics/", 404),
            ("GET", "/../etc/passwd", 404),
            ("POST", "/nothing", 404),
        ] {
            assert_eq!(status(&Asked { method, path, ..OPEN }, &mut logins), expected, "{method} {path}");
        }
    }

    #[test]
    fn names_of_other_sites_lead_nowhere() {
        let mut logins = Logins::new(None);
        for (host, expected) in [
            (Some("localhost"), 200),
            (Some("LOCALHOST:8053"), 200),
            (Some("[::1]:8053"), 200),
            (Some("[::1]"), 200),
            (Some("192.0.2.1"), 200),
            (Some("evil.example"), 421),
            (Some("127.0.0.1.evil.example:8053"), 421),
            (Some("localhost.evil.example"), 421),
            (Some(""), 421),
            (None, 421),
        ] {
            for path in ["/metrics", "/healthz"] {
                assert_eq!(status(&Asked { host, path, ..OPEN }, &mut logins), expected, "{host:?}");
            }
        }
        let mut closed = Logins::new(Some(Password::Plain(b"secret".to_vec())));
        let authorization = Some("Basic OnNlY3JldA==");
        assert_eq!(status(&Asked { host: Some("dns.example.org"), authorization, ..OPEN }, &mut closed), 200);
    }

    #[test]
    fn health_needs_no_password_and_numbers_do() {
        let mut logins = Logins::new(Some(Password::Plain(b"secret".to_vec())));
        assert_eq!(status(&Asked { path: "/healthz", ..OPEN }, &mut logins), 200);
        assert_eq!(status(&OPEN, &mut logins), 401);
        let guess = Asked { authorization: Some("Basic OmU="), ..OPEN };
        for _ in 0..WEB_FAILED_LOGINS_MAX {
            assert_eq!(status(&guess, &mut logins), 401);
        }
        let Page::Refusal(429, _, Some((name, value))) = page(&guess, &mut logins, BootTime(0)) else { panic!("it has to wait") };
        assert_eq!((name, &*value), ("retry-after", "1"));
    }
}
