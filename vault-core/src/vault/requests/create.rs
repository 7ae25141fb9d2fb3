//! A request is taken down: its clock runs from when it came in, whoever wrote it down when.

use jiff::{SignedDuration, Timestamp};

use super::super::call::{Context, Noted};
use super::super::input::{self, check_text};
use super::super::{decisions, objections};
use super::{OWN, RequestInput, RequestView, count_ends, decides, effects, view};
use crate::commit::{Txn, View};
use crate::deadline::Due;
use crate::id::{DecisionId, RequestId, SubjectId};
use crate::limits::{
    REASON_BYTES_MAX, REQUEST_RECEIVED_DAYS_MAX, REQUEST_STEPS_MAX, REQUESTS_PER_PERSON_MAX,
};
use crate::person::{DAMAGED, Person};
use crate::policy::{LawfulBasis, Policy};
use crate::refusal::{InputError, Refusal};
use crate::request::stored::{self, RequestEvent, Scope, StepWord};
use crate::request::{Level, RequestKind, RequestState, machine};
use crate::statement::answered_in;

/// How well it is known who asks: a conversation is bound to the channel that the person is known on, a letter
/// that somebody writes down is from anybody.
fn level(context: &Context, policy: &Policy) -> Level {
    match context.principal.scope().is_none() && decides(context, policy) {
        true => Level::L0,
        false => Level::L1,
    }
}

fn scope(
    policy: &Policy,
    input: &RequestInput,
    errors: &mut Vec<InputError>,
) -> Result<Scope, Refusal> {
    let mut scope = Scope::default();
    let mut refuse = |pointer: &str, code, detail: &str| {
        errors.push(input::error(pointer, code, detail.to_owned()));
    };
    match (input.kind.is_word(), &input.purpose) {
        (true, None) => refuse("/purpose", "required", "the purpose that it is about"),
        (false, Some(_)) => refuse("/purpose", "not_here", "this right is about no purpose"),
        (false, None) => {}
        (true, Some(name)) => {
            let purpose = policy.purpose(name).ok_or(Refusal::NotFound("purpose"))?;
            match input.kind {
                RequestKind::Object => {
                    objections::objectionable(policy, name)?;
                }
                _ if purpose.basis != LawfulBasis::Consent => {
                    return Err(Refusal::Conflict(format!(
                        "`{name}` does not rest on consent but on {}",
                        purpose.basis.name()
                    )));
                }
                _ => {}
            }
            scope.purpose = Some(purpose.id);
        }
    }
    let restricts = input.kind == RequestKind::Restrict;
    match (restricts, input.ground) {
        (true, None) => refuse("/ground", "required", "the point of Art. 18(1) GDPR"),
        (false, Some(_)) => refuse("/ground", "not_here", "a restriction has a ground"),
        (_, ground) => scope.ground = ground,
    }
    let of_some = restricts || input.kind == RequestKind::Erase;
    if !of_some && !input.collections.is_empty() {
        let detail = "a restriction or an erasure has collections";
        refuse("/collections", "not_here", detail);
    }
    if input.kind != RequestKind::HumanReview && input.decision.is_some() {
        refuse(
            "/decision",
            "not_here",
            "a human review is about a decision",
        );
    }
    scope.decision = input.decision;
    scope.collections = input::collection_ids(policy, &input.collections, errors);
    Ok(scope)
}

