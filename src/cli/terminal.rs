//! Output to the terminal: lines, and colour where a person will see it.
//!
//! A closed pipe (`cairn config show | head`) ends the program quietly instead of in a panic.

use std::fmt::Arguments;
use std::io::{ErrorKind, IsTerminal, Write};

/// A line of the command's result, to stdout.
macro_rules! say {
    ($($part:tt)*) => { $crate::cli::terminal::say_line(format_args!($($part)*)) };
}

/// A line about an error, to stderr.
macro_rules! complain {
    ($($part:tt)*) => { $crate::cli::terminal::complain_line(format_args!($($part)*)) };
}

pub(super) use {complain, say};

pub(super) fn say_line(line: Arguments<'_>) {
    if let Err(error) = writeln!(std::io::stdout(), "{line}") {
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(i32::from(super::exit_code::GOOD));
        }
        complain_line(format_args!("cairn: the output is not complete: {error}"));
        std::process::exit(i32::from(super::exit_code::FAILED));
    }
}

pub(super) fn complain_line(line: Arguments<'_>) {
    // The exit code still tells what the lost line would have said.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[derive(Clone, Copy)]
pub(super) struct Paint(bool);

impl Paint {
    pub(super) fn stdout() -> Paint {
        Paint(std::io::stdout().is_terminal() && is_wanted())
    }

    pub(super) fn stderr() -> Paint {
        Paint(std::io::stderr().is_terminal() && is_wanted())
    }

    #[cfg(test)]
    pub(super) fn none() -> Paint {
        Paint(false)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    pub(super) fn faint(self, text: &str) -> String {
        self.wrap("2", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// See https://no-color.org: any value except the empty one means no colour.
fn is_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// On a terminal alone: one line on standard error that is written over.
pub(super) fn progress(what: &str, done: usize, total: usize) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        // The result does not depend on this line.
        let _ = write!(stderr, "\r\x1b[K{what}: {done} of {total}").and_then(|()| stderr.flush());
    }
}

/// Removes that line.
pub(super) fn progress_ended() {
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
}
