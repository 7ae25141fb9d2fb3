//! Whether the time that a refusal takes tells how nearly a bearer was right.
//!
//! `token_timing --samples 20000`. Two classes of wrong bearers are shown to a vault in random order and
//! their times compared by Welch's t, as dudect does (Reparaz, Balasch, Verbauwhede 2017): under 4.5
//! nothing is to be seen, over 10 the classes differ beyond doubt. A comparison that stops at the first
//! byte that differs is measured beside them and must be found. By design there is nothing to see: a key
//! is looked for by SHA-256 of all of it, a session's secret is compared by its SHA-256 in constant time.
//! Exits 1 where a bearer's nearness shows, or the control's does not. No part of the default tests: on a
//! machine with other work a figure between the two bounds says nothing.

use std::hint::black_box;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use data_encoding::BASE64URL_NOPAD;
use serde_json::json;
use vault_core::entropy::{Entropy, OsEntropy};
use vault_core::policy::SAMPLE;
use vault_core::vault::{Call, LockedVault, Passphrase, SessionInput, Settings, Vault, VaultPaths};

/// Beyond it the classes differ beyond doubt.
const T_MAX: f64 = 10.0;
/// Slowest share of the samples that is left out: interrupts, not comparisons.
const CROPPED: f64 = 0.05;

/// Measures whether refusals of wrong bearers take different times.
#[derive(Parser)]
struct Arguments {
    /// Samples of each class
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1_000..))]
    samples: u32,
}

struct Class {
    count: f64,
    mean: f64,
    variance: f64,
}

impl Class {
    fn of(mut nanoseconds: Vec<f64>) -> Self {
        nanoseconds.sort_by(f64::total_cmp);
        let kept = (nanoseconds.len() as f64 * (1.0 - CROPPED)) as usize;
        nanoseconds.truncate(kept);
        let count = kept as f64;
        let mean = nanoseconds.iter().sum::<f64>() / count;
        let squares = nanoseconds.iter().map(|one| (one - mean).powi(2));
        Self {
            count,
            mean,
            variance: squares.sum::<f64>() / (count - 1.0),
        }
    }
}

fn welch(left: &Class, right: &Class) -> f64 {
    let error = left.variance / left.count + right.variance / right.count;
    (left.mean - right.mean) / error.sqrt()
}

/// Times of two classes in random order; prints them, and gives t.
fn compare(
    name: &str,
    samples: u32,
    mut run: impl FnMut(bool) -> Box<dyn FnOnce() -> bool>,
) -> io::Result<f64> {
    let mut times = [Vec::new(), Vec::new()];
    while times.iter().any(|class| class.len() < samples as usize) {
        let mut byte = [0];
        OsEntropy.fill(&mut byte);
        let class = usize::from(byte[0] & 1);
        let call = run(class == 1);
        let begun = Instant::now();
        let right = black_box(call());
        let elapsed = begun.elapsed().as_nanos() as f64;
        assert!(!right, "a wrong bearer was taken");
        times[class].push(elapsed);
    }
    let [left, right] = times.map(Class::of);
    let t = welch(&left, &right);
    writeln!(
        io::stdout(),
        "{name:<58} {:>9.0} ns {:>9.0} ns  {:>6.3}  t = {t:>8.2}",
        left.mean,
        right.mean,
        right.mean / left.mean
    )?;
    Ok(t)
}

/// The bytes of a bearer behind its prefix, with one of them changed.
fn spoilt(bearer: &str, at: usize, mask: u8) -> String {
    let (prefix, text) = bearer.split_at(3);
    let mut bytes = BASE64URL_NOPAD.decode(text.as_bytes()).expect("a bearer");
    bytes[at] ^= mask;
    format!("{prefix}{}", BASE64URL_NOPAD.encode(&bytes))
}

fn random(prefix: &str, length: usize) -> String {
    let mut bytes = vec![0; length];
    OsEntropy.fill(&mut bytes);
    format!("{prefix}{}", BASE64URL_NOPAD.encode(&bytes))
}

