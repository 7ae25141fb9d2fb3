//! The store of a vault: one redb file.
//!
//! One writer process, any number of reading ones, two-phase commit, and an allocator state saved
//! with every commit so that a crash leaves nothing to repair. No savepoints and no compaction:
//! a savepoint brings deleted rows back, and compaction leaves them in the slack of live pages.
//! Does not know whether a file is the newest one: that is what the anchor is for.
//!
//! Source: redb 4.6, docs/design.md.

use std::cell::OnceCell;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{
    Builder, CommitError, ConcurrencyMode, CursorError, Database, DatabaseError, ReadOnlyDatabase,
    ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend, StorageError,
    TableDefinition, TableError, TransactionError, WriteTransaction,
};

use super::overlay::bounds;
use super::{
    Direction, FillTx, KeyRange, ReadTx, Row, Rows, Scan, Store, StoreError, Table, WriteTx,
};

/// Page cache of a reading second process and of a store over a foreign backend, in bytes.
const SMALL_CACHE_BYTES: usize = 4 << 20;

/// A vault's store, held for writing. While it lives, every other writer meets
/// [`StoreError::Held`].
pub struct RedbStore {
    database: Database,
    /// Set when a commit has failed; never cleared.
    outcome_unknown: AtomicBool,
}

impl RedbStore {
    /// Makes a new store with every table in it, readable by its owner alone (mode 0600), the
    /// directory entry flushed too. `cache_bytes` bounds the pages kept in memory.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] of kind `AlreadyExists` if there is anything at `path`, and those of
    /// [`RedbStore::open`]. What a failed creation leaves behind is not a store.
    pub fn create(path: &Path, cache_bytes: usize) -> Result<Self, StoreError> {
        Self::create_over(path, cache_bytes, Ok)
    }

