//! Records: values in envelopes of their own, metadata in a compact row beside them.
//!
//! Opens and takes values only with a grant. Knows nothing of roles, and not where a call came
//! from. Layout: docs/format.md "Records".

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::hour_of;
use crate::commit::{Txn, View};
use crate::crypto::Location;
use crate::decision::{ReadGrant, WriteGrant};
use crate::id::{RecordId, RowHandle};
use crate::keys::keyset::{Compartment, Lookup};
use crate::limits::RECORD_BYTES_MAX;
use crate::person::{DAMAGED, Person, instant};
use crate::policy::{Collection, CollectionKind, Field, View as Sight};
use crate::refusal::Refusal;
use crate::row;
use crate::schema::NORMALISER_VERSION;
use crate::store::{Direction, KeyRange, ReadTx, Table, WriteTx};

/// Eight random bytes that name a state of a record.
pub(crate) type Revision = [u8; 8];

/// What is known of a record beside its values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// Narrows the purposes of the policy; empty for all of them.
    pub(crate) purposes: Vec<u16>,
    pub(crate) expires_at: Option<i64>,
    pub(crate) source: Option<String>,
    pub(crate) shared_with: Vec<String>,
    pub(crate) category: Option<String>,
}

/// The metadata row, behind its expiry hour in clear.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct MetaRow {
    pub(crate) revision: Revision,
    pub(crate) created_at: i64,
    pub(crate) occurred_at: Option<i64>,
    pub(crate) meta: Meta,
    /// Each field's id, with the revision and policy version that its envelope was written at.
    fields: Vec<(u16, Revision, u32)>,
}

/// A record as stored.
pub(crate) struct Stored {
    pub(crate) id: RecordId,
    pub(crate) row: MetaRow,
    envelopes: BTreeMap<u16, Vec<u8>>,
    compartment: Compartment,
}

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

fn prefix(handle: RowHandle, collection: u16) -> Vec<u8> {
    let mut key = handle.as_bytes().to_vec();
    key.extend_from_slice(&collection.to_be_bytes());
    key
}

fn row_key(handle: RowHandle, collection: u16, record: RecordId) -> Vec<u8> {
    let mut key = prefix(handle, collection);
    key.extend_from_slice(record.as_bytes());
    key
}

/// When a record of this collection ends at the latest, in milliseconds.
fn end_of(collection: &Collection, created_at: i64, meta: &Meta) -> Option<i64> {
    let by_age = collection
        .retention
        .as_ref()
        .map(|period| period.add_to(instant(created_at)).as_millisecond());
    match (by_age, meta.expires_at) {
        (Some(age), Some(set)) => Some(age.min(set)),
        (one, other) => one.or(other),
    }
}

/// Length of a key's period in a collection that expires by age.
pub(crate) fn period_hours(collection: &Collection) -> Option<u32> {
    let retention = collection.retention.as_ref()?;
    Some((retention.hours() / 30).clamp(1, 24 * 7))
}

fn compartment(collection: &Collection, now: Timestamp) -> Compartment {
    match (period_hours(collection), collection.kind) {
        (Some(hours), CollectionKind::Many) => {
            Compartment::period(collection.id, hours, hour_of(now))
        }
        _ => Compartment::GENERAL,
    }
}

fn place<'a>(
    view: &dyn View,
    table: Table,
    handle: &'a RowHandle,
    collection: u16,
    record: &'a RecordId,
) -> Location<'a> {
    Location {
        collection,
        record: record.as_bytes(),
        ..Location::row(view.vault(), table.number(), handle.as_bytes())
    }
}

impl Stored {
    /// The record, unless it is not there or has ended.
    pub(crate) fn load(
        view: &dyn View,
        person: &Person,
        collection: &Collection,
        id: RecordId,
    ) -> Result<Option<Self>, Refusal> {
        let key = row_key(person.entry.handle, collection.id, id);
        let Some(meta) = view.tx().get(Table::RecordMeta, &key)? else {
            return Ok(None);
        };
        let values = view.tx().get(Table::Records, &key)?.ok_or(DAMAGED)?;
        let stored = Self::decode(view, person, collection.id, id, &meta, &values)?;
        let ended = end_of(collection, stored.row.created_at, &stored.row.meta);
        let over = ended.is_some_and(|end| end <= view.now().as_millisecond());
        Ok((!over).then_some(stored))
    }

    fn decode(
        view: &dyn View,
        person: &Person,
        collection: u16,
        id: RecordId,
        meta: &[u8],
        values: &[u8],
    ) -> Result<Self, Refusal> {
        let (expiry, envelope) = meta.split_at_checked(4).ok_or(DAMAGED)?;
        let location = Location {
            revision: expiry,
            ..place(
                view,
                Table::RecordMeta,
                &person.entry.handle,
                collection,
                &id,
            )
        };
        let bytes = person.unseal(&location, envelope)?;
        let envelopes: Vec<(u16, Vec<u8>)> = row::decode(values).map_err(|_| DAMAGED)?;
        Ok(Self {
            id,
            row: row::decode(&bytes).map_err(|_| DAMAGED)?,
            envelopes: envelopes.into_iter().collect(),
            compartment: person.compartment_of(envelope)?,
        })
    }

