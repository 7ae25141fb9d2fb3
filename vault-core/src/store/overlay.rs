//! Holds changes back: reads see them, the store below does not.
//!
//! The writer thread runs each queued closure over an overlay of its own, stacked on the overlays
//! of those that succeeded before it, so that a failing closure spoils nobody. Does not know when
//! or whether its changes are committed.

use std::cmp::Ordering;
use std::collections::btree_map;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::{Direction, KeyRange, ReadTx, Row, StoreError, Table, WriteTx};

/// A row's new value, or `None` for a row that is deleted.
type Change = Option<Vec<u8>>;

/// A write transaction over any state that can be read, another overlay among them.
pub struct Overlay<'a> {
    base: &'a dyn ReadTx,
    changes: Changes,
}

impl<'a> Overlay<'a> {
    /// An overlay that changes nothing yet.
    #[must_use]
    pub fn new(base: &'a dyn ReadTx) -> Self {
        Self {
            base,
            changes: Changes::default(),
        }
    }

    /// The changes made here, without those of any overlay below. Dropping them undoes them.
    #[must_use]
    pub fn into_changes(self) -> Changes {
        self.changes
    }

    /// Takes over the changes of an overlay that was stacked on this one; they win over what is
    /// here, being later.
    pub fn absorb(&mut self, later: Changes) {
        for (table, rows) in later.tables {
            self.changes.tables.entry(table).or_default().extend(rows);
        }
    }
}

impl ReadTx for Overlay<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self
            .changes
            .tables
            .get(&table)
            .and_then(|rows| rows.get(key))
        {
            Some(change) => Ok(change.clone()),
            None => self.base.get(table, key),
        }
    }

    fn range(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        if limit == 0 || range.is_empty() {
            return Ok(Vec::new());
        }
        let deleted = self.changes.in_range(table, range);
        let deleted = deleted.filter(|(_, change)| change.is_none()).count();
        // A row of the base is lost only to a deletion, so with as many rows to spare as there are
        // deletions the base either yields `limit` rows that remain or has no more.
        let below = self
            .base
            .range(table, range, direction, limit.saturating_add(deleted))?;
        let above = self.changes.in_range(table, range);
        Ok(match direction {
            Direction::Ascending => merge(below, above, |a, b| a.cmp(b), limit),
            Direction::Descending => merge(below, above.rev(), |a, b| b.cmp(a), limit),
        })
    }

    fn keys(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        if limit == 0 || range.is_empty() {
            return Ok(Vec::new());
        }
        let changed = || self.changes.in_range(table, range);
        let deleted = changed().filter(|(_, change)| change.is_none()).count();
        let below = self
            .base
            .keys(table, range, direction, limit.saturating_add(deleted))?;
        // Changes of one closure are few: their keys are put in and taken out one by one.
        let mut keys: BTreeSet<Vec<u8>> = below.into_iter().collect();
        for (key, change) in changed() {
            match change {
                Some(_) => keys.insert(key.clone()),
                None => keys.remove(key),
            };
        }
        Ok(match direction {
            Direction::Ascending => keys.into_iter().take(limit).collect(),
            Direction::Descending => keys.into_iter().rev().take(limit).collect(),
        })
    }
}

impl WriteTx for Overlay<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.changes.set(table, key, Some(value.to_vec()));
        Ok(())
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.changes.set(table, key, None);
        Ok(())
    }
}

/// Puts and deletes, one a row: only the last change of a row is kept.
///
/// Silent in `Debug` but for the number of rows.
#[derive(Default)]
pub struct Changes {
    tables: BTreeMap<Table, BTreeMap<Vec<u8>, Change>>,
}

impl Changes {
    /// Makes these changes in `tx`, table by table in key order: the order in which an appending
    /// store is fastest.
    ///
    /// # Errors
    ///
    /// That of the first change that fails; the changes before it have been made in `tx`.
    pub fn apply(&self, tx: &mut dyn WriteTx) -> Result<(), StoreError> {
        for (table, key, change) in self.iter() {
            match change {
                Some(value) => tx.put(table, key, value)?,
                None => tx.delete(table, key)?,
            }
        }
        Ok(())
    }

    /// The changed rows in the order of table number and key: the new value, or `None` for a
    /// deletion.
    pub fn iter(&self) -> impl Iterator<Item = (Table, &[u8], Option<&[u8]>)> {
        self.tables.iter().flat_map(|(table, rows)| {
            rows.iter()
                .map(|(key, change)| (*table, key.as_slice(), change.as_deref()))
        })
    }

    /// The number of changed rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables.values().map(BTreeMap::len).sum()
    }

    /// Whether no row is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    fn set(&mut self, table: Table, key: &[u8], change: Change) {
        self.tables
            .entry(table)
            .or_default()
            .insert(key.to_vec(), change);
    }

    fn in_range(&self, table: Table, range: &KeyRange) -> btree_map::Range<'_, Vec<u8>, Change> {
        static NONE: BTreeMap<Vec<u8>, Change> = BTreeMap::new();
        self.tables
            .get(&table)
            .unwrap_or(&NONE)
            .range::<[u8], _>(bounds(range))
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes")
            .field("rows", &self.len())
            .finish_non_exhaustive()
    }
}

/// The bounds of `range` as the maps and the stores below take them.
pub(super) fn bounds(range: &KeyRange) -> (Bound<&[u8]>, Bound<&[u8]>) {
    let end = range
        .end
        .as_deref()
        .map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(range.start.as_slice()), end)
}

