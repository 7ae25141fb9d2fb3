//! What a key in a locked page costs beside one in a box, in nanoseconds for making and dropping it.
//!
//! `cargo run --release -p vault-core --example secret_cost`. Both are measured alternately in one
//! run, so that what the machine does besides falls on both; the median counts. Exits 1 where a
//! locked page costs more than three times as much.

#![expect(clippy::print_stdout, reason = "printing is what this program is for")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use vault_core::crypto::Secret;
use vault_core::entropy::{Entropy, OsEntropy, SeededEntropy};
use zeroize::Zeroizing;

const KEYS: u32 = 100_000;
const ROUNDS: usize = 15;
const RATIO_MAX: f64 = 3.0;

fn boxed(entropy: &mut dyn Entropy) {
    let mut key = Box::new(Zeroizing::new([0_u8; 32]));
    entropy.fill(&mut **key);
    black_box(&key);
}

fn locked(entropy: &mut dyn Entropy) {
    black_box(&Secret::<32>::generate(entropy));
}

fn nanoseconds(work: fn(&mut dyn Entropy), entropy: &mut dyn Entropy) -> f64 {
    let start = Instant::now();
    for _ in 0..KEYS {
        work(entropy);
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(KEYS)
}

/// The medians over [`ROUNDS`], box and locked page.
fn measure(entropy: &mut dyn Entropy) -> (f64, f64) {
    let mut times: [Vec<f64>; 2] = Default::default();
    for _ in 0..ROUNDS {
        times[0].push(nanoseconds(boxed, entropy));
        times[1].push(nanoseconds(locked, entropy));
    }
    let [a, b] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    });
    (a, b)
}

fn main() -> ExitCode {
    let mut worst: f64 = 0.0;
    let mut line = |name: &str, (in_box, in_page): (f64, f64)| {
        worst = worst.max(in_page / in_box);
        println!(
            "{name:<34}box {in_box:>7.1} ns   locked page {in_page:>7.1} ns   ratio {:.2}",
            in_page / in_box
        );
    };
    line("no randomness, one thread", measure(&mut Nothing));
    line("seeded, one thread", measure(&mut SeededEntropy::new(1)));
    line("operating system, one thread", measure(&mut OsEntropy));
    let pair = std::thread::scope(|scope| {
        let other = scope.spawn(|| measure(&mut SeededEntropy::new(2)));
        let one = measure(&mut SeededEntropy::new(3));
        let two = other.join().expect("measuring does not panic");
        (one.0.max(two.0), one.1.max(two.1))
    });
    line("seeded, two threads, the slower", pair);
    ExitCode::from(u8::from(worst > RATIO_MAX))
}

/// Leaves the place alone: only making and dropping it is measured.
struct Nothing;

impl Entropy for Nothing {
    fn fill(&mut self, _: &mut [u8]) {}
}
