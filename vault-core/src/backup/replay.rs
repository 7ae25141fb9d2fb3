//! What must not come back with a backup: the shape that the erasure ledger gives it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::id::{ReceiptId, RecordId, RowHandle, TokenId};

/// A person who is gone, as a tombstone keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// SHA-256 of their id.
    pub subject_sha256: [u8; 32],
    /// What stands for the erasure.
    pub receipt: ReceiptId,
    /// The epoch since.
    pub epoch: u64,
    /// When.
    pub at: Timestamp,
}

/// What the ledger says of the time since a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Entries of the longest copy.
    pub position: u64,
    /// Whatever was acknowledged before this is in it.
    pub complete_until: Timestamp,
    /// People who are gone.
    pub erased: BTreeMap<RowHandle, Erased>,
    /// Records that are gone: collection, record.
    pub removed: BTreeMap<RowHandle, BTreeSet<(u16, [u8; RecordId::BYTES])>>,
    /// Keys that are gone.
    pub keys: BTreeMap<RowHandle, BTreeSet<u32>>,
    /// Purposes that people no longer agree to, and since when.
    pub withdrawn: BTreeMap<RowHandle, Vec<(u16, Timestamp)>>,
    /// API keys that open nothing any more.
    pub revoked_tokens: BTreeSet<TokenId>,
}
