//! A store that counts for nothing until it is whole.
//!
//! While it is being filled nobody waits for the medium, and no commit is made so that a crash leaves it whole:
//! whoever dies meanwhile leaves a file that is thrown away. Once it is finished it is a store like any other.

use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use super::redb::RedbStore;
use super::{FillTx, ReadTx, Store, StoreError, WriteTx};

/// A new store on its way.
pub struct FillingStore {
    store: RedbStore,
    /// Whether flushes reach the medium.
    flushes: Arc<AtomicBool>,
}

impl FillingStore {
    /// Makes a new store, as [`RedbStore::create`] does.
    ///
    /// # Errors
    ///
    /// Those of [`RedbStore::create`].
    pub fn create(path: &Path, cache_bytes: usize) -> Result<Self, StoreError> {
        let flushes = Arc::new(AtomicBool::new(false));
        let over = |file| Unflushed {
            file,
            flushes: Arc::clone(&flushes),
        };
        let store = RedbStore::create_over(path, cache_bytes, over)?;
        Ok(Self { store, flushes })
    }

    /// Runs `f` once and commits what it did, in one phase and without the state of the allocator.
    ///
    /// # Errors
    ///
    /// Those of [`Store::write`].
    pub fn fill(
        &self,
        f: &mut dyn FnMut(&mut dyn FillTx) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.store.fill(f)
    }

    /// Waits until everything is on the medium.
    ///
    /// # Errors
    ///
    /// Those of [`Store::write`]: an error of the medium that came since the creation is among them. The file
    /// is then to be thrown away.
    pub fn finish(self) -> Result<RedbStore, StoreError> {
        self.flushes.store(true, Ordering::Release);
        // A commit flushes what was written before it, too.
        self.store.write(&mut |_| Ok(()))?;
        Ok(self.store)
    }
}

impl Store for FillingStore {
    fn snapshot(&self) -> Result<Box<dyn ReadTx + Send>, StoreError> {
        self.store.snapshot()
    }

    fn write(
        &self,
        f: &mut dyn FnMut(&mut dyn WriteTx) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.store.write(f)
    }
}

/// A file whose flushes wait.
#[derive(Debug)]
struct Unflushed {
    file: FileBackend,
    flushes: Arc<AtomicBool>,
}

impl StorageBackend for Unflushed {
    fn sync_data(&self) -> io::Result<()> {
        match self.flushes.load(Ordering::Acquire) {
            true => self.file.sync_data(),
            false => Ok(()),
        }
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
