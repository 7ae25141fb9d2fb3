//! Reminders of what is due: each once, and each request for itself.

use std::sync::Arc;

use parking_lot::Mutex;

use super::requests::{Case, DAY, input};
use super::*;
use crate::commit::View as _;
use crate::id::RequestId;
use crate::person::ORPHANS;
use crate::request::{DelayReason, RequestKind};
use crate::store::{Direction, KeyRange, Table, WriteTx as _};
use crate::vault::{
    Alarms, HoneyAlarm, RequestAlarm, RequestInput, RequestStep, RequestView, Sweep,
};

/// Whoever is told, and what: of which request how many days are left, and which cannot be watched.
#[derive(Default)]
struct Ears {
    due: Mutex<Vec<(RequestId, i32)>>,
    unwatched: Mutex<Vec<(RequestId, &'static str)>>,
}

impl Alarms for Ears {
    fn honey(&self, _: &HoneyAlarm) {}

    fn emergency(&self, _: &crate::vault::EmergencyAlarm) {}

    fn request(&self, alarm: &RequestAlarm) {
        self.due.lock().push((alarm.request, alarm.days_left));
    }

    fn pickup(&self, _: &crate::vault::PickupAlarm) {}

    fn unwatched_request(&self, request: RequestId, refusal: &Refusal) {
        self.unwatched.lock().push((request, refusal.code()));
    }
}

impl Ears {
    fn on(vault: &Vault) -> Arc<Self> {
        let ears = Arc::new(Self::default());
        vault.on_alarm(ears.clone());
        ears
    }

