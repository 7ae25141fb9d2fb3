//! Whose signature counts: the present key's, and that of each key before it for what it signed then.
//!
//! A key is followed by another with a note that both have signed: whoever kept the former key alone
//! comes to the present one by it, and an old key that leaked vouches for nothing after its end.
//! Knows nothing of when keys change.

use crate::crypto::Secret;
use crate::id::VaultId;
use crate::keys::system::{PastSigner, SystemKeys};

use super::checkpoint::{Checkpoint, CheckpointError, Note, VerifierKey, cosign, sign_note};

/// What a note about a key says: the next key, and where the former one's work ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// The key from then on.
    pub next: VerifierKey,
    /// Entries of the log that the former key's last checkpoint is over.
    pub until: u64,
    /// Entries of the erasure ledger that its last head is behind.
    pub ledger: u64,
}

fn origin(name: &str) -> String {
    format!("{name}/signer")
}

impl KeyChange {
    /// The note, signed by both keys; and what the keyset keeps of the former.
    #[must_use]
    pub fn sign(
        vault: VaultId,
        former: &Secret<32>,
        next: &Secret<32>,
        until: u64,
        ledger: u64,
    ) -> PastSigner {
        let (old, new) = (VerifierKey::of(vault, former), VerifierKey::of(vault, next));
        let text = format!("{}\n{new}\n{until}\n{ledger}\n", origin(old.name()));
        let note = cosign(sign_note(&text, vault, next), &text, vault, former);
        PastSigner {
            key: old.bytes(),
            until,
            ledger,
            note,
        }
    }

