//! Objection: make, take back, decide, read.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::vault::{Desk, ObjectionEvent, ObjectionView};

use crate::asked::Asked;
use crate::call::Outcome;
use crate::incoming::Incoming;
use crate::operation::{Operation, parsed};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const CAPABILITY: &str = "objections.record";
const DECIDES: &str = "requests.decide";

/// An objection.
#[derive(ToSchema)]
#[schema(as = ObjectionRequest)]
pub(crate) struct ObjectionRequest {
    /// The person's grounds, which they need not give.
    reason: Option<String>,
}

impl ObjectionRequest {
    pub(crate) fn read(body: Value) -> Result<Self, Problem> {
        let mut shape = Shape::of(body, &["reason"])?;
        let reason = shape.optional_text("reason");
        shape.finish(Self { reason })
    }
}

/// What becomes of an objection.
#[derive(ToSchema)]
#[schema(as = ObjectionDecision)]
pub(crate) struct DecisionRequest {
    /// `upheld`: the purpose ends for this person; `overridden`: the grounds of the controller weigh more.
    #[schema(value_type = String)]
    outcome: bool,
    /// Why, as the person is told.
    reason: String,
}

impl DecisionRequest {
    pub(crate) fn read(body: Value) -> Result<Self, Problem> {
        let mut shape = Shape::of(body, &["outcome", "reason"])?;
        let outcome = shape.text("outcome");
        let reason = shape.text("reason");
        if !matches!(&*outcome, "upheld" | "overridden") && shape.finds_no_fault() {
            let detail = "`upheld` or `overridden`";
            shape.refuse("outcome", "unknown_word", detail);
        }
        let outcome = outcome == "upheld";
        shape.finish(Self { outcome, reason })
    }
}

/// One step of an objection.
#[derive(Serialize, ToSchema)]
#[schema(as = ObjectionEvent)]
pub(crate) struct EventBody {
    /// `pending`, `upheld`, `overridden` or `ended`.
    state: &'static str,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The person's grounds, or those of who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// `person`; `address`, where an address of theirs was named and nobody asked who they are; `suppressed`, by
    /// an address of theirs on the suppression list; `consent`, by a later consent; `file`, by one that was imported.
    origin: &'static str,
}

impl From<ObjectionEvent> for EventBody {
    fn from(event: ObjectionEvent) -> Self {
        Self {
            state: event.state.name(),
            at: event.at.to_string(),
            reason: event.reason,
            origin: event.origin.name(),
        }
    }
}

/// An objection: where it stands, and how it came there.
#[derive(Serialize, ToSchema)]
#[schema(as = ObjectionView)]
pub(crate) struct ViewBody {
    /// Name of the purpose.
    purpose: String,
    /// `pending`, `upheld`, `overridden` or `ended`.
    state: &'static str,
    /// Every step, oldest first.
    history: Vec<EventBody>,
}

impl From<ObjectionView> for ViewBody {
    fn from(view: ObjectionView) -> Self {
        Self {
            purpose: view.purpose,
            state: view.state.name(),
            history: view.history.into_iter().map(EventBody::from).collect(),
        }
    }
}

/// A person's objections.
#[derive(Serialize, ToSchema)]
#[schema(as = ObjectionList)]
pub(crate) struct ListBody {
    /// One for each purpose that was ever objected to.
    objections: Vec<ViewBody>,
}

/// Every objection of a person, with its history
///
/// Capability `objections.record` or `requests.decide`.
#[utoipa::path(get, path = urls::OBJECTIONS, tag = "objections", operation_id = "list_objections",
    responses((status = 200, description = "The objections", body = ListBody)))]
pub(crate) async fn list(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &LIST).await
}

/// Every objection of a person.
pub(crate) static LIST: Operation = Operation::reading(do_list);

fn do_list(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    parsed(desk, CAPABILITY, asked.query(&[]))?;
    let views = desk.list_objections(asked.subject())?;
    let objections = views.into_iter().map(ViewBody::from).collect();
    Ok(Reply::json(200, &ListBody { objections }))
}

/// Record that a person objects
///
/// Direct marketing ends at once (Art. 21(3)). Another purpose has to rest on legitimate interests or a
/// public task (Art. 21(1)); until the objection is decided, calls for it are answered 423
/// `restricted`. Capability `objections.record`.
#[utoipa::path(put, path = urls::OBJECTION, tag = "objections", operation_id = "put_objection",
    request_body = ObjectionRequest,
    responses((status = 200, description = "Recorded", body = EventBody)))]
pub(crate) async fn put(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &PUT).await
}

/// Record that a person objects.
pub(crate) static PUT: Operation = Operation {
    right: true,
    ..Operation::changing(do_put)
};

fn do_put(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let input = parsed(desk, CAPABILITY, ObjectionRequest::read(asked.body.clone()))?;
    let (subject, purpose) = (asked.subject(), asked.parameter("purpose"));
    let event = desk.put_objection(subject, purpose, input.reason.as_deref())?;
    Ok(Reply::json(200, &EventBody::from(event)))
}

/// Take an objection back
///
/// Capability `objections.record`.
#[utoipa::path(delete, path = urls::OBJECTION, tag = "objections", operation_id = "end_objection",
    responses((status = 200, description = "Ended", body = EventBody)))]
pub(crate) async fn end(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &END).await
}

/// Take an objection back.
pub(crate) static END: Operation = Operation {
    body: false,
    ..Operation::changing(do_end)
};

fn do_end(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    parsed(desk, CAPABILITY, asked.query(&[]))?;
    let event = desk.end_objection(asked.subject(), asked.parameter("purpose"))?;
    Ok(Reply::json(200, &EventBody::from(event)))
}

/// Decide an objection
///
/// The reason is what the person is told (Art. 12(4), 21(1)). Capability `requests.decide`.
#[utoipa::path(post, path = urls::OBJECTION_DECISION, tag = "objections", operation_id = "decide_objection",
    request_body = DecisionRequest,
    responses((status = 200, description = "Decided", body = EventBody)))]
pub(crate) async fn decide(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &DECIDE).await
}

/// Decide an objection.
pub(crate) static DECIDE: Operation = Operation::changing(do_decide);

fn do_decide(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let input = parsed(desk, DECIDES, DecisionRequest::read(asked.body.clone()))?;
    let (subject, purpose) = (asked.subject(), asked.parameter("purpose"));
    let event = desk.decide_objection(subject, purpose, input.outcome, &input.reason)?;
    Ok(Reply::json(200, &EventBody::from(event)))
}
