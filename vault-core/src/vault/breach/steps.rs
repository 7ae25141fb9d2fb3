//! Finding a scope on: people with their tags, a slice at a time, and the entries that are held against them.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::super::evidence::{LEEWAY, SLICE};
use super::scope::{BreachScope, Phase, Suspect};
use super::{AffectedPerson, BreachVector};
use crate::audit::{self, subject_tag};
use crate::commit::{Snapshot, View};
use crate::disclosure::{self, Given};
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
        let invented = scope.invented.contains(&subject);
        let keyset = Keyset::load(snapshot.vault(), snapshot.tx(), &entry);
        let found = match keyset.map_err(Refusal::from) {
            Ok(_) if evidence && invented => continue,
            Ok(keyset) if evidence => {
                tag(scope, subject, &keyset);
                continue;
            }
            Ok(keyset) => without_calls(
                snapshot,
                scope,
                &Person {
                    subject,
                    entry,
                    keyset,
                },
            ),
            Err(refusal) => Err(refusal),
        };
        match found {
            Ok(None) => {}
            Ok(Some(_)) if invented => scope.invented_there += 1,
            Ok(Some(suspect)) => scope.add(suspect, affected),
            Err(refusal) if refusal.is_damage_of_a_row() => {
                scope.report.damaged += u64::from(!invented);
            }
            Err(refusal) => return Err(refusal),
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

/// What somebody has part in where no call left an entry; `None` if they have none.
fn without_calls(
    snapshot: &Snapshot,
    scope: &BreachScope,
    person: &Person,
) -> Result<Option<Suspect>, Refusal> {
    if let BreachVector::Recipient(name) = &scope.vector {
        let lines = disclosure::lines(snapshot, person)?;
        let theirs = lines.iter().filter(|(_, line)| line.recipient == *name);
        let fields = theirs.flat_map(|(_, line)| &line.fields);
        return Ok(given(scope, person.subject, fields));
    }
    if instant(person.row(snapshot)?.created_at) >= scope.to {
        return Ok(None);
    }
    let mut suspect = Suspect::new(person.subject);
    suspect.fields = held(snapshot, &scope.policy, &person.entry)?;
    Ok(Some(suspect))
}

/// Those of the fields that a recipient was given in the window. The account of it has the first and the last
/// time of each, and how often: what was given more than twice, before and behind the window, may have been
/// given in it as well.
fn given<'g>(
    scope: &BreachScope,
    subject: SubjectId,
    fields: impl Iterator<Item = &'g Given>,
) -> Option<Suspect> {
    let mut suspect = Suspect::new(subject);
    for one in fields {
        let ends = [one.first_at, one.last_at].into_iter();
        let mut inside = ends.filter(|at| scope.inside(*at)).peekable();
        let around = one.first_at < scope.from && one.last_at >= scope.to;
        if inside.peek().is_none() {
            if !around || one.count <= 2 {
                continue;
            }
            suspect.unsure = true;
        }
        inside.for_each(|at| suspect.span(at));
        suspect.fields.insert(one.field);
    }
    (!suspect.fields.is_empty()).then_some(suspect)
}

/// The tags of one person, one for every day of the window.
fn tags(scope: &BreachScope, keyset: &Keyset) -> Vec<[u8; 16]> {
    let days = (0..scope.days()).map(|day| {
        let day = i64::try_from(day).unwrap_or(i64::MAX);
        let later = SignedDuration::from_hours(day.saturating_mul(24));
        scope.from.checked_add(later).unwrap_or(Timestamp::MAX)
    });
    days.map(|day| subject_tag(&keyset.audit, day)).collect()
}

/// Adds one person to the slice.
fn tag(scope: &mut BreachScope, subject: SubjectId, keyset: &Keyset) {
    let place = u32::try_from(scope.slice.len()).expect("a slice is bounded by its tags");
    let tags = tags(scope, keyset);
    scope.tags.extend(tags.into_iter().map(|tag| (tag, place)));
    scope.slice.push(Suspect::new(subject));
}

/// Makes the tags of people who do not exist, so that no call about them counts. One whose keys do not open
/// left calls that are nobody's.
pub(super) fn tag_invented(snapshot: &Snapshot, scope: &mut BreachScope) -> Result<(), Refusal> {
    for subject in scope.invented.clone() {
        let Some(entry) = snapshot.person_entry(subject)? else {
            continue;
        };
        match Keyset::load(snapshot.vault(), snapshot.tx(), &entry).map_err(Refusal::from) {
            Ok(keyset) => {
                let tags = tags(scope, &keyset);
                scope.invented_tags.extend(tags);
            }
            Err(refusal) if refusal.is_damage_of_a_row() => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(())
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
        if entries.is_empty() {
            return Err(DAMAGED);
        }
        for (number, entry) in &entries {
            // The log has every number up to its size. Where one is missing nobody knows whom that call met.
            if *number != at {
                return Err(DAMAGED);
            }
            at += 1;
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
