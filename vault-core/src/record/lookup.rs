//! Look-up values of records: the index follows the fields that are marked `lookup`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::many::marks_left;
use super::{Ended, count, list};
use crate::commit::{Txn, View};
use crate::id::RecordId;
use crate::keys::keyset::Lookup;
use crate::person::Person;
use crate::policy::{Collection, CollectionKind, Field};
use crate::refusal::Refusal;
use crate::schema::NORMALISER_VERSION;
use crate::store::Direction;

/// Every entry of the index that a value of a field has to have: one, or two while marks are made anew.
pub(crate) fn lookups(
    view: &dyn View,
    collection: &Collection,
    field: &Field,
    value: &Value,
) -> Vec<Lookup> {
    let name = (collection.id, field.id);
    let Some(normal) = field.kind.normalise(value) else {
        return Vec::new();
    };
    let marks = view.system().marks(name, NORMALISER_VERSION, &normal);
    let lookup = |(set, mark)| Lookup {
        field: name,
        set,
        mark,
    };
    marks.into_iter().map(lookup).collect()
}

/// The inner mark that a value of a field is found by.
pub(crate) fn mark(
    view: &dyn View,
    collection: &Collection,
    field: &Field,
    value: &Value,
) -> Option<[u8; 32]> {
    let normal = field.kind.normalise(value)?;
    view.system()
        .mark((collection.id, field.id), NORMALISER_VERSION, &normal)
}

pub(super) fn change_lookup(
    txn: &mut Txn<'_>,
    person: &mut Person,
    collection: &Collection,
    field: &Field,
    id: RecordId,
    before: Option<&Value>,
    after: Option<&Value>,
) -> Result<(), Refusal> {
    let entries = |value: Option<&Value>| {
        let entries = value.map(|value| lookups(txn, collection, field, value));
        entries.unwrap_or_default()
    };
    let (before, after) = (entries(before), entries(after));
    if before == after {
        return Ok(());
    }
    if let Some(first) = before.first()
        && !used_elsewhere(txn, person, collection, field, id, first)?
    {
        for lookup in &before {
            person.remove_lookup(txn, lookup);
        }
    }
    for lookup in after {
        person.add_lookup(txn, lookup)?;
    }
    person.store(txn)
}

/// Takes out of the index what no record of a collection has any more: after records went that nobody
/// opened for it, because they had ended. `collection` is `None` where the policy has lost it, and
/// then its values stay until its last record has gone.
pub(crate) fn release(
    txn: &mut Txn<'_>,
    person: &mut Person,
    id: u16,
    collection: Option<&Collection>,
) -> Result<(), Refusal> {
    let of = |lookup: &&Lookup| lookup.field.0 == id;
    let had: Vec<Lookup> = person.keyset.lookups.iter().filter(of).copied().collect();
    if had.is_empty() {
        return Ok(());
    }
    let left = match collection {
        Some(collection) => marks_left(txn, person, collection)?,
        None if count(txn, person, id)? > 0 => return Ok(()),
        None => BTreeSet::new(),
    };
    let gone = had
        .iter()
        .filter(|had| !left.contains(&(had.field.1, had.set, had.mark)));
    let gone: Vec<&Lookup> = gone.collect();
    for lookup in &gone {
        person.remove_lookup(txn, lookup);
    }
    match gone.is_empty() {
        true => Ok(()),
        false => person.store(txn),
    }
}

/// Whether another record of the collection has the same look-up value.
fn used_elsewhere(
    txn: &Txn<'_>,
    person: &Person,
    collection: &Collection,
    field: &Field,
    id: RecordId,
    wanted: &Lookup,
) -> Result<bool, Refusal> {
    if collection.kind == CollectionKind::Single {
        return Ok(false);
    }
    let (records, _) = list(
        txn,
        person,
        collection,
        Direction::Ascending,
        None,
        usize::MAX - 1,
        Ended::Out,
    )?;
    for record in records.iter().filter(|record| record.id != id) {
        if record.envelopes.contains_key(&field.id) {
            let value = record.open(txn, person, collection.id, field.id)?;
            if lookups(txn, collection, field, &value).contains(wanted) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
