//! A name, resolved as any program of this system resolves it: by the C library, whatever that asks.
//!
//! The library may wait for minutes and cannot be stopped, so `machine.rs` runs this in a process of its own.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};

use crate::record::Name;

/// The addresses of a name.
pub fn look_up(name: &Name) -> io::Result<Vec<IpAddr>> {
    let found = (name.to_string().as_str(), 0).to_socket_addrs()?;
    let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}
