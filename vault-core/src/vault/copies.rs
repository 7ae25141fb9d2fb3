//! Calls that make backups, give them new keys, and take them away.

use std::sync::Arc;

use jiff::Timestamp;

use super::token::Call;
use super::{BackupBegin, BackupFacts, BackupView, LedgerCopied, LedgerCopyError, Vault};
use crate::audit::signer::Signers;
use crate::backup::registry::Part;
use crate::backup::target::{self, Target};
use crate::backup::verify::Tell;
use crate::backup::write::{self, Options, Parts};
use crate::backup::{BackupError, KeyPart, MANIFEST, Manifest, Recipients};
use crate::backup::{gone, rekey};
use crate::id::BackupId;
use crate::jobs::{Job, JobKind};
use crate::policy::Capability;
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
    /// The ledger beside it.
    pub ledger: LedgerCopied,
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
}

/// What pruning takes away, or would.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Backups that go whole.
    pub backups: Vec<BackupId>,
    /// Backups whose key part goes: it has expired.
    pub key_parts: Vec<BackupId>,
    /// Backups that stay.
    pub kept: Vec<BackupId>,
    /// What was never finished, and goes.
    pub unfinished: Vec<String>,
    /// What somebody deleted who was cut off before the registry heard of it: it hears now.
    pub gone: Vec<BackupId>,
    /// Whether what went counts as deleted: a target that keeps versions has it still.
    pub verified: bool,
}

