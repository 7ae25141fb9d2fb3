//! Ciphers, key derivation, and the envelope: the only place that knows which primitives are used.
//!
//! Knows nothing of people, of where keys come from, or of the store. Everything that encrypts in
//! this vault does so through [`seal`] and [`unseal`].

mod aead;
mod derive;
mod envelope;
mod padding;
mod secret;

pub use aead::self_test;
pub use derive::{Argon2Params, Sha256Stream, argon2id, hkdf, hmac, sha256};
pub use envelope::{ENVELOPE_OVERHEAD, Location, SealError, UnsealError, key_number, seal, unseal};
pub use secret::Secret;
