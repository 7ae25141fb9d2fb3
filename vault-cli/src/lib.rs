//! The operator's tool: creates a vault, serves it, and administers it in its directory or through
//! the server that holds it.
//!
//! Knows no keys and opens no envelope: everything goes through `vault-core` or over HTTP. An
//! answer is one JSON document; what a person reads is rendered from it, so the two cannot differ.
//! Start at [`run`]; [`dev::start`] gives tests a throw-away server.

mod args;
mod backend;
mod command;
pub mod dev;
pub mod failure;
pub mod http;
mod input;
mod place;
mod secret;
mod terminal;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use args::Arguments;
use terminal::Terminal;

/// Runs one command line, program name first, and gives its exit code: 0 done, 1 failed, 2 usage,
/// 3 locked or wrong secret, 4 refused by policy, 5 damage found.
///
/// Never panics on an input. Prints no personal value, neither of the vault nor of the arguments.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    // A core dump or a debugger of the same user would show passphrases and keys.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let arguments = match Arguments::try_parse_from(&args) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error, &args),
    };
    let terminal = Terminal::new(arguments.globals.json, arguments.globals.quiet);
    match command::run(arguments, &terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal.failure(&failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// Help and version go to standard output; a wrong command line becomes our own error, because
/// clap's would repeat the argument, and somebody will type an e-mail address there.
fn usage(error: &clap::Error, args: &[OsString]) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let json = args.iter().any(|arg| arg == "--json");
    let failure = args::failure_of(error);
    Terminal::new(json, false).failure(&failure);
    ExitCode::from(failure.exit as u8)
}
