//! What a replay measured, and what went wrong.
//!
//! Knows kinds of calls and numbers of conversations, nothing of their content.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// An answer that was not the one that must come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The conversation's number in the file, from 1.
    pub number: usize,
    /// The kind of call.
    pub kind: &'static str,
}

/// How long calls took, by kind.
#[derive(Debug, Default)]
pub struct Timings(BTreeMap<&'static str, Vec<Duration>>);

/// The outcome.
#[derive(Debug)]
pub struct Report {
    /// How many were in the file.
    pub conversations: usize,
    /// How long all of it took.
    pub elapsed: Duration,
    /// Bytes of messages and slots that were stored.
    pub bytes_stored: u64,
    /// Disk space of the vault and its anchor before anybody was erased, where they are here.
    pub bytes_at_rest: Option<AtRest>,
    /// Of every kind of call.
    pub timings: Timings,
    /// Empty where all is well.
    pub mismatches: Vec<Mismatch>,
}

impl Timings {
    /// One call.
    pub(super) fn add(&mut self, kind: &'static str, took: Duration) {
        self.0.entry(kind).or_default().push(took);
    }

    /// Those of another thread.
    pub(super) fn merge(&mut self, other: Self) {
        for (kind, mut times) in other.0 {
            self.0.entry(kind).or_default().append(&mut times);
        }
    }

    /// One line a kind: count, calls a second over `elapsed`, median and 99th percentile.
    fn table(&self, elapsed: Duration) -> String {
        let mut text = format!(
            "{:<16}{:>9}{:>11}{:>10}{:>10}\n",
            "call", "count", "a second", "p50 ms", "p99 ms"
        );
        for (kind, times) in &self.0 {
            let mut times = times.clone();
            times.sort_unstable();
            text.push_str(&format!(
                "{kind:<16}{:>9}{:>11.1}{:>10.2}{:>10.2}\n",
                times.len(),
                times.len() as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE),
                milliseconds(percentile(&times, 50)),
                milliseconds(percentile(&times, 99)),
            ));
        }
        text
    }
}

/// The smallest of `sorted` that at least `percent` of them do not exceed (nearest rank).
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

/// Prints the table to standard output, mismatches to standard error.
pub fn print(report: &Report) {
    let mut text = format!(
        "{} conversations, {:.1} s\n\n{}",
        report.conversations,
        report.elapsed.as_secs_f64(),
        report.timings.table(report.elapsed)
    );
    if let Some(AtRest { length, disk }) = report.bytes_at_rest {
        let stored = report.bytes_stored;
        let ratio = disk as f64 / stored.max(1) as f64;
        text.push_str(&format!(
            "\n{disk} bytes of disk at rest for {stored} stored: {ratio:.2} a byte ({length} with \
             the room that the database keeps for growth)\n"
        ));
    }
    // A reader that went away is no mismatch.
    let _ = write!(std::io::stdout().lock(), "{text}");
    for mismatch in &report.mismatches {
        complain(&format!(
            "conversation {}: {} did not come out right",
            mismatch.number, mismatch.kind
        ));
    }
}

/// One line on standard error.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "error: {text}");
}

/// A bar on a terminal, every tenth as a line otherwise.
pub(super) fn progress(name: &str, done: usize, total: usize) {
    let mut err = std::io::stderr().lock();
    if err.is_terminal() {
        let full = 30 * done / total.max(1);
        let end = if done == total { "\n" } else { "" };
        let _ = write!(
            err,
            "\r{name:<6} [{}{}] {done}/{total}{end}",
            "#".repeat(full),
            " ".repeat(30 - full)
        );
    } else if done * 10 / total != (done - 1) * 10 / total {
        let _ = writeln!(err, "{name}: {done} of {total}");
    }
}

/// What files take.
#[derive(Clone, Copy, Debug, Default)]
pub struct AtRest {
    /// Their lengths, in bytes.
    pub length: u64,
    /// The space that the file system has given them, in bytes.
    pub disk: u64,
}

/// What all regular files take; what vanishes while we look counts nothing.
pub(super) fn bytes_under(roots: &[&Path]) -> AtRest {
    let mut waiting: Vec<_> = roots.iter().map(|root| root.to_path_buf()).collect();
    let mut bytes = AtRest::default();
    while let Some(path) = waiting.pop() {
        if let Ok(entries) = std::fs::read_dir(&path) {
            waiting.extend(entries.flatten().map(|entry| entry.path()));
        } else if let Ok(metadata) = std::fs::symlink_metadata(&path) {
            bytes.length += metadata.len();
            bytes.disk += metadata.blocks() * 512;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(100));
        assert_eq!(percentile(&times, 99), Duration::from_millis(198));
        assert_eq!(percentile(&times[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }

    #[test]
    fn the_table_counts_the_calls_of_all_threads() {
        let mut one = Timings::default();
        one.add("append", Duration::from_millis(2));
        let mut two = Timings::default();
        two.add("append", Duration::from_millis(4));
        one.merge(two);
        let table = one.table(Duration::from_secs(1));
        let line = table.lines().nth(1).unwrap();
        let cells: Vec<_> = line.split_whitespace().collect();
        assert_eq!(cells, ["append", "2", "2.0", "2.00", "4.00"]);
    }

    #[test]
    fn bytes_are_counted_through_directories() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("a")).unwrap();
        std::fs::write(directory.path().join("a/one"), [0; 10]).unwrap();
        std::fs::write(directory.path().join("two"), [0; 5]).unwrap();
        assert_eq!(bytes_under(&[directory.path()]).length, 15);
    }
}
