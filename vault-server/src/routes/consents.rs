//! Consent: give or refuse, read, withdraw.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::vault::{
    ConsentActor, ConsentDetails, ConsentEvent, ConsentEvidence, ConsentInput, ConsentKind,
    ConsentState, ConsentView, Desk,
};

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

/// A person's answer to the question for consent.
#[derive(ToSchema)]
#[schema(as = ConsentRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; what is read is the core's `ConsentInput`"
)]
pub(crate) struct ConsentRequest {
    /// Whether it was given; `false` is a refusal.
    given: Option<bool>,
    /// In the place of `given`: `requested`, `deferred`, `given`, `renewed`, `refused`, `withdrawn` or `invalidated`.
    state: Option<String>,
    /// The notice that was shown: a text, or `{version, lang, sha256}`.
    #[schema(value_type = Object)]
    notice: Value,
    /// The words or the button that the person chose.
    choice: Option<String>,
    /// The channel's id of the message in which the person answered.
    message_id: Option<String>,
    /// `self`, which is the default, or `guardian` (Art. 8).
    actor: Option<String>,
    /// `regular`, which is the default, or `explicit`, as special data demand (Art. 9(2)(a)).
    r#type: Option<String>,
    /// For how long it is given: an ISO 8601 period, or an instant. Then it is `expired`, and permits nothing.
    valid: Option<String>,
    /// The language of the text that was shown.
    lang: Option<String>,
    /// SHA-256 of that text, hexadecimal.
    sha256: Option<String>,
    /// Where it was said.
    channel: Option<String>,
    /// How it was collected.
    method: Option<String>,
    /// What a consent platform wrote. Kept as it is; it permits nothing.
    evidence: Option<EvidenceBody>,
}

/// What a consent platform wrote.
#[derive(Serialize, ToSchema)]
#[schema(as = ConsentEvidence)]
pub(crate) struct EvidenceBody {
    /// `tcf` or `gpp`.
    kind: String,
    /// Its own form.
    string: String,
}

fn evidence(shape: &mut Shape) -> Option<ConsentEvidence> {
    if !shape.has("evidence") {
        return None;
    }
    let members = shape.value("evidence");
    let text = |name: &str| members[name].as_str().map(str::to_owned);
    let known = members.as_object().is_some_and(|all| all.len() == 2);
    let found = text("kind").zip(text("string")).filter(|_| known);
    if found.is_none() {
        shape.refuse(
            "evidence",
            "not_evidence",
            "an object of two texts: kind, string",
        );
    }
    found.map(|(kind, string)| ConsentEvidence { kind, string })
}

fn word<T>(shape: &mut Shape, name: &str, parse: fn(&str) -> Option<T>, known: &str) -> Option<T> {
    let text = shape.optional_text(name)?;
    let word = parse(&text);
    if word.is_none() {
        shape.refuse(name, "unknown_word", format!("one of: {known}"));
    }
    word
}

