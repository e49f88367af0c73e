//! What the running server serves of the zones, and that it serves a changed one: asked over the control socket.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::command::Command;
use super::socket::ask;
use crate::record::Name;

/// Whether a changed file is in force.
#[derive(Debug, PartialEq, Eq)]
pub enum InForce {
    Yes,
    /// No server runs that reads this file.
    NoServer,
    /// What the server says instead.
    No(Vec<String>),
}

/// The zones of the running server, as `cairn status --json` shows them; `None` without a server. `config` is the configuration
/// file that was named: a server that reads another one is not meant.
pub fn running_zones(sockets: &[PathBuf], config: Option<&Path>) -> Option<Vec<Value>> {
    let mut status = None;
    ask(sockets, &Command::Status, |line| status = Some(line)).ok()?;
    let status = status.filter(|status| status["zones"].is_array())?;
    let named = config.map(|config| std::path::absolute(config).unwrap_or_else(|_| config.to_owned()));
    let is_meant = named.is_none_or(|named| status["configuration"].as_str().is_some_and(|read| Path::new(read) == named));
    is_meant.then(|| status["zones"].as_array().cloned().unwrap_or_default())
}

/// Where the running server listens; nothing without one.
pub(super) fn listening_on(sockets: &[PathBuf]) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    let each = |line: Value| {
        let listed = line["listening-on"].as_array().map(Vec::as_slice).unwrap_or_default();
        addresses.extend(listed.iter().filter_map(|address| address.as_str()?.parse::<SocketAddr>().ok()));
    };
    // A server that does not answer is none here.
    let _ = ask(sockets, &Command::Status, each);
    addresses
}

/// Has the running server read the changed file, and sees that it serves the new serial.
pub fn put_in_force(sockets: &[PathBuf], config: Option<&Path>, zone: &Name, serial: u32) -> InForce {
    if running_zones(sockets, config).is_none() {
        return InForce::NoServer;
    }
    let mut told: Vec<String> = Vec::new();
    let asked = ask(sockets, &Command::Reload, |line| {
        told.extend(["line", "error"].iter().filter_map(|key| line[*key].as_str()).map(str::to_owned));
    });
    if let Err(error) = asked {
        told.push(format!("lost the connection to the running server: {error}"));
    }
    let zones = running_zones(sockets, config).unwrap_or_default();
    let Some(row) = zones.iter().find(|row| row["name"].as_str().is_some_and(|name| name == zone.to_string())) else {
        told.push(format!("the running server does not host {zone}"));
        return InForce::No(told);
    };
    // Somebody may have changed it again meanwhile.
    let served = row["serial"].as_u64().and_then(|served| u32::try_from(served).ok());
    match served.is_some_and(|served| served.wrapping_sub(serial) < 1 << 31) && row["state"] == "served" {
        true => InForce::Yes,
        false => InForce::No(told),
    }
}
