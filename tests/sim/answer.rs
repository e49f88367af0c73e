//! A reply as a client of the simulated world gets it.

use std::fmt;

use cairn::record::Rcode;
use tokio::time::{Duration, Instant};

use super::packet::{Packet, TC};

/// What one client got for one question.
pub struct Answer {
    pub packet: Packet,
    pub wire: Vec<u8>,
    pub took: Duration,
    pub came: Instant,
    /// It came without waiting.
    pub at_once: bool,
}

impl Answer {
    pub fn read(wire: Vec<u8>, took: Duration, at_once: bool) -> Answer {
        let packet = Packet::decode(&wire).unwrap_or_else(|| panic!("the reply is no message: {wire:02x?}"));
        if let Err(why) = hickory_proto::op::Message::from_vec(&wire) {
            panic!("a strict client cannot read {packet}: {why}");
        }
        Answer { packet, wire, took, came: Instant::now(), at_once }
    }

    pub fn rcode(&self) -> Rcode {
        self.packet.rcode
    }

    /// RDATA of the question's type, in order of writing: addresses, or names.
    pub fn data(&self) -> Vec<String> {
        let rtype = self.packet.question.as_ref().map(|asked| asked.rtype);
        let of_type = self.packet.answer.iter().filter(|rr| Some(rr.rtype) == rtype);
        let mut data: Vec<String> = of_type.filter_map(|rr| rr.to_string().splitn(5, ' ').nth(4).map(str::to_owned)).collect();
        data.sort();
        data
    }

    /// NOERROR with exactly this one record of the question's type.
    pub fn is(&self, data: &str) -> bool {
        self.packet.rcode == Rcode::NOERROR && self.data() == [data]
    }

    pub fn is_truncated(&self) -> bool {
        self.packet.has(TC)
    }

    pub fn ttl(&self) -> Option<u32> {
        self.packet.answer.iter().map(|rr| rr.ttl).min()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {:?}", self.packet, self.took)
    }
}
