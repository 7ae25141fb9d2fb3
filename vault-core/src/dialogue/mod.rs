//! What a person wants of their rights, said in their own words.
//!
//! Recognition goes by likeness to lists of phrases, a file a language (`phrases/`): the same text is
//! understood alike for ever, and no model of language decides what happens to a person's data. Whoever
//! is understood is asked before anything happens; who is not goes on to the bot.
//!
//! Knows nothing of people, requests or what follows.

mod likeness;
mod lists;
mod words;

use std::sync::OnceLock;

use crate::schema::words::words;
use likeness::Likeness;
use lists::Lists;

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

/// A language that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Language {
    tag: &'static str,
    lists: &'static str,
}

const LANGUAGES: [Language; 8] = [
    language("de", include_str!("phrases/de.txt")),
    language("en", include_str!("phrases/en.txt")),
    language("es", include_str!("phrases/es.txt")),
    language("fr", include_str!("phrases/fr.txt")),
    language("it", include_str!("phrases/it.txt")),
    language("nl", include_str!("phrases/nl.txt")),
    language("pl", include_str!("phrases/pl.txt")),
    language("pt", include_str!("phrases/pt.txt")),
];

const fn language(tag: &'static str, lists: &'static str) -> Language {
    Language { tag, lists }
}

/// The index of `tag` (BCP 47) among the languages, by its first part.
fn index_of(tag: &str) -> Option<usize> {
    let primary = tag.split(['-', '_']).next()?;
    LANGUAGES
        .iter()
        .position(|language| primary.eq_ignore_ascii_case(language.tag))
}

/// How phrases of a language are told apart: made when somebody first speaks it, in a tenth of a second.
fn likeness(index: usize) -> &'static Likeness {
    static MADE: [OnceLock<Likeness>; LANGUAGES.len()] = [const { OnceLock::new() }; LANGUAGES.len()];
    MADE[index].get_or_init(|| Likeness::of(&Lists::parse(LANGUAGES[index].lists)))
}

/// What a text asks for, the likeliest first: at most [`INTENTS_MAX`], none where it is no matter of
/// rights, one where nothing else comes near.
///
/// `language` is a BCP 47 tag; in one that is not understood nothing is.
#[must_use]
pub fn recognise(language: &str, text: &str) -> Vec<Intent> {
    let index = index_of(language);
    index.map_or_else(Vec::new, |index| likeness(index).judge(text))
}

/// As many intents as a person is given to choose from.
pub const INTENTS_MAX: usize = 3;

#[cfg(test)]
mod tests;
