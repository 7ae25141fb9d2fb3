//! Heads: how far the ledger reaches, and that it was complete until then.
//!
//! A signed note (as the log's checkpoints are) under an origin of its own, so that neither is taken for
//! the other; sealed, since the times of erasures are not for whoever finds a copy.

use data_encoding::BASE64;
use jiff::Timestamp;

use super::Tip;
use crate::audit::checkpoint::{CheckpointError, Note, VerifierKey, sign_note};
use crate::crypto::{Location, Secret, seal, unseal};
use crate::id::VaultId;

/// What a frame of a head begins with.
pub(super) const HEAD: u8 = 2;
/// Kind, length, position.
pub(super) const HEAD_HEAD_BYTES: usize = 1 + 4 + 8;
/// The number that stands for a table in the associated data of a head.
const TABLE: u8 = 0x84;

/// At `time` the ledger ended here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) tip: Tip,
    pub(crate) time: Timestamp,
}

fn location<'a>(vault: VaultId, position: &'a [u8; 8], hash: &'a [u8; 32]) -> Location<'a> {
    Location {
        record: hash,
        ..Location::row(vault, TABLE, position)
    }
}

impl Head {
    fn origin(key: &VerifierKey) -> String {
        format!("{}/ledger", key.name())
    }

    /// The signed note.
    pub(super) fn note(&self, vault: VaultId, seed: &Secret<32>) -> String {
        let origin = Self::origin(&VerifierKey::of(vault, seed));
        let (position, hash) = (self.tip.position, BASE64.encode(&self.tip.hash));
        let text = format!("{origin}\n{position}\n{hash}\n{}\n", self.time);
        sign_note(&text, vault, seed)
    }

    /// The frame, signed and sealed.
    pub(crate) fn frame(&self, vault: VaultId, seed: &Secret<32>, key: &Secret<32>) -> Vec<u8> {
        Self::sealed(vault, self.tip, &self.note(vault, seed), key)
    }

    /// The frame behind `tip` that holds this note.
    pub(super) fn sealed(vault: VaultId, tip: Tip, note: &str, key: &Secret<32>) -> Vec<u8> {
        let position = tip.position.to_be_bytes();
        let place = location(vault, &position, &tip.hash);
        let envelope = seal(key, 0, &place, note.as_bytes()).expect("a note is short");
        let length = u32::try_from(envelope.len()).expect("a note is short");
        let mut frame = Vec::with_capacity(HEAD_HEAD_BYTES + envelope.len());
        frame.push(HEAD);
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&position);
        frame.extend_from_slice(&envelope);
        frame
    }

    /// The note in the envelope of a head that stands behind `tip`.
    pub(super) fn unseal(
        vault: VaultId,
        key: &Secret<32>,
        tip: Tip,
        envelope: &[u8],
    ) -> Option<String> {
        let position = tip.position.to_be_bytes();
        let note = unseal(key, &location(vault, &position, &tip.hash), envelope).ok()?;
        String::from_utf8(note.to_vec()).ok()
    }

    /// The head in a note, once this key has signed it.
    pub(super) fn open(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        let head = Self::said(note.text(), key)?;
        note.verify(key)?;
        Ok(head)
    }

    /// What the text says, whoever signed it.
    pub(super) fn said(text: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let lines: Vec<&str> = text.lines().collect();
        let [origin, position, hash, time] = lines[..] else {
            return Err(CheckpointError::Form);
        };
        if origin != Self::origin(key) {
            return Err(CheckpointError::Origin);
        }
        let hash = BASE64.decode(hash.as_bytes()).ok();
        let hash = hash.and_then(|hash| hash.try_into().ok());
        match (position.parse(), hash, time.parse()) {
            (Ok(position), Some(hash), Ok(time)) => Ok(Self {
                tip: Tip { position, hash },
                time,
            }),
            _ => Err(CheckpointError::Form),
        }
    }
}
