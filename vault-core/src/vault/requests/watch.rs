//! The queue in numbers, and reminders of what is due: what nobody has to ask for.
//!
//! It goes through everybody's requests, over one snapshot a slice of them, and no request waits for another: one that
//! cannot be read, or whose reminder cannot be noted, is told of once, and the others are reminded of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use jiff::Timestamp;
use jiff::civil::Date;
use parking_lot::Mutex;

use super::Vault;
use super::queue::{self, queued};
use crate::clock::hour_of;
use crate::commit::View as _;
use crate::deadline::{self, SOON_DAYS};
use crate::id::{RequestId, SubjectId};
use crate::person::Person;
use crate::refusal::Refusal;
use crate::request::stored::{self, RequestRow};
use crate::request::{RequestKind, RequestState};

/// The queue in numbers, without naming anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFigures {
    /// Open requests of each right that has any.
    pub open: BTreeMap<RequestKind, u64>,
    /// Open requests whose strict end is over.
    pub overdue: u64,
    /// Days until the next strict end of an open request; negative when it is over.
    pub next_due_days: Option<i32>,
    /// Open requests that are due within [`SOON_DAYS`] days, and not over.
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

/// A reminder that has come.
pub(in crate::vault) struct Reminder {
    subject: SubjectId,
    alarm: RequestAlarm,
    /// How many have come with it.
    come: u8,
}

/// What a look at everybody's requests came to.
#[derive(Default)]
struct Survey {
    figures: RequestFigures,
    reminders: Vec<Reminder>,
    /// Requests whose rows do not open, so that nobody is reminded of them.
    unreadable: Vec<(RequestId, Refusal)>,
}

/// The queue as it was looked at last.
#[derive(Default)]
pub(in crate::vault) struct Watched {
    figures: Mutex<RequestFigures>,
    /// Whether nothing has changed since, and in which hour that was.
    known: AtomicBool,
    hour: AtomicI64,
    /// How many reminders of a request were given that its row does not have yet.
    given: Mutex<BTreeMap<RequestId, u8>>,
    /// Requests of which it was told that they cannot be watched.
    troubled: Mutex<BTreeSet<RequestId>>,
}

impl Watched {
    /// Something in the queue is another.
    pub(in crate::vault) fn changed(&self) {
        self.known.store(false, Ordering::Release);
    }

    pub(in crate::vault) fn figures(&self) -> RequestFigures {
        self.figures.lock().clone()
    }

    /// Whether this reminder is still to be given; from here on it is not.
    fn gives(&self, request: RequestId, come: u8) -> bool {
        let mut given = self.given.lock();
        let before = given.insert(request, come);
        before.is_none_or(|before| before < come)
    }
}

impl Vault {
    /// The queue in numbers, as it is now.
    ///
    /// # Errors
    ///
    /// Those of every read.
    pub fn requests_due(&self) -> Result<RequestsDue, Refusal> {
        Ok(self.survey_requests()?.figures)
    }

    fn survey_requests(&self) -> Result<Survey, Refusal> {
        let mut survey = Survey::default();
        let mut after = Vec::new();
        loop {
            // A snapshot for each slice: a long one would keep freed pages from being used again.
            let snapshot = self.snapshot()?;
            let policy = self.policy_of(&snapshot)?;
            let now = snapshot.now();
            let rows = queue::slice(&snapshot, &mut after)?;
            if rows.is_empty() {
                return Ok(survey);
            }
            for row in rows.iter().filter(|row| row.hour != 0) {
                let seen = row.open(&snapshot).and_then(|found| {
                    let Some(found) = found else { return Ok(None) };
                    let one = queued(&policy, &found, now)?;
                    Ok(Some((one, found.row.reminded)))
                });
                let (one, reminded) = match seen {
                    Ok(Some(seen)) => seen,
                    Ok(None) => continue,
                    Err(refusal) if refusal.is_damage_of_a_row() => {
                        survey.unreadable.push((row.request, refusal));
                        continue;
                    }
                    Err(refusal) => return Err(refusal),
                };
                if one.state.is_closed() {
                    continue;
                }
                survey.figures.count(&one);
                let come = deadline::reminders(policy.requests(), one.due, now);
                if come > reminded {
                    let alarm = RequestAlarm {
                        request: one.request,
                        kind: one.kind,
                        state: one.state,
                        due_on: one.due.on,
                        days_left: one.days_left,
                        time: now,
                    };
                    survey.reminders.push(Reminder {
                        subject: one.subject,
                        alarm,
                        come,
                    });
                }
            }
        }
    }

