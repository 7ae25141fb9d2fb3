//! Keys, marks and envelopes, as docs/format.md "Envelope v1" and "Derivations" describe them.

#![expect(missing_docs, reason = "members are named as in docs/format.md")]

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::{Hkdf, HkdfExtract};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// A symmetric key.
pub type Key = [u8; 32];
/// An identifier: of a vault, a person, a row, a blob.
pub type Id = [u8; 16];

/// Version, key number, nonce.
pub const HEADER: usize = 1 + 4 + 24;
/// What an envelope has beyond its padded value.
pub const OVERHEAD: usize = HEADER + 16;

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn with_length(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u32).to_be_bytes());
    bytes.extend(part);
}

/// HKDF-SHA-256 with the label and context of the document.
pub fn derive(material: &[&[u8]], salt: &[u8], label: &str, context: &[&[u8]]) -> Key {
    let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
    material.iter().for_each(|part| extract.input_ikm(part));
    let expand: Hkdf<Sha256> = extract.finalize().1;
    let mut info = Vec::new();
    with_length(&mut info, label.as_bytes());
    context.iter().for_each(|part| with_length(&mut info, part));
    let mut key = [0; 32];
    expand.expand(&info, &mut key).unwrap();
    key
}

/// HMAC-SHA-256 over parts, each preceded by its length.
pub fn mac(key: &Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut input = Vec::new();
    parts.iter().for_each(|part| with_length(&mut input, part));
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(&input);
    mac.finalize().into_bytes().into()
}

/// Argon2id to 32 bytes.
pub fn stretch(passphrase: &[u8], salt: &[u8], [memory, passes, lanes]: [u32; 3]) -> Key {
    let cost = Params::new(memory, passes, lanes, Some(32)).unwrap();
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, cost)
        .hash_password_into(passphrase, salt, &mut key)
        .unwrap();
    key
}

/// Where an envelope stands; what a kind of row does not have stays empty or zero.
#[derive(Clone, Copy, Default)]
pub struct Place<'a> {
    pub table: u8,
    pub row: &'a [u8],
    pub compartment: u16,
    pub collection: u16,
    pub record: &'a [u8],
    pub field: u16,
    pub revision: &'a [u8],
    pub policy: u32,
}

impl<'a> Place<'a> {
    /// A place that is named by table and row alone.
    pub fn row(table: u8, row: &'a [u8]) -> Self {
        Self {
            table,
            row,
            ..Self::default()
        }
    }

    /// The associated data of an envelope here.
    pub fn associated(&self, vault: &Id, number: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(160);
        let parts: [&[u8]; 11] = [
            &[1],
            &number.to_be_bytes(),
            vault,
            &[self.table],
            self.row,
            &self.compartment.to_be_bytes(),
            &self.collection.to_be_bytes(),
            self.record,
            &self.field.to_be_bytes(),
            self.revision,
            &self.policy.to_be_bytes(),
        ];
        parts.iter().for_each(|part| with_length(&mut bytes, part));
        bytes
    }
}

/// Length of a value of `length` bytes with its padding.
pub fn padded(length: usize) -> usize {
    if length <= 256 {
        return length.max(1).next_multiple_of(32) + 1;
    }
    let exponent = length.ilog2();
    let step = 1usize << (exponent - exponent.ilog2() - 1);
    length.next_multiple_of(step) + 1
}

/// Length of the value in a padded text, if that is what it is.
pub fn unpadded(text: &[u8]) -> Option<usize> {
    let mark = text.iter().rposition(|byte| *byte != 0)?;
    (text[mark] == 0x80 && padded(mark) == text.len()).then_some(mark)
}

/// Bytes of padded content in every chunk of a blob but the last.
pub const CHUNK: usize = 262_080;

/// The nonce of a chunk.
pub fn chunk_nonce(prefix: &[u8; 19], chunk: u32, last: bool) -> [u8; 24] {
    let nonce = [&prefix[..], &chunk.to_be_bytes(), &[u8::from(last)]].concat();
    nonce.try_into().unwrap()
}

/// What a chunk of a blob holds, if it opens under this key at this place; a last one with its padding.
pub fn open_chunk(
    key: &Key,
    nonce: &[u8; 24],
    vault: &Id,
    place: &Place<'_>,
    sealed: &[u8],
) -> Option<Vec<u8>> {
    let nonce = XNonce::try_from(&nonce[..]).ok()?;
    let mut text = sealed.to_vec();
    XChaCha20Poly1305::new(key.into())
        .decrypt_in_place(&nonce, &place.associated(vault, 0), &mut text)
        .ok()?;
    Some(text)
}

/// The key number of an envelope, in clear.
pub fn number_of(envelope: &[u8]) -> u32 {
    assert_eq!(envelope[0], 1, "the envelope's version");
    u32::from_be_bytes(envelope[1..5].try_into().unwrap())
}

/// What an envelope holds, if it opens under this key at this place.
pub fn open(key: &Key, vault: &Id, place: &Place<'_>, envelope: &[u8]) -> Option<Vec<u8>> {
    if envelope.len() < OVERHEAD || envelope[0] != 1 {
        return None;
    }
    let nonce = XNonce::try_from(&envelope[5..HEADER]).ok()?;
    let mut text = envelope[HEADER..].to_vec();
    XChaCha20Poly1305::new(key.into())
        .decrypt_in_place(
            &nonce,
            &place.associated(vault, number_of(envelope)),
            &mut text,
        )
        .ok()?;
    let length = unpadded(&text).expect("what opens is padded as the document says");
    text.truncate(length);
    Some(text)
}
