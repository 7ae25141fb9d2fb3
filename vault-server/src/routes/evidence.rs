//! Evidence: entries of the log, its key, checkpoints and proofs, and receipts.

use axum::extract::State;
use axum::http::header;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::audit::merkle::Hash;
use vault_core::id::{ReceiptId, SubjectId, TokenId};
use vault_core::limits::{AUDIT_NOTES_MAX, AUDIT_PAGE_DEFAULT, AUDIT_PAGE_MAX};
use vault_core::vault::{AuditEntry, AuditQuery, LogKeys, LogProof};

use crate::call::Outcome;
use crate::code::Code;
use crate::idempotency::Remember;
use crate::incoming::{Incoming, QueryMap};
use crate::negotiate;
use crate::pages;
use crate::places::Class;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::backups::ReceiptStatusBody;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const HTML: &str = "text/html";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain";
const AUDIT_READ: &str = "audit.read";

fn hex(hash: &Hash) -> String {
    HEXLOWER.encode(hash)
}

/// An entry of the log, with its place in the tree.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct EntryBody {
    /// Its number, from 0.
    number: u64,
    /// SHA-256 of the leaf, hexadecimal.
    hash: String,
    /// What it says, as it is hashed: no value of a person is in it.
    #[schema(value_type = Object)]
    entry: Value,
}

impl From<AuditEntry> for EntryBody {
    fn from(entry: AuditEntry) -> Self {
        Self {
            number: entry.number,
            hash: hex(&entry.hash),
            entry: entry.entry,
        }
    }
}

/// Entries of the log, the newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditPage)]
pub(crate) struct PageBody {
    /// The entries.
    entries: Vec<EntryBody>,
    /// `before` of the next page; null at the beginning of the log.
    next: Option<u64>,
    /// Entries of the whole log.
    size: u64,
}

/// An entry and the proof that it is in the log.
#[derive(Serialize, ToSchema)]
#[schema(as = InclusionProof)]
pub(crate) struct InclusionBody {
    /// The entry.
    #[serde(flatten)]
    entry: EntryBody,
    /// The proof.
    #[serde(flatten)]
    proof: ProofBody,
}

/// Hashes of RFC 9162, and the signed tree that they lead to.
#[derive(Serialize, ToSchema)]
#[schema(as = LogProof)]
pub(crate) struct ProofBody {
    /// From the leaf up, hexadecimal.
    hashes: Vec<String>,
    /// Entries that the checkpoint covers.
    size: u64,
    /// A C2SP tlog-checkpoint.
    checkpoint: String,
}

impl From<LogProof> for ProofBody {
    fn from(proof: LogProof) -> Self {
        Self {
            hashes: proof.hashes.iter().map(hex).collect(),
            size: proof.size,
            checkpoint: proof.checkpoint,
        }
    }
}

/// A receipt as the vault keeps it: without what names the person.
#[derive(Serialize, ToSchema)]
#[schema(as = Receipt)]
pub(crate) struct ReceiptBody {
    /// What was destroyed.
    #[schema(value_type = Object)]
    body: Value,
    /// The erasure's entry, its place in the log, and a checkpoint.
    #[schema(value_type = Object)]
    proof: Value,
    /// How far the erasure reaches by now. No part of what is proved: it stands in the registry of
    /// backups, and changes.
    status: ReceiptStatusBody,
}

/// Checkpoints that were kept elsewhere.
#[derive(ToSchema)]
#[schema(as = VerifyLogRequest)]
pub(crate) struct VerifyRequest {
    /// At most 100 signed notes.
    checkpoints: Option<Vec<String>>,
}

impl VerifyRequest {
    pub(crate) fn read(body: Value) -> Result<Self, Problem> {
        let mut shape = Shape::of(body, &["checkpoints"])?;
        let checkpoints = shape.has("checkpoints").then(|| shape.texts("checkpoints"));
        if checkpoints
            .as_ref()
            .is_some_and(|notes| notes.len() > AUDIT_NOTES_MAX)
        {
            let detail = format!("at most {AUDIT_NOTES_MAX} checkpoints are expected");
            shape.refuse("checkpoints", "too_many", detail);
        }
        shape.finish(Self { checkpoints })
    }
}

