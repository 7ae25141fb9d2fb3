//! Restriction of processing: set, lift, read.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::policy::RestrictionGround;
use vault_core::vault::{Desk, RestrictionInput, RestrictionStep, RestrictionView};

use crate::asked::Asked;
use crate::call::Outcome;
use crate::incoming::Incoming;
use crate::operation::{Operation, parsed};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const CAPABILITY: &str = "restrictions.set";

/// A restriction.
#[derive(ToSchema)]
#[schema(as = RestrictionRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; what is read is the core's `RestrictionInput`"
)]
pub(crate) struct RestrictionRequest {
    /// The point of Art. 18(1) GDPR: `18.1.a` contested accuracy, `18.1.b` unlawful processing, `18.1.c`
    /// the person's legal claims, `18.1.d` an objection that is not decided.
    ground: String,
    /// The collections that it is about; all, where there are none.
    collections: Option<Vec<String>>,
    /// The person's words.
    reason: Option<String>,
}

pub(crate) fn read_request(body: Value) -> Result<RestrictionInput, Problem> {
    let mut shape = Shape::of(body, &["ground", "collections", "reason"])?;
    let text = shape.text("ground");
    let ground = RestrictionGround::parse(&text);
    if ground.is_none() && shape.finds_no_fault() {
        let detail = "`18.1.a`, `18.1.b`, `18.1.c` or `18.1.d`";
        shape.refuse("ground", "unknown_word", detail);
    }
    let input = RestrictionInput {
        ground: ground.unwrap_or(RestrictionGround::Accuracy),
        collections: shape.optional_texts("collections").unwrap_or_default(),
        reason: shape.optional_text("reason"),
    };
    shape.finish(input)
}

/// One step of a restriction.
#[derive(Serialize, ToSchema)]
#[schema(as = RestrictionStep)]
pub(crate) struct StepBody {
    /// The point of Art. 18(1) GDPR; null where the restriction was lifted.
    ground: Option<&'static str>,
    /// The collections that it is about, `#` and its number for one that the policy has no more; all, where there
    /// are none.
    collections: Vec<String>,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The reason that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<RestrictionStep> for StepBody {
    fn from(step: RestrictionStep) -> Self {
        Self {
            ground: step.ground.map(RestrictionGround::name),
            collections: step.collections,
            at: step.at.to_string(),
            reason: step.reason,
        }
    }
}

/// Whether a person's data are restricted.
#[derive(Serialize, ToSchema)]
#[schema(as = RestrictionView)]
pub(crate) struct ViewBody {
    /// Whether a restriction stands.
    restricted: bool,
    /// Every step, oldest first.
    history: Vec<StepBody>,
}

impl From<RestrictionView> for ViewBody {
    fn from(view: RestrictionView) -> Self {
        Self {
            restricted: view.restricted,
            history: view.history.into_iter().map(StepBody::from).collect(),
        }
    }
}

/// Whether a person's data are restricted
///
/// Capability `restrictions.set`.
#[utoipa::path(get, path = urls::RESTRICTION, tag = "restriction", operation_id = "read_restriction",
    responses((status = 200, description = "Where it stands", body = ViewBody)))]
pub(crate) async fn read(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &READ).await
}

/// Whether a person's data are restricted.
pub(crate) static READ: Operation = Operation::reading(do_read);

fn do_read(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    parsed(desk, CAPABILITY, asked.query(&[]))?;
    let view = desk.read_restriction(asked.subject())?;
    Ok(Reply::json(200, &ViewBody::from(view)))
}

/// Restrict the use of a person's data
///
/// From the answer on they are stored and nothing else (Art. 18(2)): reads, questions and changes are
/// answered 423 `restricted`, unless the call carries `Vault-Restricted-Use` with a use that the policy
/// allows its role. The person's own export and correction go on. One that stands is replaced.
/// Capability `restrictions.set`.
#[utoipa::path(put, path = urls::RESTRICTION, tag = "restriction", operation_id = "put_restriction",
    request_body = RestrictionRequest,
    responses((status = 200, description = "Restricted", body = StepBody)))]
pub(crate) async fn put(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &PUT).await
}

/// Restrict the use of a person's data.
pub(crate) static PUT: Operation = Operation {
    right: true,
    ..Operation::changing(do_put)
};

fn do_put(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let input = parsed(desk, CAPABILITY, read_request(asked.body.clone()))?;
    let step = desk.put_restriction(asked.subject(), &input)?;
    Ok(Reply::json(200, &StepBody::from(step)))
}

/// Lift a restriction
///
/// 409 until the person was told (Art. 18(3)): record that as a notice with `about: restriction_lift`
/// first. Capability `restrictions.set`.
#[utoipa::path(delete, path = urls::RESTRICTION, tag = "restriction", operation_id = "lift_restriction",
    responses((status = 200, description = "Lifted", body = StepBody)))]
pub(crate) async fn lift(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &LIFT).await
}

/// Lift a restriction.
pub(crate) static LIFT: Operation = Operation {
    body: false,
    ..Operation::changing(do_lift)
};

fn do_lift(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    parsed(desk, CAPABILITY, asked.query(&[]))?;
    let step = desk.lift_restriction(asked.subject())?;
    Ok(Reply::json(200, &StepBody::from(step)))
}
