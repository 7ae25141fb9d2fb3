//! Calls over many people: records read, changed and destroyed by their metadata.
//!
//! A walk goes through the people map in tag order, in slices with a snapshot each, so that no view
//! of the vault grows old and no commit grows large. Each person is decided anew. What is chosen is
//! chosen by metadata alone: a value cannot be asked for across people.

mod change;
mod count;
mod find;
mod line;
mod purge;
mod query;
mod slice;
#[cfg(test)]
mod tests;
mod update;
mod wanted;

use std::borrow::Cow;

use serde_json::Value;

use super::Vault;
use super::call::{Context, Noted};
use super::input;
use crate::commit::{Snapshot, View};
use crate::crypto::Sha256Stream;
use crate::decision::{self, ReadGrant, WriteGrant};
use crate::id::{RecordId, SubjectId};
use crate::keys::keyset::PersonEntry;
use crate::limits::BULK_LEAVES;
use crate::policy::{Capability, Collection, Field, Policy, Purpose, Role};
use crate::record::{Ended, Filter};
use crate::refusal::Refusal;
use crate::standing::Standing;

/// Reads conditions, and a change if there is one, for whoever only wants to know what is wrong.
pub(crate) fn wanted_form(
    policy: &Policy,
    collection: &Collection,
    conditions: &Value,
    set: Option<&Value>,
) -> Result<(), Refusal> {
    wanted::filter(policy, collection, conditions, Ended::Out)?;
    set.map_or(Ok(()), |set| {
        wanted::patch(policy, collection, set).map(drop)
    })
}

pub use count::{CountBy, CountGroup, CountInput, Counted, Label as CountLabel};
pub use purge::Purged;
pub use query::{Query, Step};
pub use update::Updated;

/// What a query shows of each record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueryPart {
    /// Values.
    #[default]
    Fields,
    /// Values and metadata.
    Both,
    /// Metadata.
    MetaOnly,
}

/// Which records of many people are to be read, and what of them.
#[derive(Clone)]
pub struct QueryInput {
    /// The collection's name.
    pub collection: String,
    /// Fields by name; all that may be seen, if absent.
    pub fields: Option<Vec<String>>,
    /// `where`: an object of conditions over metadata.
    pub conditions: Value,
    /// Values or metadata.
    pub part: QueryPart,
    /// What people are called in it; their ids, if absent.
    pub names: Option<QueryNames>,
    /// Most records of this answer.
    pub limit: Option<usize>,
    /// Where the answer before ended.
    pub cursor: Option<String>,
}

/// That people are called by their pseudonyms for the purpose, which are issued as they are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryNames {
    /// A recipient that the purpose names; `None` for the controller's own use.
    pub recipient: Option<String>,
}

/// Which records of many people are to be changed or destroyed.
#[derive(Clone)]
pub struct ChangeInput {
    /// The collection's name.
    pub collection: String,
    /// `where`: an object of conditions over metadata.
    pub conditions: Value,
    /// Only count.
    pub dry_run: bool,
}

/// Silent about what was said of a person.
impl std::fmt::Debug for QueryInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryInput")
            .field("collection", &self.collection)
            .field("fields", &self.fields)
            .field("part", &self.part)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// Silent about what was said of a person.
impl std::fmt::Debug for ChangeInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeInput")
            .field("collection", &self.collection)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}

/// Where a walk goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// The next person, or the first after this tag.
    tag: [u8; 16],
    /// The last record of theirs that is done with.
    after: Option<RecordId>,
}

impl Place {
    const START: Self = Self {
        tag: [0; 16],
        after: None,
    };

    /// The place behind everything of a person; `None` behind the last possible one.
    fn behind(subject: SubjectId) -> Option<Self> {
        let tag = u128::from_be_bytes(*subject.as_bytes()).checked_add(1)?;
        Some(Self {
            tag: tag.to_be_bytes(),
            after: None,
        })
    }
}

/// People from a place on, and where to go on behind them.
struct People {
    people: Vec<(SubjectId, PersonEntry)>,
    next: Option<Place>,
}

impl People {
    fn walk(snapshot: &Snapshot, filter: &Filter, place: Place) -> Result<Self, Refusal> {
        if let Some(subject) = filter.subject {
            let entry = snapshot.person_entry(subject)?;
            let person = entry.filter(|_| *subject.as_bytes() >= place.tag);
            return Ok(Self {
                people: person.map(|entry| (subject, entry)).into_iter().collect(),
                next: None,
            });
        }
        let (mut people, next) = snapshot.walk_people(place.tag, BULK_LEAVES)?;
        people.retain(|(subject, _)| *subject.as_bytes() >= place.tag);
        people.sort_unstable_by_key(|(subject, _)| *subject);
        Ok(Self {
            people,
            next: next.map(|tag| Place { tag, after: None }),
        })
    }
}

