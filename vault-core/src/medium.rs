//! A small file that is overwritten in place: what anchor and key slots lie on.
//!
//! Knows nothing of what the bytes mean. Overwriting is only as final as the medium below; which
//! file systems keep old bytes is asked here, and refused above.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::store::drop_page_cache;

/// A file of fixed length that is read and overwritten in place.
pub trait Medium: Send {
    /// Fills `bytes` from `offset`.
    ///
    /// # Errors
    ///
    /// Those of the operating system; an early end among them.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Overwrites from `offset`.
    ///
    /// # Errors
    ///
    /// Those of the operating system; part of the bytes may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns once everything written is on the medium.
    ///
    /// # Errors
    ///
    /// Those of the operating system; what is on the medium is then unknown.
    fn sync(&self) -> io::Result<()>;

    /// Makes the next read come from the medium, not from what a failed flush left in memory.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    fn forget_cache(&self) -> io::Result<()>;
}

/// A real file.
pub struct FileMedium {
    file: File,
    path: PathBuf,
}

impl FileMedium {
    /// Creates the file with these bytes, readable by its owner alone, and flushes it and its
    /// directory.
    ///
    /// # Errors
    ///
    /// Those of the operating system; that it exists among them.
    pub fn create(path: &Path, bytes: &[u8]) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        // Backup tools that honour the flag leave the file out. Not every file system has it.
        if let Ok(flags) = rustix::fs::ioctl_getflags(&file) {
            let _ = rustix::fs::ioctl_setflags(&file, flags | rustix::fs::IFlags::NODUMP);
        }
        file.write_all_at(bytes, 0)?;
        file.sync_all()?;
        if let Some(directory) = path.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// Opens the file as it is: neither truncated nor created.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }
}

impl Medium for FileMedium {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn forget_cache(&self) -> io::Result<()> {
        drop_page_cache(&self.path).map_err(io::Error::other)
    }
}

/// The name of the file system under `path`, if it is one that keeps overwritten bytes or whose
/// disk is elsewhere: copy-on-write, log-structured, network, overlay.
///
/// Source: `statfs(2)`, `linux/magic.h`. On systems other than Linux nothing is known: `None`.
///
/// # Errors
///
/// Those of the operating system.
pub fn keeps_old_bytes(path: &Path) -> io::Result<Option<&'static str>> {
    #[cfg(target_os = "linux")]
    {
        let magic = rustix::fs::statfs(path)?.f_type as u64;
        Ok(match magic & 0xffff_ffff {
            0x9123_683e => Some("btrfs"),
            0x2fc1_2fc1 => Some("zfs"),
            0xca45_1a4e => Some("bcachefs"),
            0xf2f5_2010 => Some("f2fs"),
            0x3434 => Some("nilfs"),
            0x794c_7630 => Some("overlayfs"),
            0x6969 => Some("nfs"),
            0xff53_4d42 | 0xfe53_4d42 | 0x517b => Some("smb"),
            0x6573_5546 => Some("fuse"),
            0x0102_1997 => Some("9p"),
            0x00c3_6400 => Some("ceph"),
            _ => None,
        })
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        Ok(None)
    }
}

/// Bytes in memory that outlive the handles on them, and fail when told to. For tests only.
#[derive(Clone)]
pub struct MemoryMedium(Arc<Mutex<MemoryState>>);

struct MemoryState {
    bytes: Vec<u8>,
    operations: u64,
    fail_from: Option<u64>,
}

impl MemoryMedium {
    /// A medium with these bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(MemoryState {
            bytes,
            operations: 0,
            fail_from: None,
        })))
    }

    /// What the medium holds.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().bytes.clone()
    }

    /// Makes the write or flush number `operation` (counted from 1, from now on) fail and
    /// everything after it; a failing write leaves half of its bytes. `None` repairs the medium.
    pub fn fail_from(&self, operation: Option<u64>) {
        let mut state = self.0.lock();
        (state.operations, state.fail_from) = (0, operation);
    }

    /// Writes and flushes since [`MemoryMedium::fail_from`].
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.0.lock().operations
    }
}

impl MemoryState {
    fn count(&mut self) -> io::Result<()> {
        self.operations += 1;
        match self.fail_from {
            Some(from) if self.operations >= from => Err(io::Error::other("told to fail")),
            _ => Ok(()),
        }
    }
}

impl Medium for MemoryMedium {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let state = self.0.lock();
        let found = state.bytes.get(start..start + bytes.len());
        bytes.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let mut state = self.0.lock();
        let verdict = state.count();
        let first_failure = state.fail_from == Some(state.operations);
        let reached = match (&verdict, first_failure) {
            (Ok(()), _) => bytes.len(),
            (Err(_), true) => bytes.len() / 2,
            (Err(_), false) => 0,
        };
        let place = state.bytes.get_mut(start..start + reached);
        place
            .ok_or(io::ErrorKind::UnexpectedEof)?
            .copy_from_slice(&bytes[..reached]);
        verdict
    }

    fn sync(&self) -> io::Result<()> {
        self.0.lock().count()
    }

    fn forget_cache(&self) -> io::Result<()> {
        Ok(())
    }
}
