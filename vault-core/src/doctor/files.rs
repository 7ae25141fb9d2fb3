//! The two directories: what is there, whose it is, who may read it, what lies below.

use std::path::{Path, PathBuf};

use super::{Findings, Severity};
use crate::limits::{RESERVE_BYTES, UPLOAD_FREE_BYTES_MIN};

/// What a name in a directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A file.
    File,
    /// The admin socket.
    Socket,
    /// A symbolic link, a device, anything else.
    Other,
}

/// One name, and what the system says of it (`lstat`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFact {
    /// Its path.
    pub path: PathBuf,
    /// What it is.
    pub kind: FileKind,
    /// Its permissions.
    pub mode: u32,
    /// Its owner.
    pub owner: u32,
    /// Its length.
    pub bytes: u64,
}

/// Room on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What this user may still write, in bytes.
    pub free_bytes: u64,
    /// Of all that the disk takes.
    pub size_bytes: u64,
}

/// The two directories, seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The vault's directory, absolute.
    pub dir: PathBuf,
    /// The anchor's directory, absolute.
    pub anchor: PathBuf,
    /// Both directories and every name in them.
    pub entries: Vec<FileFact>,
    /// Room where the database lies.
    pub room: Option<Room>,
    /// The file system under the anchor, where it is one that keeps overwritten bytes.
    pub keeps_old_bytes: Option<String>,
    /// The user who runs the vault, where that is known: who holds it, or whoever asks.
    pub user: Option<u32>,
}

/// Lengths that do not change.
const ANCHOR_BYTES: u64 = crate::keys::anchor::ANCHOR_BYTES as u64;
const SLOTS_BYTES: u64 = crate::keys::slots::SLOTS_FILE_BYTES as u64;
/// Read by others without harm; written by others, they would mislead.
const HARMLESS: [&str; 3] = ["CACHEDIR.TAG", "README", "vault.toml"];

pub(super) fn check(files: &Files, findings: &mut Findings) {
    present(files, findings);
    permissions(files, findings);
    leftovers(files, findings);
    room(files, findings);
    anchor_place(files, findings);
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("")
}

impl Files {
    fn in_dir(&self, name: &str) -> Option<&FileFact> {
        let path = self.dir.join(name);
        self.entries.iter().find(|entry| entry.path == path)
    }

    fn in_anchor(&self, name: &str) -> Option<&FileFact> {
        let path = self.anchor.join(name);
        self.entries.iter().find(|entry| entry.path == path)
    }
}

fn present(files: &Files, findings: &mut Findings) {
    let restore =
        "change nothing in either directory; copy both as they are, then restore from a backup";
    if files.in_dir("vault.redb").is_none() && files.in_dir("vault.redb.unfinished").is_none() {
        let place = files.dir.join("vault.redb").display().to_string();
        let what = "the database is missing";
        findings.add(Severity::Damage, "database_missing", place, what, restore);
    }
    for (file, bytes, code) in [
        ("anchor", ANCHOR_BYTES, "anchor_damaged"),
        ("slots", SLOTS_BYTES, "slots_damaged"),
    ] {
        let place = files.anchor.join(file).display().to_string();
        match files.in_anchor(file) {
            None => findings.add(
                Severity::Damage,
                code,
                place,
                "the file is missing",
                "check that --anchor names the directory that belongs to this vault; without it only a backup with its key part brings the vault back",
            ),
            Some(fact) if fact.bytes != bytes => findings.add(
                Severity::Damage,
                code,
                place,
                format!("the file has {} bytes instead of {bytes}", fact.bytes),
                restore,
            ),
            Some(_) => {}
        }
    }
    if files.in_anchor("CACHEDIR.TAG").is_none() {
        findings.add(
            Severity::Warning,
            "anchor_untagged",
            files.anchor.display().to_string(),
            "CACHEDIR.TAG is missing: file backups that heed it will now copy the anchor, and a copy undoes erasures",
            format!(
                "printf 'Signature: 8a477f597d28d172789f06886806bc55\\n' > {}",
                files.anchor.join("CACHEDIR.TAG").display()
            ),
        );
    }
}

