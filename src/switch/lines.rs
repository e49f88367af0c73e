//! Lines of ours in a text that others may have edited: found, and taken out.

/// An empty line is nobody's.
pub fn is_ours(line: &str, ours: &[String]) -> bool {
    !line.trim().is_empty() && ours.iter().any(|own| own == line)
}

/// The text with `replaced` in place of our lines. Where ours stand together they alone go, so that an equal line that
/// somebody wrote elsewhere stays.
pub fn without(text: &str, ours: &[String], replaced: &[String]) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let together = (!ours.is_empty()).then(|| lines.windows(ours.len()).position(|window| window.iter().eq(ours.iter()))).flatten();
    let is_gone = |at: usize| match together {
        Some(first) => (first..first + ours.len()).contains(&at),
        None => is_ours(lines[at], ours),
    };
    let Some(first) = (0..lines.len()).find(|at| is_gone(*at)) else { return text.to_owned() };
    let mut kept: Vec<&str> = lines[..first].to_vec();
    kept.extend(replaced.iter().map(String::as_str));
    kept.extend((first..lines.len()).filter(|at| !is_gone(*at)).map(|at| lines[at]));
    kept.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn only_our_lines_go() {
        let ours = lines(&["# cairn", "nameserver 127.0.0.1"]);
        let old = lines(&["nameserver 192.0.2.1"]);
        for (text, expected) in [
            ("search a\n# cairn\nnameserver 127.0.0.1\noptions x\n", "search a\nnameserver 192.0.2.1\noptions x\n"),
            ("nameserver 127.0.0.1\nsearch a\n# cairn\n", "nameserver 192.0.2.1\nsearch a\n"),
            ("nameserver 127.0.0.1\n# cairn\nnameserver 127.0.0.1", "nameserver 127.0.0.1\nnameserver 192.0.2.1\n"),
            ("nameserver 192.0.2.9", "nameserver 192.0.2.9"),
        ] {
            assert_eq!(without(text, &ours, &old), expected, "{text}");
        }
    }
}
