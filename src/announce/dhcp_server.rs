//! The lines by which each program that configures a network announces this server.

use std::fmt::Write;
use std::net::IpAddr;

use super::network_designated::{DHCPV4_CODE, DHCPV6_CODE, dhcpv4, dhcpv6};
use super::resolver::{Endpoint, Resolver};
use crate::limits::server::DHCP_OPTION_BYTES_MAX;
use crate::policy::uri_template;

/// A program that serves DHCP or sends router advertisements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DhcpServer {
    Dnsmasq,
    Kea,
    Odhcpd,
    Radvd,
    Networkd,
}

impl DhcpServer {
    pub const ALL: [DhcpServer; 5] = [DhcpServer::Dnsmasq, DhcpServer::Kea, DhcpServer::Odhcpd, DhcpServer::Radvd, DhcpServer::Networkd];

    /// Lines of its configuration, with comments in its own form.
    pub fn lines(self, resolver: &Resolver) -> Vec<String> {
        match self {
            DhcpServer::Dnsmasq => dnsmasq(resolver),
            DhcpServer::Kea => kea(resolver),
            DhcpServer::Odhcpd => odhcpd(resolver),
            DhcpServer::Radvd => radvd(resolver),
            DhcpServer::Networkd => networkd(resolver),
        }
    }
}

fn dnsmasq(resolver: &Resolver) -> Vec<String> {
    let mut lines = vec!["# dnsmasq: a file in /etc/dnsmasq.d".to_owned()];
    let (v4, v6) = (resolver.plain_v4(), resolver.plain_v6());
    if !v4.is_empty() {
        lines.push(format!("dhcp-option=option:dns-server,{}", joined(&v4, ",")));
    }
    if !v6.is_empty() {
        lines.push(format!("dhcp-option=option6:dns-server,{}", v6.iter().map(|v6| format!("[{v6}]")).collect::<Vec<_>>().join(",")));
    }
    lines.extend(designated(resolver, "#"));
    let of_v4 = dhcpv4(resolver);
    match of_v4.len() {
        0 => {}
        1..=DHCP_OPTION_BYTES_MAX => lines.push(format!("dhcp-option={DHCPV4_CODE},{}", hex(&of_v4, ":"))),
        _ => lines.push("# the option of DHCPv4 is left out: more than 255 octets, which dnsmasq does not send".to_owned()),
    }
    let of_v6 = dhcpv6(resolver);
    if let Some(first) = of_v6.first() {
        lines.push(match first.len() {
            ..=DHCP_OPTION_BYTES_MAX => format!("dhcp-option=option6:{DHCPV6_CODE},{}", hex(first, ":")),
            _ => "# the option of DHCPv6 is left out: its line would be too long for dnsmasq".to_owned(),
        });
        if of_v6.len() > 1 {
            lines.push("# dnsmasq sends an option of DHCPv6 once: only what is preferred is announced over IPv6".to_owned());
        }
        lines.push("# router advertisements of dnsmasq tell of plain DNS alone".to_owned());
    }
    lines
}

/// Data in hex needs no definition of the option, so that versions before 2.4 announce it too.
fn kea(resolver: &Resolver) -> Vec<String> {
    let mut lines = Vec::new();
    let mut section = |server: &str, plain: Option<String>, options: Vec<String>| {
        let entries: Vec<String> = plain.into_iter().chain(options).collect();
        if entries.is_empty() {
            return;
        }
        lines.push(format!("// Kea: into \"{server}\""));
        lines.extend(designated(resolver, "//"));
        lines.push("\"option-data\": [".to_owned());
        lines.extend(entries.iter().enumerate().map(|(at, entry)| {
            let comma = if at + 1 < entries.len() { "," } else { "" };
            format!("  {entry}{comma}")
        }));
        lines.push("]".to_owned());
    };
    let plain = |name: &str, addresses: &[IpAddr]| {
        (!addresses.is_empty()).then(|| format!("{{ \"name\": \"{name}\", \"data\": \"{}\" }}", joined(addresses, ", ")))
    };
    let option = |code: u16, space: &str, data: &[u8]| {
        format!("{{ \"code\": {code}, \"space\": \"{space}\", \"csv-format\": false, \"data\": \"{}\" }}", hex(data, ""))
    };
    let of_v4 = Some(dhcpv4(resolver)).filter(|data| !data.is_empty());
    let of_v4 = of_v4.map(|data| option(DHCPV4_CODE.into(), "dhcp4", &data)).into_iter().collect();
    section("Dhcp4", plain("domain-name-servers", &resolver.plain_v4()), of_v4);
    let of_v6 = dhcpv6(resolver).iter().map(|data| option(DHCPV6_CODE, "dhcp6", data)).collect();
    section("Dhcp6", plain("dns-servers", &resolver.plain_v6()), of_v6);
    lines
}

