//! A domain name in lower-case, uncompressed wire form (RFC 1035 3.1, RFC 4343).
//!
//! Always valid: each label 1 to 63 octets, 255 octets in all, closed by the root label. The order of
//! names is the canonical one of RFC 4034 6.1, so a sorted map of names is ready for NSEC.

// A program that embeds Cairn uses `Name`.
#![warn(missing_docs)]

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use smallvec::SmallVec;

/// Octets of a name on the wire, the root label included (RFC 1035 2.3.4).
pub(crate) const NAME_BYTES_MAX: usize = 255;
const LABEL_BYTES_MAX: usize = 63;

/// A domain name. Letter case does not count: names are kept in lower case.
#[derive(PartialEq, Eq, Hash)]
pub struct Name(SmallVec<[u8; 48]>);

/// Names are cloned often, and `SmallVec` clones octet by octet: this copies all octets at once.
impl Clone for Name {
    fn clone(&self) -> Name {
        Name(SmallVec::from_slice(&self.0))
    }
}

/// Reason why something is not a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Two dots in a row.
    EmptyLabel,
    /// A label of more than 63 octets.
    LabelTooLong,
    /// More than 255 octets.
    NameTooLong,
    /// A backslash is followed by neither a character nor three digits up to 255.
    BadEscape,
    /// Not the wire form of a name.
    BadWire,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameError::EmptyLabel => "a name has an empty label (two dots in a row)",
            NameError::LabelTooLong => "a label is longer than 63 octets",
            NameError::NameTooLong => "a name is longer than 255 octets",
            NameError::BadEscape => "a backslash must be followed by a character or by three digits up to 255",
            NameError::BadWire => "the bytes are not a domain name",
        })
    }
}

impl std::error::Error for NameError {}

impl Name {
    /// The root of the DNS.
    pub fn root() -> Name {
        Name(SmallVec::from_slice(&[0]))
    }

    /// Reads presentation form (RFC 1035 5.1). A missing final dot is taken as written.
    pub fn parse(text: &str) -> Result<Name, NameError> {
        Name::parse_bytes(text.as_bytes(), &Name::root())
    }

    /// Reads presentation form; a name without a final dot is completed with `origin`, `@` is `origin`.
    pub fn parse_bytes(text: &[u8], origin: &Name) -> Result<Name, NameError> {
        let mut wire = SmallVec::<[u8; 256]>::new();
        presentation_to_wire(text, origin.as_wire(), &mut wire)?;
        Name::from_wire(&wire)
    }

    /// Takes exactly one uncompressed wire name; folds it to lower case.
    pub fn from_wire(wire: &[u8]) -> Result<Name, NameError> {
        match Name::from_wire_prefix(wire)? {
            (name, used) if used == wire.len() => Ok(name),
            _ => Err(NameError::BadWire),
        }
    }

    /// The name at the start of `bytes` (no compression), and how many bytes it takes.
    pub fn from_wire_prefix(bytes: &[u8]) -> Result<(Name, usize), NameError> {
        let len = wire_len(bytes).ok_or(NameError::BadWire)?;
        let mut folded = SmallVec::from_slice(&bytes[..len]);
        // Lower-casing the whole wire form is safe: a label length is at most 63, and upper-case letters are 65 to 90.
        folded.make_ascii_lowercase();
        Ok((Name(folded), len))
    }

