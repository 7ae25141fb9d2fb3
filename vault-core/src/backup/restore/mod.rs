//! Makes the rows of a vault out of a backup: new roots, new index, the same people under new KEKs.
//!
//! Knows nothing of directories but where something may be put aside; who calls gives an empty store and
//! throws it away if this fails. The backup's objects are verified beside this. One thread reads
//! (`common`, `people`) the backup and the newest ledger, several open keysets and a sample of values, one writes
//! (`writer`), in the order of keys and in transactions of bounded size; the shred maps come last, each made once by a
//! thread of its own (`aside`, `keys::shred::build`). Memory does not grow with the vault.

mod aside;
mod common;
mod people;
mod writer;

use std::path::Path;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::error::BackupError;
use super::ledger::{Erased, Replay};
use super::open::Counts;
use super::read::OpenSource;
use super::verify::Tell;
use crate::clock::day_of;
use crate::commit::{State, initialise, store_state};
use crate::crypto::Location;
use crate::entropy::OsEntropy;
use crate::id::VaultId;
use crate::keys::ring::KeyRing;
use crate::keys::system::{Roots, SystemKeys};
use crate::person::Tombstone;
use crate::row;
use crate::store::{FillingStore, Store, StoreError, Table, WriteTx};
use crate::suppression;
use people::{Reading, Totals};
use writer::Blocks;

/// So far are the epochs of a restored vault from those of the lost one that none has the same.
const EPOCHS_APART: u64 = 1 << 20;

/// What was brought back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// People, rows, envelopes.
    pub counts: Counts,
    /// Consents that were withdrawn since.
    pub withdrawn: u64,
    /// Objections and restrictions that were made, decided or ended since.
    pub demands: u64,
    /// API keys, all revoked.
    pub api_keys: u64,
    /// Entries of the log.
    pub log_entries: u64,
}

impl Restored {
    fn add(&mut self, totals: Totals) {
        self.counts.add(totals.counts);
        self.withdrawn += totals.withdrawn;
        self.demands += totals.demands;
    }
}

/// The epoch that a vault of this backup begins with.
pub(crate) fn first_epoch(epoch: u64, replay: &Replay) -> u64 {
    let erased = replay.erased.values().map(|erased| erased.epoch).max();
    erased.unwrap_or(0).max(epoch) + EPOCHS_APART
}

/// Makes of an API key's row that of a revoked one; `None` for what is none.
pub(crate) type Revoke<'r> = &'r (dyn Fn(&[u8], Timestamp) -> Option<Zeroizing<Vec<u8>>> + Sync);

/// Takes an entry of the ledger: its sequence, and its row.
pub(crate) type TakeEntry<'t> = dyn FnMut(u64, &[u8]) -> Result<(), BackupError> + 't;

/// By what a vault is filled, beside its backup.
pub(crate) struct Terms<'a> {
    pub(crate) now: Timestamp,
    pub(crate) revoke: Revoke<'a>,
    /// About so many people are opened whole.
    pub(crate) opened_people: u64,
    /// Gives the entries of a ledger that is longer than the backup's, if there is one.
    pub(crate) ledger: Option<&'a Ledger<'a>>,
}

/// Gives every entry of a ledger, from the first on.
pub(crate) type Ledger<'l> = dyn Fn(&mut TakeEntry<'_>) -> Result<(), BackupError> + Sync + 'l;

/// Where a vault is filled, and with what.
pub(crate) struct Place<'a> {
    /// An empty store.
    pub(crate) store: &'a FillingStore,
    /// A directory in which something may be put aside; nothing of it has a name afterwards.
    pub(crate) dir: &'a Path,
    pub(crate) roots: &'a Roots,
    pub(crate) system: &'a SystemKeys,
}

