//! The vault as a library.
//!
//! Synchronous, and knows no HTTP: a server and a command line stand on top of it. Imports go one
//! way: a module knows those it stands on, never those above it.

pub mod audit;
pub mod clock;
pub mod commit;
pub mod consent;
pub mod crypto;
mod decision;
pub mod entropy;
pub mod id;
pub mod keys;
pub mod limits;
pub mod medium;
mod person;
pub mod policy;
mod record;
pub mod refusal;
pub mod revocation;
pub mod row;
pub mod schema;
pub mod session;
pub mod statement;
pub mod store;
pub mod vault;
