//! The queue of requests across people: what is open, and until when.
//!
//! A row is found without anybody's key and opened under its person's, so that an erasure leaves nothing of it, and
//! looking at a request costs a keyset. The hour of its end stands in its key: a page opens those alone that may be
//! in it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::Vault;
use crate::commit::{Snapshot, View};
use crate::crypto::sha256;
use crate::deadline::{self, Due};
use crate::id::{RequestId, SubjectId};
use crate::keys::keyset::Keyset;
use crate::limits::{PAGE_RECORDS_MAX, REQUEST_QUEUE_ROWS};
use crate::person::{Person, instant};
use crate::policy::{Capability, Policy};
use crate::refusal::Refusal;
use crate::request::stored::{self, RequestRow};
use crate::request::{RequestKind, RequestState};
use crate::vault::call::Context;
use crate::vault::{Call, cursor};

/// Which requests are asked for; open ones, where nothing says otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueueFilter {
    /// Of this right.
    pub kind: Option<RequestKind>,
    /// Of this state, also a closed one.
    pub state: Option<RequestState>,
    /// Whose strict last day is before this one.
    pub due_before: Option<Date>,
    /// Whose strict end is over.
    pub overdue: bool,
}

/// A request in the queue, without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuedRequest {
    /// Which.
    pub request: RequestId,
    /// Whose.
    pub subject: SubjectId,
    /// Which right.
    pub kind: RequestKind,
    /// How far it has come.
    pub state: RequestState,
    /// When it came in.
    pub received_at: Timestamp,
    /// Until when the answer is due if nothing pauses it.
    pub due: Due,
    /// The last day where the vault waited for the person; `None` while it waits.
    pub effective_on: Option<Date>,
    /// Whether it is open and the strict end is over.
    pub overdue: bool,
    /// Days until the strict last day; negative when it is over.
    pub days_left: i32,
}

/// A page of the queue, those that are due first before the others.
#[derive(Clone, Debug)]
pub struct QueuePage {
    /// What is in it.
    pub requests: Vec<QueuedRequest>,
    /// Where to go on.
    pub next: Option<String>,
}

/// Somebody's request, as its row tells it.
pub(super) struct Found {
    request: RequestId,
    person: Person,
    pub(super) row: RequestRow,
}

/// A row of the queue that nobody has opened.
pub(super) struct Waiting {
    pub(super) request: RequestId,
    /// The hour of its end, or 0 of a closed one.
    pub(super) hour: u32,
    key: Vec<u8>,
    sealed: Vec<u8>,
}

/// The next rows of the queue, in the order of their keys; none at its end. `after` goes behind the last request of
/// them, wherever its row is moved meanwhile: over another snapshot none that stayed is met twice or missed.
pub(super) fn slice(snapshot: &Snapshot, after: &mut Vec<u8>) -> Result<Vec<Waiting>, Refusal> {
    let mut waiting = Vec::new();
    // Rows whose keys are none of ours are passed by, and end nothing.
    while waiting.is_empty() {
        let rows = stored::page(snapshot.tx(), after, REQUEST_QUEUE_ROWS)?;
        let Some((last, _)) = rows.last() else {
            break;
        };
        after.clone_from(last);
        if stored::parts(last).is_ok() {
            after.truncate(32);
            after.extend([0xff; 4]);
        }
        waiting.extend(rows.into_iter().filter_map(|(key, sealed)| {
            let (request, hour) = stored::parts(&key).ok()?;
            Some(Waiting {
                request,
                hour,
                key,
                sealed,
            })
        }));
    }
    Ok(waiting)
}

