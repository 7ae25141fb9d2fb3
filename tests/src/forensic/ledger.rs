//! The erasure ledger's file, as docs/format.md "Erasure ledger" describes it.

use super::cipher::{Id, Key, Place, open, sha256};

/// What a ledger's file holds.
#[derive(Default)]
pub struct Ledger {
    /// Rows of table 21 as they stand there, in their order from 1.
    pub rows: Vec<Vec<u8>>,
    /// What is in each of them.
    pub entries: Vec<Vec<u8>>,
    /// Notes of heads, each with the number of the entry that it stands behind.
    pub heads: Vec<(u64, String)>,
    /// Notes of keys that were followed by others.
    pub changes: Vec<String>,
}

/// Whether a file is a ledger.
pub fn is_ledger(file: &[u8]) -> bool {
    file.starts_with(b"vlt-ledg\x01")
}

/// Reads a ledger's file to its end. `None` if an entry or a head does not open.
pub fn read(file: &[u8], vault: &Id, key: &Key) -> Option<Ledger> {
    assert_eq!(&file[..25], [b"vlt-ledg\x01", &vault[..]].concat());
    let (mut previous, mut rest) = (sha256(&file[..25]), &file[25..]);
    let mut ledger = Ledger::default();
    while rest.len() >= 13 {
        let length = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
        let number = ledger.rows.len() as u64;
        if rest.len() < 13 + length + if rest[0] == 1 { 32 } else { 0 } {
            // A copy of a file that was being written.
            break;
        }
        let stands = u64::from_be_bytes(rest[5..13].try_into().unwrap());
        match rest[0] {
            1 => {
                let (frame, after) = rest.split_at(45 + length);
                assert_eq!((stands, &frame[13..45]), (number + 1, &previous[..]));
                let place = Place {
                    record: &previous,
                    ..Place::row(21, &frame[5..13])
                };
                ledger.entries.push(open(key, vault, &place, &frame[45..])?);
                ledger.rows.push(frame[13..].to_vec());
                (previous, rest) = (sha256(frame), after);
            }
            kind @ (2 | 3) => {
                let (frame, after) = rest.split_at(13 + length);
                assert_eq!(stands, number);
                let place = Place {
                    record: &previous,
                    ..Place::row(0x82 + kind, &frame[5..13])
                };
                let note = open(key, vault, &place, &frame[13..])?;
                let note = String::from_utf8(note).unwrap();
                match kind {
                    2 => ledger.heads.push((stands, note)),
                    _ => ledger.changes.push(note),
                }
                rest = after;
            }
            other => panic!("no frame of kind {other}"),
        }
    }
    Some(ledger)
}
