//! Where backups lie: named objects, each written once and whole.
//!
//! Knows nothing of what is in them. An object that was not finished does not exist.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::id::VaultId;

/// What an object's name ends with until it is finished.
const UNFINISHED: &str = ".unfinished";
/// What the name of an erasure ledger beside the backups begins with.
pub const LEDGER: &str = "ledger-";
/// The name of a vault's erasure ledger beside the backups: several vaults may have one target.
#[must_use]
pub fn ledger_of(vault: VaultId) -> String {
    format!("{LEDGER}{vault}")
}

/// Whether a text is the name of an object or a backup. Names come out of manifests as well, which others may have
/// written.
#[must_use]
pub fn fits(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    name.split('/').all(part) && name.matches('/').count() <= 1
}

/// Whether a read failed because the target is out of reach, and not because of what lies there.
pub(super) fn out_of_reach(error: &io::Error) -> bool {
    use io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NotConnected
            | ErrorKind::PermissionDenied
            | ErrorKind::TimedOut
    )
}

/// An object at every target that was written to. Where it is missing the target is another place, such as
/// a disk that is not mounted, and that something is not there proves nothing.
pub const MARK: &str = "vault-backups";
const MARK_TEXT: &[u8] = b"Backups of a vault lie here. Leave this file: without it nothing that is missing here counts\nas deleted, and receipts of erasures stay open.\n";
const BUFFER_BYTES: usize = 1 << 20;

/// An object that is being written.
pub trait Sink: Write + Send {
    /// Makes it durable and gives it its name.
    ///
    /// # Errors
    ///
    /// Those of the medium; the object then does not exist.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// A place for backups. Names have one `/` at most: a backup's id before it, an object's name behind.
pub trait Target: Send + Sync {
    /// What messages call it.
    fn place(&self) -> String;

    /// Begins an object; one of this name is replaced when the new one is finished.
    ///
    /// # Errors
    ///
    /// Those of the medium.
    fn create(&self, name: &str) -> io::Result<Box<dyn Sink>>;

    /// Reads an object from its beginning.
    ///
    /// # Errors
    ///
    /// `NotFound`, and those of the medium.
    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>>;

    /// Names and sizes of the finished and unfinished objects of a backup, in the order of their names.
    ///
    /// # Errors
    ///
    /// Those of the medium; none for a backup that is not there.
    fn objects(&self, backup: &str) -> io::Result<Vec<(String, u64)>>;

    /// The backups of which any object is there.
    ///
    /// # Errors
    ///
    /// Those of the medium.
    fn backups(&self) -> io::Result<Vec<String>>;

    /// Deletes an object; succeeds if there is none.
    ///
    /// # Errors
    ///
    /// Those of the medium.
    fn delete(&self, name: &str) -> io::Result<()>;

    /// Whether an object is there: asked of the medium, not of a list.
    ///
    /// # Errors
    ///
    /// Those of the medium.
    fn exists(&self, name: &str) -> io::Result<bool>;

    /// Whether what was deleted is gone, with every older version of it: a place that keeps versions gives them
    /// back to whoever asks. Only where this is so does a deletion count. A place that may takes away here what it
    /// hides.
    ///
    /// # Errors
    ///
    /// Those of the medium; then nobody knows.
    fn deletes_for_good(&self) -> io::Result<bool> {
        Ok(true)
    }