/// Stops at the first byte that differs, as no comparison of a secret may.
fn naive(left: &[u8], right: &[u8]) -> bool {
    for (left, right) in left.iter().zip(right) {
        if black_box(left) != black_box(right) {
            return false;
        }
    }
    true
}

fn measure(
    vault: &std::sync::Arc<Vault>,
    key: &str,
    token: &str,
    samples: u32,
) -> io::Result<bool> {
    writeln!(
        io::stdout(),
        "{:<58} {:>12} {:>12}  ratio",
        "",
        "the first",
        "the second"
    )?;
    // Each class has as many bearers as the other, so that neither is looked for on a path that is
    // warmer in the processor's caches than the other's.
    let near = |bearer: &str, at: usize| -> Vec<String> {
        (1..=u8::MAX).map(|mask| spoilt(bearer, at, mask)).collect()
    };
    let far = |prefix: &str, length: usize| -> Vec<String> {
        (1..=u8::MAX).map(|_| random(prefix, length)).collect()
    };
    let refused = |name: &str, first: Vec<String>, second: Vec<String>| {
        let mut turn = 0;
        compare(name, samples, |is_second| {
            turn = (turn + 1) % first.len();
            let bearer = if is_second {
                &second[turn]
            } else {
                &first[turn]
            };
            let (vault, bearer) = (vault.clone(), bearer.clone());
            Box::new(move || vault.authenticate(&bearer).is_ok())
        })
    };
    let name = "API key: wrong in its first byte, in its last";
    let place = refused(name, near(key, 0), near(key, 31))?;
    let name = "API key: nothing of it right, all but one byte";
    let nearness = refused(name, far("vk_", 32), near(key, 31))?;
    let name = "session: its secret wrong in its first byte, in its last";
    let session = refused(name, near(token, 32), near(token, 63))?;
    let secret = vec![7; 4096];
    let control = compare(
        "the control: a comparison that stops early",
        samples,
        |second| {
            let (secret, mut shown) = (secret.clone(), secret.clone());
            shown[if second { 4095 } else { 0 }] ^= 1;
            Box::new(move || naive(&secret, &shown))
        },
    )?;
    // Not judged: an id of 128 random bits is what tells whether somebody is there.
    let name = "session: of nobody, of somebody with a wrong secret";
    refused(name, far("vs_", 64), near(token, 63))?;
    let silent = [place, nearness, session].iter().all(|t| t.abs() < T_MAX);
    Ok(silent && control.abs() > T_MAX)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let home = tempfile::tempdir().expect("a directory");
    let settings = Settings {
        accept_any_file_system: true,
        ..Settings::default()
    };
    let passphrase = Passphrase::new("a passphrase for timing alone".into()).expect("long enough");
    let paths = VaultPaths::beside(&home.path().join("vault"));
    let created = LockedVault::create(&paths, settings, &passphrase, SAMPLE).expect("a vault");
    let vault = created.vault;
    let keyholder = vault.keyholder();
    let mut keys = (0..200).map(|_| {
        let made = vault.create_token(&Call::new(&keyholder), "bot", None);
        made.expect("a key").1
    });
    let key = keys.by_ref().last().expect("two hundred");
    let bot = vault.authenticate(&key).expect("good");
    let call = Call::new(&bot).with_purpose("support");
    let (subject, _) = vault
        .create_subject(&call, "web", "somebody")
        .expect("a person");
    let profile = json!({"name": "Somebody Invented"});
    let profile = profile.as_object().expect("an object").clone();
    vault
        .patch_single(&call, subject, "profile", profile, None)
        .expect("stored");
    let input = SessionInput {
        purpose: "support".into(),
        fields: vec!["profile.name".into()],
        reads: 1,
        writes: 0,
        expires_in: Some(86_400),
    };
    let token = vault
        .begin_session(&call, subject, input)
        .expect("a session")
        .token;
    let silent = measure(&vault, &key, &token, arguments.samples).expect("somebody reads");
    match silent {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
