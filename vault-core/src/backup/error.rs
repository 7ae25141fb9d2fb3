//! Why a backup could not be made, read or brought back.

use std::io;
use std::path::PathBuf;

use crate::refusal::Refusal;
use crate::store::StoreError;

/// Why work on a backup ended early. Texts name objects and offsets, never a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// More changed while it was copied than is remembered, several times over.
    #[error(
        "more of the vault changed while it was copied than is remembered, {attempts} times: \
         make the backup when fewer people are written to"
    )]
    Busy {
        /// How often it was begun.
        attempts: u32,
    },
    /// Somebody ended it.
    #[error("it was cancelled; the backup does not exist")]
    Cancelled,
    /// Bytes are not those that were written.
    #[error("{object} is damaged: {what}")]
    Damaged {
        /// Which object of which backup.
        object: String,
        /// What is wrong with it, and where.
        what: String,
    },
    /// Something is there already.
    #[error("{0} is there already, and nothing is written over it")]
    Exists(PathBuf),
    /// What the ledger cannot vouch for has to be accepted in words.
    #[error("{0}")]
    Gap(String),
    /// Another restore is at work in the same directory.
    #[error("another restore goes on beside this one, in {0}")]
    Held(PathBuf),
    /// A key, a secret or a recipient is not of its form.
    #[error("{0}")]
    Input(String),
    /// The operating system refused.
    #[error("could not {what}")]
    Io {
        /// What was to be done, and where.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The erasure ledger cannot be used.
    #[error("the erasure ledger cannot be used: {0}")]
    Ledger(crate::backup::ledger::LedgerError),
    /// The erasure ledger could not be put beside the backups.
    #[error("could not copy the erasure ledger to the target")]
    LedgerCopy(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No such backup, or none at all.
    #[error("{0}")]
    NotFound(String),
    /// The vault refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store of the new vault failed.
    #[error("could not write the restored store")]
    Store(#[source] StoreError),
    /// The identity or passphrase opens no key part.
    #[error("this identity opens no key part of the backup")]
    WrongIdentity,
}

impl From<StoreError> for BackupError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl BackupError {
    pub(crate) fn damaged(object: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Damaged {
            object: object.into(),
            what: what.into(),
        }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
