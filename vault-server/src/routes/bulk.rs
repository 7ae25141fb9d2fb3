//! Records of many people: read as a stream, changed and destroyed.
//!
//! The stream's lines are made when the connection asks for them, and not before: whoever reads
//! slowly has nothing lying ready that may have been revoked since, and holds no view of the vault.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::stream;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use utoipa::ToSchema;
use vault_core::vault::{ChangeInput, Query, QueryInput, QueryNames, QueryPart, Step, Vault};

use crate::call::Outcome;
use crate::code::Code;
use crate::idempotency::Remember;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::pseudonyms::PseudonymRequest;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const NDJSON: &str = "application/x-ndjson";
/// How long a client may take between two parts of a stream.
pub(super) const READER_WAIT: Duration = Duration::from_secs(30);

/// Which records are to be read.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used; the core reads the members"
)]
pub(crate) struct QueryRequest {
    /// Name of a collection of the policy.
    collection: String,
    /// Names of fields; all readable ones by default. One that may not be read is 403.
    fields: Option<Vec<String>>,
    /// Conditions, all of which hold; everything by default.
    r#where: Option<Conditions>,
    /// `only`: metadata and no values; `with`: both; values alone by default.
    meta: Option<String>,
    /// Call people by their pseudonyms for this purpose, and records by nothing. Needs `disclosures.record` as well.
    r#as: Option<PseudonymRequest>,
    /// Most records in this answer, 1 to 1000000; all by default.
    #[schema(minimum = 1, maximum = 1_000_000)]
    limit: Option<u32>,
    /// `next` of the answer before; good for an hour, for this API key and the same query.
    cursor: Option<String>,
}

/// Conditions over metadata.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used; the core reads the members"
)]
pub(crate) struct Conditions {
    /// A purpose that the record serves: its own or, where it has none of its own, the policy's.
    purpose: Option<String>,
    /// Where it came from.
    source: Option<String>,
    /// A recipient it was given to.
    shared_with: Option<String>,
    /// Its category.
    category: Option<String>,
    /// Only records past their end that still lie there, or none of them. Reading and changing leave
    /// them out by default; a purge takes both.
    expired: Option<bool>,
    /// Stored at this instant or later.
    #[schema(format = DateTime)]
    created_after: Option<String>,
    /// Stored before it.
    #[schema(format = DateTime)]
    created_before: Option<String>,
    /// Ends before it, by age or by `expires_at`.
    #[schema(format = DateTime)]
    expires_before: Option<String>,
    /// The records of one person.
    subject: Option<String>,
}

/// A line of the stream.
#[derive(ToSchema)]
#[schema(as = QueryLine)]
#[serde(untagged)]
#[expect(
    dead_code,
    clippy::large_enum_variant,
    reason = "only its schema is used; the core writes the lines"
)]
pub(crate) enum LineBody {
    /// A record.
    Record(RecordLine),
    /// The last line. A stream without it is incomplete.
    End(EndLine),
}

/// A record of one of many people.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used; the core writes the lines"
)]
pub(crate) struct RecordLine {
    /// Whose; not with `as`.
    subject: Option<String>,
    /// Whose, with `as`.
    pseudonym: Option<String>,
    /// The record's id; none in a collection with one record a person, and with `as`.
    record: Option<String>,
    /// When it was stored.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it happened, if the writer said so.
    #[schema(format = DateTime)]
    occurred_at: Option<String>,
    /// Values by field; not with `meta: "only"`, and empty for a record that has ended.
    #[schema(value_type = Option<Object>)]
    fields: Option<Value>,
    /// Names of the fields whose value is masked.
    masked: Option<Vec<String>>,
    /// With `meta`.
    #[schema(value_type = Option<Object>)]
    _meta: Option<Value>,
}

/// The end of a stream.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used; the core writes the lines"
)]
pub(crate) struct EndLine {
    /// Always true.
    end: bool,
    /// Lines before this one.
    records: u64,
    /// People who have records there and no basis for the purpose now.
    people_skipped: u64,
    /// Leads to the rest, if `limit` ended the answer; it may turn out to be empty.
    next: Option<String>,
}

/// Which records are to be changed, and how.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used; the core reads the members"
)]
pub(crate) struct UpdateRequest {
    /// Name of a collection of the policy.
    collection: String,
    /// Conditions, all of which hold; `{}` for every record.
    r#where: Conditions,
    /// What becomes of the metadata: a member sets, null clears, others stay.
    set: MetaChange,
    /// Only count.
    dry_run: Option<bool>,
}

