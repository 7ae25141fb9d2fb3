//! What a queued closure works on: rows, and both shred maps, as they will be.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::Keys;
use super::state::State;
use crate::audit::Entry;
use crate::backup::ledger::LedgerEvent;
use crate::entropy::Entropy;
use crate::id::{RowHandle, SubjectId, VaultId};
use crate::keys::keyset::{PersonEntry, people_tag};
use crate::keys::shred::Plan;
use crate::keys::system::{INDEX_BYTES, PERSON_BYTES, SystemKeys, index_entry};
use crate::refusal::Refusal;
use crate::revocation::{Revocation, Ticket};
use crate::store::{Changes, Overlay, ReadTx, WriteTx};

/// What both readers and closures can see.
pub trait View {
    /// The vault.
    fn vault(&self) -> VaultId;
    /// The vault's time.
    fn now(&self) -> Timestamp;
    /// The rows.
    fn tx(&self) -> &dyn ReadTx;
    /// The system keyset.
    fn system(&self) -> &SystemKeys;
    /// The running state.
    fn state(&self) -> &State;
    /// What the people map holds of a person.
    ///
    /// # Errors
    ///
    /// [`Refusal::Internal`].
    fn person_entry(&self, subject: SubjectId) -> Result<Option<PersonEntry>, Refusal> {
        let entry = self.entry(subject)?;
        Ok(entry.filter(|entry| !entry.handle.is_nobodys()))
    }
    /// What the people map has in this place, whether a person's or nobody's.
    ///
    /// # Errors
    ///
    /// [`Refusal::Internal`].
    fn entry(&self, place: SubjectId) -> Result<Option<PersonEntry>, Refusal>;
    /// The people who have a look-up value, by its inner mark.
    ///
    /// # Errors
    ///
    /// [`Refusal::Internal`].
    fn index_hits(&self, mark: &[u8; 32]) -> Result<Vec<IndexHit>, Refusal>;
}

/// One person who has a look-up value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IndexHit {
    /// Who.
    pub subject: SubjectId,
    /// Where their rows lie.
    pub handle: RowHandle,
}

/// The entries whose inner mark is `mark`: a prefix alone may belong to another value.
pub(super) fn hits<'a>(
    mark: &[u8; 32],
    payloads: impl Iterator<Item = &'a [u8; INDEX_BYTES]>,
) -> Vec<IndexHit> {
    payloads
        .filter(|payload| payload[..32] == *mark)
        .map(|payload| IndexHit {
            subject: SubjectId::from_bytes(payload[32..48].try_into().expect("sixteen")),
            handle: RowHandle::from_bytes(payload[48..].try_into().expect("sixteen")),
        })
        .collect()
}

/// What closures want beside rows. Carried out together, after the last of them.
#[derive(Default)]
pub(super) struct Wishes {
    pub(super) people: Plan<PERSON_BYTES>,
    /// Entries that are there stay: the tag stands for one value of one person, so they are equal.
    pub(super) index: BTreeMap<u32, Plan<INDEX_BYTES>>,
    pub(super) index_removed: bool,
    pub(super) create_index: Vec<u32>,
    pub(super) drop_index: Vec<u32>,
    pub(super) system: Option<Arc<SystemKeys>>,
    pub(super) state: Option<State>,
    pub(super) audit: Vec<Entry>,
    pub(super) ledger: Vec<LedgerEvent>,
    /// How many closures end the readers of each person: a closure knows its own share.
    pub(super) revoked: BTreeMap<SubjectId, u64>,
    /// Whose keysets are written: who copies the vault finds their keys by it.
    pub(super) keysets: BTreeMap<RowHandle, SubjectId>,
    pub(super) policy_changed: bool,
    pub(super) pass: bool,
    pub(super) new_root_key: bool,
    /// Whether it says what became of an erasure: it may take of the room that is held back for these.
    pub(super) closes_erasure: bool,
}

