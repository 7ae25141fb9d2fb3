//! A turn looked at over a snapshot, and taken in a transaction.

use std::cell::OnceCell;

use super::super::access::LookUps;
use super::super::call::{Context, Noted};
use super::super::requests::spoken;
use super::super::subjects;
use super::act::{Actor, Said};
use super::hear::{Decided, STRANGER, choice_id, decide, find, hear};
use super::input::TurnInput;
use super::moves::{Effect, Heard, Next, Say};
use super::shown::waits;
use super::strangers::Stranger;
use super::tell::{Outcome, Teller};
use crate::commit::{Txn, View};
use crate::dialogue::Language;
use crate::entropy::OsEntropy;
use crate::id::{ReceiptId, SubjectId};
use crate::limits::DIALOGUE_MINUTES;
use crate::person::Person;
use crate::policy::{Capability, Policy};
use crate::refusal::Refusal;
use crate::remains;
use crate::request::Level;
use crate::standing;
use crate::talk::{
    Answered, At, Choice, FieldId, Message, Offered, Question, Talk, TalkState, TurnReply, stored,
};
use crate::verification::{Attempt, CodeToSend, Prepared};

/// Whether the caller may relay what comes from this channel.
fn let_in(policy: &Policy, context: &Context, input: &TurnInput) -> Result<(), Refusal> {
    let capability = Capability::DialogueRelay;
    context.principal.require(policy, capability)?;
    subjects::on_channel(context, &input.channel)?;
    subjects::check_identity(&input.channel, &input.user)?;
    input.check()
}

/// What is slow, made before the transaction: for one state of the conversation.
#[derive(Default)]
pub(super) struct Ready {
    pub(super) attempt: Option<Attempt>,
    pub(super) prepared: Option<Prepared>,
    /// Counted by whoever looked, where it is to be told.
    pub(super) looked_up: Option<LookUps>,
}

/// What a first look came to.
pub(super) enum Looked {
    /// It changes nothing: this is the answer.
    Answer(TurnReply),
    /// It changes something, out of this state of the conversation.
    Turn {
        person: Option<SubjectId>,
        turns: u32,
        heard: Heard,
        language: Option<Language>,
        ready: Ready,
        erases: bool,
        /// Of whom it is to be told how often they were looked up.
        counts: Option<SubjectId>,
    },
}

fn unhandled(talk: &Talk, language: Language) -> TurnReply {
    TurnReply {
        handled: false,
        state: TalkState::Idle,
        messages: Vec::new(),
        expect: At::Idle.expects(false),
        request: None,
        due: None,
        language: match talk.at {
            At::Idle => language,
            _ => talk.language(),
        }
        .name()
        .to_owned(),
        replay: Vec::new(),
        delivery: None,
    }
}

/// Looks at a turn over a state of the vault: what it needs, or that it is answered already.
pub(super) fn look(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    input: &TurnInput,
    stranger: Option<&Stranger>,
) -> Result<Looked, Refusal> {
    let_in(policy, context, input)?;
    let found = find(view, policy, input, stranger)?;
    if let Some(person) = &found.person {
        noted.person(person, view.now());
    }
    if let Some(answered) = found.talk.answer_to(&input.name()) {
        return match answered.content == input.content() {
            true => Ok(Looked::Answer(answered.reply.clone())),
            false => Err(Refusal::IdempotencyMismatch),
        };
    }
    let turns = found.talk.turns;
    let (heard, language) = hear(&found.talk, input);
    let plain = matches!(heard, Heard::Text) && !matches!(found.talk.at, At::Asking(_));
    let (known, stranger) = (found.person.as_ref(), found.stranger.as_ref());
    if plain && !(input.private && waits(view, policy, known, stranger)?) {
        let language = input.first_language(policy);
        return Ok(Looked::Answer(unhandled(&found.talk, language)));
    }
    let mut ready = Ready::default();
    let asked = found.talk.at;
    let code = matches!(asked, At::Asking(Question::Code | Question::NewCode)) && input.private;
    if let (true, Some(text), Some(challenge)) = (code, &input.text, &found.talk.challenge)
        && matches!(heard, Heard::Text | Heard::Wants(_) | Heard::Maybe(_))
    {
        ready.attempt = Attempt::of(challenge, text);
    }
    let person = found.person.as_ref().map(|person| person.subject);
    let decided = decide(
        view,
        policy,
        input,
        found,
        heard.clone(),
        ready.attempt.as_ref(),
    )?;
    let effects = &decided.next.effects;
    if effects.iter().any(Effect::sends) {
        ready.prepared = Some(Prepared::new(&mut OsEntropy).ok_or(Refusal::Overloaded)?);
    }
    Ok(Looked::Turn {
        person,
        turns,
        heard,
        language,
        erases: effects.contains(&Effect::Erase),
        counts: match decided.next.say.contains(&Say::Values) {
            true => decided.person.as_ref().map(|person| person.subject),
            false => None,
        },
        ready,
    })
}

