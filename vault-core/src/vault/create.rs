//! A vault's two directories: made, held, opened.
//!
//! `DIR` holds database, read journal and lock; `DIR-anchor` the anchor and the key slots. The
//! database gets its name last, so a creation that was cut off is recognised by its absence.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::secret::{Passphrase, RecoveryKey, UnlockSecret};
use super::token_row::Uses;
use super::{Settings, Vault, admin, blobs, figures, guard, honey};
use crate::audit::journal::Journal;
use crate::audit::{Actor, Entry};
use crate::backup::ledger::{FileTape, LedgerError, LedgerFile};
use crate::backup::registry;
use crate::commit::View as _;
use crate::commit::{
    Engine, FileReserve, Parts, RecoverError, RedbFactory, RootCandidate, State, StoreFactory,
    initialise,
};
use crate::crypto::{Secret, self_test};
use crate::entropy::{Entropy, OsEntropy};
use crate::id::{CallId, VaultId};
use crate::jobs::Jobs;
use crate::keys::anchor::{self, FileAnchor};
use crate::keys::slots::{self, SeenSlot, SlotFile, SlotKind, SlotTarget, SlotsError};
use crate::keys::system::{Roots, SystemKeys};
use crate::medium::{FileMedium, Medium, keeps_old_bytes};
use crate::policy::KEYHOLDER;
use crate::policy::{Draft, Finding};
use crate::refusal::Refusal;
use crate::store::{RedbStore, StoreError};

pub(super) const DATABASE: &str = "vault.redb";
const DATABASE_UNFINISHED: &str = "vault.redb.unfinished";
/// A file that is there until a restore has finished.
pub(super) const RESTORING: &str = "restoring";
const RESERVE: &str = "reserve";
const JOURNAL: &str = "journal";
pub(super) const LEDGER: &str = "ledger";
const LOCK: &str = "lock";
const ANCHOR: &str = "anchor";
pub(super) const SLOTS: &str = "slots";
/// Asks backup tools to leave the directory out. Source: <https://bford.info/cachedir/>.
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This directory must not be backed up: a copy of it undoes erasures.\n";
const README: &str = "The anchor and the key slots of a vault.\n\n\
    Do not copy, back up or snapshot this directory: an old copy of the anchor can bring back\n\
    people who were erased. Losing it loses the vault: only a backup with its key part helps.\n";

/// The two directories of a vault.
#[derive(Clone, Debug)]
pub struct VaultPaths {
    /// Database, journal, configuration.
    pub dir: PathBuf,
    /// Anchor and key slots; beside `dir` by default, as `DIR-anchor`.
    pub anchor: PathBuf,
}

impl VaultPaths {
    /// `dir`, and `DIR-anchor` beside it.
    #[must_use]
    pub fn beside(dir: &Path) -> Self {
        let mut name = dir.file_name().unwrap_or_default().to_owned();
        name.push("-anchor");
        Self {
            dir: dir.to_owned(),
            anchor: dir.with_file_name(name),
        }
    }
}

/// What [`LockedVault::create`] leaves: an open vault, and the recovery key to show once.
pub struct Created {
    /// The vault's directory, held.
    pub locked: LockedVault,
    /// The open vault.
    pub vault: Arc<Vault>,
    /// Opens the second slot.
    pub recovery_key: RecoveryKey,
}

