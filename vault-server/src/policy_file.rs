//! The policy file that the server puts in force by itself: at the start, when the vault is opened, at SIGHUP.
//!
//! Whoever can write this file can do what `policy.apply` can, so the file has to be out of everybody else's
//! reach: owned by root or by the user of the service, writable by its owner alone, as is each directory
//! above it; and not in the vault's directories, which hold nothing in clear (docs/decisions/0011).

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use vault_core::policy::POLICY_BYTES_MAX;
use vault_core::refusal::Refusal;
use vault_core::vault::Vault;

/// Findings of a refused policy that the log repeats, each a line of its own.
const FINDINGS_LOGGED_MAX: usize = 20;
/// Owner root, as everywhere.
const ROOT: u32 = 0;
/// A directory in which only an entry's owner may replace it, such as `/tmp`.
const STICKY: u32 = 0o1000;

/// Why a policy file is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyFileError {
    /// It lies where nothing may lie in clear.
    #[error("`vault.policy`, {path}, lies in {directory}: nothing is in clear there; move it out")]
    Inside {
        /// The file.
        path: PathBuf,
        /// The vault's or the anchor's directory.
        directory: PathBuf,
    },
    /// Somebody else could have written it.
    #[error(
        "`vault.policy`: {path} {what}; whoever can change it could change who reads what: {todo}"
    )]
    Reach {
        /// The file, or a directory above it.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// How to mend it.
        todo: String,
    },
    /// It could not be read.
    #[error("could not read {path} (`vault.policy`)")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// How often the file was put in force, and how often it was not taken.
#[derive(Debug, Default)]
pub(crate) struct PolicyReloads {
    pub(crate) applied: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// A policy file, and where it must not lie.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    path: PathBuf,
    outside: Vec<PathBuf>,
}

impl PolicyFile {
    /// The file at `path`, which has to lie outside of these directories.
    #[must_use]
    pub fn new(path: &Path, outside: &[&Path]) -> Self {
        Self {
            path: path.to_owned(),
            outside: outside.iter().map(|&dir| dir.to_owned()).collect(),
        }
    }

