//! How many people there are of which kind: values are looked at inside the vault and none is given out.
//!
//! People are counted, not records. Groups that are too small are withheld, and enough of the others that
//! nobody finds their number as the rest of a sum; what is told is rounded unless the policy wants it exact.
//! What two counts tell together about somebody whom only one of them covers is not kept from whoever may
//! choose both: conditions are therefore coarse, and counts a day are limited. Decision 0020 says what
//! remains.

mod tally;
mod withhold;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::call::Context;
use super::super::input::error;
use super::super::{Call, Vault};
use super::{Place, wanted};
use crate::commit::View;
use crate::limits::{
    COUNT_BY_MAX, COUNT_GROUPS_MAX, COUNT_MILLISECONDS_MAX, READ_TXN_MILLISECONDS_MAX,
};
use crate::policy::{Collection, Field, Policy};
use crate::record::{Ended, Filter};
use crate::refusal::{InputError, Refusal};
use crate::schema::FieldType;
use tally::Counter;
use withhold::Key;

const ACTION: &str = "people.count";
const META: [(&str, By<'static>); 2] = [
    ("_meta.source", By::Source),
    ("_meta.category", By::Category),
];

/// Which people are to be counted.
#[derive(Clone)]
pub struct CountInput {
    /// The collection's name.
    pub collection: String,
    /// `where`: an object of conditions over metadata.
    pub conditions: Value,
    /// What they are told apart by.
    pub by: Vec<CountBy>,
}

/// One thing that people are told apart by.
#[derive(Clone)]
pub struct CountBy {
    /// A field's name, `_meta.source` or `_meta.category`.
    pub name: String,
    /// How wide a group of numbers is, or of years.
    pub width: Option<u64>,
}

/// Silent about what was said of a person.
impl std::fmt::Debug for CountInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CountInput")
            .field("collection", &self.collection)
            .finish_non_exhaustive()
    }
}

/// Silent about what was said of a person.
impl std::fmt::Debug for CountBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CountBy").finish_non_exhaustive()
    }
}

/// What the people of a group have in common.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// Nothing is stored, or nothing that the purpose still needs.
    Missing,
    /// Yes or no.
    Flag(bool),
    /// A number, or a year, from the first on and below the second.
    Range(i64, i64),
    /// A text.
    Text(String),
}

/// Silent about what was stored.
impl std::fmt::Debug for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Label")
    }
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountGroup {
    /// A label for each thing that was counted by, in that order.
    pub labels: Vec<Label>,
    /// How many people.
    pub people: u64,
}

/// What a count has found, as far as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The collection's name.
    pub collection: String,
    /// Fewer people than these are no group.
    pub k: u64,
    /// Whether numbers are the multiple of `k` below.
    pub rounded: bool,
    /// How many people there are; `None` where a group is withheld.
    pub total: Option<u64>,
    /// The groups that are told.
    pub groups: Vec<CountGroup>,
    /// Whether there is anybody who is in none of them.
    pub withheld: bool,
}

/// What people are told apart by, read against the policy.
#[derive(Clone, Copy)]
enum By<'p> {
    Flag(&'p Field),
    /// With the width of a group.
    Number(&'p Field, i64),
    Year(&'p Field, i64),
    Text(&'p Field),
    Source,
    Category,
}

impl<'p> By<'p> {
    fn field(self) -> Option<&'p Field> {
        match self {
            Self::Flag(field)
            | Self::Number(field, _)
            | Self::Year(field, _)
            | Self::Text(field) => Some(field),
            Self::Source | Self::Category => None,
        }
    }
}

/// Reads `by`. Names and widths are told of in complaints, and nothing else.
fn read_by<'p>(collection: &'p Collection, by: &[CountBy]) -> Result<Vec<By<'p>>, Refusal> {
    let mut errors: Vec<InputError> = Vec::new();
    if by.len() > COUNT_BY_MAX {
        let detail = format!("at most {COUNT_BY_MAX} things to count by");
        return Err(Refusal::Invalid(vec![error("/by", "too_many", detail)]));
    }
    let mut read = Vec::new();
    for (place, one) in by.iter().enumerate() {
        let pointer = format!("/by/{place}");
        if let Some((_, meta)) = META.iter().find(|(name, _)| *name == one.name) {
            if one.width.is_some() {
                let detail = "`width` is for numbers and dates";
                errors.push(error(pointer, "unknown_member", detail));
            }
            read.push(*meta);
            continue;
        }
        let Some(field) = collection.field(&one.name) else {
            let detail = "a field of the collection, `_meta.source` or `_meta.category`";
            errors.push(error(pointer, "unknown_field", detail));
            continue;
        };
        if field.lookup {
            let detail = "a field by which people are found tells each of them apart";
            errors.push(error(pointer, "lookup_field", detail));
            continue;
        }
        let width = one.width.and_then(|width| i64::try_from(width).ok());
        let wide = width.filter(|width| (1..=1_000_000_000).contains(width));
        match (field.kind, wide) {
            (FieldType::Bool, None) if one.width.is_none() => read.push(By::Flag(field)),
            (FieldType::Text, None) if one.width.is_none() => read.push(By::Text(field)),
            (FieldType::Number, Some(width)) => read.push(By::Number(field, width)),
            (FieldType::Date, Some(width)) => read.push(By::Year(field, width)),
            (FieldType::Number | FieldType::Date, None) => {
                let detail =
                    "`width`: how wide a group is, from 1 to 1000000000, in years for a date";
                errors.push(error(pointer, "width_missing", detail));
            }
            (FieldType::Bool | FieldType::Text, _) => {
                let detail = "`width` is for numbers and dates";
                errors.push(error(pointer, "unknown_member", detail));
            }
            _ => {
                let detail = "people are counted by fields of type bool, number, date or text";
                errors.push(error(pointer, "wrong_type", detail));
            }
        }
    }
    match errors.is_empty() {
        true => Ok(read),
        false => Err(Refusal::Invalid(errors)),
    }
}

