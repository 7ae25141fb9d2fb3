//! Calls that make backups, and give them new keys.

use std::sync::Arc;

use jiff::Timestamp;

use super::token::Call;
use super::{BackupBegin, BackupFacts, BackupView, LedgerCopied, LedgerCopyError, Vault};
use crate::backup::registry::Part;
use crate::backup::target::{self, Target};
use crate::backup::verify::Tell;
use crate::backup::write::{self, Options, Parts};
use crate::backup::{BackupError, Manifest, Recipients};
use crate::backup::{gone, rekey};
use crate::id::BackupId;
use crate::jobs::{Job, JobKind};
use crate::refusal::Refusal;

/// What a backup is to be.
pub struct BackupInput {
    /// Which parts.
    pub parts: Parts,
    /// Who may open the key part.
    pub recipients: Recipients,
    /// When the key part is to be deleted.
    pub keys_expire: Timestamp,
}

/// A backup that was made.
#[derive(Debug)]
pub struct BackupMade {
    /// Its manifest.
    pub manifest: Manifest,
    /// The ledger beside it. Where that could not be written the backup is whole nevertheless.
    pub ledger: Result<LedgerCopied, LedgerCopyError>,
}

/// A key part that was made anew.
#[derive(Debug)]
pub struct Rekeyed {
    /// The backup's manifest, with it.
    pub manifest: Manifest,
    /// People who come back whole.
    pub whole: u64,
    /// People of whom something was sealed under keys that are gone.
    pub in_part: u64,
    /// People of the backup who are gone.
    pub gone: u64,
    /// Files of older key parts that were deleted, and are verified gone.
    pub deleted: u64,
    /// The ledger beside it. Where that could not be written the keys are whole nevertheless.
    pub ledger: Result<LedgerCopied, LedgerCopyError>,
}

impl Vault {
    /// Begins the job of a backup: one runs at a time.
    ///
    /// # Errors
    ///
    /// Those of [`crate::jobs::Jobs::begin`].
    pub fn backup_job(&self) -> Result<Job, Refusal> {
        self.jobs.begin(JobKind::Backup, "people")
    }

    /// Makes a backup at a target while the vault goes on; `job` is ended by it.
    ///
    /// # Errors
    ///
    /// See [`BackupError`]; there is no backup then.
    pub fn back_up(
        &self,
        call: &Call<'_>,
        target: &Arc<dyn Target>,
        input: BackupInput,
        job: Job,
    ) -> Result<BackupMade, BackupError> {
        let made = self.try_back_up(call, target, input, &job);
        end(job, &made);
        made
    }

    fn try_back_up(
        &self,
        call: &Call<'_>,
        target: &Arc<dyn Target>,
        input: BackupInput,
        job: &Job,
    ) -> Result<BackupMade, BackupError> {
        let _alone = self.working.lock();
        let keys = input.parts != Parts::Data;
        if keys && input.recipients.is_empty() {
            return Err(BackupError::Input(
                "say to whom the key part is sealed: --recipient age1… (made with `age-keygen`), or \
                 --data-only for a part that opens nothing"
                    .into(),
            ));
        }
        self.tidy_backups(call, &**target)?;
        self.demand_place(call, &**target)?;
        mark(&**target)?;
        // Registered before the first keyset is read: no erasure may miss it.
        let begin = BackupBegin {
            target: target.place(),
            data: input.parts != Parts::Keys,
            keys: keys.then_some(input.keys_expire),
            of: None,
        };
        let backup = self.backup_begin(call, begin)?;
        job.about(backup);
        let options = Options {
            parts: input.parts,
            recipients: input.recipients,
            keys_expire: input.keys_expire,
        };
        let made = write::write(&self.engine, target, backup, &options, Some(job));
        let (manifest, manifest_sha256) = match made {
            Ok(made) => made,
            Err(error) => {
                self.give_up(call, &**target, (backup, backup), input.parts);
                return Err(error);
            }
        };
        self.backup_complete(call, backup, facts(&manifest, manifest_sha256))?;
        let ledger = self.push_ledger(call, &**target);
        job.came_to(vec![
            ("people", manifest.people),
            ("records", manifest.records()),
            ("bytes", manifest.bytes()),
        ]);
        Ok(BackupMade { manifest, ledger })
    }

    /// Refuses a place that was written to before and is another now, such as the directory under a disk that is
    /// not mounted: a backup there would fill the wrong disk, and the older ones would seem gone.
    pub(super) fn demand_place(
        &self,
        call: &Call<'_>,
        target: &dyn Target,
    ) -> Result<(), BackupError> {
        let place = target.place();
        let (views, _) = self.backups(call)?;
        let there = |view: &BackupView| {
            let whole = view.facts.is_some() && view.of.is_none();
            let part = |deleted: Option<Option<Timestamp>>| deleted.is_some_and(|at| at.is_none());
            let data = part(view.data.as_ref().map(|part| part.deleted_at));
            let keys = part(view.keys.as_ref().map(|part| part.deleted_at));
            target::same(&view.target, &place) && whole && (data || keys)
        };
        match views.iter().any(there) && !target::known(target) {
            true => Err(BackupError::NotFound(format!(
                "{place} had backups, and the file `{}` is not in it: it is another place now, such as a disk that is not mounted",
                target::MARK
            ))),
            false => Ok(()),
        }
    }

