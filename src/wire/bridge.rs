//! The bridge to hickory-proto: the RDATA of one record as its typed values.
//!
//! It takes one record at a time, because hickory-proto refuses a whole message for one record that it cannot read. It also
//! refuses RDATA that is legal but unusual (empty RDATA, unknown NSEC3 flags, SVCB keys out of order): such records keep their
//! raw octets, so every result here is an `Option`. The bridge is for display and for queries of commands; the fast path, the
//! record walker, the walk and the validator read RDATA themselves.

use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, Restrict};

use crate::record::{Name, Rtype};

/// `rdata` with its names uncompressed, as an `RrSet` holds it.
pub fn typed_rdata(rtype: Rtype, rdata: &[u8]) -> Option<RData> {
    let length = u16::try_from(rdata.len()).ok().filter(|length| *length > 0)?;
    let mut decoder = BinDecoder::new(rdata);
    let typed = RData::read(&mut decoder, RecordType::from(rtype.0), Restrict::new(length)).ok()?;
    match typed {
        RData::Unknown { .. } => None,
        typed => decoder.is_empty().then_some(typed),
    }
}

/// Taken label by label: hickory-proto's text form refuses some names and changes the case of others.
pub fn name_of(name: &hickory_proto::rr::Name) -> Option<Name> {
    let mut wire = Vec::with_capacity(name.len() + 1);
    for label in name.iter() {
        wire.push(u8::try_from(label.len()).ok()?);
        wire.extend_from_slice(label);
    }
    wire.push(0);
    Name::from_wire(&wire).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_where_hickory_reads_it_and_nothing_where_not() {
        let Some(RData::MX(mx)) = typed_rdata(Rtype::MX, b"\x00\x0a\x01m\x03a/b\x00") else { panic!("an MX record") };
        assert_eq!((mx.preference, name_of(&mx.exchange).map(|name| name.to_string())), (10, Some("m.a/b.".to_owned())));
        for (rtype, rdata) in [
            (Rtype::A, &b"\x01\x02\x03"[..]),
            (Rtype::A, b"\x01\x02\x03\x04\x05"),
            (Rtype::MX, b"\x00\x0a"),
            (Rtype::NS, b"\xc0\x00"),
            (Rtype::TXT, b""),
            (Rtype(65_300), b"\x01"),
        ] {
            assert_eq!(typed_rdata(rtype, rdata), None, "{rtype} {rdata:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_rdata_panics(rtype in 0..300_u16, rdata in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..80)) {
            let _ = typed_rdata(Rtype(rtype), &rdata);
        }
    }
}
