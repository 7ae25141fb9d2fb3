//! A conversation about somebody's rights, as far as it has come: what was asked last, which choices were
//! sent, how well it is known who talks, and what was answered.
//!
//! A conversation of a person lies under their keys (`stored`), is over a quarter of an hour after the last turn, and
//! is in no backup. Knows nothing of what follows from a turn: that is the machine's matter
//! (`vault::dialogue`).

pub(crate) mod stored;

use serde::{Deserialize, Serialize};

use crate::dialogue::{Intent, Language};
use crate::id::RequestId;
use crate::limits::{
    DIALOGUE_ANSWERS_BYTES, DIALOGUE_ANSWERS_MAX, DIALOGUE_HELD_MAX, DIALOGUE_PARTS_MAX,
};
use crate::policy::RestrictionGround;
use crate::request::{Level, words};
use crate::verification::Challenge;

words! {
    /// Where a conversation stands. The order is on disk.
    TalkState {
        /// Nowhere: what comes next is the bot's, unless it is a matter of rights.
        Idle = "idle",
        /// The person is to say what they want.
        ChooseIntent = "choose_intent",
        /// The person is to say where a code goes.
        ChooseAlias = "choose_alias",
        /// The person is to type an address.
        TypeAddress = "type_address",
        /// The person is to type a code.
        CodeSent = "code_sent",
        /// The person is to say what exactly: which purpose, field, form.
        Scope = "scope",
        /// The person is to confirm.
        Confirm = "confirm",
        /// What was asked for is done or answered.
        Done = "done",
        /// A human goes on with it.
        QueuedHuman = "queued_human",
        /// The person was shown the notice, and what they wrote waits.
        Notice = "notice",
    }
}

words! {
    /// What an answer is to be.
    ExpectKind {
        /// What somebody types.
        Text = "text",
        /// A choice that was sent.
        Choice = "choice",
        /// A code that was sent to an address.
        Code = "code",
        /// Nothing.
        None = "none",
    }
}

/// A field: numbers of collection and field.
pub(crate) type FieldId = (u16, u16);

/// Collections that somebody chose, by their numbers, in the order in which they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parts([Option<u16>; DIALOGUE_PARTS_MAX]);

impl Parts {
    /// Those that were chosen.
    pub(crate) fn all(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().flatten().copied()
    }

    /// Whether this one was.
    pub(crate) fn has(&self, collection: u16) -> bool {
        self.0.contains(&Some(collection))
    }

    /// Whether none was.
    pub(crate) fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// Whether no other can be.
    pub(crate) fn is_full(&self) -> bool {
        !self.0.contains(&None)
    }

    /// With another one, where there is room.
    #[must_use]
    pub(crate) fn with(mut self, collection: u16) -> Self {
        if let (false, Some(free)) = (
            self.has(collection),
            self.0.iter_mut().find(|one| one.is_none()),
        ) {
            *free = Some(collection);
        }
        self
    }

    /// Those alone that are there.
    #[must_use]
    pub(crate) fn among(&self, there: &[u16]) -> Self {
        let still = self.all().filter(|one| there.contains(one));
        still.fold(Self::default(), Self::with)
    }
}

/// What was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Question {
    /// Which of these intents, as places in [`Intent::ALL`].
    Intent([Option<u8>; 3]),
    /// Where a code goes.
    Address,
    /// An address that may be known.
    TypeAddress,
    /// The address that is to get no advertising.
    MarketingAddress,
    /// The code.
    Code,
    /// The consent that is withdrawn.
    Withdraw,
    /// The use that is objected to.
    Object,
    /// Why data are not to be used.
    Ground,
    /// What is wrong.
    Field,
    /// What is right.
    NewValue,
    /// What is wrong and right, in the person's words.
    Words,
    /// Whether to change it.
    ConfirmChange,
    /// Whether to erase everything.
    ConfirmErase,
    /// In which form a copy is wanted.
    Form,
    /// What the person thinks of a decision.
    OwnView,
    /// Which request is called off.
    Request,
    /// Whether to go on, below the notice.
    Notice,
    /// The code that went to an address which is to stand in the place of one on file.
    NewCode,
    /// Whether to change that.
    ConfirmAddress,
    /// Which collections are erased, beside those that were chosen.
    Parts(Parts),
    /// Whether to erase these.
    ConfirmParts(Parts),
}

