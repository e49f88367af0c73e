//! The program `cairn`: hands the command line over and returns its exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: cairn::Allocator = cairn::Allocator;

fn main() -> ExitCode {
    cairn::main()
}
