//! Reads a vault's files as somebody would who has every byte of them and an unlock secret, and
//! looks for a list of things that must not be found.
//!
//! `forensic DIR --list FILE`: one thing a line, see `--help`. It shares no code with the vault: what it
//! knows of it stands in docs/format.md. It changes nothing and sends nothing.
//!
//! Exit codes: 0 nothing of the list is found · 1 failed, or something of `--must-find` is not found, so
//! that the rest proves nothing · 2 usage · 3 the secret opens no slot · 5 something is found.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use vault_tests::forensic::files::Image;
use vault_tests::forensic::list::{Item, ItemError};
use vault_tests::forensic::search::{Evidence, How, NoSlotOpens, Report, search};
use vault_tests::forensic::unlock::Secret;

/// Looks in a vault's files, with an unlock secret, for things that must not be found.
#[derive(Parser)]
struct Arguments {
    /// The vault's directory
    dir: PathBuf,
    /// The anchor's directory; DIR-anchor unless told
    #[arg(long, value_name = "DIR")]
    anchor: Option<PathBuf>,
    /// A file with a passphrase of a key slot
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "recovery_key_file"
    )]
    passphrase_file: Option<PathBuf>,
    /// A file with a recovery key
    #[arg(long, value_name = "FILE")]
    recovery_key_file: Option<PathBuf>,
    /// What must not be found, one a line: a value, channel:CHANNEL/USER or subject:ID
    #[arg(long, value_name = "FILE")]
    list: PathBuf,
    /// What must be found, as what is there now: without it nobody knows whether the reader reads
    #[arg(long, value_name = "FILE")]
    must_find: Option<PathBuf>,
    /// A copy of the database file from another moment; may be given again
    #[arg(long, value_name = "FILE")]
    copy: Vec<PathBuf>,
    /// A copy of the anchor file from another moment; may be given again
    #[arg(long, value_name = "FILE")]
    anchor_copy: Vec<PathBuf>,
    /// A copy of the slots file from another moment; may be given again
    #[arg(long, value_name = "FILE")]
    slots_copy: Vec<PathBuf>,
    /// Longest value that is looked for, in bytes
    #[arg(long, default_value_t = 8 << 10, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    longest: u32,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0} cannot be read: {1}")]
    File(PathBuf, io::Error),
    #[error("the vault's files cannot be read: {0}")]
    Files(io::Error),
    #[error("line {1} of {0} cannot be looked for: {2}")]
    Line(PathBuf, usize, ItemError),
    #[error(transparent)]
    NoSlotOpens(#[from] NoSlotOpens),
    #[error("{0} holds no recovery key")]
    RecoveryKey(PathBuf),
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::File(path.to_owned(), error))
}

fn text(path: &Path) -> Result<String, Failure> {
    let bytes = read(path)?;
    let invalid = |_| Failure::File(path.to_owned(), io::ErrorKind::InvalidData.into());
    String::from_utf8(bytes).map_err(invalid)
}

fn items(path: &Path) -> Result<Vec<Item>, Failure> {
    let text = text(path)?;
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty());
    let item = |(number, line): (usize, &str)| {
        Item::parse(line).map_err(|error| Failure::Line(path.to_owned(), number + 1, error))
    };
    lines.map(item).collect()
}

fn secrets(arguments: &Arguments) -> Result<Vec<Secret>, Failure> {
    let mut secrets = Vec::new();
    if let Some(path) = &arguments.passphrase_file {
        let line = text(path)?;
        secrets.push(Secret::Passphrase(
            line.trim_end_matches(['\r', '\n']).to_owned(),
        ));
    }
    if let Some(path) = &arguments.recovery_key_file {
        let key = Secret::recovery_key(&text(path)?);
        secrets.push(key.ok_or_else(|| Failure::RecoveryKey(path.clone()))?);
    }
    Ok(secrets)
}

fn all(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, Failure> {
    paths.iter().map(|path| read(path)).collect()
}

fn run(arguments: &Arguments) -> Result<(Report, usize), Failure> {
    let anchor = arguments.anchor.clone().unwrap_or_else(|| {
        let mut name = arguments.dir.as_os_str().to_owned();
        name.push("-anchor");
        name.into()
    });
    let secrets = secrets(arguments)?;
    let mut list = items(&arguments.list)?;
    let unwanted = list.len();
    if let Some(path) = &arguments.must_find {
        list.extend(items(path)?);
    }
    let image = Image::read(&arguments.dir, &anchor).map_err(Failure::Files)?;
    let copies = all(&arguments.copy)?;
    let (anchors, slots) = (all(&arguments.anchor_copy)?, all(&arguments.slots_copy)?);
    let mut evidence = Evidence::of(&[&image]);
    let files = copies.iter().chain(&anchors).chain(&slots);
    evidence.files.extend(files.map(Vec::as_slice));
    evidence.anchors.extend(anchors.iter().map(Vec::as_slice));
    evidence.slots.extend(slots.iter().map(Vec::as_slice));
    evidence.longest = arguments.longest as usize;
    let begun = Instant::now();
    let said = std::cell::Cell::new(begun);
    let tell = |what: &str, done: usize, of: usize| {
        if said.get().elapsed() > Duration::from_secs(2) {
            said.set(Instant::now());
            let seconds = begun.elapsed().as_secs();
            // Progress that nobody can be told is no failure.
            let _ = writeln!(io::stderr(), "{seconds:>5} s  {what}: {done} of {of}");
        }
    };
    Ok((search(&evidence, &secrets, &list, &tell)?, unwanted))
}

fn how(how: How) -> &'static str {
    match how {
        How::Plain => "stands in a file as it is",
        How::Value => "an envelope that opens holds it",
        How::Unauthenticated => "a key makes it of the bytes at some offset",
        How::Position => "an entry of the index stands at its place",
        How::Trace => "what can be computed of it is there",
        How::Person => "a person with this id is there",
    }
}

fn say(report: &Report, unwanted: usize) -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    writeln!(out, "{report}")?;
    for item in &report.tombstones {
        writeln!(
            out,
            "line {}: its tombstone is there, which whoever has the id may know",
            item + 1
        )?;
    }
    let mut found = 0;
    // Never the thing itself: this may be kept.
    for (item, ways) in report.found.range(..unwanted) {
        found += 1;
        for way in ways {
            writeln!(out, "item {} of the list: {}", item + 1, how(*way))?;
        }
    }
    let missing: Vec<usize> = (unwanted..report.items)
        .filter(|item| !report.found.contains_key(item))
        .map(|item| item - unwanted + 1)
        .collect();
    writeln!(
        out,
        "of {unwanted} things that must not be found, found: {found}; of {} that must be, not found: {}",
        report.items - unwanted,
        missing.len()
    )?;
    if found > 0 {
        return Ok(ExitCode::from(5));
    }
    if !missing.is_empty() {
        writeln!(out, "not found, so that this proves nothing: {missing:?}")?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    let outcome = run(&Arguments::parse());
    let (report, unwanted) = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            let _ = writeln!(io::stderr(), "forensic: {error}");
            return ExitCode::from(match error {
                Failure::NoSlotOpens(_) => 3,
                Failure::Line(..) => 2,
                _ => 1,
            });
        }
    };
    say(&report, unwanted).unwrap_or(ExitCode::FAILURE)
}
