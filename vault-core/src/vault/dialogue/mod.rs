//! One turn of a conversation in which a person uses their rights: understood, decided by the machine, done and
//! answered in one commit.
//!
//! A turn is looked at twice. Over a snapshot first: most messages are no matter of rights, and change nothing;
//! and what is slow, to hash a code, is done there. Then in a transaction, over the state of that moment: if the
//! conversation went on meanwhile, the turn begins again. Codes are handed out when the commit is made.
//!
//! The person acts, not the bot: what a turn does rests on how well it is known who talks, and the bot needs
//! `dialogue.relay` and nothing else. Decision 0024, docs/dialogue.md.

mod act;
mod facts;
mod machine;
mod strangers;
mod tell;
#[cfg(test)]
mod tests;
mod words;

use data_encoding::BASE32_NOPAD;

use self::act::{Actor, Said};
use self::machine::{Effect, Facts, Heard, Next};
pub(super) use self::strangers::Strangers;
use self::strangers::{Slot, Stranger};
use self::tell::{Outcome, Teller};
use super::call::{Context, Noted, READ_TRIES};
use super::guard::Memory;
use super::input::{self, check_text};
use super::{Call, Vault, subjects};
use crate::commit::{Txn, View};
use crate::crypto::sha256;
use crate::dialogue::{Control, Intent, Language, control, understand};
use crate::entropy::OsEntropy;
use crate::id::{ReceiptId, SubjectId};
use crate::limits::{
    DIALOGUE_MINUTES, DIALOGUE_NAME_BYTES_MAX, DIALOGUE_TEXT_BYTES_MAX, REASON_BYTES_MAX,
};
use crate::person::{self, Person};
use crate::policy::{Capability, Policy, RIGHTS};
use crate::refusal::{InputError, Refusal};
use crate::request::Level;
use crate::store::WriteTx;
use crate::talk::stored;
use crate::talk::{Answered, At, Choice, Message, Offered, Question, Talk, TalkState, TurnReply};
use crate::verification::{Attempt, CodeToSend, Prepared, Verdict};

/// What begins the id of a choice.
const CHOICE: &str = "c_";

/// A message of somebody, as the bot relays it.
#[derive(Clone)]
pub struct TurnInput {
    /// The channel.
    pub channel: String,
    /// Who wrote it there.
    pub user: String,
    /// Where on the channel, if they have several conversations there.
    pub conversation: Option<String>,
    /// The channel's name of the message: the same again is answered the same.
    pub message: String,
    /// What was written.
    pub text: Option<String>,
    /// The id of the choice that was taken.
    pub choice: Option<String>,
    /// The language of the channel, BCP 47.
    pub locale: Option<String>,
    /// What the bot takes the text for. It is offered first and decides nothing.
    pub intent: Option<Intent>,
    /// Whether nobody else reads along.
    pub private: bool,
    /// Whether codes can be sent at all.
    pub can_send: bool,
}

/// Silent about what was said, and by whom.
impl std::fmt::Debug for TurnInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TurnInput")
            .field("private", &self.private)
            .finish_non_exhaustive()
    }
}

/// What a turn came to.
pub struct Turned {
    /// What is answered.
    pub reply: TurnReply,
    /// Codes that are to be sent now.
    pub codes: Vec<CodeToSend>,
}

/// Silent about what is said.
impl std::fmt::Debug for Turned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turned")
            .field("reply", &self.reply)
            .finish_non_exhaustive()
    }
}

