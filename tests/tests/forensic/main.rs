//! Somebody with every byte of the disk and the passphrase, after an erasure.
//!
//! The reader is `vault_tests::forensic`; it knows the vault from docs/format.md alone.
//!
//! - `scene`: the vault under trial.
//! - `erased`, `held`, `logged`, `pseudonyms`, `purged`, `suppressed`, `swept`: what nobody may find; each with its control.
//! - `format`, `live`, `tables`, `tree`: the document itself, read against a living vault.

mod backups;
mod bench;
mod crowds;
mod epochs;
mod erased;
mod expired;
mod format;
mod held;
mod killed;
mod lengths;
mod live;
mod logged;
mod named;
mod parted;
mod person;
mod program;
mod pseudonyms;
mod purged;
mod renewed;
mod replaced;
mod rotated;
mod scene;
mod sources;
mod suppressed;
mod swept;
mod tables;
mod told;
mod tree;

use vault_tests::forensic::{
    cipher, files, form, hunt, journal, ledger, list, loot, raw, search, unlock,
};
