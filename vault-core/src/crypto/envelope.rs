//! Envelope v1, the only ciphertext form: version, key number, nonce, ciphertext, tag.
//!
//! Knows nothing of which key belongs to whom. What an envelope is and where it stands is
//! authenticated, so that it opens nowhere else.

use zeroize::Zeroizing;

use super::Secret;
use super::aead::{self, NONCE_BYTES, TAG_BYTES};
use super::padding;
use crate::entropy;
use crate::id::VaultId;
use crate::limits::VALUE_BYTES_MAX;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + 4 + NONCE_BYTES;
/// How much longer an envelope is than the padded value in it, the padding's mark byte counted.
pub const ENVELOPE_OVERHEAD: usize = HEADER_BYTES + TAG_BYTES + 1;

/// Where an envelope stands: its associated data.
///
/// One form for everything that is sealed; what a kind of row does not have is empty or zero.
#[derive(Clone, Copy, Debug)]
pub struct Location<'a> {
    /// The vault.
    pub vault: VaultId,
    /// The table's number; files that are no table have numbers from 0x80.
    pub table: u8,
    /// The row handle, or the row's key where it belongs to nobody.
    pub row: &'a [u8],
    /// The compartment whose key seals it.
    pub compartment: u16,
    /// Numeric id of the collection (of the purpose, for a consent).
    pub collection: u16,
    /// The record's id.
    pub record: &'a [u8],
    /// Numeric id of the field; zero for the record's metadata.
    pub field: u16,
    /// The revision at which this envelope was written.
    pub revision: &'a [u8],
    /// Version of the policy under which it was written.
    pub schema: u32,
}

impl<'a> Location<'a> {
    /// The place of a row that belongs to no record.
    #[must_use]
    pub fn row(vault: VaultId, table: u8, row: &'a [u8]) -> Self {
        Self {
            vault,
            table,
            row,
            compartment: 0,
            collection: 0,
            record: &[],
            field: 0,
            revision: &[],
            schema: 0,
        }
    }

    pub(super) fn associated_data(&self, key_number: u32) -> Vec<u8> {
        // Destructured, so that a new part breaks this line until it is authenticated as well.
        let Self {
            vault,
            table,
            row,
            compartment,
            collection,
            record,
            field,
            revision,
            schema,
        } = self;
        let mut bytes = Vec::with_capacity(160);
        let mut part = |part: &[u8]| {
            let length = u32::try_from(part.len()).expect("keys are short");
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(part);
        };
        part(&[VERSION]);
        part(&key_number.to_be_bytes());
        part(vault.as_bytes());
        part(&[*table]);
        part(row);
        part(&compartment.to_be_bytes());
        part(&collection.to_be_bytes());
        part(record);
        part(&field.to_be_bytes());
        part(revision);
        part(&schema.to_be_bytes());
        bytes
    }
}

/// Why a value could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Over [`VALUE_BYTES_MAX`].
    #[error("a value has at most {VALUE_BYTES_MAX} bytes")]
    TooLong,
}

/// An envelope did not open. One meaning, one message: it is not what was sealed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an envelope does not open at its place")]
pub struct UnsealError;

/// Seals `value`, at most [`VALUE_BYTES_MAX`] bytes, at `location` under `key`, whose number is
/// written in clear.
///
/// The result is [`ENVELOPE_OVERHEAD`] bytes longer than the value's bucket (32-byte steps, then
/// Padmé). It opens only at the same `location`. Does not detect a whole older row put back.
///
/// # Errors
///
/// [`SealError::TooLong`]. Nothing else fails.
///
/// Source: XChaCha20-Poly1305, draft-irtf-cfrg-xchacha-03; random nonces, from a generator that is
/// reseeded once a write transaction.
pub fn seal(
    key: &Secret<32>,
    key_number: u32,
    location: &Location<'_>,
    value: &[u8],
) -> Result<Vec<u8>, SealError> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(SealError::TooLong);
    }
    let nonce = entropy::nonce();
    let size = HEADER_BYTES + padding::padded_len(value.len()) + TAG_BYTES;
    let mut envelope = Vec::with_capacity(size);
    envelope.push(VERSION);
    envelope.extend_from_slice(&key_number.to_be_bytes());
    envelope.extend_from_slice(&nonce);
    padding::pad(&mut envelope, value);
    let aad = location.associated_data(key_number);
    aead::seal(key.expose(), &nonce, &aad, &mut envelope, HEADER_BYTES);
    assert_eq!(
        envelope.len(),
        size,
        "an envelope's size follows from its bucket"
    );
    Ok(envelope)
}

