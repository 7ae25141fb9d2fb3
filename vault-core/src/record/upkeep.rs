//! What the sweeper does with records: new keys, and the end of what has expired.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::lookup::{change_lookup, release};
use super::stored::{Stored, row_key};
use super::{Ended, Revision, key_number as key_number_for, remove_within};
use crate::blob;
use crate::clock::hour_of;
use crate::commit::{Txn, View};
use crate::crypto::key_number;
use crate::id::RecordId;
use crate::keys::keyset::{Compartment, Dek};
use crate::limits::{BLOB_CHUNKS_REMOVED_MAX, BULK_PAGE_ROWS};
use crate::person::{DAMAGED, Person};
use crate::policy::{Collection, Policy};
use crate::refusal::Refusal;
use crate::row;
use crate::schema::FieldType;
use crate::standing::Standing;
use crate::store::{Direction, KeyRange, ReadTx, Table, WriteTx};

/// Gives compartments new keys: every envelope under the old ones is sealed again, and they go
/// together with the KEK. A compartment in which nothing is left gets none. The compartment's number
/// of each key that went.
pub(crate) fn rekey(
    txn: &mut Txn<'_>,
    person: &mut Person,
    compartments: &[Compartment],
) -> Result<Vec<u16>, Refusal> {
    let touched = |dek: &&Dek| compartments.contains(&dek.compartment);
    let gone = person.keyset.keys.iter().filter(touched);
    let (old, numbers): (Vec<u32>, Vec<u16>) =
        gone.map(|dek| (dek.number, dek.compartment.number)).unzip();
    if old.is_empty() {
        return Ok(numbers);
    }
    let range = KeyRange::prefix(person.entry.handle.as_bytes());
    for (key, meta) in txn.range(Table::RecordMeta, &range, Direction::Ascending, usize::MAX)? {
        let compartment = person.compartment_of(meta.get(4..).ok_or(DAMAGED)?)?;
        if !compartments.contains(&compartment) {
            continue;
        }
        let newest = person.keyset.newest(compartment).map(|dek| dek.number);
        let number = match newest.filter(|number| !old.contains(number)) {
            Some(number) => number,
            None => {
                let added = person.keyset.add(compartment, txn.entropy());
                added.ok_or_else(|| Refusal::TooLarge("too many keys".into()))?
            }
        };
        let values = txn.get(Table::Records, &key)?.ok_or(DAMAGED)?;
        seal_again(txn, person, &key, (&meta, &values), number)?;
    }
    person.keyset.keys.retain(|dek| !old.contains(&dek.number));
    person.replace_kek(txn);
    person.store(txn)?;
    Ok(numbers)
}

/// Seals a record again under keys above `up_to`, where anything in it is under an older one; how many
/// bytes were looked at. The keyset may gain a key, and is then to be stored. What says that it is under
/// a newer one is opened as well: that may be what is damaged.
pub(crate) fn reseal(
    txn: &mut Txn<'_>,
    person: &mut Person,
    key: &[u8],
    meta: &[u8],
    up_to: u32,
) -> Result<usize, Refusal> {
    let values = txn.get(Table::Records, key)?.ok_or(DAMAGED)?;
    let bytes = meta.len() + values.len();
    let mut old = false;
    key_numbers(txn, key, meta, &mut |number| old |= number <= up_to)?;
    let compartment = person.compartment_of(meta.get(4..).ok_or(DAMAGED)?)?;
    let number = person.successor(compartment, up_to, txn.entropy());
    if old {
        seal_again(txn, person, key, (meta, &values), number)?;
    } else {
        open_all(txn, person, key, (meta, &values), number)?;
    }
    Ok(bytes)
}

/// Seals a record, metadata and values, under the key with this number.
fn seal_again(
    txn: &mut Txn<'_>,
    person: &Person,
    key: &[u8],
    (meta, values): (&[u8], &[u8]),
    number: u32,
) -> Result<(), Refusal> {
    let (collection, stored) = open_all(txn, person, key, (meta, values), number)?;
    let expiry = meta[..4].try_into().map_err(|_| DAMAGED)?;
    stored.write(txn, person, collection, number, expiry)
}

/// A record, every value of it opened and sealed under the key with this number, and its collection.
fn open_all(
    view: &dyn View,
    person: &Person,
    key: &[u8],
    (meta, values): (&[u8], &[u8]),
    number: u32,
) -> Result<(u16, Stored), Refusal> {
    let collection = u16::from_be_bytes(key[16..18].try_into().map_err(|_| DAMAGED)?);
    let id = RecordId::from_slice(&key[18..]).ok_or(DAMAGED)?;
    let mut stored = Stored::decode(view, person, collection, id, meta, values)?;
    stored.reseal_all(view, person, collection, number)?;
    Ok((collection, stored))
}

