//! Clients that behave badly, each in one way, again and again.
//!
//! Failure is that the server takes one for a good client, or answers with an error of its own:
//! any success (but for the two kinds that ask a proper question), and any 5xx but 503. How else an
//! attempt ends is the server's to choose and is counted: an answer, a closed connection, or ours
//! that we give up. What such clients do to others is seen by the others.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::report::Tally;
use super::rng::Rng;
use super::wire::{Dialer, Stream};

/// The longest that one attempt is kept up.
const PATIENCE: Duration = Duration::from_secs(20);
/// Rest between two attempts of one client: they are to disturb, not to be the load.
const REST: Duration = Duration::from_millis(100);
/// Answers read of one attempt at most.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// In which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    BadToken,
    DroppedBody,
    Garbage,
    HalfClosed,
    Hang,
    HugeBody,
    HugeHeaders,
    Http2Preface,
    Pipelining,
    SlowHeaders,
    UnknownMethod,
    WrongTls,
}

impl Kind {
    pub(super) const ALL: [Self; 12] = [
        Self::BadToken,
        Self::DroppedBody,
        Self::Garbage,
        Self::HalfClosed,
        Self::Hang,
        Self::HugeBody,
        Self::HugeHeaders,
        Self::Http2Preface,
        Self::Pipelining,
        Self::SlowHeaders,
        Self::UnknownMethod,
        Self::WrongTls,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BadToken => "bad token",
            Self::DroppedBody => "dropped in the body",
            Self::Garbage => "garbage",
            Self::HalfClosed => "half closed",
            Self::Hang => "connects and hangs",
            Self::HugeBody => "huge body",
            Self::HugeHeaders => "huge headers",
            Self::Http2Preface => "broken HTTP/2",
            Self::Pipelining => "pipelining",
            Self::SlowHeaders => "slow headers",
            Self::UnknownMethod => "unknown method",
            Self::WrongTls => "wrong TLS",
        }
    }

    /// Whether this status is one that such a client may get.
    fn may_get(self, status: u16) -> bool {
        match (self, status) {
            (Self::HalfClosed | Self::Pipelining, 200) => true,
            (Self::BadToken, _) => matches!(status, 401 | 429 | 503),
            _ => (400..500).contains(&status) || matches!(status, 501 | 503 | 505),
        }
    }
}

/// Attacks in this way until `end`.
pub(super) async fn attack(
    dialer: Arc<Dialer>,
    kind: Kind,
    number: usize,
    mut rng: Rng,
    end: Instant,
) -> Tally {
    let mut tally = Tally::default();
    while Instant::now() < end {
        let left = end.saturating_duration_since(Instant::now());
        let patience = PATIENCE.min(left + Duration::from_secs(1));
        let tried = timeout(patience, attempt(&dialer, kind, number, &mut rng)).await;
        let ended = match tried {
            Err(_) => "we gave up".to_owned(),
            Ok(Err(error)) => broken(&error).to_owned(),
            Ok(Ok(answer)) => judge(kind, &answer, &mut tally),
        };
        tally.attempt(kind.name(), ended);
        sleep(REST).await;
    }
    tally
}

/// How an attempt ended that got these bytes, and what of it must not be.
fn judge(kind: Kind, answer: &[u8], tally: &mut Tally) -> String {
    let statuses = statuses(answer);
    for (status, code) in &statuses {
        if !kind.may_get(*status) {
            tally.wrong(format!("{}: answered with {status}", kind.name()));
        }
        if *status >= 400 {
            tally.refused(code);
        }
    }
    match statuses.first() {
        None if answer.is_empty() => "closed".into(),
        // Frames of HTTP/2, where its greeting was right.
        None => "bytes that are no HTTP/1".into(),
        Some((status, _)) if statuses.len() > 1 => format!("{} × {status}", statuses.len()),
        Some((status, code)) if code == "none" => status.to_string(),
        Some((status, code)) => format!("{status} {code}"),
    }
}

