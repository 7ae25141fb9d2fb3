//! A scope that is being found, and what entries and people add to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::super::call::Context;
use super::{AffectedPerson, BreachVector};
use crate::audit::{Actor, Entry};
use crate::breach::{BreachReport, CategoryScope, FieldScope, described};
use crate::id::SubjectId;
use crate::jobs::Job;
use crate::policy::Policy;

/// Calls that hand values out.
const READS: [&str; 5] = [
    "records.read",
    "records.list",
    "blobs.read",
    "subjects.ask",
    "subjects.export",
];

/// One of a slice, and what was found of them.
pub(super) struct Suspect {
    pub(super) subject: SubjectId,
    pub(super) reads: u64,
    pub(super) writes: u64,
    pub(super) met: u64,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    pub(super) fields: BTreeSet<(u16, u16)>,
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
        }
    }
}

pub(super) enum Phase {
    /// Makes the tags of people from this place of the people map on.
    Gather([u8; 16]),
    /// Holds entries from this number on against them; then people go on from the place.
    Scan(u64, Option<[u8; 16]>),
    Done,
}

/// A scope that is being found: [`Vault::breach_step`] until it says that nothing is left.
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

    /// Whether an entry is of whoever had what leaked.
    pub(super) fn is_of(&self, entry: &Entry) -> bool {
        let inside = entry.time >= self.from && entry.time < self.to;
        inside
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
        if entry.outcome != "ok" {
            self.report.refused += 1;
            return;
        }
        let query = entry.action == "records.query";
        // A query leaves an entry when it begins, which stands even where its end was lost.
        if query && entry.records.is_none() || !query && entry.records.is_some() {
            self.report.bulk.calls += 1;
        }
        if let Some((records, _)) = entry.records {
            self.report.bulk.records += records;
            self.bulk_fields.extend(&entry.fields);
        }
        if query {
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
        suspect.first = Some(suspect.first.map_or(entry.time, |at| at.min(entry.time)));
        suspect.last = Some(suspect.last.map_or(entry.time, |at| at.max(entry.time)));
    }

    /// Adds one person's part to the numbers.
    pub(super) fn add(&mut self, suspect: Suspect, people: &mut Vec<AffectedPerson>) {
        if suspect.reads + suspect.writes == 0 && suspect.fields.is_empty() && self.evidence() {
            self.report.people_without_values += u64::from(suspect.met > 0);
            return;
        }
        self.report.people += 1;
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
            Some(people) => people.saturating_sub(report.people),
            None => self.tagged.saturating_sub(self.resolved),
        };
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

/// Whether a call that was granted moved values. Steps of emergency access name fields, and move none.
pub(super) fn moved(entry: &Entry) -> Moved {
    match &*entry.action {
        action if READS.contains(&action) => Moved::Read,
        action if action.starts_with("breakglass.") || entry.fields.is_empty() => Moved::Nothing,
        _ => Moved::Write,
    }
}