/// What going over the log came to.
#[derive(Serialize, ToSchema)]
pub(crate) struct LogReport {
    /// Whether nothing is wrong.
    sound: bool,
    /// Entries that were read.
    entries: u64,
    /// The root over them, hexadecimal.
    root: String,
    /// Checkpoints that fit.
    checkpoints: u64,
    /// What is wrong and where, at most 100.
    faults: Vec<String>,
    /// How many faults there are.
    faults_total: u64,
}

pub(super) fn instant(query: &QueryMap, name: &'static str) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = query.text(name) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        let detail = format!("`{name}` is an RFC 3339 instant such as 2030-01-31T12:00:00Z");
        Problem::invalid_at("", "not_an_instant", detail)
    })
}

fn whole(query: &QueryMap, name: &'static str) -> Result<Option<u64>, Problem> {
    let Some(text) = query.text(name) else {
        return Ok(None);
    };
    // The contract says `int64`, and no log has more entries than that.
    let number = text
        .parse()
        .ok()
        .filter(|number| i64::try_from(*number).is_ok());
    number.map(Some).ok_or_else(|| {
        let detail = format!("`{name}` is the number of an entry");
        Problem::invalid_at("", "out_of_range", detail)
    })
}

fn id<T: std::str::FromStr>(query: &QueryMap, name: &'static str) -> Result<Option<T>, Problem> {
    let Some(text) = query.text(name) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        let detail = format!("`{name}` is an id as the vault gives them");
        Problem::invalid_at("", "not_an_id", detail)
    })
}

fn audit_query(query: &QueryMap) -> Result<AuditQuery, Problem> {
    Ok(AuditQuery {
        before: whole(query, "before")?,
        last: query.number("last", 1, AUDIT_PAGE_MAX, AUDIT_PAGE_DEFAULT)?,
        since: instant(query, "since")?,
        until: instant(query, "until")?,
        actor: id::<TokenId>(query, "actor")?,
        action: query.text("action").map(str::to_owned),
        outcome: query.text("outcome").map(str::to_owned),
        subject: id::<SubjectId>(query, "subject")?,
    })
}

/// Entries of the log, the newest first
///
/// Capability `audit.read`. Every condition that is given must hold. One call looks at 200,000
/// entries at most: a page may be short, or empty, and still have a `next`.
#[utoipa::path(get, path = urls::AUDIT, tag = "evidence", operation_id = "read_audit",
    params(("last" = Option<u32>, Query, description = "Most entries on the page, 1 to 1000; 100 by default"),
           ("before" = Option<u64>, Query, description = "Entries before this number: `next` of the page before"),
           ("since" = Option<String>, Query, description = "Not before this instant, RFC 3339"),
           ("until" = Option<String>, Query, description = "Before this instant, RFC 3339"),
           ("actor" = Option<String>, Query, description = "By this API key, `tok_…`"),
           ("action" = Option<String>, Query, description = "This action, such as `records.read`"),
           ("outcome" = Option<String>, Query, description = "`ok`, or the code of a refusal"),
           ("subject" = Option<String>, Query, description = "About this person, `sub_…`: their access ledger")),
    responses((status = 200, description = "A page", body = PageBody)))]
pub(crate) async fn audit(State(app): State<App>, incoming: Incoming) -> Outcome {
    let query = incoming.query(&[
        "last", "before", "since", "until", "actor", "action", "outcome", "subject",
    ]);
    let query = query.and_then(|query| audit_query(&query));
    app.call(incoming, move |session| {
        let query = session.parsed(AUDIT_READ, query)?;
        let page = session.vault.audit(&session.call(), &query)?;
        let body = PageBody {
            entries: page.entries.into_iter().map(EntryBody::from).collect(),
            next: page.next,
            size: page.size,
        };
        Ok(Reply::json(200, &body))
    })
    .await
}

