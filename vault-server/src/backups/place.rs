//! The places of the configuration: as targets, and as what the process needs to reach them.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vault_core::backup::target::{Directory, Target};

use crate::config::BackupConfig;

/// Why a place of the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// It lies in the vault's own directories.
    #[error(
        "`{key}`, {path}, and {own} lie in one another: a backup belongs on another disk, and a copy of the anchor's directory undoes erasures"
    )]
    Inside {
        /// The key that names it.
        key: &'static str,
        /// The place.
        path: PathBuf,
        /// The vault's or the anchor's directory.
        own: PathBuf,
    },
}

/// What is meant by a place of the configuration.
pub(super) fn target(place: &Path) -> Arc<dyn Target> {
    Arc::new(Directory::new(place))
}

/// Makes the directories that are not there, and says which of them have to stay within reach of a process that
/// confines itself. One that cannot be made, such as on a disk that is away, is left out: backups then fail, and
/// say so, while the vault is served.
///
/// # Errors
///
/// See [`PlaceError`].
pub(crate) fn prepare(config: &BackupConfig, own: &[&Path]) -> Result<Vec<PathBuf>, PlaceError> {
    let mut within = Vec::new();
    for path in config.places() {
        if let Err(error) = make(&path) {
            tracing::error!(target: "vault_server::backups", place = %path.display(), %error, "a place for backups cannot be made or reached: backups fail until the server is started with it in place");
            continue;
        }
        for dir in own {
            let (real, dir) = (real(&path), real(dir));
            if real.starts_with(&dir) || dir.starts_with(&real) {
                let to = config.to.as_ref() == Some(&path);
                return Err(PlaceError::Inside {
                    key: if to { "backup.to" } else { "backup.ledger_to" },
                    path: real,
                    own: dir,
                });
            }
        }
        within.push(path);
    }
    Ok(within)
}

fn make(path: &Path) -> io::Result<()> {
    match path.is_dir() {
        true => Ok(()),
        false => DirBuilder::new().recursive(true).mode(0o700).create(path),
    }
}

fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.canonicalize().unwrap_or(absolute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_made_and_one_in_the_vaults_own_directories_is_refused() {
        let home = tempfile::tempdir().expect("a directory");
        let (vault, anchor) = (home.path().join("v"), home.path().join("v-anchor"));
        for dir in [&vault, &anchor] {
            std::fs::create_dir(dir).expect("made");
        }
        let prepared = |to: &Path| {
            let config = BackupConfig {
                to: Some(to.to_owned()),
                ..BackupConfig::default()
            };
            prepare(&config, &[&vault, &anchor])
        };
        let outside = home.path().join("b/deep");
        assert_eq!(
            prepared(&outside).expect("made"),
            std::slice::from_ref(&outside)
        );
        assert!(outside.is_dir());
        for inside in [vault.join("b"), anchor.join("b"), home.path().to_owned()] {
            assert!(matches!(
                prepared(&inside),
                Err(PlaceError::Inside {
                    key: "backup.to",
                    ..
                })
            ));
        }
        // Nor behind a link.
        let link = home.path().join("link");
        std::os::unix::fs::symlink(&vault, &link).expect("linked");
        assert!(prepared(&link).is_err());
        // What cannot be made is no reason not to serve.
        let file = home.path().join("file");
        std::fs::write(&file, "").expect("written");
        assert!(prepared(&file.join("b")).expect("left out").is_empty());
    }
}
