//! The work itself, each in a job that was begun, on whatever thread it is called: made, read back, given new keys,
//! taken away.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::Builder;

use jiff::Timestamp;
use vault_core::backup::write::Parts;
use vault_core::backup::{BackupError, Recipients};
use vault_core::id::BackupId;
use vault_core::jobs::Job;
use vault_core::refusal::Refusal;
use vault_core::vault::{BackupInput, Call, Principal, Pruned, Vault};

use super::schedule::Schedule;
use super::{Backups, ledger};
use crate::state::{App, chain};

/// Who works, on which vault.
pub(crate) struct Worker {
    pub(crate) app: App,
    pub(crate) vault: Arc<Vault>,
    pub(crate) principal: Principal,
}

/// How a backup ended.
enum Outcome<'e> {
    Whole,
    /// The vault was closed meanwhile: it goes on when it is opened again, and nobody failed or wanted none.
    Closed,
    /// Somebody wanted none now.
    Cancelled,
    Failed(&'e BackupError),
}

impl<'e> Outcome<'e> {
    fn of(made: &'e Result<(), BackupError>, open: bool) -> Self {
        match made {
            Ok(()) => Self::Whole,
            // As it is closed every job is asked to end.
            Err(_) if !open => Self::Closed,
            Err(BackupError::Cancelled) => Self::Cancelled,
            Err(error) => Self::Failed(error),
        }
    }
}

impl Worker {
    fn backups(&self) -> &Backups {
        self.app.backups()
    }

    fn now(&self) -> Timestamp {
        self.app.settings().clock.now()
    }

    /// To whom keys are sealed, and until when those of now live.
    fn keys(&self) -> Result<(Recipients, Timestamp), BackupError> {
        let config = &self.backups().config;
        let recipients = Recipients::parse(config.recipients.iter().map(String::as_str))?;
        Ok((recipients, config.key_expiry.add_to(self.now())))
    }

    /// Makes a backup, and lets go what the rules do not keep.
    pub(crate) fn back_up(&self, parts: Parts, job: Job) {
        let (began, number) = (self.now(), job.number());
        let made = self.try_back_up(parts, job);
        let now = self.now();
        // The schedule makes both parts: what becomes of another backup moves nothing of it.
        let schedule = |change: fn(&mut Schedule, Timestamp)| {
            if parts == Parts::Both {
                change(&mut self.backups().standing.lock().schedule, now);
            }
        };
        match Outcome::of(&made, self.vault.is_open()) {
            Outcome::Whole => {
                if parts == Parts::Both {
                    let mut standing = self.backups().standing.lock();
                    standing.schedule.succeeded(began, now);
                }
                self.prune_by_rule();
            }
            Outcome::Closed => {}
            Outcome::Cancelled => {
                tracing::warn!(target: "vault_server::backups", job = number, "a backup was cancelled");
                schedule(Schedule::cancelled);
            }
            Outcome::Failed(error) => {
                tracing::error!(target: "vault_server::backups", job = number, error = %chain(error), "a backup failed");
                schedule(Schedule::failed);
            }
        }
    }

    fn try_back_up(&self, parts: Parts, job: Job) -> Result<(), BackupError> {
        let target = self.backups().target()?;
        let (recipients, keys_expire) = self.keys()?;
        let input = BackupInput {
            parts,
            recipients,
            keys_expire,
        };
        let call = Call::new(&self.principal);
        let made = self.vault.back_up(&call, target, input, job)?;
        ledger::beside(&self.app, &self.vault, &**target, &made.ledger);
        let manifest = &made.manifest;
        tracing::info!(target: "vault_server::backups", backup = %manifest.backup, people = manifest.people, bytes = manifest.bytes(), "a backup is whole");
        Ok(())
    }

