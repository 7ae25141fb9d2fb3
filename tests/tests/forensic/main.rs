//! Somebody with every byte of the disk and the passphrase, after an erasure.
//!
//! A reader of its own, written from docs/format.md: it shares no code with the vault, which it
//! meets over HTTP and as files. It opens the key slots with the passphrase, takes whatever the
//! anchor holds, and tries each key that it derives or finds on every offset of the raw database
//! files where an envelope may begin, freed pages included.
//!
//! - `cipher`, `unlock`, `form`, `journal`: the document's sections on envelopes, keys, rows and the
//!   read journal.
//! - `raw`, `hunt`, `loot`: the bytes of the disk, and everything they give to whoever has some
//!   keys.
//! - `scene`: the vault under trial.
//! - `erased`, `purged`, `swept`: what nobody may find; each with its control.
//! - `format`, `live`, `tables`, `tree`: the document itself, read against a living vault.

mod cipher;
mod erased;
mod form;
mod format;
mod hunt;
mod journal;
mod live;
mod loot;
mod purged;
mod raw;
mod scene;
mod swept;
mod tables;
mod tree;
mod unlock;
