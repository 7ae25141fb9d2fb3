//! One batch: run the closures, merge, move the anchor, commit, answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::recover::{self, RecoverError, RootCandidate};
use super::state::{EpochRow, State};
use super::txn::{Txn, Wishes};
use super::{Believed, Done, Job, Keys, Live, Parts, Run, Shared};
use crate::audit;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::journal::Journal;
use crate::audit::merkle::Frontier;
use crate::audit::signer::KeyChange;
use crate::audit::tree;
use crate::backup::ledger::{self, Head, LedgerEntry, Tip};
use crate::crypto::Secret;
use crate::entropy::reseed_nonces;
use crate::keys::anchor::Flush;
use crate::keys::system::{Roots, SystemKeys};
use crate::limits::{CHECKPOINT_HOURS, LEDGER_HEAD_HOURS};
use crate::refusal::Refusal;
use crate::store::{Changes, Overlay, Store, StoreError, Table, WriteTx};

/// Read entries that one commit takes into the log.
const FOLD_MAX: usize = 8_192;
/// How often reopening is tried while old readers still hold the file.
const REOPEN_TRIES: u32 = 200;
const REOPEN_PAUSE: Duration = Duration::from_millis(50);
/// How long the anchor's checkpoint may lag behind a log that grows.
const PUBLISH_EVERY_MILLISECONDS: i64 = 1_000;
/// How often, on a full disk, a writer that has no quiet moment looks for room.
const LOOK_AT_ROOM_MILLISECONDS: i64 = 1_000;

/// The state that was committed last, as the writer knows it.
struct Committed {
    store: Arc<dyn Store>,
    keys: Arc<Keys>,
    row: EpochRow,
    state: State,
    /// The edge of the tree over the log.
    log: Frontier,
    /// The end of the erasure ledger.
    ledger: Tip,
}

/// Which checkpoints are to be put into the anchor, and heads into the ledger's file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Publish {
    /// One a second; a head one an hour.
    IfDue,
    /// Whatever is not there.
    Now,
}

pub(super) struct Writer {
    parts: Parts,
    shared: Arc<Shared>,
    journal: Option<Arc<Journal>>,
    committed: Option<Committed>,
    /// Where the clock that nobody sets stood at the last commit.
    running: i64,
    /// Size of the log in the anchor's checkpoint, and where that clock stood then.
    published: (u64, i64),
    /// When it was last looked whether a full disk has room again.
    looked_at_room: i64,
}

/// A closure that has run.
struct Ran {
    job: Job,
    outcome: Result<(), Refusal>,
    shreds: bool,
    /// Whether it may be made on a full disk.
    erases: bool,
    /// Whether the ledger's file has to have something of it before it is acknowledged.
    in_ledger: bool,
}

/// A batch that is ready to be committed.
struct Prepared {
    changes: Changes,
    wishes: Wishes,
    row: EpochRow,
    state: State,
    log: Frontier,
    ledger: Tip,
    /// What the ledger's file gains.
    ledger_frames: Vec<u8>,
    /// The keys after the commit, if it changes any.
    keys: Option<Arc<Keys>>,
    /// For an anchor pass: the next secret.
    secret: Option<Secret<32>>,
    /// For a new root key: it, and its slots' generation.
    root_key: Option<RootCandidate>,
    folded: Option<u64>,
}

/// How a batch ended.
enum Ended {
    Committed,
    /// The anchor refused its first step; nothing has changed.
    NoAnchor,
    /// The store refused before its commit; nothing has changed.
    Refused(StoreError),
    /// It may have been committed.
    Unknown,
}

impl Writer {
    pub(super) fn new(parts: Parts, shared: Arc<Shared>) -> Self {
        Self {
            running: shared.clock.running(),
            published: (u64::MAX, shared.clock.running()),
            looked_at_room: 0,
            parts,
            shared,
            journal: None,
            committed: None,
        }
    }

    pub(super) fn attach(&mut self, journal: Arc<Journal>) {
        self.journal = Some(journal);
    }

