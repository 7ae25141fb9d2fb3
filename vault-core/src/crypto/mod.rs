//! Ciphers, key derivation, and the envelope: the only place that knows which primitives are used.
//!
//! Knows nothing of people, of where keys come from, or of the store. Everything that encrypts in
//! this vault does so through [`seal`] and [`unseal`], or, where it is too long for one envelope,
//! through a [`Stream`].

mod aead;
mod derive;
mod envelope;
mod padding;
mod pages;
mod pool;
mod secret;
mod stream;
#[cfg(test)]
mod wycheproof;

pub use aead::self_test;
pub use derive::{Argon2Params, HmacBegun, Sha256Stream, argon2id, hkdf, hmac, sha256};
#[cfg(test)]
pub(crate) use envelope::seal_padded;
pub use envelope::{ENVELOPE_OVERHEAD, Location, SealError, UnsealError, key_number, seal, unseal};
pub use padding::padded_bytes;
pub use pool::{MemoryLock, memory_lock};
pub use secret::Secret;
pub use stream::{End, STREAM_NONCE_BYTES, STREAM_TAG_BYTES, Stream};
