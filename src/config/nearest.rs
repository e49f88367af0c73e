//! Suggestions: the valid key that is nearest to an unknown one.
//!
//! The distance counts edits (insert, delete, replace, swap neighbours); `_` for `-` and upper case cost nothing.

use super::foreign;
use super::keys::SECTIONS;

pub(super) fn hint_for_key(section: &str, keys: &[&str], written: &str) -> String {
    if let Some(hint) = foreign::hint(section, written) {
        return hint;
    }
    match (nearest(written, keys), home_of(written)) {
        (Some(near), _) => format!("did you mean \"{near}\"?"),
        (None, Some((home, key))) if home != section => format!("\"{key}\" belongs in [{home}]"),
        _ => format!("the keys of [{section}] are {}", keys.join(", ")),
    }
}

/// The section to which a key belongs that was written elsewhere, even if it is slightly misspelt.
pub(super) fn home_of(written: &str) -> Option<(&'static str, &'static str)> {
    let all = || SECTIONS.iter().flat_map(|section| section.rows.iter().map(move |row| (section.name, row.key)));
    let keys: Vec<&str> = all().map(|(_, key)| key).collect();
    let near = nearest(written, &keys)?;
    all().find(|(_, key)| *key == near)
}

/// The word with the smallest edit distance, unless even that is too far to be a misspelling.
pub(crate) fn nearest<'w>(written: &str, words: &[&'w str]) -> Option<&'w str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace('_', "-");
    let written = plain(written);
    let near_enough = |word: &str| word.len().max(written.len()).div_ceil(3);
    words
        .iter()
        .map(|word| (edit_distance(&written, &plain(word)), *word))
        .filter(|(distance, word)| *distance <= near_enough(word))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
fn edit_distance(a: &str, b: &str) -> usize {
    // A longer key is no typing mistake; the bound keeps the work small.
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(ca != cb);
            let mut cost = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *ca == b[j - 1] && a[i - 1] == *cb {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_swaps_as_one() {
        for (a, b, distance) in [("", "", 0), ("abc", "", 3), ("listen", "lisetn", 1), ("lisen", "listen", 1), ("kitten", "sitting", 3)] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
            assert_eq!(edit_distance(b, a), distance, "{b} {a}");
        }
    }

    #[test]
    fn only_near_words_are_offered() {
        for (written, expected) in
            [("SIZE", Some("size")), ("max_ttl", Some("max-ttl")), ("sise", Some("size")), ("sh", None), ("zebra", None)]
        {
            assert_eq!(nearest(written, &["size", "max-ttl"]), expected, "{written}");
        }
    }
}
