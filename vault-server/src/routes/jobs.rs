//! Long work: what runs, how far it is, how it ended; and an end to it.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use vault_core::jobs::{JobState, JobView};

use crate::call::{Outcome, Session};
use crate::code::Code;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::backup_work::Numbers;
use crate::state::App;
use crate::urls;

/// A job: long work in the vault.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobBody {
    /// Counts from 1 since the vault was opened.
    number: u64,
    /// `backup`, `backup_rekey`, `backup_verify`, `import`, `rotation` or `sweep`.
    kind: &'static str,
    /// `running`, `done`, `cancelled` or `failed`.
    state: &'static str,
    /// Why it could not go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
    /// Since when.
    #[schema(format = DateTime)]
    started_at: String,
    /// Until when; null while it runs.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// So much is done, in `unit`.
    done: u64,
    /// Of so much; null where that is not known.
    total: Option<u64>,
    /// What is counted, such as `people`.
    unit: &'static str,
    /// The backup that it makes, reads or changes, `bak_…`, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    backup: Option<String>,
    /// What it came to, in numbers.
    #[serde(skip_serializing_if = "Numbers::is_empty")]
    #[schema(value_type = BTreeMap<String, u64>)]
    result: Numbers,
}

impl From<JobView> for JobBody {
    fn from(view: JobView) -> Self {
        let (state, error) = match view.state {
            JobState::Running => ("running", None),
            JobState::Done => ("done", None),
            JobState::Cancelled => ("cancelled", None),
            JobState::Failed(why) => ("failed", Some(why)),
        };
        Self {
            number: view.number,
            kind: view.kind.name(),
            state,
            error,
            started_at: view.started_at.to_string(),
            ended_at: view.ended_at.map(|at| at.to_string()),
            done: view.done,
            total: view.total,
            unit: view.unit,
            backup: view.backup.map(|backup| backup.to_string()),
            result: view.result.into_iter().collect(),
        }
    }
}

/// Jobs.
#[derive(Serialize, ToSchema)]
pub(crate) struct JobList {
    /// Those under way and the last that ended, newest first.
    jobs: Vec<JobBody>,
}

fn number(incoming: &Incoming) -> Result<u64, Problem> {
    let number = incoming.parameter("n").parse();
    number.map_err(|_| Problem::new(Code::NotFound))
}

/// What was parsed; whoever may not know of jobs is told that first.
fn parsed<T>(session: &Session, parsed: Result<T, Problem>) -> Result<T, Problem> {
    if parsed.is_err() {
        session.vault.list_jobs(&session.call())?;
    }
    parsed
}

/// Long work under way, and the last that ended
///
/// Any of the capabilities `backups.manage`, `incidents.manage`, `keys.manage`, `retention.run`. Kept in memory: a restart begins
/// the list anew; work that goes on shows itself again.
#[utoipa::path(get, path = urls::JOBS, tag = "admin", operation_id = "list_jobs",
    responses((status = 200, description = "The jobs", body = JobList)))]
pub(crate) async fn list(State(app): State<App>, incoming: Incoming) -> Outcome {
    let query = incoming.query(&[]);
    app.call(incoming, move |session| {
        parsed(session, query)?;
        let jobs = session.vault.list_jobs(&session.call())?;
        let jobs = jobs.into_iter().map(JobBody::from).collect();
        Ok(Reply::json(200, &JobList { jobs }))
    })
    .await
}

/// One job
///
/// Any of the capabilities `backups.manage`, `keys.manage`, `retention.run`.
#[utoipa::path(get, path = urls::JOB, tag = "admin", operation_id = "read_job",
    responses((status = 200, description = "The job", body = JobBody)))]
pub(crate) async fn read(State(app): State<App>, incoming: Incoming) -> Outcome {
    let number = number(&incoming);
    app.call(incoming, move |session| {
        let number = parsed(session, number)?;
        let job = session.vault.job(&session.call(), number)?;
        Ok(Reply::json(200, &JobBody::from(job)))
    })
    .await
}

/// End a job
///
/// Takes `backups.manage` for backups, `keys.manage` for rotations and imports, `retention.run` for a sweep. It ends
/// at its next step, an import at once for whoever wants to begin another; what it did stays done. One that has
/// ended stays as it is.
#[utoipa::path(delete, path = urls::JOB, tag = "admin", operation_id = "cancel_job",
    responses((status = 200, description = "It had ended", body = JobBody),
        (status = 202, description = "It was asked to end: the job as it stood", body = JobBody)))]
pub(crate) async fn cancel(State(app): State<App>, incoming: Incoming) -> Outcome {
    let number = number(&incoming);
    app.call(incoming, move |session| {
        let number = parsed(session, number)?;
        let job = session.vault.cancel_job(&session.call(), number)?;
        let status = match job.state {
            JobState::Running => 202,
            _ => 200,
        };
        Ok(Reply::json(status, &JobBody::from(job)))
    })
    .await
}