/// A merge patch of metadata.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used; the core reads the members"
)]
pub(crate) struct MetaChange {
    /// At least one; records whose own purposes lack one of them stay as they are.
    purposes: Option<Vec<String>>,
    /// When it ends.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Where it came from.
    source: Option<String>,
    /// Recipients of the policy.
    shared_with: Option<Vec<String>>,
    /// Its category.
    category: Option<String>,
}

/// Which records are to be destroyed.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used; the core reads the members"
)]
pub(crate) struct PurgeRequest {
    /// Name of a collection of the policy.
    collection: String,
    /// Conditions, all of which hold; `{}` for every record.
    r#where: Conditions,
    /// Only count.
    dry_run: Option<bool>,
}

/// What an update did, or would do.
#[derive(Serialize, ToSchema)]
#[schema(as = RecordsUpdated)]
pub(crate) struct UpdatedBody {
    /// Records that were changed.
    count: u64,
    /// Records that are meant and serve fewer purposes than `set` names: they stay as they are.
    unchanged: u64,
    /// People who may not be touched now.
    people_skipped: u64,
}

/// What a purge did, or would do.
#[derive(Serialize, ToSchema)]
#[schema(as = RecordsPurged)]
pub(crate) struct PurgedBody {
    /// Records that are gone.
    count: u64,
    /// People who may not be touched now.
    people_skipped: u64,
    /// Stands for the destruction of their keys; none where nothing was destroyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    receipt: Option<Value>,
}

pub(crate) fn read_query(body: Value) -> Result<QueryInput, Problem> {
    const KNOWN: [&str; 7] = [
        "collection",
        "fields",
        "where",
        "meta",
        "as",
        "limit",
        "cursor",
    ];
    let mut shape = Shape::of(body, &KNOWN)?;
    let fields = shape.has("fields").then(|| shape.texts("fields"));
    let part = match shape.optional_text("meta").as_deref() {
        None => QueryPart::Fields,
        Some("with") => QueryPart::Both,
        Some("only") => QueryPart::MetaOnly,
        Some(_) => {
            shape.refuse("meta", "unknown_word", "`meta` is one of: with, only");
            QueryPart::Fields
        }
    };
    let names = shape.has("as").then(|| shape.value("as"));
    let names = names.map(|names| PseudonymRequest::read(names).ok());
    if names.as_ref().is_some_and(Option::is_none) && shape.finds_no_fault() {
        let detail = "an object: {\"recipient\": …}, or {} for the controller's own use";
        shape.refuse("as", "bad_names", detail);
    }
    let names = names.flatten().map(|names| QueryNames {
        recipient: names.recipient,
    });
    let input = QueryInput {
        collection: shape.text("collection"),
        fields,
        conditions: match shape.has("where") {
            true => shape.value("where"),
            false => json!({}),
        },
        part,
        names,
        limit: shape.optional_number("limit").map(|limit| limit as usize),
        cursor: shape.optional_text("cursor"),
    };
    shape.finish(input)
}

fn read_change(shape: &mut Shape) -> ChangeInput {
    ChangeInput {
        collection: shape.text("collection"),
        conditions: shape.value("where"),
        dry_run: shape.has("dry_run") && shape.flag("dry_run"),
    }
}

pub(crate) fn read_update(body: Value) -> Result<(ChangeInput, Value), Problem> {
    let mut shape = Shape::of(body, &["collection", "where", "set", "dry_run"])?;
    let request = (read_change(&mut shape), shape.value("set"));
    shape.finish(request)
}

pub(crate) fn read_purge(body: Value) -> Result<ChangeInput, Problem> {
    let mut shape = Shape::of(body, &["collection", "where", "dry_run"])?;
    let input = read_change(&mut shape);
    shape.finish(input)
}

/// Read records of many people
///
/// Capability `records.bulk`. A stream of lines of JSON, one a record, in no promised order of people
/// and for each person in time order. The last line is `{"end": true, …}`: without it the stream is
/// incomplete. People without a lawful basis for the purpose are left out and counted, and so are
/// records that their own purposes keep from it.
#[utoipa::path(post, path = urls::RECORDS_QUERY, tag = "bulk", operation_id = "query_records",
    request_body = QueryRequest,
    responses((status = 200, description = "Lines", content_type = "application/x-ndjson", body = LineBody)))]
