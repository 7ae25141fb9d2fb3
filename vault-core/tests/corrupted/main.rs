//! Every byte of a small vault changed in turn, and every two of its ciphertexts put in each other's
//! place.
//!
//! Counts as failure: anything read that was not stored there, a record or a person that is missing
//! without a word, an erased person who is back, a panic that leaves the vault, a try that takes long, an
//! answer that is neither damage nor what was there. Does not count: a byte that nothing is read from;
//! an entry of a read lost with the end of the journal, if the log says that it was cut off.
//!
//! The database is tried in memory: what a vault reads is a function of its rows, so it is enough that
//! the store reports damage or gives the same rows. The other files, and some of the database, are tried
//! through the vault. Without a word a part is tried, chosen by a seed that is printed:
//!
//! ```text
//! VAULT_CORRUPT=all cargo test -p vault-core --test corrupted -- --nocapture
//! VAULT_CORRUPT_SEED=7 cargo test -p vault-core --test corrupted -- --nocapture
//! ```
//!
//! The first tries every byte, every bit of the database's first page, and every pair.

#![expect(
    clippy::print_stdout,
    reason = "the seed and the figures are for whoever runs this"
)]

mod flip;
mod read;
mod scene;
mod swap;

use std::env;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use vault_core::entropy::{Entropy, SeededEntropy};

/// Everything, and not a part.
pub(crate) fn all() -> bool {
    env::var("VAULT_CORRUPT").is_ok_and(|text| text == "all")
}

/// Draws numbers from a seed that is printed.
pub(crate) struct Random(SeededEntropy);

impl Random {
    pub(crate) fn new(test: &str) -> Self {
        let given = env::var("VAULT_CORRUPT_SEED")
            .ok()
            .and_then(|text| text.parse().ok());
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let seed = given.unwrap_or_else(|| since.map_or(0, |since| since.as_secs()));
        println!("{test}: VAULT_CORRUPT_SEED={seed}");
        Self(SeededEntropy::new(seed))
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        (u64::from_be_bytes(bytes) % bound.max(1) as u64) as usize
    }
}

/// Runs `each` over `items` on every core.
pub(crate) fn in_parallel<T: Sync>(items: &[T], each: impl Fn(usize, &T) + Sync) {
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for worker in 0..cores {
            let (next, each) = (&next, &each);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    each(worker, item);
                    if index > 0 && index % 50_000 == 0 {
                        println!("{index} of {}", items.len());
                    }
                }
            });
        }
    });
}
