//! Long work as callers see it: listed, looked at, ended; and the run of the sweeper that is one.

use super::Vault;
use super::sweep::Sweep;
use super::token::Call;
use crate::jobs::{JobKind, JobView};
use crate::policy::Capability;
use crate::refusal::Refusal;

/// Who may know of jobs: whoever may begin one of them.
const ANY: [Capability; 4] = [
    Capability::BackupsManage,
    Capability::IncidentsManage,
    Capability::KeysManage,
    Capability::RetentionRun,
];

/// What a run of the sweeper did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepRun {
    /// Passes that were made.
    pub passes: u32,
    /// Whether work remains.
    pub more: bool,
}

/// Who may end a job: whoever may begin one like it; an import, which any bot begins, whoever manages keys.
fn ends(kind: JobKind) -> Capability {
    match kind {
        JobKind::Backup | JobKind::BackupRekey | JobKind::BackupVerify => Capability::BackupsManage,
        JobKind::BreachScope => Capability::IncidentsManage,
        JobKind::Import | JobKind::Rotation => Capability::KeysManage,
        JobKind::Sweep => Capability::RetentionRun,
    }
}

impl Vault {
    /// Jobs under way and the last that ended, newest first.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] without any of `backups.manage`, `incidents.manage`, `keys.manage`, `retention.run`.
    pub fn list_jobs(&self, call: &Call<'_>) -> Result<Vec<JobView>, Refusal> {
        self.read(
            call,
            "jobs.list",
            None,
            |_, policy, context, _| {
                context.principal.require_any(policy, &ANY)?;
                Ok(self.jobs.list())
            },
            |jobs| jobs,
        )
    }

    /// One job.
    ///
    /// # Errors
    ///
    /// As for [`Vault::list_jobs`]; [`Refusal::NotFound`].
    pub fn job(&self, call: &Call<'_>, number: u64) -> Result<JobView, Refusal> {
        self.read(
            call,
            "jobs.read",
            None,
            |_, policy, context, _| {
                context.principal.require_any(policy, &ANY)?;
                self.jobs.find(number).ok_or(Refusal::NotFound("job"))
            },
            |job| job,
        )
    }

    /// Asks a job to end; it does so at its next step, and what it did stays done. One that has ended stays as
    /// it is. The answer is the job as it stood.
    ///
    /// # Errors
    ///
    /// As for [`Vault::job`]; [`Refusal::RoleDenied`] for a kind that the caller may not begin.
    pub fn cancel_job(&self, call: &Call<'_>, number: u64) -> Result<JobView, Refusal> {
        self.read(
            call,
            "jobs.cancel",
            None,
            |_, policy, context, _| {
                context.principal.require_any(policy, &ANY)?;
                let job = self.jobs.find(number).ok_or(Refusal::NotFound("job"))?;
                context.principal.require(policy, ends(job.kind))?;
                self.jobs.cancel(number);
                Ok(job)
            },
            |job| job,
        )
    }

    /// Passes of the sweeper until nothing remains, `passes_max` are made, or somebody ends the job. Where one
    /// pass is enough for what is due, there is no job: the minute's round is no long work.
    ///
    /// # Errors
    ///
    /// Those of [`Vault::sweep`]; [`Refusal::Conflict`] while another run goes on.
    pub fn sweep_run(&self, which: Sweep, passes_max: u32) -> Result<SweepRun, Refusal> {
        let mut run = SweepRun {
            passes: 0,
            more: true,
        };
        if which == Sweep::Due {
            run.more = self.sweep(which)?;
            run.passes = 1;
            if !run.more {
                return Ok(run);
            }
        }
        let job = self.jobs.begin(JobKind::Sweep, "passes")?;
        job.progress(run.passes.into(), None);
        while run.more && run.passes < passes_max {
            if job.cancelled() {
                job.ended_early();
                return Ok(run);
            }
            match self.sweep(which) {
                Ok(more) => run.more = more,
                Err(refusal) => {
                    job.failed(refusal.to_string());
                    return Err(refusal);
                }
            }
            run.passes += 1;
            job.progress(run.passes.into(), None);
        }
        job.done();
        Ok(run)
    }
}
