//! What has to be done without anybody asking: new keys for compartments with old bytes in freed
//! pages, the end of what has expired or is needed for no purpose any more, and the index built anew.
//!
//! Each pass is bounded and leaves its place in the running state, so that it goes on after a
//! restart.

mod people;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Vault;
use super::admin::rows;
use super::retention::{self, Ending};
use super::rotation::renews_marks;
use crate::commit::{Snapshot, View};
use crate::id::SubjectId;
use crate::keys::keyset::{Keyset, PersonEntry};
use crate::keys::shred::ShredError;
use crate::limits::{SWEEP_COMMITS_MAX, SWEEP_LEAVES_MAX, SWEEP_ROWS_MAX};
use crate::log_lines;
use crate::person::{self, DAMAGED, ORPHANS, Person};
use crate::policy::Policy;
use crate::record;
use crate::refusal::Refusal;
use crate::standing::Standing;
use crate::store::{Table, WriteTx};
use people::{dirty, over};

/// How long the index may name the leaves that a removal touched before it is built anew.
const INDEX_STALE_MILLISECONDS: i64 = 20 * 3600 * 1000;
/// Leaves of the people map whose people are copied to a new index in one commit.
const REBUILD_LEAVES: usize = 16;
/// Such commits in one pass of a run over everything.
const INDEX_STEPS_MAX: usize = 64;
/// How often everybody's purposes are asked what they still need: often enough that an end and the new
/// key after it stay under [`FINAL_WITHIN_HOURS`].
const PURPOSES_MILLISECONDS: i64 = 6 * 3600 * 1000;

/// Keys of rows that are over, and where to go on.
type Over = (Vec<Vec<u8>>, Option<Vec<u8>>);

/// What a pass of the sweeper takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// What has waited long enough.
    Due,
    /// Everything.
    All,
}

/// What [`Sweep::All`] would do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepDue {
    /// People of whom something would go.
    pub people: u64,
    /// Of those, people who would go with everything: nothing is left of them, and nothing needs them.
    pub people_whole: u64,
    /// People who are passed by, because a row of theirs does not open.
    pub people_damaged: u64,
    /// Records that have ended, or have values that no purpose needs any more.
    pub records: u64,
    /// Those values, by the purpose that needed them last.
    pub purposes: Vec<PurposeDue>,
    /// Keys that would be destroyed: of periods that are over, and of compartments with old bytes.
    pub keys: u64,
    /// Whether the index would be built anew.
    pub index: bool,
}

/// What would go of one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurposeDue {
    /// Its name.
    pub purpose: String,
    /// Values that it needed last, and needs no more.
    pub values: u64,
    /// Whose they are.
    pub people: u64,
}

impl SweepDue {
    /// Whether anything would be done.
    #[must_use]
    pub fn any(&self) -> bool {
        let nothing = Self {
            people_damaged: self.people_damaged,
            ..Self::default()
        };
        *self != nothing
    }
}

impl Vault {
    /// Counts what a run over everybody would do now, and changes nothing.
    ///
    /// # Errors
    ///
    /// Those of every read; [`Refusal::Conflict`] while the clock is not to be believed.
    pub fn sweep_due(&self) -> Result<SweepDue, Refusal> {
        self.believe_clock()?;
        let mut due = SweepDue::default();
        let mut purposes: BTreeMap<u16, (u64, u64)> = BTreeMap::new();
        let mut from = Some([0; 16]);
        while let Some(tag) = from {
            // A snapshot for each slice: a long one would keep freed pages from being used again.
            let snapshot = self.snapshot()?;
            let policy = self.policy_of(&snapshot)?;
            let (people, next) = snapshot.walk_people(tag, SWEEP_LEAVES_MAX)?;
            for person in people {
                let (records, keys, ending) = match self.due_of(&snapshot, &policy, person) {
                    Ok(found) => found,
                    // As a run does: the others do not wait for whoever has it.
                    Err(refusal) if refusal.is_damage_of_a_row() => {
                        due.people_damaged += 1;
                        continue;
                    }
                    Err(refusal) => return Err(refusal),
                };
                for (purpose, values) in &ending.values {
                    let (all, people) = purposes.entry(*purpose).or_default();
                    *all += values;
                    *people += 1;
                }
                due.records += records + ending.records();
                due.keys += keys;
                due.people += u64::from(records > 0 || keys > 0 || ending.any());
                due.people_whole += u64::from(ending.whole());
            }
            due.purposes = named(&policy, &purposes);
            if next.is_none() {
                due.keys += log_lines::ended(&snapshot, &policy)?.len() as u64;
            }
            due.index = index_due(&snapshot, Sweep::All);
            from = next;
        }
        Ok(due)
    }

