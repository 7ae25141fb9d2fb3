//! The secret that opens the vault at the start: from a file, or from a credential of systemd.
//!
//! Knows nothing of vaults. Of a passphrase one trailing newline is dropped, nothing else; of a key file
//! nothing.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use vault_core::limits::KEY_FILE_BYTES_MAX;
use vault_core::vault::{KeyFile, KeyFileError, Passphrase, PassphraseError, UnlockSecret};
use zeroize::Zeroizing;

use crate::config::{ServerConfig, UnlockSource};

/// Longest file, in bytes: more than any passphrase has.
const FILE_BYTES_MAX: u64 = 4096;
/// The credential that is looked for where no key names one; `vault-cli` knows it, too.
const CREDENTIAL: &str = "passphrase";

/// Why there is no secret where one was to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// systemd hands over no credentials.
    #[error(
        "`unlock` names the credential {0}, and systemd hands over no credentials (CREDENTIALS_DIRECTORY is not set); see LoadCredential= in systemd.exec(5)"
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
    /// What it holds is no key file.
    #[error("{path} is no key file")]
    KeyFile {
        /// Which.
        path: PathBuf,
        /// Why.
        source: KeyFileError,
    },
    /// The file could not be read.
    #[error("could not read the secret in {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The secret that the configuration names; `None` where the server is to wait for one. `file`, with a
/// passphrase, from the command line, goes before all.
///
/// # Errors
///
/// See [`SecretError`].
pub fn secret(
    config: &ServerConfig,
    file: Option<&Path>,
) -> Result<Option<UnlockSecret>, SecretError> {
    let credentials = config.credentials.as_deref();
    let named = |name: &String| {
        let dir = credentials.ok_or_else(|| SecretError::NoCredentials(name.clone()));
        dir.map(|dir| dir.join(name))
    };
    let path = match (file, &config.unlock) {
        (Some(file), _) => file.to_owned(),
        (None, Some(UnlockSource::File(file))) => file.clone(),
        (None, Some(UnlockSource::Wait)) => return Ok(None),
        (None, Some(UnlockSource::Credential(name))) => named(name)?,
        (None, Some(UnlockSource::KeyFile(file))) => {
            return key_file(file, credentials).map(Some);
        }
        (None, Some(UnlockSource::KeyFileCredential(name))) => {
            return key_file(&named(name)?, credentials).map(Some);
        }
        (None, None) => match credentials.map(|dir| dir.join(CREDENTIAL)) {
            Some(path) if path.exists() => path,
            _ => return Ok(None),
        },
    };
    read(&path, credentials).map(Some)
}

/// Opens a file that is for its owner alone.
fn open(path: &Path, credentials: Option<&Path>) -> Result<File, SecretError> {
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
    Ok(file)
}

fn key_file(path: &Path, credentials: Option<&Path>) -> Result<UnlockSecret, SecretError> {
    // One byte more than there may be, so that a longer one is noticed; room for all of it at once.
    let room = KEY_FILE_BYTES_MAX + 1;
    let mut content = Zeroizing::new(Vec::with_capacity(room));
    open(path, credentials)?
        .take(room as u64)
        .read_to_end(&mut content)
        .map_err(|source| SecretError::Read {
            path: path.to_owned(),
            source,
        })?;
    let file = KeyFile::new(content).map_err(|source| SecretError::KeyFile {
        path: path.to_owned(),
        source,
    })?;
    Ok(UnlockSecret::KeyFile(file))
}

fn read(path: &Path, credentials: Option<&Path>) -> Result<UnlockSecret, SecretError> {
    let file = open(path, credentials)?;
    // Room for all of it at once: a text that grew would leave copies behind.
    let room = usize::try_from(FILE_BYTES_MAX).expect("a page") + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    file.take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|source| SecretError::Read {
            path: path.to_owned(),
            source,
        })?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    let passphrase = Passphrase::new(std::mem::take(&mut *text));
    let passphrase = passphrase.map_err(|source| SecretError::Passphrase {
        path: path.to_owned(),
        source,
    })?;
    Ok(UnlockSecret::Passphrase(passphrase))
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
        let given = |unlock| secret(&with(unlock), None);
        assert!(given(None).expect("the credential").is_some());
        assert!(given(Some(UnlockSource::Wait)).expect("waits").is_none());
        let named = UnlockSource::Credential("other".into());
        assert!(matches!(given(Some(named)), Err(SecretError::Read { .. })));
        let flag = Path::new("/nowhere/passphrase");
        let error = secret(&with(None), Some(flag)).expect_err("the flag's");
        assert!(error.to_string().contains("/nowhere/passphrase"));
        let none = secret(&ServerConfig::default(), None);
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
            let error = secret(&config(UnlockSource::File(path.clone())), None);
            let text = error.expect_err("others may").to_string();
            assert!(text.contains("chmod 600") && !text.contains("horse"));
        }
        write(&path, 0o600);
        let read = secret(&config(UnlockSource::File(path.clone())), None);
        assert!(read.expect("its owner's").is_some());
        let error = secret(&config(UnlockSource::Credential("x".into())), None);
        assert!(matches!(error, Err(SecretError::NoCredentials(_))));
    }

    #[test]
    fn a_key_file_is_taken_to_its_last_byte_and_only_of_a_fitting_length() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        let given = |content: &[u8]| {
            std::fs::write(&path, content).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("set");
            let config = ServerConfig {
                unlock: Some(UnlockSource::KeyFile(path.clone())),
                ..ServerConfig::default()
            };
            secret(&config, None)
        };
        for (length, fits) in [(31, false), (32, true), (8_192, true), (8_193, false)] {
            let given = given(&vec![b'\n'; length]);
            assert_eq!(given.is_ok(), fits, "{length}");
            assert!(fits || matches!(given, Err(SecretError::KeyFile { .. })));
        }
    }
}
