//! Work on backups that somebody asks for: made, read back, given new keys, taken away.
//!
//! A body names no place, no recipient and no secret: the configuration says where backups go and who may open
//! their keys.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::backup::BackupError;
use vault_core::backup::write::Parts;
use vault_core::id::BackupId;
use vault_core::jobs::JobView;
use vault_core::refusal::Refusal;
use vault_core::vault::Pruned;

use crate::backups::work::Worker;
use crate::backups::{BackupFigures, Backups};
use crate::call::{Outcome, Session};
use crate::code::Code;
use crate::idempotency::Remember;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::jobs::JobBody;
use crate::shape::Shape;
use crate::state::{App, chain};
use crate::urls;

const CAPABILITY: &str = "backups.manage";

/// A copy of the erasure ledger.
#[derive(Serialize, ToSchema)]
#[schema(as = LedgerCopy)]
pub(crate) struct CopyBody {
    /// Where it is, as the configuration names it.
    target: String,
    /// Entries of the ledger that it lacks; null until it was made once since the vault was opened.
    entries_behind: Option<u64>,
    /// For how many seconds it has lacked something.
    behind_seconds: u64,
    /// Whatever was acknowledged before this is in it.
    #[schema(format = DateTime)]
    complete_until: Option<String>,
    /// Failures since the last copy that was made.
    failures: u32,
    /// When one last failed.
    #[schema(format = DateTime)]
    failed_at: Option<String>,
}

/// Which backups stay: the newest, and the newest of each of so many days, weeks and months that have any. All of them,
/// where no rule is given.
#[derive(Serialize, ToSchema)]
#[schema(as = BackupKeep)]
pub(crate) struct KeepBody {
    last: u32,
    daily: u32,
    weekly: u32,
    monthly: u32,
}

/// What the configuration says of backups, and how they went since the server started.
#[derive(Serialize, ToSchema)]
#[schema(as = BackupSchedule)]
pub(crate) struct ScheduleBody {
    /// Where they go; null where they go nowhere.
    target: Option<String>,
    /// Who may open key parts, `age1…` each.
    recipients: Vec<String>,
    /// How often one is made, ISO 8601; null where only when somebody asks.
    every: Option<String>,
    /// How long key parts live, ISO 8601.
    key_expiry: String,
    /// Which backups stay.
    keep: KeepBody,
    /// When the next is due; after a failure, when it is tried again.
    #[schema(format = DateTime)]
    next_due_at: Option<String>,
    /// When one with both parts was last whole there.
    #[schema(format = DateTime)]
    last_completed_at: Option<String>,
    /// When one last failed.
    #[schema(format = DateTime)]
    last_failed_at: Option<String>,
    /// Failures since the last that was whole.
    failures: u32,
    /// Prunings that failed.
    prune_failures: u64,
    /// The copies of the erasure ledger.
    ledger: Vec<CopyBody>,
}

/// How backups stand, where anything is configured.
pub(crate) fn schedule(session: &Session) -> Option<ScheduleBody> {
    let backups = session.app.backups();
    let figures = session.app.backup_figures(&session.vault)?;
    Some(body_of(backups, figures))
}

fn body_of(backups: &Backups, figures: BackupFigures) -> ScheduleBody {
    let BackupFigures {
        next_due_at,
        late_seconds: _,
        completed_at,
        failed_at,
        failures,
        prune_failures,
        copies,
    } = figures;
    let config = &backups.config;
    let text = |at: jiff::Timestamp| at.to_string();
    let ledger = copies.into_iter().map(|copy| CopyBody {
        target: copy.place,
        entries_behind: copy.behind,
        behind_seconds: copy.behind_seconds,
        complete_until: copy.complete_until.map(text),
        failures: copy.failures,
        failed_at: copy.failed_at.map(text),
    });
    ScheduleBody {
        target: backups.target().ok().map(|target| target.place()),
        recipients: config.recipients.clone(),
        every: config.every.as_ref().map(ToString::to_string),
        key_expiry: config.key_expiry.to_string(),
        keep: KeepBody {
            last: config.keep.last,
            daily: config.keep.daily,
            weekly: config.keep.weekly,
            monthly: config.keep.monthly,
        },
        next_due_at: next_due_at.map(text),
        last_completed_at: completed_at.map(text),
        last_failed_at: failed_at.map(text),
        failures,
        prune_failures,
        ledger: ledger.collect(),
    }
}

