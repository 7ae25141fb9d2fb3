//! The index under new index keys, as the last but one part of a deep rotation.
//!
//! A mark is an HMAC of the value, so that nobody makes a new one out of an old one: every look-up
//! value is opened once more. A second building of the index, of another set of keys, stands beside the
//! first until everybody's marks are in it; who writes meanwhile puts both, who erases destroys both.
//! One commit, which is an anchor pass, ends the first building with its placement and its index keys.
//! The old marks leave the keysets afterwards, with the KEKs that seal these.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Vault;
use super::state::{RotationRow, Stage};
use crate::commit::{Txn, View};
use crate::id::SubjectId;
use crate::keys::keyset::Lookup;
use crate::keys::system::{CHANNEL_FIELD, DECISION_FIELD, PSEUDONYM_FIELD, REQUEST_FIELD};
use crate::limits::{ROTATION_LEAVES, ROTATION_MARK_LEAVES, ROTATION_SURVEY_ROWS};
use crate::person::{self, DAMAGED, Person};
use crate::policy::Policy;
use crate::pseudonym;
use crate::record;
use crate::refusal::Refusal;
use crate::schema::NORMALISER_VERSION;

/// New marks of one person by the old ones.
type Marks = BTreeMap<((u16, u16), [u8; 32]), [u8; 32]>;

/// Fields by which the policy looks up.
type Sought = BTreeSet<(u16, u16)>;

/// What of a person is not in the new index though it was in the old one.
#[derive(Default)]
struct Left {
    /// Something by which they are to be found.
    sought: bool,
    /// Something by which the policy does not look up any more.
    unsought: bool,
}

/// From which set of index keys to which, and the building that is of the second.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Way {
    old: u32,
    new: u32,
    generation: u32,
}

impl Way {
    /// Where marks are being made anew.
    fn of(view: &dyn View) -> Option<Self> {
        let [old, new] = &view.system().placements[..] else {
            return None;
        };
        (old.set != new.set).then_some(Self {
            old: old.set,
            new: new.set,
            generation: new.generation,
        })
    }

    /// Takes the entries that one value has to have.
    fn note(&self, entries: &[Lookup], marks: &mut Marks) {
        let of = |set| entries.iter().find(|entry| entry.set == set);
        if let (Some(old), Some(new)) = (of(self.old), of(self.new)) {
            marks.insert((old.field, old.mark), new.mark);
        }
    }
}

/// Whether the index that is being built is of new index keys.
pub(in crate::vault) fn renews_marks(view: &dyn View) -> bool {
    Way::of(view).is_some()
}

impl Vault {
    /// A commit or two towards an index of index keys that are younger than the rotation.
    pub(super) fn rotate_index(&self) -> Result<(), Refusal> {
        let building = self.snapshot()?.system().placements.len() > 1;
        // Also one that the sweeper began: it is ended first. With its last commit this goes on at once, or
        // a sweeper that always finds something removed would begin another each time.
        if building && self.rebuild_index_step()? {
            return Ok(());
        }
        self.engine.submit(|txn| {
            let mut row = RotationRow::load(txn)?;
            if row.stage != Stage::Index || txn.system().placements.len() > 1 {
                return Ok(());
            }
            if txn.system().index_set() > row.set {
                row.enter(Stage::Marks, txn.state().people);
                return row.store(txn);
            }
            let mut keys = txn.system().duplicate();
            let generation = keys.open_index_set(txn.entropy());
            txn.create_index(generation);
            txn.replace_system(keys);
            // Since when the index is stale stays: it is by this that the sweeper ends a building that
            // somebody has paused, and an ordinary one comes behind it.
            txn.state_mut().rebuild_from = Some([0; 16]);
            Ok(())
        })
    }

    /// New marks for everybody in the next leaf. Their values are read before, over snapshots: what is
    /// written since has both marks, and what went since is not put back, as its old mark is gone.
    pub(in crate::vault) fn renew_marks_step(&self) -> Result<bool, Refusal> {
        self.check_open()?;
        let snapshot = self.snapshot()?;
        let way = Way::of(&snapshot);
        let (Some(way), Some(from)) = (way, snapshot.state().rebuild_from) else {
            return Ok(snapshot.state().rebuild_from.is_some());
        };
        let policy = self.policy_of(&snapshot)?;
        let (people, next) = snapshot.walk_people(from, ROTATION_LEAVES)?;
        drop(snapshot);
        let mut found = Vec::with_capacity(people.len());
        for (subject, _) in people {
            match self.marks_of(&policy, way, subject) {
                Ok(marks) => found.push((subject, marks)),
                Err(Refusal::Erased { .. } | Refusal::NotFound(_)) => {}
                // Nothing of a keyset that does not open can be put anywhere.
                Err(refusal) if refusal.is_damage_of_a_row() => {
                    found.push((subject, Marks::new()));
                }
                Err(refusal) => return Err(refusal),
            }
        }
        let sought = sought(&policy);
        self.engine.submit(move |txn| {
            if Way::of(txn) != Some(way) || txn.state().rebuild_from != Some(from) {
                // The sweeper, or the rotation, took this step.
                return Ok(txn.state().rebuild_from.is_some());
            }
            let mut row = RotationRow::load(txn)?;
            for (subject, marks) in &found {
                match Person::find(txn, *subject) {
                    Ok(person) => {
                        let left = add(txn, person, way, marks, &sought)?;
                        row.unindexed += u64::from(left.sought);
                        row.unsought += u64::from(left.unsought);
                    }
                    Err(Refusal::Erased { .. } | Refusal::NotFound(_)) => {}
                    Err(refusal) if refusal.is_damage_of_a_row() => row.unindexed += 1,
                    Err(refusal) => return Err(refusal),
                }
            }
            row.step_done += found.len() as u64;
            row.store(txn)?;
            let state = txn.state_mut();
            state.rebuild_from = next;
            if next.is_none() {
                let first = txn.system().placements.first().ok_or(DAMAGED)?.generation;
                let mut keys = txn.system().duplicate();
                keys.keep_placement(way.generation);
                txn.replace_system(keys);
                txn.drop_index(first);
            }
            Ok(next.is_some())
        })
    }

