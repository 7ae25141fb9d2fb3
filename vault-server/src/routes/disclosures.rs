//! What recipients were given of a person: noted, and listed.

use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::vault::{Desk, DisclosedField, DisclosureInput, DisclosureView, ToldView};

use crate::asked::Asked;
use crate::call::Outcome;
use crate::incoming::Incoming;
use crate::operation::{Operation, parsed};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const CAPABILITY: &str = "disclosures.record";

/// What a recipient is or was given.
#[derive(ToSchema)]
#[schema(as = DisclosureRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; what is read is the core's `DisclosureInput`"
)]
pub(crate) struct DisclosureRequest {
    /// The recipient's name in the policy, which the purpose names.
    recipient: String,
    /// The purpose's name.
    purpose: String,
    /// `collection.field` of each field that is given.
    fields: Vec<String>,
    /// When it happened; now, without one.
    #[schema(format = DateTime)]
    at: Option<String>,
}

pub(crate) fn read_request(body: Value) -> Result<DisclosureInput, Problem> {
    let mut shape = Shape::of(body, &["recipient", "purpose", "fields", "at"])?;
    let at = shape.optional_text("at");
    let time: Option<Timestamp> = at.as_deref().and_then(|text| text.parse().ok());
    if at.is_some() && time.is_none() && shape.finds_no_fault() {
        shape.refuse("at", "not_a_time", "an instant as RFC 3339 has it");
    }
    let input = DisclosureInput {
        recipient: shape.text("recipient"),
        purpose: shape.text("purpose"),
        fields: shape.texts("fields"),
        at: time,
    };
    shape.finish(input)
}

/// A field that a recipient was given.
#[derive(Serialize, ToSchema)]
#[schema(as = DisclosedField)]
pub(crate) struct FieldBody {
    /// `collection.field`.
    field: String,
    /// When it was given first.
    #[schema(format = DateTime)]
    first_at: String,
    /// When it was given last.
    #[schema(format = DateTime)]
    last_at: String,
    /// How often.
    count: u64,
}

impl From<DisclosedField> for FieldBody {
    fn from(field: DisclosedField) -> Self {
        Self {
            field: field.field,
            first_at: field.first_at.to_string(),
            last_at: field.last_at.to_string(),
            count: field.count,
        }
    }
}

/// A notice that the recipient is sent about this person.
#[derive(Serialize, ToSchema)]
#[schema(as = DisclosureNotice)]
pub(crate) struct ToldBody {
    /// Its id, `rcn_…`.
    notice: String,
    /// What it tells.
    kind: &'static str,
    /// When it was made.
    #[schema(format = DateTime)]
    at: String,
    /// Where it stands; `gone` once the vault has forgotten it.
    state: &'static str,
}

impl From<ToldView> for ToldBody {
    fn from(told: ToldView) -> Self {
        Self {
            notice: told.notice.to_string(),
            kind: told.kind.name(),
            at: told.at.to_string(),
            state: told.state,
        }
    }
}

/// What one recipient was given for one purpose.
#[derive(Serialize, ToSchema)]
#[schema(as = Disclosure)]
pub(crate) struct ViewBody {
    /// The line of the account, `dis_…`: the same for the same recipient and purpose.
    disclosure: String,
    /// The recipient's name in the policy.
    recipient: String,
    /// The name that people are told; absent where the policy has the recipient no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    legal_name: Option<String>,
    /// Name of the purpose.
    purpose: String,
    /// What the recipient is to call the person by for this purpose, and no other recipient does.
    reference: String,
    /// The first time.
    #[schema(format = DateTime)]
    first_at: String,
    /// The last time.
    #[schema(format = DateTime)]
    last_at: String,
    /// How often.
    count: u64,
    /// Every field that was ever given.
    fields: Vec<FieldBody>,
    /// The newest of what the recipient was told since; for callers with `requests.decide` alone.
    notices: Vec<ToldBody>,
}

impl From<DisclosureView> for ViewBody {
    fn from(view: DisclosureView) -> Self {
        Self {
            disclosure: view.disclosure.to_string(),
            recipient: view.recipient,
            legal_name: view.legal_name,
            purpose: view.purpose,
            reference: view.reference.to_string(),
            first_at: view.first_at.to_string(),
            last_at: view.last_at.to_string(),
            count: view.count,
            fields: view.fields.into_iter().map(FieldBody::from).collect(),
            notices: view.notices.into_iter().map(ToldBody::from).collect(),
        }
    }
}

/// A disclosure that was noted.
#[derive(Serialize, ToSchema)]
#[schema(as = DisclosureMade)]
pub(crate) struct MadeBody {
    /// The line of the account, `dis_…`: the same for the same recipient and purpose.
    disclosure: String,
    /// The recipient's name in the policy.
    recipient: String,
    /// Name of the purpose.
    purpose: String,
    /// The fields of this call.
    fields: Vec<String>,
    /// When it happened.
    #[schema(format = DateTime)]
    at: String,
    /// What the recipient is to call the person by for this purpose.
    reference: String,
}

/// What recipients were given of a person
#[derive(Serialize, ToSchema)]
#[schema(as = DisclosureList)]
pub(crate) struct ListBody {
    /// One for each recipient and purpose.
    disclosures: Vec<ViewBody>,
}

/// What recipients were given of a person
///
/// One line for each recipient and purpose, with what they were told since. Capability `disclosures.record` or
/// `requests.decide`; the notices are shown to the second alone.
#[utoipa::path(get, path = urls::DISCLOSURES, tag = "recipients", operation_id = "list_disclosures",
    responses((status = 200, description = "The account", body = ListBody)))]
pub(crate) async fn list(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &LIST).await
}

/// What recipients were given of a person.
pub(crate) static LIST: Operation = Operation::reading(do_list);

fn do_list(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    parsed(desk, CAPABILITY, asked.query(&[]))?;
    let views = desk.list_disclosures(asked.subject())?;
    let disclosures = views.into_iter().map(ViewBody::from).collect();
    Ok(Reply::json(200, &ListBody { disclosures }))
}

/// Note what a recipient is given
///
/// To be called before the data leave: refused exactly where these fields may not be used for the purpose now, and
/// where the purpose does not name the recipient. The same again adds to the account and lengthens nothing. Give the
/// recipient `reference` with the data: it is what they are told by when the person's data are erased,
/// corrected or restricted (Art. 19). Capability `disclosures.record`.
#[utoipa::path(post, path = urls::DISCLOSURES, tag = "recipients", operation_id = "record_disclosure",
    request_body = DisclosureRequest,
    responses((status = 201, description = "Noted", body = MadeBody)))]
pub(crate) async fn record(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &RECORD).await
}

/// Note what a recipient is given.
pub(crate) static RECORD: Operation = Operation::changing(do_record);

fn do_record(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let input = parsed(desk, CAPABILITY, read_request(asked.body.clone()))?;
    let view = desk.record_disclosure(asked.subject(), &input)?;
    let made = MadeBody {
        disclosure: view.disclosure.to_string(),
        recipient: view.recipient,
        purpose: view.purpose,
        at: input.at.unwrap_or(view.last_at).to_string(),
        fields: input.fields,
        reference: view.reference.to_string(),
    };
    Ok(Reply::json(201, &made))
}
