//! The secret of a TSIG key, which no log line, no status and no `cairn config show` shows.

use std::fmt;

use crate::record::base64_from_text;

/// Octets of a shared secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// From base 64, as `tsig-keygen` and `cairn zone key` print it. The error is a sentence for the person who wrote it.
    pub fn parse(text: &str) -> Result<Secret, String> {
        let packed: String = text.split_ascii_whitespace().collect();
        let mut octets = Vec::new();
        match base64_from_text(packed.as_bytes(), &mut octets) && !octets.is_empty() {
            true => Ok(Secret(octets)),
            false => Err("the secret is not base 64: `cairn zone key NAME` makes a key".to_owned()),
        }
    }

    /// The octets that the hash is keyed with.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_64_and_nothing_else() {
        let secret = Secret::parse(" c2Vj\ncmV0 ").expect("base 64");
        assert_eq!((secret.octets(), format!("{secret:?}")), (&b"secret"[..], "Secret".to_owned()));
        for text in ["", "c2VjcmV", "c2Vj cmV0!", "secret"] {
            assert!(Secret::parse(text).is_err(), "{text}");
        }
    }
}
