//! A message as a bot relays it, checked, and what a turn came to.

use super::super::input::{self, check_text};
use crate::crypto::sha256;
use crate::dialogue::{Intent, Language};
use crate::limits::{DIALOGUE_NAME_BYTES_MAX, DIALOGUE_TEXT_BYTES_MAX};
use crate::policy::Policy;
use crate::refusal::{InputError, Refusal};
use crate::talk::TurnReply;
use crate::verification::AddressKind;
use crate::verification::CodeToSend;

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
    /// The kinds of addresses that codes reach; none where nobody sends any.
    pub sends: Vec<AddressKind>,
    /// Whether there is somewhere to pick a copy up with a link.
    pub links: bool,
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
pub(super) fn clip(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What stands for the name of a message.
pub(super) fn name_of(message: &str) -> [u8; 32] {
    sha256(&[b"message", message.as_bytes()])
}

impl TurnInput {
    pub(super) fn check(&self) -> Result<(), Refusal> {
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
    pub(super) fn name(&self) -> [u8; 32] {
        name_of(&self.message)
    }

    /// What stands for what it says.
    pub(super) fn content(&self) -> [u8; 32] {
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

    pub(super) fn spoken(&self) -> Option<Language> {
        self.locale.as_deref().and_then(Language::of_tag)
    }

    /// The language that a conversation begins in.
    pub(super) fn first_language(&self, policy: &Policy) -> Language {
        let tags = policy.controller().languages.iter();
        let mut known = tags.filter_map(|tag| Language::of_tag(tag));
        self.spoken()
            .or_else(|| known.next())
            .unwrap_or(Language::En)
    }
}
