//! What has to be done without anybody asking: new keys for compartments with old bytes in freed
//! pages, the end of what has expired or is needed for no purpose any more, and the index built anew.
//!
//! Each pass is bounded and leaves its place in the running state, so that it goes on after a
//! restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Vault;
use super::admin::rows;
use super::retention::{self, Ending};
use super::rotation::renews_marks;
use crate::answer;
use crate::clock::hour_of;
use crate::commit::{Snapshot, Txn, View};
use crate::id::SubjectId;
use crate::keys::keyset::{Compartment, Keyset};
use crate::keys::shred::ShredError;
use crate::limits::{
    BLOB_CHUNKS_REMOVED_MAX, FINAL_WITHIN_HOURS, REKEY_AFTER_HOURS, SWEEP_COMMITS_MAX,
    SWEEP_LEAVES_MAX, SWEEP_PEOPLE_MAX, SWEEP_ROWS_MAX,
};
use crate::person::{self, DAMAGED, ORPHANS, Person};
use crate::policy::Policy;
use crate::record;
use crate::refusal::Refusal;
use crate::rotation::{MARK, Mark, Step};
use crate::standing::Standing;
use crate::store::{Direction, KeyRange, Table, WriteTx};

/// How long the index may name the leaves that a removal touched before it is built anew.
const INDEX_STALE_MILLISECONDS: i64 = 20 * 3600 * 1000;
/// Leaves of the people map whose people are copied to a new index in one commit.
const REBUILD_LEAVES: usize = 16;
/// How often everybody's purposes are asked what they still need: often enough that an end and the new
/// key after it stay under [`FINAL_WITHIN_HOURS`].
const PURPOSES_MILLISECONDS: i64 = 6 * 3600 * 1000;

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
        *self != Self::default()
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
            for (subject, entry) in people {
                let keyset = Keyset::load(snapshot.vault(), snapshot.tx(), &entry)?;
                let person = Person {
                    subject,
                    entry,
                    keyset,
                };
                let standing = Standing::of(&snapshot, &person)?;
                let records = record::ended(&snapshot, &person, &standing, usize::MAX)?.len();
                let mut keys = over(&policy, &person, &standing, hour_of(snapshot.now()));
                keys.extend(dirty(&snapshot, &person, Sweep::All)?);
                keys.sort_by_key(|key| (key.number, key.period));
                keys.dedup();
                let mut ending = Ending::default();
                if !self.memory.honey.has(person.subject) {
                    ending = retention::ending(&snapshot, &policy, &person, usize::MAX)?;
                }
                for (purpose, values) in &ending.values {
                    let (all, people) = purposes.entry(*purpose).or_default();
                    *all += values;
                    *people += 1;
                }
                due.records += records as u64 + ending.records();
                due.keys += keys.len() as u64;
                due.people += u64::from(records > 0 || !keys.is_empty() || ending.any());
                due.people_whole += u64::from(ending.whole());
            }
            due.purposes = named(&policy, &purposes);
            due.index = index_due(&snapshot, Sweep::All);
            from = next;
        }
        Ok(due)
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
        let more = self.sweep_all(which)?;
        self.plant_honey()?;
        Ok(more)
    }

    fn sweep_all(&self, which: Sweep) -> Result<bool, Refusal> {
        self.store_uses();
        let more = self.sweep_people(which)?;
        let more = self.sweep_orphans()? || more;
        let more = self.sweep_uploads()? || more;
        let snapshot = self.snapshot()?;
        let (due, renews) = (index_due(&snapshot, which), renews_marks(&snapshot));
        drop(snapshot);
        if due {
            // Behind a building of new keys comes the one that the erasures meanwhile wait for.
            return Ok(self.rebuild_index_step()? || renews || more);
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

    fn sweep_people(&self, which: Sweep) -> Result<bool, Refusal> {
        let pass = self.wanting(which)?;
        let (mut left, asked) = (false, pass.asked);
        for people in pass.wanting.chunks(SWEEP_PEOPLE_MAX) {
            let (people, policy) = (people.to_vec(), pass.policy.clone());
            left |= self.engine.submit(move |txn| {
                let mut left = false;
                for (subject, asked) in &people {
                    match sweep_person(txn, &policy, *subject, which, *asked) {
                        Ok(more) => left |= more,
                        // Erased since the snapshot: nothing is left to sweep.
                        Err(Refusal::Erased { .. }) => {}
                        Err(refusal) => return Err(refusal),
                    }
                }
                Ok(left)
            })?;
        }
        for subject in pass.cut_off {
            match self.rotate_person_on(subject, Step::More) {
                Ok(()) | Err(Refusal::Erased { .. }) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        // Of whom there is more, they are met again before the round goes on.
        let next = if left { pass.from } else { pass.next };
        if next == [0; 16] && !left {
            self.rounds.end(self.engine.running());
        }
        let begins = pass.begins && asked;
        if next != pass.from || begins {
            self.engine.submit(move |txn| {
                let now = txn.now().as_millisecond();
                let state = txn.state_mut();
                state.sweep_from = next;
                if begins {
                    state.purposes_at = now;
                }
                state.purposes_asked = asked && next != [0; 16];
                Ok(())
            })?;
        }
        Ok(left || next != [0; 16])
    }

    /// The next people of whom something is to be swept. The snapshot ends here: pages that a commit
    /// frees are not used again while a reader might still see them, and a pass is many commits.
    fn wanting(&self, which: Sweep) -> Result<Pass, Refusal> {
        let snapshot = self.snapshot()?;
        let policy = self.policy_of(&snapshot)?;
        let state = snapshot.state();
        let from = state.sweep_from;
        let begins = from == [0; 16];
        let waited = snapshot.now().as_millisecond() - state.purposes_at;
        let asked = which == Sweep::All
            || state.purposes_asked
            || (begins && waited >= PURPOSES_MILLISECONDS);
        let (people, next) = snapshot.walk_people(from, SWEEP_LEAVES_MAX)?;
        let (mut wanting, mut cut_off) = (Vec::new(), Vec::new());
        for (subject, entry) in people {
            let keyset = Keyset::load(snapshot.vault(), snapshot.tx(), &entry)?;
            let person = Person {
                subject,
                entry,
                keyset,
            };
            let asks = asked && !self.memory.honey.has(subject);
            let mut ending = Ending::default();
            if asks {
                ending = retention::ending(&snapshot, &policy, &person, usize::MAX)?;
            }
            let standing = Standing::of(&snapshot, &person)?;
            if ending.any()
                || !dirty(&snapshot, &person, which)?.is_empty()
                || !record::ended(&snapshot, &person, &standing, 1)?.is_empty()
                || !over(&policy, &person, &standing, hour_of(snapshot.now())).is_empty()
            {
                wanting.push((subject, asks));
                if ending.overdue || overdue(&snapshot, &policy, &person, &standing)? {
                    self.rounds.found_overdue();
                }
            }
            // Those of everybody's rotation are ended by that.
            if Mark::find(&snapshot, &person)?.is_some_and(|mark| mark.rotation == 0) {
                cut_off.push(subject);
            }
        }
        Ok(Pass {
            policy,
            begins,
            asked,
            from,
            next: next.unwrap_or_default(),
            wanting,
            cut_off,
        })
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

/// What one pass over people has before it.
struct Pass {
    policy: Arc<Policy>,
    /// Whether a round begins with it.
    begins: bool,
    /// Whether purposes are asked what they still need.
    asked: bool,
    from: [u8; 16],
    /// Where the next begins; zeros at the end of the round.
    next: [u8; 16],
    /// Each with whether their purposes are asked: nobody has those of people who do not exist.
    wanting: Vec<(SubjectId, bool)>,
    /// Whose new keys were begun and not ended.
    cut_off: Vec<SubjectId>,
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

/// Compartments whose every record has ended: their key can go, unless the collection is kept.
fn over(policy: &Arc<Policy>, person: &Person, standing: &Standing, now: u32) -> Vec<Compartment> {
    let keys = person.keyset.keys.iter().map(|dek| dek.compartment);
    let ended = keys.filter(|compartment| {
        if compartment.number == Compartment::ANSWERS {
            return answer::period_over(compartment.period, now);
        }
        let collection = compartment
            .number
            .checked_sub(16)
            .and_then(|id| policy.collection_by_id(id));
        let Some(collection) = collection.filter(|one| !standing.keeps(one.id)) else {
            return false;
        };
        match (record::period_hours(collection), &collection.retention) {
            (Some(period), Some(retention)) => {
                compartment.period + period + retention.hours() <= now
            }
            _ => false,
        }
    });
    ended.collect()
}

/// Whether something of this person has waited longer than was promised: an old value for its new
/// key, or a period that is over for the end of its key.
fn overdue(
    view: &dyn View,
    policy: &Arc<Policy>,
    person: &Person,
    standing: &Standing,
) -> Result<bool, Refusal> {
    let promised = u32::try_from(FINAL_WITHIN_HOURS).expect("a day");
    let by = hour_of(view.now()).saturating_sub(promised);
    if !over(policy, person, standing, by).is_empty() {
        return Ok(true);
    }
    let range = KeyRange::prefix(person.entry.handle.as_bytes());
    let rows = view
        .tx()
        .range(Table::Dirty, &range, Direction::Ascending, SWEEP_ROWS_MAX)?;
    for (_, since) in rows.into_iter().filter(|(key, _)| !key.ends_with(&MARK)) {
        let since = u32::from_be_bytes(since.try_into().map_err(|_| DAMAGED)?);
        if since < by {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Compartments that are to get a new key now.
fn dirty(view: &dyn View, person: &Person, which: Sweep) -> Result<Vec<Compartment>, Refusal> {
    let range = KeyRange::prefix(person.entry.handle.as_bytes());
    let rows = view
        .tx()
        .range(Table::Dirty, &range, Direction::Ascending, SWEEP_ROWS_MAX)?;
    let now = hour_of(view.now());
    let mut due = Vec::new();
    for (key, since) in rows.into_iter().filter(|(key, _)| !key.ends_with(&MARK)) {
        let part = key.get(16..22).ok_or(DAMAGED)?;
        let since = u32::from_be_bytes(since.try_into().map_err(|_| DAMAGED)?);
        if which == Sweep::All || since.saturating_add(REKEY_AFTER_HOURS) <= now {
            due.push(Compartment {
                number: u16::from_be_bytes(part[..2].try_into().map_err(|_| DAMAGED)?),
                period: u32::from_be_bytes(part[2..].try_into().map_err(|_| DAMAGED)?),
            });
        }
    }
    Ok(due)
}

fn sweep_person(
    txn: &mut Txn<'_>,
    policy: &Arc<Policy>,
    subject: SubjectId,
    which: Sweep,
    asked: bool,
) -> Result<bool, Refusal> {
    let mut person = Person::find(txn, subject)?;
    let mut budget = BLOB_CHUNKS_REMOVED_MAX;
    let mut more = false;
    if asked {
        let ending = retention::ending(txn, policy, &person, SWEEP_ROWS_MAX)?;
        more = ending.more;
        if ending.any() && retention::end(txn, policy, &mut person, ending, &mut budget)? {
            return Ok(false);
        }
    }
    let standing = Standing::of(txn, &person)?;
    let records = record::ended(txn, &person, &standing, SWEEP_ROWS_MAX)?;
    for (collection, id) in &records {
        record::remove_rows(txn, &person, *collection, *id, &mut budget)?;
    }
    // What has ended must not be found by its look-up values either.
    let touched: BTreeSet<u16> = records.iter().map(|(collection, _)| *collection).collect();
    for id in touched {
        record::release(txn, &mut person, id, policy.collection_by_id(id))?;
    }
    // Rows that are left for the next pass are opened then, to find the blobs in them.
    let ended = match records.len() < SWEEP_ROWS_MAX {
        true => over(policy, &person, &standing, hour_of(txn.now())),
        false => Vec::new(),
    };
    if !ended.is_empty() {
        answer::remove_of(txn, &person, &ended)?;
        person
            .keyset
            .keys
            .retain(|dek| !ended.contains(&dek.compartment));
        person.replace_kek(txn);
        person.store(txn)?;
    }
    let dirty = dirty(txn, &person, which)?;
    record::rekey(txn, &mut person, &dirty)?;
    for compartment in dirty {
        txn.delete(Table::Dirty, &person.dirty_key(compartment))?;
    }
    Ok(more)
}