    /// Reminds of what is due in ten, five and one day, each once, and counts the queue; once an hour, and after
    /// each change of it.
    ///
    /// # Errors
    ///
    /// Those of every read and write, when everybody else has been reminded of; the next round goes on.
    pub(in crate::vault) fn watch_requests(&self) -> Result<(), Refusal> {
        self.watch_requests_noting(&|vault, reminder| vault.note_reminder(reminder))
    }

    /// The same with another way of noting what was given.
    pub(in crate::vault) fn watch_requests_noting(
        &self,
        note: &dyn Fn(&Self, &Reminder) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let watched = &self.memory.requests;
        let hour = i64::from(hour_of(self.engine.now()));
        let same = watched.hour.load(Ordering::Acquire) == hour;
        if watched.known.swap(true, Ordering::AcqRel) && same {
            return Ok(());
        }
        let survey = self.survey_requests().inspect_err(|_| watched.changed())?;
        *watched.figures.lock() = survey.figures;
        let due = survey.reminders.iter().map(|one| one.alarm.request);
        let due: BTreeSet<RequestId> = due.collect();
        watched
            .given
            .lock()
            .retain(|request, _| due.contains(request));
        let (mut troubled, mut failed) = (BTreeSet::new(), None);
        let mut trouble = |request: RequestId, refusal: &Refusal| {
            troubled.insert(request);
            if !watched.troubled.lock().contains(&request) {
                let honey = &self.memory.honey;
                honey.tell(|alarms| alarms.unwatched_request(request, refusal));
            }
        };
        for (request, refusal) in &survey.unreadable {
            trouble(*request, refusal);
        }
        for reminder in &survey.reminders {
            let request = reminder.alarm.request;
            // Told first and noted then: a crash between tells twice, and not never. What could not be noted is not
            // told again meanwhile.
            if watched.gives(request, reminder.come) {
                let honey = &self.memory.honey;
                honey.tell(|alarms| alarms.request(&reminder.alarm));
            }
            match note(self, reminder) {
                Ok(()) => {
                    watched.given.lock().remove(&request);
                }
                Err(refusal) => {
                    trouble(request, &refusal);
                    // One person's row is theirs alone; anything else is everybody's, and tried in the next round.
                    if !refusal.is_damage_of_a_row() {
                        failed.get_or_insert(refusal);
                    }
                }
            }
        }
        *watched.troubled.lock() = troubled;
        match failed {
            None => {
                watched.hour.store(hour, Ordering::Release);
                Ok(())
            }
            Some(refusal) => {
                watched.changed();
                Err(refusal)
            }
        }
    }

    pub(in crate::vault) fn note_reminder(&self, reminder: &Reminder) -> Result<(), Refusal> {
        let (subject, request, come) = (reminder.subject, reminder.alarm.request, reminder.come);
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

impl RequestFigures {
    fn count(&mut self, one: &queue::QueuedRequest) {
        *self.open.entry(one.kind).or_default() += 1;
        self.overdue += u64::from(one.overdue);
        self.soon += u64::from(!one.overdue && one.days_left <= SOON_DAYS);
        let next = self.next_due_days;
        let next = next.map_or(one.days_left, |next| next.min(one.days_left));
        self.next_due_days = Some(next);
    }
}

#[cfg(test)]
impl Reminder {
    /// Of which request.
    pub(in crate::vault) fn request(&self) -> RequestId {
        self.alarm.request
    }
}
