//! The files of `cairn import`: unbound.conf with what it includes, in the order in which Unbound reads them.

use std::io;
use std::path::{Path, PathBuf};

use super::load::{local_records, read_bytes};
use crate::config::{Problem, Settings, Statement, Translation, statements, translate};
use crate::limits::server::{IMPORT_DEPTH_MAX, IMPORT_FILES_MAX};

/// The translation of the file, and what `cairn check` would say of it.
pub fn import_unbound(file: &Path) -> Result<(Translation, Vec<Problem>), Problem> {
    let mut reading = Reading::default();
    reading.read(file, 0)?;
    let mut translation = translate(&reading.statements, &|path| Path::new(path).is_file());
    translation.remarks.extend(reading.remarks);
    let (settings, mut mistakes) = Settings::read_toml(&translation.text, "cairn.toml");
    mistakes.extend(local_records(&settings).mistakes);
    Ok((translation, mistakes))
}

#[derive(Default)]
struct Reading {
    statements: Vec<Statement>,
    remarks: Vec<String>,
    files: usize,
}

impl Reading {
    fn read(&mut self, file: &Path, depth: usize) -> Result<(), Problem> {
        self.files += 1;
        if depth > IMPORT_DEPTH_MAX || self.files > IMPORT_FILES_MAX {
            let what = format!(
                "found more than {IMPORT_FILES_MAX} files, or includes deeper than {IMPORT_DEPTH_MAX}: do the files include each other?"
            );
            return Err(Problem::of_file(file.display().to_string(), what));
        }
        let bytes = read_bytes(file)?;
        let name = file.display().to_string();
        let (found, strange) = statements(&name, &String::from_utf8_lossy(&bytes));
        self.remarks.extend(strange.iter().map(|line| format!("{name}:{line}: this is not `keyword: value`")));
        for statement in found {
            if !["include", "include-toplevel"].contains(&statement.key.as_str()) {
                self.statements.push(statement);
                continue;
            }
            match matching(file, statement.value()) {
                Ok(files) if !files.is_empty() => files.iter().try_for_each(|file| self.read(file, depth + 1))?,
                Ok(_) => self.remarks.push(format!("{name}:{}: {}: no such file", statement.line, statement.key)),
                Err(error) => self.remarks.push(format!("{name}:{}: {}: {error}", statement.line, statement.key)),
            }
        }
        Ok(())
    }
}

/// The files of an `include`, whose last part may have one `*`; a relative path starts at the folder of the including file.
fn matching(from: &Path, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let path = from.parent().unwrap_or(Path::new("")).join(pattern);
    let last = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((head, tail)) = last.split_once('*') else { return Ok(path.is_file().then_some(path).into_iter().collect()) };
    let folder = path.parent().unwrap_or(Path::new("."));
    let fits =
        |name: &str| name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail) && !name.starts_with('.');
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .take(IMPORT_FILES_MAX)
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file() && path.file_name().and_then(|name| name.to_str()).is_some_and(fits))
        .collect();
    files.sort_unstable();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn what_is_included_stands_in_its_place() {
        let scratch = Scratch::new();
        let file =
            scratch.write("unbound.conf", "server:\n  num-threads: 2\ninclude: \"conf.d/*.conf\"\ninclude: gone.conf\n  port: 5353\nodd\n");
        scratch.write("conf.d/b.conf", "forward-zone:\n  name: lan\n  forward-addr: 192.0.2.1\n");
        scratch.write("conf.d/a.conf", "num-threads: 3\n");
        scratch.write("conf.d/c.txt", "num-threads: 4\n");
        let (translation, mistakes) = import_unbound(&file).expect("it can be read");
        // The last `port:` is in the clause that the included file began.
        assert_eq!(translation.text, "[server]\nworkers = 3\n\n[[forward]]\nzone = \"lan.\"\nto = [\"192.0.2.1:53\"]\n");
        let at = scratch.path().display().to_string();
        let remarks: Vec<String> = translation.remarks.iter().map(|remark| remark.replace(&at, "AT")).collect();
        assert_eq!(
            remarks,
            [
                "AT/unbound.conf:5: port: there is no such key here",
                "AT/unbound.conf:6: this is not `keyword: value`",
                "AT/unbound.conf:4: include: no such file"
            ]
        );
        assert_eq!(mistakes, []);
    }

    #[test]
    fn files_that_include_each_other_end() {
        let scratch = Scratch::new();
        let file = scratch.write("unbound.conf", "include: unbound.conf\n");
        assert!(import_unbound(&file).expect_err("a circle").what.contains("include each other"));
        assert!(import_unbound(&scratch.path().join("none")).is_err());
    }

    #[test]
    fn a_record_that_is_none_is_told() {
        let scratch = Scratch::new();
        let file = scratch.write("unbound.conf", "server:\nlocal-data: \"a.lan. A 192.0.2\"\n");
        let (_, mistakes) = import_unbound(&file).expect("it can be read");
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    }
}
