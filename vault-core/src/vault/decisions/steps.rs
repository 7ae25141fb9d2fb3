//! Steps of decisions.

use super::super::call::{Context, Noted};
use super::super::input::{self, check_text};
use super::super::requests;
use super::{DecisionStep, DecisionStepped, Vault, met, review, steps_of, view};
use crate::automated::stored::{self, DecisionEvent};
use crate::automated::{Barred, DecisionWord, Facts, Outcome, Step, transition};
use crate::commit::{Txn, View};
use crate::deadline::{self, Running};
use crate::id::{DecisionId, RequestId, TokenId};
use crate::limits::{DECISION_REVIEWS_MAX, DECISION_STEPS_MAX, REASON_BYTES_MAX};
use crate::person::{DAMAGED, Person};
use crate::policy::{Capability, Policy, RequestRules};
use crate::refusal::Refusal;
use crate::request::stored::{RequestEvent, days};
use crate::vault::Call;

/// What the machine says, as a refusal: what is wrong with the body is its fault, what stands in the way is none.
fn barred(barred: Barred) -> Refusal {
    let pointer = match barred {
        Barred::Unreasoned => "/reasons",
        Barred::Unreplaced => "/new_outcome",
        barred => return Refusal::Conflict(barred.to_string()),
    };
    Refusal::Invalid(vec![input::error(pointer, "required", barred.to_string())])
}

/// The next step after these, by whoever calls.
fn next(
    steps: &[DecisionEvent],
    (role, key): (&str, Option<TokenId>),
    (view, word): (&dyn View, DecisionWord),
    step: Step,
    facts: Facts,
) -> Result<DecisionEvent, Refusal> {
    let last = steps.last().ok_or(DAMAGED)?;
    Ok(DecisionEvent {
        decision: last.decision,
        step: word,
        state: transition(last.state, step, &facts).map_err(barred)?,
        by: role.to_owned(),
        key,
        at: view.now(),
        request: last.request,
        decided: None,
        new_outcome: None,
        words: None,
    })
}

/// What holds of a step that nobody's review depends on.
const PLAIN: Facts = Facts {
    own: false,
    shown: false,
    reasoned: false,
    replaced: false,
};

fn store(
    txn: &mut Txn<'_>,
    person: &mut Person,
    event: &DecisionEvent,
    due: Option<(i32, i64)>,
) -> Result<(), Refusal> {
    let row = stored::row(txn, person, event.decision)?;
    let mut row = row.ok_or(DAMAGED)?;
    row.due = row.due.or(due);
    row.follow(event);
    stored::append(txn, person, event, &row)
}

fn room(view: &dyn View, person: &Person, most: usize) -> Result<(), Refusal> {
    match stored::history(view, person)?.len() >= most {
        true => Err(Refusal::TooLarge(
            "so much was said about this person's decisions that no more is taken down: answer by hand".into(),
        )),
        false => Ok(()),
    }
}

/// Until when a review is due: as soon as a request is to be answered, or as the policy says of the kind.
fn due(policy: &Policy, kind: &str, request: &RequestEvent) -> (i32, i64) {
    let within = policy
        .decision(kind)
        .and_then(|kind| kind.review_within.clone());
    let own = within.map(|period| {
        let rules = RequestRules {
            period,
            ..policy.requests().clone()
        };
        let running = Running {
            received: request.received,
            extension: None,
            pauses: &[],
            known: None,
        };
        deadline::strict(&rules, running)
    });
    let due = own.map_or(request.strict, |own| own.min(request.strict));
    (days(due.on), due.end.as_millisecond())
}

/// A request for a review of this decision has come in: it is contested with it.
pub(in crate::vault) fn contested(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    decision: DecisionId,
    request: &RequestEvent,
) -> Result<(), Refusal> {
    let steps = steps_of(txn, person, decision)?;
    let last = steps.last().ok_or(DAMAGED)?;
    if let (true, Some(known)) = (last.state.is_open(), last.request) {
        return Err(Refusal::Conflict(format!(
            "this decision is contested with the request {known}: add to what the person says with the decision's \
             step `contest`"
        )));
    }
    room(txn, person, DECISION_STEPS_MAX)?;
    let by = (context.principal.role(), context.principal.token());
    let what = (&*txn as &dyn View, DecisionWord::Contested);
    let mut event = next(&steps, by, what, Step::Contest, PLAIN)?;
    event.request = Some(request.request);
    event.words = request.words.clone();
    let kind = steps[0].decided.as_ref().ok_or(DAMAGED)?.kind.clone();
    let due = due(policy, &kind, request);
    store(txn, person, &event, Some(due))
}

