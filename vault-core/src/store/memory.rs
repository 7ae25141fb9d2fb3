//! A store in memory, for tests: every promise of [`Store`] but durability.
//!
//! Knows nothing of files. A snapshot is a set of shared maps; a write copies a map only while a
//! snapshot still holds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::overlay::{Overlay, bounds};
use super::{Direction, KeyRange, ReadTx, Row, Store, StoreError, Table, WriteTx};

/// Tables in memory, gone when dropped.
#[derive(Default)]
pub struct MemoryStore {
    /// Held by the one writer for as long as its closure runs.
    writer: Mutex<()>,
    committed: RwLock<Tables>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemoryStore {
    fn snapshot(&self) -> Result<Box<dyn ReadTx + Send>, StoreError> {
        Ok(Box::new(self.committed.read().clone()))
    }

    fn write(
        &self,
        f: &mut dyn FnMut(&mut dyn WriteTx) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let _alone = self.writer.lock();
        let base = self.committed.read().clone();
        let mut overlay = Overlay::new(&base);
        f(&mut overlay)?;
        let changes = overlay.into_changes();
        // Before the change, so that a map no snapshot holds is changed in place.
        drop(base);
        let mut committed = self.committed.write();
        for (table, key, change) in changes.iter() {
            let rows = Arc::make_mut(&mut committed.maps[table.index()]);
            match change {
                Some(value) => rows.insert(key.to_vec(), value.to_vec()),
                None => rows.remove(key),
            };
        }
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Tables {
    maps: [Arc<BTreeMap<Vec<u8>, Vec<u8>>>; Table::ALL.len()],
}

impl ReadTx for Tables {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.maps[table.index()].get(key).cloned())
    }

    fn range(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.maps[table.index()].range::<[u8], _>(bounds(range));
        let rows = rows.map(|(key, value)| (key.clone(), value.clone()));
        Ok(match direction {
            Direction::Ascending => rows.take(limit).collect(),
            Direction::Descending => rows.rev().take(limit).collect(),
        })
    }

    fn keys(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.maps[table.index()].range::<[u8], _>(bounds(range));
        let keys = rows.map(|(key, _)| key.clone());
        Ok(match direction {
            Direction::Ascending => keys.take(limit).collect(),
            Direction::Descending => keys.rev().take(limit).collect(),
        })
    }
}
