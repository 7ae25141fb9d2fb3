//! What one client may take of connections, bytes and time: the defaults.
//!
//! Knows nothing of sockets. Bounds and names of the keys stand in `keys`.

use std::time::Duration;

/// Limits of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Most open TCP connections.
    pub connections: usize,
    /// Most open TCP connections of one address; of IPv6, of one /64, which one customer has whole.
    pub connections_per_peer: usize,
    /// Longest TLS handshake.
    pub handshake: Duration,
    /// Longest from the first byte of a request's head to its last; for the first request, from the
    /// opening of the connection.
    pub header: Duration,
    /// Longest head of a request, in bytes; over HTTP/2 as its header list counts (RFC 9113 §6.5.2).
    pub header_bytes: usize,
    /// Most header fields of a request.
    pub headers: usize,
    /// Longest without a byte of a request's body.
    pub body_idle: Duration,
    /// Longest for a whole body, plus a second for each [`ConnectionLimits::body_rate`] received.
    pub body: Duration,
    /// Bytes of a body that buy one more second.
    pub body_rate: u64,
    /// Longest that a connection stays open without a call.
    pub idle: Duration,
    /// Longest that a client takes no byte of an answer that waits for it.
    pub write: Duration,
    /// Most calls at a time on one HTTP/2 connection.
    pub streams: u32,
    /// Most streams of one HTTP/2 connection that its client may have reset while they waited
    /// (CVE-2023-44487).
    pub reset_streams: usize,
    /// How long, at a stop, calls are still taken after the readiness turned false.
    pub drain: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_peer: 256,
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(10),
            header_bytes: 16 << 10,
            headers: 64,
            body_idle: Duration::from_secs(10),
            body: Duration::from_secs(30),
            body_rate: 16 << 10,
            idle: Duration::from_secs(75),
            write: Duration::from_secs(30),
            streams: 64,
            reset_streams: 20,
            drain: Duration::ZERO,
        }
    }
}
