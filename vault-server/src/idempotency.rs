//! Which calls with an idempotency key are under way or were made, in RAM, for 24 hours.
//!
//! Knows nothing of HTTP routing. Keys and calls are kept as SHA-256: a bot may well put a
//! person's name into its key. A restart and a lock forget everything; nothing here reaches a
//! disk. Of a call about a person the answer lies under the person's keys, in the vault, and here
//! stands only that it was made; of others the answer stands here. Only successes are remembered: a
//! refused call changed nothing and may be sent again, and an unknown outcome must be read back, not
//! replayed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use vault_core::id::SubjectId;

use crate::code::Code;
use crate::problem::Problem;
use crate::reply::Reply;

const ENTRIES_MAX: usize = 10_000;
const REPLY_BYTES_MAX: usize = 64 << 10;
const REPLIES_BYTES_MAX: usize = 64 << 20;
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// What may be kept of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remember {
    /// Nothing: the call changes nothing, so it is run again, and decided again, each time.
    Again,
    /// Only that it was made: the answer shows a secret once.
    Made,
    /// The answer, at most 64 KiB.
    Reply,
}

/// The key of an entry: SHA-256 over bearer and idempotency key.
pub(crate) type Key = [u8; 32];

enum State {
    Running,
    Done(Option<Reply>),
    /// The vault has the answer.
    Kept,
}

struct Entry {
    fingerprint: [u8; 32],
    subject: Option<SubjectId>,
    begun_at: Timestamp,
    // Tells an entry from a later one under the same key, for the queue and the guard.
    number: u64,
    state: State,
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<Key, Entry>,
    oldest_first: VecDeque<(Key, u64)>,
    reply_bytes: usize,
    next_number: u64,
}

/// The remembered calls.
#[derive(Clone, Default)]
pub(crate) struct Idempotency(Arc<Mutex<Entries>>);

/// How a call with a key goes on.
pub(crate) enum Begin {
    /// It is new, or the vault has the answer: run it, then [`Running::done`] or [`Running::kept`].
    Fresh(Running),
    /// It was done: answer this.
    Replay(Reply),
}

/// A call under way. Dropped without [`Running::done`], by a refusal or a panic, it is forgotten.
pub(crate) struct Running {
    entries: Idempotency,
    key: Key,
    number: u64,
    remember: Remember,
}

/// SHA-256 over length-prefixed parts, so that no two lists of parts hash the same bytes.
pub(crate) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

impl Idempotency {
    /// Begins the call with this key, unless it was made or is being made.
    ///
    /// # Errors
    ///
    /// 409 `idempotency_mismatch` if the key stands for another call; 409 `conflict` if the same
    /// call is under way, or was made and its answer cannot be given again; 503 `overloaded` if
    /// 10,000 calls are under way.
    pub(crate) fn begin(
        &self,
        key: Key,
        fingerprint: [u8; 32],
        subject: Option<SubjectId>,
        remember: Remember,
        now: Timestamp,
    ) -> Result<Begin, Problem> {
        let mut entries = self.0.lock();
        entries.expire(now);
        if let Some(entry) = entries.by_key.get_mut(&key) {
            if entry.fingerprint != fingerprint {
                return Err(Problem::new(Code::IdempotencyMismatch));
            }
            return match &entry.state {
                State::Kept => {
                    entry.state = State::Running;
                    Ok(Begin::Fresh(Running {
                        entries: self.clone(),
                        key,
                        number: entry.number,
                        remember,
                    }))
                }
                State::Running => Err(Problem::with_detail(
                    Code::Conflict,
                    "a call with this idempotency key is under way; wait for its answer",
                )),
                State::Done(None) => Err(Problem::with_detail(
                    Code::Conflict,
                    "the call with this idempotency key was made; its answer cannot be given a second time",
                )),
                State::Done(Some(reply)) => Ok(Begin::Replay(reply.again())),
            };
        }
        while entries.by_key.len() >= ENTRIES_MAX {
            if !entries.drop_oldest_done() {
                return Err(Problem::new(Code::Overloaded));
            }
        }
        let number = entries.next_number;
        entries.next_number += 1;
        entries.by_key.insert(
            key,
            Entry {
                fingerprint,
                subject,
                begun_at: now,
                number,
                state: State::Running,
            },
        );
        entries.oldest_first.push_back((key, number));
        Ok(Begin::Fresh(Running {
            entries: self.clone(),
            key,
            number,
            remember,
        }))
    }

