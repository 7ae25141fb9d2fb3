//! Finding a scope on: people with their tags, a slice at a time, and the entries that are held against them.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::super::evidence::{LEEWAY, SLICE};
use super::AffectedPerson;
use super::scope::{BreachScope, Phase, Suspect};
use crate::audit::{self, subject_tag};
use crate::commit::{Snapshot, View};
use crate::id::SubjectId;
use crate::keys::keyset::{Keyset, PersonEntry};
use crate::limits::{BREACH_TAGS_MAX, BULK_LEAVES};
use crate::person::{DAMAGED, Person, instant};
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::store::{Direction, KeyRange, Table};

/// Entries of the log that one step looks at.
const STEP_ENTRIES: u64 = 16 * SLICE;

/// The first entry that can be as late as `from`: entries of reads join the log with the next commit, so
/// that times run back a little.
pub(super) fn first_at(snapshot: &Snapshot, from: Timestamp, size: u64) -> Result<u64, Refusal> {
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        match time_of(snapshot, middle)? {
            Some(time) if time < from - LEEWAY => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

pub(super) fn time_of(snapshot: &Snapshot, number: u64) -> Result<Option<Timestamp>, Refusal> {
    let key = &snapshot.system().audit;
    let found = audit::read(snapshot.tx(), snapshot.vault(), key, number, 1)?;
    Ok(found.first().map(|(_, entry)| entry.time))
}

/// Fields of the collections of which somebody has anything: what there may be, without opening a value.
pub(super) fn held(
    snapshot: &Snapshot,
    policy: &Policy,
    entry: &PersonEntry,
) -> Result<BTreeSet<(u16, u16)>, Refusal> {
    let mut fields = BTreeSet::new();
    for collection in policy.collections() {
        let prefix = [&entry.handle.as_bytes()[..], &collection.id.to_be_bytes()].concat();
        let range = KeyRange::prefix(&prefix);
        let any = snapshot
            .tx()
            .keys(Table::RecordMeta, &range, Direction::Ascending, 1)?;
        if !any.is_empty() {
            fields.extend(collection.fields.iter().map(|one| (collection.id, one.id)));
        }
    }
    Ok(fields)
}

/// Takes people up to a slice, with their tags; of a vector without entries each is done at once.
pub(super) fn gather(
    snapshot: &Snapshot,
    scope: &mut BreachScope,
    from: [u8; 16],
    affected: &mut Vec<AffectedPerson>,
) -> Result<(), Refusal> {
    let (mut people, next) = snapshot.walk_people(from, BULK_LEAVES)?;
    people.retain(|(subject, _)| *subject.as_bytes() >= from);
    let evidence = scope.evidence();
    for (subject, entry) in people {
        scope.people_done += 1;
        let Ok(keyset) = Keyset::load(snapshot.vault(), snapshot.tx(), &entry) else {
            scope.report.damaged += 1;
            continue;
        };
        if evidence {
            tag(scope, subject, &keyset);
            continue;
        }
        let person = Person {
            subject,
            entry,
            keyset,
        };
        let created = match person.row(snapshot) {
            Ok(row) => instant(row.created_at),
            Err(refusal) if refusal.is_damage_of_a_row() => {
                scope.report.damaged += 1;
                continue;
            }
            Err(refusal) => return Err(refusal),
        };
        if created < scope.to {
            let mut suspect = Suspect::new(subject);
            suspect.fields = held(snapshot, &scope.policy, &person.entry)?;
            scope.add(suspect, affected);
        }
    }
    let full = scope.tags.len() as u64 + BULK_LEAVES as u64 * 64 * scope.days() > BREACH_TAGS_MAX;
    scope.phase = match next {
        Some(next) if !(evidence && full) => Phase::Gather(next),
        next if evidence => Phase::Scan(scope.begin, next),
        _ => Phase::Done,
    };
    Ok(())
}

/// Makes the tags of one person, for every day of the window.
pub(super) fn tag(scope: &mut BreachScope, subject: SubjectId, keyset: &Keyset) {
    let place = u32::try_from(scope.slice.len()).expect("a slice is bounded by its tags");
    let mut day = scope.from;
    for _ in 0..scope.days() {
        scope.tags.insert(subject_tag(&keyset.audit, day), place);
        day = day
            .checked_add(SignedDuration::from_hours(24))
            .unwrap_or(Timestamp::MAX);
    }
    scope.slice.push(Suspect::new(subject));
}

/// Holds entries against the tags of the slice; behind the last, its people are done.
pub(super) fn scan(
    snapshot: &Snapshot,
    scope: &mut BreachScope,
    (mut at, next): (u64, Option<[u8; 16]>),
    affected: &mut Vec<AffectedPerson>,
) -> Result<(), Refusal> {
    let (vault, key) = (snapshot.vault(), &snapshot.system().audit);
    let end = scope.size.min(at + STEP_ENTRIES);
    while at < end {
        let count = usize::try_from((end - at).min(SLICE)).map_err(|_| DAMAGED)?;
        let entries = audit::read(snapshot.tx(), vault, key, at, count)?;
        let Some((last, _)) = entries.last() else {
            break;
        };
        at = last + 1;
        for (_, entry) in &entries {
            if entry.time > scope.to + LEEWAY {
                at = scope.size;
                break;
            }
            if scope.is_of(entry) {
                if !scope.counted {
                    scope.count(entry);
                }
                scope.note(entry);
            }
        }
    }
    if at < scope.size {
        scope.phase = Phase::Scan(at, next);
        return Ok(());
    }
    scope.counted = true;
    scope.tags.clear();
    for suspect in std::mem::take(&mut scope.slice) {
        scope.add(suspect, affected);
    }
    scope.phase = match next {
        Some(next) => Phase::Gather(next),
        None => Phase::Done,
    };
    Ok(())
}