/// What a turn leaves behind.
pub(super) struct Taken {
    pub(super) reply: TurnReply,
    pub(super) codes: Vec<CodeToSend>,
    /// What lies in memory from now on.
    pub(super) stranger: Option<Stranger>,
    pub(super) erased: Option<(ReceiptId, SubjectId)>,
    /// Whose earlier answers are given no more.
    pub(super) parted: Option<SubjectId>,
}

/// What the closure of a turn has in hand.
pub(super) struct Plan {
    pub(super) input: TurnInput,
    pub(super) person: Option<SubjectId>,
    pub(super) turns: u32,
    pub(super) heard: Heard,
    pub(super) language: Option<Language>,
    pub(super) ready: Ready,
    pub(super) stranger: Option<Stranger>,
}

/// Takes a turn in a commit; `None` where the conversation went on since it was looked at.
pub(super) fn take(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    plan: &mut Plan,
) -> Result<Option<Taken>, Refusal> {
    let input = &plan.input;
    let_in(policy, context, input)?;
    let mut found = find(txn, policy, input, plan.stranger.as_ref())?;
    let same = found.person.as_ref().map(|person| person.subject) == plan.person;
    if !same || found.talk.turns != plan.turns || found.talk.answer_to(&input.name()).is_some() {
        return Ok(None);
    }
    if let Some(person) = &found.person {
        noted.person(person, txn.now());
    }
    if let Some(language) = plan.language {
        found.talk.speak(language);
    } else if found.talk.turns == 0 {
        found.talk.speak(input.first_language(policy));
    }
    let mut stranger = found.stranger.clone();
    let (heard, attempt) = (plan.heard.clone(), plan.ready.attempt.as_ref());
    let decided = decide(txn, policy, input, found, heard, attempt)?;
    let Decided {
        mut talk,
        next,
        said,
        person,
        proved,
    } = decided;
    if next.effects.iter().any(Effect::sends) && plan.ready.prepared.is_none() {
        return Ok(None);
    }
    if next.say.contains(&Say::Values) && plan.ready.looked_up.is_none() {
        return Ok(None);
    }
    if proved && let (Some(person), Some(stranger)) = (&person, &mut stranger) {
        noted.person(person, txn.now());
        stranger.is = Some(person.subject);
    }
    let subject = person.as_ref().map(|person| person.subject);
    for effect in &next.effects {
        // As with what is said: the machine sees to it, and nobody relies on that alone.
        let chosen = matches!(plan.heard, Heard::Choice(_)) || !effect.is_final();
        if effect.needs() > talk.level || !chosen {
            return Err(Refusal::Internal("a conversation does more than it may"));
        }
    }
    let told = told_of(txn, policy, &talk, person.as_ref(), (&next, &said))?;
    let parts = parts_of(txn, policy, &talk, person.as_ref(), &next)?;
    let mut actor = Actor {
        txn,
        policy,
        relay: context,
        noted,
        talk: &mut talk,
        person,
        in_memory: stranger.is_some(),
        sent_to: stranger.as_ref().and_then(|one| one.sent_to),
        matter: STRANGER,
        prepared: plan.ready.prepared.take(),
        sends: input.links.then_some(&input.sends),
        outcome: Outcome {
            field: said.field,
            value: said.value.clone(),
            told,
            parts,
            looked_up: plan.ready.looked_up.clone(),
            ..Outcome::default()
        },
        said,
        codes: Vec::new(),
        erased: None,
        parted: None,
    };
    for effect in &next.effects {
        actor.act(effect)?;
    }
    if next.effects.contains(&Effect::Notice)
        && let Some(stranger) = &mut stranger
    {
        stranger.noticed = Some(policy.notice_material());
    }
    let Actor {
        person,
        sent_to,
        mut outcome,
        codes,
        erased,
        parted,
        ..
    } = actor;
    if outcome.request.is_none()
        && let (Some(person), Some(request)) = (&person, talk.request)
    {
        outcome.request = spoken::last(txn, person, request).ok();
    }
    let own = subject.map(|subject| context.of_person(subject, talk.level));
    let teller = Teller {
        view: &*txn,
        policy,
        talk: &talk,
        person: person.as_ref(),
        own: own.as_ref(),
        outcome: &outcome,
        held: OnceCell::new(),
    };
    let mut messages = teller.messages(&next.say, noted)?;
    let mut labels = Vec::with_capacity(next.offers.len());
    for means in &next.offers {
        labels.push(teller.label(*means)?);
    }
    if !next.stays {
        talk.choices = Vec::with_capacity(next.offers.len());
        for means in &next.offers {
            let mut id = [0; 16];
            txn.entropy().fill(&mut id);
            talk.choices.push(Offered { id, means: *means });
        }
        let ids = talk.choices.iter().map(|offered| choice_id(&offered.id));
        let choices: Vec<Choice> = ids
            .zip(labels)
            .map(|(id, label)| Choice { id, label })
            .collect();
        if let (Some(last), false) = (messages.last_mut(), choices.is_empty()) {
            last.choices = choices;
        }
    }
    let reply = reply(&talk, &next, &outcome, messages, input.private);
    talk.turns = talk.turns.wrapping_add(1);
    talk.until = txn.now().as_millisecond() + DIALOGUE_MINUTES * 60_000;
    talk.remember(Answered {
        message: input.name(),
        content: input.content(),
        reply: reply.clone(),
    });
    let in_memory = match (&mut stranger, person, &erased) {
        // The answer to an erasure lies in memory for a while: nothing of it is the person's any more.
        (_, _, Some(_)) => Some(gone(talk)),
        (Some(stranger), ..) => {
            stranger.talk = talk;
            stranger.sent_to = sent_to;
            Some(stranger.clone())
        }
        (None, Some(mut person), None) => {
            let name = stored::name(&person, &input.channel, input.conversation.as_deref());
            stored::store(txn, &mut person, &name, &talk)?;
            None
        }
        (None, None, None) => None,
    };
    Ok(Some(Taken {
        reply,
        codes,
        stranger: in_memory,
        erased,
        parted,
    }))
}

