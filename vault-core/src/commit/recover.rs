//! Opening a vault, and going on after an error: the same thing.
//!
//! Whatever was interrupted, exactly one of the anchor's slots opens the roots that the store
//! holds. Only after one more durable commit in that epoch is the other slot overwritten: before
//! it, a lost page could still bring the other epoch back.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::state::{EpochRow, State};
use crate::audit::merkle::{self, Frontier};
use crate::audit::signer::Signers;
use crate::audit::tree::StoredTree;
use crate::backup::ledger::{LedgerError, LedgerFile, Rows, Tip};
use crate::crypto::Secret;
use crate::entropy::Entropy;
use crate::id::VaultId;
use crate::keys::anchor::{Anchor, AnchorError};
use crate::keys::ring::KeyRing;
use crate::keys::shred::ShredError;
use crate::keys::slots::{SlotFile, SlotsError};
use crate::keys::system::{Roots, SystemKeys};
use crate::store::{RedbStore, Store, StoreError, Table, WriteTx, drop_page_cache};

/// Opens the store of a vault, as often as needed.
pub trait StoreFactory: Send {
    /// Opens it; `check` verifies every page.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn open(&self, check: bool) -> Result<Arc<dyn Store>, StoreError>;

    /// Makes the next opening see what the medium holds.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn forget_cache(&self) -> Result<(), StoreError>;
}

/// A store in a file.
pub struct RedbFactory {
    /// The file.
    pub path: PathBuf,
    /// Pages kept in memory.
    pub cache_bytes: usize,
}

impl StoreFactory for RedbFactory {
    fn open(&self, check: bool) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(RedbStore::open(
            &self.path,
            self.cache_bytes,
            check,
        )?))
    }

    fn forget_cache(&self) -> Result<(), StoreError> {
        drop_page_cache(&self.path)
    }
}

/// A root key, and the generation of the slots that hold it.
pub struct RootCandidate {
    /// Which writing of the slots file.
    pub generation: u64,
    /// The key.
    pub key: Secret<32>,
}

