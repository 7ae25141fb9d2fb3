//! Questions that are answered without showing the value.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::vault::Desk;

use crate::asked::Asked;
use crate::call::Outcome;
use crate::incoming::Incoming;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

/// A test on one field.
#[derive(ToSchema)]
pub(crate) struct AskRequest {
    /// `collection.field`, of a collection with one record a person.
    field: String,
    /// One member: `{"age_at_least": 18}`, `{"equals": …}`, `{"last4": "…"}`, `{"country_in": […]}`.
    #[schema(value_type = Object)]
    test: Value,
}

impl AskRequest {
    pub(crate) fn read(body: Value) -> Result<Self, Problem> {
        let mut shape = Shape::of(body, &["field", "test"])?;
        let request = Self {
            field: shape.text("field"),
            test: shape.value("test"),
        };
        shape.finish(request)
    }
}

/// The answer to a test.
#[derive(Serialize, ToSchema)]
pub(crate) struct Answer {
    /// Whether the value passes.
    answer: bool,
}

/// Test a value without learning it
///
/// The role's `ask` list says which tests of which fields it may make.
#[utoipa::path(post, path = urls::ASK, tag = "records", operation_id = "ask",
    request_body = AskRequest,
    responses((status = 200, description = "The answer", body = Answer)))]
pub(crate) async fn ask(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &ASK).await
}

/// Ask: decided anew each time, for an answer is a value and consent may have gone since.
pub(crate) static ASK: Operation = Operation {
    purpose: true,
    body: true,
    ..Operation::reading(do_ask)
};

fn do_ask(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let request = AskRequest::read(asked.body.clone())?;
    let answer = desk.ask(asked.subject(), &request.field, &request.test)?;
    Ok(Reply::json(200, &Answer { answer }))
}
