//! To whom a key part is sealed, and with what it opens.
//!
//! A key part is made of age files. Its rows are sealed to an identity of its own; that identity lies in
//! one short file for all public keys, and one for a passphrase, since an age file has either. So the
//! rows are sealed once, however many may open them, and the vault never holds what opens them later.
//!
//! Source: age-encryption.org/v1 (<https://c2sp.org/age>).

use std::io::{Read, Write};

use age::secrecy::{ExposeSecret, SecretString};
use age::{Decryptor, Encryptor, scrypt, x25519};
use zeroize::Zeroizing;

use super::error::BackupError;
use super::target;
use crate::limits::RECIPIENTS_MAX;

/// Longest identity in a head.
const IDENTITY_BYTES_MAX: u64 = 4096;

/// Who may open a key part.
#[derive(Default)]
pub struct Recipients {
    keys: Vec<x25519::Recipient>,
    passphrase: Option<Passphrase>,
}

struct Passphrase {
    text: Zeroizing<String>,
    /// Exponent of the cost; age measures a second's worth unless told.
    log_cost: Option<u8>,
}

impl Recipients {
    /// Reads public keys, `age1…` each.
    ///
    /// # Errors
    ///
    /// [`BackupError::Input`]; a secret key that was given instead is not repeated.
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, BackupError> {
        let mut keys = Vec::new();
        for text in texts {
            if text
                .trim()
                .to_ascii_uppercase()
                .starts_with("AGE-SECRET-KEY-")
            {
                let what = "a recipient is a public key, `age1…`; this is a secret key, \
                            which belongs on no command line: make another pair with `age-keygen`";
                return Err(BackupError::Input(what.into()));
            }
            let key: Result<x25519::Recipient, _> = text.trim().parse();
            let what = "a recipient is a public key as `age-keygen` prints it: `age1…`, 62 letters";
            keys.push(key.map_err(|_| BackupError::Input(what.into()))?);
        }
        if keys.len() > RECIPIENTS_MAX {
            let what = format!("a key part has at most {RECIPIENTS_MAX} recipients");
            return Err(BackupError::Input(what));
        }
        Ok(Self {
            keys,
            passphrase: None,
        })
    }

    /// Adds a passphrase. Whoever has it and the target has the keys: it ought to be as good as one
    /// that opens the vault.
    #[must_use]
    pub fn with_passphrase(mut self, text: Zeroizing<String>) -> Self {
        self.passphrase = Some(Passphrase {
            text,
            log_cost: None,
        });
        self
    }

    /// A cheap passphrase, for tests.
    #[cfg(test)]
    pub(crate) fn with_cheap_passphrase(mut self, text: &str) -> Self {
        self.passphrase = Some(Passphrase {
            text: Zeroizing::new(text.into()),
            log_cost: Some(2),
        });
        self
    }

    /// Whether nobody may open it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.passphrase.is_none()
    }

    /// The heads of a key part: what each opens with, and its bytes.
    pub(super) fn heads(&self, part: &PartKey) -> Result<Vec<(HeadKind, Vec<u8>)>, BackupError> {
        let mut heads = Vec::new();
        let secret = part.0.to_string();
        let secret = secret.expose_secret().as_bytes();
        if !self.keys.is_empty() {
            let keys = self.keys.iter().map(|key| key as &dyn age::Recipient);
            let sealed = seal(Encryptor::with_recipients(keys).map_err(sealing)?, secret)?;
            heads.push((HeadKind::Key, sealed));
        }
        if let Some(Passphrase { text, log_cost }) = &self.passphrase {
            let mut recipient = scrypt::Recipient::new(SecretString::from(text.as_str()));
            if let Some(log_cost) = log_cost {
                recipient.set_work_factor(*log_cost);
            }
            let only = std::iter::once(&recipient as &dyn age::Recipient);
            let sealed = seal(Encryptor::with_recipients(only).map_err(sealing)?, secret)?;
            heads.push((HeadKind::Passphrase, sealed));
        }
        Ok(heads)
    }
}

fn sealing(_: age::EncryptError) -> BackupError {
    BackupError::Input("the recipients of the key part cannot be combined".into())
}

