//! Records of one person as a call over many people treats them: found by their metadata, shown,
//! changed without a look at their values, or destroyed together with their keys.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use serde_json::Value;
use zeroize::Zeroizing;

use super::filter::Filter;
use super::lookup::lookups;
use super::rekey;
use super::stored::{Meta, MetaRow, Stored, prefix, row_key};
use crate::blob::Blob;
use crate::clock::hour_of;
use crate::commit::{Txn, View};
use crate::decision::{ReadGrant, WriteGrant};
use crate::id::{RecordId, RowHandle};
use crate::keys::keyset::{Compartment, Lookup};
use crate::limits::{BLOB_CHUNKS_REMOVED_MAX, BULK_PAGE_ROWS};
use crate::person::{DAMAGED, Person, instant};
use crate::policy::{Collection, CollectionKind, Field, View as Sight};
use crate::refusal::Refusal;
use crate::row;
use crate::schema::FieldType;
use crate::store::{Direction, KeyRange, ReadTx, Row, Table, WriteTx};

/// A record whose metadata has been opened, and no value.
pub(crate) struct Known {
    pub(crate) id: RecordId,
    pub(crate) row: MetaRow,
    compartment: Compartment,
}

/// Metadata rows of one person in one collection, still sealed.
pub(crate) struct Page {
    rows: Vec<Row>,
}

/// Which rows of a person are looked at.
#[derive(Clone, Copy, Default)]
pub(crate) struct Stretch {
    /// Those behind this record.
    pub(crate) after: Option<RecordId>,
    /// Those up to this record, it included.
    pub(crate) through: Option<RecordId>,
}

impl Page {
    /// The first rows of the stretch, at most [`BULK_PAGE_ROWS`].
    pub(crate) fn read(
        view: &dyn View,
        handle: RowHandle,
        collection: &Collection,
        filter: &Filter,
        stretch: Stretch,
    ) -> Result<Self, Refusal> {
        let mut range = KeyRange::prefix(&prefix(handle, collection.id));
        if let (CollectionKind::Many, Some(start)) = (collection.kind, filter.created_after) {
            // A record's id never begins with an hour before that of its making.
            let hour = hour_of(instant(start)).to_be_bytes();
            range.start.extend_from_slice(&hour);
        }
        let behind = |record| {
            let mut key = row_key(handle, collection.id, record);
            key.push(0);
            key
        };
        if let Some(after) = stretch.after {
            range.start = range.start.max(behind(after));
        }
        if let Some(through) = stretch.through {
            range.end = Some(behind(through));
        }
        let ascending = Direction::Ascending;
        let tx = view.tx();
        let rows = tx.range(Table::RecordMeta, &range, ascending, BULK_PAGE_ROWS)?;
        Ok(Self { rows })
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The last record, if more may lie behind it.
    pub(crate) fn more_after(&self) -> Option<RecordId> {
        let (key, _) = self.rows.last().filter(|_| self.len() == BULK_PAGE_ROWS)?;
        RecordId::from_slice(&key[18..])
    }

    /// Opens the rows: those that are meant.
    pub(crate) fn fitting(
        &self,
        view: &dyn View,
        person: &Person,
        collection: &Collection,
        filter: &Filter,
    ) -> Result<Vec<Known>, Refusal> {
        let now = view.now().as_millisecond();
        let mut known = Vec::new();
        for (key, meta) in &self.rows {
            let id = RecordId::from_slice(&key[18..]).ok_or(DAMAGED)?;
            let (row, compartment) = MetaRow::open(view, person, collection.id, id, meta)?;
            if filter.fits(collection, &row, now) {
                known.push(Known {
                    id,
                    row,
                    compartment,
                });
            }
        }
        Ok(known)
    }
}

/// The rows with the values of `known`, in its order. Where most of a page is meant one range costs
/// far less than as many searches.
pub(crate) fn values(
    view: &dyn View,
    handle: RowHandle,
    collection: u16,
    known: &[Known],
    page: &Page,
) -> Result<Vec<Vec<u8>>, Refusal> {
    let key = |known: &Known| row_key(handle, collection, known.id);
    let tx = view.tx();
    let (Some(first), Some(last)) = (known.first(), known.last()) else {
        return Ok(Vec::new());
    };
    if known.len() * 4 < page.len() {
        let rows = known
            .iter()
            .map(|known| tx.get(Table::Records, &key(known)));
        return rows.map(|row| row?.ok_or(DAMAGED)).collect();
    }
    let mut end = key(last);
    end.push(0);
    let range = KeyRange {
        start: key(first),
        end: Some(end),
    };
    let rows = tx.range(Table::Records, &range, Direction::Ascending, page.len())?;
    let mut rows = rows.into_iter();
    let found = known.iter().map(|known| {
        let row = rows.find(|(key, _)| key.ends_with(known.id.as_bytes()));
        row.map(|(_, values)| values).ok_or(DAMAGED)
    });
    found.collect()
}

impl Known {
    /// Whether the record's own purposes allow this one.
    pub(crate) fn serves(&self, grant: &ReadGrant) -> bool {
        grant.reaches(&self.row.meta.purposes)
    }

