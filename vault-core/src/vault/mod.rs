//! The vault: one handle over everything below.
//!
//! Knows nothing of HTTP or of terminals. [`LockedVault`] holds the directory and no key; [`Vault`]
//! answers calls until it is closed. Each call is decided in the transaction or snapshot that it
//! works on, and leaves an entry in the log whether it is granted or refused.

mod access;
mod admin;
mod ages;
mod api_key;
mod ask;
mod backups;
mod blobs;
mod breach;
mod bulk;
mod call;
mod checks;
mod consent_receipt;
mod consents;
mod contracts;
mod copies;
mod corrections;
mod create;
mod cursor;
mod decisions;
mod delivery;
mod desk;
mod dialogue;
mod disclosures;
mod emergencies;
mod evidence;
mod export;
mod figures;
mod guard;
mod holds;
mod honey;
mod import;
mod incidents;
mod input;
mod jobs;
mod ledgers;
mod logs;
mod notices;
mod objected;
mod objections;
mod pickups;
mod plain;
mod prune;
mod pseudonyms;
mod reads;
mod recipient_notices;
mod reload;
mod requests;
mod restore;
mod restrictions;
mod retention;
mod rotation;
mod secret;
mod sessions;
mod shares;
mod slots;
mod statement;
mod subjects;
mod suppressions;
mod sweep;
#[cfg(test)]
mod tests;
mod together;
mod token;
mod token_row;
mod views;
mod writes;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;

pub use crate::answer::Answer;
pub use crate::backup::registry::{
    BackupBegin, BackupFacts, BackupSummary, BackupView, KeyPartView, Part as BackupPart, PartView,
    ReceiptStatus,
};
// What callers of a vault meet beside it, so that one `use` is enough for a program that holds one.
pub use crate::automated::{DecisionState, DecisionWord, Outcome};
pub use crate::clock::{Clock, SystemClock};
pub use crate::consent::{
    ConsentActor, ConsentDetails, ConsentEvent, ConsentEvidence, ConsentKind, ConsentState,
};
pub use crate::emergency::EmergencyState;
pub use crate::id::{
    BackupId, CallId, DecisionId, DisclosureId, EmergencyId, IncidentId, PairwiseId, ReceiptId,
    RecipientNoticeId, RecordId, RequestId, SessionId, SubjectId, TokenId,
};
pub use crate::incident::{Exemption, IncidentStep, Nature, Risk, Vector as IncidentVector};
pub use crate::keys::slots::SlotKind;
pub use crate::notice::{NoticeAbout, NoticeShown, ShownEvidence};
pub use crate::outbox::{NoticeKind, NoticeState};
pub use crate::policy::CollectionKind;
pub use crate::refusal::{InputError, Refusal};
pub use crate::standing::{
    AgeEvent, HoldState, ObjectionEvent, ObjectionOrigin, ObjectionState, PendingErasure,
};
pub use crate::statement::Notice;
pub use crate::talk::{Choice, Expect, ExpectKind, Message, TalkState, TurnReply};
pub use crate::verification::{AddressKind, CodeToSend};
pub use access::{Access, AccessAbout, AccessPage, AccessQuery};
pub(crate) use admin::PolicyRow;
pub use admin::{PolicyApplied, PolicyView, Status};
pub use ages::{AgeInput, AgeView};
pub use api_key::{Rotated, TokenInput};
pub use backups::{LedgerCopied, LedgerCopyError};
pub use blobs::{BlobPlace, BlobWritten, Download, Look, Upload};
pub use breach::{AffectedPerson, BreachInput, BreachScope, BreachVector};
pub(crate) use bulk::wanted_form;
pub use bulk::{
    ChangeInput, CountBy, CountGroup, CountInput, CountLabel, Counted, Purged, Query, QueryInput,
    QueryNames, QueryPart, Step, Updated,
};
pub(crate) use consent_receipt::document as consent_receipt;
pub use consents::{ConsentInput, ConsentView};
pub use contracts::ContractView;
pub use copies::{BackupInput, BackupMade, Rekeyed};
pub use corrections::CorrectionView;
pub use create::{CreateError, Created, LockedVault, OpenError, Peek, UnlockError, VaultPaths};
pub(crate) use cursor::Tie;
pub use decisions::{
    DecisionFilter, DecisionInput, DecisionKindFigures, DecisionPage, DecisionStep,
    DecisionStepView, DecisionStepped, DecisionView, DecisionsOpen, QueuedDecision,
};
pub use delivery::NoticeDelivery;
pub use desk::Desk;
pub use dialogue::{TurnInput, Turned};
pub use disclosures::{DisclosedField, DisclosureInput, DisclosureView, ToldView};
pub use emergencies::{EmergencyAlarm, EmergencyInput, EmergencySession, EmergencyView};
pub use evidence::{AuditEntry, AuditPage, AuditQuery, LogKeys, LogProof, PastKey};
pub use export::{Export, ExportStep};
pub use figures::{Figures, Histogram};
pub use holds::{HeldPage, HeldPerson, HoldInput, HoldReleased, HoldStep, HoldView};
pub use honey::{Alarms, HoneyAlarm};
pub use import::{ImportBatch, ImportError, ImportLine, ImportWhat, Imported, ImportedLine};
pub use incidents::{
    IncidentInput, IncidentListed, IncidentStepInput, IncidentStepView, IncidentView,
};
pub(crate) use input::body as body_form;
pub use jobs::SweepRun;
pub use logs::{LogLine, LogPage, LogPurged, LogQuery, LogTaken};
pub use notices::NoticeInput;
pub use objections::ObjectionView;
pub use pickups::{LinkGiven, PickedUp, PickupAlarm, PickupFigures, PickupInput};
pub use prune::{Keep, Pruned};
pub use pseudonyms::PseudonymIssued;
pub use recipient_notices::{
    DueNotice, NoticeAct, NoticeFigures, NoticeOutcome, NoticePage, NoticeQuery, NoticeStanding,
    RecipientNotice, RecipientReference,
};
pub use requests::{
    Confirmation, CorrectionInput, Extension, Kept, QueueFilter, QueuePage, QueuedRequest,
    RefusalGiven, RequestAlarm, RequestFigures, RequestInput, RequestStep, RequestStepView,
    RequestStepped, RequestView, RequestsDue, StepWord,
};
pub use restore::{RestoreOptions, RestoredVault};
pub use restrictions::{RestrictionInput, RestrictionStep, RestrictionView};
pub(crate) use rotation::RotationRow;
pub use rotation::{
    DamagedRow, KeyView, KeysView, Onwards, RootRotated, RotationState, RotationView, Stage,
    SystemKeyView, SystemKeysView,
};
pub use secret::{
    KeyFile, KeyFileError, Passphrase, PassphraseError, RecoveryKey, RecoveryKeyError, UnlockSecret,
};
pub use sessions::{SessionBegun, SessionInput, SessionView};
pub use shares::{Share, ShareError, SharedSecret};
pub use slots::{SlotView, only_recovery_keys};
pub use subjects::{CollectionCount, SubjectView};
pub use suppressions::{SuppressionInput, SuppressionKind};
pub use sweep::{PurposeDue, Sweep, SweepDue};
pub use together::{Group, Once};
pub(crate) use token::api_key_sha256;
pub use token::{Call, Principal};
pub(crate) use token_row::TokenRow;
pub use token_row::{TokenState, TokenView};
pub use views::{
    ListOptions, MetaView, Order, Part, ReadOptions, RecordPage, RecordView, Withheld, Written,
};

