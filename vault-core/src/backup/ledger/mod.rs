//! The erasure ledger: what was destroyed, withdrawn or revoked, in the order in which it was.
//!
//! A backup brings old rows and old keys back; whoever restores one goes over the ledger afterwards, so
//! that nothing that was erased since returns. It holds no value: row handles, key and record numbers,
//! SHA-256 of the ids of erased people, times. Its key lies in the system keyset and in every key part.
//!
//! An entry is a row of the erasing transaction, chained to the one before it, and is appended to a file
//! beside the database before the erasure is acknowledged. A head, signed behind the entries, says until
//! when the file is complete; where another key signs from some place on, a frame there says so. Knows nothing of who erases, or why.

mod chain;
mod change;
mod entry;
mod error;
mod file;
mod head;
mod read;
mod replay;
mod tape;
#[cfg(test)]
pub(crate) mod tests;
mod window;

pub(crate) use chain::{Tip, copy_rows, extend, follow, header};
pub(crate) use change::frame as change_frame;
pub use entry::{LedgerEntry, LedgerEvent};
pub use error::LedgerError;
pub(crate) use file::{LedgerFile, Rows};
pub(crate) use head::Head;
pub use read::{Ledger, LedgerCopy};
pub use replay::{Cut, Erased, Replay};
pub(crate) use tape::{FileTape, Tape};
