//! Calls about the register of personal data breaches.

use jiff::Timestamp;
use serde_json::Value;

use super::call::Context;
use super::token::Call;
use super::{Vault, input, plain};
use crate::breach::BreachReport;
use crate::commit::{Snapshot, Txn, View};
use crate::id::{CallId, IncidentId};
use crate::incident::{
    self, Exemption, IncidentRow, IncidentStep, Nature, Risk, StepRow, Vector, place,
};
use crate::limits::{
    INCIDENT_SCOPE_BYTES_MAX, INCIDENT_STEPS_MAX, INCIDENTS_MAX, REASON_BYTES_MAX,
};
use crate::person::instant;
use crate::policy::{Capability, Policy};
use crate::refusal::{InputError, Refusal};

const CAPABILITY: Capability = Capability::IncidentsManage;

/// An incident to be noted. No text may hold personal data.
#[derive(Clone)]
pub struct IncidentInput {
    /// When the controller became aware: the deadline runs from here.
    pub aware_at: Timestamp,
    /// What was broken.
    pub nature: Vec<Nature>,
    /// What it came by.
    pub vector: Vector,
    /// From when.
    pub from: Option<Timestamp>,
    /// Until when.
    pub to: Option<Timestamp>,
    /// What happened.
    pub summary: String,
    /// The report of its scope.
    pub scope: Option<Value>,
}

/// Silent about what was said.
impl std::fmt::Debug for IncidentInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IncidentInput")
            .field("aware_at", &self.aware_at)
            .field("nature", &self.nature)
            .field("vector", &self.vector)
            .finish_non_exhaustive()
    }
}

/// A step to be noted.
#[derive(Clone)]
pub struct IncidentStepInput {
    /// When it was taken; now unless told.
    pub at: Option<Timestamp>,
    /// What was done, or said.
    pub text: String,
    /// Why the authority is told after the deadline (Art. 33(1)).
    pub late_reason: Option<String>,
    /// What an assessment came to.
    pub risk: Option<Risk>,
    /// Why people are not told in spite of a high risk.
    pub exemption: Option<Exemption>,
    /// The report of its scope, where it is known better by now.
    pub scope: Option<Value>,
}

/// Silent about what was said.
impl std::fmt::Debug for IncidentStepInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IncidentStepInput")
            .field("at", &self.at)
            .field("risk", &self.risk)
            .finish_non_exhaustive()
    }
}

/// One step of an incident.
#[derive(Clone)]
pub struct IncidentStepView {
    /// Which.
    pub step: IncidentStep,
    /// When it was taken.
    pub at: Timestamp,
    /// When it was written down.
    pub noted_at: Timestamp,
    /// By which role.
    pub role: String,
    /// What was done.
    pub text: String,
    /// Why it was late.
    pub late_reason: Option<String>,
    /// What an assessment came to.
    pub risk: Option<Risk>,
    /// Why people are not told.
    pub exemption: Option<Exemption>,
}

/// Silent about what was said.
impl std::fmt::Debug for IncidentStepView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IncidentStepView")
            .field("step", &self.step)
            .field("at", &self.at)
            .field("risk", &self.risk)
            .finish_non_exhaustive()
    }
}

/// An incident in the list of all, without what was said at each step.
#[derive(Clone)]
pub struct IncidentListed {
    /// Its name.
    pub incident: IncidentId,
    /// The furthest step; `None` while it is open.
    pub state: Option<IncidentStep>,
    /// When the controller became aware.
    pub aware_at: Timestamp,
    /// Until when the authority is to be told.
    pub due_at: Timestamp,
    /// Whether that is over, and the authority still to be told.
    pub overdue: bool,
    /// When it was first told.
    pub notified_at: Option<Timestamp>,
    /// What was broken.
    pub nature: Vec<Nature>,
    /// What it came by.
    pub vector: Vector,
    /// From when.
    pub from: Option<Timestamp>,
    /// Until when.
    pub to: Option<Timestamp>,
    /// What happened.
    pub summary: String,
    /// What the last assessment came to.
    pub risk: Option<Risk>,
    /// How many steps were taken.
    pub steps: usize,
}

/// Silent about what was said.
impl std::fmt::Debug for IncidentListed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IncidentListed")
            .field("incident", &self.incident)
            .field("state", &self.state)
            .field("due_at", &self.due_at)
            .finish_non_exhaustive()
    }
}

