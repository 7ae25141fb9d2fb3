//! The queue of reviews across people.
//!
//! A row is found without anybody's key and opened under its person's, as the queue of requests is. How many reviews
//! are open is told by keys of rows alone.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use jiff::Timestamp;

use super::Vault;
use crate::automated::DecisionState;
use crate::automated::stored::{self, DecisionRow};
use crate::clock::hour_of;
use crate::commit::{Snapshot, View};
use crate::crypto::sha256;
use crate::deadline::Due;
use crate::id::{DecisionId, SubjectId};
use crate::keys::keyset::Keyset;
use crate::limits::{PAGE_RECORDS_MAX, REQUEST_QUEUE_ROWS};
use crate::person::{Person, instant};
use crate::policy::Capability;
use crate::refusal::Refusal;
use crate::vault::{Call, cursor};

/// Which decisions are asked for; those whose review is open, where nothing says otherwise.
#[derive(Clone, Debug, Default)]
pub struct DecisionFilter {
    /// Of this kind.
    pub kind: Option<String>,
    /// Of this state.
    pub state: Option<DecisionState>,
    /// Whose review is overdue.
    pub overdue: bool,
}

/// A decision in the queue, without a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedDecision {
    /// Which.
    pub decision: DecisionId,
    /// About whom.
    pub subject: SubjectId,
    /// The name of its kind.
    pub kind: String,
    /// How far it has come.
    pub state: DecisionState,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// When it was contested.
    pub contested_at: Option<Timestamp>,
    /// Until when a review is due, while one is open.
    pub due: Option<Due>,
    /// Whether it is open and its end is over.
    pub overdue: bool,
}

/// A page of the queue, those that are due first before the others.
#[derive(Clone, Debug)]
pub struct DecisionPage {
    /// What is in it.
    pub decisions: Vec<QueuedDecision>,
    /// Where to go on.
    pub next: Option<String>,
}

/// Reviews that are open, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecisionsOpen {
    /// All of them.
    pub open: u64,
    /// Those that are overdue.
    pub overdue: u64,
}

/// The queue as it was looked at last.
#[derive(Default)]
pub(in crate::vault) struct Watched {
    open: AtomicU64,
    overdue: AtomicU64,
    /// Whether nothing has changed since, and in which hour that was.
    known: AtomicBool,
    hour: AtomicI64,
}

impl Watched {
    /// Something in the queue is another.
    pub(in crate::vault) fn changed(&self) {
        self.known.store(false, Ordering::Release);
    }

    pub(in crate::vault) fn figures(&self) -> DecisionsOpen {
        DecisionsOpen {
            open: self.open.load(Ordering::Relaxed),
            overdue: self.overdue.load(Ordering::Relaxed),
        }
    }
}

/// Somebody's decision, as its row tells it.
pub(super) struct Found {
    decision: DecisionId,
    pub(super) person: Person,
    pub(super) row: DecisionRow,
}

/// Goes through the rows; `all` tells whether to open those without an open review, too. A row that does not open is
/// passed by: the others do not wait for it.
pub(super) fn each(
    snapshot: &Snapshot,
    all: bool,
    mut take: impl FnMut(Found) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut after = Vec::new();
    loop {
        let rows = stored::page(snapshot.tx(), &after, REQUEST_QUEUE_ROWS)?;
        for (key, sealed) in &rows {
            let (decision, hour) = stored::parts(key)?;
            if hour == 0 && !all {
                continue;
            }
            match found(snapshot, decision, key, sealed) {
                Ok(Some(found)) => take(found)?,
                Ok(None) => {}
                Err(refusal) if refusal.is_damage_of_a_row() => {}
                Err(refusal) => return Err(refusal),
            }
        }
        match rows.into_iter().last() {
            Some((last, _)) => after = last,
            None => return Ok(()),
        }
    }
}

/// `None` for a row that is left of somebody who is gone.
fn found(
    snapshot: &Snapshot,
    decision: DecisionId,
    key: &[u8],
    sealed: &[u8],
) -> Result<Option<Found>, Refusal> {
    let hit = match stored::whose(snapshot, decision) {
        Err(Refusal::NotFound(_)) => return Ok(None),
        hit => hit?,
    };
    let Some(entry) = snapshot.person_entry(hit.subject)? else {
        return Ok(None);
    };
    let person = Person {
        subject: hit.subject,
        keyset: Keyset::load(snapshot.vault(), snapshot.tx(), &entry)?,
        entry,
    };
    let row = stored::open(snapshot, &person, key, sealed)?;
    Ok(Some(Found {
        decision,
        person,
        row,
    }))
}

