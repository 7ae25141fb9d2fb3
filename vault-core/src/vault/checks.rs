//! Backups read back without a secret, as a job: every checksum, and that this vault has signed them.

use std::sync::Arc;

use super::Vault;
use super::copies::end;
use super::token::Call;
use crate::audit::checkpoint::VerifierKey;
use crate::backup::target::Target;
use crate::backup::verify::{Verified, verify};
use crate::backup::{BackupError, list};
use crate::commit::View as _;
use crate::id::BackupId;
use crate::jobs::{Job, JobKind};
use crate::policy::Capability;
use crate::refusal::Refusal;

impl Vault {
    /// Begins the job of reading backups back: one runs at a time.
    ///
    /// # Errors
    ///
    /// Those of [`crate::jobs::Jobs::begin`].
    pub fn verify_job(&self) -> Result<Job, Refusal> {
        self.jobs.begin(JobKind::BackupVerify, "bytes")
    }

    /// Reads a backup back, or all of this vault's at the target; `job` is ended by it. Nothing is opened: whether the
    /// keys fit only who has the identity can say.
    ///
    /// # Errors
    ///
    /// [`BackupError::Damaged`] names the first object that is not what was written;
    /// [`BackupError::NotFound`] where there is none; see [`BackupError`].
    pub fn verify_backups(
        &self,
        call: &Call<'_>,
        target: &Arc<dyn Target>,
        backup: Option<BackupId>,
        job: Job,
    ) -> Result<Vec<Verified>, BackupError> {
        let done = self.try_verify(call, target, backup, &job);
        end(job, &done);
        done
    }

    fn try_verify(
        &self,
        call: &Call<'_>,
        target: &Arc<dyn Target>,
        backup: Option<BackupId>,
        job: &Job,
    ) -> Result<Vec<Verified>, BackupError> {
        let (vault, key) = self.read(
            call,
            "backups.verify",
            None,
            |snapshot, policy, context, _| {
                let principal = &context.principal;
                principal.require(policy, Capability::BackupsManage)?;
                let signing = &snapshot.system().signing;
                Ok((snapshot.vault(), VerifierKey::of(snapshot.vault(), signing)))
            },
            |found| found,
        )?;
        let names = match backup {
            Some(backup) => {
                job.about(backup);
                vec![backup.to_string()]
            }
            None => {
                let (whole, _) = list(&**target)?;
                let ours = whole.iter().filter(|manifest| manifest.vault == vault);
                ours.map(|manifest| manifest.backup.to_string()).collect()
            }
        };
        if names.is_empty() {
            let what = format!("there is no finished backup at {}", target.place());
            return Err(BackupError::NotFound(what));
        }
        let tell = |done, total| match job.cancelled() || !self.is_open() {
            true => Err(BackupError::Cancelled),
            false => {
                job.progress(done, Some(total));
                Ok(())
            }
        };
        let mut all: Vec<Verified> = Vec::new();
        for name in names {
            let verified = verify(target, &name, Some(&key), None, None, &tell);
            if matches!(verified, Err(BackupError::Damaged { .. })) {
                job.came_to(vec![("damaged", 1)]);
            }
            all.push(verified?);
        }
        job.came_to(vec![
            ("backups", all.len() as u64),
            ("objects", all.iter().map(|one| one.objects).sum()),
            ("bytes", all.iter().map(|one| one.bytes).sum()),
        ]);
        Ok(all)
    }
}
