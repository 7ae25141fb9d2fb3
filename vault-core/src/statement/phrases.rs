//! The fixed phrases of the statement, one set a language.
//!
//! A set is a constant of a struct without defaults: a phrase that is missing in one language does
//! not compile. In a template, `{…}` stands for what its comment names. Knows no policy.

use super::language;
use crate::policy::{
    Anchor, LawfulBasis, LogMode, Necessity, Origin, SafeguardKind, SpecialCategory,
};
use crate::schema::FieldType;

/// A unit of time: one, a few, many. Which form a number takes is [`Phrases::plural`]'s matter.
pub(super) type Unit = [&'static str; 3];

/// How a language counts. Source: Unicode CLDR plural rules, for whole numbers from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plural {
    /// 1, and all others.
    One,
    /// 1; 2 to 4, 22 to 24, …; all others.
    Polish,
}

impl Plural {
    pub(super) const fn form(self, number: u32) -> usize {
        match (self, number) {
            (_, 1) => 0,
            (Self::One, _) => 2,
            (Self::Polish, _) => match (number % 10, number % 100) {
                (2..=4, 0..=11 | 15..) => 1,
                _ => 2,
            },
        }
    }
}

/// A right of the person: its name, and what it comes to.
pub(super) type RightWords = (&'static str, &'static str);

macro_rules! categories {
    ($($field:ident = $path:literal),+ $(,)?) => {
        /// Words for data categories, whose paths are those of fideslang.
        pub(super) struct Categories { $(pub(super) $field: &'static str),+ }

        impl Categories {
            #[cfg(test)]
            pub(super) const PATHS: &'static [&'static str] = &[$($path),+];

            fn exactly(&self, path: &str) -> Option<&'static str> {
                match path {
                    $($path => Some(self.$field),)+
                    _ => None,
                }
            }
        }
    };
}

categories! {
    account = "user.account",
    account_number = "user.financial.account_number",
    address = "user.contact.address",
    behavior = "user.behavior",
    biometric = "user.biometric",
    birth = "user.demographic.date_of_birth",
    children = "user.childrens",
    contact = "user.contact",
    content = "user.content",
    correspondence = "user.correspondence",
    credit_card = "user.financial.credit_card",
    demographic = "user.demographic",
    device = "user.device",
    email = "user.contact.email",
    financial = "user.financial",
    gender = "user.demographic.gender",
    government_id = "user.government_id",
    health = "user.health_and_medical",
    ip_address = "user.device.ip_address",
    job = "user.job_title",
    language = "user.demographic.language",
    location = "user.location",
    name = "user.name",
    payment = "user.payment",
    phone = "user.contact.phone_number",
    preferences = "user.privacy_preferences",
    social = "user.social",
    unique_id = "user.unique_id",
    workplace = "user.workplace",
}

