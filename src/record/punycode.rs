//! Names with letters beyond ASCII, in the form in which they stand in the DNS (RFC 5890 2.3.2.1, encoded by RFC 3492).
//!
//! Letters are mapped as programs map what a person has typed (UTS 46): small letters, composed letters, full-width ones in ASCII.

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// The name with each label that is not ASCII in its `xn--` form. `None` where there is no such form.
pub fn to_ascii_name(text: &str) -> Option<String> {
    if text.is_ascii() {
        return Some(text.to_owned());
    }
    // Which signs of ASCII a name may have is for the caller to say.
    let ascii = Uts46::new().to_ascii(text.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::VerifyAllowRootDot);
    ascii.ok().map(|ascii| ascii.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The long ones are from RFC 3492 7.1.
    #[test]
    fn names_of_many_scripts() {
        for (text, expected) in [
            ("www.example", Some("www.example")),
            ("m\u{fc}nchen.example", Some("xn--mnchen-3ya.example")),
            ("M\u{dc}NCHEN.example.", Some("xn--mnchen-3ya.example.")),
            ("\u{e4}.example", Some("xn--4ca.example")),
            ("b\u{fc}cher\u{3002}example", Some("xn--bcher-kva.example")),
            ("\u{4ed6}\u{4eec}\u{4e3a}\u{4ec0}\u{4e48}\u{4e0d}\u{8bf4}\u{4e2d}\u{6587}", Some("xn--ihqwcrb4cv8a8dqg056pqjye")),
            ("\u{43f}\u{43e}\u{447}\u{442}\u{430}.\u{440}\u{444}", Some("xn--80a1acny.xn--p1ai")),
            ("mu\u{308}nchen.example", Some("xn--mnchen-3ya.example")),
            ("\u{ff4d}\u{ff55}nchen\u{ff0e}example", Some("munchen.example")),
            ("_x.\u{e4}.example", Some("_x.xn--4ca.example")),
            ("\u{e4}..example", None),
            ("\u{200b}.example", None),
            ("\u{2fff}.example", None),
        ] {
            assert_eq!(to_ascii_name(text).as_deref(), expected, "{text}");
        }
        assert_eq!(to_ascii_name(&"\u{e4}".repeat(64)), None);
    }
}
