//! `log scan`: personal data in somebody's log files. Needs no vault and no secret.
//!
//! Says where and of what kind, never what: whoever reads the answer needs no leave to read the log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use serde_json::{Value, json};
use vault_core::detect::{self, Certainty, Find, Kind};

use super::Context;
use crate::args::{LogCommand, LogScanArguments};
use crate::failure::{Exit, Failure};

/// Longest piece that is looked at as one line; longer lines are cut where a word ends.
const LINE_BYTES_MAX: usize = 1 << 20;
/// What such a piece leaves to the next: longer than anything that is looked for, which may go on behind it.
const REST_BYTES: usize = 1 << 10;
/// Findings that are listed; all are counted.
const LISTED_MAX: usize = 10_000;
/// How often the progress is told.
const TELL_EVERY_LINES: u64 = 8_192;

pub(super) fn run(context: &Context<'_>, command: &LogCommand) -> Result<(), Failure> {
    let LogCommand::Scan(arguments) = command;
    if arguments.redact {
        redact(context, arguments)
    } else {
        scan(context, arguments)
    }
}

/// What was found in all files.
#[derive(Default)]
struct Tally {
    lines: u64,
    bytes: u64,
    counts: BTreeMap<(Kind, Certainty), u64>,
    listed: Vec<Value>,
}

impl Tally {
    fn found(&self) -> u64 {
        self.counts.values().sum()
    }

    fn count(&mut self, finding: &Find) {
        *self
            .counts
            .entry((finding.kind, finding.certainty))
            .or_default() += 1;
    }

    fn summary(&self) -> Value {
        let counts = self.counts.iter().map(|((kind, certainty), count)| {
            json!({"kind": kind.name(), "certainty": word(*certainty), "count": count})
        });
        json!({
            "lines": self.lines,
            "bytes": self.bytes,
            "found": self.found(),
            "counts": counts.collect::<Vec<_>>(),
        })
    }
}

fn word(certainty: Certainty) -> &'static str {
    match certainty {
        Certainty::Possible => "possible",
        Certainty::Likely => "likely",
    }
}

fn scan(context: &Context<'_>, arguments: &LogScanArguments) -> Result<(), Failure> {
    let mut tally = Tally::default();
    for path in &arguments.files {
        each_line(context, path, &mut tally, |tally, number, line, _| {
            for finding in wanted(arguments, line) {
                tally.count(&finding);
                let column = finding.start + 1;
                let (kind, certainty) = (finding.kind.name(), word(finding.certainty));
                if !context.terminal.json() {
                    let place = format!("{}:{number}:{column}", path.display());
                    context.terminal.line(&match finding.certainty {
                        Certainty::Likely => format!("{place}: {kind}"),
                        Certainty::Possible => format!("{place}: {kind} ({certainty})"),
                    });
                } else if tally.listed.len() < LISTED_MAX {
                    tally.listed.push(json!({
                        "file": path.display().to_string(),
                        "line": number,
                        "column": column,
                        "bytes": finding.end - finding.start,
                        "kind": kind,
                        "certainty": certainty,
                    }));
                }
            }
            Ok(())
        })?;
    }
    let mut answer = tally.summary();
    let more = tally.found() - tally.listed.len() as u64;
    answer["findings"] = Value::Array(std::mem::take(&mut tally.listed));
    answer["not_listed"] = json!(more);
    let text = in_words(&tally);
    if context.terminal.json() {
        context.terminal.answer(&answer, |_| String::new());
    } else if tally.found() == 0 {
        context.terminal.note(&text);
    }
    match tally.found() {
        0 => Ok(()),
        _ => Err(Failure::new(
            Exit::Failed,
            "personal_data_found",
            format!("personal data was found: {text}"),
            "keep it out where it is written, or take it out: --redact writes the text without it",
        )),
    }
}

