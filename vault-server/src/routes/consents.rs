//! Consent: give or refuse, read, withdraw.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::vault::{ConsentEvent, ConsentInput, ConsentState, ConsentView};

use crate::call::Outcome;
use crate::incoming::Incoming;
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

fn read_request(body: Value) -> Result<ConsentInput, Problem> {
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
    let (subject, query) = (incoming.subject(), incoming.query(&[]));
    app.call(incoming, move |session| {
        session.parsed(CAPABILITY, query)?;
        let views = session.vault.list_consents(&session.call(), subject)?;
        let consents = views.into_iter().map(ViewBody::from).collect();
        Ok(Reply::json(200, &ListBody { consents }))
    })
    .await
}

/// Consent to one purpose
///
/// Capability `consents.record`.
#[utoipa::path(get, path = urls::CONSENT, tag = "consents", operation_id = "read_consent",
    responses((status = 200, description = "The consent", body = ViewBody)))]
pub(crate) async fn read(State(app): State<App>, incoming: Incoming) -> Outcome {
    let (subject, query) = (incoming.subject(), incoming.query(&[]));
    let purpose = incoming.parameter("purpose").to_owned();
    app.call(incoming, move |session| {
        session.parsed(CAPABILITY, query)?;
        let view = session
            .vault
            .read_consent(&session.call(), subject, &purpose)?;
        Ok(Reply::json(200, &ViewBody::from(view)))
    })
    .await
}

/// Record that a person consents or refuses
///
/// Capability `consents.record`.
#[utoipa::path(put, path = urls::CONSENT, tag = "consents", operation_id = "put_consent",
    request_body = ConsentRequest,
    responses((status = 200, description = "Recorded", body = EventBody)))]
pub(crate) async fn put(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    let subject = incoming.subject();
    let purpose = incoming.parameter("purpose").to_owned();
    app.call(incoming, move |session| {
        let input = session.parsed(CAPABILITY, read_request(body))?;
        let event = session
            .vault
            .put_consent(&session.call(), subject, &purpose, input)?;
        Ok(Reply::json(200, &EventBody::from(event)))
    })
    .await
}

/// Withdraw consent
///
/// As easy as giving it (Art. 7(3)). Capability `consents.record`.
#[utoipa::path(delete, path = urls::CONSENT, tag = "consents", operation_id = "withdraw_consent",
    responses((status = 200, description = "Withdrawn", body = EventBody)))]
pub(crate) async fn withdraw(State(app): State<App>, incoming: Incoming) -> Outcome {
    let (subject, query) = (incoming.subject(), incoming.query(&[]));
    let purpose = incoming.parameter("purpose").to_owned();
    app.call(incoming, move |session| {
        session.parsed(CAPABILITY, query)?;
        let event = session
            .vault
            .withdraw_consent(&session.call(), subject, &purpose)?;
        Ok(Reply::json(200, &EventBody::from(event)))
    })
    .await
}
