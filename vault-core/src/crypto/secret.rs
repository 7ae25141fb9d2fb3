//! Key material in memory.
//!
//! Knows nothing of what a key is for. Secrets lie in pages that are locked in memory where the
//! limit allows (`pool`); docs/threat-model.md lists what a key passes through beside them.

use core::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::pool::{SECRET_BYTES_MAX, Slot};
use crate::entropy::Entropy;

/// `N` secret bytes, at most 64: in a page of their kind so that moving does not copy them, locked
/// in memory where the limit allows, overwritten when dropped, silent in `Debug`, compared in
/// constant time, never `Clone`.
pub struct Secret<const N: usize>(Slot);

// The slot overwrites itself.
impl<const N: usize> ZeroizeOnDrop for Secret<N> {}

impl<const N: usize> Secret<N> {
    /// Fresh random bytes.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut secret = Self::zeroed();
        entropy.fill(secret.expose_mut());
        secret
    }

    /// Takes `bytes` over and overwrites them where they were.
    pub fn take(bytes: &mut [u8; N]) -> Self {
        let mut secret = Self::zeroed();
        secret.expose_mut().copy_from_slice(bytes);
        bytes.zeroize();
        secret
    }

    /// Copies from a slice, whose owner remains responsible for it; `None` if the length differs.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self::zeroed();
        if bytes.len() != N {
            return None;
        }
        secret.expose_mut().copy_from_slice(bytes);
        Some(secret)
    }

    /// A second copy, where a key must live in two places at once.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let mut secret = Self::zeroed();
        secret.expose_mut().copy_from_slice(self.expose());
        secret
    }

    /// The bytes, for the cipher.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        let bytes = self.0.bytes().first_chunk();
        bytes.expect("the slot has room for them")
    }

    /// The bytes, to be filled.
    pub fn expose_mut(&mut self) -> &mut [u8; N] {
        let bytes = self.0.bytes_mut().first_chunk_mut();
        bytes.expect("the slot has room for them")
    }

    /// `N` zero bytes, to be filled.
    #[must_use]
    pub fn zeroed() -> Self {
        const { assert!(N <= SECRET_BYTES_MAX, "a secret has at most 64 bytes") };
        Self(Slot::take(N))
    }
}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// For sealed rows alone: a format that people read gets no key.
impl<const N: usize> Serialize for Secret<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return Err(serde::ser::Error::custom("a key has no readable form"));
        }
        let mut tuple = serializer.serialize_tuple(N)?;
        for byte in self.expose() {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }
}

impl<'de, const N: usize> Deserialize<'de> for Secret<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes<const N: usize>;
        impl<'de, const N: usize> Visitor<'de> for Bytes<N> {
            type Value = Secret<N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{N} bytes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<Secret<N>, A::Error> {
                let mut secret = Secret::zeroed();
                for (index, place) in secret.expose_mut().iter_mut().enumerate() {
                    *place = bytes
                        .next_element()?
                        .ok_or_else(|| A::Error::invalid_length(index, &self))?;
                }
                Ok(secret)
            }
        }
        deserializer.deserialize_tuple(N, Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn a_secret_is_silent_in_debug_and_takes_its_bytes_away() {
        let mut bytes = [0x5a; 32];
        let secret = Secret::take(&mut bytes);
        assert_eq!(bytes, [0; 32]);
        assert_eq!(format!("{secret:?}"), "Secret");
        assert_eq!(secret, secret.duplicate());
        assert_ne!(secret, Secret::generate(&mut SeededEntropy::new(1)));
        assert!(serde_json::to_string(&secret).is_err());
        assert_eq!(
            crate::row::decode::<Secret<32>>(&crate::row::encode(&secret)),
            Ok(secret)
        );
    }
}
