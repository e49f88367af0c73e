//! Who a request comes from, and what this server does for them.

use std::net::IpAddr;

use super::snapshot::Snapshot;
use crate::policy::ClientNet;
use crate::wire::Flags;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Requester {
    Client(IpAddr),
    /// Whoever runs this server (`cairn explain` without `--as`): no access list applies.
    Operator,
}

/// What a client may have: decided once a query, and part of a ready answer's key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ClientRights {
    /// Inside `server.allow`.
    pub allowed: bool,
    /// May have this question looked up: allowed, and RD is set (or reading the cache without it is permitted).
    pub may_recurse: bool,
}

impl ClientRights {
    pub fn of(snapshot: &Snapshot, flags: Flags, client: IpAddr) -> ClientRights {
        let access = snapshot.policy.access(client, flags.has(Flags::RD));
        ClientRights { allowed: access.allowed, may_recurse: access.may_read_cache }
    }

    /// The policy group of ready answers.
    pub fn group(self) -> u8 {
        u8::from(self.allowed) | u8::from(self.may_recurse) << 1
    }
}

impl Requester {
    /// Whose question it is, for shares of what all may cost.
    pub fn key(self) -> u64 {
        match self {
            Requester::Client(client) => ClientNet::of(client).key(),
            Requester::Operator => 0,
        }
    }

    pub fn rights(self, snapshot: &Snapshot, flags: Flags) -> ClientRights {
        match self {
            Requester::Client(client) => ClientRights::of(snapshot, flags, client),
            Requester::Operator => ClientRights { allowed: true, may_recurse: true },
        }
    }
}