fn check_language(errors: &mut Vec<InputError>, language: Option<&str>) {
    let fits = |language: &str| {
        (2..=35).contains(&language.len())
            && language
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if !language.is_none_or(fits) {
        let detail = "a language tag such as en or de-AT";
        errors.push(input::error("/language", "bad_language", detail));
    }
}

fn checked(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    input: &RequestInput,
) -> Result<Scope, Refusal> {
    let mut errors = Vec::new();
    if let Some(details) = &input.details {
        check_text(&mut errors, "/details", details, REASON_BYTES_MAX);
    }
    check_language(&mut errors, input.language.as_deref());
    if let Some(at) = input.received_at {
        let oldest = view.now() - SignedDuration::from_hours(24 * REQUEST_RECEIVED_DAYS_MAX);
        if !decides(context, policy) {
            let detail = "whoever decides requests says when one came in";
            errors.push(input::error("/received_at", "not_yours", detail));
        } else if at > view.now() || at < oldest {
            let detail =
                format!("not in the future, and at most {REQUEST_RECEIVED_DAYS_MAX} days ago");
            errors.push(input::error("/received_at", "out_of_range", detail));
        }
    }
    let scope = scope(policy, input, &mut errors)?;
    match errors.is_empty() {
        true => Ok(scope),
        false => Err(Refusal::Invalid(errors)),
    }
}

pub(super) fn room(view: &dyn View, person: &Person) -> Result<(), Refusal> {
    let steps = stored::history(view, person)?;
    let begun =
        |event: &&RequestEvent| matches!(event.step, StepWord::Received | StepWord::Restored);
    let requests = steps.iter().filter(begun).count();
    if steps.len() >= REQUEST_STEPS_MAX || requests >= REQUESTS_PER_PERSON_MAX {
        return Err(Refusal::TooLarge(format!(
            "a person has at most {REQUESTS_PER_PERSON_MAX} requests here: answer this one by hand"
        )));
    }
    Ok(())
}

/// The first step of a request, before its ends are counted.
pub(super) fn first(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    (kind, level): (RequestKind, Level),
    received: Timestamp,
    language: String,
) -> RequestEvent {
    RequestEvent {
        request: RequestId::generate(txn.entropy()),
        kind,
        step: StepWord::Received,
        state: machine::begin(kind, level),
        level,
        by: context.principal.role().to_owned(),
        at: txn.now(),
        received,
        language,
        strict: Due {
            on: super::today(policy, received),
            end: received,
        },
        effective: None,
        pauses: Vec::new(),
        scope: Scope::default(),
        extension: None,
        from_ledger: None,
        refusal: None,
        receipt: None,
        kept: Vec::new(),
        words: None,
    }
}

/// Writes what was checked.
fn take_down(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    input: &RequestInput,
    scope: Scope,
) -> Result<RequestEvent, Refusal> {
    room(txn, person)?;
    let now = txn.now();
    let received = input.received_at.unwrap_or(now);
    let level = level(context, policy);
    let language = answered_in(policy, input.language.as_deref());
    let mut event = first(
        txn,
        policy,
        context,
        (input.kind, level),
        received,
        language,
    );
    event.scope = scope;
    event.words = input.details.clone();
    count_ends(policy, &mut event);
    stored::append(txn, person, &event)?;
    super::keep(txn, person, &event);
    context.note_word(txn, person)?;
    Ok(event)
}

/// Takes down that somebody wants a human to look at a decision, where the call is about that: whoever calls has
/// been let in, and the decision is contested by them.
pub(in crate::vault) fn review_of(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    decision: DecisionId,
    (view, language): (Option<&str>, Option<&str>),
) -> Result<RequestEvent, Refusal> {
    let input = RequestInput {
        kind: RequestKind::HumanReview,
        details: view.map(str::to_owned),
        language: language.map(str::to_owned),
        received_at: None,
        purpose: None,
        ground: None,
        collections: Vec::new(),
        decision: Some(decision),
    };
    let scope = checked(txn, policy, context, &input)?;
    take_down(txn, policy, context, person, &input, scope)
}

/// Takes a request down.
pub(in crate::vault) fn create(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    input: &RequestInput,
) -> Result<RequestView, Refusal> {
    noted.met = Some(subject);
    context.principal.require_own(policy, &OWN)?;
    let mut person = context.remains(txn, subject)?;
    noted.person(&person, txn.now());
    let scope = checked(txn, policy, context, input)?;
    let now = txn.now();
    let event = take_down(txn, policy, context, &mut person, input, scope)?;
    let mut steps = vec![event.clone()];
    if let Some(decision) = event.scope.decision {
        decisions::contested(txn, policy, context, &mut person, decision, &event)?;
    }
    if event.kind.is_word() && event.state == RequestState::Verified {
        // What somebody says for themselves waits for nobody's leave (Art. 7(3), 21(3)).
        steps.extend(effects::said(txn, policy, context, &mut person, event)?);
    }
    let seen = super::words(context, policy);
    view(policy, seen, subject, &steps, now).ok_or(DAMAGED)
}
