//! A decision is recorded, if it may be.

use std::collections::BTreeMap;

use super::super::call::{Context, Noted};
use super::{DecisionView, Vault, gate, view};
use crate::automated::stored::{self, DecisionEvent, DecisionRow};
use crate::automated::{DecisionState, DecisionWord};
use crate::commit::{Txn, View};
use crate::id::{DecisionId, SubjectId};
use crate::limits::{DECISION_STEPS_MAX, DECISIONS_PER_PERSON_MAX};
use crate::policy::{Automation, Capability, DecisionBasis, Policy};
use crate::refusal::Refusal;
use crate::vault::Call;

/// A decision to be recorded. What the policy says of its kind need not be said again.
#[derive(Clone, Default)]
pub struct DecisionInput {
    /// The name of its kind.
    pub kind: String,
    /// Which model or set of rules came to it.
    pub model_version: Option<String>,
    /// What went into it, as `collection.field`; no values.
    pub inputs: Vec<String>,
    /// What it came to, in words.
    pub outcome: String,
    /// Whether it has legal effects for the person, or affects them as much.
    pub significant: Option<bool>,
    /// How much of it a machine did.
    pub automation: Option<Automation>,
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
    /// Whether it has no effect yet.
    pub proposed: bool,
}

/// Silent about what was decided.
impl std::fmt::Debug for DecisionInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecisionInput").finish_non_exhaustive()
    }
}

/// Records a decision.
pub(in crate::vault) fn record(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    input: &DecisionInput,
) -> Result<DecisionView, Refusal> {
    let capability = Capability::DecisionsRecord;
    let mut person = context.admit(txn, policy, noted, subject, capability)?;
    let decided = gate::pass(txn, policy, context, &person, input)?;
    let steps = stored::history(txn, &person)?;
    let recorded = |event: &&DecisionEvent| event.step == DecisionWord::Recorded;
    if steps.len() >= DECISION_STEPS_MAX
        || steps.iter().filter(recorded).count() >= DECISIONS_PER_PERSON_MAX
    {
        return Err(Refusal::TooLarge(format!(
            "a person has at most {DECISIONS_PER_PERSON_MAX} decisions here: record those that affect them \
             significantly, and leave the others to your own records"
        )));
    }
    noted.fields.extend(decided.inputs.iter().copied());
    let event = DecisionEvent {
        decision: DecisionId::generate(txn.entropy()),
        step: DecisionWord::Recorded,
        state: match input.proposed {
            true => DecisionState::Proposed,
            false => DecisionState::Effective,
        },
        by: context.principal.role().to_owned(),
        key: context.principal.token(),
        at: txn.now(),
        request: None,
        decided: Some(decided),
        new_outcome: None,
        words: None,
    };
    let row = DecisionRow {
        kind: input.kind.clone(),
        state: event.state,
        recorded: event.at.as_millisecond(),
        contested: None,
        begun: None,
        reviewed: None,
        due: None,
    };
    stored::append(txn, &mut person, &event, &row)?;
    view(txn, policy, &person, &[event])
}

impl Vault {
    /// Records a decision about a person. One that affects them significantly and that no human takes needs a basis
    /// (Art. 22(2)), and what is to be told of it.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] for what Art. 22 does not allow, each with its article; [`Refusal::Restricted`] and
    /// [`Refusal::Held`] for data that are only to be stored; [`Refusal::TooLarge`] where the person has too many;
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`].
    pub fn record_decision(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        input: DecisionInput,
    ) -> Result<DecisionView, Refusal> {
        self.write(
            call,
            "decisions.record",
            move |txn, policy, context, noted| record(txn, policy, context, noted, subject, &input),
        )
    }
}
