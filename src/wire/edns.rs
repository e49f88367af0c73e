//! The OPT pseudo-record (RFC 6891 6.1) and its options, read in place.

use super::header::Flags;

/// OPTION-CODE of an EDNS option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OptionCode(pub u16);

impl OptionCode {
    /// RFC 5001 2.1.
    pub const NSID: OptionCode = OptionCode(3);
    /// RFC 7873 4.
    pub const COOKIE: OptionCode = OptionCode(10);
    /// RFC 7828 3.1.
    pub const TCP_KEEPALIVE: OptionCode = OptionCode(11);
    /// RFC 7830 3.
    pub const PADDING: OptionCode = OptionCode(12);
    /// RFC 8914 2.
    pub const EDE: OptionCode = OptionCode(15);
    /// RFC 9567 5.1: the agent domain, an uncompressed name.
    pub const REPORT_CHANNEL: OptionCode = OptionCode(18);
}

/// The OPT record of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns<'a> {
    /// As sent; values below 512 mean 512 (RFC 6891 6.2.3).
    pub udp_size: u16,
    pub rcode_high: u8,
    pub version: u8,
    pub dnssec_ok: bool,
    /// The options as they were sent; they may be malformed, which `options` shows.
    pub data: &'a [u8],
}

impl<'a> Edns<'a> {
    /// Made from CLASS, TTL and RDATA of an OPT record, which mean something else than in other records.
    pub fn from_record(class: u16, ttl: u32, data: &'a [u8]) -> Edns<'a> {
        let [rcode_high, version, flags, _] = ttl.to_be_bytes();
        Edns { udp_size: class, rcode_high, version, dnssec_ok: flags & 0x80 != 0, data }
    }

    /// Data of the first option with this code; options after a malformed one are not seen.
    pub fn option(&self, code: OptionCode) -> Option<&'a [u8]> {
        options(self.data).flatten().find(|option| option.code == code).map(|option| option.data)
    }

    /// The whole response code: the header's four bits and the eight kept here.
    pub fn rcode(&self, flags: Flags) -> u16 {
        u16::from(self.rcode_high) << 4 | flags.rcode()
    }
}

/// One option of an OPT record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdnsOption<'a> {
    pub code: OptionCode,
    pub data: &'a [u8],
}

/// The options in order; a malformed one is `Err` and ends the iteration.
pub fn options(data: &[u8]) -> impl Iterator<Item = Result<EdnsOption<'_>, ()>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let parsed = rest.split_first_chunk::<4>().and_then(|([c1, c2, l1, l2], tail)| {
            let len = u16::from_be_bytes([*l1, *l2]) as usize;
            Some((OptionCode(u16::from_be_bytes([*c1, *c2])), tail.get(..len)?, &tail[len..]))
        });
        Some(match parsed {
            Some((code, data, tail)) => {
                rest = tail;
                Ok(EdnsOption { code, data })
            }
            None => {
                rest = &[];
                Err(())
            }
        })
    })
}
