//! Decisions as they stand on the wire.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::policy::{Automation, DecisionBasis};
use vault_core::vault::{
    DecisionKindFigures, DecisionPage, DecisionState, DecisionStepView, DecisionStepped,
    DecisionView, QueuedDecision,
};

/// A decision to be recorded.
#[derive(ToSchema)]
#[schema(as = DecisionRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; what is read is the core's `DecisionInput`"
)]
pub(crate) struct DecisionRequest {
    /// The name of its kind: a small letter and at most 62 small letters, digits or underscores.
    kind: String,
    /// Which model or set of rules came to it.
    model_version: Option<String>,
    /// What went into it, each `collection.field`; no values.
    inputs: Option<Vec<String>>,
    /// What it came to, as the person is told.
    outcome: String,
    /// Whether it has legal effects for the person, or affects them as much; the policy's word by default.
    significant: Option<bool>,
    /// `full`: no human looks before it takes effect, or somebody relies heavily on it. `assisted`: a human decides,
    /// a machine proposes. `human`. The policy's word by default.
    automation: Option<String>,
    /// `contract`, `law` or `explicit_consent` (Art. 22(2) GDPR); the policy's by default.
    art22_basis: Option<String>,
    /// The law that authorises it.
    law: Option<String>,
    /// The purpose that it serves: for explicit consent, the one that was consented to.
    purpose: Option<String>,
    /// The logic involved, by language; the policy's by default.
    logic: Option<BTreeMap<String, String>>,
    /// What it means for the person, by language; the policy's by default.
    consequences: Option<BTreeMap<String, String>>,
    /// Whether it has no effect yet: the step `effect` gives it one.
    proposed: Option<bool>,
}

/// A step; which members it has, its name says.
#[derive(ToSchema)]
#[schema(as = DecisionStepRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; the members are read one by one"
)]
pub(crate) struct StepRequest {
    /// `contest`: the person's view, in their words.
    view: Option<String>,
    /// `contest`: in which language they are answered, BCP 47.
    language: Option<String>,
    /// `decide`: what the step `begin` gave.
    review: Option<String>,
    /// `decide`: `upheld`, `changed` or `annulled`.
    outcome: Option<String>,
    /// `decide`: what stands in the place of the first outcome, where that is `changed`.
    new_outcome: Option<String>,
    /// `decide`: why, as the person is told.
    reasons: Option<String>,
}

/// One step of a decision.
#[derive(Serialize, ToSchema)]
#[schema(as = DecisionStep)]
pub(crate) struct StepBody {
    /// What happened: `recorded`, `took_effect`, `contested`, `contest_ended`, `review_begun` or `reviewed`.
    step: &'static str,
    /// Where the decision stood from then on.
    state: &'static str,
    /// The role of whoever took it.
    by: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The person's view, or the reviewer's reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<String>,
}

impl From<DecisionStepView> for StepBody {
    fn from(step: DecisionStepView) -> Self {
        Self {
            step: step.step.name(),
            state: step.state.name(),
            by: step.by,
            at: step.at.to_string(),
            words: step.words,
        }
    }
}

/// A decision as it stands, and how that came.
#[derive(Serialize, ToSchema)]
#[schema(as = DecisionView)]
pub(crate) struct ViewBody {
    /// Its id.
    decision: String,
    /// The person's id.
    subject: String,
    /// The name of its kind.
    kind: String,
    /// Which model or set of rules came to it.
    model_version: Option<String>,
    /// What went into it, each `collection.field`.
    inputs: Vec<String>,
    /// What it came to; null where a legal hold keeps no more than that there was one.
    outcome: Option<String>,
    /// What a review put in its place.
    new_outcome: Option<String>,
    /// Whether it has legal effects for the person, or affects them as much.
    significant: bool,
    /// `full`, `assisted` or `human`.
    automation: &'static str,
    /// `contract`, `law` or `explicit_consent`.
    art22_basis: Option<&'static str>,
    /// The law that authorises it.
    law: Option<String>,
    /// The purpose that it serves.
    purpose: Option<String>,
    /// The logic involved, by language.
    logic: BTreeMap<String, String>,
    /// What it means for the person, by language.
    consequences: BTreeMap<String, String>,
    /// How far it has come.
    state: &'static str,
    /// When it was recorded.
    #[schema(format = DateTime)]
    recorded_at: String,
    /// The request for a review, from the contest on.
    request: Option<String>,
    /// The last day for a review, while one is open.
    #[schema(format = Date)]
    due: Option<String>,
    /// Every step, oldest first.
    history: Vec<StepBody>,
}

impl From<DecisionView> for ViewBody {
    fn from(view: DecisionView) -> Self {
        Self {
            decision: view.decision.to_string(),
            subject: view.subject.to_string(),
            kind: view.kind,
            model_version: view.model_version,
            inputs: view.inputs,
            outcome: view.outcome,
            new_outcome: view.new_outcome,
            significant: view.significant,
            automation: Automation::name(view.automation),
            art22_basis: view.basis.map(DecisionBasis::name),
            law: view.law,
            purpose: view.purpose,
            logic: view.logic,
            consequences: view.consequences,
            state: view.state.name(),
            recorded_at: view.recorded_at.to_string(),
            request: view.request.map(|request| request.to_string()),
            due: view.due.map(|due| due.on.to_string()),
            history: view.history.into_iter().map(StepBody::from).collect(),
        }
    }
}

