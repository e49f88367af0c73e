//! What a certificate says of itself: its dates and its names (RFC 5280 4.1.2.5, 4.2.1.6). Nothing is verified here: the certificate
//! is our own, and clients verify it.

use std::net::IpAddr;

use crate::env::WallTime;
use crate::limits::server::CERTIFICATE_NAMES_MAX;
use crate::validate::Day;

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
/// 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// Dates and names of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub not_before: WallTime,
    pub not_after: WallTime,
    /// Names and addresses of the subject, as text.
    pub names: Vec<String>,
    /// 1 to 3 (RFC 5280 4.1.2.1). Only version 3 has extensions, and names among them.
    pub version: u8,
}

/// `None`: this is no certificate.
pub(super) fn summary(der: &[u8]) -> Option<Summary> {
    let (certificate, _) = expect(der, SEQUENCE)?;
    let (tbs, _) = expect(certificate, SEQUENCE)?;
    let (version, rest) = match expect(tbs, VERSION) {
        Some((version, rest)) => match element(version)? {
            (INTEGER, [version], []) => (version.saturating_add(1), rest),
            _ => return None,
        },
        None => (1, tbs),
    };
    // Serial number, signature algorithm, issuer.
    let rest = (0..3).try_fold(rest, |rest, _| Some(element(rest)?.2))?;
    let (validity, rest) = expect(rest, SEQUENCE)?;
    let (tag, not_before, later) = element(validity)?;
    let not_before = time(tag, not_before)?;
    let (tag, not_after, _) = element(later)?;
    let not_after = time(tag, not_after)?;
    // Subject, public key.
    let mut rest = (0..2).try_fold(rest, |rest, _| Some(element(rest)?.2))?;
    let mut found = Vec::new();
    while let Some((tag, content, later)) = element(rest) {
        if tag == EXTENSIONS {
            found = alternative_names(content).unwrap_or_default();
        }
        rest = later;
    }
    Some(Summary { not_before, not_after, names: found, version })
}

fn alternative_names(extensions: &[u8]) -> Option<Vec<String>> {
    let (mut extensions, _) = expect(extensions, SEQUENCE)?;
    while let Some((extension, later)) = expect(extensions, SEQUENCE) {
        let (oid, mut value) = expect(extension, OID)?;
        if oid == SUBJECT_ALT_NAME {
            // A BOOLEAN may come first: the extension may be critical.
            while let Some((tag, content, rest)) = element(value) {
                if tag == OCTET_STRING {
                    let (mut names, _) = expect(content, SEQUENCE)?;
                    return Some(std::iter::from_fn(|| next_name(&mut names)).flatten().take(CERTIFICATE_NAMES_MAX).collect());
                }
                value = rest;
            }
        }
        extensions = later;
    }
    None
}

/// `Some(None)`: a name of a kind that no client of ours compares.
fn next_name(names: &mut &[u8]) -> Option<Option<String>> {
    let (tag, content, rest) = element(names)?;
    *names = rest;
    Some(match tag {
        DNS_NAME => std::str::from_utf8(content).ok().filter(|name| name.bytes().all(|octet| octet.is_ascii_graphic())).map(str::to_owned),
        IP_ADDRESS => <[u8; 4]>::try_from(content)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(content).map(IpAddr::from))
            .ok()
            .map(|address| address.to_string()),
        _ => None,
    })
}

/// The content of the first element if it has this tag, and what follows it.
fn expect(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    element(der).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// Tag and content of the first element, and what follows it (X.690 8.1); lengths of up to four octets.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (octets.iter().fold(0, |len, octet| len << 8 | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((tag, content, rest))
}

/// RFC 5280 4.1.2.5.1, 4.1.2.5.2: in UTC, to the second.
fn time(tag: u8, text: &[u8]) -> Option<WallTime> {
    let digits = text.strip_suffix(b"Z")?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year = number(year)?;
            (if year < 50 { 2_000 + year } else { 1_900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    let (parts, []) = rest.as_chunks::<2>() else { return None };
    let [month, day, hour, minute, second] = parts else { return None };
    let (month, day) = (number(month)?, number(day)?);
    let (hour, minute, second) = (number(hour)?, number(minute)?, number(second)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_since_1970(year, month, day)?;
    Some(WallTime(days * 86_400 + hour * 3_600 + minute * 60 + second))
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()))?.parse().ok()
}

/// In the Gregorian calendar; 1970 for all years before it.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    // March comes first, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let before = |year: u64| year * 365 + year / 4 - year / 100 + year / 400;
    Some((before(year) + (month * 153 + 2) / 5 + day).saturating_sub(719_469))
}

/// `2026-11-30`.
pub(in crate::server) fn date(time: WallTime) -> String {
    Day(time.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_both_forms() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", Some("1970-01-01")),
            (UTC_TIME, "261130105856Z", Some("2026-11-30")),
            (UTC_TIME, "491231235959Z", Some("2049-12-31")),
            (UTC_TIME, "500101000000Z", Some("1970-01-01")),
            (GENERALIZED_TIME, "20500301000000Z", Some("2050-03-01")),
            (GENERALIZED_TIME, "20000229120000Z", Some("2000-02-29")),
            (GENERALIZED_TIME, "99991231235959Z", Some("9999-12-31")),
            (UTC_TIME, "261330105856Z", None),
            (UTC_TIME, "2611301058Z", None),
            (UTC_TIME, "26113010585\u{e9}", None),
            (GENERALIZED_TIME, "", None),
            (0x02, "261130105856Z", None),
        ] {
            assert_eq!(time(tag, text.as_bytes()).map(date).as_deref(), expected, "{text}");
        }
        assert_eq!(time(UTC_TIME, b"261130105856Z"), Some(WallTime(1_796_036_336)));
    }

    #[test]
    fn a_certificate_made_by_another_library() {
        let mut parameters = rcgen::CertificateParams::new(vec!["dns.example".to_owned(), "192.0.2.1".to_owned()]).expect("names");
        parameters.not_before = rcgen::date_time_ymd(2020, 1, 2);
        parameters.not_after = rcgen::date_time_ymd(2055, 3, 4);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let read = summary(certificate.der()).expect("well formed");
        assert_eq!((date(read.not_before), date(read.not_after)), ("2020-01-02".to_owned(), "2055-03-04".to_owned()));
        assert_eq!(read.version, 3);
        assert_eq!(read.names, ["dns.example", "192.0.2.1"]);
        // Cut off anywhere, and with any octet changed, it is read or refused.
        for end in 0..certificate.der().len() {
            let _ = summary(&certificate.der()[..end]);
            let mut changed = certificate.der().to_vec();
            changed[end] ^= 0xff;
            let _ = summary(&changed);
        }
    }
}