/// An incident as it stands.
#[derive(Clone)]
pub struct IncidentView {
    /// What stands in the list of all.
    pub listed: IncidentListed,
    /// The report of its scope.
    pub scope: Option<Value>,
    /// Every step, in the order in which they were written down.
    pub history: Vec<IncidentStepView>,
}

/// Silent about what was said.
impl std::fmt::Debug for IncidentView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IncidentView")
            .field("listed", &self.listed)
            .finish_non_exhaustive()
    }
}

fn word<W: Copy>(all: &[W], place: u8) -> Option<W> {
    all.get(usize::from(place)).copied()
}

/// What stands in the list.
fn listed(policy: &Policy, id: IncidentId, row: &IncidentRow, now: Timestamp) -> IncidentListed {
    let due_at = row.due_at(&policy.incidents().notify_within);
    let nature = row.nature.iter();
    IncidentListed {
        incident: id,
        state: row.state(),
        aware_at: instant(row.aware_at),
        due_at,
        overdue: row.waits() && now > due_at,
        notified_at: row.notified_at().map(instant),
        nature: nature.filter_map(|one| word(Nature::ALL, *one)).collect(),
        vector: word(Vector::ALL, row.vector).unwrap_or(Vector::Other),
        from: row.from.map(instant),
        to: row.to.map(instant),
        summary: row.summary.clone(),
        risk: row.risk(),
        steps: row.steps.len(),
    }
}

fn view(policy: &Policy, id: IncidentId, row: &IncidentRow, now: Timestamp) -> IncidentView {
    let history = row.steps.iter().filter_map(|step| {
        Some(IncidentStepView {
            step: word(IncidentStep::ALL, step.step)?,
            at: instant(step.at),
            noted_at: instant(step.noted_at),
            role: step.role.clone(),
            text: step.text.clone(),
            late_reason: step.late_reason.clone(),
            risk: step.risk.and_then(|risk| word(Risk::ALL, risk)),
            exemption: step.exemption.and_then(|one| word(Exemption::ALL, one)),
        })
    });
    let scope = row.scope.as_deref();
    IncidentView {
        history: history.collect(),
        scope: scope.and_then(|text| serde_json::from_str(text).ok()),
        listed: listed(policy, id, row, now),
    }
}

/// A text of the register: bounded, and without what looks like somebody's.
fn check_text(errors: &mut Vec<InputError>, pointer: &str, text: &str) {
    plain::check(errors, pointer, text, REASON_BYTES_MAX);
}

/// The report of a scope, as it is stored: what a report has, and nothing that was put beside it.
fn scope(errors: &mut Vec<InputError>, scope: Option<&Value>) -> Option<String> {
    let text = scope?.to_string();
    if text.len() > INCIDENT_SCOPE_BYTES_MAX {
        let detail = format!("at most {INCIDENT_SCOPE_BYTES_MAX} bytes");
        errors.push(input::error("/scope", "length", detail));
        return None;
    }
    let Ok(report) = BreachReport::parse(text.as_bytes()) else {
        let detail = "a report as `breach-scope` answers it, without the people whom it counts";
        errors.push(input::error("/scope", "not_a_report", detail));
        return None;
    };
    let text = serde_json::to_string(&report).expect("texts and numbers have a JSON form");
    // An id of a person leads to them as long as they live, and this outlives them.
    if let Some(what) = plain::found(&text) {
        let detail = format!(
            "no personal data here: something that looks like {what} stands among the numbers, and names \
             of the policy"
        );
        errors.push(input::error("/scope", "personal_data", detail));
    }
    Some(text)
}

