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

/// A name of a key in a note: no blanks, no plus.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
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

    /// The key with this public half; `None` if it is none.
    #[must_use]
    pub(crate) fn from_bytes(vault: VaultId, key: &[u8; 32]) -> Option<Self> {
        Some(Self {
            name: vault.to_string(),
            key: VerifyingKey::from_bytes(key).ok()?,
        })
    }

    /// The public half itself.
    pub(crate) fn bytes(&self) -> [u8; 32] {
        self.key.to_bytes()
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
        if !is_name(name) || super::hex(&key_hash(name, &key)) != hash {
            return Err(CheckpointError::Key);
        }
        Ok(Self {
            name: name.into(),
            key,
        })
    }

    /// Signs a document that is no note: base64 of key hash and signature. `context` keeps it from
    /// being taken for one of another kind.
    #[must_use]
    pub(crate) fn sign_document(
        vault: VaultId,
        seed: &Secret<32>,
        context: &str,
        bytes: &[u8],
    ) -> String {
        let key = Self::of(vault, seed);
        let signed = [context.as_bytes(), b"\n", bytes].concat();
        let signature = SigningKey::from_bytes(seed.expose()).sign(&signed);
        BASE64.encode(&[&key_hash(&key.name, &key.key)[..], &signature.to_bytes()].concat())
    }

    /// Whether this key has signed a document so.
    #[must_use]
    pub(crate) fn signed_document(&self, context: &str, bytes: &[u8], signature: &str) -> bool {
        let Ok(signature) = BASE64.decode(signature.as_bytes()) else {
            return false;
        };
        let Some((hash, signature)) = signature.split_first_chunk::<4>() else {
            return false;
        };
        let Ok(signature) = Signature::from_slice(signature) else {
            return false;
        };
        let signed = [context.as_bytes(), b"\n", bytes].concat();
        *hash == key_hash(&self.name, &self.key)
            && self.key.verify_strict(&signed, &signature).is_ok()
    }

    /// Which key a note needs that one of this name has signed, and this one has not: name and hash.
    pub(crate) fn other_of_same_name(&self, note: &str) -> Option<String> {
        let note = Note::parse(note).ok()?;
        let own = key_hash(&self.name, &self.key);
        let mut signers = note.signers().filter(|(name, _)| *name == self.name);
        let (name, hash) = signers.next()?;
        let both = hash == own || signers.any(|(_, hash)| hash == own);
        (!both).then(|| format!("{name}+{}", super::hex(&hash)))
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
        sign_note(&self.text(&vault.to_string()), vault, seed)
    }

    /// The note, signed by the next key and by the one before it.
    #[must_use]
    pub(crate) fn sign_by_both(
        &self,
        vault: VaultId,
        next: &Secret<32>,
        former: &Secret<32>,
    ) -> String {
        let text = self.text(&vault.to_string());
        cosign(sign_note(&text, vault, next), &text, vault, former)
    }

    /// The checkpoint in a note, once this key has signed it. Signatures of others (witnesses) and
    /// further lines of the text are let stand.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`], except `Key`.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        let mut lines = note.text().lines();
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
        note.verify(key)?;
        Ok(Self { size, root })
    }
}

/// Signs a text, whose every line ends, with a vault's key.
pub(crate) fn sign_note(text: &str, vault: VaultId, seed: &Secret<32>) -> String {
    cosign(format!("{text}\n"), text, vault, seed)
}

/// Puts another signature behind those of a note over `text`.
pub(crate) fn cosign(note: String, text: &str, vault: VaultId, seed: &Secret<32>) -> String {
    let key = VerifierKey::of(vault, seed);
    let signature = SigningKey::from_bytes(seed.expose()).sign(text.as_bytes());
    let bytes = [&key_hash(&key.name, &key.key)[..], &signature.to_bytes()].concat();
    note + &format!("\u{2014} {} {}\n", key.name, BASE64.encode(&bytes))
}

/// A note in its two parts.
pub(crate) struct Note<'n> {
    text: String,
    signatures: &'n str,
}

impl<'n> Note<'n> {
    /// Takes a note apart. Says nothing of who signed it.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Form`].
    pub(crate) fn parse(note: &'n str) -> Result<Self, CheckpointError> {
        // Every other reader of notes refuses control characters, and none may read another text here.
        if note.len() > NOTE_BYTES_MAX || note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(CheckpointError::Form);
        }
        // The text ends with the line before the last empty one.
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(CheckpointError::Form)?;
        let text = format!("{text}\n");
        if text.lines().any(str::is_empty) {
            return Err(CheckpointError::Form);
        }
        Ok(Self { text, signatures })
    }

    /// Of each signature, whose name it bears and the first bytes of the hash of whose key: nothing is
    /// verified.
    pub(crate) fn signers(&self) -> impl Iterator<Item = (&'n str, [u8; 4])> {
        self.signatures.lines().filter_map(|line| {
            let (name, bytes) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
            let bytes = BASE64.decode(bytes.as_bytes()).ok()?;
            Some((name, *bytes.first_chunk()?))
        })
    }

    /// What was signed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// That this key has signed the text. Signatures of others are let stand.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Form`], [`CheckpointError::Signature`].
    pub(crate) fn verify(&self, key: &VerifierKey) -> Result<(), CheckpointError> {
        if !self.signatures.ends_with('\n') {
            return Err(CheckpointError::Form);
        }
        let mut signed = false;
        for line in self.signatures.lines() {
            match key.signed(line, self.text.as_bytes())? {
                None => {}
                Some(true) => signed = true,
                // The key's own, and wrong: somebody has changed the note.
                Some(false) => return Err(CheckpointError::Signature),
            }
        }
        signed.then_some(()).ok_or(CheckpointError::Signature)
    }
}

