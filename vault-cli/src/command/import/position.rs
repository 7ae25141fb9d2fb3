//! How far an import is: a file beside the input, written anew after each batch.
//!
//! It holds numbers and a hash of the input, and no value. Between a batch that the vault has written and
//! this file that says so, a kill leaves a batch in doubt: it is sent again under the same name, and the
//! vault, which remembers for a day, does not write it twice. After a day it could not know.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use vault_core::limits::ANSWER_HOURS;

use crate::failure::{Exit, Failure};

/// What the file holds.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Position {
    /// Names the import.
    pub(super) import: String,
    /// Of the input and the mapping.
    pub(super) sha256: String,
    /// The last line that is done.
    pub(super) line: u64,
    pub(super) written: u64,
    pub(super) refused: u64,
    pub(super) files: u64,
    /// Length of the file of errors, where there is one.
    #[serde(default)]
    pub(super) errors_bytes: u64,
    /// When this was written; a batch in doubt is younger.
    pub(super) at: Timestamp,
    pub(super) done: bool,
}

/// The file.
pub(super) struct PositionFile {
    path: PathBuf,
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::io(format!("could not write {}", path.display()), error)
}

impl PositionFile {
    pub(super) fn beside(input: &Path, vault: &str) -> Self {
        let mut path = input.as_os_str().to_owned();
        path.push(format!(".import-{vault}"));
        Self { path: path.into() }
    }

    /// What it says; `None` where there is none.
    pub(super) fn read(&self, sha256: &str) -> Result<Option<Position>, Failure> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Failure::io(
                    format!("could not read {}", self.path.display()),
                    &error,
                ));
            }
        };
        let other = |what| {
            Failure::new(
                Exit::Failed,
                "other_import",
                format!("{} {what}", self.path.display()),
                "put the file back as it was; or, to import all of it as something new, remove that one",
            )
        };
        let position: Position = serde_json::from_slice(&bytes)
            .map_err(|_| other("does not say how far an import is"))?;
        match position.sha256 == sha256 {
            true => Ok(Some(position)),
            false => Err(other(
                "is of another content of this file, or another mapping",
            )),
        }
    }

    /// Writes it anew, whole or not at all.
    pub(super) fn write(&self, position: &Position) -> Result<(), Failure> {
        let failed = |error: io::Error| unwritable(&self.path, &error);
        // Always the same name, so that kills leave one such file and not many.
        let mut new = self.path.as_os_str().to_owned();
        new.push(".new");
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&new).map_err(failed)?;
        let text = serde_json::to_vec(position).expect("numbers and texts have a JSON form");
        file.write_all(&text).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        std::fs::rename(&new, &self.path).map_err(failed)?;
        // Its name has to last as well: without it the same lines would be another import.
        let parent = self.path.parent().filter(|parent| *parent != Path::new(""));
        let parent = std::fs::File::open(parent.unwrap_or(Path::new(".")));
        parent.and_then(|dir| dir.sync_all()).map_err(failed)
    }
}

impl Position {
    /// Whether the vault may have forgotten what it wrote last. An hour is left for clocks that differ.
    pub(super) fn too_old(&self, now: Timestamp) -> bool {
        let remembered = SignedDuration::from_hours(i64::from(ANSWER_HOURS) - 1);
        !self.done && now.duration_since(self.at) > remembered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_of_one_content_and_of_one_day() {
        let dir = tempfile::tempdir().unwrap();
        let file = PositionFile::beside(&dir.path().join("people.csv"), "vault");
        assert_eq!(file.read("a").unwrap(), None);
        let at: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let position = Position {
            import: "i".into(),
            sha256: "a".into(),
            line: 7,
            written: 6,
            refused: 1,
            files: 0,
            errors_bytes: 0,
            at,
            done: false,
        };
        file.write(&position).unwrap();
        assert_eq!(file.read("a").unwrap(), Some(position.clone()));
        assert_eq!(file.read("b").unwrap_err().code, "other_import");
        let later = |hours| at + SignedDuration::from_hours(hours);
        assert!(!position.too_old(later(22)) && position.too_old(later(24)));
        assert!(
            !Position {
                done: true,
                ..position
            }
            .too_old(later(999))
        );
    }
}
