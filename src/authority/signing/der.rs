//! As much of DER (X.690) as RSA private keys need: sequences, integers and octet strings, read and written.

const INTEGER: u8 = 2;
const OCTET_STRING: u8 = 4;
const SEQUENCE: u8 = 0x30;

/// The nine numbers of an RSAPrivateKey (RFC 8017 A.1.2) inside PKCS #8 (RFC 5208 5): version, modulus, public exponent, private
/// exponent, the two primes, two exponents, the coefficient.
pub(super) fn rsa_numbers(pkcs8: &[u8]) -> Option<[Vec<u8>; 9]> {
    let mut rest = inside(&mut &pkcs8[..], SEQUENCE)?;
    inside(&mut rest, INTEGER)?;
    inside(&mut rest, SEQUENCE)?;
    let mut octets = inside(&mut rest, OCTET_STRING)?;
    let mut key = inside(&mut octets, SEQUENCE)?;
    let mut numbers: [Vec<u8>; 9] = Default::default();
    for number in &mut numbers {
        let octets = inside(&mut key, INTEGER)?;
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        *number = octets.get(zeros..)?.to_vec();
    }
    Some(numbers)
}

/// An RSAPrivateKey of modulus, public exponent, private exponent, primes, exponents and coefficient.
pub(super) fn rsa_private_key(numbers: &[Vec<u8>; 8]) -> Vec<u8> {
    let mut inner = Vec::new();
    put(&mut inner, INTEGER, &[0]);
    for number in numbers {
        // A leading zero keeps the number positive.
        let is_high = number.first().is_none_or(|octet| octet & 0x80 != 0);
        let padded = [if is_high { &[0][..] } else { &[] }, number].concat();
        put(&mut inner, INTEGER, &padded);
    }
    let mut out = Vec::new();
    put(&mut out, SEQUENCE, &inner);
    out
}

/// The contents of the next element, which must have this tag.
fn inside<'d>(rest: &mut &'d [u8], tag: u8) -> Option<&'d [u8]> {
    let (&[have, first], after) = rest.split_first_chunk::<2>()?;
    let (len, after) = match first {
        0..=0x7f => (usize::from(first), after),
        0x81..=0x83 => {
            let (octets, after) = after.split_at_checked(usize::from(first & 0x7f))?;
            (octets.iter().fold(0, |len, octet| len << 8 | usize::from(*octet)), after)
        }
        _ => return None,
    };
    let (contents, after) = after.split_at_checked(len)?;
    *rest = after;
    (have == tag).then_some(contents)
}

fn put(out: &mut Vec<u8>, tag: u8, contents: &[u8]) {
    out.push(tag);
    let len = (contents.len() as u32).to_be_bytes();
    match contents.len() {
        0..=0x7f => out.push(len[3]),
        0x80..=0xff => out.extend_from_slice(&[0x81, len[3]]),
        0x100..=0xffff => out.extend_from_slice(&[0x82, len[2], len[3]]),
        _ => out.extend_from_slice(&[0x83, len[1], len[2], len[3]]),
    }
    out.extend_from_slice(contents);
}
