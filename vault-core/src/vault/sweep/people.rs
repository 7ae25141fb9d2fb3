//! One pass of the sweeper over people: new keys for what was replaced or removed, and the end of what has
//! expired or is needed for no purpose any more.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::super::retention::{self, Ending, Left};
use super::super::{Vault, corrections};
use super::{PURPOSES_MILLISECONDS, Sweep};
use crate::answer;
use crate::clock::hour_of;
use crate::commit::{Snapshot, Txn, View};
use crate::id::SubjectId;
use crate::keys::keyset::{Compartment, Keyset, PersonEntry};
use crate::limits::{
    BLOB_CHUNKS_REMOVED_MAX, FINAL_WITHIN_HOURS, REKEY_AFTER_HOURS, SWEEP_LEAVES_MAX,
    SWEEP_PEOPLE_MAX, SWEEP_ROWS_MAX,
};
use crate::log_lines;
use crate::person::{DAMAGED, Person};
use crate::policy::Policy;
use crate::record;
use crate::refusal::Refusal;
use crate::rotation::{MARK, Mark, Step};
use crate::standing::Standing;
use crate::store::{Direction, KeyRange, Table, WriteTx};
use crate::talk;

impl Vault {
    pub(super) fn sweep_people(&self, which: Sweep) -> Result<bool, Refusal> {
        let pass = self.wanting(which)?;
        let (mut left, asked) = (false, pass.asked);
        for people in pass.wanting.chunks(SWEEP_PEOPLE_MAX) {
            match self.sweep_these(people, &pass.policy, which) {
                Ok(more) => left |= more,
                // One of them has a row that does not open: nothing of this commit happened, and the others
                // do not wait for whoever that is.
                Err(refusal) if refusal.is_damage_of_a_row() => {
                    for one in people {
                        match self.sweep_these(std::slice::from_ref(one), &pass.policy, which) {
                            Ok(more) => left |= more,
                            Err(refusal) if refusal.is_damage_of_a_row() => {
                                self.rounds.found_overdue();
                            }
                            Err(refusal) => return Err(refusal),
                        }
                    }
                }
                Err(refusal) => return Err(refusal),
            }
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
                state.purposes_asked = asked && (left || next != [0; 16]);
                Ok(())
            })?;
        }
        Ok(left || next != [0; 16])
    }

    /// Sweeps these people in one commit; whether there is more of any.
    fn sweep_these(
        &self,
        people: &[(SubjectId, bool)],
        policy: &Arc<Policy>,
        which: Sweep,
    ) -> Result<bool, Refusal> {
        let (people, policy) = (people.to_vec(), policy.clone());
        self.engine.submit(move |txn| {
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
        })
    }

    /// What is to be done with one person now.
    fn wants(
        &self,
        snapshot: &Snapshot,
        policy: &Arc<Policy>,
        (subject, entry): (SubjectId, PersonEntry),
        which: Sweep,
        asks: bool,
    ) -> Result<Wants, Refusal> {
        let keyset = Keyset::load(snapshot.vault(), snapshot.tx(), &entry)?;
        let person = Person {
            subject,
            entry,
            keyset,
        };
        let mut ending = Ending::default();
        if asks {
            ending = retention::ending(snapshot, policy, &person, usize::MAX)?;
        }
        let standing = Standing::of(snapshot, &person)?;
        let sweep = ending.any()
            || !dirty(snapshot, &person, which)?.is_empty()
            || !record::ended(snapshot, &person, &standing, 1)?.is_empty()
            || !over(policy, &person, &standing, snapshot.now()).is_empty()
            || corrections::due(snapshot, &person, &standing)?;
        Ok(Wants {
            sweep,
            overdue: sweep && (ending.overdue || overdue(snapshot, policy, &person, &standing)?),
            // Those of everybody's rotation are ended by that.
            cut_off: Mark::find(snapshot, &person)?.is_some_and(|mark| mark.rotation == 0),
        })
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
            let asks = asked && !self.memory.honey.has(subject);
            let wants = match self.wants(&snapshot, &policy, (subject, entry), which, asks) {
                Ok(wants) => wants,
                // Their rows do not open, and the others do not wait for them: they count as late, which
                // somebody is told of.
                Err(refusal) if refusal.is_damage_of_a_row() => {
                    self.rounds.found_overdue();
                    continue;
                }
                Err(refusal) => return Err(refusal),
            };
            if wants.sweep {
                wanting.push((subject, asks));
            }
            if wants.overdue {
                self.rounds.found_overdue();
            }
            if wants.cut_off {
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
}

/// What is to be done with one person.
struct Wants {
    sweep: bool,
    /// Whether something has waited longer than was promised.
    overdue: bool,
    /// Whether new keys were begun and not ended.
    cut_off: bool,
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

/// Compartments whose every record has ended: their key can go, unless the collection is kept.
pub(super) fn over(
    policy: &Arc<Policy>,
    person: &Person,
    standing: &Standing,
    at: Timestamp,
) -> Vec<Compartment> {
    let now = hour_of(at);
    let keys = person.keyset.keys.iter().map(|dek| dek.compartment);
    let ended = keys.filter(|compartment| {
        if compartment.number == Compartment::ANSWERS {
            return answer::period_over(compartment.period, now);
        }
        if compartment.number == Compartment::TALKS {
            return talk::stored::period_over(compartment.period, now);
        }
        // No hold and no restriction keeps a line of a log.
        if let Some((stream, day)) = compartment.log_of() {
            return log_lines::over(policy, stream, day, at);
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
    let by = view.now() - SignedDuration::from_hours(FINAL_WITHIN_HOURS);
    let by_hour = hour_of(by);
    if !over(policy, person, standing, by).is_empty() {
        return Ok(true);
    }
    let range = KeyRange::prefix(person.entry.handle.as_bytes());
    let rows = view
        .tx()
        .range(Table::Dirty, &range, Direction::Ascending, SWEEP_ROWS_MAX)?;
    for (_, since) in rows.into_iter().filter(|(key, _)| !key.ends_with(&MARK)) {
        let since = u32::from_be_bytes(since.try_into().map_err(|_| DAMAGED)?);
        if since < by_hour {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Compartments that are to get a new key now.
pub(super) fn dirty(
    view: &dyn View,
    person: &Person,
    which: Sweep,
) -> Result<Vec<Compartment>, Refusal> {
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
        if ending.any() {
            match retention::end(txn, policy, &mut person, ending, &mut budget)? {
                Left::Nobody => return Ok(false),
                Left::More(left) => more = left,
            }
        }
    }
    let standing = Standing::of(txn, &person)?;
    let held = |collection| standing.holds(collection);
    corrections::settle(txn, policy, &mut person, &held)?;
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
        true => over(policy, &person, &standing, txn.now()),
        false => Vec::new(),
    };
    if !ended.is_empty() {
        answer::remove_of(txn, &person, &ended)?;
        talk::stored::remove_of(txn, &person, &ended)?;
        log_lines::remove_of(txn, &person, &ended)?;
        person
            .keyset
            .keys
            .retain(|dek| !ended.contains(&dek.compartment));
        person.replace_kek(txn);
        person.store(txn)?;
    }
    let dirty = dirty(txn, &person, which)?;
    log_lines::rekey(txn, &mut person, &dirty)?;
    // Those of logs have their new keys by now, which are not to go with the old ones.
    let of_records = dirty.iter().filter(|one| one.log_of().is_none());
    let of_records: Vec<Compartment> = of_records.copied().collect();
    record::rekey(txn, &mut person, &of_records)?;
    for compartment in dirty {
        txn.delete(Table::Dirty, &person.dirty_key(compartment))?;
    }
    Ok(more)
}
