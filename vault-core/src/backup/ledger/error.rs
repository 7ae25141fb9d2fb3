//! What can be wrong with a ledger.

use std::io;

use crate::store::StoreError;

/// Why a ledger cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The file knows more than the database.
    #[error(
        "the ledger's file has entry {position}, which the database does not have: the database is older"
    )]
    Ahead {
        /// The first such entry.
        position: u64,
    },
    /// Bytes are not those that were written.
    #[error("the erasure ledger is damaged: {copy}, from byte {at}: {what}")]
    Damaged {
        /// Which copy.
        copy: String,
        /// The offset.
        at: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// Two copies go different ways: one of them is of a vault that was put back to an earlier state.
    #[error("{copy} and {other} are ledgers that part at entry {position}")]
    Fork {
        /// The one.
        copy: String,
        /// The other.
        other: String,
        /// The first entry that differs.
        position: u64,
    },
    /// The operating system refused.
    #[error("could not read or write the erasure ledger: {copy}")]
    Io {
        /// Which copy.
        copy: String,
        /// Why.
        source: io::Error,
    },
    /// There is no copy.
    #[error("there is no copy of the erasure ledger")]
    None,
    /// Every copy ends before the backup was made.
    #[error("the longest ledger ends at entry {position}, before the backup, which knew {wanted}")]
    Short {
        /// Entries of the longest.
        position: u64,
        /// Entries that there were.
        wanted: u64,
    },
    /// The store failed.
    #[error("could not read the erasure ledger's table")]
    Store(#[source] StoreError),
    /// Rows are missing in the table, or others than were written.
    #[error("the erasure ledger's table is damaged at entry {position}")]
    Table {
        /// The first entry that is not what it should be.
        position: u64,
    },
    /// It is that of another vault.
    #[error("{copy} is the ledger of another vault")]
    Vault {
        /// Which copy.
        copy: String,
    },
}

impl From<StoreError> for LedgerError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
