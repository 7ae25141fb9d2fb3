//! The registry of backups, and how far erasures reach by it.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::id::BackupId;
use vault_core::vault::{
    BackupFacts, BackupPart, BackupSummary, BackupView, KeyPartView, PartView, ReceiptStatus,
};

use crate::backups::BackupFigures;
use crate::call::Outcome;
use crate::code::Code;
use crate::idempotency::Remember;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::backup_work::{ScheduleBody, schedule};
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const CAPABILITY: &str = "backups.manage";

/// What there is of backups.
#[derive(Serialize, ToSchema)]
#[schema(as = BackupSummary)]
pub(crate) struct SummaryBody {
    /// Until when an erasure of now could be undone: the expiry of the last key part that is not
    /// verified deleted; now, where there is none.
    #[schema(format = DateTime)]
    pub(crate) erasure_horizon: String,
    /// Key parts that are not verified deleted.
    key_parts: usize,
    /// Those of them that should be gone by now.
    key_parts_overdue: usize,
    /// When a backup with a data part was last whole; null where none ever was.
    #[schema(format = DateTime)]
    last_completed_at: Option<String>,
    /// Failures of the server's own backups since the last that was whole; where the server makes any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    failures: Option<u32>,
    /// For how many seconds a copy of the erasure ledger has lacked something; where the server makes any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ledger_behind_seconds: Option<u64>,
}

impl SummaryBody {
    /// With what the server knows besides.
    pub(crate) fn with(self, figures: Option<&BackupFigures>) -> Self {
        Self {
            failures: figures.map(|figures| figures.failures),
            ledger_behind_seconds: figures.map(BackupFigures::ledger_behind_seconds),
            ..self
        }
    }
}

impl From<BackupSummary> for SummaryBody {
    fn from(summary: BackupSummary) -> Self {
        let BackupSummary {
            erasure_horizon,
            key_parts,
            overdue,
            last_completed_at,
        } = summary;
        Self {
            erasure_horizon: erasure_horizon.to_string(),
            key_parts,
            key_parts_overdue: overdue,
            last_completed_at: last_completed_at.map(|at| at.to_string()),
            failures: None,
            ledger_behind_seconds: None,
        }
    }
}

/// A data part.
#[derive(Serialize, ToSchema)]
#[schema(as = BackupDataPart)]
pub(crate) struct PartBody {
    /// When it was whole; null while it is not.
    #[schema(format = DateTime)]
    completed_at: Option<String>,
    /// When it was verified that the target no longer has it.
    #[schema(format = DateTime)]
    deleted_at: Option<String>,
}

/// A key part.
#[derive(Serialize, ToSchema)]
#[schema(as = BackupKeyPart)]
pub(crate) struct KeyPartBody {
    /// When it was whole; null while it is not.
    #[schema(format = DateTime)]
    completed_at: Option<String>,
    /// When it was verified that the target no longer has it.
    #[schema(format = DateTime)]
    deleted_at: Option<String>,
    /// When it is to be destroyed; never moves later.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Whether that is past and nobody has verified it.
    overdue: bool,
}

/// What a finished backup holds.
#[derive(Serialize, ToSchema)]
#[schema(as = BackupFacts)]
pub(crate) struct FactsBody {
    /// Its size.
    bytes: u64,
    /// People in it.
    people: u64,
    /// Records in it.
    records: u64,
    /// The anchor's epoch in which it was made.
    epoch: u64,
    /// Number of the policy that was in force.
    policy_version: u32,
    /// Entries of the erasure ledger that it knows.
    ledger_position: u64,
    /// SHA-256 of its manifest, hexadecimal.
    manifest_sha256: String,
}

/// A backup.
#[derive(Serialize, ToSchema)]
#[schema(as = Backup)]
pub(crate) struct BackupBody {
    /// Its id, `bak_…`.
    backup: String,
    /// Where it went, as the operator named it.
    target: String,
    /// Since when.
    #[schema(format = DateTime)]
    started_at: String,
    /// The backup whose data part this one is a new key part for.
    of: Option<String>,
    /// Its data part, if it has one.
    data: Option<PartBody>,
    /// Its key part, if it has one.
    keys: Option<KeyPartBody>,
    /// When it could not go on.
    #[schema(format = DateTime)]
    failed_at: Option<String>,
    /// What it holds, once it is whole.
    facts: Option<FactsBody>,
}

impl From<BackupView> for BackupBody {
    fn from(view: BackupView) -> Self {
        let BackupView {
            backup,
            target,
            started_at,
            of,
            data,
            keys,
            failed_at,
            facts,
        } = view;
        let text = |at: jiff::Timestamp| at.to_string();
        let data = data.map(|part| {
            let PartView {
                completed_at,
                deleted_at,
            } = part;
            PartBody {
                completed_at: completed_at.map(text),
                deleted_at: deleted_at.map(text),
            }
        });
        let keys = keys.map(|part| {
            let KeyPartView {
                completed_at,
                deleted_at,
                expires_at,
                overdue,
            } = part;
            KeyPartBody {
                completed_at: completed_at.map(text),
                deleted_at: deleted_at.map(text),
                expires_at: text(expires_at),
                overdue,
            }
        });
        let facts = facts.map(|facts| {
            let BackupFacts {
                bytes,
                people,
                records,
                epoch,
                policy_version,
                ledger_position,
                manifest_sha256,
            } = facts;
            FactsBody {
                bytes,
                people,
                records,
                epoch,
                policy_version,
                ledger_position,
                manifest_sha256: data_encoding::HEXLOWER.encode(&manifest_sha256),
            }
        });
        Self {
            backup: backup.to_string(),
            target,
            started_at: text(started_at),
            of: of.map(|of| of.to_string()),
            data,
            keys,
            failed_at: failed_at.map(text),
            facts,
        }
    }
}