/// Reads `where`, which for a count names nobody and no time but whole days: two counts whose conditions
/// differ by a moment differ by whoever came in that moment.
fn read_conditions(
    policy: &Policy,
    collection: &Collection,
    conditions: &Value,
) -> Result<Filter, Refusal> {
    let filter = wanted::filter(policy, collection, conditions, Ended::Out)?;
    let mut errors = Vec::new();
    if filter.subject.is_some() {
        let detail = "a count is of many people, and names none of them";
        errors.push(error("/where/subject", "names_a_person", detail));
    }
    let times = [
        ("created_after", filter.created_after),
        ("created_before", filter.created_before),
        ("expires_before", filter.expires_before),
    ];
    for (name, time) in times {
        let day = 24 * 3_600_000;
        if time.is_some_and(|time| time.rem_euclid(day) != 0) {
            let detail = "the beginning of a day in UTC: 2026-11-01T00:00:00Z";
            errors.push(error(format!("/where/{name}"), "not_a_day", detail));
        }
    }
    match errors.is_empty() {
        true => Ok(filter),
        false => Err(Refusal::Invalid(errors)),
    }
}

impl Vault {
    /// Counts people by what is stored of them, and tells groups that are large enough. Looks at people who
    /// may be used for the purpose at that moment, and at nobody else: who is erased or withdraws while a long
    /// count goes on may have been counted before.
    ///
    /// # Errors
    ///
    /// In this order: [`Refusal::PurposeMissing`], [`Refusal::RoleDenied`], [`Refusal::NotFound`],
    /// [`Refusal::PurposeDenied`], [`Refusal::Invalid`], [`Refusal::RateLimited`] after as many on one UTC day
    /// as the policy allows a role; [`Refusal::TooLarge`] for more groups than are kept apart, or if it takes
    /// too long.
    pub fn count_records(&self, call: &Call<'_>, input: &CountInput) -> Result<Counted, Refusal> {
        let counted = self.count(call, input);
        counted
            .inspect_err(|refusal| self.note_refusal(call, ACTION, refusal))
            .map_err(|refusal| self.or_locked(refusal))
    }

    fn count(&self, call: &Call<'_>, input: &CountInput) -> Result<Counted, Refusal> {
        let context = Context::new(call);
        let running = || self.engine.running();
        let begun = running();
        let mut groups: BTreeMap<Key, u64> = BTreeMap::new();
        let (mut total, mut admitted) = (0, false);
        let mut place = Place::START;
        loop {
            let snapshot = self.snapshot()?;
            let policy = self.policy_of(&snapshot)?;
            context.principal.check(&snapshot)?;
            let counter = Counter::new(&snapshot, &policy, &context, input)?;
            if !admitted {
                let (role, now) = (context.principal.role(), snapshot.now());
                self.memory
                    .counts
                    .count(role, policy.counts().per_day, now)?;
                admitted = true;
            }
            let invented = |subject| self.memory.honey.has(subject);
            let ends_at = running() + READ_TXN_MILLISECONDS_MAX / 2;
            let mut add = |keys: BTreeSet<Key>| add(&mut groups, &mut total, keys);
            let next = counter.gather(place, &|| running() >= ends_at, &invented, &mut add)?;
            if let Some(next) = next {
                if running() - begun > COUNT_MILLISECONDS_MAX {
                    return Err(Refusal::TooLarge(format!(
                        "the count took longer than {} seconds: narrow it by `where`",
                        COUNT_MILLISECONDS_MAX / 1000
                    )));
                }
                place = next;
                continue;
            }
            // How many there were stays out of the log, where it would be told to whoever reads that.
            let noted = counter.noted();
            let (name, mut rule) = (input.collection.clone(), *policy.counts());
            // Who has many records is in several groups: sums of groups are then not people, and what is
            // withheld by them may be one person. Of such a collection no number is exact.
            rule.exact &= counter.one_each();
            self.note(&context, &policy, &snapshot, ACTION, noted, "ok")?;
            return Ok(withhold::told(name, &groups, total, rule));
        }
    }
}

/// Adds somebody, who is one person in each of their groups.
fn add(
    groups: &mut BTreeMap<Key, u64>,
    total: &mut u64,
    keys: BTreeSet<Key>,
) -> Result<(), Refusal> {
    *total += u64::from(!keys.is_empty());
    for key in keys {
        *groups.entry(key).or_default() += 1;
    }
    match groups.len() > COUNT_GROUPS_MAX {
        true => Err(Refusal::TooLarge(format!(
            "more than {COUNT_GROUPS_MAX} groups: count by less, or by wider groups"
        ))),
        false => Ok(()),
    }
}
