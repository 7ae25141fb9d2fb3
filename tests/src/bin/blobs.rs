//! Sends one large blob to a server in a process of its own and gets it back, whole and in ranges.
//!
//! `blobs [--size 256M] [--seed N] [--dir D]`. The bytes follow from the seed and are compared one
//! by one, so that nothing is held. Prints throughput, and by how much the server's memory grew
//! (`VmHWM`). Exits 1 if anything differs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use vault_tests::blobs::{self, Options};
use vault_tests::replay::complain;

/// Sends one large blob to a server and gets it back.
#[derive(Parser)]
struct Arguments {
    /// Bytes of content, with K, M or G for powers of 1024
    #[arg(long, default_value = "256M", value_parser = blobs::size)]
    size: u64,
    /// What the bytes follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the vault here; a temporary directory otherwise
    #[arg(long)]
    dir: Option<PathBuf>,
    /// What the other process does: serves until its input ends
    #[arg(long, hide = true)]
    serve: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.serve {
        blobs::serve(arguments.dir)
    } else {
        blobs::run(&Options {
            size: arguments.size,
            seed: arguments.seed,
            dir: arguments.dir,
        })
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