    pub(super) fn with_keys<T>(
        &self,
        f: impl FnOnce(&SystemKeys, &State) -> Result<T, RecoverError>,
    ) -> Result<T, RecoverError> {
        let committed = self.committed.as_ref().ok_or(RecoverError::NoAnchor)?;
        f(&committed.keys.system, &committed.state)
    }

    /// What a commit now is to record as the vault's time. A clock that is more than a day ahead of
    /// it is not believed until somebody confirms it: one commit in 2036 would make 2036 true, and
    /// the sweeper would destroy everything that is over by then.
    pub(super) fn look_at_clock(&mut self) -> Timestamp {
        let committed = self.committed.as_ref().expect("the caller recovered");
        let believed = Believed {
            time: committed.state.time,
            running: self.running,
            confirmed: self.parts.confirm_clock,
        };
        *self.shared.believed.lock() = believed;
        believed.now(&*self.shared.clock).0
    }

    /// Takes the room for erasures back, and with it goes on with everything else.
    pub(super) fn restore_reserve(&mut self) {
        let held = self.parts.reserve.as_mut().is_none_or(|r| r.restore());
        self.shared.full.store(!held, Ordering::Release);
    }

    /// On a full disk, looks whether room has returned, at most once a second. Who waited for a quiet
    /// moment to look would never find one while bots go on calling.
    pub(super) fn look_at_room(&mut self) {
        if !self.shared.full.load(Ordering::Acquire) {
            return;
        }
        let now = self.shared.clock.running();
        if now - self.looked_at_room >= LOOK_AT_ROOM_MILLISECONDS {
            self.looked_at_room = now;
            self.restore_reserve();
        }
    }

    /// Gives the room for erasures free, once; whether that changed anything.
    fn release_reserve(&mut self) -> bool {
        let Some(reserve) = &mut self.parts.reserve else {
            return false;
        };
        if self.shared.full.swap(true, Ordering::AcqRel) {
            return false;
        }
        reserve.release();
        true
    }

    /// Recovers; where the disk may be what failed, with the room for erasures free.
    fn recover_with_room(&mut self) -> Result<bool, RecoverError> {
        if self.parts.reserve.as_ref().is_some_and(|r| r.short()) {
            self.release_reserve();
        }
        self.recover()
    }

    /// Opens the store, or opens it again after an error.
    ///
    /// Tells whether a log that does not go on from the anchor's checkpoint was accepted.
    pub(super) fn recover(&mut self) -> Result<bool, RecoverError> {
        let after_error = self.journal.is_some();
        self.committed = None;
        self.shared.live.write().take();
        let mut tries = 0;
        let recovered = loop {
            let result = recover::recover(
                self.parts.vault,
                &*self.parts.store,
                &mut *self.parts.anchor,
                &self.parts.slots,
                &mut self.parts.ledger,
                &self.parts.root_keys,
                after_error,
                self.parts.accept_rollback,
                &mut *self.parts.entropy,
            );
            match result {
                // Readers of the old handle hold the file until they are done, at most seconds.
                Err(RecoverError::Store(StoreError::Held))
                    if after_error && tries < REOPEN_TRIES =>
                {
                    tries += 1;
                    std::thread::sleep(REOPEN_PAUSE);
                }
                result => break result?,
            }
        };
        self.parts.root_keys.swap(0, recovered.root_key);
        self.parts.root_keys.truncate(1);
        let keys = Arc::new(Keys {
            serial: recovered.row.serial,
            roots: recovered.roots,
            system: Arc::new(recovered.system),
        });
        *self.shared.live.write() = Some(Live {
            store: recovered.store.clone(),
            keys: vec![keys.clone()],
        });
        if after_error {
            self.shared.counts.recovered();
        }
        if let Some(journal) = &self.journal {
            journal.adopt(keys.system.audit.duplicate());
        }
        let counts = &self.shared.counts;
        counts.publish(&recovered.state, recovered.row);
        self.committed = Some(Committed {
            store: recovered.store,
            keys,
            row: recovered.row,
            state: recovered.state,
            log: recovered.log,
            ledger: recovered.ledger,
        });
        Ok(recovered.rolled_back)
    }

