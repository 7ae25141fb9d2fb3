//! The vault: one handle over everything below.
//!
//! Knows nothing of HTTP or of terminals. [`LockedVault`] holds the directory and no key;
//! [`Vault`] answers calls until it is closed.

#![allow(missing_docs, clippy::unimplemented, clippy::all)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::clock::Clock;
use crate::id::{CallId, ConsentId, RecordId, SubjectId, TokenId, VaultId};
use crate::refusal::Refusal;

/// The two directories of a vault.
#[derive(Clone, Debug)]
pub struct VaultPaths {
    /// Database, journal, configuration.
    pub dir: PathBuf,
    /// Anchor and key slots; beside `dir` by default, as `DIR-anchor`.
    pub anchor: PathBuf,
}
impl VaultPaths {
    /// `dir`, and `DIR-anchor` beside it.
    #[must_use]
    pub fn beside(_dir: &Path) -> Self { unimplemented!() }
}

/// Time and settings that a vault runs with.
#[derive(Clone)]
pub struct Settings {
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// Accept file systems that keep old bytes (copy-on-write, network, overlay) under the anchor.
    pub accept_any_file_system: bool,
}

/// A passphrase, forgotten when dropped. At least 12 characters, at most 1,024 bytes.
pub struct Passphrase(());
impl Passphrase {
    /// # Errors
    /// A sentence for the user.
    pub fn new(_text: String) -> Result<Self, PassphraseError> { unimplemented!() }
}
/// Why a passphrase is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassphraseError {
    /// Over 1,024 bytes.
    #[error("a passphrase has at most 1,024 bytes")]
    TooLong,
    /// Under 12 characters.
    #[error("a passphrase has at least 12 characters")]
    TooShort,
}
/// A recovery key: 160 random bits. `Display` prints it for the one time it is shown.
pub struct RecoveryKey(());
impl RecoveryKey {
    /// The groups of Crockford base 32 with a checksum, to be shown once.
    #[must_use]
    pub fn to_text(&self) -> String { unimplemented!() }
}
impl std::str::FromStr for RecoveryKey {
    type Err = RecoveryKeyError;
    fn from_str(_s: &str) -> Result<Self, RecoveryKeyError> { unimplemented!() }
}
/// Why a text is no recovery key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryKeyError {
    /// Characters are right, the checksum is not.
    #[error("the recovery key has a typing error: its checksum does not fit")]
    Checksum,
    /// Not a recovery key at all.
    #[error("a recovery key has 36 characters of 0-9 and A-Z in groups of four")]
    Form,
}
/// What opens a slot.
pub enum UnlockSecret {
    /// A passphrase, through Argon2id.
    Passphrase(Passphrase),
    /// A recovery key, through HKDF.
    RecoveryKey(RecoveryKey),
}

/// What `create` leaves: an open vault, and the recovery key to show once.
pub struct Created {
    /// The vault's directory, held.
    pub locked: LockedVault,
    /// The open vault.
    pub vault: Arc<Vault>,
    /// Opens the second slot.
    pub recovery_key: RecoveryKey,
}

/// Why a vault could not be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The directory holds something already.
    #[error("{0} is not empty")]
    Exists(PathBuf),
    /// The anchor's file system keeps old bytes.
    #[error("the file system under {path} is {kind}, which may keep overwritten bytes")]
    FileSystem {
        /// The anchor directory.
        path: PathBuf,
        /// Such as `btrfs`.
        kind: String,
    },
    /// The operating system refused.
    #[error("could not create {path}")]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The policy does not pass its check: the findings, one a line.
    #[error("the policy does not pass its check")]
    Policy(Vec<String>),
    /// The store below failed.
    #[error("could not write the store")]
    Store(#[source] crate::store::StoreError),
}

/// Why a vault's directory could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A creation was cut off before it was finished; nothing was stored yet.
    #[error("the creation of {0} was cut off; remove it and its anchor directory and create it again")]
    HalfCreated(PathBuf),
    /// Another process holds it.
    #[error("another process holds {0}")]
    Held(PathBuf),
    /// The operating system refused.
    #[error("could not open {path}")]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No vault there.
    #[error("there is no vault at {0}")]
    NotFound(PathBuf),
}