impl Wishes {
    /// Whether the commit must be an anchor pass.
    pub(super) fn shreds(&self) -> bool {
        self.pass
            || self.new_root_key
            || !self.drop_index.is_empty()
            || self.people.shreds()
            || self.index.values().any(Plan::shreds)
    }

    /// Whether it may be made on a full disk.
    pub(super) fn erases(&self) -> bool {
        self.shreds() || self.closes_erasure
    }

    pub(super) fn absorb(&mut self, later: Self) {
        let Self {
            people,
            index,
            index_removed,
            create_index,
            drop_index,
            system,
            state,
            audit,
            ledger,
            revoked,
            keysets,
            policy_changed,
            pass,
            new_root_key,
            // Of a closure, not of the commit.
            closes_erasure: _,
        } = later;
        self.people.absorb(people);
        for (generation, plan) in index {
            self.index
                .entry(generation)
                .or_insert_with(Plan::keeping_present)
                .absorb(plan);
        }
        self.index_removed |= index_removed;
        self.create_index.extend(create_index);
        self.drop_index.extend(drop_index);
        self.system = system.or(self.system.take());
        self.state = state.or(self.state.take());
        self.audit.extend(audit);
        self.ledger.extend(ledger);
        for (subject, times) in revoked {
            *self.revoked.entry(subject).or_default() += times;
        }
        self.keysets.extend(keysets);
        self.policy_changed |= policy_changed;
        self.pass |= pass;
        self.new_root_key |= new_root_key;
    }
}

/// A closure's transaction. What it does is seen by the closures after it if it returns `Ok`, and
/// by nobody otherwise.
pub struct Txn<'a> {
    pub(super) vault: VaultId,
    pub(super) now: Timestamp,
    pub(super) rows: Overlay<'a>,
    pub(super) keys: &'a Keys,
    pub(super) state: &'a State,
    pub(super) before: &'a Wishes,
    pub(super) own: Wishes,
    pub(super) entropy: &'a mut dyn Entropy,
    pub(super) revocation: &'a Revocation,
}

impl<'a> Txn<'a> {
    pub(super) fn finish(self) -> (Changes, Wishes) {
        (self.rows.into_changes(), self.own)
    }

