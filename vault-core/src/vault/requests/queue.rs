//! The queue of requests across people: what is open, until when, and who is to be reminded.
//!
//! A row is found without anybody's key and opened under its person's, so that looking at the queue costs a
//! keyset for each request in it, and an erasure leaves nothing of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use jiff::Timestamp;
use jiff::civil::Date;
use parking_lot::Mutex;

use super::Vault;
use crate::clock::hour_of;
use crate::commit::{Snapshot, View};
use crate::crypto::sha256;
use crate::deadline::{self, Due, REMIND_DAYS};
use crate::id::{RequestId, SubjectId};
use crate::keys::keyset::Keyset;
use crate::limits::{PAGE_RECORDS_MAX, REQUEST_QUEUE_ROWS};
use crate::person::{Person, instant};
use crate::policy::{Capability, Policy};
use crate::refusal::Refusal;
use crate::request::stored::{self, RequestRow};
use crate::request::{RequestKind, RequestState};
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

/// The queue in numbers, without naming anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFigures {
    /// Open requests of each right that has any.
    pub open: BTreeMap<RequestKind, u64>,
    /// Open requests whose strict end is over.
    pub overdue: u64,
    /// Days until the next strict end of an open request; negative when it is over.
    pub next_due_days: Option<i32>,
    /// Open requests that are due within ten days, and not over.
    pub soon: u64,
}

/// What is due: for who looks after a vault.
pub type RequestsDue = RequestFigures;

/// A request that is to be answered soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestAlarm {
    /// Which.
    pub request: RequestId,
    /// Which right.
    pub kind: RequestKind,
    /// How far it has come.
    pub state: RequestState,
    /// The strict last day.
    pub due_on: Date,
    /// Days until then.
    pub days_left: i32,
    /// By the vault's clock.
    pub time: Timestamp,
}

/// The queue as it was looked at last.
#[derive(Default)]
pub(in crate::vault) struct Watched {
    figures: Mutex<RequestFigures>,
    /// Whether nothing has changed since, and in which hour that was.
    known: AtomicBool,
    hour: AtomicI64,
}

impl Watched {
    /// Something in the queue is another.
    pub(in crate::vault) fn changed(&self) {
        self.known.store(false, Ordering::Release);
    }

    pub(in crate::vault) fn figures(&self) -> RequestFigures {
        self.figures.lock().clone()
    }
}

/// Somebody's request, as its row tells it.
struct Found {
    request: RequestId,
    person: Person,
    row: RequestRow,
}

