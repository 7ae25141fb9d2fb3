//! What the vault remembers in memory alone.

use std::collections::HashMap;

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
    /// Seals cursors.
    pub(super) process_key: Secret<32>,
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
    pub(super) fn count(&self, subject: SubjectId, now: Timestamp) -> Result<(), Refusal> {
        let mut asks = self.0.lock();
        if asks.0 != day_of(now) {
            *asks = (day_of(now), HashMap::new());
        }
        let count = asks.1.entry(subject).or_default();
        *count += 1;
        if *count > ASKS_PER_DAY_MAX {
            return Err(Refusal::RateLimited);
        }
        Ok(())
    }
}
