//! How each type's RDATA is written: its fields in the order they stand on the wire, which is also the order
//! of the presentation form. A type that is not in the table has only the form of RFC 3597 5.

use super::super::Rtype;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    U8,
    U16,
    U32,
    U64,
    /// 32 bits of seconds; units are read, never written.
    Seconds,
    Name,
    /// No name, or any number of names up to the end (HIP's rendezvous servers).
    Names,
    Ipv4,
    Ipv6,
    /// One <character-string> (RFC 1035 5.1), written in quotes.
    Text,
    /// One <character-string> that may be missing (ISDN's subaddress).
    TextOptional,
    /// One <character-string> of letters and digits, written without quotes (CAA's tag).
    Tag,
    /// One or more <character-string>s.
    Texts,
    /// Strings whose reader joins them: a longer one may be written, and is split.
    JoinedTexts,
    /// All remaining octets, as one quoted string of any length (URI, CAA's value).
    LongText,
    /// All remaining octets in hex, in one or several pieces; at least one octet.
    Hex,
    /// All remaining octets in base 64, in one or several pieces; at least one octet.
    Base64,
    /// As `Base64`, but there may be no octets (a missing key).
    Base64Optional,
    /// One octet of length, then hex; `-` for none (RFC 5155 3.3).
    Salt,
    /// One octet of length, then base 32 (RFC 5155 3.3).
    Hash,
    /// A type's mnemonic in 16 bits.
    Type,
    /// A type bitmap (RFC 4034 4.1.2) of any number of types.
    Types,
    /// The older bitmap of NXT (RFC 2535 5.2).
    OldTypes,
    /// A DNSSEC algorithm: number or mnemonic, written as a number.
    Algorithm,
    /// The scheme of DSYNC: number or mnemonic, written as the mnemonic where there is one (RFC 9859 2.2).
    Scheme,
    /// A certificate type: number or mnemonic (RFC 4398 2.1).
    Certificate,
    /// YYYYMMDDHHmmSS.
    Time,
    /// This many octets in hex, joined by `-` (RFC 7043).
    Eui(usize),
    /// Four groups of hex joined by `:` (RFC 6742).
    Locator,
    /// `0x` and hex with dots anywhere (RFC 1706 5).
    Nsap,
    /// Hex with dots anywhere, or `+` and decimal digits (ATM Forum's ATMA).
    AtmAddress,
    /// Prefix length, address suffix, prefix name (RFC 2874 3).
    A6,
    /// Address, protocol, ports (RFC 1035 3.4.2).
    Services,
    Location,
    AddressPrefixes,
    /// Gateway type, (algorithm), gateway of IPSECKEY (RFC 4025 3.1).
    IpsecGateway,
    /// Discovery bit, relay type and relay of AMTRELAY (RFC 8777 4.3).
    Relay,
    /// The HIT and key of HIP, whose lengths stand before both (RFC 8005 6).
    HostIdentity,
    ServiceParameters,
}

pub(super) fn forms(rtype: Rtype) -> Option<&'static [Form]> {
    use Form::*;
    Some(match rtype {
        Rtype::A => &[Ipv4],
        Rtype::AAAA => &[Ipv6],
        Rtype::NS | Rtype::MD | Rtype::MF | Rtype::CNAME | Rtype::MB | Rtype::MG | Rtype::MR | Rtype::PTR => &[Name],
        Rtype::DNAME | Rtype::NSAP_PTR | Rtype::ALIAS => &[Name],
        Rtype::SOA => &[Name, Name, U32, Seconds, Seconds, Seconds, Seconds],
        Rtype::MINFO | Rtype::RP | Rtype::TALINK => &[Name, Name],
        Rtype::MX | Rtype::AFSDB | Rtype::RT | Rtype::KX | Rtype::LP => &[U16, Name],
        Rtype::PX => &[U16, Name, Name],
        Rtype::SRV => &[U16, U16, U16, Name],
        Rtype::NAPTR => &[U16, U16, Text, Text, Text, Name],
        Rtype::TXT | Rtype::SPF => &[JoinedTexts],
        Rtype::AVC | Rtype::RESINFO | Rtype::NINFO | Rtype::WALLET | Rtype::CLA => &[Texts],
        Rtype::HINFO => &[Text, Text],
        Rtype::GPOS => &[Text, Text, Text],
        Rtype::X25 => &[Text],
        Rtype::ISDN => &[Text, TextOptional],
        Rtype::WKS => &[Services],
        Rtype::NSAP => &[Nsap],
        Rtype::ATMA => &[AtmAddress],
        Rtype::SINK => &[U8, U8, U8, Base64Optional],
        Rtype::A6 => &[A6],
        Rtype::LOC => &[Location],
        Rtype::APL => &[AddressPrefixes],
        Rtype::EID | Rtype::NIMLOC => &[Hex],
        Rtype::CERT => &[Certificate, U16, Algorithm, Base64],
        Rtype::SIG | Rtype::RRSIG => &[Type, Algorithm, U8, Seconds, Time, Time, U16, Name, Base64],
        Rtype::KEY | Rtype::RKEY => &[U16, U8, Algorithm, Base64Optional],
        Rtype::DNSKEY | Rtype::CDNSKEY => &[U16, U8, Algorithm, Base64],
        Rtype::DS | Rtype::CDS | Rtype::DLV | Rtype::TA => &[U16, Algorithm, U8, Hex],
        Rtype::NXT => &[Name, OldTypes],
        Rtype::NSEC => &[Name, Types],
        Rtype::NSEC3 => &[U8, U8, U16, Salt, Hash, Types],
        Rtype::NSEC3PARAM => &[U8, U8, U16, Salt],
        Rtype::SSHFP => &[U8, U8, Hex],
        Rtype::TLSA | Rtype::SMIMEA => &[U8, U8, U8, Hex],
        Rtype::IPSECKEY => &[U8, IpsecGateway, Base64Optional],
        Rtype::AMTRELAY => &[U8, Relay],
        Rtype::HIP => &[HostIdentity, Names],
        Rtype::DHCID | Rtype::OPENPGPKEY | Rtype::HHIT | Rtype::BRID => &[Base64],
        Rtype::CSYNC => &[U32, U16, Types],
        Rtype::ZONEMD => &[U32, U8, U8, Hex],
        Rtype::SVCB | Rtype::HTTPS => &[U16, Name, ServiceParameters],
        Rtype::DSYNC => &[Type, Scheme, U16, Name],
        Rtype::NID | Rtype::L64 => &[U16, Locator],
        Rtype::L32 => &[U16, Ipv4],
        Rtype::EUI48 => &[Eui(6)],
        Rtype::EUI64 => &[Eui(8)],
        Rtype::URI => &[U16, U16, LongText],
        Rtype::CAA => &[U8, Tag, LongText],
        Rtype::DOA => &[U32, U32, U8, Text, Base64Optional],
        Rtype::IPN => &[U64],
        _ => return None,
    })
}
