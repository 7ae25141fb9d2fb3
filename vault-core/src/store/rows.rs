//! Rows of one table in one piece of memory, for a store that is filled in the order of keys.

/// Rows, one behind the other. What they hold is sealed before it comes here, as in the store itself.
#[derive(Default)]
pub struct Rows {
    bytes: Vec<u8>,
    /// Of each key and its value.
    lengths: Vec<(usize, usize)>,
}

impl Rows {
    /// Adds a row behind the others.
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.lengths.push((key.len(), value.len()));
    }

    /// Bytes of all keys and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory, in use or not.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity() + self.lengths.capacity() * size_of::<(usize, usize)>()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Takes all rows away, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.lengths.clear();
    }

    /// Keys and values, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.lengths.iter().map(move |(key, value)| {
            let (row, behind) = rest.split_at(key + value);
            rest = behind;
            row.split_at(*key)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Direction, KeyRange, MemoryDisk, RedbStore, Store, StoreError, Table};

    /// Rows whose keys ascend from `first`.
    fn ascending(first: u32, count: u32) -> Rows {
        let mut rows = Rows::default();
        for number in first..first + count {
            let value = vec![number as u8; 40 + (number % 300) as usize];
            rows.push(&number.to_be_bytes(), &value);
        }
        rows
    }

    fn found(store: &RedbStore) -> Vec<(Vec<u8>, Vec<u8>)> {
        let all = KeyRange::all();
        let snapshot = store.snapshot().unwrap();
        snapshot
            .range(Table::Records, &all, Direction::Ascending, usize::MAX)
            .unwrap()
    }

    #[test]
    fn a_filled_store_is_after_one_write_a_store_like_any_other() {
        let disk = MemoryDisk::default();
        let store = RedbStore::with_backend(disk.open(), false).unwrap();
        let (first, second) = (ascending(0, 20_000), ascending(30_000, 500));
        for rows in [&first, &second] {
            store
                .fill(&mut |tx| {
                    tx.append(Table::Records, rows)?;
                    // Between what was appended, and before what follows.
                    tx.put(Table::Records, &25_000_u32.to_be_bytes(), b"between")
                })
                .unwrap();
        }
        store
            .write(&mut |tx| tx.put(Table::System, b"end", b"there"))
            .unwrap();
        store.close().unwrap();
        let store = RedbStore::with_backend(disk.open(), true).unwrap();
        let mut expected: Vec<(Vec<u8>, Vec<u8>)> = first
            .iter()
            .chain(second.iter())
            .map(|(key, value)| (key.to_vec(), value.to_vec()))
            .collect();
        expected.insert(20_000, (25_000_u32.to_be_bytes().into(), b"between".into()));
        assert_eq!(found(&store), expected);
    }

    #[test]
    fn a_row_that_is_not_behind_the_last_is_refused_and_nothing_of_its_transaction_is_there() {
        let store = RedbStore::with_backend(MemoryDisk::default().open(), false).unwrap();
        let rows = ascending(10, 100);
        store
            .fill(&mut |tx| tx.append(Table::Records, &rows))
            .unwrap();
        for first in [0, 10, 109] {
            let late = ascending(first, 1);
            let refused = store.fill(&mut |tx| {
                tx.append(Table::Records, &ascending(200, 3))?;
                tx.append(Table::Records, &late)
            });
            assert!(matches!(refused, Err(StoreError::Aborted)));
            // Nor where nobody looks at what was refused.
            let swallowed = store.fill(&mut |tx| {
                tx.append(Table::Records, &late).unwrap_err();
                Ok(())
            });
            assert!(matches!(swallowed, Err(StoreError::Aborted)));
        }
        assert_eq!(found(&store).len(), 100);
    }

    #[test]
    fn rows_come_back_as_they_were_put_in_and_empty_ones_too() {
        let mut rows = Rows::default();
        let all: [(&[u8], &[u8]); 3] = [(b"a", b"one"), (b"b", b""), (b"", b"three")];
        for (key, value) in all {
            rows.push(key, value);
        }
        assert!(rows.iter().eq(all));
        assert_eq!(rows.bytes(), 10);
        rows.clear();
        assert!(rows.is_empty() && rows.iter().next().is_none());
    }
}
