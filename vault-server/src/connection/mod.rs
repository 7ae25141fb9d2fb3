//! Connections: who gets one, how long it may wait, what it is counted as.
//!
//! One way of serving for plain TCP, TLS and the admin socket. `accept` takes connections, `places`
//! lets them in, `activity` knows what each waits for and until when, `watched` and `body` tell it what
//! happens, `serve` puts them together, `figures` counts. Knows nothing of the calls themselves.

mod accept;
mod activity;
mod body;
mod figures;
mod places;
mod serve;
mod socket;
mod watched;

pub(crate) use accept::{accept, accept_socket};
pub(crate) use body::BodyTimeout;
pub use figures::ConnectionFigures;
pub(crate) use serve::{House, ThroughSocket};
pub use socket::{AdminSocket, SocketError};
