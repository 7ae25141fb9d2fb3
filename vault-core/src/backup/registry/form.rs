//! Backups as callers name and see them, and as they are stored.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::BackupId;
use crate::person::instant;

/// A part of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Ciphertext.
    Data,
    /// Keys.
    Keys,
}

impl Part {
    /// The name, in calls.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Keys => "keys",
        }
    }

    /// The part of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Data, Self::Keys]
            .into_iter()
            .find(|part| part.name() == name)
    }
}

/// A backup that is about to be made.
#[derive(Clone, Debug)]
pub struct BackupBegin {
    /// Where it goes, as the operator names it.
    pub target: String,
    /// Whether it has a data part.
    pub data: bool,
    /// Whether it has a key part, and when that is to be destroyed.
    pub keys: Option<Timestamp>,
    /// The backup whose data part this one is a new key part for.
    pub of: Option<BackupId>,
}

/// What a finished backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFacts {
    /// Its size.
    pub bytes: u64,
    /// People in it.
    pub people: u64,
    /// Records in it.
    pub records: u64,
    /// The epoch in which it was made.
    pub epoch: u64,
    /// The policy that was in force.
    pub policy_version: u32,
    /// Entries of the erasure ledger that it knows.
    pub ledger_position: u64,
    /// SHA-256 of its manifest.
    pub manifest_sha256: [u8; 32],
}

/// One part, seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartView {
    /// When it was whole.
    pub completed_at: Option<Timestamp>,
    /// When it was verified that the target no longer has it.
    pub deleted_at: Option<Timestamp>,
}

/// The key part, seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPartView {
    /// When it was whole.
    pub completed_at: Option<Timestamp>,
    /// When it was verified that the target no longer has it.
    pub deleted_at: Option<Timestamp>,
    /// When it is to be destroyed.
    pub expires_at: Timestamp,
    /// Whether that is past and nobody has verified it.
    pub overdue: bool,
}

/// A backup, seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupView {
    /// Its id.
    pub backup: BackupId,
    /// Where it went.
    pub target: String,
    /// Since when.
    pub started_at: Timestamp,
    /// The backup whose data part this one is a key part for.
    pub of: Option<BackupId>,
    /// Its data part.
    pub data: Option<PartView>,
    /// Its key part.
    pub keys: Option<KeyPartView>,
    /// When it could not go on.
    pub failed_at: Option<Timestamp>,
    /// What it holds, once it is whole.
    pub facts: Option<BackupFacts>,
}

/// The registry in a few numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSummary {
    /// Until when an erasure of now could be undone.
    pub erasure_horizon: Timestamp,
    /// Key parts that are not verified deleted.
    pub key_parts: usize,
    /// Those of them that should be.
    pub overdue: usize,
    /// When a backup with a data part was last whole.
    pub last_completed_at: Option<Timestamp>,
}

/// How far an erasure reaches by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptStatus {
    /// No key part that may hold who was erased is left since then.
    Final(Timestamp),
    /// Some are.
    Open {
        /// When the last of them is to be destroyed.
        horizon: Timestamp,
        /// Which.
        backups: Vec<BackupId>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartRow {
    pub(crate) completed_at: Option<i64>,
    pub(crate) deleted_at: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyPartRow {
    pub(crate) part: PartRow,
    pub(crate) expires_at: i64,
}

/// A backup as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackupRow {
    pub(crate) target: String,
    pub(crate) started_at: i64,
    /// Entries of the log when it was registered: what was erased by a later one may be in it.
    pub(crate) log_size: u64,
    pub(crate) of: Option<BackupId>,
    pub(crate) data: Option<PartRow>,
    pub(crate) keys: Option<KeyPartRow>,
    pub(crate) failed_at: Option<i64>,
    pub(crate) facts: Option<BackupFacts>,
}

/// A key part that is not verified deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LiveKeys {
    pub(crate) backup: BackupId,
    pub(crate) log_size: u64,
    pub(crate) expires_at: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SummaryRow {
    pub(crate) keys: Vec<LiveKeys>,
    pub(crate) last_completed_at: Option<i64>,
}

/// A stored backup as it looks now.
pub(crate) fn view_of(backup: BackupId, row: BackupRow, now: Timestamp) -> BackupView {
    let BackupRow {
        target,
        started_at,
        log_size: _,
        of,
        data,
        keys,
        failed_at,
        facts,
    } = row;
    BackupView {
        backup,
        target,
        started_at: instant(started_at),
        of,
        data: data.map(|part| PartView {
            completed_at: part.completed_at.map(instant),
            deleted_at: part.deleted_at.map(instant),
        }),
        keys: keys.map(|keys| KeyPartView {
            completed_at: keys.part.completed_at.map(instant),
            deleted_at: keys.part.deleted_at.map(instant),
            expires_at: instant(keys.expires_at),
            overdue: keys.part.deleted_at.is_none() && instant(keys.expires_at) < now,
        }),
        failed_at: failed_at.map(instant),
        facts,
    }
}