    /// Records of a person that have ended, keys that would be destroyed, and what no purpose needs.
    fn due_of(
        &self,
        snapshot: &Snapshot,
        policy: &Arc<Policy>,
        (subject, entry): (SubjectId, PersonEntry),
    ) -> Result<(u64, u64, Ending), Refusal> {
        let keyset = Keyset::load(snapshot.vault(), snapshot.tx(), &entry)?;
        let person = Person {
            subject,
            entry,
            keyset,
        };
        let standing = Standing::of(snapshot, &person)?;
        let records = record::ended(snapshot, &person, &standing, usize::MAX)?.len();
        let mut keys = over(policy, &person, &standing, snapshot.now());
        keys.extend(dirty(snapshot, &person, Sweep::All)?);
        keys.sort_by_key(|key| (key.number, key.period));
        keys.dedup();
        let mut ending = Ending::default();
        if !self.memory.honey.has(subject) {
            ending = retention::ending(snapshot, policy, &person, usize::MAX)?;
        }
        Ok((records as u64, keys.len() as u64, ending))
    }

    fn believe_clock(&self) -> Result<(), Refusal> {
        if !self.engine.clock_leads() {
            return Ok(());
        }
        Err(Refusal::Conflict(
            "the clock is more than a day ahead of the vault's last commit, so nothing expires \
             by it; look at the clock, then start the server with --confirm-clock"
                .into(),
        ))
    }

    /// One bounded pass; `true` if more remains to be done. `All` also does what could wait.
    ///
    /// # Errors
    ///
    /// Those of every write. What was done before the error stays done. [`Refusal::Conflict`] while
    /// the clock is not to be believed.
    pub fn sweep(&self, which: Sweep) -> Result<bool, Refusal> {
        self.believe_clock()?;
        // None of these waits for another: who is to be reminded does not depend on what could not be swept. All of
        // them stand behind the clock, since one that is wrong would give every reminder of the years to come.
        let swept = self.sweep_all(which);
        let planted = self.plant_honey();
        let watched = self.watch_requests();
        let decided = self.watch_decisions();
        let counted = self
            .snapshot()
            .and_then(|view| self.count_suppressions(&view))
            .map(drop);
        let more = swept?;
        planted
            .and(watched)
            .and(decided)
            .and(counted)
            .map(|()| more)
    }

    /// Takes away the rows of a table that are over, a part in a commit: `over` finds their keys behind a key, and says
    /// where to go on.
    pub(super) fn sweep_rows(
        &self,
        table: Table,
        over: fn(&dyn View, &[u8]) -> Result<Over, Refusal>,
    ) -> Result<(), Refusal> {
        let mut after = Some(Vec::new());
        while let Some(from) = after {
            let (keys, next) = over(&self.snapshot()?, &from)?;
            if !keys.is_empty() {
                self.engine.submit(move |txn| {
                    for key in &keys {
                        txn.delete(table, key)?;
                    }
                    Ok(())
                })?;
            }
            after = next;
        }
        Ok(())
    }

    fn sweep_all(&self, which: Sweep) -> Result<bool, Refusal> {
        self.store_uses();
        let more = self.sweep_people(which)?;
        let more = self.sweep_orphans()? || more;
        let more = self.sweep_uploads()? || more;
        self.sweep_outbox()?;
        self.sweep_logs()?;
        self.sweep_dialogues()?;
        self.sweep_pickups()?;
        let snapshot = self.snapshot()?;
        let (due, renews) = (index_due(&snapshot, which), renews_marks(&snapshot));
        drop(snapshot);
        if due {
            let mut building = self.rebuild_index_step()?;
            // Whoever runs all of it does not look at everybody again for each step.
            for _ in 1..INDEX_STEPS_MAX {
                if which == Sweep::Due || renews || !building {
                    break;
                }
                building = self.rebuild_index_step()?;
            }
            // Behind a building of new keys comes the one that the erasures meanwhile wait for.
            return Ok(building || renews || more);
        }
        Ok(more)
    }