/// A backup that is to be made.
#[derive(ToSchema)]
#[schema(as = BackupCreateRequest)]
#[expect(dead_code, reason = "describes the wire")]
pub(crate) struct CreateRequest {
    /// `both`, `data` or `keys`.
    #[schema(default = "both")]
    parts: Option<String>,
}

/// Backups that are to be read back.
#[derive(ToSchema)]
#[schema(as = BackupVerifyRequest)]
#[expect(dead_code, reason = "describes the wire")]
pub(crate) struct VerifyRequest {
    /// Which, `bak_…`; all of this vault's at the target without it.
    backup: Option<String>,
}

/// What pruning took away, or would.
#[derive(Serialize, ToSchema)]
#[schema(as = BackupsPruned)]
pub(crate) struct PrunedBody {
    /// Backups that went whole.
    backups: Vec<String>,
    /// Backups whose key part went: it had expired.
    key_parts: Vec<String>,
    /// What was never finished, and went.
    unfinished: Vec<String>,
    /// What somebody had deleted who was cut off before the registry heard of it: it hears now.
    gone: Vec<String>,
    /// Backups that stay.
    kept: Vec<String>,
    /// Whether nothing was changed.
    dry_run: bool,
    /// Whether what went counts as deleted; a target that keeps versions has it still, and receipts stay open until
    /// somebody says that it is gone.
    verified: bool,
}

/// Numbers by their names.
pub(crate) type Numbers = BTreeMap<&'static str, u64>;

fn parts(body: Value) -> Result<Parts, Problem> {
    let mut shape = Shape::of(body, &["parts"])?;
    let named = shape.optional_text("parts");
    let found = match named.as_deref() {
        None | Some("both") => Parts::Both,
        Some("data") => Parts::Data,
        Some("keys") => Parts::Keys,
        Some(_) => {
            let detail = "`both`, `data` or `keys` is expected";
            shape.refuse("parts", "unknown_word", detail);
            Parts::Both
        }
    };
    shape.finish(found)
}

fn which(body: Value) -> Result<Option<BackupId>, Problem> {
    let mut shape = Shape::of(body, &["backup"])?;
    let named = shape.optional_text("backup");
    let found = named.map(|text| text.parse::<BackupId>());
    if let Some(Err(_)) = &found {
        shape.refuse("backup", "not_an_id", "`bak_…` is expected");
    }
    shape.finish(found.and_then(Result::ok))
}

/// Whoever may not manage backups learns nothing of what is configured.
fn worker(session: &Session) -> Result<Worker, Problem> {
    session.vault.require(&session.call(), CAPABILITY)?;
    session.app.backups().target()?;
    Ok(Worker {
        app: session.app.clone(),
        vault: session.vault.clone(),
        principal: session.principal().clone(),
    })
}

fn begun(job: Option<JobView>) -> Outcome {
    let job = job.ok_or(Problem::new(Code::Internal))?;
    Ok(Reply::json(202, &JobBody::from(job)))
}

fn with_recipients(session: &Session) -> Result<(), Problem> {
    match session.app.backups().config.recipients.is_empty() {
        true => Err(Problem::with_detail(
            Code::Conflict,
            "nobody could open the keys: the configuration names nobody in `backup.recipients`",
        )),
        false => Ok(()),
    }
}

/// Make a backup now
///
/// Capability `backups.manage`. At the target of the configuration (`backup.to`), its keys sealed to
/// `backup.recipients`; afterwards the rules of `backup.keep` are kept to. 202 with the job of kind `backup`, which
/// goes on after the answer; 409 while one runs, or where the configuration names no target or no recipient. The body
/// may be `{}`.
#[utoipa::path(post, path = urls::BACKUPS, tag = "admin", operation_id = "create_backup",
    request_body = CreateRequest,
    responses((status = 202, description = "Begun: the job", body = JobBody)))]
pub(crate) async fn create(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    app.post(incoming, Remember::Reply, None, move |session| {
        let parts = session.parsed(CAPABILITY, parts(body))?;
        let worker = worker(session)?;
        if parts != Parts::Data {
            with_recipients(session)?;
        }
        let job = session.vault.backup_job()?;
        let view = job.view();
        worker.spawn(move |worker| worker.back_up(parts, job))?;
        begun(view)
    })
    .await
}

/// Read backups back
///
/// Capability `backups.manage`. Every checksum, and that this vault has signed them; no secret is needed, and so nothing
/// is opened: only `vault-cli backup verify --identity`, elsewhere, can say that the keys fit. 202 with the job of kind
/// `backup_verify`, which is `failed` where something is not as it was written; 409 while one runs.
#[utoipa::path(post, path = urls::BACKUPS_VERIFY, tag = "admin", operation_id = "verify_backups",
    request_body = VerifyRequest,
    responses((status = 202, description = "Begun: the job", body = JobBody)))]
