//! A disk in memory, with the locks of a file.
//!
//! For tests, and for the throw-away vault. Knows nothing of faults and does not distinguish what
//! was flushed from what was not: [`super::fault`] does.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use redb::{BackendError, StorageBackend};

/// Bytes in memory that outlive the stores opened over them. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    shared: Arc<Shared>,
}

impl MemoryDisk {
    /// A disk that holds `bytes`.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.shared.state.lock().bytes = bytes;
        disk
    }

    /// A copy of everything on the disk.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.shared.state.lock().bytes.clone()
    }

    /// Opens the disk once more, with locks of its own, as opening a file does.
    #[must_use]
    pub fn open(&self) -> MemoryDiskHandle {
        let mut state = self.shared.state.lock();
        state.handles += 1;
        MemoryDiskHandle {
            number: state.handles,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDisk").finish_non_exhaustive()
    }
}

/// One opening of a [`MemoryDisk`]; its locks are released when it is closed or dropped.
pub struct MemoryDiskHandle {
    number: u64,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    unlocked: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    handles: u64,
    locks: Vec<Lock>,
}

/// A lock over `[start, end)`, to the end of the offsets if `end` is `None`.
#[derive(Copy, Clone, PartialEq, Eq)]
struct Lock {
    handle: u64,
    start: u64,
    end: Option<u64>,
    shared: bool,
}

impl Lock {
    fn conflicts(&self, other: &Self) -> bool {
        let overlaps = self.end.is_none_or(|end| other.start < end)
            && other.end.is_none_or(|end| self.start < end);
        self.handle != other.handle && overlaps && !(self.shared && other.shared)
    }
}

impl State {
    fn blocked(&self, lock: &Lock) -> bool {
        self.locks.iter().any(|held| held.conflicts(lock))
    }
}

impl MemoryDiskHandle {
    fn lock_of(&self, start: Bound<u64>, end: Bound<u64>, shared: bool) -> Lock {
        Lock {
            handle: self.number,
            start: match start {
                Bound::Unbounded => 0,
                Bound::Included(start) => start,
                Bound::Excluded(start) => start.saturating_add(1),
            },
            end: match end {
                Bound::Unbounded => None,
                Bound::Included(end) => end.checked_add(1),
                Bound::Excluded(end) => Some(end),
            },
            shared,
        }
    }

    fn try_acquire(&self, lock: Lock) -> bool {
        let mut state = self.shared.state.lock();
        let free = !state.blocked(&lock);
        if free {
            state.locks.push(lock);
        }
        free
    }

    fn acquire(&self, lock: Lock) {
        let mut state = self.shared.state.lock();
        while state.blocked(&lock) {
            self.shared.unlocked.wait(&mut state);
        }
        state.locks.push(lock);
    }

    fn release(&self, which: impl Fn(&Lock) -> bool) {
        let mut state = self.shared.state.lock();
        state
            .locks
            .retain(|held| held.handle != self.number || !which(held));
        self.shared.unlocked.notify_all();
    }
}

impl StorageBackend for MemoryDiskHandle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.shared.state.lock().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.shared.state.lock();
        let end = index(offset)?.checked_add(out.len());
        let source = end.and_then(|end| state.bytes.get(end - out.len()..end));
        out.copy_from_slice(source.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = index(len)?;
        self.shared.state.lock().bytes.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        let end = index(offset)?
            .checked_add(data.len())
            .ok_or(io::ErrorKind::InvalidInput)?;
        // A file grows under a write beyond its end; so does this disk.
        if state.bytes.len() < end {
            state.bytes.resize(end, 0);
        }
        state.bytes[end - data.len()..end].copy_from_slice(data);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.release(|_| true);
        Ok(())
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        Ok(self.try_acquire(self.lock_of(start, end, false)))
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        Ok(self.try_acquire(self.lock_of(start, end, true)))
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.acquire(self.lock_of(start, end, false));
        Ok(())
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.acquire(self.lock_of(start, end, true));
        Ok(())
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        let range = self.lock_of(start, end, false);
        self.release(|held| (held.start, held.end) == (range.start, range.end));
        Ok(())
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        let wanted = self.lock_of(start, end, false);
        Ok(self.shared.state.lock().blocked(&wanted))
    }
}

impl Drop for MemoryDiskHandle {
    fn drop(&mut self) {
        self.release(|_| true);
    }
}

impl fmt::Debug for MemoryDiskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDiskHandle").finish_non_exhaustive()
    }
}

fn index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}
