//! Records of a response policy zone (draft-vixie-dnsop-dns-rpz) whose rules are for names. Rules for addresses and name servers
//! take a `[[rpz]]`.

use std::net::IpAddr;

use super::modifiers::Parts;
use super::name::ListName;
use super::plain::{Each, leads_nowhere, name_or_below};
use super::{Detail, Reach, Rewrite, SkipReason};
use crate::record::{NAME_BYTES_MAX, Name, Rtype};

/// What earlier lines of the file mean for later ones. Names are in small letters and without their final dot; the root is empty.
#[derive(Default)]
pub(super) struct Zone {
    /// Words of the SOA record so far, while its parenthesis is open.
    open: Option<usize>,
    /// `None`: the one that `$ORIGIN` gave is no name, so that no relative name is one.
    origin: Origin,
    /// The zone's own name, once it is known.
    apex: Option<Vec<u8>>,
    /// Of the record before.
    owner: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Eq)]
enum Origin {
    Known(Vec<u8>),
    Broken,
}

impl Default for Origin {
    fn default() -> Origin {
        Origin::Known(Vec::new())
    }
}

/// MNAME, RNAME and five numbers (RFC 1035 3.3.13).
const SOA_WORDS: usize = 7;

/// Is this a line of a master file, rather than one of names or of words?
pub(super) fn is_record(line: &[u8]) -> bool {
    if line.starts_with(b"$TTL") || line.starts_with(b"$ORIGIN") {
        return true;
    }
    let mut words = words_of(line).skip(1).skip_while(is_ttl_or_class);
    match words.next().map(<[u8]>::to_ascii_uppercase).as_deref() {
        Some(b"CNAME") => words.count() == 1,
        Some(b"SOA") => words.count() > 1,
        _ => false,
    }
}

