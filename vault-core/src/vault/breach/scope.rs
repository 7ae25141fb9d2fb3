//! A scope that is being found, and what entries and people add to it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::super::access::of_many;
use super::super::call::Context;
use super::super::honey;
use super::{AffectedPerson, BreachVector};
use crate::audit::{Actor, Entry};
use crate::breach::{BreachReport, CategoryScope, FieldScope, described};
use crate::id::SubjectId;
use crate::jobs::Job;
use crate::policy::Policy;

/// Calls that hand out values, or what else is written down about a person: lines of logs, what they asked for in
/// their words, what was decided about them.
const READS: [&str; 8] = [
    "records.read",
    "records.list",
    "blobs.read",
    "subjects.ask",
    "subjects.export",
    "logs.read",
    "requests.read",
    "decisions.read",
];
/// A turn of a conversation, which hands out what its entry names, and most name nothing.
const TURN: &str = "dialogue.turn";

/// How a query over many people ends that was not taken to its end.
const BROKE_OFF: &str = "incomplete";
/// A call that names fields of a person and moves no value of theirs through the vault. Steps of emergency
/// access are others.
const MOVES_NOTHING: &str = "disclosures.record";

/// One of a slice, and what was found of them.
pub(super) struct Suspect {
    pub(super) subject: SubjectId,
    pub(super) reads: u64,
    pub(super) writes: u64,
    pub(super) met: u64,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    pub(super) fields: BTreeSet<(u16, u16)>,
    /// Whether it is not sure of each field that it was given in the window.
    pub(super) unsure: bool,
}

impl Suspect {
    pub(super) fn new(subject: SubjectId) -> Self {
        Self {
            subject,
            reads: 0,
            writes: 0,
            met: 0,
            first: None,
            last: None,
            fields: BTreeSet::new(),
            unsure: false,
        }
    }

    /// Widens its span to this instant.
    pub(super) fn span(&mut self, at: Timestamp) {
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
    }
}

pub(super) enum Phase {
    /// Makes the tags of people from this place of the people map on.
    Gather([u8; 16]),
    /// Holds entries from this number on against them; then people go on from the place.
    Scan(u64, Option<[u8; 16]>),
    Done,
}

/// A scope that is being found: [`Vault::breach_step`](crate::vault::Vault::breach_step) until it says that nothing is left.
pub struct BreachScope {
    pub(super) context: Context,
    pub(super) policy: Arc<Policy>,
    pub(super) vector: BreachVector,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// The first entry that may lie in the window, and where the log ended when this began.
    pub(super) begin: u64,
    pub(super) size: u64,
    pub(super) people_total: u64,
    pub(super) people_done: u64,
    pub(super) phase: Phase,
    /// Whether the window was read once: totals are counted then.
    pub(super) counted: bool,
    pub(super) slice: Vec<Suspect>,
    pub(super) tags: HashMap<[u8; 16], u32>,
    pub(super) tagged: u64,
    pub(super) resolved: u64,
    pub(super) people_in_backup: Option<u64>,
    /// People of the policy who do not exist, with their tags: a breach concerns none of them.
    pub(super) invented: HashSet<SubjectId>,
    pub(super) invented_tags: HashSet<[u8; 16]>,
    /// Those of them who were there: a backup counts them among its people.
    pub(super) invented_there: u64,
    /// Whether nobody said from when, of a vector whose times are older than the log.
    pub(super) since_ever: bool,
    pub(super) by_field: BTreeMap<(u16, u16), u64>,
    pub(super) by_category: BTreeMap<(Option<String>, String), u64>,
    pub(super) bulk_fields: BTreeSet<(u16, u16)>,
    pub(super) report: BreachReport,
    pub(super) job: Option<Job>,
}

