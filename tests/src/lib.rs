//! The promises, tried across crates and over real HTTP.
//!
//! Here stands what several tests and programs share; the tests themselves are in `tests/`.

pub mod asking;
pub mod backups;
pub mod blobs;
pub mod canary;
pub mod contract;
pub mod deadly;
mod dialer;
pub mod expiry;
pub mod exports;
pub mod forensic;
pub mod full_disk;
mod memory;
pub mod replay;
pub mod server;
pub mod soak;
