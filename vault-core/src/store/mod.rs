//! Stores bytes in named tables.
//!
//! Knows nothing of keys, people or law. Ordering and durability are promised here; secrecy is
//! not: what must not be read has to be sealed before it comes here, and what must be forgotten
//! has to lose its key, because the stores below keep deleted rows in freed pages for a long time
//! (docs/architecture.md, "the shred map").
//!
//! [`RedbStore`] is the store of a vault, [`MemoryStore`] that of tests; [`Overlay`] holds the
//! changes of one closure back until somebody decides about them; [`fault`] breaks disks on
//! purpose, and [`conformance`] tells whether a store is one.

mod behind;
pub mod conformance;
mod disk;
mod error;
pub mod fault;
mod filling;
mod memory;
mod overlay;
mod redb;
mod rows;
mod table;

pub use disk::{MemoryDisk, MemoryDiskHandle};
pub use error::StoreError;
pub use filling::FillingStore;
pub use memory::MemoryStore;
pub use overlay::{Changes, Overlay};
pub use redb::{RedbReader, RedbStore, drop_page_cache};
pub use rows::Rows;
pub use table::{Direction, KeyRange, Row, Table};

/// Rows that [`ReadTx::scan`] takes at once from a store that has no way of its own.
const SCAN_ROWS: usize = 64;

/// What a visitor of [`ReadTx::scan`] wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// The next row.
    More,
    /// Nothing.
    Enough,
}

/// Reads one state of the store: nothing written after the transaction began is seen, except what
/// a [`WriteTx`] wrote itself.
pub trait ReadTx {
    /// The value at `key`, or `None` if there is no such row.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], [`StoreError::Io`] or [`StoreError::Unavailable`]; never that the
    /// row is missing.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// At most `limit` rows of `range`, in the bytewise order of their keys, from the side that
    /// `direction` begins at. A range whose end is not after its start is empty.
    ///
    /// # Errors
    ///
    /// As for [`ReadTx::get`].
    fn range(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// The keys that [`ReadTx::range`] would give, without a copy of any value: for tables whose
    /// rows are long.
    ///
    /// # Errors
    ///
    /// As for [`ReadTx::get`].
    fn keys(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let rows = self.range(table, range, direction, limit)?;
        Ok(rows.into_iter().map(|(key, _)| key).collect())
    }

    /// Shows `visit` the rows of `range` in the order of their keys, until it answers that it has
    /// enough or there are no more: for reading whole tables without a copy of each row.
    ///
    /// # Errors
    ///
    /// As for [`ReadTx::get`].
    fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> Scan,
    ) -> Result<(), StoreError> {
        let mut range = range.clone();
        loop {
            let rows = self.range(table, &range, Direction::Ascending, SCAN_ROWS)?;
            for (key, value) in &rows {
                if visit(key, value) == Scan::Enough {
                    return Ok(());
                }
            }
            match rows.last() {
                Some((last, _)) if rows.len() == SCAN_ROWS => {
                    range.go_on(Direction::Ascending, last);
                }
                _ => return Ok(()),
            }
        }
    }
}

/// Changes the store. Nobody else sees a change before the transaction has committed.
pub trait WriteTx: ReadTx {
    /// Sets the value at `key`, replacing one that is there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], [`StoreError::DiskFull`], [`StoreError::Io`] or
    /// [`StoreError::Unavailable`]. After any of them the transaction can only abort.
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// Removes the row at `key`; succeeds if there is none.
    ///
    /// Its bytes stay on the medium: this is not erasure.
    ///
    /// # Errors
    ///
    /// As for [`WriteTx::put`].
    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError>;
}

/// Fills a store that counts for nothing until it is whole.
pub trait FillTx: WriteTx {
    /// Adds rows behind all that the table has, their keys ascending.
    ///
    /// # Errors
    ///
    /// As for [`WriteTx::put`]; [`StoreError::Aborted`] for a key that is not behind the last.
    fn append(&mut self, table: Table, rows: &Rows) -> Result<(), StoreError>;

    /// Adds rows between two that are next to each other in the table, their keys ascending.
    ///
    /// # Errors
    ///
    /// As for [`WriteTx::put`]; [`StoreError::Aborted`] for a key that is not between them, or there already.
    fn insert(&mut self, table: Table, rows: &Rows) -> Result<(), StoreError>;
}

/// Ordered bytes in named tables, read by snapshot and changed by one writer at a time.
pub trait Store: Send + Sync {
    /// A snapshot that its holder keeps: what was committed when this was called.
    ///
    /// Never waits for a writer. Holding one for long keeps freed pages from being used again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] once a commit has failed, or [`StoreError::Corrupt`] or
    /// [`StoreError::Io`].
    fn snapshot(&self) -> Result<Box<dyn ReadTx + Send>, StoreError>;

    /// Runs `f` once over a snapshot. Never waits for writers.
    ///
    /// # Errors
    ///
    /// Those of [`Store::snapshot`], and whatever `f` returns, unchanged.
    fn read(
        &self,
        f: &mut dyn FnMut(&dyn ReadTx) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let snapshot = self.snapshot()?;
        f(&*snapshot)
    }

    /// Runs `f` once, alone among writers, and commits what it did: durable when this returns
    /// `Ok`. A caller must not start another write on this store from within `f`.
    ///
    /// # Errors
    ///
    /// What `f` returns, unchanged, and then nothing has changed. [`StoreError::Aborted`] also if
    /// `f` returned `Ok` although one of its own changes had failed. [`StoreError::OutcomeUnknown`]
    /// if the commit failed: all of the change or none of it will be found after reopening, and
    /// until then this store answers [`StoreError::Unavailable`]. After any other error nothing
    /// has changed.
    fn write(
        &self,
        f: &mut dyn FnMut(&mut dyn WriteTx) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;
}
