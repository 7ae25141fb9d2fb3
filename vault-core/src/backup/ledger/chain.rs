//! Entries as rows and as frames, each holding the hash of the one before.

use crate::crypto::{Location, Secret, seal, sha256, unseal};
use crate::id::VaultId;
use crate::limits::LEDGER_PAGE_ROWS;
use crate::row;
use crate::store::{Direction, KeyRange, ReadTx, StoreError, Table, WriteTx};

use super::LedgerEntry;

pub(super) const MAGIC: &[u8; 8] = b"vlt-ledg";
const VERSION: u8 = 1;
pub(super) const HEADER_BYTES: usize = 8 + 1 + 16;
/// What a frame of an entry begins with.
pub(super) const ENTRY: u8 = 1;
/// Kind, length, sequence, hash of the frame before.
pub(super) const ENTRY_HEAD_BYTES: usize = 1 + 4 + 8 + HASH_BYTES;
const HASH_BYTES: usize = 32;

/// What the file begins with; its hash stands where an entry before the first would.
pub(crate) fn header(vault: VaultId) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8] = VERSION;
    header[9..].copy_from_slice(vault.as_bytes());
    header
}

/// The end of a chain: how many entries, and the hash of the last one's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tip {
    pub(crate) position: u64,
    pub(crate) hash: [u8; HASH_BYTES],
}

impl Tip {
    /// The end of a chain without entries.
    pub(crate) fn start(vault: VaultId) -> Self {
        Self {
            position: 0,
            hash: sha256(&[&header(vault)]),
        }
    }
}

fn location<'a>(
    vault: VaultId,
    sequence: &'a [u8; 8],
    previous: &'a [u8; HASH_BYTES],
) -> Location<'a> {
    Location {
        record: previous,
        ..Location::row(vault, Table::Ledger.number(), sequence)
    }
}

/// The frame of the row that stands at `sequence`: the same bytes, told apart in a file.
pub(super) fn frame(sequence: u64, row: &[u8]) -> Vec<u8> {
    let length = row.len().saturating_sub(HASH_BYTES);
    let length = u32::try_from(length).expect("an envelope is short");
    let mut frame = Vec::with_capacity(1 + 4 + 8 + row.len());
    frame.push(ENTRY);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&sequence.to_be_bytes());
    frame.extend_from_slice(row);
    frame
}

/// Takes the row after `tip` into the chain: its frame, and the new end. `None` if the row says that
/// it comes after another.
pub(crate) fn follow(tip: Tip, row: &[u8]) -> Option<(Vec<u8>, Tip)> {
    if row.get(..HASH_BYTES) != Some(&tip.hash[..]) {
        return None;
    }
    let position = tip.position.checked_add(1)?;
    let frame = frame(position, row);
    let hash = sha256(&[&frame]);
    Some((frame, Tip { position, hash }))
}

/// The entry in a row that follows `tip`; `None` if it does not open there.
pub(super) fn open(vault: VaultId, key: &Secret<32>, tip: Tip, row: &[u8]) -> Option<LedgerEntry> {
    let envelope = row.get(HASH_BYTES..)?;
    let sequence = tip.position.checked_add(1)?.to_be_bytes();
    let bytes = unseal(key, &location(vault, &sequence, &tip.hash), envelope).ok()?;
    row::decode(&bytes).ok()
}

/// Writes entries behind `tip`; the new end, and their frames.
pub(crate) fn extend(
    tx: &mut dyn WriteTx,
    vault: VaultId,
    key: &Secret<32>,
    mut tip: Tip,
    entries: &[LedgerEntry],
) -> Result<(Tip, Vec<u8>), StoreError> {
    let mut frames = Vec::new();
    for entry in entries {
        let sequence = (tip.position + 1).to_be_bytes();
        let place = location(vault, &sequence, &tip.hash);
        let envelope =
            seal(key, 0, &place, &row::encode(entry)).map_err(|_| StoreError::Aborted)?;
        let row = [&tip.hash[..], &envelope].concat();
        tx.put(Table::Ledger, &sequence, &row)?;
        let (frame, next) = follow(tip, &row).ok_or(StoreError::Aborted)?;
        frames.extend_from_slice(&frame);
        tip = next;
    }
    Ok((tip, frames))
}

/// Rows behind `position` up to `end`, at most [`LEDGER_PAGE_ROWS`] of them.
pub(crate) fn copy_rows(
    tx: &dyn ReadTx,
    position: u64,
    end: u64,
) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    let range = KeyRange {
        start: position.saturating_add(1).to_be_bytes().to_vec(),
        end: end.checked_add(1).map(|end| end.to_be_bytes().to_vec()),
    };
    let rows = tx.range(
        Table::Ledger,
        &range,
        Direction::Ascending,
        LEDGER_PAGE_ROWS,
    )?;
    rows.into_iter()
        .map(|(key, row)| {
            let key = <[u8; 8]>::try_from(key).map_err(|_| StoreError::Corrupt)?;
            Ok((u64::from_be_bytes(key), row))
        })
        .collect()
}
