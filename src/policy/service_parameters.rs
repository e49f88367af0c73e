//! The parameters of a service in wire form (SvcParams, RFC 9460 2.2): how its clients reach an encrypted resolver.

use std::net::IpAddr;

/// Keys (RFC 9460 14.3.2, RFC 9461 10.1), in the order in which they stand.
const ALPN: u16 = 1;
const PORT: u16 = 3;
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;
const DOH_PATH: u16 = 7;

/// What SVCB records (RFC 9461) and the options of RFC 9463 tell of a service.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceParameters<'a> {
    pub alpn: &'a [&'a str],
    /// `None`: the usual one of each protocol.
    pub port: Option<u16>,
    /// A listener at all addresses has none to hint at: the client looks the name up.
    pub hints: &'a [IpAddr],
    /// Of DNS over HTTPS.
    pub path: Option<&'a str>,
}

impl ServiceParameters<'_> {
    pub fn wire(&self) -> Vec<u8> {
        let mut wire = Vec::new();
        let mut parameter = |key: u16, value: &[u8]| {
            // No value is longer: the longest are a path and addresses of one machine.
            let Ok(len) = u16::try_from(value.len()) else { return };
            if len > 0 {
                wire.extend_from_slice(&[key.to_be_bytes(), len.to_be_bytes()].concat());
                wire.extend_from_slice(value);
            }
        };
        let length = |text: &str| u8::try_from(text.len()).unwrap_or(u8::MAX);
        let protocols: Vec<u8> = self.alpn.iter().flat_map(|name| [&[length(name)], name.as_bytes()].concat()).collect();
        parameter(ALPN, &protocols);
        if let Some(port) = self.port {
            parameter(PORT, &port.to_be_bytes());
        }
        let known = || self.hints.iter().filter(|address| !address.is_unspecified());
        let v4 = known().filter_map(|address| if let IpAddr::V4(v4) = address { Some(v4.octets()) } else { None });
        parameter(IPV4_HINT, v4.collect::<Vec<_>>().as_flattened());
        let v6 = known().filter_map(|address| if let IpAddr::V6(v6) = address { Some(v6.octets()) } else { None });
        parameter(IPV6_HINT, v6.collect::<Vec<_>>().as_flattened());
        if let Some(template) = self.path.map(uri_template) {
            parameter(DOH_PATH, template.as_bytes());
        }
        wire
    }
}

/// RFC 9461 5: the relative form of a URI template (RFC 8484 4.1.1).
pub fn uri_template(path: &str) -> String {
    format!("{path}{{?dns}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_by_rising_key_and_only_if_it_has_a_value() {
        let hints = ["192.0.2.1", "0.0.0.0", "2001:db8::1"].map(|address| address.parse().expect("an address"));
        let all = ServiceParameters { alpn: &["dot", "h2"], port: Some(8443), hints: &hints, path: Some("/q") };
        let expected = [
            &b"\0\x01\0\x07\x03dot\x02h2"[..],
            b"\0\x03\0\x02\x20\xfb",
            b"\0\x04\0\x04\xc0\0\x02\x01",
            b"\0\x06\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
            b"\0\x07\0\x08/q{?dns}",
        ];
        assert_eq!(all.wire(), expected.concat());
        assert_eq!(ServiceParameters { alpn: &["dot"], ..ServiceParameters::default() }.wire(), b"\0\x01\0\x04\x03dot");
    }
}
