//! Checkpoints: size and root of the log, signed, in the form that witnesses and other tools read.
//!
//! Knows nothing of entries. A checkpoint that somebody else keeps is what the operator cannot
//! rewrite.
//!
//! Source: C2SP `tlog-checkpoint` and `signed-note` (<https://c2sp.org/tlog-checkpoint>), Ed25519
//! (RFC 8032), keys as "vkey" of `signed-note`.

use data_encoding::BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::merkle::Hash;
use crate::crypto::{Secret, sha256};
use crate::id::VaultId;
use crate::limits::NOTE_BYTES_MAX;

/// The algorithm byte of Ed25519 in a key and in its hash.
const ED25519: u8 = 1;

/// The public half of the key that signs a vault's checkpoints, as a text of one line:
/// `name+hash+key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: VerifyingKey,
}

/// What is wrong with a checkpoint or key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The text is no checkpoint.
    #[error("this is no checkpoint: three lines, an empty one, and signatures are expected")]
    Form,
    /// The text is no key.
    #[error("this is no verifier key: `name+hash+key` is expected")]
    Key,
    /// The checkpoint is another log's.
    #[error("the checkpoint is that of another log")]
    Origin,
    /// No signature of this key, or one that does not fit.
    #[error("the checkpoint bears no valid signature of this key")]
    Signature,
}

/// Size and root of the log of one vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// How many entries.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

fn key_hash(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let hash = sha256(&[name.as_bytes(), b"\n", &[ED25519], key.as_bytes()]);
    hash[..4].try_into().expect("four of thirty-two")
}

impl VerifierKey {
    /// The key whose private half grows from this seed. Its name is the vault's id.
    #[must_use]
    pub fn of(vault: VaultId, seed: &Secret<32>) -> Self {
        Self {
            name: vault.to_string(),
            key: SigningKey::from_bytes(seed.expose()).verifying_key(),
        }
    }

    /// Reads `name+hash+key`.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Key`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let parts: Vec<&str> = text.trim().splitn(3, '+').collect();
        let [name, hash, key] = parts[..] else {
            return Err(CheckpointError::Key);
        };
        let bytes = BASE64
            .decode(key.as_bytes())
            .map_err(|_| CheckpointError::Key)?;
        let key = match bytes.split_first() {
            Some((&ED25519, key)) => <[u8; 32]>::try_from(key).ok(),
            _ => None,
        };
        let key = key.and_then(|key| VerifyingKey::from_bytes(&key).ok());
        let key = key.ok_or(CheckpointError::Key)?;
        let fits = !name.is_empty() && !name.contains(char::is_whitespace);
        if !fits || super::hex(&key_hash(name, &key)) != hash {
            return Err(CheckpointError::Key);
        }
        Ok(Self {
            name: name.into(),
            key,
        })
    }

    /// The name in its notes, and the origin of its checkpoints.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = [&[ED25519], &self.key.as_bytes()[..]].concat();
        let hash = super::hex(&key_hash(&self.name, &self.key));
        write!(f, "{}+{hash}+{}", self.name, BASE64.encode(&key))
    }
}

impl Checkpoint {
    fn text(&self, origin: &str) -> String {
        format!("{origin}\n{}\n{}\n", self.size, BASE64.encode(&self.root))
    }

    /// The signed note.
    #[must_use]
    pub fn sign(&self, vault: VaultId, seed: &Secret<32>) -> String {
        let key = VerifierKey::of(vault, seed);
        let text = self.text(&key.name);
        let signature = SigningKey::from_bytes(seed.expose()).sign(text.as_bytes());
        let bytes = [&key_hash(&key.name, &key.key)[..], &signature.to_bytes()].concat();
        format!("{text}\n\u{2014} {} {}\n", key.name, BASE64.encode(&bytes))
    }

    /// The checkpoint in a note, once this key has signed it. Signatures of others (witnesses) and
    /// further lines of the text are let stand.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`], except `Key`.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(CheckpointError::Form);
        }
        // The text ends with the line before the last empty one.
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(CheckpointError::Form)?;
        let text = format!("{text}\n");
        let mut lines = text.lines();
        let (origin, size, root) = (lines.next(), lines.next(), lines.next());
        let (Some(origin), Some(size), Some(root)) = (origin, size, root) else {
            return Err(CheckpointError::Form);
        };
        if origin != key.name {
            return Err(CheckpointError::Origin);
        }
        let plain =
            size == "0" || (size.bytes().all(|b| b.is_ascii_digit()) && !size.starts_with('0'));
        let size = Some(size)
            .filter(|_| plain)
            .and_then(|size| size.parse().ok());
        let root = BASE64.decode(root.as_bytes()).ok();
        let root = root.and_then(|root| Hash::try_from(root).ok());
        let (Some(size), Some(root)) = (size, root) else {
            return Err(CheckpointError::Form);
        };
        if !signatures.ends_with('\n') {
            return Err(CheckpointError::Form);
        }
        let signed = signatures
            .lines()
            .any(|line| key.signed(line, text.as_bytes()));
        signed
            .then_some(Self { size, root })
            .ok_or(CheckpointError::Signature)
    }
}