    /// The uncompressed wire form, in lower case.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Is this the root?
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Is the first label `*` (RFC 4592)?
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// Labels from left to right, the root label left out.
    pub fn labels(&self) -> Labels<'_> {
        Labels(&self.0)
    }

    /// Without the root label: `www.example.` has 2.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Name> {
        if self.is_root() {
            return None;
        }
        Some(Name(SmallVec::from_slice(&self.0[1 + self.0[0] as usize..])))
    }

    /// The name made of the last `count` labels; the whole name if it has no more than that.
    pub fn suffix(&self, count: usize) -> Name {
        Name(SmallVec::from_slice(self.suffix_wire(count)))
    }

    /// As [`suffix`](Name::suffix), in wire form.
    pub fn suffix_wire(&self, count: usize) -> &[u8] {
        let mut rest = &self.0[..];
        for _ in count..self.label_count() {
            rest = &rest[1 + rest[0] as usize..];
        }
        rest
    }

    /// Each suffix from the name itself to the root, longest first, as wire bytes.
    pub fn suffixes(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(&self.0[..]);
        std::iter::from_fn(move || {
            let here = rest?;
            rest = (here[0] != 0).then(|| &here[1 + here[0] as usize..]);
            Some(here)
        })
    }

    /// Is this name `ancestor` or below it?
    pub fn is_within(&self, ancestor: &Name) -> bool {
        is_within(&self.0, &ancestor.0)
    }

    /// Is this name below `ancestor`, and not `ancestor` itself?
    pub fn is_below(&self, ancestor: &Name) -> bool {
        self.0.len() > ancestor.0.len() && self.is_within(ancestor)
    }

    /// How many labels, counted from the root, the two names share.
    pub fn common_labels(&self, other: &Name) -> usize {
        let (mine, theirs): (SmallVec<[_; 32]>, SmallVec<[_; 32]>) = (self.labels().collect(), other.labels().collect());
        mine.iter().rev().zip(theirs.iter().rev()).take_while(|(a, b)| a == b).count()
    }

    /// The name with `label` in front.
    pub fn child(&self, label: &[u8]) -> Result<Name, NameError> {
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if label.len() > LABEL_BYTES_MAX {
            return Err(NameError::LabelTooLong);
        }
        if 1 + label.len() + self.0.len() > NAME_BYTES_MAX {
            return Err(NameError::NameTooLong);
        }
        let mut wire = SmallVec::with_capacity(1 + label.len() + self.0.len());
        wire.push(label.len() as u8);
        wire.extend_from_slice(label);
        wire.make_ascii_lowercase();
        wire.extend_from_slice(&self.0);
        Ok(Name(wire))
    }

    /// `*.` in front of this name (RFC 4592).
    pub fn wildcard(&self) -> Option<Name> {
        self.child(b"*").ok()
    }

    /// Replaces the suffix `from` by `to` (RFC 6672 2.2). `None` when not below `from` or too long.
    pub fn rebase(&self, from: &Name, to: &Name) -> Option<Name> {
        if !self.is_below(from) {
            return None;
        }
        let kept = &self.0[..self.0.len() - from.0.len()];
        if kept.len() + to.0.len() > NAME_BYTES_MAX {
            return None;
        }
        let mut wire = SmallVec::from_slice(kept);
        wire.extend_from_slice(&to.0);
        Some(Name(wire))
    }
}

/// As [`Name::is_within`], of two names in wire form and in lower case.
pub(crate) fn is_within(name: &[u8], ancestor: &[u8]) -> bool {
    let (own, above) = (name.len(), ancestor.len());
    if own < above || name[own - above..] != *ancestor {
        return false;
    }
    // The last octets may be equal without being the same labels: the suffix must start at a label.
    let mut at = 0;
    while at < own - above {
        at += 1 + name[at] as usize;
    }
    at == own - above
}

/// Length of the uncompressed name at the start of `bytes`, or `None` where there is none.
pub(crate) fn wire_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            0 => return (at < NAME_BYTES_MAX).then_some(at + 1),
            len if len as usize <= LABEL_BYTES_MAX => at += 1 + len as usize,
            _ => return None,
        }
        if at >= NAME_BYTES_MAX {
            return None;
        }
    }
}

/// Presentation form to wire, letter case kept. Used for owners, and for names inside RDATA.
pub(crate) fn presentation_to_wire(text: &[u8], origin: &[u8], out: &mut SmallVec<[u8; 256]>) -> Result<(), NameError> {
    out.clear();
    match text {
        b"." => {
            out.push(0);
            return Ok(());
        }
        b"@" => {
            out.extend_from_slice(origin);
            return Ok(());
        }
        b"" => return Err(NameError::EmptyLabel),
        _ => {}
    }
    let mut start = 0;
    out.push(0);
    let mut rest = text;
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        let literal = match octet {
            b'.' => {
                close_label(out, start)?;
                start = out.len();
                out.push(0);
                continue;
            }
            b'\\' => {
                let (octet, used) = unescape(rest).ok_or(NameError::BadEscape)?;
                rest = &rest[used..];
                octet
            }
            plain => plain,
        };
        if out.len() > NAME_BYTES_MAX {
            return Err(NameError::NameTooLong);
        }
        out.push(literal);
    }
    if out.len() - start > 1 {
        close_label(out, start)?;
        out.extend_from_slice(origin);
    }
    if out.len() > NAME_BYTES_MAX {
        return Err(NameError::NameTooLong);
    }
    Ok(())
}

fn close_label(out: &mut [u8], start: usize) -> Result<(), NameError> {
    match out.len() - start - 1 {
        0 => Err(NameError::EmptyLabel),
        len if len > LABEL_BYTES_MAX => Err(NameError::LabelTooLong),
        len => {
            out[start] = len as u8;
            Ok(())
        }
    }
}

