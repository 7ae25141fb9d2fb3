//! Calls about decisions that are taken about people (Art. 22 GDPR): recorded, contested, reviewed by a human, and
//! the queue of reviews.
//!
//! What may be recorded at all is `gate`'s; a step is decided by the machine (`automated::machine`) and by who calls.
//! A contest is a request of the person as well, in the same commit: its clock is that of every request.

mod figures;
mod gate;
mod queue;
mod record;
mod review;
mod steps;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::call::{Context, Noted};
use super::input;
use super::{Call, Vault};
use crate::automated::stored::{self, DecisionEvent, DecisionRow};
use crate::automated::{DecisionState, DecisionWord, Outcome};
use crate::commit::View;
use crate::deadline::Due;
use crate::id::{DecisionId, RequestId, SubjectId};
use crate::person::{DAMAGED, Person, instant};
use crate::policy::{Automation, Capability, DecisionBasis, Policy};
use crate::refusal::Refusal;
use crate::request::stored::day;

pub use figures::DecisionKindFigures;
pub(super) use queue::Watched;
pub use queue::{DecisionFilter, DecisionPage, DecisionsOpen, QueuedDecision};
pub use record::DecisionInput;
pub(super) use record::record;
pub(super) use steps::{contested, ended, reviewed};

/// Who may see the decisions about a person.
const OWN: [Capability; 2] = [Capability::DecisionsRecord, Capability::DecisionsReview];

/// A step to be taken.
#[derive(Clone)]
pub enum DecisionStep {
    /// A reviewer is shown it.
    Begin,
    /// The person wants a human to look at it, or adds to what they said.
    Contest {
        /// In their words.
        view: Option<String>,
        /// In which language they are answered, BCP 47.
        language: Option<String>,
    },
    /// The review is decided.
    Decide {
        /// What [`DecisionStep::Begin`] gave.
        review: String,
        /// What it comes to.
        outcome: Outcome,
        /// What stands in the place of the first outcome, where that is changed.
        new_outcome: Option<String>,
        /// Why: told to the person.
        reasons: String,
    },
    /// It takes effect.
    TakeEffect,
}

impl DecisionStep {
    /// The action of its entry in the log.
    const fn action(&self) -> &'static str {
        match self {
            Self::Begin => "decisions.begin",
            Self::Contest { .. } => "decisions.contest",
            Self::Decide { .. } => "decisions.decide",
            Self::TakeEffect => "decisions.effect",
        }
    }
}

/// Silent about what somebody wrote.
impl std::fmt::Debug for DecisionStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.action())
    }
}

/// One step of a decision.
#[derive(Clone)]
pub struct DecisionStepView {
    /// What happened.
    pub step: DecisionWord,
    /// Where the decision stood from then on.
    pub state: DecisionState,
    /// The role of whoever took it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The person's view, or the reviewer's reasons.
    pub words: Option<String>,
}

/// Silent about what somebody wrote.
impl std::fmt::Debug for DecisionStepView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecisionStepView")
            .field("step", &self.step)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// A decision as it stands, and how that came.
#[derive(Clone)]
pub struct DecisionView {
    /// Which.
    pub decision: DecisionId,
    /// About whom.
    pub subject: SubjectId,
    /// The name of its kind.
    pub kind: String,
    /// Which model or set of rules came to it.
    pub model_version: Option<String>,
    /// What went into it, as `collection.field`.
    pub inputs: Vec<String>,
    /// What it came to; `None` where a legal hold keeps no more than that there was one.
    pub outcome: Option<String>,
    /// What a review put in its place.
    pub new_outcome: Option<String>,
    /// Whether it has legal effects for the person, or affects them as much.
    pub significant: bool,
    /// How much of it a machine did.
    pub automation: Automation,
    /// By what right it is taken by automated means alone.
    pub basis: Option<DecisionBasis>,
    /// The law that authorises it.
    pub law: Option<String>,
    /// The name of the purpose that it serves.
    pub purpose: Option<String>,
    /// The logic involved, by language.
    pub logic: BTreeMap<String, String>,
    /// What it means for the person, by language.
    pub consequences: BTreeMap<String, String>,
    /// How far it has come.
    pub state: DecisionState,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The request for a review, from the contest on.
    pub request: Option<RequestId>,
    /// Until when a review is due, while one is open.
    pub due: Option<Due>,
    /// Every step, oldest first.
    pub history: Vec<DecisionStepView>,
}

/// Silent about what was decided.
impl std::fmt::Debug for DecisionView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecisionView")
            .field("decision", &self.decision)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// What a step came to.
#[derive(Clone)]
pub struct DecisionStepped {
    /// The decision from then on.
    pub view: DecisionView,
    /// What deciding the review needs, and until when it is good.
    pub review: Option<(String, Timestamp)>,
}

/// Silent: who has it can decide.
impl std::fmt::Debug for DecisionStepped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecisionStepped")
            .field("view", &self.view)
            .finish_non_exhaustive()
    }
}