/// Everything that a statement says besides the policy's own words.
#[derive(Debug)]
pub struct Phrases {
    /// The language, ISO 639-1.
    pub tag: &'static str,
    /// Its name in itself.
    pub endonym: &'static str,
    /// Heading of the whole.
    pub title: &'static str,
    /// What it is.
    pub lead: &'static str,
    /// Heading: who is responsible.
    pub responsible: &'static str,
    /// Label of the postal address.
    pub address: &'static str,
    /// Label of the contact.
    pub contact: &'static str,
    /// Label of the data protection officer.
    pub officer: &'static str,
    /// Label of the country.
    pub country: &'static str,
    /// Label of the supervisory authority.
    pub authority: &'static str,
    /// Heading: purposes.
    pub purposes: &'static str,
    /// Label of the lawful basis.
    pub basis: &'static str,
    /// Label of the legitimate interests.
    pub interests: &'static str,
    /// Label of the data.
    pub data: &'static str,
    /// Label of the recipients.
    pub recipients: &'static str,
    /// Where the policy names no recipient.
    pub nobody: &'static str,
    /// Label of the retention.
    pub retention: &'static str,
    /// Heading: rights.
    pub rights: &'static str,
    /// How to use them; `{contact}`.
    pub exercise: &'static str,
    /// Heading: complaint.
    pub complaint: &'static str,
    /// To whom; `{authority}`.
    pub complain_to: &'static str,
    /// Where no authority is named, or besides.
    pub complain: &'static str,
    /// That a request is refused; `{date}`, `{right}`, `{reason}`.
    pub(super) refused: &'static str,
    /// Under which law; `{law}`.
    pub(super) refused_law: &'static str,
    /// That courts are open.
    pub(super) court: &'static str,
    /// That an answer takes longer; `{date}`, `{right}`, `{because}`, `{due}`.
    pub(super) extended: &'static str,
    pub(super) because_complex: &'static str,
    pub(super) because_number: &'static str,
    /// Heading: automated decisions.
    pub automated: &'static str,
    /// That the policy lists none.
    pub none_automated: &'static str,
    /// What holds of those that it lists.
    pub some_automated: &'static str,
    /// Label of the logic of a decision.
    pub decision_logic: &'static str,
    /// Label of what it means for the person.
    pub decision_meaning: &'static str,
    /// Which policy; `{version}` and `{date}`.
    pub version: &'static str,
    /// Label of the other languages.
    pub other_languages: &'static str,
    /// Marks a recipient outside the EEA.
    pub outside_eea: &'static str,
    /// Heading of the records of processing.
    pub record_title: &'static str,
    /// Heading of what the policy does not say.
    pub missing: &'static str,
    /// Instead of the statement, while it cannot be read.
    pub unavailable: &'static str,
    pub(super) bases: [&'static str; LawfulBasis::ALL.len()],
    pub(super) safeguards: [&'static str; SafeguardKind::ALL.len()],
    /// How long data stay: without a period, and with one; `{period}`, `{date}`.
    pub(super) anchors: [(&'static str, &'static str); Anchor::ALL.len()],
    /// A limit; `{period}`.
    pub(super) at_most: &'static str,
    pub(super) necessities: [&'static str; Necessity::ALL.len()],
    pub(super) sources: [&'static str; Origin::ALL.len()],
    pub(super) special: [&'static str; SpecialCategory::ALL.len()],
    pub(super) categories: Categories,
    /// Logs: their heading, what becomes of personal data in one, and for how long a line is kept; `{period}`.
    pub(super) logs: (
        &'static str,
        [&'static str; LogMode::ALL.len()],
        &'static str,
    ),
    /// The suppression list: what it is for, what is on it, how long.
    pub(super) suppression: (&'static str, &'static str, &'static str),
    /// Types of fields that no category says more of.
    pub(super) text: &'static str,
    pub(super) date: &'static str,
    pub(super) number: &'static str,
    pub(super) yes_or_no: &'static str,
    pub(super) files: &'static str,
    pub(super) structured: &'static str,
    pub(super) plate: &'static str,
    pub(super) identifier: &'static str,
    pub(super) access: RightWords,
    pub(super) rectification: RightWords,
    pub(super) erasure: RightWords,
    pub(super) restriction: RightWords,
    pub(super) portability: RightWords,
    pub(super) objection: RightWords,
    pub(super) marketing: RightWords,
    pub(super) withdrawal: RightWords,
    pub(super) human_review: RightWords,
    // What the policy does not say; `{name}` where one of several lacks it.
    pub(super) no_address: &'static str,
    pub(super) no_officer: &'static str,
    pub(super) no_authority: &'static str,
    pub(super) no_representatives: &'static str,
    pub(super) no_people: &'static str,
    pub(super) no_measures: &'static str,
    pub(super) no_interests: &'static str,
    pub(super) no_category: &'static str,
    pub(super) no_phrases: &'static str,
    pub(super) plural: Plural,
    /// Years, months, weeks, days, hours, minutes, seconds.
    pub(super) units: [Unit; 7],
    pub(super) and: &'static str,
}

impl std::fmt::Debug for Categories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Categories")
    }
}

/// Every language that there are phrases of.
pub const ALL: [&Phrases; 8] = [
    &language::de::PHRASES,
    &language::en::PHRASES,
    &language::es::PHRASES,
    &language::fr::PHRASES,
    &language::it::PHRASES,
    &language::nl::PHRASES,
    &language::pl::PHRASES,
    &language::pt::PHRASES,
];

impl Phrases {
    /// The right to object to direct marketing: its name, and what it comes to.
    #[must_use]
    pub const fn marketing(&self) -> (&'static str, &'static str) {
        self.marketing
    }

    /// The phrases for a language tag, by its primary part: `de-AT` gets those of `de`.
    #[must_use]
    pub fn of(tag: &str) -> Option<&'static Self> {
        let primary = tag.split('-').next().unwrap_or_default();
        ALL.into_iter()
            .find(|phrases| phrases.tag.eq_ignore_ascii_case(primary))
    }

    pub(super) fn basis(&self, basis: LawfulBasis) -> &'static str {
        self.bases[at(LawfulBasis::ALL, &basis)]
    }

    pub(super) fn safeguard(&self, kind: SafeguardKind) -> &'static str {
        self.safeguards[at(SafeguardKind::ALL, &kind)]
    }

    /// The heading of logs.
    #[must_use]
    pub fn logs(&self) -> &'static str {
        self.logs.0
    }

    pub(super) fn log(&self, mode: LogMode) -> &'static str {
        self.logs.1[at(LogMode::ALL, &mode)]
    }

    pub(super) fn anchor(&self, anchor: Anchor) -> (&'static str, &'static str) {
        self.anchors[at(Anchor::ALL, &anchor)]
    }

    pub(super) fn necessity(&self, necessity: Necessity) -> &'static str {
        self.necessities[at(Necessity::ALL, &necessity)]
    }

    pub(super) fn source(&self, origin: Origin) -> &'static str {
        self.sources[at(Origin::ALL, &origin)]
    }

    pub(crate) fn special(&self, category: SpecialCategory) -> &'static str {
        self.special[at(SpecialCategory::ALL, &category)]
    }

    /// Words for a category, or the nearest above that has any.
    pub(crate) fn category(&self, mut path: &str) -> Option<&'static str> {
        loop {
            if let Some(words) = self.categories.exactly(path) {
                return Some(words);
            }
            path = path.rsplit_once('.')?.0;
        }
    }

    /// Words for a field: those of its category or the nearest above that has any, else of its type.
    pub(crate) fn data(&self, category: Option<&str>, kind: FieldType) -> &'static str {
        if let Some(words) = category.and_then(|path| self.category(path)) {
            return words;
        }
        let categories = &self.categories;
        match kind {
            FieldType::Text => self.text,
            FieldType::Name => categories.name,
            FieldType::Email => categories.email,
            FieldType::Phone => categories.phone,
            FieldType::Card => categories.credit_card,
            FieldType::Iban => categories.account_number,
            FieldType::Ip => categories.ip_address,
            FieldType::Date => self.date,
            FieldType::Number => self.number,
            FieldType::Bool => self.yes_or_no,
            FieldType::Blob => self.files,
            FieldType::Json => self.structured,
            FieldType::Plate => self.plate,
            FieldType::Address => categories.address,
            FieldType::Identifier => self.identifier,
        }
    }
}

fn at<T: PartialEq>(all: &[T], one: &T) -> usize {
    all.iter()
        .position(|known| known == one)
        .expect("a word is in the list of all words")
}