/// What follows a backslash (RFC 1035 5.1): `X` or `DDD`. The octet, and how many bytes of text it took.
pub(crate) fn unescape(text: &[u8]) -> Option<(u8, usize)> {
    let first = *text.first()?;
    if !first.is_ascii_digit() {
        return Some((first, 1));
    }
    let digits = text.get(..3)?;
    let mut value = 0u16;
    for digit in digits {
        value = value * 10 + u16::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    Some((u8::try_from(value).ok()?, 3))
}

/// Presentation form of a wire name, with the final dot.
pub(crate) fn write_presentation(wire: &[u8], f: &mut impl fmt::Write) -> fmt::Result {
    if wire.first().is_none_or(|len| *len == 0) {
        return f.write_char('.');
    }
    for label in Labels(wire) {
        for &octet in label {
            match octet {
                b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => write!(f, "\\{}", octet as char)?,
                0x21..=0x7e => f.write_char(octet as char)?,
                _ => write!(f, "\\{octet:03}")?,
            }
        }
        f.write_char('.')?;
    }
    Ok(())
}

/// The labels of a name from left to right, without the root label.
#[derive(Clone)]
pub struct Labels<'a>(&'a [u8]);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&len, rest) = self.0.split_first()?;
        if len == 0 || rest.len() < len as usize {
            return None;
        }
        let (label, rest) = rest.split_at(len as usize);
        self.0 = rest;
        Some(label)
    }
}

impl Ord for Name {
    /// RFC 4034 6.1: by labels from the right, each as octets.
    fn cmp(&self, other: &Name) -> Ordering {
        let (mine, theirs): (SmallVec<[_; 32]>, SmallVec<[_; 32]>) = (self.labels().collect(), other.labels().collect());
        mine.iter().rev().cmp(theirs.iter().rev())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        Name::parse(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        write_presentation(&self.0, &mut text)?;
        f.pad(&text)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    #[test]
    fn presentation_form() {
        for (given, shown) in [
            (".", "."),
            ("WWW.Example", "www.example."),
            ("a\\.b.example.", "a\\.b.example."),
            ("\\097.example.", "a.example."),
            ("\\000\\255.example.", "\\000\\255.example."),
            ("0/25.2.0.192.in-addr.arpa.", "0/25.2.0.192.in-addr.arpa."),
        ] {
            assert_eq!(name(given).to_string(), shown);
        }
        for (given, error) in [
            ("", NameError::EmptyLabel),
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("a\\25.", NameError::BadEscape),
            ("a\\256.", NameError::BadEscape),
            ("a\\", NameError::BadEscape),
        ] {
            assert_eq!(Name::parse(given), Err(error), "{given:?}");
        }
        assert_eq!(Name::parse(&"a".repeat(64)), Err(NameError::LabelTooLong));
        assert_eq!(Name::parse(&"a.".repeat(128)), Err(NameError::NameTooLong));
        assert_eq!(name(&"a.".repeat(127)).as_wire().len(), 255);
    }

    #[test]
    fn ancestry() {
        assert!(name("www.example.").is_within(&name("example.")));
        assert!(name("example.").is_within(&name("example.")));
        assert!(!name("example.").is_below(&name("example.")));
        assert!(!name("badexample.").is_within(&name("example.")));
        assert!(name("x.").is_below(&Name::root()));
        // The bytes of the ancestor straddle a label.
        let straddling = Name::from_wire(b"\x03a\x01b\0").expect("wire");
        assert!(!straddling.is_within(&name("b.")));
        assert_eq!(name("a.b.c.").suffix(2), name("b.c."));
        assert_eq!(name("a.b.c.").suffix(9), name("a.b.c."));
        assert_eq!(name("a.b.c.").common_labels(&name("x.b.c.")), 2);
        assert_eq!(name("a.b.old.").rebase(&name("old."), &name("new.example.")), Some(name("a.b.new.example.")));
        assert_eq!(name("old.").rebase(&name("old."), &name("new.")), None);
    }

    #[test]
    fn canonical_order_of_rfc_4034_6_1() {
        let sorted = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "Z.a.example.",
            "zABC.a.EXAMPLE.",
            "z.example.",
            "\\001.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ];
        for pair in sorted.windows(2) {
            assert!(name(pair[0]) < name(pair[1]), "{pair:?}");
        }
    }

    proptest! {
        #[test]
        fn text_and_wire_agree(labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 0..8)) {
            let mut made = Name::root();
            for label in &labels {
                made = made.child(label).expect("short labels");
            }
            prop_assert_eq!(Name::parse(&made.to_string()).expect("own text"), made.clone());
            prop_assert_eq!(Name::from_wire(made.as_wire()).expect("own wire"), made);
        }

        #[test]
        fn any_bytes_are_refused_or_kept(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok((name, used)) = Name::from_wire_prefix(&bytes) {
                prop_assert_eq!(name.as_wire().len(), used);
            }
        }
    }
}