/// The request for a review ended without one: it was taken back, or refused.
pub(in crate::vault) fn ended(
    txn: &mut Txn<'_>,
    context: &Context,
    person: &mut Person,
    decision: DecisionId,
) -> Result<(), Refusal> {
    let steps = steps_of(txn, person, decision)?;
    if !steps.last().is_some_and(|last| last.state.is_open()) {
        return Ok(());
    }
    let by = (context.principal.role(), context.principal.token());
    let what = (&*txn as &dyn View, DecisionWord::ContestEnded);
    let event = next(&steps, by, what, Step::EndContest, PLAIN)?;
    store(txn, person, &event, None)
}

/// Whether the decision has been reviewed, or is not one that this person's vault knows any more: a request for it
/// waits for nothing.
pub(in crate::vault) fn reviewed(
    view: &dyn View,
    person: &Person,
    decision: DecisionId,
) -> Result<bool, Refusal> {
    match steps_of(view, person, decision) {
        Ok(steps) => Ok(!steps.last().is_some_and(|last| last.state.is_open())),
        Err(Refusal::NotFound(_)) => Ok(true),
        Err(refusal) => Err(refusal),
    }
}

fn contest(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    decision: DecisionId,
    (view, language): (Option<&str>, Option<&str>),
) -> Result<(), Refusal> {
    let steps = steps_of(txn, person, decision)?;
    let last = steps.last().ok_or(DAMAGED)?;
    if !last.state.is_open() {
        // Before a request is taken down for what takes none.
        transition(last.state, Step::Contest, &PLAIN).map_err(barred)?;
        let request =
            requests::review_of(txn, policy, context, person, decision, (view, language))?;
        return contested(txn, policy, context, person, decision, &request);
    }
    let Some(view) = view else {
        let detail = "the decision is contested: what the person adds to it";
        return Err(Refusal::Invalid(vec![input::error(
            "/view", "required", detail,
        )]));
    };
    room(txn, person, DECISION_STEPS_MAX)?;
    let by = (context.principal.role(), context.principal.token());
    let what = (&*txn as &dyn View, DecisionWord::Contested);
    let mut event = next(&steps, by, what, Step::Contest, PLAIN)?;
    event.words = Some(view.to_owned());
    store(txn, person, &event, None)?;
    context.note_word(txn, person)
}

/// What a person is told of a review.
fn answer(event: &DecisionEvent) -> String {
    let texts = [event.new_outcome.as_deref(), event.words.as_deref()];
    let texts: Vec<&str> = texts.into_iter().flatten().collect();
    texts.join("\n\n")
}

/// A review's outcome as it was given.
struct Given<'a> {
    review: &'a str,
    outcome: Outcome,
    new_outcome: Option<&'a str>,
    reasons: &'a str,
}

fn decide(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    decision: DecisionId,
    given: &Given<'_>,
) -> Result<Option<RequestId>, Refusal> {
    let steps = steps_of(txn, person, decision)?;
    let reviewer = context.principal.token();
    let facts = Facts {
        own: steps[0].key == reviewer,
        shown: review::holds(person, &steps, reviewer, given.review, txn.now()),
        reasoned: !given.reasons.trim().is_empty(),
        replaced: given
            .new_outcome
            .is_some_and(|text| !text.trim().is_empty()),
    };
    let by = (context.principal.role(), reviewer);
    let what = (&*txn as &dyn View, DecisionWord::Reviewed);
    let mut event = next(&steps, by, what, Step::Decide(given.outcome), facts)?;
    event.words = Some(given.reasons.to_owned());
    event.new_outcome = given.new_outcome.map(str::to_owned);
    store(txn, person, &event, None)?;
    // The outcome reaches the person: it is the answer to their request.
    if let Some(request) = event.request {
        requests::reviewed(txn, policy, context, person, request, answer(&event))?;
    }
    Ok(event.request)
}

