//! Where secrets come from: a file, a systemd credential, a prompt; never an argument, because
//! arguments stand in the process list and in the shell's history.
//!
//! Knows nothing of slots or tokens. One trailing newline is dropped, nothing else.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use vault_core::limits::PASSPHRASE_CHARACTERS_MIN;
use vault_core::vault::{Passphrase, RecoveryKey, UnlockSecret};
use zeroize::{Zeroize, Zeroizing};

use crate::failure::{Exit, Failure};
use crate::interrupt;

/// Longest secret file, in bytes: more than any passphrase or token has.
const SECRET_BYTES_MAX: u64 = 4096;

/// How to give the secret that opens the vault without a terminal.
const UNLOCK: &str =
    "give --passphrase-file FILE, --recovery-key-file FILE or VAULT_PASSPHRASE_FILE";

/// What kind of secret a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SecretKind {
    /// A passphrase.
    Passphrase,
    /// A recovery key.
    RecoveryKey,
}

/// A secret as it was typed. No `Debug`.
pub(crate) struct SecretText {
    /// What it is.
    pub(crate) kind: SecretKind,
    /// Its text.
    pub(crate) text: Zeroizing<String>,
}

impl SecretText {
    /// The form that the vault takes.
    ///
    /// # Errors
    ///
    /// Wrong secret (exit 3), where the text can be none of its kind.
    pub(crate) fn parse(&self) -> Result<UnlockSecret, Failure> {
        match self.kind {
            SecretKind::Passphrase => passphrase(&self.text).map(UnlockSecret::Passphrase),
            SecretKind::RecoveryKey => {
                let key: RecoveryKey = self.text.trim().parse().map_err(|error| {
                    Failure::caused(
                        Exit::Locked,
                        "wrong_secret",
                        &error,
                        "compare it with the paper it was written on",
                    )
                })?;
                Ok(UnlockSecret::RecoveryKey(key))
            }
        }
    }
}

/// A passphrase that the vault accepts.
pub(crate) fn passphrase(text: &str) -> Result<Passphrase, Failure> {
    Passphrase::new(text.to_owned()).map_err(|error| {
        Failure::caused(
            Exit::Locked,
            "wrong_secret",
            &error,
            "give the one that was set: by prompt, --passphrase-file FILE or VAULT_PASSPHRASE_FILE",
        )
    })
}

/// A passphrase that is to be set.
///
/// # Errors
///
/// Failed, with the rule that is not kept.
pub(crate) fn new_passphrase(text: &str) -> Result<Passphrase, Failure> {
    Passphrase::new(text.to_owned()).map_err(|error| {
        Failure::caused(
            Exit::Failed,
            "weak_passphrase",
            &error,
            "take five or six random words; nothing was changed",
        )
    })
}

/// Where to look for the secret that opens the vault, in this order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// `--recovery-key-file`.
    pub(crate) recovery_key_file: Option<PathBuf>,
    /// `--passphrase-file`, else `VAULT_PASSPHRASE_FILE`.
    pub(crate) passphrase_file: Option<PathBuf>,
    /// `$CREDENTIALS_DIRECTORY`, of systemd.
    pub(crate) credentials: Option<PathBuf>,
}

impl Sources {
    /// The secret that was given without a prompt, if one was.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or others may read it.
    pub(crate) fn given(&self) -> Result<Option<SecretText>, Failure> {
        let (kind, text) = if let Some(path) = &self.recovery_key_file {
            (SecretKind::RecoveryKey, read_file(path)?)
        } else if let Some(path) = &self.passphrase_file {
            (SecretKind::Passphrase, read_file(path)?)
        } else if let Some(path) = self.credential() {
            // systemd hands credentials out under an access list that shows as group-readable;
            // the directory is the service's own.
            (SecretKind::Passphrase, read(&path)?)
        } else {
            return Ok(None);
        };
        Ok(Some(SecretText { kind, text }))
    }

    fn credential(&self) -> Option<PathBuf> {
        let path = self.credentials.as_ref()?.join("passphrase");
        path.exists().then_some(path)
    }

    /// The secret that was given, or else the one typed at the prompt.
    ///
    /// # Errors
    ///
    /// Those of [`Sources::given`]; usage, where there is no terminal.
    pub(crate) fn get(&self) -> Result<SecretText, Failure> {
        if let Some(secret) = self.given()? {
            return Ok(secret);
        }
        Ok(SecretText {
            kind: SecretKind::Passphrase,
            text: prompt("Passphrase: ", UNLOCK)?,
        })
    }

    /// A new passphrase: from a file, or typed twice.
    ///
    /// # Errors
    ///
    /// Those of [`Sources::given`]; usage, where there is no terminal or the two differ.
    pub(crate) fn new_passphrase(&self) -> Result<SecretText, Failure> {
        let unrelated = Self {
            recovery_key_file: None,
            ..self.clone()
        };
        match unrelated.given()? {
            Some(secret) => Ok(secret),
            None => prompt_twice("give --passphrase-file FILE or VAULT_PASSPHRASE_FILE"),
        }
    }
}

