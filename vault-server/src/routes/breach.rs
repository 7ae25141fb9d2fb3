//! Who is affected by a breach: found, streamed, and drafted.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use utoipa::ToSchema;
use vault_core::breach::{BreachReport, DraftFor};
use vault_core::vault::{
    AffectedPerson, BackupPart, BreachInput, BreachScope, BreachVector, Refusal, Vault,
};

use super::bulk::{Part, Wanted, lines};
use super::incidents::instant;
use crate::call::Outcome;
use crate::code::Code;
use crate::idempotency::Remember;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const CAPABILITY: &str = "incidents.manage";
const NDJSON: &str = "application/x-ndjson";
/// How long the taker of a stream may be silent.
const READER_WAIT: Duration = Duration::from_secs(60);
/// Longest report that comes back to be drafted.
const REPORT_BYTES_MAX: usize = 1 << 20;

/// What leaked, and when. One of `api_key`, `role`, `session`, `recipient`, `backup`, `key` and `files`.
#[derive(ToSchema)]
#[schema(as = BreachScopeRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; what is read is the core's `BreachInput`"
)]
pub(crate) struct ScopeRequest {
    /// An API key's public name, with the sessions that it made.
    api_key: Option<String>,
    /// Every API key of this role.
    role: Option<String>,
    /// A session's name.
    session: Option<String>,
    /// A recipient of the policy, or of one that was in force before: whoever was disclosed to it.
    recipient: Option<String>,
    /// A backup.
    backup: Option<String>,
    /// Which part of the backup: `data` (ciphertext alone) or `keys`; `data` unless told.
    part: Option<String>,
    /// A secret that opens the vault, together with its files: `slot`, `root` or `anchor`.
    key: Option<String>,
    /// True: files of the vault without a secret.
    files: Option<bool>,
    /// From when; the beginning of the log unless told, and of a recipient the first disclosure.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// Until when; now unless told.
    #[schema(format = DateTime)]
    to: Option<String>,
    /// True: the ids of those affected, as lines, and the report as the last of them.
    people: Option<bool>,
}

/// One of several members, of which there is to be exactly one.
fn vector(shape: &mut Shape) -> Option<BreachVector> {
    const KINDS: [&str; 7] = [
        "api_key",
        "role",
        "session",
        "recipient",
        "backup",
        "key",
        "files",
    ];
    let given: Vec<&str> = KINDS.into_iter().filter(|one| shape.has(one)).collect();
    let [kind] = given[..] else {
        let detail = "exactly one of api_key, role, session, recipient, backup, key, files";
        shape.refuse("api_key", "one_of", detail);
        return None;
    };
    if kind == "files" {
        return match shape.flag("files") {
            true => Some(BreachVector::Files),
            false => {
                shape.refuse("files", "one_of", "true, or left out");
                None
            }
        };
    }
    let text = shape.text(kind);
    let part = shape.optional_text("part");
    let bad_id = |shape: &mut Shape| {
        shape.refuse(kind, "not_an_id", "an id as the vault shows it");
        None
    };
    match kind {
        "api_key" => match text.parse() {
            Ok(token) => Some(BreachVector::ApiKey(token)),
            Err(_) => bad_id(shape),
        },
        "session" => match text.parse() {
            Ok(session) => Some(BreachVector::Session(session)),
            Err(_) => bad_id(shape),
        },
        "backup" => {
            let part = BackupPart::parse(part.as_deref().unwrap_or("data"));
            if part.is_none() {
                shape.refuse("part", "unknown_word", "`data` or `keys`");
            }
            match text.parse() {
                Ok(backup) => Some(BreachVector::Backup(backup, part?)),
                Err(_) => bad_id(shape),
            }
        }
        "key" => {
            if !matches!(&*text, "slot" | "root" | "anchor") {
                shape.refuse("key", "unknown_word", "`slot`, `root` or `anchor`");
            }
            Some(BreachVector::Key(text))
        }
        "role" => Some(BreachVector::Role(text)),
        _ => Some(BreachVector::Recipient(text)),
    }
}

