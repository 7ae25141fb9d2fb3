//! What the page cache is worth: single reads of random people under several sizes of it.
//!
//! `cache --people N`: a vault in a temporary directory, N people with one record each, opened anew
//! for each size, the sizes taking turns. In process, so that HTTP hides nothing. The file stays in
//! the system's cache, as on a machine that serves a vault and little else.

#![expect(clippy::print_stdout, reason = "the figures are for whoever runs this")]

use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use serde_json::json;
use vault_core::clock::SystemClock;
use vault_core::entropy::{Entropy, OsEntropy, SeededEntropy};
use vault_core::id::{CallId, SubjectId};
use vault_core::vault::{
    Call, LockedVault, Passphrase, Principal, ReadOptions, Settings, UnlockSecret, VaultPaths,
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
const SIZES_MIB: [usize; 4] = [4, 16, 64, 256];
const ROUNDS: usize = 5;
const READS: usize = 5_000;

/// Times single reads under several sizes of the page cache.
#[derive(Parser)]
struct Arguments {
    /// How many people
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    people: u32,
}

fn settings(cache_bytes: usize) -> Settings {
    Settings {
        accept_any_file_system: true,
        cache_bytes,
        ..Settings::new(Arc::new(SystemClock))
    }
}

fn call(principal: &Principal) -> Call<'_> {
    Call {
        principal,
        purpose: Some("support"),
        restricted_use: None,
        id: CallId::generate(&mut OsEntropy),
    }
}

fn fill(paths: &VaultPaths, people: u32) -> (String, Vec<SubjectId>) {
    let passphrase = Passphrase::new(PASSPHRASE.into()).expect("long enough");
    let created =
        LockedVault::create(paths, settings(256 << 20), &passphrase, POLICY).expect("created");
    let vault = created.vault;
    let keyholder = vault.keyholder();
    let (_, token) = vault
        .create_token(&call(&keyholder), "bot", None)
        .expect("made");
    let bot = vault.authenticate(&token).expect("known");
    // Threads share commits; one alone would wait for the disk each time.
    let subjects = std::thread::scope(|scope| {
        let threads = (0..64).map(|thread| {
            let (vault, bot) = (&vault, &bot);
            scope.spawn(move || {
                let mine = (thread..people).step_by(64);
                let made = mine.map(|number| {
                    let user = format!("user{number}");
                    let made = vault.create_subject(&call(bot), "bench", &user);
                    let (subject, _) = made.expect("made");
                    let body = json!({"name": format!("Person {number:>60}")});
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
    });
    vault.close();
    (token, subjects)
}

/// Microseconds a read, after as many reads that warm the cache.
fn round(paths: &VaultPaths, cache_bytes: usize, token: &str, subjects: &[SubjectId]) -> f64 {
    let locked = LockedVault::open(paths, settings(cache_bytes)).expect("opens");
    let passphrase = Passphrase::new(PASSPHRASE.into()).expect("long enough");
    let vault = locked
        .unlock(&UnlockSecret::Passphrase(passphrase))
        .expect("opens");
    let bot = vault.authenticate(token).expect("known");
    let mut entropy = SeededEntropy::new(7);
    let mut read = || {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        let at = u64::from_le_bytes(bytes) % subjects.len() as u64;
        let subject = subjects[usize::try_from(at).expect("an index")];
        let seen = vault.read_single(
            &call(&bot),
            subject,
            "profile",
            &ReadOptions::default(),
            |view, _| view.map_or(0, |view| view.fields.len()),
        );
        assert_eq!(seen.expect("reads"), 1);
    };
    (0..READS).for_each(|_| read());
    let begun = Instant::now();
    (0..READS).for_each(|_| read());
    let each = begun.elapsed().as_secs_f64() * 1e6 / READS as f64;
    vault.close();
    each
}

fn main() {
    let arguments = Arguments::parse();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let paths = VaultPaths::beside(&dir.path().join("v"));
    let (token, subjects) = fill(&paths, arguments.people);
    let database = std::fs::metadata(paths.dir.join("vault.redb")).expect("there");
    println!(
        "{} people, a database of {} MiB; {READS} reads of random people a round, µs each",
        subjects.len(),
        database.len() >> 20
    );
    let mut times = [(); SIZES_MIB.len()].map(|()| Vec::new());
    for _ in 0..ROUNDS {
        for (times, mib) in times.iter_mut().zip(SIZES_MIB) {
            times.push(round(&paths, mib << 20, &token, &subjects));
        }
    }
    for (times, mib) in times.iter_mut().zip(SIZES_MIB) {
        times.sort_by(f64::total_cmp);
        let (least, most) = (times[0], times[ROUNDS - 1]);
        let median = times[ROUNDS / 2];
        println!("cache of {mib:>3} MiB: median {median:.1}, from {least:.1} to {most:.1}");
    }
}