/// It encodes the options of RFC 9463 itself, those of router advertisements too.
fn odhcpd(resolver: &Resolver) -> Vec<String> {
    let mut lines = vec!["# odhcpd of OpenWrt, a version that has the option dnr: commands for the interface lan".to_owned()];
    lines.extend(resolver.plain.iter().map(|address| format!("uci add_list dhcp.lan.dns='{address}'")));
    let name = resolver.name.as_ref().map(|name| name.to_string().trim_end_matches('.').to_owned()).unwrap_or_default();
    for (priority, endpoint) in (1..).zip(&resolver.encrypted) {
        let value = format!("{priority} {name} {} {}", joined(&endpoint.addresses, ","), parameters(endpoint));
        lines.push(format!("uci add_list dhcp.lan.dnr='{}'", value.replace('\'', r"'\''")));
    }
    lines.push("uci commit dhcp && service odhcpd restart".to_owned());
    lines
}

fn radvd(resolver: &Resolver) -> Vec<String> {
    let mut lines = vec!["# radvd: into the block of the interface".to_owned()];
    let v6 = resolver.plain_v6();
    match v6.is_empty() {
        true => lines.push("# nothing: plain DNS is not served over IPv6".to_owned()),
        false => lines.extend(v6.iter().map(|address| format!("RDNSS {address} {{ }};"))),
    }
    if !resolver.encrypted.is_empty() {
        lines.push("# radvd 2.20 has no option for encrypted resolvers. Clients are told by DHCPv6 (AdvOtherConfigFlag on;),".to_owned());
        lines.push("# or ask this server for _dns.resolver.arpa (RFC 9462).".to_owned());
    }
    lines
}

fn networkd(resolver: &Resolver) -> Vec<String> {
    let mut lines = vec!["# systemd-networkd: into the .network file of the interface".to_owned()];
    let (v4, v6, of_v4) = (resolver.plain_v4(), resolver.plain_v6(), dhcpv4(resolver));
    if !v4.is_empty() || !of_v4.is_empty() {
        lines.push("[DHCPServer]".to_owned());
    }
    if !v4.is_empty() {
        lines.push(format!("DNS={}", joined(&v4, " ")));
    }
    if !of_v4.is_empty() {
        lines.extend(designated(resolver, "#"));
        lines.push(match of_v4.len() {
            ..=DHCP_OPTION_BYTES_MAX => format!("SendOption={DHCPV4_CODE}:string:{}", escaped(&of_v4)),
            _ => "# the option of DHCPv4 is left out: more than 255 octets".to_owned(),
        });
    }
    if !v6.is_empty() {
        lines.push("[IPv6SendRA]".to_owned());
        lines.push(format!("DNS={}", joined(&v6, " ")));
    }
    if !dhcpv6(resolver).is_empty() {
        lines.push("# router advertisements of systemd-networkd tell of plain DNS alone".to_owned());
    }
    lines
}

/// A comment for each thing that the hex below it says.
fn designated(resolver: &Resolver, comment: &str) -> Vec<String> {
    let Some(name) = &resolver.name else { return Vec::new() };
    let line = |(priority, endpoint): (u32, &Endpoint)| {
        format!("{comment} {priority} {name} {} {}", joined(&endpoint.addresses, ","), parameters(endpoint))
    };
    (1..).zip(&resolver.encrypted).map(line).collect()
}

/// In the presentation form of RFC 9460 2.1.
pub fn parameters(endpoint: &Endpoint) -> String {
    let mut text = format!("alpn={}", endpoint.alpn.join(","));
    if let Some(port) = endpoint.port {
        let _ = write!(text, " port={port}");
    }
    if let Some(path) = &endpoint.path {
        let _ = write!(text, " dohpath={}", uri_template(path));
    }
    text
}

fn joined(addresses: &[IpAddr], separator: &str) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(separator)
}

pub fn hex(octets: &[u8], separator: &str) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(separator)
}

