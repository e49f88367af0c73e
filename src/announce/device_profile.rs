//! What devices are told so that they ask this server over TLS or HTTPS wherever they are: a configuration profile for those by
//! Apple (types DNSSettings and TopLevel of its "Device Management" documentation), a name for Android, a URL for browsers.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};

use super::property_list::PropertyList;
use super::resolver::{Endpoint, Resolver};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceProfile {
    /// A property list, for a file whose name ends in `.mobileconfig`. The same server always gets the same one.
    pub apple: String,
    /// What is typed under "Private DNS" of Android.
    pub private_dns: Option<String>,
    /// DNS over HTTPS, for browsers and Windows.
    pub url: Option<String>,
}

/// `None`: the server has neither DNS over TLS at its usual port nor DNS over HTTPS. A profile cannot express other ports of TLS.
pub fn device_profile(resolver: &Resolver) -> Option<DeviceProfile> {
    let host = resolver.name.as_ref()?.to_string().trim_end_matches('.').to_owned();
    let https = resolver.encrypted.iter().find_map(|endpoint| Some((https_url(&host, endpoint)?, endpoint)));
    let tls = resolver.encrypted.iter().find(|endpoint| endpoint.alpn.contains(&"dot") && endpoint.port.is_none());
    let payloads: Vec<PropertyList> = [
        https.as_ref().map(|(url, endpoint)| payload(&host, "HTTPS", ("ServerURL", url), &endpoint.addresses)),
        tls.map(|endpoint| payload(&host, "TLS", ("ServerName", &host), &endpoint.addresses)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if payloads.is_empty() {
        return None;
    }
    let identifier = identifier(&host);
    let mut entries = vec![("PayloadContent", PropertyList::Array(payloads))];
    entries.extend(payload_keys("Configuration", &identifier, &format!("Encrypted DNS: {host}")));
    // Settings of DNS belong to the device: macOS refuses them in the profile of one user.
    entries.push(("PayloadScope", text("System")));
    let private_dns = tls.map(|_| host);
    Some(DeviceProfile { apple: PropertyList::Dictionary(entries).document(), private_dns, url: https.map(|(url, _)| url) })
}

fn https_url(host: &str, endpoint: &Endpoint) -> Option<String> {
    let path = endpoint.path.as_ref()?;
    let port = endpoint.port.map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("https://{host}{port}{path}"))
}

fn payload(host: &str, protocol: &str, (key, server): (&'static str, &str), addresses: &[IpAddr]) -> PropertyList {
    let addresses = addresses.iter().map(|address| text(&address.to_string())).collect();
    let settings = vec![("DNSProtocol", text(protocol)), ("ServerAddresses", PropertyList::Array(addresses)), (key, text(server))];
    let identifier = format!("{}.{}", identifier(host), protocol.to_ascii_lowercase());
    let mut entries = vec![("DNSSettings", PropertyList::Dictionary(settings))];
    entries.extend(payload_keys("com.apple.dnsSettings.managed", &identifier, &format!("DNS over {protocol}: {host}")));
    PropertyList::Dictionary(entries)
}

/// What each payload says of itself, and the profile too.
fn payload_keys(kind: &str, identifier: &str, title: &str) -> Vec<(&'static str, PropertyList)> {
    vec![
        ("PayloadDisplayName", text(title)),
        ("PayloadIdentifier", text(identifier)),
        ("PayloadType", text(kind)),
        ("PayloadUUID", text(&uuid(identifier))),
        ("PayloadVersion", PropertyList::Number(1)),
    ]
}

/// A profile replaces one with the same identifier: `dns.example` has `example.dns.encrypted-dns`.
fn identifier(host: &str) -> String {
    let labels: Vec<&str> = host.rsplit('.').collect();
    format!("{}.encrypted-dns", labels.join("."))
}

/// Of version 8 (RFC 9562 5.8): derived from the identifier, so that the same server has the same profile.
fn uuid(identifier: &str) -> String {
    let digest = digest(&SHA256, identifier.as_bytes());
    let mut octets = [0; 16];
    octets.iter_mut().zip(digest.as_ref()).for_each(|(octet, derived)| *octet = *derived);
    octets[6] = octets[6] & 0x0f | 0x80;
    octets[8] = octets[8] & 0x3f | 0x80;
    let hex: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn text(text: &str) -> PropertyList {
    PropertyList::Text(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Name;

    fn endpoint(alpn: &[&'static str], port: Option<u16>, path: Option<&str>) -> Endpoint {
        let addresses = ["192.0.2.53", "2001:db8::53"].map(|text| text.parse().expect("an address")).to_vec();
        Endpoint { alpn: alpn.to_vec(), port, path: path.map(str::to_owned), addresses }
    }

    fn resolver(encrypted: Vec<Endpoint>) -> Resolver {
        Resolver { name: Name::parse("dns.example.").ok(), plain: Vec::new(), encrypted }
    }

    #[test]
    fn a_profile_has_both_transports() {
        let both = resolver(vec![endpoint(&["dot", "h2"], None, Some("/q&a"))]);
        let made = device_profile(&both).expect("encrypted transports");
        assert_eq!(made.private_dns.as_deref(), Some("dns.example"));
        assert_eq!(made.url.as_deref(), Some("https://dns.example/q&a"));
        for part in [
            "<key>DNSProtocol</key>\n\t\t\t\t<string>HTTPS</string>",
            "<key>ServerURL</key>\n\t\t\t\t<string>https://dns.example/q&amp;a</string>",
            "<key>DNSProtocol</key>\n\t\t\t\t<string>TLS</string>",
            "<key>ServerName</key>\n\t\t\t\t<string>dns.example</string>",
            "<array>\n\t\t\t\t\t<string>192.0.2.53</string>\n\t\t\t\t\t<string>2001:db8::53</string>\n\t\t\t\t</array>",
            "<key>PayloadType</key>\n\t\t\t<string>com.apple.dnsSettings.managed</string>",
            "\n\t<key>PayloadType</key>\n\t<string>Configuration</string>",
            "\n\t<key>PayloadIdentifier</key>\n\t<string>example.dns.encrypted-dns</string>",
            "<string>example.dns.encrypted-dns.tls</string>",
        ] {
            assert!(made.apple.contains(part), "{part}: {}", made.apple);
        }
        assert_eq!(device_profile(&both), Some(made.clone()), "the same server, the same profile");
        let uuids: Vec<&str> = made.apple.lines().filter(|line| line.matches('-').count() == 4 && line.contains("<string>")).collect();
        assert_eq!(uuids.iter().collect::<std::collections::BTreeSet<_>>().len(), 3, "{uuids:?}");
    }

    #[test]
    fn an_identifier_has_one_uuid() {
        // `printf a.b | sha256sum`, with version 8 and variant 10 in their places.
        assert_eq!(uuid("a.b"), "2E7336DC-8EBA-87EF-872D-F568C35482AB");
    }

    #[test]
    fn ports_that_a_profile_can_express() {
        let port = |made: Option<DeviceProfile>| made.map(|made| (made.private_dns, made.url));
        let tls = endpoint(&["dot"], Some(8853), None);
        let https = endpoint(&["h2"], Some(8443), Some("/dns-query"));
        assert_eq!(port(device_profile(&resolver(vec![tls.clone()]))), None);
        let url = Some("https://dns.example:8443/dns-query".to_owned());
        assert_eq!(port(device_profile(&resolver(vec![tls, https]))), Some((None, url)));
        assert_eq!(port(device_profile(&resolver(Vec::new()))), None);
    }
}
