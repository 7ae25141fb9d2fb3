//! What comes back from a disk, and the texts and values that people type.

use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::Value;
use sha2::{Digest, Sha256};
use vault_core::audit::Entry;
use vault_core::audit::journal::Journal;
use vault_core::crypto::{Location, Secret, key_number, unseal};
use vault_core::entropy::SeededEntropy;
use vault_core::id::{ReceiptId, RecordId, SubjectId, TokenId};
use vault_core::keys::anchor::{ANCHOR_BYTES, Anchor, FileAnchor};
use vault_core::keys::ring::KeyRing;
use vault_core::keys::slots::{SlotFile, SlotKind};
use vault_core::medium::MemoryMedium;
use vault_core::parsers::FORMS;
use vault_core::policy::{Draft, Period, Policy};
use vault_core::schema::{FieldType, Test};
use vault_core::vault::{RecoveryKey, Share, SharedSecret};

use crate::VAULT;

/// Puts bytes into a file image at each of these offsets.
fn image(length: usize, offsets: [usize; 2], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for offset in offsets {
        let room = (length - offset).min(data.len());
        bytes[offset..offset + room].copy_from_slice(&data[..room]);
    }
    bytes
}

/// An envelope, opened at a place.
pub fn envelope(data: &[u8]) {
    let key = Secret::take(&mut [7; 32]);
    let _ = key_number(data);
    let _ = unseal(&key, &Location::row(VAULT, 4, b"row"), data);
}

/// Rows that are structs of ours, the values of fields that are none, and nodes. What is read must be
/// written so that it reads back as the same.
pub fn row(data: &[u8]) {
    for (name, again) in FORMS {
        if let Some(written) = again(data) {
            assert_eq!(again(&written).as_ref(), Some(&written), "{name}");
        }
    }
    if let Ok(entry) = Entry::decode(data) {
        let canonical = entry.canonical();
        let value: Value = serde_json::from_slice(&canonical).expect("an entry is JSON");
        let again = vault_core::audit::canonical::canonical(&value);
        assert_eq!(
            again,
            Ok(canonical),
            "an entry is written in canonical form"
        );
    }
}

/// A policy: parsed, and, if it is one, assigned its numbers, shown and stored.
pub fn policy(data: &[u8]) {
    let Ok(source) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(policy) = Draft::parse(source).and_then(|draft| draft.assign(None, 1)) else {
        return;
    };
    let again = Policy::from_stored(policy.to_stored()).expect("what was stored reads back");
    assert_eq!(again.sha256(), policy.sha256());
}

/// The slots file: as it is, and with the hash that it should have.
pub fn slots(data: &[u8]) {
    let mut bytes = data.to_vec();
    for hashed in [false, true] {
        if hashed {
            let Some(count) = bytes.get(33).copied() else {
                return;
            };
            let end = 34 + usize::from(count) * 192;
            bytes.resize(end, 0);
            let hash = Sha256::digest(&bytes);
            bytes.extend_from_slice(&hash);
        }
        let medium = MemoryMedium::new(image(128 << 10, [0, 64 << 10], &bytes));
        let vault = SlotFile::vault_of(&medium).unwrap_or(VAULT);
        let file = SlotFile::new(vault, Box::new(medium));
        let _ = file.generation();
        let _ = file.open(SlotKind::RecoveryKey, b"twenty bytes of rand");
    }
}

/// The anchor: as it is, and with the hash that it should have.
pub fn anchor(data: &[u8]) {
    let mut bytes = data.to_vec();
    for hashed in [false, true] {
        if hashed {
            bytes.resize(65, 0);
            let hash = Sha256::digest(&bytes);
            bytes.extend_from_slice(&hash);
        }
        let medium = MemoryMedium::new(image(ANCHOR_BYTES, [64 << 10, 576 << 10], &bytes));
        let entropy = Box::new(SeededEntropy::new(1));
        let _ = FileAnchor::new(VAULT, vec![Box::new(medium)], entropy).current();
    }
    let mut page = data.to_vec();
    for hashed in [false, true] {
        if hashed {
            page.resize(page.len().clamp(35, 4096 - 32), 0);
            let length = page.len() - 35;
            page[33..35].copy_from_slice(&u16::try_from(length).expect("a page").to_be_bytes());
            let hash = Sha256::digest(&page);
            page.extend_from_slice(&hash);
        }
        let medium = MemoryMedium::new(image(ANCHOR_BYTES, [256 << 10, 768 << 10], &page));
        let entropy = Box::new(SeededEntropy::new(1));
        let _ = FileAnchor::new(VAULT, vec![Box::new(medium)], entropy).published();
    }
}

/// The read journal.
pub fn journal(data: &[u8]) {
    // In memory where there is such a file system: the target is the parser, not the disk.
    static FILE: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let dir = dir.expect("a temporary directory");
        let path = dir.path().join("journal");
        (dir, path)
    });
    std::fs::write(&FILE.1, data).expect("a temporary file");
    let key = Secret::take(&mut [9; 32]);
    let _ = Journal::open(
        &FILE.1,
        VAULT,
        KeyRing::of(key),
        0,
        &mut SeededEntropy::new(1),
    );
}

/// Identifiers, periods, recovery keys and shares: what reads must write itself the same way.
pub fn text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    fn same<T: std::str::FromStr + std::fmt::Display>(text: &str) {
        if let Ok(read) = text.parse::<T>() {
            // Whoever types capitals means the same.
            assert_eq!(read.to_string(), text.to_ascii_lowercase());
        }
    }
    same::<SubjectId>(text);
    same::<RecordId>(text);
    same::<ReceiptId>(text);
    same::<TokenId>(text);
    let _ = text.parse::<RecoveryKey>();
    let shares: Vec<Share> = text.lines().filter_map(|line| line.parse().ok()).collect();
    let _ = SharedSecret::join(&shares);
    let _ = Period::parse(text);
}

/// Values of every type: checked, normalised, masked, asked about. The first byte chooses the type.
pub fn value(data: &[u8]) {
    let Some((kind, json)) = data.split_first() else {
        return;
    };
    let kind = FieldType::ALL[usize::from(*kind) % FieldType::ALL.len()];
    let value = serde_json::from_slice::<Value>(json)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(json).into_owned()));
    let whole = value.as_str().map(str::to_owned);
    if kind.check(&value).is_ok() {
        let masked = kind.mask(&value);
        let shown = masked.as_str().zip(whole.as_deref());
        assert!(
            shown.is_none_or(|(mask, whole)| whole.contains('•')
                || whole.is_empty()
                || mask != whole)
        );
    }
    let _ = kind.normalise(&value);
    if let Ok(test) = Test::parse(&value) {
        let day = jiff::civil::date(2028, 2, 29);
        let _ = test.evaluate(kind, &value, day);
    }
}
