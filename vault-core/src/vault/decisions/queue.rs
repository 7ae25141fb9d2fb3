//! Decisions across people: the queue of reviews, and figures that show whether these are more than a stamp.
//!
//! A row is found without anybody's key and opened under its person's, as the queue of requests is. How many reviews
//! are open is told by keys of rows alone.

use std::collections::BTreeMap;
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

/// The decisions of a kind in numbers, without naming anybody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecisionKindFigures {
    /// All that are recorded.
    pub recorded: u64,
    /// Those that were ever contested, unless that was taken back or refused.
    pub contested: u64,
    /// Reviews that are open.
    pub open: u64,
    /// Those that are overdue.
    pub overdue: u64,
    /// Reviews that came to the same.
    pub upheld: u64,
    /// Reviews that came to something else.
    pub changed: u64,
    /// Reviews that found that it ought not to have been taken.
    pub annulled: u64,
    /// What part of the reviews came to something else or annulled it; `None` without one.
    pub overturned: Option<f64>,
    /// Seconds between being shown a decision and deciding its review, the median.
    pub review_seconds: Option<u64>,
    /// Seconds between the contest and the review's end, the median.
    pub answer_seconds: Option<u64>,
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
struct Found {
    decision: DecisionId,
    person: Person,
    row: DecisionRow,
}

/// Goes through the rows; `all` tells whether to open those without an open review, too. A row that does not open is
/// passed by: the others do not wait for it.
fn each(
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

fn queued(found: &Found, now: Timestamp) -> QueuedDecision {
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

/// The one in the middle, or the lower of two.
fn median(mut all: Vec<u64>) -> Option<u64> {
    all.sort_unstable();
    let middle = all.len().checked_sub(1)? / 2;
    all.get(middle).copied()
}

/// What is gathered of a kind.
#[derive(Default)]
struct Gathered {
    figures: DecisionKindFigures,
    reviews: Vec<u64>,
    answers: Vec<u64>,
}

impl Gathered {
    fn add(&mut self, row: &DecisionRow, overdue: bool) {
        let figures = &mut self.figures;
        figures.recorded += 1;
        figures.contested += u64::from(row.contested.is_some());
        figures.open += u64::from(row.state.is_open());
        figures.overdue += u64::from(overdue);
        match row.state {
            DecisionState::Upheld => figures.upheld += 1,
            DecisionState::Changed => figures.changed += 1,
            DecisionState::Annulled => figures.annulled += 1,
            _ => {}
        }
        let seconds = |from: Option<i64>| {
            let milliseconds = row.reviewed?.checked_sub(from?)?;
            u64::try_from(milliseconds / 1000).ok()
        };
        self.reviews.extend(seconds(row.begun));
        self.answers.extend(seconds(row.contested));
    }

    fn done(self) -> DecisionKindFigures {
        let figures = self.figures;
        let other = figures.changed + figures.annulled;
        let all = figures.upheld + other;
        DecisionKindFigures {
            overturned: (all > 0).then(|| part(other, all)),
            review_seconds: median(self.reviews),
            answer_seconds: median(self.answers),
            ..figures
        }
    }
}

/// To three places: more would say more than there are reviews.
fn part(some: u64, all: u64) -> f64 {
    let thousandths = (some * 1000 + all / 2) / all;
    f64::from(u32::try_from(thousandths).unwrap_or(1000)) / 1000.0
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

    /// Every kind in numbers. Opens the row of each decision.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`].
    pub fn decision_figures(
        &self,
        call: &Call<'_>,
    ) -> Result<BTreeMap<String, DecisionKindFigures>, Refusal> {
        self.read(
            call,
            "decisions.figures",
            None,
            |snapshot, policy, context, _| {
                let any = [Capability::DecisionsReview, Capability::AuditRead];
                context.principal.require_any(policy, &any)?;
                let mut kinds: BTreeMap<String, Gathered> = BTreeMap::new();
                each(snapshot, true, |found| {
                    if context.reaches(snapshot, &found.person)? {
                        let overdue = queued(&found, snapshot.now()).overdue;
                        let kind = kinds.entry(found.row.kind.clone()).or_default();
                        kind.add(&found.row, overdue);
                    }
                    Ok(())
                })?;
                let kinds = kinds.into_iter();
                Ok(kinds.map(|(kind, one)| (kind, one.done())).collect())
            },
            |figures| figures,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: DecisionState, begun: i64, reviewed: i64) -> DecisionRow {
        DecisionRow {
            kind: "refund".into(),
            state,
            recorded: 0,
            contested: Some(0),
            begun: Some(begun),
            reviewed: Some(reviewed),
            due: None,
        }
    }

    #[test]
    fn article_22_figures_tell_a_review_from_a_stamp() {
        let mut gathered = Gathered::default();
        gathered.add(&row(DecisionState::Upheld, 1_000, 3_000), false);
        gathered.add(&row(DecisionState::Upheld, 1_000, 4_000), false);
        gathered.add(&row(DecisionState::Changed, 2_000, 602_000), false);
        let open = DecisionRow {
            reviewed: None,
            ..row(DecisionState::Contested, 0, 0)
        };
        gathered.add(&open, true);
        let figures = gathered.done();
        assert_eq!((figures.recorded, figures.contested), (4, 4));
        assert_eq!((figures.open, figures.overdue), (1, 1));
        assert_eq!(
            (figures.upheld, figures.changed, figures.annulled),
            (2, 1, 0)
        );
        assert_eq!(figures.overturned, Some(0.333));
        // Two of three were decided within three seconds of being shown.
        assert_eq!(figures.review_seconds, Some(3));
        assert_eq!(figures.answer_seconds, Some(4));
        assert_eq!(Gathered::default().done(), DecisionKindFigures::default());
    }

    #[test]
    fn a_median_is_one_of_what_there_is() {
        assert_eq!(median(Vec::new()), None);
        assert_eq!(median(vec![7]), Some(7));
        assert_eq!(median(vec![9, 1]), Some(1));
        assert_eq!(median(vec![9, 1, 5]), Some(5));
    }
}
