//! Objects of a backup as bytes: a header, then frames. docs/format.md "Backups".
//!
//! Knows nothing of what a row means, and does not hash while reading: who reads an object has
//! verified its SHA-256 or does so afterwards.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use zeroize::Zeroizing;

use super::error::BackupError;
use super::target::{self, Target};
use crate::crypto::Sha256Stream;
use crate::id::{BackupId, VaultId};
use crate::limits::ROW_BYTES_MAX;

const MAGIC: &[u8; 8] = b"vlt-bkup";
const VERSION: u8 = 1;
/// Magic, version, vault, backup, round, table, part.
const HEADER_BYTES: usize = 8 + 1 + 16 + 16 + 4 + 1 + 4;
/// Longest key of a row.
const KEY_BYTES_MAX: usize = 256;
/// Key length, value length.
const FRAME_BYTES: usize = 2 + 4;
/// What is read at once.
const BUFFER_BYTES: usize = 128 << 10;
/// What goes to the writing thread at once.
const BLOCK_BYTES: usize = 256 << 10;
/// Blocks on their way.
const BLOCKS: usize = 8;

/// The table number of the list of people who were copied again in a round.
pub(super) const TOUCHED: u8 = 0;

/// What an object holds: the rows of one table, of one round, cut into parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    /// 0 for the first copy; what was copied again later has the number of its round.
    pub(super) round: u32,
    /// The table's number; [`TOUCHED`].
    pub(super) table: u8,
    /// Counts the objects of the section.
    pub(super) part: u32,
}

pub(super) fn header(vault: VaultId, backup: BackupId, place: Place) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8] = VERSION;
    header[9..25].copy_from_slice(vault.as_bytes());
    header[25..41].copy_from_slice(backup.as_bytes());
    header[41..45].copy_from_slice(&place.round.to_be_bytes());
    header[45] = place.table;
    header[46..].copy_from_slice(&place.part.to_be_bytes());
    header
}

/// One row.
pub(super) struct Frame {
    pub(super) key: Vec<u8>,
    pub(super) value: Zeroizing<Vec<u8>>,
}

impl Frame {
    /// A copy of a row.
    pub(super) fn of((key, value): Lent<'_>) -> Self {
        Self {
            key: key.to_vec(),
            value: value.to_vec().into(),
        }
    }
}

/// Key and value of a row, where they lie.
pub(super) type Lent<'r> = (&'r [u8], &'r [u8]);

