//! The vault: one handle over everything below.
//!
//! Knows nothing of HTTP or of terminals. [`LockedVault`] holds the directory and no key; [`Vault`]
//! answers calls until it is closed. Each call is decided in the transaction or snapshot that it
//! works on, and leaves an entry in the log whether it is granted or refused.

mod admin;
mod call;
mod consents;
mod create;
mod guard;
mod input;
mod secret;
mod sessions;
mod statement;
mod subjects;
mod sweep;
#[cfg(test)]
mod tests;
mod token;
mod values;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;

pub use crate::consent::{ConsentEvent, ConsentState};
pub use crate::keys::slots::SlotKind;
pub use crate::policy::CollectionKind;
pub use admin::{PolicyApplied, PolicyView, SlotView, Status};
pub use consents::{ConsentInput, ConsentView};
pub use create::{CreateError, Created, LockedVault, OpenError, Peek, UnlockError, VaultPaths};
pub use secret::{Passphrase, PassphraseError, RecoveryKey, RecoveryKeyError, UnlockSecret};
pub use sessions::{SessionBegun, SessionInput, SessionView};
pub use subjects::{CollectionCount, SubjectView};
pub use sweep::Sweep;
pub use token::{Call, Principal, TokenView};
pub use values::{
    ListOptions, MetaView, Order, Part, ReadOptions, RecordPage, RecordView, Withheld, Written,
};

use crate::clock::Clock;
use crate::commit::Engine;
use crate::crypto::Secret;
use crate::policy::Policy;

/// Time and settings that a vault runs with.
#[derive(Clone)]
pub struct Settings {
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// Accept file systems that keep old bytes (copy-on-write, network, overlay) under the anchor.
    pub accept_any_file_system: bool,
    /// Somebody has looked at the clock and says that it is right, though it is more than a day
    /// ahead of the vault's last commit.
    pub confirm_clock: bool,
}

/// An open vault. Every method may block on the disk. After [`Vault::close`] all answer
/// [`Refusal::Locked`](crate::refusal::Refusal::Locked).
pub struct Vault {
    engine: Engine,
    paths: VaultPaths,
    closed: AtomicBool,
    /// The policy that was committed last, as far as anybody has looked.
    policy: Mutex<Arc<Policy>>,
    guard: guard::Guard,
    asks: guard::Asks,
    /// Seals cursors: gone with the process.
    process_key: Secret<32>,
}
