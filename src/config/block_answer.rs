//! What a blocked name is answered with.

use std::fmt;
use std::net::IpAddr;

use crate::limits::lists::BLOCK_ADDRESSES_MAX;

/// What a client gets for a blocked name.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum BlockAnswer {
    /// 0.0.0.0 and ::, where nothing listens; other types have no data.
    #[default]
    Null,
    NxDomain,
    NoData,
    Refused,
    /// Addresses of the operator's own, such as of a page that explains.
    Addresses(Vec<IpAddr>),
}

pub(super) const BLOCK_WORDS: [&str; 4] = ["null", "nxdomain", "nodata", "refused"];

impl BlockAnswer {
    /// From one of `BLOCK_WORDS`.
    pub(super) fn word(word: &str) -> Option<BlockAnswer> {
        let kinds = [BlockAnswer::Null, BlockAnswer::NxDomain, BlockAnswer::NoData, BlockAnswer::Refused];
        BLOCK_WORDS.iter().zip(kinds).find(|(known, _)| **known == word).map(|(_, kind)| kind)
    }

    /// From the addresses in the file.
    pub(super) fn addresses(addresses: Vec<IpAddr>) -> Result<BlockAnswer, String> {
        match addresses.len() {
            0 => Err("at least one address is needed; \"nodata\" answers without records".to_owned()),
            1..=BLOCK_ADDRESSES_MAX => Ok(BlockAnswer::Addresses(addresses)),
            _ => Err(format!("at most {BLOCK_ADDRESSES_MAX} addresses")),
        }
    }
}

/// As in the file.
impl fmt::Display for BlockAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            BlockAnswer::Null => "null",
            BlockAnswer::NxDomain => "nxdomain",
            BlockAnswer::NoData => "nodata",
            BlockAnswer::Refused => "refused",
            BlockAnswer::Addresses(addresses) => {
                let quoted: Vec<String> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
                return write!(f, "[{}]", quoted.join(", "));
            }
        };
        write!(f, "\"{word}\"")
    }
}