pub(crate) fn read_request(body: Value) -> Result<ConsentInput, Problem> {
    const KNOWN: [&str; 13] = [
        "given",
        "state",
        "notice",
        "choice",
        "message_id",
        "actor",
        "type",
        "valid",
        "lang",
        "sha256",
        "channel",
        "method",
        "evidence",
    ];
    let mut shape = Shape::of(body, &KNOWN)?;
    let states = "requested, deferred, given, renewed, refused, withdrawn, invalidated";
    let stated = shape.has("state");
    if stated && shape.has("given") {
        shape.refuse("state", "one_of", "`given` or `state`, not both");
    }
    let state = word(&mut shape, "state", ConsentState::parse, states);
    let input = ConsentInput {
        given: match stated {
            true => false,
            false => shape.flag("given"),
        },
        state,
        notice: shape.value("notice"),
        choice: shape.optional_text("choice"),
        message_id: shape.optional_text("message_id"),
        details: ConsentDetails {
            actor: word(&mut shape, "actor", ConsentActor::parse, "self, guardian")
                .unwrap_or_default(),
            kind: word(&mut shape, "type", ConsentKind::parse, "regular, explicit")
                .unwrap_or_default(),
            valid: shape.optional_text("valid"),
            valid_until: None,
            language: shape.optional_text("lang"),
            sha256: shape.optional_text("sha256"),
            channel: shape.optional_text("channel"),
            method: shape.optional_text("method"),
            evidence: evidence(&mut shape),
        },
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
    /// `requested`, `deferred`, `given`, `renewed`, `refused`, `withdrawn` or `invalidated`.
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
    /// `self` or `guardian`.
    actor: &'static str,
    /// `regular` or `explicit`.
    r#type: &'static str,
    /// For how long, as it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid: Option<String>,
    /// When that ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    valid_until: Option<String>,
    /// The language of the text that was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    lang: Option<String>,
    /// SHA-256 of that text.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// Where it was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    /// How it was collected.
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// What a consent platform wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<EvidenceBody>,
    /// Where the receipt of all that was said of the purpose is found: in the answer to what records it.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
}

impl From<ConsentEvent> for EventBody {
    fn from(event: ConsentEvent) -> Self {
        let ConsentDetails {
            actor,
            kind,
            valid,
            valid_until,
            language,
            sha256,
            channel,
            method,
            evidence,
        } = event.details;
        Self {
            consent: event.consent.to_string(),
            state: event.state.name(),
            at: event.at.to_string(),
            notice: event.notice,
            choice: event.choice,
            message_id: event.message_id,
            actor: actor.name(),
            r#type: kind.name(),
            valid,
            valid_until: valid_until.map(|until| until.to_string()),
            lang: language,
            sha256,
            channel,
            method,
            evidence: evidence
                .map(|ConsentEvidence { kind, string }| EvidenceBody { kind, string }),
            receipt: None,
        }
    }
}

impl EventBody {
    fn with_receipt(self, asked: &Asked) -> Self {
        let (subject, purpose) = (asked.subject().to_string(), asked.parameter("purpose"));
        Self {
            receipt: Some(urls::at(urls::CONSENT_RECEIPT, &[&subject, &purpose])),
            ..self
        }
    }
}

/// Consent to one purpose: where it stands, and how it came there.
#[derive(Serialize, ToSchema)]
#[schema(as = ConsentView)]
pub(crate) struct ViewBody {
    /// Name of the purpose.
    purpose: String,
    /// How it stands now: the state of an event, or `expired`. Only `given` and `renewed` permit anything.
    state: &'static str,
    /// Until when it permits anything, where that has an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    valid_until: Option<String>,
    /// Every event, oldest first.
    history: Vec<EventBody>,
}

impl From<ConsentView> for ViewBody {
    fn from(view: ConsentView) -> Self {
        Self {
            purpose: view.purpose,
            state: view.state.name(),
            valid_until: view.valid_until.map(|until| until.to_string()),
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

/// Every consent of a person, with its history
///
/// Capability `consents.record`.
#[utoipa::path(get, path = urls::CONSENTS, tag = "consents", operation_id = "list_consents",
    responses((status = 200, description = "The consents", body = ListBody)))]
pub(crate) async fn list(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &LIST).await
}

/// Every consent of a person.
pub(crate) static LIST: Operation = Operation::reading(do_list);

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
pub(crate) static READ: Operation = Operation::reading(do_read);

fn do_read(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    parsed(desk, CAPABILITY, asked.query(&[]))?;
    let view = desk.read_consent(asked.subject(), asked.parameter("purpose"))?;
    Ok(Reply::json(200, &ViewBody::from(view)))
}

/// What a person said about one purpose, as a receipt
///
/// After ISO/IEC TS 27560: made from the policy in force and everything that was said. The same document is in the
/// person's export. Capability `consents.record`.
#[utoipa::path(get, path = urls::CONSENT_RECEIPT, tag = "consents", operation_id = "consent_receipt",
    responses((status = 200, description = "The receipt", body = Object)))]
pub(crate) async fn receipt(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &RECEIPT).await
}

/// What a person said about one purpose, as a receipt.
pub(crate) static RECEIPT: Operation = Operation::reading(do_receipt);

fn do_receipt(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    parsed(desk, CAPABILITY, asked.query(&[]))?;
    let document = desk.consent_receipt(asked.subject(), asked.parameter("purpose"))?;
    Ok(Reply::json(200, &document))
}

/// Record what a person says to the question for consent
///
/// Answers with the event, and with where its receipt is found. Capability `consents.record`.
#[utoipa::path(put, path = urls::CONSENT, tag = "consents", operation_id = "put_consent",
    request_body = ConsentRequest,
    responses((status = 200, description = "Recorded", body = EventBody)))]
pub(crate) async fn put(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &PUT).await
}

/// Record that a person consents or refuses.
pub(crate) static PUT: Operation = Operation::changing(do_put);

fn do_put(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let input = parsed(desk, CAPABILITY, read_request(asked.body.clone()))?;
    let event = desk.put_consent(asked.subject(), asked.parameter("purpose"), &input)?;
    Ok(Reply::json(
        200,
        &EventBody::from(event).with_receipt(asked),
    ))
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
    body: false,
    right: true,
    ..Operation::changing(do_withdraw)
};

fn do_withdraw(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    parsed(desk, CAPABILITY, asked.query(&[]))?;
    let event = desk.withdraw_consent(asked.subject(), asked.parameter("purpose"))?;
    Ok(Reply::json(200, &EventBody::from(event)))
}
