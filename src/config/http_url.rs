//! A URL that is fetched over HTTP (RFC 9110 4.2): scheme, host, port, path and query, and what a redirect makes of it.
//!
//! Read strictly where the operator writes it, and leniently where a server's redirect does: octets that a URL may not have are
//! percent-encoded then, as browsers do. A fragment is for whoever reads the page, and is left out.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::limits::fetch::URL_BYTES_MAX;
use crate::record::Name;

/// An `https://` or `http://` URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpUrl {
    pub scheme: Scheme,
    pub host: Host,
    /// That of the scheme where the URL names none.
    pub port: u16,
    /// Path and query, which begin with `/`.
    pub target: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
}

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// In small letters, without a final dot.
    Name(String),
    Address(IpAddr),
}

impl Scheme {
    pub fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

impl HttpUrl {
    /// What is wrong is a part of a sentence that begins with the URL.
    pub fn parse(text: &str) -> Result<HttpUrl, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("is not a URL")?;
        let scheme = match () {
            () if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            () if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
            () => return Err("is neither an https:// nor an http:// URL"),
        };
        if text.len() > URL_BYTES_MAX {
            return Err("is too long a URL");
        }
        if !text.bytes().all(may_stand_in_url) {
            return Err("has characters that a URL cannot have; write them percent-encoded");
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (host, port) = host_and_port(authority)?;
        let target = target.split_once('#').map_or(target, |(before, _)| before);
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(HttpUrl { scheme, host, port: port.unwrap_or(scheme.port()), target })
    }

    /// The URL that a `Location` field means here (RFC 3986 5.2).
    pub fn join(&self, location: &[u8]) -> Result<HttpUrl, &'static str> {
        let location = encoded(location.trim_ascii());
        let base = format!("{}://{}", self.scheme.word(), self.authority());
        let path = self.target.split_once('?').map_or(&*self.target, |(path, _)| path);
        let reference = location.split_once('#').map_or(&*location, |(before, _)| before);
        let is_absolute = || {
            let scheme = reference.split_once(':').map(|(scheme, _)| scheme);
            scheme.is_some_and(|scheme| {
                !scheme.is_empty() && scheme.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet))
            })
        };
        let joined = match reference {
            "" => format!("{base}{}", self.target),
            _ if reference.starts_with("//") => format!("{}:{reference}", self.scheme.word()),
            _ if reference.starts_with('/') => format!("{base}{reference}"),
            _ if reference.starts_with('?') => format!("{base}{path}{reference}"),
            _ if is_absolute() => reference.to_owned(),
            _ => format!("{base}{}/{reference}", path.rsplit_once('/').map_or("", |(folder, _)| folder)),
        };
        let mut url = HttpUrl::parse(&joined)?;
        url.target = without_dots(&url.target);
        Ok(url)
    }

    /// Host and port, as the `Host` field has them (RFC 9110 7.2).
    pub fn authority(&self) -> String {
        let host = match &self.host {
            Host::Name(name) => name.clone(),
            Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
            Host::Address(address) => address.to_string(),
        };
        if self.port == self.scheme.port() { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.word(), self.authority(), self.target)
    }
}

pub(super) fn host_and_port(authority: &str) -> Result<(Host, Option<u16>), &'static str> {
    if authority.contains('@') {
        return Err("has a user name or a password, which Cairn does not send");
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or("has an address without its end, \"]\"")?;
            let address: Ipv6Addr = address.parse().map_err(|_| "has no IPv6 address between \"[\" and \"]\"")?;
            (Host::Address(IpAddr::V6(address)), after)
        }
        None => {
            let (host, port) = authority.find(':').map_or((authority, ""), |colon| authority.split_at(colon));
            (named(host)?, port)
        }
    };
    const WRONG: &str = "has a port that is no number from 1 to 65535";
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        // An empty port is that of the scheme (RFC 3986 3.2.3).
        Some("") => None,
        Some(digits) if digits.bytes().all(|octet| octet.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port > 0).ok_or(WRONG)?)
        }
        _ => return Err(WRONG),
    };
    Ok((host, port))
}

fn named(host: &str) -> Result<Host, &'static str> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(Host::Address(address));
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
    // A last label of digits would be read as an address by some, and as a name by others (RFC 3696 2).
    let is_number = host.rsplit('.').next().is_none_or(|label| label.bytes().all(|octet| octet.is_ascii_digit()));
    match Name::parse(host) {
        Ok(name) if !host.is_empty() && !is_number && host.bytes().all(is_plain) && !name.is_root() => {
            Ok(Host::Name(host.to_ascii_lowercase()))
        }
        _ => Err("has no host name and no address"),
    }
}

