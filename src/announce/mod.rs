//! What a network and its devices are told of this server, so that they ask it and find its encrypted transports: `cairn system dhcp`
//! and `cairn system profile`.
//!
//! `resolver.rs` says at which addresses and by which transports clients reach the server, `network_designated.rs` encodes
//! that (RFC 9463), `dhcp_server.rs` writes it for each program that announces it. `device_profile.rs` is for devices that
//! leave the network.
//!
//! Knows nothing of: files, sockets, how a question is answered.

mod device_profile;
mod dhcp_server;
mod network_designated;
mod property_list;
mod resolver;

#[cfg(any(test, feature = "internals"))]
pub use device_profile::DeviceProfile;
pub use device_profile::device_profile;
pub use dhcp_server::{DhcpServer, hex, parameters};
pub use network_designated::{dhcpv4, dhcpv6, router_advertisement};
#[cfg(any(test, feature = "internals"))]
pub use resolver::{Endpoint, Missing};
pub use resolver::{Resolver, Served};