    /// The marks of one person's values. One that does not open has none, and a collection that the policy
    /// has lost cannot be looked up.
    fn marks_of(&self, policy: &Policy, way: Way, subject: SubjectId) -> Result<Marks, Refusal> {
        let mut marks = Marks::new();
        let view = self.snapshot()?;
        let person = Person::find(&view, subject)?;
        match person.row(&view) {
            Ok(row) => {
                let normal = person::channel_form(row.channel(), &row.user);
                let entries = view
                    .system()
                    .marks(CHANNEL_FIELD, NORMALISER_VERSION, &normal);
                let entry = |(set, mark)| Lookup {
                    field: CHANNEL_FIELD,
                    set,
                    mark,
                };
                let entries: Vec<Lookup> = entries.into_iter().map(entry).collect();
                way.note(&entries, &mut marks);
            }
            Err(refusal) if refusal.is_damage_of_a_row() => {}
            Err(refusal) => return Err(refusal),
        }
        match pseudonym::issued(&view, &person) {
            Ok(issued) => {
                for one in issued {
                    way.note(&pseudonym::lookups(&view, one.pseudonym), &mut marks);
                }
            }
            Err(refusal) if refusal.is_damage_of_a_row() => {}
            Err(refusal) => return Err(refusal),
        }
        drop((view, person));
        let sought = policy.collections();
        for collection in sought
            .iter()
            .filter(|c| c.fields.iter().any(|field| field.lookup))
        {
            let mut from = Some(Vec::new());
            while let Some(after) = from {
                let view = self.snapshot()?;
                let person = Person::find(&view, subject)?;
                from = record::each_lookup(
                    &view,
                    &person,
                    collection,
                    after,
                    ROTATION_SURVEY_ROWS,
                    &mut |entries| way.note(entries, &mut marks),
                )?;
            }
        }
        Ok(marks)
    }

    /// Takes the old marks out of the keysets of the next people.
    pub(super) fn drop_old_marks(&self) -> Result<(), Refusal> {
        self.engine.submit(|txn| {
            let mut row = RotationRow::load(txn)?;
            if row.stage != Stage::Marks {
                return Ok(());
            }
            let (people, next) = txn.walk_people(row.place, ROTATION_MARK_LEAVES)?;
            row.step_done += people.len() as u64;
            let set = txn.system().index_set();
            for (subject, _) in people {
                let mut person = match Person::find(txn, subject) {
                    Ok(person) => person,
                    Err(Refusal::Erased { .. } | Refusal::NotFound(_)) => continue,
                    Err(refusal) if refusal.is_damage_of_a_row() => continue,
                    Err(refusal) => return Err(refusal),
                };
                if person.keyset.lookups.iter().any(|lookup| lookup.set != set) {
                    person.keyset.lookups.retain(|lookup| lookup.set == set);
                    person.replace_kek(txn);
                    person.store(txn)?;
                }
            }
            match next {
                Some(next) => row.place = next,
                None => row.enter(Stage::Count, 0),
            }
            row.store(txn)
        })
    }
}

fn sought(policy: &Policy) -> Sought {
    let mut sought = Sought::from([
        CHANNEL_FIELD,
        PSEUDONYM_FIELD,
        REQUEST_FIELD,
        DECISION_FIELD,
    ]);
    for collection in policy.collections() {
        let fields = collection.fields.iter().filter(|field| field.lookup);
        sought.extend(fields.map(|field| (collection.id, field.id)));
    }
    sought
}

/// Puts the new mark of each look-up value that a person still has, beside the old one; what has none.
fn add(
    txn: &mut Txn<'_>,
    mut person: Person,
    way: Way,
    marks: &Marks,
    sought: &Sought,
) -> Result<Left, Refusal> {
    let lookups = person.keyset.lookups.iter();
    let old = lookups.filter(|lookup| lookup.set == way.old);
    let new = old.filter_map(|lookup| {
        let mark = match lookup.field {
            REQUEST_FIELD | DECISION_FIELD => lookup.mark,
            field => *marks.get(&(field, lookup.mark))?,
        };
        let (field, set) = (lookup.field, way.new);
        Some(Lookup { field, set, mark })
    });
    let new: Vec<Lookup> = new
        .filter(|lookup| !person.keyset.lookups.contains(lookup))
        .collect();
    if !new.is_empty() {
        for lookup in &new {
            txn.insert_index(lookup.set, &lookup.mark, person.hit());
        }
        person.keyset.lookups.extend(new);
        person.store(txn)?;
    }
    // Whoever writes puts both marks, so that a value has one of each set, or its new one is missing.
    let mut missing: BTreeMap<(u16, u16), i64> = BTreeMap::new();
    for lookup in &person.keyset.lookups {
        *missing.entry(lookup.field).or_default() += match lookup.set {
            set if set == way.old => 1,
            set if set == way.new => -1,
            _ => 0,
        };
    }
    let mut left = Left::default();
    for (field, _) in missing.into_iter().filter(|(_, missing)| *missing > 0) {
        match sought.contains(&field) {
            true => left.sought = true,
            false => left.unsought = true,
        }
    }
    Ok(left)
}
