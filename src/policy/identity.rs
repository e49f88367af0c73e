//! What this server tells of itself: its name and version, to those who ask in class CH (RFC 4892) or with NSID (RFC 5001).
//!
//! What the configuration gives is told to everybody, because it was written to be told. Without it, clients of this server
//! learn which program it is, and strangers nothing.

use crate::config::Settings;
use crate::record::{Name, RrSet, Rtype};

/// What is told, as character strings.
pub struct Identity {
    /// Empty: not told.
    name: Vec<u8>,
    version: Vec<u8>,
    /// The version is the program's own, which only clients in `allow` learn.
    is_version_own: bool,
}

impl Identity {
    /// Takes the texts of the settings.
    pub fn new(settings: &Settings) -> Identity {
        let server = &settings.server;
        let own = || concat!("cairn ", env!("CARGO_PKG_VERSION")).to_owned();
        Identity {
            name: server.identity.clone().unwrap_or_default().into_bytes(),
            version: server.version.clone().unwrap_or_else(own).into_bytes(),
            is_version_own: server.version.is_none(),
        }
    }

    /// The NSID of this server, if it has one.
    pub fn nsid(&self) -> Option<&[u8]> {
        (!self.name.is_empty()).then_some(&self.name[..])
    }

    /// The TXT records of a name in class CH; `None` if the name is unknown, or not for this client.
    pub fn find(&self, name: &Name, is_allowed: bool) -> Option<RrSet> {
        let text = match name.as_wire() {
            b"\x02id\x06server\0" | b"\x08hostname\x04bind\0" => &self.name,
            b"\x07version\x04bind\0" | b"\x07version\x06server\0" if is_allowed || !self.is_version_own => &self.version,
            _ => return None,
        };
        let length = u8::try_from(text.len()).ok().filter(|length| *length > 0)?;
        Some(RrSet::with(name.clone(), Rtype::TXT, 0, &[&[length], &text[..]].concat()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_learns_what() {
        let own = concat!("cairn ", env!("CARGO_PKG_VERSION"));
        let (unset, set) = ("", "[server]\nidentity = 'ns1.fra'\nversion = 'a resolver'\n");
        let hidden = "[server]\nidentity = ''\nversion = ''\n";
        for (settings, name, to_clients, to_strangers) in [
            (unset, "version.bind", Some(own), None),
            (unset, "version.server", Some(own), None),
            (unset, "id.server", None, None),
            (unset, "hostname.bind", None, None),
            (set, "version.bind", Some("a resolver"), Some("a resolver")),
            (set, "version.server", Some("a resolver"), Some("a resolver")),
            (set, "id.server", Some("ns1.fra"), Some("ns1.fra")),
            (set, "hostname.bind", Some("ns1.fra"), Some("ns1.fra")),
            (set, "authors.bind", None, None),
            (set, "x.id.server", None, None),
            (hidden, "version.bind", None, None),
            (hidden, "id.server", None, None),
        ] {
            let identity = Identity::new(&Settings::from_toml(settings, "cairn.toml").expect(settings));
            let name = Name::parse(name).expect(name);
            for (is_allowed, expected) in [(true, to_clients), (false, to_strangers)] {
                let found = identity.find(&name, is_allowed);
                let text = found.as_ref().and_then(|set| set.data.first()).map(|rdata| String::from_utf8_lossy(&rdata[1..]).into_owned());
                assert_eq!(text.as_deref(), expected, "{name}, allowed: {is_allowed}, {settings}");
            }
        }
        let nsid = |settings: &str| Identity::new(&Settings::from_toml(settings, "cairn.toml").expect(settings)).nsid().map(<[u8]>::to_vec);
        assert_eq!((nsid(unset), nsid(set), nsid(hidden)), (None, Some(b"ns1.fra".to_vec()), None));
    }
}
