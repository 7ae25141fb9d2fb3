//! Time, as an argument.
//!
//! Knows nothing of deadlines. Instants are milliseconds since 1970 in UTC.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use jiff::Timestamp;

/// A source of the present.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;

    /// Milliseconds since some start, on a clock that nobody sets.
    fn running(&self) -> i64;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn running(&self) -> i64 {
        static START: OnceLock<Instant> = OnceLock::new();
        let elapsed = START.get_or_init(Instant::now).elapsed();
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A clock that a test moves by hand.
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicI64,
    running: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self {
            wall: AtomicI64::new(start.as_millisecond()),
            running: AtomicI64::new(0),
        }
    }

    /// Lets `milliseconds` pass.
    pub fn advance(&self, milliseconds: i64) {
        self.running.fetch_add(milliseconds, Ordering::SeqCst);
        self.set(milliseconds);
    }

    /// Sets the clock forward (back, if negative) by `milliseconds` while no time passes.
    pub fn set(&self, milliseconds: i64) {
        self.wall.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let wall = self.wall.load(Ordering::SeqCst);
        Timestamp::from_millisecond(wall).expect("a test stays in range")
    }

    fn running(&self) -> i64 {
        self.running.load(Ordering::SeqCst)
    }
}

/// Whole hours since 1970: the finest time that stands in clear on disk.
#[must_use]
pub fn hour_of(instant: Timestamp) -> u32 {
    u32::try_from(instant.as_second().div_euclid(3600)).unwrap_or(0)
}

/// The first instant of an hour since 1970.
#[must_use]
pub fn instant_of_hour(hour: u32) -> Timestamp {
    Timestamp::from_second(i64::from(hour) * 3600).unwrap_or(Timestamp::MAX)
}

/// Whole days since 1970.
#[must_use]
pub fn day_of(instant: Timestamp) -> u32 {
    hour_of(instant) / 24
}