/// The end of a text that is kept, at a whole character.
fn clip(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl TurnInput {
    fn check(&self) -> Result<(), Refusal> {
        let mut errors: Vec<InputError> = Vec::new();
        let names = [
            ("/conversation", self.conversation.as_ref()),
            ("/message_id", Some(&self.message)),
            ("/choice", self.choice.as_ref()),
        ];
        for (pointer, name) in names {
            if let Some(name) = name {
                check_text(&mut errors, pointer, name, DIALOGUE_NAME_BYTES_MAX);
            }
        }
        match (&self.text, &self.choice) {
            (Some(text), None) => check_text(&mut errors, "/text", text, DIALOGUE_TEXT_BYTES_MAX),
            (None, Some(_)) => {}
            (None, None) => errors.push(input::error(
                "/text",
                "required",
                "what the person wrote, or the `choice` that they took",
            )),
            (Some(_), Some(_)) => errors.push(input::error(
                "/choice",
                "not_here",
                "a message is a text or a choice: send the one that the person made",
            )),
        }
        match errors.is_empty() {
            true => Ok(()),
            false => Err(Refusal::Invalid(errors)),
        }
    }

    /// What stands for the message's name.
    fn name(&self) -> [u8; 32] {
        sha256(&[b"message", self.message.as_bytes()])
    }

    /// What stands for what it says.
    fn content(&self) -> [u8; 32] {
        let part = |text: Option<&str>| {
            let length = text.map_or(u64::MAX, |text| text.len() as u64);
            [
                &length.to_be_bytes()[..],
                text.unwrap_or_default().as_bytes(),
            ]
            .concat()
        };
        let intent = self.intent.map(Intent::name);
        sha256(&[
            b"content",
            &part(self.text.as_deref()),
            &part(self.choice.as_deref()),
            &part(intent),
            &[u8::from(self.private)],
        ])
    }

    fn spoken(&self) -> Option<Language> {
        self.locale.as_deref().and_then(Language::of_tag)
    }

    /// The language that a conversation begins in.
    fn first_language(&self, policy: &Policy) -> Language {
        let tags = policy.controller().languages.iter();
        let mut known = tags.filter_map(|tag| Language::of_tag(tag));
        self.spoken()
            .or_else(|| known.next())
            .unwrap_or(Language::En)
    }
}

/// Who talks, and how the conversation stands.
struct Found {
    /// The person that the channel's user is, or that a code proved somebody unknown to be.
    person: Option<Person>,
    /// Whether it lies in memory: the user is not known on the channel.
    stranger: Option<Stranger>,
    talk: Talk,
}

/// Finds both, in one state of the vault. `slot` is what lies in memory.
fn find(
    view: &dyn View,
    policy: &Policy,
    input: &TurnInput,
    stranger: Option<&Stranger>,
) -> Result<Found, Refusal> {
    let now = view.now().as_millisecond();
    let begin = |level| Talk::new(input.first_language(policy), level);
    let mark = person::channel_mark(view, &input.channel, &input.user)?;
    if let Some(hit) = view.index_hits(&mark)?.first() {
        let person = Person::find(view, hit.subject)?;
        let name = stored::name(&person, &input.channel, input.conversation.as_deref());
        let talk = stored::load(view, &person, &name)?;
        let mut talk = talk.unwrap_or_else(|| begin(Level::L1));
        talk.expire(now, Level::L1);
        return Ok(Found {
            person: Some(person),
            stranger: None,
            talk,
        });
    }
    let mut stranger = stranger.cloned().unwrap_or_else(|| Stranger {
        talk: begin(Level::L0),
        sent_to: None,
        is: None,
    });
    if stranger.talk.until <= now {
        (stranger.sent_to, stranger.is) = (None, None);
    }
    stranger.talk.expire(now, Level::L0);
    let mut found = None;
    if let Some(subject) = stranger.is {
        match Person::find(view, subject) {
            Ok(person) => found = Some(person),
            // They are gone; what was answered to them stays until its time is over.
            Err(Refusal::Erased { .. } | Refusal::NotFound(_)) => {
                stranger.is = None;
                stranger.talk.rest(At::Idle);
                stranger.talk.level = Level::L0;
                stranger.talk.request = None;
            }
            Err(refusal) => return Err(refusal),
        }
    }
    let talk = stranger.talk.clone();
    Ok(Found {
        person: found,
        stranger: Some(stranger),
        talk,
    })
}

/// Whether the caller may relay what comes from this channel.
fn let_in(policy: &Policy, context: &Context, input: &TurnInput) -> Result<(), Refusal> {
    let capability = Capability::DialogueRelay;
    context.principal.require(policy, capability)?;
    subjects::on_channel(context, &input.channel)?;
    subjects::check_identity(&input.channel, &input.user)?;
    input.check()
}

/// The id of a choice on the wire.
fn choice_id(id: &[u8; 16]) -> String {
    format!("{CHOICE}{}", BASE32_NOPAD.encode(id).to_ascii_lowercase())
}

/// What came in, as far as the text alone says it: with the language that it was understood in.
fn hear(talk: &Talk, input: &TurnInput) -> (Heard, Option<Language>) {
    if let Some(choice) = &input.choice {
        let offered = talk.choices.iter();
        let mut taken = offered.filter(|offered| choice_id(&offered.id) == *choice);
        let heard = taken
            .next()
            .map_or(Heard::Stale, |offered| Heard::Choice(offered.means));
        return (heard, None);
    }
    let text = input.text.as_deref().unwrap_or_default();
    if talk.at != At::Idle
        && let Some(control) = control(text)
    {
        let open = matches!(talk.at, At::Asking(_));
        // After a matter is done "yes" and "no" are the bot's.
        if open || !matches!(control, Control::Yes | Control::No) {
            return (Heard::Control(control), None);
        }
    }
    let typing = matches!(
        talk.at,
        At::Asking(
            Question::NewValue
                | Question::Words
                | Question::OwnView
                | Question::TypeAddress
                | Question::MarketingAddress
        )
    );
    if typing {
        return (Heard::Text, None);
    }
    let expected = match talk.at {
        At::Idle => input.spoken().unwrap_or_else(|| talk.language()),
        _ => talk.language(),
    };
    let understood = understand(Some(expected), text);
    let language = understood.as_ref().map(|one| one.language);
    let mut wanted = understood.map(|one| one.intents).unwrap_or_default();
    let alone = wanted.len() == 1;
    if let Some(hint) = input.intent {
        let agrees = alone && wanted[0] == hint;
        // A hint alone decides nothing: what it says is asked, beside what was recognised.
        wanted.retain(|intent| *intent != hint);
        wanted.insert(0, hint);
        wanted.truncate(crate::dialogue::INTENTS_MAX);
        if !agrees {
            return (Heard::Maybe(wanted), language);
        }
    }
    // Who is asked about a matter and names it again has answered nothing.
    let named = wanted.first().copied();
    let same = matches!(talk.at, At::Asking(_)) && named.is_some() && talk.intent() == named;
    match wanted.is_empty() || same {
        true => (Heard::Text, None),
        false => (Heard::Wants(wanted), language),
    }
}

/// What is slow, made before the transaction: for one state of the conversation.
#[derive(Default)]
struct Ready {
    attempt: Option<Attempt>,
    prepared: Option<Prepared>,
}

/// A turn as the machine decided it.
struct Decided {
    talk: Talk,
    next: Next,
    facts: Facts,
    said: Said,
    /// Whom the rest is about.
    person: Option<Person>,
    /// Whom a code proved somebody unknown to be, in this turn.
    proved: bool,
}

/// Decides a turn. Changes nothing but the conversation that it is given.
fn decide(
    view: &dyn View,
    policy: &Policy,
    input: &TurnInput,
    mut found: Found,
    heard: Heard,
    attempt: Option<&Attempt>,
) -> Result<Decided, Refusal> {
    let mut talk = found.talk;
    let how = (input.private, input.can_send);
    let typed = input.text.as_deref().unwrap_or_default();
    let mut said = Said {
        typed: clip(typed, REASON_BYTES_MAX).to_owned(),
        question: match talk.at {
            At::Asking(question) => Some(question),
            _ => None,
        },
        field: talk.field,
        value: talk.value.clone(),
    };
    let (mut heard, mut proved) = (heard, false);
    if let (Some(attempt), Some(challenge)) = (attempt, &mut talk.challenge)
        && input.private
    {
        let bound = talk.request.map_or(STRANGER, |request| *request.as_bytes());
        let mut verdict = challenge.take(attempt, bound, view.now());
        if let (Verdict::Right, Some(stranger)) = (verdict, &found.stranger)
            && found.person.is_none()
        {
            let person = stranger.sent_to.map(|subject| Person::find(view, subject));
            match person {
                Some(Ok(person)) => (found.person, proved) = (Some(person), true),
                // A code that nobody was sent is nobody's.
                Some(Err(Refusal::Erased { .. } | Refusal::NotFound(_))) | None => {
                    verdict = Verdict::Over;
                }
                Some(Err(refusal)) => return Err(refusal),
            }
        }
        heard = Heard::Code(verdict);
    }
    let mut facts = match &found.person {
        Some(person) => facts::of(view, policy, person, &talk, how)?,
        None => facts::of_nobody(policy, &talk, how),
    };
    match said.question {
        Some(Question::TypeAddress | Question::MarketingAddress) => {
            facts.fits = facts::address_kind(typed).is_some();
        }
        Some(Question::NewValue) => {
            let field = talk.field.and_then(|id| facts::field(policy, id));
            let fits = field.is_some_and(|(_, field)| facts::typed(field.kind, typed).is_some());
            facts.fits = fits && typed.len() <= REASON_BYTES_MAX;
            if facts.fits {
                talk.value = typed.to_owned();
                said.value = typed.to_owned();
            }
        }
        _ => {}
    }
    if matches!(heard, Heard::Wants(_) | Heard::Maybe(_)) {
        talk.words = clip(typed, REASON_BYTES_MAX).to_owned();
        talk.asked_at = view.now().as_millisecond();
    }
    if proved {
        // From here on it is theirs, as it is of whoever is known on the channel.
        talk.level = Level::L1;
    }
    let next = machine::turn(&mut talk, &facts, &heard);
    if talk.asked_at == 0 {
        talk.asked_at = view.now().as_millisecond();
    }
    said.field = talk.field.or(said.field);
    Ok(Decided {
        talk,
        next,
        facts,
        said,
        person: found.person,
        proved,
    })
}

/// What a challenge is bound to where there is no request yet.
const STRANGER: [u8; 16] = [0; 16];

/// What a first look came to.
enum Looked {
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
    }
}

