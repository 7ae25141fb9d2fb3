//! What a store can fail with.
//!
//! The question each variant answers is whether anything changed and what the caller does next.
//! Does not carry keys, values or the texts of the store below, which may quote them.

use std::io;

/// Why a store operation failed. After every variant but [`StoreError::OutcomeUnknown`] nothing
/// has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The closure said no, or went on after one of its own changes had failed.
    #[error("the transaction was aborted")]
    Aborted,
    /// The file is not a vault's, or its bytes are not those that were written.
    #[error("the store is corrupt")]
    Corrupt,
    /// No room for the change, noticed before the commit began.
    #[error("the disk is full")]
    DiskFull,
    /// Another process or handle holds the vault.
    #[error("the store is held by another process")]
    Held,
    /// The operating system refused an operation before the commit began.
    #[error("could not read or write the store")]
    Io(#[source] io::Error),
    /// There is no store at this path.
    #[error("there is no store here")]
    NotFound,
    /// The commit failed: all of the change has happened or none of it. Only reopening tells; this
    /// handle refuses everything from here on.
    #[error("the commit failed and its outcome is unknown")]
    OutcomeUnknown,
    /// This handle cannot be used: it failed earlier, is closed, or the file first needs a repair
    /// that only a writer may do. Reopen it.
    #[error("the store must be reopened")]
    Unavailable,
}

impl From<io::Error> for StoreError {
    /// For errors before a commit; an error inside one is always
    /// [`StoreError::OutcomeUnknown`], whatever its kind.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::QuotaExceeded | io::ErrorKind::StorageFull => Self::DiskFull,
            // redb reports a foreign file as invalid data, and a truncated one as its early end.
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Self::Corrupt,
            _ => Self::Io(error),
        }
    }
}
