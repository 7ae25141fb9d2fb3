//! A record as rows: the metadata row, the envelopes beside it, and where both stand.
//!
//! Layout: docs/format.md "Records".

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Ended, Revision, Seen};
use crate::clock::{hour_of, instant_of_hour};
use crate::commit::{Txn, View};
use crate::crypto::Location;
use crate::decision::ReadGrant;
use crate::id::{RecordId, RowHandle};
use crate::keys::keyset::Compartment;
use crate::person::{DAMAGED, Person, instant};
use crate::policy::{Collection, CollectionKind, View as Sight};
use crate::refusal::Refusal;
use crate::retention::Times;
use crate::row;
use crate::schema::FieldType;
use crate::store::{Table, WriteTx};

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

/// The metadata row, behind its expiry hour in clear. That of a record nobody has touched since is
/// short enough for the smallest bucket.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct MetaRow {
    pub(crate) revision: Revision,
    /// The policy version that the record was last written at.
    pub(crate) schema: u32,
    pub(crate) created_at: i64,
    pub(crate) occurred_at: Option<i64>,
    pub(crate) meta: Meta,
    /// Fields whose envelopes were written at an earlier revision: id, revision, policy version.
    pub(crate) older: Vec<(u16, Revision, u32)>,
    /// The revision and policy version that the other fields' envelopes were written at, where only
    /// the metadata has changed since: so it changes without a look at them.
    pub(crate) values: Option<(Revision, u32)>,
    /// Fields whose values were collected in a later hour than the record: id, that hour.
    pub(crate) collected: Vec<(u16, u32)>,
}

/// A record as stored.
pub(crate) struct Stored {
    pub(crate) id: RecordId,
    pub(crate) row: MetaRow,
    pub(super) envelopes: BTreeMap<u16, Vec<u8>>,
    pub(super) compartment: Compartment,
}

pub(super) fn prefix(handle: RowHandle, collection: u16) -> Vec<u8> {
    let mut key = handle.as_bytes().to_vec();
    key.extend_from_slice(&collection.to_be_bytes());
    key
}

pub(super) fn row_key(handle: RowHandle, collection: u16, record: RecordId) -> Vec<u8> {
    let mut key = prefix(handle, collection);
    key.extend_from_slice(record.as_bytes());
    key
}

/// When a record of this collection ends at the latest, in milliseconds.
pub(super) fn end_of(collection: &Collection, created_at: i64, meta: &Meta) -> Option<i64> {
    let by_age = collection
        .retention
        .as_ref()
        .map(|period| period.add_to(instant(created_at)).as_millisecond());
    match (by_age, meta.expires_at) {
        (Some(age), Some(set)) => Some(age.min(set)),
        (one, other) => one.or(other),
    }
}

