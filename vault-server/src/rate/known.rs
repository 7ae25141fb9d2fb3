//! Bearers that have been proved lately, so that whoever has a key is told from a stranger before any
//! work is done.
//!
//! Proves nothing: the vault is asked at every call. Holds digests under a salt of this process, in
//! two generations: when the young one is full, the old one goes.

use std::collections::HashMap;
use std::mem;

use parking_lot::Mutex;
use vault_core::entropy::{Entropy as _, OsEntropy};
use vault_core::id::TokenId;

use crate::idempotency::digest;

/// Bearers of a generation. Every session is one, so these are more than API keys.
const GENERATION_MAX: usize = 32_768;

type Digest = [u8; 32];

#[derive(Default)]
struct Generations {
    young: HashMap<Digest, TokenId>,
    old: HashMap<Digest, TokenId>,
}

impl Generations {
    fn add(&mut self, digest: Digest, token: TokenId) {
        if self.young.len() >= GENERATION_MAX {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(digest, token);
    }
}

pub(super) struct Known {
    salt: [u8; 32],
    generations: Mutex<Generations>,
}

impl Known {
    pub(super) fn new() -> Self {
        let mut salt = [0; 32];
        OsEntropy.fill(&mut salt);
        Self {
            salt,
            generations: Mutex::default(),
        }
    }

    /// The API key that this bearer stood for when it was last proved.
    pub(super) fn token(&self, bearer: &str) -> Option<TokenId> {
        let digest = self.digest(bearer);
        let mut generations = self.generations.lock();
        if let Some(token) = generations.young.get(&digest) {
            return Some(*token);
        }
        let token = generations.old.remove(&digest)?;
        generations.add(digest, token);
        Some(token)
    }

    pub(super) fn add(&self, bearer: &str, token: TokenId) {
        let digest = self.digest(bearer);
        self.generations.lock().add(digest, token);
    }

    pub(super) fn remove(&self, bearer: &str) {
        let digest = self.digest(bearer);
        let mut generations = self.generations.lock();
        generations.young.remove(&digest);
        generations.old.remove(&digest);
    }

    pub(super) fn forget_all(&self) {
        *self.generations.lock() = Generations::default();
    }

    fn digest(&self, bearer: &str) -> Digest {
        digest(&[&self.salt, bearer.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(number: u8) -> TokenId {
        TokenId::from_bytes([number; 16])
    }

    #[test]
    fn a_bearer_is_known_until_it_is_removed_or_all_are_forgotten() {
        let known = Known::new();
        assert_eq!(known.token("vk_1"), None);
        known.add("vk_1", token(1));
        known.add("vk_2", token(2));
        assert_eq!(known.token("vk_1"), Some(token(1)));
        known.remove("vk_1");
        assert_eq!(known.token("vk_1"), None);
        known.forget_all();
        assert_eq!(known.token("vk_2"), None);
    }

    #[test]
    fn who_calls_stays_known_while_two_generations_pass_by_and_who_does_not_goes() {
        let known = Known::new();
        known.add("vk_busy", token(1));
        known.add("vk_quiet", token(2));
        for number in 0..3 * GENERATION_MAX {
            known.add(&format!("vs_{number}"), token(3));
            if number % 1_000 == 0 {
                assert_eq!(known.token("vk_busy"), Some(token(1)));
            }
        }
        assert_eq!(known.token("vk_quiet"), None);
        let generations = known.generations.lock();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION_MAX);
    }
}
