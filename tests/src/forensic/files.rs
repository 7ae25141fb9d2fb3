//! The files of a vault as they were at one moment.

use std::fs;
use std::io;
use std::path::Path;

/// A vault's files at one moment, byte by byte.
#[derive(Clone, Default)]
pub struct Image {
    /// `vault.redb`.
    pub database: Vec<u8>,
    /// The read journal.
    pub journal: Vec<u8>,
    /// The erasure ledger; empty where there is none.
    pub ledger: Vec<u8>,
    /// The anchor.
    pub anchor: Vec<u8>,
    /// The key slots.
    pub slots: Vec<u8>,
    /// Every other regular file of both directories, by its name.
    pub others: Vec<(String, Vec<u8>)>,
}

impl Image {
    /// Reads the files of a vault's directory and of its anchor's.
    ///
    /// # Errors
    ///
    /// One cannot be read, or one of the four that every vault has is not there.
    pub fn read(dir: &Path, anchor: &Path) -> io::Result<Self> {
        let mut image = Self {
            database: fs::read(dir.join("vault.redb"))?,
            journal: fs::read(dir.join("journal"))?,
            ledger: fs::read(dir.join("ledger")).unwrap_or_default(),
            anchor: fs::read(anchor.join("anchor"))?,
            slots: fs::read(anchor.join("slots"))?,
            others: Vec::new(),
        };
        for entry in fs::read_dir(dir)?.chain(fs::read_dir(anchor)?) {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let known = ["vault.redb", "journal", "ledger", "anchor", "slots"].contains(&&*name);
            if !known && entry.file_type()?.is_file() {
                image.others.push((name, fs::read(entry.path())?));
            }
        }
        Ok(image)
    }
}