/// Whether a record has ended. Few are so old that the calendar has to be asked.
pub(super) fn has_ended(collection: &Collection, created_at: i64, meta: &Meta, now: i64) -> bool {
    if meta.expires_at.is_some_and(|end| end <= now) {
        return true;
    }
    // The upper bound in hours counts a month as 31 days, of which it has 28 at least, and rounds
    // up to a whole hour.
    let young = |hours: u32| {
        let least = (i64::from(hours) - 1) * 28 / 31;
        now - created_at < least * 3_600_000
    };
    match &collection.retention {
        Some(period) if !young(period.hours()) => {
            end_of(collection, created_at, meta).is_some_and(|end| end <= now)
        }
        _ => false,
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

pub(super) fn place<'a>(
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
    /// A record that begins now, without a value.
    pub(crate) fn begin(
        collection: &Collection,
        id: RecordId,
        revision: Revision,
        schema: u32,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            row: MetaRow::new(revision, schema, now),
            envelopes: BTreeMap::new(),
            compartment: compartment(collection, now),
        }
    }

    /// The record, unless it is not there, or has ended and those are to be left out.
    pub(crate) fn load(
        view: &dyn View,
        person: &Person,
        collection: &Collection,
        id: RecordId,
        ended: Ended,
    ) -> Result<Option<Self>, Refusal> {
        let key = row_key(person.entry.handle, collection.id, id);
        let Some(meta) = view.tx().get(Table::RecordMeta, &key)? else {
            return Ok(None);
        };
        let values = view.tx().get(Table::Records, &key)?.ok_or(DAMAGED)?;
        let stored = Self::decode(view, person, collection.id, id, &meta, &values)?;
        let now = view.now().as_millisecond();
        let over = has_ended(collection, stored.row.created_at, &stored.row.meta, now);
        let meant = match ended {
            Ended::Out => !over,
            Ended::Only => over,
            Ended::In => true,
        };
        Ok(meant.then_some(stored))
    }

    pub(super) fn decode(
        view: &dyn View,
        person: &Person,
        collection: u16,
        id: RecordId,
        meta: &[u8],
        values: &[u8],
    ) -> Result<Self, Refusal> {
        let (row, compartment) = MetaRow::open(view, person, collection, id, meta)?;
        let envelopes: Vec<(u16, Vec<u8>)> = row::decode(values).map_err(|_| DAMAGED)?;
        Ok(Self {
            id,
            row,
            envelopes: envelopes.into_iter().collect(),
            compartment,
        })
    }

    /// Whether a field has a value.
    pub(crate) fn holds(&self, field: u16) -> bool {
        self.envelopes.contains_key(&field)
    }

    /// Whether the grant's purpose needs a field's value no more.
    pub(crate) fn is_over(&self, grant: &ReadGrant, field: u16) -> bool {
        grant.is_over(self.row.times(field))
    }

    /// Whether the record's own purposes allow this one.
    pub(crate) fn serves(&self, grant: &ReadGrant) -> bool {
        grant.reaches(&self.row.meta.purposes)
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
            if sight == Sight::None || !self.holds(field.id) || self.is_over(grant, field.id) {
                continue;
            }
            let value = match field.kind {
                FieldType::Blob => self.blob(view, person, collection.id, field.id)?.to_value(),
                _ => self.open(view, person, collection.id, field.id)?,
            };
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

    pub(super) fn open(
        &self,
        view: &dyn View,
        person: &Person,
        collection: u16,
        field: u16,
    ) -> Result<Value, Refusal> {
        let bytes = self.open_bytes(view, person, collection, field)?;
        serde_json::from_slice(&bytes).map_err(|_| DAMAGED)
    }

    pub(super) fn open_bytes(
        &self,
        view: &dyn View,
        person: &Person,
        collection: u16,
        field: u16,
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let envelope = self.envelopes.get(&field).ok_or(DAMAGED)?;
        self.row
            .unseal(view, person, collection, self.id, field, envelope)
    }

    /// Begins a new revision: what is not written anew keeps the one that it was written at.
    pub(super) fn advance(&mut self, revision: Revision, schema: u32) {
        for field in self.envelopes.keys() {
            if !self.row.older.iter().any(|(id, _, _)| id == field) {
                let (written, version) = self.row.written_at(*field);
                self.row.older.push((*field, written, version));
            }
        }
        self.row.values = None;
        self.row.revision = revision;
        self.row.schema = schema;
    }

    /// Takes a field's envelope out.
    pub(super) fn take_out(&mut self, field: u16) {
        self.envelopes.remove(&field);
        self.row.older.retain(|(id, _, _)| *id != field);
        self.row.collected.retain(|(id, _)| *id != field);
    }

    /// The fields that have a value.
    pub(crate) fn fields(&self) -> impl Iterator<Item = u16> + '_ {
        self.envelopes.keys().copied()
    }

    /// Seals a value at the present revision, under the key with this number.
    pub(super) fn put_in(
        &mut self,
        view: &dyn View,
        person: &Person,
        collection: u16,
        field: u16,
        number: u32,
        value: &[u8],
    ) -> Result<(), Refusal> {
        self.take_out(field);
        let hour = hour_of(view.now());
        if hour != hour_of(instant(self.row.created_at)) {
            self.row.collected.push((field, hour));
        }
        self.reseal(view, person, collection, field, number, value)
    }

    /// Seals a value under another key at the revision that it was written at.
    fn reseal(
        &mut self,
        view: &dyn View,
        person: &Person,
        collection: u16,
        field: u16,
        number: u32,
        value: &[u8],
    ) -> Result<(), Refusal> {
        let (revision, schema) = self.row.written_at(field);
        let location = Location {
            field,
            revision: &revision,
            schema,
            ..place(
                view,
                Table::Records,
                &person.entry.handle,
                collection,
                &self.id,
            )
        };
        let envelope = person.seal(number, &location, value)?;
        self.envelopes.insert(field, envelope);
        Ok(())
    }

    /// Seals every value again under the key with this number.
    pub(super) fn reseal_all(
        &mut self,
        view: &dyn View,
        person: &Person,
        collection: u16,
        number: u32,
    ) -> Result<(), Refusal> {
        let fields: Vec<u16> = self.envelopes.keys().copied().collect();
        for field in fields {
            let value = self.open_bytes(view, person, collection, field)?;
            self.reseal(view, person, collection, field, number, &value)?;
        }
        Ok(())
    }

    /// Writes both rows; the metadata is sealed under the key with this number.
    pub(super) fn write(
        &self,
        txn: &mut Txn<'_>,
        person: &Person,
        collection: u16,
        number: u32,
        expiry: [u8; 4],
    ) -> Result<(), Refusal> {
        let values: Vec<(&u16, &Vec<u8>)> = self.envelopes.iter().collect();
        let key = row_key(person.entry.handle, collection, self.id);
        self.row
            .write(txn, person, collection, self.id, number, expiry)?;
        Ok(txn.put(Table::Records, &key, &row::encode(&values))?)
    }

    /// How many values belong to fields that the policy has no more.
    pub(crate) fn undeclared(&self, collection: &Collection) -> u64 {
        let known = |field: &&u16| collection.field_by_id(**field).is_none();
        self.envelopes.keys().filter(known).count() as u64
    }

    /// When the record ends at the latest, in milliseconds.
    pub(crate) fn ends_at(&self, collection: &Collection) -> Option<i64> {
        end_of(collection, self.row.created_at, &self.row.meta)
    }

    /// The hour after which the record has ended, as it stands in clear; zero for never.
    pub(super) fn expiry(&self, collection: &Collection) -> [u8; 4] {
        self.row.expiry(collection)
    }
}

