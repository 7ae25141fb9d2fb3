//! Calls that make and look at backups.

use std::sync::Arc;

use jiff::Timestamp;

use super::Vault;
use super::token::Call;
use crate::backup::target::Target;
use crate::backup::write::{self, Options, Parts};
use crate::backup::{BackupError, Manifest, Recipients};
use crate::entropy::OsEntropy;
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
    pub keys_expire: Option<Timestamp>,
}

impl Vault {
    /// Whether the caller may have backups made; the call is recorded.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`].
    pub fn may_back_up(&self, call: &Call<'_>) -> Result<(), Refusal> {
        self.write(call, "backups.create", |_, policy, context, _| {
            context.principal.require(policy, Capability::BackupsManage)
        })
    }

    /// Begins the job of a backup: one runs at a time.
    ///
    /// # Errors
    ///
    /// Those of [`crate::jobs::Jobs::begin`].
    pub fn backup_job(&self) -> Result<Job, Refusal> {
        self.jobs.begin(JobKind::Backup, "people")
    }

    /// Makes a backup at a target while the vault goes on. `job` is ended by it.
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
    ) -> Result<Manifest, BackupError> {
        let made = self.try_back_up(call, target, input, &job);
        match &made {
            Ok(_) => job.done(),
            Err(BackupError::Cancelled) => job.ended_early(),
            Err(error) => job.failed(error.to_string()),
        }
        made
    }

    fn try_back_up(
        &self,
        call: &Call<'_>,
        target: &Arc<dyn Target>,
        input: BackupInput,
        job: &Job,
    ) -> Result<Manifest, BackupError> {
        self.may_back_up(call)?;
        let needs = input.parts != Parts::Data;
        if needs && input.recipients.is_empty() {
            return Err(BackupError::Input(
                "say to whom the key part is sealed: --recipient age1… (made with `age-keygen`), or \
                 --data-only for a part that opens nothing"
                    .into(),
            ));
        }
        let backup = BackupId::generate(&mut OsEntropy);
        let options = Options {
            parts: input.parts,
            recipients: input.recipients,
            keys_expire: input.keys_expire,
            ledger_position: 0,
        };
        write::write(&self.engine, target, backup, &options, Some(job))
    }
}
