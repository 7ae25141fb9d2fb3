//! What the vault remembers in memory alone.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::clock::day_of;
use crate::crypto::{Secret, hmac};
use crate::id::SubjectId;
use crate::limits::{ASKS_PER_DAY_MAX, GUARD_ENTRIES_MAX, GUARD_SECONDS};
use crate::refusal::Refusal;

/// Everything of the kind, gone with the process.
pub(super) struct Memory {
    pub(super) guard: Guard,
    pub(super) asks: Asks,
    pub(super) counts: Counted,
    pub(super) honey: super::honey::Known,
    pub(super) emergencies: super::emergencies::Counts,
    /// When somebody became aware of each incident of which the authority is still to be told.
    pub(super) incidents: Mutex<Vec<Timestamp>>,
    pub(super) requests: super::requests::Watched,
    /// Addresses on the suppression list, as it was looked at last.
    pub(super) suppressions: AtomicU64,
    pub(super) decisions: super::decisions::Watched,
    pub(super) strangers: super::dialogue::Strangers,
    pub(super) pickups: super::pickups::Counts,
    /// Seals cursors.
    pub(super) process_key: Secret<32>,
}

impl Memory {
    /// Forgets a person who was erased.
    pub(super) fn forget(&self, subject: SubjectId) {
        self.asks.forget(subject);
        self.strangers.forget(subject);
    }
}

/// Refuses `{channel, user}` of a person who was just erased, so that a slow bot does not make them
/// anew by accident. Kept under a key of this process, for fifteen minutes.
pub(super) struct Guard {
    key: Secret<32>,
    entries: Mutex<HashMap<[u8; 32], i64>>,
}

impl Guard {
    pub(super) fn new(key: Secret<32>) -> Self {
        Self {
            key,
            entries: Mutex::default(),
        }
    }

    pub(super) fn add(&self, mark: &[u8; 32], now: Timestamp) {
        let mut entries = self.entries.lock();
        entries.retain(|_, end| *end > now.as_second());
        if entries.len() >= GUARD_ENTRIES_MAX {
            let oldest = entries
                .iter()
                .min_by_key(|(_, end)| **end)
                .map(|(mark, _)| *mark);
            oldest.map(|mark| entries.remove(&mark));
        }
        entries.insert(hmac(&self.key, &[mark]), now.as_second() + GUARD_SECONDS);
    }

    pub(super) fn refuses(&self, mark: &[u8; 32], now: Timestamp) -> bool {
        let end = self.entries.lock().get(&hmac(&self.key, &[mark])).copied();
        end.is_some_and(|end| end > now.as_second())
    }
}

/// Counts questions for each person and UTC day: answers to enough of them are the value.
#[derive(Default)]
pub(super) struct Asks(Mutex<(u32, HashMap<SubjectId, u32>)>);

impl Asks {
    fn forget(&self, subject: SubjectId) {
        self.0.lock().1.remove(&subject);
    }

    pub(super) fn count(&self, subject: SubjectId, now: Timestamp) -> Result<(), Refusal> {
        let mut asks = self.0.lock();
        if asks.0 != day_of(now) {
            *asks = (day_of(now), HashMap::new());
        }
        let count = asks.1.entry(subject).or_default();
        *count += 1;
        match *count > ASKS_PER_DAY_MAX {
            true => Err(tomorrow(now)),
            false => Ok(()),
        }
    }
}

/// That it goes on with the next UTC day.
fn tomorrow(now: Timestamp) -> Refusal {
    let day_end = (i64::from(day_of(now)) + 1) * 24 * 3600;
    Refusal::RateLimited {
        retry_after_seconds: (day_end - now.as_second()).max(1).unsigned_abs(),
    }
}

/// Counts of people that each role was answered on this UTC day: enough of them are a list of people.
#[derive(Default)]
pub(super) struct Counted(Mutex<(u32, HashMap<String, u32>)>);

impl Counted {
    pub(super) fn count(&self, role: &str, most: u32, now: Timestamp) -> Result<(), Refusal> {
        let mut roles = self.0.lock();
        if roles.0 != day_of(now) {
            *roles = (day_of(now), HashMap::new());
        }
        let count = roles.1.entry(role.to_owned()).or_default();
        if *count >= most {
            return Err(tomorrow(now));
        }
        *count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn one_question_more_than_the_limit_waits_for_the_next_day_and_no_longer() {
        let asks = Asks::default();
        let (anna, ben) = (
            SubjectId::from_bytes([1; 16]),
            SubjectId::from_bytes([2; 16]),
        );
        for _ in 0..ASKS_PER_DAY_MAX {
            asks.count(anna, at(86_300)).expect("within the limit");
        }
        match asks.count(anna, at(86_300)) {
            Err(Refusal::RateLimited {
                retry_after_seconds,
            }) => assert_eq!(retry_after_seconds, 100),
            _ => panic!("one question too many was counted"),
        }
        asks.count(ben, at(86_300)).expect("another person");
        asks.count(anna, at(86_400)).expect("the next day");
    }

    #[test]
    fn an_erased_person_is_no_longer_counted_in_memory() {
        let asks = Asks::default();
        let anna = SubjectId::from_bytes([1; 16]);
        asks.count(anna, at(0)).expect("counted");
        asks.forget(anna);
        assert!(asks.0.lock().1.is_empty());
    }
}