    /// People of the people map in tag order, without what is nobody's and those who are being made or erased in this
    /// batch: see [`crate::keys::shred::ShredMap::walk`].
    ///
    /// # Errors
    ///
    /// [`Refusal::Internal`].
    #[expect(
        clippy::type_complexity,
        reason = "a page of entries and where to go on"
    )]
    pub fn walk_people(
        &self,
        from: [u8; 16],
        leaves: usize,
    ) -> Result<(Vec<(SubjectId, PersonEntry)>, Option<[u8; 16]>), Refusal> {
        let roots = &self.keys.roots;
        let (entries, next) = roots
            .people_map()
            .walk(&self.rows, &roots.people, from, leaves)?;
        let mut people = Vec::new();
        for (tag, _) in entries {
            let subject = SubjectId::from_bytes(tag);
            // The entry as it will be: a KEK may have been replaced in this batch.
            people.extend(self.person_entry(subject)?.map(|entry| (subject, entry)));
        }
        Ok((people, next))
    }

    /// The rows, to be changed.
    pub fn rows(&mut self) -> &mut Overlay<'a> {
        &mut self.rows
    }

    /// Keys and identifiers.
    pub fn entropy(&mut self) -> &mut dyn Entropy {
        self.entropy
    }

    /// The epoch that this commit will be in if it destroys anything, and the one before it.
    #[must_use]
    pub fn epochs(&self) -> (u64, u64) {
        (self.keys.roots.epoch, self.keys.roots.epoch + 1)
    }

    /// Puts a person's KEK and handle into the people map.
    pub fn insert_person(&mut self, subject: SubjectId, entry: &PersonEntry) {
        self.own
            .people
            .insert(people_tag(subject), entry.to_payload());
    }

    /// Destroys the person's KEK.
    pub fn shred_person(&mut self, subject: SubjectId) {
        self.own.people.shred(people_tag(subject));
    }

    /// Replaces the person's KEK; the caller writes the keyset under it.
    pub fn replace_kek(&mut self, subject: SubjectId, entry: &PersonEntry) {
        self.shred_person(subject);
        self.insert_person(subject, entry);
    }

    /// Puts a look-up value's mark into every index that is in use and of its set.
    pub fn insert_index(&mut self, set: u32, mark: &[u8; 32], hit: IndexHit) {
        let system = self
            .own
            .system
            .clone()
            .or_else(|| self.before.system.clone());
        let system = system.as_deref().unwrap_or(&self.keys.system);
        for placement in system.placements.iter().filter(|p| p.set == set) {
            let plan = self
                .own
                .index
                .entry(placement.generation)
                .or_insert_with(Plan::keeping_present);
            let (tag, payload) = index_entry(&placement.places(), mark, hit.subject, hit.handle);
            plan.insert(tag, payload);
        }
    }

    /// Puts a mark into the index of `generation`, unless it is there.
    pub fn copy_to_index(&mut self, generation: u32, mark: &[u8; 32], hit: IndexHit) {
        let entry = self
            .system()
            .placements
            .iter()
            .find(|placement| placement.generation == generation)
            .map(|placement| index_entry(&placement.places(), mark, hit.subject, hit.handle));
        if let Some((tag, payload)) = entry {
            self.own
                .index
                .entry(generation)
                .or_insert_with(Plan::keeping_present)
                .insert(tag, payload);
        }
    }

    /// Destroys a look-up value's entry in every index that is in use and of its set.
    pub fn shred_index(&mut self, set: u32, mark: &[u8; 32], handle: RowHandle) {
        let system = self
            .own
            .system
            .clone()
            .or_else(|| self.before.system.clone());
        let system = system.as_deref().unwrap_or(&self.keys.system);
        for placement in system.placements.iter().filter(|p| p.set == set) {
            let plan = self
                .own
                .index
                .entry(placement.generation)
                .or_insert_with(Plan::keeping_present);
            plan.shred(placement.tag(mark, &handle));
        }
        self.own.index_removed = true;
    }

    /// Says whose keyset is written.
    pub fn note_keyset(&mut self, subject: SubjectId, handle: RowHandle) {
        self.own.keysets.insert(handle, subject);
    }

    /// Begins an index map of this generation.
    pub fn create_index(&mut self, generation: u32) {
        self.own.create_index.push(generation);
    }

    /// Ends the index map of this generation; the commit is an anchor pass.
    pub fn drop_index(&mut self, generation: u32) {
        self.own.drop_index.push(generation);
    }

    /// Replaces the system keyset. If a key or a slot leaves it, ask for a pass as well.
    pub fn replace_system(&mut self, keys: SystemKeys) {
        self.own.system = Some(Arc::new(keys));
    }

    /// Makes the commit an anchor pass.
    pub fn ask_for_pass(&mut self) {
        self.own.pass = true;
    }

    /// Makes the commit an anchor pass under a new root key, sealed to the slots of the system
    /// keyset.
    pub fn ask_for_new_root_key(&mut self) {
        self.own.new_root_key = true;
    }

    /// Says that this closure is the end of an erasure in several commits: its receipt, or that there was
    /// nothing to erase. It is made on a full disk as well, as the others are.
    pub fn close_erasure(&mut self) {
        self.own.closes_erasure = true;
    }

    /// The running state, to be changed.
    pub fn state_mut(&mut self) -> &mut State {
        let current = self.before.state.as_ref().unwrap_or(self.state);
        self.own.state.get_or_insert_with(|| current.clone())
    }

    /// Adds an entry to the log.
    pub fn record(&mut self, entry: Entry) {
        self.own.audit.push(entry);
    }

    /// Puts into the erasure ledger what a restored backup must not undo. The change is acknowledged
    /// once the ledger's file has it.
    pub fn keep_in_ledger(&mut self, event: LedgerEvent) {
        self.own.ledger.push(event);
    }

    /// Ends the readers of this person before the commit is acknowledged.
    pub fn revoke(&mut self, subject: SubjectId) {
        self.own.revoked.insert(subject, 1);
    }

    /// A ticket for handing over what this closure has read, once it is committed: good unless
    /// somebody else ends this person's readers, in this commit or after it. To be taken when the
    /// closure has done everything.
    #[must_use]
    pub fn ticket(&self, subject: Option<SubjectId>) -> Ticket {
        // Counters move on this thread alone, after a commit: what the closure saw is what they say.
        let own = subject.and_then(|subject| self.own.revoked.get(&subject));
        self.revocation
            .ticket(subject)
            .after(own.copied().unwrap_or(0))
    }

    /// Ends all readers before the commit is acknowledged.
    pub fn revoke_all(&mut self) {
        self.own.policy_changed = true;
    }
}

