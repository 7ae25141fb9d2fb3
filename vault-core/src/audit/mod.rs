//! Evidence: what was done, by whom, for which purpose, without a personal value.
//!
//! An [`Entry`] is stored in binary form and sealed; what is hashed and shown is its canonical JSON,
//! which follows from it. A write's entry is part of the write's own transaction; a read's entry is
//! a frame of the [`journal`] before the value leaves, and joins the log with the next commit. Knows
//! nothing of decisions: it records them.

pub mod canonical;
pub mod checkpoint;
mod entry;
pub mod journal;
pub mod merkle;
pub mod receipt;
pub mod signer;
pub mod tree;
pub mod verify;

use crate::clock::day_of;
use crate::crypto::{Location, Secret, hmac};
use crate::id::VaultId;
use crate::keys::ring::KeyRing;
use crate::limits::AUDIT_ROW_ENTRIES_MAX;
use crate::row;
use crate::store::{Direction, KeyRange, ReadTx, StoreError, Table, WriteTx};

pub use entry::{Actor, Entry};

use jiff::Timestamp;

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// What links a person's entries of one UTC day, and nothing else once the key is gone.
#[must_use]
pub fn subject_tag(audit_key: &Secret<32>, time: Timestamp) -> [u8; 16] {
    let tag = hmac(audit_key, &[b"day", &day_of(time).to_be_bytes()]);
    tag[..16].try_into().expect("sixteen of thirty-two")
}

fn place(vault: VaultId, index: &[u8; 8]) -> Location<'_> {
    Location::row(vault, Table::Audit.number(), index)
}

/// Writes entries with the numbers from `first` on, several in a row of the table: an envelope
/// costs half as much as an entry.
///
/// # Errors
///
/// Those of the store.
pub fn write(
    tx: &mut dyn WriteTx,
    vault: VaultId,
    keys: &KeyRing,
    first: u64,
    entries: &[Vec<u8>],
) -> Result<(), StoreError> {
    let mut index = first;
    for entries in entries.chunks(AUDIT_ROW_ENTRIES_MAX) {
        let row = index.to_be_bytes();
        let bytes = row::encode(&entries);
        let sealed = keys
            .seal(&place(vault, &row), &bytes)
            .expect("entries are short");
        tx.put(Table::Audit, &row, &sealed)?;
        index += entries.len() as u64;
    }
    Ok(())
}

/// At most `limit` entries from number `from` on.
///
/// # Errors
///
/// [`StoreError::Corrupt`] if one does not open at its place; those of the store.
pub fn read(
    tx: &dyn ReadTx,
    vault: VaultId,
    keys: &KeyRing,
    from: u64,
    limit: usize,
) -> Result<Vec<(u64, Entry)>, StoreError> {
    // The row that holds `from` may begin before it.
    let mut range = KeyRange {
        start: Vec::new(),
        end: from.checked_add(1).map(|end| end.to_be_bytes().to_vec()),
    };
    let begins = tx.range(Table::Audit, &range, Direction::Descending, 1)?;
    range.start = begins.into_iter().next().map_or(Vec::new(), |(row, _)| row);
    range.end = None;
    let mut found = Vec::new();
    // A row has sixteen entries where much happens at once, and one where little does: so many rows that
    // the first is enough are read at a time, and none is opened that is not needed.
    let page = limit / AUDIT_ROW_ENTRIES_MAX + 2;
    while found.len() < limit {
        let rows = tx.range(Table::Audit, &range, Direction::Ascending, page)?;
        let last = rows.len() < page;
        for (row, sealed) in rows {
            if found.len() == limit {
                break;
            }
            let row: [u8; 8] = row.try_into().map_err(|_| StoreError::Corrupt)?;
            range.go_on(Direction::Ascending, &row);
            let bytes = keys.unseal(&place(vault, &row), &sealed);
            let bytes = bytes.map_err(|_| StoreError::Corrupt)?;
            let entries: Vec<Vec<u8>> = row::decode(&bytes).map_err(|_| StoreError::Corrupt)?;
            for (number, entry) in (u64::from_be_bytes(row)..).zip(entries) {
                if number >= from && found.len() < limit {
                    let entry = Entry::decode(&entry).map_err(|_| StoreError::Corrupt)?;
                    found.push((number, entry));
                }
            }
        }
        if last {
            break;
        }
    }
    Ok(found)
}

/// A row of the log under the newest key; nothing if it does not open at its place.
pub(crate) fn seal_again(
    vault: VaultId,
    keys: &KeyRing,
    row: &[u8],
    sealed: &[u8],
) -> Option<Vec<u8>> {
    let row: [u8; 8] = row.try_into().ok()?;
    let bytes = keys.unseal(&place(vault, &row), sealed).ok()?;
    keys.seal(&place(vault, &row), &bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::id::CallId;
    use crate::store::{MemoryStore, Store};

    fn entry(second: i64) -> Entry {
        Entry {
            time: Timestamp::from_second(second).unwrap(),
            actor: Actor::Keyholder,
            role: "keyholder".into(),
            purpose: None,
            action: "subjects.view".into(),
            subject: Some([7; 16]),
            fields: vec![(1, 2)],
            outcome: "ok".into(),
            session: None,
            request: CallId::generate(&mut SeededEntropy::new(1)),
            receipt: None,
            records: None,
            restricted_use: None,
        }
    }

    #[test]
    fn entries_read_back_from_any_number_and_from_no_other_place() {
        let key = KeyRing::of(Secret::take(&mut [2; 32]));
        let vault = VaultId::from_bytes([1; 16]);
        let store = MemoryStore::default();
        let written: Vec<Vec<u8>> = (0..40).map(|second| entry(second).encode()).collect();
        let result = store.write(&mut |tx| {
            write(tx, vault, &key, 0, &written[..1])?;
            write(tx, vault, &key, 1, &written[1..])
        });
        result.unwrap();
        let snapshot = store.snapshot().unwrap();
        for from in 0..41 {
            let read = read(&*snapshot, vault, &key, from, 5).unwrap();
            let seconds: Vec<i64> = read.iter().map(|(_, e)| e.time.as_second()).collect();
            let expected: Vec<i64> = (from as i64..40).take(5).collect();
            assert_eq!(seconds, expected);
            assert!(read.iter().all(|(n, e)| *n as i64 == e.time.as_second()));
        }
        // The nearest violation: a row put in another's place does not open.
        let rows = snapshot.range(Table::Audit, &KeyRange::all(), Direction::Ascending, 9);
        let moved = rows.unwrap()[1].1.clone();
        let result = store.write(&mut |tx| tx.put(Table::Audit, &0u64.to_be_bytes(), &moved));
        result.unwrap();
        let snapshot = store.snapshot().unwrap();
        assert!(matches!(
            read(&*snapshot, vault, &key, 0, 1),
            Err(StoreError::Corrupt)
        ));
    }
}