pub(crate) async fn query(State(app): State<App>, incoming: Incoming) -> Result<Response, Problem> {
    incoming.demand_purpose()?;
    let body = incoming.json()?;
    let place = Arc::clone(app.streams()).try_acquire_owned();
    let place = place.map_err(|_| Problem::new(Code::Overloaded))?;
    let (vault, query) = app
        .work(incoming, move |session| {
            let input = session.parsed("records.bulk", read_query(body))?;
            let query = session.vault.query(&session.call(), input)?;
            Ok((Arc::clone(&session.vault), query))
        })
        .await?;
    let (ask, asked) = mpsc::channel(1);
    tokio::spawn(feed(app, vault, query, asked, place, READER_WAIT));
    let mut response = Response::new(lines(ask));
    *response.status_mut() = StatusCode::OK;
    let media_type = HeaderValue::from_static(NDJSON);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type);
    Ok(response)
}

/// A part of a stream.
pub(super) enum Part {
    Lines(Vec<u8>),
    Last(Vec<u8>),
}

/// Where a part is to go.
pub(super) type Wanted = oneshot::Sender<Part>;

/// A body that asks for each part when the connection takes it. Where none comes it breaks off, so
/// that no client takes the stream for whole.
pub(super) fn lines(ask: mpsc::Sender<Wanted>) -> Body {
    let stream = stream::unfold(Some(ask), |ask| async {
        let ask = ask?;
        let (give, take) = oneshot::channel();
        let part = match ask.send(give).await {
            Ok(()) => take.await.ok(),
            Err(_) => None,
        };
        Some(match part {
            Some(Part::Lines(lines)) => (Ok(Bytes::from(lines)), Some(ask)),
            Some(Part::Last(line)) => (Ok(Bytes::from(line)), None),
            None => (Err(io::Error::other("the stream ended early")), None),
        })
    });
    Body::from_stream(stream)
}

/// Makes parts as they are asked for, until the end, or until the client is gone or silent for
/// `wait`, or the vault refuses.
async fn feed(
    app: App,
    vault: Arc<Vault>,
    mut query: Query,
    mut asked: mpsc::Receiver<Wanted>,
    _place: OwnedSemaphorePermit,
    wait: Duration,
) {
    while let Ok(Some(wanted)) = tokio::time::timeout(wait, asked.recv()).await {
        let vault = Arc::clone(&vault);
        // A defect in there takes the query with it: the stream breaks off without an end.
        let Ok(made) = app
            .waiting(move || {
                let more = make(&vault, &mut query, wanted);
                more.map(|()| query)
            })
            .await
        else {
            return;
        };
        match made {
            Some(going_on) => query = going_on,
            None => return,
        }
    }
    let ended = app
        .waiting(move || vault.abandon_query(&query).is_ok())
        .await;
    if !matches!(ended, Ok(true)) {
        tracing::warn!(target: "vault_server::bulk", "a stream's end could not be recorded");
    }
}

/// Makes one part; `None` if it was the last, or there is to be no other.
fn make(vault: &Vault, query: &mut Query, wanted: Wanted) -> Option<()> {
    let (mut wanted, mut gone) = (Some(wanted), false);
    while wanted.is_some() {
        let step = vault.query_step(query, &mut |lines| {
            // Under the lock of the last check: a send into an empty channel does not wait.
            if let Some(wanted) = wanted.take() {
                gone = wanted.send(Part::Lines(lines)).is_err();
            }
        });
        match step {
            Ok(Step::More) if !gone => {}
            Ok(Step::Done) if wanted.is_some() => match vault.finish_query(query) {
                Ok(line) => {
                    if let Some(wanted) = wanted.take() {
                        let _ = wanted.send(Part::Last(line));
                    }
                    return None;
                }
                Err(refusal) => {
                    tracing::warn!(target: "vault_server::bulk", code = refusal.code(), "a stream broke off");
                    return None;
                }
            },
            Ok(Step::Done) if !gone => {}
            Ok(_) => {
                let _ = vault.abandon_query(query);
                return None;
            }
            Err(refusal) => {
                tracing::warn!(target: "vault_server::bulk", code = refusal.code(), "a stream broke off");
                let _ = vault.abandon_query(query);
                return None;
            }
        }
    }
    Some(())
}

/// Change metadata of many people's records
///
/// Capability `records.bulk`, and leave to write every field of the collection. Values are not
/// touched; revisions change. Purposes only become fewer. Runs in commits of at most 1000 records: an
/// error in the middle leaves what was committed, and the same call goes on.
#[utoipa::path(post, path = urls::RECORDS_UPDATE, tag = "bulk", operation_id = "update_records",
    request_body = UpdateRequest,
    responses((status = 200, description = "Changed", body = UpdatedBody)))]
