//! Pseudonyms of people: issued, and resolved again.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::vault::{Desk, PairwiseId};

use crate::asked::Asked;
use crate::call::Outcome;
use crate::incoming::Incoming;
use crate::operation::{Operation, parsed};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::subjects::FoundSubject;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const ISSUING: &str = "disclosures.record";
const RESOLVING: &str = "tokens.detokenize";

/// Who is to call the person by a pseudonym.
#[derive(ToSchema)]
#[schema(as = PseudonymRequest)]
pub(crate) struct PseudonymRequest {
    /// Name of a recipient that the purpose names in the policy; absent for the controller's own use.
    pub(crate) recipient: Option<String>,
}

impl PseudonymRequest {
    pub(crate) fn read(body: Value) -> Result<Self, Problem> {
        let mut shape = Shape::of(body, &["recipient"])?;
        let recipient = shape.optional_text("recipient");
        shape.finish(Self { recipient })
    }
}

/// A pseudonym of a person.
#[derive(Serialize, ToSchema)]
#[schema(as = Pseudonym)]
pub(crate) struct PseudonymBody {
    /// The same each time for this person, purpose and recipient.
    pseudonym: String,
    /// Whether it was issued just now.
    created: bool,
}

/// A pseudonym to be resolved.
#[derive(ToSchema)]
#[schema(as = PseudonymLookupRequest)]
pub(crate) struct ResolveRequest {
    /// `psn_…`.
    pseudonym: String,
}

impl ResolveRequest {
    pub(crate) fn read(body: Value) -> Result<Self, Problem> {
        let mut shape = Shape::of(body, &["pseudonym"])?;
        let pseudonym = shape.text("pseudonym");
        shape.finish(Self { pseudonym })
    }
}

/// Get a person's pseudonym
///
/// For the stated purpose and a recipient that it names: the same each time, and nobody who has two of
/// them can tell that they are one person's. Capability `disclosures.record`; the role serves the purpose.
#[utoipa::path(post, path = urls::PSEUDONYMS, tag = "pseudonyms", operation_id = "issue_pseudonym",
    request_body = PseudonymRequest,
    responses((status = 200, description = "Issued before", body = PseudonymBody),
              (status = 201, description = "Issued now", body = PseudonymBody)))]
pub(crate) async fn issue(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &ISSUE).await
}

/// Get a person's pseudonym.
pub(crate) static ISSUE: Operation = Operation {
    purpose: true,
    ..Operation::changing(do_issue)
};

fn do_issue(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let request = parsed(desk, ISSUING, PseudonymRequest::read(asked.body.clone()))?;
    let issued = desk.issue_pseudonym(asked.subject(), request.recipient.as_deref())?;
    let body = PseudonymBody {
        pseudonym: issued.pseudonym.to_string(),
        created: issued.created,
    };
    Ok(Reply::json(if issued.created { 201 } else { 200 }, &body))
}

/// Find whom a pseudonym stands for
///
/// 404 for one that never was, one of another purpose, and one whose person was erased: the three cannot
/// be told apart, and whoever shows a text with a dead one in it writes `[erased]`. Capability
/// `tokens.detokenize`; the role serves the purpose that it was issued for, or decides requests and states
/// `rights`. Counted as a look-up.
#[utoipa::path(post, path = urls::PSEUDONYM_LOOKUP, tag = "pseudonyms", operation_id = "lookup_pseudonym",
    request_body = ResolveRequest,
    responses((status = 200, description = "Found", body = FoundSubject)))]
pub(crate) async fn resolve(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &RESOLVE).await
}

/// Find whom a pseudonym stands for: decided anew each time.
pub(crate) static RESOLVE: Operation = Operation {
    purpose: true,
    body: true,
    looks_up: true,
    ..Operation::reading(do_resolve)
};

/// One that is none stands for nobody, and takes the same way through the checks.
fn pseudonym(text: &str) -> PairwiseId {
    text.parse().unwrap_or(PairwiseId::from_bytes([0xff; 16]))
}

fn do_resolve(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let request = parsed(desk, RESOLVING, ResolveRequest::read(asked.body.clone()))?;
    let subject = desk.resolve_pseudonym(pseudonym(&request.pseudonym))?;
    Ok(Reply::json(200, &FoundSubject::of(subject)))
}