/// Goes through the queue; `closed` tells whether to open closed ones, too. A row that does not open is passed by:
/// the others do not wait for it, and whoever looks at its request is told.
fn each(
    snapshot: &Snapshot,
    closed: bool,
    mut take: impl FnMut(Found) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut after = Vec::new();
    loop {
        let rows = stored::page(snapshot.tx(), &after, REQUEST_QUEUE_ROWS)?;
        for (key, sealed) in &rows {
            let (request, hour) = stored::parts(key)?;
            if hour == 0 && !closed {
                continue;
            }
            match found(snapshot, request, key, sealed) {
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
    request: RequestId,
    key: &[u8],
    sealed: &[u8],
) -> Result<Option<Found>, Refusal> {
    let hit = match stored::whose(snapshot, request) {
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
        request,
        person,
        row,
    }))
}

fn queued(policy: &Policy, found: &Found, now: Timestamp) -> QueuedRequest {
    let row = &found.row;
    let due = row.due();
    QueuedRequest {
        request: found.request,
        subject: found.person.subject,
        kind: row.kind,
        state: row.state,
        received_at: instant(row.received),
        due,
        effective_on: row.effective_on.map(stored::day),
        overdue: !row.state.is_closed() && due.is_over(now),
        days_left: deadline::days_left(policy.requests(), due, now),
    }
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

    /// What stands for it in a cursor.
    fn text(&self) -> String {
        let kind = self.kind.map(RequestKind::name);
        let state = self.state.map(RequestState::name);
        format!("{kind:?} {state:?} {:?} {}", self.due_before, self.overdue)
    }
}

/// Where a request stands in the order of the queue.
fn place(one: &QueuedRequest) -> [u8; 24] {
    let mut place = [0; 24];
    // From the earliest instant on, so that the order of bytes is that of numbers.
    let end = one.due.end.as_millisecond().wrapping_sub(i64::MIN);
    place[..8].copy_from_slice(&end.to_be_bytes());
    place[8..].copy_from_slice(one.request.as_bytes());
    place
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
                let from: [u8; 24] = match cursor {
                    Some(text) => cursor::open(&self.memory, snapshot, &query, text)?,
                    None => [0; 24],
                };
                let mut all = Vec::new();
                each(snapshot, filter.wants_closed(), |found| {
                    let one = queued(policy, &found, snapshot.now());
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
                Ok(QueuePage {
                    requests: all,
                    next,
                })
            },
            |page| page,
        )
    }

    /// The queue in numbers, as it is now.
    ///
    /// # Errors
    ///
    /// Those of every read.
    pub fn requests_due(&self) -> Result<RequestsDue, Refusal> {
        Ok(self.survey_requests()?.0)
    }

    fn survey_requests(
        &self,
    ) -> Result<(RequestFigures, Vec<(SubjectId, RequestAlarm, u8)>), Refusal> {
        let snapshot = self.snapshot()?;
        let policy = self.policy_of(&snapshot)?;
        let now = snapshot.now();
        let (mut figures, mut alarms) = (RequestFigures::default(), Vec::new());
        each(&snapshot, false, |found| {
            let one = queued(&policy, &found, now);
            if one.state.is_closed() {
                return Ok(());
            }
            *figures.open.entry(one.kind).or_default() += 1;
            figures.overdue += u64::from(one.overdue);
            figures.soon += u64::from(!one.overdue && one.days_left <= REMIND_DAYS[0]);
            let next = figures
                .next_due_days
                .map_or(one.days_left, |next| next.min(one.days_left));
            figures.next_due_days = Some(next);
            let come = deadline::reminders(policy.requests(), one.due, now);
            if come > found.row.reminded {
                let alarm = RequestAlarm {
                    request: one.request,
                    kind: one.kind,
                    state: one.state,
                    due_on: one.due.on,
                    days_left: one.days_left,
                    time: now,
                };
                alarms.push((one.subject, alarm, come));
            }
            Ok(())
        })?;
        Ok((figures, alarms))
    }

    /// Reminds of what is due in ten, five and one day, each once, and counts the queue; once an hour, and after
    /// each change of it.
    ///
    /// # Errors
    ///
    /// Those of every read and write; the next round goes on.
    pub(in crate::vault) fn watch_requests(&self) -> Result<(), Refusal> {
        let watched = &self.memory.requests;
        let hour = i64::from(hour_of(self.engine.now()));
        let same = watched.hour.load(Ordering::Acquire) == hour;
        if watched.known.swap(true, Ordering::AcqRel) && same {
            return Ok(());
        }
        let looked = self.survey_requests().and_then(|(figures, alarms)| {
            *watched.figures.lock() = figures;
            alarms.into_iter().try_for_each(|alarm| self.remind(alarm))
        });
        match looked {
            Ok(()) => watched.hour.store(hour, Ordering::Release),
            Err(_) => watched.changed(),
        }
        looked
    }

    /// Told first and noted then: a crash between tells twice, and not never.
    fn remind(&self, (subject, alarm, come): (SubjectId, RequestAlarm, u8)) -> Result<(), Refusal> {
        let request = alarm.request;
        self.memory.honey.tell_request(&alarm);
        let noted = self.engine.submit(move |txn| {
            let mut person = Person::find(txn, subject)?;
            if let Some((_, row)) = stored::row(txn, &person, request)? {
                let row = RequestRow {
                    reminded: row.reminded.max(come),
                    ..row
                };
                stored::put_row(txn, &mut person, request, row)?;
            }
            Ok(())
        });
        match noted {
            // Whoever was erased since needs no reminder.
            Err(Refusal::Erased { .. } | Refusal::NotFound(_)) => Ok(()),
            noted => noted,
        }
    }
}
