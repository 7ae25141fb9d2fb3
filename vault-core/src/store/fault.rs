//! A disk that fails, tears and loses power when told to. For tests only.
//!
//! Sits between redb and any other backend, counts the operations that touch the medium, and
//! remembers which sectors were written since the last flush, so that a power loss can keep any
//! of them and lose any other. Does not model a medium that changes sectors nobody wrote, or one
//! that lies about a flush that it reported as done.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;
use redb::{BackendError, StorageBackend};

/// What a disk writes whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;
type Sector = [u8; SECTOR_BYTES];

/// What goes wrong, and when. Operations are reads, writes, flushes and changes of length; they
/// are counted from [`FaultPlan::arm`], beginning with 1. Locks and questions for the length are
/// neither counted nor broken.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// From this operation on there is no room: writes and changes of length fail, reads and
    /// flushes do not.
    DiskFullFrom(u64),
    /// This operation fails and everything after it.
    FailFrom(u64),
    /// This operation fails, none after it.
    FailOnce(u64),
    /// The power goes during this operation: a write may have reached the medium in part or not
    /// at all, and everything from here on fails. Look at [`FaultPlan::crash_image`].
    LosePower(u64),
    /// Of this write (only writes are counted) the first half is written, and it fails.
    TearWrite(u64),
}

/// A handle on the faults of one [`FaultBackend`], kept by the test. Clones are the same plan.
#[derive(Clone)]
pub struct FaultPlan {
    state: Arc<Mutex<State>>,
}

impl FaultPlan {
    /// Sets what goes wrong next and begins to count again.
    pub fn arm(&self, fault: Fault) {
        let mut state = self.state.lock();
        (state.fault, state.fired) = (Some(fault), false);
        (state.operations, state.writes) = (0, 0);
    }

    /// Lets everything succeed again; what was written or lost stays so.
    pub fn disarm(&self) {
        self.state.lock().fault = None;
    }

    /// Whether the fault has happened since it was armed.
    #[must_use]
    pub fn fired(&self) -> bool {
        self.state.lock().fired
    }

    /// Operations since the plan was armed.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// What the medium may hold if the power goes now: everything flushed, and of each sector
    /// written since, any version it had. `seed` chooses; zero keeps all that was written.
    ///
    /// The length is one that the disk had since the last flush. After a flush that failed, what
    /// it should have written is as uncertain as before, and a later flush does not make it
    /// certain unless it is written again, as on Linux.
    #[must_use]
    pub fn crash_image(&self, seed: u64) -> Vec<u8> {
        self.state.lock().crash_image(seed)
    }
}

impl fmt::Debug for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("FaultPlan")
            .field("fault", &state.fault)
            .field("operations", &state.operations)
            .field("fired", &state.fired)
            .finish_non_exhaustive()
    }
}

/// A backend that fails as its [`FaultPlan`] says.
#[derive(Debug)]
pub struct FaultBackend<B> {
    inner: B,
    plan: FaultPlan,
}

impl<B: StorageBackend> FaultBackend<B> {
    /// A backend over `inner` in which nothing fails yet. What `inner` holds now counts as
    /// flushed; it is copied into memory.
    ///
    /// # Errors
    ///
    /// Those of `inner` when it is read.
    pub fn new(inner: B) -> io::Result<(Self, FaultPlan)> {
        let len = usize::try_from(inner.len()?).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut durable = vec![0; len];
        inner.read(0, &mut durable)?;
        let plan = FaultPlan {
            state: Arc::new(Mutex::new(State::new(durable))),
        };
        let backend = Self {
            inner,
            plan: plan.clone(),
        };
        Ok((backend, plan))
    }

    /// Writes and remembers that the sectors touched are not flushed.
    fn write_through(&self, state: &mut State, offset: u64, data: &[u8]) -> io::Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        self.inner.write(offset, data)?;
        let len = self.inner.len()?;
        state.lengths.push(len);
        let first = offset / SECTOR_BYTES as u64;
        let last = (offset + data.len() as u64 - 1) / SECTOR_BYTES as u64;
        for number in first..=last {
            let mut sector = [0; SECTOR_BYTES];
            let start = number * SECTOR_BYTES as u64;
            // The last sector of a disk may be a short one.
            let held = (len - start).min(SECTOR_BYTES as u64) as usize;
            self.inner.read(start, &mut sector[..held])?;
            state.pending.entry(number).or_default().push(sector);
        }
        Ok(())
    }
}

struct State {
    fault: Option<Fault>,
    fired: bool,
    operations: u64,
    writes: u64,
    /// What the last successful flush left on the medium.
    durable: Vec<u8>,
    /// Every version that a sector had since then, oldest first.
    pending: BTreeMap<u64, Vec<Sector>>,
    /// Versions that a failed flush left uncertain.
    limbo: BTreeMap<u64, Vec<Sector>>,
    /// Every length since the last successful flush, oldest first; never empty.
    lengths: Vec<u64>,
}

/// What becomes of an operation.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Verdict {
    Succeeds,
    Fails,
    HasNoRoom,
    LosesPower,
    Tears,
}

