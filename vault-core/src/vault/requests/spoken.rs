//! Requests that a person makes, proves and takes back in a conversation that the vault itself leads.
//!
//! The person acts, and the conversation has found out how well it is known that it is they: so no capability
//! is asked for here, but the level that the machine asks for.

use jiff::Timestamp;

use super::super::call::{Context, Noted};
use super::steps::{follow, keep, pause};
use super::{CorrectionInput, count_ends, create, effects};
use crate::commit::{Txn, View};
use crate::export::Right;
use crate::id::{ReceiptId, RequestId};
use crate::person::{DAMAGED, Person};
use crate::policy::{Policy, RestrictionGround};
use crate::refusal::Refusal;
use crate::request::stored::{self, Kept, RequestEvent, Scope, StepWord};
use crate::request::{Done, Level, RequestKind, RequestState, Step, transition};

/// What a person asks for.
pub(in crate::vault) struct Spoken<'a> {
    pub(in crate::vault) kind: RequestKind,
    /// How well it is known who asks.
    pub(in crate::vault) level: Level,
    /// When they asked: before it was known who they are, perhaps.
    pub(in crate::vault) received: Timestamp,
    /// In which language they are answered.
    pub(in crate::vault) language: &'a str,
    /// Their words.
    pub(in crate::vault) words: Option<String>,
}

/// Whether another request may be taken.
pub(in crate::vault) fn has_room(view: &dyn View, person: &Person) -> Result<bool, Refusal> {
    match create::room(view, person) {
        Err(Refusal::TooLarge(_)) => Ok(false),
        room => room.map(|()| true),
    }
}

/// The requests of a person as they stand, in the order in which they came.
pub(in crate::vault) fn standing(
    view: &dyn View,
    person: &Person,
) -> Result<Vec<RequestEvent>, Refusal> {
    let mut last: Vec<RequestEvent> = Vec::new();
    for event in stored::history(view, person)? {
        match last.iter_mut().find(|one| one.request == event.request) {
            Some(one) => *one = event,
            None => last.push(event),
        }
    }
    Ok(last)
}

/// Whether a request waits for its person, so that the same demand is no other request. A copy that is being picked
/// up is the same one for whoever could not. Who says no more than that they want to be erased wants everything: one for
/// less is another request, and is not made more by a demand that nobody has proved yet.
fn waits(event: &RequestEvent) -> bool {
    if event.kind == RequestKind::Erase && !event.scope.collections.is_empty() {
        return false;
    }
    let copy = Right::of(event.kind).is_some() && event.state == RequestState::InProgress;
    copy || matches!(
        event.state,
        RequestState::Received
            | RequestState::IdentityPending
            | RequestState::ManualIdentity
            | RequestState::Verified
    ) && event.scope.purpose.is_none()
}

/// Takes a request down, or finds the one of its kind that waits for its person.
pub(in crate::vault) fn register(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    spoken: Spoken<'_>,
) -> Result<RequestEvent, Refusal> {
    let mut there = standing(txn, person)?;
    there.retain(|event| event.kind == spoken.kind && waits(event));
    if let Some(event) = there.pop() {
        // Below what it needs nothing is proved yet: it waits as it is.
        let proves = spoken.level > event.level && spoken.level >= event.kind.needs();
        return match proves {
            true => verify(txn, policy, context, person, event.request, spoken.level),
            false => Ok(event),
        };
    }
    let mut event = create::first(
        txn,
        policy,
        context,
        (spoken.kind, spoken.level),
        spoken.received,
        spoken.language.to_owned(),
    );
    event.words = spoken.words;
    count_ends(policy, &mut event);
    stored::append(txn, person, &event)?;
    keep(txn, person, &event);
    context.note_word(txn, person)?;
    Ok(event)
}

/// A request as it stands, to be changed by whoever takes the next step.
pub(in crate::vault) fn last(
    view: &dyn View,
    person: &Person,
    request: RequestId,
) -> Result<RequestEvent, Refusal> {
    let steps = stored::steps(view, person, request)?;
    steps.last().cloned().ok_or(DAMAGED)
}

/// A step that the person takes in words.
struct Taken<'a> {
    step: Option<Step>,
    word: StepWord,
    words: Option<&'a str>,
}

