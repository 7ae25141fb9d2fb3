//! Look-up values of records: the index follows the fields that are marked `lookup`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::many::marks_left;
use super::{count, list};
use crate::commit::{Txn, View};
use crate::id::RecordId;
use crate::keys::keyset::Lookup;
use crate::person::Person;
use crate::policy::{Collection, CollectionKind, Field};
use crate::refusal::Refusal;
use crate::schema::NORMALISER_VERSION;
use crate::store::Direction;

/// The inner mark of a value of a field that can be looked up.
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
    let before = before.and_then(|value| mark(txn, collection, field, value));
    let after = after.and_then(|value| mark(txn, collection, field, value));
    if before == after {
        return Ok(());
    }
    let name = (collection.id, field.id);
    if let Some(mark) = before
        && !used_elsewhere(txn, person, collection, field, id, &mark)?
    {
        person.remove_lookup(txn, &Lookup { field: name, mark });
    }
    if let Some(mark) = after {
        person.add_lookup(txn, Lookup { field: name, mark })?;
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
        .filter(|had| !left.contains(&(had.field.1, had.mark)));
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
    wanted: &[u8; 32],
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
    )?;
    for record in records.iter().filter(|record| record.id != id) {
        if record.envelopes.contains_key(&field.id) {
            let value = record.open(txn, person, collection.id, field.id)?;
            if mark(txn, collection, field, &value).as_ref() == Some(wanted) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
