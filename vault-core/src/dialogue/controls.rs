//! Words that work at every point of a conversation: to leave it, to be helped, to speak to a person, to
//! say yes or no, to go on in another language.
//!
//! They are short and exact: a sentence with "no" in it is no "no". No form means two things in two
//! languages, so that each works whatever language the conversation is in.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Language;
use super::lists::Lists;
use super::words::words;

/// What works at every point of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// To leave the conversation; nothing that was not confirmed happens.
    Cancel,
    /// To be told what can be said.
    Help,
    /// To speak to a person.
    Human,
    /// To go on in another language.
    Language(Language),
    /// No.
    No,
    /// Yes. Never enough for what cannot be undone: that takes the choice that was sent.
    Yes,
}

impl Control {
    /// The control of a section `control.NAME`; languages are `control.language.TAG`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "cancel" => Self::Cancel,
            "help" => Self::Help,
            "human" => Self::Human,
            "no" => Self::No,
            "yes" => Self::Yes,
            _ => Self::Language(Language::parse(name.strip_prefix("language.")?)?),
        })
    }
}

/// Every form of every language.
pub(super) fn forms() -> impl Iterator<Item = (Control, String)> {
    let files = Language::ALL.iter().map(|language| language.phrases());
    files.flat_map(|phrases| Lists::parse(phrases).controls)
}

/// What a text is, if it is one of the words that always work and nothing else; case, accents and
/// punctuation say nothing.
///
/// Meant for the turns of a conversation that is open: "stop" before one may ask for no more advertising.
#[must_use]
pub fn control(text: &str) -> Option<Control> {
    static FORMS: LazyLock<HashMap<String, Control>> =
        LazyLock::new(|| forms().map(|(control, form)| (form, control)).collect());
    FORMS.get(&words(text).join(" ")).copied()
}
