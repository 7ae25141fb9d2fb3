//! Batches: many operations in one call, all or nothing for each person.
//!
//! Knows the operations by the routes that serve them alone, and nothing of what they do. Groups are
//! run one after another, each in a commit or over a snapshot of its own.

mod plan;
mod reference;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::path::HttpMethod;
use utoipa::{Path, ToSchema};
use vault_core::limits::BATCH_RESULTS_BYTES_MAX;

use super::{
    ages, ask, consents, contracts, decisions, disclosures, notices, objections, pseudonyms,
    records, requests, restrictions, subjects, suppressions,
};
use crate::call::{Outcome, Session};
use crate::group::{Group, Step};
use crate::idempotency::Remember;
use crate::incoming::Incoming;
use crate::operation::{Changes, Operation, Repeat};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::state::App;
use crate::urls;
use plan::Plan;

/// Operations, at most 100, run in order.
#[derive(ToSchema)]
#[schema(as = BatchRequest)]
#[expect(dead_code, reason = "describes the wire; what is read is `Plan`")]
pub(crate) struct BatchRequest {
    /// The operations. Those about one person happen whole or not at all.
    operations: Vec<BatchOperation>,
}

/// One operation.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the wire; what is read is `Plan`")]
pub(crate) struct BatchOperation {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    method: String,
    /// Path and query. A segment `$0.subject` stands for a member of an earlier result.
    path: String,
    /// The body. A text `$0.record` stands for a member of an earlier result, `$$…` for a dollar sign.
    #[schema(value_type = Option<Object>)]
    body: Option<Value>,
    /// What it is for, where it moves values.
    purpose: Option<String>,
    /// A revision, or `*`.
    if_match: Option<String>,
}

/// What the operations were answered, in their order.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchResults {
    /// The results.
    results: Vec<BatchResult>,
}

/// What one operation was answered.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchResult {
    /// The status that it would have alone, or 424.
    status: u16,
    /// The body that it would have alone, or a problem.
    #[schema(value_type = Object)]
    body: Value,
    /// The record's revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

/// An operation that a batch may hold, as its route has it.
struct Allowed {
    method: &'static str,
    path: String,
    operation: &'static Operation,
}

fn allowed_of<T: Path>(operation: &'static Operation) -> Allowed {
    let method = match T::methods().first() {
        Some(HttpMethod::Delete) => "DELETE",
        Some(HttpMethod::Patch) => "PATCH",
        Some(HttpMethod::Post) => "POST",
        Some(HttpMethod::Put) => "PUT",
        _ => "GET",
    };
    Allowed {
        method,
        path: T::path(),
        operation,
    }
}

/// What a batch may hold: methods and paths are those of the routes themselves.
fn allowed() -> &'static [Allowed] {
    static ALLOWED: OnceLock<Vec<Allowed>> = OnceLock::new();
    ALLOWED.get_or_init(|| {
        vec![
            allowed_of::<subjects::__path_create>(&subjects::CREATE),
            allowed_of::<subjects::__path_lookup>(&subjects::LOOKUP),
            allowed_of::<subjects::__path_view>(&subjects::VIEW),
            allowed_of::<records::__path_read>(&records::READ),
            allowed_of::<records::__path_patch>(&records::PATCH),
            allowed_of::<records::__path_append>(&records::APPEND),
            allowed_of::<records::__path_read_one>(&records::READ_ONE),
            allowed_of::<records::__path_patch_one>(&records::PATCH_ONE),
            allowed_of::<records::__path_delete_one>(&records::DELETE_ONE),
            allowed_of::<ask::__path_ask>(&ask::ASK),
            allowed_of::<consents::__path_list>(&consents::LIST),
            allowed_of::<consents::__path_read>(&consents::READ),
            allowed_of::<consents::__path_receipt>(&consents::RECEIPT),
            allowed_of::<consents::__path_put>(&consents::PUT),
            allowed_of::<consents::__path_withdraw>(&consents::WITHDRAW),
            allowed_of::<ages::__path_read>(&ages::READ),
            allowed_of::<ages::__path_put>(&ages::PUT),
            allowed_of::<contracts::__path_list>(&contracts::LIST),
            allowed_of::<contracts::__path_put>(&contracts::PUT),
            allowed_of::<contracts::__path_resume>(&contracts::RESUME),
            allowed_of::<notices::__path_deliver>(&notices::DELIVER),
            allowed_of::<disclosures::__path_list>(&disclosures::LIST),
            allowed_of::<disclosures::__path_record>(&disclosures::RECORD),
            allowed_of::<notices::__path_list>(&notices::LIST),
            allowed_of::<notices::__path_record>(&notices::RECORD),
            allowed_of::<objections::__path_list>(&objections::LIST),
            allowed_of::<objections::__path_put>(&objections::PUT),
            allowed_of::<objections::__path_end>(&objections::END),
            allowed_of::<objections::__path_decide>(&objections::DECIDE),
            allowed_of::<pseudonyms::__path_issue>(&pseudonyms::ISSUE),
            allowed_of::<pseudonyms::__path_resolve>(&pseudonyms::RESOLVE),
            allowed_of::<suppressions::__path_put>(&suppressions::PUT),
            allowed_of::<requests::__path_list>(&requests::LIST),
            allowed_of::<requests::__path_create>(&requests::CREATE),
            allowed_of::<decisions::__path_list>(&decisions::LIST),
            allowed_of::<decisions::__path_record>(&decisions::RECORDING),
            allowed_of::<restrictions::__path_read>(&restrictions::READ),
            allowed_of::<restrictions::__path_put>(&restrictions::PUT),
            allowed_of::<restrictions::__path_lift>(&restrictions::LIFT),
        ]
    })
}

