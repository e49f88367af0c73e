//! Fields of a form that was sent in a URL (application/x-www-form-urlencoded; WHATWG URL Standard, 5.1).

/// The value of the first field of this name. Octets that are no UTF-8 are replaced.
pub fn field(query: &str, wanted: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name) == wanted).then(|| decoded(value))
    })
}

/// The text as the value of a field.
pub fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, octet| {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => out.push(char::from(octet)),
            _ => out.push_str(&format!("%{octet:02X}")),
        }
        out
    })
}

fn decoded(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.first_chunk::<2>().filter(|_| *first == b'%').and_then(|digits| hexadecimal(*digits));
        octets.push(match (first, escaped) {
            (_, Some(octet)) => octet,
            (b'+', None) => b' ',
            (octet, None) => *octet,
        });
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&octets).into_owned()
}

fn hexadecimal(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    Some((high? << 4 | low?) as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_found_and_decoded() {
        for (query, expected) in [
            ("name=www.example.com&type=A", Some("www.example.com")),
            ("type=A&name=a%20b+c", Some("a b c")),
            ("n%61me=%C3%A4", Some("ä")),
            ("name=%", Some("%")),
            ("name=%4", Some("%4")),
            ("name=%zz%ff", Some("%zz\u{fffd}")),
            ("name=a=b&name=c", Some("a=b")),
            ("name", Some("")),
            ("", None),
            ("other=name", None),
        ] {
            assert_eq!(field(query, "name").as_deref(), expected, "{query}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(text in any::<String>()) {
            let query = format!("a=b&name={}&type=A", encoded(&text));
            prop_assert_eq!(field(&query, "name"), Some(text));
        }
    }
}
