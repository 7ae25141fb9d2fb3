//! Backups that the server makes: by its schedule and when somebody asks; and the erasure ledger beside them.
//!
//! Where they go, and to whom keys are sealed, is the configuration's alone: who could name a directory could read
//! and write what the server can, and who could name a recipient could read every value. Nothing here holds a
//! secret: key parts are sealed to public keys, and what opens them stays with `vault-cli`.

pub(crate) mod ledger;
pub(crate) mod look;
mod place;
pub(crate) mod schedule;
pub(crate) mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use vault_core::backup::target::Target;
use vault_core::refusal::Refusal;

use crate::config::BackupConfig;
use ledger::{Copied, Copy};
use schedule::Schedule;

pub use place::PlaceError;
pub(crate) use place::{Within, prepare};

/// What the server knows of its backups; kept in memory, and found out anew when the vault is opened.
pub(crate) struct Backups {
    pub(crate) config: BackupConfig,
    /// Where backups go, if they do.
    target: Option<Arc<dyn Target>>,
    copies: Vec<Copy>,
    standing: Mutex<Standing>,
    prune_failures: AtomicU64,
}

#[derive(Default)]
struct Standing {
    schedule: Schedule,
    /// Whether the registry was asked since the vault was opened.
    learned: bool,
    /// When key parts that are overdue were last gone after.
    pruned_at: Option<Timestamp>,
}

/// How backups stand, in plain numbers.
#[derive(Clone, Debug)]
pub(crate) struct BackupFigures {
    /// When the next is due, where there is a schedule.
    pub(crate) next_due_at: Option<Timestamp>,
    /// For how many seconds one has been lacking that should have begun, where there is a schedule.
    pub(crate) late_seconds: Option<u64>,
    /// When one of this configuration was last whole.
    pub(crate) completed_at: Option<Timestamp>,
    /// When one last failed.
    pub(crate) failed_at: Option<Timestamp>,
    /// Failures since the last that did not.
    pub(crate) failures: u32,
    /// Prunings that failed since the server started.
    pub(crate) prune_failures: u64,
    /// The copies of the erasure ledger.
    pub(crate) copies: Vec<Copied>,
}

impl BackupFigures {
    /// For how many seconds the copy of the ledger that is furthest behind has lacked something.
    pub(crate) fn ledger_behind_seconds(&self) -> u64 {
        let copies = self.copies.iter();
        copies.map(|copy| copy.behind_seconds).max().unwrap_or(0)
    }
}

impl Backups {
    /// Nothing is reached for yet: a target that is away must not keep a vault from being served.
    pub(crate) fn new(config: BackupConfig) -> Self {
        let made = |place| place::target(place, &config.s3);
        let target = config.to.as_ref().map(made);
        let places = config.places();
        let copies = places.iter().map(|place| {
            let same = config.to.as_ref() == Some(place);
            let shared = target.clone().filter(|_| same);
            Copy::new(shared.unwrap_or_else(|| made(place)))
        });
        Self {
            copies: copies.collect(),
            target,
            config,
            standing: Mutex::default(),
            prune_failures: AtomicU64::new(0),
        }
    }

    /// Where backups go.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] where the configuration names no place.
    pub(crate) fn target(&self) -> Result<&Arc<dyn Target>, Refusal> {
        let none =
            || Refusal::Conflict("the configuration names no target: set `backup.to`".into());
        self.target.as_ref().ok_or_else(none)
    }

    /// The vault was closed: what its registry says has to be found out anew.
    pub(crate) fn forget(&self) {
        self.standing.lock().learned = false;
        self.copies.iter().for_each(Copy::forget);
    }

    /// How they stand at `now`, `running` on the clock that nobody sets, for a ledger of so many entries; `None`
    /// where nothing is configured.
    pub(crate) fn figures(
        &self,
        now: Timestamp,
        running: i64,
        entries: u64,
    ) -> Option<BackupFigures> {
        if self.copies.is_empty() {
            return None;
        }
        let standing = self.standing.lock();
        let schedule = &standing.schedule;
        let every = self.config.every.as_ref();
        Some(BackupFigures {
            next_due_at: every.map(|every| schedule.next(every, now)),
            late_seconds: every.map(|every| {
                let late = schedule.late(every, now).as_secs();
                u64::try_from(late).unwrap_or(0)
            }),
            completed_at: schedule.completed_at,
            failed_at: schedule.failed_at,
            failures: schedule.failures,
            prune_failures: self.prune_failures.load(Ordering::Relaxed),
            copies: self
                .copies
                .iter()
                .map(|copy| copy.figures(running, entries))
                .collect(),
        })
    }
}