/// RFC 3986 2: all others are percent-encoded.
fn may_stand_in_url(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&octet)
}

/// With what a URL may not have in its percent-encoded form.
fn encoded(location: &[u8]) -> String {
    let mut text = String::with_capacity(location.len());
    for octet in location {
        match may_stand_in_url(*octet) {
            true => text.push(char::from(*octet)),
            false => text.push_str(&format!("%{octet:02X}")),
        }
    }
    text
}

/// RFC 3986 5.2.4, for the path in front of the query.
fn without_dots(target: &str) -> String {
    let (path, query) = target.find('?').map_or((target, ""), |at| target.split_at(at));
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_the_operator() {
        for (text, expected) in [
            ("https://lists.example/ads.txt", Ok("https://lists.example/ads.txt")),
            ("HTTPS://Lists.Example.:443/A?b=c#d", Ok("https://lists.example/A?b=c")),
            ("http://lists.example", Ok("http://lists.example/")),
            ("http://lists.example?x", Ok("http://lists.example/?x")),
            ("http://lists.example#x", Ok("http://lists.example/")),
            ("https://192.0.2.1:8443/x", Ok("https://192.0.2.1:8443/x")),
            ("https://[2001:db8::1]/x", Ok("https://[2001:db8::1]/x")),
            ("https://[2001:db8::1]:80/x", Ok("https://[2001:db8::1]:80/x")),
            ("https://lists.example:/x", Ok("https://lists.example/x")),
            ("lists.example/x", Err("is not a URL")),
            ("ftp://x/y", Err("is neither an https:// nor an http:// URL")),
            ("https:///x", Err("has no host name and no address")),
            ("https://a..b/x", Err("has no host name and no address")),
            ("https://192.0.2.256/x", Err("has no host name and no address")),
            ("https://a,b/x", Err("has no host name and no address")),
            ("https://a b/x", Err("has characters that a URL cannot have; write them percent-encoded")),
            ("https://a/<x>", Err("has characters that a URL cannot have; write them percent-encoded")),
            ("https://a/?`", Err("has characters that a URL cannot have; write them percent-encoded")),
            ("https://a/\u{7}", Err("has characters that a URL cannot have; write them percent-encoded")),
            ("https://a/é", Err("has characters that a URL cannot have; write them percent-encoded")),
            ("https://user:word@lists.example/x", Err("has a user name or a password, which Cairn does not send")),
            ("https://lists.example:0/x", Err("has a port that is no number from 1 to 65535")),
            ("https://lists.example:65536/x", Err("has a port that is no number from 1 to 65535")),
            ("https://lists.example:+1/x", Err("has a port that is no number from 1 to 65535")),
            ("https://[::1", Err("has an address without its end, \"]\"")),
            ("https://[::1]x/", Err("has a port that is no number from 1 to 65535")),
        ] {
            assert_eq!(HttpUrl::parse(text).map(|url| url.to_string()), expected.map(str::to_owned), "{text}");
        }
        assert!(HttpUrl::parse(&format!("https://a.example/{}", "x".repeat(URL_BYTES_MAX))).is_err());
    }

    #[test]
    fn redirects() {
        let base = HttpUrl::parse("https://a.example:8443/lists/ads.txt?v=1").expect("a URL");
        for (location, expected) in [
            ("https://b.example/x", Ok("https://b.example/x")),
            ("http://b.example/x", Ok("http://b.example/x")),
            ("//b.example/x", Ok("https://b.example/x")),
            ("/x", Ok("https://a.example:8443/x")),
            ("x", Ok("https://a.example:8443/lists/x")),
            ("../x?y", Ok("https://a.example:8443/x?y")),
            ("../../../x/./y/..", Ok("https://a.example:8443/x/")),
            ("?v=2", Ok("https://a.example:8443/lists/ads.txt?v=2")),
            ("", Ok("https://a.example:8443/lists/ads.txt?v=1")),
            ("#top", Ok("https://a.example:8443/lists/ads.txt?v=1")),
            (" /a b\u{e9} ", Ok("https://a.example:8443/a%20b%C3%A9")),
            ("/<a>`b`\u{7}\u{7f}{c}|", Ok("https://a.example:8443/%3Ca%3E%60b%60%07%7F%7Bc%7D%7C")),
            ("?<x>", Ok("https://a.example:8443/lists/ads.txt?%3Cx%3E")),
            ("file:///etc/passwd", Err("is neither an https:// nor an http:// URL")),
            ("javascript:x", Err("is not a URL")),
            ("https://u@b.example/", Err("has a user name or a password, which Cairn does not send")),
        ] {
            assert_eq!(base.join(location.as_bytes()).map(|url| url.to_string()), expected.map(str::to_owned), "{location}");
        }
    }
}