fn permissions(files: &Files, findings: &mut Findings) {
    for fact in &files.entries {
        let place = fact.path.display().to_string();
        let others = fact.mode & 0o077;
        let (most, wanted) = match fact.kind {
            FileKind::Directory => (0, "700"),
            FileKind::Other => {
                findings.add(
                    Severity::Warning,
                    "not_a_file",
                    place,
                    "this is a link or a device; the vault makes neither",
                    "put a plain file in its place, or move it away if the vault did not make it",
                );
                continue;
            }
            FileKind::File if HARMLESS.contains(&name(&fact.path)) => (0o044, "600"),
            FileKind::File | FileKind::Socket => (0, "600"),
        };
        if others & !most != 0 {
            let whose = match others & 0o022 {
                0 => "read",
                _ => "write",
            };
            findings.add(
                Severity::Error,
                "permissions",
                place.clone(),
                format!("mode {:o} lets other users {whose} it", fact.mode & 0o777),
                format!("chmod {wanted} {place}"),
            );
        }
        if let Some(user) = files.user
            && fact.owner != user
        {
            findings.add(
                Severity::Error,
                "owner",
                place.clone(),
                format!(
                    "it belongs to user {}, the vault is run by user {user}",
                    fact.owner
                ),
                format!("chown {user} {place}"),
            );
        }
    }
}

fn leftovers(files: &Files, findings: &mut Findings) {
    for fact in &files.entries {
        let file = name(&fact.path);
        if !file.ends_with(".unfinished") {
            continue;
        }
        let place = fact.path.display().to_string();
        if file == "vault.redb.unfinished" && files.in_dir("vault.redb").is_none() {
            findings.add(
                Severity::Error,
                "half_created",
                place,
                "the creation of this vault was cut off; nothing was stored yet",
                format!(
                    "rm -r {} {}, then run `vault-cli init` again",
                    files.dir.display(),
                    files.anchor.display()
                ),
            );
        } else {
            findings.add(
                Severity::Warning,
                "leftover",
                place.clone(),
                format!(
                    "work was cut off and left {} bytes; nothing takes it for whole",
                    fact.bytes
                ),
                format!("repeat the command that was cut off, or rm {place}"),
            );
        }
    }
}

fn room(files: &Files, findings: &mut Findings) {
    let place = files.dir.display().to_string();
    let database = files.in_dir("vault.redb").map_or(0, |fact| fact.bytes);
    if database > 0
        && files
            .in_dir("reserve")
            .is_none_or(|fact| fact.bytes < RESERVE_BYTES)
    {
        findings.add(
            Severity::Error,
            "reserve_missing",
            files.dir.join("reserve").display().to_string(),
            "the room that is kept for erasures on a full disk is gone, or was never written",
            "free some space; the vault writes it again within a second of its next start",
        );
    }
    let Some(room) = files.room else { return };
    let least = RESERVE_BYTES + UPLOAD_FREE_BYTES_MIN;
    if room.free_bytes < least {
        findings.add(
            Severity::Error,
            "disk_room",
            place,
            format!(
                "{} bytes are free, less than the {least} that uploads leave: soon everything but erasures is refused",
                room.free_bytes
            ),
            "free some space, or give the disk more; `df` shows what is there",
        );
    } else if room.free_bytes < database {
        findings.add(
            Severity::Warning,
            "disk_room",
            place,
            format!(
                "{} bytes are free and the database has {database}: a restore beside it, or a rotation of everything, may not fit",
                room.free_bytes
            ),
            "give the disk as much free space as the database has",
        );
    }
}

fn anchor_place(files: &Files, findings: &mut Findings) {
    let place = files.anchor.display().to_string();
    if let Some(kind) = &files.keeps_old_bytes {
        findings.add(
            Severity::Error,
            "file_system",
            place.clone(),
            format!("{kind} may keep overwritten bytes, or copies of them in snapshots: the key of an erased person may be recovered from it"),
            "stop the vault, move the anchor's directory to ext4 or xfs, name it with `vault.anchor`, and then overwrite the old disk",
        );
    }
    if files.anchor.starts_with(&files.dir) || files.dir.starts_with(&files.anchor) {
        findings.add(
            Severity::Error,
            "anchor_in_backup_tree",
            place,
            "one directory lies in the other: whatever copies the vault's files copies the anchor, and a copy undoes erasures",
            format!(
                "stop the vault, move the anchor's directory out of {}, and name it with `vault.anchor`",
                files.dir.display()
            ),
        );
    } else if files.anchor.parent() == files.dir.parent() {
        findings.add(
            Severity::Note,
            "anchor_beside",
            place,
            "a backup or snapshot of the directory above has both, and undoes erasures; tools that heed CACHEDIR.TAG leave the anchor out",
            "exclude it by name in whatever copies this disk",
        );
    }
}

#[cfg(test)]
mod tests;