/// Appends a frame.
pub(super) fn push(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let key_length = u16::try_from(key.len()).expect("keys are short");
    let value_length = u32::try_from(value.len()).expect("rows are short");
    out.extend_from_slice(&key_length.to_be_bytes());
    out.extend_from_slice(&value_length.to_be_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

/// Where the row is that was read last.
enum Head {
    /// There is none.
    None,
    /// In the buffer, as nearly every one: where it begins, and lengths of key and value.
    Buffer(usize, usize, usize),
    /// It is longer than that.
    Own(Frame),
}

/// Reads the frames of one object.
pub(super) struct Frames {
    reader: Box<dyn Read + Send>,
    name: Arc<str>,
    at: u64,
    /// Overwritten at the end, unlike that of a `BufReader`: keysets lie in it.
    buffer: Zeroizing<Vec<u8>>,
    /// What of it was read and not yet given.
    left: Range<usize>,
    head: Head,
}

impl Frames {
    /// An object whose header must be this.
    pub(super) fn open(
        reader: Box<dyn Read + Send>,
        name: String,
        expected: &[u8],
    ) -> Result<Self, BackupError> {
        let mut frames = Self {
            reader,
            name: name.into(),
            at: 0,
            buffer: vec![0; BUFFER_BYTES].into(),
            left: 0..0,
            head: Head::None,
        };
        let there = frames.fill(HEADER_BYTES);
        if let Err(error) = &there
            && target::out_of_reach(error)
        {
            return Err(failed(&frames.name, error));
        }
        if there.is_err() || frames.take(HEADER_BYTES) != expected {
            let what = "its header is not that of this place in this backup, at byte 0";
            return Err(BackupError::damaged(&*frames.name, what));
        }
        Ok(frames)
    }

    /// Reads until the buffer has so many bytes that were not given, of at most all; fewer at the end.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        if self.left.len() >= wanted {
            return Ok(());
        }
        self.buffer.copy_within(self.left.clone(), 0);
        self.left = 0..self.left.len();
        while self.left.len() < wanted {
            match self.reader.read(&mut self.buffer[self.left.end..]) {
                Ok(0) => break,
                Ok(count) => self.left.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives the next bytes of the buffer: so many, or fewer where there are not more.
    fn take(&mut self, length: usize) -> &[u8] {
        let begin = self.left.start;
        self.left.start = self.left.end.min(begin + length);
        self.at += (self.left.start - begin) as u64;
        &self.buffer[begin..self.left.start]
    }

    /// Reads the next row; whether there was one.
    pub(super) fn next(&mut self) -> Result<bool, BackupError> {
        self.head = Head::None;
        let (at, name) = (self.at, Arc::clone(&self.name));
        let damaged = |what: &str| BackupError::damaged(&*name, format!("{what}, at byte {at}"));
        let failed = |error| failed(&name, &error);
        self.fill(FRAME_BYTES).map_err(failed)?;
        let head = self.take(FRAME_BYTES);
        if head.is_empty() {
            return Ok(false);
        }
        let Ok([a, b, lengths @ ..]) = <[u8; FRAME_BYTES]>::try_from(head) else {
            return Err(damaged("it ends within a frame"));
        };
        let key = usize::from(u16::from_be_bytes([a, b]));
        let value = u32::from_be_bytes(lengths) as usize;
        if key > KEY_BYTES_MAX || value > ROW_BYTES_MAX + 1024 {
            return Err(damaged("a frame is longer than any row"));
        }
        if key + value <= BUFFER_BYTES {
            self.fill(key + value).map_err(failed)?;
            let begin = self.left.start;
            if self.take(key + value).len() < key + value {
                return Err(damaged("it ends within a frame"));
            }
            self.head = Head::Buffer(begin, key, value);
            return Ok(true);
        }
        let mut frame = Frame {
            key: vec![0; key],
            value: vec![0; value].into(),
        };
        for part in [&mut frame.key, &mut *frame.value] {
            let there = self.take(part.len());
            let read = there.len();
            part[..read].copy_from_slice(there);
            let rest = &mut part[read..];
            self.at += rest.len() as u64;
            self.reader
                .read_exact(rest)
                .map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => damaged("it ends within a frame"),
                    _ => failed(error),
                })?;
        }
        self.head = Head::Own(frame);
        Ok(true)
    }

    /// Key and value of the row that was read last; nothing where there was none.
    pub(super) fn row(&self) -> Lent<'_> {
        match &self.head {
            Head::None => (&[], &[]),
            Head::Buffer(begin, key, value) => self.buffer[*begin..][..key + value].split_at(*key),
            Head::Own(frame) => (&frame.key, &frame.value),
        }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }
}

/// An object of which a read failed.
fn failed(name: &str, error: &io::Error) -> BackupError {
    match target::out_of_reach(error) {
        true => {
            let error = io::Error::new(error.kind(), error.to_string());
            BackupError::io(format!("read {name}"))(error)
        }
        // Texts of other crates may quote what they met.
        false => BackupError::damaged(name, format!("it cannot be read ({})", error.kind())),
    }
}

/// What was written of an object.
pub(super) struct Written {
    pub(super) bytes: u64,
    pub(super) sha256: [u8; 32],
}

/// Hashes and writes an object on a thread of its own, so that whoever reads the store goes on.
pub(super) struct Pipe {
    block: Vec<u8>,
    blocks: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<io::Result<Written>>>,
}

