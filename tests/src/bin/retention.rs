//! What no purpose needs any more goes, at size: `retention --people 100000`.
//!
//! Fills a vault in a temporary directory, of whose people one in ten has three values that end, lets the
//! sweeper go over it in a process of its own that is killed again and again, and compares everybody. Ends
//! with 101 at the first failure. Up to 250 people the forensic reader goes over the files, before and after.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the figures are for whoever runs this"
)]

use std::path::PathBuf;

use clap::Parser;
use vault_tests::expiry::{play, step};

/// Ends what one person in ten has, under kill -9.
#[derive(Parser)]
struct Arguments {
    /// How many people
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    people: u32,
    /// How often the process is killed
    #[arg(long, default_value_t = 10)]
    kills: usize,
    /// An existing directory with room for it; the system's temporary one without it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Whether this program is its own child
    #[arg(long, hide = true, requires = "root")]
    step: bool,
    /// Where
    #[arg(long, hide = true)]
    root: Option<PathBuf>,
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    if let (true, Some(root)) = (arguments.step, &arguments.root) {
        step(root, &|pass| println!("pass {pass}"));
        return Ok(());
    }
    let home = match &arguments.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let program = std::env::current_exe()?;
    let begun = std::time::Instant::now();
    let tell = |what: &str| eprintln!("{:>7.1} s  {what}", begun.elapsed().as_secs_f64());
    let (people, kills) = (arguments.people as usize, arguments.kills);
    print!("{}", play(people, kills, &program, home.path(), &tell));
    Ok(())
}
