//! Whether a person needs a guardian to consent: told, and read.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::vault::{AgeEvent, AgeInput, AgeView, Desk};

use crate::asked::Asked;
use crate::call::Outcome;
use crate::incoming::Incoming;
use crate::operation::{Operation, parsed};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const CAPABILITY: &str = "consents.record";

/// What is told of a person's age.
#[derive(ToSchema)]
#[schema(as = AgeRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; what is read is the core's `AgeInput`"
)]
pub(crate) struct AgeRequest {
    /// Whole years. Not kept: the day from which they consent for themselves is.
    years: u8,
    /// Whose age of consent counts, ISO 3166-1 alpha-2; the policy's own without one.
    country: Option<String>,
    /// How a guardian's authorisation was verified (Art. 8(2)), if there is one.
    guardian: Option<String>,
}

pub(crate) fn read_request(body: Value) -> Result<AgeInput, Problem> {
    let mut shape = Shape::of(body, &["years", "country", "guardian"])?;
    let years = shape.optional_number("years");
    if years.is_none() && shape.finds_no_fault() {
        shape.refuse("years", "required", "how many whole years old they are");
    }
    let input = AgeInput {
        // Beyond a byte is beyond every age, too.
        years: u8::try_from(years.unwrap_or(0)).unwrap_or(u8::MAX),
        country: shape.optional_text("country"),
        guardian: shape.optional_text("guardian"),
    };
    shape.finish(input)
}

/// What was told of a person's age.
#[derive(Serialize, ToSchema)]
#[schema(as = AgeEvent)]
pub(crate) struct EventBody {
    /// From this day on they consent for themselves.
    #[schema(format = Date)]
    of_age_on: String,
    /// How a guardian's authorisation was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    guardian: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    at: String,
}

impl From<AgeEvent> for EventBody {
    fn from(event: AgeEvent) -> Self {
        Self {
            of_age_on: event.of_age_on.to_string(),
            guardian: event.guardian,
            at: event.at.to_string(),
        }
    }
}

/// Whether a person needs a guardian.
#[derive(Serialize, ToSchema)]
#[schema(as = AgeView)]
pub(crate) struct ViewBody {
    /// Whether they are below the age of consent, as far as was told.
    child: bool,
    /// Whether a guardian has authorised what they consent to.
    guardian: bool,
    /// Everything that was told, oldest first.
    history: Vec<EventBody>,
}

impl From<AgeView> for ViewBody {
    fn from(view: AgeView) -> Self {
        Self {
            child: view.child,
            guardian: view.guardian,
            history: view.history.into_iter().map(EventBody::from).collect(),
        }
    }
}

/// Whether a person needs a guardian to consent
///
/// Capability `consents.record`.
#[utoipa::path(get, path = urls::AGE, tag = "consents", operation_id = "read_age",
    responses((status = 200, description = "As far as was told", body = ViewBody)))]
pub(crate) async fn read(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &READ).await
}

/// Whether a person needs a guardian to consent.
pub(crate) static READ: Operation = Operation::reading(do_read);

fn do_read(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    parsed(desk, CAPABILITY, asked.query(&[]))?;
    let view = desk.read_age(asked.subject())?;
    Ok(Reply::json(200, &ViewBody::from(view)))
}

/// Tell a person's age
///
/// Below the age of consent (`children` in the policy) without a guardian's authorisation no purpose that rests on
/// consent has a basis: 403 `consent_required`, whatever the child said (Art. 8(1)). The age itself is not
/// kept. Capability `consents.record`.
#[utoipa::path(put, path = urls::AGE, tag = "consents", operation_id = "put_age",
    request_body = AgeRequest,
    responses((status = 200, description = "Noted", body = EventBody)))]
pub(crate) async fn put(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &PUT).await
}

/// Tell a person's age.
pub(crate) static PUT: Operation = Operation::changing(do_put);

fn do_put(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let input = parsed(desk, CAPABILITY, read_request(asked.body.clone()))?;
    let event = desk.put_age(asked.subject(), &input)?;
    Ok(Reply::json(200, &EventBody::from(event)))
}
