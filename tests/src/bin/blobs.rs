//! Sends one large blob to a server in a process of its own and gets it back, whole and in ranges.
//!
//! `blobs [--size 256M] [--seed N] [--dir D] [--plain]`. The bytes follow from the seed and are
//! compared one by one, so that nothing is held. Prints throughput, and what the server added to its
//! memory at most; then kills a server in mid-upload and looks for what stands of it. Exits 1 if
//! anything differs or more than 64 MiB were added.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use vault_tests::blobs::{self, Options};
use vault_tests::replay::complain;
use vault_tests::server::AS_CLI;

/// Sends one large blob to a server and gets it back.
#[derive(Parser)]
struct Arguments {
    /// Bytes of content, with K, M or G for powers of 1024
    #[arg(long, default_value = "256M", value_parser = blobs::size)]
    size: u64,
    /// What the bytes follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Make the vault below this directory, and leave it there; a temporary one otherwise
    #[arg(long)]
    dir: Option<PathBuf>,
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
    let done = blobs::run(&Options {
        size: arguments.size,
        seed: arguments.seed,
        dir: arguments.dir,
        tls: !arguments.plain,
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
