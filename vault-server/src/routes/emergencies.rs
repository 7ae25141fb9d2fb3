//! Emergency access: ask, approve or refuse, take the session, end, list.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::id::EmergencyId;
use vault_core::vault::{EmergencyInput, EmergencyView};

use crate::call::Outcome;
use crate::idempotency::Remember;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const REQUESTS: &str = "breakglass.request";
const APPROVES: &str = "breakglass.approve";

/// A request for emergency access.
#[derive(ToSchema)]
#[schema(as = EmergencyRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; what is read is the core's `EmergencyInput`"
)]
pub(crate) struct RequestBody {
    /// Why, at most 1,024 bytes and without personal data: the person is told of it, and whoever approves.
    reason: String,
    /// `collection.field` or `collection.*`, at most 64: what the policy's `[breakglass]` shows.
    fields: Vec<String>,
    /// Seconds from the approval on; as long as the policy allows unless told, and never more than 4 hours.
    expires_in: Option<u32>,
}

pub(crate) fn read_request(body: Value) -> Result<EmergencyInput, Problem> {
    let mut shape = Shape::of(body, &["reason", "fields", "expires_in"])?;
    let input = EmergencyInput {
        reason: shape.text("reason"),
        fields: shape.texts("fields"),
        expires_in: shape.optional_number("expires_in").map(i64::from),
    };
    shape.finish(input)
}

/// Emergency access to some fields of one person.
#[derive(Serialize, ToSchema)]
#[schema(as = Emergency)]
pub(crate) struct EmergencyBody {
    /// Its name; its session has the same characters behind `ses_`.
    emergency: String,
    /// `requested`, `approved`, `used` (the session was taken), or over: `refused`, `lapsed`, `ended`,
    /// `expired`.
    state: &'static str,
    /// Why.
    reason: String,
    /// `collection.field`.
    fields: Vec<String>,
    /// What its reads count for.
    purpose: String,
    /// Seconds from the approval on.
    expires_in: i64,
    /// The API key that asked.
    requested_by: String,
    /// Its role.
    requested_as: String,
    /// When.
    #[schema(format = DateTime)]
    requested_at: String,
    /// The API key that decided.
    decided_by: Option<String>,
    /// Its role.
    decided_as: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    decided_at: Option<String>,
    /// When the session was taken.
    #[schema(format = DateTime)]
    used_at: Option<String>,
    /// When somebody ended it.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// Its end: while it waits, of the wait; afterwards, of the access.
    #[schema(format = DateTime)]
    expires_at: String,
}

impl From<EmergencyView> for EmergencyBody {
    fn from(view: EmergencyView) -> Self {
        let (requested_by, requested_as) = view.requested_by;
        let (decided_by, decided_as) = view.decided_by.unzip();
        Self {
            emergency: view.emergency.to_string(),
            state: view.state.name(),
            reason: view.reason,
            fields: view.fields,
            purpose: view.purpose,
            expires_in: view.expires_in,
            requested_by: requested_by.to_string(),
            requested_as,
            requested_at: view.requested_at.to_string(),
            decided_by: decided_by.map(|token| token.to_string()),
            decided_as,
            decided_at: view.decided_at.map(|at| at.to_string()),
            used_at: view.used_at.map(|at| at.to_string()),
            ended_at: view.ended_at.map(|at| at.to_string()),
            expires_at: view.expires_at.to_string(),
        }
    }
}

/// Emergencies of a person.
#[derive(Serialize, ToSchema)]
#[schema(as = EmergencyList)]
pub(crate) struct ListBody {
    /// The oldest first.
    emergencies: Vec<EmergencyBody>,
}

/// An emergency as the API answers it, for whoever answers without a server.
#[must_use]
pub fn emergency_view(view: EmergencyView) -> Value {
    serde_json::to_value(EmergencyBody::from(view)).expect("texts and lists serialise")
}

/// The emergencies of a person as the API answers them, for whoever answers without a server.
#[must_use]
pub fn emergency_list(views: Vec<EmergencyView>) -> Value {
    let emergencies = views.into_iter().map(EmergencyBody::from).collect();
    serde_json::to_value(ListBody { emergencies }).expect("texts and lists serialise")
}

/// The session of an emergency, with its token: the only time that it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = EmergencySession)]
pub(crate) struct SessionBody {
    /// Its emergency.
    emergency: String,
    /// `vs_…`, for `Authorization: Bearer`: it reads the approved fields as `/v1/subjects/self/…`.
    token: String,
    /// Reads that it is good for.
    reads: u32,
    /// When it ends by itself.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// The emergency in the path. A text that is no id names nobody's.
fn named(incoming: &Incoming) -> EmergencyId {
    let named = incoming.parameter("emg").parse();
    named.unwrap_or(EmergencyId::from_bytes([0xff; 16]))
}

/// Ask for emergency access
///
/// For what cannot wait and is beyond the role: fields that the policy's `[breakglass]` shows, of one
/// person. It shows nothing until another API key has approved it within 15 minutes. Every step is an
/// entry of the log, is told to the alarm's webhook, and stands in what the person is told of who looked.
/// 403 `role_denied` where the policy has no such section. Capability `breakglass.request`.
#[utoipa::path(post, path = urls::EMERGENCIES, tag = "emergencies", operation_id = "request_emergency",
    request_body = RequestBody,
    responses((status = 201, description = "Asked for", body = EmergencyBody)))]