impl VerifierKey {
    /// Whether a line is a valid signature by this key; nothing for another key's.
    fn signed(&self, line: &str, text: &[u8]) -> Result<Option<bool>, CheckpointError> {
        let parts = line
            .strip_prefix("\u{2014} ")
            .and_then(|line| line.split_once(' '))
            .filter(|(name, _)| is_name(name));
        let (name, bytes) = parts.ok_or(CheckpointError::Form)?;
        let bytes = BASE64.decode(bytes.as_bytes()).ok();
        let bytes = bytes.filter(|bytes| bytes.len() > 4);
        let bytes = bytes.ok_or(CheckpointError::Form)?;
        let (hash, signature) = bytes.split_at(4);
        if name != self.name || hash != key_hash(&self.name, &self.key) {
            return Ok(None);
        }
        let signature = Signature::from_slice(signature).ok();
        let valid = signature.is_some_and(|it| self.key.verify_strict(text, &it).is_ok());
        Ok(Some(valid))
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
        assert_eq!(key.signed(line, text.as_bytes()), Ok(Some(true)));
        assert_eq!(key.signed(line, &text.as_bytes()[1..]), Ok(Some(false)));
    }

    /// The tree of Go's checksum database at 20,852,163 entries, signed by its log: the example that
    /// `tlog-checkpoint` shows under another name.
    #[test]
    fn a_checkpoint_of_another_log_verifies_by_its_own_key() {
        let key = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
        let key = VerifierKey::parse(key).unwrap();
        let text = "go.sum database tree\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let line = "\u{2014} sum.golang.org Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=";
        assert_eq!(key.signed(line, text.as_bytes()), Ok(Some(true)));
        let bent = text.replace("20852163", "20852164");
        assert_eq!(key.signed(line, bent.as_bytes()), Ok(Some(false)));
        // A log whose origin is not its key's name is none of a vault.
        let note = format!("{text}\n{line}\n");
        assert_eq!(Checkpoint::open(&note, &key), Err(CheckpointError::Origin));
    }

    /// What `signed-note` says of notes and clients, each rule with the nearest violation.
    #[test]
    fn a_note_that_other_readers_refuse_is_refused() {
        let key = VerifierKey::of(VAULT, &seed(1));
        let note = Checkpoint {
            size: 42,
            root: [9; 32],
        }
        .sign(VAULT, &seed(1));
        let resigned = |text: &str| {
            let signature = SigningKey::from_bytes(seed(1).expose()).sign(text.as_bytes());
            let bytes = [&key_hash(&key.name, &key.key)[..], &signature.to_bytes()].concat();
            format!("{text}\n\u{2014} {} {}\n", key.name, BASE64.encode(&bytes))
        };
        let (text, own) = note.split_once("\n\n").unwrap();
        let open = |note: &str| Checkpoint::open(note, &key).map(|read| read.size);
        assert_eq!(open(&resigned(&format!("{text}\n"))), Ok(42), "the control");
        assert_eq!(open(&resigned(&format!("{text}\nmore\n"))), Ok(42));
        let form = Err(CheckpointError::Form);
        assert_eq!(open(&resigned(&format!("{text}\r\n"))), form);
        assert_eq!(open(&resigned(&text.replacen('\n', "\r\n", 1))), form);
        assert_eq!(open(&resigned(&format!("{text}\n\u{1}\n"))), form);
        assert_eq!(open(&resigned(&format!("{text}\n\nmore\n"))), form);
        assert_eq!(open(&format!("{note}no signature\n")), form);
        assert_eq!(open(&format!("{note}\u{2014} w AAAA\n")), form);
        assert_eq!(open(&format!("{note}\u{2014} w AAAAAAAA\n")), Ok(42));
        // A signature by the key that does not fit, before or behind one that does.
        let wrong = resigned(&format!("{text}\nmore\n"));
        let (_, wrong) = wrong.rsplit_once("\n\n").unwrap();
        let signature = Err(CheckpointError::Signature);
        assert_eq!(open(&format!("{note}{wrong}")), signature);
        assert_eq!(open(&format!("{text}\n\n{wrong}{own}")), signature);
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
