//! Records of a response policy zone (draft-vixie-dnsop-dns-rpz) whose rules are for names. Rules for addresses and name servers
//! take a `[[rpz]]`.

use std::net::IpAddr;

use super::modifiers::Parts;
use super::name::ListName;
use super::plain::{Each, leads_nowhere, name_or_below};
use super::{Detail, Reach, Rewrite, SkipReason};
use crate::record::Name;

/// What earlier lines of the file mean for later ones.
#[derive(Default)]
pub(super) struct Zone {
    /// Inside parentheses.
    is_open: bool,
    origin: Vec<u8>,
    /// The zone's own name, once it is known.
    apex: Option<Vec<u8>>,
    /// Of the record before.
    owner: Vec<u8>,
}

/// Is this a line of a master file, rather than one of names?
pub(super) fn is_record(line: &[u8]) -> bool {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let is_type = |word: &[u8]| word.eq_ignore_ascii_case(b"CNAME") || word.eq_ignore_ascii_case(b"SOA");
    line.starts_with(b"$TTL") || line.starts_with(b"$ORIGIN") || words.by_ref().skip(1).take(3).any(is_type)
}

impl Zone {
    /// Reads one line, as it stands in the file. False if it says nothing of any name: SOA, NS, `$ORIGIN`.
    pub(super) fn line(&mut self, raw: &[u8], name: &mut ListName, each: Each<'_>) -> bool {
        let text = raw.split(|octet| *octet == b';').next().unwrap_or_default();
        if self.is_open {
            self.is_open = !text.contains(&b')');
            return false;
        }
        let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        if !raw.first().is_some_and(u8::is_ascii_whitespace) {
            match words.next() {
                None => return false,
                Some(b"$ORIGIN") => {
                    self.origin = self.absolute(words.next().unwrap_or_default());
                    return false;
                }
                Some(word) if word.starts_with(b"$") => return false,
                Some(owner) => self.owner = self.absolute(owner),
            }
        }
        let is_type = |word: &&[u8]| !word.eq_ignore_ascii_case(b"in") && !word[0].is_ascii_digit();
        let Some(rtype) = words.find(is_type).map(<[u8]>::to_ascii_uppercase) else { return false };
        if rtype == b"SOA" {
            self.apex = Some(self.owner.clone());
            self.is_open = text.contains(&b'(') && !text.contains(&b')');
            return false;
        }
        let owner = self.owner.clone();
        let Some(trigger) = self.trigger(&owner) else {
            each(Err(SkipReason::NoName));
            return true;
        };
        if trigger.is_empty() {
            return false;
        }
        let rdata = words.next().unwrap_or_default();
        let (last, reach) = (trigger.rsplit(|octet| *octet == b'.').next().unwrap_or_default(), Reach::Name);
        let said = match last {
            b"rpz-ip" | b"rpz-client-ip" | b"rpz-nsip" | b"rpz-nsdname" => Err(SkipReason::OtherTrigger),
            _ => self.action(&rtype, rdata, trigger, reach),
        };
        let said = said.and_then(|said| Ok(Parts { reach: name_or_below(trigger, reach, name)?, ..said }));
        each(said.map(|said| (&*name, said)));
        true
    }

    /// In small letters and with its final dot left out; the root is empty.
    fn absolute(&self, text: &[u8]) -> Vec<u8> {
        let text = text.to_ascii_lowercase();
        match text.strip_suffix(b".") {
            Some(absolute) => absolute.to_vec(),
            None if text == b"@" => self.origin.clone(),
            None if self.origin.is_empty() => text,
            None => [&text[..], b".", &self.origin].concat(),
        }
    }

    /// The owner without the zone's name.
    fn trigger<'o>(&self, owner: &'o [u8]) -> Option<&'o [u8]> {
        let apex = self.apex.as_ref().unwrap_or(&self.origin);
        if apex.is_empty() {
            return Some(owner);
        }
        let above = owner.strip_suffix(&apex[..])?;
        if above.is_empty() { Some(above) } else { above.strip_suffix(b".") }
    }

    fn action(&self, rtype: &[u8], rdata: &[u8], trigger: &[u8], reach: Reach) -> Result<Parts, SkipReason> {
        let mut said = Parts::block(reach);
        let mut rewrite = |to| said.detail = Some(Box::new(Detail { rewrite: Some(to), ..Detail::default() }));
        match rtype {
            b"CNAME" => match &self.absolute(rdata)[..] {
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
            b"A" | b"AAAA" => {
                let address = std::str::from_utf8(rdata).ok().and_then(|text| text.parse::<IpAddr>().ok()).ok_or(SkipReason::NoName)?;
                if !leads_nowhere(address) {
                    rewrite(Rewrite::Addresses(vec![address]));
                }
            }
            _ => return Err(SkipReason::OtherTrigger),
        }
        Ok(said)
    }
}