/// Why a vault could not be opened or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// The anchor could not be read or written.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// A row that must be there is not, or does not open.
    #[error("the vault's files are damaged: {0}")]
    Damaged(&'static str),
    /// The erasure ledger contradicts the database, or could not be read or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// No slot of the anchor opens the roots: anchor and database do not belong together.
    #[error("the anchor does not open this database")]
    NoAnchor,
    /// The log does not go on from the anchor's checkpoint.
    #[error(
        "the database is older than the anchor says, or another: its log has {log} entries, the anchor's checkpoint {checkpoint}"
    )]
    Rollback {
        /// Entries of the log.
        log: u64,
        /// Entries when the checkpoint was signed.
        checkpoint: u64,
    },
    /// The slots could not be read or written.
    #[error(transparent)]
    Slots(#[from] SlotsError),
    /// The store failed.
    #[error("could not open the store")]
    Store(#[from] StoreError),
}

impl From<ShredError> for RecoverError {
    fn from(error: ShredError) -> Self {
        match error {
            ShredError::Store(error) => Self::Store(error),
            ShredError::Damaged | ShredError::Exists => Self::Damaged("a node of a shred map"),
        }
    }
}

/// What is known once a vault is open.
pub(super) struct Recovered {
    pub(super) store: Arc<dyn Store>,
    pub(super) row: EpochRow,
    pub(super) roots: Roots,
    pub(super) system: SystemKeys,
    pub(super) state: State,
    pub(super) log: Frontier,
    /// The end of the erasure ledger.
    pub(super) ledger: Tip,
    /// The log does not go on from the anchor's checkpoint, which was accepted.
    pub(super) rolled_back: bool,
    /// Which of the candidates is the root key.
    pub(super) root_key: usize,
}

/// Opens the store, finds the epoch whose roots open, makes one more durable commit in it, and
/// ends every other secret.
#[expect(clippy::too_many_arguments, reason = "each is a part of the vault")]
pub(super) fn recover(
    vault: VaultId,
    factory: &dyn StoreFactory,
    anchor: &mut dyn Anchor,
    slots: &SlotFile,
    ledger: &mut LedgerFile,
    root_keys: &[RootCandidate],
    after_error: bool,
    accept_rollback: bool,
    entropy: &mut dyn Entropy,
) -> Result<Recovered, RecoverError> {
    if after_error {
        anchor.forget_cache()?;
        factory.forget_cache()?;
    }
    // Every page, always: of a page that is not what was written, redb panics or leaves rows out, and
    // no envelope says that another is missing (decision 0008).
    let store = factory.open(true)?;
    let secrets = anchor.current()?;
    let snapshot = store.snapshot()?;
    let mut row = EpochRow::load(&*snapshot)?;
    let mut found = None;
    for (index, candidate) in root_keys.iter().enumerate() {
        for slot in secrets.iter().filter(|slot| slot.epoch == row.epoch) {
            let roots = Roots::derive(vault, slot.epoch, &candidate.key, &slot.secret);
            if let Some(system) = SystemKeys::load(vault, &*snapshot, &roots)? {
                found = Some((index, roots, system));
            }
        }
    }
    let (root_key, roots, system) = found.ok_or(RecoverError::NoAnchor)?;
    let mut state = State::load(vault, &*snapshot, &system.system)?;
    let mut tree = StoredTree::new(&*snapshot, vault, &system.audit);
    let log = Frontier::load(state.audit_next, &mut tree)?;
    let signers = Signers::of(vault, &system);
    // What none of them signed says nothing of this log.
    let checkpoint = anchor.published()?;
    let checkpoint = checkpoint.and_then(|note| signers.checkpoint(&note).ok());
    let mut rolled_back = false;
    if let Some(checkpoint) = checkpoint {
        let size = checkpoint.size;
        rolled_back = size > log.size() || merkle::root(size, &mut tree)? != checkpoint.root;
        if rolled_back && !accept_rollback {
            return Err(RecoverError::Rollback {
                log: log.size(),
                checkpoint: size,
            });
        }
    }
    let opened = ledger.open(&Rows {
        tx: &*snapshot,
        end: state.ledger,
        system: &system,
        time: Timestamp::from_millisecond(state.time).unwrap_or_default(),
        accept_older: accept_rollback,
    })?;
    drop(snapshot);
    row.recoveries += 1;
    state.ledger = opened.tip.position;
    store.write(&mut |tx| {
        // What an older database does not know was destroyed all the same.
        for (sequence, entry) in &opened.missing {
            tx.put(Table::Ledger, &sequence.to_be_bytes(), entry)?;
        }
        if !opened.missing.is_empty() {
            state.store(vault, tx, &system.system)?;
        }
        row.store(tx)
    })?;
    anchor.retire(row.epoch)?;
    slots.scrub_all_but(root_keys[root_key].generation, entropy)?;
    Ok(Recovered {
        store,
        row,
        roots,
        system,
        state,
        log,
        ledger: opened.tip,
        rolled_back,
        root_key,
    })
}

/// Writes the first state of a vault into an empty store: roots, system keyset, running state, and
/// whatever `more` adds, in one transaction.
///
/// # Errors
///
/// [`RecoverError::Store`], [`RecoverError::Damaged`].
pub fn initialise(
    store: &dyn Store,
    roots: &Roots,
    vault: VaultId,
    system: &SystemKeys,
    state: &State,
    more: &mut dyn FnMut(&mut dyn WriteTx) -> Result<(), StoreError>,
) -> Result<(), RecoverError> {
    let mut failure = None;
    let result = store.write(&mut |tx| {
        let row = EpochRow {
            epoch: roots.epoch,
            serial: 1,
            recoveries: 0,
        };
        row.store(tx)?;
        state.store(vault, tx, &system.system)?;
        let maps = (|| {
            roots.people_map().create(tx, &roots.people)?;
            for placement in &system.placements {
                let generation = placement.generation;
                roots
                    .index_map(generation)
                    .create(tx, &roots.index(generation))?;
            }
            system.store(vault, tx, roots)
        })();
        if let Err(error) = maps {
            failure = Some(error);
            return Err(StoreError::Aborted);
        }
        more(tx)
    });
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(result?),
    }
}

/// Writes the running state of a vault that nobody has open yet.
///
/// # Errors
///
/// Those of the store.
pub fn store_state(
    vault: VaultId,
    tx: &mut dyn WriteTx,
    keys: &KeyRing,
    state: &State,
) -> Result<(), StoreError> {
    state.store(vault, tx, keys)
}