    /// Hands over the values that the grant lets be seen, in the order of the fields: each as the
    /// bytes of its JSON, and whether it is masked. `values` is the record's row.
    pub(crate) fn show(
        &self,
        view: &dyn View,
        person: &Person,
        collection: &Collection,
        grant: &ReadGrant,
        values: &[u8],
        take: &mut dyn FnMut(&Field, &[u8], bool),
    ) -> Result<(), Refusal> {
        let envelopes: Vec<(u16, &[u8])> = row::decode_borrowed(values).map_err(|_| DAMAGED)?;
        for field in &collection.fields {
            let sight = grant.sight(field.id);
            let envelope = envelopes.iter().find(|(id, _)| *id == field.id);
            let (false, Some((_, envelope))) = (sight == Sight::None, envelope) else {
                continue;
            };
            let row = &self.row;
            if grant.is_over(row.times(field.id)) {
                continue;
            }
            let bytes = row.unseal(view, person, collection.id, self.id, field.id, envelope)?;
            let bytes = match field.kind {
                // What is told of a blob is no part of its content.
                FieldType::Blob => {
                    let value = Blob::decode(&bytes).ok_or(DAMAGED)?.to_value();
                    Zeroizing::new(serde_json::to_vec(&value).map_err(|_| DAMAGED)?)
                }
                _ => bytes,
            };
            if sight == Sight::Mask {
                let value = serde_json::from_slice(&bytes).map_err(|_| DAMAGED)?;
                let masked = field.kind.mask(&value);
                let bytes = serde_json::to_vec(&masked).map_err(|_| DAMAGED)?;
                take(field, &bytes, true);
            } else {
                // What was sealed is the JSON of a checked value.
                take(field, &bytes, false);
            }
        }
        Ok(())
    }
}

/// What is to become of metadata: `None` leaves a member as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct MetaPatch {
    /// Only ever fewer: records that serve less already are left alone.
    pub(crate) purposes: Option<Vec<u16>>,
    pub(crate) expires_at: Option<Option<i64>>,
    pub(crate) source: Option<Option<String>>,
    pub(crate) shared_with: Option<Vec<String>>,
    pub(crate) category: Option<Option<String>>,
}

impl MetaPatch {
    /// Whether it may take a record away from somebody who is reading it.
    pub(crate) fn narrows(&self) -> bool {
        self.purposes.is_some() || self.expires_at.is_some()
    }

    /// Whether the record's purposes would not become more.
    pub(crate) fn suits(&self, known: &Known) -> bool {
        let own = &known.row.meta.purposes;
        let Some(wanted) = &self.purposes else {
            return true;
        };
        own.is_empty() || wanted.iter().all(|id| own.contains(id))
    }

    fn apply(&self, meta: &mut Meta) {
        let Self {
            purposes,
            expires_at,
            source,
            shared_with,
            category,
        } = self;
        if let Some(purposes) = purposes {
            meta.purposes.clone_from(purposes);
        }
        if let Some(expires_at) = expires_at {
            meta.expires_at = *expires_at;
        }
        if let Some(source) = source {
            meta.source.clone_from(source);
        }
        if let Some(shared_with) = shared_with {
            meta.shared_with.clone_from(shared_with);
        }
        if let Some(category) = category {
            meta.category.clone_from(category);
        }
    }
}

