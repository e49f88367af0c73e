//! Where names stand inside RDATA, in one table: it serves the decompression of received messages, the compression of sent
//! messages, and the canonical form of RFC 4034 6.2.
//!
//! RFC 3597 4: only the types of RFC 1035 may be compressed on sending; names in the other old types are
//! still expanded on receipt, because old servers compressed them.

use smallvec::SmallVec;

use super::Rtype;
use super::name::wire_len;

/// One field of RDATA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// A name that may be compressed when sent (RFC 1035 types).
    Compressible,
    /// A name that is sent as it is.
    Name,
    /// Exactly this many octets.
    Fixed(usize),
    /// A <character-string>: one octet of length, then that many octets.
    Text,
    /// All remaining octets.
    Rest,
}

use Field::{Compressible, Fixed, Name, Rest, Text};

/// The fields of a type's RDATA up to its last name; `Rest` stands for everything else.
pub fn fields(rtype: Rtype) -> &'static [Field] {
    match rtype {
        Rtype::NS | Rtype::MD | Rtype::MF | Rtype::CNAME | Rtype::MB | Rtype::MG | Rtype::MR | Rtype::PTR => &[Compressible],
        Rtype::SOA => &[Compressible, Compressible, Fixed(20)],
        Rtype::MINFO => &[Compressible, Compressible],
        Rtype::MX => &[Fixed(2), Compressible],
        Rtype::DNAME | Rtype::NSAP_PTR | Rtype::ALIAS => &[Name],
        Rtype::RP | Rtype::TALINK => &[Name, Name],
        Rtype::AFSDB | Rtype::RT | Rtype::KX | Rtype::LP => &[Fixed(2), Name],
        Rtype::SIG | Rtype::RRSIG => &[Fixed(18), Name, Rest],
        Rtype::PX => &[Fixed(2), Name, Name],
        Rtype::NXT | Rtype::NSEC => &[Name, Rest],
        Rtype::SRV => &[Fixed(6), Name],
        Rtype::NAPTR => &[Fixed(4), Text, Text, Text, Name],
        Rtype::SVCB | Rtype::HTTPS => &[Fixed(2), Name, Rest],
        _ => &[Rest],
    }
}

/// Types whose names are lower-cased in canonical form: RFC 4034 6.2 as corrected by RFC 6840 5.1 (NSEC is not).
fn canonical_lowers(rtype: Rtype) -> bool {
    !matches!(rtype, Rtype::NSEC | Rtype::SVCB | Rtype::HTTPS | Rtype::LP | Rtype::TALINK | Rtype::NSAP_PTR | Rtype::ALIAS)
}

/// Appends the canonical form of the uncompressed RDATA to `out`.
pub fn canonical_rdata(rtype: Rtype, rdata: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(rdata);
    if canonical_lowers(rtype) {
        for (at, len) in name_spans(rtype, rdata) {
            out[start + at..start + at + len].make_ascii_lowercase();
        }
    }
}

/// Puts those labels of names in the uncompressed RDATA into lower case that are labels of `name` too, in whatever case. Only
/// where the canonical form is in lower case anyway, so that signatures stay valid.
pub fn lower_labels_of(name: &super::Name, rtype: Rtype, rdata: &mut [u8]) {
    if !canonical_lowers(rtype) || !rdata.iter().any(u8::is_ascii_uppercase) {
        return;
    }
    let spans: SmallVec<[(usize, usize); 2]> = name_spans(rtype, rdata).collect();
    for (mut at, _) in spans {
        while let Some(len) = rdata.get(at).map(|len| usize::from(*len)).filter(|len| *len > 0) {
            let Some(label) = rdata.get_mut(at + 1..at + 1 + len) else { break };
            if name.labels().any(|known| known.eq_ignore_ascii_case(label)) {
                label.make_ascii_lowercase();
            }
            at += 1 + len;
        }
    }
}

/// Whether this uncompressed RDATA consists of exactly the fields of its type. `wire::Message` takes no other RDATA; what the
/// fields say is not checked.
pub fn rdata_has_fields(rtype: Rtype, rdata: &[u8]) -> bool {
    let mut at = 0;
    for field in fields(rtype) {
        let len = rdata.get(at..).and_then(|rest| field_len(field, rest));
        match len {
            Some(len) if at + len <= rdata.len() => at += len,
            _ => return false,
        }
    }
    let fixed_size = match rtype {
        Rtype::A => Some(4),
        Rtype::AAAA => Some(16),
        _ => None,
    };
    at == rdata.len() && fixed_size.is_none_or(|size| size == rdata.len())
}

