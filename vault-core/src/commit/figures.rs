//! What the writer counts while it works: plain numbers for whoever watches a vault.
//!
//! Holds no name, no id and no value, and decides nothing. The writer changes a number with one
//! atomic operation, so that neither it nor a caller waits for whoever reads them; read together,
//! they may be one commit apart.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use super::state::{EpochRow, State};

/// Upper bounds of a commit's time, in microseconds: a durable commit takes from half a millisecond
/// on an NVMe disk to a quarter of a second on a busy network disk.
const COMMIT_MICROSECONDS: [u64; 13] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000,
];
/// Upper bounds of the changes in one commit, up to [`BATCH_MAX`](crate::limits::BATCH_MAX).
const COMMIT_CHANGES: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
/// Stands for an index that is not stale; no instant that a clock shows.
const FRESH: i64 = i64::MIN;

/// How often a quantity fell between which bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Upper bounds, ascending, each belonging to its bucket.
    pub bounds: &'static [u64],
    /// How often it fell into each bucket (not summed up), and last how often above all bounds.
    pub counts: Vec<u64>,
    /// Of every value.
    pub sum: u64,
}

/// A histogram that is being filled.
struct Distribution<const N: usize> {
    bounds: &'static [u64; N],
    counts: [AtomicU64; N],
    above: AtomicU64,
    sum: AtomicU64,
}

impl<const N: usize> Distribution<N> {
    fn new(bounds: &'static [u64; N]) -> Self {
        Self {
            bounds,
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            above: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    fn add(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        let count = self.counts.get(bucket).unwrap_or(&self.above);
        count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    fn read(&self) -> Histogram {
        let counts = self.counts.iter().chain([&self.above]);
        Histogram {
            bounds: self.bounds,
            counts: counts.map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

/// The numbers of one writer, from its start on.
pub(super) struct Counts {
    waiting: AtomicU64,
    commits: AtomicU64,
    commit_microseconds: Distribution<13>,
    commit_changes: Distribution<10>,
    recoveries: AtomicU64,
    people: AtomicU64,
    erased: AtomicU64,
    epoch: AtomicU64,
    audit_entries: AtomicU64,
    ledger_entries: AtomicU64,
    policy_version: AtomicU32,
    index_stale_since: AtomicI64,
}

/// What a writer has counted.
pub struct WriterFigures {
    /// Changes that wait for the writer now.
    pub waiting: u64,
    /// Durable commits.
    pub commits: u64,
    /// Their time, from the first closure run to the commit made durable.
    pub commit_microseconds: Histogram,
    /// Changes in each.
    pub commit_changes: Histogram,
    /// Recoveries after an error of disk or anchor.
    pub recoveries: u64,
    /// People who are not erased.
    pub people: u64,
    /// People who were.
    pub erased: u64,
    /// The anchor's epoch.
    pub epoch: u64,
    /// Entries of the log.
    pub audit_entries: u64,
    /// Entries of the erasure ledger.
    pub ledger_entries: u64,
    /// The policy in force.
    pub policy_version: u32,
    /// Since when, in milliseconds since 1970, the index waits to be built anew.
    pub index_stale_since: Option<i64>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            waiting: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            commit_microseconds: Distribution::new(&COMMIT_MICROSECONDS),
            commit_changes: Distribution::new(&COMMIT_CHANGES),
            recoveries: AtomicU64::new(0),
            people: AtomicU64::new(0),
            erased: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            audit_entries: AtomicU64::new(0),
            ledger_entries: AtomicU64::new(0),
            policy_version: AtomicU32::new(0),
            index_stale_since: AtomicI64::new(FRESH),
        }
    }
}

impl Counts {
    /// A change is about to be queued.
    pub(super) fn queued(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// A change was taken from the queue, or never came into it.
    pub(super) fn taken(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// A batch of `changes` is durable.
    pub(super) fn committed(&self, changes: usize, microseconds: u128) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.commit_changes.add(changes as u64);
        let microseconds = u64::try_from(microseconds).unwrap_or(u64::MAX);
        self.commit_microseconds.add(microseconds);
    }

    /// The vault went on after an error.
    pub(super) fn recovered(&self) {
        self.recoveries.fetch_add(1, Ordering::Relaxed);
    }

    /// This is the state that was committed last.
    pub(super) fn publish(&self, state: &State, row: EpochRow) {
        let stale = state.index_stale_since.unwrap_or(FRESH);
        self.people.store(state.people, Ordering::Relaxed);
        self.erased.store(state.erased, Ordering::Relaxed);
        self.epoch.store(row.epoch, Ordering::Relaxed);
        self.audit_entries
            .store(state.audit_next, Ordering::Relaxed);
        self.ledger_entries.store(state.ledger, Ordering::Relaxed);
        self.policy_version
            .store(state.policy_version, Ordering::Relaxed);
        self.index_stale_since.store(stale, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> WriterFigures {
        let stale = self.index_stale_since.load(Ordering::Relaxed);
        WriterFigures {
            waiting: self.waiting.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
            commit_microseconds: self.commit_microseconds.read(),
            commit_changes: self.commit_changes.read(),
            recoveries: self.recoveries.load(Ordering::Relaxed),
            people: self.people.load(Ordering::Relaxed),
            erased: self.erased.load(Ordering::Relaxed),
            epoch: self.epoch.load(Ordering::Relaxed),
            audit_entries: self.audit_entries.load(Ordering::Relaxed),
            ledger_entries: self.ledger_entries.load(Ordering::Relaxed),
            policy_version: self.policy_version.load(Ordering::Relaxed),
            index_stale_since: (stale != FRESH).then_some(stale),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_the_bucket_of_the_next_bound_and_one_above_all_into_the_last() {
        let filled = Distribution::new(&COMMIT_CHANGES);
        for value in [0, 1, 2, 3, 512, 513] {
            filled.add(value);
        }
        let read = filled.read();
        assert_eq!(read.counts, [2, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(read.sum, 1031);
        assert_eq!(read.counts.len(), read.bounds.len() + 1);
    }
}
