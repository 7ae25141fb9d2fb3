//! What a backup consists of, signed: written last, so that without it there is no backup.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::BackupError;
use super::format::Place;
use super::keys::HeadKind;
use super::target::{self, Target};
use crate::audit::canonical::canonical;
use crate::audit::checkpoint::VerifierKey;
use crate::audit::signer::Signers;
use crate::crypto::{Secret, sha256};
use crate::id::{BackupId, VaultId};
use crate::limits::BACKUP_HEAD_BYTES_MAX;
use crate::limits::MANIFEST_BYTES_MAX;
use crate::store::Table;

/// The manifest's name beside the objects.
pub(crate) const MANIFEST: &str = "manifest.json";
/// Greatest number that JSON carries exactly everywhere. Source: RFC 8785 §3.1, RFC 7493 §2.2.
const COUNT_MAX: u64 = 1 << 53;
const VERSION: u32 = 1;
/// What the signature is over begins with this line.
const CONTEXT: &str = "vault/1 backup manifest";

/// An object: its name, what it holds, and what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// Within the backup.
    pub name: String,
    /// 0 for the first copy of everything, then of what had changed meanwhile.
    pub round: u32,
    /// The table's number; 0 for the list of people who were copied again.
    pub table: u8,
    /// Counts the objects of the table in this round.
    pub part: u32,
    /// Rows.
    pub rows: u64,
    /// Length.
    pub bytes: u64,
    /// In hexadecimal.
    pub sha256: String,
}

impl Object {
    pub(super) fn place(&self) -> Place {
        Place {
            round: self.round,
            table: self.table,
            part: self.part,
        }
    }
}

/// A short file that holds the key of a key part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Within the backup.
    pub name: String,
    pub(super) kind: HeadKind,
    /// Length.
    pub bytes: u64,
    /// In hexadecimal.
    pub sha256: String,
}

/// Which keys a key part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeysOf {
    /// Those of the moment that the data are of.
    Backup,
    /// Later ones: what was sealed under keys that were gone by then is lost.
    Later,
}

/// The key part of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPart {
    /// What the registry calls it: the backup itself, or a later entry of its own.
    pub registered: BackupId,
    /// Since when.
    pub made_at: Timestamp,
    /// When it is to be deleted.
    pub expires_at: Option<Timestamp>,
    /// Which keys.
    pub keys_of: KeysOf,
    /// People whose keys it holds.
    pub people: u64,
    /// What opens it.
    pub heads: Vec<Head>,
    /// Its rows.
    pub objects: Vec<Object>,
}

/// What a backup consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of the format.
    pub version: u32,
    /// Of which vault.
    pub vault: VaultId,
    /// Which backup.
    pub backup: BackupId,
    /// When the first row was read.
    pub started_at: Timestamp,
    /// The moment that the data are of.
    pub finished_at: Timestamp,
    /// The epoch then.
    pub epoch: u64,
    /// The policy in force then.
    pub policy_version: u32,
    /// People then.
    pub people: u64,
    /// Entries of the log then.
    pub log_entries: u64,
    /// Entries of the erasure ledger then: what it says after them is not in the data.
    pub ledger_position: u64,
    /// The data part; empty where there is none.
    pub objects: Vec<Object>,
    /// The key part.
    pub keys: Option<KeyPart>,
    /// By the vault's signing key, over everything else.
    pub signature: String,
}

/// Whether a manifest's signature was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// By the key that was given.
    Checked,
    /// No key was given.
    NotChecked,
}

impl Manifest {
    pub(super) fn version() -> u32 {
        VERSION
    }

    fn signed_bytes(&self) -> Vec<u8> {
        let mut value = serde_json::to_value(self).expect("a manifest is JSON");
        if let Value::Object(members) = &mut value {
            members.remove("signature");
        }
        canonical(&value).expect("counts below 2^53")
    }

    /// Signs it.
    pub(crate) fn sign(&mut self, seed: &Secret<32>) {
        let bytes = self.signed_bytes();
        self.signature = VerifierKey::sign_document(self.vault, seed, CONTEXT, &bytes);
    }

