//! What the page remembers: who somebody is, what was said, what is sent next.
//!
//! Knows neither HTTP nor pages. Nothing of it is on any disk.

use std::collections::VecDeque;

use vault_core::dialogue::Language;
use vault_core::entropy::Entropy;
use zeroize::Zeroizing;

use super::mail::Letter;
use super::seed::{self, Invented};
use crate::failure::Failure;
use crate::talk::{self, Answer, Choice, Said, Who};

/// Lines of a conversation that the page keeps; the oldest go first.
pub(super) const LINES_MAX: usize = 200;
/// Letters that it keeps.
const LETTERS_MAX: usize = 10;
/// Longest message that the page takes, in characters.
pub(super) const TEXT_CHARACTERS_MAX: usize = 2_000;

/// Whom the person before the page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persona {
    /// The invented person, of whom the vault has data.
    Invented,
    /// Somebody whom it does not know.
    Unknown,
}

impl Persona {
    pub(super) const ALL: [Self; 2] = [Self::Invented, Self::Unknown];

    /// As forms have it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Invented => "invented",
            Self::Unknown => "unknown",
        }
    }
}

/// As the channel calls somebody whom the vault does not know.
const UNKNOWN: &str = "somebody";

/// A line of a conversation.
pub(super) enum Line {
    /// What the person wrote, or the label that they took.
    Person(String),
    /// They wrote what is not to be transcribed.
    Hidden,
    Answer(Answer),
    /// No answer came.
    Trouble {
        what: String,
        help: String,
    },
    /// Something happened beside the conversation.
    Note(&'static str),
}

impl Line {
    fn of(failure: Failure) -> Self {
        Self::Trouble {
            what: failure.what,
            help: failure.help,
        }
    }
}

/// A message that was made.
#[derive(Clone)]
pub(super) struct Sent {
    name: String,
    choice: bool,
    what: Zeroizing<String>,
}

impl Sent {
    pub(super) fn said(&self) -> Said<'_> {
        match self.choice {
            true => Said::Choice(&self.what),
            false => Said::Text(&self.what),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// One conversation.
pub(super) struct Talk {
    /// Its name on the channel.
    conversation: String,
    pub(super) lines: VecDeque<Line>,
    /// What can be chosen now.
    pub(super) choices: Vec<Choice>,
    /// Whether the next message is a code, an address or a value.
    pub(super) hidden: bool,
    pub(super) wants_code: bool,
    /// What was not answered.
    pub(super) unanswered: Option<Sent>,
}

impl Talk {
    fn new(entropy: &mut dyn Entropy) -> Self {
        Self {
            conversation: talk::conversation_name(entropy),
            lines: VecDeque::new(),
            choices: Vec::new(),
            hidden: false,
            wants_code: false,
            unanswered: None,
        }
    }

    fn push(&mut self, line: Line) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

/// What a form brings.
pub(super) enum Wish {
    Text(String),
    Choice(String),
    /// The message that was not answered.
    Again,
}

/// Everything that the page shows.
pub(super) struct Stage {
    entropy: Box<dyn Entropy>,
    /// The invented person, as the channel calls them; nobody, where there is none.
    invented: Option<String>,
    pub(super) persona: Persona,
    pub(super) language: Language,
    /// Whether others read along.
    pub(super) group: bool,
    /// Of the personas in [`Persona::ALL`].
    talks: [Talk; 2],
    pub(super) letters: VecDeque<Letter>,
    /// The name of the next message: a form that has another is from an earlier page.
    pub(super) next: String,
}

impl Stage {
    pub(super) fn new(mut entropy: Box<dyn Entropy>, invented: Option<String>) -> Self {
        Self {
            persona: match invented {
                Some(_) => Persona::Invented,
                None => Persona::Unknown,
            },
            invented,
            language: Language::En,
            group: false,
            talks: [Talk::new(&mut *entropy), Talk::new(&mut *entropy)],
            letters: VecDeque::new(),
            next: talk::message_name(&mut *entropy),
            entropy,
        }
    }

    /// Who can be chosen.
    pub(super) fn personas(&self) -> &'static [Persona] {
        match self.invented {
            Some(_) => &Persona::ALL,
            None => &[Persona::Unknown],
        }
    }

    /// The conversation that is shown.
    pub(super) fn talk(&self) -> &Talk {
        &self.talks[self.persona as usize]
    }

    fn talk_of(&mut self, persona: Persona) -> &mut Talk {
        &mut self.talks[persona as usize]
    }

    /// What is to be sent, if the form is that of the page as it is now and there is something to send.
    pub(super) fn begin(&mut self, message: &str, wish: Wish) -> Option<(Persona, Who, Sent)> {
        let persona = self.persona;
        let sent = match wish {
            Wish::Again => self.talk_of(persona).unanswered.clone()?,
            Wish::Text(_) | Wish::Choice(_) if message != self.next => return None,
            Wish::Text(text) => {
                let text: String = text.trim().chars().take(TEXT_CHARACTERS_MAX).collect();
                if text.is_empty() {
                    return None;
                }
                let talk = self.talk_of(persona);
                talk.push(match talk.hidden {
                    true => Line::Hidden,
                    false => Line::Person(text.clone()),
                });
                self.made(text, false)
            }
            Wish::Choice(id) => {
                let talk = self.talk_of(persona);
                let label = talk.choices.iter().find(|choice| choice.id == id);
                let label = label.map(|choice| choice.label.clone())?;
                talk.push(Line::Person(label));
                self.made(id, true)
            }
        };
        let who = Who {
            channel: seed::CHANNEL.into(),
            user: match (persona, &self.invented) {
                (Persona::Invented, Some(user)) => user.clone(),
                (Persona::Invented | Persona::Unknown, _) => UNKNOWN.to_owned(),
            },
            conversation: Some(self.talk().conversation.clone()),
            locale: Some(self.language.name().into()),
            private: !self.group,
        };
        Some((persona, who, sent))
    }

    fn made(&mut self, what: String, choice: bool) -> Sent {
        let next = talk::message_name(&mut *self.entropy);
        Sent {
            name: std::mem::replace(&mut self.next, next),
            choice,
            what: Zeroizing::new(what),
        }
    }

    /// Takes what became of a message.
    pub(super) fn heard(&mut self, persona: Persona, sent: Sent, came: Result<Answer, Failure>) {
        let talk = self.talk_of(persona);
        talk.unanswered = None;
        match came {
            Ok(answer) => {
                // What is no matter of rights leaves the choices open.
                if answer.handled() {
                    talk.choices = answer.choices();
                }
                talk.hidden = answer.sensitive();
                talk.wants_code = answer.wants_code();
                talk.push(Line::Answer(answer));
            }
            Err(failure) => {
                if talk::worth_another_try(&failure) {
                    talk.unanswered = Some(sent);
                }
                talk.push(Line::of(failure));
            }
        }
    }

    /// Somebody else, another language, or others beside them.
    pub(super) fn set(&mut self, persona: Persona, language: Language, group: bool) {
        if self.personas().contains(&persona) {
            self.persona = persona;
        }
        if group != self.group {
            let note = match group {
                true => "From here on others read along.",
                false => "From here on nobody else reads along.",
            };
            self.note(note);
        }
        self.language = language;
        self.group = group;
    }

    /// Another conversation on the channel.
    pub(super) fn anew(&mut self) {
        let talk = Talk::new(&mut *self.entropy);
        *self.talk_of(self.persona) = talk;
    }

    /// The invented person is there, and may be somebody new.
    pub(super) fn is_there(&mut self, invented: Invented) {
        self.invented = Some(invented.user);
        self.persona = Persona::Invented;
        if invented.made {
            self.anew();
            self.note("Mila Example is back: somebody new, as far as the vault can tell.");
        } else {
            self.note("Mila Example is here already.");
        }
    }

    pub(super) fn note(&mut self, note: &'static str) {
        self.talk_of(self.persona).push(Line::Note(note));
    }

    /// Something beside the conversation failed.
    pub(super) fn trouble(&mut self, failure: Failure) {
        self.talk_of(self.persona).push(Line::of(failure));
    }

    /// A letter came, perhaps again.
    pub(super) fn take(&mut self, letter: Letter) {
        if self
            .letters
            .iter()
            .any(|known| known.sending == letter.sending)
        {
            return;
        }
        if self.letters.len() == LETTERS_MAX {
            self.letters.pop_back();
        }
        self.letters.push_front(letter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;
    use serde_json::json;
    use vault_core::entropy::SeededEntropy;

    fn stage() -> Stage {
        Stage::new(Box::new(SeededEntropy::new(1)), Some("demo".into()))
    }

    fn answer(value: serde_json::Value) -> Answer {
        talk::relay(&json!({}), |_| Ok(value.clone())).ok().unwrap()
    }

    fn say(stage: &mut Stage, text: &str) -> Option<(Persona, Who, Sent)> {
        let next = stage.next.clone();
        stage.begin(&next, Wish::Text(text.into()))
    }

    #[test]
    fn a_form_is_good_once_and_what_nobody_offered_is_not_sent() {
        let mut stage = stage();
        let name = stage.next.clone();
        let (persona, who, sent) = say(&mut stage, " delete me ").unwrap();
        assert_eq!((sent.name(), who.private), (&*name, true));
        assert!(matches!(sent.said(), Said::Text("delete me")));
        // The same form once more, by a second click.
        assert!(stage.begin(&name, Wish::Text("delete me".into())).is_none());
        let offered = json!({"handled": true, "messages": [{"text": "?", "choices": [{"id": "c_1", "label": "Keep"}]}]});
        stage.heard(persona, sent, Ok(answer(offered)));
        let next = stage.next.clone();
        assert!(stage.begin(&next, Wish::Choice("c_2".into())).is_none());
        assert!(stage.begin(&next, Wish::Text("  ".into())).is_none());
        let (_, _, sent) = stage.begin(&next, Wish::Choice("c_1".into())).unwrap();
        assert!(matches!(sent.said(), Said::Choice("c_1")));
        assert!(matches!(stage.talk().lines.back(), Some(Line::Person(label)) if label == "Keep"));
    }

    #[test]
    fn what_is_sensitive_is_not_transcribed() {
        let mut stage = stage();
        let (persona, _, sent) = say(&mut stage, "delete me").unwrap();
        let asks =
            json!({"handled": true, "messages": [], "expect": {"kind": "code", "sensitive": true}});
        stage.heard(persona, sent, Ok(answer(asks)));
        let (persona, _, sent) = say(&mut stage, "402913").unwrap();
        assert!(matches!(stage.talk().lines.back(), Some(Line::Hidden)));
        stage.heard(persona, sent, Ok(answer(json!({"handled": true}))));
        say(&mut stage, "thank you").unwrap();
        assert!(matches!(stage.talk().lines.back(), Some(Line::Person(_))));
    }

    #[test]
    fn what_was_not_answered_is_sent_again_under_the_same_name() {
        let mut stage = stage();
        let (persona, _, sent) = say(&mut stage, "delete me").unwrap();
        let name = sent.name().to_owned();
        let away = |code: &str| Failure::new(Exit::Failed, code, "no", "nothing");
        stage.heard(persona, sent, Err(away("unreachable")));
        let (_, _, again) = stage.begin("", Wish::Again).expect("it waits");
        assert_eq!(again.name(), name);
        stage.heard(persona, again, Err(away("role_denied")));
        assert!(stage.begin("", Wish::Again).is_none(), "no try mends that");
    }

    #[test]
    fn whoever_is_made_anew_is_somebody_else_in_another_conversation() {
        let mut stage = stage();
        let (_, before, _) = say(&mut stage, "delete me").unwrap();
        let there = |user: &str, made| Invented {
            user: user.into(),
            made,
        };
        stage.is_there(there("demo", false));
        assert_eq!(stage.talk().lines.len(), 2, "what was said stays");
        stage.is_there(there("demo-2", true));
        let (_, after, _) = say(&mut stage, "delete me").unwrap();
        assert_eq!((&*before.user, &*after.user), ("demo", "demo-2"));
        assert_ne!(before.conversation, after.conversation);
        let mut nobody = Stage::new(Box::new(SeededEntropy::new(1)), None);
        nobody.set(Persona::Invented, Language::De, false);
        assert_eq!(nobody.persona, Persona::Unknown, "there is no such person");
    }

    #[test]
    fn a_conversation_keeps_its_newest_lines_and_a_letter_that_comes_again_stands_once() {
        let mut stage = stage();
        for _ in 0..=LINES_MAX {
            stage.note("x");
        }
        assert_eq!(stage.talk().lines.len(), LINES_MAX);
        for number in (0..=LETTERS_MAX).flat_map(|number| [number, number]) {
            stage.take(Letter {
                sending: number.to_string(),
                address: "mila@example.test".into(),
                text: String::new(),
                code: String::new(),
            });
        }
        assert_eq!(stage.letters.len(), LETTERS_MAX);
        assert_eq!(
            stage.letters.front().unwrap().sending,
            LETTERS_MAX.to_string()
        );
        let before = stage.talk().conversation.clone();
        stage.anew();
        assert!(stage.talk().lines.is_empty() && stage.talk().conversation != before);
    }
}
