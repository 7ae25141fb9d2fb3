//! What an approval does to somebody's data: what the call that does it alone would do.

use serde_json::Value;

use super::super::call::{Context, Noted};
use super::super::restrictions::RestrictionInput;
use super::super::writes::{self, Target};
use super::super::{consents, input, objections, restrictions, subjects};
use super::{CorrectionInput, Kept};
use crate::commit::Txn;
use crate::id::ReceiptId;
use crate::person::{DAMAGED, Person};
use crate::policy::{Capability, Policy, RIGHTS};
use crate::refusal::Refusal;
use crate::remains::{self, Parted};
use crate::request::stored::{self, RequestEvent, StepWord};
use crate::request::{Done, Exemption, RequestKind, RequestState};
use crate::standing::{self, HoldEvent, ObjectionOrigin, ObjectionState};

/// What carrying a request out came to.
pub(super) struct Effect {
    pub(super) done: Done,
    pub(super) receipt: Option<(ReceiptId, Value)>,
    pub(super) kept: Vec<Kept>,
    /// The person afterwards; nobody where all of them is gone.
    pub(super) person: Option<Person>,
}

impl Effect {
    fn whole(person: Person) -> Self {
        Self {
            done: Done::Whole,
            receipt: None,
            kept: Vec::new(),
            person: Some(person),
        }
    }
}

/// Whether a correction is there for what is corrected, and nowhere else.
pub(super) fn fits(kind: RequestKind, correction: Option<&CorrectionInput>) -> Result<(), Refusal> {
    let refuse = |pointer: &str, code, detail: &str| {
        Err(Refusal::Invalid(vec![input::error(
            pointer,
            code,
            detail.to_owned(),
        )]))
    };
    match (kind == RequestKind::Rectify, correction) {
        (true, None) => refuse(
            "/collection",
            "required",
            "which fields are corrected, and how",
        ),
        (false, Some(_)) => refuse("/fields", "not_here", "a correction has fields"),
        (true, Some(correction)) if correction.fields.is_empty() => {
            refuse("/fields", "required", "at least one field")
        }
        _ => Ok(()),
    }
}

fn purpose<'p>(policy: &'p Policy, event: &RequestEvent) -> Result<&'p str, Refusal> {
    let id = event.scope.purpose.ok_or_else(|| unsaid("purpose"))?;
    let purpose = policy.purpose_by_id(id);
    Ok(&purpose.ok_or(Refusal::NotFound("purpose"))?.name)
}

/// A request that began in a conversation, and whose person did not go on to say what exactly they mean.
fn unsaid(what: &str) -> Refusal {
    Refusal::Conflict(format!(
        "the person has not said which {what} this is about: ask them, take down a request that says it, and \
         refuse or cancel this one"
    ))
}

/// Refuses an erasure of which the person said that it is not to be everything, and not yet what.
pub(super) fn named(event: &RequestEvent) -> Result<(), Refusal> {
    match event.kind == RequestKind::Erase && event.scope.is_unnamed() {
        true => Err(unsaid("collections")),
        false => Ok(()),
    }
}

/// What a person's word alone does, when it is said: the step that follows, if that was all.
pub(super) fn said(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    event: RequestEvent,
) -> Result<Option<RequestEvent>, Refusal> {
    let name = purpose(policy, &event)?;
    let whole = match event.kind {
        RequestKind::Withdraw => {
            consents::withdraw_of(txn, policy, context, person, name)?;
            true
        }
        _ => object(txn, policy, context, person, name, event.words.as_deref())?,
    };
    if !whole {
        return Ok(None);
    }
    let done = RequestEvent {
        step: StepWord::Fulfilled,
        state: RequestState::Fulfilled,
        words: None,
        ..event
    };
    stored::append(txn, person, &done)?;
    super::keep(txn, person, &done);
    Ok(Some(done))
}

/// Objects, unless they have; whether it holds, or is to be decided.
fn object(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    name: &str,
    grounds: Option<&str>,
) -> Result<bool, Refusal> {
    let purpose = policy.purpose(name).ok_or(Refusal::NotFound("purpose"))?;
    let state = match standing::last_objection(txn, person, purpose)? {
        // One that a file brought is said again: another file may end it.
        Some(last) if last.state.stands() && last.origin != ObjectionOrigin::File => last.state,
        _ => objections::put_of(txn, policy, context, person, name, grounds)?.state,
    };
    Ok(state == ObjectionState::Upheld)
}