/// Why a vault could not be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The directory holds something already.
    #[error("{0} is not empty")]
    Exists(PathBuf),
    /// The anchor's file system keeps old bytes.
    #[error("the file system under {path} is {kind}, which may keep overwritten bytes")]
    FileSystem {
        /// The anchor directory.
        path: PathBuf,
        /// Such as `btrfs`.
        kind: String,
    },
    /// The operating system refused.
    #[error("could not create {path}")]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was created, and could not be opened.
    #[error("could not open the vault that was just created")]
    Open(#[source] UnlockError),
    /// The policy does not pass its check: the findings, one a line.
    #[error("the policy does not pass its check")]
    Policy(Vec<String>),
    /// The store below failed.
    #[error("could not write the store")]
    Store(#[source] StoreError),
}

/// Why a vault's directory could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A creation was cut off before it was finished; nothing was stored yet.
    #[error(
        "the creation of {0} was cut off; remove it and its anchor directory and create it again"
    )]
    HalfCreated(PathBuf),
    /// A restore was cut off, or goes on: this is nobody's vault yet.
    #[error("{0} is what a restore has not finished, and no vault")]
    HalfRestored(PathBuf),
    /// Another process holds it.
    #[error("another process holds {0}")]
    Held(PathBuf),
    /// The operating system refused.
    #[error("could not open {path}")]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No vault there.
    #[error("there is no vault at {0}")]
    NotFound(PathBuf),
    /// Neither area of the slots file is whole.
    #[error("the key slots in {0} are damaged")]
    Slots(PathBuf),
}

/// Why a vault could not be unlocked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnlockError {
    /// The anchor and the database do not belong together, or neither slot opens the database.
    #[error("the anchor does not open this database")]
    Anchor,
    /// Bytes are not those that were written.
    #[error("the vault's files are damaged: {0}")]
    Damaged(&'static str),
    /// The operating system refused.
    #[error("could not read the vault's files")]
    Io(#[source] io::Error),
    /// The erasure ledger and the database contradict each other, or it could not be read or written.
    #[error(transparent)]
    Ledger(LedgerError),
    /// No slot opens with this secret.
    #[error("no key slot opens with this passphrase, key, key file or set of shares")]
    NoSlotMatches,
    /// The log does not go on from the checkpoint in the anchor: the database is older, or another.
    #[error(
        "the database is older than the anchor's checkpoint, or another: {log} entries in its log, {checkpoint} in the checkpoint"
    )]
    Rollback {
        /// Entries of the log.
        log: u64,
        /// Entries that the checkpoint was signed over.
        checkpoint: u64,
    },
    /// The store below failed.
    #[error("could not open the store")]
    Store(#[source] StoreError),
}

impl From<RecoverError> for UnlockError {
    fn from(error: RecoverError) -> Self {
        match error {
            RecoverError::Anchor(anchor::AnchorError::Io(error)) => Self::Io(error),
            RecoverError::Damaged(what) => Self::Damaged(what),
            RecoverError::Ledger(error) => Self::Ledger(error),
            RecoverError::NoAnchor => Self::Anchor,
            RecoverError::Rollback { log, checkpoint } => Self::Rollback { log, checkpoint },
            RecoverError::Slots(SlotsError::Io(error)) => Self::Io(error),
            RecoverError::Slots(SlotsError::Damaged) => Self::Damaged("the key slots"),
            RecoverError::Store(error) => Self::Store(error),
        }
    }
}

/// A vault's directory, held by this process, without any key.
pub struct LockedVault {
    paths: VaultPaths,
    settings: Settings,
    vault: VaultId,
    /// The lock goes with the file.
    _lock: File,
}

/// A vault seen from outside.
#[derive(Clone, Debug)]
pub struct Peek {
    /// The vault's id.
    pub vault: VaultId,
    /// Whether another process holds it.
    pub held: bool,
    /// Size of all its files.
    pub bytes_on_disk: u64,
}

pub(super) fn bytes_on_disk(paths: &VaultPaths) -> u64 {
    let files = [&paths.dir, &paths.anchor]
        .into_iter()
        .flat_map(fs::read_dir)
        .flatten();
    files
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|meta| meta.len())
        .sum()
}

fn slot_medium(paths: &VaultPaths) -> Result<FileMedium, OpenError> {
    let path = paths.anchor.join(SLOTS);
    FileMedium::open(&path).map_err(|source| OpenError::Io { path, source })
}

pub(super) fn slot_file(paths: &VaultPaths) -> Result<(SlotFile, VaultId), OpenError> {
    slots_on(paths, Box::new(slot_medium(paths)?))
}

