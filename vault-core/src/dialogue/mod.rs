//! What a person wants of their rights, said in their own words.
//!
//! Recognition goes by likeness to lists of phrases, a file a language (`phrases/`): the same text is
//! understood alike for ever, and no model of language decides what happens to a person's data. Whoever
//! is understood is asked before anything happens; who is not goes on to the bot. How well it
//! understands, and whom it does not: docs/dialogue.md. Decision 0023.
//!
//! Knows nothing of people, requests or what follows.

mod controls;
mod features;
mod language;
mod learning;
mod likeness;
mod lists;
mod words;

pub use controls::{Control, control};
pub use language::Language;

use crate::schema::words::words;

words! {
    /// What somebody wants of their rights. The names are those of the HTTP API.
    pub enum Intent {
        /// To see what is held (Art. 15).
        Access = "access",
        /// To know why, on what ground and for how long (Art. 13 to 15).
        Why = "why",
        /// To know who received data (Art. 15(1)(c), 19).
        Recipients = "recipients",
        /// To have something put right (Art. 16).
        Correct = "correct",
        /// To have data erased (Art. 17).
        Erase = "erase",
        /// To have data kept but not used (Art. 18).
        Restrict = "restrict",
        /// No more advertising (Art. 21(3)).
        StopMarketing = "stop_marketing",
        /// To object to another use (Art. 21(1)).
        Object = "object",
        /// To withdraw a consent (Art. 7(3)).
        Withdraw = "withdraw",
        /// To see what was consented to.
        Choices = "choices",
        /// To take data along (Art. 20).
        Download = "download",
        /// A person to look at a decision (Art. 22(3)).
        HumanDecision = "human_decision",
        /// How a request stands (Art. 12(3)).
        Status = "status",
        /// To call a request off.
        CancelRequest = "cancel_request",
        /// To complain (Art. 77).
        Complain = "complain",
    }
}

/// As many intents as a person is given to choose from.
pub const INTENTS_MAX: usize = 3;

/// What was understood of a text, and in which language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Understood {
    /// The language that the text is in, as far as it was understood.
    pub language: Language,
    /// What it asks for, the likeliest first: one to [`INTENTS_MAX`].
    pub intents: Vec<Intent>,
}

/// What a text in `language` asks for, the likeliest first: at most [`INTENTS_MAX`], none where it is
/// no matter of rights, one where nothing else comes near.
///
/// Looks at the first [`ASKED_CHARACTERS_MAX`](crate::limits::ASKED_CHARACTERS_MAX) characters and
/// [`ASKED_WORDS_MAX`](crate::limits::ASKED_WORDS_MAX) words: who asks for something does so at once.
/// The first text of a language takes a tenth of a second more.
#[must_use]
pub fn recognise(language: Language, text: &str) -> Vec<Intent> {
    let words = words::sentences(text);
    language.likeness().judge(&words)
}

/// What a text asks for, in whichever language: people do not always write in that of the channel.
///
/// `expected` is the language of the channel or of the conversation so far, if it is known. It goes
/// first; then the language most of whose words the text has. `None` where it is no matter of rights
/// in either.
#[must_use]
pub fn understand(expected: Option<Language>, text: &str) -> Option<Understood> {
    let words = words::sentences(text);
    let spoken = language::spoken(expected, &words);
    let tried = [expected, spoken.filter(|spoken| Some(*spoken) != expected)];
    tried.into_iter().flatten().find_map(|language| {
        let intents = language.likeness().judge(&words);
        (!intents.is_empty()).then_some(Understood { language, intents })
    })
}

#[cfg(test)]
mod tests;
