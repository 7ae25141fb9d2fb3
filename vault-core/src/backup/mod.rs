//! Copies that outlive the vault's own files, and what must not come back with them.
//!
//! [`mod@write`] copies a vault that goes on being written, [`restore`] makes a vault of a copy,
//! [`verify`] says whether it could. A copy has two parts: data, which opens nothing, and keys, sealed
//! to somebody whose secret the vault never sees. [`ledger`] says what was erased, so that no copy can
//! bring it back; [`registry`] says which copies of keys there are, and so until when somebody who was
//! erased could still be brought back.

mod bundle;
pub(crate) mod bytes;
mod error;
mod format;
pub(crate) mod gone;
mod keys;
pub mod ledger;
mod manifest;
mod open;
mod people;
pub(crate) mod read;
pub mod registry;
pub(crate) mod rekey;
pub mod restore;
mod sections;
pub mod target;
pub mod verify;
pub mod write;

pub use error::BackupError;
pub use keys::{Identity, Recipients, new_identity};
pub(crate) use manifest::MANIFEST;
pub use manifest::{Head, KeyPart, KeysOf, Manifest, Object, Signature, list};
pub use open::Counts;
