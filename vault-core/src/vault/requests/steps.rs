//! Steps of requests.

use super::super::call::{Context, Noted};
use super::super::decisions;
use super::super::input::{self, check_text};
use super::{
    OWN, RequestStep, RequestStepped, Vault, confirm, count_ends, effects, met, today, view, words,
};
use crate::backup::ledger::LedgerEvent;
use crate::commit::{Txn, View};
use crate::deadline::Pause;
use crate::id::{ReceiptId, RequestId};
use crate::limits::{LABEL_BYTES_MAX, REASON_BYTES_MAX, REQUEST_STEPS_MAX};
use crate::person::{DAMAGED, Person};
use crate::policy::{Capability, Period, Policy};
use crate::refusal::{InputError, Refusal};
use crate::request::stored::{self, Extension, RefusalGiven, RequestEvent, StepWord};
use crate::request::{Done, Exemption, Facts, Level, RequestKind, Step, transition};
use crate::statement::Letter;
use crate::vault::Call;

/// What a step leaves in a commit.
pub(super) struct Stepped {
    pub(super) view: super::RequestView,
    pub(super) receipt: Option<(ReceiptId, serde_json::Value)>,
}

/// Notes in the erasure ledger how a request stands, so that no older backup forgets that its clock runs.
pub(super) fn keep(txn: &mut Txn<'_>, person: &Person, event: &RequestEvent) {
    txn.keep_in_ledger(LedgerEvent::Requested {
        handle: person.entry.handle,
        request: event.request,
        kind: event.kind,
        state: event.state,
        level: event.level,
        received: event.received.as_millisecond(),
        due: (
            stored::days(event.strict.on),
            event.strict.end.as_millisecond(),
        ),
        extended: event.is_extended(),
        collections: event.scope.collections.clone(),
    });
}

fn facts(event: &RequestEvent, view: &dyn View, confirmed: bool) -> Facts {
    Facts {
        kind: event.kind,
        level: event.level,
        confirmed,
        late: event.strict.is_over(view.now()),
        extended: event.is_extended(),
    }
}

/// Takes the step in the machine.
pub(super) fn follow(
    view: &dyn View,
    event: &mut RequestEvent,
    step: Step,
    confirmed: bool,
) -> Result<(), Refusal> {
    let next = transition(event.state, step, &facts(event, view, confirmed));
    event.state = next.map_err(|barred| Refusal::Conflict(barred.to_string()))?;
    Ok(())
}

fn check(texts: &[(&str, Option<&String>, usize)]) -> Result<(), Refusal> {
    let mut errors: Vec<InputError> = Vec::new();
    for (pointer, text, most) in texts {
        if let Some(text) = text {
            check_text(&mut errors, pointer, text, *most);
        }
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Refusal::Invalid(errors)),
    }
}

fn texts(step: &RequestStep) -> Result<(), Refusal> {
    let long = REASON_BYTES_MAX;
    match step {
        RequestStep::Approve { answer, .. } => check(&[("/answer", answer.as_ref(), long)]),
        RequestStep::AskClarification { question } => check(&[("/question", Some(question), long)]),
        RequestStep::AskIdentity { question } => check(&[("/question", question.as_ref(), long)]),
        RequestStep::Cancel { reason } => check(&[("/reason", reason.as_ref(), long)]),
        RequestStep::CheckByHand { note } | RequestStep::Review { note } => {
            check(&[("/note", note.as_ref(), long)])
        }
        RequestStep::Clarify { answer } => check(&[("/answer", Some(answer), long)]),
        RequestStep::Extend { .. } => Ok(()),
        RequestStep::Refuse {
            law,
            approver,
            reason,
            ..
        } => check(&[
            ("/law", Some(law), LABEL_BYTES_MAX),
            ("/approver", Some(approver), LABEL_BYTES_MAX),
            ("/reason", Some(reason), long),
        ]),
        RequestStep::Verify { evidence } => check(&[("/evidence", Some(evidence), long)]),
    }
}

