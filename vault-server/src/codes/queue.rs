//! Codes that wait for a try: bounded, each later after each failure, none beyond its time.
//!
//! Pure: time and randomness are arguments. Knows nothing of networks.

use std::time::Duration;

use jiff::Timestamp;
use vault_core::entropy::Entropy;
use vault_core::verification::{AddressKind, CodeToSend};

use crate::webhook::wait_after;

/// Codes that wait at a time: as many as a bot of ten requests a second makes in a minute and a half.
const QUEUE_MAX: usize = 1_000;
/// After so many failures the wait grows no more, at forty seconds: a code lives for ten minutes.
const DOUBLINGS_MAX: u32 = 4;

/// A code and when it is tried next.
pub(super) struct Job {
    pub(super) code: CodeToSend,
    pub(super) tries: u32,
    due: Timestamp,
    /// How often everything had been forgotten when it came.
    of: u64,
}

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    jobs: Vec<Job>,
    /// Being tried now.
    out: usize,
    /// How often everything was forgotten: what was out then does not come back.
    forgotten: u64,
}

impl Queue {
    /// Whether there was room for it.
    pub(super) fn add(&mut self, code: CodeToSend, now: Timestamp) -> bool {
        let room = self.len() < QUEUE_MAX;
        if room {
            self.jobs.push(Job {
                code,
                tries: 0,
                due: now,
                of: self.forgotten,
            });
        }
        room
    }

    /// Takes out the codes that are good no more; of which kinds they were.
    pub(super) fn take_over(&mut self, now: Timestamp) -> Vec<AddressKind> {
        let over = self.jobs.extract_if(.., |job| job.code.expires_at <= now);
        over.map(|job| job.code.kind).collect()
    }

    /// Takes out the one that has been due for longest.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<Job> {
        let jobs = self.jobs.iter().enumerate();
        let (first, job) = jobs.min_by_key(|(_, job)| job.due)?;
        if job.due > now {
            return None;
        }
        self.out += 1;
        Some(self.jobs.remove(first))
    }

    /// One that was taken out does not come back.
    pub(super) fn done(&mut self) {
        self.out = self.out.saturating_sub(1);
    }

    /// One that was taken out comes back later.
    pub(super) fn again(&mut self, mut job: Job, now: Timestamp, entropy: &mut dyn Entropy) {
        self.done();
        if job.of != self.forgotten {
            return;
        }
        let wait = wait_after(job.tries.min(DOUBLINGS_MAX), entropy);
        job.due = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        self.jobs.push(job);
    }

    /// Forgets every code.
    pub(super) fn clear(&mut self) {
        self.jobs.clear();
        self.forgotten += 1;
    }

    /// How long until something is to be done: the next try, or the end of a code.
    pub(super) fn wait(&self, now: Timestamp) -> Option<Duration> {
        let next = self.jobs.iter().map(|job| job.due.min(job.code.expires_at));
        let next = next.min()?;
        Some(Duration::try_from(next.duration_since(now)).unwrap_or_default())
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len() + self.out
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use vault_core::dialogue::Language;
    use vault_core::entropy::SeededEntropy;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn code(seconds: i64) -> CodeToSend {
        CodeToSend {
            sending: [1; 16],
            kind: AddressKind::Email,
            address: "j@example.test".to_owned().into(),
            code: "123456".to_owned().into(),
            language: Language::En,
            expires_at: NOW + SignedDuration::from_secs(seconds),
        }
    }

    #[test]
    fn a_code_waits_longer_after_each_failure_and_is_never_tried_when_it_is_over() {
        let (mut queue, mut entropy) = (Queue::default(), SeededEntropy::new(7));
        assert!(queue.add(code(600), NOW));
        let (mut now, mut waits) = (NOW, Vec::new());
        loop {
            assert!(queue.take_over(now).is_empty());
            let mut job = queue.due(now).expect("it is due");
            assert!(job.code.expires_at > now);
            assert!(queue.due(now).is_none(), "one code, one try");
            job.tries += 1;
            queue.again(job, now, &mut entropy);
            let wait = queue.wait(now).expect("it waits");
            now += SignedDuration::try_from(wait).unwrap();
            if now >= NOW + SignedDuration::from_secs(600) {
                break;
            }
            waits.push(wait.as_millis());
        }
        for (failures, wait) in waits.iter().enumerate() {
            let whole = (5_000_u128 << failures.min(3)).min(40_000);
            assert!((whole / 2..whole).contains(wait), "{wait} of {whole}");
        }
        assert!(waits.len() > 10, "{waits:?}");
        assert_eq!(queue.take_over(now), [AddressKind::Email]);
        assert!(queue.due(now).is_none());
        assert_eq!((queue.len(), queue.wait(now)), (0, None));
    }

    #[test]
    fn a_full_queue_takes_no_more_and_counts_what_is_being_sent() {
        let mut queue = Queue::default();
        for _ in 0..QUEUE_MAX {
            assert!(queue.add(code(600), NOW));
        }
        let job = queue.due(NOW).expect("due");
        assert!(!queue.add(code(600), NOW), "one is out, and may come back");
        queue.again(job, NOW, &mut SeededEntropy::new(1));
        assert!(!queue.add(code(600), NOW));
        queue.due(NOW).expect("due");
        queue.done();
        assert!(queue.add(code(600), NOW));
    }

    #[test]
    fn what_is_forgotten_does_not_come_back_from_a_try() {
        let mut queue = Queue::default();
        assert!(queue.add(code(600), NOW) && queue.add(code(600), NOW));
        let job = queue.due(NOW).expect("due");
        queue.clear();
        queue.again(job, NOW, &mut SeededEntropy::new(1));
        assert_eq!(queue.len(), 0);
        // The control: one that came afterwards does.
        assert!(queue.add(code(600), NOW));
        let job = queue.due(NOW).expect("due");
        queue.again(job, NOW, &mut SeededEntropy::new(1));
        assert_eq!(queue.len(), 1);
    }
}