fn take(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    mut event: RequestEvent,
    taken: Taken<'_>,
) -> Result<RequestEvent, Refusal> {
    event.at = txn.now();
    event.by = context.principal.role().to_owned();
    event.step = taken.word;
    event.words = taken.words.map(str::to_owned);
    if let Some(step) = taken.step {
        follow(txn, &mut event, step, false)?;
        let waiting = event.state == RequestState::IdentityPending;
        pause(&mut event, policy, waiting);
    }
    count_ends(policy, &mut event);
    stored::append(txn, person, &event)?;
    if event.state.is_closed() {
        keep(txn, person, &event);
    }
    Ok(event)
}

/// It is known who asks, this well.
pub(in crate::vault) fn verify(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    request: RequestId,
    level: Level,
) -> Result<RequestEvent, Refusal> {
    let mut event = last(txn, person, request)?;
    let step = match event.state {
        RequestState::Received | RequestState::IdentityPending | RequestState::ManualIdentity => {
            Some(Step::Verify(level))
        }
        // It went on meanwhile: what is known now is noted all the same.
        state if !state.is_closed() && event.level < level => None,
        _ => return Ok(event),
    };
    event.level = event.level.max(level);
    let taken = Taken {
        step,
        word: StepWord::IdentityVerified,
        words: Some(match level {
            Level::L0 | Level::L1 => "a message on a channel that the person is known on",
            Level::L2 | Level::L3 => "a code that was sent to an address on file",
        }),
    };
    take(txn, policy, context, person, event, taken)
}

/// Somebody has to look at who asks.
pub(in crate::vault) fn by_hand(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    request: RequestId,
) -> Result<RequestEvent, Refusal> {
    let event = last(txn, person, request)?;
    let may = matches!(
        event.state,
        RequestState::Received | RequestState::IdentityPending
    );
    if !may {
        return Ok(event);
    }
    let taken = Taken {
        step: Some(Step::CheckByHand),
        word: StepWord::IdentityByHand,
        words: Some("no code could be sent in the conversation, or none came back"),
    };
    take(txn, policy, context, person, event, taken)
}

/// Somebody has to look at the matter; what the person said about it stands beside.
pub(in crate::vault) fn review(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    request: RequestId,
    words: Option<&str>,
) -> Result<RequestEvent, Refusal> {
    let event = last(txn, person, request)?;
    let taken = Taken {
        step: (event.state == RequestState::Verified).then_some(Step::Review),
        word: StepWord::ReviewBegun,
        words,
    };
    match event.state.is_closed() {
        true => Ok(event),
        false => take(txn, policy, context, person, event, taken),
    }
}

/// The person said what is to be erased, these collections or everything where there is none, and has not confirmed it:
/// whoever approves the request erases no more than that. A confirmation of what was said before ends by the step.
pub(in crate::vault) fn narrow(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    request: RequestId,
    collections: Vec<u16>,
) -> Result<RequestEvent, Refusal> {
    let mut event = last(txn, person, request)?;
    let same = event.scope.collections == collections;
    if event.kind != RequestKind::Erase || event.state.is_closed() || same {
        return Ok(event);
    }
    event.scope.collections = collections;
    let words = match (event.scope.is_unnamed(), event.scope.collections.is_empty()) {
        (true, _) => "only some of it is to be erased; which has not been said",
        (_, true) => "everything is to be erased",
        _ => "only these collections are to be erased: the request names them",
    };
    let taken = Taken {
        step: None,
        word: StepWord::Clarified,
        words: Some(words),
    };
    let event = take(txn, policy, context, person, event, taken)?;
    keep(txn, person, &event);
    Ok(event)
}

/// Ends what the person had asked for in a conversation and what is done by now: requests to erase no more than these
/// collections, or some that were never named. One that staff took down stays theirs to answer.
pub(in crate::vault) fn end_covered(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    erased: &[u16],
) -> Result<(), Refusal> {
    let goes = |one: &u16| *one == Scope::UNNAMED || erased.contains(one);
    for event in standing(txn, person)? {
        let some = &event.scope.collections;
        let covered = !some.is_empty() && some.iter().all(goes);
        let own = event.kind == RequestKind::Erase && event.level == Level::L2;
        if own && covered {
            take_back(txn, policy, context, person, event.request)?;
        }
    }
    Ok(())
}

/// The person says more about it.
pub(in crate::vault) fn add(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    request: RequestId,
    words: &str,
) -> Result<RequestEvent, Refusal> {
    let event = last(txn, person, request)?;
    let taken = Taken {
        step: None,
        word: StepWord::Clarified,
        words: Some(words),
    };
    match event.state.is_closed() {
        true => Ok(event),
        false => take(txn, policy, context, person, event, taken),
    }
}

