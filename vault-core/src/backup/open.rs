//! One person out of a backup: their envelopes are opened, and what must not return is left out.
//!
//! Places are those of docs/format.md "Rows": a row that was moved does not open.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::bundle::Rows;
use super::error::BackupError;
use super::ledger::Replay;
use crate::blob::{Blob, Home};
use crate::crypto::{End, Location, key_number, unseal};
use crate::id::{RecordId, RowHandle, VaultId};
use crate::keys::keyset::Keyset;
use crate::person::ORPHANS;
use crate::record::MetaRow;
use crate::rotation::MARK;
use crate::row;
use crate::standing::HoldEvent;
use crate::store::Table;

/// What was found of people, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// People.
    pub people: u64,
    /// Those of them whose every envelope was opened.
    pub opened: u64,
    /// Rows.
    pub rows: u64,
    /// Envelopes that were opened.
    pub envelopes: u64,
    /// Bytes of rows.
    pub bytes: u64,
    /// Envelopes whose key was gone when the key part was made.
    pub lost: u64,
    /// People of whom any such envelope is.
    pub people_in_part: u64,
    /// People without any row here: they came after the backup.
    pub later: u64,
    /// Records, and rows under keys, that the ledger says are gone.
    pub removed: u64,
    /// People whom the ledger says are gone.
    pub erased: u64,
}

impl Counts {
    /// The sum of both.
    pub(super) fn add(&mut self, other: Self) {
        // Destructured, so that a new count breaks this line until it is added too.
        let Self {
            people,
            opened,
            rows,
            envelopes,
            bytes,
            lost,
            people_in_part,
            later,
            removed,
            erased,
        } = other;
        self.people += people;
        self.opened += opened;
        self.rows += rows;
        self.envelopes += envelopes;
        self.bytes += bytes;
        self.lost += lost;
        self.people_in_part += people_in_part;
        self.later += later;
        self.removed += removed;
        self.erased += erased;
    }
}

/// Takes the rows of a person.
pub(super) type Take<'r> = dyn FnMut(Table, &[u8], &[u8]) -> Result<(), BackupError> + 'r;

/// Whether keys may be missing, because the key part is younger than the data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// They may: what is under them is lost.
    Lost,
    /// They may not.
    Damage,
}

/// How many of a person's envelopes are opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Every one.
    Whole,
    /// Of somebody without blobs none: each is of its form, and under a key that is there. For what a signed
    /// manifest vouches for.
    Keys,
}

/// What opening comes to.
enum Opened {
    Text(Zeroizing<Vec<u8>>),
    /// Its key is there, and was not tried.
    Unread,
    /// The key is gone, and was when the key part was made.
    Lost,
    /// The key is gone, as the ledger says.
    Removed,
}

/// Which collections the ledger leaves of somebody who is erased but for what a legal hold keeps.
fn remains<'r>(replay: &'r Replay, handle: &RowHandle) -> Option<&'r HoldEvent> {
    let hold = replay.holds.get(handle);
    hold.filter(|hold| hold.erasure.is_some())
}

struct Opener<'a> {
    vault: VaultId,
    handle: RowHandle,
    keyset: &'a Keyset,
    gone: Option<&'a std::collections::BTreeSet<u32>>,
    missing: Missing,
    depth: Depth,
}

impl Opener<'_> {
    /// `location` says where the envelope stands, if it is to be opened.
    fn open<'l>(
        &self,
        location: impl FnOnce() -> Location<'l>,
        envelope: &[u8],
    ) -> Result<Opened, &'static str> {
        const CLOSED: &str = "an envelope does not open at its place";
        let number = key_number(envelope).ok_or(CLOSED)?;
        let Some(dek) = self.keyset.key(number) else {
            if self.gone.is_some_and(|gone| gone.contains(&number)) {
                return Ok(Opened::Removed);
            }
            return match self.missing {
                Missing::Lost => Ok(Opened::Lost),
                Missing::Damage => Err("an envelope is under a key that the key part lacks"),
            };
        };
        if self.depth == Depth::Keys {
            return Ok(Opened::Unread);
        }
        let location = Location {
            compartment: dek.compartment.number,
            ..location()
        };
        let text = unseal(&dek.key, &location, envelope).map_err(|_| CLOSED)?;
        Ok(Opened::Text(text))
    }

    fn place(&self, table: Table) -> Location<'_> {
        Location::row(self.vault, table.number(), self.handle.as_bytes())
    }
}