pub(crate) async fn update(State(app): State<App>, incoming: Incoming) -> Outcome {
    incoming.demand_purpose()?;
    let body = incoming.json()?;
    app.post(incoming, Remember::Reply, None, move |session| {
        let (input, set) = session.parsed("records.bulk", read_update(body))?;
        let updated = session
            .vault
            .update_records(&session.call(), &input, &set)?;
        Ok(Reply::json(
            200,
            &UpdatedBody {
                count: updated.count,
                unchanged: updated.unchanged,
                people_skipped: updated.people_skipped,
            },
        ))
    })
    .await
}

/// Destroy records of many people
///
/// Capability `records.purge`, and leave to write every field of the collection. What is deleted is
/// gone for good when the answer comes, its keys destroyed: the receipt says so. Runs in commits, each
/// person wholly in one: an error in the middle leaves what was committed, and the same call goes on.
#[utoipa::path(post, path = urls::RECORDS_PURGE, tag = "bulk", operation_id = "purge_records",
    request_body = PurgeRequest,
    responses((status = 200, description = "Destroyed", body = PurgedBody)))]
pub(crate) async fn purge(State(app): State<App>, incoming: Incoming) -> Outcome {
    incoming.demand_purpose()?;
    let body = incoming.json()?;
    app.post(incoming, Remember::Reply, None, move |session| {
        let input = session.parsed("records.purge", read_purge(body))?;
        let purged = session.vault.purge_records(&session.call(), &input)?;
        Ok(Reply::json(
            200,
            &PurgedBody {
                count: purged.count,
                people_skipped: purged.people_skipped,
                receipt: purged.receipt,
            },
        ))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::tests::closed_app;
    use vault_core::clock::SystemClock;
    use vault_core::id::CallId;
    use vault_core::policy::SAMPLE;
    use vault_core::vault::{Call, LockedVault, Passphrase, Settings, VaultPaths};

    /// A query over an empty vault.
    fn begun(home: &std::path::Path) -> (Arc<Vault>, Query) {
        let settings = Settings {
            accept_any_file_system: true,
            ..Settings::new(Arc::new(SystemClock))
        };
        let role = "[roles.keeper]\npurposes = [\"support\"]\nread = { \"*\" = \"full\" }\nmay = [\"records.bulk\"]\n";
        let policy = format!("{SAMPLE}\n{role}");
        let passphrase = Passphrase::new("correct horse battery".into()).expect("long enough");
        let paths = VaultPaths::beside(&home.join("vault"));
        let created = LockedVault::create(&paths, settings, &passphrase, &policy).expect("a vault");
        let vault = created.vault;
        let keyholder = vault.keyholder();
        let id = CallId::from_bytes([1; 16]);
        let call = |principal, purpose| Call {
            principal,
            purpose,
            restricted_use: None,
            id,
        };
        let (_, key) = vault
            .create_token(&call(&keyholder, None), "keeper", None)
            .expect("made");
        let keeper = vault.authenticate(&key).expect("known");
        let input = read_query(json!({"collection": "messages"})).expect("fits");
        let query = vault.query(&call(&keeper, Some("support")), input);
        let query = query.expect("begins");
        (vault, query)
    }

    async fn stream(wait: Duration, early: bool) -> Result<Bytes, axum::Error> {
        let home = tempfile::tempdir().expect("a directory");
        let (vault, query) = begun(home.path());
        let app = closed_app();
        let place = Arc::clone(app.streams()).try_acquire_owned().expect("room");
        let (ask, asked) = mpsc::channel(1);
        let feeding = tokio::spawn(feed(app, vault, query, asked, place, wait));
        if early {
            // Nobody has asked for anything by then.
            feeding.await.expect("no defect");
        }
        axum::body::to_bytes(lines(ask), 1 << 20).await
    }

    #[tokio::test]
    async fn a_reader_who_takes_nothing_in_time_is_cut_off_and_one_who_does_is_not() {
        let whole = stream(READER_WAIT, false).await.expect("whole");
        assert_eq!(
            &whole[..],
            b"{\"end\":true,\"records\":0,\"people_skipped\":0,\"next\":null}\n"
        );
        assert!(stream(Duration::ZERO, true).await.is_err());
    }
}
