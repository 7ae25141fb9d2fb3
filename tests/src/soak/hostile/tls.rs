//! What is no TLS, or the wrong one.
//!
//! Where the server speaks TLS every attempt is a handshake that comes to nothing; where it does not,
//! a greeting of TLS is no HTTP.

use std::io;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Got, head, rest_of};
use crate::dialer::Dialer;
use crate::soak::rng::Rng;

/// In which way it is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The greeting is right, and its sender goes away in the middle of the server's answer.
    Aborted,
    /// A greeting whose inside is noise.
    Garbage,
    /// Half a greeting, and nothing more.
    Half,
    /// TLS 1.1 at best.
    Old,
    /// HTTP.
    Plain,
}

const WRONGS: [Wrong; 5] = [
    Wrong::Aborted,
    Wrong::Garbage,
    Wrong::Half,
    Wrong::Old,
    Wrong::Plain,
];
/// A record with a ClientHello of 508 bytes: its head, and the version of TLS 1.2.
const HEAD: [u8; 11] = [
    0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03,
];
const ALERT: u8 = 0x15;

pub(super) async fn wrong_tls(dialer: &Dialer, rng: &mut Rng) -> io::Result<Got> {
    let mut stream = dialer.tcp().await?;
    if !dialer.is_tls() {
        let mut hello = HEAD.to_vec();
        hello.extend(rng.noise(506));
        stream.write_all(&hello).await?;
        return rest_of(&mut stream).await.map(Got::from);
    }
    let wrong = WRONGS[rng.below(WRONGS.len())];
    let mut hello = match wrong {
        Wrong::Aborted => greeting()?,
        Wrong::Garbage | Wrong::Half => HEAD.to_vec(),
        Wrong::Old => old_greeting(rng),
        Wrong::Plain => head("GET /healthz", "\r\n").into_bytes(),
    };
    match wrong {
        Wrong::Garbage => hello.extend(rng.noise(506)),
        Wrong::Half => hello.extend(rng.noise(40)),
        Wrong::Aborted | Wrong::Old | Wrong::Plain => {}
    }
    stream.write_all(&hello).await?;
    if wrong == Wrong::Aborted {
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        // The server's part of the handshake has come; ours does not go.
        return Ok(Got::wrong_tls(wrong, Vec::new()));
    }
    let answer = rest_of(&mut stream).await?;
    Ok(Got::wrong_tls(wrong, answer))
}

impl Wrong {
    /// What this client must not be answered with: anything but an alert, or nothing in time.
    pub(super) fn complaint(self, answer: &[u8]) -> Option<String> {
        let fits = match self {
            Self::Aborted | Self::Half => answer.is_empty(),
            Self::Garbage | Self::Old | Self::Plain => {
                answer.is_empty() || answer.first() == Some(&ALERT)
            }
        };
        (!fits).then(|| format!("wrong TLS ({self:?}): answered with {} bytes", answer.len()))
    }
}

/// A ClientHello as it should be.
fn greeting() -> io::Result<Vec<u8>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut hello = Vec::new();
    connection.write_tls(&mut hello)?;
    Ok(hello)
}

/// A ClientHello of TLS 1.1 (RFC 4346 §7.4.1.2): version 3.2, random, no session, two suites, no
/// compression, no extensions.
fn old_greeting(rng: &mut Rng) -> Vec<u8> {
    let mut body = vec![0x03, 0x02];
    body.extend(rng.noise(32));
    body.extend([0x00, 0x00, 0x04, 0xc0, 0x13, 0x00, 0x2f, 0x01, 0x00]);
    let length = u8::try_from(body.len()).expect("41 bytes");
    let mut hello = vec![0x16, 0x03, 0x01, 0x00, length + 4, 0x01, 0x00, 0x00, length];
    hello.extend(body);
    hello
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_wrong_tls_is_an_alert_or_a_complaint() {
        assert!(Wrong::Old.complaint(&[ALERT, 3, 3]).is_none());
        assert!(Wrong::Plain.complaint(b"HTTP/1.1 200 OK").is_some());
        assert!(Wrong::Half.complaint(&[ALERT]).is_some());
    }

    #[test]
    fn a_right_greeting_is_a_record_of_a_handshake() {
        assert_eq!(greeting().unwrap()[..2], [0x16, 0x03]);
    }
}
