//! Drafts in Markdown: the notification of an authority (Art. 33(3) GDPR), and the letter to people (Art. 34(2)).
//!
//! What a program can know is filled in from a report; what only a person can write is a blank in `⟦…⟧`,
//! and no draft is without one. Nothing is sent.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::words::{self, Words};
use super::{BreachReport, CategoryScope};
use crate::policy::{Controller, Policy, SpecialCategory};
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

/// The kinds of a report, in the order of [`Words::vectors`].
const KINDS: [&str; 7] = [
    "api_key",
    "role",
    "session",
    "recipient",
    "backup",
    "key",
    "files",
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
        None => one.category.clone(),
    };
    match &one.special {
        None => name,
        Some(special) => {
            let known = SpecialCategory::parse(special);
            let special = known.map_or(special.as_str(), |known| phrases.special(known));
            format!("**{name}** ({}: {special})", words.special)
        }
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

    /// `with_numbers`: whether an item says of how many people.
    fn categories(&mut self, with_numbers: bool) {
        if self.report.categories.is_empty() && self.report.bulk.fields.is_empty() {
            let none = self.words.none;
            self.item(none);
        }
        for one in &self.report.categories {
            let mut line = category(self.policy, self.phrases, self.words, one);
            if with_numbers {
                write!(line, ": {}", one.people).expect("a string takes it");
            }
            self.item(&line);
        }
        if with_numbers {
            for field in &self.report.bulk.fields {
                self.item(&format!("`{field}`"));
            }
        }
        self.text.push('\n');
    }

    fn vector(&self) -> String {
        let kind = KINDS.iter().position(|kind| *kind == self.report.of.kind);
        match kind {
            Some(kind) => fill(self.words.vectors[kind], &[("name", &self.report.of.name)]),
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
        let span = (minute(report.from), minute(report.to));
        self.line(&fill(words.window, &[("from", &span.0), ("to", &span.1)]));
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
        if let (Some(first), Some(last)) = (report.first, report.last) {
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
        if report.at_most {
            self.line(words.at_most);
        }
        self.categories(true);
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

    fn people(&mut self, controller: &Controller) {
        let (words, phrases, report) = (self.words, self.phrases, self.report);
        let title = fill(words.letter, &[("controller", &controller.name)]);
        self.line(&format!("# {title}"));
        let made = minute(report.made_at);
        self.line(&format!("> {}", fill(words.draft, &[("date", &made)])));
        if report.ciphertext_only {
            self.line(&format!("> {}", words.not_needed));
        }
        self.line(words.hello);
        let span = (minute(report.from), minute(report.to));
        self.line(&fill(words.plain, &[("from", &span.0), ("to", &span.1)]));
        self.line(words.write_nature);
        self.heading(words.which_data);
        self.categories(false);
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
    }
}

/// A draft in a language of which there are words; `None` for any other. `due` is when the controller
/// became aware, and until when the authority is to be told.
#[must_use]
pub fn draft(
    policy: &Policy,
    report: &BreachReport,
    whom: DraftFor,
    language: &str,
    due: Option<(Timestamp, Timestamp)>,
) -> Option<String> {
    let mut draft = Draft {
        policy,
        phrases: Phrases::of(language)?,
        words: words::of(language)?,
        report,
        text: String::new(),
    };
    match whom {
        DraftFor::Authority => draft.authority(policy.controller(), due),
        DraftFor::People => draft.people(policy.controller()),
    }
    let text = draft.text.trim_end();
    Some(format!("{text}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breach::{BulkScope, ScopeOf};
    use crate::policy::{Draft as PolicyDraft, SAMPLE};
    use crate::statement::LANGUAGES;

    fn policy() -> Policy {
        let draft = PolicyDraft::parse(SAMPLE).expect("a policy");
        draft.assign(None, 1).expect("numbers")
    }

    fn report(kind: &str) -> BreachReport {
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let category = |category: &str, special: Option<&str>, people| CategoryScope {
            category: category.into(),
            special: special.map(Into::into),
            people,
        };
        BreachReport {
            of: ScopeOf {
                kind: kind.into(),
                name: "tok_name".into(),
            },
            from: at("2026-03-01T00:00:00Z"),
            to: at("2026-03-08T00:00:00Z"),
            made_at: at("2026-03-09T10:00:00Z"),
            log_size: 9,
            ciphertext_only: false,
            at_most: false,
            people: 1_234,
            people_without_values: 5,
            reads: 77,
            writes: 3,
            refused: 0,
            first: Some(at("2026-03-02T00:00:00Z")),
            last: Some(at("2026-03-03T00:00:00Z")),
            not_resolvable: 6,
            damaged: 0,
            bulk: BulkScope {
                calls: 2,
                records: 4_000,
                fields: vec!["messages.text".into()],
            },
            categories: vec![
                category("user.health", Some("health"), 12),
                category("user.contact.email", None, 1_200),
            ],
            fields: Vec::new(),
        }
    }

    #[test]
    fn art_33_3_every_language_names_what_the_article_asks_for_and_leaves_blanks() {
        let policy = policy();
        let due = (
            "2026-03-09T09:00:00Z".parse().expect("an instant"),
            "2026-03-12T09:00:00Z".parse().expect("an instant"),
        );
        for phrases in LANGUAGES {
            for kind in KINDS {
                let report = report(kind);
                let text = draft(
                    &policy,
                    &report,
                    DraftFor::Authority,
                    phrases.tag,
                    Some(due),
                );
                let text = text.expect("there are words");
                for fact in [
                    "Example Travel B.V.",
                    "Autoriteit Persoonsgegevens",
                    "dpo@example.test",
                    "1234",
                    "2026-03-12 09:00 UTC",
                    "77",
                    "4000",
                    ": 12\n",
                    ": 1200\n",
                ] {
                    assert!(
                        text.contains(fact),
                        "{} {kind}: {fact}\n{text}",
                        phrases.tag
                    );
                }
                assert_eq!(
                    text.contains("tok_name"),
                    kind != "files",
                    "{} {kind}",
                    phrases.tag
                );
                assert!(!text.contains('{') && !text.contains('}'), "{text}");
                // What happened, why late, consequences, measures.
                assert_eq!(text.matches('⟦').count(), 4 + 1, "{}: {text}", phrases.tag);
                let special = text.find(": 12\n").expect("it is there");
                let other = text.find(": 1200\n").expect("it is there");
                assert!(special < other, "special data come first");
            }
        }
        assert_eq!(
            draft(&policy, &report("files"), DraftFor::People, "xx", None),
            None
        );
    }

    #[test]
    fn art_34_2_a_letter_is_plain_and_says_whom_to_ask_and_counts_nobody() {
        let policy = policy();
        for phrases in LANGUAGES {
            let mut report = report("api_key");
            let text = |report: &BreachReport| {
                draft(&policy, report, DraftFor::People, phrases.tag, None).expect("words")
            };
            let letter = text(&report);
            for fact in [
                "Example Travel B.V.",
                "dpo@example.test",
                "Autoriteit Persoonsgegevens",
            ] {
                assert!(letter.contains(fact), "{}: {letter}", phrases.tag);
            }
            for number in ["1234", "tok_name", "77", "messages.text", "34(3)"] {
                assert!(!letter.contains(number), "{}: {letter}", phrases.tag);
            }
            assert!(
                !letter.contains('{') && letter.matches('⟦').count() == 5,
                "{letter}"
            );
            report.ciphertext_only = true;
            let warned = text(&report);
            let not_needed = words::of(phrases.tag).expect("words").not_needed;
            assert!(warned.contains(not_needed) && !letter.contains(not_needed));
        }
    }
}