/// Where a conversation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum At {
    /// Nowhere.
    Idle,
    /// Waiting for an answer.
    Asking(Question),
    /// At the end of a matter.
    Done,
    /// With a human.
    Queued,
}

impl At {
    /// The word of the HTTP API.
    pub(crate) const fn state(self) -> TalkState {
        match self {
            Self::Idle => TalkState::Idle,
            Self::Done => TalkState::Done,
            Self::Queued => TalkState::QueuedHuman,
            Self::Asking(question) => match question {
                Question::Intent(_) => TalkState::ChooseIntent,
                Question::Address => TalkState::ChooseAlias,
                Question::TypeAddress | Question::MarketingAddress => TalkState::TypeAddress,
                Question::Code | Question::NewCode => TalkState::CodeSent,
                Question::ConfirmChange
                | Question::ConfirmErase
                | Question::ConfirmAddress
                | Question::ConfirmParts(_) => TalkState::Confirm,
                Question::Notice => TalkState::Notice,
                Question::Withdraw
                | Question::Object
                | Question::Ground
                | Question::Field
                | Question::NewValue
                | Question::Words
                | Question::Form
                | Question::OwnView
                | Question::Parts(_)
                | Question::Request => TalkState::Scope,
            },
        }
    }

    /// What the next message is to be, and whether nobody may log it; `choices` says whether any were sent.
    pub(crate) fn expects(self, choices: bool) -> Expect {
        let typed = |kind| Expect {
            kind,
            sensitive: true,
        };
        let plain = |kind| Expect {
            kind,
            sensitive: false,
        };
        match self {
            Self::Asking(Question::Code | Question::NewCode) => typed(ExpectKind::Code),
            Self::Asking(
                Question::TypeAddress
                | Question::MarketingAddress
                | Question::NewValue
                | Question::Words
                | Question::OwnView,
            ) => typed(ExpectKind::Text),
            _ if choices => plain(ExpectKind::Choice),
            _ => plain(ExpectKind::None),
        }
    }
}

/// In which form a copy is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Form {
    /// Everything (Art. 15), to read.
    Everything,
    /// What can be taken elsewhere (Art. 20), as JSON.
    Json,
    /// The same, as tables.
    Csv,
}

/// What a choice stands for. Only what stands in the vault says so: an id is random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Meaning {
    /// This intent, as a place in [`Intent::ALL`].
    Intent(u8),
    /// None of those offered.
    NoIntent,
    /// A code to the address in this field.
    Address(FieldId),
    /// To prove who one is some other way.
    AnotherWay,
    /// A new code.
    Again,
    /// Withdraw the consent to this purpose.
    Withdraw(u16),
    /// Object to this purpose.
    Object(u16),
    /// Restrict for this ground.
    Ground(RestrictionGround),
    /// Correct this field.
    Field(FieldId),
    /// Correct something that is no such field.
    OtherField,
    /// Change the value, as it was shown.
    Change,
    /// Do not.
    DoNotChange,
    /// Erase everything.
    Erase,
    /// Do not.
    Keep,
    /// A copy before that.
    CopyFirst,
    /// Prove who one is.
    Verify,
    /// Correct something.
    Correct,
    /// Where the privacy statement is.
    Statement,
    /// What was consented and objected to.
    Settings,
    /// A copy in this form.
    Form(Form),
    /// What was shown is enough.
    Enough,
    /// Nothing to add.
    NothingToAdd,
    /// Call this request off.
    CallOff(RequestId),
    /// Call none off.
    CallOffNone,
    /// Go on, having seen the notice.
    GoOn,
    /// Read more than the notice says.
    More,
    /// Do not go on.
    NoThanks,
    /// Erase some of it alone.
    SomeOfIt,
    /// Erase what is in this collection.
    Part(u16),
    /// No other collection.
    PartsDone,
    /// Erase those that were chosen.
    EraseParts,
}

/// A choice that was sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offered {
    /// Random, and good once.
    pub(crate) id: [u8; 16],
    pub(crate) means: Meaning,
}

/// What a reply expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expect {
    /// What the next message is to be.
    pub kind: ExpectKind,
    /// Whether a bot must neither log nor transcribe it.
    pub sensitive: bool,
}

/// A choice as it is sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// What comes back if it is chosen.
    pub id: String,
    /// What the person sees.
    pub label: String,
}

/// One message to the person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Plain text.
    pub text: String,
    /// What there is to choose from.
    pub choices: Vec<Choice>,
    /// A path of this server, or an address, that belongs to it.
    pub link: Option<String>,
}

