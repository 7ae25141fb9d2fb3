//! A copy that the person picks up with a link: what giving and opening one does to the request.
//!
//! A link that was given is an approval that has begun, and so is one that was opened; the last part of the package
//! fulfils the request, as that of a package does which somebody hands over. Knows nothing of tokens and codes.

use super::super::call::{Context, Noted};
use super::spoken::last;
use super::steps::{follow, pause};
use super::{RequestStepped, count_ends, met, view, words};
use crate::commit::{Txn, View};
use crate::export::Right;
use crate::id::RequestId;
use crate::limits::REQUEST_STEPS_MAX;
use crate::person::Person;
use crate::policy::{Capability, Policy};
use crate::refusal::Refusal;
use crate::request::stored::{self, RequestEvent, StepWord};
use crate::request::{Done, Facts, Step, transition};

/// The person of a request, for whoever deals with it, and the package that answers it.
pub(in crate::vault) fn decided(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    request: RequestId,
) -> Result<(Person, Option<Right>), Refusal> {
    let capability = Capability::RequestsDecide;
    context.principal.require(policy, capability)?;
    let person = met(view, policy, context, noted, request, &[capability])?;
    let event = last(view, &person, request)?;
    Ok((person, Right::of(event.kind)))
}

/// Whether the requests of a person take another step that ends none of them.
pub(in crate::vault) fn takes_a_step(view: &dyn View, person: &Person) -> Result<bool, Refusal> {
    Ok(stored::history(view, person)?.len() < REQUEST_STEPS_MAX)
}

/// A request that a package still answers, and the right that it is of; `None` for one that is closed or gone.
pub(in crate::vault) fn answerable(
    view: &dyn View,
    person: &Person,
    request: RequestId,
) -> Result<Option<(RequestEvent, Right)>, Refusal> {
    let event = match last(view, person, request) {
        Err(Refusal::NotFound(_)) => return Ok(None),
        event => event?,
    };
    let facts = Facts {
        kind: event.kind,
        level: event.level,
        confirmed: false,
        late: false,
        extended: event.is_extended(),
    };
    let goes_on = transition(event.state, Step::Approve(Done::Begun), &facts).is_ok();
    let right = Right::of(event.kind).filter(|_| goes_on);
    Ok(right.map(|right| (event, right)))
}

/// Takes the step of a link that was given or opened.
pub(in crate::vault) fn begun(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    request: RequestId,
    words: String,
) -> Result<RequestEvent, Refusal> {
    let mut event = last(txn, person, request)?;
    follow(txn, &mut event, Step::Approve(Done::Begun), false)?;
    event.at = txn.now();
    event.by = context.principal.role().to_owned();
    (event.step, event.words) = (StepWord::Approved, Some(words));
    pause(&mut event, policy, false);
    count_ends(policy, &mut event);
    stored::append(txn, person, &event)?;
    Ok(event)
}

/// A request as whoever deals with it sees it.
pub(in crate::vault) fn stepped(
    txn: &dyn View,
    policy: &Policy,
    context: &Context,
    person: &Person,
    request: RequestId,
) -> Result<RequestStepped, Refusal> {
    let steps = stored::steps(txn, person, request)?;
    let seen = words(context, policy);
    let view = view(policy, seen, person.subject, &steps, txn.now());
    Ok(RequestStepped {
        view: view.ok_or(Refusal::NotFound("request"))?,
        receipt: None,
    })
}
