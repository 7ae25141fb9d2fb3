//! Consent: give or refuse, read, withdraw.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::vault::{ConsentEvent, ConsentInput, ConsentState, ConsentView, Desk};

use crate::asked::Asked;
use crate::call::Outcome;
use crate::idempotency::Remember;
use crate::incoming::Incoming;
use crate::operation::{Changes, Operation, parsed};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const CAPABILITY: &str = "consents.record";

/// A person's answer to the question for consent.
#[derive(ToSchema)]
#[schema(as = ConsentRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; what is read is the core's `ConsentInput`"
)]
pub(crate) struct ConsentRequest {
    /// Whether it was given; `false` is a refusal.
    given: bool,
    /// The notice that was shown: a text, or `{version, lang, sha256}`.
    #[schema(value_type = Object)]
    notice: Value,
    /// The words or the button that the person chose.
    choice: Option<String>,
    /// The channel's id of the message in which the person answered.
    message_id: Option<String>,
}

pub(crate) fn read_request(body: Value) -> Result<ConsentInput, Problem> {
    let mut shape = Shape::of(body, &["given", "notice", "choice", "message_id"])?;
    let input = ConsentInput {
        given: shape.flag("given"),
        notice: shape.value("notice"),
        choice: shape.optional_text("choice"),
        message_id: shape.optional_text("message_id"),
    };
    if !matches!(
        input.notice,
        Value::String(_) | Value::Object(_) | Value::Null
    ) {
        shape.refuse(
            "notice",
            "not_a_notice",
            "a text or {version, lang, sha256} is expected",
        );
    }
    shape.finish(input)
}

/// One consent event, with the number of its evidence.
#[derive(Serialize, ToSchema)]
#[schema(as = ConsentEvent)]
pub(crate) struct EventBody {
    /// Number of the event.
    consent: String,
    /// `given`, `refused` or `withdrawn`.
    state: &'static str,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The notice that was shown.
    #[schema(value_type = Object)]
    notice: Value,
    /// What the person chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    choice: Option<String>,
    /// The message in which the person answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
}

impl From<ConsentEvent> for EventBody {
    fn from(event: ConsentEvent) -> Self {
        Self {
            consent: event.consent.to_string(),
            state: state_name(event.state),
            at: event.at.to_string(),
            notice: event.notice,
            choice: event.choice,
            message_id: event.message_id,
        }
    }
}

/// Consent to one purpose: where it stands, and how it came there.
#[derive(Serialize, ToSchema)]
#[schema(as = ConsentView)]
pub(crate) struct ViewBody {
    /// Name of the purpose.
    purpose: String,
    /// `given`, `refused` or `withdrawn`.
    state: &'static str,
    /// Every event, oldest first.
    history: Vec<EventBody>,
}

impl From<ConsentView> for ViewBody {
    fn from(view: ConsentView) -> Self {
        Self {
            purpose: view.purpose,
            state: state_name(view.state),
            history: view.history.into_iter().map(EventBody::from).collect(),
        }
    }
}

/// A person's consents.
#[derive(Serialize, ToSchema)]
#[schema(as = ConsentList)]
pub(crate) struct ListBody {
    /// One for each purpose that was ever asked about.
    consents: Vec<ViewBody>,
}

const fn state_name(state: ConsentState) -> &'static str {
    match state {
        ConsentState::Given => "given",
        ConsentState::Refused => "refused",
        ConsentState::Withdrawn => "withdrawn",
    }
}

/// Every consent of a person, with its history
///
/// Capability `consents.record`.
#[utoipa::path(get, path = urls::CONSENTS, tag = "consents", operation_id = "list_consents",
    responses((status = 200, description = "The consents", body = ListBody)))]
pub(crate) async fn list(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &LIST).await
}

/// Every consent of a person.
pub(crate) static LIST: Operation = Operation {
    purpose: false,
    body: false,
    looks_up: false,
    right: false,
    changes: Changes::Never,
    remember: Remember::Again,
    perform: do_list,
};

fn do_list(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    parsed(desk, CAPABILITY, asked.query(&[]))?;
    let views = desk.list_consents(asked.subject())?;
    let consents = views.into_iter().map(ViewBody::from).collect();
    Ok(Reply::json(200, &ListBody { consents }))
}

/// Consent to one purpose
///
/// Capability `consents.record`.
#[utoipa::path(get, path = urls::CONSENT, tag = "consents", operation_id = "read_consent",
    responses((status = 200, description = "The consent", body = ViewBody)))]
pub(crate) async fn read(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &READ).await
}

/// Consent to one purpose.
pub(crate) static READ: Operation = Operation {
    purpose: false,
    body: false,
    looks_up: false,
    right: false,
    changes: Changes::Never,
    remember: Remember::Again,
    perform: do_read,
};

fn do_read(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    parsed(desk, CAPABILITY, asked.query(&[]))?;
    let view = desk.read_consent(asked.subject(), asked.parameter("purpose"))?;
    Ok(Reply::json(200, &ViewBody::from(view)))
}

/// Record that a person consents or refuses
///
/// Capability `consents.record`.
#[utoipa::path(put, path = urls::CONSENT, tag = "consents", operation_id = "put_consent",
    request_body = ConsentRequest,
    responses((status = 200, description = "Recorded", body = EventBody)))]
pub(crate) async fn put(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &PUT).await
}

/// Record that a person consents or refuses.
pub(crate) static PUT: Operation = Operation {
    purpose: false,
    body: true,
    looks_up: false,
    right: false,
    changes: Changes::Always,
    remember: Remember::Reply,
    perform: do_put,
};

fn do_put(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let input = parsed(desk, CAPABILITY, read_request(asked.body.clone()))?;
    let event = desk.put_consent(asked.subject(), asked.parameter("purpose"), &input)?;
    Ok(Reply::json(200, &EventBody::from(event)))
}

/// Withdraw consent
///
/// As easy as giving it (Art. 7(3)). Capability `consents.record`.
#[utoipa::path(delete, path = urls::CONSENT, tag = "consents", operation_id = "withdraw_consent",
    responses((status = 200, description = "Withdrawn", body = EventBody)))]
pub(crate) async fn withdraw(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &WITHDRAW).await
}

/// Withdraw consent.
pub(crate) static WITHDRAW: Operation = Operation {
    purpose: false,
    body: false,
    looks_up: false,
    right: true,
    changes: Changes::Always,
    remember: Remember::Reply,
    perform: do_withdraw,
};

fn do_withdraw(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    parsed(desk, CAPABILITY, asked.query(&[]))?;
    let event = desk.withdraw_consent(asked.subject(), asked.parameter("purpose"))?;
    Ok(Reply::json(200, &EventBody::from(event)))
}
