//! Keys whose new value takes effect only after a restart: a reload leaves the running server at the old one.

use super::settings::Settings;
use super::show::{Shown, show};

/// Read when a server starts. All others are taken over by a reload.
const AT_START: [&str; 14] = [
    "server.workers",
    "server.state-dir",
    "server.control-socket",
    "server.user",
    "server.sandbox",
    "cache.size",
    "cache.max-ttl",
    "cache.min-ttl",
    "cache.negative-max-ttl",
    "cache.stale-max",
    "cache.persist",
    "cache.save-interval",
    "web.listen",
    "web.password-file",
];

/// A key that waits for a restart, with its values as they would be written in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AfterRestart {
    pub key: String,
    pub in_force: String,
    pub after_restart: String,
}

/// Does a running server keep the value that this key had at its start?
pub fn waits_for_restart(key: &str) -> bool {
    AT_START.contains(&key)
}

/// What a server that was `started` with other settings takes of `read` only after a restart.
pub fn after_restart(started: &Settings, read: &Settings) -> Vec<AfterRestart> {
    let (started, read) = (keys(started), keys(read));
    let waits = |(key, in_force): (String, String)| {
        let after_restart = read.iter().find(|(other, _)| *other == key)?.1.clone();
        (AT_START.contains(&key.as_str()) && in_force != after_restart).then_some(AfterRestart { key, in_force, after_restart })
    };
    started.into_iter().filter_map(waits).collect()
}

/// The value in force of each key, for a server that was `started` with some settings and has taken over `read` since.
pub fn in_force(started: &Settings, read: &Settings) -> Vec<(String, String)> {
    let started = keys(started);
    let at_start = |key: &String| started.iter().find(|(other, _)| AT_START.contains(&key.as_str()) && other == key);
    keys(read).into_iter().map(|(key, value)| at_start(&key).cloned().unwrap_or((key, value))).collect()
}

/// Of the sections: entries of lists have no names.
fn keys(settings: &Settings) -> Vec<(String, String)> {
    let named = |shown: Shown| shown.entry.is_none().then(|| (format!("{}.{}", shown.section, shown.key), shown.value));
    show(settings, "").into_iter().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_wait_are_named_with_both_values() {
        let read = |text: &str| Settings::from_toml(text, "cairn.toml").expect(text);
        let started = read("[server]\nworkers = 2\n[cache]\nsize = '64MiB'\nserve-stale = false");
        let changed = read("[server]\nworkers = 4\nallow = ['10.0.0.0/8']\n[cache]\nsize = '64MiB'\nstale-max = '2d'");
        let waiting: Vec<String> = after_restart(&started, &changed)
            .into_iter()
            .map(|key| format!("{} {} {}", key.key, key.in_force, key.after_restart))
            .collect();
        assert_eq!(waiting, ["server.workers 2 4", "cache.stale-max \"1d\" \"2d\""]);
        let now = in_force(&started, &changed);
        for (key, value) in [("server.workers", "2"), ("server.allow", r#"["10.0.0.0/8"]"#), ("cache.serve-stale", "true")] {
            assert!(now.contains(&(key.to_owned(), value.to_owned())), "{key}: {now:?}");
        }
        assert!(AT_START.iter().all(|key| now.iter().any(|(known, _)| known == key)), "each is a key");
    }
}
