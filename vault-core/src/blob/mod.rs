//! Blobs: content too long for a field's envelope, in chunks of its own under a key of its own.
//!
//! The field holds the key: whatever ends the field's value (an erasure, a new key after a removal)
//! ends the content. Until an upload is finished its key is in memory alone, so that one that breaks
//! leaves nothing that could be opened. Knows nothing of policies, purposes or grants, and nothing
//! of what the bytes are. Layout: docs/format.md "Blobs".

mod rows;
mod sealer;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::crypto::{Location, STREAM_NONCE_BYTES, STREAM_TAG_BYTES, Secret, Stream, padded_bytes};
use crate::entropy::Entropy;
use crate::id::{RecordId, RowHandle, VaultId};
use crate::limits::BLOB_BYTES_MAX;
use crate::row;
use crate::schema::MediaType;
use crate::store::Table;

pub(crate) use rows::{any, clear, complete, put, read, remove, upload_key};
pub(crate) use sealer::{Part, Sealer};

/// What a page of redb has beside the one row in it: four bytes, and the lengths of key and value.
/// Source: redb 4.6, `RawLeafBuilder::required_bytes`.
const PAGE_OVERHEAD: usize = 4 + 4 + 4;
/// Handle, blob id, number.
const CHUNK_KEY_BYTES: usize = 16 + 16 + 4;
/// Bytes of text in every chunk but the last. redb gives a long row a power of two of 4 KiB pages:
/// with its key and tag this one fills 256 KiB to the last byte, and one byte more would take 512.
pub(crate) const CHUNK_BYTES: usize =
    (256 << 10) - PAGE_OVERHEAD - CHUNK_KEY_BYTES - STREAM_TAG_BYTES;

/// Names one upload: 16 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct BlobId([u8; 16]);

impl BlobId {
    pub(crate) fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Where a blob stands: part of the associated data of each chunk.
#[derive(Clone, Copy)]
pub(crate) struct Home {
    pub(crate) vault: VaultId,
    pub(crate) handle: RowHandle,
    pub(crate) collection: u16,
    pub(crate) record: RecordId,
    pub(crate) field: u16,
}

/// What seals a blob's chunks, before anybody knows how long it is.
pub(crate) struct BlobKey {
    pub(crate) id: BlobId,
    key: Secret<32>,
    nonce: [u8; STREAM_NONCE_BYTES],
}

impl BlobKey {
    pub(crate) fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut nonce = [0; STREAM_NONCE_BYTES];
        entropy.fill(&mut nonce);
        Self {
            id: BlobId::generate(entropy),
            key: Secret::generate(entropy),
            nonce,
        }
    }

    pub(crate) fn stream(&self, home: &Home) -> Stream {
        let row = [&home.handle.as_bytes()[..], &self.id.0].concat();
        let location = Location {
            collection: home.collection,
            record: home.record.as_bytes(),
            field: home.field,
            ..Location::row(home.vault, Table::Blobs.number(), &row)
        };
        Stream::new(&self.key, &self.nonce, &location)
    }
}

/// The stored value of a field of type `blob`.
pub(crate) struct Blob {
    pub(crate) key: BlobKey,
    /// Bytes of content, without padding.
    pub(crate) size: u64,
    pub(crate) media_type: MediaType,
}

#[derive(Serialize, Deserialize)]
struct BlobRow {
    id: BlobId,
    key: Secret<32>,
    nonce: [u8; STREAM_NONCE_BYTES],
    size: u64,
    media_type: String,
}

impl Blob {
    /// The stored form. It begins with a row's version, as no JSON text does.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let Self {
            key: BlobKey { id, key, nonce },
            size,
            media_type,
        } = self;
        row::encode(&BlobRow {
            id: *id,
            key: key.duplicate(),
            nonce: *nonce,
            size: *size,
            media_type: media_type.as_str().to_owned(),
        })
    }

    /// The blob whose stored form this is; `None` for any other bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let BlobRow {
            id,
            key,
            nonce,
            size,
            media_type,
        } = row::decode(bytes).ok()?;
        (size <= BLOB_BYTES_MAX).then_some(())?;
        // What was stored is in the form in which it would be read again.
        let media_type =
            MediaType::parse(&media_type).filter(|read| read.as_str() == media_type)?;
        Some(Self {
            key: BlobKey { id, key, nonce },
            size,
            media_type,
        })
    }

    /// What a record shows in the place of the content.
    pub(crate) fn to_value(&self) -> Value {
        json!({"media_type": self.media_type.as_str(), "size": self.size})
    }

    /// How many chunks there are: those of content and padding.
    pub(crate) fn chunks(&self) -> u32 {
        let chunks = padded_bytes(self.size).div_ceil(CHUNK_BYTES as u64);
        u32::try_from(chunks)
            .expect("at most BLOB_BYTES_MAX and an eighth, by the quarter megabyte")
    }
}
