//! The vault as a library.
//!
//! Synchronous, and knows no HTTP: a server and a command line stand on top of it, and a Rust program
//! can, too. Such a program starts at [`vault`]: [`vault::LockedVault`] holds a directory without its
//! keys, [`vault::Vault`] answers calls. Each call says who calls and what for, is decided by the
//! policy, and leaves an entry in the log.
//!
//! ```
//! use vault_core::vault::{Call, Created, LockedVault, Passphrase, ReadOptions, Settings, VaultPaths};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let home = tempfile::tempdir()?;
//! # let directory = home.path().join("vault");
//! # // The directory of a test may lie on any file system.
//! # let settings = Settings { accept_any_file_system: true, ..Settings::default() };
//! let passphrase = Passphrase::new("correct horse battery".into())?;
//! let policy = vault_core::policy::SAMPLE;
//! let Created { vault, recovery_key, .. } =
//!     LockedVault::create(&VaultPaths::beside(&directory), settings, &passphrase, policy)?;
//! // Shown once: it opens the vault when the passphrase is lost.
//! let to_be_kept_safe = recovery_key.to_text();
//!
//! // Whoever has an unlock secret makes API keys; a key's role says what it may do.
//! let (_, key) = vault.create_token(&Call::new(&vault.keyholder()), "bot", None)?;
//! let bot = vault.authenticate(&key)?;
//! let call = || Call::new(&bot).with_purpose("support");
//!
//! let (person, _) = vault.create_subject(&call(), "web", "visitor-42")?;
//! let told = serde_json::from_str(r#"{"name": "Ann Example"}"#)?;
//! vault.patch_single(&call(), person, "profile", told, None)?;
//! vault.read_single(&call(), person, "profile", &ReadOptions::default(), |record, _| {
//!     assert_eq!(record.expect("just written").fields["name"], "Ann Example");
//! })?;
//! vault.close();
//! # Ok(())
//! # }
//! ```
//!
//! `examples/bot_without_server.rs` goes on: opening it again, questions, erasure and its receipt. A
//! vault is held by one process at a time; every call may block on the disk, so an asynchronous
//! program makes them on threads that may. Nobody sweeps on their own: call [`vault::Vault::sweep`]
//! every minute, as the server does, or what has ended stays on the disk.
//!
//! Imports go one way: a module knows those it stands on, never those above it.

mod answer;
pub mod audit;
pub mod automated;
pub mod backup;
mod blob;
pub mod breach;
pub mod clock;
pub mod commit;
pub mod consent;
pub mod contract;
pub mod crypto;
pub mod deadline;
mod decision;
pub mod detect;
pub mod dialogue;
mod disclosure;
pub mod doctor;
mod emergency;
pub mod entropy;
mod events;
pub mod export;
mod holder;
pub mod id;
pub mod import;
mod incident;
pub mod jobs;
pub mod keys;
pub mod limits;
mod log_lines;
pub mod medium;
pub mod notice;
pub mod outbox;
mod pairwise;
#[doc(hidden)]
pub mod parsers;
mod person;
pub mod pickup;
pub mod policy;
mod pseudonym;
mod record;
pub mod refusal;
mod remains;
pub mod request;
mod retention;
pub mod revocation;
mod rotation;
pub mod row;
pub mod schema;
pub mod session;
pub mod standing;
pub mod statement;
pub mod store;
pub mod suppression;
mod talk;
pub mod vault;
#[cfg(test)]
mod vectors;
pub mod verification;