/// Why a vault could not be unlocked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnlockError {
    /// The anchor and the database do not belong together, or neither slot opens the database.
    #[error("the anchor does not open this database")]
    Anchor,
    /// Bytes are not those that were written.
    #[error("the vault's files are damaged: {0}")]
    Damaged(&'static str),
    /// The operating system refused.
    #[error("could not read the vault's files")]
    Io(#[source] std::io::Error),
    /// No slot opens with this secret.
    #[error("no key slot opens with this passphrase or key")]
    NoSlotMatches,
    /// The store below failed.
    #[error("could not open the store")]
    Store(#[source] crate::store::StoreError),
}

/// A vault's directory, held by this process, without any key.
pub struct LockedVault(());
impl LockedVault {
    /// Creates a vault: first slot, recovery slot, anchor, policy.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub fn create(_paths: &VaultPaths, _settings: Settings, _passphrase: &Passphrase, _policy: &str) -> Result<Created, CreateError> { unimplemented!() }
    /// Holds the directory of an existing vault.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(_paths: &VaultPaths, _settings: Settings) -> Result<Self, OpenError> { unimplemented!() }
    /// Opens the vault with a secret of one of its slots; recovers what a crash left half done.
    ///
    /// # Errors
    /// See [`UnlockError`].
    pub fn unlock(&self, _secret: &UnlockSecret) -> Result<Arc<Vault>, UnlockError> { unimplemented!() }
    /// The vault's id.
    #[must_use]
    pub fn vault_id(&self) -> VaultId { unimplemented!() }
    /// What can be said of a vault without its keys (`status` beside a server).
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn peek(_paths: &VaultPaths) -> Result<Peek, OpenError> { unimplemented!() }
}
/// A vault seen from outside.
#[derive(Clone, Debug)]
pub struct Peek {
    /// The vault's id.
    pub vault: VaultId,
    /// Whether another process holds it.
    pub held: bool,
    /// Size of all its files.
    pub bytes_on_disk: u64,
}

/// Who calls: an API key with its role, or whoever has an unlock secret. Made by the vault alone.
#[derive(Clone)]
pub struct Principal(());
impl Principal {
    /// The role's name (`keyholder` for an unlock secret).
    #[must_use]
    pub fn role(&self) -> &str { unimplemented!() }
}

/// One call: who, what for, and its id in log and evidence.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Who calls.
    pub principal: &'a Principal,
    /// The stated purpose's name.
    pub purpose: Option<&'a str>,
    /// The call's id.
    pub id: CallId,
}

/// An open vault. Every method may block on the disk. After [`Vault::close`] all answer
/// [`Refusal::Locked`].
pub struct Vault(());

#[allow(missing_docs)] // skeleton
#[derive(Clone, Debug)]
pub struct Status { pub vault: VaultId, pub policy_version: u32, pub people: u64, pub erased: u64, pub writable: bool, pub audit_entries: u64, pub bytes_on_disk: u64 }
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub struct SubjectView { pub subject: SubjectId, pub created_at: Timestamp, pub state: &'static str, pub restricted: bool, pub held: bool, pub collections: Vec<CollectionCount> }
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub struct CollectionCount { pub collection: String, pub records: u64 }
/// One record as this caller may see it. No `Debug`: it holds values.
#[allow(missing_docs)]
pub struct RecordView { pub record: RecordId, pub created_at: Timestamp, pub occurred_at: Option<Timestamp>, pub etag: String, pub fields: Map<String, Value>, pub masked: Vec<String>, pub withheld: Vec<Withheld>, pub meta: MetaView }
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub struct Withheld { pub field: String, pub code: &'static str }
#[allow(missing_docs)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetaView { pub purposes: Vec<String>, pub expires_at: Option<Timestamp>, pub source: Option<String>, pub shared_with: Vec<String>, pub category: Option<String> }
/// Which part of a record a read is to show.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part { #[default] Fields, MetaOnly }
#[allow(missing_docs)]
#[derive(Clone, Debug, Default)]
pub struct ReadOptions { pub fields: Option<Vec<String>>, pub part: Part }
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order { #[default] Oldest, Newest }
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub struct ListOptions { pub read: ReadOptions, pub limit: usize, pub order: Order, pub cursor: Option<String> }
#[allow(missing_docs)]
pub struct RecordPage { pub records: Vec<RecordView>, pub next: Option<String> }
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub struct Written { pub record: Option<RecordId>, pub etag: String, /// Until when a removed or replaced value is gone for good.
 pub final_by: Option<Timestamp> }
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub struct ConsentInput { pub given: bool, pub notice: Value, pub choice: Option<String>, pub message_id: Option<String> }
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentState { Given, Refused, Withdrawn }
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub struct ConsentEvent { pub consent: ConsentId, pub state: ConsentState, pub at: Timestamp, pub notice: Value, pub choice: Option<String>, pub message_id: Option<String> }
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub struct ConsentView { pub purpose: String, pub state: ConsentState, pub history: Vec<ConsentEvent> }
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub struct TokenView { pub token: TokenId, pub role: String, pub created_at: Timestamp, pub expires_at: Option<Timestamp>, pub revoked: bool }
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub struct PolicyView { pub version: u32, pub applied_at: Timestamp, pub sha256: [u8; 32], pub source: String }
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub struct PolicyApplied { pub version: u32, pub changes: Vec<String> }
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub struct SlotView { pub number: u8, pub kind: SlotKind, pub label: String, pub created_at: Timestamp }
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind { Passphrase, RecoveryKey }

#[allow(missing_docs, unused_variables, clippy::missing_errors_doc)]
impl Vault {
    pub fn close(&self) { unimplemented!() }
    pub fn is_open(&self) -> bool { unimplemented!() }
    pub fn status(&self) -> Result<Status, Refusal> { unimplemented!() }
    /// Finds the API key `vk_…`.
    pub fn authenticate(&self, bearer: &str) -> Result<Principal, Refusal> { unimplemented!() }
    /// The caller who has an unlock secret: slots, tokens, policy, subjects.lookup/view/erase; no values.
    pub fn keyholder(&self) -> Principal { unimplemented!() }
    pub fn create_subject(&self, call: &Call<'_>, channel: &str, user: &str) -> Result<(SubjectId, bool), Refusal> { unimplemented!() }
    pub fn lookup_channel(&self, call: &Call<'_>, channel: &str, user: &str) -> Result<SubjectId, Refusal> { unimplemented!() }
    /// `field` is `collection.field`.
    pub fn lookup_field(&self, call: &Call<'_>, field: &str, value: &Value) -> Result<SubjectId, Refusal> { unimplemented!() }
    pub fn view_subject(&self, call: &Call<'_>, subject: SubjectId) -> Result<SubjectView, Refusal> { unimplemented!() }
    /// Erases the person; the receipt document.
    pub fn erase_subject(&self, call: &Call<'_>, subject: SubjectId) -> Result<Value, Refusal> { unimplemented!() }
    /// Which kind a collection is; `Refusal::NotFound("collection")`.
    pub fn collection_kind(&self, collection: &str) -> Result<CollectionKind, Refusal> { unimplemented!() }
    /// Merge patch of a single collection. `if_match` is the etag without quotes.
    pub fn patch_single(&self, call: &Call<'_>, subject: SubjectId, collection: &str, body: Map<String, Value>, if_match: Option<&str>) -> Result<Written, Refusal> { unimplemented!() }
    /// `None` if nothing is stored. `hand_over` runs under the lock of the last check: serialise there, take nothing out.
    pub fn read_single<R>(&self, call: &Call<'_>, subject: SubjectId, collection: &str, options: &ReadOptions, hand_over: impl FnOnce(Option<&RecordView>, &[Withheld]) -> R) -> Result<R, Refusal> { unimplemented!() }
    /// Appends 1..=1000 records; each body may carry `_meta` and `occurred_at`.
    pub fn append(&self, call: &Call<'_>, subject: SubjectId, collection: &str, bodies: Vec<Map<String, Value>>) -> Result<Vec<RecordId>, Refusal> { unimplemented!() }
    pub fn list<R>(&self, call: &Call<'_>, subject: SubjectId, collection: &str, options: &ListOptions, hand_over: impl FnOnce(&RecordPage) -> R) -> Result<R, Refusal> { unimplemented!() }
    pub fn read_record<R>(&self, call: &Call<'_>, subject: SubjectId, collection: &str, record: RecordId, options: &ReadOptions, hand_over: impl FnOnce(&RecordView) -> R) -> Result<R, Refusal> { unimplemented!() }
    pub fn patch_record(&self, call: &Call<'_>, subject: SubjectId, collection: &str, record: RecordId, body: Map<String, Value>, if_match: Option<&str>) -> Result<Written, Refusal> { unimplemented!() }
    pub fn delete_record(&self, call: &Call<'_>, subject: SubjectId, collection: &str, record: RecordId, if_match: Option<&str>) -> Result<Written, Refusal> { unimplemented!() }
    /// `field` is `collection.field` of a single collection; `test` as in API.md.
    pub fn ask(&self, call: &Call<'_>, subject: SubjectId, field: &str, test: &Value) -> Result<bool, Refusal> { unimplemented!() }
    pub fn put_consent(&self, call: &Call<'_>, subject: SubjectId, purpose: &str, input: ConsentInput) -> Result<ConsentEvent, Refusal> { unimplemented!() }
    pub fn withdraw_consent(&self, call: &Call<'_>, subject: SubjectId, purpose: &str) -> Result<ConsentEvent, Refusal> { unimplemented!() }
    pub fn read_consent(&self, call: &Call<'_>, subject: SubjectId, purpose: &str) -> Result<ConsentView, Refusal> { unimplemented!() }
    pub fn list_consents(&self, call: &Call<'_>, subject: SubjectId) -> Result<Vec<ConsentView>, Refusal> { unimplemented!() }
    pub fn policy(&self, call: &Call<'_>) -> Result<PolicyView, Refusal> { unimplemented!() }
    /// Readable effective policy.
    pub fn policy_text(&self, call: &Call<'_>) -> Result<String, Refusal> { unimplemented!() }
    pub fn policy_versions(&self, call: &Call<'_>) -> Result<Vec<(u32, Timestamp)>, Refusal> { unimplemented!() }
    /// `Refusal::Invalid` with pointer `""`, code of the finding, detail "line N: …".
    pub fn apply_policy(&self, call: &Call<'_>, source: &str, dry_run: bool) -> Result<PolicyApplied, Refusal> { unimplemented!() }
    /// The secret `vk_…` is shown once.
    pub fn create_token(&self, call: &Call<'_>, role: &str, expires_at: Option<Timestamp>) -> Result<(TokenView, String), Refusal> { unimplemented!() }
    pub fn list_tokens(&self, call: &Call<'_>) -> Result<Vec<TokenView>, Refusal> { unimplemented!() }
    pub fn revoke_token(&self, call: &Call<'_>, token: TokenId) -> Result<(), Refusal> { unimplemented!() }
    /// Role names of the policy and the reserved ones.
    pub fn role_names(&self) -> Vec<String> { unimplemented!() }
    pub fn slots(&self, call: &Call<'_>) -> Result<Vec<SlotView>, Refusal> { unimplemented!() }
    pub fn add_passphrase_slot(&self, call: &Call<'_>, passphrase: &Passphrase, label: &str) -> Result<SlotView, Refusal> { unimplemented!() }
    pub fn add_recovery_slot(&self, call: &Call<'_>, label: &str) -> Result<(SlotView, RecoveryKey), Refusal> { unimplemented!() }
    pub fn remove_slot(&self, call: &Call<'_>, number: u8) -> Result<(), Refusal> { unimplemented!() }
    /// The slot that this secret opens.
    pub fn test_slot(&self, call: &Call<'_>, secret: &UnlockSecret) -> Result<Option<u8>, Refusal> { unimplemented!() }
    /// Re-keys what deletions left behind, re-places the index, drops expired keys: at most one bounded pass; `true` if more remains.
    pub fn sweep(&self) -> Result<bool, Refusal> { unimplemented!() }
}
/// Kinds of collections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectionKind {
    /// One record a person.
    Single,
    /// Records in time order.
    Many,
}
