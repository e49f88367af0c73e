//! Names that the public tree does not have and will not get: a rule for a zone there needs no proof that the public tree denies
//! it, so internal names work without the Internet as well.

use crate::record::Name;

/// RFC 6761, RFC 6762 3 and appendix G, RFC 8375, ICANN Board resolutions 2018.02.04.12 and 2024.07.29.06.
const TOP: &[&str] =
    &["corp.", "home.", "internal.", "intranet.", "invalid.", "lan.", "local.", "localhost.", "mail.", "private.", "test.", "home.arpa."];

/// The reverse zones of addresses that have a local meaning only (RFC 1918, RFC 3927, RFC 4193, RFC 4291 2.5.6).
const REVERSE: &[&str] = &[
    "10.in-addr.arpa.",
    "168.192.in-addr.arpa.",
    "254.169.in-addr.arpa.",
    "d.f.ip6.arpa.",
    "8.e.f.ip6.arpa.",
    "9.e.f.ip6.arpa.",
    "a.e.f.ip6.arpa.",
    "b.e.f.ip6.arpa.",
];

/// The second octets of 172.16.0.0/12 (RFC 1918) and of 100.64.0.0/10 (RFC 6598).
const REVERSE_OF_RANGES: [(std::ops::RangeInclusive<u8>, &str); 2] = [(16..=31, "172.in-addr.arpa."), (64..=127, "100.in-addr.arpa.")];

/// The name of this list at or above `zone`.
pub(in crate::resolve) fn never_public(zone: &Name) -> Option<Name> {
    let listed = TOP.iter().chain(REVERSE).filter_map(|text| Name::parse(text).ok());
    let in_ranges = REVERSE_OF_RANGES.iter().flat_map(|(octets, above)| octets.clone().map(move |octet| format!("{octet}.{above}")));
    listed.chain(in_ranges.filter_map(|text| Name::parse(&text).ok())).find(|name| zone.is_within(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_within_and_what_does_not() {
        for (zone, expected) in [
            ("lan.", Some("lan.")),
            ("deep.LAN.", Some("lan.")),
            ("office.corp.", Some("corp.")),
            ("home.arpa.", Some("home.arpa.")),
            ("2.1.10.in-addr.arpa.", Some("10.in-addr.arpa.")),
            ("20.172.in-addr.arpa.", Some("20.172.in-addr.arpa.")),
            ("1.100.100.in-addr.arpa.", Some("100.100.in-addr.arpa.")),
            ("0.0.d.f.ip6.arpa.", Some("d.f.ip6.arpa.")),
            (".", None),
            ("arpa.", None),
            ("32.172.in-addr.arpa.", None),
            ("63.100.in-addr.arpa.", None),
            ("172.in-addr.arpa.", None),
            ("plan.", None),
            ("lan.example.", None),
            ("corp.example.", None),
        ] {
            let zone = Name::parse(zone).expect(zone);
            assert_eq!(never_public(&zone).map(|name| name.to_string()).as_deref(), expected, "{zone}");
        }
    }
}