/// Looks at a turn over a state of the vault: what it needs, or that it is answered already.
fn look(
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
    if matches!(heard, Heard::Text) && !matches!(found.talk.at, At::Asking(_)) {
        let language = input.first_language(policy);
        return Ok(Looked::Answer(unhandled(&found.talk, language)));
    }
    let mut ready = Ready::default();
    let code = found.talk.at == At::Asking(Question::Code) && input.private;
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
    let sends = |effect: &Effect| matches!(effect, Effect::Send(_) | Effect::SendTyped);
    if effects.iter().any(sends) {
        ready.prepared = Some(Prepared::new(&mut OsEntropy).ok_or(Refusal::Overloaded)?);
    }
    Ok(Looked::Turn {
        person,
        turns,
        heard,
        language,
        erases: effects.contains(&Effect::Erase),
        ready,
    })
}

/// What a turn leaves behind.
struct Taken {
    reply: TurnReply,
    codes: Vec<CodeToSend>,
    /// What lies in memory from now on.
    stranger: Option<Stranger>,
    erased: Option<(ReceiptId, SubjectId)>,
}

/// What the closure of a turn has in hand.
struct Plan {
    input: TurnInput,
    person: Option<SubjectId>,
    turns: u32,
    heard: Heard,
    language: Option<Language>,
    ready: Ready,
    stranger: Option<Stranger>,
}

