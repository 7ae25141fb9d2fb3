//! Who talks, what they said, and what the machine makes of it, in one state of the vault. Changes nothing.

use data_encoding::BASE32_NOPAD;

use super::super::pickups;
use super::act::Said;
use super::codes::new_matter;
use super::facts;
use super::input::{TurnInput, clip, name_of};
use super::machine;
use super::moves::{Heard, Next, Say};
use super::shown::waits;
use super::strangers::Stranger;
use super::tell::notice_in;
use crate::commit::View;
use crate::dialogue::{Control, INTENTS_MAX, Language, control, understand};
use crate::id::SubjectId;
use crate::limits::REASON_BYTES_MAX;
use crate::notice::ShownEvidence;
use crate::person::{self, Person};
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::request::Level;
use crate::standing;
use crate::talk::{At, Question, Talk, stored};
use crate::verification::{Attempt, Verdict};

/// What a challenge is bound to where there is no request yet.
pub(super) const STRANGER: [u8; 16] = [0; 16];

/// What begins the id of a choice.
const CHOICE: &str = "c_";

/// The id of a choice on the wire.
pub(super) fn choice_id(id: &[u8; 16]) -> String {
    format!("{CHOICE}{}", BASE32_NOPAD.encode(id).to_ascii_lowercase())
}

/// Who talks, and how the conversation stands.
pub(super) struct Found {
    /// The person that the channel's user is, or that a code proved somebody unknown to be.
    pub(super) person: Option<Person>,
    /// Whether it lies in memory: the user is not known on the channel.
    pub(super) stranger: Option<Stranger>,
    pub(super) talk: Talk,
}

/// The person, unless they are erased: but for what a hold keeps, too, of which nothing is said here.
fn here(view: &dyn View, subject: SubjectId) -> Result<Option<Person>, Refusal> {
    let person = match Person::find(view, subject) {
        Ok(person) => person,
        Err(Refusal::Erased { .. } | Refusal::NotFound(_)) => return Ok(None),
        Err(refusal) => return Err(refusal),
    };
    let hold = standing::hold(view, &person)?;
    let erased = hold.is_some_and(|hold| hold.erasure.is_some());
    Ok((!erased).then_some(person))
}

/// Finds both, in one state of the vault. `slot` is what lies in memory.
pub(super) fn find(
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
        noticed: None,
    });
    if stranger.talk.until <= now {
        (stranger.sent_to, stranger.is, stranger.noticed) = (None, None, None);
    }
    stranger.talk.expire(now, Level::L0);
    let mut found = None;
    if let Some(subject) = stranger.is {
        found = here(view, subject)?;
        // They are gone, and with them what was said to them and by them.
        if found.is_none() {
            (stranger.sent_to, stranger.is) = (None, None);
            stranger.talk.forget(Level::L0);
        }
    }
    let talk = stranger.talk.clone();
    Ok(Found {
        person: found,
        stranger: Some(stranger),
        talk,
    })
}

/// What came in, as far as the text alone says it: with the language that it was understood in.
pub(super) fn hear(talk: &Talk, input: &TurnInput) -> (Heard, Option<Language>) {
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
        wanted.truncate(INTENTS_MAX);
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

/// A turn as the machine decided it.
pub(super) struct Decided {
    pub(super) talk: Talk,
    pub(super) next: Next,
    pub(super) said: Said,
    /// Whom the rest is about.
    pub(super) person: Option<Person>,
    /// Whom a code proved somebody unknown to be, in this turn.
    pub(super) proved: bool,
}

/// Decides a turn. Changes nothing but the conversation that it is given.
pub(super) fn decide(
    view: &dyn View,
    policy: &Policy,
    input: &TurnInput,
    mut found: Found,
    heard: Heard,
    attempt: Option<&Attempt>,
) -> Result<Decided, Refusal> {
    let mut talk = found.talk;
    let how = (input.private, input.sends.as_slice());
    let typed = input.text.as_deref().unwrap_or_default();
    let answers = matches!(heard, Heard::Text);
    let mut said = Said {
        // A word such as "human" is no answer to what was asked.
        typed: match answers {
            true => clip(typed, REASON_BYTES_MAX).to_owned(),
            false => String::new(),
        },
        question: match talk.at {
            At::Asking(question) => Some(question),
            _ => None,
        },
        field: talk.field,
        value: talk.value.clone(),
        channel: input.channel.clone(),
        evidence: input.choice.clone().map(|choice| ShownEvidence {
            message: input.message.clone(),
            choice,
        }),
    };
    let (mut heard, mut proved) = (heard, false);
    let bound = match talk.at {
        At::Asking(Question::NewCode) => new_matter(&talk),
        _ => talk.request.map_or(STRANGER, |request| *request.as_bytes()),
    };
    if let (Some(attempt), Some(challenge)) = (attempt, &mut talk.challenge)
        && input.private
    {
        let mut verdict = challenge.take(attempt, bound, view.now());
        if let (Verdict::Right, Some(stranger)) = (verdict, &found.stranger)
            && found.person.is_none()
        {
            let person = stranger.sent_to.map(|subject| here(view, subject));
            match person.transpose()?.flatten() {
                Some(person) => (found.person, proved) = (Some(person), true),
                // A code that nobody was sent is nobody's.
                None => verdict = Verdict::Over,
            }
        }
        heard = Heard::Code(verdict);
    }
    let mut facts = match &found.person {
        Some(person) => facts::of(view, policy, person, &talk, how)?,
        None => facts::of_nobody(policy, &talk, how),
    };
    if let (true, Some(person)) = (input.links, &found.person) {
        facts.link = pickups::room(view, policy, person, &input.sends)?.is_some();
    }
    facts.notice = waits(view, policy, found.person.as_ref(), found.stranger.as_ref())?;
    if facts.notice {
        let notice = notice_in(policy, talk.language());
        facts.same_notice = talk.shown == Some(notice.sha256);
    }
    match said.question {
        Some(Question::MarketingAddress) => facts.fits = facts::address_kind(typed).is_some(),
        // To an address of another kind no code would ever come.
        Some(Question::TypeAddress) => {
            let kind = facts::address_kind(typed);
            facts.fits = kind.is_some_and(|kind| input.sends.contains(&facts::way(kind)));
        }
        Some(Question::NewValue) if answers => {
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
    if next.holds {
        talk.hold(&input.message);
    }
    if next.say.contains(&Say::Notice) {
        talk.shown = Some(notice_in(policy, talk.language()).sha256);
    }
    // The bot may relay them again, and is then told that they are its own.
    for message in &next.replay {
        let name = name_of(message);
        talk.answered.retain(|one| one.message != name);
    }
    said.field = talk.field.or(said.field);
    Ok(Decided {
        talk,
        next,
        said,
        person: found.person,
        proved,
    })
}