    /// The newest checkpoint, signed.
    fn checkpoint(&self) -> Option<(u64, String)> {
        let Committed { keys, log, .. } = self.committed.as_ref()?;
        let checkpoint = Checkpoint {
            size: log.size(),
            root: log.root(),
        };
        let note = checkpoint.sign(self.parts.vault, &keys.system.signing);
        Some((log.size(), note))
    }

    /// Puts the newest checkpoint into the anchor, so that an older database beside it is noticed.
    pub(super) fn publish(&mut self, which: Publish) {
        let (size, at) = self.published;
        let now = self.shared.clock.running();
        let due = which == Publish::Now || now - at >= PUBLISH_EVERY_MILLISECONDS;
        let grown = |committed: &Committed| committed.log.size() != size;
        if due && self.committed.as_ref().is_some_and(grown) {
            self.publish_with(Flush::Now);
        }
    }

    fn publish_with(&mut self, flush: Flush) {
        let Some((size, note)) = self.checkpoint() else {
            return;
        };
        // One that cannot be written leaves the one before it: a rollback since then would not be
        // noticed. The next erasure finds out what is wrong with the medium.
        if self.parts.anchor.publish(&note, flush).is_ok() {
            self.published.0 = size;
        }
        self.published.1 = self.shared.clock.running();
    }

    /// So many changes wait no longer.
    pub(super) fn take(&self, changes: usize) {
        (0..changes).for_each(|_| self.shared.counts.taken());
    }

    /// Takes waiting read entries into the log.
    pub(super) fn fold(&mut self) {
        if self.shared.full.load(Ordering::Acquire) {
            return self.restore_reserve();
        }
        let waiting = self
            .journal
            .as_ref()
            .is_some_and(|j| j.pending(1).0.is_some());
        if waiting || self.committed.is_none() {
            self.commit(Vec::new());
        }
    }

    /// Runs, commits and answers `jobs`.
    pub(super) fn commit(&mut self, jobs: Vec<Job>) {
        if self.committed.is_none() && self.recover_with_room().is_err() {
            return answer_all(jobs, || Refusal::OutcomeUnknown);
        }
        // A stopwatch, by which nothing is decided.
        let started = Instant::now();
        reseed_nonces();
        let (ran, prepared) = match self.prepare(jobs) {
            Ok(prepared) => prepared,
            Err((jobs, refusal)) => return answer_all(jobs, refusal),
        };
        let Some(prepared) = prepared else {
            return ran.into_iter().for_each(|ran| (ran.job.done)(ran.outcome));
        };
        let pass = prepared.secret.is_some();
        match self.write(&prepared) {
            Ended::Committed => {
                // Before anybody is answered, who may ask for the figures next.
                let counts = &self.shared.counts;
                counts.committed(ran.len(), started.elapsed().as_micros());
                counts.publish(&prepared.state, prepared.row);
                self.finish(ran, prepared);
            }
            Ended::NoAnchor => {
                let (shredding, others): (Vec<_>, Vec<_>) =
                    ran.into_iter().partition(|ran| ran.shreds);
                let recovered = self.recover_with_room().is_ok();
                for ran in shredding {
                    (ran.job.done)(ran.outcome.and(Err(Refusal::AnchorUnavailable)));
                }
                let others = others.into_iter().map(|ran| ran.job).collect();
                if recovered {
                    self.commit(others);
                } else {
                    answer_all(others, || Refusal::OutcomeUnknown);
                }
            }
            Ended::Refused(error) => {
                // The anchor's spare slot holds a secret of an epoch that never was.
                if pass {
                    let _ = self.recover_with_room();
                }
                let full = matches!(error, StoreError::DiskFull);
                let released = full && self.release_reserve();
                let (again, ran): (Vec<_>, Vec<_>) =
                    ran.into_iter().partition(|ran| released && ran.erases);
                if !again.is_empty() {
                    self.commit(again.into_iter().map(|ran| ran.job).collect());
                }
                for ran in ran {
                    let refusal = if full {
                        Refusal::DiskFull
                    } else {
                        Refusal::Internal("the store refused a change")
                    };
                    (ran.job.done)(ran.outcome.and(Err(refusal)));
                }
            }
            Ended::Unknown => {
                let _ = self.recover_with_room();
                for ran in ran {
                    (ran.job.done)(ran.outcome.and(Err(Refusal::OutcomeUnknown)));
                }
            }
        }
    }

