//! A file that is written behind its user: pages are gathered, put in order, and written by a thread of their own.
//!
//! A database hands over one page after another, in no order, and for each the system is called once: a page alone
//! costs more there than what is copied. Here neighbours go out together, while whoever made them makes the next. What
//! waits is read from where it waits. An error is told by whatever comes next, and by every flush.
//!
//! For a file that counts for nothing until it is whole. Knows nothing of what pages hold.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::{Bound, Range};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use redb::{BackendError, StorageBackend};

/// How much is done at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Bytes that are gathered before they are written.
    pub(super) gathered: usize,
    /// Longest write of neighbours; a page that is longer goes alone.
    pub(super) write: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            gathered: 4 << 20,
            write: 1 << 20,
        }
    }
}

/// Pages that wait to be written.
#[derive(Debug)]
struct Pages {
    /// One behind the other, in the order in which they came.
    bytes: Vec<u8>,
    /// Where in `bytes` each is, by its offset; no two of them overlap.
    places: BTreeMap<u64, Range<usize>>,
}

enum Task {
    Write(Arc<Pages>),
    /// Everything before is to be written, and with [`Upto::Medium`] flushed as well.
    Tell(Upto, SyncSender<io::Result<()>>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Upto {
    File,
    Medium,
}

/// What is gathered, and who writes it.
#[derive(Debug)]
struct Gathered {
    pages: Pages,
    sizes: Sizes,
    /// Memory of pages that were written: new memory costs as much as what is copied into it.
    spare: Receiver<Vec<u8>>,
    /// Those before, until they are written; the oldest first.
    passed: VecDeque<Weak<Pages>>,
    /// `None` once this is dropped.
    tasks: Option<SyncSender<Task>>,
    thread: Option<JoinHandle<()>>,
}

/// A backend over another. Its flushes do nothing until they are asked for. Whoever writes beyond the end of the file
/// sets its length first.
#[derive(Debug)]
pub(super) struct WriteBehind<B: StorageBackend> {
    file: Arc<B>,
    /// Whether flushes reach the medium.
    flushes: Arc<AtomicBool>,
    /// Whether a write has failed.
    failed: Arc<AtomicBool>,
    gathered: Mutex<Gathered>,
}

impl<B: StorageBackend> WriteBehind<B> {
    /// Over `file`; `flushes` says when flushes begin.
    pub(super) fn new(file: B, flushes: Arc<AtomicBool>, sizes: Sizes) -> io::Result<Self> {
        let file = Arc::new(file);
        let (tasks, waiting) = sync_channel(1);
        let (spare, spares) = sync_channel(1);
        let failed = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            file: Arc::clone(&file),
            failed: None,
            tell: Arc::clone(&failed),
            longest: sizes.write,
            together: Vec::with_capacity(sizes.write),
            spare,
        };
        let thread = std::thread::Builder::new()
            .name("vault-behind".into())
            .spawn(move || writer.run(&waiting))?;
        Ok(Self {
            file,
            flushes,
            failed,
            gathered: Mutex::new(Gathered {
                pages: Pages::over(Vec::with_capacity(sizes.gathered)),
                sizes,
                spare: spares,
                passed: VecDeque::new(),
                tasks: Some(tasks),
                thread: Some(thread),
            }),
        })
    }

    /// Tells of the write that has failed, if one has.
    fn whole(&self) -> io::Result<()> {
        match self.failed.load(Ordering::Acquire) {
            true => self.settle(Upto::File),
            false => Ok(()),
        }
    }

    /// Waits until everything that was gathered is there.
    fn settle(&self, upto: Upto) -> io::Result<()> {
        let told = {
            let mut gathered = self.gathered.lock();
            gathered.pass()?;
            let (tell, told) = sync_channel(1);
            gathered.give(Task::Tell(upto, tell))?;
            told
        };
        told.recv().unwrap_or_else(|_| Err(broken()))
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        self.tasks = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl<B: StorageBackend> StorageBackend for WriteBehind<B> {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let found = self.gathered.lock().find(offset, out);
        match found {
            Found::Whole => return Ok(()),
            Found::Part => self.settle(Upto::File)?,
            Found::Nothing => {}
        }
        self.file.read(offset, out)?;
        // Afterwards: what was not written is not there to be read, and the file has something else.
        self.whole()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        // What is gathered may lie beyond a shorter end.
        self.settle(Upto::File)?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.flushes.load(Ordering::Acquire) {
            true => self.settle(Upto::Medium),
            false => self.whole(),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.whole()?;
        self.gathered.lock().add(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        let settled = self.settle(Upto::File);
        self.file.close().and(settled)
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

fn broken() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

/// How much of what is read waits to be written.
enum Found {
    /// All of it, and it was copied.
    Whole,
    Part,
    Nothing,
}

impl Pages {
    /// None yet, in this memory.
    fn over(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self {
            bytes,
            places: BTreeMap::new(),
        }
    }

    /// Whether there is room for a page: without more memory, and not over one of another size.
    fn takes(&self, offset: u64, length: usize) -> bool {
        let before = self.places.range(..offset).next_back();
        let before = before.is_none_or(|(at, page)| at + page.len() as u64 <= offset);
        let mut over = self.places.range(offset..offset + length as u64);
        let over = over.all(|(at, page)| *at == offset && page.len() == length);
        before && over && self.bytes.len() + length <= self.bytes.capacity()
    }

    fn add(&mut self, offset: u64, data: &[u8]) {
        if let Some(page) = self.places.get(&offset) {
            self.bytes[page.clone()].copy_from_slice(data);
            return;
        }
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(data);
        self.places.insert(offset, begin..self.bytes.len());
    }

    /// Copies what there is of `out`, which stands at `offset`.
    fn find(&self, offset: u64, out: &mut [u8]) -> Found {
        if let Some((at, page)) = self.places.range(..=offset).next_back()
            && at + page.len() as u64 > offset
        {
            let from = usize::try_from(offset - at).expect("within a page");
            let page = &self.bytes[page.clone()];
            return match page.get(from..from + out.len()) {
                Some(part) => {
                    out.copy_from_slice(part);
                    Found::Whole
                }
                None => Found::Part,
            };
        }
        let end = offset + out.len() as u64;
        match self.places.range(offset..end).next() {
            Some(_) => Found::Part,
            None => Found::Nothing,
        }
    }
}

impl Gathered {
    fn find(&self, offset: u64, out: &mut [u8]) -> Found {
        let mut found = self.pages.find(offset, out);
        for passed in self.passed.iter().rev() {
            if !matches!(found, Found::Nothing) {
                break;
            }
            match passed.upgrade() {
                Some(pages) => found = pages.find(offset, out),
                // Written before they were let go of, or that has failed, which is told.
                None => fence(Ordering::Acquire),
            }
        }
        found
    }

    fn add(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        if !self.pages.takes(offset, data.len()) {
            // What came first is written first.
            self.pass()?;
        }
        self.pages.add(offset, data);
        Ok(())
    }

    fn pass(&mut self) -> io::Result<()> {
        if self.pages.places.is_empty() {
            return Ok(());
        }
        let spare = self.spare.try_recv();
        let spare = spare.unwrap_or_else(|_| Vec::with_capacity(self.sizes.gathered));
        let pages = Arc::new(std::mem::replace(&mut self.pages, Pages::over(spare)));
        self.passed.retain(|passed| passed.strong_count() > 0);
        self.passed.push_back(Arc::downgrade(&pages));
        self.give(Task::Write(pages))
    }

    fn give(&mut self, task: Task) -> io::Result<()> {
        let tasks = self.tasks.as_ref().ok_or_else(broken)?;
        tasks.send(task).map_err(|_| broken())
    }
}

struct Writer<B> {
    file: Arc<B>,
    /// The first error; nothing is written behind it.
    failed: Option<io::Error>,
    /// Whether there is one.
    tell: Arc<AtomicBool>,
    /// Longest write of neighbours.
    longest: usize,
    /// Neighbours.
    together: Vec<u8>,
    /// Where memory is left for who gathers.
    spare: SyncSender<Vec<u8>>,
}

impl<B: StorageBackend> Writer<B> {
    fn run(mut self, tasks: &Receiver<Task>) {
        for task in tasks {
            match task {
                Task::Write(pages) if self.failed.is_none() => {
                    self.failed = self.write(&pages).err();
                    self.tell.store(self.failed.is_some(), Ordering::Release);
                    if let Some(pages) = Arc::into_inner(pages) {
                        // One waits already, or nobody gathers any more.
                        let _ = self.spare.try_send(pages.bytes);
                    }
                }
                Task::Write(_) => {}
                Task::Tell(upto, told) => {
                    if upto == Upto::Medium {
                        self.flush();
                    }
                    let _ = told.send(match &self.failed {
                        Some(error) => Err(again(error)),
                        None => Ok(()),
                    });
                }
            }
        }
    }

    fn flush(&mut self) {
        if self.failed.is_none() {
            self.failed = self.file.sync_data().err();
            self.tell.store(self.failed.is_some(), Ordering::Release);
        }
    }

    /// Writes pages, those together that touch each other.
    fn write(&mut self, pages: &Pages) -> io::Result<()> {
        let mut places = pages.places.iter().peekable();
        while let Some((begin, first)) = places.next() {
            let page = |place: &Range<usize>| &pages.bytes[place.clone()];
            if first.len() > self.longest {
                self.file.write(*begin, page(first))?;
                continue;
            }
            let together = &mut self.together;
            together.clear();
            let mut next = Some(first);
            while let Some(place) = next {
                together.extend_from_slice(page(place));
                let length = together.len();
                let end = begin + length as u64;
                let fits = |place: &Range<usize>| length + place.len() <= self.longest;
                let touches = places.next_if(|(at, place)| **at == end && fits(place));
                next = touches.map(|(_, place)| place);
            }
            self.file.write(*begin, together)?;
        }
        Ok(())
    }
}

/// The same error once more.
fn again(error: &io::Error) -> io::Error {
    let of_system = error.raw_os_error().map(io::Error::from_raw_os_error);
    of_system.unwrap_or_else(|| error.kind().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryDisk;
    use crate::store::fault::{Fault, FaultBackend};
    use proptest::prelude::*;

    fn behind<B: StorageBackend>(file: B, flushes: bool) -> WriteBehind<B> {
        sized(file, flushes, Sizes::default())
    }

    fn sized<B: StorageBackend>(file: B, flushes: bool, sizes: Sizes) -> WriteBehind<B> {
        WriteBehind::new(file, Arc::new(AtomicBool::new(flushes)), sizes).unwrap()
    }

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, usize, u8),
        Read(u64, usize),
        Length(u64),
        Flush,
    }

    fn step() -> impl Strategy<Value = Step> {
        // Pages of a few sizes at a few places, so that they touch, overlap and repeat each other.
        let size = prop_oneof![Just(64_usize), Just(128), Just(256)];
        prop_oneof![
            8 => (0..40_u64, size.clone(), any::<u8>()).prop_map(|(at, n, b)| Step::Write(at * 64, n, b)),
            1 => (0..40_u64, size).prop_map(|(at, n)| Step::Read(at * 64, n)),
            // A store grows its file before it writes there.
            1 => (44..60_u64).prop_map(|at| Step::Length(at * 64)),
            1 => Just(Step::Flush),
        ]
    }

    proptest! {
        #[test]
        fn it_is_read_as_if_each_write_had_gone_out_at_once(
            steps in prop::collection::vec(step(), 1..80), flushes: bool
        ) {
            let (disk, plain) = (MemoryDisk::default(), MemoryDisk::default());
            // Batches of a few pages; the longest page is longer than a write of neighbours.
            let sizes = Sizes { gathered: 1024, write: 192 };
            let (ours, theirs) = (sized(disk.open(), flushes, sizes), plain.open());
            ours.set_len(60 * 64).unwrap();
            theirs.set_len(60 * 64).unwrap();
            for step in steps {
                match step {
                    Step::Write(at, length, byte) => {
                        ours.write(at, &vec![byte; length]).unwrap();
                        theirs.write(at, &vec![byte; length]).unwrap();
                    }
                    Step::Read(at, length) => {
                        let (mut a, mut b) = (vec![0; length], vec![0; length]);
                        let same = ours.read(at, &mut a).is_ok() == theirs.read(at, &mut b).is_ok();
                        prop_assert!(same);
                        prop_assert_eq!(a, b);
                    }
                    Step::Length(length) => {
                        ours.set_len(length).unwrap();
                        theirs.set_len(length).unwrap();
                    }
                    Step::Flush => ours.sync_data().unwrap(),
                }
            }
            ours.close().unwrap();
            prop_assert_eq!(disk.bytes(), plain.bytes());
        }
    }

    #[test]
    fn neighbours_go_out_in_one_write_and_others_alone() {
        let (backend, plan) = FaultBackend::new(MemoryDisk::default().open()).unwrap();
        let behind = behind(backend, false);
        plan.arm(Fault::FailOnce(u64::MAX));
        for page in [3_u64, 1, 2, 9, 0] {
            behind.write(page * 64, &[7; 64]).unwrap();
        }
        assert_eq!(plan.operations(), 0, "nothing was asked for yet");
        let mut read = [0; 64];
        behind.read(9 * 64, &mut read).unwrap();
        assert_eq!(
            (read, plan.operations()),
            ([7; 64], 0),
            "from where it waits"
        );
        behind.sync_data().unwrap();
        assert_eq!(plan.operations(), 0, "flushes are not asked for");
        behind.close().unwrap();
        assert_eq!(plan.operations(), 2);
    }

    #[test]
    fn an_error_of_a_write_is_told_by_what_comes_next_and_does_not_end() {
        let (backend, plan) = FaultBackend::new(MemoryDisk::default().open()).unwrap();
        let behind = behind(backend, false);
        behind.set_len(1 << 10).unwrap();
        plan.arm(Fault::DiskFullFrom(1));
        behind.write(0, &[1; 64]).unwrap();
        let full =
            |result: io::Result<()>| result.unwrap_err().kind() == io::ErrorKind::StorageFull;
        // Half of this lies nowhere: what waits has to be written first.
        assert!(full(behind.read(0, &mut [0; 128])));
        // Nor is it read as what the file has there.
        assert!(full(behind.read(0, &mut [0; 64])));
        plan.disarm();
        // There is room again, and still a page is missing.
        assert!(full(behind.write(64, &[1; 64])));
        assert!(full(behind.sync_data()));
    }

    /// What was lost is lost, even where the system tells of it once.
    #[test]
    fn after_a_flush_that_failed_none_succeeds() {
        let (backend, plan) = FaultBackend::new(MemoryDisk::default().open()).unwrap();
        let behind = behind(backend, true);
        behind.write(0, &[1; 64]).unwrap();
        // The first operation is the write, the second the flush behind it.
        plan.arm(Fault::FailOnce(2));
        behind.sync_data().unwrap_err();
        assert!(plan.fired());
        behind.sync_data().unwrap_err();
        // Nor is anything taken that would not be written.
        behind.write(64, &[1; 64]).unwrap_err();
    }
}