    /// What the rules do not keep goes, and every key part that has expired.
    ///
    /// # Errors
    ///
    /// See [`BackupError`].
    pub(crate) fn prune(&self, dry_run: bool) -> Result<Pruned, BackupError> {
        let target = self.backups().target()?;
        let call = Call::new(&self.principal);
        let keep = self.backups().config.kept();
        let pruned = self.vault.prune_backups(&call, &**target, keep, dry_run)?;
        let gone = pruned.backups.len() + pruned.key_parts.len();
        if !dry_run && gone > 0 && !pruned.verified {
            tracing::warn!(target: "vault_server::backups", backups = pruned.backups.len(), key_parts = pruned.key_parts.len(), "the target keeps older versions of what was deleted, or does not say that it keeps none: receipts stay open. Let the credentials delete versions, or make a bucket that keeps none; or have a lifecycle rule end them, and say so then (POST /v1/admin/backups/{{b}}/deleted)");
        }
        Ok(pruned)
    }

    /// Whether nobody was in the way, so that it need not be tried again soon.
    pub(super) fn prune_by_rule(&self) -> bool {
        match self.prune(false) {
            Ok(pruned) => {
                tracing::info!(target: "vault_server::backups", backups = pruned.backups.len(), key_parts = pruned.key_parts.len(), kept = pruned.kept.len(), "what the rules do not keep is deleted");
            }
            Err(_) if !self.vault.is_open() => {}
            // A backup is made, or given new keys.
            Err(BackupError::Refused(Refusal::Conflict(_))) => return false,
            Err(error) => {
                self.backups()
                    .prune_failures
                    .fetch_add(1, Ordering::Relaxed);
                tracing::error!(target: "vault_server::backups", error = %chain(&error), "old backups were not deleted");
            }
        }
        true
    }

    /// Gives a backup today's keys.
    pub(crate) fn rekey(&self, backup: BackupId, job: Job) {
        let number = job.number();
        if let Err(error) = self.try_rekey(backup, job) {
            tracing::error!(target: "vault_server::backups", job = number, %backup, error = %chain(&error), "new keys for a backup were not made");
        }
    }

    fn try_rekey(&self, backup: BackupId, job: Job) -> Result<(), BackupError> {
        let target = self.backups().target()?;
        let keys = self.keys()?;
        let (jobs, number) = (self.vault.jobs(), job.number());
        let tell = |_, _| match jobs.cancel_asked(number) {
            true => Err(BackupError::Cancelled),
            false => Ok(()),
        };
        let call = Call::new(&self.principal);
        let vault = &self.vault;
        let made = vault.rekey_in(&call, target, backup, keys, &tell, job)?;
        ledger::beside(&self.app, vault, &**target, &made.ledger);
        Ok(())
    }

    /// Reads a backup back, or all.
    pub(crate) fn verify(&self, backup: Option<BackupId>, job: Job) {
        let number = job.number();
        let verified = self
            .backups()
            .target()
            .map_err(BackupError::from)
            .and_then(|target| {
                let call = Call::new(&self.principal);
                self.vault.verify_backups(&call, target, backup, job)
            });
        if let Err(error) = verified {
            tracing::error!(target: "vault_server::backups", job = number, error = %chain(&error), "a backup was not verified");
        }
    }

    /// Does the work on a thread of its own, which outlives the call that asked for it.
    ///
    /// # Errors
    ///
    /// [`Refusal::Overloaded`] where there is no thread; the job is given up then.
    pub(crate) fn spawn(self, work: impl FnOnce(&Self) + Send + 'static) -> Result<(), Refusal> {
        let thread = Builder::new().name("vault-backup".into());
        let spawned = thread.spawn(move || work(&self));
        spawned.map(drop).map_err(|error| {
            tracing::error!(target: "vault_server::backups", %error, "no thread for work on backups");
            Refusal::Overloaded
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_neither_a_failure_nor_somebodys_wish_for_no_backup() {
        let cancelled = Err(BackupError::Cancelled);
        assert!(matches!(Outcome::of(&cancelled, true), Outcome::Cancelled));
        assert!(matches!(Outcome::of(&cancelled, false), Outcome::Closed));
        let failed = Err(BackupError::Refused(Refusal::Locked));
        assert!(matches!(Outcome::of(&failed, true), Outcome::Failed(_)));
        assert!(matches!(Outcome::of(&failed, false), Outcome::Closed));
        assert!(matches!(Outcome::of(&Ok(()), false), Outcome::Whole));
    }
}