/// What is asked, and whether whom it names is wanted.
pub(crate) fn read_scope(body: Value) -> Result<(BreachInput, bool), Problem> {
    let known = [
        "api_key",
        "role",
        "session",
        "recipient",
        "backup",
        "part",
        "key",
        "files",
        "from",
        "to",
        "people",
    ];
    let mut shape = Shape::of(body, &known)?;
    let vector = vector(&mut shape);
    let input = BreachInput {
        vector: vector.unwrap_or(BreachVector::Files),
        from: instant(&mut shape, "from"),
        to: instant(&mut shape, "to"),
    };
    let people = shape.has("people") && shape.flag("people");
    shape.finish((input, people))
}

/// What a breach came by.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire; the core writes it")]
pub(crate) struct ScopeOf {
    /// `api_key`, `role`, `session`, `recipient`, `backup`, `key` or `files`.
    kind: String,
    /// Which.
    name: String,
}

/// One field or category, and how many people it is about.
#[derive(ToSchema)]
#[schema(as = BreachFieldScope)]
#[expect(dead_code, reason = "describes the wire; the core writes it")]
pub(crate) struct FieldScope {
    /// `collection.field`.
    field: String,
    /// Its category, or its type where it has none.
    category: String,
    /// Special data (Art. 9 and 10): which.
    special: Option<String>,
    /// People.
    people: u64,
}

/// One category, and how many people it is about.
#[derive(ToSchema)]
#[schema(as = BreachCategoryScope)]
#[expect(dead_code, reason = "describes the wire; the core writes it")]
pub(crate) struct CategoryScope {
    /// The category.
    category: String,
    /// Special data (Art. 9 and 10): which.
    special: Option<String>,
    /// People.
    people: u64,
}

/// Calls over many people.
#[derive(ToSchema)]
#[schema(as = BreachBulkScope)]
#[expect(dead_code, reason = "describes the wire; the core writes it")]
pub(crate) struct BulkScope {
    /// How many.
    calls: u64,
    /// Records in them; whose, the log does not say.
    records: u64,
    /// Their fields.
    fields: Vec<String>,
}

/// Who is affected, in numbers: no value, and no id of a person.
#[derive(ToSchema)]
#[schema(as = BreachReport)]
#[expect(dead_code, reason = "describes the wire; the core writes it")]
pub(crate) struct ReportBody {
    /// What it came by.
    of: ScopeOf,
    /// From when.
    #[schema(format = DateTime)]
    from: String,
    /// Until when.
    #[schema(format = DateTime)]
    to: String,
    /// When this was found.
    #[schema(format = DateTime)]
    made_at: String,
    /// Entries that the log had then.
    log_size: u64,
    /// Whether only ciphertext was got (Art. 34(3)(a)).
    ciphertext_only: bool,
    /// Whether fields and categories are what people may have: where no call left an entry; of a recipient, where
    /// it is not sure that each was given in the window.
    at_most: bool,
    /// People of whom values were, or may have been, seen or changed.
    people: u64,
    /// People who were met without a value.
    people_without_values: u64,
    /// Calls that read values.
    reads: u64,
    /// Calls that changed values.
    writes: u64,
    /// Calls that were refused.
    refused: u64,
    /// The first call that met somebody; of a recipient, when the first was disclosed to it.
    #[schema(format = DateTime)]
    first: Option<String>,
    /// The last.
    #[schema(format = DateTime)]
    last: Option<String>,
    /// Entries about people who have been erased since, those of `damaged` ones among them; of a backup, people in
    /// it who are there no more.
    not_resolvable: u64,
    /// People whose rows do not open.
    damaged: u64,
    /// Calls over many people: on top of `people`.
    bulk: BulkScope,
    /// By category, special data first.
    categories: Vec<CategoryScope>,
    /// By field, special data first.
    fields: Vec<FieldScope>,
}

fn json_of(report: &BreachReport) -> Value {
    serde_json::to_value(report).expect("texts and numbers have a JSON form")
}

/// A report as the API answers it, for whoever answers without a server.
#[must_use]
pub fn breach_report(report: &BreachReport) -> Value {
    json_of(report)
}

/// Somebody affected, as a line of the stream.
#[must_use]
pub fn affected_line(person: &AffectedPerson) -> Vec<u8> {
    let line = json!({
        "subject": person.subject.to_string(),
        "reads": person.reads,
        "writes": person.writes,
        "first": person.first.map(|at| at.to_string()),
        "last": person.last.map(|at| at.to_string()),
    });
    format!("{line}\n").into_bytes()
}

