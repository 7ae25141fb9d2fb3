//! The end of a person's contract: said, taken back, read.

use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::contract::ContractEvent;
use vault_core::vault::{ContractView, Desk};

use crate::asked::Asked;
use crate::call::Outcome;
use crate::incoming::Incoming;
use crate::operation::{Operation, parsed};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const CAPABILITY: &str = "subjects.create";

/// The end of a contract.
#[derive(ToSchema)]
#[schema(as = ContractEndRequest)]
pub(crate) struct ContractEndRequest {
    /// When it ended, or will.
    #[schema(value_type = String, format = DateTime)]
    ended_at: Timestamp,
}

impl ContractEndRequest {
    pub(crate) fn read(body: Value) -> Result<Self, Problem> {
        let mut shape = Shape::of(body, &["ended_at"])?;
        let ended_at = shape.text("ended_at").parse();
        if ended_at.is_err() && shape.finds_no_fault() {
            let detail = "an instant as RFC 3339 has it: 2027-12-31T23:00:00Z";
            shape.refuse("ended_at", "bad_time", detail);
        }
        let ended_at = ended_at.unwrap_or(Timestamp::UNIX_EPOCH);
        shape.finish(Self { ended_at })
    }
}

/// What was said of a contract.
#[derive(Serialize, ToSchema)]
#[schema(as = ContractEvent)]
pub(crate) struct EventBody {
    /// When it ended; null where it runs after all.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// When that was said.
    #[schema(format = DateTime)]
    at: String,
}

impl From<ContractEvent> for EventBody {
    fn from(event: ContractEvent) -> Self {
        Self {
            ended_at: event.ended_at.map(|at| at.to_string()),
            at: event.at.to_string(),
        }
    }
}

/// The contract behind one purpose.
#[derive(Serialize, ToSchema)]
#[schema(as = ContractView)]
pub(crate) struct ViewBody {
    /// Name of the purpose.
    purpose: String,
    /// When it ended; null while it runs.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// Everything that was said, oldest first.
    history: Vec<EventBody>,
}

impl From<ContractView> for ViewBody {
    fn from(view: ContractView) -> Self {
        Self {
            purpose: view.purpose,
            ended_at: view.ended_at.map(|at| at.to_string()),
            history: view.history.into_iter().map(EventBody::from).collect(),
        }
    }
}

/// A person's contracts.
#[derive(Serialize, ToSchema)]
#[schema(as = ContractList)]
pub(crate) struct ListBody {
    /// One for each purpose of which an end was ever said.
    contracts: Vec<ViewBody>,
}

/// When a person's contracts ended
///
/// Capability `subjects.create`.
#[utoipa::path(get, path = urls::CONTRACTS, tag = "contracts", operation_id = "list_contracts",
    responses((status = 200, description = "The contracts", body = ListBody)))]
pub(crate) async fn list(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &LIST).await
}

/// When a person's contracts ended.
pub(crate) static LIST: Operation = Operation::reading(do_list);

fn do_list(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    parsed(desk, CAPABILITY, asked.query(&[]))?;
    let views = desk.list_contracts(asked.subject())?;
    let contracts = views.into_iter().map(ViewBody::from).collect();
    Ok(Reply::json(200, &ListBody { contracts }))
}

/// Say when a contract ended
///
/// What the policy keeps `after = "contract_end"` for this purpose runs from there; before, it is kept.
/// 409 for a purpose that is kept after something else. Capability `subjects.create`, and the role
/// serves the purpose.
#[utoipa::path(put, path = urls::CONTRACT, tag = "contracts", operation_id = "put_contract_end",
    request_body = ContractEndRequest,
    responses((status = 200, description = "Noted", body = EventBody)))]
pub(crate) async fn put(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &PUT).await
}

/// Say when a contract ended.
pub(crate) static PUT: Operation = Operation::changing(do_put);

fn do_put(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let request = parsed(
        desk,
        CAPABILITY,
        ContractEndRequest::read(asked.body.clone()),
    )?;
    let purpose = asked.parameter("purpose");
    let event = desk.put_contract_end(asked.subject(), purpose, Some(request.ended_at))?;
    Ok(Reply::json(200, &EventBody::from(event)))
}

/// Say that a contract runs after all
///
/// 404 where no end was said. Capability `subjects.create`, and the role serves the purpose.
#[utoipa::path(delete, path = urls::CONTRACT, tag = "contracts", operation_id = "resume_contract",
    responses((status = 200, description = "Noted", body = EventBody)))]
pub(crate) async fn resume(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &RESUME).await
}

/// Say that a contract runs after all.
pub(crate) static RESUME: Operation = Operation {
    body: false,
    ..Operation::changing(do_resume)
};

fn do_resume(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    parsed(desk, CAPABILITY, asked.query(&[]))?;
    let purpose = asked.parameter("purpose");
    let event = desk.put_contract_end(asked.subject(), purpose, None)?;
    Ok(Reply::json(200, &EventBody::from(event)))
}