    /// Runs the closures and works out what the commit will be; `None` if there is nothing to
    /// commit.
    #[expect(
        clippy::type_complexity,
        reason = "on failure the jobs come back to be answered"
    )]
    fn prepare(
        &mut self,
        jobs: Vec<Job>,
    ) -> Result<(Vec<Ran>, Option<Prepared>), (Vec<Job>, fn() -> Refusal)> {
        let recorded = self.look_at_clock();
        let committed = self.committed.as_ref().expect("the caller recovered");
        let base = match committed.store.snapshot() {
            Ok(base) => base,
            Err(_) => {
                self.committed = None;
                return Err((jobs, || Refusal::OutcomeUnknown));
            }
        };
        let last = Timestamp::from_millisecond(committed.state.time).unwrap_or_default();
        let now = self.shared.clock.now().max(last);
        let full = self.shared.full.load(Ordering::Acquire);
        let mut merged = Overlay::new(&*base);
        let mut wishes = Wishes::default();
        let mut ran = Vec::with_capacity(jobs.len());
        for mut job in jobs {
            let mut txn = Txn {
                vault: self.parts.vault,
                now,
                rows: Overlay::new(&merged),
                keys: &committed.keys,
                state: &committed.state,
                before: &wishes,
                own: Wishes::default(),
                entropy: &mut *self.parts.entropy,
                revocation: &self.shared.revocation,
            };
            let mut outcome = run_caught(&mut job.run, &mut txn);
            let (changes, own) = txn.finish();
            let shreds = outcome.is_ok() && own.shreds();
            let erases = outcome.is_ok() && own.erases();
            let in_ledger = outcome.is_ok() && !own.ledger.is_empty();
            if full && !erases {
                outcome = outcome.and(Err(Refusal::DiskFull));
            }
            if outcome.is_ok() {
                merged.absorb(changes);
                wishes.absorb(own);
            }
            ran.push(Ran {
                job,
                outcome,
                shreds,
                erases,
                in_ledger,
            });
        }
        let result = merge(
            &mut self.parts,
            committed,
            self.journal.as_deref().filter(|_| !full),
            merged,
            wishes,
            (now, recorded),
        );
        match result {
            Ok(prepared) => Ok((ran, prepared)),
            Err(_) => {
                let jobs = ran.into_iter().map(|ran| ran.job).collect();
                Err((jobs, || {
                    Refusal::Internal("a commit could not be put together")
                }))
            }
        }
    }

    /// The three steps, up to the commit itself.
    fn write(&mut self, prepared: &Prepared) -> Ended {
        let committed = self.committed.as_ref().expect("the caller recovered");
        if let Some(candidate) = &prepared.root_key {
            let system = prepared.keys.as_ref().map(|keys| keys.system.clone());
            let system = system.as_ref().unwrap_or(&committed.keys.system);
            let written = self.parts.slots.write(
                candidate.generation,
                &candidate.key,
                &system.slots,
                &mut *self.parts.entropy,
            );
            // Recovery has to try the new key as well from here on.
            self.parts.root_keys.push(RootCandidate {
                generation: candidate.generation,
                key: candidate.key.duplicate(),
            });
            if written.is_err() {
                return Ended::NoAnchor;
            }
        }
        if let Some(secret) = &prepared.secret
            && self
                .parts
                .anchor
                .prepare(prepared.row.epoch, secret)
                .is_err()
        {
            return Ended::NoAnchor;
        }
        if let (Some(keys), Some(live)) = (&prepared.keys, &mut *self.shared.live.write()) {
            live.keys.push(keys.clone());
        }
        let written = {
            // Held over the commit: whoever copies the vault must not see one that is not noted.
            let _noted = self
                .shared
                .watch
                .committing(&prepared.changes, &prepared.wishes.keysets);
            committed.store.write(&mut |tx| prepared.changes.apply(tx))
        };
        match written {
            Ok(()) => Ended::Committed,
            Err(StoreError::OutcomeUnknown | StoreError::Unavailable) => Ended::Unknown,
            Err(error) => {
                if let Some(live) = &mut *self.shared.live.write() {
                    live.keys.truncate(1);
                }
                Ended::Refused(error)
            }
        }
    }

    /// After the commit: readers end, ordinary writes are answered, the old secret goes, erasures
    /// are answered.
    fn finish(&mut self, ran: Vec<Ran>, prepared: Prepared) {
        let committed = self.committed.as_mut().expect("just written");
        committed.row = prepared.row;
        committed.state = prepared.state;
        committed.log = prepared.log;
        self.shared.commits.fetch_add(1, Ordering::AcqRel);
        self.running = self.shared.clock.running();
        self.parts.confirm_clock = false;
        *self.shared.believed.lock() = Believed {
            time: committed.state.time,
            running: self.running,
            confirmed: false,
        };
        if let Some(keys) = prepared.keys {
            if let Some(journal) = &self.journal {
                journal.adopt(keys.system.audit.duplicate());
            }
            committed.keys = keys.clone();
            if let Some(live) = &mut *self.shared.live.write() {
                live.keys = vec![keys];
            }
        }
        for (subject, times) in &prepared.wishes.revoked {
            self.shared.revocation.bump(*subject, *times);
        }
        if prepared.wishes.policy_changed {
            self.shared.revocation.bump_policy();
        }
        if let (Some(journal), Some(folded)) = (&self.journal, prepared.folded) {
            // If it cannot be begun anew it refuses entries, and reads say so.
            let _ = journal.folded(folded, &mut *self.parts.entropy);
        }
        committed.ledger = prepared.ledger;
        let waits = |ran: &Ran| ran.shreds || ran.in_ledger;
        let (waiting, others): (Vec<_>, Vec<_>) = ran.into_iter().partition(waits);
        for ran in others {
            (ran.job.done)(ran.outcome);
        }
        // Before any secret is ended, so that what stands in the file is never less than what is gone. If
        // it cannot be written, the anchor is recovery's.
        let mut ended = self.extend_ledger(&prepared.ledger_frames);
        if ended && prepared.secret.is_some() {
            self.publish_with(Flush::WithNext);
            ended = self.parts.anchor.retire(prepared.row.epoch).is_ok();
            if let (true, Some(candidate)) = (ended, prepared.root_key) {
                let entropy = &mut *self.parts.entropy;
                ended = self
                    .parts
                    .slots
                    .scrub_all_but(candidate.generation, entropy)
                    .is_ok();
                if ended {
                    self.parts.root_keys = vec![candidate];
                }
            }
        }
        // Recovery ends the old secret as well, and appends what the ledger's file lacks, or says that
        // it cannot.
        let gone = ended || self.recover_with_room().is_ok();
        for ran in waiting {
            let verdict = if gone {
                Ok(())
            } else {
                Err(Refusal::OutcomeUnknown)
            };
            (ran.job.done)(ran.outcome.and(verdict));
        }
    }

    /// Puts the entries of a commit into the ledger's file; whether they are on the medium.
    fn extend_ledger(&mut self, frames: &[u8]) -> bool {
        if frames.is_empty() {
            return true;
        }
        let committed = self.committed.as_ref().expect("just written");
        let head = Head {
            tip: committed.ledger,
            time: Timestamp::from_millisecond(committed.state.time).unwrap_or_default(),
        };
        let system = &committed.keys.system;
        let (signing, key) = (&system.signing, &system.ledger);
        let ledger = &mut self.parts.ledger;
        ledger.extend(frames, &head, signing, key).is_ok()
    }

    /// Puts a head into the ledger's file where the last is old, so that a copy says until when it is
    /// complete though nothing was destroyed for long.
    pub(super) fn note_in_ledger(&mut self, which: Publish) {
        if self.committed.is_none() || self.shared.full.load(Ordering::Acquire) {
            return;
        }
        let time = self.look_at_clock();
        let committed = self.committed.as_ref().expect("looked above");
        let last = self.parts.ledger.head_at();
        let age = last.map(|last| time.duration_since(last));
        let due = age.is_none_or(|age| age.as_hours() >= LEDGER_HEAD_HOURS);
        if !due && (which == Publish::IfDue || age.is_some_and(|age| !age.is_positive())) {
            return;
        }
        let head = Head {
            tip: committed.ledger,
            time,
        };
        let system = &committed.keys.system;
        // Without it the file says less, and nothing is lost: the next attempt is a second away.
        let ledger = &mut self.parts.ledger;
        let _ = ledger.note(&head, &system.signing, &system.ledger);
    }
}