    /// [`RedbStore::create`] over what `over` makes of the file.
    pub(super) fn create_over<B: StorageBackend>(
        path: &Path,
        cache_bytes: usize,
        over: impl FnOnce(FileBackend) -> io::Result<B>,
    ) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let backend = FileBackend::new(options.open(path)?).map_err(database_error)?;
        let database = builder(cache_bytes, false)
            .create_with_backend(over(backend)?)
            .map_err(database_error)?;
        let store = Self::with_tables(database)?;
        // Without it a power loss may take the directory entry of a file that is itself durable.
        let parent = path.parent().filter(|parent| parent != &Path::new(""));
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(store)
    }

    /// Opens the store at `path` for writing. `check_integrity` reads the whole file and verifies
    /// every page: for what was restored, copied, or failed before.
    ///
    /// Finds corruption by checksum, not forgery: rows authenticate themselves.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Held`], [`StoreError::Corrupt`],
    /// [`StoreError::DiskFull`], [`StoreError::Io`].
    pub fn open(
        path: &Path,
        cache_bytes: usize,
        check_integrity: bool,
    ) -> Result<Self, StoreError> {
        guarded(|| {
            let database = builder(cache_bytes, check_integrity)
                .open(path)
                .map_err(database_error)?;
            let store = Self::new(database);
            store.complete()?;
            Ok(store)
        })
    }

    /// Opens the store at `path` beside the process that holds it, for reading only.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the file needs a repair, which only a writer may do;
    /// [`StoreError::NotFound`], [`StoreError::Corrupt`], [`StoreError::Io`].
    pub fn open_read_only(path: &Path) -> Result<RedbReader, StoreError> {
        guarded(|| {
            let database = builder(SMALL_CACHE_BYTES, false)
                .open_read_only(path)
                .map_err(database_error)?;
            let reader = RedbReader { database };
            RedbRead::new(reader.begin_read()?).open_all()?;
            Ok(reader)
        })
    }

    /// Opens the store in `backend`, or makes a new one if it is empty.
    ///
    /// The backend must implement the lock methods for byte ranges.
    ///
    /// # Errors
    ///
    /// As for [`RedbStore::open`].
    pub fn with_backend(
        backend: impl StorageBackend,
        check_integrity: bool,
    ) -> Result<Self, StoreError> {
        guarded(|| {
            let database = builder(SMALL_CACHE_BYTES, check_integrity)
                .create_with_backend(backend)
                .map_err(database_error)?;
            // A creation that was cut off has no table yet; one that was not has all of them, since
            // they are made in one transaction. Anything between is not ours.
            let empty = {
                let transaction = database.begin_read().map_err(transaction_error)?;
                let mut tables = transaction.list_tables().map_err(storage_error)?;
                tables.next().is_none()
            };
            if empty {
                return Self::with_tables(database);
            }
            let store = Self::new(database);
            store.complete()?;
            Ok(store)
        })
    }

    /// Closes the store and reports what dropping it would swallow. Snapshots end.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Unavailable`]. Everything acknowledged is durable
    /// nevertheless; at worst the next opening takes longer.
    pub fn close(self) -> Result<(), StoreError> {
        self.database.close().map_err(database_error)
    }

    /// Runs `f` once and commits what it did, in one phase and without the state of the allocator: whoever dies
    /// leaves a file that has to be repaired. Ends with a [`Store::write`].
    pub(super) fn fill(
        &self,
        f: &mut dyn FnMut(&mut dyn FillTx) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin_write()?;
        transaction.set_two_phase_commit(false);
        transaction.set_quick_repair(false);
        self.run(transaction, &mut |changes| f(changes))
    }

    /// Runs `f` over a transaction, and commits or aborts it.
    fn run(
        &self,
        transaction: WriteTransaction,
        f: &mut dyn FnMut(&mut RedbWrite<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut changes = RedbWrite {
            transaction: &transaction,
            tables: Default::default(),
            failed: false,
        };
        let verdict = match f(&mut changes) {
            // A closure that swallowed the error of a change must not commit the rest of them.
            Ok(()) if changes.failed => Err(StoreError::Aborted),
            verdict => verdict,
        };
        drop(changes);
        match verdict {
            Ok(()) => self.commit(transaction),
            Err(refusal) => {
                // Nothing was committed whether or not the roll-back succeeds; if it does not,
                // redb refuses the next writer itself.
                let _ = transaction.abort();
                Err(refusal)
            }
        }
    }

    fn new(database: Database) -> Self {
        Self {
            database,
            outcome_unknown: AtomicBool::new(false),
        }
    }

    /// A new store: all tables, in one transaction.
    fn with_tables(database: Database) -> Result<Self, StoreError> {
        let store = Self::new(database);
        let transaction = store.begin_write()?;
        for table in Table::ALL {
            transaction
                .open_table(definition(table))
                .map_err(table_error)?;
        }
        store.commit(transaction)?;
        Ok(store)
    }

    /// Refuses what is no vault's, and makes the tables that a vault of an earlier version lacks.
    fn complete(&self) -> Result<(), StoreError> {
        let read = RedbRead::new(self.begin_read()?);
        read.open_all()?;
        let lacks = |table: &Table| read.table(*table).is_err();
        let missing: Vec<Table> = Table::ALL[Table::FOUNDING..]
            .iter()
            .copied()
            .filter(lacks)
            .collect();
        drop(read);
        if missing.is_empty() {
            return Ok(());
        }
        let transaction = self.begin_write()?;
        for table in missing {
            transaction
                .open_table(definition(table))
                .map_err(table_error)?;
        }
        self.commit(transaction)
    }

    fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        self.check()?;
        self.database.begin_read().map_err(transaction_error)
    }

    fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        self.check()?;
        let mut transaction = match self.database.begin_write() {
            Ok(transaction) => transaction,
            Err(error) => {
                self.check()?;
                return Err(transaction_error(error));
            }
        };
        // The commit may have failed that this one waited for.
        self.check()?;
        transaction.set_two_phase_commit(true);
        transaction.set_quick_repair(true);
        Ok(transaction)
    }

    fn commit(&self, transaction: WriteTransaction) -> Result<(), StoreError> {
        match catch_unwind(AssertUnwindSafe(|| transaction.commit())) {
            Ok(Ok(())) => Ok(()),
            // redb rolled it back, and goes on.
            Ok(Err(CommitError::TransactionPoisoned)) => Err(StoreError::Aborted),
            Ok(Err(_)) | Err(_) => {
                self.outcome_unknown.store(true, Ordering::Release);
                Err(StoreError::OutcomeUnknown)
            }
        }
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.outcome_unknown.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable);
        }
        Ok(())
    }
}

impl Store for RedbStore {
    fn snapshot(&self) -> Result<Box<dyn ReadTx + Send>, StoreError> {
        Ok(Box::new(RedbRead::new(self.begin_read()?)))
    }

    fn write(
        &self,
        f: &mut dyn FnMut(&mut dyn WriteTx) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let transaction = self.begin_write()?;
        self.run(transaction, &mut |changes| f(changes))
    }
}

/// A vault's store, read beside the process that holds it: `status` and `backup verify`.
pub struct RedbReader {
    database: ReadOnlyDatabase,
}

impl RedbReader {
    /// A snapshot of what is committed now, by whichever process.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], [`StoreError::Io`] or [`StoreError::Unavailable`].
    pub fn snapshot(&self) -> Result<Box<dyn ReadTx + Send>, StoreError> {
        Ok(Box::new(RedbRead::new(self.begin_read()?)))
    }

    fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        self.database.begin_read().map_err(transaction_error)
    }
}

/// Flushes the file at `path`, then makes the kernel forget its clean pages, so that the next
/// reader sees what the medium holds.
///
/// For reopening after an error: when a flush fails, Linux marks the pages clean, and a reader
/// would find changes that are nowhere but in memory. Close the store first. A no-op beyond the
/// flush on systems other than Linux.
///
/// Source: `fsync(2)`; Rebello et al., "Can Applications Recover from fsync Failures?" (ATC 2020).
///
/// # Errors
///
/// [`StoreError::NotFound`] or [`StoreError::Io`]; the pages are dropped even if the flush fails.
pub fn drop_page_cache(path: &Path) -> Result<(), StoreError> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let flushed = file.sync_all();
    #[cfg(target_os = "linux")]
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)
        .map_err(std::io::Error::from)?;
    Ok(flushed?)
}

/// What redb does over pages that are not what it wrote: where it panics, that is damage and no more.
/// Opening verifies every page, so this is for what happens to the file after that.
///
/// Source: <https://github.com/cberner/redb/issues/1334>.
fn guarded<T>(f: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or(Err(StoreError::Corrupt))
}

type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

fn definition(table: Table) -> Definition {
    TableDefinition::new(table.name())
}

fn builder(cache_bytes: usize, check_integrity: bool) -> Builder {
    let mut builder = Database::builder();
    builder
        .set_cache_size(cache_bytes)
        .set_concurrency_mode(ConcurrencyMode::SingleWriter)
        .set_check_integrity_on_open(check_integrity);
    builder
}

type Cells<T> = [OnceCell<T>; Table::ALL.len()];

/// A snapshot; opens a table when it is first asked for.
struct RedbRead {
    transaction: ReadTransaction,
    tables: Cells<ReadOnlyTable<&'static [u8], &'static [u8]>>,
}

impl RedbRead {
    fn new(transaction: ReadTransaction) -> Self {
        Self {
            transaction,
            tables: Default::default(),
        }
    }

    fn table(
        &self,
        table: Table,
    ) -> Result<&ReadOnlyTable<&'static [u8], &'static [u8]>, StoreError> {
        let cell = &self.tables[table.index()];
        if let Some(open) = cell.get() {
            return Ok(open);
        }
        let open = self
            .transaction
            .open_table(definition(table))
            .map_err(table_error)?;
        Ok(cell.get_or_init(|| open))
    }

    /// Refuses a file that lacks a table of every version: it is a database, but no vault's.
    fn open_all(&self) -> Result<(), StoreError> {
        Table::ALL[..Table::FOUNDING]
            .iter()
            .copied()
            .try_for_each(|table| self.table(table).map(drop))
    }
}

impl ReadTx for RedbRead {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        guarded(|| {
            let value = self.table(table)?.get_owned(key).map_err(storage_error)?;
            Ok(value.map(|value| value.value().to_vec()))
        })
    }

    fn range(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        guarded(|| rows(self.table(table)?, range, direction, limit))
    }

    fn keys(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        guarded(|| keys(self.table(table)?, range, direction, limit))
    }

    fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> Scan,
    ) -> Result<(), StoreError> {
        if range.is_empty() {
            return Ok(());
        }
        // A visitor's panic is a defect of ours, and no damage: only redb's own steps are guarded.
        let table = self.table(table)?;
        let mut found = guarded(|| table.range::<&[u8]>(bounds(range)).map_err(storage_error))?;
        while let Some(row) = guarded(|| found.next().transpose().map_err(storage_error))? {
            let (key, value) = row;
            if visit(key.value(), value.value()) == Scan::Enough {
                break;
            }
        }
        Ok(())
    }
}

/// A write transaction; opens a table when it is first asked for.
struct RedbWrite<'t> {
    transaction: &'t WriteTransaction,
    tables: Cells<redb::Table<'t, &'static [u8], &'static [u8]>>,
    /// Whether a change has failed, so that the transaction must not commit.
    failed: bool,
}

impl<'t> RedbWrite<'t> {
    fn table(
        &self,
        table: Table,
    ) -> Result<&redb::Table<'t, &'static [u8], &'static [u8]>, StoreError> {
        let cell = &self.tables[table.index()];
        if let Some(open) = cell.get() {
            return Ok(open);
        }
        let open = self
            .transaction
            .open_table(definition(table))
            .map_err(table_error)?;
        Ok(cell.get_or_init(|| open))
    }

    fn change(
        &mut self,
        table: Table,
        change: impl FnOnce(
            &mut redb::Table<'t, &'static [u8], &'static [u8]>,
        ) -> Result<(), StorageError>,
    ) -> Result<(), StoreError> {
        let result = guarded(|| {
            self.table(table)?;
            let open = self.tables[table.index()].get_mut();
            change(open.expect("opened above")).map_err(storage_error)
        });
        self.failed |= result.is_err();
        result
    }
}

