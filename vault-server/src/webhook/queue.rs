//! What waits for a try: bounded, each message later after each failure.
//!
//! Pure: time and randomness are arguments. Knows nothing of networks.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use vault_core::entropy::Entropy;

use super::Message;

/// Messages that wait at a time.
pub const QUEUE_MAX: usize = 1_000;
/// Tries before a message is given up: over about half a day.
pub const TRIES_MAX: u32 = 16;
/// The wait after the first failure; it doubles with each.
const WAIT_SECONDS: i64 = 5;
/// Longest wait.
const WAIT_SECONDS_MAX: i64 = 2 * 3600;

/// A message and when it is tried next.
pub(super) struct Job {
    pub(super) message: Message,
    pub(super) tries: u32,
    due: Timestamp,
}

/// What becomes of a message that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Again,
    GivenUp,
}

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    jobs: Vec<Job>,
    /// Being tried now.
    out: usize,
}

impl Queue {
    /// Whether there was room for it.
    pub(super) fn add(&mut self, message: Message, now: Timestamp) -> bool {
        let room = self.len() < QUEUE_MAX;
        if room {
            self.jobs.push(Job {
                message,
                tries: 0,
                due: now,
            });
        }
        room
    }

    /// Takes out the one that has been due for longest.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<Job> {
        let (first, job) = self
            .jobs
            .iter()
            .enumerate()
            .min_by_key(|(_, job)| job.due)?;
        if job.due > now {
            return None;
        }
        self.out += 1;
        // In order, so that what came first is told first.
        Some(self.jobs.remove(first))
    }

    /// One that was taken out was delivered.
    pub(super) fn done(&mut self) {
        self.out = self.out.saturating_sub(1);
    }

    /// One that was taken out was not: it comes back later, or never.
    pub(super) fn failed(
        &mut self,
        mut job: Job,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Verdict {
        self.out = self.out.saturating_sub(1);
        if job.tries >= TRIES_MAX {
            return Verdict::GivenUp;
        }
        let wait = wait_after(job.tries, entropy);
        job.due = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        self.jobs.push(job);
        Verdict::Again
    }

    /// How long until the next is due.
    pub(super) fn wait(&self, now: Timestamp) -> Option<Duration> {
        let next = self.jobs.iter().map(|job| job.due).min()?;
        Some(Duration::try_from(next.duration_since(now)).unwrap_or_default())
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len() + self.out
    }
}

/// After this many failures: doubling, of which a random half, so that receivers that come back are not
/// met by everybody at once.
pub(crate) fn wait_after(failures: u32, entropy: &mut dyn Entropy) -> SignedDuration {
    let doubled = WAIT_SECONDS.checked_shl(failures.saturating_sub(1).min(32));
    let whole = doubled.map_or(WAIT_SECONDS_MAX, |wait| wait.min(WAIT_SECONDS_MAX)) * 1000;
    let mut random = [0; 8];
    entropy.fill(&mut random);
    let half = whole / 2;
    let more = i64::try_from(u64::from_be_bytes(random) % half.unsigned_abs()).unwrap_or(0);
    SignedDuration::from_millis(half + more)
}

#[cfg(test)]
mod tests {
    use vault_core::entropy::SeededEntropy;

    use super::*;

    fn message() -> Message {
        Message {
            id: "msg_1".into(),
            kind: "k",
            body: Vec::new(),
        }
    }

    #[test]
    fn a_message_waits_longer_after_each_failure_never_the_same_and_then_is_given_up() {
        let (mut queue, mut entropy) = (Queue::default(), SeededEntropy::new(7));
        let mut now = Timestamp::UNIX_EPOCH;
        assert!(queue.add(message(), now));
        let mut waits = Vec::new();
        loop {
            let mut job = queue.due(now).expect("it is due");
            assert!(queue.due(now).is_none(), "one message, one try");
            job.tries += 1;
            if queue.failed(job, now, &mut entropy) == Verdict::GivenUp {
                break;
            }
            let wait = queue.wait(now).expect("it waits");
            // The nearest violation: a moment earlier it is not due.
            now += SignedDuration::try_from(wait).unwrap() - SignedDuration::from_nanos(1);
            assert!(queue.due(now).is_none());
            now += SignedDuration::from_nanos(1);
            waits.push(wait.as_millis());
        }
        assert_eq!(waits.len(), TRIES_MAX as usize - 1);
        for (failures, wait) in waits.iter().enumerate() {
            let whole = (5_000_u128 << failures).min(7_200_000);
            assert!((whole / 2..whole).contains(wait), "{wait} of {whole}");
        }
        let hours = waits.iter().sum::<u128>() / 3_600_000;
        assert!((6..24).contains(&hours), "{hours}");
        assert_eq!((queue.len(), queue.wait(now)), (0, None));
        // Another seed, other waits.
        let first = wait_after(1, &mut SeededEntropy::new(8));
        assert_ne!(u128::try_from(first.as_millis()).unwrap(), waits[0]);
    }

    #[test]
    fn a_full_queue_takes_no_more_and_counts_what_is_being_tried() {
        let (mut queue, now) = (Queue::default(), Timestamp::UNIX_EPOCH);
        for _ in 0..QUEUE_MAX {
            assert!(queue.add(message(), now));
        }
        let job = queue.due(now).expect("due");
        assert!(!queue.add(message(), now), "one is out, and may come back");
        queue.failed(job, now, &mut SeededEntropy::new(1));
        assert!(!queue.add(message(), now));
        queue.due(now).expect("due");
        queue.done();
        assert!(queue.add(message(), now));
    }
}