fn slots_on(paths: &VaultPaths, medium: Box<dyn Medium>) -> Result<(SlotFile, VaultId), OpenError> {
    let vault = SlotFile::vault_of(&*medium).map_err(|error| match error {
        SlotsError::Damaged => OpenError::Slots(paths.anchor.clone()),
        SlotsError::Io(source) => OpenError::Io {
            path: paths.anchor.clone(),
            source,
        },
    })?;
    Ok((SlotFile::new(vault, medium), vault))
}

/// Takes the lock of the directory; `None` if another process has it.
fn hold(dir: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let lock = options.open(dir.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Makes both directories, which must not hold anything.
pub(super) fn make_dirs(paths: &VaultPaths) -> Result<(), CreateError> {
    make_dir(&paths.dir)?;
    make_dir(&paths.anchor)
}

fn make_dir(path: &Path) -> Result<(), CreateError> {
    let io = |source| CreateError::Io {
        path: path.to_owned(),
        source,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(io)?;
    if fs::read_dir(path).map_err(io)?.next().is_some() {
        return Err(CreateError::Exists(path.to_owned()));
    }
    Ok(())
}

/// The slots of a new vault: a passphrase and a recovery key.
pub(super) fn first_slots(
    passphrase: &Passphrase,
    recovery_key: &RecoveryKey,
    now: Timestamp,
) -> io::Result<Vec<SlotTarget>> {
    let slot = |number, kind, label: &str, secret: &[u8]| {
        let entropy = &mut OsEntropy;
        SlotTarget::new(number, kind, label.into(), now.as_second(), secret, entropy)
    };
    let targets = [
        slot(
            1,
            SlotKind::Passphrase,
            "first passphrase",
            passphrase.bytes(),
        ),
        slot(
            2,
            SlotKind::RecoveryKey,
            "recovery key",
            recovery_key.bytes(),
        ),
    ];
    let targets: Option<Vec<SlotTarget>> = targets.into_iter().collect();
    targets.ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

/// Writes the files of a new anchor directory: root key and anchor secret of this epoch.
pub(super) fn write_anchor(
    paths: &VaultPaths,
    vault: VaultId,
    epoch: u64,
    (root_key, secret): (&Secret<32>, &Secret<32>),
    targets: &[SlotTarget],
    entropy: &mut dyn Entropy,
) -> io::Result<()> {
    let write =
        |name: &str, bytes: &[u8]| FileMedium::create(&paths.anchor.join(name), bytes).map(drop);
    write("CACHEDIR.TAG", CACHEDIR_TAG.as_bytes())?;
    write("README", README.as_bytes())?;
    write(SLOTS, &slots::image(vault, root_key, targets, entropy))?;
    write(ANCHOR, &anchor::image(vault, epoch, secret, entropy))
}

impl LockedVault {
    /// Creates a vault: first slot, recovery slot, anchor, policy.
    ///
    /// # Errors
    ///
    /// See [`CreateError`]. What a failed creation leaves behind is recognised and refused.
    pub fn create(
        paths: &VaultPaths,
        settings: Settings,
        passphrase: &Passphrase,
        policy: &str,
    ) -> Result<Created, CreateError> {
        let lines = |findings: Vec<Finding>| {
            CreateError::Policy(findings.iter().map(ToString::to_string).collect())
        };
        let policy = Draft::parse(policy)
            .and_then(|draft| draft.assign(None, 1))
            .map_err(lines)?;
        make_dirs(paths)?;
        let kind = keeps_old_bytes(&paths.anchor).map_err(|source| CreateError::Io {
            path: paths.anchor.clone(),
            source,
        })?;
        if let (Some(kind), false) = (kind, settings.accept_any_file_system) {
            let _ = fs::remove_dir(&paths.anchor).and_then(|()| fs::remove_dir(&paths.dir));
            return Err(CreateError::FileSystem {
                path: paths.anchor.clone(),
                kind: kind.into(),
            });
        }
        let entropy = &mut OsEntropy;
        let vault = VaultId::generate(entropy);
        let recovery_key = RecoveryKey::generate(entropy);
        let now = settings.clock.now();
        let io = |source| CreateError::Io {
            path: paths.anchor.clone(),
            source,
        };
        let targets = first_slots(passphrase, &recovery_key, now).map_err(io)?;
        let (root_key, secret) = (Secret::generate(entropy), Secret::generate(entropy));
        write_anchor(paths, vault, 1, (&root_key, &secret), &targets, entropy).map_err(io)?;
        let mut system = SystemKeys::generate(targets, entropy);
        admin::add_index_keys(&mut system, &policy, entropy);
        let unfinished = paths.dir.join(DATABASE_UNFINISHED);
        let store =
            RedbStore::create(&unfinished, settings.cache_bytes).map_err(CreateError::Store)?;
        let roots = Roots::derive(vault, 1, &root_key, &secret);
        let state = State {
            policy_version: 1,
            time: now.as_millisecond(),
            ..State::default()
        };
        initialise(&store, &roots, vault, &system, &state, &mut |tx| {
            admin::store_policy(tx, vault, &system.system, &policy, now)
        })
        .map_err(|error| CreateError::Open(error.into()))?;
        store.close().map_err(CreateError::Store)?;
        let finish = fs::rename(&unfinished, paths.dir.join(DATABASE))
            .and_then(|()| File::open(&paths.dir)?.sync_all());
        finish.map_err(|source| CreateError::Io {
            path: paths.dir.clone(),
            source,
        })?;
        let locked = Self::open(paths, settings).map_err(|error| match error {
            OpenError::Io { path, source } => CreateError::Io { path, source },
            _ => CreateError::Open(UnlockError::Damaged("the directory changed meanwhile")),
        })?;
        let secret = UnlockSecret::RecoveryKey(recovery_key);
        let vault = locked.unlock(&secret).map_err(CreateError::Open)?;
        let UnlockSecret::RecoveryKey(recovery_key) = secret else {
            unreachable!("made three lines above")
        };
        Ok(Created {
            locked,
            vault,
            recovery_key,
        })
    }

    /// The slots as their file shows them, without a secret and beside whoever holds the vault.
    ///
    /// # Errors
    ///
    /// [`OpenError::Slots`] for a damaged file, [`OpenError::Io`].
    pub fn slots_seen(paths: &VaultPaths) -> Result<Vec<SeenSlot>, OpenError> {
        let (file, _) = slot_file(paths)?;
        file.seen().map_err(|error| match error {
            SlotsError::Damaged => OpenError::Slots(paths.anchor.clone()),
            SlotsError::Io(source) => OpenError::Io {
                path: paths.anchor.clone(),
                source,
            },
        })
    }

    /// Holds the directory of an existing vault.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open(paths: &VaultPaths, settings: Settings) -> Result<Self, OpenError> {
        check_created(paths)?;
        Self::open_as_it_is(paths, settings)
    }

    /// [`LockedVault::open`] without asking whether it is finished.
    pub(super) fn open_as_it_is(paths: &VaultPaths, settings: Settings) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io {
            path: paths.dir.clone(),
            source,
        };
        let lock = hold(&paths.dir).map_err(io)?;
        let lock = lock.ok_or_else(|| OpenError::Held(paths.dir.clone()))?;
        let (_, vault) = slot_file(paths)?;
        Ok(Self {
            paths: paths.clone(),
            settings,
            vault,
            _lock: lock,
        })
    }

    /// Opens the vault with a secret of one of its slots; recovers what a crash left half done.
    ///
    /// # Errors
    ///
    /// See [`UnlockError`].
    pub fn unlock(&self, secret: &UnlockSecret) -> Result<Arc<Vault>, UnlockError> {
        self.unlock_through(secret, &|file| Box::new(file))
    }

    /// [`LockedVault::unlock`], with something between the vault and the two files that it
    /// overwrites in place, anchor and key slots: to observe or to interrupt each operation.
    ///
    /// # Errors
    ///
    /// See [`UnlockError`].
    pub fn unlock_through(
        &self,
        secret: &UnlockSecret,
        medium: &dyn Fn(FileMedium) -> Box<dyn Medium>,
    ) -> Result<Arc<Vault>, UnlockError> {
        let store = RedbFactory {
            path: self.paths.dir.join(DATABASE),
            cache_bytes: self.settings.cache_bytes,
        };
        self.unlock_over(secret, medium, Box::new(store))
    }

    /// [`LockedVault::unlock_through`] with another store than the file in the directory, and so
    /// everything but the read journal and the reserve on media of the caller's.
    ///
    /// # Errors
    ///
    /// See [`UnlockError`].
    pub fn unlock_over(
        &self,
        secret: &UnlockSecret,
        medium: &dyn Fn(FileMedium) -> Box<dyn Medium>,
        store: Box<dyn StoreFactory>,
    ) -> Result<Arc<Vault>, UnlockError> {
        if !self_test() {
            return Err(UnlockError::Damaged(
                "this machine computes the cipher wrongly",
            ));
        }
        let slots = slot_medium(&self.paths).and_then(|file| slots_on(&self.paths, medium(file)));
        let (slots, vault) = slots.map_err(|error| match error {
            OpenError::Io { source, .. } => UnlockError::Io(source),
            _ => UnlockError::Damaged("the key slots"),
        })?;
        let opened = slots
            .open(secret.kind(), secret.bytes())
            .map_err(|error| UnlockError::from(RecoverError::Slots(error)))?;
        if opened.is_empty() {
            return Err(UnlockError::NoSlotMatches);
        }
        let anchor = FileMedium::open(&self.paths.anchor.join(ANCHOR)).map_err(UnlockError::Io)?;
        let media = vec![medium(anchor)];
        let root_keys = opened.into_iter().map(|slot| RootCandidate {
            generation: slot.generation,
            key: slot.root_key,
        });
        let parts = Parts {
            vault,
            store,
            anchor: Box::new(FileAnchor::new(vault, media, Box::new(OsEntropy))),
            root_keys: root_keys.collect(),
            slots,
            ledger: LedgerFile::new(vault, Box::new(FileTape::new(self.paths.dir.join(LEDGER)))),
            clock: self.settings.clock.clone(),
            entropy: Box::new(OsEntropy),
            reserve: Some(Box::new(FileReserve::new(self.paths.dir.join(RESERVE)))),
            confirm_clock: self.settings.confirm_clock,
            accept_rollback: self.settings.accept_rollback,
        };
        let path = self.paths.dir.join(JOURNAL);
        let engine = Engine::start(parts, |system, state| {
            let keys = system.audit.duplicate();
            Journal::open(&path, vault, keys, state.journal_folded, &mut OsEntropy)
                .map_err(|_| RecoverError::Damaged("the read journal"))
        })?;
        if engine.rolled_back() {
            record(&engine, "vault.accept_rollback")?;
        }
        // Whoever broke it off, a crash or somebody, an entry of a read may be lost.
        if engine.journal_cut() > 0 {
            record(&engine, "journal.cut_off")?;
        }
        let damaged = |_: Refusal| UnlockError::Damaged("the policy");
        let snapshot = engine.snapshot().map_err(damaged)?;
        let version = snapshot.state().policy_version;
        let (policy, _) = admin::load_policy(&snapshot, version).map_err(damaged)?;
        let backups = registry::summary_row(&snapshot)
            .map_err(|_| UnlockError::Damaged("the registry of backups"))?;
        drop(snapshot);
        let rounds = figures::Rounds::from(engine.running());
        let vault = Arc::new(Vault {
            rounds,
            jobs: Jobs::new(self.settings.clock.clone()),
            backups: Mutex::new(backups),
            pushing: Mutex::new(()),
            working: Mutex::new(()),
            imports: super::import::Imports::default(),
            engine,
            paths: self.paths.clone(),
            closed: AtomicBool::new(false),
            policy: Mutex::new(Arc::new(policy)),
            audit_durability: self.settings.audit_durability,
            uploads: blobs::Uploads::default(),
            uses: Arc::new(Uses::default()),
            memory: Arc::new(guard::Memory {
                guard: guard::Guard::new(Secret::generate(&mut OsEntropy)),
                asks: guard::Asks::default(),
                counts: guard::Counted::default(),
                honey: honey::Known::default(),
                emergencies: super::emergencies::Counts::default(),
                incidents: Mutex::default(),
                requests: super::requests::Watched::default(),
                suppressions: AtomicU64::new(0),
                decisions: super::decisions::Watched::default(),
                strangers: super::dialogue::Strangers::new(Secret::generate(&mut OsEntropy)),
                pickups: super::pickups::Counts::default(),
                process_key: Secret::generate(&mut OsEntropy),
            }),
        });
        // What uploads left that a crash cut off. If it cannot be removed now the sweeper does it.
        let _ = vault.sweep_uploads();
        // And people who do not exist: who is missing is made by the sweeper at the latest.
        let _ = vault.plant_honey();
        let _ = vault
            .snapshot()
            .and_then(|view| vault.count_suppressions(&view));
        // Whoever watches is told of no breach that waits, if nobody looked: that is no state to open in.
        let damaged = |_: Refusal| UnlockError::Damaged("the register of breaches");
        vault.look_at_incidents().map_err(damaged)?;
        Ok(vault)
    }

    /// The vault's id.
    #[must_use]
    pub fn vault_id(&self) -> VaultId {
        self.vault
    }

    /// What can be said of a vault without its keys, beside whoever holds it.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn peek(paths: &VaultPaths) -> Result<Peek, OpenError> {
        check_created(paths)?;
        let io = |source| OpenError::Io {
            path: paths.dir.clone(),
            source,
        };
        let held = hold(&paths.dir).map_err(io)?.is_none();
        let (_, vault) = slot_file(paths)?;
        Ok(Peek {
            vault,
            held,
            bytes_on_disk: bytes_on_disk(paths),
        })
    }
}

impl LockedVault {
    /// The slot that a secret opens, looked up in the key slots alone: the vault may be locked, or held
    /// by another process, and stays as it is.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn test_slot(paths: &VaultPaths, secret: &UnlockSecret) -> Result<Option<u8>, OpenError> {
        check_created(paths)?;
        let (slots, _) = slot_file(paths)?;
        let opened = slots.open(secret.kind(), secret.bytes());
        let opened = opened.map_err(|error| match error {
            SlotsError::Damaged => OpenError::Slots(paths.anchor.clone()),
            SlotsError::Io(source) => OpenError::Io {
                path: paths.anchor.join(SLOTS),
                source,
            },
        })?;
        Ok(opened.first().map(|slot| slot.number))
    }
}