/// Carries a request out.
pub(super) fn carry_out(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    mut person: Person,
    event: &RequestEvent,
    correction: Option<&CorrectionInput>,
) -> Result<Effect, Refusal> {
    match event.kind {
        RequestKind::Erase => {
            let capability = Capability::SubjectsErase;
            context.principal.require(policy, capability)?;
            named(event)?;
            match &event.scope.collections[..] {
                [] => erase(txn, policy, noted, person),
                some => erase_some(txn, policy, noted, person, some),
            }
        }
        RequestKind::Rectify => {
            let correction = correction.ok_or(DAMAGED)?;
            let context = context.stating(Some(RIGHTS));
            let target = correction.record.map_or(Target::Single, Target::One);
            let body = correction.fields.clone();
            let (subject, name) = (person.subject, correction.collection.as_str());
            let written = writes::patch(
                txn, policy, &context, noted, subject, name, target, body, None,
            )?;
            // It has written the keyset, perhaps.
            let person = Person::find(txn, subject)?;
            let hold = match written.beside {
                true => standing::hold(txn, &person)?,
                false => None,
            };
            Ok(match hold {
                // The original stays until the hold ends, and the correction beside it.
                Some(hold) => Effect {
                    done: Done::Partly,
                    kept: vec![kept(policy, &hold)],
                    ..Effect::whole(person)
                },
                None => Effect::whole(person),
            })
        }
        RequestKind::Restrict => {
            let input = RestrictionInput {
                ground: event.scope.ground.ok_or_else(|| unsaid("ground"))?,
                collections: input::collection_names(policy, &event.scope.collections),
                reason: None,
            };
            restrictions::put_of(txn, policy, &mut person, &input)?;
            Ok(Effect::whole(person))
        }
        RequestKind::Withdraw => {
            let name = purpose(policy, event)?;
            consents::withdraw_of(txn, policy, context, &mut person, name)?;
            Ok(Effect::whole(person))
        }
        RequestKind::Object => {
            let name = purpose(policy, event)?;
            if !object(txn, policy, context, &mut person, name, None)? {
                let why = "the request was approved";
                objections::decide_of(txn, policy, context, &mut person, name, (true, why))?;
            }
            Ok(Effect::whole(person))
        }
        RequestKind::HumanReview | RequestKind::Recipients => Ok(Effect::whole(person)),
        RequestKind::Access | RequestKind::Portability => Err(Refusal::Conflict(
            "this is answered with a package: name its `format`".into(),
        )),
    }
}

fn erase(
    txn: &mut Txn<'_>,
    policy: &Policy,
    noted: &mut Noted,
    person: Person,
) -> Result<Effect, Refusal> {
    let subject = person.subject;
    let (receipt, hold) = subjects::erase(txn, policy, noted, person)?;
    let left = match hold {
        Some(_) => Some(Person::find(txn, subject)?),
        None => None,
    };
    Ok(Effect {
        done: match left {
            Some(_) => Done::Partly,
            None => Done::Whole,
        },
        receipt: Some((receipt.id, receipt.document)),
        kept: hold.iter().map(|hold| kept(policy, hold)).collect(),
        person: left,
    })
}

/// Erases what is in some collections, and leaves the person and the rest. What a hold keeps of them stays, and is not
/// erased at its end: whoever wants that asks for it then.
fn erase_some(
    txn: &mut Txn<'_>,
    policy: &Policy,
    noted: &mut Noted,
    person: Person,
    collections: &[u16],
) -> Result<Effect, Refusal> {
    if !remains::can_part(txn, &person, collections)? {
        return Err(Refusal::Conflict(
            "a legal hold keeps all that this request is about: refuse it under the law of the hold \
             (`GET …/hold`), or wait for the release"
                .into(),
        ));
    }
    let subject = person.subject;
    let Parted { receipt, kept } = remains::part(txn, policy, person, collections)?;
    noted.receipt = Some((receipt.id, receipt.body_sha256));
    Ok(Effect {
        done: match kept {
            Some(_) => Done::Partly,
            None => Done::Whole,
        },
        receipt: Some((receipt.id, receipt.document)),
        kept: kept
            .iter()
            .map(|(hold, of)| kept_of(policy, hold, of))
            .collect(),
        person: Some(Person::find(txn, subject)?),
    })
}

fn kept(policy: &Policy, hold: &HoldEvent) -> Kept {
    kept_of(policy, hold, &hold.collections)
}

fn kept_of(policy: &Policy, hold: &HoldEvent, collections: &[u16]) -> Kept {
    Kept {
        law: hold.ground.law().to_owned(),
        until: hold.review_at,
        collections: input::collection_names(policy, collections),
    }
}

/// What a refusal does: an objection that waited for it is overridden, where compelling grounds were given and it
/// was known well enough who asked.
///
/// Nothing else may take an objection away. A request that is refused because nobody knows who wrote it, or because
/// it asks for nothing that there is, says nothing about the grounds (Art. 21(1)), and its like can be sent by anybody:
/// what the person said for themselves waits on, and is decided by the call that decides objections.
pub(super) fn refused(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    event: &RequestEvent,
    reason: &str,
) -> Result<(), Refusal> {
    let (RequestKind::Object, Some(id)) = (event.kind, event.scope.purpose) else {
        return Ok(());
    };
    let grounds =
        event.refusal.as_ref().map(|given| given.code) == Some(Exemption::CompellingGrounds);
    if !grounds || event.level < event.kind.needs() {
        return Ok(());
    }
    let Some(purpose) = policy.purpose_by_id(id) else {
        return Ok(());
    };
    if standing::objection(txn, person, purpose)? == Some(ObjectionState::Pending) {
        let name = &purpose.name;
        objections::decide_of(txn, policy, context, person, name, (false, reason))?;
    }
    Ok(())
}
