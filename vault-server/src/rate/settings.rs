//! The limits that an operator sets: `limits.*` of the configuration.
//!
//! Knows nothing of how they are kept. Names and bounds of the keys stand in `config::keys`.

use std::time::Duration;

/// How much one caller may ask, and how long a call waits for a place.
///
/// The defaults let a busy bot work undisturbed and end what no conversation needs: a bot that
/// answers a hundred messages a second makes a thousand calls a second, so a key has two thousand;
/// a person who writes quickly causes a few calls a second, so a person has twenty; a bot that
/// greets two hundred people a second is a large one, and who tries to find out which of ten million
/// addresses are known needs weeks at two hundred thousand a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls a second by one API key, its sessions included.
    pub calls_per_second: u32,
    /// Calls at once by one API key before `calls_per_second` holds.
    pub calls_burst: u32,
    /// Calls a minute about one person, by all keys together.
    pub person_calls_per_minute: u32,
    /// `subjects` and `subjects/lookup` calls a minute by one API key.
    pub lookups_per_minute: u32,
    /// `subjects` and `subjects/lookup` calls a day by one API key.
    pub lookups_per_day: u32,
    /// Calls without a valid API key a minute from one network, before it has to wait.
    pub unauthenticated_per_minute: u32,
    /// Calls that wait for a place at a time.
    pub waiting: u32,
    /// Longest wait for a place, in milliseconds.
    pub wait_milliseconds: u32,
    /// Places that are kept for erasures and withdrawals.
    pub reserve: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls_per_second: 2_000,
            calls_burst: 4_000,
            person_calls_per_minute: 1_200,
            lookups_per_minute: 12_000,
            lookups_per_day: 200_000,
            unauthenticated_per_minute: 60,
            waiting: 256,
            wait_milliseconds: 100,
            reserve: 8,
        }
    }
}

impl Limits {
    /// The most that a configuration may say: for a vault that is thrown away, whose recorded
    /// conversations and measurements run as fast as they can.
    #[must_use]
    pub fn widest() -> Self {
        Self {
            calls_per_second: 1_000_000,
            calls_burst: 1_000_000,
            person_calls_per_minute: 10_000_000,
            lookups_per_minute: 10_000_000,
            lookups_per_day: 1_000_000_000,
            unauthenticated_per_minute: 1_000_000,
            waiting: 10_000,
            wait_milliseconds: 10_000,
            reserve: 100,
        }
    }

    pub(crate) fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_milliseconds.into())
    }
}
