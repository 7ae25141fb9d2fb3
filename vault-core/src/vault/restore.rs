//! A vault's directories out of a backup: built beside their place, renamed into it when whole.
//!
//! `DIR.unfinished` and `DIR-anchor.unfinished` are nobody's vault, which a file `restoring` says from the
//! beginning, and with it they do not open. Whoever is killed leaves them, and the next attempt into the same
//! place overwrites their keys, removes them and begins anew. A file `complete` is written when everything in
//! both is on the medium, and says which key slots are theirs; then the anchor gets its place, `restoring`
//! goes, and the directory gets its own. Once the anchor has it only the rest is missing, and the next attempt
//! makes it.

mod place;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::create::{self, DATABASE, RESTORING, VaultPaths};
use super::secret::{Passphrase, RecoveryKey, UnlockSecret};
use super::token_row::TokenRow;
use super::{LockedVault, Settings, copies, ledgers};
use crate::audit::signer::Signers;
use crate::backup::ledger::Replay;
use crate::backup::read::{OpenSource, Source};
use crate::backup::registry::{self, Seen};
use crate::backup::restore::{Place, Restored, TakeEntry, Terms, fill, first_epoch, system_of};
use crate::backup::target::Target;
use crate::backup::verify::{Tell, objects};
use crate::backup::{BackupError, Identity, Manifest};
use crate::commit::{RedbFactory, StoreFactory};
use crate::crypto::Secret;
use crate::entropy::OsEntropy;
use crate::id::BackupId;
use crate::keys::slots::SlotTarget;
use crate::keys::system::Roots;
use crate::medium::keeps_old_bytes;
use crate::row;
use crate::store::{FillingStore, RedbStore, Store, StoreError};
pub(super) use place::mark_of;
use place::{COMPLETE, could_not, discard, hold, move_into_place, unfinished, write_mark};

/// What a restore is to do.
pub struct RestoreOptions<'a> {
    /// Where the backup lies.
    pub target: Arc<dyn Target>,
    /// Which one; the newest that has a key part, where none is named.
    pub backup: Option<BackupId>,
    /// Opens its key part.
    pub identity: &'a Identity,
    /// The new vault's directory and anchor; neither may be there.
    pub into: VaultPaths,
    /// Opens the new vault's first slot.
    pub passphrase: &'a Passphrase,
    /// Copies of the erasure ledger beside the target's own: that of the lost vault, above all.
    pub ledgers: Vec<PathBuf>,
    /// The words that accept what no copy of the ledger vouches for.
    pub accept_gap: Option<&'a str>,
    /// About so many people are opened whole, and everybody where there are fewer than twice as many:
    /// [`RESTORE_OPENED_PEOPLE`](crate::limits::RESTORE_OPENED_PEOPLE) for whoever has no reason for another number.
    pub opened_people: u64,
    /// Time and file systems.
    pub settings: Settings,
}

/// A vault that was restored.
pub struct RestoredVault {
    /// Of which backup.
    pub manifest: Manifest,
    /// What came back; nothing where only the last step of an earlier attempt was missing.
    pub restored: Option<Restored>,
    /// The ledger as it was replayed.
    pub replay: Replay,
    /// Opens the second slot, as after the creation of a vault.
    pub recovery_key: Option<RecoveryKey>,
}

/// What opens a vault that was restored: the recovery key, and the slots of both.
type FirstSlots = (RecoveryKey, Vec<SlotTarget>);

/// A store that this process has written a moment ago: verifying its pages would find them in the kernel's memory.
/// Every opening after this one does.
struct JustWritten(RedbFactory);

impl StoreFactory for JustWritten {
    fn open(&self, _: bool) -> Result<Arc<dyn Store>, StoreError> {
        self.0.open(false)
    }

    fn forget_cache(&self) -> Result<(), StoreError> {
        self.0.forget_cache()
    }
}

