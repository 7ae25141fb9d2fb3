//! Makes the rows of a vault out of a backup: new roots, new index, the same people under new KEKs.
//!
//! Knows nothing of directories; who calls gives an empty store and throws it away if this fails. The
//! backup's objects have been verified before. Memory does not grow with the vault: people are merged,
//! opened and written in batches, and each batch is a transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::error::BackupError;
use super::ledger::{Erased, Replay};
use super::open::{self, Counts};
use super::read::{OpenSource, People};
use super::verify::{Tell, keyset_of, missing_keys};
use crate::clock::{day_of, hour_of};
use crate::commit::{State, initialise, store_state};
use crate::consent;
use crate::crypto::{Location, Secret, sha256};
use crate::entropy::{Entropy, OsEntropy};
use crate::id::{SubjectId, VaultId};
use crate::keys::keyset::{PersonEntry, people_tag};
use crate::keys::ring::KeyRing;
use crate::keys::shred::Plan;
use crate::keys::system::{Placement, Roots, SystemKeys, index_entry};
use crate::limits::{RESTORE_BYTES_MAX, RESTORE_PEOPLE_MAX};
use crate::person::{Tombstone, dirty_key};
use crate::row;
use crate::store::{Store, StoreError, Table, WriteTx};

/// Bytes of rows that go to the writing thread at once.
const BLOCK_BYTES: usize = 1 << 20;
/// Blocks on their way.
const BLOCKS: usize = 4;
/// So far are the epochs of a restored vault from those of the lost one that none has the same.
const EPOCHS_APART: u64 = 1 << 20;
/// Tables that belong to nobody, but for the API keys.
const COMMON: [Table; 8] = [
    Table::Tombstones,
    Table::Policies,
    Table::Audit,
    Table::Tree,
    Table::Checkpoints,
    Table::Receipts,
    Table::Backups,
    Table::Ledger,
];

/// What was brought back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// People, rows, envelopes.
    pub counts: Counts,
    /// Consents that were withdrawn since.
    pub withdrawn: u64,
    /// API keys, all revoked.
    pub api_keys: u64,
    /// Entries of the log.
    pub log_entries: u64,
}

/// The epoch that a vault of this backup begins with.
pub(crate) fn first_epoch(epoch: u64, replay: &Replay) -> u64 {
    let erased = replay.erased.values().map(|erased| erased.epoch).max();
    erased.unwrap_or(0).max(epoch) + EPOCHS_APART
}

/// Makes of an API key's row that of a revoked one; `None` for what is none.
pub(crate) type Revoke<'r> = &'r dyn Fn(&[u8], Timestamp) -> Option<Zeroizing<Vec<u8>>>;

/// What goes to the thread that writes.
enum Item {
    Row(Table, Vec<u8>, Vec<u8>),
    Person(SubjectId, PersonEntry, Vec<[u8; 32]>),
}

/// Fills an empty store.
///
/// # Errors
///
/// See [`BackupError`]; the store is then to be thrown away.
pub(crate) fn fill(
    open: &OpenSource,
    store: &dyn Store,
    roots: &Roots,
    system: &SystemKeys,
    replay: &Replay,
    (now, revoke): (Timestamp, Revoke<'_>),
    tell: Tell<'_>,
) -> Result<Restored, BackupError> {
    let vault = open.source.manifest.vault;
    let mut restored = Restored::default();
    let state = state_of(open)?;
    initialise(store, roots, vault, system, &state, &mut |_| Ok(()))
        .map_err(|_| BackupError::Store(StoreError::Aborted))?;
    common(open, store, replay, (now, revoke), &mut restored)?;
    let placement = system.placements.first().expect("one, of the new place");
    let (blocks, waiting) = sync_channel::<Vec<Item>>(BLOCKS);
    let written = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut counts = Counts::default();
            let mut withdrawn = 0;
            let told = (&mut counts, &mut withdrawn);
            read_people(open, replay, now, blocks, told, tell).map(|()| (counts, withdrawn))
        });
        let written = write_people(store, roots, placement, &waiting);
        // Ends the reader, should it wait to pass something on.
        drop(waiting);
        let read = reader
            .join()
            .unwrap_or_else(|_| Err(BackupError::Store(StoreError::Aborted)));
        // Where both failed, what the reader met is the reason.
        match (read, written) {
            (Err(BackupError::Cancelled), Err(error)) | (Ok(_), Err(error)) => Err(error),
            (Err(error), _) => Err(error),
            (Ok(read), Ok(())) => Ok(read),
        }
    });
    let (counts, withdrawn) = written?;
    restored.counts = Counts {
        erased: restored.counts.erased,
        ..counts
    };
    restored.withdrawn = withdrawn;
    let state = State {
        people: counts.people,
        erased: state.erased + restored.counts.erased,
        index_stale_since: None,
        rebuild_from: None,
        sweep_from: [0; 16],
        ledger: state.ledger.max(replay.position),
        // The backup may be old: a clock that is far ahead of it is right, as at a creation.
        time: state.time.max(now.as_millisecond()),
        ..state
    };
    restored.log_entries = state.audit_next;
    store
        .write(&mut |tx| store_state(vault, tx, &system.system, &state))
        .map_err(BackupError::Store)?;
    Ok(restored)
}

