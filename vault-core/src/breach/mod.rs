//! Who is affected by a breach, in numbers: the report, and drafts of what is told to whom.
//!
//! A report names fields and categories of the policy, API keys and backups, and nobody: whom it counts
//! goes another way. How it is found is `vault::breach`'s.
//!
//! Source: GDPR Art. 33(3), 34.

mod draft;
mod words;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::policy::Policy;

pub use draft::{DraftError, DraftFor, draft};

/// What a breach came by, as a report says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeOf {
    /// `api_key`, `role`, `session`, `recipient`, `backup`, `key` or `files`.
    pub kind: String,
    /// Which: a public name, a role, a part.
    pub name: String,
}

/// What was touched of one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldScope {
    /// `collection.field`, of the policy in force; by number where that has it no more.
    pub field: String,
    /// Its category, or its type where it has none.
    pub category: String,
    /// Special data (Art. 9 and 10): which.
    pub special: Option<String>,
    /// People.
    pub people: u64,
}

/// What was touched of one category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryScope {
    /// The category.
    pub category: String,
    /// Special data (Art. 9 and 10): which.
    pub special: Option<String>,
    /// People.
    pub people: u64,
}

/// Calls over many people, of which the log says how many records and not whose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkScope {
    /// How many.
    pub calls: u64,
    /// Records in them.
    pub records: u64,
    /// Their fields.
    pub fields: Vec<String>,
}

/// Who is affected, in numbers. Holds no value and no id of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreachReport {
    /// What it came by.
    pub of: ScopeOf,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// When this was found.
    pub made_at: Timestamp,
    /// Entries that the log had then.
    pub log_size: u64,
    /// Whether only ciphertext was got, which whoever has it cannot read (Art. 34(3)(a)).
    pub ciphertext_only: bool,
    /// Whether fields and categories are what people may have, and not what was seen: where no call left
    /// an entry; of a recipient, where it is not sure that each was given in the window.
    pub at_most: bool,
    /// People of whom values were, or may have been, seen or changed.
    pub people: u64,
    /// People who were met without a value.
    pub people_without_values: u64,
    /// Calls that read values.
    pub reads: u64,
    /// Calls that changed values.
    pub writes: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// The first call that met somebody; of a recipient, when the first was disclosed to it.
    pub first: Option<Timestamp>,
    /// The last.
    pub last: Option<Timestamp>,
    /// Entries about people who have been erased since: whose they were nobody can find any more; those of
    /// people who are `damaged` are among them. For a backup, people in it who are there no more.
    pub not_resolvable: u64,
    /// People whose rows do not open.
    pub damaged: u64,
    /// Calls over many people.
    pub bulk: BulkScope,
    /// By category, special data first.
    pub categories: Vec<CategoryScope>,
    /// By field, special data first.
    pub fields: Vec<FieldScope>,
}

impl BreachReport {
    /// What can be read of it without a policy: for a register, or a drafts' maker elsewhere.
    ///
    /// # Errors
    ///
    /// The text of what is wrong with its form.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes)
            .map_err(|error| format!("not a report of `breach scope` (line {})", error.line()))
    }
}

/// Name, category and speciality of a field.
pub(crate) fn described(
    policy: &Policy,
    (collection, field): (u16, u16),
) -> (String, String, Option<String>) {
    let found = policy.collection_by_id(collection);
    let found = found.and_then(|found| Some((found, found.field_by_id(field)?)));
    match found {
        Some((collection, field)) => (
            format!("{}.{}", collection.name, field.name),
            field
                .category
                .clone()
                .unwrap_or_else(|| field.kind.name().to_owned()),
            field.special.map(|special| special.name().to_owned()),
        ),
        None => {
            let name = format!("{collection}.{field}");
            (name.clone(), name, None)
        }
    }
}
