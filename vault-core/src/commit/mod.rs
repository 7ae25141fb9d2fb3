//! The writer: closures in, one commit out, and the anchor moved at the right moment.
//!
//! Callers queue closures over a [`Txn`]; one thread runs them, each over the changes of those
//! before it that succeeded, and commits them together. If any of them destroyed a key, the commit
//! is an anchor pass: the next secret is prepared before it and the old one retired after it, and
//! only then is the erasure acknowledged. Readers take a [`Snapshot`] and never wait.
//!
//! Knows nothing of policies or records. After any error only recovery goes on: it reopens the
//! store, finds out which epoch was committed, and ends the other.

mod batch;
mod figures;
mod recover;
mod reserve;
mod snapshot;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod txn;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, RwLock};

use crate::audit::Entry;
use crate::audit::journal::{Journal, JournalError};
use crate::backup::ledger::LedgerFile;
use crate::clock::Clock;
use crate::entropy::{Entropy, OsEntropy};
use crate::id::VaultId;
use crate::keys::anchor::Anchor;
use crate::keys::shred::ShredError;
use crate::keys::slots::SlotFile;
use crate::keys::system::{Roots, SystemKeys};
use crate::limits::{BATCH_MAX, CLOCK_LEAD_HOURS_MAX, QUEUE_MAX};
use crate::refusal::{Refusal, STORE_DAMAGED};
use crate::revocation::Revocation;
use crate::store::{Store, StoreError};
use batch::Publish;

pub use figures::{Histogram, WriterFigures};
pub use recover::{
    RecoverError, RedbFactory, RootCandidate, StoreFactory, initialise, store_state,
};
pub use reserve::{FileReserve, Reserve};
pub use snapshot::Snapshot;
pub use state::State;
pub use txn::{IndexHit, Txn, View};
pub use watch::{Touched, Watching};

/// How long the writer waits for more work when others have just been answered.
const LINGER: Duration = Duration::from_micros(100);
/// How long reads may wait in the journal for a commit to take them into the log.
const FOLD_EVERY: Duration = Duration::from_secs(1);

/// What a writer works on.
pub struct Parts {
    /// The vault.
    pub vault: VaultId,
    /// Opens the store, again after an error.
    pub store: Box<dyn StoreFactory>,
    /// Keeps the secret of the epoch.
    pub anchor: Box<dyn Anchor>,
    /// Keeps the root key.
    pub slots: SlotFile,
    /// The erasure ledger's file.
    pub(crate) ledger: LedgerFile,
    /// The root keys that a slot has yielded.
    pub root_keys: Vec<RootCandidate>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// Keys and identifiers.
    pub entropy: Box<dyn Entropy>,
    /// Room for erasures on a full disk.
    pub reserve: Option<Box<dyn Reserve>>,
    /// Somebody has looked at the clock and says that it is right, however far ahead.
    pub confirm_clock: bool,
    /// Somebody knows that the database is older than the anchor's checkpoint, and goes on.
    pub accept_rollback: bool,
}

/// What readers and the writer share.
struct Shared {
    vault: VaultId,
    clock: Arc<dyn Clock>,
    /// `None` while the store is being recovered, and after the end.
    live: RwLock<Option<Live>>,
    revocation: Revocation,
    /// Commits since the store was opened first.
    commits: AtomicU64,
    /// The disk is full: nothing but erasures is committed.
    full: AtomicBool,
    /// What the system's clock is held to.
    believed: Mutex<Believed>,
    counts: figures::Counts,
    watch: watch::Watch,
}

/// What the system's clock is held to: the vault's time and, on the clock that nobody sets, when it was that.
#[derive(Clone, Copy, Default)]
struct Believed {
    /// Milliseconds since 1970.
    time: i64,
    running: i64,
    /// Somebody has said that the clock is right, however far ahead it is.
    confirmed: bool,
}

impl Believed {
    /// The present, and whether the clock is too far ahead for that: then it is what has really passed since the
    /// last commit.
    fn now(self, clock: &dyn Clock) -> (Timestamp, bool) {
        let last = Timestamp::from_millisecond(self.time).unwrap_or_default();
        let now = clock.now().max(last);
        let elapsed = (clock.running() - self.running).max(0);
        let expected = last + SignedDuration::from_millis(elapsed);
        let bound = expected + SignedDuration::from_hours(CLOCK_LEAD_HOURS_MAX);
        match now > bound && !self.confirmed {
            true => (expected, true),
            false => (now, false),
        }
    }
}

/// The store, and the keys of the state that was committed last; while a commit runs, those of the
/// next as well, so that a reader finds the keys of whichever state its snapshot shows.
struct Live {
    store: Arc<dyn Store>,
    keys: Vec<Arc<Keys>>,
}