/// What is answered to a turn.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnReply {
    /// Whether it was a matter of rights; if not, the bot goes on.
    pub handled: bool,
    /// Where the conversation stands.
    pub state: TalkState,
    /// What the person is told, in this order.
    pub messages: Vec<Message>,
    /// What is expected next.
    pub expect: Expect,
    /// The request that this is about.
    pub request: Option<RequestId>,
    /// Until when that is answered, `YYYY-MM-DD`.
    pub due: Option<String>,
    /// The language of the messages, BCP 47.
    pub language: String,
    /// Messages that waited for the notice and go to the bot now, by their names, the oldest first.
    pub replay: Vec<String>,
    /// What stands for the notice that somebody was shown who is not known.
    pub delivery: Option<String>,
}

impl TurnReply {
    /// Takes out all that is said and handed on: whoever sends the message again has nothing to do.
    fn silence(&mut self) {
        self.handled = true;
        self.messages = Vec::new();
        self.request = None;
        self.due = None;
        self.replay = Vec::new();
        self.delivery = None;
    }
}

/// Silent about what is said.
impl std::fmt::Debug for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Choice").finish_non_exhaustive()
    }
}

/// Silent about what is said.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("choices", &self.choices.len())
            .finish_non_exhaustive()
    }
}

/// Silent about what is said.
impl std::fmt::Debug for TurnReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TurnReply")
            .field("handled", &self.handled)
            .field("state", &self.state)
            .field("expect", &self.expect)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// A turn that was answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    /// SHA-256 of the message's id.
    pub(crate) message: [u8; 32],
    /// SHA-256 of what it said.
    pub(crate) content: [u8; 32],
    pub(crate) reply: TurnReply,
}

/// A conversation.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Talk {
    pub(crate) at: At,
    /// What it is about, as a place in [`Intent::ALL`].
    pub(crate) intent: Option<u8>,
    /// As a place in [`Language::ALL`].
    pub(crate) language: u8,
    /// How well it is known who talks, in this conversation.
    pub(crate) level: Level,
    /// The request that it made.
    pub(crate) request: Option<RequestId>,
    /// When that was asked for, in milliseconds.
    pub(crate) asked_at: i64,
    /// In which words; no more than a request keeps.
    pub(crate) words: String,
    /// The choices of the last message.
    pub(crate) choices: Vec<Offered>,
    pub(crate) challenge: Option<Challenge>,
    /// The field that is corrected.
    pub(crate) field: Option<FieldId>,
    /// What is to stand there, as it was typed.
    pub(crate) value: String,
    /// When codes were sent, in milliseconds: those of the last hour.
    pub(crate) sent: Vec<i64>,
    /// The last turns, oldest first.
    pub(crate) answered: Vec<Answered>,
    /// When it is over, in milliseconds.
    pub(crate) until: i64,
    /// How many turns were taken down: whoever prepared for another state of it begins again.
    pub(crate) turns: u32,
    /// The names of messages that wait for the notice, oldest first.
    pub(crate) held: Vec<String>,
    /// SHA-256 of the text of the notice that was shown last.
    pub(crate) shown: Option<[u8; 32]>,
    /// Whether a code that went to an address on file was typed in this very matter.
    pub(crate) coded: bool,
}

impl Talk {
    /// One that has not begun.
    pub(crate) fn new(language: Language, level: Level) -> Self {
        Self {
            at: At::Idle,
            intent: None,
            language: place(Language::ALL, language),
            level,
            request: None,
            asked_at: 0,
            words: String::new(),
            choices: Vec::new(),
            challenge: None,
            field: None,
            value: String::new(),
            sent: Vec::new(),
            answered: Vec::new(),
            until: 0,
            turns: 0,
            held: Vec::new(),
            shown: None,
            coded: false,
        }
    }

    /// Its language.
    pub(crate) fn language(&self) -> Language {
        one(Language::ALL, self.language).unwrap_or(Language::En)
    }

    /// Goes on in another.
    pub(crate) fn speak(&mut self, language: Language) {
        self.language = place(Language::ALL, language);
    }

    /// What it is about.
    pub(crate) fn intent(&self) -> Option<Intent> {
        one(Intent::ALL, self.intent?)
    }

    /// Leaves everything behind but who it is with, what was sent and what was answered.
    pub(crate) fn rest(&mut self, at: At) {
        self.at = at;
        self.choices = Vec::new();
        self.challenge = None;
        self.field = None;
        self.value = String::new();
    }