/// Until when, as a row has it.
fn due(row: &DecisionRow) -> Option<Due> {
    row.due.and_then(|(on, end)| {
        Some(Due {
            on: day(on)?,
            end: instant(end),
        })
    })
}

/// A decision as its steps tell it.
fn view(
    view: &dyn View,
    policy: &Policy,
    person: &Person,
    steps: &[DecisionEvent],
) -> Result<DecisionView, Refusal> {
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
        return Err(Refusal::NotFound("decision"));
    };
    let decided = first.decided.as_ref().ok_or(DAMAGED)?;
    let row = stored::row(view, person, first.decision)?.ok_or(DAMAGED)?;
    let inputs = decided.inputs.iter();
    let history = steps.iter().map(|event| DecisionStepView {
        step: event.step,
        state: event.state,
        by: event.by.clone(),
        at: event.at,
        words: event.words.clone(),
    });
    Ok(DecisionView {
        decision: first.decision,
        subject: person.subject,
        kind: decided.kind.clone(),
        model_version: decided.model_version.clone(),
        inputs: inputs.map(|at| input::field_name(policy, *at)).collect(),
        outcome: decided.outcome.clone(),
        new_outcome: last.new_outcome.clone(),
        significant: decided.significant,
        automation: decided.automation,
        basis: decided.basis,
        law: decided.law.clone(),
        purpose: decided.purpose.map(|id| input::purpose_name(policy, id)),
        logic: decided.logic.clone(),
        consequences: decided.consequences.clone(),
        state: last.state,
        recorded_at: first.at,
        request: last.request,
        due: due(&row),
        history: history.collect(),
    })
}

/// The steps of every decision about a person, in the order in which these were recorded.
fn by_decision(view: &dyn View, person: &Person) -> Result<Vec<Vec<DecisionEvent>>, Refusal> {
    let mut all: Vec<Vec<DecisionEvent>> = Vec::new();
    for event in stored::history(view, person)? {
        let known = all
            .iter_mut()
            .find(|steps| steps[0].decision == event.decision);
        match known {
            Some(steps) => steps.push(event),
            None => all.push(vec![event]),
        }
    }
    Ok(all)
}

/// Every decision about a person, as they may read it.
pub(super) fn told(
    view: &dyn View,
    policy: &Policy,
    person: &Person,
) -> Result<Vec<DecisionView>, Refusal> {
    let all = by_decision(view, person)?;
    let views = all.iter();
    views
        .map(|steps| self::view(view, policy, person, steps))
        .collect()
}

/// The same of a person whom the call is about.
pub(super) fn list(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
) -> Result<Vec<DecisionView>, Refusal> {
    noted.met = Some(subject);
    context.principal.require_own(policy, &OWN)?;
    let person = context.remains(view, subject)?;
    noted.person(&person, view.now());
    told(view, policy, &person)
}

/// Whose decision it is, for a caller who may do one of these about them: whoever may not is told that there is none.
fn met(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    decision: DecisionId,
    any: &[Capability],
) -> Result<Person, Refusal> {
    context.principal.require_own(policy, any)?;
    let hit = stored::whose(view, decision)?;
    noted.met = Some(hit.subject);
    let person = context
        .remains(view, hit.subject)
        .map_err(|refusal| match refusal {
            Refusal::NotFound(_) => Refusal::NotFound("decision"),
            other => other,
        })?;
    noted.person(&person, view.now());
    Ok(person)
}

/// The steps of one decision, oldest first; never empty.
fn steps_of(
    view: &dyn View,
    person: &Person,
    decision: DecisionId,
) -> Result<Vec<DecisionEvent>, Refusal> {
    let mut all = stored::history(view, person)?;
    all.retain(|event| event.decision == decision);
    match all.is_empty() {
        true => Err(Refusal::NotFound("decision")),
        false => Ok(all),
    }
}

impl Vault {
    /// Every decision about a person, in the order in which they were recorded.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`].
    pub fn list_decisions(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
    ) -> Result<Vec<DecisionView>, Refusal> {
        self.read(
            call,
            "decisions.read",
            Some(subject),
            |snapshot, policy, context, noted| list(snapshot, policy, context, noted, subject),
            |views| views,
        )
    }

    /// One decision.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], also of somebody who is erased; [`Refusal::RoleDenied`].
    pub fn read_decision(
        &self,
        call: &Call<'_>,
        decision: DecisionId,
    ) -> Result<DecisionView, Refusal> {
        let subject = stored::whose(&self.snapshot()?, decision).ok();
        self.read(
            call,
            "decisions.read",
            subject.map(|hit| hit.subject),
            |snapshot, policy, context, noted| {
                let person = met(snapshot, policy, context, noted, decision, &OWN)?;
                let steps = steps_of(snapshot, &person, decision)?;
                view(snapshot, policy, &person, &steps)
            },
            |view| view,
        )
    }
}