/// Status and problem code of each answer in these bytes.
fn statuses(answer: &[u8]) -> Vec<(u16, String)> {
    let text = String::from_utf8_lossy(answer);
    let answers = text.split("HTTP/1.").skip(1);
    let read = answers.filter_map(|answer| {
        let status = answer.split(' ').nth(1)?.get(..3)?.parse().ok()?;
        let code = answer.split_once("\"code\":\"").and_then(|(_, rest)| {
            let (code, _) = rest.split_once('"')?;
            Some(code.to_owned())
        });
        Some((status, code.unwrap_or_else(|| "none".into())))
    });
    read.collect()
}

fn broken(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::BrokenPipe => "closed while we wrote",
        io::ErrorKind::ConnectionRefused => "refused",
        io::ErrorKind::ConnectionReset => "reset",
        io::ErrorKind::UnexpectedEof => "closed",
        _ => "other error",
    }
}

async fn rest_of(stream: &mut dyn Stream) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut buffer = [0; 8192];
    while answer.len() < ANSWER_BYTES_MAX {
        match stream.read(&mut buffer).await {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            // What was answered before counts, not how the connection ended after it.
            Err(_) if !answer.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

/// Asks for the connection to end after this answer.
fn head(request: &str, more: &str) -> String {
    format!("{request} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{more}")
}

const JSON: &str = "Content-Type: application/json\r\n";

async fn attempt(dialer: &Dialer, kind: Kind, number: usize, rng: &mut Rng) -> io::Result<Vec<u8>> {
    if kind == Kind::WrongTls {
        return wrong_tls(dialer, rng).await;
    }
    let mut stream = dialer.stream().await?;
    let stream = &mut *stream;
    match kind {
        Kind::BadToken => {
            let token = match rng.below(3) {
                0 => format!("Authorization: Bearer vk_{:032}\r\n", rng.below(1 << 40)),
                1 => "Authorization: Bearer vs_nothing\r\n".to_owned(),
                _ => String::new(),
            };
            let person = "/v1/subjects/sub_00000000000000000000000000/records/profile";
            let more = format!("{token}Vault-Purpose: support\r\n\r\n");
            let request = head(&format!("GET {person}"), &more);
            stream.write_all(request.as_bytes()).await?;
        }
        Kind::DroppedBody => {
            let more = format!("{JSON}Content-Length: 1000\r\n\r\n{{\"channel\":\"so");
            stream
                .write_all(head("POST /v1/subjects", &more).as_bytes())
                .await?;
            stream.flush().await?;
            // Gone: nobody reads an answer.
            return Ok(Vec::new());
        }
        Kind::Garbage => {
            let length = 1 + rng.below(4096);
            stream.write_all(&rng.noise(length)).await?;
            stream.write_all(b"\r\n\r\n").await?;
        }
        Kind::HalfClosed => {
            stream
                .write_all(head("GET /healthz", "\r\n").as_bytes())
                .await?;
            stream.shutdown().await?;
        }
        // Half of them say a word first.
        Kind::Hang if number.is_multiple_of(2) => {}
        Kind::Hang => stream.write_all(b"GET /v1/status HTTP/1.1\r\n").await?,
        Kind::HugeBody => {
            let chunked = rng.below(2) == 0;
            let size = match chunked {
                true => "Transfer-Encoding: chunked\r\n",
                false => "Content-Length: 16777216\r\n",
            };
            let more = format!("{JSON}{size}\r\n");
            stream
                .write_all(head("POST /v1/subjects", &more).as_bytes())
                .await?;
            let mut piece = vec![b' '; 64 << 10];
            if chunked {
                piece.splice(0..0, *b"10000\r\n");
                piece.extend_from_slice(b"\r\n");
            }
            for _ in 0..256 {
                if stream.write_all(&piece).await.is_err() {
                    // It has answered and closed; the answer may still be here.
                    break;
                }
            }
        }
        Kind::HugeHeaders => {
            stream
                .write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
                .await?;
            for index in 0..1024 {
                let line = format!("X-{index}: {}\r\n", "a".repeat(1000));
                if stream.write_all(line.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
        Kind::Http2Preface => {
            let preface: &[u8] = match rng.below(2) {
                0 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                _ => b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
            };
            stream.write_all(preface).await?;
            stream.write_all(&rng.noise(200)).await?;
        }
        Kind::Pipelining => {
            let mut many = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(49);
            many.push_str(&head("GET /healthz", "\r\n"));
            stream.write_all(many.as_bytes()).await?;
        }
        Kind::SlowHeaders => {
            let request = format!("GET /healthz HTTP/1.1\r\nX: {}", "a".repeat(10_000));
            for byte in request.as_bytes() {
                stream.write_all(&[*byte]).await?;
                stream.flush().await?;
                sleep(Duration::from_millis(100)).await;
            }
        }
        Kind::UnknownMethod => {
            let method = ["FROB", "CONNECT", "TRACE", "patch"][rng.below(4)];
            stream
                .write_all(head(&format!("{method} /v1/subjects"), "\r\n").as_bytes())
                .await?;
        }
        Kind::WrongTls => unreachable!("has no stream of the right kind"),
    }
    stream.flush().await?;
    rest_of(stream).await
}

/// TLS where there is none; plain text, and half a greeting, where there is.
async fn wrong_tls(dialer: &Dialer, rng: &mut Rng) -> io::Result<Vec<u8>> {
    // A TLS 1.2 record that holds a ClientHello of 508 bytes.
    let mut hello = vec![
        0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03,
    ];
    let length = match dialer.is_tls() {
        true => 40,
        false => 506,
    };
    hello.extend(rng.noise(length));
    let plain = dialer.is_tls() && rng.below(2) == 0;
    let mut stream = dialer.tcp().await?;
    if plain {
        stream
            .write_all(head("GET /healthz", "\r\n").as_bytes())
            .await?;
    } else {
        stream.write_all(&hello).await?;
    }
    if rng.below(2) == 0 {
        stream.shutdown().await?;
    }
    let answer = rest_of(&mut stream).await?;
    // An alert is what TLS says to such a client.
    Ok(match answer.first() {
        Some(0x15) => Vec::new(),
        _ => answer,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_in_a_row_is_read() {
        let bytes = b"HTTP/1.1 200 OK\r\n\r\n{}HTTP/1.1 401 Unauthorized\r\n\r\n{\"code\":\"unauthenticated\"}";
        let expected = vec![
            (200, "none".to_owned()),
            (401, "unauthenticated".to_owned()),
        ];
        assert_eq!(statuses(bytes), expected);
        assert_eq!(statuses(b"\x15\x03\x03"), Vec::new());
    }

    #[test]
    fn a_success_for_a_bad_client_and_an_error_of_the_server_are_noticed() {
        let wrongs = |kind, answer: &[u8]| {
            let mut tally = Tally::default();
            judge(kind, answer, &mut tally);
            tally.wrongs().len()
        };
        assert_eq!(wrongs(Kind::BadToken, b"HTTP/1.1 200 OK\r\n\r\n"), 1);
        assert_eq!(wrongs(Kind::BadToken, b"HTTP/1.1 404 Not Found\r\n\r\n"), 1);
        assert_eq!(
            wrongs(Kind::BadToken, b"HTTP/1.1 401 Unauthorized\r\n\r\n"),
            0
        );
        assert_eq!(wrongs(Kind::HugeBody, b"HTTP/1.1 500 Oh\r\n\r\n"), 1);
        assert_eq!(wrongs(Kind::Garbage, b""), 0);
        assert_eq!(wrongs(Kind::Pipelining, b"HTTP/1.1 200 OK\r\n\r\n"), 0);
    }
}
