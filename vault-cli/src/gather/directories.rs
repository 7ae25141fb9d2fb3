//! The two directories of a vault, from outside.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use vault_core::doctor::{FileFact, FileKind, Files, Room};
use vault_core::medium::keeps_old_bytes;
use vault_core::vault::VaultPaths;

/// Both directories and every name in them. One that is missing shows as its files missing.
///
/// # Errors
///
/// The vault's own directory cannot be read.
pub(crate) fn files(paths: &VaultPaths) -> io::Result<Files> {
    let dir = fs::canonicalize(&paths.dir)?;
    let anchor = fs::canonicalize(&paths.anchor).or_else(|_| std::path::absolute(&paths.anchor))?;
    let mut entries = Vec::new();
    for directory in [&dir, &anchor] {
        let Ok(meta) = fs::symlink_metadata(directory) else {
            continue;
        };
        entries.push(fact(directory, &meta));
        let mut names: Vec<FileFact> = fs::read_dir(directory)?
            .flatten()
            .filter_map(|entry| {
                let meta = entry.metadata().ok()?;
                Some(fact(&entry.path(), &meta))
            })
            .collect();
        names.sort_by(|a, b| a.path.cmp(&b.path));
        entries.extend(names);
    }
    let room = rustix::fs::statvfs(&dir).ok().map(|disk| Room {
        free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        size_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
    });
    let kept = keeps_old_bytes(&anchor).ok().flatten();
    Ok(Files {
        user: fs::metadata(&dir).ok().map(|meta| meta.uid()),
        keeps_old_bytes: kept.map(ToOwned::to_owned),
        dir,
        anchor,
        entries,
        room,
    })
}

fn fact(path: &Path, meta: &Metadata) -> FileFact {
    let kind = meta.file_type();
    FileFact {
        path: path.to_owned(),
        kind: if kind.is_dir() {
            FileKind::Directory
        } else if kind.is_file() {
            FileKind::File
        } else if kind.is_socket() {
            FileKind::Socket
        } else {
            FileKind::Other
        },
        mode: meta.mode(),
        owner: meta.uid(),
        bytes: meta.len(),
    }
}
