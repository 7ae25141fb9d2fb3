//! The suppression list: an address that is to get no direct marketing, whoever has it.

use axum::extract::State;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::vault::{Desk, SuppressionInput, SuppressionKind};

use crate::asked::Asked;
use crate::call::Outcome;
use crate::idempotency::Remember;
use crate::incoming::Incoming;
use crate::operation::{Operation, parsed};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const CAPABILITY: &str = "objections.record";

/// An address, by a field that holds such ones or by their type.
#[derive(ToSchema)]
#[schema(as = SuppressionRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; what is read is the core's `SuppressionInput`"
)]
pub(crate) struct SuppressionRequest {
    /// `collection.field`, of type `email` or `phone`.
    field: Option<String>,
    /// `email` or `phone`, in the place of a field.
    kind: Option<String>,
    /// The address.
    value: String,
    /// A purpose of direct marketing; all of them, later ones too, where none is named.
    purpose: Option<String>,
}

pub(crate) fn read_request(body: Value) -> Result<SuppressionInput, Problem> {
    let mut shape = Shape::of(body, &["field", "kind", "value", "purpose"])?;
    if shape.has("field") == shape.has("kind") {
        shape.refuse("field", "one_of", "`field` or `kind`, one of them");
    }
    let what = match shape.optional_text("kind") {
        Some(kind) => SuppressionKind::Type(kind),
        None => SuppressionKind::Field(shape.optional_text("field").unwrap_or_default()),
    };
    let input = SuppressionInput {
        what,
        value: shape.value("value"),
        purpose: shape.optional_text("purpose"),
    };
    shape.finish(input)
}

/// Send an address no more direct marketing
///
/// For somebody who says so without anybody knowing who they are: the address is put on the suppression list,
/// and whoever is known by it has objected (Art. 21(3)). The answer is the same whether or not anybody is.
/// Counts as a look-up. Capability `objections.record`.
#[utoipa::path(post, path = urls::SUPPRESSIONS, tag = "objections", operation_id = "suppress",
    request_body = SuppressionRequest,
    responses((status = 204, description = "Done, whether or not anybody is known by it")))]
pub(crate) async fn put(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &PUT).await
}

/// Send an address no more direct marketing. Doing it again does nothing.
pub(crate) static PUT: Operation = Operation {
    looks_up: true,
    right: true,
    remember: Remember::Again,
    ..Operation::changing(do_put)
};

fn do_put(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let input = parsed(desk, CAPABILITY, read_request(asked.body.clone()))?;
    desk.suppress(&input)?;
    Ok(Reply::nothing())
}