use crate::backup::registry::SummaryRow;
use crate::commit::Engine;
use crate::jobs::Jobs;
use crate::limits::CACHE_BYTES_DEFAULT;
use crate::policy::Policy;

/// When the entry of a read has to be durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditDurability {
    /// It survives the process before the value leaves, and a power loss with the next commit, at
    /// most a second later.
    #[default]
    Batched,
    /// It survives a power loss before the value leaves: every read waits for a commit.
    PowerSafe,
}

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
    /// Somebody knows that the database is older than the checkpoint in the anchor, and what that
    /// loses, and goes on with it.
    pub accept_rollback: bool,
    /// When the entry of a read has to be durable.
    pub audit_durability: AuditDurability,
    /// Most bytes of the database that are kept in memory, beside what the system caches.
    pub cache_bytes: usize,
}

impl Settings {
    /// The settings that accept nothing out of the ordinary.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            accept_any_file_system: false,
            confirm_clock: false,
            accept_rollback: false,
            audit_durability: AuditDurability::default(),
            cache_bytes: CACHE_BYTES_DEFAULT,
        }
    }
}

/// The system's clock, and a file system under the anchor that overwrites in place.
impl Default for Settings {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

/// An open vault. Every method may block on the disk. After [`Vault::close`] all answer
/// [`Refusal::Locked`].
pub struct Vault {
    engine: Engine,
    paths: VaultPaths,
    closed: AtomicBool,
    /// The policy that was committed last, as far as anybody has looked.
    policy: Mutex<Arc<Policy>>,
    audit_durability: AuditDurability,
    uploads: blobs::Uploads,
    uses: Arc<token_row::Uses>,
    rounds: figures::Rounds,
    jobs: Jobs,
    /// The registry's summary as it was looked at last: after each change of it.
    backups: Mutex<SummaryRow>,
    /// Held while a copy of the ledger is written: two would write into one file.
    pushing: Mutex<()>,
    /// Held while a backup is made, given new keys, or taken away: who takes away would else meet what is half made,
    /// and say that it is gone.
    working: Mutex<()>,
    imports: import::Imports,
    memory: Arc<guard::Memory>,
}
