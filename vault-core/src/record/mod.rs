//! Records: values in envelopes of their own, metadata in a compact row beside them.
//!
//! Opens and takes values only with a grant. Knows nothing of roles, and not where a call came
//! from. Layout: docs/format.md "Records".

mod blobs;
mod filter;
mod lookup;
mod many;
mod stored;
mod upkeep;

use serde_json::{Map, Value};

use crate::blob;
use crate::clock::hour_of;
use crate::commit::{Txn, View};
use crate::decision::WriteGrant;
use crate::id::RecordId;
use crate::keys::keyset::Compartment;
use crate::limits::{BLOB_CHUNKS_REMOVED_MAX, KEYS_PER_PERSON_MAX, RECORD_BYTES_MAX};
use crate::person::{DAMAGED, Person};
use crate::policy::Collection;
use crate::refusal::Refusal;
use crate::schema::FieldType;
use crate::store::{Direction, KeyRange, ReadTx, Table, WriteTx};

pub(crate) use blobs::put_blob;
pub(crate) use filter::{Ended, Filter};
pub(crate) use lookup::{lookups, mark, release};
pub(crate) use many::{
    Known, MetaPatch, Page, Stretch, amend, each_lookup, each_of_type, purge, values,
};
pub(crate) use stored::{Meta, MetaRow, Stored, period_hours};
pub(crate) use upkeep::{
    Counted, count_kept, each, ended, expire, key_numbers, rekey, remove_others, remove_rows,
    reseal,
};

use lookup::change_lookup;
use stored::{prefix, row_key};
use upkeep::end;

/// Eight random bytes that name a state of a record.
pub(crate) type Revision = [u8; 8];

/// A value as this grant may see it.
pub(crate) struct Seen {
    pub(crate) value: Value,
    pub(crate) masked: bool,
}

/// What a write is to do with a record.
#[derive(Clone)]
pub(crate) struct Patch {
    /// New values, and `None` for fields to remove.
    pub(crate) fields: Vec<(u16, Option<Value>)>,
    pub(crate) meta: Option<Meta>,
    pub(crate) occurred_at: Option<i64>,
}

fn key_number(
    txn: &mut Txn<'_>,
    person: &mut Person,
    compartment: Compartment,
) -> Result<u32, Refusal> {
    let keys = person.keyset.keys.len();
    let number = person.key_for(compartment, txn.entropy())?;
    if person.keyset.keys.len() > keys {
        person.store(txn)?;
    }
    Ok(number)
}

/// At most `limit` records after `after`, oldest or newest first; those that have ended as `ended` says.
/// The second part tells whether there may be more.
pub(crate) fn list(
    view: &dyn View,
    person: &Person,
    collection: &Collection,
    direction: Direction,
    after: Option<RecordId>,
    limit: usize,
    ended: Ended,
) -> Result<(Vec<Stored>, bool), Refusal> {
    let handle = person.entry.handle;
    let mut range = KeyRange::prefix(&prefix(handle, collection.id));
    if let Some(after) = after {
        range.go_on(direction, &row_key(handle, collection.id, after));
    }
    let mut records = Vec::new();
    // Those that have ended take no room on a page: one of them alone would look like the last.
    loop {
        let keys = view
            .tx()
            .keys(Table::RecordMeta, &range, direction, limit + 1)?;
        for key in &keys {
            if records.len() == limit {
                return Ok((records, true));
            }
            let id = RecordId::from_slice(&key[18..]).ok_or(DAMAGED)?;
            records.extend(Stored::load(view, person, collection, id, ended)?);
        }
        match keys.last() {
            Some(last) if keys.len() > limit => range.go_on(direction, last),
            _ => return Ok((records, false)),
        }
    }
}

/// Whether a person has a record in a collection, one that has ended and not gone yet included.
pub(crate) fn any(view: &dyn View, person: &Person, collection: u16) -> Result<bool, Refusal> {
    let range = KeyRange::prefix(&prefix(person.entry.handle, collection));
    let tx = view.tx();
    let keys = tx.keys(Table::RecordMeta, &range, Direction::Ascending, 1)?;
    Ok(!keys.is_empty())
}

/// How many records a person has in a collection, those that have ended but still lie there
/// counted; opens and reads none.
pub(crate) fn count(view: &dyn View, person: &Person, collection: u16) -> Result<u64, Refusal> {
    let range = KeyRange::prefix(&prefix(person.entry.handle, collection));
    let keys = view
        .tx()
        .keys(Table::RecordMeta, &range, Direction::Ascending, usize::MAX)?;
    Ok(keys.len() as u64)
}

/// What a write leaves behind.
pub(crate) struct Outcome {
    pub(crate) id: RecordId,
    pub(crate) revision: Revision,
    /// Whether something was replaced or removed, so that freed pages still hold it for a while.
    pub(crate) replaced: bool,
}

/// Appends a record to a `many` collection.
pub(crate) fn append(
    txn: &mut Txn<'_>,
    person: &mut Person,
    collection: &Collection,
    schema: u32,
    grant: &WriteGrant,
    patch: &Patch,
) -> Result<Outcome, Refusal> {
    let range = KeyRange::prefix(&prefix(person.entry.handle, collection.id));
    let last = txn.range(Table::RecordMeta, &range, Direction::Descending, 1)?;
    let last = last
        .first()
        .and_then(|(key, _)| RecordId::from_slice(&key[18..]));
    let hour = hour_of(txn.now());
    let id = RecordId::next(last, hour, txn.entropy());
    change(txn, person, collection, schema, grant, id, None, patch)
}

