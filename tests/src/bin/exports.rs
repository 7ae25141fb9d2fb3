//! Makes every form of the package of somebody who has a great deal, and measures the memory it takes.
//!
//! `exports [--messages 50000] [--blob 256M] [--dir D]`. The person is made by a process of its own, so
//! that nothing of that is counted. Prints bytes, time, and what was added to the process at most (by the
//! kernel's count) for each form; exits 1 if a package is not whole or took more than 64 MiB.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Parser;
use vault_tests::exports::{self, Plan};
use vault_tests::replay::complain;

/// Makes the packages of somebody who has a great deal.
#[derive(Parser)]
struct Arguments {
    /// How many messages
    #[arg(long, default_value_t = 50_000)]
    messages: usize,
    /// Bytes of one blob, with K, M or G for powers of 1024
    #[arg(long, default_value = "256M", value_parser = vault_tests::blobs::size)]
    blob: u64,
    /// Make the vault below this directory; a temporary one otherwise
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Only make the person (for this program itself)
    #[arg(long, hide = true)]
    fill: bool,
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let plan = Plan {
        messages: arguments.messages,
        blob: arguments.blob,
    };
    let mut out = std::io::stdout().lock();
    if let (true, Some(dir)) = (arguments.fill, &arguments.dir) {
        writeln!(out, "{}", exports::fill(dir, plan)?)?;
        return Ok(());
    }
    let home = tempfile::tempdir()?;
    let dir = arguments
        .dir
        .clone()
        .unwrap_or_else(|| home.path().to_owned());
    let filled = Command::new(std::env::current_exe()?)
        .args(["--fill", "--messages", &plan.messages.to_string()])
        .args(["--blob", &plan.blob.to_string(), "--dir"])
        .arg(&dir)
        .output()?;
    if !filled.status.success() {
        return Err(String::from_utf8_lossy(&filled.stderr).into());
    }
    let told = String::from_utf8(filled.stdout)?;
    writeln!(
        out,
        "{} messages and a blob of {} bytes",
        plan.messages, plan.blob
    )?;
    for line in exports::run(&dir, told.trim(), plan)? {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
