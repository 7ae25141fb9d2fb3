//! The places of the configuration: as targets, and as what the process needs to reach them.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vault_core::backup::target::{Directory, Target};

use crate::config::{BackupConfig, BackupPlace};
use crate::objects::{self, Objects, ObjectsConfig};
use crate::sandbox::directories_of;

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

/// What a process that confines itself needs, to reach the places.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Within {
    /// Directories that are written to.
    pub(crate) write: Vec<PathBuf>,
    /// Directories and files that are read.
    pub(crate) read: Vec<PathBuf>,
    /// Ports that are connected to.
    pub(crate) connect: Vec<u16>,
}

/// What is meant by a place of the configuration.
pub(super) fn target(place: &BackupPlace, config: &ObjectsConfig) -> Arc<dyn Target> {
    match place {
        BackupPlace::Directory(path) => Arc::new(Directory::new(path)),
        BackupPlace::Objects(place) => {
            let environment = &objects::environment;
            Arc::new(Objects::new(place.clone(), config, environment))
        }
    }
}

/// Makes the directories that are not there, and says what has to stay within reach of a process that confines
/// itself. One that cannot be made, such as on a disk that is away, is left out: backups then fail, and say so, while
/// the vault is served.
///
/// # Errors
///
/// See [`PlaceError`].
pub(crate) fn prepare(config: &BackupConfig, own: &[&Path]) -> Result<Within, PlaceError> {
    let mut within = Within::default();
    for place in config.places() {
        let path = match &place {
            BackupPlace::Directory(path) => path,
            BackupPlace::Objects(objects) => {
                let objects = Objects::new(objects.clone(), &config.s3, &objects::environment);
                if let Err(error) = objects.prepare() {
                    tracing::error!(target: "vault_server::backups", %place, %error, "a place for backups cannot be used as it is configured: backups fail until that is mended");
                }
                within.connect.push(objects.port());
                within.read.extend(objects.files().flat_map(directories_of));
                continue;
            }
        };
        if let Err(error) = make(path) {
            tracing::error!(target: "vault_server::backups", place = %path.display(), %error, "a place for backups cannot be made or reached: backups fail until the server is started with it in place");
            continue;
        }
        for dir in own {
            let (real, dir) = (real(path), real(dir));
            if real.starts_with(&dir) || dir.starts_with(&real) {
                let to = config.to.as_ref() == Some(&place);
                return Err(PlaceError::Inside {
                    key: if to { "backup.to" } else { "backup.ledger_to" },
                    path: real,
                    own: dir,
                });
            }
        }
        within.write.push(path.clone());
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
                to: Some(to.to_owned().into()),
                ..BackupConfig::default()
            };
            prepare(&config, &[&vault, &anchor])
        };
        let outside = home.path().join("b/deep");
        assert_eq!(
            prepared(&outside).expect("made").write,
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
        let left_out = prepared(&file.join("b")).expect("left out");
        assert_eq!(left_out, Within::default());
    }

    #[test]
    fn a_bucket_needs_a_port_and_files_that_are_read_and_no_directory() {
        let text = "[backup]\nto = 's3://vault/b'\nledger_to = ['s3://vault/b', 's3://other']\n\
             [backup.s3]\nendpoint = 'https://store.test:9443'\ncredentials_file = '/etc/vault/s3/keys'\nca = '/etc/vault/ca/pem'";
        let config = crate::config::ServerConfig::parse(text, []).expect("fits");
        let within = prepare(&config.backup, &[]).expect("it is served nevertheless");
        assert_eq!(
            (within.write.len(), &*within.connect),
            (0, &[9443, 9443][..])
        );
        for dir in ["/etc/vault/s3", "/etc/vault/ca"] {
            assert!(within.read.contains(&PathBuf::from(dir)), "{dir}");
        }
    }
}
