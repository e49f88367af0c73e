//! Decides what a request for a page gets: without waiting and without reading anything but the request.

use std::net::IpAddr;

use super::exposition::Form;
use super::password::{Login, Logins};
use crate::env::BootTime;
use crate::limits::server::WEB_NAME_CHARS_MAX;
use crate::listen::form::field;
use crate::record::{Name, Question, Rtype, reverse_name, to_ascii_name};

/// What of a request counts.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// Behind the question mark.
    pub(super) query: &'a str,
    /// The header `Sec-Fetch-Site`: what a browser says of the page that made it ask.
    pub(super) fetch_site: Option<&'a str>,
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
    /// The dashboard.
    Overview,
    Style,
    /// How a name is resolved, as a page; `Err`: what is wrong with what was typed.
    Explanation(Result<Question, &'static str>),
    Api(Api),
    /// Status code, what is told, and one more header.
    Refusal(u16, &'static str, Option<(&'static str, String)>),
}

/// A page for programs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Api {
    Status,
    Stats,
    Failing,
    Explain(Question),
}

/// Health is told to everybody who may connect: a supervisor has no password.
pub(super) fn page(asked: &Asked<'_>, logins: &mut Logins, now: BootTime) -> Page {
    let refused = |status, what| Page::Refusal(status, what, None);
    let page = match asked.path {
        "/metrics" => Page::Metrics(Form::asked_for(asked.accept)),
        "/healthz" => Page::Healthy,
        "/readyz" => Page::Ready,
        "/" => Page::Overview,
        "/style.css" => Page::Style,
        "/explain" => Page::Explanation(question(asked.query)),
        "/api/v1/status" => Page::Api(Api::Status),
        "/api/v1/stats" => Page::Api(Api::Stats),
        "/api/v1/failing" => Page::Api(Api::Failing),
        "/api/v1/explain" => match question(asked.query) {
            Ok(question) => Page::Api(Api::Explain(question)),
            Err(what) => return refused(400, what),
        },
        _ => return refused(404, "no such page; / leads to all of them"),
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
    // Only our own pages, and whoever types the address, may have a name looked up.
    let looks_up = matches!(page, Page::Explanation(Ok(_)) | Page::Api(Api::Explain(_)));
    if looks_up && asked.fetch_site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return refused(403, "a page of another site may not ask this");
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

/// The question in the fields `name` and `type`. An address stands for the name of its PTR record.
fn question(query: &str) -> Result<Question, &'static str> {
    let name = field(query, "name").ok_or("the name is missing: ?name=www.example.com&type=A")?;
    let (name, rtype) = (name.trim(), field(query, "type").unwrap_or_default());
    if name.is_empty() {
        return Err("the name is missing");
    }
    if name.len() > WEB_NAME_CHARS_MAX {
        return Err("this is too long for a name");
    }
    let (name, usual) = match name.parse::<IpAddr>().ok().and_then(reverse_name) {
        Some(name) => (name, Rtype::PTR),
        None => {
            let ascii = to_ascii_name(name).ok_or("the xn-- form of this name is not known")?;
            (Name::parse(&ascii).map_err(|_| "this is not a name")?, Rtype::A)
        }
    };
    let rtype = match rtype.trim() {
        "" => usual,
        rtype => rtype.to_ascii_uppercase().parse().map_err(|_| "there is no such record type")?,
    };
    Ok(Question::new(name, rtype))
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
        query: "",
        fetch_site: None,
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
            ("GET", "/style.css", 200),
            ("GET", "/api/v1/status", 200),
            ("GET", "/api/v1/stats", 200),
            ("GET", "/api/v1/failing", 200),
            ("GET", "/api/v1/explain", 400),
            ("GET", "/api/v1/flush", 404),
            ("POST", "/api/v1/status", 405),
            ("GET", "/explain", 200),
            ("GET", "/metrics/", 404),
            ("GET", "/../etc/passwd", 404),
            ("POST", "/nothing", 404),
        ] {
            assert_eq!(status(&Asked { method, path, ..OPEN }, &mut logins), expected, "{method} {path}");
        }
    }

    #[test]
    fn what_is_typed_is_a_name_or_an_address() {
        for (query, expected) in [
            ("name=www.example.com", Ok("www.example.com. A")),
            ("name=+www.example.com.+&type=aaaa", Ok("www.example.com. AAAA")),
            ("name=b%C3%BCcher.example&type=", Ok("xn--bcher-kva.example. A")),
            ("name=192.0.2.1", Ok("1.2.0.192.in-addr.arpa. PTR")),
            ("name=192.0.2.1&type=TXT", Ok("1.2.0.192.in-addr.arpa. TXT")),
            ("name=.&type=NS", Ok(". NS")),
            ("name=%3Cscript%3E&type=TYPE65280", Ok("<script>. TYPE65280")),
            ("type=A", Err("the name is missing: ?name=www.example.com&type=A")),
            ("name=&type=A", Err("the name is missing")),
            ("name=a..b", Err("this is not a name")),
            ("name=a&type=B", Err("there is no such record type")),
        ] {
            assert_eq!(question(query).map(|question| question.to_string()), expected.map(str::to_owned), "{query}");
        }
        assert!(question(&format!("name={}", "a.".repeat(513))).is_err());
    }

    #[test]
    fn the_description_of_the_api_has_its_pages_and_no_others() {
        let description = include_str!("../../../docs/openapi.yml");
        let described: Vec<&str> = description.lines().filter_map(|line| line.strip_prefix("  /")?.strip_suffix(':')).collect();
        let mut logins = Logins::new(None);
        let mut pages = Vec::new();
        for path in &described {
            match page(&Asked { path: &format!("/{path}"), query: "name=example.com", ..OPEN }, &mut logins, BootTime(0)) {
                Page::Api(Api::Status) => pages.push(0),
                Page::Api(Api::Stats) => pages.push(1),
                Page::Api(Api::Failing) => pages.push(2),
                Page::Api(Api::Explain(_)) => pages.push(3),
                other => panic!("/{path} is {other:?}"),
            }
        }
        assert_eq!(pages, [0, 1, 2, 3], "{described:?}");
    }

    /// A page somewhere must not have names looked up through the browser of whoever reads it.
    #[test]
    fn other_sites_ask_nothing() {
        let mut logins = Logins::new(None);
        for (fetch_site, expected) in
            [(None, 200), (Some("same-origin"), 200), (Some("none"), 200), (Some("cross-site"), 403), (Some("same-site"), 403)]
        {
            for path in ["/explain", "/api/v1/explain"] {
                let asked = Asked { path, query: "name=example.com", fetch_site, ..OPEN };
                assert_eq!(status(&asked, &mut logins), expected, "{path} {fetch_site:?}");
            }
            assert_eq!(status(&Asked { fetch_site, ..OPEN }, &mut logins), 200);
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
        for path in ["/metrics", "/", "/api/v1/status", "/explain"] {
            assert_eq!(status(&Asked { path, ..OPEN }, &mut logins), 401, "{path}");
        }
        let guess = Asked { authorization: Some("Basic OmU="), ..OPEN };
        for _ in 0..WEB_FAILED_LOGINS_MAX {
            assert_eq!(status(&guess, &mut logins), 401);
        }
        let Page::Refusal(429, _, Some((name, value))) = page(&guess, &mut logins, BootTime(0)) else { panic!("it has to wait") };
        assert_eq!((name, &*value), ("retry-after", "1"));
    }
}