fn note(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    input: &IncidentInput,
) -> Result<IncidentView, Refusal> {
    context.principal.require(policy, CAPABILITY)?;
    let now = txn.now();
    let mut errors = Vec::new();
    check_text(&mut errors, "/summary", &input.summary);
    let scope = scope(&mut errors, input.scope.as_ref());
    if input.aware_at > now {
        let detail = "nobody is aware of what has not come yet";
        errors.push(input::error("/aware_at", "out_of_range", detail));
    }
    if input.nature.is_empty() {
        let detail = "at least one of confidentiality, integrity and availability";
        errors.push(input::error("/nature", "length", detail));
    }
    if let (Some(from), Some(to)) = (input.from, input.to)
        && from > to
    {
        errors.push(input::error(
            "/window",
            "out_of_range",
            "`from` is at most `to`",
        ));
    }
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    if incident::count(txn)? >= INCIDENTS_MAX {
        return Err(Refusal::TooLarge(format!(
            "the register has at most {INCIDENTS_MAX} incidents"
        )));
    }
    let mut nature: Vec<u8> = input
        .nature
        .iter()
        .map(|one| place(Nature::ALL, one))
        .collect();
    nature.sort_unstable();
    nature.dedup();
    let id = IncidentId::generate(txn.entropy());
    let row = IncidentRow {
        aware_at: input.aware_at.as_millisecond(),
        noted_at: now.as_millisecond(),
        by: context.principal.token(),
        role: context.principal.role().to_owned(),
        nature,
        vector: place(Vector::ALL, &input.vector),
        from: input.from.map(Timestamp::as_millisecond),
        to: input.to.map(Timestamp::as_millisecond),
        summary: input.summary.clone(),
        scope,
        steps: Vec::new(),
    };
    incident::store(txn, id, &row)?;
    Ok(view(policy, id, &row, now))
}

/// Notes that a link which a person picks a copy up with was tried again after it had been opened at `used_at`: by the
/// vault itself, which cannot know more. `None` where the register is full.
pub(super) fn note_second_use(
    txn: &mut Txn<'_>,
    call: CallId,
    used_at: Timestamp,
) -> Result<Option<IncidentId>, Refusal> {
    if incident::count(txn)? >= INCIDENTS_MAX {
        return Ok(None);
    }
    let now = txn.now().as_millisecond();
    let id = IncidentId::generate(txn.entropy());
    let row = IncidentRow {
        aware_at: now,
        noted_at: now,
        by: None,
        role: "server".to_owned(),
        nature: vec![place(Nature::ALL, &Nature::Confidentiality)],
        vector: place(Vector::ALL, &Vector::Link),
        from: Some(used_at.as_millisecond()),
        to: Some(now),
        summary: format!(
            "A link to pick up a copy was used a second time, and refused; the log has it under {call}. Either its person \
             used it twice, or somebody else had it opened first: ask them."
        ),
        scope: None,
        steps: Vec::new(),
    };
    incident::store(txn, id, &row)?;
    Ok(Some(id))
}

fn take(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    (id, step): (IncidentId, IncidentStep),
    input: &IncidentStepInput,
) -> Result<IncidentView, Refusal> {
    context.principal.require(policy, CAPABILITY)?;
    let mut row = incident::load(txn, id)?.ok_or(Refusal::NotFound("incident"))?;
    let now = txn.now();
    let at = input.at.unwrap_or(now);
    if let Some(why) = row.refuses(step) {
        return Err(Refusal::Conflict(why.into()));
    }
    if !row.has_room(step) {
        return Err(Refusal::TooLarge(format!(
            "an incident has at most {INCIDENT_STEPS_MAX} steps, and the last are for those that it has not \
             taken yet: tell and close it, and note what is new as another that names it"
        )));
    }
    let mut errors = Vec::new();
    check_text(&mut errors, "/text", &input.text);
    if let Some(reason) = &input.late_reason {
        check_text(&mut errors, "/late_reason", reason);
    }
    if at > now || at < instant(row.aware_at) {
        let detail = "not before the controller was aware, and not after now";
        errors.push(input::error("/at", "out_of_range", detail));
    }
    if (step == IncidentStep::Assessed) != input.risk.is_some() {
        let detail = "an assessment says `unlikely`, `risk` or `high`, and nothing else does";
        errors.push(input::error("/risk", "required", detail));
    }
    if input.exemption.is_some() && step != IncidentStep::Assessed {
        let detail = "an exemption belongs to an assessment";
        errors.push(input::error("/exemption", "not_here", detail));
    }
    let first = step == IncidentStep::AuthorityNotified && row.notified_at().is_none();
    let due_at = row.due_at(&policy.incidents().notify_within);
    if first && at > due_at && input.late_reason.is_none() {
        let detail =
            format!("after {due_at} the notification says why it comes late (Art. 33(1) GDPR)");
        errors.push(input::error("/late_reason", "required", detail));
    }
    let scope = scope(&mut errors, input.scope.as_ref());
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    row.scope = scope.or(row.scope);
    row.steps.push(StepRow {
        step: place(IncidentStep::ALL, &step),
        at: at.as_millisecond(),
        noted_at: now.as_millisecond(),
        by: context.principal.token(),
        role: context.principal.role().to_owned(),
        text: input.text.clone(),
        late_reason: input.late_reason.clone(),
        risk: input.risk.map(|risk| place(Risk::ALL, &risk)),
        exemption: input.exemption.map(|one| place(Exemption::ALL, &one)),
    });
    incident::store(txn, id, &row)?;
    Ok(view(policy, id, &row, now))
}