/// The backups of this vault at a target, as it has signed them.
fn seen_at(
    target: &dyn Target,
    open: &OpenSource,
    replay: &Replay,
) -> Result<Vec<Seen>, BackupError> {
    let vault = open.source.manifest.vault;
    // Later ones may be signed by a key that came since, which the ledger leads to.
    let known = || Signers::of(vault, &open.system);
    let signers = replay.signers.clone().unwrap_or_else(known);
    let (whole, _) = crate::backup::list(target)?;
    let ours = whole
        .into_iter()
        .filter(|m| m.vault == vault && m.signed_by(&signers));
    let mut seen = Vec::new();
    for manifest in ours {
        let (_, sha256) = Manifest::read_with_hash(target, &manifest.backup.to_string())?;
        seen.push(Seen {
            backup: manifest.backup,
            target: target.place(),
            finished_at: manifest.finished_at,
            log_size: manifest.log_entries,
            data: !manifest.objects.is_empty(),
            keys: manifest.keys.as_ref().map(|keys| {
                let never = Timestamp::MAX;
                (keys.registered, keys.expires_at.unwrap_or(never))
            }),
            facts: copies::facts(&manifest, sha256),
        });
    }
    Ok(seen)
}

/// The row of an API key, revoked now unless it was before.
fn revoked(row: &[u8], now: Timestamp) -> Option<Zeroizing<Vec<u8>>> {
    let mut token: TokenRow = row::decode(row).ok()?;
    token.revoked_at.get_or_insert(now.as_millisecond());
    Some(row::encode(&token))
}

/// The backup that is meant.
pub(super) fn choose(
    target: &dyn Target,
    backup: Option<BackupId>,
) -> Result<Manifest, BackupError> {
    if let Some(backup) = backup {
        return Manifest::read(target, &backup.to_string());
    }
    let (whole, others) = crate::backup::list(target)?;
    let newest = whole
        .into_iter()
        .rev()
        .find(|manifest| manifest.keys.is_some() && !manifest.objects.is_empty());
    newest.ok_or_else(|| {
        let more = match others.len() {
            0 => String::new(),
            n => format!("; {n} there are not finished, or damaged: `backup list` names them"),
        };
        BackupError::NotFound(format!(
            "there is no backup with data and keys at {}{more}",
            target.place()
        ))
    })
}

impl LockedVault {
    /// Makes a vault of a backup, in a new place. Nothing that was erased since comes back, as far as
    /// the ledger reaches; every API key is revoked.
    ///
    /// # Errors
    ///
    /// See [`BackupError`]. At `into` there is nothing then, unless what was built could not be put there: after
    /// the first of two renames the anchor alone has its place, and the same call makes the step that is
    /// missing; if only flushing the last one failed the vault is there, and whole. Parents of the two paths
    /// that were missing are made, and stay.
    pub fn restore(
        options: &RestoreOptions<'_>,
        tell: Tell<'_>,
    ) -> Result<RestoredVault, BackupError> {
        let to = &options.into;
        let from = unfinished(to);
        let manifest = choose(&*options.target, options.backup)?;
        let _held = hold(to)?;
        if to.dir.exists() {
            return Err(BackupError::Exists(to.dir.clone()));
        }
        if let Some(done) = Self::finish_earlier(&from, to, &manifest)? {
            return Ok(done);
        }
        let restored = Self::build(options, &from, manifest, tell);
        if restored.is_err() && !to.dir.exists() && from.anchor.exists() {
            // It has keys of people who may be erased from where it came.
            let _ = discard(&from);
        }
        restored
    }