/// Begins to wait for the person, or ends it.
pub(super) fn pause(event: &mut RequestEvent, policy: &Policy, begin: bool) {
    let today = today(policy, event.at);
    let open = event.pauses.iter_mut().find(|pause| pause.to.is_none());
    match (open, begin) {
        (None, true) => event.pauses.push(Pause {
            from: today,
            to: None,
        }),
        (Some(pause), false) => pause.to = Some(today),
        _ => {}
    }
}

fn extended(
    policy: &Policy,
    event: &mut RequestEvent,
    reason: crate::request::DelayReason,
    period: Option<&Period>,
) -> Result<(), Refusal> {
    let most = &policy.requests().extension;
    let period = period.unwrap_or(most);
    let bad = |detail: String| {
        let error = input::error("/period", "out_of_range", detail);
        Err(Refusal::Invalid(vec![error]))
    };
    if period.is_zero() || period.units()[4..] != [0; 3] {
        return bad("months, weeks or days, such as P1M".into());
    }
    let mut longest = event.clone();
    let extension = |period: &Period, notice| Extension {
        reason,
        period: period.to_string(),
        at: event.at,
        notice,
    };
    longest.extension = Some(extension(most, None));
    count_ends(policy, &mut longest);
    let mut wished = event.clone();
    wished.extension = Some(extension(period, None));
    count_ends(policy, &mut wished);
    if wished.strict.on > longest.strict.on {
        return bad(format!("at most {most} (Art. 12(3) GDPR)"));
    }
    let received = today(policy, event.received);
    let letter = Letter::new(policy, &event.language, event.kind, received);
    let notice = letter.extension(reason, wished.strict.on);
    event.extension = Some(extension(period, Some(notice)));
    Ok(())
}

fn refusal(
    policy: &Policy,
    event: &RequestEvent,
    (code, law, approver, reason): (Exemption, &str, &str, &str),
) -> Result<RefusalGiven, Refusal> {
    let mut errors = Vec::new();
    for (pointer, text) in [("/law", law), ("/approver", approver), ("/reason", reason)] {
        if text.trim().is_empty() {
            let detail =
                "a refusal says why, under which law, and who approved it (Art. 12(4) GDPR)";
            errors.push(input::error(pointer, "required", detail));
        }
    }
    if !code.fits(event.kind) {
        let detail = format!(
            "`{}` exempts from another right than {}",
            code.name(),
            event.kind.article()
        );
        errors.push(input::error("/code", "does_not_fit", detail));
    }
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    let received = today(policy, event.received);
    let letter = Letter::new(policy, &event.language, event.kind, received);
    Ok(RefusalGiven {
        code,
        law: Some(law.to_owned()),
        approver: Some(approver.to_owned()),
        text: Some(letter.refusal(reason, law)),
    })
}

/// A request for a review that ends without one leaves the decision as it was.
fn end_contest(
    txn: &mut Txn<'_>,
    context: &Context,
    person: &mut Person,
    event: &RequestEvent,
) -> Result<(), Refusal> {
    match event.scope.decision {
        Some(decision) => decisions::ended(txn, context, person, decision),
        None => Ok(()),
    }
}

/// A review was decided: that answers the request for it, unless somebody has still to know who asks. Then it waits
/// for that, and is approved by hand.
pub(in crate::vault) fn reviewed(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    request: RequestId,
    answer: String,
) -> Result<(), Refusal> {
    let steps = match stored::steps(txn, person, request) {
        // A restored vault may know of the decision alone.
        Err(Refusal::NotFound(_)) => return Ok(()),
        steps => steps?,
    };
    let mut event = steps.last().cloned().ok_or(DAMAGED)?;
    let step = Step::Approve(Done::Whole);
    let Ok(state) = transition(event.state, step, &facts(&event, txn, false)) else {
        return Ok(());
    };
    event.state = state;
    event.at = txn.now();
    event.by = context.principal.role().to_owned();
    (event.step, event.words) = (StepWord::Fulfilled, Some(answer));
    pause(&mut event, policy, false);
    count_ends(policy, &mut event);
    stored::append(txn, person, &event)?;
    keep(txn, person, &event);
    Ok(())
}