impl BreachScope {
    /// How far it is: people, of so many.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        (self.people_done, self.people_total)
    }

    /// The number of its job.
    #[must_use]
    pub fn job(&self) -> Option<u64> {
        self.job.as_ref().map(Job::number)
    }

    pub(super) fn evidence(&self) -> bool {
        matches!(
            self.vector,
            BreachVector::ApiKey(_) | BreachVector::Role(_) | BreachVector::Session(_)
        )
    }

    /// Whether an instant lies in the window.
    pub(super) fn inside(&self, at: Timestamp) -> bool {
        at >= self.from && at < self.to
    }

    /// Whether an entry is of whoever had what leaked, and about somebody who exists, or nobody.
    pub(super) fn is_of(&self, entry: &Entry) -> bool {
        let invented = |tag: [u8; 16]| self.invented_tags.contains(&tag);
        self.inside(entry.time)
            && entry.action != honey::ACTION
            && !entry.subject.is_some_and(invented)
            && match &self.vector {
                BreachVector::ApiKey(token) => entry.actor == Actor::Token(*token),
                // Whoever has an unlock secret is no role of a policy, and has no key.
                BreachVector::Role(role) => {
                    matches!(entry.actor, Actor::Token(_)) && entry.role == *role
                }
                BreachVector::Session(session) => entry.session == Some(*session),
                _ => false,
            }
    }

    /// Counts what an entry says by itself, once.
    pub(super) fn count(&mut self, entry: &Entry) {
        // A query that broke off has handed over what its last entry says.
        if entry.outcome != "ok" && entry.outcome != BROKE_OFF {
            self.report.refused += 1;
            return;
        }
        if of_many(entry) {
            self.report.bulk.calls += 1;
            self.bulk_fields.extend(&entry.fields);
        }
        if let Some((records, _)) = entry.records {
            self.report.bulk.records += records;
            self.bulk_fields.extend(&entry.fields);
        }
        if entry.subject.is_none() {
            return;
        }
        self.tagged += 1;
        match moved(entry) {
            Moved::Read => self.report.reads += 1,
            Moved::Write => self.report.writes += 1,
            Moved::Nothing => {}
        }
        let (first, last) = (self.report.first, self.report.last);
        self.report.first = Some(first.map_or(entry.time, |first| first.min(entry.time)));
        self.report.last = Some(last.map_or(entry.time, |last| last.max(entry.time)));
    }

    /// Notes an entry with whom it was about, if they are in the slice.
    pub(super) fn note(&mut self, entry: &Entry) {
        let place = entry.subject.and_then(|tag| self.tags.get(&tag));
        let Some(suspect) = place.map(|place| &mut self.slice[*place as usize]) else {
            return;
        };
        if entry.outcome != "ok" {
            return;
        }
        self.resolved += 1;
        match moved(entry) {
            Moved::Read => suspect.reads += 1,
            Moved::Write => suspect.writes += 1,
            Moved::Nothing => suspect.met += 1,
        }
        if moved(entry) != Moved::Nothing {
            suspect.fields.extend(&entry.fields);
        }
        suspect.span(entry.time);
    }

    /// Adds one person's part to the numbers.
    pub(super) fn add(&mut self, suspect: Suspect, people: &mut Vec<AffectedPerson>) {
        if suspect.reads + suspect.writes == 0 && suspect.fields.is_empty() && self.evidence() {
            self.report.people_without_values += u64::from(suspect.met > 0);
            return;
        }
        self.report.people += 1;
        self.report.at_most |= suspect.unsure;
        if !self.evidence() {
            let (first, last) = (self.report.first, self.report.last);
            self.report.first = first.into_iter().chain(suspect.first).min();
            self.report.last = last.into_iter().chain(suspect.last).max();
        }
        let mut categories = BTreeSet::new();
        for field in &suspect.fields {
            *self.by_field.entry(*field).or_default() += 1;
            let (_, category, special) = described(&self.policy, *field);
            categories.insert((special, category));
        }
        for category in categories {
            *self.by_category.entry(category).or_default() += 1;
        }
        people.push(AffectedPerson {
            subject: suspect.subject,
            reads: suspect.reads,
            writes: suspect.writes,
            first: suspect.first,
            last: suspect.last,
        });
    }

    pub(super) fn days(&self) -> u64 {
        let hours = self.to.duration_since(self.from).as_hours();
        // The first and the last day may both be cut.
        u64::try_from(hours / 24).unwrap_or(0) + 2
    }

    /// The report as it stands: whole only when nothing is left to do.
    #[must_use]
    pub fn report(&self) -> BreachReport {
        let mut report = self.report.clone();
        report.not_resolvable = match self.people_in_backup {
            // Whoever is damaged, or was never there, is in the backup and was not erased.
            Some(people) => {
                people.saturating_sub(report.people + report.damaged + self.invented_there)
            }
            None => self.tagged.saturating_sub(self.resolved),
        };
        if let (true, Some(first)) = (self.since_ever, report.first) {
            report.from = report.from.min(first);
        }
        let bulk = self.bulk_fields.iter();
        report.bulk.fields = bulk
            .map(|field| described(&self.policy, *field).0)
            .collect();
        report.fields = self
            .by_field
            .iter()
            .map(|(field, people)| {
                let (field, category, special) = described(&self.policy, *field);
                FieldScope {
                    field,
                    category,
                    special,
                    people: *people,
                }
            })
            .collect();
        let categories = self.by_category.iter();
        report.categories = categories
            .map(|((special, category), people)| CategoryScope {
                category: category.clone(),
                special: special.clone(),
                people: *people,
            })
            .collect();
        // Special data first, then where most people are.
        report
            .fields
            .sort_by_key(|one| (one.special.is_none(), std::cmp::Reverse(one.people)));
        report
            .categories
            .sort_by_key(|one| (one.special.is_none(), std::cmp::Reverse(one.people)));
        report
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    Nothing,
    Read,
    Write,
}