    /// Takes what is left of a backup without objects away.
    ///
    /// # Errors
    ///
    /// Those of the medium.
    fn forget(&self, backup: &str) -> io::Result<()>;
}

/// Writes a short object whole.
///
/// # Errors
///
/// Those of the target.
pub fn put(target: &dyn Target, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut sink = target.create(name)?;
    sink.write_all(bytes)?;
    sink.finish()
}

/// Whether this is a place that was written to before, and so what is missing in it is gone.
pub fn known(target: &dyn Target) -> bool {
    target.exists(MARK).unwrap_or(false)
}

/// Makes it such a place.
///
/// # Errors
///
/// Those of the target.
pub fn mark(target: &dyn Target) -> io::Result<()> {
    if target.exists(MARK)? {
        return Ok(());
    }
    match put(target, MARK, MARK_TEXT) {
        // A backup and a copy of the ledger may come to a new place at once: whose mark it is makes no difference.
        Err(_) if target.exists(MARK)? => Ok(()),
        made => made,
    }
}

/// Whether two names of places, as [`Target::place`] gives them, are of one: `/b/` is `/b`, as it was written in
/// registries before.
#[must_use]
pub fn same(place: &str, other: &str) -> bool {
    Path::new(place) == Path::new(other)
}

/// Reads an object of at most `limit` bytes whole.
///
/// # Errors
///
/// Those of the target; `InvalidData` for a longer one.
pub fn get(target: &dyn Target, name: &str, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    target.open(name)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(bytes)
}

/// A directory, on whatever file system.
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// The directory, which need not be there yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        // Without a slash at its end: the registry names it, and one place has one name.
        let root = root.into().components().collect();
        Self { root }
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        match fits(name) {
            true => Ok(self.root.join(name)),
            false => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

/// Makes the directory `path` and its parents, each entry flushed.
fn make_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| *parent != Path::new("")) {
        make_dir(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_parent(path)
}

pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

struct FileSink {
    file: BufWriter<File>,
    unfinished: PathBuf,
    path: PathBuf,
}

impl Write for FileSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sink for FileSink {
    fn finish(self: Box<Self>) -> io::Result<()> {
        let file = self.file.into_inner().map_err(|error| error.into_error())?;
        file.sync_all()?;
        fs::rename(&self.unfinished, &self.path)?;
        sync_parent(&self.path)
    }
}

impl Target for Directory {
    fn place(&self) -> String {
        self.root.display().to_string()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Sink>> {
        let path = self.path(name)?;
        make_dir(path.parent().unwrap_or(&self.root))?;
        let mut unfinished = path.clone().into_os_string();
        unfinished.push(UNFINISHED);
        let unfinished = PathBuf::from(unfinished);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&unfinished)?;
        Ok(Box::new(FileSink {
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            unfinished,
            path,
        }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(self.path(name)?)?))
    }

    fn objects(&self, backup: &str) -> io::Result<Vec<(String, u64)>> {
        let entries = match fs::read_dir(self.path(backup)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            if let (Ok(name), true) = (entry.file_name().into_string(), entry.path().is_file()) {
                found.push((name, entry.metadata()?.len()));
            }
        }
        found.sort();
        Ok(found)
    }

    fn backups(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().into_string().unwrap_or_default();
            if name.starts_with("bak_") && entry.path().is_dir() {
                found.push(name);
            }
        }
        found.sort();
        Ok(found)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        let path = self.path(name)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => sync_parent(&path),
        }
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.path(name)?.try_exists()
    }

    fn forget(&self, backup: &str) -> io::Result<()> {
        let path = self.path(backup)?;
        match fs::remove_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => sync_parent(&path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place that somebody else marks, or does not, just before this one does.
    struct Contended {
        below: Directory,
        marked: bool,
    }

    impl Target for Contended {
        fn place(&self) -> String {
            self.below.place()
        }

        fn create(&self, name: &str) -> io::Result<Box<dyn Sink>> {
            if self.marked {
                put(&self.below, name, MARK_TEXT)?;
            }
            // As a file is that another has given its name meanwhile.
            Err(io::ErrorKind::NotFound.into())
        }

        fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
            self.below.open(name)
        }

        fn objects(&self, backup: &str) -> io::Result<Vec<(String, u64)>> {
            self.below.objects(backup)
        }

        fn backups(&self) -> io::Result<Vec<String>> {
            self.below.backups()
        }

        fn delete(&self, name: &str) -> io::Result<()> {
            self.below.delete(name)
        }

        fn exists(&self, name: &str) -> io::Result<bool> {
            self.below.exists(name)
        }

        fn forget(&self, backup: &str) -> io::Result<()> {
            self.below.forget(backup)
        }
    }

    /// A schedule's first backup failed, and was made a minute later, where the ledger came to the place at the same
    /// moment.
    #[test]
    fn a_place_that_another_marks_at_the_same_moment_is_marked() {
        for marked in [true, false] {
            let home = tempfile::tempdir().expect("a directory");
            let below = Directory::new(home.path());
            let target = Contended { below, marked };
            assert_eq!(mark(&target).is_ok(), marked);
            assert_eq!(known(&target), marked);
        }
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        for name in ["bak_1", "bak_1/data-00000", MARK, "ledger-vlt_1"] {
            assert!(fits(name), "{name}");
        }
        for name in [
            "", "/", "../x", "a/..", "a/b/c", ".x", "a/.x", "a b", "a//b", "ä",
        ] {
            assert!(!fits(name), "{name}");
        }
    }

    #[test]
    fn what_is_out_of_reach_is_not_damaged() {
        for kind in [io::ErrorKind::TimedOut, io::ErrorKind::NotConnected] {
            assert!(out_of_reach(&kind.into()), "{kind}");
        }
        for kind in [
            io::ErrorKind::InvalidData,
            io::ErrorKind::NotFound,
            io::ErrorKind::UnexpectedEof,
        ] {
            assert!(!out_of_reach(&kind.into()), "{kind}");
        }
    }
}
