//! Waiting after wrong unlock secrets: one second, doubling to a minute.
//!
//! Knows nothing of secrets and does not sleep: it computes from the instant it is told. A restart
//! forgets the count; what makes guessing hopeless is Argon2id and the passphrase, not this.

use jiff::{SignedDuration, Timestamp};

const WAIT_SECONDS_MAX: u64 = 60;

/// How often an unlock has failed in a row, and until when none is tried.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    until: Option<Timestamp>,
}

impl Backoff {
    /// Whole seconds still to wait at `now`; `None` when an attempt may be made.
    pub(crate) fn wait_seconds(&self, now: Timestamp) -> Option<u64> {
        let left = self.until?.duration_since(now);
        if !left.is_positive() {
            return None;
        }
        // A clock that was set back must not lock an operator out for longer than the bound.
        let seconds = left.as_millis().unsigned_abs().div_ceil(1000);
        Some(
            u64::try_from(seconds)
                .unwrap_or(WAIT_SECONDS_MAX)
                .min(WAIT_SECONDS_MAX),
        )
    }

    /// A wrong secret at `now`.
    pub(crate) fn failed(&mut self, now: Timestamp) {
        let wait = 1_u64
            .checked_shl(self.failures)
            .map_or(WAIT_SECONDS_MAX, |seconds| seconds.min(WAIT_SECONDS_MAX));
        self.failures = self.failures.saturating_add(1);
        let wait = SignedDuration::from_secs(i64::try_from(wait).expect("at most a minute"));
        self.until = Some(now.saturating_add(wait).expect("a duration of time units"));
    }

    /// A right secret.
    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).expect("in range")
    }

    #[test]
    fn each_failure_doubles_the_wait_up_to_a_minute() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.wait_seconds(at(0)), None);
        let mut waits = Vec::new();
        for _ in 0..70 {
            backoff.failed(at(0));
            waits.push(backoff.wait_seconds(at(0)).expect("a wait"));
        }
        assert_eq!(waits[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(waits[69], 60);
    }

    #[test]
    fn the_wait_ends_when_it_is_over_and_a_success_forgets_it() {
        let mut backoff = Backoff::default();
        backoff.failed(at(0));
        assert_eq!(backoff.wait_seconds(at(999)), Some(1));
        assert_eq!(backoff.wait_seconds(at(1000)), None);
        backoff.failed(at(1000));
        backoff.succeeded();
        backoff.failed(at(2000));
        assert_eq!(backoff.wait_seconds(at(2000)), Some(1));
    }

    #[test]
    fn a_clock_set_back_waits_a_minute_at_most() {
        let mut backoff = Backoff::default();
        backoff.failed(at(10_000_000));
        assert_eq!(backoff.wait_seconds(at(0)), Some(60));
    }
}
