//! `cairn system dhcp`: the lines by which DHCP servers and routers announce this server to their network.

use std::net::IpAddr;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::exit_code::{GOOD, MISTAKE};
use super::explain::parse_name;
use super::run::Everywhere;
use super::served::served;
use super::terminal::{complain, say};
use crate::announce::{DhcpServer, Resolver, dhcpv4, dhcpv6, hex, parameters, router_advertisement};
use crate::record::Name;

const EXAMPLES: &str = "\
Examples:
  cairn system dhcp                                   for every program that Cairn knows
  cairn system dhcp --for dnsmasq > /etc/dnsmasq.d/cairn.conf
  cairn system dhcp --address 192.0.2.53 --address 2001:db8::53    where clients reach a server
                                                      that listens at all addresses
  cairn system dhcp --json                            also as octets, for other programs

Clients learn this way of plain DNS, and of DNS over TLS and HTTPS with the name in the certificate
(RFC 9463). Nothing is changed: put the lines into the configuration of the program.";

/// Print the lines by which a DHCP server or a router announces this server to its network
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DhcpArgs {
    /// Only the lines of this program
    #[arg(long = "for", value_name = "PROGRAM", conflicts_with = "json")]
    program: Option<Program>,
    #[command(flatten)]
    reached: Reached,
    /// One JSON object, with the options as octets
    #[arg(long)]
    json: bool,
}

/// How clients reach the server, where it cannot know that itself.
#[derive(Debug, Args)]
pub(super) struct Reached {
    /// The name that clients verify the certificate for [default: the first one in the certificate]
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    name: Option<Name>,
    /// An address at which clients reach the server, once for each [default: where it listens]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_unicast)]
    address: Vec<IpAddr>,
}

impl Reached {
    /// The error is an exit code: what is wrong has been printed.
    pub(super) fn resolver(&self, everywhere: &Everywhere) -> Result<Resolver, u8> {
        Resolver::of(&served(everywhere)?, &self.address, self.name.as_ref()).map_err(|missing| {
            complain!("cairn: {missing}");
            MISTAKE
        })
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Program {
    Dnsmasq,
    Kea,
    /// Of OpenWrt
    Odhcpd,
    Radvd,
    /// systemd-networkd
    Networkd,
}

impl From<Program> for DhcpServer {
    fn from(program: Program) -> DhcpServer {
        match program {
            Program::Dnsmasq => DhcpServer::Dnsmasq,
            Program::Kea => DhcpServer::Kea,
            Program::Odhcpd => DhcpServer::Odhcpd,
            Program::Radvd => DhcpServer::Radvd,
            Program::Networkd => DhcpServer::Networkd,
        }
    }
}

pub(super) fn dhcp(args: &DhcpArgs, everywhere: &Everywhere) -> u8 {
    let resolver = match args.reached.resolver(everywhere) {
        Ok(resolver) => resolver,
        Err(code) => return code,
    };
    match args.program {
        _ if args.json => say!("{}", as_json(&resolver)),
        Some(program) => DhcpServer::from(program).lines(&resolver).iter().for_each(|line| say!("{line}")),
        None => {
            for (at, program) in DhcpServer::ALL.into_iter().enumerate() {
                if at > 0 {
                    say!("");
                }
                program.lines(&resolver).iter().for_each(|line| say!("{line}"));
            }
        }
    }
    GOOD
}

fn as_json(resolver: &Resolver) -> Value {
    let endpoints = (1..).zip(&resolver.encrypted).map(|(priority, endpoint): (u32, _)| {
        json!({
            "priority": priority,
            "alpn": endpoint.alpn,
            "port": endpoint.port,
            "path": endpoint.path,
            "addresses": endpoint.addresses,
            "parameters": parameters(endpoint),
        })
    });
    let all = |options: Vec<Vec<u8>>| options.iter().map(|octets| hex(octets, "")).collect::<Vec<_>>();
    json!({
        "name": resolver.name.as_ref().map(Name::to_string),
        "addresses": resolver.plain,
        "encrypted": endpoints.collect::<Vec<_>>(),
        "dhcpv4-option-162": Some(dhcpv4(resolver)).filter(|data| !data.is_empty()).map(|data| hex(&data, "")),
        "dhcpv6-option-144": all(dhcpv6(resolver)),
        "router-advertisement-options": all(router_advertisement(resolver)),
    })
}

fn parse_unicast(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| "expected an address such as 192.0.2.53 or 2001:db8::53".to_owned())?;
    match address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        true => Err("no address that other machines can ask".to_owned()),
        false => Ok(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_other_machines_can_ask() {
        for (text, is_good) in [
            ("192.0.2.53", true),
            ("2001:db8::53", true),
            ("127.0.0.1", false),
            ("::1", false),
            ("0.0.0.0", false),
            ("::", false),
            ("224.0.0.1", false),
            ("ff02::1", false),
            ("192.0.2.53:53", false),
            ("dns.example", false),
        ] {
            assert_eq!(parse_unicast(text).is_ok(), is_good, "{text}");
        }
    }
}
