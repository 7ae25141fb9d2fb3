//! Where a restore works and where its vault goes: the paths, who holds them, and the way from one to the other.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use super::super::create::{RESTORING, SLOTS, VaultPaths};
use crate::audit::hex;
use crate::backup::BackupError;
use crate::crypto::sha256;

/// A file that is there when everything is, and only the names are missing.
pub(super) const COMPLETE: &str = "complete";

/// The paths beside the new vault's, where it is built.
pub(super) fn unfinished(paths: &VaultPaths) -> VaultPaths {
    let beside = |path: &Path, behind: &str| {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(behind);
        path.with_file_name(name)
    };
    VaultPaths {
        dir: beside(&paths.dir, ".unfinished"),
        anchor: beside(&paths.anchor, ".unfinished"),
    }
}

pub(super) fn could_not(what: &str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let what = format!("{what} {}", path.display());
    move |source| BackupError::Io { what, source }
}

fn remove(path: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(could_not("remove", path)),
    }
}

fn parent_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    parent.unwrap_or(Path::new("."))
}

fn sync_parent(path: &Path) -> Result<(), BackupError> {
    let parent = parent_of(path);
    let synced = File::open(parent).and_then(|dir| dir.sync_all());
    synced.map_err(could_not("flush", parent))
}

/// Writes a short file, durable as its directory's entry is.
pub(super) fn write_mark(path: &Path, text: &[u8]) -> Result<(), BackupError> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(text)?;
        file.sync_all()
    });
    written.map_err(could_not("write", path))?;
    sync_parent(path)
}

/// The directories that a vault's two lie in, held against other restores as long as this lives: two of them
/// would remove what the other has built.
pub(super) struct Held {
    _locks: Vec<File>,
}

/// Holds them, and makes those that are missing.
pub(super) fn hold(paths: &VaultPaths) -> Result<Held, BackupError> {
    let (mut locks, mut held) = (Vec::new(), Vec::new());
    for path in [&paths.dir, &paths.anchor] {
        let parent = parent_of(path);
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent);
        made.map_err(could_not("make", parent))?;
        let opened = File::open(parent).and_then(|dir| Ok((dir.metadata()?, dir)));
        let (seen, dir) = opened.map_err(could_not("open", parent))?;
        // Usually both lie in the same, which cannot be locked twice.
        let this = (seen.dev(), seen.ino());
        if held.contains(&this) {
            continue;
        }
        match dir.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(BackupError::Held(parent.to_owned()));
            }
            Err(fs::TryLockError::Error(error)) => return Err(could_not("lock", parent)(error)),
        }
        held.push(this);
        locks.push(dir);
    }
    Ok(Held { _locks: locks })
}

/// Overwrites the anchor and the slots of what was not finished, flushes, and removes all of it: freed
/// blocks of the two files would open what is left of the third.
pub(super) fn discard(paths: &VaultPaths) -> Result<(), BackupError> {
    if let Ok(entries) = fs::read_dir(&paths.anchor) {
        for entry in entries {
            let path = entry.map_err(could_not("look at", &paths.anchor))?.path();
            scrub(&path).map_err(could_not("overwrite", &path))?;
        }
    }
    remove(&paths.dir)?;
    remove(&paths.anchor)
}

fn scrub(path: &Path) -> io::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    let mut left = file.metadata()?.len();
    let zeros = [0; 4096];
    while left > 0 {
        let now = left.min(zeros.len() as u64);
        file.write_all(&zeros[..usize::try_from(now).expect("at most a page")])?;
        left -= now;
    }
    file.sync_all()
}

/// What the file `complete` says: of which backup, and which key slots belong to what was built. An anchor
/// that has its place already is known by them: another vault's may be there, or the lost one's, or an
/// earlier attempt's.
pub(in crate::vault) fn mark_of(backup: &str, anchor: &Path) -> io::Result<String> {
    let slots = fs::read(anchor.join(SLOTS))?;
    Ok(format!("{backup}\n{}\n", hex(&sha256(&[&slots]))))
}

/// Puts both directories in their places, the anchor's first: without the other nothing is a vault.
pub(super) fn move_into_place(from: &VaultPaths, to: &VaultPaths) -> Result<(), BackupError> {
    if from.anchor.exists() {
        fs::rename(&from.anchor, &to.anchor).map_err(could_not("rename", &from.anchor))?;
        sync_parent(&to.anchor)?;
    }
    let mark = from.dir.join(RESTORING);
    match fs::remove_file(&mark) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        result => result.map_err(could_not("remove", &mark))?,
    }
    sync_parent(&mark)?;
    fs::rename(&from.dir, &to.dir).map_err(could_not("rename", &from.dir))?;
    sync_parent(&to.dir)?;
    let _ = fs::remove_file(to.dir.join(COMPLETE));
    Ok(())
}
