//! Long work, seen from outside: what runs, how far it is, how it ended.
//!
//! Kept in memory alone: work that must go on after a crash keeps its own place in the store, and shows
//! itself here again when it does. Knows nothing of what the work is. A job says numbers and fixed
//! texts, never a name or a value.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use crate::clock::Clock;
use crate::id::BackupId;
use crate::limits::{JOBS_KEPT_MAX, JOBS_RUNNING_MAX};
use crate::refusal::Refusal;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// Copies the vault to a target.
    Backup,
    /// Reads a backup back.
    BackupVerify,
    /// Makes a new key part for a backup.
    BackupRekey,
    /// Finds who is affected by a breach.
    BreachScope,
    /// Takes people or records from a file.
    Import,
    /// Gives keys their successors.
    Rotation,
    /// Lets end what has ended.
    Sweep,
}

impl JobKind {
    /// Every kind, in the order of their names.
    pub const ALL: [Self; 7] = [
        Self::Backup,
        Self::BackupRekey,
        Self::BackupVerify,
        Self::BreachScope,
        Self::Import,
        Self::Rotation,
        Self::Sweep,
    ];

    /// Whether one of this kind may not run beside one of the other: they take up what the other leaves.
    fn excludes(self, other: Self) -> bool {
        let copies = [Self::Backup, Self::BackupRekey];
        self == other || (copies.contains(&self) && copies.contains(&other))
    }

    /// The name, in answers and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::BackupVerify => "backup_verify",
            Self::BackupRekey => "backup_rekey",
            Self::BreachScope => "breach_scope",
            Self::Import => "import",
            Self::Rotation => "rotation",
            Self::Sweep => "sweep",
        }
    }
}

/// How a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It goes on.
    Running,
    /// It did all that it was to do.
    Done,
    /// Somebody ended it.
    Cancelled,
    /// It could not go on; why, in a sentence without a value.
    Failed(String),
}

/// A job seen from outside.
#[derive(Clone, Debug)]
pub struct JobView {
    /// Counts from 1 since the vault was opened.
    pub number: u64,
    /// What it does.
    pub kind: JobKind,
    /// How it stands.
    pub state: JobState,
    /// Since when.
    pub started_at: Timestamp,
    /// Until when.
    pub ended_at: Option<Timestamp>,
    /// So much is done, in `unit`.
    pub done: u64,
    /// Of so much, where that is known.
    pub total: Option<u64>,
    /// What is counted, such as `people`.
    pub unit: &'static str,
    /// The backup that it makes, reads or changes, as soon as there is one.
    pub backup: Option<BackupId>,
    /// What it came to, in numbers with fixed names.
    pub result: Vec<(&'static str, u64)>,
}

struct Entry {
    view: JobView,
    cancel: bool,
    /// On the clock that nobody sets: until when something must have been heard of it, and why it has
    /// failed if not.
    expected: Option<(i64, &'static str)>,
}

#[derive(Default)]
struct Inner {
    last: u64,
    running: Vec<Entry>,
    /// Oldest first.
    ended: VecDeque<JobView>,
    /// How many ended so, by kind: done, cancelled, failed.
    counts: [[u64; 3]; JobKind::ALL.len()],
}

/// The jobs of an open vault.
#[derive(Clone)]
pub struct Jobs {
    clock: Arc<dyn Clock>,
    inner: Arc<Mutex<Inner>>,
}

/// How many jobs of one kind there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobCounts {
    /// The kind.
    pub kind: JobKind,
    /// Under way.
    pub running: u64,
    /// Ended well, since the vault was opened.
    pub done: u64,
    /// Ended by somebody.
    pub cancelled: u64,
    /// Could not go on.
    pub failed: u64,
}

impl Jobs {
    /// No jobs yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            inner: Arc::default(),
        }
    }

    /// Begins a job that counts in `unit`. It has failed if the handle is dropped before it is ended.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] where one of this kind runs, or one of another that it must not run beside; [`Refusal::Overloaded`] where too many do.
    pub fn begin(&self, kind: JobKind, unit: &'static str) -> Result<Job, Refusal> {
        let mut inner = self.lock();
        let mut running = inner.running.iter();
        if let Some(other) = running.find(|entry| entry.view.kind.excludes(kind)) {
            return Err(Refusal::Conflict(format!(
                "a job of this kind ({}) is under way: wait for its end, or cancel it",
                other.view.kind.name()
            )));
        }
        if inner.running.len() >= JOBS_RUNNING_MAX {
            return Err(Refusal::Overloaded);
        }
        inner.last += 1;
        let number = inner.last;
        inner.running.push(Entry {
            view: JobView {
                number,
                kind,
                state: JobState::Running,
                started_at: self.clock.now(),
                ended_at: None,
                done: 0,
                total: None,
                unit,
                backup: None,
                result: Vec::new(),
            },
            cancel: false,
            expected: None,
        });
        Ok(Job {
            number,
            jobs: self.clone(),
        })
    }

    /// All jobs under way and the last that ended, newest first.
    #[must_use]
    pub fn list(&self) -> Vec<JobView> {
        let inner = self.lock();
        let running = inner.running.iter().map(|entry| entry.view.clone());
        let mut all: Vec<JobView> = running.chain(inner.ended.iter().cloned()).collect();
        all.sort_by_key(|view| std::cmp::Reverse(view.number));
        all
    }

    /// One job.
    #[must_use]
    pub fn find(&self, number: u64) -> Option<JobView> {
        self.list().into_iter().find(|view| view.number == number)
    }

    /// Asks a job to end; whether it runs. It ends at its next step.
    pub fn cancel(&self, number: u64) -> bool {
        let mut inner = self.lock();
        let mut running = inner.running.iter_mut();
        let found = running.find(|entry| entry.view.number == number);
        found.is_some_and(|entry| {
            entry.cancel = true;
            true
        })
    }

    /// Whether somebody has asked a job to end that runs.
    #[must_use]
    pub fn cancel_asked(&self, number: u64) -> bool {
        let inner = self.lock();
        let mut running = inner.running.iter();
        running.any(|entry| entry.view.number == number && entry.cancel)
    }

    /// Asks every job to end, as the vault closes.
    pub fn cancel_all(&self) {
        let mut inner = self.lock();
        inner
            .running
            .iter_mut()
            .for_each(|entry| entry.cancel = true);
    }

    /// How many there are and were, in the order of [`JobKind::ALL`].
    #[must_use]
    pub fn counts(&self) -> [JobCounts; JobKind::ALL.len()] {
        let inner = self.lock();
        let mut at = 0;
        JobKind::ALL.map(|kind| {
            let [done, cancelled, failed] = inner.counts[at];
            at += 1;
            let running = inner.running.iter().filter(|entry| entry.view.kind == kind);
            JobCounts {
                kind,
                running: running.count() as u64,
                done,
                cancelled,
                failed,
            }
        })
    }

    fn end(&self, number: u64, state: JobState) {
        let now = self.clock.now();
        self.lock().end(number, state, now);
    }

    /// Everything, as it stands now: what nobody has been heard of has failed.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock();
        let running = self.clock.running();
        let given_up = |entry: &Entry| {
            let (until, why) = entry.expected?;
            (until < running).then_some((entry.view.number, why))
        };
        let given_up: Vec<_> = inner.running.iter().filter_map(given_up).collect();
        for (number, why) in given_up {
            inner.end(number, JobState::Failed(why.to_owned()), self.clock.now());
        }
        inner
    }
}

