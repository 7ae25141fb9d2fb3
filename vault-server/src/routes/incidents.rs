//! The register of personal data breaches: note, take steps, read.

use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::id::IncidentId;
use vault_core::vault::{
    Exemption, IncidentInput, IncidentListed, IncidentStep, IncidentStepInput, IncidentStepView,
    IncidentVector, IncidentView, Nature, Risk,
};

use crate::call::Outcome;
use crate::code::Code;
use crate::idempotency::Remember;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const CAPABILITY: &str = "incidents.manage";

/// An incident.
#[derive(ToSchema)]
#[schema(as = IncidentRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; what is read is the core's `IncidentInput`"
)]
pub(crate) struct IncidentRequest {
    /// When the controller became aware: the deadline runs from here.
    #[schema(format = DateTime)]
    aware_at: String,
    /// `confidentiality`, `integrity`, `availability`: one or several.
    nature: Vec<String>,
    /// `api_key`, `role`, `session`, `recipient`, `backup`, `key`, `files` or `other`; `other` unless told.
    vector: Option<String>,
    /// From when.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// Until when.
    #[schema(format = DateTime)]
    to: Option<String>,
    /// What happened, at most 4,096 bytes and without personal data, ids of people among it: the register outlives
    /// everybody.
    summary: String,
    /// The report of `breach-scope`.
    #[schema(value_type = Option<Object>)]
    scope: Option<Value>,
}

/// A step of an incident.
#[derive(ToSchema)]
#[schema(as = IncidentStepRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; what is read is the core's `IncidentStepInput`"
)]
pub(crate) struct StepRequest {
    /// When it was taken; now unless told.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// What was done or said, at most 4,096 bytes and without personal data.
    text: String,
    /// Why the authority is told after the deadline (Art. 33(1)): required then.
    late_reason: Option<String>,
    /// `unlikely`, `risk` or `high`: required of `assessed`, and of it alone.
    risk: Option<String>,
    /// `34.3.a`, `34.3.b` or `34.3.c`: why people are not told in spite of a high risk; of `assessed` alone.
    exemption: Option<String>,
    /// A later report of `breach-scope`.
    #[schema(value_type = Option<Object>)]
    scope: Option<Value>,
}

pub(super) fn instant(shape: &mut Shape, name: &str) -> Option<Timestamp> {
    let text = shape.optional_text(name)?;
    let instant = text.parse().ok();
    if instant.is_none() && shape.finds_no_fault() {
        let detail = "an instant as RFC 3339 has it: 2027-12-31T23:00:00Z";
        shape.refuse(name, "not_an_instant", detail);
    }
    instant
}

fn word<W: Copy>(
    shape: &mut Shape,
    name: &str,
    text: Option<String>,
    parse: fn(&str) -> Option<W>,
    words: &str,
) -> Option<W> {
    let word = parse(&text?);
    if word.is_none() {
        shape.refuse(name, "unknown_word", words);
    }
    word
}

pub(crate) fn read_request(body: Value) -> Result<IncidentInput, Problem> {
    let known = [
        "aware_at", "nature", "vector", "from", "to", "summary", "scope",
    ];
    let mut shape = Shape::of(body, &known)?;
    let aware_at = instant(&mut shape, "aware_at");
    if aware_at.is_none() && shape.finds_no_fault() {
        shape.refuse("aware_at", "required", "when the controller became aware");
    }
    let mut nature = Vec::new();
    for text in shape.texts("nature") {
        let words = "`confidentiality`, `integrity` or `availability`";
        nature.extend(word(&mut shape, "nature", Some(text), Nature::parse, words));
    }
    let vector = shape.optional_text("vector");
    let words = "`api_key`, `role`, `session`, `recipient`, `backup`, `key`, `files` or `other`";
    let vector = word(&mut shape, "vector", vector, IncidentVector::parse, words);
    let input = IncidentInput {
        aware_at: aware_at.unwrap_or_default(),
        nature,
        vector: vector.unwrap_or(IncidentVector::Other),
        from: instant(&mut shape, "from"),
        to: instant(&mut shape, "to"),
        summary: shape.text("summary"),
        scope: shape.has("scope").then(|| shape.value("scope")),
    };
    shape.finish(input)
}

pub(crate) fn read_step(body: Value) -> Result<IncidentStepInput, Problem> {
    let known = ["at", "text", "late_reason", "risk", "exemption", "scope"];
    let mut shape = Shape::of(body, &known)?;
    let risk = shape.optional_text("risk");
    let risk = word(
        &mut shape,
        "risk",
        risk,
        Risk::parse,
        "`unlikely`, `risk` or `high`",
    );
    let exemption = shape.optional_text("exemption");
    let words = "`34.3.a`, `34.3.b` or `34.3.c`";
    let exemption = word(&mut shape, "exemption", exemption, Exemption::parse, words);
    let input = IncidentStepInput {
        at: instant(&mut shape, "at"),
        text: shape.text("text"),
        late_reason: shape.optional_text("late_reason"),
        risk,
        exemption,
        scope: shape.has("scope").then(|| shape.value("scope")),
    };
    shape.finish(input)
}