fn redact(context: &Context<'_>, arguments: &LogScanArguments) -> Result<(), Failure> {
    if context.terminal.json() {
        return Err(Failure::usage(
            "--redact writes the text itself, and --json an answer",
            "give one of the two",
        ));
    }
    let mut tally = Tally::default();
    let mut out = io::stdout().lock();
    for path in &arguments.files {
        each_line(context, path, &mut tally, |tally, _, line, ending| {
            let findings = wanted(arguments, line);
            findings.iter().for_each(|finding| tally.count(finding));
            let clean = detect::redact(line, &findings);
            out.write_all(&clean).and_then(|()| out.write_all(ending))
        })?;
    }
    let written = out.flush();
    written.map_err(|error| Failure::io("could not write the text", &error))?;
    context.terminal.note(&in_words(&tally));
    Ok(())
}

/// `2 card, 1 email in 120 lines`.
fn in_words(tally: &Tally) -> String {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for ((kind, _), count) in &tally.counts {
        *kinds.entry(kind.name()).or_default() += count;
    }
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(kind, n)| format!("{n} {kind}"))
        .collect();
    let what = match kinds.is_empty() {
        true => "nothing".to_owned(),
        false => kinds.join(", "),
    };
    format!("{what} in {} lines", tally.lines)
}

/// What was asked for of what is in a line.
fn wanted(arguments: &LogScanArguments, line: &[u8]) -> Vec<Find> {
    let mut found = detect::find(line);
    found.retain(|finding| {
        let kind = arguments.kinds.is_empty() || arguments.kinds.contains(&finding.kind);
        kind && (arguments.possible || finding.certainty == Certainty::Likely)
    });
    found
}

/// Every line of a file (`-` is standard input) with its number and its ending, cut where it is too long.
fn each_line(
    context: &Context<'_>,
    path: &Path,
    tally: &mut Tally,
    mut take: impl FnMut(&mut Tally, u64, &[u8], &[u8]) -> io::Result<()>,
) -> Result<(), Failure> {
    let unreadable =
        |error: &io::Error| Failure::io(format!("could not read {}", path.display()), error);
    let source: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(path).map_err(|error| unreadable(&error))?),
    };
    let mut source = BufReader::with_capacity(1 << 16, source);
    let step = context
        .terminal
        .step(&format!("reading {}", path.display()));
    let mut line = Vec::new();
    let mut number = 1;
    loop {
        let limit = (LINE_BYTES_MAX - line.len()) as u64;
        let read = source.by_ref().take(limit).read_until(b'\n', &mut line);
        let read = read.map_err(|error| unreadable(&error))?;
        if read == 0 && line.is_empty() {
            return Ok(());
        }
        tally.bytes += read as u64;
        let ended = line.last() == Some(&b'\n');
        // The last line of a file needs no end: whatever is shorter than was asked for is all that there is.
        let whole = ended || line.len() < LINE_BYTES_MAX;
        let until = if whole { line.len() } else { cut(&line) };
        let piece = &line[..until];
        let content = piece.strip_suffix(b"\n").unwrap_or(piece);
        let ending = &piece[content.len()..];
        take(tally, number, content, ending)
            .map_err(|error| Failure::io("could not write the text", &error))?;
        line.drain(..until);
        if whole {
            number += 1;
            tally.lines += 1;
            if tally.lines.is_multiple_of(TELL_EVERY_LINES) {
                step.say(format!("{}: {} lines", path.display(), tally.lines));
            }
        }
    }
}

/// Where a piece of a line that is too long ends: behind a word, and between nothing that is to be found and
/// the word before it, which may say what it is. The rest goes to the next piece.
fn cut(line: &[u8]) -> usize {
    let found = detect::find(line);
    let parts = |at: usize, reach: usize| {
        // In order, and none over another.
        let next = found.get(found.partition_point(|finding| finding.end <= at));
        next.is_some_and(|finding| finding.start.saturating_sub(reach) < at)
    };
    let room = line.len() - REST_BYTES;
    let behind_a_word = |at: &usize| line[at - 1].is_ascii_whitespace();
    let from_the_end = || (1..=room).rev();
    let apart = |at: &usize| !parts(*at, detect::WORD_REACH_BYTES);
    from_the_end()
        .filter(behind_a_word)
        .find(apart)
        // One word of a megabyte, or one find beside the other.
        .or_else(|| from_the_end().find(apart))
        .or_else(|| from_the_end().find(|at| !parts(*at, 0)))
        .unwrap_or(room)
}