/// The words before a comment.
fn words_of(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = line.split(|octet| *octet == b';').next().unwrap_or_default();
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

fn is_ttl_or_class(word: &&[u8]) -> bool {
    word.eq_ignore_ascii_case(b"in") || word.first().is_some_and(u8::is_ascii_digit)
}

impl Zone {
    /// Reads one line, as it stands in the file. False if it says nothing of any name: SOA, NS, `$ORIGIN`.
    pub(super) fn line(&mut self, raw: &[u8], name: &mut ListName, each: Each<'_>) -> bool {
        match self.read(raw, name) {
            Ok(None) => false,
            Ok(Some(said)) => {
                each(Ok((name, said)));
                true
            }
            Err(reason) => {
                each(Err(reason));
                true
            }
        }
    }

    fn read(&mut self, raw: &[u8], name: &mut ListName) -> Result<Option<Parts>, SkipReason> {
        if let Some(before) = self.open {
            return self.continued(before, raw);
        }
        let mut words = words_of(raw);
        if !raw.first().is_some_and(u8::is_ascii_whitespace) {
            match words.next() {
                None => return Ok(None),
                Some(b"$ORIGIN") => {
                    let origin = words.next().and_then(|origin| self.absolute(origin));
                    self.origin = origin.map_or(Origin::Broken, Origin::Known);
                    return if self.origin == Origin::Broken { Err(SkipReason::NoName) } else { Ok(None) };
                }
                Some(b"$TTL") => return Ok(None),
                Some(word) if word.starts_with(b"$") => return Err(SkipReason::NoRecord),
                Some(owner) => self.owner = self.absolute(owner),
            }
        }
        let mut words = words.skip_while(is_ttl_or_class);
        let rtype = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse::<Rtype>().ok()).ok_or(SkipReason::NoRecord)?;
        let owner = self.owner.clone().ok_or(SkipReason::NoName)?;
        if rtype == Rtype::SOA {
            self.apex = Some(owner);
            let octets = raw.split(|octet| *octet == b';').next().unwrap_or_default();
            self.open = (octets.contains(&b'(') && !octets.contains(&b')')).then(|| words.filter(|word| *word != b"(").count());
            return Ok(None);
        }
        let trigger = self.trigger(&owner).ok_or(SkipReason::OutsideZone)?;
        if trigger.is_empty() {
            return Ok(None);
        }
        let (last, reach) = (trigger.rsplit(|octet| *octet == b'.').next().unwrap_or_default(), Reach::Name);
        if matches!(last, b"rpz-ip" | b"rpz-client-ip" | b"rpz-nsip" | b"rpz-nsdname")
            || !matches!(rtype, Rtype::CNAME | Rtype::A | Rtype::AAAA)
        {
            return Err(SkipReason::OtherTrigger);
        }
        // More words, or none, are another line than it seems: without its target a CNAME must not mean NXDOMAIN.
        let rdata = words.next().filter(|_| words.next().is_none()).ok_or(SkipReason::NoRecord)?;
        let said = self.action(rtype, rdata, trigger, reach)?;
        Ok(Some(Parts { reach: name_or_below(trigger, reach, name)?, ..said }))
    }

    /// A line of the SOA record, whose parenthesis is open: one that is never closed does not swallow the rest of the file.
    fn continued(&mut self, before: usize, raw: &[u8]) -> Result<Option<Parts>, SkipReason> {
        let closes = words_of(raw).any(|word| word.contains(&b')'));
        let words = before + words_of(raw).filter(|word| *word != b")").count();
        self.open = Some(words).filter(|words| !closes && *words <= SOA_WORDS);
        if words > SOA_WORDS { Err(SkipReason::NoRecord) } else { Ok(None) }
    }

    /// `None`: it is longer than a name may be, or relative to what is no name.
    fn absolute(&self, text: &[u8]) -> Option<Vec<u8>> {
        let text = text.to_ascii_lowercase();
        let name = match (text.strip_suffix(b"."), &self.origin) {
            (Some(absolute), _) => absolute.to_vec(),
            (None, Origin::Broken) => return None,
            (None, Origin::Known(origin)) if text == b"@" => origin.clone(),
            (None, Origin::Known(origin)) if origin.is_empty() => text,
            (None, Origin::Known(origin)) => [&text[..], b".", origin].concat(),
        };
        (name.len() + 2 <= NAME_BYTES_MAX).then_some(name)
    }

    /// The owner without the zone's name; `None`: it is not in the zone.
    fn trigger<'o>(&self, owner: &'o [u8]) -> Option<&'o [u8]> {
        let apex = match (&self.apex, &self.origin) {
            (Some(name), _) | (None, Origin::Known(name)) => name,
            (None, Origin::Broken) => return Some(owner),
        };
        if apex.is_empty() {
            return Some(owner);
        }
        let above = owner.strip_suffix(&apex[..])?;
        if above.is_empty() { Some(above) } else { above.strip_suffix(b".") }
    }

    fn action(&self, rtype: Rtype, rdata: &[u8], trigger: &[u8], reach: Reach) -> Result<Parts, SkipReason> {
        let mut said = Parts::block(reach);
        let mut rewrite = |to| said.detail = Some(Box::new(Detail { rewrite: Some(to), ..Detail::default() }));
        match rtype {
            Rtype::CNAME => match &self.absolute(rdata).ok_or(SkipReason::NoName)?[..] {
                // The first two are NXDOMAIN and NODATA; what a blocked name is answered with is said elsewhere.
                b"" | b"*" | b"rpz-drop" => {}
                b"rpz-passthru" => said.is_exception = true,
                // The old way to say PASSTHRU.
                target if target == trigger => said.is_exception = true,
                target => {
                    let target = std::str::from_utf8(target).ok().and_then(|text| Name::parse(text).ok());
                    let target = target.filter(|target| !target.is_wildcard() && target.label_count() > 1);
                    rewrite(Rewrite::Alias(target.ok_or(SkipReason::OtherTrigger)?));
                }
            },
            _ => {
                let address = std::str::from_utf8(rdata).ok().and_then(|text| text.parse::<IpAddr>().ok());
                let address = address.filter(|address| address.is_ipv4() == (rtype == Rtype::A)).ok_or(SkipReason::NoRecord)?;
                if !leads_nowhere(address) {
                    rewrite(Rewrite::Addresses(vec![address]));
                }
            }
        }
        Ok(said)
    }
}