fn state_of(open: &OpenSource) -> Result<State, BackupError> {
    let vault = open.source.manifest.vault;
    let mut sealed = None;
    open.source.rows(Table::System, &mut |frame| {
        sealed = Some(frame.value.to_vec());
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

/// Writes the tables that belong to nobody, then what the ledger knows beyond them.
fn common(
    open: &OpenSource,
    store: &dyn Store,
    replay: &Replay,
    (now, revoke): (Timestamp, Revoke<'_>),
    restored: &mut Restored,
) -> Result<(), BackupError> {
    let vault = open.source.manifest.vault;
    let mut rows: Vec<(Table, Vec<u8>, Vec<u8>)> = Vec::new();
    let mut bytes = 0;
    let write = |rows: &mut Vec<(Table, Vec<u8>, Vec<u8>)>| {
        let result = store.write(&mut |tx| {
            for (table, key, value) in rows.iter() {
                match value.is_empty() {
                    true => tx.delete(*table, key)?,
                    false => tx.put(*table, key, value)?,
                }
            }
            Ok(())
        });
        rows.clear();
        result.map_err(BackupError::Store)
    };
    for table in COMMON {
        open.source.rows(table, &mut |frame| {
            bytes += frame.key.len() + frame.value.len();
            rows.push((table, frame.key.clone(), frame.value.to_vec()));
            if bytes > RESTORE_BYTES_MAX {
                bytes = 0;
                write(&mut rows)?;
            }
            Ok(())
        })?;
    }
    let key = &open.system.system;
    let mut tokens = 0;
    open.source.rows(Table::ApiKeys, &mut |frame| {
        let location = Location::row(vault, Table::ApiKeys.number(), &frame.key);
        let damaged = || {
            let name = open.source.manifest.backup.to_string();
            BackupError::damaged(name, "an API key's row does not open (t10)")
        };
        let text = key.unseal(&location, &frame.value).map_err(|_| damaged())?;
        // Whoever had a key then may have lost it since: nobody's works until it is made anew.
        let revoked = revoke(&text, now).ok_or_else(damaged)?;
        let sealed = key.seal(&location, &revoked).map_err(|_| damaged())?;
        rows.push((Table::ApiKeys, frame.key.clone(), sealed));
        tokens += 1;
        Ok(())
    })?;
    restored.api_keys = tokens;
    write(&mut rows)?;
    let mut added = 0;
    let result = store.write(&mut |tx| {
        added = 0;
        for erased in replay.erased.values() {
            added += u64::from(bury(tx, vault, key, erased)?);
        }
        Ok(())
    });
    result.map_err(BackupError::Store)?;
    restored.counts.erased = added;
    Ok(())
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

/// Reads, opens and passes on everybody who is not erased.
fn read_people(
    open: &OpenSource,
    replay: &Replay,
    now: Timestamp,
    blocks: SyncSender<Vec<Item>>,
    (counts, withdrawn): (&mut Counts, &mut u64),
    tell: Tell<'_>,
) -> Result<(), BackupError> {
    let manifest = &open.source.manifest;
    let (vault, missing) = (manifest.vault, missing_keys(open)?);
    let set = open.system.index_set();
    let mut people = People::new(open)?;
    let mut block = Block {
        items: Vec::new(),
        bytes: 0,
        blocks,
    };
    let mut seen = 0;
    let entropy: &mut dyn Entropy = &mut OsEntropy;
    // By hash as well: an entry of the ledger may be older than the handle.
    let gone: BTreeSet<[u8; 32]> = replay.erased.values().map(|e| e.subject_sha256).collect();
    while let Some(found) = people.next()? {
        seen += 1;
        if seen % 256 == 0 {
            tell(seen, manifest.people)?;
        }
        let mut keyset = keyset_of(manifest, &found.keyset)?;
        if replay.erased.contains_key(&found.handle)
            || (!gone.is_empty() && gone.contains(&sha256(&[keyset.subject.as_bytes()])))
        {
            continue;
        }
        if let Some(gone) = replay.keys.get(&found.handle) {
            keyset.keys.retain(|dek| !gone.contains(&dek.number));
        }
        let removed_before = counts.removed;
        let mut events: BTreeMap<u16, u32> = BTreeMap::new();
        let mut collections: BTreeSet<u16> = BTreeSet::new();
        let block = &mut block;
        let there = open::person(
            &mut people,
            &found,
            (vault, &keyset),
            replay,
            missing,
            counts,
            &mut |table, key, value| {
                if table == Table::Consents
                    && let Ok([a, b, c, d, e, f]) = <[u8; 6]>::try_from(&key[16..])
                {
                    let purpose = u16::from_be_bytes([a, b]);
                    events.insert(purpose, u32::from_be_bytes([c, d, e, f]) + 1);
                }
                if let (Table::RecordMeta, Some([a, b])) = (table, key.get(16..18)) {
                    collections.insert(u16::from_be_bytes([*a, *b]));
                }
                block.row(table, key, value)
            },
        )?;
        if !there {
            continue;
        }
        if counts.removed > removed_before {
            // What was removed lies in older copies under keys that live on with what was not.
            let hour = hour_of(now).to_be_bytes();
            let compartments: BTreeSet<_> = keyset.keys.iter().map(|dek| dek.compartment).collect();
            for compartment in compartments {
                let key = dirty_key(&found.handle, compartment);
                block.row(Table::Dirty, &key, &hour)?;
            }
        }
        if let Some(removed) = replay.removed.get(&found.handle) {
            // Nor may the index lead to somebody by what was in a record that is gone.
            let gone: BTreeSet<u16> = removed
                .iter()
                .map(|(collection, _)| *collection)
                .filter(|collection| !collections.contains(collection))
                .collect();
            let lookups = &mut keyset.lookups;
            lookups.retain(|lookup| !gone.contains(&lookup.field.0));
        }
        let entry = PersonEntry {
            kek: Secret::generate(entropy),
            handle: found.handle,
        };
        for (purpose, at) in replay.withdrawn.get(&found.handle).into_iter().flatten() {
            // Who never agreed, as far as this backup knows, has nothing to withdraw.
            let Some(sequence) = events.get_mut(purpose) else {
                continue;
            };
            let event = consent::withdrawal(
                vault,
                &entry,
                &mut keyset,
                (*purpose, *sequence, *at),
                entropy,
            );
            let Some((key, value)) = event else {
                let what = "a withdrawn consent has no room in the keyset";
                return Err(BackupError::damaged(manifest.object("keys"), what));
            };
            block.row(Table::Consents, &key, &value)?;
            *sequence += 1;
            *withdrawn += 1;
        }
        // Those that a rotation was making, or had to take away, are of keys that are not there.
        keyset.lookups.retain(|lookup| lookup.set == set);
        let marks = keyset.lookups.iter().map(|lookup| lookup.mark).collect();
        let handle = *found.handle.as_bytes();
        block.row(Table::Keysets, &handle, &keyset.seal(vault, &entry))?;
        block.items.push(Item::Person(keyset.subject, entry, marks));
        block.pass_on()?;
    }
    block.pass()
}

/// Items on their way to the writer.
struct Block {
    items: Vec<Item>,
    bytes: usize,
    blocks: SyncSender<Vec<Item>>,
}

impl Block {
    fn row(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), BackupError> {
        self.bytes += key.len() + value.len();
        self.items
            .push(Item::Row(table, key.to_vec(), value.to_vec()));
        self.pass_on()
    }

    fn pass_on(&mut self) -> Result<(), BackupError> {
        match self.bytes >= BLOCK_BYTES {
            true => self.pass(),
            false => Ok(()),
        }
    }

    fn pass(&mut self) -> Result<(), BackupError> {
        self.bytes = 0;
        // The writer has ended: its own error is the reason.
        let items = std::mem::take(&mut self.items);
        self.blocks.send(items).map_err(|_| BackupError::Cancelled)
    }
}

/// Writes what comes, a batch a transaction.
fn write_people(
    store: &dyn Store,
    roots: &Roots,
    placement: &Placement,
    waiting: &Receiver<Vec<Item>>,
) -> Result<(), BackupError> {
    let people_map = roots.people_map();
    let index_map = roots.index_map(placement.generation);
    let index_root = roots.index(placement.generation);
    let mut more = true;
    while more {
        let result = store.write(&mut |tx| {
            let mut people = Plan::default();
            let mut index = Plan::keeping_present();
            let (mut count, mut bytes) = (0, 0);
            more = false;
            while let Ok(block) = waiting.recv() {
                for item in block {
                    match item {
                        Item::Row(table, key, value) => {
                            bytes += key.len() + value.len();
                            tx.put(table, &key, &value)?;
                        }
                        Item::Person(subject, entry, marks) => {
                            count += 1;
                            people.insert(people_tag(subject), entry.to_payload());
                            for mark in marks {
                                let (tag, payload) =
                                    index_entry(placement, &mark, subject, entry.handle);
                                index.insert(tag, payload);
                            }
                        }
                    }
                }
                if count >= RESTORE_PEOPLE_MAX || bytes >= RESTORE_BYTES_MAX {
                    more = true;
                    break;
                }
            }
            let entropy = &mut OsEntropy;
            let applied = people_map
                .apply(tx, &roots.people, None, &people, entropy)
                .and_then(|()| index_map.apply(tx, &index_root, None, &index, entropy));
            applied.map_err(|_| StoreError::Aborted)
        });
        result.map_err(BackupError::Store)?;
    }
    Ok(())
}

/// What the keyset of a backup becomes in a new place.
pub(crate) fn system_of(
    open: &OpenSource,
    slots: Vec<crate::keys::slots::SlotTarget>,
) -> SystemKeys {
    open.system.for_backup().in_new_place(slots, &mut OsEntropy)
}