/// Every backup, the newest first, and what they come to.
#[derive(Serialize, ToSchema)]
#[schema(as = BackupList)]
pub(crate) struct BackupList {
    /// What they come to.
    #[serde(flatten)]
    summary: SummaryBody,
    /// The server's own: null where the configuration says nothing of backups.
    schedule: Option<ScheduleBody>,
    /// The backups.
    backups: Vec<BackupBody>,
}

/// How far an erasure reaches by now.
#[derive(Serialize, ToSchema)]
#[schema(as = ReceiptStatus)]
pub(crate) struct ReceiptStatusBody {
    /// `open` while a copy of keys may still bring back what was erased, then `final`.
    state: &'static str,
    /// Since when it is final.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    final_at: Option<String>,
    /// When the last such copy is to be destroyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    erasure_horizon: Option<String>,
    /// The backups that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    backups: Option<Vec<String>>,
}

impl From<ReceiptStatus> for ReceiptStatusBody {
    fn from(status: ReceiptStatus) -> Self {
        match status {
            ReceiptStatus::Final(at) => Self {
                state: "final",
                final_at: Some(at.to_string()),
                erasure_horizon: None,
                backups: None,
            },
            ReceiptStatus::Open { horizon, backups } => Self {
                state: "open",
                final_at: None,
                erasure_horizon: Some(horizon.to_string()),
                backups: Some(backups.iter().map(ToString::to_string).collect()),
            },
        }
    }
}

/// How far an erasure reaches by now, as the API says it.
#[must_use]
pub fn receipt_status(status: ReceiptStatus) -> Value {
    serde_json::to_value(ReceiptStatusBody::from(status)).expect("it has a JSON form")
}

/// What there is of backups, as the API says it.
#[must_use]
pub fn backup_summary(summary: BackupSummary) -> Value {
    serde_json::to_value(SummaryBody::from(summary)).expect("it has a JSON form")
}

/// A part that is gone from its target.
#[derive(ToSchema)]
#[schema(as = BackupDeletedRequest)]
#[expect(dead_code, reason = "describes the wire")]
pub(crate) struct DeletedRequest {
    /// `data` or `keys`.
    part: String,
}

/// Reads which part.
pub(crate) fn part(body: Value) -> Result<BackupPart, Problem> {
    let mut shape = Shape::of(body, &["part"])?;
    let name = shape.text("part");
    let part = BackupPart::parse(&name);
    if part.is_none() && !name.is_empty() {
        shape.refuse("part", "one_of", "`data` or `keys` is expected");
    }
    let part = shape.finish(part)?;
    part.ok_or_else(|| Problem::invalid_at("/part", "one_of", "`data` or `keys` is expected"))
}

/// Every backup
///
/// Capability `backups.manage`. The registry, those that are gone among them: where each went, which of
/// its parts are verified deleted, and until when an erasure of now could be undone.
#[utoipa::path(get, path = urls::BACKUPS, tag = "admin", operation_id = "list_backups",
    responses((status = 200, description = "The backups", body = BackupList)))]
pub(crate) async fn list(State(app): State<App>, incoming: Incoming) -> Outcome {
    let query = incoming.query(&[]);
    app.call(incoming, move |session| {
        session.parsed(CAPABILITY, query)?;
        let (views, summary) = session.vault.backups(&session.call())?;
        let backups = views.into_iter().map(BackupBody::from).collect();
        let figures = session.app.backup_figures(&session.vault);
        let list = BackupList {
            summary: SummaryBody::from(summary).with(figures.as_ref()),
            schedule: schedule(session),
            backups,
        };
        Ok(Reply::json(200, &list))
    })
    .await
}

/// Say that a part of a backup is gone
///
/// Capability `backups.manage`. Only once you have verified that the target no longer has it, older
/// versions included: receipts become final by it, and nothing undoes that.
#[utoipa::path(post, path = urls::BACKUP_DELETED, tag = "admin", operation_id = "backup_deleted",
    request_body = DeletedRequest,
    responses((status = 200, description = "The backup", body = BackupBody)))]
pub(crate) async fn deleted(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    let backup: Result<BackupId, _> = incoming.parameter("b").parse();
    let backup = backup.map_err(|_| Problem::new(Code::NotFound));
    app.post(incoming, Remember::Again, None, move |session| {
        let backup = session.parsed(CAPABILITY, backup)?;
        let part = session.parsed(CAPABILITY, part(body))?;
        let call = session.call();
        session.vault.backup_deleted(&call, backup, part)?;
        let view = session.vault.backup(&call, backup)?;
        Ok(Reply::json(200, &BackupBody::from(view)))
    })
    .await
}
