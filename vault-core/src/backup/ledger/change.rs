//! Frames that say that another key signs from here on, so that whoever restores an older backup, and
//! knows the key of then alone, takes the heads behind them for what they are.
//!
//! The note is the one that the system keyset holds (`audit::signer`), signed by the former key and the
//! next; it may stand behind any entry. Sealed as a head is, under a number of its own.

use super::Tip;
use super::head::HEAD_HEAD_BYTES;
use crate::crypto::{Location, Secret, seal, unseal};
use crate::id::VaultId;
use crate::keys::system::PastSigner;

/// What such a frame begins with; the rest of its beginning is that of a head.
pub(super) const CHANGE: u8 = 3;
/// The number that stands for a table in the associated data.
const TABLE: u8 = 0x85;

fn location<'a>(vault: VaultId, position: &'a [u8; 8], hash: &'a [u8; 32]) -> Location<'a> {
    Location {
        record: hash,
        ..Location::row(vault, TABLE, position)
    }
}

/// The frame behind `tip` that leads on from a former key.
pub(crate) fn frame(vault: VaultId, tip: Tip, past: &PastSigner, key: &Secret<32>) -> Vec<u8> {
    let position = tip.position.to_be_bytes();
    let place = location(vault, &position, &tip.hash);
    let envelope = seal(key, 0, &place, past.note.as_bytes()).expect("a note is short");
    let length = u32::try_from(envelope.len()).expect("a note is short");
    let mut frame = Vec::with_capacity(HEAD_HEAD_BYTES + envelope.len());
    frame.push(CHANGE);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&position);
    frame.extend_from_slice(&envelope);
    frame
}

/// The note in the envelope of such a frame behind `tip`.
pub(super) fn open(vault: VaultId, key: &Secret<32>, tip: Tip, envelope: &[u8]) -> Option<String> {
    let position = tip.position.to_be_bytes();
    let note = unseal(key, &location(vault, &position, &tip.hash), envelope).ok()?;
    String::from_utf8(note.to_vec()).ok()
}
