//! XChaCha20-Poly1305, without an opinion on keys or nonces.
//!
//! HChaCha20 from `chacha20`, then ChaCha20-Poly1305 from `ring`: the same bytes as the
//! `chacha20poly1305` crate, of which a small field costs a seventh (docs/decisions/0002). That
//! crate is the reference here: [`self_test`] compares the two each time a vault is opened.
//!
//! Source: draft-irtf-cfrg-xchacha-03 §2; RFC 8439.

use chacha20::cipher::array::Array;
use chacha20::hchacha;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

/// Length of the authentication tag.
pub(super) const TAG_BYTES: usize = 16;
/// Length of the nonce.
pub(super) const NONCE_BYTES: usize = 24;

fn cipher(key: &[u8; 32], nonce: &[u8; NONCE_BYTES]) -> (LessSafeKey, Nonce) {
    let input: [u8; 16] = nonce[..16].try_into().expect("sixteen of twenty-four");
    let mut subkey = hchacha::<chacha20::R20>(&Array(*key), &Array(input));
    let unbound = UnboundKey::new(&CHACHA20_POLY1305, &subkey).expect("thirty-two bytes");
    subkey.as_mut_slice().zeroize();
    let mut rest = [0; 12];
    rest[4..].copy_from_slice(&nonce[16..]);
    (
        LessSafeKey::new(unbound),
        Nonce::assume_unique_for_key(rest),
    )
}

/// Encrypts `buffer[from..]` in place and appends the tag.
pub(super) fn seal(
    key: &[u8; 32],
    nonce: &[u8; NONCE_BYTES],
    aad: &[u8],
    buffer: &mut Vec<u8>,
    from: usize,
) {
    let (cipher, nonce) = cipher(key, nonce);
    let tag = cipher
        .seal_in_place_separate_tag(nonce, Aad::from(aad), &mut buffer[from..])
        .expect("an envelope is far below the 256 GiB that ChaCha20 can encrypt");
    buffer.extend_from_slice(tag.as_ref());
}

/// Decrypts ciphertext and tag in place; the plaintext's length, or `None` if it does not open.
pub(super) fn open(
    key: &[u8; 32],
    nonce: &[u8; NONCE_BYTES],
    aad: &[u8],
    buffer: &mut [u8],
) -> Option<usize> {
    let (cipher, nonce) = cipher(key, nonce);
    cipher
        .open_in_place(nonce, Aad::from(aad), buffer)
        .ok()
        .map(|plaintext| plaintext.len())
}

/// Whether this machine computes the same bytes by both implementations, and the known answer of
/// the draft: run once before a vault is opened, so that a miscompiled cipher cannot write.
#[must_use]
pub fn self_test() -> bool {
    let key: [u8; 32] = core::array::from_fn(|i| 0x80 + i as u8);
    let nonce: [u8; NONCE_BYTES] = core::array::from_fn(|i| 0x40 + i as u8);
    let aad = [
        0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7,
    ];
    let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    let mut ours = text.to_vec();
    seal(&key, &nonce, &aad, &mut ours, 0);
    let reference = chacha20poly1305::XChaCha20Poly1305::new(&key.into());
    let mut theirs = text.to_vec();
    if reference
        .encrypt_in_place(&nonce.into(), &aad, &mut theirs)
        .is_err()
    {
        return false;
    }
    // The tag of the draft's A.3.1.
    let known = [
        0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79, 0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a, 0xcf,
        0x49,
    ];
    let mut back = ours.clone();
    ours == theirs
        && ours.ends_with(&known)
        && open(&key, &nonce, &aad, &mut back) == Some(text.len())
        && back.starts_with(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_known_answer_of_the_draft_is_computed() {
        assert!(self_test());
    }

    proptest! {
        #[test]
        fn both_implementations_write_the_same_bytes(
            key: [u8; 32], nonce: [u8; 24],
            aad in prop::collection::vec(any::<u8>(), 0..64),
            text in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut ours = text.clone();
            seal(&key, &nonce, &aad, &mut ours, 0);
            let reference = chacha20poly1305::XChaCha20Poly1305::new(&key.into());
            let mut theirs = text.clone();
            reference.encrypt_in_place(&nonce.into(), &aad, &mut theirs).unwrap();
            prop_assert_eq!(ours, theirs);
        }
    }
}
