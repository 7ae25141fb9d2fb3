//! Drafts in Markdown: the notification of an authority (Art. 33(3) GDPR), and the letter to people (Art. 34(2)).
//!
//! What a program can know is filled in from a report; what only a person can write is a blank in `⟦…⟧`,
//! and no draft is without one. Nothing is sent.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::words::{self, Words};
use super::{BreachReport, CategoryScope, described};
use crate::policy::{Controller, Policy, SpecialCategory};
use crate::schema::FieldType;
use crate::statement::Phrases;

/// Whom a draft is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftFor {
    /// The supervisory authority.
    Authority,
    /// Each person concerned.
    People,
}

impl DraftFor {
    /// The word of the HTTP API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::People => "people",
        }
    }

    /// What `text` names.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Authority, Self::People]
            .into_iter()
            .find(|one| one.name() == text)
    }
}

/// Why there is no draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// There are no words of this language.
    #[error("there are no words of this language")]
    Language,
    /// Art. 34(2) and 33(3)(a): a letter says which data it is about.
    #[error("the report names no data, so that a letter could not say which it is about")]
    NoData,
}

/// The kind of a report about a recipient, who has a name that people are told.
const RECIPIENT: &str = "recipient";

/// The kinds of a report, in the order of [`Words::vectors`].
const KINDS: [&str; 7] = [
    "api_key", "role", "session", RECIPIENT, "backup", "key", "files",
];

fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = template.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    text
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A category in words: those of the statement, else its path.
fn category(policy: &Policy, phrases: &Phrases, words: &Words, one: &CategoryScope) -> String {
    let mut fields = policy.collections().iter().flat_map(|all| &all.fields);
    let field = fields.find(|field| match &field.category {
        Some(category) => *category == one.category,
        None => field.kind.name() == one.category,
    });
    let name = match field {
        Some(field) => phrases
            .data(field.category.as_deref(), field.kind)
            .to_owned(),
        // Of an older policy, or of none: what nobody here wrote is not repeated to people.
        None => match (
            phrases.category(&one.category),
            FieldType::parse(&one.category),
        ) {
            (Some(words), _) => words.to_owned(),
            (None, Some(kind)) => phrases.data(None, kind).to_owned(),
            (None, None) => phrases.missing.to_owned(),
        },
    };
    match &one.special {
        None => name,
        Some(special) => {
            let known = SpecialCategory::parse(special);
            let special = known.map_or(phrases.missing, |known| phrases.special(known));
            format!("**{name}** ({}: {special})", words.special)
        }
    }
}

/// The category of a field `collection.field`; its name where the policy has it no more.
fn category_of(policy: &Policy, name: &str) -> CategoryScope {
    let (collection, field) = name.split_once('.').unwrap_or((name, ""));
    let collection = policy.collection(collection);
    let found = collection.and_then(|found| Some((found.id, found.field(field)?.id)));
    let (category, special) = match found {
        Some(field) => {
            let (_, category, special) = described(policy, field);
            (category, special)
        }
        None => (name.to_owned(), None),
    };
    CategoryScope {
        category,
        special,
        people: 0,
    }
}

struct Draft<'a> {
    policy: &'a Policy,
    phrases: &'a Phrases,
    words: &'a Words,
    report: &'a BreachReport,
    text: String,
}