    /// Forgets every answer about a person who was erased.
    pub(crate) fn forget_person(&self, subject: SubjectId) {
        let name = subject.to_string();
        self.0.lock().remove_where(|entry| {
            entry.subject == Some(subject)
                || matches!(&entry.state, State::Done(Some(reply))
                    if reply.body.windows(name.len()).any(|window| window == name.as_bytes()))
        });
    }

    /// Forgets everything: the vault was locked.
    pub(crate) fn forget_all(&self) {
        self.0.lock().remove_where(|_| true);
    }
}

impl Running {
    /// The call succeeded, and the vault keeps its answer.
    pub(crate) fn kept(self) {
        let mut entries = self.entries.0.lock();
        if let Some(entry) = entries.by_key.get_mut(&self.key)
            && entry.number == self.number
        {
            entry.state = State::Kept;
        }
    }

    /// The call succeeded with this answer.
    pub(crate) fn done(self, reply: &Reply) {
        let mut entries = self.entries.0.lock();
        let fits = self.remember == Remember::Reply && reply.body.len() <= REPLY_BYTES_MAX;
        if fits {
            while entries.reply_bytes + reply.body.len() > REPLIES_BYTES_MAX
                && entries.drop_oldest_done()
            {}
        }
        // A person erased meanwhile has taken the entry away; it is not made again.
        if let Some(entry) = entries.by_key.get_mut(&self.key)
            && entry.number == self.number
        {
            entry.state = State::Done(fits.then(|| reply.clone()));
            if fits {
                entries.reply_bytes += reply.body.len();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut entries = self.entries.0.lock();
        let unfinished = entries.by_key.get(&self.key).is_some_and(|entry| {
            entry.number == self.number
                && (matches!(entry.state, State::Running) || self.remember == Remember::Again)
        });
        if unfinished {
            entries.remove(&self.key);
        }
    }
}

impl Entries {
    fn remove(&mut self, key: &Key) {
        if let Some(Entry {
            state: State::Done(Some(reply)),
            ..
        }) = self.by_key.remove(key)
        {
            self.reply_bytes -= reply.body.len();
        }
        // The queue keeps a stale pair until it comes to the front, but never more than a
        // constant factor of what lives.
        if self.oldest_first.len() > 2 * ENTRIES_MAX {
            let by_key = &self.by_key;
            self.oldest_first
                .retain(|(key, number)| by_key.get(key).is_some_and(|e| e.number == *number));
        }
    }

    fn remove_where(&mut self, gone: impl Fn(&Entry) -> bool) {
        let keys: Vec<Key> = self
            .by_key
            .iter()
            .filter(|(_, entry)| gone(entry))
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            self.remove(&key);
        }
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some((key, number)) = self.oldest_first.front().copied() {
            match self.by_key.get(&key) {
                Some(entry) if entry.number == number => {
                    if now.duration_since(entry.begun_at) < REMEMBERED {
                        return;
                    }
                    self.remove(&key);
                }
                _ => {}
            }
            self.oldest_first.pop_front();
        }
    }

    /// Drops the oldest finished entry; `false` if there is none.
    fn drop_oldest_done(&mut self) -> bool {
        let found = self.oldest_first.iter().position(|(key, number)| {
            self.by_key.get(key).is_some_and(|entry| {
                entry.number == *number && !matches!(entry.state, State::Running)
            })
        });
        let Some((key, _)) = found.and_then(|index| self.oldest_first.remove(index)) else {
            return false;
        };
        self.remove(&key);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("in range")
    }

    fn person(byte: u8) -> SubjectId {
        SubjectId::from_bytes([byte; 16])
    }

    fn run(all: &Idempotency, key: u8, body: &[u8], remember: Remember) {
        let begin = all
            .begin([key; 32], [key; 32], Some(person(key)), remember, at(0))
            .unwrap_or_else(|_| panic!("fresh"));
        match begin {
            Begin::Fresh(running) => {
                running.done(&Reply::bytes(201, "application/json", body.to_vec()));
            }
            Begin::Replay(_) => panic!("replayed"),
        }
    }

    /// `fresh`, the replayed body, or the code of the refusal.
    fn ask(all: &Idempotency, key: u8, fingerprint: u8, now: i64) -> String {
        let begun = all.begin([key; 32], [fingerprint; 32], None, Remember::Reply, at(now));
        match begun {
            Ok(Begin::Fresh(_)) => "fresh".into(),
            Ok(Begin::Replay(reply)) => {
                assert!(reply.replayed);
                String::from_utf8(reply.body).expect("text")
            }
            Err(problem) => problem.code().name().into(),
        }
    }

    #[test]
    fn the_same_call_is_answered_from_memory_and_another_is_a_mismatch() {
        let all = Idempotency::default();
        run(&all, 1, b"one", Remember::Reply);
        assert_eq!(ask(&all, 1, 1, 10), "one");
        assert_eq!(ask(&all, 1, 2, 10), "idempotency_mismatch");
        assert_eq!(ask(&all, 2, 2, 10), "fresh");
    }

    #[test]
    fn a_day_later_it_is_a_new_call() {
        let all = Idempotency::default();
        run(&all, 1, b"one", Remember::Reply);
        assert_eq!(ask(&all, 1, 1, 86_399), "one");
        assert_eq!(ask(&all, 1, 1, 86_400), "fresh");
    }

    #[test]
    fn a_call_under_way_is_a_conflict_and_a_failed_one_is_forgotten() {
        let all = Idempotency::default();
        let begun = all.begin([1; 32], [1; 32], None, Remember::Reply, at(0));
        assert_eq!(ask(&all, 1, 1, 0), "conflict");
        drop(begun);
        assert_eq!(ask(&all, 1, 1, 0), "fresh");
    }

    #[test]
    fn a_secret_is_not_answered_twice_and_a_read_is_decided_again() {
        let all = Idempotency::default();
        run(&all, 1, b"vk_secret", Remember::Made);
        assert_eq!(ask(&all, 1, 1, 0), "conflict");
        run(&all, 2, b"{\"answer\":true}", Remember::Again);
        assert_eq!(ask(&all, 2, 2, 0), "fresh");
    }

    #[test]
    fn a_call_whose_answer_the_vault_has_runs_again_one_at_a_time_and_another_is_a_mismatch() {
        let all = Idempotency::default();
        let begin = || all.begin([1; 32], [1; 32], None, Remember::Reply, at(0));
        let Ok(Begin::Fresh(running)) = begin() else {
            panic!("it is new")
        };
        running.kept();
        assert_eq!(ask(&all, 1, 2, 0), "idempotency_mismatch");
        let again = begin();
        assert!(matches!(again, Ok(Begin::Fresh(_))));
        assert_eq!(ask(&all, 1, 1, 0), "conflict");
    }

    #[test]
    fn an_erased_person_is_forgotten_by_path_and_by_answer_and_others_are_not() {
        let all = Idempotency::default();
        run(&all, 1, b"path", Remember::Reply);
        let named = format!("{{\"subject\":\"{}\"}}", person(1));
        run(&all, 2, named.as_bytes(), Remember::Reply);
        run(&all, 3, b"other", Remember::Reply);
        all.forget_person(person(1));
        assert_eq!(ask(&all, 1, 1, 0), "fresh");
        assert_eq!(ask(&all, 2, 2, 0), "fresh");
        assert_eq!(ask(&all, 3, 3, 0), "other");
    }

    #[test]
    fn an_answer_that_comes_after_the_erasure_is_not_kept() {
        let all = Idempotency::default();
        let begun = all.begin([1; 32], [1; 32], Some(person(1)), Remember::Reply, at(0));
        all.forget_person(person(1));
        if let Ok(Begin::Fresh(running)) = begun {
            running.done(&Reply::bytes(201, "application/json", b"late".to_vec()));
        }
        assert_eq!(ask(&all, 1, 1, 0), "fresh");
    }

    #[test]
    fn memory_is_bounded_in_entries_and_in_bytes() {
        let all = Idempotency::default();
        let large = vec![b'x'; REPLY_BYTES_MAX];
        for number in 0..ENTRIES_MAX + 500 {
            let key = digest(&[&number.to_be_bytes()]);
            let begun = all.begin(key, key, None, Remember::Reply, at(0));
            if let Ok(Begin::Fresh(running)) = begun {
                let body = if number < 1100 { large.clone() } else { vec![] };
                running.done(&Reply::bytes(201, "application/json", body));
            }
        }
        let entries = all.0.lock();
        assert_eq!(entries.by_key.len(), ENTRIES_MAX);
        assert!(entries.reply_bytes <= REPLIES_BYTES_MAX);
        assert!(entries.oldest_first.len() <= 2 * ENTRIES_MAX);
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
    }
}
