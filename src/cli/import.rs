//! `cairn import unbound.conf`: a cairn.toml that does the same, as far as there is a counterpart.

use std::path::PathBuf;

use clap::Args;

use super::exit_code::{FAILED, GOOD, MISTAKE};
use super::terminal::{Paint, complain, say};
use crate::server::import_unbound;

const EXAMPLES: &str = "\
Examples:
  cairn import /etc/unbound/unbound.conf   what cairn.toml would be; `> cairn.toml` behind it writes the file
  cairn check --config cairn.toml          check what was written

Lines without a counterpart are named on standard error. Files that it includes are read too. Nothing else is read or changed.

Exit codes: 0 translated, even where lines have no counterpart; 1 a value has to be corrected by hand; 2 the file cannot be read.";

/// Translate the configuration of Unbound; print a cairn.toml
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ImportArgs {
    /// A file in the form of unbound.conf
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn import(args: &ImportArgs) -> u8 {
    let (translation, mistakes) = match import_unbound(&args.file) {
        Ok(imported) => imported,
        Err(problem) => {
            complain!("{problem}");
            return MISTAKE;
        }
    };
    say!("# Translated from {} by `cairn import`. Keys that are not here have their defaults.", args.file.display());
    if !translation.text.is_empty() {
        say!("\n{}", translation.text.trim_end());
    }
    let paint = Paint::stderr();
    for remark in &translation.remarks {
        complain!("{remark}");
    }
    for mistake in &mistakes {
        complain!("{} {mistake}", paint.bad("to be corrected:"));
    }
    if mistakes.is_empty() { GOOD } else { FAILED }
}