/// As systemd reads a string (systemd.network(5)): octets that are no letters or digits by their number.
fn escaped(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("\\x{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Name;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn resolver() -> Resolver {
        let (v4, v6) = (address("192.0.2.53"), address("2001:db8::53"));
        let both = Endpoint { alpn: vec!["dot", "h2"], port: None, path: Some("/dns-query".to_owned()), addresses: vec![v4, v6] };
        let other = Endpoint { alpn: vec!["h2"], port: Some(8443), path: Some("/o'q".to_owned()), addresses: vec![v6] };
        Resolver { name: Name::parse("dns.example.").ok(), plain: vec![v4, v6], encrypted: vec![both, other] }
    }

    const V4: &str = "00:34:00:01:0d:03:64:6e:73:07:65:78:61:6d:70:6c:65:00:04:c0:00:02:35:\
        00:01:00:07:03:64:6f:74:02:68:32:00:07:00:10:2f:64:6e:73:2d:71:75:65:72:79:7b:3f:64:6e:73:7d";
    const V6: &str = "00:01:00:0d:03:64:6e:73:07:65:78:61:6d:70:6c:65:00:00:10:20:01:0d:b8:00:00:00:00:00:00:00:00:00:00:00:53:\
        00:01:00:07:03:64:6f:74:02:68:32:00:07:00:10:2f:64:6e:73:2d:71:75:65:72:79:7b:3f:64:6e:73:7d";

    #[test]
    fn lines_of_dnsmasq() {
        let expected = [
            "# dnsmasq: a file in /etc/dnsmasq.d",
            "dhcp-option=option:dns-server,192.0.2.53",
            "dhcp-option=option6:dns-server,[2001:db8::53]",
            "# 1 dns.example. 192.0.2.53,2001:db8::53 alpn=dot,h2 dohpath=/dns-query{?dns}",
            "# 2 dns.example. 2001:db8::53 alpn=h2 port=8443 dohpath=/o'q{?dns}",
            &format!("dhcp-option=162,{V4}"),
            &format!("dhcp-option=option6:144,{V6}"),
            "# dnsmasq sends an option of DHCPv6 once: only what is preferred is announced over IPv6",
            "# router advertisements of dnsmasq tell of plain DNS alone",
        ];
        assert_eq!(DhcpServer::Dnsmasq.lines(&resolver()), expected);
        let addresses: Vec<IpAddr> = (1..=16).map(|last| IpAddr::from([192, 0, 2, last])).collect();
        let endpoint =
            |path: &str| Endpoint { path: Some(path.repeat(9)), addresses: addresses.clone(), ..resolver().encrypted[0].clone() };
        let long = Resolver { encrypted: vec![endpoint("/long-path"), endpoint("/other-path")], ..resolver() };
        let lines = DhcpServer::Dnsmasq.lines(&long);
        assert!(!lines.iter().any(|line| line.starts_with("dhcp-option=162,")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("left out")), "{lines:?}");
    }

    #[test]
    fn lines_of_kea() {
        let expected = [
            "// Kea: into \"Dhcp4\"",
            "// 1 dns.example. 192.0.2.53,2001:db8::53 alpn=dot,h2 dohpath=/dns-query{?dns}",
            "// 2 dns.example. 2001:db8::53 alpn=h2 port=8443 dohpath=/o'q{?dns}",
            "\"option-data\": [",
            "  { \"name\": \"domain-name-servers\", \"data\": \"192.0.2.53\" },",
            &format!("  {{ \"code\": 162, \"space\": \"dhcp4\", \"csv-format\": false, \"data\": \"{}\" }}", V4.replace(':', "")),
            "]",
        ];
        let lines = DhcpServer::Kea.lines(&resolver());
        assert_eq!(lines[..7], expected);
        let of_v6: Vec<&String> = lines.iter().filter(|line| line.contains("\"code\": 144, \"space\": \"dhcp6\"")).collect();
        assert_eq!(of_v6.len(), 2);
        assert!(of_v6[0].contains(&V6.replace(':', "")), "{of_v6:?}");
    }

    #[test]
    fn lines_of_odhcpd_and_radvd() {
        let expected = [
            "# odhcpd of OpenWrt, a version that has the option dnr: commands for the interface lan",
            "uci add_list dhcp.lan.dns='192.0.2.53'",
            "uci add_list dhcp.lan.dns='2001:db8::53'",
            "uci add_list dhcp.lan.dnr='1 dns.example 192.0.2.53,2001:db8::53 alpn=dot,h2 dohpath=/dns-query{?dns}'",
            r"uci add_list dhcp.lan.dnr='2 dns.example 2001:db8::53 alpn=h2 port=8443 dohpath=/o'\''q{?dns}'",
            "uci commit dhcp && service odhcpd restart",
        ];
        assert_eq!(DhcpServer::Odhcpd.lines(&resolver()), expected);
        let lines = DhcpServer::Radvd.lines(&resolver());
        assert_eq!(lines[1], "RDNSS 2001:db8::53 { };");
        assert!(lines[2].contains("no option for encrypted resolvers"), "{lines:?}");
    }

    #[test]
    fn lines_of_networkd() {
        let lines = DhcpServer::Networkd.lines(&resolver());
        assert_eq!(lines[1..3], ["[DHCPServer]", "DNS=192.0.2.53"]);
        assert_eq!(lines[5], format!("SendOption=162:string:\\x{}", V4.replace(':', "\\x")));
        assert_eq!(lines[6..8], ["[IPv6SendRA]", "DNS=2001:db8::53"]);
    }

    #[test]
    fn plain_dns_alone_has_no_designated_resolver() {
        let plain = Resolver { name: None, plain: vec![address("192.0.2.53")], encrypted: Vec::new() };
        let lines: Vec<String> = DhcpServer::ALL.iter().flat_map(|program| program.lines(&plain)).collect();
        for word in ["162", "144", "lan.dnr", "encrypted", "IPv6SendRA", "Dhcp6"] {
            assert!(!lines.iter().any(|line| line.contains(word)), "{word}: {lines:#?}");
        }
    }
}