/// Puts what was found at opening into the log.
pub(super) fn record(engine: &Engine, action: &'static str) -> Result<(), UnlockError> {
    let recorded = engine.submit(move |txn| {
        let entry = Entry {
            time: txn.now(),
            actor: Actor::Keyholder,
            role: KEYHOLDER.into(),
            purpose: None,
            action: action.into(),
            subject: None,
            fields: Vec::new(),
            outcome: "ok".into(),
            session: None,
            request: CallId::generate(txn.entropy()),
            receipt: None,
            records: None,
            restricted_use: None,
        };
        txn.record(entry);
        Ok(())
    });
    recorded.map_err(|_| UnlockError::Store(StoreError::OutcomeUnknown))
}

fn check_created(paths: &VaultPaths) -> Result<(), OpenError> {
    if paths.dir.join(RESTORING).exists() {
        return Err(OpenError::HalfRestored(paths.dir.clone()));
    }
    if paths.dir.join(DATABASE).exists() {
        return Ok(());
    }
    let begun = paths.dir.join(DATABASE_UNFINISHED).exists() || paths.anchor.join(SLOTS).exists();
    Err(match begun {
        true => OpenError::HalfCreated(paths.dir.clone()),
        false => OpenError::NotFound(paths.dir.clone()),
    })
}