    /// Takes up what an earlier process left half done at this target: a backup that is whole is said to be,
    /// and of any other nothing stays, which the registry hears too. Only one who makes backups does
    /// this at a time, so none of them is under way.
    fn tidy_backups(&self, call: &Call<'_>, target: &dyn Target) -> Result<(), BackupError> {
        let (views, _) = self.backups(call)?;
        let place = target.place();
        let of_here = |view: &&BackupView| target::same(&view.target, &place);
        let half =
            |view: &&BackupView| of_here(view) && view.facts.is_none() && view.failed_at.is_none();
        for view in views.iter().filter(half) {
            let home = view.of.unwrap_or(view.backup);
            let found = Manifest::read_with_hash(target, &home.to_string());
            let (manifest, sha256) = match found {
                Ok(found) => found,
                // Another place, or a disk that is not mounted: what is missing may lie elsewhere.
                Err(BackupError::NotFound(_)) if !target::known(target) => continue,
                Err(BackupError::NotFound(_)) => {
                    gone::clear(target, &home.to_string());
                    self.give_up(call, target, (view.backup, home), parts(view));
                    continue;
                }
                // What is damaged is for somebody to look at.
                Err(_) => continue,
            };
            let here = match view.of {
                None => true,
                Some(_) => {
                    let keys = manifest.keys.as_ref();
                    keys.is_some_and(|keys| keys.registered == view.backup)
                }
            };
            let clean = gone::clear_new_keys(target, &manifest);
            if !here {
                self.backup_failed(call, view.backup)?;
                if clean && for_good(target)? {
                    self.backup_deleted(call, view.backup, Part::Keys)?;
                }
            }
            if !here || (view.of.is_some() && !clean) {
                continue;
            }
            // It had its new keys already: the older ones are gone with what was just cleared. Said first:
            // once the part is complete nobody looks here again.
            let older = views.iter().filter(|_| view.of.is_some());
            // Of one at another place nothing was cleared.
            let older = older.filter(of_here).filter(|other| {
                other.backup != view.backup && (other.backup == home || other.of == Some(home))
            });
            for other in older {
                let keys = other.keys.as_ref();
                if keys.is_some_and(|keys| keys.deleted_at.is_none()) && for_good(target)? {
                    self.told(self.backup_deleted(call, other.backup, Part::Keys))?;
                }
            }
            self.backup_complete(call, view.backup, facts(&manifest, sha256))?;
        }
        Ok(())
    }

    /// Says in the registry that a backup failed, and that nothing of it is left, where that is so.
    /// Its files lie under the name of `home`.
    fn give_up(
        &self,
        call: &Call<'_>,
        target: &dyn Target,
        (backup, home): (BackupId, BackupId),
        parts: Parts,
    ) {
        let failed = self.backup_failed(call, backup);
        let left = target.objects(&home.to_string());
        let gone = target::known(target)
            && left.is_ok_and(|left| left.is_empty())
            && target.deletes_for_good().unwrap_or(false);
        if failed.is_ok() && gone {
            // What cannot be said now is overdue later, and then looked at by somebody.
            if parts != Parts::Data {
                let _ = self.backup_deleted(call, backup, Part::Keys);
            }
            if parts != Parts::Keys {
                let _ = self.backup_deleted(call, backup, Part::Data);
            }
        }
    }

    /// Makes a new key part, of today's keys, for a backup whose data are still there; then deletes the
    /// older ones, and verifies that they are gone. Whoever was erased since is out of reach from here.
    ///
    /// # Errors
    ///
    /// See [`BackupError`]; before the new part is whole nothing is deleted.
    pub fn rekey_backup(
        &self,
        call: &Call<'_>,
        target: &Arc<dyn Target>,
        backup: BackupId,
        keys: (Recipients, Timestamp),
        tell: Tell<'_>,
    ) -> Result<Rekeyed, BackupError> {
        let job = self.rekey_job()?;
        self.rekey_in(call, target, backup, keys, tell, job)
    }

    /// Begins the job of new keys for a backup.
    ///
    /// # Errors
    ///
    /// Those of [`crate::jobs::Jobs::begin`].
    pub fn rekey_job(&self) -> Result<Job, Refusal> {
        self.jobs.begin(JobKind::BackupRekey, "people")
    }