/// Whether [`change`] would take this patch of a record that is there: for whoever may not fail half-way. Counts
/// what is replaced as if it stayed, so it may say no where there would be room.
pub(crate) fn takes(
    view: &dyn View,
    person: &Person,
    collection: &Collection,
    stored: &Stored,
    patch: &Patch,
) -> Result<bool, Refusal> {
    let mut bytes: usize = stored.envelopes.values().map(Vec::len).sum();
    let mut more = Vec::new();
    for (field, value) in &patch.fields {
        let Some(value) = value else { continue };
        let field = collection.field_by_id(*field).ok_or(DAMAGED)?;
        let length = serde_json::to_vec(value).map_err(|_| DAMAGED)?.len();
        // Padding is an eighth at most, or a step of 32 bytes; an envelope is 45 bytes more.
        bytes += length + length / 8 + 32 + 45;
        if field.lookup {
            more.extend(lookup::lookups(view, collection, field, value));
        }
    }
    // One key for the records' compartment, perhaps.
    let keys = person.keyset.keys.len() < KEYS_PER_PERSON_MAX;
    Ok(keys && bytes <= RECORD_BYTES_MAX && person.takes_lookups(view, &more)?)
}

/// Changes a record, or makes it where there is none.
#[expect(clippy::too_many_arguments, reason = "each is a fact about one write")]
pub(crate) fn change(
    txn: &mut Txn<'_>,
    person: &mut Person,
    collection: &Collection,
    schema: u32,
    _grant: &WriteGrant,
    id: RecordId,
    stored: Option<Stored>,
    patch: &Patch,
) -> Result<Outcome, Refusal> {
    let mut revision = Revision::default();
    txn.entropy().fill(&mut revision);
    let now = txn.now();
    let mut stored = match stored {
        Some(stored) => stored,
        None => {
            end(txn, person, collection, id)?;
            Stored::begin(collection, id, revision, schema, now)
        }
    };
    stored.advance(revision, schema);
    if let Some(meta) = &patch.meta {
        stored.row.meta = meta.clone();
    }
    if patch.occurred_at.is_some() {
        stored.row.occurred_at = patch.occurred_at;
    }
    let number = key_number(txn, person, stored.compartment)?;
    let mut replaced = false;
    let mut budget = BLOB_CHUNKS_REMOVED_MAX;
    for (field, value) in &patch.fields {
        let field = collection.field_by_id(*field).ok_or(DAMAGED)?;
        let there = stored.envelopes.contains_key(&field.id);
        replaced |= there;
        if there && field.kind == FieldType::Blob {
            let old = stored.blob(txn, person, collection.id, field.id)?;
            blob::remove(txn, person.entry.handle, old.key.id, &mut budget)?;
        }
        // Opened only where the index has to follow.
        let before = match there && field.lookup {
            true => Some(stored.open(txn, person, collection.id, field.id)?),
            false => None,
        };
        match value {
            Some(value) => {
                let bytes = serde_json::to_vec(value).map_err(|_| DAMAGED)?;
                let bytes = zeroize::Zeroizing::new(bytes);
                stored.put_in(txn, person, collection.id, field.id, number, &bytes)?;
            }
            None => stored.take_out(field.id),
        }
        if field.lookup {
            let (before, after) = (before.as_ref(), value.as_ref());
            change_lookup(txn, person, collection, field, id, before, after)?;
        }
    }
    if stored.envelopes.values().map(Vec::len).sum::<usize>() > RECORD_BYTES_MAX {
        return Err(Refusal::TooLarge(
            "a record has at most 1 MiB of values".into(),
        ));
    }
    let expiry = stored.expiry(collection);
    stored.write(txn, person, collection.id, number, expiry)?;
    if replaced {
        person.mark_dirty(txn, stored.compartment)?;
    }
    Ok(Outcome {
        id,
        revision,
        replaced,
    })
}

/// Removes a record.
pub(crate) fn remove(
    txn: &mut Txn<'_>,
    person: &mut Person,
    collection: &Collection,
    stored: &Stored,
) -> Result<(), Refusal> {
    let mut budget = BLOB_CHUNKS_REMOVED_MAX;
    remove_within(txn, person, collection, stored, &mut budget)
}

/// Removes a record, and of its blobs as many chunks as `budget` allows; the sweeper takes the others.
fn remove_within(
    txn: &mut Txn<'_>,
    person: &mut Person,
    collection: &Collection,
    stored: &Stored,
    budget: &mut usize,
) -> Result<(), Refusal> {
    for field in collection.fields.iter().filter(|field| field.lookup) {
        if stored.envelopes.contains_key(&field.id) {
            let value = stored.open(txn, person, collection.id, field.id)?;
            change_lookup(
                txn,
                person,
                collection,
                field,
                stored.id,
                Some(&value),
                None,
            )?;
        }
    }
    stored.remove_contents(txn, person, collection.id, budget)?;
    let key = row_key(person.entry.handle, collection.id, stored.id);
    txn.delete(Table::RecordMeta, &key)?;
    txn.delete(Table::Records, &key)?;
    person.mark_dirty(txn, stored.compartment)
}

/// Members of a record's body that the vault itself understands.
pub(crate) const META_MEMBERS: [&str; 2] = ["_meta", "occurred_at"];

/// An object's members apart from those that the vault itself understands.
pub(crate) fn split_meta(
    mut body: Map<String, Value>,
) -> (Map<String, Value>, Option<Value>, Option<Value>) {
    let [meta, occurred_at] = META_MEMBERS.map(|name| body.remove(name));
    (body, meta, occurred_at)
}