/// Merges two sides that are each sorted by `order`; where both have a key, `above` decides.
fn merge<'c>(
    below: Vec<Row>,
    above: impl Iterator<Item = (&'c Vec<u8>, &'c Change)>,
    order: impl Fn(&[u8], &[u8]) -> Ordering,
    limit: usize,
) -> Vec<Row> {
    let mut below = below.into_iter().peekable();
    let mut above = above.peekable();
    let mut rows = Vec::new();
    while rows.len() < limit {
        let side = match (below.peek(), above.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((base, _)), Some((key, _))) => order(base, key),
        };
        if side == Ordering::Less {
            rows.extend(below.next());
            continue;
        }
        if side == Ordering::Equal {
            below.next();
        }
        if let Some((key, Some(value))) = above.next() {
            rows.push((key.clone(), value.clone()));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, Store};
    use proptest::prelude::*;

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;
    const TABLE: Table = Table::Records;

    /// Few and short keys, so that layers meet in the same rows.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(0..4_u8, 0..3)
    }

    fn layer() -> impl Strategy<Value = Vec<(Vec<u8>, Change)>> {
        prop::collection::vec(
            (
                key(),
                prop::option::of(prop::collection::vec(any::<u8>(), 0..3)),
            ),
            0..12,
        )
    }

    fn change(tx: &mut dyn WriteTx, model: &mut Model, layer: &[(Vec<u8>, Change)]) {
        for (key, value) in layer {
            match value {
                Some(value) => {
                    tx.put(TABLE, key, value).unwrap();
                    model.insert(key.clone(), value.clone());
                }
                None => {
                    tx.delete(TABLE, key).unwrap();
                    model.remove(key);
                }
            }
        }
    }

    fn expected(model: &Model, range: &KeyRange, direction: Direction, limit: usize) -> Vec<Row> {
        let rows = model.iter().filter(|(key, _)| range.contains(key));
        let mut rows: Vec<Row> = rows.map(|(k, v)| (k.clone(), v.clone())).collect();
        if direction == Direction::Descending {
            rows.reverse();
        }
        rows.truncate(limit);
        rows
    }

    fn read_keys(rows: &[Row]) -> Vec<Vec<u8>> {
        rows.iter().map(|(key, _)| key.clone()).collect()
    }

    proptest! {
        #[test]
        fn stacked_overlays_read_like_one_map(
            stored in layer(), first in layer(), second in layer(),
            start in key(), end in prop::option::of(key()), limit in 0..8_usize,
        ) {
            let store = MemoryStore::new();
            let mut model = Model::new();
            store.write(&mut |tx| { change(tx, &mut model, &stored); Ok(()) }).unwrap();
            let snapshot = store.snapshot().unwrap();
            let mut outer = Overlay::new(&*snapshot);
            change(&mut outer, &mut model, &first);
            let before_second = model.clone();
            let mut inner = Overlay::new(&outer);
            change(&mut inner, &mut model, &second);

            let range = KeyRange { start, end };
            for direction in [Direction::Ascending, Direction::Descending] {
                let read = inner.range(TABLE, &range, direction, limit).unwrap();
                prop_assert_eq!(read, expected(&model, &range, direction, limit));
                let keys: Vec<_> = read_keys(&expected(&model, &range, direction, limit));
                prop_assert_eq!(inner.keys(TABLE, &range, direction, limit).unwrap(), keys);
                let below = outer.range(TABLE, &range, direction, limit).unwrap();
                prop_assert_eq!(below, expected(&before_second, &range, direction, limit));
            }
            for key in model.keys().chain(before_second.keys()) {
                let found = inner.get(TABLE, key).unwrap();
                prop_assert_eq!(found.as_ref(), model.get(key));
            }

            let changes = inner.into_changes();
            outer.absorb(changes);
            let changes = outer.into_changes();
            drop(snapshot);
            store.write(&mut |tx| changes.apply(tx)).unwrap();
            let rows = store.snapshot().unwrap();
            let rows = rows.range(TABLE, &KeyRange::all(), Direction::Ascending, usize::MAX).unwrap();
            prop_assert_eq!(rows, model.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn dropped_changes_of_a_stacked_overlay_are_not_seen_below() {
        let store = MemoryStore::new();
        let snapshot = store.snapshot().unwrap();
        let mut outer = Overlay::new(&*snapshot);
        outer.put(TABLE, b"kept", b"1").unwrap();
        let mut inner = Overlay::new(&outer);
        inner.delete(TABLE, b"kept").unwrap();
        inner.put(TABLE, b"lost", b"2").unwrap();
        drop(inner);
        assert_eq!(outer.get(TABLE, b"kept").unwrap(), Some(b"1".to_vec()));
        assert_eq!(outer.get(TABLE, b"lost").unwrap(), None);
        assert_eq!(outer.into_changes().len(), 1);
    }

    #[test]
    fn the_same_key_in_two_tables_is_two_rows() {
        let store = MemoryStore::new();
        let snapshot = store.snapshot().unwrap();
        let mut overlay = Overlay::new(&*snapshot);
        overlay.put(Table::Nodes, b"k", b"node").unwrap();
        overlay.delete(Table::Audit, b"k").unwrap();
        assert_eq!(
            overlay.get(Table::Nodes, b"k").unwrap(),
            Some(b"node".to_vec())
        );
        assert_eq!(overlay.get(Table::Audit, b"k").unwrap(), None);
    }
}
