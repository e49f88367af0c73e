//! `cairn completions`: what a shell needs to complete command lines, made from the definition of the commands.

use clap::Args;
use clap_complete::Shell;

use super::exit_code::GOOD;
use super::terminal::say;

const EXAMPLES: &str = "\
Examples:
  cairn completions bash
  cairn completions zsh
  cairn completions fish

To use it in the shell that runs:
  source <(cairn completions bash)";

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompletionsArgs {
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs, mut program: clap::Command) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "cairn", &mut script);
    say!("{}", String::from_utf8_lossy(&script).trim_end());
    GOOD
}