    fn build(
        options: &RestoreOptions<'_>,
        from: &VaultPaths,
        manifest: Manifest,
        tell: Tell<'_>,
    ) -> Result<RestoredVault, BackupError> {
        let to = &options.into;
        if to.anchor.exists() {
            return Err(BackupError::Exists(to.anchor.clone()));
        }
        let source = || Source {
            target: options.target.clone(),
            manifest: manifest.clone(),
        };
        let passphrase = options.passphrase;
        let now = options.settings.clock.now();
        let failed = AtomicBool::new(false);
        let going = || match failed.load(Ordering::Acquire) {
            true => Err(BackupError::Cancelled),
            false => Ok(()),
        };
        let (checked, filled) = std::thread::scope(|scope| {
            // Argon2id takes longer than all else that comes before the first row, and nothing waits for it there.
            let slots = scope.spawn(move || {
                let recovery_key = RecoveryKey::generate(&mut OsEntropy);
                let targets = create::first_slots(passphrase, &recovery_key, now)?;
                Ok((recovery_key, targets))
            });
            let slots = || {
                slots
                    .join()
                    .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
            };
            // Beside the reading: nothing gets its place before both have ended well.
            let checking = scope.spawn(|| {
                let checked = objects(&source(), &|_, _| going());
                failed.fetch_or(checked.is_err(), Ordering::AcqRel);
                checked
            });
            let tell: Tell<'_> = &|done, total| going().and_then(|()| tell(done, total));
            let filled = Self::fill_unfinished(options, from, source(), (now, slots), tell);
            // Damage is called by what its checksum says, if that is wrong.
            let other = |error: &BackupError| !matches!(error, BackupError::Damaged { .. });
            failed.fetch_or(filled.as_ref().is_err_and(other), Ordering::AcqRel);
            (checking.join(), filled)
        });
        match checked {
            Ok(Ok(_) | Err(BackupError::Cancelled)) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(BackupError::Store(StoreError::Aborted)),
        }
        let (restored, replay, recovery_key) = filled?;
        let mark = mark_of(&manifest.backup.to_string(), &from.anchor);
        let mark = mark.map_err(could_not("read the key slots in", &from.anchor))?;
        write_mark(&from.dir.join(COMPLETE), mark.as_bytes())?;
        move_into_place(from, to)?;
        Ok(RestoredVault {
            manifest,
            restored: Some(restored),
            replay,
            recovery_key: Some(recovery_key),
        })
    }

    /// Makes both directories beside their place, and opens what is in them.
    fn fill_unfinished(
        options: &RestoreOptions<'_>,
        from: &VaultPaths,
        source: Source,
        (now, slots): (Timestamp, impl FnOnce() -> io::Result<FirstSlots>),
        tell: Tell<'_>,
    ) -> Result<(Restored, Replay, RecoveryKey), BackupError> {
        let to = &options.into;
        let open = source.open(options.identity)?;
        let manifest = &open.source.manifest;
        let found = ledgers::find(options, &open)?;
        discard(from)?;
        create::make_dirs(from).map_err(|error| BackupError::Io {
            what: format!("make {}", from.dir.display()),
            source: io::Error::other(error.to_string()),
        })?;
        // Before there is anything that could be taken for a vault.
        write_mark(&from.dir.join(RESTORING), b"")?;
        let keeps = keeps_old_bytes(&from.anchor).map_err(could_not("look at", &from.anchor))?;
        if let (Some(kind), false) = (keeps, options.settings.accept_any_file_system) {
            return Err(BackupError::Input(format!(
                "the file system under {} is {kind}, which may keep overwritten bytes",
                to.anchor.display()
            )));
        }
        let entropy = &mut OsEntropy;
        let (root_key, secret) = (Secret::generate(entropy), Secret::generate(entropy));
        let epoch = first_epoch(manifest.epoch, &found.replay);
        let vault = manifest.vault;
        let system = system_of(&open);
        let roots = Roots::derive(vault, epoch, &root_key, &secret);
        let database = from.dir.join(DATABASE);
        let store = FillingStore::create(&database, options.settings.cache_bytes)
            .map_err(BackupError::Store)?;
        let ledger = |out: &mut TakeEntry<'_>| ledgers::rows(options, &open, out);
        let restored = fill(
            &open,
            &Place {
                store: &store,
                dir: &from.dir,
                roots: &roots,
                system: &system,
            },
            &found.replay,
            &Terms {
                now,
                revoke: &revoked,
                opened_people: options.opened_people,
                ledger: found.any.then_some(&ledger),
            },
            tell,
        )?;
        // Now that nothing waits for them: until here the root key was nowhere but in memory.
        let slots = slots().map_err(could_not("make the key slots of", &to.anchor));
        let (recovery_key, targets) = slots?;
        create::write_anchor(from, vault, epoch, (&root_key, &secret), &targets, entropy)
            .map_err(could_not("write the anchor in", &from.anchor))?;
        let system = system.with_slots(targets);
        let stored = store.write(&mut |tx| {
            let stored = system.store(vault, tx, &roots);
            stored.map_err(|_| StoreError::Aborted)
        });
        stored.map_err(BackupError::Store)?;
        let whole = store.finish().and_then(RedbStore::close);
        whole.map_err(BackupError::Store)?;
        let opened = (&open, &found.replay, recovery_key);
        let recovery_key = Self::first_opening(from, options, opened)?;
        Ok((restored, found.replay, recovery_key))
    }