impl View for Txn<'_> {
    fn vault(&self) -> VaultId {
        self.vault
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn tx(&self) -> &dyn ReadTx {
        &self.rows
    }

    fn system(&self) -> &SystemKeys {
        let changed = self.own.system.as_ref().or(self.before.system.as_ref());
        changed.map_or(&*self.keys.system, |keys| keys)
    }

    fn state(&self) -> &State {
        let changed = self.own.state.as_ref().or(self.before.state.as_ref());
        changed.unwrap_or(self.state)
    }

    fn entry(&self, subject: SubjectId) -> Result<Option<PersonEntry>, Refusal> {
        let tag = people_tag(subject);
        for plan in [&self.own.people, &self.before.people] {
            if let Some(planned) = plan.get(&tag) {
                return Ok(planned.map(PersonEntry::from_payload));
            }
        }
        let roots = &self.keys.roots;
        let found = roots.people_map().get(&self.rows, &roots.people, &tag)?;
        Ok(found.map(|payload| PersonEntry::from_payload(&payload)))
    }

    fn index_hits(&self, mark: &[u8; 32]) -> Result<Vec<IndexHit>, Refusal> {
        let Some(placement) = self.system().placements.first() else {
            return Err(Refusal::Internal("the index has no placement key"));
        };
        let generation = placement.generation;
        let prefix = placement.prefix(mark);
        let roots = &self.keys.roots;
        let mut found = BTreeMap::new();
        // A map that was begun in this batch has no rows yet.
        if self
            .keys
            .system
            .placements
            .iter()
            .any(|p| p.generation == generation)
        {
            let map = roots.index_map(generation);
            found.extend(map.get_prefix(&self.rows, &roots.index(generation), prefix)?);
        }
        for wishes in [self.before, &self.own] {
            if let Some(plan) = wishes.index.get(&generation) {
                found.retain(|tag, _| plan.get(tag) != Some(None));
                for (tag, payload) in plan.inserted_under(prefix) {
                    found.insert(*tag, Zeroizing::new(*payload));
                }
            }
        }
        Ok(hits(mark, found.values().map(|payload| &**payload)))
    }
}

impl WriteTx for Txn<'_> {
    fn put(
        &mut self,
        table: crate::store::Table,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), crate::store::StoreError> {
        self.rows.put(table, key, value)
    }

    fn delete(
        &mut self,
        table: crate::store::Table,
        key: &[u8],
    ) -> Result<(), crate::store::StoreError> {
        self.rows.delete(table, key)
    }
}

impl ReadTx for Txn<'_> {
    fn get(
        &self,
        table: crate::store::Table,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, crate::store::StoreError> {
        self.rows.get(table, key)
    }

    fn range(
        &self,
        table: crate::store::Table,
        range: &crate::store::KeyRange,
        direction: crate::store::Direction,
        limit: usize,
    ) -> Result<Vec<crate::store::Row>, crate::store::StoreError> {
        self.rows.range(table, range, direction, limit)
    }

    fn keys(
        &self,
        table: crate::store::Table,
        range: &crate::store::KeyRange,
        direction: crate::store::Direction,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, crate::store::StoreError> {
        self.rows.keys(table, range, direction, limit)
    }
}
