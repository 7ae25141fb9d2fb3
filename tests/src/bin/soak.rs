//! A server under a mixed load of good and hostile clients, with its memory and its counters watched.
//!
//! `soak --minutes 60`; one minute over TLS unless told. Exits 1 where anything was not as it must be. Sends
//! to 127.0.0.1 alone and ends by itself.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use vault_tests::replay::complain;
use vault_tests::server::AS_CLI;
use vault_tests::soak::{self, Options};

/// Puts a server of its own under a mixed load of good and hostile clients, checks every answer and
/// watches its memory.
#[derive(Parser)]
struct Arguments {
    /// For how long
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    minutes: u16,
    /// Good clients, each with a connection and an API key of its own
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// Hostile clients of each kind
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=64))]
    hostile: u8,
    /// What the mix follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long a good client rests after each step, in milliseconds: none, and they take all there is
    #[arg(long, default_value_t = 0)]
    rest: u16,
    /// Serve without TLS
    #[arg(long)]
    plain: bool,
}

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    if args.nth(1).is_some_and(|first| first == AS_CLI) {
        // This process is the server.
        return vault_cli::run(std::iter::once(AS_CLI.into()).chain(args));
    }
    let arguments = Arguments::parse();
    let options = Options {
        length: Duration::from_secs(60 * u64::from(arguments.minutes)),
        connections: usize::from(arguments.connections),
        hostile: usize::from(arguments.hostile),
        rest: Duration::from_millis(arguments.rest.into()),
        seed: arguments.seed,
        tls: !arguments.plain,
    };
    match soak::run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
