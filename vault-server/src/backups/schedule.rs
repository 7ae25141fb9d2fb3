//! When the next backup is due: a period after the last one began, at once where one was missed, later after a
//! failure.
//!
//! Knows instants alone: whoever asks says what time it is, and what came of it.

use jiff::{SignedDuration, Timestamp};
use vault_core::policy::Period;

/// How long after a failure it is tried again; twice that after the next, and so on.
const RETRY: SignedDuration = SignedDuration::from_mins(1);
const RETRY_MOST: SignedDuration = SignedDuration::from_mins(60);

/// How backups went so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// When the last one began that came to its end.
    began: Option<Timestamp>,
    /// When the last one was whole.
    pub(crate) completed_at: Option<Timestamp>,
    /// When one last failed.
    pub(crate) failed_at: Option<Timestamp>,
    /// Failures since the last that did not.
    pub(crate) failures: u32,
    /// Not before this.
    hold: Option<Timestamp>,
    /// Since when it is known that there was none before.
    none_since: Option<Timestamp>,
}

impl Schedule {
    /// As the registry has it: when the last one began, and was whole.
    pub(crate) fn resume(&mut self, last: Option<(Timestamp, Timestamp)>, now: Timestamp) {
        self.none_since = Some(now);
        self.began = last.map(|(began, _)| began);
        self.completed_at = last.map(|(_, completed)| completed);
    }

    /// When the next is due; however many were missed meanwhile, it is one.
    pub(crate) fn next(&self, every: &Period, now: Timestamp) -> Timestamp {
        // Begun in the future: the clock was set back, and the period would be longer than it is.
        let began = self.began.filter(|began| *began <= now);
        let due = began.map_or(now, |began| every.add_to(began));
        let hold = self
            .hold
            .filter(|hold| hold.duration_since(now) <= RETRY_MOST);
        hold.map_or(due, |hold| hold.max(due))
    }

    /// For how long one has been lacking that should have begun, whatever is in its way: unlike [`Schedule::next`]
    /// this does not begin anew when one fails.
    pub(crate) fn late(&self, every: &Period, now: Timestamp) -> SignedDuration {
        let due = self.began.filter(|began| *began <= now);
        let due = due.map(|began| every.add_to(began)).or(self.none_since);
        let late = due.map_or(SignedDuration::ZERO, |due| now.duration_since(due));
        late.max(SignedDuration::ZERO)
    }

    /// Whether it is due now.
    pub(crate) fn due(&self, every: &Period, now: Timestamp) -> bool {
        self.next(every, now) <= now
    }

    /// One that began then is whole.
    pub(crate) fn succeeded(&mut self, began: Timestamp, now: Timestamp) {
        self.began = Some(began);
        self.completed_at = Some(now);
        self.failures = 0;
        self.hold = None;
    }

    /// One failed.
    pub(crate) fn failed(&mut self, now: Timestamp) {
        let times = 1_i32.checked_shl(self.failures.min(16)).unwrap_or(i32::MAX);
        let wait = RETRY.saturating_mul(times).min(RETRY_MOST);
        self.failures = self.failures.saturating_add(1);
        self.failed_at = Some(now);
        self.hold = now.saturating_add(wait).ok();
    }

    /// Somebody ended one: it is not begun again at once.
    pub(crate) fn cancelled(&mut self, now: Timestamp) {
        self.hold = now.saturating_add(RETRY_MOST).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minutes).expect("in range")
    }

    fn hour() -> Period {
        Period::parse("PT1H").expect("a period")
    }

    #[test]
    fn the_first_is_due_at_once_and_the_next_a_period_after_its_beginning() {
        let mut schedule = Schedule::default();
        assert!(schedule.due(&hour(), at(0)));
        schedule.succeeded(at(0), at(20));
        assert!(!schedule.due(&hour(), at(59)));
        assert!(schedule.due(&hour(), at(60)));
        assert_eq!(schedule.next(&hour(), at(20)), at(60));
    }

    #[test]
    fn what_was_missed_is_made_up_for_once() {
        let mut schedule = Schedule::default();
        schedule.resume(Some((at(0), at(5))), at(999));
        assert!(schedule.due(&hour(), at(1000)));
        schedule.succeeded(at(1000), at(1001));
        assert!(!schedule.due(&hour(), at(1059)));
        assert!(schedule.due(&hour(), at(1060)));
    }

    #[test]
    fn a_failure_is_tried_again_later_and_later_and_a_success_forgets_it() {
        let mut schedule = Schedule::default();
        let mut now = 0;
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            schedule.failed(at(now));
            assert!(!schedule.due(&hour(), at(now + wait - 1)), "{wait}");
            now += wait;
            assert!(schedule.due(&hour(), at(now)), "{wait}");
        }
        assert_eq!(
            (schedule.failures, schedule.failed_at),
            (8, Some(at(now - 60)))
        );
        schedule.succeeded(at(now), at(now));
        assert_eq!(schedule.failures, 0);
        assert!(!schedule.due(&hour(), at(now + 59)));
        schedule.failed(at(now + 60));
        assert!(schedule.due(&hour(), at(now + 61)));
    }

    #[test]
    fn a_clock_that_was_set_back_holds_nothing_up_and_a_cancelled_one_waits() {
        let mut schedule = Schedule::default();
        schedule.succeeded(at(10_000), at(10_001));
        assert!(schedule.due(&hour(), at(0)));
        schedule.failed(at(10_000));
        assert!(schedule.due(&hour(), at(0)), "nor does an old failure");
        let mut schedule = Schedule::default();
        schedule.cancelled(at(0));
        assert!(!schedule.due(&hour(), at(59)));
        assert!(schedule.due(&hour(), at(60)));
    }

    #[test]
    fn one_is_late_however_often_it_was_tried_and_until_one_is_whole() {
        let late = |schedule: &Schedule, now| schedule.late(&hour(), at(now)).as_secs() / 60;
        let mut schedule = Schedule::default();
        assert_eq!(late(&schedule, 0), 0, "nobody knows yet");
        schedule.resume(None, at(0));
        for now in [10, 100, 200] {
            assert_eq!(late(&schedule, now), now);
            schedule.failed(at(now));
            assert!(schedule.next(&hour(), at(now)) > at(now), "the control");
            assert_eq!(late(&schedule, now), now);
        }
        schedule.succeeded(at(201), at(210));
        assert_eq!((late(&schedule, 210), late(&schedule, 261)), (0, 0));
        assert_eq!(late(&schedule, 301), 40);
        schedule.cancelled(at(301));
        assert_eq!(late(&schedule, 321), 60);
        // As the registry has it after a restart: the time that nobody was there counts.
        schedule.resume(Some((at(201), at(210))), at(900));
        assert_eq!(late(&schedule, 901), 640);
    }
}