/// Who is affected by a breach
///
/// From the entries of the log in the window: people, fields and categories of the policy (special data
/// first), reads, writes, the first and the last; how many entries belong to people who have been erased since and
/// whom nobody can find any more. Of a backup, a key or files, where no call left an entry: everybody who was
/// there, with what they may have. Of a recipient: who was disclosed to it, with what, by the account of
/// disclosures, which goes with whoever is erased. People of the policy who do not exist count nowhere. The report names nobody; with `people: true` the answer is lines of JSON
/// (`application/x-ndjson`), one a person, and the report last, in `{"report": …}`: without it the stream is
/// incomplete. One at a time; shows itself as the job `breach_scope`. A window with entries has at most 400
/// days. Capability `incidents.manage`.
#[utoipa::path(post, path = urls::BREACH_SCOPE, tag = "incidents", operation_id = "breach_scope",
    request_body = ScopeRequest,
    responses((status = 200, description = "The report", content(
        (ReportBody = "application/json"), (String = "application/x-ndjson")))))]
pub(crate) async fn scope(State(app): State<App>, incoming: Incoming) -> Result<Response, Problem> {
    let body = incoming.json()?;
    let parsed = read_scope(body);
    if !matches!(parsed, Ok((_, true))) {
        let reply = app.post(incoming, Remember::Again, None, move |session| {
            let (input, _) = session.parsed(CAPABILITY, parsed)?;
            let mut scope = session.vault.begin_breach_scope(&session.call(), &input)?;
            let mut people = Vec::new();
            while session.vault.breach_step(&mut scope, &mut people)? {
                people.clear();
            }
            Ok(Reply::json(200, &json_of(&scope.report())))
        });
        return reply.await.map(IntoResponse::into_response);
    }
    let place = Arc::clone(app.streams()).try_acquire_owned();
    let place = place.map_err(|_| Problem::new(Code::Overloaded))?;
    let (vault, scope) = app
        .work(incoming, move |session| {
            let (input, _) = session.parsed(CAPABILITY, parsed)?;
            let scope = session.vault.begin_breach_scope(&session.call(), &input)?;
            Ok((Arc::clone(&session.vault), scope))
        })
        .await?;
    let (ask, asked) = mpsc::channel(1);
    tokio::spawn(feed(app, vault, scope, asked, place));
    let mut response = Response::new(lines(ask));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    Ok(response)
}

/// Makes parts as they are asked for, until the end, or until the client is gone or silent.
async fn feed(
    app: App,
    vault: Arc<Vault>,
    mut scope: BreachScope,
    mut asked: mpsc::Receiver<Wanted>,
    _place: OwnedSemaphorePermit,
) {
    while let Ok(Some(wanted)) = tokio::time::timeout(READER_WAIT, asked.recv()).await {
        let vault = Arc::clone(&vault);
        let made = app
            .waiting(move || {
                let part = part(&vault, &mut scope);
                (part, scope)
            })
            .await;
        let Ok((part, going_on)) = made else { return };
        scope = going_on;
        let last = matches!(part, Ok(Part::Last(_)));
        let sent = match part {
            Ok(part) => wanted.send(part).is_ok(),
            Err(refusal) => {
                tracing::warn!(target: "vault_server::breach", code = refusal.code(), "a stream broke off");
                false
            }
        };
        if last || !sent {
            return;
        }
    }
}

/// The next lines; the report behind the last of them.
fn part(vault: &Vault, scope: &mut BreachScope) -> Result<Part, Refusal> {
    let mut people = Vec::new();
    loop {
        let more = vault.breach_step(scope, &mut people)?;
        if more && people.is_empty() {
            continue;
        }
        let mut bytes: Vec<u8> = people.iter().flat_map(affected_line).collect();
        if more {
            return Ok(Part::Lines(bytes));
        }
        let last = json!({"report": json_of(&scope.report())});
        bytes.extend(format!("{last}\n").into_bytes());
        return Ok(Part::Last(bytes));
    }
}