/// Length of the field that `rest` starts with; `None` where `rest` is too short for it.
fn field_len(field: &Field, rest: &[u8]) -> Option<usize> {
    Some(match field {
        Compressible | Name => wire_len(rest)?,
        Fixed(len) => *len,
        Text => 1 + *rest.first()? as usize,
        Rest => rest.len(),
    })
}

/// The names inside uncompressed RDATA, as wire slices in the order they stand.
pub fn rdata_names(rtype: Rtype, rdata: &[u8]) -> impl Iterator<Item = &[u8]> {
    name_spans(rtype, rdata).map(|(at, len)| &rdata[at..at + len])
}

fn name_spans(rtype: Rtype, rdata: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    fields(rtype).iter().filter_map(move |field| {
        let rest = rdata.get(at..)?;
        let len = field_len(field, rest)?;
        at += len;
        matches!(field, Compressible | Name).then_some((at - len, len))
    })
}

/// The character strings of data that is a list of them, such as TXT (RFC 1035 3.3.14).
pub fn strings(rdata: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = rdata;
    std::iter::from_fn(move || {
        let (text, next) = rest.split_first().and_then(|(len, after)| after.split_at_checked(usize::from(*len)))?;
        rest = next;
        Some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_folded() {
        let mx = b"\x00\x0a\x04MAIL\x07Example\x00";
        let names: Vec<_> = rdata_names(Rtype::MX, mx).collect();
        assert_eq!(names, [&b"\x04MAIL\x07Example\x00"[..]]);
        let mut canonical = Vec::new();
        canonical_rdata(Rtype::MX, mx, &mut canonical);
        assert_eq!(canonical, b"\x00\x0a\x04mail\x07example\x00");
        let mut nsec = Vec::new();
        canonical_rdata(Rtype::NSEC, b"\x01A\x00\x00\x01\x40", &mut nsec);
        assert_eq!(nsec, b"\x01A\x00\x00\x01\x40");
    }

    #[test]
    fn labels_of_a_name_are_lowered_and_no_others() {
        let name = super::super::Name::parse("www.in.example.").expect("a name");
        for (rtype, before, after) in [
            (Rtype::CNAME, &b"\x03wWw\x02IN\x03New\x04TEST\x00"[..], &b"\x03www\x02in\x03New\x04TEST\x00"[..]),
            (Rtype::MX, b"\x41\x42\x04MAIL\x07eXample\x00", b"\x41\x42\x04MAIL\x07example\x00"),
            (Rtype::TXT, b"\x03WWW", b"\x03WWW"),
            // Signed in the case that it has.
            (Rtype::HTTPS, b"\x00\x01\x03WWW\x00", b"\x00\x01\x03WWW\x00"),
        ] {
            let mut rdata = before.to_vec();
            lower_labels_of(&name, rtype, &mut rdata);
            assert_eq!(rdata, after, "{rtype}");
        }
    }

    #[test]
    fn rdata_of_just_its_fields() {
        let rows: [(Rtype, &[u8], bool); 10] = [
            (Rtype::A, &[192, 0, 2, 1], true),
            (Rtype::A, &[192, 0, 2], false),
            (Rtype::NS, b"\x02ns\x00", true),
            (Rtype::NS, b"\x02ns\x00x", false),
            (Rtype::NS, b"\x02ns", false),
            (Rtype::MX, b"\x00\x0a\x00", true),
            (Rtype::MX, b"\x00", false),
            (Rtype::NAPTR, b"\x00\x01\x00\x01\x09u", false),
            (Rtype::TXT, b"", true),
            (Rtype(731), b"anything", true),
        ];
        for (rtype, rdata, has) in rows {
            assert_eq!(rdata_has_fields(rtype, rdata), has, "{rtype} {rdata:?}");
        }
    }

    #[test]
    fn broken_rdata_has_no_names() {
        assert_eq!(rdata_names(Rtype::NAPTR, b"\x00").count(), 0);
        assert_eq!(rdata_names(Rtype::SOA, b"\x00\x09abc").count(), 1);
    }
}
