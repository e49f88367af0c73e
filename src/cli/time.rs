//! Times as people read them: `1 d 2 h`, `3 min 4 s`.

/// The two largest units.
pub(super) fn time(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let parts = units.iter().scan(seconds, |rest, (unit, name)| {
        let count = *rest / unit;
        *rest %= unit;
        Some((count, name))
    });
    let shown: Vec<String> = parts.skip_while(|(count, _)| *count == 0).take(2).map(|(count, name)| format!("{count} {name}")).collect();
    if shown.is_empty() { "0 s".to_owned() } else { shown.join(" ") }
}
