//! Look-up values of records: the index follows the fields that are marked `lookup`.

use serde_json::Value;

use super::list;
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
