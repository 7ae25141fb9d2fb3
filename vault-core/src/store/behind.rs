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

/// Bytes that are known to be there or not together. Every write begins and ends at a multiple of it, or goes out alone.
const GRAIN_BYTES: usize = 64;
/// Bytes of a word of grains, which is a page of the smallest size.
const WORD_BYTES: usize = GRAIN_BYTES * u64::BITS as usize;

/// Sets of pages that there are at a time: one is gathered, one waits, one is written.
const GENERATIONS: usize = 3;

/// How much is done at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Bytes of a stretch of the file that lie side by side; the longest write, too.
    pub(super) stretch: usize,
    /// How many of them are gathered before they are written.
    pub(super) stretches: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            stretch: 256 << 10,
            stretches: 32,
        }
    }
}

/// Part of the file as it is to be, as far as it was written.
#[derive(Debug)]
struct Stretch {
    bytes: Box<[u8]>,
    /// A bit for each grain that was written.
    there: Box<[u64]>,
}

/// Stretches that wait to be written, by their number in the file.
#[derive(Debug, Default)]
struct Pages(BTreeMap<u64, Stretch>);

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
    /// Memory that no page is in: new memory costs as much as what is copied into it.
    free: Vec<Stretch>,
    /// That of pages that were written.
    spare: Receiver<Pages>,
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
    /// Over `file`; `flushes` says when flushes begin. `begin` is told in which part of the file something was
    /// written, and may have it brought to the medium meanwhile.
    pub(super) fn new(
        file: B,
        flushes: Arc<AtomicBool>,
        sizes: Sizes,
        begin: impl Fn(Range<u64>) + Send + 'static,
    ) -> io::Result<Self> {
        let file = Arc::new(file);
        let (tasks, waiting) = sync_channel(1);
        let (spare, spares) = sync_channel(GENERATIONS);
        let failed = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            file: Arc::clone(&file),
            failed: None,
            has_failed: Arc::clone(&failed),
            sizes,
            begin,
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
                pages: Pages::default(),
                sizes,
                free: Vec::new(),
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
            false => {
                self.whole()?;
                self.gathered.lock().pass_half()
            }
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.whole()?;
        let grain = GRAIN_BYTES as u64;
        if !offset.is_multiple_of(grain) || !(data.len() as u64).is_multiple_of(grain) {
            self.settle(Upto::File)?;
            return self.file.write(offset, data);
        }
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

impl Stretch {
    fn new(sizes: Sizes) -> Self {
        Self {
            bytes: vec![0; sizes.stretch].into(),
            there: vec![0; sizes.stretch.div_ceil(WORD_BYTES)].into(),
        }
    }

    /// The grains of these bytes: of each word its number and its bits.
    fn words(place: Range<usize>) -> impl Iterator<Item = (usize, u64)> {
        let (first, end) = (place.start / GRAIN_BYTES, place.end.div_ceil(GRAIN_BYTES));
        let bits = u64::BITS as usize;
        (first / bits..end.div_ceil(bits)).map(move |word| {
            let (from, to) = (first.max(word * bits), end.min((word + 1) * bits));
            let ones = u64::MAX >> (bits - (to - from));
            (word, ones << (from - word * bits))
        })
    }

    fn add(&mut self, at: usize, data: &[u8]) {
        let place = at..at + data.len();
        self.bytes[place.clone()].copy_from_slice(data);
        for (word, bits) in Self::words(place) {
            self.there[word] |= bits;
        }
    }

    /// Copies what there is of `out`, which stands at `at`.
    fn find(&self, at: usize, out: &mut [u8]) -> Found {
        let place = at..at + out.len();
        let (mut all, mut any) = (true, false);
        for (word, bits) in Self::words(place.clone()) {
            let there = self.there[word] & bits;
            all &= there == bits;
            any |= there != 0;
        }
        match (all, any) {
            (true, _) => {
                out.copy_from_slice(&self.bytes[place]);
                Found::Whole
            }
            (false, true) => Found::Part,
            (false, false) => Found::Nothing,
        }
    }

    /// The bytes that are there, as far as they touch each other, and where they begin.
    fn runs(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let bits = u64::BITS as usize;
        let is = move |grain: usize| self.there[grain / bits] >> (grain % bits) & 1 == 1;
        let end = self.bytes.len().div_ceil(GRAIN_BYTES);
        let mut next = 0;
        std::iter::from_fn(move || {
            let step = |grain: usize, word: u64| match grain.is_multiple_of(bits)
                && self.there[grain / bits] == word
            {
                true => bits,
                false => 1,
            };
            while next < end && !is(next) {
                next += step(next, 0);
            }
            let first = next;
            while next < end && is(next) {
                next += step(next, u64::MAX);
            }
            let place = first * GRAIN_BYTES..(next * GRAIN_BYTES).min(self.bytes.len());
            (first < next).then(|| (place.start, &self.bytes[place]))
        })
    }
}

impl Pages {
    /// Copies what there is of `out`, which stands at `offset`.
    fn find(&self, sizes: Sizes, offset: u64, out: &mut [u8]) -> Found {
        let (mut all, mut any) = (true, false);
        for (number, at, place) in sizes.parts(offset, out.len()) {
            let found = self.0.get(&number);
            let found = found.map(|stretch| stretch.find(at, &mut out[place]));
            let found = found.unwrap_or(Found::Nothing);
            all &= matches!(found, Found::Whole);
            any |= !matches!(found, Found::Nothing);
        }
        match (all, any) {
            (true, _) => Found::Whole,
            (false, true) => Found::Part,
            (false, false) => Found::Nothing,
        }
    }
}

impl Sizes {
    /// What lies at `offset`, stretch by stretch: its number, where in it, and which part of what lies there.
    fn parts(self, offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, Range<usize>)> {
        let stretch = self.stretch as u64;
        let mut done = 0;
        std::iter::from_fn(move || {
            let at = offset + done as u64;
            let within = usize::try_from(at % stretch).expect("within a stretch");
            let place = done..length.min(done + self.stretch - within);
            done = place.end;
            (!place.is_empty()).then_some((at / stretch, within, place))
        })
    }
}

impl Gathered {
    fn find(&self, offset: u64, out: &mut [u8]) -> Found {
        let mut found = self.pages.find(self.sizes, offset, out);
        for passed in self.passed.iter().rev() {
            if !matches!(found, Found::Nothing) {
                break;
            }
            match passed.upgrade() {
                Some(pages) => found = pages.find(self.sizes, offset, out),
                // Written before they were let go of, or that has failed, which is told.
                None => fence(Ordering::Acquire),
            }
        }
        found
    }

    fn add(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        for (number, at, place) in self.sizes.parts(offset, data.len()) {
            let full = self.pages.0.len() >= self.sizes.stretches;
            if full && !self.pages.0.contains_key(&number) {
                // What came first is written first.
                self.pass()?;
            }
            let (free, sizes) = (&mut self.free, self.sizes);
            let new = || free.pop().unwrap_or_else(|| Stretch::new(sizes));
            let stretch = self.pages.0.entry(number).or_insert_with(new);
            stretch.add(at, &data[place]);
        }
        Ok(())
    }

    /// Passes what there is on if it is half of what may be there: where somebody would flush all that lies in one
    /// place was written, and the next begins in another.
    fn pass_half(&mut self) -> io::Result<()> {
        match self.pages.0.len() >= self.sizes.stretches / 2 {
            true => self.pass(),
            false => Ok(()),
        }
    }

    fn pass(&mut self) -> io::Result<()> {
        if self.pages.0.is_empty() {
            return Ok(());
        }
        let pages = Arc::new(std::mem::take(&mut self.pages));
        self.passed.retain(|passed| passed.strong_count() > 0);
        // What was let go of here is seen as it was left, as in `find`.
        fence(Ordering::Acquire);
        self.passed.push_back(Arc::downgrade(&pages));
        self.give(Task::Write(pages))?;
        // Behind it, since that waits for one to be written: no fourth set is made then.
        let written = self.spare.try_iter();
        for mut stretch in written.flat_map(|pages| pages.0.into_values()) {
            stretch.there.fill(0);
            self.free.push(stretch);
        }
        Ok(())
    }

    fn give(&mut self, task: Task) -> io::Result<()> {
        let tasks = self.tasks.as_ref().ok_or_else(broken)?;
        tasks.send(task).map_err(|_| broken())
    }
}

struct Writer<B, F> {
    file: Arc<B>,
    /// The first error; nothing is written behind it.
    failed: Option<io::Error>,
    /// Whether there is one.
    has_failed: Arc<AtomicBool>,
    sizes: Sizes,
    /// Told what was written.
    begin: F,
    /// Where memory is left for who gathers.
    spare: SyncSender<Pages>,
}

impl<B: StorageBackend, F: Fn(Range<u64>)> Writer<B, F> {
    fn run(mut self, tasks: &Receiver<Task>) {
        for task in tasks {
            match task {
                Task::Write(pages) if self.failed.is_none() => {
                    self.failed = self.write(&pages).err();
                    self.has_failed
                        .store(self.failed.is_some(), Ordering::Release);
                    if let Some(pages) = Arc::into_inner(pages) {
                        // One waits already, or nobody gathers any more.
                        let _ = self.spare.try_send(pages);
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
            self.has_failed
                .store(self.failed.is_some(), Ordering::Release);
        }
    }

    /// Writes pages, those together that touch each other.
    fn write(&mut self, pages: &Pages) -> io::Result<()> {
        let size = self.sizes.stretch as u64;
        let mut written = 0..0;
        for (number, stretch) in &pages.0 {
            let at = number * size;
            for (from, bytes) in stretch.runs() {
                self.file.write(at + from as u64, bytes)?;
            }
            // Stretches that touch are told of at once: much that lies together is quicker brought there.
            if written.end != at {
                self.tell(std::mem::replace(&mut written, at..at));
            }
            written.end = at + size;
        }
        self.tell(written);
        Ok(())
    }

    fn tell(&self, written: Range<u64>) {
        if !written.is_empty() {
            (self.begin)(written);
        }
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
        WriteBehind::new(file, Arc::new(AtomicBool::new(flushes)), sizes, |_| {}).unwrap()
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
        let size = prop_oneof![
            Just(64_usize),
            Just(128),
            Just(256),
            Just(1024),
            Just(8192),
            Just(100)
        ];
        let at = || {
            let grain = prop_oneof![0..40_u64, 50..170_u64];
            prop_oneof![20 => grain.prop_map(|at| at * 64), 1 => 0..10_000_u64]
        };
        prop_oneof![
            8 => (at(), size.clone(), any::<u8>()).prop_map(|(at, n, b)| Step::Write(at, n, b)),
            1 => (at(), size).prop_map(|(at, n)| Step::Read(at, n)),
            // A store grows its file before it writes there.
            1 => (300..320_u64).prop_map(|at| Step::Length(at * 64)),
            1 => Just(Step::Flush),
        ]
    }

    proptest! {
        #[test]
        fn it_is_read_as_if_each_write_had_gone_out_at_once(
            steps in prop::collection::vec(step(), 1..80), flushes: bool, long: bool
        ) {
            let (disk, plain) = (MemoryDisk::default(), MemoryDisk::default());
            // A page may lie in several stretches, in more than are gathered; or in several words of one, the last
            // of which is not full.
            let (stretch, stretches) = if long { (64 * 130, 2) } else { (192, 4) };
            let sizes = Sizes { stretch, stretches };
            let (ours, theirs) = (sized(disk.open(), flushes, sizes), plain.open());
            ours.set_len(310 * 64).unwrap();
            theirs.set_len(310 * 64).unwrap();
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
    fn what_was_written_is_told_of_once_it_is_there() {
        let disk = MemoryDisk::default();
        let told = Arc::new(Mutex::new(Vec::new()));
        let begin = {
            let (told, disk) = (Arc::clone(&told), disk.clone());
            move |part: Range<u64>| told.lock().push((part, disk.bytes()))
        };
        let sizes = Sizes {
            stretch: 128,
            stretches: 8,
        };
        let flushes = Arc::new(AtomicBool::new(false));
        let behind = WriteBehind::new(disk.open(), flushes, sizes, begin).unwrap();
        behind.set_len(1 << 10).unwrap();
        for page in [5_u64, 0, 2, 3] {
            behind.write(page * 64, &[page as u8 + 1; 64]).unwrap();
        }
        assert!(told.lock().is_empty());
        behind.close().unwrap();
        let told = told.lock();
        // Stretches that touch together.
        let [(part, bytes)] = told.as_slice() else {
            panic!("{}", told.len());
        };
        assert_eq!(*part, 0..384);
        for page in [0_usize, 2, 3, 5] {
            assert_eq!(bytes[page * 64..][..64], [page as u8 + 1; 64]);
        }
        assert_eq!(bytes[64..128], [0; 64], "nobody wrote it");
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
