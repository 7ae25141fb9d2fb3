//! Copies that outlive the vault's own files, and what must not come back with them.
//!
//! [`ledger`] says what was erased, so that no copy can bring it back; [`registry`] says which copies
//! of keys there are, and so until when somebody who was erased could still be brought back.

pub mod ledger;
pub mod registry;
