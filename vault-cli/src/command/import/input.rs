//! The file that is imported: opened once, whatever is read of it.
//!
//! What was hashed and checked is what is read: a name may stand for another file a moment later.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use vault_core::audit::hex;
use vault_core::crypto::Sha256Stream;

use super::unreadable;
use crate::failure::{Exit, Failure};

/// The file, from its start. A clone reads the same one at a place of its own.
#[derive(Clone)]
pub(super) struct Input {
    file: Arc<File>,
    at: u64,
}

impl Input {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let file = Arc::new(file);
        Ok(Self { file, at: 0 })
    }

    /// A hash of it and of its mapping, and its length.
    pub(super) fn hash(
        &self,
        path: &Path,
        mapping: Option<&Path>,
    ) -> Result<(String, u64), Failure> {
        let mut digest = Sha256Stream::default();
        let mut size = add(&mut self.clone(), &mut digest);
        let size = size.as_mut().map_err(|error| unreadable(path, error))?;
        if let Some(path) = mapping {
            let file = File::open(path);
            let added = file.and_then(|mut file| add(&mut file, &mut digest));
            added.map_err(|error| unreadable(path, &error))?;
        }
        Ok((hex(&digest.finish()), *size))
    }

    /// Whether it is a package as a ZIP; what cannot be imported is told at once.
    pub(super) fn is_zip(&self, path: &Path, mapped: bool) -> Result<bool, Failure> {
        let mut head = [0; 32];
        let read = self.clone().read(&mut head);
        let head = &head[..read.map_err(|error| unreadable(path, &error))?];
        if head.starts_with(b"age-encryption.org") {
            return Err(Failure::new(
                Exit::Failed,
                "encrypted",
                format!("{} is encrypted", path.display()),
                "decrypt it first: age --decrypt -i KEY -o FILE",
            ));
        }
        let (zip, json) = (
            head.starts_with(b"PK"),
            head.trim_ascii_start().starts_with(b"{"),
        );
        if !mapped && !zip && !json {
            return Err(Failure::usage(
                format!("{} is no package of ours", path.display()),
                "say which column goes where with --mapping FILE",
            ));
        }
        Ok(zip && !mapped)
    }
}

/// Hashes the rest of `file`; how many bytes that is.
fn add(file: &mut dyn Read, digest: &mut Sha256Stream) -> io::Result<u64> {
    let (mut all, mut part) = (0, vec![0; 64 << 10]);
    loop {
        let read = file.read(&mut part)?;
        if read == 0 {
            return Ok(all);
        }
        all += read as u64;
        digest.update(&part[..read]);
    }
}

impl Read for Input {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Input {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
