//! docs/operations.md, first day to disaster day: its commands are run in the order in which they stand.
//!
//! Counts as failure: a command that does not work as it is written, and one that no test runs. What `doctor`
//! finds of the machine of the test does not.

mod support;

use support::document::{lines_of, page, shell};
use support::{Bench, PASSPHRASE};
use vault_core::medium::keeps_old_bytes;

/// Sections whose commands need people, prompts or a second machine, and the tests that run them: the first with
/// files of its own, the others line by line as they stand.
const ELSEWHERE: [(&str, &str); 13] = [
    ("A personal data breach", "breach.rs"),
    ("Personal data in other logs", "log_scan.rs"),
    ("A person asks for their data", "guide.rs"),
    ("Legal holds", "holds.rs"),
    ("Requests", "requests.rs"),
    ("Decisions about people", "decisions.rs"),
    ("Import", "guide.rs"),
    ("Slots", "guide.rs"),
    ("Rotation", "guide.rs"),
    ("Backups", "backup.rs"),
    ("Backups in an object store", "../../tests/objects/run"),
    ("Backups by the server", "backup_served.rs"),
    ("The machine or its anchor is gone", "backup.rs"),
];

/// The names of this test in the place of the page's.
fn filled(line: &str, accept: bool) -> String {
    let line = line.replace("/srv/vault", "v").replace("/etc/vault/", "");
    match accept && line.contains(" init ") {
        true => line.replace(" init ", " init --accept-file-system "),
        false => line,
    }
}

#[test]
fn the_commands_of_the_guide_work_as_they_are_written() {
    let bench = Bench::new();
    bench.file("pass", PASSPHRASE, 0o600);
    support::sample(bench.root.path());
    let accept = keeps_old_bytes(bench.root.path()).unwrap().is_some();
    let lines = lines_of(&page(), "```sh run");
    assert!(lines.len() >= 15, "{lines:?}");
    let mut said = String::new();
    for line in lines {
        let line = filled(&line, accept);
        let outcome = shell(bench.root.path(), &line);
        let may_find = line.contains(" doctor") && outcome.code == 1;
        assert!(
            outcome.code == 0 || may_find,
            "{line}: {}{}",
            outcome.out,
            outcome.err
        );
        for text in [&outcome.out, &outcome.err] {
            assert!(!text.contains(PASSPHRASE), "{line}");
        }
        said.push_str(&outcome.out);
    }
    // What they are there for was done and said.
    for word in [
        "opens slot 1",
        "version 2 is in force",
        "Art. 13(1)",
        "the log is whole",
        "support-bot",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    for file in ["vault.key", "bot.token", "kept.checkpoint"] {
        assert!(bench.path(file).metadata().unwrap().len() > 20, "{file}");
    }
}

#[test]
fn no_command_of_the_guide_stands_where_no_test_runs_it() {
    let page = page();
    let run: Vec<String> = ["```sh run", "```sh run leaked-key"]
        .iter()
        .flat_map(|opening| lines_of(&page, opening))
        .collect();
    let mut section = "";
    for line in page.lines() {
        section = line.strip_prefix("## ").unwrap_or(section);
        let line = line.trim();
        if ELSEWHERE.iter().any(|(name, _)| *name == section) {
            continue;
        }
        if line.starts_with("vault-cli ") {
            assert!(run.iter().any(|known| known == line), "nobody runs: {line}");
        }
    }
    for (name, test) in ELSEWHERE {
        assert!(page.contains(&format!("## {name}\n")), "no section {name}");
        let test = format!("{}/tests/{test}", env!("CARGO_MANIFEST_DIR"));
        assert!(std::path::Path::new(&test).exists(), "{test}");
    }
    // Others' blocks are run by tests of their own, which name them.
    for opening in page.lines().filter(|line| line.starts_with("```sh")) {
        assert!(opening.starts_with("```sh run"), "{opening}");
    }
}
