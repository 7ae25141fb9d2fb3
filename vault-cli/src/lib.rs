//! The operator's tool: creates a vault, serves it, and administers it in its directory or through
//! the server that holds it.
//!
//! Knows no keys and opens no envelope: everything goes through `vault-core` or over HTTP. An
//! answer is one JSON document; what a person reads is rendered from it, so the two cannot differ.
//! Start at [`run`]; [`dev::start`] gives tests a throw-away server.

mod args;
mod backend;
mod caller;
mod command;
pub mod dev;
pub mod failure;
mod gather;
pub mod http;
mod input;
mod interrupt;
mod place;
mod secret;
mod talk;
mod terminal;
mod usage;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory, FromArgMatches};

use args::Arguments;
use terminal::Terminal;

/// Runs one command line, program name first, and gives its exit code: 0 done, 1 failed, 2 usage,
/// 3 locked or wrong secret, 4 refused by policy, 5 damage found, 130 interrupted.
///
/// Never panics on an input. Prints no personal value, neither of the vault nor of the arguments.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    // A core dump or a debugger of the same user would show passphrases and keys.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    // The message of a panic may quote what it met.
    std::panic::set_hook(Box::new(|panic| {
        use std::io::Write;
        let place = panic.location().map_or_else(String::new, |place| {
            format!(" at {}:{}", place.file(), place.line())
        });
        let _ = writeln!(std::io::stderr(), "error: a defect stopped this{place}");
    }));
    let before = usage::before(&args);
    let grammar = Arguments::command().color(match before.coloured {
        true => ColorChoice::Always,
        false => ColorChoice::Never,
    });
    let parsed = grammar
        .try_get_matches_from(&args)
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => {
            // Help and version. A reader that went away is no error of ours.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            let failure = usage::failure_of(&error);
            Terminal::new(before.json, false, before.when).failure(&failure);
            return ExitCode::from(failure.exit as u8);
        }
    };
    let globals = &arguments.globals;
    let terminal = Terminal::new(globals.json, globals.quiet, globals.color);
    match command::run(arguments, &terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal.failure(&failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}