impl Pipe {
    pub(super) fn begin(target: &Arc<dyn Target>, name: &str) -> io::Result<Self> {
        let mut sink = target.create(name)?;
        let (blocks, waiting) = sync_channel::<Vec<u8>>(BLOCKS);
        let thread = std::thread::Builder::new()
            .name("vault-backup".into())
            .spawn(move || {
                let (mut bytes, mut hash) = (0, Sha256Stream::default());
                let mut ended = false;
                for block in waiting {
                    // An empty block is the end; without it the writer was dropped half way.
                    ended = block.is_empty();
                    hash.update(&block);
                    bytes += block.len() as u64;
                    sink.write_all(&block)?;
                }
                if !ended {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                sink.finish()?;
                let sha256 = hash.finish();
                Ok(Written { bytes, sha256 })
            })?;
        Ok(Self {
            block: Vec::with_capacity(BLOCK_BYTES + 4096),
            blocks: Some(blocks),
            thread: Some(thread),
        })
    }

    /// Where frames are appended; [`Pipe::pass_on`] follows.
    pub(super) fn block(&mut self) -> &mut Vec<u8> {
        &mut self.block
    }

    /// Passes a full block on.
    pub(super) fn pass_on(&mut self) -> io::Result<()> {
        match self.block.len() >= BLOCK_BYTES {
            true => self.pass(),
            false => Ok(()),
        }
    }

    fn pass(&mut self) -> io::Result<()> {
        let next = Vec::with_capacity(BLOCK_BYTES + 4096);
        let block = std::mem::replace(&mut self.block, next);
        let sent = self.blocks.as_ref().map(|blocks| blocks.send(block));
        match sent {
            Some(Ok(())) => Ok(()),
            // The thread has ended: it says why.
            _ => Err(self.join().err().unwrap_or_else(broken)),
        }
    }

    fn join(&mut self) -> io::Result<Written> {
        self.blocks.take();
        let thread = self.thread.take().ok_or_else(broken)?;
        thread.join().unwrap_or_else(|_| Err(broken()))
    }

    /// Passes the end of the object on; [`Pipe::finish`] waits for it.
    pub(super) fn end(mut self) -> io::Result<Self> {
        if !self.block.is_empty() {
            self.pass()?;
        }
        self.pass()?;
        self.block = Vec::new();
        Ok(self)
    }

    /// Waits until the object is on the medium under its name.
    pub(super) fn finish(mut self) -> io::Result<Written> {
        self.join()
    }
}

fn broken() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.block.extend_from_slice(bytes);
        self.pass_on()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let _ = self.join();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place = Place {
        round: 0,
        table: 4,
        part: 0,
    };

    /// Gives no more at once than it is told.
    struct Slowly(io::Cursor<Vec<u8>>, usize);

    impl Read for Slowly {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let most = bytes.len().min(self.1);
            self.0.read(&mut bytes[..most])
        }
    }

    proptest! {
        /// Whether they lie in the buffer, across its end, or are longer than it.
        #[test]
        fn rows_are_read_as_they_were_written_however_they_come(
            lengths in prop::collection::vec(
                (1..KEY_BYTES_MAX, prop_oneof![8 => 0..3_000_usize, 1 => 0..3 * BUFFER_BYTES]), 0..60
            ),
            at_once in prop_oneof![Just(usize::MAX), 1_000..BUFFER_BYTES + 9],
        ) {
            let header = header(VaultId::from_bytes([1; 16]), BackupId::from_bytes([2; 16]), PLACE);
            let mut bytes = header.to_vec();
            let row = |number: usize, (key, value): (usize, usize)| {
                (vec![number as u8; key], vec![!number as u8; value])
            };
            for (number, lengths) in lengths.iter().enumerate() {
                let (key, value) = row(number, *lengths);
                push(&mut bytes, &key, &value);
            }
            let whole = bytes.len();
            let open = |bytes: &[u8]| {
                let reader = Slowly(io::Cursor::new(bytes.to_vec()), at_once);
                Frames::open(Box::new(reader), "object".into(), &header).unwrap()
            };
            let mut frames = open(&bytes);
            for (number, lengths) in lengths.iter().enumerate() {
                prop_assert!(frames.next().unwrap());
                let (key, value) = row(number, *lengths);
                prop_assert_eq!(frames.row(), (key.as_slice(), value.as_slice()));
            }
            prop_assert!(!frames.next().unwrap());
            if !lengths.is_empty() {
                let mut frames = open(&bytes[..whole - 1]);
                let ended = lengths.iter().find_map(|_| frames.next().err());
                let damaged = matches!(ended, Some(BackupError::Damaged { .. }));
                prop_assert!(damaged);
            }
        }
    }
}
