//! From wire RDATA to text. The text reads back to the same octets: where a type's own form cannot express them (broken or not
//! canonical RDATA), the form of RFC 3597 5 is used.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::Rtype;
use super::encoding::{base32_to_text, base64_to_text, hex_to_text};
use super::form::{Form, forms};
use super::mnemonic::{self, timestamp_to_text};
use super::read::rdata_from_text;
use super::writer::Writer;
use super::{apl, gateway, location, svcb, types};

/// The type's own form, or the form of RFC 3597 5 where that would lose something.
pub fn rdata_to_text(rtype: Rtype, rdata: &[u8]) -> String {
    own_form(rtype, rdata).unwrap_or_else(|| generic(rdata))
}

/// Whether this is valid RDATA of its type; any RDATA of an unknown type is.
pub fn rdata_is_well_formed(rtype: Rtype, rdata: &[u8]) -> bool {
    // These types allow for kinds of address that have no text form yet.
    let extensible = matches!(rtype, Rtype::APL | Rtype::IPSECKEY | Rtype::AMTRELAY);
    forms(rtype).is_none() || extensible || own_form(rtype, rdata).is_some()
}

fn own_form(rtype: Rtype, rdata: &[u8]) -> Option<String> {
    let mut writer = Writer { rest: rdata, out: String::new() };
    for form in forms(rtype)? {
        write_field(&mut writer, *form)?;
    }
    let same = writer.rest.is_empty() && rdata_from_text(rtype, &writer.out, &[0]).is_ok_and(|read| read == rdata);
    same.then_some(writer.out)
}

fn generic(rdata: &[u8]) -> String {
    let mut out = format!("\\# {}", rdata.len());
    if !rdata.is_empty() {
        out.push(' ');
        hex_to_text(rdata, &mut out);
    }
    out
}