/// What is to be drafted.
#[derive(ToSchema)]
#[schema(as = BreachDraftRequest)]
#[expect(dead_code, reason = "describes the wire; what is read is a tuple")]
pub(crate) struct DraftRequest {
    /// The report of `breach-scope`.
    #[schema(value_type = Object)]
    report: Value,
    /// `authority` (Art. 33(3)) or `people` (Art. 34(2)).
    r#for: String,
    /// `de`, `en`, `es`, `fr`, `it`, `nl`, `pl` or `pt`; every one of the controller's unless told.
    lang: Option<String>,
    /// When the controller became aware, for the deadline in the notification.
    #[schema(format = DateTime)]
    aware_at: Option<String>,
}

/// What a draft needs.
pub(crate) struct DraftInput {
    report: BreachReport,
    whom: DraftFor,
    lang: Option<String>,
    aware_at: Option<jiff::Timestamp>,
}

pub(crate) fn read_draft(body: Value) -> Result<DraftInput, Problem> {
    let mut shape = Shape::of(body, &["report", "for", "lang", "aware_at"])?;
    let report = shape.value("report");
    let text = report.to_string();
    let report = match text.len() <= REPORT_BYTES_MAX {
        true => BreachReport::parse(text.as_bytes()).ok(),
        false => None,
    };
    if report.is_none() && shape.finds_no_fault() {
        shape.refuse(
            "report",
            "not_a_report",
            "a report as `breach-scope` answers it",
        );
    }
    let whom = shape.text("for");
    let whom = DraftFor::parse(&whom);
    if whom.is_none() && shape.finds_no_fault() {
        shape.refuse("for", "unknown_word", "`authority` or `people`");
    }
    let lang = shape.optional_text("lang");
    let aware_at = instant(&mut shape, "aware_at");
    let (Some(report), Some(whom)) = (report, whom) else {
        // Something was refused above.
        return shape.finish(()).and(Err(Problem::new(Code::Malformed)));
    };
    shape.finish(DraftInput {
        report,
        whom,
        lang,
        aware_at,
    })
}

/// A draft in one language.
#[derive(Serialize, ToSchema)]
#[schema(as = BreachDraft)]
pub(crate) struct DraftBody {
    /// Its language.
    lang: String,
    /// The text, in Markdown; what stands in `⟦…⟧` a person has to write.
    markdown: String,
}

/// Drafts.
#[derive(Serialize, ToSchema)]
#[schema(as = BreachDrafts)]
pub(crate) struct DraftsBody {
    /// Whom they are for.
    r#for: &'static str,
    /// One a language.
    drafts: Vec<DraftBody>,
}

fn drafts_body(whom: DraftFor, drafts: Vec<(String, String)>) -> DraftsBody {
    let drafts = drafts.into_iter();
    DraftsBody {
        r#for: whom.name(),
        drafts: drafts
            .map(|(lang, markdown)| DraftBody { lang, markdown })
            .collect(),
    }
}

/// Drafts as the API answers them, for whoever answers without a server.
#[must_use]
pub fn breach_drafts(whom: DraftFor, drafts: Vec<(String, String)>) -> Value {
    serde_json::to_value(drafts_body(whom, drafts)).expect("texts have a JSON form")
}

/// Draft what is told of a breach
///
/// The notification of the authority (Art. 33(3)) or the letter to people (Art. 34(2)), from a report of
/// `breach-scope`. What only a person can write is a blank. A letter from a report that names no data is 422
/// `no_data`. Nothing is sent, and nothing is kept. Capability `incidents.manage`.
#[utoipa::path(post, path = urls::BREACH_DRAFT, tag = "incidents", operation_id = "breach_draft",
    request_body = DraftRequest,
    responses((status = 200, description = "The drafts", body = DraftsBody)))]
pub(crate) async fn draft(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    app.post(incoming, Remember::Again, None, move |session| {
        let input = session.parsed(CAPABILITY, read_draft(body))?;
        let (call, lang) = (session.call(), input.lang.as_deref());
        let drafts =
            session
                .vault
                .breach_drafts(&call, &input.report, input.whom, lang, input.aware_at)?;
        Ok(Reply::json(200, &drafts_body(input.whom, drafts)))
    })
    .await
}
