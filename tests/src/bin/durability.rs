//! What `audit.durability` costs a read, in process: reads a second with an entry that survives the
//! process (`batched`) beside one that survives a power loss (`power-safe`), by readers at a time.
//!
//! Two vaults of the same people on the same disk, a round on the one, then on the other, so that a
//! noisy machine meets both. Compare within one run: the ratio says something, the rates belong to
//! the machine.

#![expect(clippy::print_stdout, reason = "the figures are for whoever runs this")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use vault_core::clock::SystemClock;
use vault_core::entropy::OsEntropy;
use vault_core::id::{CallId, SubjectId};
use vault_core::vault::{
    AuditDurability, Call, LockedVault, Passphrase, Principal, ReadOptions, Settings, Vault,
    VaultPaths,
};

const PEOPLE: u32 = 1000;
const READERS: [usize; 4] = [1, 8, 32, 64];

/// Measures what a read costs with each durability of its entry.
#[derive(Parser)]
struct Arguments {
    /// Rounds on each vault, for each number of readers
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Length of a round
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
}

fn call(principal: &Principal) -> Call<'_> {
    Call {
        principal,
        purpose: Some("support"),
        restricted_use: None,
        id: CallId::generate(&mut OsEntropy),
    }
}

struct Bench {
    vault: Arc<Vault>,
    bot: Principal,
    people: Vec<SubjectId>,
}

impl Bench {
    fn open(home: &Path, name: &str, audit_durability: AuditDurability) -> Self {
        let settings = Settings {
            accept_any_file_system: true,
            audit_durability,
            ..Settings::new(Arc::new(SystemClock))
        };
        let passphrase = Passphrase::new("correct horse battery".into()).expect("long enough");
        let paths = VaultPaths::beside(&home.join(name));
        let created =
            LockedVault::create(&paths, settings, &passphrase, vault_core::policy::SAMPLE);
        let vault = created.expect("created").vault;
        let (_, key) = vault
            .create_token(&Call::new(&vault.keyholder()), "bot", None)
            .expect("a key");
        let bot = vault.authenticate(&key).expect("is good");
        let people = (0..PEOPLE).map(|number| {
            let user = format!("user{number}");
            let (subject, _) = vault
                .create_subject(&call(&bot), "bench", &user)
                .expect("made");
            let told = serde_json::json!({"name": "Ann Example"});
            let told = told.as_object().expect("an object").clone();
            vault
                .patch_single(&call(&bot), subject, "profile", told, None)
                .expect("written");
            subject
        });
        let people = people.collect();
        Self { vault, bot, people }
    }

    /// Reads a second, by so many readers for so long.
    fn round(&self, readers: usize, time: Duration) -> f64 {
        let (over, reads) = (AtomicBool::new(false), AtomicU64::new(0));
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for reader in 0..readers {
                let (over, reads) = (&over, &reads);
                scope.spawn(move || {
                    let people = self.people.iter().cycle().skip(reader * 31);
                    for subject in people {
                        if over.load(Ordering::Relaxed) {
                            break;
                        }
                        let options = ReadOptions::default();
                        let read = self.vault.read_single(
                            &call(&self.bot),
                            *subject,
                            "profile",
                            &options,
                            |record, _| {
                                assert!(record.is_some(), "it was written");
                            },
                        );
                        read.expect("read");
                        reads.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            std::thread::sleep(time);
            over.store(true, Ordering::Relaxed);
        });
        reads.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let arguments = Arguments::parse();
    let home = tempfile::tempdir().expect("a directory");
    let batched = Bench::open(home.path(), "batched", AuditDurability::Batched);
    let safe = Bench::open(home.path(), "power-safe", AuditDurability::PowerSafe);
    let time = Duration::from_secs(arguments.seconds);
    println!("readers   batched/s   power-safe/s   power-safe / batched: median (range)");
    for readers in READERS {
        let rounds = (0..arguments.rounds).map(|_| {
            let one = batched.round(readers, time);
            (one, safe.round(readers, time))
        });
        let rounds: Vec<_> = rounds.collect();
        let mut ratios: Vec<f64> = rounds.iter().map(|(one, other)| other / one).collect();
        let mut one: Vec<f64> = rounds.iter().map(|(one, _)| *one).collect();
        let mut other: Vec<f64> = rounds.iter().map(|(_, other)| *other).collect();
        let (one, other, ratio) = (median(&mut one), median(&mut other), median(&mut ratios));
        let (low, high) = (ratios[0], ratios[ratios.len() - 1]);
        println!("{readers:>7}  {one:>10.0}  {other:>13.0}   {ratio:.3} ({low:.3} to {high:.3})");
    }
}