fn seal(encryptor: Encryptor, text: &[u8]) -> Result<Vec<u8>, BackupError> {
    let io = |error| BackupError::io("seal a key part")(error);
    let mut out = Vec::new();
    let mut writer = encryptor.wrap_output(&mut out).map_err(io)?;
    writer.write_all(text).map_err(io)?;
    writer.finish().map_err(io)?;
    Ok(out)
}

/// What a head opens with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HeadKind {
    /// An identity of `age-keygen`.
    Key,
    /// A passphrase.
    Passphrase,
}

/// What the rows of one key part are sealed to.
pub(super) struct PartKey(x25519::Identity);

impl PartKey {
    pub(super) fn generate() -> Self {
        Self(x25519::Identity::generate())
    }

    /// Reads the text of one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(Self(text.trim().parse().ok()?))
    }

    /// Its text, which opens the rows.
    pub(super) fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_string().expose_secret().to_owned())
    }

    /// Begins a file of rows.
    pub(super) fn seal_to<W: Write>(
        &self,
        out: W,
    ) -> std::io::Result<age::stream::StreamWriter<W>> {
        let recipient = self.0.to_public();
        let only = std::iter::once(&recipient as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(only).map_err(std::io::Error::other)?;
        encryptor.wrap_output(out)
    }

    /// Opens a file of rows.
    pub(super) fn open(
        &self,
        name: &str,
        input: Box<dyn Read + Send>,
    ) -> Result<Box<dyn Read + Send>, BackupError> {
        let failed = |error| match error {
            age::DecryptError::Io(error) if target::out_of_reach(&error) => {
                BackupError::io(format!("read {name}"))(error)
            }
            _ => BackupError::damaged(name, "it does not open as part of this key part"),
        };
        let input = std::io::BufReader::with_capacity(256 << 10, input);
        let decryptor = Decryptor::new_buffered(input).map_err(failed)?;
        let only = std::iter::once(&self.0 as &dyn age::Identity);
        Ok(Box::new(decryptor.decrypt(only).map_err(failed)?))
    }
}

/// What opens a key part.
pub enum Identity {
    /// Secret keys, of which one fits.
    Keys(Vec<x25519::Identity>),
    /// A passphrase.
    Passphrase(Zeroizing<String>),
}

impl Identity {
    /// Reads a file of `age-keygen`: `AGE-SECRET-KEY-1…` on lines of their own, comments after `#`.
    ///
    /// # Errors
    ///
    /// [`BackupError::Input`].
    pub fn parse(text: &str) -> Result<Self, BackupError> {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Result<Vec<x25519::Identity>, _> = lines.map(str::parse).collect();
        match keys {
            Ok(keys) if !keys.is_empty() => Ok(Self::Keys(keys)),
            _ => Err(BackupError::Input(
                "an identity file is one of `age-keygen`: a line `AGE-SECRET-KEY-1…`".into(),
            )),
        }
    }

    pub(super) fn kind(&self) -> HeadKind {
        match self {
            Self::Keys(_) => HeadKind::Key,
            Self::Passphrase(_) => HeadKind::Passphrase,
        }
    }

    /// What a head holds; `None` if it is not for this identity.
    pub(super) fn open_head(&self, head: &[u8]) -> Option<PartKey> {
        let decryptor = Decryptor::new(head).ok()?;
        let reader = match self {
            Self::Keys(keys) => {
                let keys = keys.iter().map(|key| key as &dyn age::Identity);
                decryptor.decrypt(keys).ok()?
            }
            Self::Passphrase(text) => {
                let identity = scrypt::Identity::new(SecretString::from(text.as_str()));
                let only = std::iter::once(&identity as &dyn age::Identity);
                decryptor.decrypt(only).ok()?
            }
        };
        let mut text = Zeroizing::new(String::with_capacity(128));
        reader
            .take(IDENTITY_BYTES_MAX)
            .read_to_string(&mut text)
            .ok()?;
        PartKey::parse(&text)
    }
}

/// A new pair: the text of an identity file, and the recipient in it.
#[must_use]
pub fn new_identity() -> (Zeroizing<String>, String) {
    let identity = x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let secret = identity.to_string();
    let text = format!("# public key: {recipient}\n{}\n", secret.expose_secret());
    (Zeroizing::new(text), recipient)
}