    /// Opens what was built, as anybody would, and puts into it what only now is known: the backups that lie
    /// at the target, and the restore itself.
    fn first_opening(
        from: &VaultPaths,
        options: &RestoreOptions<'_>,
        (open, replay, recovery_key): (&OpenSource, &Replay, RecoveryKey),
    ) -> Result<RecoveryKey, BackupError> {
        let failed = |what: String| BackupError::Io {
            what: "open the vault that was just restored".into(),
            source: io::Error::other(what),
        };
        let settings = Settings {
            accept_any_file_system: true,
            ..options.settings.clone()
        };
        let locked =
            Self::open_as_it_is(from, settings).map_err(|error| failed(error.to_string()))?;
        let secret = UnlockSecret::RecoveryKey(recovery_key);
        let store = JustWritten(RedbFactory {
            path: from.dir.join(DATABASE),
            cache_bytes: options.settings.cache_bytes,
        });
        let vault = locked
            .unlock_over(&secret, &|file| Box::new(file), Box::new(store))
            .map_err(|error| failed(error.to_string()))?;
        for seen in seen_at(&*options.target, open, replay)? {
            vault
                .engine
                .submit(move |txn| registry::adopt(txn, &seen))
                .map_err(|error| failed(error.to_string()))?;
        }
        create::record(&vault.engine, "vault.restored")
            .map_err(|error| failed(error.to_string()))?;
        vault.close();
        let UnlockSecret::RecoveryKey(recovery_key) = secret else {
            unreachable!("made above")
        };
        Ok(recovery_key)
    }

    /// Makes the rename that an attempt was cut off before: the second, for until the first everything can be
    /// made anew, with another ledger or another passphrase.
    fn finish_earlier(
        from: &VaultPaths,
        to: &VaultPaths,
        manifest: &Manifest,
    ) -> Result<Option<RestoredVault>, BackupError> {
        let Ok(mark) = fs::read_to_string(from.dir.join(COMPLETE)) else {
            return Ok(None);
        };
        let of = mark.lines().next().unwrap_or_default();
        // That there is no anchor here does not say that it has its place: another path may have been given.
        let in_place = mark_of(of, &to.anchor).is_ok_and(|there| there == mark);
        if from.anchor.exists() || !in_place {
            return Ok(None);
        }
        if of != manifest.backup.to_string() {
            return Err(BackupError::Input(format!(
                "an earlier restore of {of} into {} lacks only its last step: name that backup to make \
                 it, or restore into another directory",
                to.dir.display()
            )));
        }
        move_into_place(from, to)?;
        Ok(Some(RestoredVault {
            manifest: manifest.clone(),
            restored: None,
            replay: Replay::default(),
            recovery_key: None,
        }))
    }
}
