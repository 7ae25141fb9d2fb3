//! What every commit carries along: the vault's time, counts, and where long work stands.
//!
//! One sealed row; what stands in clear beside it is the epoch and a serial number.

use serde::{Deserialize, Serialize};

use crate::crypto::Location;
use crate::id::VaultId;
use crate::keys::ring::KeyRing;
use crate::row;
use crate::store::{ReadTx, StoreError, Table, WriteTx};

/// The row in clear: epoch, serial, count of recoveries, each eight bytes.
const EPOCH_ROW: &[u8] = b"epoch";
const STATE_ROW: &[u8] = b"state";

/// The running state of a vault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Milliseconds since 1970 of the last commit: the vault's time never goes back.
    pub time: i64,
    /// The number of the next entry of the log.
    pub audit_next: u64,
    /// The last frame of the read journal that is in the log.
    pub journal_folded: u64,
    /// People who are not erased.
    pub people: u64,
    /// People who were.
    pub erased: u64,
    /// When an index entry was first removed since the index was last built anew.
    pub index_stale_since: Option<i64>,
    /// Where the building of a new index stands.
    pub rebuild_from: Option<[u8; 16]>,
    /// Where the sweeper stands.
    pub sweep_from: [u8; 16],
    /// When the sweeper last began a round in which it asks what purposes still need.
    pub purposes_at: i64,
    /// Whether the round under way is one.
    pub purposes_asked: bool,
    /// The policy in force.
    pub policy_version: u32,
    /// When the newest checkpoint in the log's table was made.
    pub checkpoint_at: i64,
    /// Entries of the erasure ledger.
    pub ledger: u64,
}

impl State {
    pub(super) fn load(
        vault: VaultId,
        tx: &dyn ReadTx,
        keys: &KeyRing,
    ) -> Result<Self, StoreError> {
        let sealed = tx
            .get(Table::System, STATE_ROW)?
            .ok_or(StoreError::Corrupt)?;
        Self::open(vault, keys, &sealed).ok_or(StoreError::Corrupt)
    }

    /// The state in its row; `None` if that does not open, or is not of its form.
    pub(crate) fn open(vault: VaultId, keys: &KeyRing, sealed: &[u8]) -> Option<Self> {
        let location = Location::row(vault, Table::System.number(), STATE_ROW);
        row::decode(&keys.unseal(&location, sealed).ok()?).ok()
    }

    pub(super) fn store(
        &self,
        vault: VaultId,
        tx: &mut dyn WriteTx,
        keys: &KeyRing,
    ) -> Result<(), StoreError> {
        let location = Location::row(vault, Table::System.number(), STATE_ROW);
        let sealed = keys.seal(&location, &row::encode(self));
        let sealed = sealed.expect("a state is short");
        tx.put(Table::System, STATE_ROW, &sealed)
    }
}

/// Which keys open the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EpochRow {
    pub(super) epoch: u64,
    pub(super) serial: u64,
    pub(super) recoveries: u64,
}

impl EpochRow {
    pub(super) fn load(tx: &dyn ReadTx) -> Result<Self, StoreError> {
        let row = tx
            .get(Table::System, EPOCH_ROW)?
            .ok_or(StoreError::Corrupt)?;
        let row: [u8; 24] = row.try_into().map_err(|_| StoreError::Corrupt)?;
        let part = |at: usize| u64::from_be_bytes(row[at..at + 8].try_into().expect("eight"));
        Ok(Self {
            epoch: part(0),
            serial: part(8),
            recoveries: part(16),
        })
    }

    pub(super) fn store(self, tx: &mut dyn WriteTx) -> Result<(), StoreError> {
        let mut row = Vec::with_capacity(24);
        row.extend_from_slice(&self.epoch.to_be_bytes());
        row.extend_from_slice(&self.serial.to_be_bytes());
        row.extend_from_slice(&self.recoveries.to_be_bytes());
        tx.put(Table::System, EPOCH_ROW, &row)
    }
}