/// Takes one step in a commit.
pub(super) fn take(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    request: RequestId,
    step: &RequestStep,
) -> Result<Stepped, Refusal> {
    // The person may take their own request back; all else is for who deals with it.
    let any: &[Capability] = match step {
        RequestStep::Cancel { .. } => &OWN,
        _ => &[Capability::RequestsDecide],
    };
    if !matches!(step, RequestStep::Cancel { .. }) {
        context
            .principal
            .require(policy, Capability::RequestsDecide)?;
    }
    let mut person = met(txn, policy, context, noted, request, any)?;
    texts(step)?;
    let mut steps = stored::history(txn, &person)?;
    let full = steps.len() >= REQUEST_STEPS_MAX;
    steps.retain(|event| event.request == request);
    let mut event = steps.last().cloned().ok_or(Refusal::NotFound("request"))?;
    if full && !step.ends() {
        return Err(Refusal::TooLarge(format!(
            "the requests of this person have {REQUEST_STEPS_MAX} steps, which is all there is: approve, refuse or \
             cancel this one, and keep what else there is to note outside"
        )));
    }
    event.at = txn.now();
    event.by = context.principal.role().to_owned();
    event.words = None;
    let mut receipt = None;
    match step {
        RequestStep::AskIdentity { question } => {
            follow(txn, &mut event, Step::AskIdentity, false)?;
            (event.step, event.words) = (StepWord::IdentityAsked, question.clone());
            pause(&mut event, policy, true);
        }
        RequestStep::CheckByHand { note } => {
            follow(txn, &mut event, Step::CheckByHand, false)?;
            (event.step, event.words) = (StepWord::IdentityByHand, note.clone());
        }
        RequestStep::Verify { evidence } => {
            if evidence.trim().is_empty() {
                let detail = "by what it is known who asks";
                let error = input::error("/evidence", "required", detail);
                return Err(Refusal::Invalid(vec![error]));
            }
            follow(txn, &mut event, Step::Verify(Level::L3), false)?;
            event.level = Level::L3;
            (event.step, event.words) = (StepWord::IdentityVerified, Some(evidence.clone()));
            pause(&mut event, policy, false);
        }
        RequestStep::AskClarification { question } => {
            follow(txn, &mut event, Step::AskClarification, false)?;
            (event.step, event.words) = (StepWord::ClarificationAsked, Some(question.clone()));
            pause(&mut event, policy, true);
        }
        RequestStep::Clarify { answer } => {
            follow(txn, &mut event, Step::Clarified, false)?;
            (event.step, event.words) = (StepWord::Clarified, Some(answer.clone()));
            pause(&mut event, policy, false);
        }
        RequestStep::Review { note } => {
            follow(txn, &mut event, Step::Review, false)?;
            (event.step, event.words) = (StepWord::ReviewBegun, note.clone());
        }
        RequestStep::Extend { reason, period } => {
            follow(txn, &mut event, Step::Extend, false)?;
            event.step = StepWord::Extended;
            extended(policy, &mut event, *reason, period.as_ref())?;
        }
        RequestStep::Cancel { reason } => {
            follow(txn, &mut event, Step::Cancel, false)?;
            (event.step, event.words) = (StepWord::Cancelled, reason.clone());
            end_contest(txn, context, &mut person, &event)?;
        }
        RequestStep::Refuse {
            code,
            law,
            approver,
            reason,
        } => {
            event.refusal = Some(refusal(policy, &event, (*code, law, approver, reason))?);
            follow(txn, &mut event, Step::Refuse, false)?;
            event.step = StepWord::Refused;
            effects::refused(txn, policy, context, &mut person, &event, reason)?;
            end_contest(txn, context, &mut person, &event)?;
        }
        RequestStep::Approve {
            confirmation,
            correction,
            answer,
        } => {
            let correction = correction.as_ref();
            let kind = event.kind;
            effects::fits(kind, correction)?;
            if let Some(decision) = event.scope.decision
                && !decisions::reviewed(txn, &person, decision)?
            {
                return Err(Refusal::Conflict(format!(
                    "the review of {decision} is not decided, and that is what this request asks for (Art. 22(3) \
                     GDPR): whoever has `decisions.review` decides it, which answers the request as well"
                )));
            }
            let told = matches!(kind, RequestKind::HumanReview | RequestKind::Recipients);
            if told
                && answer
                    .as_ref()
                    .is_none_or(|answer| answer.trim().is_empty())
            {
                let detail = "what the person is told";
                let error = input::error("/answer", "required", detail);
                return Err(Refusal::Invalid(vec![error]));
            }
            let given = confirmation.as_deref();
            let confirmed = confirm::holds(txn, &person, &steps, correction, given)?;
            // Before anything is done: what it came to is known only afterwards.
            follow(
                txn,
                &mut event.clone(),
                Step::Approve(Done::Whole),
                confirmed,
            )?;
            let done = effects::carry_out(txn, policy, context, noted, person, &event, correction)?;
            follow(txn, &mut event, Step::Approve(done.done), confirmed)?;
            (event.step, event.words) = (StepWord::Fulfilled, answer.clone());
            if done.receipt.is_some() && event.scope.collections.is_empty() {
                // What was said before went with the erasure, and is not to come back with the step that did it.
                event.silence();
                steps.iter_mut().for_each(RequestEvent::silence);
            }
            event.receipt = done.receipt.as_ref().map(|(id, _)| *id);
            event.kept = done.kept;
            receipt = done.receipt;
            match done.person {
                Some(left) => person = left,
                // Of somebody who is gone nothing is written: the receipt is what stands for it.
                None => {
                    let subject = noted.met.ok_or(DAMAGED)?;
                    steps.push(event);
                    let now = txn.now();
                    let view = view(policy, words(context, policy), subject, &steps, now)
                        .ok_or(DAMAGED)?;
                    return Ok(Stepped { view, receipt });
                }
            }
        }
    }
    if event.state.is_closed() {
        pause(&mut event, policy, false);
    }
    count_ends(policy, &mut event);
    stored::append(txn, &mut person, &event)?;
    if event.state.is_closed() || event.step == StepWord::Extended {
        keep(txn, &person, &event);
    }
    steps.push(event);
    let seen = words(context, policy);
    let mut view = view(policy, seen, person.subject, &steps, txn.now()).ok_or(DAMAGED)?;
    // Whoever takes the step has to send the letter that it made out of their own words, also where they are shown
    // nobody else's.
    let made = steps.pop().ok_or(DAMAGED)?;
    match step {
        RequestStep::Refuse { .. } => view.refusal = made.refusal,
        RequestStep::Extend { .. } => view.extension = made.extension,
        _ => {}
    }
    Ok(Stepped { view, receipt })
}