fn answer_all(jobs: Vec<Job>, refusal: fn() -> Refusal) {
    for Job { run: _, done } in jobs {
        let done: Done = done;
        done(Err(refusal()));
    }
}

/// A panic in a closure is a defect, and must neither spoil the others nor end the writer.
fn run_caught(run: &mut Run, txn: &mut Txn<'_>) -> Result<(), Refusal> {
    catch_unwind(AssertUnwindSafe(|| run(txn)))
        .unwrap_or(Err(Refusal::Internal("a change met a defect of the vault")))
}

fn merge(
    parts: &mut Parts,
    committed: &Committed,
    journal: Option<&Journal>,
    mut merged: Overlay<'_>,
    wishes: Wishes,
    (now, recorded): (Timestamp, Timestamp),
) -> Result<Option<Prepared>, Refusal> {
    let vault = parts.vault;
    let keys = &committed.keys;
    let (folded, entries) = journal.map_or((None, Vec::new()), |j| j.pending(FOLD_MAX));
    let mut state = wishes
        .state
        .clone()
        .unwrap_or_else(|| committed.state.clone());
    let mut row = committed.row;
    let mut secret = None;
    let mut root_key = None;
    let mut next_roots = None;
    if wishes.shreds() {
        row.epoch += 1;
        let fresh = Secret::generate(&mut *parts.entropy);
        if wishes.new_root_key {
            root_key = Some(RootCandidate {
                generation: parts.root_keys[0].generation + 1,
                key: Secret::generate(&mut *parts.entropy),
            });
        }
        let key = root_key
            .as_ref()
            .map_or(&parts.root_keys[0].key, |root| &root.key);
        next_roots = Some(Roots::derive(vault, row.epoch, key, &fresh));
        secret = Some(fresh);
    }
    let mut system = wishes.system.clone().unwrap_or_else(|| keys.system.clone());
    let former = &keys.system.signing;
    let signs_anew = system.signing != *former;
    let roots = next_roots.as_ref();
    let entropy = &mut *parts.entropy;
    let people = keys.roots.people_map();
    let next = roots.map(|roots| &roots.people);
    people.apply(
        &mut merged,
        &keys.roots.people,
        next,
        &wishes.people,
        entropy,
    )?;
    for generation in &wishes.create_index {
        let root = roots.unwrap_or(&keys.roots).index(*generation);
        keys.roots
            .index_map(*generation)
            .create(&mut merged, &root)?;
    }
    let nothing = crate::keys::shred::Plan::default();
    for placement in &system.placements {
        let generation = placement.generation;
        let created = wishes.create_index.contains(&generation);
        let root = if created {
            roots.unwrap_or(&keys.roots)
        } else {
            &keys.roots
        };
        let next = roots.map(|roots| roots.index(generation));
        let plan = wishes.index.get(&generation).unwrap_or(&nothing);
        let map = keys.roots.index_map(generation);
        map.apply(
            &mut merged,
            &root.index(generation),
            next.as_ref(),
            plan,
            entropy,
        )?;
    }
    for generation in &wishes.drop_index {
        keys.roots.index_map(*generation).drop_rows(&mut merged)?;
    }
    if wishes.index_removed {
        state.index_stale_since.get_or_insert(now.as_millisecond());
    }
    let mut entries = entries;
    for (number, entry) in (state.audit_next + entries.len() as u64..).zip(&wishes.audit) {
        if let Some((receipt, _)) = entry.receipt {
            let key = tree::receipt_key(receipt);
            merged.put(Table::Receipts, &key, &number.to_be_bytes())?;
        }
    }
    entries.extend(wishes.audit.iter().map(audit::Entry::encode));
    audit::write(
        &mut merged,
        vault,
        &system.audit,
        state.audit_next,
        &entries,
    )?;
    state.audit_next += entries.len() as u64;
    let mut log = committed.log.clone();
    tree::extend(&mut merged, &mut log, &entries)?;
    let checkpoint_age = now.as_millisecond() - state.checkpoint_at;
    let due = !entries.is_empty() && checkpoint_age >= CHECKPOINT_HOURS * 3_600_000;
    if due || signs_anew {
        let (size, root) = (log.size(), log.root());
        let checkpoint = Checkpoint { size, root };
        // The first of a new key bears the former one's signature as well, and is its last.
        let note = match signs_anew {
            true => checkpoint.sign_by_both(vault, &system.signing, former),
            false => checkpoint.sign(vault, &system.signing),
        };
        merged.put(Table::Checkpoints, &size.to_be_bytes(), note.as_bytes())?;
        state.checkpoint_at = now.as_millisecond();
    }
    if let Some(folded) = folded {
        state.journal_folded = folded;
    }
    // By a clock that is not believed, a copy would call itself complete until then.
    let at = recorded.as_millisecond();
    let events = wishes.ledger.iter().cloned();
    let events: Vec<_> = events.map(|event| LedgerEntry { at, event }).collect();
    let (ledger, mut ledger_frames) = ledger::extend(
        &mut merged,
        vault,
        &system.ledger,
        committed.ledger,
        &events,
    )?;
    state.ledger = ledger.position;
    if signs_anew {
        let past = KeyChange::sign(vault, former, &system.signing, log.size(), ledger.position);
        let frame = ledger::change_frame(vault, ledger, &past, &system.ledger);
        ledger_frames.extend_from_slice(&frame);
        let mut keyset = system.duplicate();
        keyset.signers.push(past);
        system = Arc::new(keyset);
    }
    let changes_keys = roots.is_some() || wishes.system.is_some();
    if changes_keys {
        row.serial += 1;
        system.store(vault, &mut merged, roots.unwrap_or(&keys.roots))?;
        row.store(&mut merged)?;
    }
    let changes = merged.into_changes();
    if changes.is_empty() && state == committed.state {
        return Ok(None);
    }
    state.time = recorded.as_millisecond();
    let mut last = Overlay::new(&Nothing);
    last.absorb(changes);
    state.store(vault, &mut last, &system.system)?;
    // Without an anchor pass the roots stay, and a reader needs them beside the new keyset.
    let next_keys = changes_keys.then(|| {
        let roots = next_roots.take().unwrap_or_else(|| keys.roots.duplicate());
        Arc::new(Keys {
            serial: row.serial,
            roots,
            system,
        })
    });
    Ok(Some(Prepared {
        changes: last.into_changes(),
        wishes,
        row,
        state,
        log,
        ledger,
        ledger_frames,
        keys: next_keys,
        secret,
        root_key,
        folded,
    }))
}

/// A state without rows, below an overlay that only collects.
struct Nothing;

impl crate::store::ReadTx for Nothing {
    fn get(&self, _: crate::store::Table, _: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn range(
        &self,
        _: crate::store::Table,
        _: &crate::store::KeyRange,
        _: crate::store::Direction,
        _: usize,
    ) -> Result<Vec<crate::store::Row>, StoreError> {
        Ok(Vec::new())
    }
}