/// The public key of the log
///
/// A C2SP vkey, `name+hash+key`, on one line. No secret, and shown to anybody: keep it where the
/// vault's operator cannot change it. As JSON (`Accept: application/json`), the keys before it too: each
/// with the number of entries that its last checkpoint is over, and a note that names the key after it,
/// signed by both. A receipt from before a change verifies with the key of then.
#[utoipa::path(get, path = urls::LOG_KEY, tag = "evidence", operation_id = "read_log_key", security(()),
    responses((status = 200, description = "The key", content(
        (String = "text/plain"), (LogKeysBody = "application/json")))))]
pub(crate) async fn key(State(app): State<App>, incoming: Incoming) -> Outcome {
    let form = negotiate::media_type(incoming.accept.as_deref(), &[TEXT, JSON]);
    incoming.query(&[])?;
    let vault = app.vault().ok_or(Problem::new(Code::Locked))?;
    app.blocking(Class::Ordinary, move || {
        let keys = vault.log_keys()?;
        let reply = match form == JSON {
            true => Reply::json(200, &LogKeysBody::from(keys)),
            false => text(keys.key + "\n"),
        };
        Ok(reply.header(header::VARY, "Accept"))
    })
    .await
}

/// The keys that checkpoints verify by.
#[derive(Serialize, ToSchema)]
#[schema(as = LogKeys)]
pub(crate) struct LogKeysBody {
    /// The present one, `name+hash+key`.
    key: String,
    /// Those before it, oldest first.
    past: Vec<PastKeyBody>,
}

/// A key that signed checkpoints once.
#[derive(Serialize, ToSchema)]
#[schema(as = PastLogKey)]
pub(crate) struct PastKeyBody {
    /// The key, `name+hash+key`.
    key: String,
    /// It is good for checkpoints over at most so many entries.
    until: u64,
    /// A C2SP signed note that names the key after it, signed by both.
    note: String,
}

impl From<LogKeys> for LogKeysBody {
    fn from(keys: LogKeys) -> Self {
        let past = keys.past.into_iter().map(|past| PastKeyBody {
            key: past.key,
            until: past.until,
            note: past.note,
        });
        Self {
            key: keys.key,
            past: past.collect(),
        }
    }
}

fn text(text: String) -> Reply {
    Reply::bytes(200, "text/plain; charset=utf-8", text.into_bytes())
}

/// A checkpoint over the whole log, signed now
///
/// Capability `audit.read`. A C2SP tlog-checkpoint. One that is kept elsewhere is what nobody here
/// can rewrite.
#[utoipa::path(get, path = urls::LOG_CHECKPOINT, tag = "evidence", operation_id = "read_checkpoint",
    responses((status = 200, description = "A signed note", body = String, content_type = "text/plain")))]
pub(crate) async fn checkpoint(State(app): State<App>, incoming: Incoming) -> Outcome {
    let query = incoming.query(&[]);
    app.call(incoming, move |session| {
        session.parsed(AUDIT_READ, query)?;
        Ok(text(session.vault.log_checkpoint(&session.call())?))
    })
    .await
}

/// An entry, and the proof that it is in the log
///
/// Capability `audit.read`.
#[utoipa::path(get, path = urls::LOG_PROOF, tag = "evidence", operation_id = "prove_entry",
    responses((status = 200, description = "Entry and proof", body = InclusionBody)))]
pub(crate) async fn proof(State(app): State<App>, incoming: Incoming) -> Outcome {
    let query = incoming.query(&[]);
    // What is no number is the number of no entry.
    let number = incoming.parameter("entry").parse().unwrap_or(u64::MAX);
    app.call(incoming, move |session| {
        session.parsed(AUDIT_READ, query)?;
        let (entry, proof) = session.vault.log_proof(&session.call(), number)?;
        let (entry, proof) = (entry.into(), proof.into());
        Ok(Reply::json(200, &InclusionBody { entry, proof }))
    })
    .await
}