impl Inner {
    fn end(&mut self, number: u64, state: JobState, now: Timestamp) {
        let place = self.running.iter().position(|e| e.view.number == number);
        let Some(place) = place else { return };
        let mut view = self.running.swap_remove(place).view;
        let way = match state {
            JobState::Done => 0,
            JobState::Cancelled => 1,
            JobState::Failed(_) | JobState::Running => 2,
        };
        let kinds = JobKind::ALL.iter();
        if let Some((_, counts)) = kinds.zip(&mut self.counts).find(|(k, _)| **k == view.kind) {
            counts[way] += 1;
        }
        view.state = state;
        view.ended_at = Some(now);
        if self.ended.len() >= JOBS_KEPT_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(view);
    }
}

/// A job under way, held by who does it.
pub struct Job {
    number: u64,
    jobs: Jobs,
}

impl Job {
    /// Its number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    fn change(&self, change: impl FnOnce(&mut JobView)) {
        let mut inner = self.jobs.lock();
        let mut running = inner.running.iter_mut();
        if let Some(entry) = running.find(|entry| entry.view.number == self.number) {
            change(&mut entry.view);
        }
    }

    /// Says how far it is.
    pub fn progress(&self, done: u64, total: Option<u64>) {
        self.change(|view| {
            view.done = done;
            view.total = total;
        });
    }

    /// Says which backup it is about.
    pub fn about(&self, backup: BackupId) {
        self.change(|view| view.backup = Some(backup));
    }

    /// Says what it came to.
    pub fn came_to(&self, result: Vec<(&'static str, u64)>) {
        self.change(|view| view.result = result);
    }

    /// How it stands.
    #[must_use]
    pub fn view(&self) -> Option<JobView> {
        self.jobs.find(self.number)
    }

    /// Whether somebody has asked it to end.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.jobs.cancel_asked(self.number)
    }

    /// Has it fail, for the reason `why`, unless this is called again within `seconds`, or it is ended: whoever
    /// does it is outside, and may be gone without a word.
    pub fn expect_within(&self, seconds: i64, why: &'static str) {
        let until = self.jobs.clock.running().saturating_add(seconds * 1_000);
        let mut inner = self.jobs.lock();
        let mut running = inner.running.iter_mut();
        if let Some(entry) = running.find(|entry| entry.view.number == self.number) {
            entry.expected = Some((until, why));
        }
    }

    /// Whether it has not ended.
    #[must_use]
    pub fn running(&self) -> bool {
        let inner = self.jobs.lock();
        let mut running = inner.running.iter();
        running.any(|entry| entry.view.number == self.number)
    }

    /// It did all that it was to do.
    pub fn done(self) {
        self.jobs.end(self.number, JobState::Done);
    }

    /// It ended because it was asked to.
    pub fn ended_early(self) {
        self.jobs.end(self.number, JobState::Cancelled);
    }

    /// It could not go on. `why` is a sentence without a value.
    pub fn failed(self, why: String) {
        self.jobs.end(self.number, JobState::Failed(why));
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // Ended already, unless whoever did it is gone.
        let why = "it was given up before its end".to_owned();
        self.jobs.end(self.number, JobState::Failed(why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn jobs() -> (Jobs, Arc<ManualClock>) {
        let start = Timestamp::from_second(1_800_000_000).expect("in range");
        let clock = Arc::new(ManualClock::at(start));
        (Jobs::new(clock.clone()), clock)
    }

    #[test]
    fn a_job_of_which_nothing_is_heard_has_failed_and_makes_room() {
        let (jobs, clock) = jobs();
        let job = jobs.begin(JobKind::Import, "lines").unwrap();
        job.expect_within(60, "nobody is there");
        clock.advance(60_000);
        assert!(job.running());
        // A sign of life counts from when it came.
        job.expect_within(60, "nobody is there");
        clock.advance(60_000);
        assert_eq!(jobs.list()[0].state, JobState::Running);
        // The clock on the wall alone does not end it.
        clock.set(3_600_000);
        assert_eq!(jobs.list()[0].state, JobState::Running);
        clock.advance(1);
        assert_eq!(
            jobs.list()[0].state,
            JobState::Failed("nobody is there".into())
        );
        let counts = jobs.counts();
        let import = counts.iter().find(|one| one.kind == JobKind::Import);
        assert_eq!(import.map(|one| (one.running, one.failed)), Some((0, 1)));
        assert!(!job.running() && !jobs.cancel(job.number()));
        // What its holder still says of it changes nothing.
        let next = jobs.begin(JobKind::Import, "lines").unwrap();
        job.progress(5, None);
        job.done();
        assert_eq!(jobs.list().len(), 2);
        next.done();
        assert_eq!(jobs.list()[0].state, JobState::Done);
    }

    #[test]
    fn a_job_is_seen_from_its_beginning_to_its_end() {
        let (jobs, clock) = jobs();
        let job = jobs.begin(JobKind::Backup, "people").expect("the first");
        job.progress(3, Some(10));
        let view = jobs.find(job.number()).expect("it runs");
        assert_eq!(
            (view.done, view.total, view.state),
            (3, Some(10), JobState::Running)
        );
        assert_eq!(view.ended_at, None);
        clock.advance(5_000);
        job.done();
        let view = jobs.find(1).expect("it is kept");
        assert_eq!(view.state, JobState::Done);
        let took = view
            .ended_at
            .expect("it ended")
            .duration_since(view.started_at);
        assert_eq!(took.as_secs(), 5);
        let counts = jobs.counts();
        assert_eq!(
            (counts[0].kind, counts[0].running, counts[0].done),
            (JobKind::Backup, 0, 1)
        );
    }

    #[test]
    fn of_one_kind_one_runs_at_a_time() {
        let (jobs, _) = jobs();
        let first = jobs.begin(JobKind::Rotation, "people").expect("the first");
        let second = jobs.begin(JobKind::Rotation, "people");
        assert!(matches!(second, Err(Refusal::Conflict(_))));
        first.done();
        assert!(jobs.begin(JobKind::Rotation, "people").is_ok());
    }

    #[test]
    fn a_backup_and_new_keys_for_one_do_not_run_together() {
        let (jobs, _) = jobs();
        let backup = jobs.begin(JobKind::Backup, "people").expect("the first");
        let rekey = jobs.begin(JobKind::BackupRekey, "people");
        assert!(matches!(rekey, Err(Refusal::Conflict(_))));
        assert!(jobs.begin(JobKind::Sweep, "people").is_ok());
        backup.done();
        assert!(jobs.begin(JobKind::BackupRekey, "people").is_ok());
    }

    #[test]
    fn one_that_is_dropped_has_failed_and_one_that_is_cancelled_learns_of_it() {
        let (jobs, _) = jobs();
        drop(jobs.begin(JobKind::Import, "lines").expect("the first"));
        assert!(matches!(jobs.list()[0].state, JobState::Failed(_)));
        let job = jobs.begin(JobKind::Import, "lines").expect("the next");
        assert!(!job.cancelled());
        assert!(jobs.cancel(job.number()));
        assert!(job.cancelled());
        let number = job.number();
        job.ended_early();
        assert_eq!(jobs.list()[0].state, JobState::Cancelled);
        assert!(!jobs.cancel(number), "it has ended");
    }

    #[test]
    fn the_last_that_ended_are_kept_and_no_more() {
        let (jobs, _) = jobs();
        for _ in 0..JOBS_KEPT_MAX + 3 {
            jobs.begin(JobKind::Sweep, "people").expect("alone").done();
        }
        let list = jobs.list();
        assert_eq!(list.len(), JOBS_KEPT_MAX);
        assert_eq!(list[0].number, JOBS_KEPT_MAX as u64 + 3);
        assert_eq!(list.last().map(|view| view.number), Some(4));
    }
}