/// One step of an incident.
#[derive(Serialize, ToSchema)]
#[schema(as = IncidentStep)]
pub(crate) struct StepBody {
    /// `assessed`, `authority_notified`, `people_notified` or `closed`.
    step: &'static str,
    /// When it was taken.
    #[schema(format = DateTime)]
    at: String,
    /// When it was written down.
    #[schema(format = DateTime)]
    noted_at: String,
    /// By which role.
    role: String,
    /// What was done.
    text: String,
    /// Why it was late.
    late_reason: Option<String>,
    /// What an assessment came to.
    risk: Option<&'static str>,
    /// Why people are not told.
    exemption: Option<&'static str>,
}

impl From<IncidentStepView> for StepBody {
    fn from(view: IncidentStepView) -> Self {
        Self {
            step: view.step.name(),
            at: view.at.to_string(),
            noted_at: view.noted_at.to_string(),
            role: view.role,
            text: view.text,
            late_reason: view.late_reason,
            risk: view.risk.map(Risk::name),
            exemption: view.exemption.map(Exemption::name),
        }
    }
}

/// An incident as it stands.
#[derive(Serialize, ToSchema)]
#[schema(as = Incident)]
pub(crate) struct IncidentBody {
    /// Its name.
    incident: String,
    /// `open`, `assessed`, `authority_notified`, `people_notified` or `closed`: the furthest step.
    state: &'static str,
    /// When the controller became aware.
    #[schema(format = DateTime)]
    aware_at: String,
    /// Until when the authority is to be told: `incidents.notify_within` of the policy later.
    #[schema(format = DateTime)]
    due_at: String,
    /// Whether that is over, and the authority still to be told.
    overdue: bool,
    /// When it was first told.
    #[schema(format = DateTime)]
    notified_at: Option<String>,
    /// `confidentiality`, `integrity`, `availability`.
    nature: Vec<&'static str>,
    /// What it came by.
    vector: &'static str,
    /// From when.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// Until when.
    #[schema(format = DateTime)]
    to: Option<String>,
    /// What happened.
    summary: String,
    /// What the last assessment came to.
    risk: Option<&'static str>,
    /// The report of `breach-scope`.
    #[schema(value_type = Option<Object>)]
    scope: Option<Value>,
    /// Every step, in the order in which they were written down.
    history: Vec<StepBody>,
}

impl From<IncidentView> for IncidentBody {
    fn from(view: IncidentView) -> Self {
        let listed = ListedBody::from(view.listed);
        Self {
            incident: listed.incident,
            state: listed.state,
            aware_at: listed.aware_at,
            due_at: listed.due_at,
            overdue: listed.overdue,
            notified_at: listed.notified_at,
            nature: listed.nature,
            vector: listed.vector,
            from: listed.from,
            to: listed.to,
            summary: listed.summary,
            risk: listed.risk,
            scope: view.scope,
            history: view.history.into_iter().map(StepBody::from).collect(),
        }
    }
}

/// An incident in the list of all: `GET /v1/incidents/{inc}` has its steps and its scope.
#[derive(Serialize, ToSchema)]
#[schema(as = IncidentListed)]
pub(crate) struct ListedBody {
    /// Its name.
    incident: String,
    /// `open`, `assessed`, `authority_notified`, `people_notified` or `closed`: the furthest step.
    state: &'static str,
    /// When the controller became aware.
    #[schema(format = DateTime)]
    aware_at: String,
    /// Until when the authority is to be told: `incidents.notify_within` of the policy later.
    #[schema(format = DateTime)]
    due_at: String,
    /// Whether that is over, and the authority still to be told.
    overdue: bool,
    /// When it was first told.
    #[schema(format = DateTime)]
    notified_at: Option<String>,
    /// `confidentiality`, `integrity`, `availability`.
    nature: Vec<&'static str>,
    /// What it came by.
    vector: &'static str,
    /// From when.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// Until when.
    #[schema(format = DateTime)]
    to: Option<String>,
    /// What happened.
    summary: String,
    /// What the last assessment came to.
    risk: Option<&'static str>,
    /// How many steps were taken.
    steps: usize,
}

impl From<IncidentListed> for ListedBody {
    fn from(listed: IncidentListed) -> Self {
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            incident: listed.incident.to_string(),
            state: listed.state.map_or("open", IncidentStep::name),
            aware_at: listed.aware_at.to_string(),
            due_at: listed.due_at.to_string(),
            overdue: listed.overdue,
            notified_at: text(listed.notified_at),
            nature: listed.nature.into_iter().map(Nature::name).collect(),
            vector: listed.vector.name(),
            from: text(listed.from),
            to: text(listed.to),
            summary: listed.summary,
            risk: listed.risk.map(Risk::name),
            steps: listed.steps,
        }
    }
}