/// Changes the metadata of records; the rows with their values are neither read nor written.
pub(crate) fn amend(
    txn: &mut Txn<'_>,
    person: &Person,
    collection: &Collection,
    schema: u32,
    _grant: &WriteGrant,
    patch: &MetaPatch,
    known: Vec<Known>,
) -> Result<(), Refusal> {
    let mut revisions = vec![0; 8 * known.len()];
    txn.entropy().fill(&mut revisions);
    for (known, revision) in known.into_iter().zip(revisions.chunks_exact(8)) {
        let Known {
            id,
            mut row,
            compartment,
        } = known;
        row.advance(revision.try_into().expect("eight bytes"), schema);
        patch.apply(&mut row.meta);
        let newest = person.keyset.newest(compartment).ok_or(DAMAGED)?;
        let expiry = row.expiry(collection);
        row.write(txn, person, collection.id, id, newest.number, expiry)?;
    }
    Ok(())
}

/// Destroys records: rows, look-up values that no other record has, and the keys of every
/// compartment that one of them lay in, under which freed pages keep them. What else lies there is
/// sealed again under new keys. The compartment's number of each key that went.
pub(crate) fn purge(
    txn: &mut Txn<'_>,
    person: &mut Person,
    collection: &Collection,
    _grant: &WriteGrant,
    known: &[Known],
) -> Result<Vec<u16>, Refusal> {
    let mut marks = BTreeSet::new();
    let mut budget = BLOB_CHUNKS_REMOVED_MAX;
    for known in known {
        let key = row_key(person.entry.handle, collection.id, known.id);
        if collection.fields.iter().any(|field| field.lookup) {
            let values = txn.get(Table::Records, &key)?.ok_or(DAMAGED)?;
            add_marks(txn, person, collection, known, &values, &mut marks)?;
        }
        if let Some(meta) = txn.get(Table::RecordMeta, &key)? {
            let values = txn.get(Table::Records, &key)?.ok_or(DAMAGED)?;
            let id = known.id;
            let stored = Stored::decode(txn, person, collection.id, id, &meta, &values)?;
            stored.remove_contents(txn, person, collection.id, &mut budget)?;
        }
        txn.delete(Table::RecordMeta, &key)?;
        txn.delete(Table::Records, &key)?;
    }
    if !marks.is_empty() {
        let left = marks_left(txn, person, collection)?;
        for (field, set, mark) in marks.difference(&left) {
            let (field, set, mark) = ((collection.id, *field), *set, *mark);
            person.remove_lookup(txn, &Lookup { field, set, mark });
        }
    }
    let touched: BTreeSet<Compartment> = known.iter().map(|known| known.compartment).collect();
    let touched: Vec<Compartment> = touched.into_iter().collect();
    let gone = rekey(txn, person, &touched)?;
    for compartment in touched {
        txn.delete(Table::Dirty, &person.dirty_key(compartment))?;
    }
    Ok(gone)
}

/// Field, set, mark.
pub(super) type Marks = BTreeSet<(u16, u32, [u8; 32])>;

/// The look-up values of every record that is there.
pub(super) fn marks_left(
    txn: &Txn<'_>,
    person: &Person,
    collection: &Collection,
) -> Result<Marks, Refusal> {
    let mut marks = Marks::new();
    let range = KeyRange::prefix(&prefix(person.entry.handle, collection.id));
    for (key, meta) in txn.range(Table::RecordMeta, &range, Direction::Ascending, usize::MAX)? {
        of_record(txn, person, collection, &key, &meta, &mut |entries| {
            marks.extend(entries?.iter().map(|it| (it.field.1, it.set, it.mark)));
            Ok(())
        })?;
    }
    Ok(marks)
}

/// Tells, of every look-up value in at most `limit` records from behind the row key `after` on, which
/// entries of the index it has to have; where to go on, if more are left. What does not open tells
/// nothing.
pub(crate) fn each_lookup(
    view: &dyn View,
    person: &Person,
    collection: &Collection,
    after: Vec<u8>,
    limit: usize,
    tell: &mut dyn FnMut(&[Lookup]),
) -> Result<Option<Vec<u8>>, Refusal> {
    let mut range = KeyRange::prefix(&prefix(person.entry.handle, collection.id));
    if !after.is_empty() {
        range.go_on(Direction::Ascending, &after);
    }
    let rows = view
        .tx()
        .range(Table::RecordMeta, &range, Direction::Ascending, limit)?;
    let next = (rows.len() == limit).then(|| rows.last().map(|(key, _)| key.clone()));
    for (key, meta) in rows {
        let mut each = |entries: Entries| match entries {
            Ok(entries) => {
                tell(&entries);
                Ok(())
            }
            // The values behind it are looked up all the same.
            Err(refusal) if refusal.is_damage_of_a_row() => Ok(()),
            Err(refusal) => Err(refusal),
        };
        let told = of_record(view, person, collection, &key, &meta, &mut each);
        told.or_else(|refusal| each(Err(refusal)))?;
    }
    Ok(next.flatten())
}