pub(crate) async fn verify(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    app.post(incoming, Remember::Reply, None, move |session| {
        let backup = session.parsed(CAPABILITY, which(body))?;
        let worker = worker(session)?;
        let job = session.vault.verify_job()?;
        let view = job.view();
        worker.spawn(move |worker| worker.verify(backup, job))?;
        begun(view)
    })
    .await
}

/// Give a backup today's keys
///
/// Capability `backups.manage`. A new key part for the backup's data, sealed to `backup.recipients`; then its older ones
/// are deleted: what was erased until now is final from then on. 202 with the job of kind `backup_rekey`; 409 while one
/// runs, or a backup is made.
#[utoipa::path(post, path = urls::BACKUP_REKEY, tag = "admin", operation_id = "rekey_backup",
    responses((status = 202, description = "Begun: the job", body = JobBody)))]
pub(crate) async fn rekey(State(app): State<App>, incoming: Incoming) -> Outcome {
    let backup: Result<BackupId, _> = incoming.parameter("b").parse();
    let backup = backup.map_err(|_| Problem::new(Code::NotFound));
    app.post(incoming, Remember::Reply, None, move |session| {
        let backup = session.parsed(CAPABILITY, backup)?;
        let worker = worker(session)?;
        with_recipients(session)?;
        session.vault.backup(&session.call(), backup)?;
        let job = session.vault.rekey_job()?;
        job.about(backup);
        let view = job.view();
        worker.spawn(move |worker| worker.rekey(backup, job))?;
        begun(view)
    })
    .await
}

/// Let go what the rules do not keep
///
/// Capability `backups.manage`. The rules are those of the configuration (`backup.keep`); without one every backup stays.
/// Key parts that have expired go in any case. Each file is asked for after its deletion. `dry_run=true` says what would
/// go.
#[utoipa::path(post, path = urls::BACKUPS_PRUNE, tag = "admin", operation_id = "prune_backups",
    params(("dry_run" = Option<bool>, Query, description = "`true`: say what would go, and change nothing")),
    responses((status = 200, description = "Done", body = PrunedBody)))]
pub(crate) async fn prune(State(app): State<App>, incoming: Incoming) -> Outcome {
    let dry_run = incoming
        .query(&["dry_run"])
        .and_then(|query| query.word("dry_run", &[("false", false), ("true", true)]));
    app.post(incoming, Remember::Again, None, move |session| {
        let dry_run = session.parsed(CAPABILITY, dry_run)?;
        let pruned = worker(session)?.prune(dry_run).map_err(problem)?;
        let Pruned {
            backups,
            key_parts,
            kept,
            unfinished,
            gone,
            verified,
        } = pruned;
        let ids = |ids: Vec<BackupId>| ids.iter().map(ToString::to_string).collect();
        let body = PrunedBody {
            backups: ids(backups),
            key_parts: ids(key_parts),
            unfinished,
            gone: ids(gone),
            kept: ids(kept),
            dry_run,
            verified,
        };
        Ok(Reply::json(200, &body))
    })
    .await
}

/// Copy the erasure ledger now
///
/// Capability `backups.manage`. The server does it by itself, seconds after something was destroyed. The answer is how the
/// copies stand afterwards.
#[utoipa::path(post, path = urls::BACKUPS_LEDGER, tag = "admin", operation_id = "copy_ledger",
    responses((status = 200, description = "How the copies stand", body = ScheduleBody)))]
pub(crate) async fn ledger(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.post(incoming, Remember::Again, None, move |session| {
        session.vault.require(&session.call(), CAPABILITY)?;
        crate::backups::ledger::copy_all(&session.app);
        let none = || {
            let detail = "the configuration names no target: set `backup.to`";
            Problem::with_detail(Code::Conflict, detail)
        };
        Ok(Reply::json(200, &schedule(session).ok_or_else(none)?))
    })
    .await
}

/// What went wrong at the target is for the operator's log; a refusal is for the caller.
fn problem(error: BackupError) -> Problem {
    match error {
        BackupError::Refused(refusal) => refusal.into(),
        error => {
            tracing::error!(target: "vault_server::backups", error = %chain(&error), "work on backups failed");
            Refusal::Conflict(format!("at the target: {error}")).into()
        }
    }
}