pub(crate) async fn request(State(app): State<App>, incoming: Incoming) -> Outcome {
    let subject = incoming.subject();
    let body = incoming.json()?;
    let person = Some(subject);
    app.post(incoming, Remember::Reply, person, move |session| {
        let input = session.parsed(REQUESTS, read_request(body))?;
        let view = session
            .vault
            .request_emergency(&session.call(), subject, input)?;
        Ok(Reply::json(201, &EmergencyBody::from(view)))
    })
    .await
}

/// Emergencies of a person
///
/// Capability `breakglass.request` or `breakglass.approve`.
#[utoipa::path(get, path = urls::EMERGENCIES, tag = "emergencies", operation_id = "list_emergencies",
    responses((status = 200, description = "The oldest first", body = ListBody)))]
pub(crate) async fn list(State(app): State<App>, incoming: Incoming) -> Outcome {
    let (subject, query) = (incoming.subject(), incoming.query(&[]));
    app.call(incoming, move |session| {
        if let Err(problem) = query {
            let may = |capability| session.vault.require(&session.call(), capability);
            may(REQUESTS).or_else(|_| may(APPROVES))?;
            return Err(problem);
        }
        let views = session.vault.list_emergencies(&session.call(), subject)?;
        let emergencies = views.into_iter().map(EmergencyBody::from).collect();
        Ok(Reply::json(200, &ListBody { emergencies }))
    })
    .await
}

async fn decide(app: App, incoming: Incoming, approve: bool) -> Outcome {
    let (subject, named) = (incoming.subject(), named(&incoming));
    let person = Some(subject);
    app.post(incoming, Remember::Reply, person, move |session| {
        let call = session.call();
        let view = session
            .vault
            .decide_emergency(&call, subject, named, approve)?;
        Ok(Reply::json(200, &EmergencyBody::from(view)))
    })
    .await
}

/// Approve emergency access
///
/// By another API key than the one that asked: neither that key, nor one that made it, was made by it, or
/// has taken its place. A role does not matter. Within 15 minutes, else 409 `conflict`. Capability
/// `breakglass.approve`.
#[utoipa::path(post, path = urls::EMERGENCY_APPROVE, tag = "emergencies",
    operation_id = "approve_emergency",
    responses((status = 200, description = "Approved", body = EmergencyBody)))]
pub(crate) async fn approve(State(app): State<App>, incoming: Incoming) -> Outcome {
    decide(app, incoming, true).await
}

/// Refuse emergency access
///
/// As for approving it. Capability `breakglass.approve`.
#[utoipa::path(post, path = urls::EMERGENCY_REFUSE, tag = "emergencies",
    operation_id = "refuse_emergency",
    responses((status = 200, description = "Refused", body = EmergencyBody)))]
pub(crate) async fn refuse(State(app): State<App>, incoming: Incoming) -> Outcome {
    decide(app, incoming, false).await
}

/// Take the session of an emergency
///
/// Once, by the API key that asked, when another has approved. Its token reads the approved fields and
/// nothing else, for the purpose of the policy's `[breakglass]`: that purpose's basis has to hold for the
/// person, and restriction, hold and erasure stand in its way as in every read's. It ends with its time, with
/// either of the two keys, and with a policy that shows less. Capability `breakglass.request`.
#[utoipa::path(post, path = urls::EMERGENCY_SESSION, tag = "emergencies",
    operation_id = "take_emergency",
    responses((status = 201, description = "Begun", body = SessionBody)))]
pub(crate) async fn take(State(app): State<App>, incoming: Incoming) -> Outcome {
    let (subject, named) = (incoming.subject(), named(&incoming));
    let person = Some(subject);
    app.post(incoming, Remember::Made, person, move |session| {
        let taken = session
            .vault
            .take_emergency(&session.call(), subject, named)?;
        let body = SessionBody {
            emergency: named.to_string(),
            token: taken.token,
            reads: taken.reads,
            expires_at: taken.expires_at.to_string(),
        };
        Ok(Reply::json(201, &body))
    })
    .await
}

/// End emergency access
///
/// Before its time, or take the request back. From the answer on its session reads nothing. By the API key
/// that asked, or whoever has `breakglass.approve`.
#[utoipa::path(delete, path = urls::EMERGENCY, tag = "emergencies", operation_id = "end_emergency",
    responses((status = 200, description = "Ended", body = EmergencyBody)))]
pub(crate) async fn end(State(app): State<App>, incoming: Incoming) -> Outcome {
    let (subject, named) = (incoming.subject(), named(&incoming));
    let query = incoming.query(&[]);
    app.call(incoming, move |session| {
        if let Err(problem) = query {
            let may = |capability| session.vault.require(&session.call(), capability);
            may(REQUESTS).or_else(|_| may(APPROVES))?;
            return Err(problem);
        }
        let view = session
            .vault
            .end_emergency(&session.call(), subject, named)?;
        Ok(Reply::json(200, &EmergencyBody::from(view)))
    })
    .await
}