/// The person takes it back.
pub(in crate::vault) fn take_back(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    request: RequestId,
) -> Result<RequestEvent, Refusal> {
    let event = last(txn, person, request)?;
    let taken = Taken {
        step: Some(Step::Cancel),
        word: StepWord::Cancelled,
        words: None,
    };
    match event.state.is_closed() {
        true => Ok(event),
        false => take(txn, policy, context, person, event, taken),
    }
}

/// The purpose of a word that takes effect when it is said: withdrawal or objection.
pub(in crate::vault) fn say(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    request: RequestId,
    purpose: u16,
) -> Result<RequestEvent, Refusal> {
    let mut event = last(txn, person, request)?;
    event.scope.purpose = Some(purpose);
    // The grounds that are kept with an objection are the person's first words.
    let steps = stored::steps(txn, person, request)?;
    let first = steps.first().and_then(|first| first.words.clone());
    event.words = first.filter(|_| event.kind == RequestKind::Object);
    event.at = txn.now();
    event.by = context.principal.role().to_owned();
    match effects::said(txn, policy, context, person, event.clone())? {
        Some(done) => Ok(done),
        None => {
            event.step = StepWord::Clarified;
            event.words = None;
            stored::append(txn, person, &event)?;
            Ok(event)
        }
    }
}

/// What carrying a request out came to.
pub(in crate::vault) struct CarriedOut {
    pub(in crate::vault) event: RequestEvent,
    pub(in crate::vault) receipt: Option<(ReceiptId, serde_json::Value)>,
    /// What a law keeps.
    pub(in crate::vault) kept: Vec<Kept>,
    /// The person afterwards; nobody where all of them is gone.
    pub(in crate::vault) person: Option<Person>,
}

/// What is carried out.
pub(in crate::vault) enum What<'a> {
    /// Of these collections; of all, where there is none.
    Erase(&'a [u16]),
    /// For this ground.
    Restrict(RestrictionGround),
    /// With this in the place of what stands there.
    Correct(&'a CorrectionInput),
    /// With these words as the answer.
    Answer(&'a str),
}

/// Carries a request out that the person has confirmed.
pub(in crate::vault) fn carry_out(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    person: Person,
    request: RequestId,
    what: What<'_>,
) -> Result<CarriedOut, Refusal> {
    let mut event = last(txn, &person, request)?;
    event.at = txn.now();
    event.by = context.principal.role().to_owned();
    event.step = StepWord::Fulfilled;
    event.words = None;
    match what {
        What::Restrict(ground) => {
            event.scope = Scope {
                ground: Some(ground),
                ..Scope::default()
            };
        }
        // What they confirmed goes for what was taken down before.
        What::Erase(collections) => event.scope.collections = collections.to_vec(),
        What::Correct(_) | What::Answer(_) => {}
    }
    follow(txn, &mut event.clone(), Step::Approve(Done::Whole), true)?;
    let (done, receipt, kept, left) = match what {
        // The answer was given in words.
        What::Answer(words) => {
            event.words = Some(words.to_owned());
            (Done::Whole, None, Vec::new(), Some(person))
        }
        what => {
            let correction = match what {
                What::Correct(correction) => Some(correction),
                _ => None,
            };
            let done = effects::carry_out(txn, policy, context, noted, person, &event, correction)?;
            (done.done, done.receipt, done.kept, done.person)
        }
    };
    follow(txn, &mut event, Step::Approve(done), true)?;
    event.receipt = receipt.as_ref().map(|(id, _)| *id);
    event.kept = kept.clone();
    let mut left = left;
    if let Some(person) = &mut left {
        pause(&mut event, policy, false);
        count_ends(policy, &mut event);
        stored::append(txn, person, &event)?;
        keep(txn, person, &event);
    }
    Ok(CarriedOut {
        event,
        receipt,
        kept,
        person: left,
    })
}

/// Whether a request whose person confirms it can be carried out from where it stands.
pub(in crate::vault) fn is_ready(event: &RequestEvent) -> bool {
    let facts = crate::request::Facts {
        kind: event.kind,
        level: event.level,
        confirmed: true,
        late: false,
        extended: false,
    };
    transition(event.state, Step::Approve(Done::Whole), &facts).is_ok()
}
