//! The vault as a library.
//!
//! Synchronous, and knows no HTTP: a server and a command line stand on top of it. Imports go one
//! way: a module knows those it stands on, never those above it.

pub mod clock;
pub mod entropy;
pub mod id;
pub mod policy;
pub mod schema;
pub mod store;
pub mod refusal;
pub mod vault;