/// A digest over records in their order.
#[derive(Clone, Default)]
struct Ids {
    count: u64,
    digest: Sha256Stream,
}

impl Ids {
    /// Adds a record. The records of `single` collections all have one id, and stand for their
    /// person.
    fn add(&mut self, subject: SubjectId, record: RecordId) {
        self.count += 1;
        match record {
            RecordId::SINGLE => self.digest.update(subject.as_bytes()),
            record => self.digest.update(record.as_bytes()),
        }
    }

    fn finish(&self) -> (u64, [u8; 32]) {
        (self.count, self.digest.clone().finish())
    }
}

/// A caller who has been let in, as far as that is the same for all people.
struct Admitted<'p> {
    context: Context,
    role: Cow<'p, Role>,
    collection: &'p Collection,
    purpose: &'p Purpose,
    filter: Filter,
}

/// The checks that come before anything is said about a person, in the order that the API fixes,
/// up to the purpose.
fn admit<'p>(
    policy: &'p Policy,
    context: &Context,
    capability: Capability,
    collection: &str,
    may: fn(&Collection, &Role) -> Result<(), Refusal>,
) -> Result<(Cow<'p, Role>, &'p Collection, &'p Purpose), Refusal> {
    let stated = context.purpose.as_deref().ok_or(Refusal::PurposeMissing)?;
    context.principal.require(policy, capability)?;
    let role = context.role(policy)?;
    let collection = input::collection(policy, collection)?;
    may(collection, &role)?;
    let purpose = decision::purpose(policy, &role, Some(stated))?;
    Ok((role, collection, purpose))
}

impl<'p> Admitted<'p> {
    fn to_change(
        policy: &'p Policy,
        context: &Context,
        capability: Capability,
        input: &ChangeInput,
        ended: Ended,
    ) -> Result<Self, Refusal> {
        let may = write_all;
        let (role, collection, purpose) =
            admit(policy, context, capability, &input.collection, may)?;
        let filter = wanted::filter(policy, collection, &input.conditions, ended)?;
        let admitted = Self {
            context: context.clone(),
            role,
            collection,
            purpose,
            filter,
        };
        // What would be refused of everybody is refused at once.
        admitted.may_change(&Standing::willing())?;
        Ok(admitted)
    }

    /// Leave to change records of a person who stands like this. As for one record, what takes away needs
    /// no consent.
    fn may_change(&self, standing: &Standing) -> Result<WriteGrant, Refusal> {
        let claimed = self.context.restricted_use;
        decision::unrestricted(self.collection, &self.role, standing, claimed)?;
        let kept = "many records are not changed or destroyed at once before the hold is released";
        decision::unheld(self.collection, standing.holds(self.collection.id), kept)?;
        decision::write(
            self.collection,
            &self.role,
            self.purpose,
            &[],
            &[],
            standing,
        )
    }

    /// Leave to read records of a person who stands like this.
    fn may_read(
        &self,
        named: Option<&[&Field]>,
        standing: &Standing,
    ) -> Result<ReadGrant, Refusal> {
        let claimed = self.context.restricted_use;
        decision::unrestricted(self.collection, &self.role, standing, claimed)?;
        decision::read(self.collection, &self.role, self.purpose, named, standing)
    }

    fn note_fields(&self, noted: &mut Noted) {
        let fields = self.collection.fields.iter();
        noted.fields = fields.map(|field| (self.collection.id, field.id)).collect();
    }
}

/// Metadata governs a record as a whole: whoever changes it for many, or deletes them, may write
/// every field.
fn write_all(collection: &Collection, role: &Role) -> Result<(), Refusal> {
    let mut fields = collection.fields.iter();
    match fields.all(|field| role.may_write(collection.id, field.id)) {
        true => Ok(()),
        false => Err(Refusal::RoleDenied(format!(
            "changing many records needs leave to write every field of `{}`",
            collection.name
        ))),
    }
}

impl Vault {
    /// Why a look at the vault failed: a snapshot ends with the vault under it, and then that is why.
    fn or_locked(&self, refusal: Refusal) -> Refusal {
        self.check_open().err().unwrap_or(refusal)
    }

    /// Writes an entry that belongs to no commit.
    fn note(
        &self,
        context: &Context,
        policy: &Policy,
        snapshot: &Snapshot,
        action: &'static str,
        noted: Noted,
        outcome: &'static str,
    ) -> Result<(), Refusal> {
        let entry = context.entry(policy, snapshot.now(), action, noted, outcome);
        self.engine.record_read(&entry)
    }
}