/// The decisions about a person.
#[derive(Serialize, ToSchema)]
#[schema(as = DecisionList)]
pub(crate) struct ListBody {
    /// In the order in which they were recorded.
    pub(super) decisions: Vec<ViewBody>,
}

/// What a step came to.
#[derive(Serialize, ToSchema)]
#[schema(as = DecisionStepped)]
pub(crate) struct SteppedBody {
    /// The decision from then on.
    decision: ViewBody,
    /// What deciding the review needs; of the step `begin` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    review: Option<String>,
    /// Until when that is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

impl From<DecisionStepped> for SteppedBody {
    fn from(stepped: DecisionStepped) -> Self {
        let (review, until) = stepped.review.unzip();
        Self {
            decision: stepped.view.into(),
            review,
            expires_at: until.map(|until| until.to_string()),
        }
    }
}

/// A decision in the queue, without a value.
#[derive(Serialize, ToSchema)]
#[schema(as = QueuedDecision)]
pub(crate) struct QueuedBody {
    /// Its id.
    decision: String,
    /// The person's id.
    subject: String,
    /// The name of its kind.
    kind: String,
    /// How far it has come.
    state: &'static str,
    /// When it was recorded.
    #[schema(format = DateTime)]
    recorded_at: String,
    /// When it was contested.
    #[schema(format = DateTime)]
    contested_at: Option<String>,
    /// The last day for a review, while one is open.
    #[schema(format = Date)]
    due: Option<String>,
    /// Whether a review is open and that day is over.
    overdue: bool,
}

impl From<QueuedDecision> for QueuedBody {
    fn from(one: QueuedDecision) -> Self {
        Self {
            decision: one.decision.to_string(),
            subject: one.subject.to_string(),
            kind: one.kind,
            state: DecisionState::name(one.state),
            recorded_at: one.recorded_at.to_string(),
            contested_at: one.contested_at.map(|at| at.to_string()),
            due: one.due.map(|due| due.on.to_string()),
            overdue: one.overdue,
        }
    }
}

/// A page of the queue.
#[derive(Serialize, ToSchema)]
#[schema(as = DecisionQueue)]
pub(crate) struct PageBody {
    /// Those that are due first before the others.
    decisions: Vec<QueuedBody>,
    /// `cursor` of the next page; null where there is none.
    next: Option<String>,
}

impl From<DecisionPage> for PageBody {
    fn from(page: DecisionPage) -> Self {
        Self {
            decisions: page.decisions.into_iter().map(QueuedBody::from).collect(),
            next: page.next,
        }
    }
}

/// A decision as the API answers it, for whoever answers without a server.
#[must_use]
pub fn decision_view(view: DecisionView) -> Value {
    serde_json::to_value(ViewBody::from(view)).expect("texts and lists serialise")
}

/// What a step came to, in the same way.
#[must_use]
pub fn decision_stepped(stepped: DecisionStepped) -> Value {
    serde_json::to_value(SteppedBody::from(stepped)).expect("texts and lists serialise")
}

/// A page of the queue, in the same way.
#[must_use]
pub fn decision_page(page: DecisionPage) -> Value {
    serde_json::to_value(PageBody::from(page)).expect("texts and lists serialise")
}

/// The decisions of a kind in numbers.
#[derive(Serialize, ToSchema)]
#[schema(as = DecisionKindFigures)]
pub(crate) struct KindBody {
    /// The name of the kind.
    kind: String,
    /// All that are recorded.
    recorded: u64,
    /// Those that were contested, unless that was taken back or refused.
    contested: u64,
    /// Reviews that are open.
    open: u64,
    /// Those that are overdue.
    overdue: u64,
    /// Reviews that came to the same.
    upheld: u64,
    /// Reviews that came to something else.
    changed: u64,
    /// Reviews that found that it ought not to have been taken.
    annulled: u64,
    /// What part of the reviews came to something else or annulled it, 0 to 1; null without a review.
    overturned: Option<f64>,
    /// Seconds between being shown a decision and deciding its review, the median.
    review_seconds: Option<u64>,
    /// Seconds between the contest and the review's end, the median.
    answer_seconds: Option<u64>,
}

/// Decisions in numbers.
#[derive(Serialize, ToSchema)]
#[schema(as = DecisionFigures)]
pub(crate) struct FiguresBody {
    /// By name of the kind.
    kinds: Vec<KindBody>,
}

impl From<BTreeMap<String, DecisionKindFigures>> for FiguresBody {
    fn from(kinds: BTreeMap<String, DecisionKindFigures>) -> Self {
        let kinds = kinds.into_iter().map(|(kind, one)| KindBody {
            kind,
            recorded: one.recorded,
            contested: one.contested,
            open: one.open,
            overdue: one.overdue,
            upheld: one.upheld,
            changed: one.changed,
            annulled: one.annulled,
            overturned: one.overturned,
            review_seconds: one.review_seconds,
            answer_seconds: one.answer_seconds,
        });
        Self {
            kinds: kinds.collect(),
        }
    }
}
