//! A key of the system keyset that gets successors: while what lies under the old one is sealed again,
//! old and new are side by side, and only the newest seals.
//!
//! The number of a key stands in each envelope, so that nothing has to be tried. Knows nothing of what
//! is sealed, or of when a key may go.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::crypto::{Location, SealError, Secret, UnsealError, key_number, seal, unseal};
use crate::entropy::Entropy;

#[derive(Debug, Serialize, Deserialize)]
struct Numbered {
    number: u32,
    key: Secret<32>,
}

/// One key and those before it that are still needed, oldest first; never empty.
#[derive(Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<Numbered>")]
pub struct KeyRing(Vec<Numbered>);

impl TryFrom<Vec<Numbered>> for KeyRing {
    type Error = &'static str;

    fn try_from(keys: Vec<Numbered>) -> Result<Self, Self::Error> {
        match !keys.is_empty() && keys.is_sorted_by(|a, b| a.number < b.number) {
            true => Ok(Self(keys)),
            false => Err("keys are numbered upwards, and there is one"),
        }
    }
}

impl KeyRing {
    /// A ring of one key, with number 0.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self::of(Secret::generate(entropy))
    }

    /// A ring of this key alone, with number 0.
    #[must_use]
    pub fn of(key: Secret<32>) -> Self {
        Self(vec![Numbered { number: 0, key }])
    }

    fn last(&self) -> &Numbered {
        self.0.last().expect("a ring is never empty")
    }

    /// The number of the key that seals.
    #[must_use]
    pub fn newest(&self) -> u32 {
        self.last().number
    }

    /// The numbers of all keys, oldest first.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|key| key.number)
    }

    /// Seals under the newest key.
    ///
    /// # Errors
    ///
    /// [`SealError`].
    pub fn seal(&self, location: &Location<'_>, value: &[u8]) -> Result<Vec<u8>, SealError> {
        let Numbered { number, key } = self.last();
        seal(key, *number, location, value)
    }

    /// Opens an envelope under whichever of the keys it names.
    ///
    /// # Errors
    ///
    /// [`UnsealError`], also where no key has the number.
    pub fn unseal(
        &self,
        location: &Location<'_>,
        envelope: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let number = key_number(envelope).ok_or(UnsealError)?;
        let key = self.0.iter().find(|key| key.number == number);
        unseal(&key.ok_or(UnsealError)?.key, location, envelope)
    }

    /// Opens a key that seals from now on; its number.
    ///
    /// # Panics
    ///
    /// If four thousand million keys have been opened.
    pub fn succeed(&mut self, entropy: &mut dyn Entropy) -> u32 {
        let number = self.newest().checked_add(1).expect("fewer keys than that");
        self.0.push(Numbered {
            number,
            key: Secret::generate(entropy),
        });
        number
    }

    /// Takes out every old key that is not to be kept; whether there was one.
    pub fn retire(&mut self, keep: impl Fn(u32) -> bool) -> bool {
        let (newest, before) = (self.newest(), self.0.len());
        self.0
            .retain(|key| key.number == newest || keep(key.number));
        self.0.len() < before
    }

    /// A copy, for a keyset that is to be changed.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let keys = self.0.iter().map(|key| Numbered {
            number: key.number,
            key: key.key.duplicate(),
        });
        Self(keys.collect())
    }

    /// The key with the highest number itself: for tests that look for its bytes.
    #[cfg(test)]
    pub(crate) fn expose_newest(&self) -> &Secret<32> {
        &self.last().key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::id::VaultId;

    #[test]
    fn only_the_newest_seals_and_a_key_that_went_opens_nothing() {
        let entropy = &mut SeededEntropy::new(1);
        let place = Location::row(VaultId::from_bytes([1; 16]), 8, b"row");
        let mut ring = KeyRing::generate(entropy);
        let first = ring.seal(&place, b"first").unwrap();
        assert_eq!(ring.succeed(entropy), 1);
        let second = ring.seal(&place, b"second").unwrap();
        assert_eq!(
            (key_number(&first), key_number(&second)),
            (Some(0), Some(1))
        );
        for (envelope, text) in [(&first, &b"first"[..]), (&second, b"second")] {
            assert_eq!(&*ring.unseal(&place, envelope).unwrap(), text);
        }
        assert!(!ring.retire(|_| true));
        assert!(ring.retire(|_| false));
        assert!(ring.numbers().eq([1]), "the newest stays whatever is said");
        assert_eq!(ring.unseal(&place, &first), Err(UnsealError));
        assert_eq!(&*ring.unseal(&place, &second).unwrap(), b"second");
        // A number that is changed names another key, and is authenticated besides.
        let mut renamed = second;
        renamed[4] = 0;
        assert_eq!(ring.unseal(&place, &renamed), Err(UnsealError));
    }

    #[test]
    fn a_ring_without_a_key_or_out_of_order_is_none() {
        let entropy = &mut SeededEntropy::new(1);
        let mut key = |number| Numbered {
            number,
            key: Secret::generate(entropy),
        };
        assert!(KeyRing::try_from(vec![key(0), key(1)]).is_ok());
        assert!(KeyRing::try_from(vec![key(3)]).is_ok());
        assert!(KeyRing::try_from(Vec::new()).is_err());
        assert!(KeyRing::try_from(vec![key(1), key(0)]).is_err());
        assert!(KeyRing::try_from(vec![key(1), key(1)]).is_err());
    }
}