    /// What a note says, once this key has signed it: the former one, or the next itself.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`].
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        let lines: Vec<&str> = note.text().lines().collect();
        let [named, next, until, ledger] = lines[..] else {
            return Err(CheckpointError::Form);
        };
        if named != origin(key.name()) {
            return Err(CheckpointError::Origin);
        }
        let next = VerifierKey::parse(next)?;
        if next.name() != key.name() {
            return Err(CheckpointError::Origin);
        }
        let (Ok(until), Ok(ledger)) = (until.parse(), ledger.parse()) else {
            return Err(CheckpointError::Form);
        };
        note.verify(key)?;
        Ok(Self {
            next,
            until,
            ledger,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    key: VerifierKey,
    /// Its end, in entries of the log and of the ledger; none for the present one.
    ends: Option<(u64, u64)>,
}

/// The keys of one vault that count, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signers(Vec<Known>);

impl From<VerifierKey> for Signers {
    /// This key alone, for everything.
    fn from(key: VerifierKey) -> Self {
        Self(vec![Known { key, ends: None }])
    }
}

impl Signers {
    /// Those that a system keyset knows.
    #[must_use]
    pub fn of(vault: VaultId, keys: &SystemKeys) -> Self {
        Self::new(vault, &keys.signing, &keys.signers)
    }

    /// The present key, and those before it.
    #[must_use]
    pub fn new(vault: VaultId, signing: &Secret<32>, past: &[PastSigner]) -> Self {
        let past = past.iter().filter_map(|past| {
            let key = VerifierKey::from_bytes(vault, &past.key)?;
            let ends = Some((past.until, past.ledger));
            Some(Known { key, ends })
        });
        let present = Known {
            key: VerifierKey::of(vault, signing),
            ends: None,
        };
        Self(past.chain([present]).collect())
    }

    /// The present key.
    ///
    /// # Panics
    ///
    /// Never: there is always one.
    #[must_use]
    pub fn present(&self) -> &VerifierKey {
        &self.0.last().expect("never empty").key
    }

    /// The keys before it, oldest first, each with the number of entries that its last checkpoint is
    /// over.
    pub fn past(&self) -> impl Iterator<Item = (&VerifierKey, u64)> {
        let ends = |known: &Known| known.ends.map(|(until, _)| until);
        self.0
            .iter()
            .filter_map(move |known| Some((&known.key, ends(known)?)))
    }

    fn first<T>(
        &self,
        mut open: impl FnMut(&Known) -> Result<T, CheckpointError>,
    ) -> Result<T, CheckpointError> {
        let mut error = CheckpointError::Signature;
        for known in self.0.iter().rev() {
            match open(known) {
                Ok(found) => return Ok(found),
                Err(found) => error = found,
            }
        }
        Err(error)
    }

    /// The checkpoint in a note that one of them has signed, while it was in use.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`], except `Key`.
    pub fn checkpoint(&self, note: &str) -> Result<Checkpoint, CheckpointError> {
        self.first(|known| {
            let checkpoint = Checkpoint::open(note, &known.key)?;
            let in_use = known.ends.is_none_or(|(until, _)| checkpoint.size <= until);
            in_use
                .then_some(checkpoint)
                .ok_or(CheckpointError::Signature)
        })
    }

    /// Whether one of them has signed a document; when cannot be told from it.
    #[must_use]
    pub(crate) fn signed_document(&self, context: &str, bytes: &[u8], signature: &str) -> bool {
        let signed = |known: &Known| known.key.signed_document(context, bytes, signature);
        self.0.iter().any(signed)
    }

    /// Tries the key of whoever may have signed behind entry `position` of the erasure ledger.
    pub(crate) fn at_ledger<T>(
        &self,
        position: u64,
        mut open: impl FnMut(&VerifierKey) -> Result<T, CheckpointError>,
    ) -> Result<T, CheckpointError> {
        self.first(|known| match known.ends {
            Some((_, ledger)) if ledger < position => Err(CheckpointError::Signature),
            _ => open(&known.key),
        })
    }

    /// Takes in a note about a key: nothing new where the next key is known already; the next key
    /// becomes the present one if the present one has signed that.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`] if none of these keys has signed it, or it leads elsewhere.
    pub fn learn(&mut self, note: &str) -> Result<(), CheckpointError> {
        let change = self.first(|known| KeyChange::open(note, &known.key))?;
        if self.0.iter().any(|known| known.key == change.next) {
            return Ok(());
        }
        // From an older key the way is through the one that followed it.
        let present = self.0.last_mut().expect("never empty");
        KeyChange::open(note, &present.key)?;
        present.ends = Some((change.until, change.ledger));
        self.0.push(Known {
            key: change.next,
            ends: None,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    const VAULT: VaultId = VaultId::from_bytes([7; 16]);

    fn seed(number: u64) -> Secret<32> {
        Secret::generate(&mut SeededEntropy::new(number))
    }

    fn note(size: u64, signer: u64) -> String {
        let root = [9; 32];
        Checkpoint { size, root }.sign(VAULT, &seed(signer))
    }

    #[test]
    fn whoever_kept_a_former_key_comes_to_the_present_one_and_the_former_ends_there() {
        let change = KeyChange::sign(VAULT, &seed(1), &seed(2), 40, 7);
        let mut kept = Signers::from(VerifierKey::of(VAULT, &seed(1)));
        let size = |signers: &Signers, note: &str| signers.checkpoint(note).map(|it| it.size);
        let refused = Err(CheckpointError::Signature);
        assert_eq!(size(&kept, &note(41, 1)), Ok(41));
        assert_eq!(size(&kept, &note(41, 2)), refused);
        kept.learn(&change.note).unwrap();
        for signers in [
            &kept,
            &Signers::new(VAULT, &seed(2), std::slice::from_ref(&change)),
        ] {
            assert_eq!(size(signers, &note(40, 1)), Ok(40));
            assert_eq!(size(signers, &note(41, 1)), refused, "it is over");
            assert_eq!(size(signers, &note(41, 2)), Ok(41));
            assert_eq!(size(signers, &note(40, 3)), refused);
            let at = |position| {
                signers.at_ledger(position, |key| {
                    match *key == VerifierKey::of(VAULT, &seed(1)) {
                        true => Ok(()),
                        false => Err(CheckpointError::Signature),
                    }
                })
            };
            assert_eq!((at(7), at(8)), (Ok(()), refused.map(|_: u64| ())));
            assert_eq!(*signers.present(), VerifierKey::of(VAULT, &seed(2)));
        }
        // And on to the next; the way there cannot begin at the first again.
        let next = KeyChange::sign(VAULT, &seed(2), &seed(3), 50, 8);
        let forged = KeyChange::sign(VAULT, &seed(1), &seed(4), 60, 9);
        assert!(kept.clone().learn(&forged.note).is_err());
        kept.learn(&next.note).unwrap();
        kept.learn(&change.note).unwrap();
        assert_eq!(*kept.present(), VerifierKey::of(VAULT, &seed(3)));
        assert_eq!(
            kept.past().map(|(_, until)| until).collect::<Vec<_>>(),
            [40, 50]
        );
        // The nearest violation: whoever knows neither key, and a note that was changed.
        let mut stranger = Signers::from(VerifierKey::of(VAULT, &seed(5)));
        assert!(stranger.learn(&change.note).is_err());
        let bent = change.note.replacen("\n40\n", "\n41\n", 1);
        let mut first = Signers::from(VerifierKey::of(VAULT, &seed(1)));
        assert!(first.learn(&bent).is_err());
    }
}
