//! One long text in chunks, each of which opens alone: STREAM over XChaCha20-Poly1305.
//!
//! Knows nothing of where chunks lie or how long they are. A chunk opens only at its position, as the
//! last or as one before it, and at the text's own place: none can be moved, left out, repeated or
//! cut off unnoticed by whoever knows how many there are.
//!
//! Source: Hoang, Reyhanitabar, Rogaway and Vizár, "Online Authenticated-Encryption and its
//! Nonce-Reuse Misuse-Resistance" (CRYPTO 2015); nonce = prefix ‖ position ‖ flag, as in
//! `StreamBE32` of RustCrypto's `aead-stream`.

use aead_stream::{KeyInit, NewStream, StreamBE32, StreamPrimitive};
use chacha20poly1305::XChaCha20Poly1305;
use zeroize::Zeroizing;

use super::envelope::{Location, UnsealError};
use super::{Secret, aead};

/// Length of the part of the nonce that a whole text has in common: 24 without position and flag.
pub const STREAM_NONCE_BYTES: usize = 19;
/// How much longer a sealed chunk is than its text.
pub const STREAM_TAG_BYTES: usize = aead::TAG_BYTES;

/// Whether a chunk is the last of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is.
    Last,
    /// More follow.
    More,
}

/// The cipher of one text, under a key that seals nothing else.
pub struct Stream {
    inner: StreamBE32<XChaCha20Poly1305>,
    associated: Vec<u8>,
}

impl Stream {
    /// The cipher for the text at `location`.
    #[must_use]
    pub fn new(
        key: &Secret<32>,
        nonce: &[u8; STREAM_NONCE_BYTES],
        location: &Location<'_>,
    ) -> Self {
        Self {
            inner: StreamBE32::from_aead(
                XChaCha20Poly1305::new(key.expose().into()),
                &(*nonce).into(),
            ),
            associated: location.associated_data(0),
        }
    }

    /// Seals the chunk at `position`, counted from 0; [`STREAM_TAG_BYTES`] longer than `text`.
    ///
    /// A position must be sealed once: a second text there would be under the same nonce.
    #[must_use]
    pub fn seal(&self, position: u32, end: End, text: &[u8]) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(text.len() + STREAM_TAG_BYTES);
        buffer.extend_from_slice(text);
        self.inner
            .encrypt_in_place(position, end == End::Last, &self.associated, &mut buffer)
            .expect("a chunk is far below the 256 GiB that ChaCha20 can encrypt");
        buffer
    }

    /// Opens the chunk that was sealed at `position`.
    ///
    /// # Errors
    ///
    /// [`UnsealError`] for whatever reason: other key, place, position or end, changed bytes.
    pub fn open(
        &self,
        position: u32,
        end: End,
        sealed: Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let mut buffer = Zeroizing::new(sealed);
        self.inner
            .decrypt_in_place(position, end == End::Last, &self.associated, &mut *buffer)
            .map_err(|_| UnsealError)?;
        Ok(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::id::VaultId;
    use chacha20poly1305::aead::AeadInOut;
    use proptest::prelude::*;

    const VAULT: VaultId = VaultId::from_bytes([1; 16]);

    fn place<'a>() -> Location<'a> {
        Location {
            collection: 2,
            record: b"record",
            field: 3,
            ..Location::row(VAULT, 14, b"handle and id")
        }
    }

    fn stream(seed: u64, location: &Location<'_>) -> Stream {
        let key = Secret::generate(&mut SeededEntropy::new(seed));
        Stream::new(&key, &[7; STREAM_NONCE_BYTES], location)
    }

    #[test]
    fn a_chunk_opens_at_its_position_and_place_and_nowhere_else() {
        let sealing = stream(1, &place());
        let sealed = sealing.seal(5, End::More, b"chunk");
        let open = |stream: &Stream, position, end, sealed: &[u8]| {
            stream
                .open(position, end, sealed.to_vec())
                .map(|text| text.to_vec())
        };
        assert_eq!(open(&sealing, 5, End::More, &sealed), Ok(b"chunk".to_vec()));
        assert_eq!(open(&sealing, 4, End::More, &sealed), Err(UnsealError));
        assert_eq!(open(&sealing, 5, End::Last, &sealed), Err(UnsealError));
        let other_key = stream(2, &place());
        assert_eq!(open(&other_key, 5, End::More, &sealed), Err(UnsealError));
        let other = |change: fn(&mut Location<'_>)| {
            let mut location = place();
            change(&mut location);
            let moved = stream(1, &location);
            assert_eq!(open(&moved, 5, End::More, &sealed), Err(UnsealError));
        };
        other(|l| l.vault = VaultId::from_bytes([2; 16]));
        other(|l| l.table = 4);
        other(|l| l.row = b"handle and ie");
        other(|l| l.collection = 3);
        other(|l| l.record = b"recorc");
        other(|l| l.field = 4);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(open(&sealing, 5, End::More, &changed), Err(UnsealError));
            assert_eq!(
                open(&sealing, 5, End::More, &sealed[..index]),
                Err(UnsealError)
            );
        }
    }

    proptest! {
        #[test]
        fn the_nonce_is_prefix_position_and_flag(
            text in prop::collection::vec(any::<u8>(), 0..300), position: u32, last: bool,
        ) {
            let key = Secret::generate(&mut SeededEntropy::new(3));
            let stream = Stream::new(&key, &[9; STREAM_NONCE_BYTES], &place());
            let end = if last { End::Last } else { End::More };
            let mut nonce = [9; 24];
            nonce[19..23].copy_from_slice(&position.to_be_bytes());
            nonce[23] = u8::from(last);
            let mut expected = text.clone();
            XChaCha20Poly1305::new(key.expose().into())
                .encrypt_in_place(&nonce.into(), &place().associated_data(0), &mut expected)
                .unwrap();
            prop_assert_eq!(stream.seal(position, end, &text), expected);
        }
    }
}
