//! What was found out about a zone: plain data, from which the checks judge.

use std::net::IpAddr;

use super::super::parent_side::{Ds, Key, ParentSide, Signature};
use crate::env::WallTime;
use crate::record::{Name, Rcode};

/// Everything that the checks look at.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) zone: Name,
    pub(super) own: Own,
    /// An error says why it could not be asked.
    pub(super) parent: Result<Parent, String>,
    pub(super) servers: Vec<Server>,
    /// Servers whose names lead to no address, and why.
    pub(super) without_address: Vec<(Name, String)>,
    /// Servers whose names are aliases.
    pub(super) aliases: Vec<Name>,
    /// `server.allow` lets everybody in, as a sentence.
    pub(super) open_resolver: Option<String>,
    pub(super) now: WallTime,
}

/// The zone as it is here.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) soa: Soa,
    /// The delegation as it should be.
    pub(super) side: ParentSide,
    /// The file has no signatures, and the running server makes them.
    pub(super) is_signed_here: bool,
    /// What the running server serves; `None`: no server runs here that serves the zone.
    pub(super) serial_in_force: Option<u32>,
}

/// The values of a SOA record (RFC 1035 3.3.13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Soa {
    pub(super) serial: u32,
    pub(super) refresh: u32,
    pub(super) retry: u32,
    pub(super) expire: u32,
    pub(super) minimum: u32,
}

impl Soa {
    /// The RDATA, whose names are not compressed.
    pub(super) fn read(rdata: &[u8]) -> Option<Soa> {
        let numbers = rdata.last_chunk::<20>()?;
        let number = |at: usize| numbers.get(4 * at..)?.first_chunk().map(|octets| u32::from_be_bytes(*octets));
        Some(Soa { serial: number(0)?, refresh: number(1)?, retry: number(2)?, expire: number(3)?, minimum: number(4)? })
    }
}

/// The zone above, and what its servers say.
#[derive(Clone, Debug)]
pub(super) struct Parent {
    pub(super) name: Name,
    pub(super) said: Vec<(Asked, Said)>,
}

/// A server that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) name: Name,
    pub(super) address: IpAddr,
}

/// What one server of the parent says of the zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Why no reply came.
    Nothing(String),
    /// No NS records.
    NoDelegation(Rcode),
    /// It serves the zone too, and answers as a server of the zone does.
    ServesTheZone,
    Delegation(Delegation),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delegation {
    pub(super) servers: Vec<Name>,
    pub(super) glue: Vec<(Name, IpAddr)>,
    /// `None`: the question for them was not answered.
    pub(super) ds: Option<Vec<Ds>>,
}

/// One server at one address.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) at: Asked,
    /// The running server here has this address.
    pub(super) is_here: bool,
    /// The SOA, over UDP with EDNS and DO.
    pub(super) soa: Outcome,
    /// The same over TCP.
    pub(super) tcp: Outcome,
    /// Its NS records of the zone.
    pub(super) servers: Option<Vec<Name>>,
    /// Its DNSKEY records, and who signed them.
    pub(super) keys: Option<Keys>,
    /// A question for a name outside the zone was answered, with RA.
    pub(super) recurses: Option<bool>,
}

/// The keys of a zone, as one server has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) keys: Vec<Key>,
    pub(super) signatures: Vec<Signature>,
}

/// How a question ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Reply(SoaSeen),
    /// Why nothing came.
    Nothing(String),
    /// This machine has no way to the server.
    NoRoute(String),
}

/// What a reply to the question for the SOA shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SoaSeen {
    pub(super) authoritative: bool,
    pub(super) rcode: Rcode,
    pub(super) serial: Option<u32>,
    pub(super) signatures: Vec<Signature>,
}

impl Facts {
    /// The delegation that the first of the parent's servers gives, and the parent's name.
    pub(super) fn delegation(&self) -> Option<(&Name, &Delegation)> {
        let parent = self.parent.as_ref().ok()?;
        let delegation = parent.said.iter().find_map(|(_, said)| match said {
            Said::Delegation(delegation) => Some(delegation),
            Said::Nothing(_) | Said::NoDelegation(_) | Said::ServesTheZone => None,
        });
        delegation.map(|delegation| (&parent.name, delegation))
    }

    /// The serial that all servers should have.
    pub(super) fn serial(&self) -> u32 {
        self.own.serial_in_force.unwrap_or(self.own.soa.serial)
    }

    /// Whether the zone should have signatures.
    pub(super) fn is_signed(&self) -> bool {
        !self.own.side.keys.is_empty()
    }
}

impl Server {
    pub(super) fn seen(&self) -> Option<&SoaSeen> {
        match &self.soa {
            Outcome::Reply(seen) => Some(seen),
            Outcome::Nothing(_) | Outcome::NoRoute(_) => None,
        }
    }

    /// The reply of a server that serves the zone.
    pub(super) fn serves(&self) -> Option<(&SoaSeen, u32)> {
        let seen = self.seen().filter(|seen| seen.authoritative && seen.rcode == Rcode::NOERROR)?;
        Some((seen, seen.serial?))
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.address)
    }
}