/// A new passphrase, typed twice; the rule is shown before, and held to before it is typed again.
///
/// # Errors
///
/// Usage, with `instead` as the way out, where there is no terminal or the two differ; failed, where
/// the rule is not kept.
pub(crate) fn prompt_twice(instead: &str) -> Result<SecretText, Failure> {
    let rule = format!(
        "at least {PASSPHRASE_CHARACTERS_MIN} characters; five or six random words are good"
    );
    let text = prompt(&format!("New passphrase ({rule}): "), instead)?;
    new_passphrase(&text)?;
    if *prompt("The same again: ", instead)? != *text {
        return Err(Failure::usage(
            "the two passphrases differ",
            "type the same one twice; nothing was changed",
        ));
    }
    Ok(SecretText {
        kind: SecretKind::Passphrase,
        text,
    })
}

/// Asks for a secret without showing it.
///
/// # Errors
///
/// Usage, with `instead` as the way out, where there is no terminal.
pub(crate) fn prompt(question: &str, instead: &str) -> Result<Zeroizing<String>, Failure> {
    let nobody = || {
        Failure::usage(
            "a secret is needed and there is no terminal to ask on",
            instead,
        )
    };
    if !std::io::stdin().is_terminal() {
        return Err(nobody());
    }
    let _silence = Silence::begin();
    match rpassword::prompt_password(question) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) if error.kind() == ErrorKind::Interrupted => interrupt::wait(),
        Err(_) => Err(nobody()),
    }
}

/// The echo is off while it lives. `rpassword` shows the question first and switches the echo off then,
/// so that what is typed or pasted at once would be shown.
struct Silence(Termios);

impl Silence {
    fn begin() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO;
        tcsetattr(io::stdin(), OptionalActions::Now, &silent).ok()?;
        Some(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// The secret in a file that nobody else may read; `-` is standard input.
///
/// # Errors
///
/// Io; `readable_secret` with the command that mends it.
pub(crate) fn read_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    if path != Path::new("-") {
        let mode = std::fs::metadata(path)
            .map_err(|error| Failure::io(format!("could not read {}", path.display()), &error))?
            .mode();
        if mode & 0o077 != 0 {
            return Err(Failure::new(
                Exit::Failed,
                "readable_secret",
                format!("other users may read {}", path.display()),
                format!(
                    "if it is the secret's own file, run: chmod 600 {}",
                    path.display()
                ),
            ));
        }
    }
    read(path)
}

/// A private key in PEM, in a file that nobody else may read.
///
/// # Errors
///
/// Those of [`read_file`].
pub(crate) fn read_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut text = read_file(path)?;
    Ok(Zeroizing::new(std::mem::take(&mut *text).into_bytes()))
}

fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let failed =
        |error: std::io::Error| Failure::io(format!("could not read {}", path.display()), &error);
    // Filled at its full size at once, because a growing buffer leaves copies behind.
    let limit = usize::try_from(SECRET_BYTES_MAX).expect("4096 fits") + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit));
    let count = if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(SECRET_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
    } else {
        let file = File::open(path).map_err(failed)?;
        file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes)
    }
    .map_err(failed)?;
    if count as u64 > SECRET_BYTES_MAX {
        return Err(Failure::new(
            Exit::Failed,
            "too_large",
            format!("{} is too long for a secret", path.display()),
            "a secret file has one line of at most 4,096 bytes",
        ));
    }
    let mut text = match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Zeroizing::new(text),
        Err(error) => {
            error.into_bytes().zeroize();
            return Err(Failure::new(
                Exit::Failed,
                "not_text",
                format!("{} is not UTF-8 text", path.display()),
                "a secret file has one line of text",
            ));
        }
    };
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(directory: &tempfile::TempDir, content: &[u8], mode: u32) -> PathBuf {
        let path = directory.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn one_trailing_newline_is_dropped_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        for (content, expected) in [
            ("a secret\n", "a secret"),
            ("a secret\r\n", "a secret"),
            ("a secret\n\n", "a secret\n"),
            (" a secret ", " a secret "),
        ] {
            let path = file(&directory, content.as_bytes(), 0o600);
            assert_eq!(*read_file(&path).ok().unwrap(), expected);
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_command_that_mends_it() {
        let directory = tempfile::tempdir().unwrap();
        for mode in [0o644, 0o640, 0o604, 0o620] {
            let path = file(&directory, b"hidden words", mode);
            let failure = read_file(&path).err().unwrap();
            assert_eq!(failure.exit, Exit::Failed);
            assert!(failure.help.contains("chmod 600"), "{}", failure.help);
            assert!(!failure.what.contains("hidden"));
        }
        assert!(read_file(&file(&directory, b"hidden words", 0o400)).is_ok());
    }

    #[test]
    fn a_file_over_the_limit_or_not_text_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let long = file(&directory, &[b'x'; 4097], 0o600);
        assert_eq!(read_file(&long).err().unwrap().code, "too_large");
        let binary = file(&directory, &[0xff, 0xfe], 0o600);
        assert_eq!(read_file(&binary).err().unwrap().code, "not_text");
    }

    #[test]
    fn a_credential_is_used_only_where_no_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("passphrase"), "from systemd").unwrap();
        let named = file(&directory, b"from a file", 0o600);
        let mut sources = Sources {
            credentials: Some(directory.path().to_owned()),
            ..Sources::default()
        };
        assert_eq!(*sources.given().ok().unwrap().unwrap().text, "from systemd");
        sources.passphrase_file = Some(named);
        assert_eq!(*sources.given().ok().unwrap().unwrap().text, "from a file");
        assert!(Sources::default().given().ok().unwrap().is_none());
    }
}
