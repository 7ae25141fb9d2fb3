//! Which rows changed since somebody began to look: how a copy of the vault follows its writer.
//!
//! A commit is noted before it is made, under a lock that is held until it is made; whoever takes the
//! notes and a snapshot under the same lock knows everything that the snapshot has and an earlier
//! one lacks. Knows nothing of backups. Tables that only grow by keys in order are not watched.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use parking_lot::{Mutex, MutexGuard};

use super::{Engine, Snapshot};
use crate::id::{RowHandle, SubjectId};
use crate::limits::WATCHED_ROWS_MAX;
use crate::refusal::Refusal;
use crate::store::{Changes, Table};

/// What changed.
#[derive(Default)]
pub struct Touched {
    /// People of whom any row changed that the data part of a backup has.
    pub people: HashSet<RowHandle>,
    /// People whose keyset changed, by name; or is gone.
    pub keysets: BTreeMap<RowHandle, Option<SubjectId>>,
    /// Rows that belong to nobody.
    pub rows: BTreeSet<(Table, Vec<u8>)>,
    /// More changed than is remembered: what is here is not all.
    pub overflown: bool,
}

impl Touched {
    /// How many people and rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.people.len() + self.keysets.len() + self.rows.len()
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn note(&mut self, changes: &Changes, keysets: &BTreeMap<RowHandle, SubjectId>) {
        for (table, key, value) in changes.iter() {
            if self.len() >= WATCHED_ROWS_MAX {
                self.overflown = true;
                return;
            }
            match table {
                Table::Keysets => {
                    let handle = key.first_chunk().map(|bytes| RowHandle::from_bytes(*bytes));
                    // What is nobody's is in no backup.
                    if let Some(handle) = handle.filter(|handle| !handle.is_nobodys()) {
                        // A later commit knows whose it is if this one did; deletion is the end.
                        let subject = value.and(keysets.get(&handle).copied());
                        self.keysets.insert(handle, subject);
                    }
                }
                Table::Records
                | Table::RecordMeta
                | Table::Subjects
                | Table::Consents
                | Table::Sessions
                | Table::Blobs
                | Table::Answers
                | Table::Requests
                | Table::Decisions
                | Table::Dirty => {
                    if let Some(handle) = key.first_chunk() {
                        self.people.insert(RowHandle::from_bytes(*handle));
                    }
                }
                Table::Tombstones | Table::Receipts | Table::Ledger | Table::Suppressions => {
                    self.rows.insert((table, key.to_vec()));
                }
                // Copied whole at the end, growing at their end alone, or in no backup.
                Table::System
                | Table::Nodes
                | Table::Policies
                | Table::ApiKeys
                | Table::Audit
                | Table::Uploads
                | Table::Outbox
                | Table::LogLines
                | Table::Dialogues
                | Table::Pickups
                | Table::Tree
                | Table::Checkpoints
                | Table::Backups
                | Table::Incidents => {}
            }
        }
    }
}

/// The notes of a writer, while somebody wants them.
#[derive(Default)]
pub(super) struct Watch(Mutex<Option<Touched>>);

impl Watch {
    /// Notes what is about to be committed; the commit is made before the guard goes.
    pub(super) fn committing(
        &self,
        changes: &Changes,
        keysets: &BTreeMap<RowHandle, SubjectId>,
    ) -> MutexGuard<'_, Option<Touched>> {
        let mut notes = self.0.lock();
        if let Some(touched) = &mut *notes {
            touched.note(changes, keysets);
        }
        notes
    }
}

/// Somebody watches; ends when dropped.
pub struct Watching<'e> {
    engine: &'e Engine,
}

impl Engine {
    /// Notes from now on what changes.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] where somebody does already.
    pub fn watch(&self) -> Result<Watching<'_>, Refusal> {
        let mut notes = self.shared.watch.0.lock();
        if notes.is_some() {
            return Err(Refusal::Conflict(
                "a backup of this vault is under way: wait for its end, or cancel it".into(),
            ));
        }
        *notes = Some(Touched::default());
        Ok(Watching { engine: self })
    }
}

impl Watching<'_> {
    /// What changed since the last time, and the state that has all of it: what changes after that
    /// state is told the next time.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::snapshot`].
    pub fn drain(&self) -> Result<(Touched, Snapshot), Refusal> {
        let mut notes = self.engine.shared.watch.0.lock();
        let snapshot = Snapshot::take(&self.engine.shared)?;
        let touched = notes.replace(Touched::default()).unwrap_or_default();
        Ok((touched, snapshot))
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.engine.shared.watch.0.lock().take();
    }
}