/// The proof that the log only grew
///
/// Capability `audit.read`. That the first `to` entries (all, by default) begin with the first `from`.
#[utoipa::path(get, path = urls::LOG_CONSISTENCY, tag = "evidence", operation_id = "prove_consistency",
    params(("from" = u64, Query, description = "Entries of the earlier checkpoint"),
           ("to" = Option<u64>, Query, description = "Entries of the later one")),
    responses((status = 200, description = "The proof", body = ProofBody)))]
pub(crate) async fn consistency(State(app): State<App>, incoming: Incoming) -> Outcome {
    let sizes = incoming.query(&["from", "to"]).and_then(|query| {
        let missing = || Problem::invalid_at("", "missing", "`from` is missing");
        let from = whole(&query, "from")?.ok_or_else(missing)?;
        Ok((from, whole(&query, "to")?))
    });
    app.call(incoming, move |session| {
        let (from, to) = session.parsed(AUDIT_READ, sizes)?;
        let proof = session.vault.log_consistency(&session.call(), from, to)?;
        Ok(Reply::json(200, &ProofBody::from(proof)))
    })
    .await
}

/// Go over the whole log
///
/// Capability `audit.read`. Holds it to its own checkpoints, and to those that you kept.
#[utoipa::path(post, path = urls::LOG_VERIFY, tag = "evidence", operation_id = "verify_log",
    request_body = VerifyRequest,
    responses((status = 200, description = "The report, sound or not", body = LogReport)))]
pub(crate) async fn verify(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    app.post(incoming, Remember::Again, None, move |session| {
        let request = session.parsed(AUDIT_READ, VerifyRequest::read(body))?;
        let notes = request.checkpoints.unwrap_or_default();
        let call = session.call();
        let report = session.vault.verify_log(&call, &notes, &mut |_, _| {})?;
        let body = LogReport {
            sound: report.sound(),
            entries: report.entries,
            root: hex(&report.root),
            checkpoints: report.checkpoints,
            faults: report.faults.iter().map(ToString::to_string).collect(),
            faults_total: report.faults_total,
        };
        Ok(Reply::json(200, &body))
    })
    .await
}

/// A receipt, proved anew
///
/// Capability `audit.read`. Says what was destroyed and not whose it was: that stands in the copy
/// that whoever erased was given. Beside it stands whether a copy of keys is left that could undo it.
/// JSON, or by `Accept` a page to read and print.
#[utoipa::path(get, path = urls::RECEIPT, tag = "evidence", operation_id = "read_receipt",
    responses((status = 200, description = "Body and proof", content(
        (ReceiptBody = "application/json"), (String = "text/html")))))]
pub(crate) async fn receipt(State(app): State<App>, incoming: Incoming) -> Outcome {
    let form = negotiate::media_type(incoming.accept.as_deref(), &[JSON, HTML]);
    let query = incoming.query(&[]);
    let id: Result<ReceiptId, _> = incoming.parameter("rcp").parse();
    let id = id.map_err(|_| Problem::new(Code::NotFound));
    app.call(incoming, move |session| {
        session.parsed(AUDIT_READ, query)?;
        let id = session.parsed(AUDIT_READ, id)?;
        let (mut document, status) = session.vault.receipt(&session.call(), id)?;
        let status = ReceiptStatusBody::from(status);
        if form == HTML {
            let status = serde_json::to_value(&status).expect("it has a JSON form");
            let key = session.vault.log_key()?;
            let page = pages::receipt::html(&document, Some(&key), Some(&status));
            return Ok(pages::reply(200, page).header(header::VARY, "Accept"));
        }
        let body = ReceiptBody {
            body: document["body"].take(),
            proof: document["proof"].take(),
            status,
        };
        Ok(Reply::json(200, &body).header(header::VARY, "Accept"))
    })
    .await
}
