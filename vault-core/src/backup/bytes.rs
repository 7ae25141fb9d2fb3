//! Objects of a backup one by one, out of memory and into it: as the kept vectors and `fuzz/` read them.
//!
//! Knows nothing of a target, nor of which objects belong together.

use std::io::{Cursor, Read};

use zeroize::Zeroizing;

use super::format::{self, Frames, Place};
use super::keys::{Identity, PartKey};
use crate::id::{BackupId, VaultId};

/// Where an object belongs: vault, backup, round, table, part.
pub type ObjectPlace = (VaultId, BackupId, u32, u8, u32);

/// A row: key, value.
pub type Row = (Vec<u8>, Zeroizing<Vec<u8>>);

fn header(place: ObjectPlace) -> Vec<u8> {
    let (vault, backup, round, table, part) = place;
    let place = Place { round, table, part };
    format::header(vault, backup, place).to_vec()
}

/// An object with these rows.
#[must_use]
pub fn object(place: ObjectPlace, rows: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = header(place);
    for (key, value) in rows {
        format::push(&mut bytes, key, value);
    }
    bytes
}

/// The rows of an object that belongs there; `None` for anything else.
#[must_use]
pub fn object_rows(place: ObjectPlace, bytes: &[u8]) -> Option<Vec<Row>> {
    rows(place, Box::new(Cursor::new(bytes.to_vec())))
}

fn rows(place: ObjectPlace, from: Box<dyn Read + Send>) -> Option<Vec<Row>> {
    let mut frames = Frames::open(from, "an object".into(), &header(place)).ok()?;
    let mut rows = Vec::new();
    while frames.next().ok()? {
        let (key, value) = frames.row();
        rows.push((key.to_vec(), value.to_vec().into()));
    }
    Some(rows)
}

/// The identity of a key part, out of a head that this identity or passphrase opens.
#[must_use]
pub fn key_head(identity: &Identity, bytes: &[u8]) -> Option<Zeroizing<String>> {
    Some(identity.open_head(bytes)?.text())
}

/// The rows of an object of a key part, which is sealed to the part's identity.
#[must_use]
pub fn key_rows(part: &str, place: ObjectPlace, bytes: &[u8]) -> Option<Vec<Row>> {
    let part = PartKey::parse(part)?;
    let opened = part.open("an object", Box::new(Cursor::new(bytes.to_vec())));
    rows(place, opened.ok()?)
}

/// A key part of one object: its identity, heads, and the object, sealed.
#[cfg(test)]
pub(crate) fn key_part(
    recipients: &super::Recipients,
    object: &[u8],
) -> (Zeroizing<String>, Vec<Vec<u8>>, Vec<u8>) {
    use std::io::Write;

    let part = PartKey::generate();
    let heads = recipients
        .heads(&part)
        .expect("recipients that go together");
    let heads = heads.into_iter().map(|(_, bytes)| bytes).collect();
    let mut sealed = Vec::new();
    let mut writer = part.seal_to(&mut sealed).expect("memory");
    writer.write_all(object).expect("memory");
    writer.finish().expect("memory");
    (part.text(), heads, sealed)
}
