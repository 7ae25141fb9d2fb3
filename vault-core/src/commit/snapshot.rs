//! One committed state, with the keys that open it.

use std::sync::Arc;

use jiff::Timestamp;

use super::state::{EpochRow, State};
use super::txn::{IndexHit, View, hits};
use super::{Keys, Shared};
use crate::id::{SubjectId, VaultId};
use crate::keys::keyset::{PersonEntry, people_tag};
use crate::keys::system::SystemKeys;
use crate::refusal::Refusal;
use crate::store::ReadTx;

/// A reader's view: nothing committed later is seen.
pub struct Snapshot {
    vault: VaultId,
    now: Timestamp,
    tx: Box<dyn ReadTx + Send>,
    keys: Arc<Keys>,
    state: State,
}

impl Snapshot {
    pub(super) fn take(shared: &Shared) -> Result<Self, Refusal> {
        // Keys are published before the commit that needs them and withdrawn after it. A reader
        // that falls between the two loads finds neither, and looks again.
        for _ in 0..64 {
            let live = shared.live.read();
            let live = live.as_ref().ok_or(Refusal::OutcomeUnknown)?;
            let tx = live.store.snapshot()?;
            let serial = EpochRow::load(&*tx)?.serial;
            let Some(keys) = live.keys.iter().find(|keys| keys.serial == serial) else {
                continue;
            };
            let keys = keys.clone();
            let state = State::load(shared.vault, &*tx, &keys.system.system)?;
            let last = Timestamp::from_millisecond(state.time).unwrap_or_default();
            return Ok(Self {
                vault: shared.vault,
                now: shared.clock.now().max(last),
                tx,
                keys,
                state,
            });
        }
        Err(Refusal::Internal("no keys for the state of the store"))
    }

    /// The running state as of this snapshot.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The epoch of this snapshot.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.keys.roots.epoch
    }

    /// People of the people map in tag order: see [`crate::keys::shred::ShredMap::walk`]. What is
    /// nobody's is passed by.
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
            .walk(&*self.tx, &roots.people, from, leaves)?;
        let people = entries.iter().map(|(tag, payload)| {
            (
                SubjectId::from_bytes(*tag),
                PersonEntry::from_payload(payload),
            )
        });
        let people = people.filter(|(_, entry)| !entry.handle.is_nobodys());
        Ok((people.collect(), next))
    }
}

impl View for Snapshot {
    fn vault(&self) -> VaultId {
        self.vault
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn tx(&self) -> &dyn ReadTx {
        &*self.tx
    }

    fn system(&self) -> &SystemKeys {
        &self.keys.system
    }

    fn state(&self) -> &State {
        &self.state
    }

    fn entry(&self, subject: SubjectId) -> Result<Option<PersonEntry>, Refusal> {
        let roots = &self.keys.roots;
        let found = roots
            .people_map()
            .get(&*self.tx, &roots.people, &people_tag(subject))?;
        Ok(found.map(|payload| PersonEntry::from_payload(&payload)))
    }

    fn index_hits(&self, mark: &[u8; 32]) -> Result<Vec<IndexHit>, Refusal> {
        let Some(placement) = self.keys.system.placements.first() else {
            return Err(Refusal::Internal("the index has no placement key"));
        };
        let generation = placement.generation;
        let roots = &self.keys.roots;
        let entries = roots.index_map(generation).get_prefix(
            &*self.tx,
            &roots.index(generation),
            placement.prefix(mark),
        )?;
        Ok(hits(mark, entries.iter().map(|(_, payload)| &**payload)))
    }
}
