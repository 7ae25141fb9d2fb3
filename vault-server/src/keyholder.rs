//! Bearers for whoever proved an unlock secret over the admin socket: ten minutes, in RAM alone.
//!
//! Knows nothing of HTTP. What such a bearer may do is decided by the vault, which makes its
//! principal. A bearer belongs to the vault as it was opened: locking ends it, and opening again does
//! not bring it back.

use std::sync::{Arc, Weak};

use data_encoding::BASE64URL_NOPAD;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use vault_core::entropy::Entropy;
use zeroize::Zeroizing;

/// How every such bearer begins.
pub(crate) const PREFIX: &str = "vh_";
/// How long one is good.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(10);
/// Most at a time. A ninth ends the oldest: whoever can make it could lock the vault as well, and a
/// tool that was killed must not shut the operator out for ten minutes.
const BEARERS_MAX: usize = 8;

/// The bearers that are good now; `V` is what they open.
pub(crate) struct Keyholders<V>(Mutex<Vec<Held<V>>>);

struct Held<V> {
    hash: [u8; 32],
    expires_at: Timestamp,
    vault: Weak<V>,
}

impl<V> Default for Keyholders<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

fn hash(bearer: &str) -> [u8; 32] {
    Sha256::digest(bearer.as_bytes()).into()
}

impl<V> Keyholders<V> {
    /// A bearer for the open vault, and until when it is good.
    pub(crate) fn issue(
        &self,
        vault: &Arc<V>,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> (Zeroizing<String>, Timestamp) {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes);
        let encoded = Zeroizing::new(BASE64URL_NOPAD.encode(&*bytes));
        let bearer = Zeroizing::new(format!("{PREFIX}{}", *encoded));
        let expires_at = now
            .saturating_add(GOOD_FOR)
            .expect("a duration of time units");
        let mut held = self.0.lock();
        held.retain(|held| held.expires_at > now);
        if held.len() >= BEARERS_MAX {
            held.remove(0);
        }
        held.push(Held {
            hash: hash(&bearer),
            expires_at,
            vault: Arc::downgrade(vault),
        });
        (bearer, expires_at)
    }

    /// Whether a bearer is good for this vault now. Looks at all of them, in constant time each.
    pub(crate) fn holds(&self, bearer: &str, vault: &Arc<V>, now: Timestamp) -> bool {
        let shown = hash(bearer);
        let mut found = false;
        for held in &*self.0.lock() {
            let same = bool::from(held.hash.ct_eq(&shown));
            found |= same && held.expires_at > now && held.vault.as_ptr() == Arc::as_ptr(vault);
        }
        found
    }

    /// Ends a bearer; whether it was one.
    pub(crate) fn end(&self, bearer: &str) -> bool {
        let shown = hash(bearer);
        let mut held = self.0.lock();
        let before = held.len();
        held.retain(|held| !bool::from(held.hash.ct_eq(&shown)));
        held.len() < before
    }

    /// Ends all of them.
    pub(crate) fn end_all(&self) {
        self.0.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vault_core::entropy::SeededEntropy;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn a_bearer_is_good_for_ten_minutes_and_until_it_is_ended() {
        let (holders, vault) = (Keyholders::default(), Arc::new(()));
        let entropy = &mut SeededEntropy::new(1);
        let (bearer, expires_at) = holders.issue(&vault, at(0), entropy);
        assert!(bearer.starts_with(PREFIX) && bearer.len() == 46);
        assert_eq!(expires_at, at(600));
        assert!(holders.holds(&bearer, &vault, at(599)));
        assert!(!holders.holds(&bearer, &vault, at(600)));
        assert!(!holders.holds(&bearer[..45], &vault, at(0)));
        assert!(holders.end(&bearer));
        assert!(!holders.end(&bearer));
        assert!(!holders.holds(&bearer, &vault, at(0)));
    }

    #[test]
    fn a_bearer_is_no_good_for_the_vault_as_it_is_opened_next() {
        let (holders, vault) = (Keyholders::default(), Arc::new(1));
        let (bearer, _) = holders.issue(&vault, at(0), &mut SeededEntropy::new(1));
        assert!(!holders.holds(&bearer, &Arc::new(1), at(0)));
        holders.end_all();
        assert!(!holders.holds(&bearer, &vault, at(0)));
    }

    #[test]
    fn a_ninth_bearer_ends_the_oldest_and_no_other() {
        let (holders, vault) = (Keyholders::default(), Arc::new(()));
        let entropy = &mut SeededEntropy::new(1);
        let bearers: Vec<_> = (0..9)
            .map(|second| holders.issue(&vault, at(second), entropy).0)
            .collect();
        assert!(!holders.holds(&bearers[0], &vault, at(9)));
        assert!(
            bearers[1..]
                .iter()
                .all(|bearer| holders.holds(bearer, &vault, at(9)))
        );
    }
}
