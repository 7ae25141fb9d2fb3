//! What finding the scope of a breach costs, and that it finds exactly whom the key met.
//!
//! `breach --people 10000 --days 7`: a vault in a temporary directory; each day a leaked key reads every
//! second person and another key all of them. The scope is found over all days, over the last, and of
//! files, and held to what was read. Ends with 101 at the first difference.

#![expect(clippy::print_stdout, reason = "the figures are for whoever runs this")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use jiff::Timestamp;
use serde_json::json;
use vault_core::breach::BreachReport;
use vault_core::clock::{Clock as _, ManualClock};
use vault_core::id::SubjectId;
use vault_core::vault::{
    BreachInput, BreachVector, Call, LockedVault, Passphrase, Principal, ReadOptions, Settings,
    Vault, VaultPaths,
};

const POLICY: &str = r#"
[controller]
name = "Invented Ferries"
contact = "privacy@ferries.example.test"
[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
[collections.profile]
kind = "single"
[collections.profile.fields]
name = { type = "name", purposes = ["support"] }
[roles.bot]
purposes = ["support"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create"]
"#;
const PASSPHRASE: &str = "correct horse battery";
const DAY: i64 = 24 * 3_600_000;
const THREADS: usize = 64;

/// Times finding the scope of a breach.
#[derive(Parser)]
struct Arguments {
    /// How many people
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    people: u32,
    /// On how many days the key read
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=300))]
    days: u32,
}

fn call(principal: &Principal) -> Call<'_> {
    Call::new(principal).with_purpose("support")
}

/// Threads share commits; one alone would wait for the disk each time.
fn fill(vault: &Vault, bot: &Principal, people: u32) -> Vec<SubjectId> {
    std::thread::scope(|scope| {
        let threads = (0..THREADS).map(|thread| {
            scope.spawn(move || {
                let mine = (0..people).skip(thread).step_by(THREADS);
                let made = mine.map(|number| {
                    let user = format!("user{number}");
                    let made = vault.create_subject(&call(bot), "bench", &user);
                    let (subject, _) = made.expect("made");
                    let body = json!({"name": format!("Person {number}")});
                    let body = body.as_object().expect("an object").clone();
                    vault
                        .patch_single(&call(bot), subject, "profile", body, None)
                        .expect("written");
                    subject
                });
                made.collect::<Vec<_>>()
            })
        });
        let threads: Vec<_> = threads.collect();
        let made = threads
            .into_iter()
            .map(|thread| thread.join().expect("ends"));
        made.flatten().collect()
    })
}

fn read(vault: &Vault, by: &Principal, subjects: &[SubjectId]) {
    for subject in subjects {
        let options = ReadOptions::default();
        let seen = vault.read_single(&call(by), *subject, "profile", &options, |view, _| {
            view.map_or(0, |view| view.fields.len())
        });
        assert_eq!(seen.expect("reads"), 1);
    }
}

fn scope(
    vault: &Vault,
    vector: BreachVector,
    from: Option<Timestamp>,
) -> (BreachReport, BTreeSet<SubjectId>) {
    let keyholder = vault.keyholder();
    let input = BreachInput {
        vector,
        from,
        to: None,
    };
    let begun = Instant::now();
    let mut scope = vault
        .begin_breach_scope(&Call::new(&keyholder), &input)
        .expect("begins");
    let (mut people, mut steps) = (Vec::new(), 0);
    loop {
        steps += 1;
        if !vault.breach_step(&mut scope, &mut people).expect("goes on") {
            break;
        }
    }
    let report = scope.report();
    println!(
        "{:>8} people and {} entries of the log: {} affected, {:.2} s in {steps} steps",
        scope.progress().1,
        report.log_size,
        report.people,
        begun.elapsed().as_secs_f64()
    );
    let found: BTreeSet<SubjectId> = people.iter().map(|one| one.subject).collect();
    assert_eq!(found.len() as u64, report.people, "nobody counts twice");
    (report, found)
}

fn main() {
    let arguments = Arguments::parse();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let paths = VaultPaths::beside(&dir.path().join("v"));
    let start = Timestamp::from_second(1_800_000_000).expect("in range");
    let clock = Arc::new(ManualClock::at(start));
    let settings = Settings {
        accept_any_file_system: true,
        ..Settings::new(clock.clone())
    };
    let passphrase = Passphrase::new(PASSPHRASE.into()).expect("long enough");
    let created = LockedVault::create(&paths, settings, &passphrase, POLICY).expect("created");
    let vault = created.vault;
    let keyholder = vault.keyholder();
    let key = || {
        let made = vault.create_token(&Call::new(&keyholder), "bot", None);
        let (token, secret) = made.expect("made");
        (token.token, vault.authenticate(&secret).expect("known"))
    };
    let ((leaked, thief), (_, bot)) = (key(), key());
    let subjects = fill(&vault, &bot, arguments.people);
    let half: Vec<SubjectId> = subjects.iter().copied().step_by(2).collect();
    let mut last_day = clock.now();
    for day in 0..arguments.days {
        clock.advance(DAY);
        last_day = clock.now();
        read(&vault, &thief, &half);
        read(&vault, &bot, &subjects);
        println!("day {} is read", day + 1);
    }
    let expected: BTreeSet<SubjectId> = half.iter().copied().collect();
    let (all, found) = scope(&vault, BreachVector::ApiKey(leaked), None);
    assert!(found == expected, "exactly whom the key met");
    assert_eq!(all.reads, u64::from(arguments.days) * half.len() as u64);
    assert_eq!(all.not_resolvable, 0);
    let (last, found) = scope(&vault, BreachVector::ApiKey(leaked), Some(last_day));
    assert!(found == expected && last.reads == half.len() as u64);
    let (files, _) = scope(&vault, BreachVector::Files, None);
    assert_eq!(files.people, u64::from(arguments.people));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!("{}", peak.unwrap_or("VmHWM is not known"));
    vault.close();
}