    /// [`Vault::rekey_backup`] in a job that was begun, and is ended by it.
    ///
    /// # Errors
    ///
    /// As for [`Vault::rekey_backup`].
    pub fn rekey_in(
        &self,
        call: &Call<'_>,
        target: &Arc<dyn Target>,
        backup: BackupId,
        keys: (Recipients, Timestamp),
        tell: Tell<'_>,
        job: Job,
    ) -> Result<Rekeyed, BackupError> {
        job.about(backup);
        let made = self.try_rekey(call, target, backup, keys, tell, &job);
        end(job, &made);
        made
    }

    fn try_rekey(
        &self,
        call: &Call<'_>,
        target: &Arc<dyn Target>,
        backup: BackupId,
        (recipients, keys_expire): (Recipients, Timestamp),
        tell: Tell<'_>,
        job: &Job,
    ) -> Result<Rekeyed, BackupError> {
        let _alone = self.working.lock();
        if recipients.is_empty() {
            let what = "say to whom the new key part is sealed: --recipient age1…";
            return Err(BackupError::Input(what.into()));
        }
        self.tidy_backups(call, &**target)?;
        self.demand_place(call, &**target)?;
        mark(&**target)?;
        let before = Manifest::read(&**target, &backup.to_string())?;
        let begin = BackupBegin {
            target: target.place(),
            data: false,
            keys: Some(keys_expire),
            of: Some(backup),
        };
        let registered = self.backup_begin(call, begin)?;
        let options = Options {
            parts: Parts::Keys,
            recipients,
            keys_expire,
        };
        let made = rekey::rekey(
            &self.engine,
            target,
            &before,
            registered,
            &options,
            tell,
            job,
        );
        let (manifest, sha256, counts) = match made {
            Ok(made) => made,
            Err(error) => {
                // Old files are still named by the old manifest; the others are nobody's.
                let _ = self.backup_failed(call, registered);
                let clean = gone::clear_new_keys(&**target, &before);
                if clean && target.deletes_for_good().unwrap_or(false) {
                    let _ = self.backup_deleted(call, registered, Part::Keys);
                }
                return Err(error);
            }
        };
        let mut deleted = 0;
        if let Some(old) = &before.keys {
            deleted = gone::delete_keys(&**target, &before, old)?;
            // Where older versions stay, the part stays overdue until somebody says that they are gone; and so
            // does one of another place, of which this was a copy.
            let (views, _) = self.backups(call)?;
            let mut parts = views.iter().filter(|view| view.backup == old.registered);
            let here = parts.all(|view| target::same(&view.target, &target.place()));
            if here && for_good(&**target)? {
                self.told(self.backup_deleted(call, old.registered, Part::Keys))?;
            }
        }
        // Last: while it is not complete, whoever comes next takes up what is left to be deleted.
        self.backup_complete(call, registered, facts(&manifest, sha256))?;
        let ledger = self.push_ledger(call, &**target);
        let gone = manifest.people.saturating_sub(counts.people);
        job.came_to(vec![
            ("people_whole", counts.people - counts.people_in_part),
            ("people_in_part", counts.people_in_part),
            ("people_gone", gone),
            ("files_deleted", deleted),
        ]);
        Ok(Rekeyed {
            whole: counts.people - counts.people_in_part,
            in_part: counts.people_in_part,
            gone,
            manifest,
            deleted,
            ledger,
        })
    }

    /// A backup that this vault's registry does not know, or knows to be gone: it was made by the vault
    /// that this one was restored from, after the backup that it was restored of.
    pub(super) fn told(&self, told: Result<(), Refusal>) -> Result<(), BackupError> {
        match told {
            Ok(()) | Err(Refusal::NotFound(_) | Refusal::Conflict(_)) => Ok(()),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

/// Ends a job as its work ended.
pub(super) fn end<T>(job: Job, made: &Result<T, BackupError>) {
    match made {
        Ok(_) => job.done(),
        Err(BackupError::Cancelled) => job.ended_early(),
        Err(error) => job.failed(error.to_string()),
    }
}

pub(super) fn for_good(target: &dyn Target) -> Result<bool, BackupError> {
    let place = target.place();
    let asked = target.deletes_for_good();
    asked.map_err(BackupError::io(format!("ask {place} for versions")))
}

fn mark(target: &dyn Target) -> Result<(), BackupError> {
    let place = target.place();
    target::mark(target).map_err(BackupError::io(format!("write to {place}")))
}

/// Which parts a registered backup was to have.
fn parts(view: &BackupView) -> Parts {
    match (&view.data, &view.keys) {
        (Some(_), Some(_)) => Parts::Both,
        (Some(_), None) => Parts::Data,
        (None, _) => Parts::Keys,
    }
}

pub(super) fn facts(manifest: &Manifest, manifest_sha256: [u8; 32]) -> BackupFacts {
    BackupFacts {
        bytes: manifest.bytes(),
        people: manifest.people,
        records: manifest.records(),
        epoch: manifest.epoch,
        policy_version: manifest.policy_version,
        ledger_position: manifest.ledger_position,
        manifest_sha256,
    }
}
