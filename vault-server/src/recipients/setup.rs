//! What is read before the sandbox closes: secrets of recipients, and who vouches for them.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::ClientConfig;
use vault_core::entropy::{Entropy, OsEntropy};

use super::Shared;
use crate::alarm::{self, AlarmError};
use crate::config::{Allowed, RecipientConfig};
use crate::webhook::{Secret, Target};

/// Most files that are looked at in the directory of secrets.
const SECRETS_MAX: usize = 2_000;

/// Why recipients cannot be told as the configuration says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipientsError {
    /// A file is not what it has to be.
    #[error(transparent)]
    File(#[from] AlarmError),
    /// The directory could not be read.
    #[error("could not read the directory {path} (`recipients.secret_dir`)")]
    Dir {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There are more files than recipients can be.
    #[error("{0} (`recipients.secret_dir`) holds more than {SECRETS_MAX} files")]
    Many(PathBuf),
}

/// Whom the server may tell, and how.
#[derive(Clone)]
pub struct Recipients {
    pub(super) allow: Arc<[Allowed]>,
    pub(super) secrets: Arc<BTreeMap<String, Secret>>,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) private: bool,
    pub(super) entropy: Shared,
}

/// Nobody.
impl Default for Recipients {
    fn default() -> Self {
        Self {
            allow: Arc::default(),
            secrets: Arc::default(),
            tls: Target::client(Target::public_roots()),
            private: false,
            entropy: Arc::new(Mutex::new(Box::new(OsEntropy))),
        }
    }
}

impl Recipients {
    /// What the configuration says. Reads its files; the names of those are the recipients'.
    ///
    /// # Errors
    ///
    /// See [`RecipientsError`].
    pub fn prepare(config: &RecipientConfig) -> Result<Self, RecipientsError> {
        let mut secrets = BTreeMap::new();
        if let Some(dir) = &config.secret_dir {
            let failed = |source| RecipientsError::Dir {
                path: dir.clone(),
                source,
            };
            for entry in std::fs::read_dir(dir).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                let name = path.file_name().and_then(|name| name.to_str());
                let Some(name) = name.filter(|name| !name.starts_with('.') && path.is_file())
                else {
                    continue;
                };
                if secrets.len() == SECRETS_MAX {
                    return Err(RecipientsError::Many(dir.clone()));
                }
                let secret = alarm::secret("recipients.secret_dir", &path, None)?;
                secrets.insert(name.to_owned(), secret);
            }
        }
        Ok(Self {
            allow: config.allow.clone().into(),
            secrets: Arc::new(secrets),
            tls: Target::client(alarm::roots("recipients.ca", config.ca.as_deref())?),
            private: config.private,
            ..Self::default()
        })
    }

    /// The same with this randomness, from which waits are drawn.
    #[must_use]
    pub fn with_entropy(self, entropy: Box<dyn Entropy>) -> Self {
        Self {
            entropy: Arc::new(Mutex::new(entropy)),
            ..self
        }
    }

    /// Whether anything may leave at all.
    pub(crate) fn any(&self) -> bool {
        !self.allow.is_empty()
    }
}