impl Vault {
    /// Takes a step of a request. An approval does what it says in the same commit, and where that is an erasure
    /// its receipt is returned.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] for a step that has no place where the request stands, a level that is too low, or a
    /// confirmation that is missing or another's; [`Refusal::NotFound`], [`Refusal::RoleDenied`],
    /// [`Refusal::Invalid`], and those of what is carried out.
    pub fn step_request(
        &self,
        call: &Call<'_>,
        request: RequestId,
        step: RequestStep,
    ) -> Result<RequestStepped, Refusal> {
        let action = step.action();
        let erases = matches!(step, RequestStep::Approve { .. });
        if erases && let Ok(hit) = stored::whose(&self.snapshot()?, request) {
            let kind = Person::find(&self.snapshot()?, hit.subject)
                .and_then(|person| stored::row(&self.snapshot()?, &person, request))
                .ok()
                .flatten();
            if kind.is_some_and(|(_, row)| row.kind == RequestKind::Erase) {
                self.guard_from(hit.subject)?;
            }
        }
        let stepped = self.write(call, action, move |txn, policy, context, noted| {
            take(txn, policy, context, noted, request, &step)
        })?;
        let Stepped { view, receipt } = stepped;
        self.memory.requests.changed();
        self.memory.decisions.changed();
        let receipt = receipt.map(|(id, mut document)| {
            match view.collections.is_empty() {
                true => self.memory.forget(view.subject),
                // They are there, and what was said to them of what is gone is not said again.
                false => self.memory.strangers.silence(view.subject, None),
            }
            self.prove(id, &mut document);
            document
        });
        Ok(RequestStepped { view, receipt })
    }
}