/// Takes a turn in a commit; `None` where the conversation went on since it was looked at.
fn take(
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
        facts,
        said,
        person,
        proved,
    } = decided;
    let sends = |effect: &Effect| matches!(effect, Effect::Send(_) | Effect::SendTyped);
    if next.effects.iter().any(sends) && plan.ready.prepared.is_none() {
        return Ok(None);
    }
    if proved && let (Some(person), Some(stranger)) = (&person, &mut stranger) {
        noted.person(person, txn.now());
        stranger.is = Some(person.subject);
    }
    let subject = person.as_ref().map(|person| person.subject);
    let told = told_of(txn, policy, &talk, &facts, person.as_ref(), (&next, &said))?;
    let mut actor = Actor {
        txn,
        policy,
        relay: context,
        noted,
        talk: &mut talk,
        person,
        sent_to: stranger.as_ref().and_then(|one| one.sent_to),
        matter: STRANGER,
        prepared: plan.ready.prepared.take(),
        outcome: Outcome {
            field: said.field,
            value: said.value.clone(),
            told,
            ..Outcome::default()
        },
        said,
        codes: Vec::new(),
        erased: None,
    };
    for effect in &next.effects {
        actor.act(effect)?;
    }
    let Actor {
        person,
        sent_to,
        mut outcome,
        codes,
        erased,
        ..
    } = actor;
    if outcome.request.is_none()
        && let (Some(person), Some(request)) = (&person, talk.request)
    {
        outcome.request = super::requests::spoken::last(txn, person, request).ok();
    }
    let own = subject.map(|subject| context.of_person(subject, talk.level));
    let teller = Teller {
        view: &*txn,
        policy,
        talk: &talk,
        facts: &facts,
        person: person.as_ref(),
        own: own.as_ref(),
        outcome: &outcome,
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
    }))
}