fn write_field(writer: &mut Writer<'_>, form: Form) -> Option<()> {
    match form {
        Form::U8 | Form::Algorithm => writer.u8().map(|value| writer.word(value)),
        Form::Scheme => writer.u8().map(|value| match value {
            mnemonic::NOTIFY => writer.word("NOTIFY"),
            other => writer.word(other),
        }),
        Form::U16 | Form::Certificate => writer.u16().map(|value| writer.word(value)),
        Form::U32 | Form::Seconds => writer.u32().map(|value| writer.word(value)),
        Form::U64 => writer.array().map(|bytes| writer.word(u64::from_be_bytes(bytes))),
        Form::Name => writer.name(),
        Form::Names => {
            while !writer.rest.is_empty() {
                writer.name()?;
            }
            Some(())
        }
        Form::Ipv4 => writer.array::<4>().map(|bytes| writer.word(Ipv4Addr::from(bytes))),
        Form::Ipv6 => writer.array::<16>().map(|bytes| writer.word(Ipv6Addr::from(bytes))),
        Form::Text => writer.text(),
        Form::TextOptional if writer.rest.is_empty() => Some(()),
        Form::TextOptional => writer.text(),
        Form::Tag => {
            let len = writer.u8()?;
            let tag = writer.take(usize::from(len))?;
            std::str::from_utf8(tag).ok().map(|tag| writer.word(tag))
        }
        Form::Texts | Form::JoinedTexts => {
            writer.text()?;
            while !writer.rest.is_empty() {
                writer.text()?;
            }
            Some(())
        }
        Form::LongText => {
            let rest = writer.take_rest();
            writer.quoted(rest);
            Some(())
        }
        Form::Hex => writer.encoded_rest(hex_to_text),
        Form::Base64 => writer.encoded_rest(base64_to_text),
        Form::Base64Optional if writer.rest.is_empty() => Some(()),
        Form::Base64Optional => writer.encoded_rest(base64_to_text),
        Form::Salt if writer.rest.first() == Some(&0) => {
            writer.rest = &writer.rest[1..];
            writer.word('-');
            Some(())
        }
        Form::Salt => writer.encoded_with_length(hex_to_text),
        Form::Hash => writer.encoded_with_length(base32_to_text),
        Form::Type => writer.u16().map(|code| writer.word(Rtype(code))),
        Form::Types => types::list(writer.take_rest()).map(|list| writer.words(&list)),
        Form::OldTypes => types::list_old(writer.take_rest()).map(|list| writer.words(&list)),
        Form::Time => writer.u32().map(|seconds| writer.word(timestamp_to_text(seconds))),
        Form::Eui(octets) => {
            let bytes = writer.take(octets)?;
            let text: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            writer.word(text.join("-"));
            Some(())
        }
        Form::Locator => {
            let bytes = writer.array::<8>()?;
            let text: Vec<String> = bytes.chunks_exact(2).map(|pair| format!("{:02x}{:02x}", pair[0], pair[1])).collect();
            writer.word(text.join(":"));
            Some(())
        }
        Form::Nsap => {
            writer.word("0x");
            hex_to_text(writer.take_rest(), &mut writer.out);
            Some(())
        }
        Form::AtmAddress => match (writer.u8()?, writer.take_rest()) {
            (0, octets) => {
                writer.encoded(octets, hex_to_text);
                Some(())
            }
            (1, digits) => {
                writer.word(format_args!("+{}", std::str::from_utf8(digits).ok()?));
                Some(())
            }
            _ => None,
        },
        Form::A6 => gateway::write_a6(writer),
        Form::Services => gateway::write_services(writer),
        Form::Location => location::write(writer),
        Form::AddressPrefixes => apl::write(writer),
        Form::IpsecGateway => gateway::write_ipsec(writer),
        Form::Relay => gateway::write_relay(writer),
        Form::HostIdentity => gateway::write_host_identity(writer),
        Form::ServiceParameters => svcb::write(writer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ORIGIN: &[u8] = b"\x07example\0";

    /// What is written, as read and written again; then an octet-exact way back is checked.
    fn check(rtype: &str, given: &str, expected: &str) {
        let rtype: Rtype = rtype.parse().expect("type");
        let rdata = rdata_from_text(rtype, given, ORIGIN).unwrap_or_else(|error| panic!("{rtype} {given}: {error}"));
        assert_eq!(rdata_to_text(rtype, &rdata), expected, "{rtype} {given}");
        assert_eq!(rdata_from_text(rtype, expected, &[0]).expect(expected), rdata, "{rtype} {given}");
    }

    #[test]
    fn each_type_has_its_form() {
        for (rtype, given, expected) in [
            ("A", "192.0.2.1", "192.0.2.1"),
            ("AAAA", "2001:DB8:0::1", "2001:db8::1"),
            ("NS", "Ns1", "Ns1.example."),
            ("CNAME", "@", "example."),
            ("SOA", "ns Host\\.Master 1 1h 15m 1W 1d", "ns.example. Host\\.Master.example. 1 3600 900 604800 86400"),
            ("MX", "10 .", "10 ."),
            ("TXT", r#"a "b c" "" \065\"\; "\000\255""#, r#""a" "b c" "" "A\";" "\000\255""#),
            ("HINFO", "PC \"Net BSD\"", "\"PC\" \"Net BSD\""),
            ("ISDN", "150862028003217", "\"150862028003217\""),
            ("ISDN", "150862028003217 004", "\"150862028003217\" \"004\""),
            ("GPOS", "-32.6882 116.8652 10.0", "\"-32.6882\" \"116.8652\" \"10.0\""),
            ("RP", "a b.", "a.example. b."),
            ("WKS", "10.0.0.1 tcp ftp 25 80", "10.0.0.1 6 21 25 80"),
            ("NSAP", "0x47.0005.80", "0x47000580"),
            ("ATMA", "+61.2.0000.0000", "+61200000000"),
            ("ATMA", "39.246f.0e", "39246F0E"),
            ("SINK", "8 0 2 l4ik", "8 0 2 l4ik"),
            ("SINK", "1 0 0", "1 0 0"),
            ("A6", "0 2001:db8::1", "0 2001:db8::1"),
            ("A6", "64 ::1 pre", "64 ::1 pre.example."),
            ("A6", "128 pre", "128 pre.example."),
            ("PX", "10 a. b.", "10 a. b."),
            ("SRV", "0 5 5060 sip", "0 5 5060 sip.example."),
            ("NAPTR", r#"100 10 "" "" "/urn:cid:.+@([^\\.]+\\.)(.*)$/\\2/i" ."#, r#"100 10 "" "" "/urn:cid:.+@([^\\.]+\\.)(.*)$/\\2/i" ."#),
            ("LOC", "42 21 54 N 71 06 18 W -24m 30m", "42 21 54.000 N 71 6 18.000 W -24.00m 30.00m 10000.00m 10.00m"),
            ("LOC", "0 S 180 E 0", "0 0 0.000 N 180 0 0.000 E 0.00m 1.00m 10000.00m 10.00m"),
            ("APL", "1:192.168.32.0/21 !2:ff00::/8", "1:192.168.32.0/21 !2:ff00::/8"),
            ("APL", "", ""),
            ("CERT", "PKIX 1 RSASHA256 Zm9v YmFy", "1 1 8 Zm9vYmFy"),
            ("DNAME", "Target.", "Target."),
            ("DS", "20326 RSASHA256 2 e06d44b8 0B8F1D39", "20326 8 2 E06D44B80B8F1D39"),
            ("SSHFP", "2 1 1234", "2 1 1234"),
            ("TLSA", "3 1 1 ab cd", "3 1 1 ABCD"),
            ("IPSECKEY", "10 1 2 192.0.2.38 Zm9v", "10 1 2 192.0.2.38 Zm9v"),
            ("IPSECKEY", "10 0 2 . Zm9v", "10 0 2 . Zm9v"),
            ("IPSECKEY", "10 3 2 gw Zm9v", "10 3 2 gw.example. Zm9v"),
            ("IPSECKEY", "10 2 0 2001:db8::1", "10 2 0 2001:db8::1"),
            ("AMTRELAY", "10 1 3 relay", "10 1 3 relay.example."),
            ("AMTRELAY", "128 0 0 .", "128 0 0 ."),
            (
                "RRSIG",
                "A 13 2 1h 20040509183619 20040409183619 38519 @ Zm9v",
                "A 13 2 3600 20040509183619 20040409183619 38519 example. Zm9v",
            ),
            ("NSEC", "host A MX RRSIG NSEC TYPE1234", "host.example. A MX RRSIG NSEC TYPE1234"),
            ("NSEC", ".", "."),
            ("NXT", "a NS SOA NXT", "a.example. NS SOA NXT"),
            ("DNSKEY", "257 3 ED25519 Zm9v", "257 3 15 Zm9v"),
            (
                "NSEC3",
                "1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s a RRSIG",
                "1 1 12 AABBCCDD 2VPTU5TIMAMQTTGL4LUU9KG21E0AOR3S A RRSIG",
            ),
            ("NSEC3PARAM", "1 0 0 -", "1 0 0 -"),
            ("HIP", "2 2001 Zm9v rvs a.", "2 2001 Zm9v rvs.example. a."),
            ("OPENPGPKEY", "Zm9v", "Zm9v"),
            ("CSYNC", "66 3 A NS AAAA", "66 3 A NS AAAA"),
            ("ZONEMD", "2018 1 1 616c6c", "2018 1 1 616C6C"),
            ("SVCB", "0 Alias", "0 Alias.example."),
            (
                "HTTPS",
                "1 . port=8443 alpn=\"h2,h3\" ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1 ech=Zm9v key667=\"a b\"",
                "1 . alpn=\"h2,h3\" port=8443 ipv4hint=192.0.2.1,192.0.2.2 ech=Zm9v ipv6hint=2001:db8::1 key667=\"a b\"",
            ),
            (
                "SVCB",
                "16 foo. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=1.2.3.4",
                "16 foo. mandatory=alpn,ipv4hint alpn=\"h2,h3-19\" ipv4hint=1.2.3.4",
            ),
            ("SVCB", r#"16 foo. alpn="f\\\\oo\\,bar,h2""#, r#"16 foo. alpn="f\\\\oo\\,bar,h2""#),
            ("SVCB", r#"16 foo. alpn=f\\\092oo\092,bar,h2"#, r#"16 foo. alpn="f\\\\oo\\,bar,h2""#),
            ("SVCB", r"1 . key1=\002h2\003dot key3=\001\187", "1 . alpn=\"h2,dot\" port=443"),
            ("SVCB", "1 . dohpath=/dns-query{?dns} alpn=h2", "1 . alpn=\"h2\" dohpath=\"/dns-query{?dns}\""),
            ("SVCB", "1 . no-default-alpn alpn=h2 key99=\"\"", "1 . alpn=\"h2\" no-default-alpn key99"),
            ("NID", "10 14:4fff:ff20:ee64", "10 0014:4fff:ff20:ee64"),
            ("L32", "10 192.0.2.1", "10 192.0.2.1"),
            ("LP", "10 l64", "10 l64.example."),
            ("EUI48", "00-00-5E-00-53-2a", "00-00-5e-00-53-2a"),
            ("URI", "10 1 \"ftp://ftp1.example.com/public\"", "10 1 \"ftp://ftp1.example.com/public\""),
            ("CAA", "128 issue \"ca.example; a=1\"", "128 issue \"ca.example; a=1\""),
            ("DSYNC", "CDS 1 5353 ep", "CDS NOTIFY 5353 ep.example."),
            ("DSYNC", "CSYNC notify 53 .", "CSYNC NOTIFY 53 ."),
            ("DSYNC", "CDS 128 53 ep", "CDS 128 53 ep.example."),
            ("IPN", "3087007744", "3087007744"),
            ("TYPE731", "\\# 6 abcd ( ef 01 23 45 )", "\\# 6 ABCDEF012345"),
            ("TYPE731", "\\# 0", "\\# 0"),
            ("A", "\\# 4 C0000201", "192.0.2.1"),
            ("A", "\\# 3 C00002", "\\# 3 C00002"),
        ] {
            check(rtype, given, expected);
        }
    }

    #[test]
    fn errors_say_what_and_where() {
        for (rtype, given, column, found, expected) in [
            ("A", "1.2.3", 1, "`1.2.3`", "an IPv4 address"),
            ("A", "\"1.2.3.4\"", 1, "\"1.2.3.4\"", "an IPv4 address"),
            ("A", "1.2.3.4 5", 9, "`5`", "the end of the record"),
            ("MX", "10", 3, "the end of the record", "a domain name"),
            ("MX", "mail 10", 1, "`mail`", "a number from 0 to 65535"),
            ("MX", "10 a..b", 4, "`a..b`", "a domain name, but a name has an empty label (two dots in a row)"),
            ("A", "\\# 4 C00002", 12, "3 octets", "4 octets in hex, as the length says"),
            ("TXT", "a\\25", 1, "`a\\25`", "a character or three digits up to 255 after `\\`"),
            ("DS", "1 8 2 xy", 7, "`xy`", "hex digits, two for each octet"),
            ("SVCB", "1 . alpn=a,,b", 5, "`alpn=a,,b`", "a list without empty items"),
        ] {
            let error = rdata_from_text(rtype.parse().expect(rtype), given, ORIGIN).expect_err(given);
            assert_eq!((error.column, error.found.as_str(), &*error.expected), (column, found, expected), "{rtype} {given}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (rtype, given) in [
            ("TXT", ""),
            ("A", "256.1.1.1"),
            ("AAAA", "1::2::3"),
            ("LOC", "91 N 0 E 0"),
            ("LOC", "1 60 N 0 E 0"),
            ("APL", "1:1.2.3.4/33"),
            ("APL", "3:1.2.3.4/3"),
            ("SVCB", "1 . alpn"),
            ("SVCB", "1 . alpn=\"\""),
            ("SVCB", "1 . port=1 port=2"),
            ("SVCB", "1 . key0=x"),
            ("SVCB", "1 . key1=a"),
            ("SVCB", "1 . key1=\\001a\\000"),
            ("SVCB", "1 . key3=a"),
            ("SVCB", "1 . mandatory=port"),
            ("SVCB", "1 . mandatory=mandatory"),
            ("SVCB", "1 . mandatory=port,port port=1"),
            ("SVCB", "1 . no-default-alpn"),
            ("SVCB", "1 . no-default-alpn=x alpn=h2"),
            ("SVCB", "1 . key65536=x"),
            ("SVCB", "1 . key01=x"),
            ("SVCB", "1 . bogus=x"),
            ("SVCB", "1 . ipv4hint=1.2.3.4,"),
            ("CAA", "0 is-sue \"x\""),
            ("EUI48", "00-00-5e-00-53"),
            ("NID", "10 0014:4fff:ff20"),
            ("IPSECKEY", "10 4 2 . Zm9v"),
            ("IPSECKEY", "10 0 2 a. Zm9v"),
            ("NXT", "a. TYPE128"),
            ("TYPE731", "abc"),
        ] {
            let rtype: Rtype = rtype.parse().expect("type");
            assert!(rdata_from_text(rtype, given, ORIGIN).is_err(), "{rtype} {given}");
        }
        assert!(rdata_from_text(Rtype::RESINFO, &"x".repeat(256), ORIGIN).is_err());
        let split = [&[255][..], &[b'x'; 255], &[1, b'x']].concat();
        assert_eq!(rdata_from_text(Rtype::TXT, &"x".repeat(256), ORIGIN), Ok(split));
        assert!(rdata_from_text(Rtype(731), &format!("\\# 65535 {}", "00".repeat(65_535)), ORIGIN).is_ok());
        assert!(rdata_from_text(Rtype::OPENPGPKEY, &"AAAA".repeat(21_846), ORIGIN).is_err());
    }

    fn any_type() -> impl Strategy<Value = Rtype> {
        proptest::sample::select(Rtype::KNOWN)
    }

    proptest! {
        /// Whatever the octets are, the text says exactly them.
        #[test]
        fn any_rdata_there_and_back(rtype in any_type(), rdata in proptest::collection::vec(prop_oneof![any::<u8>(), 0u8..4], 0..40)) {
            let text = rdata_to_text(rtype, &rdata);
            prop_assert_eq!(rdata_from_text(rtype, &text, &[0]).expect(&text), rdata);
        }

        #[test]
        fn any_text_is_read_or_refused(rtype in any_type(), text in "[ -~]{0,40}") {
            if let Ok(rdata) = rdata_from_text(rtype, &text, ORIGIN) {
                let own = rdata_to_text(rtype, &rdata);
                prop_assert_eq!(rdata_from_text(rtype, &own, &[0]).expect(&own), rdata);
            }
        }
    }
}