impl VerifierKey {
    fn signed(&self, line: &str, text: &[u8]) -> bool {
        let bytes = line
            .strip_prefix("\u{2014} ")
            .and_then(|line| line.split_once(' '))
            .filter(|(name, _)| *name == self.name)
            .and_then(|(_, bytes)| BASE64.decode(bytes.as_bytes()).ok());
        let Some(bytes) = bytes else { return false };
        let Some((hash, signature)) = bytes.split_at_checked(4) else {
            return false;
        };
        let Ok(signature) = Signature::from_slice(signature) else {
            return false;
        };
        hash == key_hash(&self.name, &self.key) && self.key.verify_strict(text, &signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    fn seed(number: u64) -> Secret<32> {
        Secret::generate(&mut SeededEntropy::new(number))
    }

    const VAULT: VaultId = VaultId::from_bytes([7; 16]);

    /// The key and the note in the description of `golang.org/x/mod/sumdb/note`, made by Go's own
    /// implementation of the form.
    #[test]
    fn a_note_of_another_implementation_verifies() {
        let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let key = VerifierKey::parse(key).unwrap();
        let text = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n";
        let line = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
        assert!(key.signed(line, text.as_bytes()));
        assert!(!key.signed(line, &text.as_bytes()[1..]));
    }

    #[test]
    fn a_signed_checkpoint_opens_with_its_key_and_with_no_other() {
        let (seed_of, other) = (seed(1), seed(2));
        let checkpoint = Checkpoint {
            size: 42,
            root: [9; 32],
        };
        let note = checkpoint.sign(VAULT, &seed_of);
        let key = VerifierKey::of(VAULT, &seed_of);
        assert_eq!(Checkpoint::open(&note, &key), Ok(checkpoint.clone()));
        let read_back = VerifierKey::parse(&key.to_string()).unwrap();
        assert_eq!(Checkpoint::open(&note, &read_back), Ok(checkpoint.clone()));
        let others = VerifierKey::of(VAULT, &other);
        assert_eq!(
            Checkpoint::open(&note, &others),
            Err(CheckpointError::Signature)
        );
        let elsewhere = VerifierKey::of(VaultId::from_bytes([8; 16]), &seed_of);
        assert_eq!(
            Checkpoint::open(&note, &elsewhere),
            Err(CheckpointError::Origin)
        );
        // A witness has added its own.
        let witnessed = note.clone() + "\u{2014} witness.example AAAAAAAA\n";
        assert_eq!(Checkpoint::open(&witnessed, &key), Ok(checkpoint));
    }

    #[test]
    fn a_checkpoint_with_any_byte_changed_does_not_open() {
        let key = VerifierKey::of(VAULT, &seed(1));
        let note = Checkpoint {
            size: 1_234,
            root: [9; 32],
        }
        .sign(VAULT, &seed(1));
        for at in 0..note.len() {
            let mut bent = note.clone().into_bytes();
            bent[at] ^= 1;
            if let Ok(bent) = String::from_utf8(bent) {
                assert!(Checkpoint::open(&bent, &key).is_err(), "byte {at}");
            }
        }
        for cut in 0..note.len() {
            if let Some(cut) = note.get(..cut) {
                assert!(Checkpoint::open(cut, &key).is_err());
            }
        }
    }

    #[test]
    fn a_key_with_a_wrong_hash_or_form_is_no_key() {
        let text = VerifierKey::of(VAULT, &seed(1)).to_string();
        let wrong = [
            text.replacen('+', "+0", 1),
            text.replace("vlt_", "vlt "),
            text[1..].to_owned(),
            text[..text.len() - 4].to_owned(),
            String::new(),
            "++".into(),
        ];
        for text in wrong {
            assert_eq!(
                VerifierKey::parse(&text),
                Err(CheckpointError::Key),
                "{text}"
            );
        }
    }
}