/// Who is told of what an effect does, before it is done: afterwards nobody knows any more.
fn told_of(
    view: &dyn View,
    policy: &Policy,
    talk: &Talk,
    facts: &Facts,
    person: Option<&Person>,
    (next, said): (&Next, &Said),
) -> Result<Vec<String>, Refusal> {
    let nothing = Outcome::default();
    let teller = Teller {
        view,
        policy,
        talk,
        facts,
        person,
        own: None,
        outcome: &nothing,
    };
    if next.effects.contains(&Effect::Erase) {
        return teller.receivers(&|_| true);
    }
    match said.field {
        Some(field) if next.effects.contains(&Effect::Change) => {
            teller.receivers(&|given| given == field)
        }
        _ => Ok(Vec::new()),
    }
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
    }
}

/// The conversation that lies in memory, for as long as a turn takes.
struct Held {
    slot: Option<Slot>,
}

impl Held {
    fn of(memory: &Memory, input: &TurnInput) -> Self {
        let conversation = input.conversation.as_deref();
        let name = memory
            .strangers
            .name(&input.channel, &input.user, conversation);
        Self {
            slot: memory.strangers.find(&name),
        }
    }

    fn stranger(&self) -> Option<Stranger> {
        self.slot.as_ref().and_then(|slot| slot.lock().clone())
    }
}

