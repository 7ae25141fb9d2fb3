//! The vault behind HTTP.
//!
//! A call travels `front` (its id, its log line) → a handler in `routes` (parses at the edge, with
//! `incoming`, `json` and `shape`) → `call` (the one way into `vault-core`, on a blocking thread) →
//! `reply` or `problem`. This crate decides nothing about people: who may see what is decided
//! below, in the read's own transaction. It knows sockets, headers and status codes.

mod backoff;
mod call;
pub mod code;
pub mod config;
mod front;
mod idempotency;
mod incoming;
mod json;
pub mod logging;
mod nearest;
mod negotiate;
pub mod openapi;
mod pages;
pub mod problem;
mod reply;
mod routes;
mod server;
mod shape;
mod state;
pub mod urls;

pub use openapi::openapi;
pub use routes::router;
pub use server::Server;
pub use state::{App, AppSettings};
