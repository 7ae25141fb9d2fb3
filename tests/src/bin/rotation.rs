//! What new keys cost, in process: `key rotate root` on a small and on a large vault in turn, and
//! `rotate all --deep` for each person, stage by stage.
//!
//! A new root key is promised to cost the same at any size: both medians stand side by side, and the
//! run ends with 101 if the large vault's is more than three times the small one's. Rates belong to the
//! machine; only ratios within one run say anything.

#![expect(clippy::print_stdout, reason = "the figures are for whoever runs this")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::json;
use vault_core::clock::SystemClock;
use vault_core::entropy::OsEntropy;
use vault_core::id::CallId;
use vault_core::policy::SAMPLE;
use vault_core::refusal::Refusal;
use vault_core::vault::{
    Call, LockedVault, Onwards, Passphrase, Principal, Settings, Vault, VaultPaths,
};

/// Callers that fill a vault at a time: they share commits.
const FILLERS: usize = 64;
/// How much more a new root key of the large vault may cost.
const RATIO_MAX: f64 = 3.0;

/// Measures new root keys at two sizes, and a deep rotation.
#[derive(Parser)]
struct Arguments {
    /// People of the small vault
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    small: u32,
    /// People of the large one
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    large: u32,
    /// New root keys of each
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Leave the deep rotation of the large vault out
    #[arg(long)]
    small_deep_alone: bool,
}

struct Bench {
    people: u32,
    vault: Arc<Vault>,
    keyholder: Principal,
    _locked: LockedVault,
}

fn call<'a>(principal: &'a Principal, purpose: Option<&'a str>) -> Call<'a> {
    Call {
        principal,
        purpose,
        restricted_use: None,
        id: CallId::generate(&mut OsEntropy),
    }
}

impl Bench {
    fn make(home: &Path, people: u32) -> Self {
        let settings = Settings {
            accept_any_file_system: true,
            ..Settings::new(Arc::new(SystemClock))
        };
        let passphrase = Passphrase::new("correct horse battery".into()).expect("long enough");
        let paths = VaultPaths::beside(&home.join(format!("v{people}")));
        let created =
            LockedVault::create(&paths, settings, &passphrase, SAMPLE).expect("a new directory");
        let keyholder = created.vault.keyholder();
        let bench = Self {
            people,
            vault: created.vault,
            keyholder,
            _locked: created.locked,
        };
        let (_, secret) = bench
            .vault
            .create_token(&call(&bench.keyholder, None), "bot", None)
            .expect("the sample has that role");
        let bot = bench.vault.authenticate(&secret).expect("just made");
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..FILLERS {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= people as usize {
                            return;
                        }
                        bench.add(&bot, number);
                    }
                });
            }
        });
        bench
    }

    fn add(&self, bot: &Principal, number: usize) {
        let user = format!("invented-{number:07}");
        let told = json!({"name": "Some Body", "email": format!("p{number}@example.test")});
        let told = told.as_object().expect("members").clone();
        let said = json!({"from": "user", "text": "hello"});
        let said = vec![said.as_object().expect("members").clone(); 2];
        let support = || call(bot, Some("support"));
        let (subject, _) = patiently(|| self.vault.create_subject(&support(), "web", &user));
        patiently(|| {
            let told = told.clone();
            self.vault
                .patch_single(&support(), subject, "profile", told, None)
        });
        patiently(|| {
            self.vault
                .append(&support(), subject, "messages", said.clone())
        });
    }

    fn rotate_root(&self) -> Duration {
        let begun = Instant::now();
        let rotated = self.vault.rotate_root(&call(&self.keyholder, None));
        rotated.expect("it is rotated");
        begun.elapsed()
    }

    /// A whole deep rotation, and how long it was at each stage.
    fn rotate_deep(&self) {
        let begun = Instant::now();
        self.vault
            .begin_rotation(&call(&self.keyholder, None), true)
            .expect("none is under way");
        let mut stages: Vec<(&str, Duration)> = Vec::new();
        let mut last = Instant::now();
        let mut at = "people";
        let ended = self.vault.rotate_on(&mut |view| {
            let now = Instant::now();
            match stages.last_mut().filter(|(name, _)| *name == at) {
                Some((_, took)) => *took += now - last,
                None => stages.push((at, now - last)),
            }
            (last, at) = (now, view.stage.name());
            Onwards::Yes
        });
        let ended = ended.expect("it ends").expect("one was begun");
        assert_eq!(ended.done, u64::from(self.people), "everybody has new keys");
        let took = begun.elapsed();
        let each = |took: Duration| took.as_secs_f64() * 1e6 / f64::from(self.people);
        println!(
            "rotate all --deep, {} people: {:.2} s, {:.0} µs a person",
            self.people,
            took.as_secs_f64(),
            each(took)
        );
        for (stage, took) in stages.into_iter().filter(|(stage, _)| *stage != "ended") {
            println!("    {stage:<8} {:>8.0} µs a person", each(took));
        }
    }
}

/// Again while the queue of the writer is full.
fn patiently<T>(mut work: impl FnMut() -> Result<T, Refusal>) -> T {
    loop {
        match work() {
            Err(Refusal::Overloaded) => std::thread::yield_now(),
            result => return result.expect("it is taken"),
        }
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let home = tempfile::tempdir()?;
    let benches = [arguments.small, arguments.large].map(|n| Bench::make(home.path(), n));
    let mut times = [Vec::new(), Vec::new()];
    for bench in &benches {
        bench.rotate_root();
    }
    // In turn, so that a noisy machine meets both.
    for _ in 0..arguments.rounds {
        for (bench, times) in benches.iter().zip(&mut times) {
            times.push(bench.rotate_root());
        }
    }
    let [small, large] = times.map(median);
    println!(
        "rotate root, median of {}: {small:.2} ms at {} people, {large:.2} ms at {} people, ratio {:.2}",
        arguments.rounds,
        arguments.small,
        arguments.large,
        large / small
    );
    for bench in &benches[..if arguments.small_deep_alone { 1 } else { 2 }] {
        bench.rotate_deep();
    }
    assert!(
        large / small <= RATIO_MAX,
        "a new root key costs more where there are more people"
    );
    Ok(())
}
