//! What has happened to connections, as counters for whoever exports them.
//!
//! Knows nothing of addresses: a figure says how often, never who.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::Timestamp;

/// Counters since the start of the process, and a few states; see each field. All are written by
/// the server and read by whoever shows them; each stands for itself, so they need no order among
/// them.
#[derive(Debug, Default)]
pub struct ConnectionFigures {
    /// Connections let in: TCP and the admin socket, before any handshake.
    pub accepted: AtomicU64,
    /// State: connections open now, those in a handshake included.
    pub open: AtomicU64,
    /// Connections refused because `limits.connections` were open.
    pub refused_full: AtomicU64,
    /// Connections refused because their peer had `limits.connections_per_peer` open.
    pub refused_peer: AtomicU64,
    /// Times that the system could not hand over a connection, for want of descriptors as a rule.
    pub accept_errors: AtomicU64,
    /// TLS handshakes that failed: another protocol or version, no or a wrong client certificate.
    pub handshake_failures: AtomicU64,
    /// TLS handshakes not done within `limits.handshake_seconds`.
    pub handshake_timeouts: AtomicU64,
    /// Connections closed because the head of a request was not whole within `limits.header_seconds`,
    /// those among them that sent nothing at all.
    pub header_timeouts: AtomicU64,
    /// Heads refused for `limits.header_bytes` or `limits.headers`, with 431.
    pub heads_too_large: AtomicU64,
    /// Bodies that stood still for `limits.body_idle_seconds` or took longer than `limits.body_seconds` in
    /// all.
    pub body_timeouts: AtomicU64,
    /// Connections closed because the client took nothing of an answer for `limits.write_seconds`.
    pub write_timeouts: AtomicU64,
    /// Connections closed after `limits.idle_seconds` without a call. The ordinary end of most.
    pub idle_closed: AtomicU64,
    /// Connections ended for what is no HTTP, or breaks HTTP/2, floods of resets among it.
    pub protocol_errors: AtomicU64,
    /// Certificates that a reload put in force.
    pub certificate_reloads: AtomicU64,
    /// Reloads that failed, so that the certificate before stayed.
    pub certificate_reload_failures: AtomicU64,
    /// State: when the certificate in force ends, in seconds since 1970; 0 without TLS.
    pub certificate_expires_at: AtomicI64,
}

impl ConnectionFigures {
    /// Whole days until the certificate in force ends, rounded down, negative when it has ended;
    /// `None` without TLS.
    #[must_use]
    pub fn certificate_days_left(&self, now: Timestamp) -> Option<i64> {
        let end = self.certificate_expires_at.load(Ordering::Relaxed);
        (end != 0).then(|| (end - now.as_second()).div_euclid(86_400))
    }
}

/// One more.
pub(crate) fn count(figure: &AtomicU64) {
    figure.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_negative_once_the_certificate_has_ended() {
        let figures = ConnectionFigures::default();
        assert_eq!(figures.certificate_days_left(Timestamp::UNIX_EPOCH), None);
        figures
            .certificate_expires_at
            .store(2 * 86_400, Ordering::Relaxed);
        let at = |second| Timestamp::from_second(second).expect("in range");
        assert_eq!(figures.certificate_days_left(at(1)), Some(1));
        assert_eq!(figures.certificate_days_left(at(2 * 86_400 + 1)), Some(-1));
    }
}
