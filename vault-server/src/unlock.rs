//! The passphrase that opens the vault at the start: from a file, or from a credential of systemd.
//!
//! Knows nothing of vaults. One trailing newline is dropped, nothing else.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use vault_core::vault::{Passphrase, PassphraseError};
use zeroize::Zeroizing;

use crate::config::{ServerConfig, UnlockSource};

/// Longest file, in bytes: more than any passphrase has.
const FILE_BYTES_MAX: u64 = 4096;
/// The credential that is looked for where no key names one; `vault-cli` knows it, too.
const CREDENTIAL: &str = "passphrase";

/// Why there is no passphrase where one was to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// systemd hands over no credentials.
    #[error(
        "`unlock = \"credential:{0}\"`, and systemd hands over no credentials (CREDENTIALS_DIRECTORY is not set); see LoadCredential= in systemd.exec(5)"
    )]
    NoCredentials(String),
    /// Others may read the file.
    #[error("{path} can be read by others (mode {mode:o}); chmod 600 it")]
    Mode {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// What it holds is no passphrase.
    #[error("{path} holds no passphrase")]
    Passphrase {
        /// Which.
        path: PathBuf,
        /// Why.
        source: PassphraseError,
    },
    /// The file could not be read.
    #[error("could not read the passphrase in {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The passphrase that the configuration names; `None` where the server is to wait for one. `file`,
/// from the command line, goes before all.
///
/// # Errors
///
/// See [`SecretError`].
pub fn passphrase(
    config: &ServerConfig,
    file: Option<&Path>,
) -> Result<Option<Passphrase>, SecretError> {
    let credentials = config.credentials.as_deref();
    let path = match (file, &config.unlock) {
        (Some(file), _) => file.to_owned(),
        (None, Some(UnlockSource::File(file))) => file.clone(),
        (None, Some(UnlockSource::Wait)) => return Ok(None),
        (None, Some(UnlockSource::Credential(name))) => credentials
            .ok_or_else(|| SecretError::NoCredentials(name.clone()))?
            .join(name),
        (None, None) => match credentials.map(|dir| dir.join(CREDENTIAL)) {
            Some(path) if path.exists() => path,
            _ => return Ok(None),
        },
    };
    read(&path, credentials).map(Some)
}

fn read(path: &Path, credentials: Option<&Path>) -> Result<Passphrase, SecretError> {
    let refused = |source| SecretError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(refused)?;
    let mode = file.metadata().map_err(refused)?.mode();
    // Credentials look readable by a group through their access list; see `tls::owner_alone`.
    if crate::tls::owner_alone(path, mode, credentials).is_err() {
        return Err(SecretError::Mode {
            path: path.to_owned(),
            mode: mode & 0o777,
        });
    }
    // Room for all of it at once: a text that grew would leave copies behind.
    let room = usize::try_from(FILE_BYTES_MAX).expect("a page") + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    file.take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(refused)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Passphrase::new(std::mem::take(&mut *text)).map_err(|source| SecretError::Passphrase {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn write(path: &Path, mode: u32) {
        std::fs::write(path, "correct horse battery\n").expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
    }

    #[test]
    fn a_flag_goes_before_the_key_and_the_key_before_a_credential_that_lies_there() {
        let dir = tempfile::tempdir().expect("a directory");
        write(&dir.path().join(CREDENTIAL), 0o440);
        let with = |unlock| ServerConfig {
            unlock,
            credentials: Some(dir.path().to_owned()),
            ..ServerConfig::default()
        };
        let given = |unlock| passphrase(&with(unlock), None);
        assert!(given(None).expect("the credential").is_some());
        assert!(given(Some(UnlockSource::Wait)).expect("waits").is_none());
        let named = UnlockSource::Credential("other".into());
        assert!(matches!(given(Some(named)), Err(SecretError::Read { .. })));
        let flag = Path::new("/nowhere/passphrase");
        let error = passphrase(&with(None), Some(flag)).expect_err("the flag's");
        assert!(error.to_string().contains("/nowhere/passphrase"));
        let none = passphrase(&ServerConfig::default(), None);
        assert!(none.expect("waits").is_none());
    }

    #[test]
    fn a_file_that_others_may_read_and_a_credential_without_systemd_are_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("p");
        let config = |unlock| ServerConfig {
            unlock: Some(unlock),
            ..ServerConfig::default()
        };
        for mode in [0o640, 0o604] {
            write(&path, mode);
            let error = passphrase(&config(UnlockSource::File(path.clone())), None);
            let text = error.expect_err("others may").to_string();
            assert!(text.contains("chmod 600") && !text.contains("horse"));
        }
        write(&path, 0o600);
        let read = passphrase(&config(UnlockSource::File(path.clone())), None);
        assert!(read.expect("its owner's").is_some());
        let error = passphrase(&config(UnlockSource::Credential("x".into())), None);
        assert!(matches!(error, Err(SecretError::NoCredentials(_))));
    }
}
