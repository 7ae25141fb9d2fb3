//! How fast lines of logs are taken, and how well they are looked through: `logs [--lines 20000] [FILE…]`.
//!
//! Sends the same lines to a stream that redacts and to one that keeps them whole, in calls of a thousand, in this
//! process and without HTTP, and prints lines and bytes a second of both, and their ratio: what looking costs.
//! Then precision and recall over the labelled lines of the repository. Of each FILE it tells how many lines have
//! something in them by kind, and nothing of what: for texts of which one knows that nobody is in them, these are
//! false alarms.

#![expect(clippy::print_stdout, reason = "the figures are for whoever runs this")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use vault_core::clock::SystemClock;
use vault_core::detect::{self, Certainty};
use vault_core::limits::LOG_LINES_MAX;
use vault_core::vault::{Call, LockedVault, Passphrase, Settings, VaultPaths};

/// Measures how lines of logs are taken.
#[derive(Parser)]
struct Arguments {
    /// Lines for each stream
    #[arg(long, default_value_t = 20_000)]
    lines: usize,
    /// Files of lines to be looked through
    files: Vec<PathBuf>,
}

const POLICY: &str = r#"
[controller]
name = "Invented Shop"
contact = "privacy@example.test"
languages = ["en"]

[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }

[collections.profile]
kind = "single"
[collections.profile.fields]
name = { type = "name", purposes = ["support"], lookup = true }
number = { type = "identifier", purposes = ["support"], lookup = true }

[logs.whole]
mode = "encrypt"
retention = "P1D"
purpose = "support"
readers = ["dpo"]

[logs.shapes]
mode = "redact"
retention = "P1D"
known_values = false

[logs.all]
mode = "redact"
retention = "P1D"

[roles.program]
may = ["logs.write"]
"#;

/// Lines made with right check digits, each with the kinds that are in it.
const LABELLED: &str = include_str!("../../../vault-core/src/detect/labelled.txt");

/// Lines as a bot's server writes them: one in eight with somebody in it.
fn line(number: usize) -> Vec<u8> {
    let common = format!(
        r#""time":"2027-01-15T08:00:{:02}.{:03}Z","level":"info","request":"req-{number:08}""#,
        number % 60,
        number % 1_000
    );
    let rest = match number % 8 {
        0 => format!(r#""message":"mail to guest{number}@example.test failed""#),
        1 => format!(
            r#""path":"/orders/K-{number}","status":200,"milliseconds":{}"#,
            number % 90
        ),
        2 => r#""message":"Anna Bakker asked for her booking""#.to_owned(),
        _ => {
            r#""message":"turn answered from the catalogue","intent":"opening_hours","score":0.93"#
                .to_owned()
        }
    };
    format!("{{{common},{rest}}}").into_bytes()
}

type Done = Result<(), Box<dyn std::error::Error>>;

fn throughput(lines: usize) -> Done {
    let home = tempfile::tempdir()?;
    let settings = Settings {
        accept_any_file_system: true,
        ..Settings::new(Arc::new(SystemClock))
    };
    let paths = VaultPaths::beside(&home.path().join("v"));
    let passphrase = Passphrase::new("correct horse battery".into())?;
    let created = LockedVault::create(&paths, settings, &passphrase, POLICY)?;
    let vault = created.vault;
    let keyholder = vault.keyholder();
    let (_, secret) = vault.create_token(&Call::new(&keyholder), "program", None)?;
    let program = vault.authenticate(&secret)?;
    let all: Vec<Vec<u8>> = (0..lines).map(line).collect();
    let bytes: usize = all.iter().map(Vec::len).sum();
    let mut rates = Vec::new();
    for stream in ["whole", "shapes", "all"] {
        let begun = Instant::now();
        for part in all.chunks(LOG_LINES_MAX) {
            vault.write_log(&Call::new(&program), stream, part)?;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let rate = bytes as f64 / seconds / 1e6;
        rates.push(rate);
        let each = lines as f64 / seconds;
        println!("{stream:<8} {each:>10.0} lines/s {rate:>8.2} MB/s");
    }
    println!(
        "looking costs: by shapes {:.1} times, with known values {:.1} times what storing whole takes",
        rates[0] / rates[1],
        rates[0] / rates[2]
    );
    vault.close();
    Ok(())
}

fn labelled() {
    let (mut right, mut missed, mut wrong) = (0_u32, 0_usize, 0_u32);
    let lines = LABELLED.lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some((kinds, text)) = line.split_once('|') else {
            continue;
        };
        let mut expected: Vec<&str> = kinds.split(',').filter(|kind| *kind != "-").collect();
        for find in detect::find(text.as_bytes()) {
            if find.certainty != Certainty::Likely {
                continue;
            }
            match expected.iter().position(|kind| *kind == find.kind.name()) {
                Some(place) => {
                    expected.swap_remove(place);
                    right += 1;
                }
                None => wrong += 1,
            }
        }
        missed += expected.len();
    }
    let (right, missed, wrong) = (f64::from(right), missed as f64, f64::from(wrong));
    println!(
        "labelled lines: precision {:.3}, recall {:.3}",
        right / (right + wrong),
        right / (right + missed)
    );
}

fn file(path: &PathBuf) -> Done {
    let (mut lines, mut with) = (0_u64, 0_u64);
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        lines += 1;
        let mut any = false;
        for find in detect::find(&line?) {
            if find.certainty == Certainty::Likely {
                any = true;
                *kinds.entry(find.kind.name()).or_default() += 1;
            }
        }
        with += u64::from(any);
    }
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(kind, n)| format!("{n} {kind}"))
        .collect();
    let kinds = kinds.join(", ");
    println!(
        "{}: {with} of {lines} lines have something: {kinds}",
        path.display()
    );
    Ok(())
}

fn main() -> Done {
    let arguments = Arguments::parse();
    throughput(arguments.lines)?;
    labelled();
    arguments.files.iter().try_for_each(file)
}