impl Draft<'_> {
    fn line(&mut self, line: &str) {
        writeln!(self.text, "{line}\n").expect("a string takes all that is written to it");
    }

    fn item(&mut self, line: &str) {
        writeln!(self.text, "- {line}").expect("a string takes all that is written to it");
    }

    fn heading(&mut self, line: &str) {
        self.line(&format!("## {line}"));
    }

    /// Categories with their people, and by name the fields of calls over many.
    fn categories(&mut self) {
        if self.report.categories.is_empty() && self.report.bulk.fields.is_empty() {
            let none = self.words.none;
            self.item(none);
        }
        for one in &self.report.categories {
            let line = category(self.policy, self.phrases, self.words, one);
            self.item(&format!("{line}: {}", one.people));
        }
        for field in &self.report.bulk.fields {
            self.item(&format!("`{field}`"));
        }
        self.text.push('\n');
    }

    /// What a letter names: the categories, and those of calls over many people, which may have been about
    /// whoever reads it.
    fn told(&self) -> Result<Vec<CategoryScope>, DraftError> {
        let mut told = self.report.categories.clone();
        for name in &self.report.bulk.fields {
            let one = category_of(self.policy, name);
            let known = |two: &CategoryScope| {
                (&two.category, &two.special) == (&one.category, &one.special)
            };
            if !told.iter().any(known) {
                told.push(one);
            }
        }
        told.sort_by_key(|one| one.special.is_none());
        match told.is_empty() {
            true => Err(DraftError::NoData),
            false => Ok(told),
        }
    }

    fn of_recipient(&self) -> bool {
        self.report.of.kind == RECIPIENT
    }

    /// Which: a recipient by the name that people are told, where the policy has it.
    fn name(&self) -> &str {
        let of = &self.report.of;
        let mut recipients = self.policy.recipients().iter();
        let named = recipients.find(|one| self.of_recipient() && one.name == of.name);
        named.map_or(&of.name, |recipient| &recipient.legal_name)
    }

    fn vector(&self) -> String {
        let kind = KINDS.iter().position(|kind| *kind == self.report.of.kind);
        match kind {
            Some(kind) => fill(self.words.vectors[kind], &[("name", self.name())]),
            None => self.words.write_nature.to_owned(),
        }
    }

    fn authority(&mut self, controller: &Controller, due: Option<(Timestamp, Timestamp)>) {
        let (words, phrases, report) = (self.words, self.phrases, self.report);
        self.line(&format!("# {}", words.notification));
        let made = minute(report.made_at);
        self.line(&format!("> {}", fill(words.draft, &[("date", &made)])));
        let missing = phrases.missing;
        let or = |text: &Option<String>, what: &str| match text {
            Some(text) => text.clone(),
            None => format!("⟦{what}⟧"),
        };
        self.item(&format!(
            "{}: {}, {}",
            phrases.responsible,
            controller.name,
            or(&controller.address, phrases.address)
        ));
        let authority = or(&controller.authority, missing);
        self.item(&format!("{}: {authority}", phrases.authority));
        match due {
            Some((aware, due)) => {
                self.item(&fill(words.aware, &[("date", &minute(aware))]));
                self.item(&fill(words.due, &[("date", &minute(due))]));
            }
            None => self.item(words.write_aware),
        }
        self.item(words.write_late);
        self.text.push('\n');
        self.heading(words.nature);
        let vector = self.vector();
        self.line(&vector);
        // Of a recipient the window is when the data were given, and not when they were exposed there.
        if !self.of_recipient() {
            let span = (minute(report.from), minute(report.to));
            self.line(&fill(words.window, &[("from", &span.0), ("to", &span.1)]));
        }
        if report.ciphertext_only {
            self.line(words.ciphertext);
        }
        self.line(words.write_nature);
        self.heading(words.numbers);
        let number = |number: u64| number.to_string();
        self.item(&fill(words.people, &[("people", &number(report.people))]));
        if report.not_resolvable > 0 {
            let number = number(report.not_resolvable);
            self.item(&fill(words.erased, &[("number", &number)]));
        }
        if report.damaged > 0 {
            let number = number(report.damaged);
            self.item(&fill(words.damaged, &[("number", &number)]));
        }
        let called = report.reads + report.writes > 0;
        if let (true, Some(first), Some(last)) = (called, report.first, report.last) {
            let values = [
                ("reads", &*number(report.reads)),
                ("writes", &*number(report.writes)),
                ("first", &*minute(first)),
                ("last", &*minute(last)),
            ];
            self.item(&fill(words.calls, &values));
        }
        if report.bulk.calls > 0 {
            let values = [
                ("calls", &*number(report.bulk.calls)),
                ("records", &*number(report.bulk.records)),
            ];
            self.item(&fill(words.bulk, &values));
        }
        self.text.push('\n');
        if report.at_most && !self.of_recipient() {
            self.line(words.at_most);
        }
        self.categories();
        self.heading(words.contact);
        let officer = or(&controller.dpo, phrases.officer);
        self.item(&format!("{}: {officer}", phrases.officer));
        self.item(&format!("{}: {}", phrases.contact, controller.contact));
        self.text.push('\n');
        for (heading, blank) in [
            (words.consequences, words.write_consequences),
            (words.measures, words.write_measures),
        ] {
            self.heading(heading);
            self.line(blank);
        }
    }

    fn people(&mut self, controller: &Controller) -> Result<(), DraftError> {
        let told = self.told()?;
        let (words, phrases, report) = (self.words, self.phrases, self.report);
        let title = fill(words.letter, &[("controller", &controller.name)]);
        self.line(&format!("# {title}"));
        let made = minute(report.made_at);
        self.line(&format!("> {}", fill(words.draft, &[("date", &made)])));
        if report.ciphertext_only {
            self.line(&format!("> {}", words.not_needed));
        }
        self.line(words.hello);
        match self.of_recipient() {
            true => {
                let vector = self.vector();
                self.line(&vector);
            }
            false => {
                let span = (minute(report.from), minute(report.to));
                self.line(&fill(words.plain, &[("from", &span.0), ("to", &span.1)]));
            }
        }
        self.line(words.write_nature);
        self.heading(words.which_data);
        for one in &told {
            let line = category(self.policy, phrases, words, one);
            self.item(&line);
        }
        self.text.push('\n');
        self.heading(words.what_it_means);
        self.line(words.write_consequences);
        self.heading(words.what_we_did);
        self.line(words.write_measures);
        self.line(words.write_advice);
        self.heading(phrases.contact);
        let contact = controller.dpo.as_ref().unwrap_or(&controller.contact);
        self.line(&fill(words.ask_us, &[("contact", contact)]));
        self.heading(phrases.complaint);
        if let Some(authority) = &controller.authority {
            self.line(&fill(phrases.complain_to, &[("authority", authority)]));
        }
        self.line(phrases.complain);
        Ok(())
    }
}

/// A draft in a language. `due` is when the controller became aware, and until when the authority is to be told.
///
/// # Errors
///
/// [`DraftError::Language`] for one without words; [`DraftError::NoData`] for a letter about no data.
pub fn draft(
    policy: &Policy,
    report: &BreachReport,
    whom: DraftFor,
    language: &str,
    due: Option<(Timestamp, Timestamp)>,
) -> Result<String, DraftError> {
    let mut draft = Draft {
        policy,
        phrases: Phrases::of(language).ok_or(DraftError::Language)?,
        words: words::of(language).ok_or(DraftError::Language)?,
        report,
        text: String::new(),
    };
    match whom {
        DraftFor::Authority => draft.authority(policy.controller(), due),
        DraftFor::People => draft.people(policy.controller())?,
    }
    let text = draft.text.trim_end();
    Ok(format!("{text}\n"))
}

#[cfg(test)]
mod tests;
