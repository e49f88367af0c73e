//! Who sent a request, and what this server does for them.

use std::net::{IpAddr, SocketAddr};

use super::snapshot::Snapshot;
use crate::policy::{ClientNet, ViewId};
use crate::wire::Flags;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Requester {
    Client(IpAddr),
    /// The operator of this server (`cairn explain` without `--as`): no access list applies.
    Operator,
}

/// What a client may have: decided once for each query, and part of the key of ready answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ClientRights {
    /// Inside `server.allow`.
    pub allowed: bool,
    /// May have this question looked up: allowed, and either RD is set or the cache may be read without RD.
    pub may_recurse: bool,
    /// Gets synthesised AAAA records (RFC 6147). Not with DO and CD: the client validates by itself (5.5). Not without RD: what
    /// is cached would not tell whether the name has AAAA records.
    pub dns64: bool,
}

impl ClientRights {
    /// Decided by the access lists of the snapshot, the client's address, RD, DO and CD.
    pub fn of(snapshot: &Snapshot, flags: Flags, dnssec_ok: bool, client: IpAddr) -> ClientRights {
        let access = snapshot.policy.access(client, flags.has(Flags::RD));
        let validates = dnssec_ok && flags.has(Flags::CD);
        let dns64 = access.allowed && flags.has(Flags::RD) && !validates && snapshot.policy.dns64.serves(client);
        ClientRights { allowed: access.allowed, may_recurse: access.may_read_cache, dns64 }
    }

    /// The policy group of answers that one view alone gets.
    pub fn group_in(self, view: ViewId) -> u8 {
        self.group() | (view.0 + 1) << 3
    }

    /// The policy group of ready answers: clients of one group get the same answer, whatever their view.
    pub fn group(self) -> u8 {
        u8::from(self.allowed) | u8::from(self.may_recurse) << 1 | u8::from(self.dns64) << 2
    }
}

impl Requester {
    /// Identifies the requester where the cost of questions is shared out among clients.
    pub fn key(self) -> u64 {
        match self {
            Requester::Client(client) => ClientNet::of(client).key(),
            Requester::Operator => 0,
        }
    }

    /// The view that this requester has; the operator has that of clients that no view is for.
    pub fn view(self, snapshot: &Snapshot, local: Option<SocketAddr>) -> ViewId {
        match self {
            Requester::Client(client) if !snapshot.policy.views.is_one() => snapshot.policy.views.of(client, local),
            Requester::Client(_) | Requester::Operator => ViewId::default(),
        }
    }

    /// The operator has all rights.
    pub fn rights(self, snapshot: &Snapshot, flags: Flags, dnssec_ok: bool) -> ClientRights {
        match self {
            Requester::Client(client) => ClientRights::of(snapshot, flags, dnssec_ok, client),
            Requester::Operator => ClientRights { allowed: true, may_recurse: true, dns64: false },
        }
    }
}
