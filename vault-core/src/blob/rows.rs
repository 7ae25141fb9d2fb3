//! The rows of blobs: chunks, and the list of those that no field names.
//!
//! A row of the list is there before the first chunk and goes with the commit that puts the key into
//! a field; whatever is on it and not under way can go. Every commit is bounded in bytes.

use super::{Blob, BlobId, CHUNK_BYTES, CHUNK_KEY_BYTES, Home};
use crate::clock::hour_of;
use crate::commit::{Txn, View};
use crate::crypto::End;
use crate::id::RowHandle;
use crate::limits::{BLOB_CHUNKS_REMOVED_MAX, BLOB_PART_CHUNKS};
use crate::person::DAMAGED;
use crate::refusal::Refusal;
use crate::store::{Direction, KeyRange, ReadTx, Table, WriteTx};

/// The key of a blob's row in the list, and the beginning of those of its chunks.
pub(crate) fn upload_key(handle: RowHandle, id: BlobId) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(handle.as_bytes());
    key[16..].copy_from_slice(&id.0);
    key
}

fn chunk_key(handle: RowHandle, id: BlobId, number: u32) -> [u8; CHUNK_KEY_BYTES] {
    let mut key = [0; CHUNK_KEY_BYTES];
    key[..32].copy_from_slice(&upload_key(handle, id));
    key[32..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Whether a person has chunks at all.
pub(crate) fn any(view: &dyn View, handle: RowHandle) -> Result<bool, Refusal> {
    let range = KeyRange::prefix(handle.as_bytes());
    let first = view
        .tx()
        .keys(Table::Blobs, &range, Direction::Ascending, 1)?;
    Ok(!first.is_empty())
}

/// Whether a blob is on the list.
fn under_way(view: &dyn View, handle: RowHandle, id: BlobId) -> Result<bool, Refusal> {
    let row = view.tx().get(Table::Uploads, &upload_key(handle, id))?;
    Ok(row.is_some())
}

fn list(txn: &mut Txn<'_>, key: &[u8]) -> Result<(), Refusal> {
    let hour = hour_of(txn.now()).to_be_bytes();
    Ok(txn.put(Table::Uploads, key, &hour)?)
}

/// Writes chunks, the first of which has this number. The very first puts the blob on the list;
/// one that was taken off it in the meantime gets no more.
pub(crate) fn put(
    txn: &mut Txn<'_>,
    handle: RowHandle,
    id: BlobId,
    first: u32,
    chunks: &[Vec<u8>],
) -> Result<(), Refusal> {
    if first == 0 {
        list(txn, &upload_key(handle, id))?;
    } else if !under_way(txn, handle, id)? {
        return Err(Refusal::Conflict(
            "this upload was ended meanwhile; begin it anew".into(),
        ));
    }
    for (number, chunk) in (first..).zip(chunks) {
        txn.put(Table::Blobs, &chunk_key(handle, id, number), chunk)?;
    }
    Ok(())
}

/// Takes a blob off the list, whose last chunks were just written: a field names it now.
pub(crate) fn complete(txn: &mut Txn<'_>, handle: RowHandle, id: BlobId) -> Result<(), Refusal> {
    Ok(txn.delete(Table::Uploads, &upload_key(handle, id))?)
}

/// Removes the chunks of a blob that a field named until now, as far as `budget` reaches; the sweeper
/// takes the others.
pub(crate) fn remove(
    txn: &mut Txn<'_>,
    handle: RowHandle,
    id: BlobId,
    budget: &mut usize,
) -> Result<(), Refusal> {
    let key = upload_key(handle, id);
    if !remove_chunks(txn, &key, budget)? {
        list(txn, &key)?;
    }
    Ok(())
}

/// Removes chunks of a blob that is on the list, by its key there, and then it; whether it is done.
pub(crate) fn clear(txn: &mut Txn<'_>, key: &[u8]) -> Result<bool, Refusal> {
    // A finished upload is no longer on the list, and its chunks are somebody's.
    if txn.get(Table::Uploads, key)?.is_none() {
        return Ok(true);
    }
    let mut budget = BLOB_CHUNKS_REMOVED_MAX;
    let done = remove_chunks(txn, key, &mut budget)?;
    if done {
        txn.delete(Table::Uploads, key)?;
    }
    Ok(done)
}

/// Whether every chunk is gone.
fn remove_chunks(txn: &mut Txn<'_>, key: &[u8], budget: &mut usize) -> Result<bool, Refusal> {
    let range = KeyRange::prefix(key);
    let rows = txn.keys(Table::Blobs, &range, Direction::Ascending, *budget + 1)?;
    for row in rows.iter().take(*budget) {
        txn.delete(Table::Blobs, row)?;
    }
    let done = rows.len() <= *budget;
    *budget -= rows.len().min(*budget);
    Ok(done)
}

/// Content from `from` up to `to` at most, and no further than a few chunks: never empty where `from`
/// lies before both `to` and the end.
pub(crate) fn read(
    view: &dyn View,
    home: &Home,
    blob: &Blob,
    from: u64,
    to: u64,
) -> Result<Vec<u8>, Refusal> {
    let chunk_bytes = CHUNK_BYTES as u64;
    let to = to.min(blob.size);
    let (stream, count) = (blob.key.stream(home), blob.chunks());
    // At its full length from the start: a buffer that grows leaves holes behind it in the heap.
    let most = (BLOB_PART_CHUNKS * CHUNK_BYTES) as u64;
    let length = to.saturating_sub(from).min(most);
    let mut content = Vec::with_capacity(usize::try_from(length).map_err(|_| DAMAGED)?);
    let mut at = from;
    for _ in 0..BLOB_PART_CHUNKS {
        if at >= to {
            break;
        }
        let number = u32::try_from(at / chunk_bytes).map_err(|_| DAMAGED)?;
        let key = chunk_key(home.handle, blob.key.id, number);
        let sealed = view.tx().get(Table::Blobs, &key)?.ok_or(DAMAGED)?;
        let end = if number + 1 == count {
            End::Last
        } else {
            End::More
        };
        let text = stream.open(number, end, sealed).map_err(|_| DAMAGED)?;
        let start = u64::from(number) * chunk_bytes;
        // What follows the content is padding.
        let stop = (to - start).min(chunk_bytes);
        let place = |offset: u64| usize::try_from(offset).map_err(|_| DAMAGED);
        let taken = text.get(place(at - start)?..place(stop)?).ok_or(DAMAGED)?;
        content.extend_from_slice(taken);
        at = start + stop;
    }
    Ok(content)
}