/// Whether a call that was granted moved values. Steps of emergency access name fields, and move none; nor does
/// a note of what a recipient is given by another way.
pub(super) fn moved(entry: &Entry) -> Moved {
    match &*entry.action {
        action if READS.contains(&action) => Moved::Read,
        action if action.starts_with("breakglass.") => Moved::Nothing,
        MOVES_NOTHING => Moved::Nothing,
        _ if entry.fields.is_empty() => Moved::Nothing,
        TURN => Moved::Read,
        _ => Moved::Write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::CallId;

    fn of(action: &'static str, fields: &[(u16, u16)]) -> Moved {
        moved(&Entry {
            time: Timestamp::UNIX_EPOCH,
            actor: Actor::Server,
            role: "bot".into(),
            purpose: None,
            action: action.into(),
            subject: Some([1; 16]),
            fields: fields.to_vec(),
            outcome: "ok".into(),
            session: None,
            request: CallId::from_bytes([1; 16]),
            receipt: None,
            records: None,
            restricted_use: None,
        })
    }

    #[test]
    fn article_33_what_hands_something_out_is_a_read_whether_or_not_it_names_fields() {
        for action in [
            "records.read",
            "logs.read",
            "requests.read",
            "decisions.read",
        ] {
            assert!(of(action, &[]) == Moved::Read, "{action}");
            assert!(of(action, &[(1, 2)]) == Moved::Read, "{action}");
        }
        assert!(of("dialogue.turn", &[(1, 2)]) == Moved::Read);
        assert!(of("dialogue.turn", &[]) == Moved::Nothing);
        assert!(of("dialogue.correct", &[(1, 2)]) == Moved::Write);
        assert!(of("logs.write", &[]) == Moved::Nothing);
        assert!(of("disclosures.record", &[(1, 2)]) == Moved::Nothing);
        assert!(of("breakglass.approve", &[(1, 2)]) == Moved::Nothing);
    }
}