    /// Which requests somebody was reminded of, in one order.
    fn reminded(&self) -> Vec<RequestId> {
        let mut all: Vec<_> = self
            .due
            .lock()
            .iter()
            .map(|(request, _)| *request)
            .collect();
        all.sort();
        all
    }
}

fn left(case: &Case, view: &RequestView) -> i32 {
    let now = case.vault().engine.now().to_zoned(jiff::tz::TimeZone::UTC);
    (view.due.on - now.date()).get_days()
}

/// One of each person, that came in so long ago that its end is near.
fn due_soon(case: &Case) -> Vec<RequestId> {
    let at = case.vault().engine.now() - jiff::SignedDuration::from_hours(24 * 27);
    let take = |subject: &SubjectId| {
        let input = RequestInput {
            received_at: Some(at),
            ..input(RequestKind::Access)
        };
        let dpo = call(&case.dpo, None);
        let taken = case.vault().create_request(&dpo, *subject, input);
        taken.unwrap().request
    };
    let mut all: Vec<_> = case.scene.people.iter().map(take).collect();
    all.sort();
    all
}

#[test]
fn a_reminder_comes_ten_five_and_one_day_before_the_end_each_once() {
    let case = Case::new(2);
    let ears = Ears::on(case.vault());
    let open = case.asks(case.scene.people[0], RequestKind::Access);
    let closed = case.asks(case.scene.people[1], RequestKind::Access);
    case.step(closed.request, RequestStep::Cancel { reason: None });
    for _ in 0..45 {
        // Twice a day, and twice in the same hour.
        for _ in 0..2 {
            for _ in 0..2 {
                case.vault().watch_requests().unwrap();
            }
            case.scene.bench.clock.advance(DAY / 2);
        }
    }
    assert_eq!(
        *ears.due.lock(),
        [(open.request, 10), (open.request, 5), (open.request, 1)]
    );
    assert!(left(&case, &open) < 0, "the end was passed");
}

#[test]
fn who_was_away_until_four_days_before_the_end_is_reminded_once() {
    let case = Case::new(1);
    let ears = Ears::on(case.vault());
    let open = case.asks(case.scene.people[0], RequestKind::Access);
    let days = i64::from(left(&case, &open));
    case.scene.bench.clock.advance((days - 4) * DAY);
    for _ in 0..3 {
        case.vault().watch_requests().unwrap();
        case.scene.bench.clock.advance(HOUR);
    }
    assert_eq!(*ears.due.lock(), [(open.request, 4)]);
}

/// What would be lost: every reminder of the second end, where those of the first had been given.
#[test]
fn of_an_end_that_was_extended_reminders_come_again() {
    let case = Case::new(1);
    let ears = Ears::on(case.vault());
    let open = case.asks(case.scene.people[0], RequestKind::Access);
    let days = i64::from(left(&case, &open));
    case.scene.bench.clock.advance(days * DAY);
    case.vault().watch_requests().unwrap();
    let extend = RequestStep::Extend {
        reason: DelayReason::Number,
        period: None,
    };
    let extended = case.step(open.request, extend);
    case.vault().watch_requests().unwrap();
    assert_eq!(*ears.due.lock(), [(open.request, 0)]);
    let days = i64::from(left(&case, &extended));
    case.scene.bench.clock.advance((days - 10) * DAY);
    case.vault().watch_requests().unwrap();
    assert_eq!(*ears.due.lock(), [(open.request, 0), (open.request, 10)]);
}

/// What would be lost: the reminders of everybody behind somebody whose row could not be written, and the night of
/// whoever got the same alarm each minute.
#[test]
fn a_reminder_that_cannot_be_noted_is_given_once_and_keeps_nobody_from_theirs() {
    let mut case = Case::new(3);
    let ears = Ears::on(case.vault());
    let all = due_soon(&case);
    let first = all[1];
    for (why, fails) in [
        ("damage", Refusal::Internal("a row is damaged")),
        ("the disk", Refusal::DiskFull),
    ] {
        let everybodys = matches!(fails, Refusal::DiskFull);
        for _ in 0..3 {
            let watched = case
                .vault()
                .watch_requests_noting(&|vault, reminder| match (
                    reminder.request() == first,
                    &fails,
                ) {
                    (false, _) => vault.note_reminder(reminder),
                    (true, Refusal::DiskFull) => Err(Refusal::DiskFull),
                    (true, _) => Err(Refusal::Internal("a row is damaged")),
                });
            // One person's row is no failure of the others' round.
            assert_eq!(watched.is_err(), everybodys, "{why}");
            assert_eq!(ears.reminded(), all, "{why}");
            assert_eq!(ears.unwatched.lock().len(), 1, "{why}");
            case.scene.bench.clock.advance(HOUR);
        }
    }
    assert_eq!(*ears.unwatched.lock(), [(first, "internal")]);
    // As soon as it can be noted it is, and whoever opens the vault anew is told of nobody.
    case.vault().watch_requests().unwrap();
    assert_eq!(ears.reminded(), all);
    case.scene.bench.reopen();
    let anew = Ears::on(case.vault());
    case.vault().watch_requests().unwrap();
    assert!(anew.reminded().is_empty());
}

/// The control of the last: what was never noted is told once more by a vault that is opened anew.
#[test]
fn a_reminder_that_was_never_noted_comes_again_after_a_restart() {
    let mut case = Case::new(1);
    let ears = Ears::on(case.vault());
    let all = due_soon(&case);
    let watched = case
        .vault()
        .watch_requests_noting(&|_, _| Err(Refusal::DiskFull));
    assert!(matches!(watched, Err(Refusal::DiskFull)));
    assert_eq!(ears.reminded(), all);
    case.scene.bench.reopen();
    let anew = Ears::on(case.vault());
    case.vault().watch_requests().unwrap();
    assert_eq!(anew.reminded(), all);
}

#[test]
fn a_row_that_does_not_open_is_told_of_once_and_the_others_are_reminded_of() {
    let case = Case::new(3);
    let ears = Ears::on(case.vault());
    let all = due_soon(&case);
    let (key, sealed) = {
        let snapshot = case.vault().snapshot().unwrap();
        let range = KeyRange::all();
        let rows = snapshot
            .tx()
            .range(Table::Requests, &range, Direction::Ascending, 9);
        rows.unwrap().remove(1)
    };
    let damaged = RequestId::from_bytes(key[16..32].try_into().unwrap());
    let mut changed = sealed;
    *changed.last_mut().unwrap() ^= 1;
    let put = case
        .vault()
        .engine
        .submit(move |txn| Ok(txn.put(Table::Requests, &key, &changed)?));
    put.unwrap();
    for _ in 0..3 {
        case.vault().watch_requests().unwrap();
        case.scene.bench.clock.advance(HOUR);
    }
    let others: Vec<_> = all.iter().copied().filter(|one| *one != damaged).collect();
    assert_eq!(ears.reminded(), others);
    assert_eq!(*ears.unwatched.lock(), [(damaged, "internal")]);
}

#[test]
fn who_is_to_be_reminded_does_not_wait_for_what_cannot_be_swept() {
    let case = Case::new(2);
    let ears = Ears::on(case.vault());
    let all = due_soon(&case);
    // A mark of rows whose person is gone, without the person: the sweeper is refused at it.
    let put = case
        .vault()
        .engine
        .submit(|txn| Ok(txn.put(Table::Dirty, &ORPHANS, &[])?));
    put.unwrap();
    assert!(case.vault().sweep(Sweep::Due).is_err());
    assert_eq!(ears.reminded(), all);
}