impl Waiting {
    /// The request under its person's keys; `None` for a row that is left of somebody who is gone.
    pub(super) fn open(&self, snapshot: &Snapshot) -> Result<Option<Found>, Refusal> {
        let hit = match stored::whose(snapshot, self.request) {
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
        let row = stored::open(snapshot, &person, &self.key, &self.sealed)?;
        Ok(Some(Found {
            request: self.request,
            person,
            row,
        }))
    }
}

pub(super) fn queued(
    policy: &Policy,
    found: &Found,
    now: Timestamp,
) -> Result<QueuedRequest, Refusal> {
    let row = &found.row;
    let due = row.due()?;
    Ok(QueuedRequest {
        request: found.request,
        subject: found.person.subject,
        kind: row.kind,
        state: row.state,
        received_at: instant(row.received),
        due,
        effective_on: row.effective()?,
        overdue: !row.state.is_closed() && due.is_over(now),
        days_left: deadline::days_left(policy.requests(), due, now),
    })
}

impl QueueFilter {
    fn takes(&self, one: &QueuedRequest) -> bool {
        let state = match self.state {
            Some(state) => one.state == state,
            None => !one.state.is_closed(),
        };
        state
            && self.kind.is_none_or(|kind| one.kind == kind)
            && self.due_before.is_none_or(|day| one.due.on < day)
            && (!self.overdue || one.overdue)
    }

    fn wants_closed(&self) -> bool {
        self.state.is_some_and(RequestState::is_closed)
    }

    /// Those that it takes and the caller reaches, the `most` first behind a place. One that does not open is passed
    /// by: the others do not wait for it, and whoever looks at its request is told.
    fn first(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        context: &Context,
        behind: Place,
        most: usize,
    ) -> Result<First, Refusal> {
        let mut first = First {
            behind,
            most,
            kept: BTreeMap::new(),
        };
        let mut after = Vec::new();
        loop {
            let rows = slice(snapshot, &mut after)?;
            if rows.is_empty() {
                return Ok(first);
            }
            for row in rows {
                if (row.hour == 0) != self.wants_closed() || !first.may_have(row.hour) {
                    continue;
                }
                let one = row.open(snapshot).and_then(|found| {
                    let Some(found) = found else { return Ok(None) };
                    let one = queued(policy, &found, snapshot.now())?;
                    let takes = first.has_room(&place(&one)) && self.takes(&one);
                    let takes = takes && context.reaches(snapshot, &found.person)?;
                    Ok(takes.then_some(one))
                });
                match one {
                    Ok(Some(one)) => first.put(place(&one), one),
                    Ok(None) => {}
                    Err(refusal) if refusal.is_damage_of_a_row() => {}
                    Err(refusal) => return Err(refusal),
                }
            }
        }
    }

    /// What stands for it in a cursor.
    fn text(&self) -> String {
        let kind = self.kind.map(RequestKind::name);
        let state = self.state.map(RequestState::name);
        format!("{kind:?} {state:?} {:?} {}", self.due_before, self.overdue)
    }
}

/// Where a request stands in the order of the queue: by its strict end, and by its id.
type Place = [u8; 24];

fn place(one: &QueuedRequest) -> Place {
    let mut place = [0; 24];
    // From the earliest instant on, so that the order of bytes is that of numbers.
    let end = one.due.end.as_millisecond().wrapping_sub(i64::MIN);
    place[..8].copy_from_slice(&end.to_be_bytes());
    place[8..].copy_from_slice(one.request.as_bytes());
    place
}

/// The hour in which a place lies, as rows of open requests have it in their keys.
fn hour(place: &Place) -> u32 {
    let end = place.first_chunk().copied().map_or(0, i64::from_be_bytes);
    stored::hour_of_end(end.wrapping_add(i64::MIN))
}

/// The first of those behind a place, in the order of the queue and not in that in which they come.
struct First {
    behind: Place,
    most: usize,
    kept: BTreeMap<Place, QueuedRequest>,
}

impl First {
    /// The last of them, once there are as many as are asked for: only what stands before it can still be one.
    fn last(&self) -> Option<&Place> {
        let full = self.kept.len() >= self.most;
        self.kept.keys().next_back().filter(|_| full)
    }

    /// Whether a row under this hour may be one; one of a closed request stands under none.
    fn may_have(&self, row: u32) -> bool {
        row == 0 || (row >= hour(&self.behind) && self.last().is_none_or(|last| row <= hour(last)))
    }

