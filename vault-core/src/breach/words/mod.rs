//! The words of drafts, one file a language.
//!
//! `{name}` stands for a text that is filled in, `⟦…⟧` for what a person has to write. Each language has
//! every text, or the crate does not compile.

mod de;
mod en;
mod es;
mod fr;
mod it;
mod nl;
mod pl;
mod pt;

/// The texts of one language.
pub(super) struct Words {
    /// What the draft was made from, and what is left to do: `{date}`.
    pub(super) draft: &'static str,
    /// Title of the notification of an authority.
    pub(super) notification: &'static str,
    /// Since when the controller is aware: `{date}`.
    pub(super) aware: &'static str,
    /// Until when the authority is to be told: `{date}`.
    pub(super) due: &'static str,
    /// Blank: when the controller became aware.
    pub(super) write_aware: &'static str,
    /// Blank: why it is late.
    pub(super) write_late: &'static str,
    /// Heading, with its article.
    pub(super) nature: &'static str,
    /// By which vector: API key, role, session, recipient, backup, key, files; `{name}` says which.
    pub(super) vectors: [&'static str; 7],
    /// `{from}`, `{to}`.
    pub(super) window: &'static str,
    /// Only ciphertext was got.
    pub(super) ciphertext: &'static str,
    /// Blank: what happened.
    pub(super) write_nature: &'static str,
    /// Heading: how many people and which data.
    pub(super) numbers: &'static str,
    /// `{people}`.
    pub(super) people: &'static str,
    /// `{number}` entries about people erased since.
    pub(super) erased: &'static str,
    /// `{number}` people of whom rows do not open.
    pub(super) damaged: &'static str,
    /// `{reads}`, `{writes}`, `{first}`, `{last}`.
    pub(super) calls: &'static str,
    /// `{calls}`, `{records}`.
    pub(super) bulk: &'static str,
    /// That the categories are what people may have.
    pub(super) at_most: &'static str,
    /// Marks special data.
    pub(super) special: &'static str,
    /// Nothing of that.
    pub(super) none: &'static str,
    /// Heading: contact.
    pub(super) contact: &'static str,
    /// Heading: consequences.
    pub(super) consequences: &'static str,
    /// Blank: consequences.
    pub(super) write_consequences: &'static str,
    /// Heading: measures.
    pub(super) measures: &'static str,
    /// Blank: measures.
    pub(super) write_measures: &'static str,
    /// Title of a letter: `{controller}`.
    pub(super) letter: &'static str,
    /// Its first line.
    pub(super) hello: &'static str,
    /// What happened, in plain words: `{from}`, `{to}`.
    pub(super) plain: &'static str,
    /// Heading.
    pub(super) which_data: &'static str,
    /// Heading.
    pub(super) what_it_means: &'static str,
    /// Heading.
    pub(super) what_we_did: &'static str,
    /// Blank: what the person can do.
    pub(super) write_advice: &'static str,
    /// `{contact}`.
    pub(super) ask_us: &'static str,
    /// That no letter may be needed.
    pub(super) not_needed: &'static str,
}

/// The words for a language tag of the statement's phrases.
pub(super) fn of(tag: &str) -> Option<&'static Words> {
    Some(match tag {
        "de" => &de::WORDS,
        "en" => &en::WORDS,
        "es" => &es::WORDS,
        "fr" => &fr::WORDS,
        "it" => &it::WORDS,
        "nl" => &nl::WORDS,
        "pl" => &pl::WORDS,
        "pt" => &pt::WORDS,
        _ => return None,
    })
}
