//! Backups at size: `backup --people 100000`.
//!
//! Fills a vault in a temporary directory, backs it up while it is written, erases one person in a hundred,
//! restores the older backup, compares everybody, makes new keys; then makes a backup and restores again in
//! processes of their own, with nothing else to do. Prints what each took beside the cipher alone over the
//! same bytes in the same run, and the peak of memory. Ends with 101 at the first failure. Up to 250 people
//! the forensic reader goes over the restored files and both data parts.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the figures are for whoever runs this"
)]

use std::path::PathBuf;

use clap::Parser;
use vault_tests::backups::{Scale, play, step};

/// Backs a vault up while it is written, and brings it back without those who were erased since.
#[derive(Parser)]
struct Arguments {
    /// How many people
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    people: u32,
    /// So many letters more in each of a person's three messages
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    letters: u32,
    /// How often backup and restore are measured alone
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// An existing directory with room for it; the system's temporary one without it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// What this program tells itself to do
    #[arg(long, hide = true, requires = "root")]
    step: Option<String>,
    /// Where
    #[arg(long, hide = true)]
    root: Option<PathBuf>,
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    if let (Some(which), Some(root)) = (&arguments.step, &arguments.root) {
        println!("{}", step(which, root));
        return Ok(());
    }
    let home = match &arguments.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let program = std::env::current_exe()?;
    let begun = std::time::Instant::now();
    let tell = |what: &str| eprintln!("{:>7.1} s  {what}", begun.elapsed().as_secs_f64());
    let scale = Scale {
        people: arguments.people as usize,
        letters: arguments.letters as usize,
        alone: Some((&program, arguments.rounds)),
    };
    let report = play(scale, home.path(), &tell);
    print!("{report}");
    Ok(())
}
