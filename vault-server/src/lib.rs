//! The vault behind HTTP.
//!
//! A call travels `front` (its id, its log line) → a handler in `routes` (parses at the edge, with
//! `incoming`, `json` and `shape`) → `call` (the one way into `vault-core`, on a blocking thread) →
//! `reply` or `problem`. This crate decides nothing about people: who may see what is decided
//! below, in the read's own transaction. It knows sockets, headers and status codes.

mod alarm;
mod asked;
mod backoff;
mod backups;
pub mod bodies;
mod call;
pub mod code;
pub mod codes;
pub mod config;
mod connection;
pub mod cors;
mod front;
mod group;
mod idempotency;
mod incoming;
mod json;
mod keyholder;
pub mod logging;
mod metrics;
mod nearest;
mod negotiate;
pub mod objects;
pub mod openapi;
mod operation;
mod otel;
mod pages;
#[doc(hidden)]
pub mod parsers;
mod places;
mod policy_file;
pub mod problem;
mod process;
pub mod publication;
mod rate;
mod recipients;
mod reply;
pub mod rollback;
mod rotation;
mod routes;
mod sandbox;
mod server;
mod shape;
mod state;
mod systemd;
mod tls;
mod transfer;
pub mod unlock;
pub mod urls;
pub mod webhook;

pub use backups::PlaceError;
pub use codes::CodeSink;
pub use connection::{AdminSocket, ConnectionFigures, SocketError};
pub use metrics::MetricsListener;
pub use openapi::openapi;
pub use pages::policy as page_policy;
pub use pages::receipt::html as receipt_page;
pub use policy_file::{PolicyFile, PolicyFileError};
pub use process::{Process, ServeError, hide_memory};
pub use rate::Limits;
pub use recipients::{Recipients, RecipientsError};
pub use routes::backups::{backup_summary, receipt_status};
pub use routes::breach::{affected_line, breach_drafts, breach_report};
pub use routes::decisions::{decision_page, decision_stepped, decision_view};
pub use routes::emergencies::{emergency_list, emergency_view};
pub use routes::holds::{held_page, hold_released, hold_step, hold_view};
pub use routes::incidents::{incident_list, incident_view};
pub use routes::requests::{request_confirmation, request_page, request_stepped, request_view};
pub use routes::router;
pub use sandbox::{SandboxError, SandboxPaths};
pub use server::Server;
pub use state::{App, AppSettings};
pub use tls::{TlsError, certificate_end};