    /// Its text, if nobody but root and `user` could have written it.
    ///
    /// # Errors
    ///
    /// See [`PolicyFileError`].
    pub fn read(&self, user: u32) -> Result<String, PolicyFileError> {
        let failed = |source| PolicyFileError::Read {
            path: self.path.clone(),
            source,
        };
        // Links are followed once, here; each directory on the way to where they lead is looked at.
        let path = fs::canonicalize(&self.path).map_err(failed)?;
        self.demand_outside()?;
        let mut file = File::open(&path).map_err(failed)?;
        // Of the file that is open, and not of what has this name now.
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(failed(io::Error::from(io::ErrorKind::InvalidInput)));
        }
        alone(&path, &meta, user)?;
        for directory in path.ancestors().skip(1) {
            // A sandbox may hide what lies above; then nobody can have looked, and the mode is unknown.
            let meta = fs::metadata(directory).map_err(failed)?;
            alone(directory, &meta, user)?;
        }
        let mut text = String::new();
        let limit = POLICY_BYTES_MAX as u64 + 1;
        file.by_ref()
            .take(limit)
            .read_to_string(&mut text)
            .map_err(failed)?;
        match text.len() <= POLICY_BYTES_MAX {
            true => Ok(text),
            false => Err(failed(io::Error::from(io::ErrorKind::FileTooLarge))),
        }
    }

    /// Refuses a file in one of the directories that hold nothing in clear, also behind a link, and also one
    /// that is not there yet.
    ///
    /// # Errors
    ///
    /// [`PolicyFileError::Inside`].
    pub fn demand_outside(&self) -> Result<(), PolicyFileError> {
        let real = |path: &Path| {
            let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            fs::canonicalize(path).unwrap_or(absolute)
        };
        let path = real(&self.path);
        let inside = |directory: &&PathBuf| path.starts_with(real(directory));
        match self.outside.iter().find(inside) {
            Some(directory) => Err(PolicyFileError::Inside {
                path: self.path.clone(),
                directory: directory.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Puts the file in force, if it is another policy. Its outcome is in the log. Blocks.
    pub(crate) fn reload(&self, vault: &Vault, reloads: &PolicyReloads) {
        let user = rustix::process::geteuid().as_raw();
        let path = self.path.display();
        let source = match self.read(user) {
            Ok(source) => source,
            Err(error) => {
                reloads.failed.fetch_add(1, Ordering::Relaxed);
                let error = crate::state::chain(&error);
                tracing::error!(target: "vault_server::policy", %error, "reload: the policy file was not read; the policy before stays in force");
                return;
            }
        };
        match vault.reload_policy(&source) {
            Ok(None) => {
                tracing::info!(target: "vault_server::policy", "reload: the policy file is the policy in force");
            }
            Ok(Some(applied)) => {
                reloads.applied.fetch_add(1, Ordering::Relaxed);
                let changes = applied.changes.len();
                tracing::info!(target: "vault_server::policy", %path, version = applied.version, changes, "reload: the policy file is in force");
            }
            Err(Refusal::Invalid(findings)) => {
                reloads.failed.fetch_add(1, Ordering::Relaxed);
                for finding in findings.iter().take(FINDINGS_LOGGED_MAX) {
                    // A finding names lines, names of the policy and articles; a policy holds no person's value.
                    tracing::error!(target: "vault_server::policy", %path, code = finding.code, finding = %finding.detail, "reload: a line of the policy file is refused");
                }
                tracing::error!(target: "vault_server::policy", %path, findings = findings.len(), "reload: the policy file does not pass the check; the policy before stays in force");
            }
            Err(error) => {
                reloads.failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(target: "vault_server::policy", %path, %error, "reload: the policy file was not put in force");
            }
        }
    }
}

/// Whether only root and `user` can change what is there.
fn alone(path: &Path, meta: &Metadata, user: u32) -> Result<(), PolicyFileError> {
    let refused = |what: String, todo: String| {
        Err(PolicyFileError::Reach {
            path: path.to_owned(),
            what,
            todo,
        })
    };
    let owner = meta.uid();
    if owner != ROOT && owner != user {
        let what = format!("belongs to user {owner}, neither root nor who runs this");
        return refused(what, format!("chown root {}", path.display()));
    }
    let mode = meta.mode();
    let sticky = meta.is_dir() && mode & STICKY != 0;
    if mode & 0o022 != 0 && !sticky {
        let what = format!("can be written by others (mode {:o})", mode & 0o7777);
        return refused(what, format!("chmod go-w {}", path.display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }

    /// A directory with `vault/`, `etc/` and `etc/policy.toml` in it.
    fn scene() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().expect("a directory");
        for name in ["vault", "etc"] {
            fs::create_dir(home.path().join(name)).expect("made");
            mode(&home.path().join(name), 0o700);
        }
        let path = home.path().join("etc/policy.toml");
        fs::write(&path, "text").expect("written");
        mode(&path, 0o644);
        (home, path)
    }

    #[test]
    fn a_file_of_ours_that_others_may_read_is_taken() {
        let (home, path) = scene();
        let file = PolicyFile::new(&path, &[&home.path().join("vault")]);
        assert_eq!(file.read(me()).expect("read"), "text");
    }

    #[test]
    fn a_file_or_a_directory_above_it_that_others_may_write_is_refused_with_what_to_do() {
        let (home, path) = scene();
        let file = PolicyFile::new(&path, &[]);
        for (what, bad, good) in [
            (path.clone(), 0o664, 0o600),
            (path.clone(), 0o646, 0o600),
            (home.path().join("etc"), 0o770, 0o700),
        ] {
            mode(&what, bad);
            let error = file.read(me()).expect_err("others may write");
            let said = error.to_string();
            assert!(
                said.contains(&format!(
                    "chmod go-w {}",
                    what.canonicalize().expect("there").display()
                )),
                "{said}"
            );
            mode(&what, good);
            assert!(file.read(me()).is_ok());
        }
    }

    #[test]
    fn a_file_of_another_user_is_refused_unless_that_is_root() {
        let (_home, path) = scene();
        let meta = fs::metadata(&path).expect("there");
        let another = me() + 1;
        let refused = alone(&path, &meta, another);
        // Where the tests run as root, the file is root's, and that is fine for everybody.
        assert_eq!(refused.is_err(), me() != ROOT);
        let root = fs::metadata("/").expect("there");
        assert!(alone(Path::new("/"), &root, another).is_ok());
    }

    #[test]
    fn a_file_in_a_directory_of_the_vault_is_refused_also_behind_a_link() {
        let (home, path) = scene();
        let vault = home.path().join("vault");
        let inside = vault.join("policy.toml");
        fs::rename(&path, &inside).expect("moved");
        symlink(&inside, &path).expect("linked");
        for name in [&inside, &path] {
            let refused = PolicyFile::new(name, &[&vault]).read(me());
            assert!(
                matches!(refused, Err(PolicyFileError::Inside { .. })),
                "{refused:?}"
            );
        }
        // The same file is read where that directory is nobody's.
        assert!(
            PolicyFile::new(&path, &[&home.path().join("etc2")])
                .read(me())
                .is_ok()
        );
    }

    #[test]
    fn what_is_too_long_or_no_file_is_refused() {
        let (home, path) = scene();
        fs::write(&path, vec![b'#'; POLICY_BYTES_MAX + 1]).expect("written");
        let refused = |path: &Path| PolicyFile::new(path, &[]).read(me()).is_err();
        assert!(refused(&path));
        fs::write(&path, vec![b'#'; POLICY_BYTES_MAX]).expect("written");
        assert!(!refused(&path));
        assert!(refused(home.path()));
        assert!(refused(&home.path().join("none")));
    }
}