/// Since when somebody is aware of each incident of which the authority is still to be told: for whoever
/// watches. One that does not open counts since ever, as nobody can say that it does not wait.
pub(super) fn waiting(snapshot: &Snapshot) -> Result<Vec<Timestamp>, Refusal> {
    let mut waiting = Vec::new();
    for row in incident::each(snapshot)? {
        match row {
            Ok((_, row)) if row.waits() => waiting.push(instant(row.aware_at)),
            Ok(_) => {}
            Err(refusal) if refusal.is_damage_of_a_row() => waiting.push(Timestamp::MIN),
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(waiting)
}

impl Vault {
    /// How many incidents wait for the notification of the authority, and how many of these are overdue.
    #[must_use]
    pub fn incidents_waiting(&self) -> (u64, u64) {
        let policy = self.policy.lock().clone();
        let within = &policy.incidents().notify_within;
        let now = self.engine.now();
        let waiting = self.memory.incidents.lock();
        let overdue = waiting.iter().filter(|aware| now > within.add_to(**aware));
        (waiting.len() as u64, overdue.count() as u64)
    }

    /// Looks at the register anew, for [`Vault::incidents_waiting`].
    pub(super) fn look_at_incidents(&self) -> Result<(), Refusal> {
        let waiting = waiting(&self.snapshot()?)?;
        *self.memory.incidents.lock() = waiting;
        Ok(())
    }

    /// Notes an incident.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] without `incidents.manage`; [`Refusal::Invalid`], also for a text with
    /// something in it that looks like personal data; [`Refusal::TooLarge`].
    pub fn note_incident(
        &self,
        call: &Call<'_>,
        input: IncidentInput,
    ) -> Result<IncidentView, Refusal> {
        let made = self.write(call, "incidents.open", move |txn, policy, context, _| {
            note(txn, policy, context, &input)
        })?;
        self.look_at_incidents()?;
        Ok(made)
    }

    /// Notes a step of an incident.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`]; [`Refusal::NotFound`]; [`Refusal::Conflict`] for a step that cannot be
    /// taken now; [`Refusal::Invalid`], also for a late notification without a reason.
    pub fn step_incident(
        &self,
        call: &Call<'_>,
        incident: IncidentId,
        step: IncidentStep,
        input: IncidentStepInput,
    ) -> Result<IncidentView, Refusal> {
        let action = match step {
            IncidentStep::Assessed => "incidents.assessed",
            IncidentStep::AuthorityNotified => "incidents.authority_notified",
            IncidentStep::PeopleNotified => "incidents.people_notified",
            IncidentStep::Closed => "incidents.closed",
        };
        let made = self.write(call, action, move |txn, policy, context, _| {
            take(txn, policy, context, (incident, step), &input)
        })?;
        self.look_at_incidents()?;
        Ok(made)
    }

    /// One incident.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`]; [`Refusal::NotFound`].
    pub fn incident(&self, call: &Call<'_>, incident: IncidentId) -> Result<IncidentView, Refusal> {
        self.read(
            call,
            "incidents.read",
            None,
            |snapshot, policy, context, _| {
                context.principal.require(policy, CAPABILITY)?;
                let row = incident::load(snapshot, incident)?;
                let row = row.ok_or(Refusal::NotFound("incident"))?;
                Ok(view(policy, incident, &row, snapshot.now()))
            },
            |view| view,
        )
    }

    /// The register, the latest awareness first, without the history of each.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`].
    pub fn list_incidents(&self, call: &Call<'_>) -> Result<Vec<IncidentListed>, Refusal> {
        self.read(
            call,
            "incidents.list",
            None,
            |snapshot, policy, context, _| {
                context.principal.require(policy, CAPABILITY)?;
                let mut all = incident::all(snapshot)?;
                all.sort_by_key(|(id, row)| (std::cmp::Reverse(row.aware_at), *id));
                let now = snapshot.now();
                let all = all.iter();
                let listed = all.map(|(id, row)| listed(policy, *id, row, now));
                Ok(listed.collect::<Vec<_>>())
            },
            |views| views,
        )
    }
}
