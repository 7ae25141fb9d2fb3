//! Where secrets come from: a file, a systemd credential, a prompt; never an argument, because
//! arguments stand in the process list and in the shell's history.
//!
//! Knows nothing of slots or tokens. One trailing newline is dropped, nothing else; of a key file
//! nothing.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use vault_core::limits::{KEY_FILE_BYTES_MAX, PASSPHRASE_CHARACTERS_MIN};
use vault_core::vault::{
    KeyFile, Passphrase, RecoveryKey, Share, ShareError, SharedSecret, UnlockSecret,
};
use zeroize::{Zeroize, Zeroizing};

use crate::failure::{Exit, Failure};
use crate::interrupt;

/// Longest secret file, in bytes: more than any passphrase or token has.
const SECRET_BYTES_MAX: usize = 4096;

/// How to give the secret that opens the vault without a terminal.
const UNLOCK: &str = "give --passphrase-file FILE, --key-file FILE, --share-file FILE for each share, \
    --recovery-key-file FILE, VAULT_PASSPHRASE_FILE or VAULT_KEY_FILE";

/// What kind of secret a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SecretKind {
    /// A passphrase.
    Passphrase,
    /// A recovery key.
    RecoveryKey,
    /// A key file: any file that nobody can guess, such as 32 random bytes.
    KeyFile,
    /// Shares, of which some open the vault together.
    Shares,
}

/// A secret as it was typed. No `Debug`.
pub(crate) struct SecretText {
    /// What it is.
    pub(crate) kind: SecretKind,
    /// Its text; of a key file its content in base64, of shares one a line.
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
            SecretKind::KeyFile => {
                let content = BASE64.decode(self.text.as_bytes()).unwrap_or_default();
                let file = KeyFile::new(Zeroizing::new(content)).map_err(|error| {
                    let help = "name the file that the slot was added with, as it was then";
                    Failure::caused(Exit::Locked, "wrong_secret", &error, help)
                })?;
                Ok(UnlockSecret::KeyFile(file))
            }
            SecretKind::Shares => {
                let shares = self.shares()?;
                let secret = SharedSecret::join(&shares).map_err(|error| not_shares(&error))?;
                Ok(UnlockSecret::Shares(secret))
            }
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

impl SecretText {
    /// The shares in it.
    ///
    /// # Errors
    ///
    /// Wrong secret (exit 3), with the place of the share that is none.
    pub(crate) fn shares(&self) -> Result<Vec<Share>, Failure> {
        let shares = self.lines().enumerate().map(|(place, line)| {
            line.parse().map_err(|error: ShareError| {
                let failure = not_shares(&error);
                Failure {
                    what: format!("share {}: {}", place + 1, failure.what),
                    ..failure
                }
            })
        });
        shares.collect()
    }

    /// The lines with something on them.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter(|line| !line.trim().is_empty())
    }

    /// The content of a key file.
    ///
    /// # Errors
    ///
    /// Those of [`read_file`].
    pub(crate) fn key_file(path: &Path) -> Result<Self, Failure> {
        owner_alone(path)?;
        let content = read_bytes(path, KEY_FILE_BYTES_MAX)?;
        Ok(Self {
            kind: SecretKind::KeyFile,
            text: Zeroizing::new(BASE64.encode(&content)),
        })
    }

    /// A secret of this kind in a file.
    ///
    /// # Errors
    ///
    /// Those of [`read_file`].
    pub(crate) fn file(kind: SecretKind, path: &Path) -> Result<Self, Failure> {
        match kind {
            SecretKind::KeyFile => Self::key_file(path),
            _ => read_file(path).map(|text| Self { kind, text }),
        }
    }
}

/// Shares that do not give their secret.
fn not_shares(error: &ShareError) -> Failure {
    let help = match error {
        ShareError::TooFew { .. } => {
            "give the others too: --share-file FILE for each, or type them where there is a terminal"
        }
        ShareError::Mixed | ShareError::Inconsistent => {
            "give shares that were made together; `slot test` tries them without opening the vault"
        }
        ShareError::Repeated => "give each share once",
        _ => "compare it with the paper it was written on",
    };
    Failure::caused(Exit::Locked, "wrong_secret", error, help)
}

