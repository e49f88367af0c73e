//! Type bitmaps: the windows of RFC 4034 4.1.2, and the single window of the older NXT (RFC 2535 5.2).

use super::super::Rtype;
use super::lexer::TextError;
use super::mnemonic::decimal;
use super::reader::Reader;

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<(), TextError> {
    let mut types = Vec::new();
    while reader.peek().is_some() {
        types.push(reader.rtype()?);
    }
    types.sort_unstable();
    types.dedup();
    for window in types.chunk_by(|a, b| a.0 >> 8 == b.0 >> 8) {
        let mut bits = [0u8; 32];
        let mut len = 0;
        for rtype in window {
            let low = usize::from(rtype.0 & 0xff);
            bits[low / 8] |= 0x80 >> (low % 8);
            len = low / 8 + 1;
        }
        reader.out.push((window[0].0 >> 8) as u8);
        reader.out.push(len as u8);
        reader.out.extend_from_slice(&bits[..len]);
    }
    Ok(())
}

/// All types of a bitmap; `None` where it is not one.
pub(super) fn list(mut bitmap: &[u8]) -> Option<Vec<Rtype>> {
    let mut types = Vec::new();
    while let [window, len, rest @ ..] = bitmap {
        let bits = rest.get(..usize::from(*len))?;
        bits_set(bits, u16::from(*window) << 8, &mut types);
        bitmap = &rest[usize::from(*len)..];
    }
    bitmap.is_empty().then_some(types)
}

pub(super) fn read_old(reader: &mut Reader<'_, '_>) -> Result<(), TextError> {
    let mut bits = [0u8; 16];
    let mut len = 0;
    while reader.peek().is_some() {
        // A type without a mnemonic stood there as a bare number before RFC 3597.
        let number = reader.peek().and_then(|token| decimal(token.raw));
        let low = match number.and_then(|number| usize::try_from(number).ok()) {
            Some(number) => reader.token("a type").map(|_| number)?,
            None => usize::from(reader.rtype()?.0),
        };
        let octet = bits.get_mut(low / 8).ok_or_else(|| reader.error_before("a type below 128"))?;
        *octet |= 0x80 >> (low % 8);
        len = len.max(low / 8 + 1);
    }
    reader.out.extend_from_slice(&bits[..len]);
    Ok(())
}

pub(super) fn list_old(bitmap: &[u8]) -> Option<Vec<Rtype>> {
    let mut types = Vec::new();
    (bitmap.len() <= 16).then(|| bits_set(bitmap, 0, &mut types))?;
    Some(types)
}

fn bits_set(bits: &[u8], base: u16, types: &mut Vec<Rtype>) {
    for (at, octet) in bits.iter().enumerate().take(32) {
        types.extend((0..8).filter(|bit| octet & (0x80 >> bit) != 0).map(|bit| Rtype(base + at as u16 * 8 + bit)));
    }
}
