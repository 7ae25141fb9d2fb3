//! A person's own access ledger: who looked, when, and what for.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use vault_core::limits::{AUDIT_PAGE_DEFAULT, AUDIT_PAGE_MAX};
use vault_core::vault::{Access, AccessQuery};

use super::evidence::instant;
use crate::call::{Outcome, Session};
use crate::incoming::{Incoming, QueryMap};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::state::App;
use crate::urls;

/// A call that met the person.
#[derive(Serialize, ToSchema)]
#[schema(as = Access)]
pub(crate) struct AccessBody {
    /// The number of its entry in the log.
    entry: u64,
    /// When.
    #[schema(format = DateTime)]
    time: String,
    /// In which role.
    role: String,
    /// What for, where values moved.
    purpose: Option<String>,
    /// Such as `records.read`.
    action: String,
    /// `collection.field`, of the policy in force.
    fields: Vec<String>,
    /// `ok`, or the code of a refusal.
    outcome: String,
    /// The call's id.
    request: String,
    /// `person`, or `many` for a call over many people that may have met this one.
    about: &'static str,
    /// The emergency that it was a step of, or under which somebody saw more than their role shows.
    emergency: Option<String>,
}

impl From<Access> for AccessBody {
    fn from(access: Access) -> Self {
        Self {
            entry: access.entry,
            time: access.time.to_string(),
            role: access.role,
            purpose: access.purpose,
            action: access.action,
            fields: access.fields,
            outcome: access.outcome,
            request: access.request.to_string(),
            about: access.about.name(),
            emergency: access.emergency.map(|one| one.to_string()),
        }
    }
}

/// Calls that met a person, the newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessPage)]
pub(crate) struct AccessPageBody {
    /// The calls.
    accesses: Vec<AccessBody>,
    /// `cursor` of the next page; null where there is none.
    next: Option<String>,
}

fn access_query(query: &QueryMap) -> Result<AccessQuery, Problem> {
    Ok(AccessQuery {
        from: instant(query, "from")?,
        to: instant(query, "to")?,
        limit: query.number("limit", 1, AUDIT_PAGE_MAX, AUDIT_PAGE_DEFAULT)?,
        cursor: query.text("cursor").map(str::to_owned),
    })
}

/// What was parsed; where it did not parse, whoever may not read a ledger at all is told that first.
fn parsed(session: &Session, query: Result<AccessQuery, Problem>) -> Result<AccessQuery, Problem> {
    if session.call().principal.session().is_some() {
        return query;
    }
    let exports = session.vault.require(&session.call(), "subjects.export");
    match exports {
        Ok(()) => query,
        Err(_) => session.parsed("audit.read", query),
    }
}

/// Who looked at a person, when, and what for
///
/// Capability `subjects.export` or `audit.read`; a session reads its own person's, as `self`, where its
/// maker's role has one of these. Newest first. One call looks at 200,000 entries of the log at most: a
/// page may be short, or empty, and still have a `next`.
#[utoipa::path(get, path = urls::SUBJECT_ACCESS, tag = "subjects", operation_id = "read_access",
    params(("from" = Option<String>, Query, description = "Not before this instant, RFC 3339"),
           ("to" = Option<String>, Query, description = "Before this instant, RFC 3339"),
           ("limit" = Option<u32>, Query, description = "Most calls on the page, 1 to 1000; 100 by default"),
           ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, description = "A page", body = AccessPageBody)))]
pub(crate) async fn access(State(app): State<App>, incoming: Incoming) -> Outcome {
    let subject = incoming.subject();
    let query = incoming.query(&["from", "to", "limit", "cursor"]);
    let query = query.and_then(|query| access_query(&query));
    app.call(incoming, move |session| {
        let query = parsed(session, query)?;
        let page = session.vault.access(&session.call(), subject, &query)?;
        let body = AccessPageBody {
            accesses: page.accesses.into_iter().map(AccessBody::from).collect(),
            next: page.next,
        };
        Ok(Reply::json(200, &body))
    })
    .await
}
