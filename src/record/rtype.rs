//! Record types (RFC 6895 3.1), with the mnemonics of the IANA registry and `TYPE123` (RFC 3597 5); and ALIAS, whose number is for
//! private use and is that of PowerDNS.

use std::fmt;
use std::str::FromStr;

/// The TYPE of a record or a question.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rtype(pub u16);

macro_rules! rtypes {
    ($($name:ident = $code:literal $(as $text:literal)?),* $(,)?) => {
        impl Rtype {
            $(#[allow(dead_code, reason = "the registry, whole")] pub const $name: Rtype = Rtype($code);)*

            /// The registry's mnemonic, where there is one.
            pub fn mnemonic(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(rtypes!(@text $name $($text)?)),)*
                    _ => None,
                }
            }

            /// All types with a mnemonic, by rising number.
            pub(crate) const KNOWN: &'static [Rtype] = &[$(Rtype($code)),*];
        }
    };
    (@text $name:ident $text:literal) => { $text };
    (@text $name:ident) => { stringify!($name) };
}

rtypes! {
    A = 1, NS = 2, MD = 3, MF = 4, CNAME = 5, SOA = 6, MB = 7, MG = 8, MR = 9, NULL = 10, WKS = 11, PTR = 12,
    HINFO = 13, MINFO = 14, MX = 15, TXT = 16, RP = 17, AFSDB = 18, X25 = 19, ISDN = 20, RT = 21, NSAP = 22,
    NSAP_PTR = 23 as "NSAP-PTR", SIG = 24, KEY = 25, PX = 26, GPOS = 27, AAAA = 28, LOC = 29, NXT = 30, EID = 31,
    NIMLOC = 32, SRV = 33, ATMA = 34, NAPTR = 35, KX = 36, CERT = 37, A6 = 38, DNAME = 39, SINK = 40, OPT = 41,
    APL = 42, DS = 43, SSHFP = 44, IPSECKEY = 45, RRSIG = 46, NSEC = 47, DNSKEY = 48, DHCID = 49, NSEC3 = 50,
    NSEC3PARAM = 51, TLSA = 52, SMIMEA = 53, HIP = 55, NINFO = 56, RKEY = 57, TALINK = 58, CDS = 59, CDNSKEY = 60,
    OPENPGPKEY = 61, CSYNC = 62, ZONEMD = 63, SVCB = 64, HTTPS = 65, DSYNC = 66, HHIT = 67, BRID = 68, SPF = 99,
    UINFO = 100, UID = 101, GID = 102, UNSPEC = 103, NID = 104, L32 = 105, L64 = 106, LP = 107, EUI48 = 108,
    EUI64 = 109, NXNAME = 128, TKEY = 249, TSIG = 250, IXFR = 251, AXFR = 252, MAILB = 253, MAILA = 254, ANY = 255,
    URI = 256, CAA = 257, AVC = 258, DOA = 259, AMTRELAY = 260, RESINFO = 261, WALLET = 262, CLA = 263, IPN = 264,
    TA = 32768, DLV = 32769, ALIAS = 65401,
}

impl Rtype {
    /// A meta-type that the registry has not assigned (RFC 6895 3.1: types 128 to 255 never name data in a zone). The cache
    /// stores delegations under it: a client cannot ask for it, and no reply can bring it.
    pub const DELEGATION: Rtype = Rtype(248);

    /// True for OPT, types 128 to 255 and type 0, which never name data in a zone (RFC 6895 3.1).
    pub fn is_meta(self) -> bool {
        self == Rtype::OPT || (128..=255).contains(&self.0) || self.0 == 0
    }

    /// True for A and AAAA.
    pub fn is_address(self) -> bool {
        matches!(self, Rtype::A | Rtype::AAAA)
    }

    /// True for types that may have the same owner as a CNAME (RFC 4035 2.5, RFC 2181 10.1).
    pub fn may_stand_beside_cname(self) -> bool {
        matches!(self, Rtype::CNAME | Rtype::RRSIG | Rtype::NSEC | Rtype::NSEC3 | Rtype::SIG | Rtype::NXT | Rtype::KEY)
    }
}

impl fmt::Display for Rtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(text) => f.pad(text),
            None => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}

impl fmt::Debug for Rtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no mnemonic and no `TYPE123`.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownType;

impl FromStr for Rtype {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Rtype, UnknownType> {
        if let Some(known) = Rtype::KNOWN.iter().find(|known| known.mnemonic().is_some_and(|m| m.eq_ignore_ascii_case(text))) {
            return Ok(*known);
        }
        let prefix = text.get(..4).ok_or(UnknownType)?;
        if !prefix.eq_ignore_ascii_case("TYPE") || !text[4..].bytes().all(|b| b.is_ascii_digit()) {
            return Err(UnknownType);
        }
        text[4..].parse().map(Rtype).map_err(|_| UnknownType)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mnemonics_go_both_ways() {
        for known in Rtype::KNOWN {
            assert_eq!(known.to_string().parse(), Ok(*known));
            assert_eq!(format!("TYPE{}", known.0).parse(), Ok(*known));
        }
        assert_eq!("nsap-ptr".parse(), Ok(Rtype::NSAP_PTR));
        assert_eq!(Rtype(731).to_string(), "TYPE731");
        for wrong in ["", "TYP", "TYPE", "TYPE65536", "TYPE-1", "FOO", "TYPE1x"] {
            assert_eq!(wrong.parse::<Rtype>(), Err(UnknownType), "{wrong}");
        }
    }
}