/// How many backups stay: the newest, and the newest of each day, week and month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// The newest.
    pub last: u32,
    /// Days.
    pub daily: u32,
    /// Weeks, which begin on Monday.
    pub weekly: u32,
    /// Months.
    pub monthly: u32,
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
        let ledger = self.push_ledger(call, &**target).map_err(ledger_error)?;
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
            view.target == place && whole && (data || keys)
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
        let half = |view: &&BackupView| {
            view.target == place && view.facts.is_none() && view.failed_at.is_none()
        };
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
            let older = older.filter(|other| {
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
            // Where older versions stay, the part stays overdue until somebody says that they are gone.
            if for_good(&**target)? {
                self.told(self.backup_deleted(call, old.registered, Part::Keys))?;
            }
        }
        // Last: while it is not complete, whoever comes next takes up what is left to be deleted.
        self.backup_complete(call, registered, facts(&manifest, sha256))?;
        self.push_ledger(call, &**target).map_err(ledger_error)?;
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
        })
    }

    /// Deletes what the rules do not keep, and every key part that has expired, or says what it would.
    /// Each file is asked for afterwards, and only then does the registry hear of it.
    ///
    /// # Errors
    ///
    /// See [`BackupError`]; what was deleted before stays deleted, and is in the registry.
    pub fn prune_backups(
        &self,
        call: &Call<'_>,
        target: &dyn Target,
        keep: Keep,
        dry_run: bool,
    ) -> Result<Pruned, BackupError> {
        self.read(
            call,
            "backups.list",
            None,
            |_, policy, context, _| {
                let principal = &context.principal;
                principal.require(policy, Capability::BackupsManage)
            },
            |()| (),
        )?;
        let now = self.engine.now();
        let (whole, unfinished) = crate::backup::list(target)?;
        let verified = for_good(target)?;
        let vault = self.snapshot()?;
        let (vault, system_key, signers) = {
            use crate::commit::View as _;
            let signers = Signers::of(vault.vault(), vault.system());
            (vault.vault(), vault.system().signing.duplicate(), signers)
        };
        let running =
            self.jobs.list().iter().any(|job| {
                job.kind == JobKind::Backup && job.state == crate::jobs::JobState::Running
            });
        // What others have written into a manifest must not speak for other backups.
        let ours = whole
            .iter()
            .filter(|m| m.vault == vault && m.signed_by(&signers));
        let ours: Vec<&Manifest> = ours.collect();
        let (views, _) = self.backups(call)?;
        let kept = kept(&ours, keep);
        let mut pruned = Pruned {
            verified,
            ..Pruned::default()
        };
        let told = |backup, part| match verified {
            true => self.deleted_of(call, &views, backup, part),
            // The registry goes on counting it, until somebody says that no version is left.
            false => Ok(()),
        };
        for manifest in ours {
            let backup = manifest.backup;
            let sooner = |keys: &KeyPart| {
                let view = views.iter().find(|view| view.backup == keys.registered);
                view.and_then(|view| Some(view.keys.as_ref()?.expires_at))
            };
            let ends = |keys: &KeyPart| sooner(keys).into_iter().chain(keys.expires_at).min();
            let keys = manifest.keys.as_ref();
            let expired = keys.filter(|keys| ends(keys).is_some_and(|end| end <= now));
            if kept.contains(&backup) {
                pruned.kept.push(backup);
                let Some(keys) = expired else { continue };
                pruned.key_parts.push(backup);
                if !dry_run {
                    gone::delete_keys(target, manifest, keys)?;
                    told(backup, Part::Keys)?;
                    // Last: while it names them, whoever is cut off begins here again.
                    gone::without_keys(target, manifest, &system_key)?;
                }
                continue;
            }
            pruned.backups.push(backup);
            if dry_run {
                continue;
            }
            gone::delete(target, manifest)?;
            told(backup, Part::Keys)?;
            told(backup, Part::Data)?;
        }
        // What another process is writing at this moment has no manifest either.
        if !running {
            for name in unfinished {
                let Ok(backup) = name.parse::<BackupId>() else {
                    continue;
                };
                // One whose manifest is damaged is for somebody to look at.
                let damaged = target.exists(&format!("{name}/{MANIFEST}"));
                let damaged = damaged.map_err(BackupError::io(format!("look at {name}")))?;
                if damaged || !views.iter().any(|view| view.backup == backup) {
                    continue;
                }
                pruned.unfinished.push(name.clone());
                if dry_run {
                    continue;
                }
                gone::clear_all(target, &name)?;
                told(backup, Part::Keys)?;
                told(backup, Part::Data)?;
            }
            let mut gone = match verified {
                true => untold(target, &views)?,
                false => Vec::new(),
            };
            let known = |backup: &BackupId| {
                pruned.backups.contains(backup) || pruned.unfinished.contains(&backup.to_string())
            };
            gone.retain(|backup| !known(backup));
            pruned.gone = gone;
            for backup in pruned.gone.iter().filter(|_| !dry_run) {
                told(*backup, Part::Keys)?;
                told(*backup, Part::Data)?;
            }
        }
        pruned
            .gone
            .retain(|backup| !pruned.backups.contains(backup));
        Ok(pruned)
    }

    /// Says of a backup whose files of this part are verified gone, and of all new key parts that were made for
    /// it, that they are. One that never was said to be whole has failed first.
    fn deleted_of(
        &self,
        call: &Call<'_>,
        views: &[BackupView],
        backup: BackupId,
        part: Part,
    ) -> Result<(), BackupError> {
        let of = |view: &&BackupView| view.backup == backup || view.of == Some(backup);
        for view in views.iter().filter(of) {
            let there = match part {
                Part::Data => view.data.is_some(),
                Part::Keys => view.keys.is_some(),
            };
            if there {
                self.told(self.backup_failed(call, view.backup))?;
                self.told(self.backup_deleted(call, view.backup, part))?;
            }
        }
        Ok(())
    }

    /// A backup that this vault's registry does not know, or knows to be gone: it was made by the vault
    /// that this one was restored from, after the backup that it was restored of.
    fn told(&self, told: Result<(), Refusal>) -> Result<(), BackupError> {
        match told {
            Ok(()) | Err(Refusal::NotFound(_) | Refusal::Conflict(_)) => Ok(()),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

/// Backups of this target of which the registry knows a part and the target nothing: whoever deleted them was cut
/// off before they could say so. Where nobody knows the place, what is missing may lie elsewhere.
fn untold(target: &dyn Target, views: &[BackupView]) -> Result<Vec<BackupId>, BackupError> {
    let place = target.place();
    let mut untold = Vec::new();
    if !target::known(target) {
        return Ok(untold);
    }
    for view in views.iter().filter(|view| view.target == place) {
        let data = view.data.as_ref().map(|part| part.deleted_at);
        let keys = view.keys.as_ref().map(|part| part.deleted_at);
        let home = view.of.unwrap_or(view.backup);
        if ![data, keys].contains(&Some(None)) || untold.contains(&home) {
            continue;
        }
        let left = target.objects(&home.to_string());
        if left
            .map_err(BackupError::io(format!("look at {home}")))?
            .is_empty()
        {
            untold.push(home);
        }
    }
    Ok(untold)
}

/// Ends a job as its work ended.
pub(super) fn end<T>(job: Job, made: &Result<T, BackupError>) {
    match made {
        Ok(_) => job.done(),
        Err(BackupError::Cancelled) => job.ended_early(),
        Err(error) => job.failed(error.to_string()),
    }
}

fn for_good(target: &dyn Target) -> Result<bool, BackupError> {
    let place = target.place();
    let asked = target.deletes_for_good();
    asked.map_err(BackupError::io(format!("ask {place} for versions")))
}

fn mark(target: &dyn Target) -> Result<(), BackupError> {
    let place = target.place();
    target::mark(target).map_err(BackupError::io(format!("write to {place}")))
}

fn ledger_error(error: LedgerCopyError) -> BackupError {
    BackupError::LedgerCopy(Box::new(error))
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

/// The backups that the rules keep. Each rule takes the newest of as many different periods; those with
/// data alone count, for keys without data bring nobody back.
fn kept(manifests: &[&Manifest], keep: Keep) -> std::collections::BTreeSet<BackupId> {
    let newest_first = || manifests.iter().rev().filter(|m| !m.objects.is_empty());
    let mut kept = std::collections::BTreeSet::new();
    kept.extend(newest_first().take(keep.last as usize).map(|m| m.backup));
    type Period = fn(jiff::civil::Date) -> (i16, i16);
    let rules: [(u32, Period); 3] = [
        (keep.daily, |date| (date.year(), date.day_of_year())),
        (keep.weekly, |date| {
            let week = date.iso_week_date();
            (week.year(), week.week().into())
        }),
        (keep.monthly, |date| (date.year(), date.month().into())),
    ];
    for (count, period) in rules {
        let mut seen = Vec::new();
        for manifest in newest_first() {
            let date = manifest
                .finished_at
                .to_zoned(jiff::tz::TimeZone::UTC)
                .date();
            let period = period(date);
            if !seen.contains(&period) && seen.len() < count as usize {
                seen.push(period);
                kept.insert(manifest.backup);
            }
        }
    }
    kept
}
