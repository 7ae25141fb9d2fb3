//! From a stream of bytes to sealed chunks, a few at a time.
//!
//! Knows nothing of the store. What it holds does not grow with the content.

use zeroize::Zeroizing;

use super::{Blob, BlobKey, CHUNK_BYTES, Home};
use crate::crypto::{End, Stream, padded_bytes};
use crate::limits::BLOB_PART_CHUNKS;
use crate::schema::MediaType;

/// Sealed chunks that follow one another.
pub(crate) struct Part {
    /// Number of the first.
    pub(crate) first: u32,
    pub(crate) chunks: Vec<Vec<u8>>,
}

/// Seals one blob's content as it comes.
pub(crate) struct Sealer {
    key: BlobKey,
    stream: Stream,
    /// The chunk that is being filled: never full.
    text: Zeroizing<Vec<u8>>,
    /// What was sealed and not given away: the last of it stays for the commit that names the blob.
    sealed: Part,
    size: u64,
}

impl Sealer {
    pub(crate) fn new(key: BlobKey, home: &Home) -> Self {
        Self {
            stream: key.stream(home),
            key,
            text: Zeroizing::new(Vec::with_capacity(CHUNK_BYTES)),
            sealed: Part {
                first: 0,
                chunks: Vec::new(),
            },
            size: 0,
        }
    }

    /// Takes bytes away from the front of `content` until a part is full, which it then gives, or
    /// there are no more: to be called until it gives nothing.
    pub(crate) fn push(&mut self, content: &mut &[u8]) -> Option<Part> {
        while !content.is_empty() {
            let room = (CHUNK_BYTES - self.text.len()).min(content.len());
            let (taken, rest) = content.split_at(room);
            self.text.extend_from_slice(taken);
            *content = rest;
            self.size += room as u64;
            if let Some(part) = self.seal_if_full() {
                return Some(part);
            }
        }
        None
    }

    /// A full chunk is never the last: a mark follows the content, in this one or another.
    fn seal_if_full(&mut self) -> Option<Part> {
        if self.text.len() < CHUNK_BYTES {
            return None;
        }
        // The chunk before this one is not needed for the end, so a full part can go now.
        let part = self.take_full_part();
        self.seal(End::More);
        part
    }

    fn take_full_part(&mut self) -> Option<Part> {
        if self.sealed.chunks.len() < BLOB_PART_CHUNKS {
            return None;
        }
        let next = self.number();
        let full = std::mem::replace(
            &mut self.sealed,
            Part {
                first: next,
                chunks: Vec::new(),
            },
        );
        Some(full)
    }

    /// The number of the chunk that is being filled.
    fn number(&self) -> u32 {
        let held = u32::try_from(self.sealed.chunks.len()).expect("a few");
        self.sealed.first + held
    }

    fn seal(&mut self, end: End) {
        let sealed = self.stream.seal(self.number(), end, &self.text);
        self.sealed.chunks.push(sealed);
        self.text.clear();
    }

    /// Ends the content and begins its padding.
    pub(crate) fn pad(self) -> Padding {
        let mut sealer = self;
        let left = padded_bytes(sealer.size) - sealer.size - 1;
        sealer.text.push(0x80);
        Padding { sealer, left }
    }
}

/// A sealer that has had all of its content.
///
/// The whole content is padded and not its last chunk alone, which would tell the size of a long
/// recording to within a chunk. It costs an eighth at most and a thirty-second of what is long.
pub(crate) struct Padding {
    sealer: Sealer,
    left: u64,
}

impl Padding {
    /// The next full part of the padding; nothing once the rest is short. A chunk that is full is
    /// sealed as the last only where no padding is left.
    pub(crate) fn part(&mut self) -> Option<Part> {
        loop {
            let room = CHUNK_BYTES - self.sealer.text.len();
            let zeros = self.left.min(room as u64);
            let length = self.sealer.text.len() + usize::try_from(zeros).expect("within a chunk");
            self.sealer.text.resize(length, 0);
            self.left -= zeros;
            if self.left == 0 {
                return self.sealer.take_full_part();
            }
            if let Some(part) = self.sealer.seal_if_full() {
                return Some(part);
            }
        }
    }

    /// The last part, and what the field is to hold.
    pub(crate) fn end(mut self, media_type: MediaType) -> (Part, Blob) {
        assert_eq!(self.left, 0, "the caller took every part");
        self.sealer.seal(End::Last);
        let Sealer {
            key, sealed, size, ..
        } = self.sealer;
        let blob = Blob {
            key,
            size,
            media_type,
        };
        assert_eq!(
            sealed.first + u32::try_from(sealed.chunks.len()).expect("a few"),
            blob.chunks(),
            "a reader finds the last chunk by the size"
        );
        (sealed, blob)
    }
}