/// Reads a batch, and puts its operations in order.
pub(crate) fn read(body: Value) -> Result<Vec<Vec<usize>>, Problem> {
    Plan::read(body, None).map(|plan| plan.groups())
}

/// Many operations in one call
///
/// Operations about one person, a new one too, are one commit: if one fails, none of them happens, its
/// result says why, and the others are 424 `batch_failed`. Other people are not touched by that. Each
/// needs what it needs alone, and leaves its own entry in the log.
#[utoipa::path(post, path = urls::BATCH, tag = "batch", operation_id = "batch",
    request_body = BatchRequest,
    responses((status = 200, description = "A result for each operation", body = BatchResults)))]
pub(crate) async fn batch(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    let (session_subject, repeat) = (incoming.session_subject(), Repeat::of(&incoming));
    app.call(incoming, move |session| {
        let plan = Plan::read(body, session_subject)?;
        run(session, plan, repeat.as_ref())
    })
    .await
}

fn run(session: &Session, plan: Plan, repeat: Option<&Repeat>) -> Outcome {
    for _ in plan.operations.iter().filter(|one| one.operation.looks_up) {
        session.count_lookup()?;
    }
    let running = repeat
        .map(|repeat| repeat.begin(session, None, Remember::Reply))
        .transpose()?;
    let count = plan.operations.len();
    let results: Arc<Mutex<Vec<Option<Outcome>>>> = Arc::new(Mutex::new(vec![None; count]));
    let plan = Arc::new(plan);
    let (mut changed, mut recalled, mut room) = (0, 0, BATCH_RESULTS_BYTES_MAX);
    for indices in plan.groups() {
        let steps: Vec<Step> = indices
            .iter()
            .map(|&index| Step {
                index,
                operation: plan.operations[index].operation,
            })
            .collect();
        let changes = steps
            .iter()
            .any(|step| step.operation.changes != Changes::Never);
        let group = Group {
            steps,
            person: plan.person(&indices),
            results_bytes_max: room,
        };
        let (plan, earlier, own) = (plan.clone(), results.clone(), indices.clone());
        let ran = group.run(session, repeat, move |position, before| {
            let earlier = earlier.lock();
            let of = |index: usize| match own.iter().position(|one| *one == index) {
                Some(position) => before.get(position),
                None => earlier.get(index)?.as_ref(),
            };
            plan.operations[own[position]].resolve(own[position], of)
        });
        let mut results = results.lock();
        match ran {
            Ok(answers) => {
                let done = answers.outcomes.iter().any(Result::is_ok);
                changed += usize::from(changes && done);
                recalled += usize::from(changes && done && answers.recalled);
                for (index, outcome) in indices.into_iter().zip(answers.outcomes) {
                    room -= outcome
                        .as_ref()
                        .map_or(0, |reply| reply.body.len())
                        .min(room);
                    results[index] = Some(outcome);
                }
            }
            // The vault could not run the group at all: that is the answer to each of its operations.
            Err(problem) => {
                for index in indices {
                    results[index] = Some(Err(problem.clone()));
                }
            }
        }
    }
    if let Some(running) = running
        && changed > 0
    {
        running.kept();
    }
    let reply = rendered(session, &results.lock());
    Ok(match changed > 0 && changed == recalled {
        true => reply.again(),
        false => reply,
    })
}

/// The results as JSON; bodies stand in it byte for byte as they would stand alone.
fn rendered(session: &Session, results: &[Option<Outcome>]) -> Reply {
    let mut text = b"{\"results\":[".to_vec();
    for (index, outcome) in results.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        let (status, body, etag) = match outcome {
            Some(Ok(reply)) => (reply.status, reply.body.clone(), reply.revision()),
            Some(Err(problem)) => {
                let document = problem.document(session.call().id);
                (problem.code().status(), document, None)
            }
            None => unreachable!("every operation stands in a group"),
        };
        text.extend_from_slice(format!("{{\"status\":{status},\"body\":").as_bytes());
        match body.is_empty() {
            true => text.extend_from_slice(b"null"),
            false => text.extend_from_slice(&body),
        }
        if let Some(etag) = etag {
            let etag = serde_json::to_string(etag).expect("a text is JSON");
            text.extend_from_slice(format!(",\"etag\":{etag}").as_bytes());
        }
        text.push(b'}');
    }
    text.extend_from_slice(b"]}");
    Reply::bytes(200, "application/json", text)
}