fn texts(step: &DecisionStep) -> Result<(), Refusal> {
    let mut errors = Vec::new();
    let mut check = |pointer, text: Option<&String>| {
        if let Some(text) = text {
            check_text(&mut errors, pointer, text, REASON_BYTES_MAX);
        }
    };
    match step {
        DecisionStep::Begin | DecisionStep::TakeEffect => {}
        DecisionStep::Contest { view, .. } => check("/view", view.as_ref()),
        DecisionStep::Decide {
            review: _,
            outcome: _,
            new_outcome,
            reasons,
        } => {
            check("/new_outcome", new_outcome.as_ref());
            check("/reasons", Some(reasons));
        }
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Refusal::Invalid(errors)),
    }
}

/// Takes one step in a commit.
fn take(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    decision: DecisionId,
    step: &DecisionStep,
) -> Result<DecisionStepped, Refusal> {
    // The person says themselves that they want a human; all else is for a key, in nobody's conversation.
    let any: &[Capability] = match step {
        DecisionStep::Contest { .. } => &[Capability::DecisionsRecord, Capability::RequestsCreate],
        DecisionStep::TakeEffect => &[Capability::DecisionsRecord],
        DecisionStep::Begin | DecisionStep::Decide { .. } => &[Capability::DecisionsReview],
    };
    if !matches!(step, DecisionStep::Contest { .. }) {
        context.principal.require_any(policy, any)?;
    }
    let subject = met(txn, policy, context, noted, decision, any)?.subject;
    let mut person = context.person(txn, subject)?;
    texts(step)?;
    let by = (context.principal.role(), context.principal.token());
    let mut review = None;
    match step {
        DecisionStep::TakeEffect => {
            let steps = steps_of(txn, &person, decision)?;
            let what = (&*txn as &dyn View, DecisionWord::TookEffect);
            let event = next(&steps, by, what, Step::TakeEffect, PLAIN)?;
            store(txn, &mut person, &event, None)?;
        }
        DecisionStep::Contest { view, language } => {
            let said = (view.as_deref(), language.as_deref());
            contest(txn, policy, context, &mut person, decision, said)?;
        }
        DecisionStep::Begin => {
            room(txn, &person, DECISION_REVIEWS_MAX)?;
            let mut steps = steps_of(txn, &person, decision)?;
            let own = steps[0].key == by.1;
            let what = (&*txn as &dyn View, DecisionWord::ReviewBegun);
            let event = next(&steps, by, what, Step::Begin, Facts { own, ..PLAIN })?;
            store(txn, &mut person, &event, None)?;
            steps.push(event);
            review = Some(review::give(&person, &steps, by.1, txn.now())?);
        }
        DecisionStep::Decide {
            review,
            outcome,
            new_outcome,
            reasons,
        } => {
            let given = Given {
                review,
                outcome: *outcome,
                new_outcome: new_outcome.as_deref(),
                reasons,
            };
            decide(txn, policy, context, &mut person, decision, &given)?;
        }
    }
    let steps = steps_of(txn, &person, decision)?;
    let view = view(txn, policy, &person, &steps)?;
    Ok(DecisionStepped { view, review })
}

impl Vault {
    /// Takes a step of a decision. A contest is a request for a review as well; deciding the review answers it.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] for a step that has no place where the decision stands, a review by the key that
    /// recorded it, or of what the reviewer was not shown; [`Refusal::Invalid`] for one without reasons;
    /// [`Refusal::NotFound`], [`Refusal::RoleDenied`], [`Refusal::Held`], [`Refusal::TooLarge`].
    pub fn step_decision(
        &self,
        call: &Call<'_>,
        decision: DecisionId,
        step: DecisionStep,
    ) -> Result<DecisionStepped, Refusal> {
        let action = step.action();
        let stepped = self.write(call, action, move |txn, policy, context, noted| {
            take(txn, policy, context, noted, decision, &step)
        })?;
        self.memory.requests.changed();
        self.memory.decisions.changed();
        Ok(stepped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::automated::DecisionState;

    #[test]
    fn what_the_body_lacks_is_invalid_and_what_stands_in_the_way_is_a_conflict() {
        for fault in [Barred::Unreasoned, Barred::Unreplaced] {
            assert!(matches!(barred(fault), Refusal::Invalid(_)), "{fault:?}");
        }
        for way in [
            Barred::Closed,
            Barred::NotNow(DecisionState::Effective),
            Barred::Own,
            Barred::Unread,
        ] {
            assert!(matches!(barred(way), Refusal::Conflict(_)), "{way:?}");
        }
    }
}
