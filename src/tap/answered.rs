//! A query and what became of it, as one record.

use std::net::SocketAddr;

use super::fields::{Put, Take};
use crate::record::Security;

/// Why the answer is as it is. Each text may be empty.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Reason<'a> {
    /// The view of the client.
    pub view: &'a str,
    /// The list that blocked the name.
    pub list: &'a str,
    /// What a rule of a response policy zone did.
    pub rule: &'a str,
    /// The first extended error (RFC 8914).
    pub ede: Option<u16>,
    pub text: &'a str,
}

/// A query that has its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answered<'a> {
    /// When the query came: microseconds since 1970.
    pub came_us: u64,
    /// Until the answer was ready.
    pub took_us: u32,
    pub client: SocketAddr,
    pub transport: &'static str,
    /// 0: a question (RFC 6895 2.2).
    pub opcode: u8,
    /// In wire form; empty: the message had no readable question.
    pub name: &'a [u8],
    pub rtype: u16,
    pub class: u16,
    pub rcode: u16,
    /// Records of the answer section.
    pub answers: u16,
    pub source: &'static str,
    /// What DNSSEC says of it.
    pub verdict: Security,
    /// Nothing was sent.
    pub is_dropped: bool,
    pub reason: Reason<'a>,
}

/// The words of these sets are kept as their places.
const TRANSPORTS: [&str; 6] = ["udp", "tcp", "tls", "https", "quic", "other"];
const SOURCES: [&str; 6] = ["cache", "zone", "walk", "stale", "policy", "other"];

fn place(words: &[&str], word: &str) -> u8 {
    words.iter().position(|known| *known == word).unwrap_or(words.len() - 1) as u8
}

impl<'a> Answered<'a> {
    pub(super) fn put(&self, record: &mut Vec<u8>) {
        let mut put = Put(record);
        put.number(self.came_us.to_le_bytes());
        put.number(self.took_us.to_le_bytes());
        put.addr(self.client);
        for number in [self.rtype, self.class, self.rcode, self.answers] {
            put.number(number.to_le_bytes());
        }
        put.number([
            self.opcode,
            place(&TRANSPORTS, self.transport),
            place(&SOURCES, self.source),
            self.verdict as u8,
            u8::from(self.is_dropped),
        ]);
        put.text(self.name);
        let Reason { view, list, rule, ede, text } = self.reason;
        // Most answers have no reason to tell.
        let has_reason = self.reason != Reason::default();
        put.number([u8::from(has_reason)]);
        if has_reason {
            put.number([u8::from(ede.is_some())]);
            put.number(ede.unwrap_or_default().to_le_bytes());
            [view, list, rule, text].iter().for_each(|text| put.text(whole_letters(text).as_bytes()));
        }
    }

    /// `None`: not such a record.
    pub fn read(record: &'a [u8]) -> Option<Answered<'a>> {
        let mut take = Take(record);
        let came_us = u64::from_le_bytes(take.number()?);
        let took_us = u32::from_le_bytes(take.number()?);
        let client = take.addr()?;
        let [rtype, class, rcode, answers] = [take.number()?, take.number()?, take.number()?, take.number()?].map(u16::from_le_bytes);
        let opcode = take.octet()?;
        let transport = TRANSPORTS.get(usize::from(take.octet()?))?;
        let source = SOURCES.get(usize::from(take.octet()?))?;
        let verdict = Security::from_u8(take.octet()?)?;
        let is_dropped = take.octet()? != 0;
        let name = take.text()?;
        let mut reason = Reason::default();
        if take.octet()? != 0 {
            let has_ede = take.octet()? != 0;
            let ede = u16::from_le_bytes(take.number()?);
            let mut text = || std::str::from_utf8(take.text()?).ok();
            reason = Reason { ede: has_ede.then_some(ede), view: text()?, list: text()?, rule: text()?, text: text()? };
        }
        Some(Answered {
            came_us,
            took_us,
            client,
            transport,
            opcode,
            name,
            rtype,
            class,
            rcode,
            answers,
            source,
            verdict,
            is_dropped,
            reason,
        })
    }
}

/// At most 255 octets, and no part of a letter.
fn whole_letters(text: &str) -> &str {
    &text[..text.floor_char_boundary(255)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_texts_end_with_a_whole_letter() {
        let text = "ä".repeat(200);
        assert_eq!(whole_letters(&text).len(), 254);
        assert_eq!(whole_letters("short"), "short");
    }

    proptest! {
        #[test]
        fn what_is_put_is_read(
            (came_us, took_us, rtype, class) in (any::<u64>(), any::<u32>(), any::<u16>(), any::<u16>()),
            (rcode, answers, is_dropped, opcode) in (any::<u16>(), any::<u16>(), any::<bool>(), 0u8..16),
            client in any::<SocketAddr>(),
            (transport, source, verdict) in (0..TRANSPORTS.len(), 0..SOURCES.len(), 0u8..4),
            name in proptest::collection::vec(any::<u8>(), 0..=255),
            texts in proptest::array::uniform4(".{0,60}"),
            ede in any::<Option<u16>>(),
        ) {
            let client = SocketAddr::new(client.ip(), client.port());
            let [view, list, rule, text] = &texts;
            let answered = Answered {
                came_us, took_us, client, opcode, rtype, class, rcode, answers, is_dropped,
                transport: TRANSPORTS[transport], source: SOURCES[source], verdict: Security::from_u8(verdict).expect("a status"), name: &name,
                reason: Reason { view, list, rule, ede, text },
            };
            let mut record = Vec::new();
            answered.put(&mut record);
            prop_assert_eq!(Answered::read(&record), Some(answered));
            prop_assert_eq!(Answered::read(&record[..record.len() - 1]), None);
        }
    }
}
