//! The server's own reading of what a client sends, as `fuzz/` calls it.
//!
//! No interface of the server: what is here may change with any version. Knows the bodies and headers
//! that are read before the vault is asked.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use serde_json::Value;
use vault_core::id::CallId;

use crate::incoming::{self, QueryMap};
use crate::problem::Problem;
use crate::routes::{
    admin, ages, ask, batch, blobs, breach, bulk, consents, contracts, counts, decisions, dialogue,
    disclosures, emergencies, evidence, holds, incidents, key_slots, notices, objections, policy,
    pseudonyms, recipient_notices, requests, restrictions, sessions, state, subjects, suppressions,
};
use crate::{json, negotiate};

/// A body by the call that it belongs to, and what reads it: an error is the document that its
/// sender would get.
pub type Body = (&'static str, fn(Value) -> Result<(), Vec<u8>>);

fn told<T>(read: Result<T, Problem>) -> Result<(), Vec<u8>> {
    read.map(drop)
        .map_err(|problem| problem.document(CallId::from_bytes([0; 16])))
}

/// The groups of a batch must be its operations, each once.
fn read_batch(body: Value) -> Result<(), Vec<u8>> {
    let count = body["operations"].as_array().map_or(0, Vec::len);
    let read = batch::read(body).inspect(|groups| {
        let mut all = groups.concat();
        all.sort_unstable();
        assert!(
            all.into_iter().eq(0..count),
            "an operation is lost or twice"
        );
    });
    told(read)
}

/// Every body that has a form of its own.
pub const BODIES: [Body; 37] = [
    ("batch", read_batch),
    ("query", |body| told(bulk::read_query(body))),
    ("update", |body| told(bulk::read_update(body))),
    ("purge", |body| told(bulk::read_purge(body))),
    ("ask", |body| told(ask::AskRequest::read(body))),
    ("session", |body| told(sessions::read(body))),
    ("consent", |body| told(consents::read_request(body))),
    ("notice", |body| told(notices::read_request(body))),
    ("objection", |body| {
        told(objections::ObjectionRequest::read(body))
    }),
    ("objection's decision", |body| {
        told(objections::DecisionRequest::read(body))
    }),
    ("restriction", |body| told(restrictions::read_request(body))),
    ("key slot", |body| told(key_slots::NewSlot::read(body))),
    ("unlock", |body| told(state::secret(body))),
    ("subject", |body| {
        told(subjects::CreateSubjectRequest::read(body))
    }),
    ("lookup", |body| told(subjects::Lookup::read(body))),
    ("API key", |body| told(admin::CreateKeyRequest::read(body))),
    ("rotation", |body| told(admin::RotateKeyRequest::read(body))),
    ("checkpoints", |body| {
        told(evidence::VerifyRequest::read(body))
    }),
    ("contract's end", |body| {
        told(contracts::ContractEndRequest::read(body))
    }),
    ("disclosure", |body| told(disclosures::read_request(body))),
    ("impossible notice", |body| {
        told(recipient_notices::ImpossibleRequest::read(body))
    }),
    ("hold", |body| told(holds::read_request(body))),
    ("age", |body| told(ages::read_request(body))),
    ("pseudonym", |body| {
        told(pseudonyms::PseudonymRequest::read(body))
    }),
    ("pseudonym's look-up", |body| {
        told(pseudonyms::ResolveRequest::read(body))
    }),
    ("count", |body| told(counts::read(body))),
    ("emergency", |body| told(emergencies::read_request(body))),
    ("incident", |body| told(incidents::read_request(body))),
    ("incident's step", |body| told(incidents::read_step(body))),
    ("breach's scope", |body| told(breach::read_scope(body))),
    ("breach's draft", |body| told(breach::read_draft(body))),
    ("turn", |body| told(dialogue::read_request(body))),
    ("suppression", |body| told(suppressions::read_request(body))),
    ("request", |body| told(requests::read_request(body))),
    ("request's steps", |body| {
        told(requests::read_any_step(body))
    }),
    ("decision", |body| told(decisions::read_decision(body))),
    ("decision's steps", |body| {
        told(decisions::read_any_step(body))
    }),
];

/// Reads the source of a policy out of its body.
///
/// # Errors
///
/// The document that its sender would get.
pub fn policy_source(body: Value) -> Result<(), Vec<u8>> {
    told(policy::read_source(body))
}

/// Reads a body as JSON.
///
/// # Errors
///
/// The detail that its sender would get.
pub fn json(body: &[u8]) -> Result<Value, String> {
    json::parse(body).map_err(|error| error.to_string())
}

/// A header's text, or `None` for bytes that no header can have; then the parser is not reached.
fn one(name: HeaderName, text: &[u8]) -> Option<HeaderMap> {
    let value = HeaderValue::from_bytes(text).ok()?;
    Some(HeaderMap::from_iter([(name, value)]))
}

/// What a header is read as; errors are documents as for a body.
pub type Read = Option<Result<Option<String>, Vec<u8>>>;

fn read(
    name: HeaderName,
    text: &[u8],
    read: impl Fn(&HeaderMap) -> Result<Option<String>, Problem>,
) -> Read {
    let id = CallId::from_bytes([0; 16]);
    one(name, text).map(|headers| read(&headers).map_err(|problem| problem.document(id)))
}

/// `If-Match`.
#[must_use]
pub fn if_match(text: &[u8]) -> Read {
    read(header::IF_MATCH, text, incoming::if_match)
}

/// `Idempotency-Key`.
#[must_use]
pub fn idempotency_key(text: &[u8]) -> Read {
    let name = HeaderName::from_static("idempotency-key");
    read(name, text, incoming::idempotency_key)
}

/// `Authorization`.
#[must_use]
pub fn authorization(text: &[u8]) -> Read {
    read(header::AUTHORIZATION, text, incoming::bearer)
}

/// `Content-Type` of a body that has a form.
#[must_use]
pub fn content_type(text: &[u8]) -> Read {
    read(header::CONTENT_TYPE, text, incoming::media_type)
}

/// `Content-Type` of a blob.
#[must_use]
pub fn blob_content_type(text: &[u8]) -> Read {
    read(header::CONTENT_TYPE, text, |headers| {
        blobs::media_type(headers).map(|media_type| Some(media_type.as_str().to_owned()))
    })
}

/// `Content-Length` of a blob.
#[must_use]
pub fn blob_content_length(text: &[u8]) -> Read {
    read(header::CONTENT_LENGTH, text, |headers| {
        Ok(blobs::length(headers)?.map(|length| length.to_string()))
    })
}

/// Which bytes of `size` a `Range` asks for: all for `None`, from and to behind the last; equal where
/// it is outside.
#[must_use]
pub fn range(text: &str, size: u64) -> Option<(u64, u64)> {
    match blobs::range(text, size) {
        blobs::Range::Whole => None,
        blobs::Range::Part(from, to) => Some((from, to)),
        blobs::Range::Outside => Some((size, size)),
    }
}

/// What `Accept` and `Accept-Language` choose of what is offered.
#[must_use]
pub fn chosen<'a>(wish: &str, offered: &[&'a str]) -> [&'a str; 2] {
    [
        negotiate::media_type(Some(wish), offered),
        negotiate::language(Some(wish), offered),
    ]
}

/// A query, read against names that are known; the texts of those.
///
/// # Errors
///
/// The document that its sender would get.
pub fn query(text: &str, known: &[&str]) -> Option<Result<Vec<Option<String>>, Vec<u8>>> {
    let uri: Uri = format!("/?{text}").parse().ok()?;
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri);
    let pairs = pairs.ok().map(|query| query.0);
    let read = QueryMap::of(pairs.as_deref(), known).map(|query| {
        let texts = known.iter().map(|name| query.text(name).map(str::to_owned));
        texts.collect()
    });
    Some(read.map_err(|problem| problem.document(CallId::from_bytes([0; 16]))))
}
