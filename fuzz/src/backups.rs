//! What lies at a target of backups, where anybody may have written.

use std::sync::LazyLock;

use serde_json::Value;
use vault_core::backup::{Identity, new_identity};
use vault_core::crypto::Secret;
use vault_core::id::BackupId;
use vault_core::parsers::{
    FORMS, ObjectPlace, erasure_ledger, erasure_ledger_of, key_head, key_rows, manifest, object,
    object_rows, registry as registry_row, signed_manifest,
};

use crate::VAULT;

/// The backup of all seeds.
pub const BACKUP: BackupId = BackupId::from_bytes([6; 16]);
/// Where its objects belong.
pub const PLACE: ObjectPlace = (VAULT, BACKUP, 0, 4, 0);

/// What the ledgers of seeds are sealed under.
#[must_use]
pub fn ledger_key() -> Secret<32> {
    Secret::take(&mut [8; 32])
}

/// A copy of the erasure ledger: as it is, and, cut into parts behind a byte of length each, as entries that
/// were sealed as they should be.
pub fn ledger(data: &[u8]) {
    let (key, seed) = (ledger_key(), crate::signing_seed());
    if let Ok(read) = erasure_ledger(data, VAULT, &key, &seed) {
        assert!(read.cut.len() <= 1, "one copy ends once");
    }
    let (mut rest, mut entries) = (data, Vec::new());
    while let Some((length, behind)) = rest.split_first() {
        let (entry, behind) = behind.split_at(behind.len().min(usize::from(*length)));
        entries.push(entry);
        rest = behind;
    }
    if let Some(bytes) = erasure_ledger_of(&entries, VAULT, &key, &seed) {
        let read = erasure_ledger(&bytes, VAULT, &key, &seed).expect("it was written so");
        assert_eq!(read.position, entries.len() as u64);
        assert!(read.cut.is_empty());
        // Cut anywhere it says less, and that it was cut; it is never taken for another.
        let cut = bytes.len() - bytes.len() / 7 - 1;
        let part = erasure_ledger(&bytes[..cut], VAULT, &key, &seed).expect("a beginning");
        assert!(part.position <= read.position);
    }
}

/// A manifest of a backup: what is read is written so that it reads back as the same, and signed.
pub fn backup_manifest(data: &[u8]) {
    let Ok(read) = manifest(data, BACKUP) else {
        return;
    };
    let _ = (read.bytes(), read.rows(), read.records());
    let written = signed_manifest(read.clone(), &crate::signing_seed());
    let again = manifest(&written, BACKUP).expect("it was one");
    let key = vault_core::audit::signer::Signers::new(read.vault, &crate::signing_seed(), &[]);
    assert!(again.signed_by(&key), "a signature of its own");
    let mut other = again.clone();
    other.people = u64::from(other.people == 0);
    assert!(!other.signed_by(&key), "a signature of another text");
}

/// An object of a backup: as it is, and behind the header that it should have.
pub fn backup_object(data: &[u8]) {
    let header = object(PLACE, &[]);
    for bytes in [data.to_vec(), [&header[..], data].concat()] {
        if let Some(rows) = object_rows(PLACE, &bytes) {
            let rows: Vec<(&[u8], &[u8])> = rows.iter().map(|(k, v)| (&k[..], &v[..])).collect();
            assert!(object(PLACE, &rows) == bytes, "written as it was read");
        }
    }
}

/// A key part: its head, its objects, and what lies in them once they are open.
pub fn key_part(data: &[u8]) {
    static IDENTITY: LazyLock<Identity> =
        LazyLock::new(|| Identity::parse(&new_identity().0).expect("an identity"));
    static PART: LazyLock<String> = LazyLock::new(|| {
        let text = new_identity().0;
        let line = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY"));
        line.expect("a secret key").to_owned()
    });
    let _ = key_head(&IDENTITY, data);
    let _ = key_rows(&PART, PLACE, data);
    let forms = FORMS
        .iter()
        .filter(|(name, _)| ["Keyset", "SystemKeys"].contains(name));
    for (_, again) in forms {
        let _ = again(data);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Identity::parse(text);
        let _ = vault_core::backup::Recipients::parse(text.lines());
    }
}

/// Rows of the registry, and what callers see of them.
pub fn registry(data: &[u8]) {
    let (backup, summary) = registry_row(data);
    if let Some(backup) = backup {
        let keys = backup.keys;
        assert!(!keys.is_some_and(|keys| keys.overdue && keys.deleted_at.is_some()));
    }
    if let Some(summary) = summary {
        assert!(summary.overdue <= summary.key_parts);
    }
    let forms = FORMS
        .iter()
        .filter(|(name, _)| ["BackupRow", "Backups"].contains(name));
    for (name, again) in forms {
        if let Some(written) = again(data) {
            assert_eq!(again(&written).as_ref(), Some(&written), "{name}");
        }
    }
}

/// The text of a manifest of a backup, for seeds.
#[must_use]
pub fn manifest_text(keys: bool) -> Vec<u8> {
    let object = |name: &str, table: u8, part: u32| {
        serde_json::json!({"name": name, "round": 0, "table": table, "part": part, "rows": 2,
            "bytes": 300, "sha256": "ab".repeat(32)})
    };
    let keys = keys.then(|| {
        serde_json::json!({"registered": BACKUP.to_string(), "made_at": "2026-11-25T12:00:01Z",
            "expires_at": "2026-12-25T12:00:00Z", "keys_of": "backup", "people": 7,
            "heads": [{"name": "keys-head-000.age", "kind": "key", "bytes": 400, "sha256": "cd".repeat(32)}],
            "objects": [object("keys-000.age", 3, 0)]})
    });
    let document: Value = serde_json::json!({"version": 1, "vault": VAULT.to_string(),
        "backup": BACKUP.to_string(), "started_at": "2026-11-25T12:00:00Z",
        "finished_at": "2026-11-25T12:00:01Z", "epoch": 9, "policy_version": 2, "people": 7,
        "log_entries": 5, "ledger_position": 3,
        "objects": [object("data-00000", 4, 0), object("data-00001", 4, 1)], "keys": keys,
        "signature": ""});
    let read = serde_json::from_value(document).expect("a manifest");
    signed_manifest(read, &crate::signing_seed())
}
