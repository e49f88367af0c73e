//! The type bitmaps of NSEC and NSEC3 (RFC 4034 4.1.2), and what their bits prove about a name.

use crate::record::{Name, Rtype};

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct TypeBitmap(Vec<u8>);

impl TypeBitmap {
    /// `None` unless the windows are well formed and in order: a record that cannot be read proves nothing.
    pub(super) fn read(bytes: &[u8]) -> Option<TypeBitmap> {
        let mut rest = bytes;
        let mut least = 0u16;
        while let Some((&[window, len], after)) = rest.split_first_chunk::<2>() {
            if u16::from(window) < least || !(1..=32).contains(&len) || after.len() < len as usize {
                return None;
            }
            least = u16::from(window) + 1;
            rest = &after[len as usize..];
        }
        rest.is_empty().then(|| TypeBitmap(bytes.to_vec()))
    }

    pub(super) fn has(&self, rtype: Rtype) -> bool {
        let [window, low] = rtype.0.to_be_bytes();
        let mut rest = &self.0[..];
        while let Some((&[number, len], after)) = rest.split_first_chunk::<2>() {
            let Some((bits, next)) = after.split_at_checked(len as usize) else { return false };
            if number == window {
                return bits.get(low as usize / 8).is_some_and(|octet| octet & (0x80 >> (low % 8)) != 0);
            }
            rest = next;
        }
        false
    }

    pub(super) fn types(&self) -> impl Iterator<Item = Rtype> {
        let mut windows = Vec::new();
        let mut rest = &self.0[..];
        while let Some((&[number, len], after)) = rest.split_first_chunk::<2>() {
            let Some((bits, next)) = after.split_at_checked(len as usize) else { break };
            windows.push((number, bits));
            rest = next;
        }
        windows.into_iter().flat_map(|(number, bits)| {
            let is_set = |low: &usize| bits[low / 8] & (0x80 >> (low % 8)) != 0;
            (0..bits.len() * 8).filter(is_set).map(move |low| Rtype(u16::from_be_bytes([number, low as u8]))).collect::<Vec<_>>()
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.types().next().is_none()
    }

    /// Whether these are the types of the parent's side of a zone cut: NS without SOA.
    pub(super) fn is_delegation(&self) -> bool {
        self.has(Rtype::NS) && !self.has(Rtype::SOA)
    }

    /// RFC 6840 4.1 and RFC 6672 5.3.4.1: a record at a cut or a DNAME proves nothing about names below it.
    pub(super) fn is_silent_below(&self) -> bool {
        self.is_delegation() || self.has(Rtype::DNAME)
    }

    /// Whether a record with this owner proves that the owner has no `qtype`.
    pub(super) fn denies(&self, owner: &Name, qtype: Rtype) -> bool {
        if self.has(qtype) || self.has(Rtype::CNAME) {
            return false;
        }
        match qtype {
            // RFC 6840 4.4: only the parent denies the DS, and its record at the cut has no SOA bit.
            Rtype::DS => owner.is_root() || !self.has(Rtype::SOA),
            // ANY has no bit; it is denied only for a name that has no type of its own.
            Rtype::ANY => self.bears_no_data(),
            _ => !self.is_delegation(),
        }
    }

    fn bears_no_data(&self) -> bool {
        let mut rest = &self.0[..];
        while let Some((&[window, len], after)) = rest.split_first_chunk::<2>() {
            let Some((bits, next)) = after.split_at_checked(len as usize) else { return false };
            for (at, octet) in bits.iter().enumerate() {
                let own = match (window, at) {
                    // RRSIG is 46, NSEC 47; NXNAME is 128 (RFC 9824).
                    (0, 5) => 0b0000_0011,
                    (0, 16) => 0b1000_0000,
                    _ => 0,
                };
                if octet & !own != 0 {
                    return false;
                }
            }
            rest = next;
        }
        true
    }
}

/// The bitmap that says these types, in any order (RFC 4034 4.1.2).
pub fn bitmap_of(types: &[Rtype]) -> Vec<u8> {
    let mut sorted = types.to_vec();
    sorted.sort_unstable();
    let mut out = Vec::new();
    for window in sorted.chunk_by(|a, b| a.0 >> 8 == b.0 >> 8) {
        let (Some(first), Some(last)) = (window.first(), window.last()) else { continue };
        let len = (last.0 as u8 / 8 + 1) as usize;
        out.extend_from_slice(&[(first.0 >> 8) as u8, len as u8]);
        let start = out.len();
        out.resize(start + len, 0);
        for rtype in window {
            let low = rtype.0 as u8;
            out[start + usize::from(low / 8)] |= 0x80 >> (low % 8);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn broken_bitmaps_prove_nothing() {
        for bad in [&[0][..], &[0, 0], &[0, 33], &[0, 1], &[1, 1, 1, 0, 1, 1], &[0, 1, 1, 0, 1, 1], &[0, 1, 1, 9]] {
            assert_eq!(TypeBitmap::read(bad), None, "{bad:?}");
        }
        assert!(TypeBitmap::read(&[]).is_some());
    }

    #[test]
    fn what_a_record_at_a_name_may_deny() {
        use Rtype as T;
        let apex = Name::parse("example.").expect("name");
        let rows: [(&[Rtype], Rtype, bool); 13] = [
            (&[T::A], T::AAAA, true),
            (&[T::A], T::A, false),
            (&[T::CNAME], T::A, false),
            (&[T::DNAME], T::A, true),
            (&[T::NS], T::A, false),
            (&[T::NS], T::DS, true),
            (&[T::NS, T::DS], T::DS, false),
            (&[T::NS, T::SOA], T::A, true),
            (&[T::NS, T::SOA], T::DS, false),
            (&[T::RRSIG, T::NSEC], T::ANY, true),
            (&[T::RRSIG, T::NSEC, T::NXNAME], T::ANY, true),
            (&[T::A, T::RRSIG, T::NSEC], T::ANY, false),
            (&[T::CAA], T::ANY, false),
        ];
        for (types, qtype, expected) in rows {
            let bitmap = TypeBitmap::read(&bitmap_of(types)).expect("well formed");
            assert_eq!(bitmap.denies(&apex, qtype), expected, "{types:?} {qtype}");
        }
        let root = TypeBitmap::read(&bitmap_of(&[T::NS, T::SOA])).expect("well formed");
        assert!(root.denies(&Name::root(), T::DS));
    }

    proptest! {
        #[test]
        fn bits_go_in_and_out(types in proptest::collection::btree_set(any::<u16>(), 0..20), other in any::<u16>()) {
            let list: Vec<Rtype> = types.iter().map(|code| Rtype(*code)).collect();
            let bitmap = TypeBitmap::read(&bitmap_of(&list)).expect("well formed");
            prop_assert_eq!(bitmap.types().map(|rtype| rtype.0).collect::<std::collections::BTreeSet<_>>(), types.clone());
            for rtype in list {
                prop_assert!(bitmap.has(rtype));
            }
            prop_assert_eq!(bitmap.has(Rtype(other)), types.contains(&other));
        }

        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..80), code in any::<u16>()) {
            if let Some(bitmap) = TypeBitmap::read(&bytes) {
                bitmap.has(Rtype(code));
                bitmap.bears_no_data();
            }
        }
    }
}