    /// Whether the record's own purposes allow this one.
    pub(crate) fn serves(&self, grant: &ReadGrant) -> bool {
        self.row.meta.purposes.is_empty() || self.row.meta.purposes.contains(&grant.purpose)
    }

    /// The values that the grant lets be seen, masked where it says so.
    pub(crate) fn see(
        &self,
        view: &dyn View,
        person: &Person,
        collection: &Collection,
        grant: &ReadGrant,
    ) -> Result<BTreeMap<u16, Seen>, Refusal> {
        let mut seen = BTreeMap::new();
        for field in &collection.fields {
            let sight = grant.sight(field.id);
            if sight == Sight::None || !self.envelopes.contains_key(&field.id) {
                continue;
            }
            let value = self.open(view, person, collection.id, field.id)?;
            let masked = sight == Sight::Mask;
            let value = if masked {
                field.kind.mask(&value)
            } else {
                value
            };
            seen.insert(field.id, Seen { value, masked });
        }
        Ok(seen)
    }

    fn open(
        &self,
        view: &dyn View,
        person: &Person,
        collection: u16,
        field: u16,
    ) -> Result<Value, Refusal> {
        let envelope = self.envelopes.get(&field).ok_or(DAMAGED)?;
        let (_, revision, schema) = self
            .row
            .fields
            .iter()
            .find(|(id, _, _)| *id == field)
            .ok_or(DAMAGED)?;
        let location = Location {
            field,
            revision,
            schema: *schema,
            ..place(
                view,
                Table::Records,
                &person.entry.handle,
                collection,
                &self.id,
            )
        };
        let bytes = person.unseal(&location, envelope)?;
        serde_json::from_slice(&bytes).map_err(|_| DAMAGED)
    }

