//! What is wrong with a vault, its policy and the machine below, and what to do about it.
//!
//! Every check is a function of what somebody else has gathered, so that each can be tried with a
//! machine that is not there. Knows nothing of how facts are had, and opens nothing. What could not be
//! learned is no finding: a check without its fact says nothing.

mod backups;
mod codes;
mod configuration;
mod files;
pub mod gdpr;
mod holds;
mod incidents;
mod keys;
mod machine;
mod recipients;
mod requests;

use std::fmt;

pub use backups::{Backups, Tested};
pub use codes::CodeFacts;
pub use configuration::{Configuration, PolicyFile};
pub use files::{FileFact, FileKind, Files, Room};
pub use holds::HoldFact;
pub use incidents::IncidentFact;
pub use keys::{Inside, SlotFact};
pub use machine::{ClockFacts, LimitFacts, Machine, Swap};
pub use recipients::RecipientFacts;
pub use requests::RequestFact;

/// How bad a finding is. Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// A promise is weaker than it could be.
    Warning,
    /// A promise does not hold, or the vault will stop.
    Error,
    /// Files are not what was written.
    Damage,
}

impl Severity {
    /// The name, in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Damage => "damage",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// How bad it is.
    pub severity: Severity,
    /// A stable word for programs, such as `disk_room`.
    pub code: &'static str,
    /// What is wrong. No value of a person is in it.
    pub what: String,
    /// Where: a path, a key of the configuration, a place in the policy.
    pub place: String,
    /// What to do: a command, or the next step in words.
    pub todo: String,
    /// The article of the GDPR that asks for it, such as `Art. 13(1)(b)`.
    pub article: Option<&'static str>,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.severity.name(), self.place, self.what)?;
        match self.article {
            Some(article) => write!(f, " ({article} GDPR)"),
            None => Ok(()),
        }
    }
}

/// Collects the findings of one check.
#[derive(Debug, Default)]
struct Findings(Vec<Diagnosis>);

impl Findings {
    fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        place: impl Into<String>,
        what: impl Into<String>,
        todo: impl Into<String>,
    ) {
        self.0.push(Diagnosis {
            severity,
            code,
            what: what.into(),
            place: place.into(),
            todo: todo.into(),
            article: None,
        });
    }

    fn law(
        &mut self,
        severity: Severity,
        code: &'static str,
        article: &'static str,
        place: impl Into<String>,
        what: impl Into<String>,
        todo: impl Into<String>,
    ) {
        self.add(severity, code, place, what, todo);
        if let Some(last) = self.0.last_mut() {
            last.article = Some(article);
        }
    }
}

/// What was gathered. `None` is what could not be learned, or was not asked.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The two directories, seen from outside.
    pub files: Option<Files>,
    /// The machine.
    pub machine: Machine,
    /// The slots, as the file beside the anchor shows them without a secret.
    pub slots: Option<Vec<SlotFact>>,
    /// `vault.toml`, the environment, and what they name.
    pub configuration: Option<Configuration>,
    /// What the open vault says.
    pub inside: Option<Inside>,
    /// What the registry of backups says. The open vault alone knows it.
    pub backups: Option<Backups>,
    /// Who is under a legal hold. The open vault alone knows it.
    pub holds: Option<Vec<HoldFact>>,
    /// The register of breaches. The open vault alone knows it.
    pub incidents: Option<Vec<IncidentFact>>,
    /// Who is not told. A server that tells recipients alone knows it.
    pub recipients: Option<RecipientFacts>,
    /// Where verification codes can be sent: as a running server says, else as its configuration does.
    pub codes: Option<CodeFacts>,
    /// Open requests of people, if the caller may know of them.
    pub requests: Option<Vec<RequestFact>>,
}

/// Every finding, the worst first.
#[must_use]
pub fn findings(facts: &Facts) -> Vec<Diagnosis> {
    let (mut findings, now) = (Findings::default(), facts.machine.clock.now);
    if let Some(files) = &facts.files {
        files::check(files, &mut findings);
    }
    machine::check(&facts.machine, &mut findings);
    if let Some(slots) = &facts.slots {
        keys::slots(slots, &mut findings);
    }
    if let Some(configuration) = &facts.configuration {
        configuration::check(configuration, facts.machine.clock.now, &mut findings);
    }
    if let Some(inside) = &facts.inside {
        keys::inside(inside, &facts.machine, &mut findings);
    }
    if let Some(backups) = &facts.backups {
        backups::check(backups, facts.machine.clock.now, &mut findings);
    }
    if let Some(holds) = &facts.holds {
        holds::check(holds, &mut findings);
    }
    if let Some(incidents) = &facts.incidents {
        incidents::check(incidents, &mut findings);
    }
    if let Some(facts) = &facts.recipients {
        recipients::check(facts, now, &mut findings);
    }
    if let Some(codes) = &facts.codes {
        codes::check(codes, &mut findings);
    }
    if let Some(requests) = &facts.requests {
        requests::check(requests, &mut findings);
    }
    sorted(findings.0)
}

/// The worst first; what is as bad as another keeps its order.
#[must_use]
pub fn sorted(mut findings: Vec<Diagnosis>) -> Vec<Diagnosis> {
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_found_where_nothing_is_known() {
        assert_eq!(findings(&Facts::default()), []);
    }

    #[test]
    fn the_worst_comes_first_and_the_article_stands_at_the_end() {
        let mut found = Findings::default();
        found.add(Severity::Note, "a", "x", "is small", "do a");
        found.law(
            Severity::Error,
            "b",
            "Art. 6(1)",
            "y",
            "has no basis",
            "do b",
        );
        let sorted = sorted(found.0);
        assert_eq!(
            sorted[0].to_string(),
            "error: y: has no basis (Art. 6(1) GDPR)"
        );
        assert_eq!(sorted[1].to_string(), "note: x: is small");
        assert!(Severity::Damage > Severity::Error && Severity::Error > Severity::Warning);
    }
}
