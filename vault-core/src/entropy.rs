//! Randomness, as an argument.
//!
//! Knows nothing of what the bytes become. Keys, identifiers and anchor secrets come from the
//! operating system directly; nonces from a generator on each thread, because asking the system
//! for 24 bytes costs more than the encryption they are for.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use std::cell::RefCell;
use zeroize::{Zeroize as _, Zeroizing};

/// A source of random bytes.
pub trait Entropy: Send {
    /// Fills `bytes` with random bytes.
    ///
    /// A source that cannot deliver stops the process: weak keys are worse than no service.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system has a random generator");
    }
}

/// The operating system's generator, asked for many keys at once: a call costs as much as a key is worth elsewhere.
/// What is given out is overwritten here, and so is the rest when this is dropped.
pub struct OsReserve {
    bytes: Zeroizing<[u8; Self::BYTES]>,
    left: usize,
}

impl OsReserve {
    const BYTES: usize = 4096;
}

impl Default for OsReserve {
    fn default() -> Self {
        Self {
            bytes: Zeroizing::new([0; Self::BYTES]),
            left: 0,
        }
    }
}

impl Entropy for OsReserve {
    fn fill(&mut self, bytes: &mut [u8]) {
        if bytes.len() > Self::BYTES {
            return OsEntropy.fill(bytes);
        }
        if self.left < bytes.len() {
            OsEntropy.fill(&mut *self.bytes);
            self.left = Self::BYTES;
        }
        let taken = &mut self.bytes[self.left - bytes.len()..self.left];
        bytes.copy_from_slice(taken);
        taken.zeroize();
        self.left -= bytes.len();
    }
}

/// A generator whose bytes follow from its seed, for tests alone.
pub struct SeededEntropy(ChaCha20Rng);

impl SeededEntropy {
    /// The generator with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

thread_local! {
    static NONCES: RefCell<Option<ChaCha20Rng>> = const { RefCell::new(None) };
}

/// Random bytes for a nonce, from this thread's generator.
#[must_use]
pub fn nonce() -> [u8; 24] {
    NONCES.with_borrow_mut(|slot| {
        let rng = slot.get_or_insert_with(from_os);
        let mut nonce = [0; 24];
        rng.fill_bytes(&mut nonce);
        nonce
    })
}

/// Takes a new seed from the operating system for this thread's nonces: once a write transaction,
/// so that a virtual machine resumed twice from one snapshot does not repeat itself for long.
pub fn reseed_nonces() {
    NONCES.with_borrow_mut(|slot| *slot = Some(from_os()));
}

fn from_os() -> ChaCha20Rng {
    let mut seed = [0; 32];
    OsEntropy.fill(&mut seed);
    ChaCha20Rng::from_seed(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_gives_nothing_twice_and_keeps_nothing_that_it_gave() {
        let mut reserve = OsReserve::default();
        let mut seen = std::collections::HashSet::new();
        // Over several fillings, the sizes of which do not go into one.
        for number in 0..1_000 {
            let mut key = vec![0; 24 + number % 16];
            reserve.fill(&mut key);
            assert!(!reserve.bytes.windows(16).any(|there| there == &key[..16]));
            assert!(seen.insert(key[..16].to_vec()) && key[..16] != [0; 16]);
        }
        // More than it holds, and exactly as much.
        for length in [OsReserve::BYTES + 1, OsReserve::BYTES] {
            let mut long = vec![0; length];
            reserve.fill(&mut long);
            assert!(long.chunks_exact(16).all(|part| seen.insert(part.to_vec())));
        }
    }

    #[test]
    fn nonces_do_not_repeat_over_a_reseed() {
        let mut seen = std::collections::HashSet::new();
        for round in 0..1000 {
            if round % 100 == 0 {
                reseed_nonces();
            }
            assert!(seen.insert(nonce()));
        }
    }
}