    /// Builds the index anew under a new placement key, to the end: afterwards nothing in freed
    /// pages can be located from a value.
    ///
    /// # Errors
    ///
    /// Those of every write; the next pass goes on.
    pub fn rebuild_index(&self) -> Result<(), Refusal> {
        while self.rebuild_index_step()? {}
        Ok(())
    }

    /// Deletes rows whose person is gone: ciphertext without a key. Whether any may be left.
    fn sweep_orphans(&self) -> Result<bool, Refusal> {
        let snapshot = self.snapshot()?;
        let marked = rows(&snapshot, Table::Dirty, 10 * SWEEP_ROWS_MAX)?;
        drop(snapshot);
        let mut commits = 0..SWEEP_COMMITS_MAX;
        for key in marked.into_iter().filter(|key| key.ends_with(&ORPHANS)) {
            let mut left = true;
            while left {
                if commits.next().is_none() {
                    return Ok(true);
                }
                let key = key.clone();
                left = self.engine.submit(move |txn| {
                    let handle = key.get(..16).ok_or(DAMAGED)?;
                    let left = person::remove_rows(txn, handle, SWEEP_ROWS_MAX)?;
                    if !left {
                        txn.delete(Table::Dirty, &key)?;
                    }
                    Ok(left)
                })?;
            }
        }
        Ok(false)
    }

    /// One commit of the building: begin, copy some people, or switch.
    pub(super) fn rebuild_index_step(&self) -> Result<bool, Refusal> {
        self.check_open()?;
        if renews_marks(&self.snapshot()?) {
            return self.renew_marks_step();
        }
        self.engine.submit(|txn| {
            let Some(from) = txn.state().rebuild_from else {
                let mut keys = txn.system().duplicate();
                let generation = keys.open_placement(keys.index_set(), txn.entropy());
                txn.create_index(generation);
                txn.replace_system(keys);
                let state = txn.state_mut();
                state.rebuild_from = Some([0; 16]);
                // What is removed from here on touches a leaf of this building too, and waits for the next.
                state.index_stale_since = None;
                return Ok(true);
            };
            if renews_marks(txn) {
                // Begun since; the next step goes on with it.
                return Ok(true);
            }
            let placements = txn.system().placements.iter().map(|p| p.generation);
            let placements: Vec<u32> = placements.collect();
            let [old, new] = placements[..] else {
                return Err(Refusal::Internal("an index is built that is not there"));
            };
            let set = txn.system().index_set();
            let (people, next) = txn.walk_people(from, REBUILD_LEAVES)?;
            for (subject, entry) in people {
                let keyset = match Keyset::load(txn.vault(), txn, &entry) {
                    Ok(keyset) => keyset,
                    // Nobody reads anything of theirs by it. The pass over people says so, and a rotation,
                    // which is not to wait for this building for ever, counts them.
                    Err(ShredError::Damaged) => continue,
                    Err(error) => return Err(error.into()),
                };
                let person = Person {
                    subject,
                    entry,
                    keyset,
                };
                let lookups = person.keyset.lookups.iter();
                for lookup in lookups.filter(|lookup| lookup.set == set) {
                    txn.copy_to_index(new, &lookup.mark, person.hit());
                }
            }
            match next {
                Some(next) => txn.state_mut().rebuild_from = Some(next),
                None => {
                    let mut keys = txn.system().duplicate();
                    keys.keep_placement(new);
                    txn.replace_system(keys);
                    txn.drop_index(old);
                    txn.state_mut().rebuild_from = None;
                }
            }
            Ok(next.is_some())
        })
    }
}

/// Whether a step towards another building of the index is to be taken. One of new keys is the rotation's own,
/// which somebody may have paused; but what a receipt says goes before a pause.
fn index_due(snapshot: &Snapshot, which: Sweep) -> bool {
    let renews = renews_marks(snapshot);
    let wait = match which {
        Sweep::All if !renews => 0,
        _ => INDEX_STALE_MILLISECONDS,
    };
    let (state, now) = (snapshot.state(), snapshot.now().as_millisecond());
    let stale = state.index_stale_since.is_some_and(|at| at + wait <= now);
    stale || (state.rebuild_from.is_some() && !renews)
}

fn named(policy: &Policy, purposes: &BTreeMap<u16, (u64, u64)>) -> Vec<PurposeDue> {
    let named = purposes.iter().filter_map(|(id, (values, people))| {
        Some(PurposeDue {
            purpose: policy.purpose_by_id(*id)?.name.clone(),
            values: *values,
            people: *people,
        })
    });
    named.collect()
}
