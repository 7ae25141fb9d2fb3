//! Rows as bytes: a version, then `bincode` of a struct that exists only to be stored.
//!
//! The only module that knows `bincode` (2.0.1, whose format is frozen; docs/decisions/0003).
//! Knows nothing of what the structs mean. What comes back from a disk is bounded before it is
//! decoded, and must be used up to its last byte.

use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::limits::ROW_BYTES_MAX;

const VERSION: u8 = 1;

type Configuration = bincode::config::Configuration<bincode::config::BigEndian>;

fn configuration() -> Configuration {
    bincode::config::standard().with_big_endian()
}

/// Bytes that are no row of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored row is not of the expected form")]
pub struct RowError;

/// The bytes of `row`; overwritten when dropped, since rows hold keys and values.
///
/// # Panics
///
/// Never for the structs of this crate, whose parts all have a bincode form.
pub fn encode<T: Serialize>(row: &T) -> Zeroizing<Vec<u8>> {
    let mut bytes = Bytes(Zeroizing::new(Vec::with_capacity(256)));
    bytes.add(&[VERSION]);
    bincode::serde::encode_into_writer(row, &mut bytes, configuration())
        .expect("stored structs have a binary form");
    bytes.0
}

/// Writes a row part by part, as [`encode`] writes a struct of these parts.
pub(crate) struct PartWriter(Bytes);

impl PartWriter {
    /// With room for so many bytes; more is made where it is too little.
    pub(crate) fn new(bytes: usize) -> Self {
        let mut row = Bytes(Zeroizing::new(Vec::with_capacity(1 + bytes)));
        row.add(&[VERSION]);
        Self(row)
    }

    /// A number, or how many follow.
    pub(crate) fn number(&mut self, number: impl bincode::Encode) {
        bincode::encode_into_writer(number, &mut self.0, configuration())
            .expect("a number has a binary form");
    }

    /// Bytes of which there are always as many.
    pub(crate) fn bytes<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.0.add(bytes);
    }

    pub(crate) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0.0
    }
}

/// Reads a row part by part, as [`decode`] reads a struct of these parts.
pub(crate) struct PartReader<'b>(&'b [u8]);

impl<'b> PartReader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Result<Self, RowError> {
        body(bytes).map(Self)
    }

    pub(crate) fn number<T: bincode::Decode<()>>(&mut self) -> Result<T, RowError> {
        let decoded = bincode::decode_from_slice(self.0, configuration());
        let (number, used) = decoded.map_err(|_| RowError)?;
        self.0 = &self.0[used..];
        Ok(number)
    }

    /// How many follow, of which each has at least so many bytes.
    pub(crate) fn count(&mut self, least: usize) -> Result<usize, RowError> {
        let count = self.number()?;
        match self.0.len() / least >= count {
            true => Ok(count),
            false => Err(RowError),
        }
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<&'b [u8; N], RowError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(RowError)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// Nothing may follow.
    pub(crate) fn end(self) -> Result<(), RowError> {
        self.0.is_empty().then_some(()).ok_or(RowError)
    }
}

/// The bytes of a row that is being written. A `Vec` that grows leaves what it held behind in the memory before.
struct Bytes(Zeroizing<Vec<u8>>);

impl Bytes {
    /// Inline, since the bytes of a key come one by one.
    #[inline]
    fn add(&mut self, bytes: &[u8]) {
        if self.0.capacity() - self.0.len() < bytes.len() {
            self.grow(bytes.len());
        }
        match bytes {
            [byte] => self.0.push(*byte),
            bytes => self.0.extend_from_slice(bytes),
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let capacity = (self.0.capacity() * 2).max(self.0.len() + more);
        let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
        larger.extend_from_slice(&self.0);
        // The one before is overwritten here.
        self.0 = larger;
    }
}

impl Writer for Bytes {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.add(bytes);
        Ok(())
    }
}

/// The row in `bytes`.
///
/// # Errors
///
/// [`RowError`] for another version, another form, or bytes left over.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RowError> {
    decode_borrowed(bytes)
}

/// The row in `bytes`, whose lists of bytes may be borrowed from there.
///
/// # Errors
///
/// As for [`decode`].
pub fn decode_borrowed<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Result<T, RowError> {
    let body = body(bytes)?;
    let limited = configuration().with_limit::<ROW_BYTES_MAX>();
    let decoded = bincode::serde::borrow_decode_from_slice(body, limited);
    let (row, used) = decoded.map_err(|_| RowError)?;
    if used != body.len() {
        return Err(RowError);
    }
    Ok(row)
}

/// What is behind the version.
fn body(bytes: &[u8]) -> Result<&[u8], RowError> {
    let (&version, body) = bytes.split_first().ok_or(RowError)?;
    match version == VERSION && body.len() <= ROW_BYTES_MAX {
        true => Ok(body),
        false => Err(RowError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Sample = (u32, Vec<(u16, Vec<u8>)>, Option<String>);

    proptest! {
        #[test]
        fn a_row_reads_back(row: Sample) {
            prop_assert_eq!(decode::<Sample>(&encode(&row)), Ok(row));
        }

        #[test]
        fn no_bytes_make_decode_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Sample>(&bytes);
        }
    }

    proptest! {
        #[test]
        fn a_list_of_bytes_reads_the_same_borrowed(rows: Vec<(u16, Vec<u8>)>) {
            let bytes = encode(&rows);
            let borrowed = decode_borrowed::<Vec<(u16, &[u8])>>(&bytes).unwrap();
            let owned: Vec<(u16, Vec<u8>)> =
                borrowed.iter().map(|(number, bytes)| (*number, bytes.to_vec())).collect();
            prop_assert_eq!(owned, rows);
        }
    }

    /// What would be lost: keys in memory that nobody overwrites, after a keyset outgrew its first place.
    #[test]
    fn a_row_that_grows_leaves_nothing_in_the_memory_before() {
        use crate::keys::shred::residue::Residue;
        const RESIDUE: Residue = Residue(*b"\x91gR\x0c\xe4w\x07s");
        const COUNT: u32 = 400;
        let row: Vec<Vec<u8>> = (0..COUNT)
            .map(|number| RESIDUE.payload(number).to_vec())
            .collect();
        let mut bytes = encode(&row);
        assert!(bytes.len() > 40 * 256, "it grew more than once");
        assert_eq!(decode::<Vec<Vec<u8>>>(&bytes), Ok(row.clone()));
        zeroize::Zeroize::zeroize(&mut *bytes);
        for mut payload in row {
            zeroize::Zeroize::zeroize(&mut payload);
        }
        // What a stack still has is no more than it was at work with last.
        let left = RESIDUE.count(COUNT);
        assert!(left <= 8, "{left}");
    }

    #[test]
    fn another_version_and_bytes_left_over_are_refused() {
        let mut bytes = encode(&7u32).to_vec();
        assert_eq!(decode::<u32>(&bytes), Ok(7));
        bytes.push(0);
        assert_eq!(decode::<u32>(&bytes), Err(RowError));
        bytes.pop();
        bytes[0] = 2;
        assert_eq!(decode::<u32>(&bytes), Err(RowError));
    }
}