/// Tells the number of the key of each envelope of a record: the metadata's, and each value's.
pub(crate) fn key_numbers(
    view: &dyn View,
    key: &[u8],
    meta: &[u8],
    tell: &mut dyn FnMut(u32),
) -> Result<(), Refusal> {
    let mut number = |envelope: &[u8]| {
        tell(key_number(envelope)?);
        Some(())
    };
    number(meta.get(4..).ok_or(DAMAGED)?).ok_or(DAMAGED)?;
    let values = view.tx().get(Table::Records, key)?.ok_or(DAMAGED)?;
    let envelopes: Vec<(u16, Vec<u8>)> = row::decode(&values).map_err(|_| DAMAGED)?;
    for (_, envelope) in &envelopes {
        number(envelope).ok_or(DAMAGED)?;
    }
    Ok(())
}

/// Records whose end the plain column says has come, in collections that are not kept.
pub(crate) fn ended(
    view: &dyn View,
    person: &Person,
    standing: &Standing,
    limit: usize,
) -> Result<Vec<(u16, RecordId)>, Refusal> {
    let range = KeyRange::prefix(person.entry.handle.as_bytes());
    let now = hour_of(view.now());
    let rows = view
        .tx()
        .range(Table::RecordMeta, &range, Direction::Ascending, usize::MAX)?;
    let mut found = Vec::new();
    for (key, meta) in rows {
        let hour = meta
            .get(..4)
            .and_then(|h| h.try_into().ok())
            .map_or(0, u32::from_be_bytes);
        if hour != 0 && hour <= now && found.len() < limit {
            let collection = u16::from_be_bytes(key[16..18].try_into().map_err(|_| DAMAGED)?);
            if standing.keeps(collection) {
                continue;
            }
            found.push((collection, RecordId::from_slice(&key[18..]).ok_or(DAMAGED)?));
        }
    }
    Ok(found)
}

/// Records of one person by collection.
pub(crate) type Counted = BTreeMap<u16, u64>;

/// Records of one person that are gone, by collection.
pub(crate) type Gone = BTreeMap<u16, Vec<RecordId>>;

/// Removes every record in a collection that is not kept, of their blobs as many chunks as a commit takes;
/// the sweeper takes the others. Look-up values and keys are the caller's. Which records went from each
/// collection, and how many are left in each.
pub(crate) fn remove_others(
    txn: &mut Txn<'_>,
    person: &Person,
    kept: &dyn Fn(u16) -> bool,
) -> Result<(Gone, Counted), Refusal> {
    let (mut gone, mut left) = (Gone::new(), Counted::new());
    let mut budget = BLOB_CHUNKS_REMOVED_MAX;
    let range = KeyRange::prefix(person.entry.handle.as_bytes());
    for (key, meta) in txn.range(Table::RecordMeta, &range, Direction::Ascending, usize::MAX)? {
        let collection = u16::from_be_bytes(key[16..18].try_into().map_err(|_| DAMAGED)?);
        if kept(collection) {
            *left.entry(collection).or_default() += 1;
            continue;
        }
        let id = RecordId::from_slice(&key[18..]).ok_or(DAMAGED)?;
        if let Some(values) = txn.get(Table::Records, &key)? {
            let stored = Stored::decode(txn, person, collection, id, &meta, &values);
            let contents = stored
                .and_then(|stored| stored.remove_contents(txn, person, collection, &mut budget));
            match contents {
                // What does not open goes all the same, and its content is closed already.
                Err(refusal) if !refusal.is_damage() => return Err(refusal),
                _ => {}
            }
        }
        txn.delete(Table::RecordMeta, &key)?;
        txn.delete(Table::Records, &key)?;
        gone.entry(collection).or_default().push(id);
    }
    Ok((gone, left))
}

/// How many records there are in each collection that is kept.
pub(crate) fn count_kept(
    view: &dyn View,
    person: &Person,
    kept: &dyn Fn(u16) -> bool,
) -> Result<Counted, Refusal> {
    let mut counted = Counted::new();
    let range = KeyRange::prefix(person.entry.handle.as_bytes());
    let tx = view.tx();
    for key in tx.keys(Table::RecordMeta, &range, Direction::Ascending, usize::MAX)? {
        let collection = u16::from_be_bytes(key[16..18].try_into().map_err(|_| DAMAGED)?);
        if kept(collection) {
            *counted.entry(collection).or_default() += 1;
        }
    }
    Ok(counted)
}

