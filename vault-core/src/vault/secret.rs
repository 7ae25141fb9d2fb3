//! What a person types to open a vault.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::shares::SharedSecret;
use crate::crypto::{Secret, sha256};
use crate::entropy::Entropy;
use crate::id::BASE32;
use crate::keys::slots::SlotKind;
use crate::limits::{
    KEY_FILE_BYTES_MAX, KEY_FILE_BYTES_MIN, PASSPHRASE_BYTES_MAX, PASSPHRASE_CHARACTERS_MIN,
};

/// A passphrase, forgotten when dropped: at least 12 characters, at most 1,024 bytes.
pub struct Passphrase(Zeroizing<String>);

/// Why a passphrase is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PassphraseError {
    /// Over 1,024 bytes.
    #[error("a passphrase has at most {PASSPHRASE_BYTES_MAX} bytes")]
    TooLong,
    /// Under 12 characters.
    #[error("a passphrase has at least {PASSPHRASE_CHARACTERS_MIN} characters")]
    TooShort,
}

impl Passphrase {
    /// Takes the text as it is: no trimming, no normalisation.
    ///
    /// # Errors
    ///
    /// [`PassphraseError`].
    pub fn new(text: String) -> Result<Self, PassphraseError> {
        let text = Zeroizing::new(text);
        if text.len() > PASSPHRASE_BYTES_MAX {
            return Err(PassphraseError::TooLong);
        }
        if text.chars().count() < PASSPHRASE_CHARACTERS_MIN {
            return Err(PassphraseError::TooShort);
        }
        Ok(Self(text))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

/// A recovery key: 160 random bits.
///
/// It opens a slot, as a passphrase does; it does not replace a lost anchor.
pub struct RecoveryKey(Secret<20>);

/// Why a text is no recovery key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryKeyError {
    /// The characters are right, the checksum is not.
    #[error("the recovery key has a typing error: its checksum does not fit")]
    Checksum,
    /// Not a recovery key at all.
    #[error(
        "a recovery key has 36 characters of 0-9 and A-Z without I, L, O, U, in groups of four"
    )]
    Form,
}

impl RecoveryKey {
    pub(super) fn generate(entropy: &mut dyn Entropy) -> Self {
        Self(Secret::generate(entropy))
    }

    /// Nine groups of four characters of Crockford's base 32, the last group a checksum; to be
    /// shown once.
    #[must_use]
    pub fn to_text(&self) -> String {
        let digits = Zeroizing::new(BASE32.encode(self.0.expose()).to_uppercase());
        let all = Zeroizing::new(format!("{}{}", *digits, checksum(&self.0)));
        let groups: Vec<&str> = (0..9).map(|group| &all[4 * group..4 * group + 4]).collect();
        groups.join("-")
    }
}

/// Twenty bits of a hash: a typing error passes once in a million.
fn checksum(key: &Secret<20>) -> String {
    let hash = sha256(&[b"vault/1 recovery checksum", key.expose()]);
    BASE32.encode(&hash[..5])[..4].to_uppercase()
}

impl FromStr for RecoveryKey {
    type Err = RecoveryKeyError;

    fn from_str(text: &str) -> Result<Self, RecoveryKeyError> {
        let read = |c: char| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        };
        let digits: Zeroizing<String> = Zeroizing::new(
            text.chars()
                .filter(|c| !c.is_whitespace() && *c != '-')
                .map(read)
                .collect(),
        );
        if digits.len() != 36 || !digits.is_ascii() {
            return Err(RecoveryKeyError::Form);
        }
        let bytes = BASE32
            .decode(&digits.as_bytes()[..32])
            .map_err(|_| RecoveryKeyError::Form)?;
        let key = Secret::from_slice(&Zeroizing::new(bytes)).ok_or(RecoveryKeyError::Form)?;
        if checksum(&key) != digits[32..] {
            return Err(RecoveryKeyError::Checksum);
        }
        Ok(Self(key))
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey")
    }
}

/// The content of a file: of any kind, as long as nobody can guess it. A credential of systemd is one,
/// sealed to a TPM or not.
pub struct KeyFile(Zeroizing<Vec<u8>>);

/// Why the content of a file is not accepted as a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// Over 8,192 bytes.
    #[error("a key file has at most {KEY_FILE_BYTES_MAX} bytes")]
    TooLong,
    /// Under 32 bytes.
    #[error("a key file has at least {KEY_FILE_BYTES_MIN} bytes")]
    TooShort,
}

impl KeyFile {
    /// Takes the content as it is, to the last byte.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`].
    pub fn new(content: Zeroizing<Vec<u8>>) -> Result<Self, KeyFileError> {
        match content.len() {
            length if length < KEY_FILE_BYTES_MIN => Err(KeyFileError::TooShort),
            length if length > KEY_FILE_BYTES_MAX => Err(KeyFileError::TooLong),
            _ => Ok(Self(content)),
        }
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFile")
    }
}

/// What opens a slot.
#[derive(Debug)]
pub enum UnlockSecret {
    /// The content of a file, through HKDF.
    KeyFile(KeyFile),
    /// A passphrase, through Argon2id.
    Passphrase(Passphrase),
    /// A recovery key, through HKDF.
    RecoveryKey(RecoveryKey),
    /// What enough shares gave, through HKDF.
    Shares(SharedSecret),
}

impl UnlockSecret {
    pub(super) fn kind(&self) -> SlotKind {
        match self {
            Self::KeyFile(_) => SlotKind::KeyFile,
            Self::Passphrase(_) => SlotKind::Passphrase,
            Self::RecoveryKey(_) => SlotKind::RecoveryKey,
            Self::Shares(_) => SlotKind::Shares,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::KeyFile(file) => &file.0,
            Self::Passphrase(passphrase) => passphrase.bytes(),
            Self::RecoveryKey(key) => key.bytes(),
            Self::Shares(secret) => secret.bytes(),
        }
    }
}

impl Passphrase {
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl RecoveryKey {
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn a_recovery_key_reads_back_however_it_is_typed_and_errors_are_noticed() {
        let key = RecoveryKey::generate(&mut SeededEntropy::new(1));
        let text = key.to_text();
        assert_eq!(text.len(), 44);
        let typed = text
            .to_lowercase()
            .replace('-', " ")
            .replace('0', "o")
            .replace('1', "l");
        assert!(typed.parse::<RecoveryKey>().unwrap().0 == key.0);
        let wrong = if text.starts_with('A') { "B" } else { "A" };
        let wrong = format!("{wrong}{}", &text[1..]);
        assert_eq!(
            wrong.parse::<RecoveryKey>().unwrap_err(),
            RecoveryKeyError::Checksum
        );
        assert_eq!(
            "short".parse::<RecoveryKey>().unwrap_err(),
            RecoveryKeyError::Form
        );
    }
}
