//! A zone made of records that a program has, such as the signed version of another one. The caller answers for what they say:
//! they are not checked as those of a file are.

use super::builder::ZoneBuilder;
use super::problem::{Place, Problems};
use super::tree::Zone;
use crate::record::{Name, Rtype};

/// A zone that is being put together.
pub struct Assembly(ZoneBuilder);

/// More data than a zone can hold, which is 4 GiB; or no SOA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl Assembly {
    pub fn new(apex: Name) -> Assembly {
        Assembly(ZoneBuilder::new(apex))
    }

    /// `owner`: a lower-case wire name within the apex. Records of one RRset keep the order in which they come.
    pub fn add(&mut self, owner: &[u8], rtype: Rtype, ttl: u32, rdata: &[u8]) -> Result<(), TooLarge> {
        self.0.add(owner, rtype, ttl, rdata, Place { file: 0, line: 0 }).map_err(|_| TooLarge)
    }

    pub fn finish(mut self) -> Result<Zone, TooLarge> {
        self.0.arrange();
        let mut problems = Problems::default();
        problems.add_file("assembled records");
        self.0.finish(&mut problems).ok_or(TooLarge)
    }
}
