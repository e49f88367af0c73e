//! Words for numbers in RDATA: DNSSEC algorithms, certificate types, durations, points in time, protocols.

/// RFC 4034 A.1 and the registry; 252 to 254 as there.
const ALGORITHMS: &[(u8, &str)] = &[
    (1, "RSAMD5"),
    (2, "DH"),
    (3, "DSA"),
    (5, "RSASHA1"),
    (6, "DSA-NSEC3-SHA1"),
    (6, "NSEC3DSA"),
    (7, "RSASHA1-NSEC3-SHA1"),
    (7, "NSEC3RSASHA1"),
    (8, "RSASHA256"),
    (10, "RSASHA512"),
    (12, "ECC-GOST"),
    (12, "ECCGOST"),
    (13, "ECDSAP256SHA256"),
    (14, "ECDSAP384SHA384"),
    (15, "ED25519"),
    (16, "ED448"),
    (252, "INDIRECT"),
    (253, "PRIVATEDNS"),
    (254, "PRIVATEOID"),
];

/// RFC 4398 2.1.
const CERTIFICATES: &[(u16, &str)] = &[
    (1, "PKIX"),
    (2, "SPKI"),
    (3, "PGP"),
    (4, "IPKIX"),
    (5, "ISPKI"),
    (6, "IPGP"),
    (7, "ACPKIX"),
    (8, "IACPKIX"),
    (253, "URI"),
    (254, "OID"),
];

pub(super) fn algorithm(text: &[u8]) -> Option<u8> {
    ALGORITHMS.iter().find(|(_, word)| word.as_bytes().eq_ignore_ascii_case(text)).map(|(code, _)| *code)
}

pub(super) fn certificate(text: &[u8]) -> Option<u16> {
    CERTIFICATES.iter().find(|(_, word)| word.as_bytes().eq_ignore_ascii_case(text)).map(|(code, _)| *code)
}

/// The one scheme of DSYNC that has a name (RFC 9859 6.2).
pub(super) const NOTIFY: u8 = 1;

pub(super) fn scheme(text: &[u8]) -> Option<u8> {
    text.eq_ignore_ascii_case(b"NOTIFY").then_some(NOTIFY)
}

/// Services that old WKS records name (RFC 1035 3.4.2).
pub(super) fn service_port(text: &[u8]) -> Option<u16> {
    const SERVICES: &[(u16, &str)] = &[
        (20, "ftp-data"),
        (21, "ftp"),
        (22, "ssh"),
        (23, "telnet"),
        (25, "smtp"),
        (37, "time"),
        (53, "domain"),
        (69, "tftp"),
        (79, "finger"),
        (80, "http"),
        (109, "pop2"),
        (110, "pop3"),
        (111, "sunrpc"),
        (119, "nntp"),
        (123, "ntp"),
        (143, "imap"),
        (443, "https"),
    ];
    decimal(text)
        .and_then(|port| u16::try_from(port).ok())
        .or_else(|| SERVICES.iter().find(|(_, word)| word.as_bytes().eq_ignore_ascii_case(text)).map(|(port, _)| *port))
}

/// Digits only: no sign, no space, at most what fits.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, octet| {
        let digit = octet.is_ascii_digit().then(|| u64::from(octet - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Seconds, or numbers with units as in `1h30m`. A number without a unit must stand alone. `None` on anything else or above
/// 2^32-1.
pub fn parse_duration(text: &[u8]) -> Option<u32> {
    if let Some(seconds) = decimal(text) {
        return u32::try_from(seconds).ok();
    }
    let (mut total, mut rest) = (0u64, text);
    while !rest.is_empty() {
        let digits = rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
        let unit = match rest.get(digits)?.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(decimal(&rest[..digits])?.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (!text.is_empty()).then_some(u32::try_from(total).ok()?)
}

/// RFC 4034 3.2: YYYYMMDDHHmmSS in UTC, or seconds since 1970.
pub fn timestamp(text: &[u8]) -> Option<u32> {
    if text.len() != 14 {
        return u32::try_from(decimal(text)?).ok();
    }
    let part = |from: usize, to: usize| decimal(&text[from..to]);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    if year < 1970 || !(1..=12).contains(&month) || day == 0 || day > month_days(year, month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = ((days_from_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    // Serial arithmetic (RFC 4034 3.1.5): a date past 2106 wraps round.
    Some(seconds as u32)
}

/// YYYYMMDDHHmmSS in UTC (RFC 4034 3.2).
pub fn timestamp_to_text(seconds: u32) -> String {
    let mut days = u64::from(seconds / 86_400);
    let (mut year, mut month) = (1970, 1);
    while days >= if is_leap(year) { 366 } else { 365 } {
        days -= if is_leap(year) { 366 } else { 365 };
        year += 1;
    }
    while days >= month_days(year, month) {
        days -= month_days(year, month);
        month += 1;
    }
    let rest = seconds % 86_400;
    format!("{year:04}{month:02}{:02}{:02}{:02}{:02}", days + 1, rest / 3600, rest / 60 % 60, rest % 60)
}

fn days_from_1970(year: u64, month: u64, day: u64) -> u64 {
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969);
    years + (1..month).map(|month| month_days(year, month)).sum::<u64>() + day - 1
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

fn month_days(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        for (text, seconds) in [("0", 0), ("3600", 3600), ("1h30m", 5400), ("1W2d3H4m5S", 788_645), ("4294967295", u32::MAX)] {
            assert_eq!(parse_duration(text.as_bytes()), Some(seconds), "{text}");
        }
        for bad in ["", "h", "1x", "3h30", "-1", "4294967296", "9999999999999999999999w", "1 h"] {
            assert_eq!(parse_duration(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn times() {
        for (text, seconds) in
            [("19700101000000", 0), ("20040509183619", 1_084_127_779), ("20000229235959", 951_868_799), ("1084127779", 1_084_127_779)]
        {
            assert_eq!(timestamp(text.as_bytes()), Some(seconds), "{text}");
        }
        for bad in ["20010229000000", "20041301000000", "20040100000000", "20040101240000", "99999999999", "2004010100000x"] {
            assert_eq!(timestamp(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn time_there_and_back(seconds in any::<u32>()) {
            prop_assert_eq!(timestamp(timestamp_to_text(seconds).as_bytes()), Some(seconds));
        }
    }
}
