//! The secrets of TSIG keys that stand in files of their own (`secret-file`).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::configuration::{read_bytes, why_not_readable};
use crate::config::{KeySettings, Problem, Secret};
use crate::limits::server::SECRET_FILE_BYTES_MAX;

/// Reads the files; what was read is then the `secret` of each key. Returns the mistakes, with their place in `config`.
pub(super) fn read_secrets(keys: &mut [KeySettings], config: Option<&Path>, warnings: &mut Vec<Problem>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for key in keys {
        let Some(file) = key.secret_file.clone() else { continue };
        let at_key = |what: String| {
            let named_in = config.map(|config| config.display().to_string()).unwrap_or_default();
            Problem::at(named_in, &key.secret_mark, what)
        };
        if let Some((why, hint)) = why_not_readable(&file) {
            problems.push(Problem { hint, ..at_key(format!("key.secret-file of {}: {why}", key.name)) });
            continue;
        }
        if is_open_to_others(&file) {
            let what = format!("warning: key.secret-file of {}: everybody on this machine may read {}", key.name, file.display());
            let hint = Some(format!("chmod o= {}", file.display()));
            warnings.push(Problem { hint, ..at_key(what) });
        }
        match secret_in(&file) {
            Ok(secret) => key.secret = Some(secret),
            Err(problem) => problems.push(problem),
        }
    }
    problems
}

fn secret_in(file: &Path) -> Result<Secret, Problem> {
    let problem = |what: String| Problem::of_file(file.display().to_string(), what);
    if fs::metadata(file).is_ok_and(|meta| meta.len() > SECRET_FILE_BYTES_MAX) {
        return Err(problem("longer than a secret in base 64".to_owned()));
    }
    let text = String::from_utf8(read_bytes(file)?).map_err(|_| problem("this is not a secret in base 64".to_owned()))?;
    Secret::parse(&text).map_err(problem)
}

fn is_open_to_others(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::super::scratch::Scratch;
    use super::super::{Sources, StartOptions};
    use super::*;

    #[test]
    fn secrets_come_from_files_and_mistakes_are_told_with_their_place() {
        let scratch = Scratch::new();
        let key = |name: &str, file: &str| format!("[[key]]\nname = '{name}'\nsecret-file = '{file}'\n");
        let read = |config: &str| {
            let config = Some(scratch.write("cairn.toml", config));
            Sources::read(&StartOptions { config, ..StartOptions::default() })
        };
        let good = scratch.write("good", "c2VjcmV0\n");
        fs::set_permissions(&good, fs::Permissions::from_mode(0o600)).expect("our own");
        let sources = read(&key("a", "good")).expect("all is right");
        assert_eq!(sources.settings.keys[0].secret.as_ref().map(Secret::octets), Some(&b"secret"[..]));
        assert_eq!(sources.warnings, []);
        fs::set_permissions(&good, fs::Permissions::from_mode(0o644)).expect("our own");
        let warnings = read(&key("a", "good")).expect("all is right").warnings;
        assert!(warnings[0].to_string().contains("cairn.toml:3:15: warning: key.secret-file of a.: everybody"), "{warnings:?}");
        scratch.write("bad", "no secret!");
        let problems = read(&[key("a", "gone"), key("b", "bad")].concat()).expect_err("two mistakes");
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(shown[0].contains("cairn.toml:3:15: key.secret-file of a.: "), "{shown:?}");
        assert!(shown[1].contains("/bad: the secret is not base 64"), "{shown:?}");
    }
}