    fn has_room(&self, place: &Place) -> bool {
        *place > self.behind && self.last().is_none_or(|last| place < last)
    }

    fn put(&mut self, place: Place, one: QueuedRequest) {
        self.kept.insert(place, one);
        if self.kept.len() > self.most {
            self.kept.pop_last();
        }
    }
}

impl Vault {
    /// The queue, those that are due first before the others; no values.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`]; [`Refusal::Invalid`] for a cursor that is over or belongs to another list.
    pub fn queue_requests(
        &self,
        call: &Call<'_>,
        filter: QueueFilter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<QueuePage, Refusal> {
        self.read(
            call,
            "requests.list",
            None,
            |snapshot, policy, context, _| {
                context
                    .principal
                    .require(policy, Capability::RequestsDecide)?;
                let token = context.principal.token();
                let token = token.as_ref().map_or(&[][..], |token| token.as_bytes());
                let text = filter.text();
                let query = sha256(&[b"requests", token, text.as_bytes()]);
                let from: Place = match cursor {
                    Some(text) => cursor::open(&self.memory, snapshot, &query, text)?,
                    None => [0; 24],
                };
                let limit = limit.clamp(1, PAGE_RECORDS_MAX);
                // One more than the page has tells whether there is another.
                let first = filter.first(snapshot, policy, context, from, limit + 1)?;
                let more = first.kept.len() > limit;
                let requests: Vec<_> = first.kept.into_values().take(limit).collect();
                let last = requests.last().filter(|_| more);
                let next =
                    last.map(|one| cursor::sealed(&self.memory, snapshot, &query, &place(one)));
                Ok(QueuePage { requests, next })
            },
            |page| page,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(end: i64, request: u8) -> QueuedRequest {
        let end = instant(end);
        QueuedRequest {
            request: RequestId::from_bytes([request; 16]),
            subject: SubjectId::from_bytes([0; 16]),
            kind: RequestKind::Access,
            state: RequestState::Received,
            received_at: end,
            due: Due {
                on: jiff::civil::date(2026, 1, 1),
                end,
            },
            effective_on: None,
            overdue: false,
            days_left: 0,
        }
    }

    #[test]
    fn the_first_are_kept_in_whichever_order_they_come_and_what_cannot_be_one_is_not_opened() {
        const HOUR: i64 = 3_600_000;
        // Two of one instant, and two of one hour.
        let all = [
            one(9 * HOUR, 1),
            one(7 * HOUR, 2),
            one(7 * HOUR, 3),
            one(7 * HOUR + 1, 0),
            one(8 * HOUR, 9),
            one(20 * HOUR, 4),
        ];
        let sorted = [2, 3, 0, 9, 1, 4];
        for turn in 0..all.len() {
            for most in 1..=all.len() {
                let mut seen = Vec::new();
                let mut behind = [0; 24];
                // Page by page, each from another end of the queue.
                loop {
                    let kept = BTreeMap::new();
                    let mut first = First { behind, most, kept };
                    let mut coming = all;
                    coming.rotate_left(turn);
                    for one in coming {
                        let at = place(&one);
                        let row = stored::hour_of_end(one.due.end.as_millisecond());
                        if first.has_room(&at) {
                            assert!(first.may_have(row), "what has room is opened");
                            first.put(at, one);
                        }
                    }
                    let Some((last, _)) = first.kept.last_key_value() else {
                        break;
                    };
                    behind = *last;
                    assert!(first.kept.len() <= most);
                    seen.extend(first.kept.values().map(|one| one.request.as_bytes()[0]));
                }
                assert_eq!(seen, sorted, "{turn} {most}");
            }
        }
        let behind = place(&all[1]);
        let mut first = First {
            behind,
            most: 1,
            kept: BTreeMap::new(),
        };
        assert!(first.may_have(20) && first.may_have(7) && !first.may_have(6));
        first.put(place(&all[4]), all[4]);
        assert!(first.may_have(8) && !first.may_have(9));
        assert!(first.may_have(0), "a closed one has no hour");
    }
}
