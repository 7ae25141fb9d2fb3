//! The public statement and the records of processing, as far as the policy carries them.
//!
//! Knows the policy and languages; knows nothing of HTTP or of how a page looks. What the policy does
//! not say is left out of the statement and named in the record: nothing is invented.
//!
//! Source: GDPR Art. 12(1), 13, 14 and 30(1).

mod language;
mod letter;
mod phrases;
mod said;
mod short;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;

use crate::policy::{Controller, LawfulBasis, Policy};

pub use letter::Letter;
pub(crate) use letter::answered_in;
pub use phrases::{ALL as LANGUAGES, Phrases};
pub use short::Notice;

/// A policy in force, ready to be told.
pub struct Published {
    policy: Arc<Policy>,
    applied_at: Timestamp,
}

/// What people are told, in one language.
#[derive(Debug)]
pub struct Statement {
    /// The fixed phrases, whose language it is in.
    pub phrases: &'static Phrases,
    /// The language as the policy writes it, BCP 47.
    pub language: String,
    /// Which policy.
    pub policy_version: u32,
    /// Since when it is in force.
    pub applied_at: Timestamp,
    /// Who is responsible.
    pub controller: Controller,
    /// What data are used for.
    pub purposes: Vec<StatedPurpose>,
    /// Logs of other programs that are kept.
    pub logs: Vec<StatedLog>,
    /// What the person may do.
    pub rights: Vec<StatedRight>,
}

/// The records of processing of a controller, in one language. Source: Art. 30(1) GDPR.
#[derive(Debug)]
pub struct ProcessingRecord {
    /// All that the statement says.
    pub statement: Statement,
    /// What an article asks for and the policy does not say.
    pub missing: Vec<Missing>,
}

/// Something that an article asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Missing {
    /// The article.
    pub article: &'static str,
    /// What, in words.
    pub what: String,
}

/// One purpose.
#[derive(Debug)]
pub struct StatedPurpose {
    /// The name inside the policy.
    pub name: String,
    /// What people are told.
    pub title: String,
    /// The language of the title, where it is not that of the statement.
    pub title_language: Option<String>,
    /// Why it is lawful.
    pub basis: LawfulBasis,
    /// The article of the basis.
    pub article: &'static str,
    /// The basis in words.
    pub basis_words: &'static str,
    /// The legitimate interests that it pursues, if the policy says which.
    pub interests: Option<String>,
    /// Whether an objection always ends it.
    pub direct_marketing: bool,
    /// What is used for it.
    pub data: Vec<StatedData>,
    /// Who receives it.
    pub recipients: Vec<StatedRecipient>,
    /// From when the period runs, as in the policy.
    pub retention_after: &'static str,
    /// The period, ISO 8601.
    pub retention_period: String,
    /// The day for everybody, if there is one.
    pub retention_date: Option<String>,
    /// Both in words.
    pub retention_words: String,
}

/// One kind of data of a purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedData {
    /// The category of the policy, a fideslang path.
    pub category: Option<String>,
    /// In words.
    pub words: &'static str,
    /// The special category, as in the policy and in words.
    pub special: Option<(&'static str, &'static str)>,
    /// The condition that allows special data, in the policy's words.
    pub condition: Option<String>,
    /// Whether the person has to give it, as in the policy and in words.
    pub necessity: Option<(&'static str, &'static str)>,
    /// Where it comes from, as in the policy and in words.
    pub source: Option<(&'static str, &'static str)>,
    /// A limit that is set for it besides the purpose's, ISO 8601 and in words; the shorter wins.
    pub at_most: Option<(String, String)>,
}

/// One recipient of a purpose.
#[derive(Debug)]
pub struct StatedRecipient {
    /// The name that people are told.
    pub name: String,
    /// Country, ISO 3166-1 alpha-2.
    pub country: String,
    /// Whether that is outside the European Economic Area.
    pub outside_eea: bool,
    /// Why data may go there, as in the policy.
    pub safeguard: Option<&'static str>,
    /// The same in words, with the policy's details.
    pub safeguard_words: Option<String>,
}

/// One stream of logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedLog {
    /// The name inside the policy.
    pub name: String,
    /// What people are told; the name, where the policy says nothing else.
    pub title: String,
    /// What becomes of personal data in a line, as in the policy.
    pub mode: &'static str,
    /// The same in words.
    pub words: &'static str,
    /// How long a line is kept, ISO 8601.
    pub retention_period: String,
    /// The same in words.
    pub retention_words: String,
}

impl StatedLog {
    /// All of it in one line.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{}: {}; {}", self.title, self.words, self.retention_words)
    }
}

/// One right.
#[derive(Debug)]
pub struct StatedRight {
    /// The article.
    pub article: &'static str,
    /// Its name.
    pub title: &'static str,
    /// What it comes to.
    pub words: &'static str,
}

/// The languages that people can be told in, the first as fallback: those of the controller that there
/// are phrases of; English where there is none. Never empty.
fn languages(policy: &Policy) -> Vec<&str> {
    let all = policy.controller().languages.iter();
    let mut offered: Vec<&str> = all
        .map(String::as_str)
        .filter(|tag| Phrases::of(tag).is_some())
        .collect();
    if offered.is_empty() {
        offered.push(language::en::PHRASES.tag);
    }
    offered
}

impl Published {
    /// Of a policy that is in force since `applied_at`.
    #[must_use]
    pub fn new(policy: Arc<Policy>, applied_at: Timestamp) -> Self {
        Self { policy, applied_at }
    }

    /// The languages that a statement can be had in, the first as fallback: those of the controller
    /// that there are phrases of; English where there is none. Never empty.
    #[must_use]
    pub fn languages(&self) -> Vec<&str> {
        languages(&self.policy)
    }

    /// The statement in one of [`Published::languages`]; in the first of them for any other.
    #[must_use]
    pub fn statement(&self, language: &str) -> Statement {
        let offered = self.languages();
        let language = offered
            .iter()
            .find(|known| **known == language)
            .unwrap_or(&offered[0]);
        let phrases = Phrases::of(language).expect("there are phrases of what is offered");
        Statement {
            phrases,
            language: (*language).to_owned(),
            policy_version: self.policy.version(),
            applied_at: self.applied_at,
            controller: self.policy.controller().clone(),
            purposes: said::purposes(&self.policy, phrases, language),
            logs: said::logs(&self.policy, phrases, language),
            rights: said::rights(&self.policy, phrases),
        }
    }

    /// The records of processing in a language, as for [`Published::statement`].
    #[must_use]
    pub fn processing_record(&self, language: &str) -> ProcessingRecord {
        let statement = self.statement(language);
        ProcessingRecord {
            missing: said::missing(&self.policy, statement.phrases),
            statement,
        }
    }
}

impl Statement {
    /// How to use a right, with the contact filled in.
    #[must_use]
    pub fn exercise(&self) -> String {
        said::fill(self.phrases.exercise, "contact", &self.controller.contact)
    }

    /// Where to complain, if the policy names the authority.
    #[must_use]
    pub fn complain_to(&self) -> Option<String> {
        let authority = self.controller.authority.as_ref()?;
        Some(said::fill(self.phrases.complain_to, "authority", authority))
    }

    /// Which policy it was made from.
    #[must_use]
    pub fn version(&self) -> String {
        let number = self.policy_version.to_string();
        let text = said::fill(self.phrases.version, "version", &number);
        said::fill(&text, "date", &self.date())
    }

    /// The day since when the policy is in force, in UTC.
    #[must_use]
    pub fn date(&self) -> String {
        self.applied_at.strftime("%Y-%m-%d").to_string()
    }
}
