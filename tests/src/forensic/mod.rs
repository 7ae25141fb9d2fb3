//! Somebody with every byte of the disk and the passphrase.
//!
//! A reader of its own, written from docs/format.md: it shares no code with the vault, which it
//! meets as files (a test holds it to that). It opens the key slots with the passphrase, takes
//! whatever the anchor holds, and tries each key that it derives or finds on every offset of the
//! raw files where an envelope may begin, freed pages included.
//!
//! - `cipher`, `unlock`, `form`, `journal`: the document's sections on envelopes, keys, rows and the
//!   read journal.
//! - `files`, `raw`, `needles`: the bytes of the disk, where envelopes may begin in them, and words.
//! - `hunt`, `people`, `loot`: everything that they give to whoever has some keys.
//! - `list`, `search`: what is looked for, and what of it is found.

pub mod cipher;
pub mod files;
pub mod form;
pub mod hunt;
pub mod journal;
pub mod ledger;
pub mod list;
pub mod loot;
pub mod needles;
mod people;
pub mod raw;
pub mod search;
pub mod unlock;