/// Seals a text that is padded already, well or badly: for vectors of what must not open.
#[cfg(test)]
pub(crate) fn seal_padded(
    key: &Secret<32>,
    number: u32,
    location: &Location<'_>,
    padded: &[u8],
) -> Vec<u8> {
    let nonce = entropy::nonce();
    let mut envelope = [&[VERSION][..], &number.to_be_bytes(), &nonce, padded].concat();
    let aad = location.associated_data(number);
    aead::seal(key.expose(), &nonce, &aad, &mut envelope, HEADER_BYTES);
    envelope
}

/// The number of the key that an envelope says it was sealed under; `None` if it is no envelope.
#[must_use]
pub fn key_number(envelope: &[u8]) -> Option<u32> {
    if envelope.len() < HEADER_BYTES + TAG_BYTES || envelope[0] != VERSION {
        return None;
    }
    let number = envelope[1..5].try_into().expect("four bytes");
    Some(u32::from_be_bytes(number))
}

/// Opens an envelope that was sealed at `location` under `key`.
///
/// # Errors
///
/// [`UnsealError`] for whatever reason: other key, other place, changed bytes, other version.
pub fn unseal(
    key: &Secret<32>,
    location: &Location<'_>,
    envelope: &[u8],
) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
    let number = key_number(envelope).ok_or(UnsealError)?;
    let nonce: &[u8; NONCE_BYTES] = envelope[5..HEADER_BYTES]
        .try_into()
        .expect("checked by key_number");
    let mut buffer = Zeroizing::new(envelope[HEADER_BYTES..].to_vec());
    let aad = location.associated_data(number);
    let length = aead::open(key.expose(), nonce, &aad, &mut buffer).ok_or(UnsealError)?;
    let value = padding::unpadded_len(&buffer[..length]).ok_or(UnsealError)?;
    buffer.truncate(value);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use proptest::prelude::*;

    const VAULT: VaultId = VaultId::from_bytes([1; 16]);

    fn place<'a>() -> Location<'a> {
        Location {
            vault: VAULT,
            table: 4,
            row: b"handle",
            compartment: 1,
            collection: 2,
            record: b"record",
            field: 3,
            revision: b"revision",
            schema: 4,
        }
    }

    #[test]
    fn an_envelope_moved_anywhere_does_not_unseal() {
        let key = Secret::generate(&mut SeededEntropy::new(1));
        let sealed = seal(&key, 9, &place(), b"value").unwrap();
        assert_eq!(&*unseal(&key, &place(), &sealed).unwrap(), b"value");
        let other = |change: fn(&mut Location<'_>)| {
            let mut location = place();
            change(&mut location);
            assert_eq!(unseal(&key, &location, &sealed), Err(UnsealError));
        };
        other(|l| l.vault = VaultId::from_bytes([2; 16]));
        other(|l| l.table = 5);
        other(|l| l.row = b"handlf");
        other(|l| l.compartment = 2);
        other(|l| l.collection = 3);
        other(|l| l.record = b"recorc");
        other(|l| l.field = 4);
        other(|l| l.revision = b"");
        other(|l| l.schema = 5);
        // Bytes moved from one part into the next.
        other(|l| (l.record, l.revision) = (b"recordr", b"evision"));
    }

    #[test]
    fn every_changed_byte_and_another_key_are_refused() {
        let key = Secret::generate(&mut SeededEntropy::new(2));
        let sealed = seal(&key, 9, &place(), b"value").unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(unseal(&key, &place(), &changed), Err(UnsealError));
        }
        for length in 0..sealed.len() {
            assert_eq!(unseal(&key, &place(), &sealed[..length]), Err(UnsealError));
        }
        let other = Secret::generate(&mut SeededEntropy::new(3));
        assert_eq!(unseal(&other, &place(), &sealed), Err(UnsealError));
    }

    #[test]
    fn the_size_tells_the_bucket_alone() {
        let key = Secret::generate(&mut SeededEntropy::new(4));
        let size = |length| seal(&key, 1, &place(), &vec![b'x'; length]).unwrap().len();
        assert_eq!(size(0), size(32));
        assert_eq!(size(33), size(64));
        assert_eq!(size(64), 64 + ENVELOPE_OVERHEAD);
        let long = vec![0; VALUE_BYTES_MAX + 1];
        assert_eq!(seal(&key, 1, &place(), &long), Err(SealError::TooLong));
    }

    proptest! {
        #[test]
        fn no_bytes_make_unseal_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let key = Secret::take(&mut [0; 32]);
            prop_assert_eq!(unseal(&key, &place(), &bytes), Err(UnsealError));
        }
    }
}
