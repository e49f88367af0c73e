//! What the thread that keeps hosted zones is asked to do.

use std::net::SocketAddr;

use crate::config::ZoneSettings;
use crate::record::Name;
use crate::server::command::Reply;

/// By a reload, or by a command.
pub(in crate::server) enum Order {
    /// A configuration is in force; its zones.
    Configured(Vec<ZoneSettings>),
    /// Zones may have new versions; their other servers are told.
    Changed,
    /// The CDS records of the zone have changed, and its parent is told there (RFC 9859).
    CdsChanged(Name, Vec<SocketAddr>),
    /// Transfer the whole zone again.
    Retransfer(Name, Reply),
    /// Tell the other servers of the zone, whether it has changed or not.
    Notify(Name, Reply),
}