pub(super) fn queued(found: &Found, now: Timestamp) -> QueuedDecision {
    let row = &found.row;
    let due = super::due(row);
    QueuedDecision {
        decision: found.decision,
        subject: found.person.subject,
        kind: row.kind.clone(),
        state: row.state,
        recorded_at: instant(row.recorded),
        contested_at: row.contested.map(instant),
        overdue: row.state.is_open() && due.is_some_and(|due| due.is_over(now)),
        due,
    }
}

impl DecisionFilter {
    fn takes(&self, one: &QueuedDecision) -> bool {
        let state = match self.state {
            Some(state) => one.state == state,
            None => one.state.is_open(),
        };
        state
            && self.kind.as_ref().is_none_or(|kind| one.kind == *kind)
            && (!self.overdue || one.overdue)
    }

    /// What stands for it in a cursor.
    fn text(&self) -> String {
        let state = self.state.map(DecisionState::name);
        format!("{:?} {state:?} {}", self.kind, self.overdue)
    }
}

/// Where a decision stands in the order of the queue.
fn place(one: &QueuedDecision) -> [u8; 24] {
    let mut place = [0; 24];
    let end = one.due.map_or(one.recorded_at, |due| due.end);
    // From the earliest instant on, so that the order of bytes is that of numbers.
    let end = end.as_millisecond().wrapping_sub(i64::MIN);
    place[..8].copy_from_slice(&end.to_be_bytes());
    place[8..].copy_from_slice(one.decision.as_bytes());
    place
}

impl Vault {
    /// The queue of reviews, those that are due first before the others; no values.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`]; [`Refusal::Invalid`] for a cursor that is over or belongs to another list.
    pub fn queue_decisions(
        &self,
        call: &Call<'_>,
        filter: &DecisionFilter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<DecisionPage, Refusal> {
        self.read(
            call,
            "decisions.list",
            None,
            |snapshot, policy, context, _| {
                let capability = Capability::DecisionsReview;
                context.principal.require(policy, capability)?;
                let token = context.principal.token();
                let token = token.as_ref().map_or(&[][..], |token| token.as_bytes());
                let query = sha256(&[b"decisions", token, filter.text().as_bytes()]);
                let from: [u8; 24] = match cursor {
                    Some(text) => cursor::open(&self.memory, snapshot, &query, text)?,
                    None => [0; 24],
                };
                let closed = filter.state.is_some_and(|state| !state.is_open());
                let mut all = Vec::new();
                each(snapshot, closed, |found| {
                    let one = queued(&found, snapshot.now());
                    let behind = place(&one) > from;
                    if behind && filter.takes(&one) && context.reaches(snapshot, &found.person)? {
                        all.push(one);
                    }
                    Ok(())
                })?;
                all.sort_unstable_by_key(place);
                let limit = limit.clamp(1, PAGE_RECORDS_MAX);
                let more = all.len() > limit;
                all.truncate(limit);
                let last = all.last().filter(|_| more);
                let next =
                    last.map(|one| cursor::sealed(&self.memory, snapshot, &query, &place(one)));
                Ok(DecisionPage {
                    decisions: all,
                    next,
                })
            },
            |page| page,
        )
    }

    /// Counts the reviews that are open; once an hour, and after each change. Opens nothing: a row's key says by
    /// which hour its review is due.
    ///
    /// # Errors
    ///
    /// Those of every read; the next round goes on.
    pub(in crate::vault) fn watch_decisions(&self) -> Result<(), Refusal> {
        let watched = &self.memory.decisions;
        let hour = i64::from(hour_of(self.engine.now()));
        let same = watched.hour.load(Ordering::Acquire) == hour;
        if watched.known.swap(true, Ordering::AcqRel) && same {
            return Ok(());
        }
        let looked = self.count_reviews();
        match looked {
            Ok(DecisionsOpen { open, overdue }) => {
                watched.open.store(open, Ordering::Relaxed);
                watched.overdue.store(overdue, Ordering::Relaxed);
                watched.hour.store(hour, Ordering::Release);
            }
            Err(_) => watched.changed(),
        }
        looked.map(drop)
    }

    fn count_reviews(&self) -> Result<DecisionsOpen, Refusal> {
        let snapshot = self.snapshot()?;
        let now = hour_of(snapshot.now());
        let (mut after, mut figures) = (Vec::new(), DecisionsOpen::default());
        loop {
            let rows = stored::page(snapshot.tx(), &after, REQUEST_QUEUE_ROWS)?;
            for (key, _) in &rows {
                let (_, due) = stored::parts(key)?;
                figures.open += u64::from(due > 0);
                figures.overdue += u64::from(due > 0 && due <= now);
            }
            match rows.into_iter().last() {
                Some((last, _)) => after = last,
                None => return Ok(figures),
            }
        }
    }
}
