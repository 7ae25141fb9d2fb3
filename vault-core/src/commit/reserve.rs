//! Room kept back for erasures: on a full disk nothing can be stored, but people can be forgotten.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use crate::limits::RESERVE_BYTES;

/// Disk space that is given free when an erasure needs it.
pub trait Reserve: Send {
    /// Whether so little is free that a commit may have failed for it.
    fn short(&self) -> bool;
    /// Gives the space free.
    fn release(&mut self);
    /// Takes the space back where there is room for it and for as much again; whether it is held.
    fn restore(&mut self) -> bool;
}

/// A file of [`RESERVE_BYTES`] beside the database.
pub struct FileReserve {
    path: PathBuf,
}

impl FileReserve {
    /// The file at `path`, which need not be there yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Free bytes of the file system; `None` where it does not say.
    fn free(&self) -> Option<u64> {
        let directory = self.path.parent()?;
        let status = rustix::fs::statvfs(directory).ok()?;
        Some(status.f_bavail.saturating_mul(status.f_frsize))
    }

    fn held(&self) -> bool {
        // Blocks, not length: a sparse file holds nothing back.
        fs::metadata(&self.path).is_ok_and(|file| file.blocks() * 512 >= RESERVE_BYTES)
    }

    fn write(&self) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.path)?;
        // Written rather than allocated, so that every file system has to find the blocks; and not
        // with zeros, which some leave out.
        let page = [0xa5; 1 << 16];
        for _ in 0..RESERVE_BYTES / page.len() as u64 {
            file.write_all(&page)?;
        }
        file.sync_all()
    }
}

impl Reserve for FileReserve {
    fn short(&self) -> bool {
        self.free().is_some_and(|free| free < RESERVE_BYTES)
    }

    fn release(&mut self) {
        // Whoever finds it gone already has what this is for.
        let _ = fs::remove_file(&self.path);
    }

    fn restore(&mut self) -> bool {
        if self.held() {
            return true;
        }
        if self.free().is_some_and(|free| free < 2 * RESERVE_BYTES) {
            return false;
        }
        let written = self.write().is_ok();
        if !written {
            self.release();
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_takes_its_space_and_gives_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reserve");
        let mut reserve = FileReserve::new(path.clone());
        assert!(reserve.restore() && reserve.held());
        assert_eq!(fs::metadata(&path).unwrap().len(), RESERVE_BYTES);
        reserve.release();
        assert!(!path.exists() && !reserve.held());
        // Sparse, as a copy may be: not held.
        fs::File::create(&path)
            .unwrap()
            .set_len(RESERVE_BYTES)
            .unwrap();
        assert!(!reserve.held());
        assert!(reserve.restore() && reserve.held());
    }
}