/// Goes through the rows of one person. Whether there were any.
pub(super) fn person(
    rows: &mut Rows<'_, '_>,
    handle: RowHandle,
    (vault, keyset): (VaultId, &Keyset),
    replay: &Replay,
    (missing, depth): (Missing, Depth),
    counts: &mut Counts,
    out: &mut Take<'_>,
) -> Result<bool, BackupError> {
    let depth = match rows.may_have_blobs() {
        // Which chunks belong to what stands in the envelopes.
        true => Depth::Whole,
        false => depth,
    };
    let opener = Opener {
        vault,
        handle,
        keyset,
        gone: replay.keys.get(&handle),
        missing,
        depth,
    };
    let remains = remains(replay, &handle);
    let before = counts.lost;
    let mut there = false;
    for table in [
        Table::Subjects,
        Table::Consents,
        Table::Sessions,
        Table::Answers,
        Table::Requests,
        Table::Decisions,
    ] {
        while let Some(row) = rows.row(table)? {
            if remains.is_some() && matches!(table, Table::Sessions | Table::Answers) {
                counts.removed += 1;
                continue;
            }
            let rest = &row.key()[16..];
            let location = || match table {
                Table::Consents if rest.len() == 6 => Location {
                    collection: u16::from_be_bytes([rest[0], rest[1]]),
                    record: &rest[2..],
                    ..opener.place(table)
                },
                _ => Location {
                    record: rest,
                    ..opener.place(table)
                },
            };
            let opened = opener.open(location, row.value());
            match opened.map_err(|what| rows.damaged(table, what))? {
                opened @ (Opened::Text(_) | Opened::Unread) => {
                    there |= table == Table::Subjects;
                    keep(counts, out, table, row.key(), row.value())?;
                    counts.envelopes += u64::from(!matches!(opened, Opened::Unread));
                }
                Opened::Lost => counts.lost += 1,
                Opened::Removed => counts.removed += 1,
            }
        }
        if !there {
            // Nobody is found by what is left of a person without a row of their own.
            return match missing {
                // They came after the data were copied, or got a new key for it since.
                Missing::Lost => {
                    counts.later += 1;
                    Ok(false)
                }
                Missing::Damage => Err(rows.damaged(
                    Table::Subjects,
                    "a person of the key part has no row of their own",
                )),
            };
        }
    }
    while let Some(row) = rows.row(Table::Dirty)? {
        // Which compartments still wait for a new key; not what is under way with the keys themselves.
        let compartment = row.key().len() == 22 && row.value().len() == 4;
        if compartment && ![ORPHANS, MARK].iter().any(|end| row.key().ends_with(end)) {
            keep(counts, out, Table::Dirty, row.key(), row.value())?;
        }
    }
    let blobs = records(rows, &opener, replay, counts, out)?;
    chunks(rows, blobs, missing, counts, out)?;
    counts.people += 1;
    counts.opened += u64::from(depth == Depth::Whole);
    counts.people_in_part += u64::from(counts.lost > before);
    Ok(true)
}

fn keep(
    counts: &mut Counts,
    out: &mut Take<'_>,
    table: Table,
    key: &[u8],
    value: &[u8],
) -> Result<(), BackupError> {
    counts.rows += 1;
    counts.bytes += (key.len() + value.len()) as u64;
    out(table, key, value)
}

type Blobs = BTreeMap<[u8; 16], (Blob, Home, u32)>;

