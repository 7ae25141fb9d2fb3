//! The vault in plain numbers, for whoever watches it.
//!
//! No name, no id and no value is among them. Reading them takes no snapshot and waits for no
//! commit. Knows nothing of how they are shown.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::Timestamp;

use super::{BackupSummary, DecisionsOpen, RequestFigures, Vault, create};
use crate::commit::WriterFigures;

pub use crate::commit::Histogram;

/// The figures of an open vault.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Durable commits since it was opened.
    pub commits: u64,
    /// Their time in microseconds, from the first change run to the commit made durable.
    pub commit_microseconds: Histogram,
    /// Changes in each of them.
    pub commit_changes: Histogram,
    /// Changes that wait for the writer now.
    pub waiting: u64,
    /// Recoveries after an error of disk or anchor, since it was opened.
    pub recoveries: u64,
    /// People who are not erased.
    pub people: u64,
    /// People who were, since the vault was made.
    pub erased: u64,
    /// The anchor's epoch: each erasing commit adds one.
    pub epoch: u64,
    /// Entries of the log.
    pub audit_entries: u64,
    /// Entries of the erasure ledger.
    pub ledger_entries: u64,
    /// Number of the policy in force.
    pub policy_version: u32,
    /// Length of the read journal, in bytes.
    pub journal_bytes: u64,
    /// Reads that the log does not have yet.
    pub journal_entries: u64,
    /// How long the index has waited to be built anew, in seconds; 0 where nothing waits.
    pub index_stale_seconds: u64,
    /// People with work that was later than promised when the sweeper's last round found it.
    pub sweep_overdue_people: u64,
    /// Seconds since the sweeper last came round to everybody; since the opening, if it has not.
    pub sweep_age_seconds: u64,
    /// Nothing but erasures is committed.
    pub disk_full: bool,
    /// How often somebody met a person who does not exist, since the vault was opened.
    pub honey_accesses: u64,
    /// How often each step of emergency access was taken, since the vault was opened.
    pub breakglass_steps: [(&'static str, u64); 5],
    /// Incidents of which the authority is still to be told.
    pub incidents_waiting: u64,
    /// Those of which it ought to have been told by now.
    pub incidents_overdue: u64,
    /// The clock is too far ahead to be believed, and nothing expires by it.
    pub clock_leads: bool,
    /// Size of all files.
    pub bytes_on_disk: u64,
    /// Addresses on the suppression list, as the sweeper last saw it.
    pub suppressions: u64,
    /// Requests of people, as the sweeper last saw them.
    pub requests: RequestFigures,
    /// Reviews of decisions, as the sweeper last saw them.
    pub decisions: DecisionsOpen,
    /// What there is of backups.
    pub backups: BackupSummary,
    /// The time that all this was read at.
    pub now: Timestamp,
}

/// The sweeper's rounds over everybody.
pub(super) struct Rounds {
    /// Found overdue in the round under way, and in the last that ended.
    finding: AtomicU64,
    found: AtomicU64,
    /// When the last round ended, on the clock that nobody sets.
    ended: AtomicI64,
}

impl Rounds {
    /// None has ended since `running`.
    pub(super) fn from(running: i64) -> Self {
        Self {
            finding: AtomicU64::new(0),
            found: AtomicU64::new(0),
            ended: AtomicI64::new(running),
        }
    }

    /// Somebody's work was later than promised.
    pub(super) fn found_overdue(&self) {
        self.finding.fetch_add(1, Ordering::Relaxed);
    }

    /// Everybody was looked at.
    pub(super) fn end(&self, running: i64) {
        let found = self.finding.swap(0, Ordering::Relaxed);
        self.found.store(found, Ordering::Relaxed);
        self.ended.store(running, Ordering::Relaxed);
    }
}

impl Vault {
    /// Entries of the erasure ledger, as the last commit left it.
    #[must_use]
    pub fn ledger_entries(&self) -> u64 {
        self.engine.figures().ledger_entries
    }

    /// The vault in numbers, without naming anybody.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let WriterFigures {
            waiting,
            commits,
            commit_microseconds,
            commit_changes,
            recoveries,
            people,
            erased,
            epoch,
            audit_entries,
            ledger_entries,
            policy_version,
            index_stale_since,
        } = self.engine.figures();
        let (journal_bytes, journal_entries) = self.engine.journal_figures();
        let now = self.engine.now().as_millisecond();
        let seconds = |milliseconds: i64| u64::try_from(milliseconds / 1000).unwrap_or(0);
        let ended = self.rounds.ended.load(Ordering::Relaxed);
        let incidents = self.incidents_waiting();
        Figures {
            commits,
            commit_microseconds,
            commit_changes,
            waiting,
            recoveries,
            people,
            erased,
            epoch,
            audit_entries,
            ledger_entries,
            policy_version,
            journal_bytes,
            journal_entries,
            index_stale_seconds: index_stale_since.map_or(0, |since| seconds(now - since)),
            sweep_overdue_people: self.rounds.found.load(Ordering::Relaxed),
            sweep_age_seconds: seconds(self.engine.running() - ended),
            disk_full: self.engine.full(),
            honey_accesses: self.honey_accesses(),
            breakglass_steps: self.breakglass_steps(),
            incidents_waiting: incidents.0,
            incidents_overdue: incidents.1,
            clock_leads: self.engine.clock_leads(),
            bytes_on_disk: create::bytes_on_disk(&self.paths),
            suppressions: self.memory.suppressions.load(Ordering::Relaxed),
            requests: self.memory.requests.figures(),
            decisions: self.memory.decisions.figures(),
            backups: self.known_backups(),
            now: self.engine.now(),
        }
    }
}
