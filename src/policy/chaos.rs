//! The names of class CHAOS that tell what a server is (RFC 4892 and the older BIND custom): answered only as far
//! as the administrator has said what to answer, since a version tells an attacker what to try.
//!
//! `version.bind.` and `version.server.` give the version, `id.server.` and `hostname.bind.` the identity.

use crate::record::Rtype;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chaos {
    version: Option<Vec<u8>>,
    identity: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChaosAnswer<'a> {
    /// RDATA of the one TXT record, class CH, TTL 0 (RFC 4892 2.2: an answer that is cached would name the wrong server).
    Txt(&'a [u8]),
    /// The name is there, the type is not.
    NoData,
    Refused,
}

impl Chaos {
    /// What is `None` is refused.
    pub fn new(version: Option<&str>, identity: Option<&str>) -> Chaos {
        Chaos { version: version.map(txt_rdata), identity: identity.map(txt_rdata) }
    }

    /// `name` in lower-case wire form.
    pub fn answer(&self, name: &[u8], rtype: Rtype) -> ChaosAnswer<'_> {
        let text = match name {
            b"\x07version\x04bind\0" | b"\x07version\x06server\0" => &self.version,
            b"\x02id\x06server\0" | b"\x08hostname\x04bind\0" => &self.identity,
            _ => &None,
        };
        match text {
            None => ChaosAnswer::Refused,
            Some(rdata) if matches!(rtype, Rtype::TXT | Rtype::ANY) => ChaosAnswer::Txt(rdata),
            Some(_) => ChaosAnswer::NoData,
        }
    }
}

/// As character-strings of at most 255 octets (RFC 1035 3.3.14); at least one, be it empty.
fn txt_rdata(text: &str) -> Vec<u8> {
    let mut rdata = Vec::with_capacity(text.len() + 1);
    let mut rest = text.as_bytes();
    loop {
        let (string, after) = rest.split_at(rest.len().min(255));
        rdata.push(string.len() as u8);
        rdata.extend_from_slice(string);
        rest = after;
        if rest.is_empty() {
            return rdata;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Name;

    #[test]
    fn says_only_what_was_configured() {
        let both = Chaos::new(Some("cairn"), Some("a.example"));
        let neither = Chaos::new(None, None);
        let version = Chaos::new(Some("cairn"), None);
        for (chaos, name, rtype, expected) in [
            (&both, "version.bind.", Rtype::TXT, ChaosAnswer::Txt(b"\x05cairn")),
            (&both, "version.server.", Rtype::TXT, ChaosAnswer::Txt(b"\x05cairn")),
            (&both, "VERSION.BIND.", Rtype::ANY, ChaosAnswer::Txt(b"\x05cairn")),
            (&both, "id.server.", Rtype::TXT, ChaosAnswer::Txt(b"\x09a.example")),
            (&both, "hostname.bind.", Rtype::TXT, ChaosAnswer::Txt(b"\x09a.example")),
            (&both, "version.bind.", Rtype::A, ChaosAnswer::NoData),
            (&both, "authors.bind.", Rtype::TXT, ChaosAnswer::Refused),
            (&both, ".", Rtype::TXT, ChaosAnswer::Refused),
            (&version, "id.server.", Rtype::TXT, ChaosAnswer::Refused),
            (&version, "version.bind.", Rtype::TXT, ChaosAnswer::Txt(b"\x05cairn")),
            (&neither, "version.bind.", Rtype::TXT, ChaosAnswer::Refused),
        ] {
            let name = Name::parse(name).expect("a name of the table");
            assert_eq!(chaos.answer(name.as_wire(), rtype), expected, "{name} {rtype}");
        }
    }

    #[test]
    fn long_text_is_cut_into_strings() {
        let rdata = txt_rdata(&"x".repeat(300));
        assert_eq!((rdata.len(), rdata[0], rdata[256]), (302, 255, 45));
        assert_eq!(txt_rdata(""), [0]);
        assert_eq!(txt_rdata(&"x".repeat(255)).len(), 256);
    }
}