impl Vault {
    /// One turn of a conversation about rights: what somebody wrote or chose, and what is answered. What it does
    /// to the person's data is done when this returns; the codes that it returns are to be sent.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] without `dialogue.relay`, or for a channel that the key is not bound to;
    /// [`Refusal::IdempotencyMismatch`] for a message whose name came before with other content;
    /// [`Refusal::Invalid`], and those of every write.
    pub fn dialogue_turn(&self, call: &Call<'_>, input: &TurnInput) -> Result<Turned, Refusal> {
        const ACTION: &str = "dialogue.turn";
        let call = call.with_purpose(RIGHTS);
        for _ in 0..READ_TRIES {
            let held = Held::of(&self.memory, input);
            let looked = self.look_at(&call, input, held.stranger().as_ref());
            let (person, turns, heard, language, ready, erases) = match looked {
                // Refusals and what changes nothing are reads, with their entry.
                Err(_) | Ok(Looked::Answer(_)) => {
                    let held = held.stranger();
                    let reply = self.read(
                        &call,
                        ACTION,
                        None,
                        |snapshot, policy, context, noted| {
                            look(snapshot, policy, context, noted, input, held.as_ref())
                        },
                        |looked| looked,
                    )?;
                    match reply {
                        Looked::Answer(reply) => {
                            return Ok(Turned {
                                reply,
                                codes: Vec::new(),
                            });
                        }
                        Looked::Turn { .. } => continue,
                    }
                }
                Ok(Looked::Turn {
                    person,
                    turns,
                    heard,
                    language,
                    ready,
                    erases,
                }) => (person, turns, heard, language, ready, erases),
            };
            if erases && let Some(subject) = person {
                self.guard_from(subject)?;
            }
            let plan = Plan {
                input: input.clone(),
                person,
                turns,
                heard,
                language,
                ready,
                stranger: held.stranger(),
            };
            if let Some(turned) = self.take_turn(&call, ACTION, plan)? {
                return Ok(turned);
            }
        }
        Err(Refusal::Overloaded)
    }

    fn look_at(
        &self,
        call: &Call<'_>,
        input: &TurnInput,
        stranger: Option<&Stranger>,
    ) -> Result<Looked, Refusal> {
        let snapshot = self.snapshot()?;
        let policy = self.policy_of(&snapshot)?;
        let context = Context::new(call);
        context.principal.check(&snapshot)?;
        let mut noted = Noted::default();
        look(&snapshot, &policy, &context, &mut noted, input, stranger)
    }

    /// The commit of a turn, and what comes behind it.
    fn take_turn(
        &self,
        call: &Call<'_>,
        action: &'static str,
        mut plan: Plan,
    ) -> Result<Option<Turned>, Refusal> {
        let input = &plan.input;
        let conversation = input.conversation.as_deref();
        let name = self
            .memory
            .strangers
            .name(&input.channel, &input.user, conversation);
        // One turn at a time of whoever is not known here: what lies in memory is no part of a transaction.
        let slot = plan.person.is_none() || plan.stranger.is_some();
        let slot = slot.then(|| {
            let now = self.engine.now().as_millisecond();
            self.memory.strangers.slot(name, now)
        });
        let mut held = slot.as_ref().map(|slot| slot.lock());
        if let Some(held) = &held {
            let turns = held.as_ref().map_or(0, |stranger| stranger.talk.turns);
            if turns != plan.stranger.as_ref().map_or(0, |one| one.talk.turns) {
                return Ok(None);
            }
        }
        let taken = self.write(call, action, move |txn, policy, context, noted| {
            take(txn, policy, context, noted, &mut plan)
        })?;
        let Some(taken) = taken else {
            return Ok(None);
        };
        if let Some(stranger) = taken.stranger {
            match &mut held {
                Some(held) => **held = Some(stranger),
                None => {
                    let now = self.engine.now().as_millisecond();
                    let slot = self.memory.strangers.slot(name, now);
                    *slot.lock() = Some(stranger);
                }
            }
        }
        self.memory.requests.changed();
        if let Some((_, subject)) = taken.erased {
            self.memory.asks.forget(subject);
        }
        Ok(Some(Turned {
            reply: taken.reply,
            codes: taken.codes,
        }))
    }

    /// Takes away conversations that are over.
    pub(super) fn sweep_dialogues(&self) -> Result<(), Refusal> {
        self.memory
            .strangers
            .sweep(self.engine.now().as_millisecond());
        let mut after = Some(Vec::new());
        while let Some(from) = after {
            let snapshot = self.snapshot()?;
            let (over, next) = stored::over(&snapshot, &from)?;
            drop(snapshot);
            if !over.is_empty() {
                self.engine.submit(move |txn| {
                    for key in &over {
                        txn.delete(crate::store::Table::Dialogues, key)?;
                    }
                    Ok(())
                })?;
            }
            after = next;
        }
        Ok(())
    }
}