/// Tells every value of the types wanted that a person has in a collection, until who is told wants no more. What
/// does not open tells nothing.
pub(crate) fn each_of_type(
    view: &dyn View,
    person: &Person,
    collection: &Collection,
    wanted: fn(FieldType) -> bool,
    tell: &mut dyn FnMut(&Field, &Value) -> ControlFlow<()>,
) -> Result<(), Refusal> {
    let fields: Vec<&Field> = collection
        .fields
        .iter()
        .filter(|field| wanted(field.kind))
        .collect();
    if fields.is_empty() {
        return Ok(());
    }
    let mut range = KeyRange::prefix(&prefix(person.entry.handle, collection.id));
    let (table, order) = (Table::RecordMeta, Direction::Ascending);
    loop {
        let rows = view.tx().range(table, &range, order, BULK_PAGE_ROWS)?;
        for (key, meta) in &rows {
            let told = values_of(view, person, collection, (key, meta), &fields, tell);
            match told {
                Ok(ControlFlow::Break(())) => return Ok(()),
                Err(refusal) if !refusal.is_damage_of_a_row() => return Err(refusal),
                _ => {}
            }
        }
        match rows.last() {
            Some((last, _)) if rows.len() == BULK_PAGE_ROWS => range.go_on(order, last),
            _ => return Ok(()),
        }
    }
}

fn values_of(
    view: &dyn View,
    person: &Person,
    collection: &Collection,
    (key, meta): (&[u8], &[u8]),
    fields: &[&Field],
    tell: &mut dyn FnMut(&Field, &Value) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Refusal> {
    let id = RecordId::from_slice(&key[18..]).ok_or(DAMAGED)?;
    let (meta, _) = MetaRow::open(view, person, collection.id, id, meta)?;
    let values = view.tx().get(Table::Records, key)?.ok_or(DAMAGED)?;
    let envelopes: Vec<(u16, &[u8])> = row::decode_borrowed(&values).map_err(|_| DAMAGED)?;
    for (number, envelope) in envelopes {
        let Some(field) = fields.iter().find(|field| field.id == number) else {
            continue;
        };
        let bytes = meta.unseal(view, person, collection.id, id, field.id, envelope)?;
        let value = serde_json::from_slice(&bytes).map_err(|_| DAMAGED)?;
        if tell(field, &value).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The entries of the index that one value has to have, if it opens.
type Entries = Result<Vec<Lookup>, Refusal>;

fn of_record(
    view: &dyn View,
    person: &Person,
    collection: &Collection,
    key: &[u8],
    meta: &[u8],
    tell: &mut dyn FnMut(Entries) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let id = RecordId::from_slice(&key[18..]).ok_or(DAMAGED)?;
    let (row, compartment) = MetaRow::open(view, person, collection.id, id, meta)?;
    let known = Known {
        id,
        row,
        compartment,
    };
    let values = view.tx().get(Table::Records, key)?.ok_or(DAMAGED)?;
    each_value(view, person, collection, &known, &values, tell)
}

fn add_marks(
    view: &dyn View,
    person: &Person,
    collection: &Collection,
    known: &Known,
    values: &[u8],
    marks: &mut Marks,
) -> Result<(), Refusal> {
    each_value(view, person, collection, known, values, &mut |entries| {
        marks.extend(entries?.iter().map(|it| (it.field.1, it.set, it.mark)));
        Ok(())
    })
}

/// Tells of each look-up value of a record which entries of the index it has to have, or why that is not
/// known.
fn each_value(
    view: &dyn View,
    person: &Person,
    collection: &Collection,
    known: &Known,
    values: &[u8],
    tell: &mut dyn FnMut(Entries) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let envelopes: Vec<(u16, &[u8])> = row::decode_borrowed(values).map_err(|_| DAMAGED)?;
    for field in collection.fields.iter().filter(|field| field.lookup) {
        let envelope = envelopes.iter().find(|(id, _)| *id == field.id);
        let Some((_, envelope)) = envelope else {
            continue;
        };
        let row = &known.row;
        let bytes = row.unseal(view, person, collection.id, known.id, field.id, envelope);
        tell(bytes.and_then(|bytes| {
            let value = serde_json::from_slice(&bytes).map_err(|_| DAMAGED)?;
            Ok(lookups(view, collection, field, &value))
        }))?;
    }
    Ok(())
}