impl MetaRow {
    /// The row of a record that begins now.
    fn new(revision: Revision, schema: u32, now: Timestamp) -> Self {
        Self {
            revision,
            schema,
            created_at: now.as_millisecond(),
            occurred_at: None,
            meta: Meta::default(),
            older: Vec::new(),
            values: None,
            collected: Vec::new(),
        }
    }

    /// Opens a metadata row; and which compartment the record lies in.
    pub(super) fn open(
        view: &dyn View,
        person: &Person,
        collection: u16,
        id: RecordId,
        meta: &[u8],
    ) -> Result<(Self, Compartment), Refusal> {
        let (expiry, envelope) = meta.split_at_checked(4).ok_or(DAMAGED)?;
        let handle = &person.entry.handle;
        let location = Location {
            revision: expiry,
            ..place(view, Table::RecordMeta, handle, collection, &id)
        };
        let bytes = person.unseal(&location, envelope)?;
        let row = row::decode(&bytes).map_err(|_| DAMAGED)?;
        Ok((row, person.compartment_of(envelope)?))
    }

    /// Writes the row alone, sealed under the key with this number.
    pub(super) fn write(
        &self,
        txn: &mut Txn<'_>,
        person: &Person,
        collection: u16,
        id: RecordId,
        number: u32,
        expiry: [u8; 4],
    ) -> Result<(), Refusal> {
        let handle = person.entry.handle;
        let location = Location {
            revision: &expiry,
            ..place(txn, Table::RecordMeta, &handle, collection, &id)
        };
        let mut meta = expiry.to_vec();
        meta.extend(person.seal(number, &location, &row::encode(self))?);
        let key = row_key(handle, collection, id);
        Ok(txn.put(Table::RecordMeta, &key, &meta)?)
    }

    /// Opens the envelope of a field's value.
    pub(super) fn unseal(
        &self,
        view: &dyn View,
        person: &Person,
        collection: u16,
        id: RecordId,
        field: u16,
        envelope: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let (revision, schema) = self.written_at(field);
        let handle = &person.entry.handle;
        let location = Location {
            field,
            revision: &revision,
            schema,
            ..place(view, Table::Records, handle, collection, &id)
        };
        person.unseal(&location, envelope)
    }

    /// The hour after which the record has ended, as it stands in clear; zero for never.
    pub(super) fn expiry(&self, collection: &Collection) -> [u8; 4] {
        let end = end_of(collection, self.created_at, &self.meta);
        // Rounded up, so that the column never claims an end before the exact one.
        let hour = end.map_or(0, |end| hour_of(instant(end)).saturating_add(1));
        hour.to_be_bytes()
    }

    /// Begins a new revision of the metadata; the values keep the one that they were written at.
    pub(super) fn advance(&mut self, revision: Revision, schema: u32) {
        self.values.get_or_insert((self.revision, self.schema));
        self.revision = revision;
        self.schema = schema;
    }

    /// When a field's value came, to the hour.
    pub(crate) fn times(&self, field: u16) -> Times {
        let begun = instant(self.created_at);
        let later = self.collected.iter().find(|(id, _)| *id == field);
        // Of the hour its end: what runs from there ends no earlier than was promised.
        let collected = later.map_or(begun, |(_, hour)| instant_of_hour(hour.saturating_add(1)));
        Times { begun, collected }
    }

    pub(crate) fn written_at(&self, field: u16) -> (Revision, u32) {
        let older = self.older.iter().find(|(id, _, _)| *id == field);
        let others = self.values.unwrap_or((self.revision, self.schema));
        older.map_or(others, |(_, revision, schema)| (*revision, *schema))
    }
}