/// The keys of one committed state.
struct Keys {
    /// Counts the changes of roots and system keyset; stands in the store in clear.
    serial: u64,
    roots: Roots,
    system: Arc<SystemKeys>,
}

/// What a closure answers with.
type Run = Box<dyn FnMut(&mut Txn<'_>) -> Result<(), Refusal> + Send>;
type Done = Box<dyn FnOnce(Result<(), Refusal>) + Send>;

struct Job {
    run: Run,
    done: Done,
}

/// The writer of an open vault.
pub struct Engine {
    shared: Arc<Shared>,
    journal: Arc<Journal>,
    queue: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    rolled_back: bool,
}

impl Engine {
    /// Opens the store, recovers what a crash left half done, and starts the writer.
    ///
    /// `journal` opens the read journal once the keys are known.
    ///
    /// # Errors
    ///
    /// [`RecoverError`]; nothing is changed that recovery would not change again.
    pub fn start(
        parts: Parts,
        open_journal: impl FnOnce(&SystemKeys, &State) -> Result<Journal, RecoverError>,
    ) -> Result<Self, RecoverError> {
        let shared = Arc::new(Shared {
            vault: parts.vault,
            clock: parts.clock.clone(),
            live: RwLock::new(None),
            revocation: Revocation::default(),
            commits: AtomicU64::new(0),
            full: AtomicBool::new(false),
            believed: Mutex::default(),
            counts: figures::Counts::default(),
            watch: watch::Watch::default(),
        });
        let mut writer = batch::Writer::new(parts, shared.clone());
        let rolled_back = writer.recover()?;
        writer.look_at_clock();
        writer.restore_reserve();
        let journal = Arc::new(writer.with_keys(open_journal)?);
        writer.attach(journal.clone());
        let (queue, jobs) = mpsc::sync_channel::<Job>(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("vault-writer".into())
            .spawn(move || run(&mut writer, &jobs))
            .map_err(|error| RecoverError::Store(StoreError::Io(error)))?;
        Ok(Self {
            shared,
            journal,
            queue: Mutex::new(Some(queue)),
            thread: Mutex::new(Some(thread)),
            rolled_back,
        })
    }

    /// Runs `f` in a commit and returns what it returned once that is durable; if it destroyed a
    /// key, once the key is gone. `f` must be pure: it may run twice.
    ///
    /// # Errors
    ///
    /// What `f` returns, and then nothing of it has happened; [`Refusal::AnchorUnavailable`],
    /// [`Refusal::DiskFull`], [`Refusal::Locked`], [`Refusal::OutcomeUnknown`],
    /// [`Refusal::Overloaded`].
    pub fn submit<T: Send + 'static>(
        &self,
        mut f: impl FnMut(&mut Txn<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let slot = Arc::new(Mutex::new(None));
        let result = slot.clone();
        let (answer, answered) = mpsc::sync_channel(1);
        let job = Job {
            run: Box::new(move |txn| {
                *result.lock() = Some(f(txn)?);
                Ok(())
            }),
            done: Box::new(move |outcome| {
                // The caller may be gone; what was committed stays committed.
                let _ = answer.send(outcome);
            }),
        };
        let queue = self.queue.lock().clone().ok_or(Refusal::Locked)?;
        self.shared.counts.queued();
        queue.try_send(job).map_err(|error| {
            self.shared.counts.taken();
            match error {
                TrySendError::Full(_) => Refusal::Overloaded,
                TrySendError::Disconnected(_) => Refusal::Locked,
            }
        })?;
        drop(queue);
        answered.recv().unwrap_or(Err(Refusal::OutcomeUnknown))?;
        let value = slot.lock().take();
        value.ok_or(Refusal::Internal("a commit lost its result"))
    }

    /// The state that was committed last.
    ///
    /// # Errors
    ///
    /// [`Refusal::Locked`], [`Refusal::OutcomeUnknown`] while the vault recovers.
    pub fn snapshot(&self) -> Result<Snapshot, Refusal> {
        Snapshot::take(&self.shared)
    }

    /// The counters that keep readers from outliving an acknowledgement.
    #[must_use]
    pub fn revocation(&self) -> &Revocation {
        &self.shared.revocation
    }

    /// How many commits there were since the engine started.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Acquire)
    }

    /// Records a read before its value leaves.
    ///
    /// # Errors
    ///
    /// [`Refusal::DiskFull`] or [`Refusal::Internal`], and then the value must not leave.
    pub fn record_read(&self, entry: &Entry) -> Result<(), Refusal> {
        const BROKEN: Refusal = Refusal::Internal("the read journal cannot be written");
        self.journal
            .append(&entry.encode())
            .map_err(|error| match error {
                JournalError::Io(error) => match StoreError::from(error) {
                    StoreError::DiskFull => Refusal::DiskFull,
                    _ => BROKEN,
                },
                JournalError::Damaged => BROKEN,
            })
    }

    /// From now on no entry of a read can be written.
    #[cfg(test)]
    pub(crate) fn break_journal(&self) {
        self.journal.break_off();
    }

    /// Whether the vault was opened with a log that does not go on from the anchor's checkpoint.
    #[must_use]
    pub fn rolled_back(&self) -> bool {
        self.rolled_back
    }

    /// Bytes that were cut off the read journal when it was opened.
    #[must_use]
    pub fn journal_cut(&self) -> u64 {
        self.journal.cut()
    }

    /// Whether the disk is so full that nothing but erasures is committed.
    #[must_use]
    pub fn full(&self) -> bool {
        self.shared.full.load(Ordering::Acquire)
    }

    /// Whether the system's clock is so far ahead of the vault's time that nothing may be destroyed
    /// by it until somebody has confirmed it.
    #[must_use]
    pub fn clock_leads(&self) -> bool {
        self.believed_now().1
    }

    /// What the writer has counted since it started, and the state that it committed last.
    #[must_use]
    pub fn figures(&self) -> WriterFigures {
        self.shared.counts.read()
    }

    /// The read journal's length in bytes, and its entries that the log does not have yet.
    #[must_use]
    pub fn journal_figures(&self) -> (u64, u64) {
        self.journal.figures()
    }

    /// Puts a file in the read journal's place in which nothing is under an old audit key.
    ///
    /// # Errors
    ///
    /// [`Refusal::DiskFull`]; [`Refusal::Internal`] if it cannot be written.
    pub fn renew_journal(&self) -> Result<(), Refusal> {
        let renewed = self.journal.renew(&mut OsEntropy);
        renewed.map_err(|error| match error {
            JournalError::Io(error) => StoreError::from(error).into(),
            JournalError::Damaged => Refusal::Internal("the read journal cannot be written"),
        })
    }

    /// Milliseconds on the clock that nobody sets.
    #[must_use]
    pub fn running(&self) -> i64 {
        self.shared.clock.running()
    }

    /// The present by which something may be destroyed, and whether the system's clock was not believed: then
    /// it is what has really passed since the last commit. Asked of the clock at this moment, so that
    /// a jump counts before anything is committed after it.
    #[must_use]
    pub fn believed_now(&self) -> (Timestamp, bool) {
        let believed = *self.shared.believed.lock();
        believed.now(&*self.shared.clock)
    }

    /// The present, for what needs no snapshot.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Ends the writer after what is queued, and forgets every key. Calls are refused from then on.
    pub fn close(&self) {
        self.queue.lock().take();
        if let Some(thread) = self.thread.lock().take() {
            // A panic of the writer has been answered with an unknown outcome already.
            let _ = thread.join();
        }
        self.shared.live.write().take();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

/// Takes jobs until the last sender is gone. A short wait after the first lets those who were just
/// answered come back before the commit, instead of missing every other one.
fn run(writer: &mut batch::Writer, jobs: &mpsc::Receiver<Job>) {
    let mut last = 1;
    loop {
        let first = match jobs.recv_timeout(FOLD_EVERY) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                writer.fold();
                writer.publish(Publish::IfDue);
                writer.note_in_ledger(Publish::IfDue);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX {
            match jobs.try_recv() {
                Ok(job) => batch.push(job),
                Err(_) if batch.len() >= last => break,
                Err(_) => match jobs.recv_timeout(LINGER) {
                    Ok(job) => batch.push(job),
                    Err(_) => break,
                },
            }
        }
        last = batch.len();
        writer.take(last);
        writer.look_at_room();
        writer.commit(batch);
        writer.publish(Publish::IfDue);
        writer.note_in_ledger(Publish::IfDue);
    }
    writer.fold();
    writer.publish(Publish::Now);
    writer.note_in_ledger(Publish::Now);
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::DiskFull => Self::DiskFull,
            StoreError::OutcomeUnknown | StoreError::Unavailable => Self::OutcomeUnknown,
            StoreError::Corrupt => Self::Internal(STORE_DAMAGED),
            StoreError::Aborted | StoreError::Held | StoreError::Io(_) | StoreError::NotFound => {
                Self::Internal("the store cannot be read or written")
            }
        }
    }
}

impl From<ShredError> for Refusal {
    fn from(error: ShredError) -> Self {
        match error {
            ShredError::Damaged => Self::Internal("a node or keyset is damaged"),
            ShredError::Exists => Self::Internal("a tag was inserted twice"),
            ShredError::Store(error) => error.into(),
        }
    }
}
