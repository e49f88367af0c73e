//! Names with letters beyond ASCII, in the form in which they stand in the DNS (RFC 5890 2.3.2.1, encoded by RFC 3492).
//!
//! Letters are lower-cased; nothing else of RFC 5894's mapping is done. A name with combining marks is refused: which composed
//! letter it means takes tables that are not here.

/// RFC 3492 5.
const BASE: u32 = 36;
const TMIN: u32 = 1;
const TMAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_N: u32 = 128;

/// The name with each label that is not ASCII in its `xn--` form. `None` where that is not known.
pub fn to_ascii_name(text: &str) -> Option<String> {
    if text.is_ascii() {
        return Some(text.to_owned());
    }
    // RFC 3490 3.1 lists the dots of other scripts.
    let labels = text.split(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']).map(|label| match label.is_ascii() {
        true => Some(label.to_owned()),
        false => a_label(label),
    });
    labels.collect::<Option<Vec<String>>>().map(|labels| labels.join("."))
}

fn a_label(label: &str) -> Option<String> {
    let letters: Vec<char> = label.chars().flat_map(char::to_lowercase).collect();
    let is_known = |c: &char| if c.is_ascii() { c.is_ascii_alphanumeric() || *c == '-' } else { c.is_alphanumeric() };
    let is_combining = |c: &char| ('\u{300}'..='\u{36f}').contains(c);
    if letters.len() > 63 || letters.iter().any(|c| is_combining(c) || !is_known(c)) {
        return None;
    }
    let encoded = format!("xn--{}", encode(&letters)?);
    (encoded.len() <= 63).then_some(encoded)
}

/// RFC 3492 6.3.
fn encode(letters: &[char]) -> Option<String> {
    let mut out: String = letters.iter().filter(|c| c.is_ascii()).collect();
    let basic = out.len() as u32;
    if basic > 0 {
        out.push('-');
    }
    let (mut n, mut delta, mut bias, mut handled) = (INITIAL_N, 0u32, INITIAL_BIAS, basic);
    while (handled as usize) < letters.len() {
        let next = letters.iter().map(|c| u32::from(*c)).filter(|c| *c >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(handled + 1)?)?;
        n = next;
        for c in letters.iter().map(|c| u32::from(*c)) {
            if c < n {
                delta = delta.checked_add(1)?;
            }
            if c != n {
                continue;
            }
            let (mut q, mut k) = (delta, BASE);
            loop {
                let t = k.saturating_sub(bias).clamp(TMIN, TMAX);
                if q < t {
                    break;
                }
                out.push(digit(t + (q - t) % (BASE - t)));
                q = (q - t) / (BASE - t);
                k += BASE;
            }
            out.push(digit(q));
            bias = adapt(delta, handled + 1, handled == basic);
            delta = 0;
            handled += 1;
        }
        delta = delta.checked_add(1)?;
        n += 1;
    }
    Some(out)
}

/// RFC 3492 6.1.
fn adapt(delta: u32, count: u32, is_first: bool) -> u32 {
    let mut delta = if is_first { delta / DAMP } else { delta / 2 };
    delta += delta / count;
    let mut k = 0;
    while delta > (BASE - TMIN) * TMAX / 2 {
        delta /= BASE - TMIN;
        k += BASE;
    }
    k + (BASE - TMIN + 1) * delta / (delta + SKEW)
}

fn digit(value: u32) -> char {
    char::from(if value < 26 { b'a' + value as u8 } else { b'0' + (value - 26) as u8 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The long ones are from RFC 3492 7.1.
    #[test]
    fn names_of_many_scripts() {
        for (text, expected) in [
            ("www.example", Some("www.example")),
            ("m\u{fc}nchen.example", Some("xn--mnchen-3ya.example")),
            ("M\u{dc}NCHEN.example.", Some("xn--mnchen-3ya.example.")),
            ("\u{e4}.example", Some("xn--4ca.example")),
            ("b\u{fc}cher\u{3002}example", Some("xn--bcher-kva.example")),
            ("\u{4ed6}\u{4eec}\u{4e3a}\u{4ec0}\u{4e48}\u{4e0d}\u{8bf4}\u{4e2d}\u{6587}", Some("xn--ihqwcrb4cv8a8dqg056pqjye")),
            ("\u{43f}\u{43e}\u{447}\u{442}\u{430}.\u{440}\u{444}", Some("xn--80a1acny.xn--p1ai")),
            ("mu\u{308}nchen.example", None),
            ("\u{201c}x\u{201d}.example", None),
        ] {
            assert_eq!(to_ascii_name(text).as_deref(), expected, "{text}");
        }
        assert_eq!(to_ascii_name(&"\u{e4}".repeat(64)), None);
    }
}