fn records(
    rows: &mut Rows<'_, '_>,
    opener: &Opener<'_>,
    replay: &Replay,
    counts: &mut Counts,
    out: &mut Take<'_>,
) -> Result<Blobs, BackupError> {
    let removed = replay.removed.get(&opener.handle);
    let remains = remains(replay, &opener.handle);
    let mut blobs = Blobs::new();
    loop {
        let meta = rows.row(Table::RecordMeta)?;
        let values = rows.row(Table::Records)?;
        if meta.is_none() && values.is_none() {
            return Ok(blobs);
        }
        let damaged = |rows: &Rows<'_, '_>, table, what| rows.damaged(table, what);
        let both = meta
            .zip(values)
            .filter(|(meta, values)| meta.key() == values.key());
        let Some((meta, values)) = both else {
            let what = "a record has values or metadata alone";
            return Err(damaged(rows, Table::Records, what));
        };
        let id = meta.key().get(18..).and_then(RecordId::from_slice);
        let (Some(id), Some((expiry, envelope))) = (id, meta.value().split_at_checked(4)) else {
            let what = "a row is not of its form";
            return Err(damaged(rows, Table::RecordMeta, what));
        };
        let collection = u16::from_be_bytes([meta.key()[16], meta.key()[17]]);
        if removed.is_some_and(|removed| removed.contains(&(collection, *id.as_bytes())))
            || remains.is_some_and(|hold| !hold.covers(collection))
        {
            counts.removed += 1;
            continue;
        }
        let location = || Location {
            collection,
            record: id.as_bytes(),
            revision: expiry,
            ..opener.place(Table::RecordMeta)
        };
        let opened = opener.open(location, envelope);
        let text = match opened.map_err(|what| damaged(rows, Table::RecordMeta, what))? {
            Opened::Text(text) => Some(text),
            Opened::Unread => None,
            Opened::Lost => {
                counts.lost += 1;
                continue;
            }
            Opened::Removed => {
                counts.removed += 1;
                continue;
            }
        };
        let row = text.map(|text| row::decode::<MetaRow>(&text)).transpose();
        let list: Option<Vec<(u16, &[u8])>> = row::decode_borrowed(values.value()).ok();
        let (Ok(row), Some(list)) = (row, list) else {
            let what = "a row is not of its form";
            return Err(damaged(rows, Table::Records, what));
        };
        counts.envelopes += u64::from(row.is_some());
        let mut kept = Vec::with_capacity(list.len());
        for (field, envelope) in &list {
            let written = row.as_ref().map(|row| row.written_at(*field));
            let (revision, schema) = written.unwrap_or_default();
            let location = || Location {
                collection,
                record: id.as_bytes(),
                field: *field,
                revision: &revision,
                schema,
                ..opener.place(Table::Records)
            };
            let opened = opener.open(location, envelope);
            match opened.map_err(|what| damaged(rows, Table::Records, what))? {
                Opened::Lost => counts.lost += 1,
                Opened::Removed => counts.removed += 1,
                Opened::Unread => kept.push((*field, *envelope)),
                Opened::Text(text) => {
                    counts.envelopes += 1;
                    kept.push((*field, *envelope));
                    if let Some(blob) = Blob::decode(&text) {
                        let home = Home {
                            vault: opener.vault,
                            handle: opener.handle,
                            collection,
                            record: id,
                            field: *field,
                        };
                        blobs.insert(*blob.key.id.as_bytes(), (blob, home, 0));
                    }
                }
            }
        }
        keep(counts, out, Table::RecordMeta, meta.key(), meta.value())?;
        match kept.len() == list.len() {
            true => keep(counts, out, Table::Records, values.key(), values.value())?,
            false => {
                let value = row::encode(&kept);
                keep(counts, out, Table::Records, values.key(), &value)?;
            }
        }
    }
}

/// Chunks that a field names; others are of uploads that had not ended.
fn chunks(
    rows: &mut Rows<'_, '_>,
    mut blobs: Blobs,
    missing: Missing,
    counts: &mut Counts,
    out: &mut Take<'_>,
) -> Result<(), BackupError> {
    while let Some(row) = rows.row(Table::Blobs)? {
        let id: Option<[u8; 16]> = row.key().get(16..32).and_then(|id| id.try_into().ok());
        let number: Option<[u8; 4]> = row.key().get(32..).and_then(|n| n.try_into().ok());
        let (Some(id), Some(number)) = (id, number) else {
            let what = "a row is not of its form";
            return Err(rows.damaged(Table::Blobs, what));
        };
        let Some((blob, home, next)) = blobs.get_mut(&id) else {
            continue;
        };
        let number = u32::from_be_bytes(number);
        let last = blob.chunks().checked_sub(1);
        let end = match last == Some(number) {
            true => End::Last,
            false => End::More,
        };
        let opened = blob
            .key
            .stream(home)
            .open(number, end, row.value().to_vec());
        if *next != number || opened.is_err() {
            let what = "a chunk of a blob does not open at its place";
            return Err(rows.damaged(Table::Blobs, what));
        }
        *next += 1;
        counts.envelopes += 1;
        keep(counts, out, Table::Blobs, row.key(), row.value())?;
    }
    for (blob, _, next) in blobs.values() {
        if *next != blob.chunks() {
            match missing {
                Missing::Lost => counts.lost += 1,
                Missing::Damage => {
                    let what = "a blob lacks chunks at its end";
                    return Err(rows.damaged(Table::Blobs, what));
                }
            }
        }
    }
    Ok(())
}
