//! A store that counts for nothing until it is whole.
//!
//! While it is being filled nobody waits for the medium, and no commit is made so that a crash leaves it whole:
//! whoever dies meanwhile leaves a file that is thrown away. Once it is finished it is a store like any other.

use std::fs::File;
#[cfg(target_os = "linux")]
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(target_os = "linux")]
use rustix::fs::Advice;

use super::behind::{Sizes, WriteBehind};
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
        let over = |file| {
            // Another handle of the file: the store's own is the database's, which is told of an error of the medium all
            // the same.
            let whole = File::open(path)?;
            let begin = move |part| begin_writing(&whole, part);
            WriteBehind::new(file, Arc::clone(&flushes), Sizes::default(), begin)
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

/// Has the system begin to bring part of a file to the medium, and does not wait until it is there: the flush at the
/// end waits for little then. A hint, and no more: where it is not taken nothing is lost but time.
///
/// Source: `posix_fadvise(2)`, `POSIX_FADV_DONTNEED`; Linux starts to write what is changed of the range, and forgets
/// what is not.
fn begin_writing(file: &File, part: Range<u64>) {
    #[cfg(target_os = "linux")]
    if let Some(length) = NonZeroU64::new(part.end - part.start) {
        let _ = rustix::fs::fadvise(file, part.start, Some(length), Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, part);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fault::{Fault, FaultBackend};
    use crate::store::{Direction, KeyRange, MemoryDisk, Rows, Table};

    const ROUNDS: u32 = 6;
    /// A round fills more than one batch.
    const SIZES: Sizes = Sizes {
        stretch: 16 << 10,
        stretches: 3,
    };

    fn filled(store: &FillingStore) -> Result<(), StoreError> {
        for round in 0..ROUNDS {
            let mut rows = Rows::default();
            for number in 0..200_u32 {
                let key = (round * 1_000 + number).to_be_bytes();
                rows.push(&key, &[number as u8; 700]);
            }
            store.fill(&mut |tx| tx.append(Table::Records, &rows))?;
        }
        Ok(())
    }

    fn filling(disk: &MemoryDisk, fault: Fault) -> (bool, Result<(), StoreError>) {
        let (backend, plan) = FaultBackend::new(disk.open()).unwrap();
        let flushes = Arc::new(AtomicBool::new(false));
        let behind = WriteBehind::new(backend, Arc::clone(&flushes), SIZES, |_| {}).unwrap();
        let store = RedbStore::with_backend(behind, false).unwrap();
        let store = FillingStore { store, flushes };
        plan.arm(fault);
        let result = filled(&store);
        let result = result.and_then(|()| store.finish()?.close());
        (plan.fired(), result)
    }

    /// What would be lost: a restore that says it is whole, over a page that the medium never took.
    #[test]
    fn whatever_the_medium_fails_at_once_is_told_before_the_store_is_finished() {
        let (mut failed, mut whole) = (0, 0);
        for operation in 1..400 {
            let disk = MemoryDisk::default();
            match filling(&disk, Fault::FailOnce(operation)) {
                (true, result) => {
                    assert!(result.is_err(), "operation {operation}");
                    failed += 1;
                }
                (false, result) => {
                    result.unwrap();
                    whole += 1;
                    if whole == 3 {
                        break;
                    }
                }
            }
        }
        assert!(failed > 5 && whole == 3, "{failed} {whole}");
    }

    #[test]
    fn a_finished_store_has_every_row_after_it_is_opened_and_verified() {
        let disk = MemoryDisk::default();
        let (_, result) = filling(&disk, Fault::FailOnce(u64::MAX));
        result.unwrap();
        let store = RedbStore::with_backend(disk.open(), true).unwrap();
        let all = KeyRange::all();
        let snapshot = store.snapshot().unwrap();
        let rows = snapshot.range(Table::Records, &all, Direction::Ascending, usize::MAX);
        assert_eq!(rows.unwrap().len(), 200 * ROUNDS as usize);
    }
}
