//! The promises, tried across crates and over real HTTP.
//!
//! Here stands what several tests and programs share; the tests themselves are in `tests/`.

pub mod blobs;
pub mod deadly;
pub mod forensic;
pub mod replay;
pub mod soak;