/// Fills an empty store.
///
/// # Errors
///
/// See [`BackupError`]; the store is then to be thrown away.
pub(crate) fn fill(
    open: &OpenSource,
    place: &Place<'_>,
    replay: &Replay,
    terms: &Terms<'_>,
    tell: Tell<'_>,
) -> Result<Restored, BackupError> {
    let (store, system) = (place.store, place.system);
    let vault = open.source.manifest.vault;
    let state = state_of(open)?;
    initialise(store, place.roots, vault, system, &state, &mut |_| Ok(()))
        .map_err(|_| BackupError::Store(StoreError::Aborted))?;
    let placement = system.placements.first().expect("one, of the new place");
    let reading = Reading::new(open, replay, placement, terms.opened_people)?;
    let (mut blocks, between, waiting) = Blocks::sides();
    let mut restored = Restored::default();
    std::thread::scope(|scope| {
        let reading = &reading;
        let openers: Vec<_> = between
            .into_iter()
            .map(|between| scope.spawn(move || reading.open(&between)))
            .collect();
        let reader = scope.spawn(move || {
            let api_keys = common::read(open, terms, &mut blocks)?;
            let totals = reading.read(&mut blocks, tell)?;
            blocks.end().map(|()| (api_keys, totals))
        });
        let written = writer::write(place, vault, placement, waiting);
        let mut failed = written.err();
        // Who waited for somebody that failed was cancelled, and is not the reason.
        let mut note = |error: BackupError| {
            if !matches!(failed, Some(ref known) if !matches!(known, BackupError::Cancelled)) {
                failed = Some(error);
            }
        };
        let broken = || Err(BackupError::Store(StoreError::Aborted));
        match reader.join().unwrap_or_else(|_| broken()) {
            Ok((api_keys, totals)) => {
                restored.api_keys = api_keys;
                restored.add(totals);
            }
            Err(error) => note(error),
        }
        for opener in openers {
            match opener.join() {
                Ok(Ok(totals)) => restored.add(totals),
                Ok(Err(error)) => note(error),
                Err(_) => note(BackupError::Store(StoreError::Aborted)),
            }
        }
        failed.map_or(Ok(()), Err)
    })?;
    restored.log_entries = state.audit_next;
    let mut state = State {
        people: restored.counts.people,
        index_stale_since: None,
        rebuild_from: None,
        sweep_from: [0; 16],
        purposes_at: 0,
        purposes_asked: false,
        ledger: state.ledger.max(replay.position),
        // The backup may be old: a clock that is far ahead of it is right, as at a creation.
        time: state.time.max(terms.now.as_millisecond()),
        ..state
    };
    let erased = state.erased;
    // The one commit that is like those of a vault.
    let result = store.write(&mut |tx| {
        restored.counts.erased = 0;
        for gone in replay.erased.values() {
            restored.counts.erased += u64::from(bury(tx, vault, &open.system.system, gone)?);
        }
        state.erased = erased + restored.counts.erased;
        for (address, row) in &replay.suppressions {
            suppression::restore(tx, vault, &open.system.system, address, row)?;
        }
        store_state(vault, tx, &system.system, &state)
    });
    result.map_err(BackupError::Store)?;
    Ok(restored)
}

fn state_of(open: &OpenSource) -> Result<State, BackupError> {
    let vault = open.source.manifest.vault;
    let mut sealed = None;
    open.source.rows(Table::System, &mut |_, value| {
        sealed = Some(value.to_vec());
        Ok(())
    })?;
    let damaged = || {
        let name = open.source.manifest.backup.to_string();
        BackupError::damaged(
            name,
            "the running state is not in it, or does not open (t01)",
        )
    };
    let sealed = sealed.ok_or_else(damaged)?;
    State::open(vault, &open.system.system, &sealed).ok_or_else(damaged)
}

/// Puts up the tombstone of somebody whom the ledger says is gone; whether there was none.
fn bury(
    tx: &mut dyn WriteTx,
    vault: VaultId,
    keys: &KeyRing,
    erased: &Erased,
) -> Result<bool, StoreError> {
    let place = erased.subject_sha256;
    if tx.get(Table::Tombstones, &place)?.is_some() {
        return Ok(false);
    }
    let tombstone = Tombstone {
        day: day_of(erased.at),
        epoch: erased.epoch,
        receipt: erased.receipt,
    };
    let location = Location::row(vault, Table::Tombstones.number(), &place);
    let sealed = keys
        .seal(&location, &row::encode(&tombstone))
        .map_err(|_| StoreError::Aborted)?;
    tx.put(Table::Tombstones, &place, &sealed)?;
    Ok(true)
}

/// What the keyset of a backup becomes in a new place, before that has slots.
pub(crate) fn system_of(open: &OpenSource) -> SystemKeys {
    open.system.for_backup().in_new_place(&mut OsEntropy)
}