impl ReadTx for RedbWrite<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        guarded(|| {
            let value = self.table(table)?.get(key).map_err(storage_error)?;
            Ok(value.map(|value| value.value().to_vec()))
        })
    }

    fn range(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        guarded(|| rows(self.table(table)?, range, direction, limit))
    }

    fn keys(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        guarded(|| keys(self.table(table)?, range, direction, limit))
    }
}

impl WriteTx for RedbWrite<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.change(table, |open| open.insert(key, value).map(drop))
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.change(table, |open| open.remove(key).map(drop))
    }
}

fn rows(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    range: &KeyRange,
    direction: Direction,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    collect(table, range, direction, limit, |key, value| {
        (key.to_vec(), value.to_vec())
    })
}

fn keys(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    range: &KeyRange,
    direction: Direction,
    limit: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    collect(table, range, direction, limit, |key, _| key.to_vec())
}

fn collect<T>(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    range: &KeyRange,
    direction: Direction,
    limit: usize,
    take: impl Fn(&[u8], &[u8]) -> T,
) -> Result<Vec<T>, StoreError> {
    if limit == 0 || range.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = table.range::<&[u8]>(bounds(range)).map_err(storage_error)?;
    let mut taken = Vec::new();
    while taken.len() < limit {
        let row = match direction {
            Direction::Ascending => found.next(),
            Direction::Descending => found.next_back(),
        };
        let Some(row) = row else { break };
        let (key, value) = row.map_err(storage_error)?;
        taken.push(take(key.value(), value.value()));
    }
    Ok(taken)
}

impl RedbWrite<'_> {
    /// Adds rows in the place behind `bound`: full leaves, and the path to them once for many rows.
    fn add(&mut self, table: Table, bound: Bound<&[u8]>, rows: &Rows) -> Result<(), StoreError> {
        let result = guarded(|| {
            self.table(table)?;
            let open = self.tables[table.index()].get_mut();
            let open = open.expect("opened above");
            let mut cursor = open.upper_bound_mut(bound).map_err(storage_error)?;
            for (key, value) in rows.iter() {
                let inserted = cursor.insert_before(key, value);
                inserted.map_err(|error| match error {
                    CursorError::Storage(error) => storage_error(error),
                    _ => StoreError::Aborted,
                })?;
            }
            cursor.close().map_err(storage_error)
        });
        self.failed |= result.is_err();
        result
    }
}

impl FillTx for RedbWrite<'_> {
    fn append(&mut self, table: Table, rows: &Rows) -> Result<(), StoreError> {
        self.add(table, Bound::Unbounded, rows)
    }

    fn insert(&mut self, table: Table, rows: &Rows) -> Result<(), StoreError> {
        match rows.iter().next() {
            Some((first, _)) => self.add(table, Bound::Excluded(first), rows),
            None => Ok(()),
        }
    }
}

fn database_error(error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            StoreError::Held
        }
        // The vault never wrote an older file format.
        DatabaseError::UpgradeRequired(_) => StoreError::Corrupt,
        DatabaseError::Storage(error) => storage_error(error),
        _ => StoreError::Unavailable,
    }
}

fn transaction_error(error: TransactionError) -> StoreError {
    match error {
        TransactionError::Storage(error) => storage_error(error),
        _ => StoreError::Unavailable,
    }
}

fn table_error(error: TableError) -> StoreError {
    match error {
        TableError::Storage(error) => storage_error(error),
        // Missing, or of other types: the file is not one that `with_tables` made.
        _ => StoreError::Corrupt,
    }
}

/// For errors before a commit; the texts are dropped, since they may quote what they are about.
fn storage_error(error: StorageError) -> StoreError {
    match error {
        StorageError::Corrupted(_) => StoreError::Corrupt,
        StorageError::Io(error) => error.into(),
        StorageError::ValueTooLarge(_) => StoreError::Io(std::io::ErrorKind::InvalidInput.into()),
        StorageError::Backend(_) => StoreError::Io(std::io::ErrorKind::Other.into()),
        StorageError::Unsupported => StoreError::Io(std::io::ErrorKind::Unsupported.into()),
        _ => StoreError::Unavailable,
    }
}