    fn write(
        &self,
        txn: &mut Txn<'_>,
        person: &mut Person,
        collection: &Collection,
    ) -> Result<(), Refusal> {
        let number = key_number(txn, person, self.compartment)?;
        let end = end_of(collection, self.row.created_at, &self.row.meta);
        // Rounded up, so that the column never claims an end before the exact one.
        let hour = end.map_or(0, |end| hour_of(instant(end)).saturating_add(1));
        let expiry = hour.to_be_bytes();
        let handle = person.entry.handle;
        let location = Location {
            revision: &expiry,
            ..place(txn, Table::RecordMeta, &handle, collection.id, &self.id)
        };
        let mut meta = expiry.to_vec();
        meta.extend(person.seal(number, &location, &row::encode(&self.row))?);
        let key = row_key(handle, collection.id, self.id);
        let values: Vec<(&u16, &Vec<u8>)> = self.envelopes.iter().collect();
        txn.put(Table::RecordMeta, &key, &meta)?;
        Ok(txn.put(Table::Records, &key, &row::encode(&values))?)
    }
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

/// At most `limit` records after `after`, oldest or newest first; those that have ended are left
/// out. The second part tells whether there may be more.
pub(crate) fn list(
    view: &dyn View,
    person: &Person,
    collection: &Collection,
    direction: Direction,
    after: Option<RecordId>,
    limit: usize,
) -> Result<(Vec<Stored>, bool), Refusal> {
    let handle = person.entry.handle;
    let mut range = KeyRange::prefix(&prefix(handle, collection.id));
    if let Some(after) = after {
        let key = row_key(handle, collection.id, after);
        match direction {
            Direction::Ascending => {
                range.start = key;
                range.start.push(0);
            }
            Direction::Descending => range.end = Some(key),
        }
    }
    let rows = view
        .tx()
        .range(Table::RecordMeta, &range, direction, limit + 1)?;
    let more = rows.len() > limit;
    let mut records = Vec::new();
    for (key, _) in rows.iter().take(limit) {
        let id = RecordId::from_slice(&key[18..]).ok_or(DAMAGED)?;
        records.extend(Stored::load(view, person, collection, id)?);
    }
    Ok((records, more))
}

/// How many records a person has in a collection, those that have ended but still lie there
/// counted.
pub(crate) fn count(view: &dyn View, person: &Person, collection: u16) -> Result<u64, Refusal> {
    let range = KeyRange::prefix(&prefix(person.entry.handle, collection));
    let rows = view
        .tx()
        .range(Table::RecordMeta, &range, Direction::Ascending, usize::MAX)?;
    Ok(rows.len() as u64)
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
    let mut stored = stored.unwrap_or_else(|| Stored {
        id,
        row: MetaRow {
            revision,
            created_at: now.as_millisecond(),
            occurred_at: None,
            meta: Meta::default(),
            fields: Vec::new(),
        },
        envelopes: BTreeMap::new(),
        compartment: compartment(collection, now),
    });
    stored.row.revision = revision;
    if let Some(meta) = &patch.meta {
        stored.row.meta = meta.clone();
    }
    if patch.occurred_at.is_some() {
        stored.row.occurred_at = patch.occurred_at;
    }
    let mut replaced = false;
    for (field, value) in &patch.fields {
        let field = collection.field_by_id(*field).ok_or(DAMAGED)?;
        let before = match stored.envelopes.contains_key(&field.id) {
            true => Some(stored.open(txn, person, collection.id, field.id)?),
            false => None,
        };
        replaced |= before.is_some();
        stored.envelopes.remove(&field.id);
        stored.row.fields.retain(|(id, _, _)| *id != field.id);
        if let Some(value) = value {
            let number = key_number(txn, person, stored.compartment)?;
            let handle = person.entry.handle;
            let location = Location {
                field: field.id,
                revision: &revision,
                schema,
                ..place(txn, Table::Records, &handle, collection.id, &id)
            };
            let bytes = zeroize::Zeroizing::new(serde_json::to_vec(value).map_err(|_| DAMAGED)?);
            let envelope = person.seal(number, &location, &bytes)?;
            stored.envelopes.insert(field.id, envelope);
            stored.row.fields.push((field.id, revision, schema));
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
    stored.write(txn, person, collection)?;
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
    let key = row_key(person.entry.handle, collection.id, stored.id);
    txn.delete(Table::RecordMeta, &key)?;
    txn.delete(Table::Records, &key)?;
    person.mark_dirty(txn, stored.compartment)
}

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

fn change_lookup(
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

/// Gives a compartment a new key: every envelope under the old ones is sealed again, and they go
/// together with the KEK.
pub(crate) fn rekey(
    txn: &mut Txn<'_>,
    person: &mut Person,
    compartment: Compartment,
    collection: impl Fn(u16) -> bool,
) -> Result<(), Refusal> {
    let old: Vec<u32> = person
        .keyset
        .keys
        .iter()
        .filter(|dek| dek.compartment == compartment)
        .map(|dek| dek.number)
        .collect();
    if old.is_empty() {
        return Ok(());
    }
    let added = person.keyset.add(compartment, txn.entropy());
    let number = added.ok_or_else(|| Refusal::TooLarge("too many keys".into()))?;
    let range = KeyRange::prefix(person.entry.handle.as_bytes());
    let handle = person.entry.handle;
    for (key, meta) in txn.range(Table::RecordMeta, &range, Direction::Ascending, usize::MAX)? {
        let collection_id = u16::from_be_bytes(key[16..18].try_into().map_err(|_| DAMAGED)?);
        let id = RecordId::from_slice(&key[18..]).ok_or(DAMAGED)?;
        let envelope = meta.get(4..).ok_or(DAMAGED)?;
        if person.compartment_of(envelope)? != compartment || !collection(collection_id) {
            continue;
        }
        let values = txn.get(Table::Records, &key)?.ok_or(DAMAGED)?;
        let mut stored = Stored::decode(txn, person, collection_id, id, &meta, &values)?;
        for (field, revision, schema) in stored.row.fields.clone() {
            let location = Location {
                field,
                revision: &revision,
                schema,
                ..place(txn, Table::Records, &handle, collection_id, &id)
            };
            let value = person.unseal(&location, stored.envelopes.get(&field).ok_or(DAMAGED)?)?;
            let sealed = person.seal(number, &location, &value)?;
            stored.envelopes.insert(field, sealed);
        }
        let location = Location {
            revision: &meta[..4],
            ..place(txn, Table::RecordMeta, &handle, collection_id, &id)
        };
        let mut sealed = meta[..4].to_vec();
        sealed.extend(person.seal(number, &location, &row::encode(&stored.row))?);
        let envelopes: Vec<(&u16, &Vec<u8>)> = stored.envelopes.iter().collect();
        txn.put(Table::RecordMeta, &key, &sealed)?;
        txn.put(Table::Records, &key, &row::encode(&envelopes))?;
    }
    person.keyset.keys.retain(|dek| !old.contains(&dek.number));
    person.replace_kek(txn);
    person.store(txn)
}

/// Records whose end the plain column says has come.
pub(crate) fn ended(
    view: &dyn View,
    person: &Person,
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
            found.push((collection, RecordId::from_slice(&key[18..]).ok_or(DAMAGED)?));
        }
    }
    Ok(found)
}

/// Removes the rows of a record that has ended, whatever its collection has become.
pub(crate) fn remove_rows(
    txn: &mut Txn<'_>,
    person: &Person,
    collection: u16,
    id: RecordId,
) -> Result<(), Refusal> {
    let key = row_key(person.entry.handle, collection, id);
    if let Some(meta) = txn.get(Table::RecordMeta, &key)? {
        let compartment = person.compartment_of(meta.get(4..).ok_or(DAMAGED)?)?;
        person.mark_dirty(txn, compartment)?;
    }
    txn.delete(Table::RecordMeta, &key)?;
    Ok(txn.delete(Table::Records, &key)?)
}

/// An object's members apart from those that the vault itself understands.
pub(crate) fn split_meta(
    mut body: Map<String, Value>,
) -> (Map<String, Value>, Option<Value>, Option<Value>) {
    let meta = body.remove("_meta");
    let occurred_at = body.remove("occurred_at");
    (body, meta, occurred_at)
}
