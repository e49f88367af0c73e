//! Base 16, 32 (extended hex) and 64 (RFC 4648), as RDATA uses them: no line breaks, padding only in base 64.

const HEX: &[u8; 16] = b"0123456789ABCDEF";
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn hex_to_text(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        out.push(HEX[usize::from(byte >> 4)] as char);
        out.push(HEX[usize::from(byte & 15)] as char);
    }
}

/// Appends the octets; false where the text is not pairs of hex digits.
pub(super) fn hex_from_text(text: &[u8], out: &mut Vec<u8>) -> bool {
    if !text.len().is_multiple_of(2) {
        return false;
    }
    for pair in text.chunks_exact(2) {
        let (Some(high), Some(low)) = (digit(HEX, pair[0]), digit(HEX, pair[1])) else { return false };
        out.push(high << 4 | low);
    }
    true
}

/// Without padding, as RFC 5155 3.3 writes hashes.
pub(super) fn base32_to_text(bytes: &[u8], out: &mut String) {
    to_text(bytes, 5, BASE32, out);
}

pub(super) fn base32_from_text(text: &[u8], out: &mut Vec<u8>) -> bool {
    from_text(text, 5, |octet| digit(BASE32, octet), out)
}

/// With padding (RFC 4648 4).
pub fn base64_to_text(bytes: &[u8], out: &mut String) {
    to_text(bytes, 6, BASE64, out);
    for _ in 0..(3 - bytes.len() % 3) % 3 {
        out.push('=');
    }
}

/// False if the text is not base 64 with its padding (RFC 4648 4).
pub fn base64_from_text(text: &[u8], out: &mut Vec<u8>) -> bool {
    let padding = text.iter().rev().take_while(|octet| **octet == b'=').count();
    text.len().is_multiple_of(4) && padding <= 2 && from_text(&text[..text.len() - padding], 6, base64_digit, out)
}

/// False if the text is not base 64 of the alphabet for URLs and file names, without padding (RFC 4648 5).
pub fn base64url_from_text(text: &[u8], out: &mut Vec<u8>) -> bool {
    let digit = |octet| match octet {
        b'-' => Some(62),
        b'_' => Some(63),
        b'+' | b'/' => None,
        other => base64_digit(other),
    };
    from_text(text, 6, digit, out)
}

fn to_text(bytes: &[u8], bits: u32, alphabet: &[u8], out: &mut String) {
    let (mut held, mut held_bits) = (0u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        held_bits += 8;
        while held_bits >= bits {
            held_bits -= bits;
            out.push(alphabet[(held >> held_bits) as usize & (alphabet.len() - 1)] as char);
        }
    }
    if held_bits > 0 {
        out.push(alphabet[(held << (bits - held_bits)) as usize & (alphabet.len() - 1)] as char);
    }
}

/// Remaining bits must be zero and fewer than one digit holds (RFC 4648 3.5).
fn from_text(text: &[u8], bits: u32, value: impl Fn(u8) -> Option<u8>, out: &mut Vec<u8>) -> bool {
    let (mut held, mut held_bits) = (0u32, 0);
    for octet in text {
        let Some(value) = value(*octet) else { return false };
        held = (held << bits | u32::from(value)) & 0xffff;
        held_bits += bits;
        if held_bits >= 8 {
            held_bits -= 8;
            out.push((held >> held_bits) as u8);
        }
    }
    held_bits < bits && held & ((1 << held_bits) - 1) == 0
}

/// Letter case does not matter in base 16 and 32.
fn digit(alphabet: &[u8], octet: u8) -> Option<u8> {
    let value = match octet.to_ascii_uppercase() {
        letter @ b'0'..=b'9' => letter - b'0',
        letter @ b'A'..=b'V' => letter - b'A' + 10,
        _ => return None,
    };
    (usize::from(value) < alphabet.len()).then_some(value)
}

fn base64_digit(octet: u8) -> Option<u8> {
    Some(match octet {
        b'A'..=b'Z' => octet - b'A',
        b'a'..=b'z' => octet - b'a' + 26,
        b'0'..=b'9' => octet - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn vectors_of_rfc_4648_10() {
        for (plain, base32, base64) in [
            ("", "", ""),
            ("f", "CO", "Zg=="),
            ("fo", "CPNG", "Zm8="),
            ("foo", "CPNMU", "Zm9v"),
            ("foob", "CPNMUOG", "Zm9vYg=="),
            ("fooba", "CPNMUOJ1", "Zm9vYmE="),
            ("foobar", "CPNMUOJ1E8", "Zm9vYmFy"),
        ] {
            let mut text = String::new();
            base32_to_text(plain.as_bytes(), &mut text);
            assert_eq!(text, base32);
            text.clear();
            base64_to_text(plain.as_bytes(), &mut text);
            assert_eq!(text, base64);
        }
    }

    #[test]
    fn what_is_refused() {
        for bad in ["Zg", "Zg=", "Zh==", "Z===", "Zm9v!", "====", "Zm9vZ"] {
            assert!(!base64_from_text(bad.as_bytes(), &mut Vec::new()), "{bad}");
        }
        for bad in ["C", "CP=", "CW", "CPN"] {
            assert!(!base32_from_text(bad.as_bytes(), &mut Vec::new()), "{bad}");
        }
        for bad in ["0", "0g", "0x"] {
            assert!(!hex_from_text(bad.as_bytes(), &mut Vec::new()), "{bad}");
        }
    }

    #[test]
    fn base64url_has_its_own_digits_and_no_padding() {
        for (text, expected) in [
            ("", Some(&b""[..])),
            ("Zg", Some(b"f")),
            ("Zm8", Some(b"fo")),
            ("Zm9v", Some(b"foo")),
            ("Zm9vYg", Some(b"foob")),
            ("-_-_", Some(b"\xfb\xff\xbf")),
            ("Z", None),
            ("Zh", None),
            ("Zm9", None),
            ("Zg==", None),
            ("+/+/", None),
            ("Zm9v\u{e9}", None),
        ] {
            let mut octets = Vec::new();
            let is_good = base64url_from_text(text.as_bytes(), &mut octets);
            assert_eq!(is_good.then_some(&octets[..]), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            let (mut hex, mut base32, mut base64) = (String::new(), String::new(), String::new());
            hex_to_text(&bytes, &mut hex);
            base32_to_text(&bytes, &mut base32);
            base64_to_text(&bytes, &mut base64);
            let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
            prop_assert!(hex_from_text(hex.to_ascii_lowercase().as_bytes(), &mut a) && a == bytes);
            prop_assert!(base32_from_text(base32.to_ascii_lowercase().as_bytes(), &mut b) && b == bytes);
            prop_assert!(base64_from_text(base64.as_bytes(), &mut c) && c == bytes);
        }
    }
}