/// The register.
#[derive(Serialize, ToSchema)]
#[schema(as = IncidentList)]
pub(crate) struct IncidentListBody {
    /// The latest awareness first.
    incidents: Vec<ListedBody>,
}

fn list_body(all: Vec<IncidentListed>) -> IncidentListBody {
    let incidents = all.into_iter();
    IncidentListBody {
        incidents: incidents.map(ListedBody::from).collect(),
    }
}

/// The register as the API answers it, for whoever answers without a server.
#[must_use]
pub fn incident_list(all: Vec<IncidentListed>) -> Value {
    serde_json::to_value(list_body(all)).expect("texts and lists serialise")
}

/// An incident as the API answers it, for whoever answers without a server.
#[must_use]
pub fn incident_view(view: IncidentView) -> Value {
    serde_json::to_value(IncidentBody::from(view)).expect("texts and lists serialise")
}

/// Note a personal data breach
///
/// The register of Art. 33(5): sealed under the vault's own key, in every data backup, and never erased with a
/// person; so no text may hold personal data, and one in which something looks like it, or like an id that leads
/// to a person, is refused. `scope` is the report of `breach-scope`, without whom it counts.
/// `incidents.notify_within` of the policy (72 hours) is the deadline for telling the authority. Capability
/// `incidents.manage`.
#[utoipa::path(post, path = urls::INCIDENTS, tag = "incidents", operation_id = "note_incident",
    request_body = IncidentRequest,
    responses((status = 201, description = "Noted", body = IncidentBody)))]
pub(crate) async fn note(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    app.post(incoming, Remember::Reply, None, move |session| {
        let input = session.parsed(CAPABILITY, read_request(body))?;
        let view = session.vault.note_incident(&session.call(), input)?;
        let location = urls::at(urls::INCIDENT, &[&view.listed.incident]);
        Ok(Reply::json(201, &IncidentBody::from(view)).location(location))
    })
    .await
}

/// The register of personal data breaches
///
/// At most 1,000, the latest awareness first, each without its steps and scope. Capability `incidents.manage`.
#[utoipa::path(get, path = urls::INCIDENTS, tag = "incidents", operation_id = "list_incidents",
    responses((status = 200, description = "The register", body = IncidentListBody)))]
pub(crate) async fn list(State(app): State<App>, incoming: Incoming) -> Outcome {
    let query = incoming.query(&[]);
    app.call(incoming, move |session| {
        session.parsed(CAPABILITY, query)?;
        let all = session.vault.list_incidents(&session.call())?;
        Ok(Reply::json(200, &list_body(all)))
    })
    .await
}

/// The incident in the path. A text that is no id names none.
fn named(incoming: &Incoming) -> IncidentId {
    let named = incoming.parameter("inc").parse();
    named.unwrap_or(IncidentId::from_bytes([0xff; 16]))
}

/// One personal data breach
///
/// Capability `incidents.manage`.
#[utoipa::path(get, path = urls::INCIDENT, tag = "incidents", operation_id = "read_incident",
    responses((status = 200, description = "As it stands", body = IncidentBody)))]
pub(crate) async fn read(State(app): State<App>, incoming: Incoming) -> Outcome {
    let (named, query) = (named(&incoming), incoming.query(&[]));
    app.call(incoming, move |session| {
        session.parsed(CAPABILITY, query)?;
        let view = session.vault.incident(&session.call(), named)?;
        Ok(Reply::json(200, &IncidentBody::from(view)))
    })
    .await
}

/// Note a step of a personal data breach
///
/// `assessed` (with its risk), `authority_notified` (again for each phase, Art. 33(4)), `people_notified`,
/// `closed`. The authority may be told before the risk is assessed. Closed is what was assessed and told to
/// whom the risk demands: 409 `conflict` says what is missing. An exemption stands for the assessment that named
/// it, and ends with the next. Later than `due_at` the authority is told with
/// a `late_reason`, else 422. Capability `incidents.manage`.
#[utoipa::path(post, path = urls::INCIDENT_STEP, tag = "incidents", operation_id = "step_incident",
    request_body = StepRequest,
    responses((status = 200, description = "Noted", body = IncidentBody)))]
pub(crate) async fn step(State(app): State<App>, incoming: Incoming) -> Outcome {
    let named = named(&incoming);
    let step = IncidentStep::parse(incoming.parameter("step"));
    let step = step.ok_or(Problem::new(Code::NotFound));
    let body = incoming.json()?;
    app.post(incoming, Remember::Reply, None, move |session| {
        let step = session.parsed(CAPABILITY, step)?;
        let input = session.parsed(CAPABILITY, read_step(body))?;
        let call = session.call();
        let view = session.vault.step_incident(&call, named, step, input)?;
        Ok(Reply::json(200, &IncidentBody::from(view)))
    })
    .await
}