/// Asks for shares until there are enough; `known` are there already.
///
/// # Errors
///
/// Those of [`prompt`]; wrong secret where three lines in a row are no shares that fit.
pub(crate) fn prompt_shares(
    known: Option<SecretText>,
    instead: &str,
) -> Result<SecretText, Failure> {
    let mut secret = known.unwrap_or(SecretText {
        kind: SecretKind::Shares,
        text: Zeroizing::default(),
    });
    let mut wrong = 0;
    loop {
        let shares = secret.shares()?;
        let question = match shares.first() {
            Some(first) if shares.len() >= usize::from(first.threshold()) => return Ok(secret),
            Some(first) => format!("Share {} of {}: ", shares.len() + 1, first.threshold()),
            None => "First share: ".to_owned(),
        };
        let typed = prompt(&question, instead)?;
        let length = secret.text.len();
        // At once at its full size: a growing text leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(length + typed.len() + 1));
        text.push_str(&secret.text);
        text.push_str(&typed);
        text.push('\n');
        let tried = SecretText {
            kind: SecretKind::Shares,
            text,
        };
        let fits = tried
            .shares()
            .and_then(|shares| match SharedSecret::join(&shares) {
                Ok(_) | Err(ShareError::TooFew { .. }) => Ok(()),
                Err(error) => Err(not_shares(&error)),
            });
        match fits {
            Ok(()) => (secret, wrong) = (tried, 0),
            Err(failure) if wrong == 2 => return Err(failure),
            Err(failure) => {
                wrong += 1;
                let _ = writeln!(io::stderr().lock(), "{}; once more", failure.what);
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
    /// `--share-file`, each.
    pub(crate) share_files: Vec<PathBuf>,
    /// `--ask-shares`.
    pub(crate) ask_shares: bool,
    /// `--key-file`, else `VAULT_KEY_FILE`.
    pub(crate) key_file: Option<PathBuf>,
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
        if let Some(path) = &self.key_file {
            return SecretText::key_file(path).map(Some);
        }
        let (kind, text) = if let Some(path) = &self.recovery_key_file {
            (SecretKind::RecoveryKey, read_file(path)?)
        } else if !self.share_files.is_empty() {
            let read = self.share_files.iter().map(|path| read_file(path));
            let texts = read.collect::<Result<Vec<_>, Failure>>()?;
            let room = texts.iter().map(|text| text.len() + 1).sum();
            let mut all = Zeroizing::new(String::with_capacity(room));
            for text in &texts {
                all.push_str(text);
                all.push('\n');
            }
            (SecretKind::Shares, all)
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

    /// Whether flags or variables name a secret.
    pub(crate) fn named(&self) -> bool {
        self.recovery_key_file.is_some()
            || self.passphrase_file.is_some()
            || self.key_file.is_some()
            || !self.share_files.is_empty()
            || self.ask_shares
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
        match self.given()? {
            Some(secret) if secret.kind == SecretKind::Shares && io::stdin().is_terminal() => {
                return prompt_shares(Some(secret), UNLOCK);
            }
            Some(secret) => return Ok(secret),
            None if self.ask_shares => return prompt_shares(None, UNLOCK),
            None => {}
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
            passphrase_file: self.passphrase_file.clone(),
            credentials: self.credentials.clone(),
            ..Self::default()
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
    hidden(question).ok_or_else(nobody)
}

/// A line that the terminal does not show; `None` where it is at its end.
pub(crate) fn hidden(question: &str) -> Option<Zeroizing<String>> {
    let _silence = Silence::begin();
    match rpassword::prompt_password(question) {
        Ok(text) => Some(Zeroizing::new(text)),
        Err(error) if error.kind() == ErrorKind::Interrupted => interrupt::wait(),
        Err(_) => None,
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
    owner_alone(path)?;
    read(path)
}

fn owner_alone(path: &Path) -> Result<(), Failure> {
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
    Ok(())
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

/// At most `most` bytes.
fn read_bytes(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed =
        |error: std::io::Error| Failure::io(format!("could not read {}", path.display()), &error);
    // Filled at its full size at once, because a growing buffer leaves copies behind.
    let room = most + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    if path == Path::new("-") {
        let stdin = std::io::stdin().lock();
        stdin.take(room as u64).read_to_end(&mut bytes)
    } else {
        let file = File::open(path).map_err(failed)?;
        file.take(room as u64).read_to_end(&mut bytes)
    }
    .map_err(failed)?;
    if bytes.len() > most {
        return Err(Failure::new(
            Exit::Failed,
            "too_large",
            format!("{} is too long for a secret", path.display()),
            "a secret file has at most 4,096 bytes of text, a key file at most 8,192 of any kind",
        ));
    }
    Ok(bytes)
}

fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let mut bytes = read_bytes(path, SECRET_BYTES_MAX)?;
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
