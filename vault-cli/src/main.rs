//! The operator's tool; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    vault_cli::run(std::env::args_os())
}