    /// Writes it, and tells its SHA-256.
    pub(crate) fn write(&self, target: &dyn Target) -> std::io::Result<[u8; 32]> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a manifest is JSON");
        bytes.push(b'\n');
        target::put(target, &self.object(MANIFEST), &bytes)?;
        Ok(sha256(&[&bytes]))
    }

    /// The full name of one of its objects.
    #[must_use]
    pub fn object(&self, name: &str) -> String {
        format!("{}/{name}", self.backup)
    }

    /// Whether one of these keys has signed it.
    #[must_use]
    pub fn signed_by(&self, signers: &Signers) -> bool {
        signers.present().name() == self.vault.to_string()
            && signers.signed_document(CONTEXT, &self.signed_bytes(), &self.signature)
    }

    /// Bytes of data and keys together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let keys = self.keys.iter().flat_map(|keys| &keys.objects);
        total(self.objects.iter().chain(keys).map(|o| o.bytes))
    }

    /// Rows of the data part.
    #[must_use]
    pub fn rows(&self) -> u64 {
        total(self.objects.iter().map(|object| object.rows))
    }

    /// Records of the first copy: what came and went while it was made is not counted.
    #[must_use]
    pub fn records(&self) -> u64 {
        let first =
            |object: &&Object| object.round == 0 && object.table == Table::RecordMeta.number();
        total(self.objects.iter().filter(first).map(|o| o.rows))
    }

    /// Reads the manifest of a backup, and checks that it is one whole list.
    ///
    /// # Errors
    ///
    /// [`BackupError::NotFound`] where there is no manifest: it was not finished, or deleted;
    /// [`BackupError::Damaged`], [`BackupError::Io`].
    pub fn read(target: &dyn Target, backup: &str) -> Result<Self, BackupError> {
        Ok(Self::read_with_hash(target, backup)?.0)
    }

    /// [`Manifest::read`], and the SHA-256 of its file.
    ///
    /// # Errors
    ///
    /// As for [`Manifest::read`].
    pub(crate) fn read_with_hash(
        target: &dyn Target,
        backup: &str,
    ) -> Result<(Self, [u8; 32]), BackupError> {
        let name = format!("{backup}/{MANIFEST}");
        let bytes = match target::get(target, &name, MANIFEST_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(BackupError::NotFound(format!(
                    "there is no finished backup {backup} at {}: it has no manifest",
                    target.place()
                )));
            }
            Err(error) => return Err(BackupError::io(format!("read {name}"))(error)),
        };
        let manifest = Self::parse(&bytes, backup);
        let manifest = manifest.map_err(|what| BackupError::damaged(&name, what))?;
        Ok((manifest, sha256(&[&bytes])))
    }

    /// The manifest of a backup in these bytes; else what is wrong with them.
    pub(crate) fn parse(bytes: &[u8], backup: &str) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("it is no manifest, at line {}", error.line()))?;
        manifest.check(backup)?;
        Ok(manifest)
    }

    fn check(&self, backup: &str) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!("its version is {}, not {VERSION}", self.version));
        }
        if self.backup.to_string() != backup {
            return Err("it is that of another backup".into());
        }
        let counts = [
            self.epoch,
            self.people,
            self.log_entries,
            self.ledger_position,
        ];
        let objects = self.objects.iter();
        let keys = self.keys.iter();
        let of_objects = objects.chain(keys.clone().flat_map(|keys| &keys.objects));
        let of_objects = of_objects.flat_map(|object| [object.rows, object.bytes]);
        let of_keys = keys.clone().map(|keys| keys.people);
        let mut counts = counts.into_iter().chain(of_objects).chain(of_keys);
        if counts.any(|count| count > COUNT_MAX) {
            return Err("a count is over 2^53".into());
        }
        let mut heads = keys.flat_map(|keys| &keys.heads);
        if heads.any(|head| head.bytes > BACKUP_HEAD_BYTES_MAX) {
            return Err(format!("a head has over {BACKUP_HEAD_BYTES_MAX} bytes"));
        }
        let known: BTreeSet<u8> = Table::ALL.iter().map(|table| table.number()).collect();
        let lists = [(&self.objects, "data")];
        let keys = self.keys.iter().map(|keys| (&keys.objects, "keys"));
        for (objects, prefix) in lists.into_iter().chain(keys) {
            let mut before: Option<&Object> = None;
            for object in objects {
                let expected = match before {
                    Some(last) if (last.round, last.table) == (object.round, object.table) => {
                        last.part + 1
                    }
                    _ => 0,
                };
                let form = object.name.starts_with(&format!("{prefix}-"))
                    && object.sha256.len() == 64
                    && (object.table == 0 || known.contains(&object.table));
                if !form || object.part != expected {
                    return Err(format!(
                        "{} is not where it belongs in its list",
                        object.name
                    ));
                }
                before = Some(object);
            }
            let names: BTreeSet<&str> = objects.iter().map(|o| o.name.as_str()).collect();
            if names.len() != objects.len() {
                return Err(format!("an object {prefix}-… is named twice"));
            }
        }
        Ok(())
    }
}

/// The sum; a manifest that nobody has verified may count as it likes.
fn total(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}

/// Compares an object's SHA-256, as far as the beginning of it helps to find what is meant.
pub(super) fn hash_text(hash: &[u8; 32]) -> String {
    crate::audit::hex(hash)
}

/// Checks a short object against its head in the manifest.
pub(super) fn head_bytes(
    target: &dyn Target,
    manifest: &Manifest,
    head: &Head,
) -> Result<Vec<u8>, BackupError> {
    let name = manifest.object(&head.name);
    let bytes = target::get(target, &name, head.bytes).map_err(|error| missing(&name, &error))?;
    if bytes.len() as u64 != head.bytes || hash_text(&sha256(&[&bytes])) != head.sha256 {
        return Err(BackupError::damaged(
            name,
            "its SHA-256 is not that of the manifest",
        ));
    }
    Ok(bytes)
}

/// An object of the manifest that cannot be read.
pub(super) fn missing(name: &str, error: &std::io::Error) -> BackupError {
    match error.kind() {
        std::io::ErrorKind::NotFound => BackupError::damaged(name, "it is not there"),
        std::io::ErrorKind::InvalidData => BackupError::damaged(name, "it is longer than it was"),
        kind if target::out_of_reach(error) => {
            BackupError::io(format!("read {name}"))(std::io::Error::new(kind, error.to_string()))
        }
        kind => BackupError::damaged(name, format!("it cannot be read ({kind})")),
    }
}

/// The finished backups at a target, oldest first, and the names of what is not finished.
///
/// # Errors
///
/// [`BackupError::Io`]; a manifest that is damaged is among the unfinished.
pub fn list(target: &dyn Target) -> Result<(Vec<Manifest>, Vec<String>), BackupError> {
    let names = target
        .backups()
        .map_err(BackupError::io(format!("list {}", target.place())))?;
    let (mut whole, mut others) = (Vec::new(), Vec::new());
    for name in names {
        match Manifest::read(target, &name) {
            Ok(manifest) => whole.push(manifest),
            Err(BackupError::Damaged { .. } | BackupError::NotFound(_)) => others.push(name),
            Err(error) => return Err(error),
        }
    }
    whole.sort_by_key(|manifest| (manifest.finished_at, manifest.backup.to_string()));
    Ok((whole, others))
}
