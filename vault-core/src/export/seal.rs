//! For whom a package is encrypted: the age format, which the recipient opens without us.
//!
//! Source: age-encryption.org/v1, C2SP.

use age::secrecy::SecretString;

use crate::limits::PASSPHRASE_BYTES_MAX;

/// The work that a passphrase costs: 2^16 of scrypt, 64 MiB, about half a second.
const SCRYPT_LOG_N: u8 = 16;
/// Shortest passphrase of a package: it leaves the house.
const CHARACTERS_MIN: usize = 12;

/// For whom a package is encrypted.
#[derive(Default)]
pub enum Seal {
    /// For nobody: it is in clear.
    #[default]
    None,
    /// For whoever knows the passphrase.
    Passphrase(SecretString),
    /// For whoever holds the other half of this key.
    Recipient(Box<age::x25519::Recipient>),
}

/// Why a package cannot be encrypted so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Too short or too long.
    #[error("a passphrase for a package has 12 characters at least, and 1,024 bytes at most")]
    Passphrase,
    /// Not `age1…`.
    #[error("a recipient is a public key of age: age1…, as `age-keygen` prints it")]
    Recipient,
}

/// Silent about the passphrase.
impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Passphrase(_) => "Passphrase",
            Self::Recipient(_) => "Recipient",
        })
    }
}

impl Seal {
    /// For the holder of a key, `age1…`.
    ///
    /// # Errors
    ///
    /// [`SealError::Recipient`].
    pub fn recipient(text: &str) -> Result<Self, SealError> {
        let parsed = text.trim().parse().map_err(|_| SealError::Recipient)?;
        Ok(Self::Recipient(Box::new(parsed)))
    }

    /// For whoever knows a passphrase.
    ///
    /// # Errors
    ///
    /// [`SealError::Passphrase`].
    pub fn passphrase(text: String) -> Result<Self, SealError> {
        let length = text.chars().count();
        let secret = SecretString::from(text);
        if length < CHARACTERS_MIN
            || age::secrecy::ExposeSecret::expose_secret(&secret).len() > PASSPHRASE_BYTES_MAX
        {
            return Err(SealError::Passphrase);
        }
        Ok(Self::Passphrase(secret))
    }

    /// Whether the package is encrypted at all.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// What encrypts; `None` for nobody.
    pub(super) fn encryptor(&self) -> Option<age::Encryptor> {
        let made = match self {
            Self::None => return None,
            Self::Passphrase(secret) => {
                let mut recipient = age::scrypt::Recipient::new(secret.clone());
                recipient.set_work_factor(SCRYPT_LOG_N);
                age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
            }
            Self::Recipient(recipient) => {
                let one: &dyn age::Recipient = &**recipient;
                age::Encryptor::with_recipients(std::iter::once(one))
            }
        };
        Some(made.expect("one recipient of one kind is what age takes"))
    }
}
