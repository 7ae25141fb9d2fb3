//! Connections: who gets one, how long it may wait, what it is counted as.
//!
//! One loop and one way of serving for plain TCP, TLS and the admin socket. `places` lets a
//! connection in, `activity` knows what it waits for and until when, `watched` and `body` tell it what
//! happens, `serve` puts them together, `figures` counts. Knows nothing of the calls themselves.

mod activity;
mod body;
mod figures;
mod places;
mod serve;
mod socket;
mod watched;

pub(crate) use body::BodyTimeout;
pub use figures::ConnectionFigures;
pub(crate) use serve::{House, ThroughSocket, accept, accept_socket};
pub use socket::{AdminSocket, SocketError};
