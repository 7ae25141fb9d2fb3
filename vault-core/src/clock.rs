//! Time, as an argument.
//!
//! Knows nothing of deadlines. Instants are milliseconds since 1970 in UTC.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// A source of the present.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that a test moves by hand.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.as_millisecond()))
    }

    /// Moves the clock forward (back, if negative) by `milliseconds`.
    pub fn advance(&self, milliseconds: i64) {
        self.0.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).expect("a test stays in range")
    }
}

/// Whole hours since 1970: the finest time that stands in clear on disk.
#[must_use]
pub fn hour_of(instant: Timestamp) -> u32 {
    u32::try_from(instant.as_second().div_euclid(3600)).unwrap_or(0)
}

/// Whole days since 1970.
#[must_use]
pub fn day_of(instant: Timestamp) -> u32 {
    hour_of(instant) / 24
}
