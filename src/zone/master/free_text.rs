//! Slips of the pen in free text, which show only in how it is written: quotes that are missing or curly, a `;` outside quotes,
//! a string that is too long. Each is a warning that ends with what to write.

use super::super::problem::{Place, Problems};
use crate::record::{Rtype, Token, strings};

/// Types with data that people write as text.
const FREE_TEXT: [Rtype; 9] =
    [Rtype::TXT, Rtype::SPF, Rtype::CAA, Rtype::HINFO, Rtype::NAPTR, Rtype::URI, Rtype::AVC, Rtype::RESINFO, Rtype::WALLET];

/// Types that are a list of strings, which clients of text join.
const STRINGS: [Rtype; 2] = [Rtype::TXT, Rtype::SPF];

/// Word processors and web pages turn straight quotes into these.
const CURLY_QUOTES: [char; 5] = ['\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}'];

/// Warns of quotes that are missing or are no quotes of a master file. `cut_at` is the line of a comment that may be data.
pub(super) fn quotes(owner: &[u8], rtype: Rtype, data: &[Token<'_>], cut_at: Option<u32>, place: Place, problems: &mut Problems) {
    if let Some(line) = cut_at.filter(|_| FREE_TEXT.contains(&rtype)) {
        // `_dmarc TXT v=DMARC1; p=none`: outside quotes the rest of the line is a comment.
        if let Some(last) = data.iter().rfind(|token| token.line == line) {
            let (found, place) = (last.shown(), Place { line, ..place });
            problems.warning(
                place,
                format!("found a `;` after {found} in {rtype} data, where it begins a comment: write quotes around the whole text"),
            );
        }
        return;
    }
    let Some(first) = data.first().filter(|first| STRINGS.contains(&rtype) && !first.is("\\#")) else { return };
    let place = Place { line: first.line, ..place };
    let words: Vec<String> = data.iter().map(|token| String::from_utf8_lossy(token.raw).into_owned()).collect();
    let is_curly = |text: &String| text.starts_with(CURLY_QUOTES) || text.ends_with(CURLY_QUOTES);
    if data.iter().zip(&words).any(|(token, text)| !token.quoted && is_curly(text)) {
        let straight = words.join(" ").replace(CURLY_QUOTES, "");
        problems.warning(place, format!("found curly quotes in {rtype} data, which are text: write `{rtype} \"{straight}\"`"));
    } else if data.len() > 1 && data.iter().all(|token| !token.quoted) && !is_service(owner) {
        let (count, joined, whole) = (data.len(), words.concat(), words.join(" "));
        problems.warning(
            place,
            format!("found {count} strings without quotes in {rtype} data, which clients join to `{joined}`: write `{rtype} \"{whole}\"`"),
        );
    }
}

/// The strings of a service are pairs of key and value, which clients keep apart (RFC 6763 6.1).
fn is_service(owner: &[u8]) -> bool {
    owner.windows(5).any(|octets| matches!(octets, b"\x04_tcp" | b"\x04_udp"))
}

/// Warns of strings that the reader has split, because a string has at most 255 octets (RFC 1035 3.3).
pub(super) fn long_strings(rtype: Rtype, data: &[Token<'_>], rdata: &[u8], place: Place, problems: &mut Problems) {
    if !STRINGS.contains(&rtype) || data.first().is_some_and(|first| first.is("\\#")) {
        return;
    }
    let (count, written) = (strings(rdata).count(), data.len());
    if count > written {
        problems.warning(
            place,
            format!(
                "found a string of more than 255 octets in {rtype} data, which is split into {count} strings; clients join them: write \
                 `\"first part\" \"second part\"` to split it elsewhere"
            ),
        );
    }
}