/// Who is told of what an effect does, before it is done: afterwards nobody knows any more.
fn told_of(
    view: &dyn View,
    policy: &Policy,
    talk: &Talk,
    person: Option<&Person>,
    (next, said): (&Next, &Said),
) -> Result<Vec<String>, Refusal> {
    let nothing = Outcome::default();
    let teller = Teller {
        view,
        policy,
        talk,
        person,
        own: None,
        outcome: &nothing,
        held: OnceCell::new(),
    };
    let hold = person.map(|person| standing::hold(view, person));
    let hold = hold.transpose()?.flatten();
    let held = |(collection, _): FieldId| hold.as_ref().is_some_and(|hold| hold.covers(collection));
    if next.effects.contains(&Effect::Erase) {
        // Whoever received nothing but what a law keeps is told nothing yet.
        let keeps = match (person, &hold) {
            (Some(person), Some(hold)) => remains::any(view, person, hold)?,
            _ => false,
        };
        return teller.receivers(&|given| !(keeps && held(given)));
    }
    let parts = next.effects.iter().find_map(|effect| match effect {
        Effect::EraseParts(parts) => Some(parts),
        _ => None,
    });
    if let Some(parts) = parts {
        return teller.receivers(&|(collection, _)| parts.has(collection));
    }
    match said.field {
        // What was not there is no correction of what they received.
        Some(field)
            if next.effects.contains(&Effect::Change)
                && !held(field)
                && teller.held()?.0.contains(&field) =>
        {
            teller.receivers(&|given| given == field)
        }
        _ => Ok(Vec::new()),
    }
}

/// What people call the collections that an effect erases, as long as they are there.
fn parts_of(
    view: &dyn View,
    policy: &Policy,
    talk: &Talk,
    person: Option<&Person>,
    next: &Next,
) -> Result<Vec<String>, Refusal> {
    let nothing = Outcome::default();
    let teller = Teller {
        view,
        policy,
        talk,
        person,
        own: None,
        outcome: &nothing,
        held: OnceCell::new(),
    };
    let mut names = Vec::new();
    for effect in &next.effects {
        if let Effect::EraseParts(parts) = effect {
            names.extend(teller.part_names(&parts.all().collect::<Vec<u16>>())?);
        }
    }
    Ok(names)
}

/// What is kept of a conversation whose person is gone: its answers, and nothing to go on with.
fn gone(talk: Talk) -> Stranger {
    let mut left = Talk::new(talk.language(), Level::L0);
    left.at = At::Done;
    left.answered = talk.answered;
    // What was answered before says what was held.
    let last = left.answered.len().saturating_sub(1);
    left.answered.drain(..last);
    left.until = talk.until;
    left.turns = talk.turns;
    Stranger {
        talk: left,
        sent_to: None,
        is: None,
        noticed: None,
    }
}

fn reply(
    talk: &Talk,
    next: &Next,
    outcome: &Outcome,
    messages: Vec<Message>,
    private: bool,
) -> TurnReply {
    let choices = messages.iter().any(|message| !message.choices.is_empty());
    let expect = match private {
        true => talk.at.expects(choices),
        // Where others read along nothing is asked for.
        false => At::Idle.expects(choices),
    };
    TurnReply {
        handled: next.handled,
        state: talk.at.state(),
        messages,
        expect,
        request: outcome.request.as_ref().map(|event| event.request),
        due: outcome
            .request
            .as_ref()
            .filter(|event| !event.state.is_closed())
            .map(|event| event.strict.on.to_string()),
        language: talk.language().name().to_owned(),
        replay: next.replay.clone(),
        delivery: outcome.delivery.clone(),
    }
}
