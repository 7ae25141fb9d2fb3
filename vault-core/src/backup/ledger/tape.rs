//! A file that only grows, and may be cut back to what is whole.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use crate::store::drop_page_cache;

/// Bytes that are appended to.
pub(crate) trait Tape: Send {
    /// Opens it anew, empty where there is none, and flushes what was written before: what is read from
    /// here on is on the medium, not in memory that a failed flush left. How long it is.
    fn open(&mut self) -> io::Result<u64>;

    /// Fills `bytes` from `offset`.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Writes from `offset`, beyond the end if need be.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts off what lies behind `length`.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Returns once everything written is on the medium.
    fn sync(&mut self) -> io::Result<()>;
}

/// A real file.
pub(crate) struct FileTape {
    path: PathBuf,
    file: Option<File>,
}

impl FileTape {
    /// The file at `path`, which need not be there yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    fn file(&self) -> io::Result<&File> {
        let closed = || io::Error::other("it is not open");
        self.file.as_ref().ok_or_else(closed)
    }
}

impl Tape for FileTape {
    fn open(&mut self) -> io::Result<u64> {
        self.file = None;
        let there = self.path.try_exists()?;
        if there {
            drop_page_cache(&self.path).map_err(io::Error::other)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o600);
        let file = options.truncate(false).open(&self.path)?;
        if let (false, Some(directory)) = (there, self.path.parent()) {
            File::open(directory)?.sync_all()?;
        }
        let length = file.metadata()?.len();
        self.file = Some(file);
        Ok(length)
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file()?.read_exact_at(bytes, offset)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file()?.write_all_at(bytes, offset)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file()?.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file()?.sync_all()
    }
}