impl State {
    fn new(durable: Vec<u8>) -> Self {
        Self {
            fault: None,
            fired: false,
            operations: 0,
            writes: 0,
            lengths: vec![durable.len() as u64],
            durable,
            pending: BTreeMap::new(),
            limbo: BTreeMap::new(),
        }
    }

    fn judge(&mut self, operation: Operation) -> Verdict {
        self.operations += 1;
        if operation == Operation::Write {
            self.writes += 1;
        }
        let grows = matches!(operation, Operation::Write | Operation::SetLen);
        let verdict = match self.fault {
            Some(Fault::DiskFullFrom(from)) if self.operations >= from && grows => {
                Verdict::HasNoRoom
            }
            Some(Fault::FailFrom(from)) if self.operations >= from => Verdict::Fails,
            Some(Fault::FailOnce(at)) if self.operations == at => Verdict::Fails,
            Some(Fault::LosePower(at)) if self.operations == at => Verdict::LosesPower,
            Some(Fault::LosePower(at)) if self.operations > at => Verdict::Fails,
            Some(Fault::TearWrite(at)) if operation == Operation::Write && self.writes == at => {
                Verdict::Tears
            }
            _ => Verdict::Succeeds,
        };
        self.fired |= verdict != Verdict::Succeeds;
        verdict
    }

    fn flushed(&mut self) {
        let len = self.lengths[self.lengths.len() - 1];
        self.durable.resize(len as usize, 0);
        for (number, versions) in std::mem::take(&mut self.pending) {
            if let Some(version) = versions.last() {
                place(&mut self.durable, number, version);
            }
            self.limbo.remove(&number);
        }
        self.lengths = vec![len];
    }

    fn flush_failed(&mut self) {
        for (number, versions) in std::mem::take(&mut self.pending) {
            self.limbo.entry(number).or_default().extend(versions);
        }
    }

    fn crash_image(&self, seed: u64) -> Vec<u8> {
        let mut random = seed;
        // Among so many versions, which one survives; the last if everything does.
        let mut choose = |versions: usize| match seed {
            0 => versions - 1,
            _ => (split_mix(&mut random) % versions as u64) as usize,
        };
        let len = self.lengths[choose(self.lengths.len())];
        let mut image = self.durable.clone();
        image.resize(len as usize, 0);
        let mut versions: BTreeMap<u64, Vec<&Sector>> = BTreeMap::new();
        for (number, sectors) in self.limbo.iter().chain(&self.pending) {
            versions.entry(*number).or_default().extend(sectors);
        }
        for (number, versions) in versions {
            // One more than there are: the version that was flushed, as the oldest.
            if let Some(kept) = choose(versions.len() + 1).checked_sub(1) {
                place(&mut image, number, versions[kept]);
            }
        }
        image
    }
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Operation {
    Read,
    SetLen,
    Sync,
    Write,
}

impl<B: StorageBackend> StorageBackend for FaultBackend<B> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.plan.state.lock().judge(Operation::Read) {
            Verdict::Succeeds => self.inner.read(offset, out),
            _ => Err(broken()),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.plan.state.lock();
        let verdict = state.judge(Operation::SetLen);
        match verdict {
            Verdict::HasNoRoom => return Err(io::ErrorKind::StorageFull.into()),
            Verdict::Fails => return Err(broken()),
            _ => {}
        }
        let before = self.inner.len()?;
        self.inner.set_len(len)?;
        state.lengths.push(len);
        // What was cut off reads as zeros when the disk grows again.
        let kept = len.div_ceil(SECTOR_BYTES as u64);
        for number in kept..before.div_ceil(SECTOR_BYTES as u64) {
            let versions = state.pending.entry(number).or_default();
            versions.push([0; SECTOR_BYTES]);
        }
        match verdict {
            Verdict::LosesPower => Err(broken()),
            _ => Ok(()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.plan.state.lock();
        if state.judge(Operation::Sync) != Verdict::Succeeds {
            state.flush_failed();
            return Err(broken());
        }
        self.inner.sync_data()?;
        state.flushed();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.plan.state.lock();
        let (written, result) = match state.judge(Operation::Write) {
            Verdict::Succeeds => (data, Ok(())),
            Verdict::HasNoRoom => (&[][..], Err(io::ErrorKind::StorageFull.into())),
            Verdict::Fails => (&[][..], Err(broken())),
            Verdict::LosesPower => (data, Err(broken())),
            Verdict::Tears => (&data[..data.len() / 2], Err(broken())),
        };
        self.write_through(&mut state, offset, written)?;
        result
    }

    // The optional methods are delegated: without them redb would take the disk for one that
    // cannot lock, and refuse a single writer with readers beside it.
    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}

fn broken() -> io::Error {
    io::Error::other("the disk failed as planned")
}

/// Writes a sector, as far as the disk reaches.
fn place(disk: &mut [u8], number: u64, sector: &Sector) {
    let start = (number as usize).saturating_mul(SECTOR_BYTES);
    if let Some(rest) = disk.get_mut(start..) {
        let held = rest.len().min(SECTOR_BYTES);
        rest[..held].copy_from_slice(&sector[..held]);
    }
}

/// Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