/// Who is shown records, and says whether to go on.
pub(crate) type Show<'a> = dyn FnMut(&Collection, &Stored) -> Result<ControlFlow<()>, Refusal> + 'a;

/// Shows a person's records one by one, until told to stop: not those that have ended, and none of a
/// collection that the policy has lost. How many rows were passed by for that.
pub(crate) fn each(
    view: &dyn View,
    person: &Person,
    policy: &Policy,
    show: &mut Show<'_>,
) -> Result<u64, Refusal> {
    let mut range = KeyRange::prefix(person.entry.handle.as_bytes());
    let (order, mut passed) = (Direction::Ascending, 0);
    loop {
        let rows = view
            .tx()
            .range(Table::RecordMeta, &range, order, BULK_PAGE_ROWS)?;
        for (key, _) in &rows {
            let collection = u16::from_be_bytes(key[16..18].try_into().map_err(|_| DAMAGED)?);
            let id = RecordId::from_slice(&key[18..]).ok_or(DAMAGED)?;
            let stored = match policy.collection_by_id(collection) {
                Some(collection) => Stored::load(view, person, collection, id, Ended::Out)?
                    .map(|stored| (collection, stored)),
                None => None,
            };
            let Some((collection, stored)) = stored else {
                passed += 1;
                continue;
            };
            if show(collection, &stored)?.is_break() {
                return Ok(passed);
            }
        }
        match rows.last() {
            Some((last, _)) if rows.len() == BULK_PAGE_ROWS => range.go_on(order, last),
            _ => return Ok(passed),
        }
    }
}

/// Takes values out of a record, whatever its policy has become; the record goes with the last of them,
/// and then this is `true`. Of blobs as many chunks as `budget` allows.
pub(crate) fn expire(
    txn: &mut Txn<'_>,
    person: &mut Person,
    collection: &Collection,
    mut stored: Stored,
    fields: &[u16],
    schema: u32,
    budget: &mut usize,
) -> Result<bool, Refusal> {
    if stored.fields().all(|field| fields.contains(&field)) {
        remove_within(txn, person, collection, &stored, budget)?;
        return Ok(true);
    }
    let mut revision = Revision::default();
    txn.entropy().fill(&mut revision);
    stored.advance(revision, schema);
    for id in fields {
        let Some(field) = collection.field_by_id(*id) else {
            continue;
        };
        if field.kind == FieldType::Blob {
            let old = stored.blob(txn, person, collection.id, *id)?;
            blob::remove(txn, person.entry.handle, old.key.id, budget)?;
        }
        if field.lookup {
            let before = stored.open(txn, person, collection.id, *id)?;
            change_lookup(
                txn,
                person,
                collection,
                field,
                stored.id,
                Some(&before),
                None,
            )?;
        }
        stored.take_out(*id);
    }
    let number = key_number_for(txn, person, stored.compartment)?;
    let expiry = stored.expiry(collection);
    stored.write(txn, person, collection.id, number, expiry)?;
    person.mark_dirty(txn, stored.compartment)?;
    Ok(false)
}

/// Makes room for a record where one stands that has ended: that goes, with its look-up values, before
/// another is written over it.
pub(crate) fn end(
    txn: &mut Txn<'_>,
    person: &mut Person,
    collection: &Collection,
    id: RecordId,
) -> Result<(), Refusal> {
    let key = row_key(person.entry.handle, collection.id, id);
    // No other record gets the id of one before it.
    if id != RecordId::SINGLE || txn.get(Table::RecordMeta, &key)?.is_none() {
        return Ok(());
    }
    let mut budget = BLOB_CHUNKS_REMOVED_MAX;
    remove_rows(txn, person, collection.id, id, &mut budget)?;
    release(txn, person, collection.id, Some(collection))
}

/// Removes the rows of a record that has ended, whatever its collection has become, and of its blobs
/// as many chunks as `budget` allows. Its look-up values stay until [`release`].
pub(crate) fn remove_rows(
    txn: &mut Txn<'_>,
    person: &Person,
    collection: u16,
    id: RecordId,
    budget: &mut usize,
) -> Result<(), Refusal> {
    let key = row_key(person.entry.handle, collection, id);
    if let Some(meta) = txn.get(Table::RecordMeta, &key)? {
        let compartment = person.compartment_of(meta.get(4..).ok_or(DAMAGED)?)?;
        person.mark_dirty(txn, compartment)?;
        let values = txn.get(Table::Records, &key)?.ok_or(DAMAGED)?;
        let stored = Stored::decode(txn, person, collection, id, &meta, &values)?;
        stored.remove_contents(txn, person, collection, budget)?;
    }
    txn.delete(Table::RecordMeta, &key)?;
    Ok(txn.delete(Table::Records, &key)?)
}
