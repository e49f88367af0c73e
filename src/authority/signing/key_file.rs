//! Files of private keys: the format v1.3 of BIND, which Knot and ldns read too, and PKCS #8 in PEM (RFC 7468), which Knot keeps.
//!
//! ```text
//! Private-key-format: v1.3
//! Algorithm: 13 (ECDSAP256SHA256)
//! PrivateKey: BASE64
//! ```

use super::algorithm::Algorithm;
use super::key::{KeyError, Private, SigningKey};
use crate::record::{Name, Rtype, base64_from_text, base64_to_text, rdata_to_text};

/// The lines of an RSA key, in the order of `Private::Rsa`.
const RSA_FIELDS: [&str; 8] = ["Modulus", "PublicExponent", "PrivateExponent", "Prime1", "Prime2", "Exponent1", "Exponent2", "Coefficient"];
const NUMBER_FIELD: &str = "PrivateKey";
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// Reads a private key in either format. `flags`: of its DNSKEY record, which the formats do not hold.
pub fn read_private_key(text: &str, flags: u16) -> Result<SigningKey, KeyError> {
    if let Some((_, rest)) = text.split_once(PEM_BEGIN) {
        let (block, _) = rest.split_once(PEM_END).ok_or(KeyError::Format)?;
        let block: String = block.split_whitespace().collect();
        return SigningKey::from_pkcs8(&octets_of(&block).ok_or(KeyError::Format)?, flags);
    }
    let format = field(text, "Private-key-format").ok_or(KeyError::Format)?;
    if !format.starts_with("v1.") {
        return Err(KeyError::Format);
    }
    let algorithm = field(text, "Algorithm").unwrap_or_default();
    let number = algorithm.split_whitespace().next().and_then(|number| number.parse().ok());
    let algorithm = number.and_then(Algorithm::from_number).ok_or_else(|| KeyError::Algorithm(algorithm.to_owned()))?;
    let octets = |name: &'static str| {
        let value = field(text, name).and_then(octets_of);
        value.filter(|value| !value.is_empty()).ok_or(KeyError::Field(name))
    };
    let private = if algorithm == Algorithm::RsaSha256 {
        let mut numbers: [Vec<u8>; 8] = Default::default();
        for (number, name) in numbers.iter_mut().zip(RSA_FIELDS) {
            *number = octets(name)?;
        }
        Private::Rsa(numbers)
    } else {
        Private::Number(octets(NUMBER_FIELD)?)
    };
    SigningKey::from_private(algorithm, flags, &private)
}

/// The key in the format v1.3.
pub fn write_private_key(key: &SigningKey) -> Result<String, KeyError> {
    let mut text =
        format!("Private-key-format: v1.3\nAlgorithm: {} ({})\n", key.algorithm.number(), key.algorithm.word().to_ascii_uppercase());
    let mut put = |name: &str, octets: &[u8]| {
        text.push_str(name);
        text.push_str(": ");
        base64_to_text(octets, &mut text);
        text.push('\n');
    };
    match key.private()? {
        Private::Number(number) => put(NUMBER_FIELD, &number),
        Private::Rsa(numbers) => numbers.iter().zip(RSA_FIELDS).for_each(|(number, name)| put(name, number)),
    }
    Ok(text)
}

/// The public half as a record, for the file beside the private one.
pub fn write_public_key(key: &SigningKey, zone: &Name) -> String {
    format!("{zone} IN DNSKEY {}\n", rdata_to_text(Rtype::DNSKEY, &key.dnskey))
}

/// The flags in a file that holds a DNSKEY record; `None` if it holds none.
pub fn flags_of_public_key(text: &str) -> Option<u16> {
    let mut words = text.lines().filter(|line| !line.trim_start().starts_with(';')).flat_map(str::split_whitespace);
    words.find(|word| word.eq_ignore_ascii_case("DNSKEY"))?;
    words.next()?.parse().ok()
}

fn octets_of(base64: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    base64_from_text(base64.as_bytes(), &mut octets).then_some(octets)
}

fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(key: &SigningKey) -> String {
        write_public_key(key, &Name::parse("example.").expect("a name"))
    }

    /// RFC 6605 6.1 and RFC 8080 6.1: from the private half to the DNSKEY record that the RFC shows.
    #[test]
    fn keys_of_the_rfcs() {
        for (algorithm, private, expected, tag) in [
            (
                "13 (ECDSAP256SHA256)",
                "GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ=",
                "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
                55_648,
            ),
            (
                "14 (ECDSAP384SHA384)",
                "WURgWHCcYIYUPWgeLmiPY2DJJk02vgrmTfitxgqcL4vwW7BOrbawVmVe0d9V94SR",
                "xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40",
                10_771,
            ),
            ("15 (ED25519)", "ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=", "l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=", 3_613),
        ] {
            let text = format!("Private-key-format: v1.3\nAlgorithm: {algorithm}\nPrivateKey: {private}\nCreated: 20200101000000\n");
            let key = read_private_key(&text, 257).expect(algorithm);
            assert_eq!((public(&key).split_whitespace().last(), key.tag), (Some(expected), tag), "{algorithm}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for algorithm in Algorithm::ALL {
            let key = SigningKey::generate(algorithm, 256).expect("a key");
            let text = write_private_key(&key).expect("a text");
            assert_eq!(read_private_key(&text, 256).expect("the same").dnskey, key.dnskey, "{algorithm}");
            assert_eq!(flags_of_public_key(&format!("; a comment\n{}", public(&key))), Some(256));
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let numbers = "Private-key-format: v1.3\nAlgorithm: 13 (ECDSAP256SHA256)\nPrivateKey: ";
        for (text, expected) in [
            ("", KeyError::Format),
            ("Private-key-format: v2.0\nAlgorithm: 13\n", KeyError::Format),
            ("Private-key-format: v1.3\nAlgorithm: 16 (ED448)\nPrivateKey: AA==\n", KeyError::Algorithm("16 (ED448)".to_owned())),
            ("Private-key-format: v1.3\n", KeyError::Algorithm(String::new())),
            ("Private-key-format: v1.3\nAlgorithm: 8 (RSASHA256)\nModulus: AQAB\n", KeyError::Field("PublicExponent")),
            (&format!("{numbers}A\n"), KeyError::Field("PrivateKey")),
            (&format!("{numbers}AA==\n"), KeyError::Rejected(Algorithm::EcdsaP256Sha256)),
            ("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n", KeyError::Rejected(Algorithm::RsaSha256)),
            ("-----BEGIN PRIVATE KEY-----\nAA==\n", KeyError::Format),
        ] {
            assert_eq!(read_private_key(text, 257).expect_err(text), expected, "{text}");
        }
    }
}
