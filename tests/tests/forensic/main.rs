//! Somebody with every byte of the disk and the passphrase, after an erasure.
//!
//! The reader is `vault_tests::forensic`; it knows the vault from docs/format.md alone.
//!
//! - `scene`: the vault under trial.
//! - `erased`, `purged`, `swept`: what nobody may find; each with its control.
//! - `format`, `live`, `tables`, `tree`: the document itself, read against a living vault.

mod erased;
mod format;
mod live;
mod purged;
mod scene;
mod swept;
mod tables;
mod tree;

use vault_tests::forensic::{cipher, form, hunt, journal, loot, raw, unlock};
