//! What was found out about machine and network: plain data, from which the checks judge.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use super::super::load::Configuration;
use super::super::port_owner::{PortOwner, Transport};
use super::seen::Seen;
use crate::config::Problem;
use crate::env::WallTime;
use crate::record::Name;
use crate::upstream::TlsServer;

/// Everything that the checks look at.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// As far as it could be read.
    pub(super) configuration: Configuration,
    pub(super) mistakes: Vec<Problem>,
    pub(super) control: Control,
    /// Configured addresses that a process holds.
    pub(super) held: Vec<Held>,
    /// Configured addresses that no interface of this machine has.
    pub(super) absent: Vec<SocketAddr>,
    pub(super) resolv_conf: ResolvConf,
    /// Of the running server; of this process, where no server runs. `None`: not known, or without limit.
    pub(super) open_files: Option<u64>,
    /// What came back at the addresses that the server listens on.
    pub(super) own: Vec<OwnReply>,
    /// Names and addresses of the root servers.
    pub(super) hints: Vec<(Name, IpAddr)>,
    pub(super) trusted: Trusted,
    pub(super) asked: Vec<Asked>,
    /// An address of the IPv6 internet is on an interface.
    pub(super) has_ipv6_address: bool,
    pub(super) now: WallTime,
}

/// What the control socket tells of a running server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Control {
    Answers {
        process: u64,
        listening: Vec<SocketAddr>,
        privileges: String,
    },
    /// A server accepts the connection and does not answer.
    Hangs,
    /// Why nobody answers, and whether it was a matter of rights.
    Unreachable {
        why: String,
        is_forbidden: bool,
    },
}

/// A port that a process holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) wanted: SocketAddr,
    pub(super) transport: Transport,
    pub(super) owner: PortOwner,
}

/// Whom programs of this machine ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResolvConf {
    /// The addresses of its `nameserver` lines, or why it cannot be read.
    pub(super) servers: Result<Vec<IpAddr>, String>,
    /// Those of them that this machine has.
    pub(super) local: Vec<IpAddr>,
    /// Whom systemd-resolved asks in turn, where the file leads to it.
    pub(super) behind_resolved: Vec<IpAddr>,
}

/// What came back from an address of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnReply {
    pub(super) address: SocketAddr,
    pub(super) transport: Transport,
    /// Why nothing came.
    pub(super) outcome: Result<(), String>,
}

/// The trust anchors of the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trusted {
    /// Tags of the trusted keys of the root.
    pub(super) tags: Vec<u16>,
    /// The file that they come from; `None`: built in.
    pub(super) file: Option<PathBuf>,
    /// Mistakes in the files that hold them.
    pub(super) mistakes: Vec<String>,
}

/// A server outside, and what it replied to each query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) server: SocketAddr,
    /// It is asked over encrypted connections alone.
    pub(super) tls: Option<Arc<TlsServer>>,
    pub(super) role: Role,
    /// A plain query whose reply is small.
    pub(super) small: Outcome,
    /// A query that only a resolver answers.
    pub(super) recursive: Outcome,
    /// A query for a name that does not exist.
    pub(super) invented: Outcome,
    /// A DNSKEY query with EDNS and DO.
    pub(super) large: Outcome,
    pub(super) tcp: Outcome,
}

/// Why a server is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Root,
    /// `zone`: what is forwarded; `proofs`: signatures are needed.
    Forwarder {
        zone: Name,
        proofs: bool,
    },
    Stub {
        zone: Name,
    },
}

/// How a query ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Outcome {
    #[default]
    NotAsked,
    Reply(Seen),
    Silence,
    /// The kernel has no way to the server.
    NoRoute(String),
    /// Something else than silence, such as a refused connection.
    Failed(String),
}

impl Outcome {
    pub(super) fn reply(&self) -> Option<&Seen> {
        match self {
            Outcome::Reply(seen) => Some(seen),
            Outcome::NotAsked | Outcome::Silence | Outcome::NoRoute(_) | Outcome::Failed(_) => None,
        }
    }

    pub(super) fn was_asked(&self) -> bool {
        *self != Outcome::NotAsked
    }
}

impl Asked {
    pub(super) fn of(server: SocketAddr, role: Role) -> Asked {
        let [small, recursive, invented, large, tcp] = [const { Outcome::NotAsked }; 5];
        Asked { server, tls: None, role, small, recursive, invented, large, tcp }
    }

    /// Does it stand for the whole tree: a root server, or a forwarder for every name?
    pub(super) fn is_for_everything(&self) -> bool {
        match &self.role {
            Role::Root => true,
            Role::Forwarder { zone, .. } => zone.is_root(),
            Role::Stub { .. } => false,
        }
    }
}

impl Facts {
    /// Where the server listens, as it says itself; else as it is configured.
    pub(super) fn listening(&self) -> Vec<SocketAddr> {
        match &self.control {
            Control::Answers { listening, .. } => listening.clone(),
            Control::Hangs | Control::Unreachable { .. } => self.configuration.settings.server.listen_addrs(),
        }
    }

    pub(super) fn roots(&self) -> impl Iterator<Item = &Asked> {
        self.asked.iter().filter(|asked| asked.role == Role::Root)
    }

    pub(super) fn for_everything(&self) -> impl Iterator<Item = &Asked> {
        self.asked.iter().filter(|asked| asked.is_for_everything())
    }

    /// A Cairn that holds one of the configured ports, seen in the tables of the kernel.
    pub(super) fn cairn_in_the_tables(&self) -> Option<u32> {
        self.held
            .iter()
            .filter_map(|held| held.owner.process.as_ref())
            .find(|process| process.command == "cairn")
            .map(|process| process.pid)
    }
}