    /// Ends it, where its time is over.
    pub(crate) fn expire(&mut self, now: i64, level: Level) {
        self.sent.retain(|at| at.saturating_add(3_600_000) > now);
        if self.until <= now {
            self.forget(level);
        }
    }

    /// Leaves everything behind but its language, and when codes were sent.
    pub(crate) fn forget(&mut self, level: Level) {
        self.rest(At::Idle);
        self.intent = None;
        self.request = None;
        self.words = String::new();
        self.answered = Vec::new();
        self.held = Vec::new();
        self.shown = None;
        self.coded = false;
        self.level = level;
    }

    /// Leaves behind what was said in answers, and what was typed to be put in a field. That they were given stays:
    /// a message that comes again is not to be taken for a new one.
    pub(crate) fn silence(&mut self) {
        for one in &mut self.answered {
            one.reply.silence();
        }
        if !self.value.is_empty() {
            self.rest(At::Idle);
        }
        // A turn that was looked at before begins again.
        self.turns = self.turns.wrapping_add(1);
    }

    /// Has a message wait for the notice; of too many the oldest is dropped.
    pub(crate) fn hold(&mut self, message: &str) {
        self.held.push(message.to_owned());
        let over = self.held.len().saturating_sub(DIALOGUE_HELD_MAX);
        self.held.drain(..over);
    }

    /// What was answered to a message.
    pub(crate) fn answer_to(&self, message: &[u8; 32]) -> Option<&Answered> {
        self.answered.iter().find(|one| one.message == *message)
    }

    /// Remembers an answer; the oldest make room.
    pub(crate) fn remember(&mut self, answered: Answered) {
        self.answered.push(answered);
        let size = |one: &Answered| -> usize {
            let messages = one.reply.messages.iter();
            messages.map(|message| message.text.len() + 128).sum()
        };
        while self.answered.len() > DIALOGUE_ANSWERS_MAX
            || (self.answered.len() > 1
                && self.answered.iter().map(size).sum::<usize>() > DIALOGUE_ANSWERS_BYTES)
        {
            self.answered.remove(0);
        }
    }
}

/// Where a word stands in the list of all, which is what is stored.
pub(crate) fn place<T: PartialEq>(all: &[T], one: T) -> u8 {
    let at = all.iter().position(|known| *known == one);
    at.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
}

/// The word at a place.
pub(crate) fn one<T: Copy>(all: &[T], place: u8) -> Option<T> {
    all.get(usize::from(place)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str) -> TurnReply {
        TurnReply {
            handled: true,
            state: TalkState::Done,
            messages: vec![Message {
                text: text.into(),
                choices: Vec::new(),
                link: None,
            }],
            expect: At::Done.expects(false),
            request: None,
            due: None,
            language: "en".into(),
            replay: Vec::new(),
            delivery: None,
        }
    }

    #[test]
    fn the_newest_answers_are_remembered_by_number_and_by_length() {
        let mut talk = Talk::new(Language::En, Level::L1);
        let answered = |number: u8, text: &str| Answered {
            message: [number; 32],
            content: [0; 32],
            reply: reply(text),
        };
        for number in 0..=u8::try_from(DIALOGUE_ANSWERS_MAX).unwrap() {
            talk.remember(answered(number, "short"));
        }
        assert!(talk.answer_to(&[0; 32]).is_none());
        assert!(talk.answer_to(&[1; 32]).is_some());
        talk.remember(answered(99, &"long".repeat(DIALOGUE_ANSWERS_BYTES)));
        assert_eq!(talk.answered.len(), 1);
        assert!(talk.answer_to(&[99; 32]).is_some(), "the newest stays");
    }

    #[test]
    fn a_conversation_ends_with_its_time_and_not_before() {
        let mut talk = Talk::new(Language::Fr, Level::L1);
        talk.at = At::Asking(Question::ConfirmErase);
        (talk.level, talk.until, talk.sent) = (Level::L2, 1_000, vec![0]);
        let mut before = talk.clone();
        before.expire(999, Level::L1);
        assert!(before == talk, "a moment before");
        talk.expire(1_000, Level::L1);
        assert_eq!((talk.at, talk.level), (At::Idle, Level::L1));
        assert_eq!(talk.sent, [0], "codes are counted for an hour");
        talk.expire(3_600_000, Level::L1);
        assert!(talk.sent.is_empty());
    }
}
