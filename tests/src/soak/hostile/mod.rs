//! Clients that behave badly, each in one way, again and again.
//!
//! Failure is that the server takes one for a good client, or answers with an error of its own:
//! any success (but for the kinds that ask a proper question), and any 5xx but 503. How else an
//! attempt ends is the server's to choose: an answer, a closed connection, or ours that we give up.
//! What it must have been counted as enters the balance ([`effects`]). What such clients do to others
//! is seen by the others.

mod crowd;
mod effects;
mod guess;
mod tls;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::report::Tally;
use super::rng::Rng;
use crate::dialer::{Dialer, Stream};
use effects::{End, effects};
use tls::Wrong;

/// The longest that one attempt is kept up.
const PATIENCE: Duration = Duration::from_secs(20);
/// Rest between two attempts of one client: they are to disturb, not to be the load.
const REST: Duration = Duration::from_millis(100);
/// Answers read of one attempt at most.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// Calls of a client that reads nothing: their answers are more than the buffers of two sockets.
const READER_CALLS: u64 = 64;
/// How long it reads nothing: longer than the server waits for it (`limits.write_seconds`).
const READER_SLEEP: Duration = Duration::from_secs(8);

/// In which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    BadToken,
    Crowd,
    DroppedBody,
    Garbage,
    HalfClosed,
    Hang,
    HugeBody,
    HugeHeaders,
    Http2Preface,
    Pipelining,
    SlowBody,
    SlowHeaders,
    SlowReader,
    UnknownMethod,
    WrongTls,
}

impl Kind {
    pub(super) const ALL: [Self; 15] = [
        Self::BadToken,
        Self::Crowd,
        Self::DroppedBody,
        Self::Garbage,
        Self::HalfClosed,
        Self::Hang,
        Self::HugeBody,
        Self::HugeHeaders,
        Self::Http2Preface,
        Self::Pipelining,
        Self::SlowBody,
        Self::SlowHeaders,
        Self::SlowReader,
        Self::UnknownMethod,
        Self::WrongTls,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BadToken => "bad token",
            Self::Crowd => "too many connections",
            Self::DroppedBody => "dropped in the body",
            Self::Garbage => "garbage",
            Self::HalfClosed => "half closed",
            Self::Hang => "connects and hangs",
            Self::HugeBody => "huge body",
            Self::HugeHeaders => "huge headers",
            Self::Http2Preface => "broken HTTP/2",
            Self::Pipelining => "pipelining",
            Self::SlowBody => "slow body",
            Self::SlowHeaders => "slow headers",
            Self::SlowReader => "does not read",
            Self::UnknownMethod => "unknown method",
            Self::WrongTls => "wrong TLS",
        }
    }

    /// Whether this status is one that such a client may get.
    fn may_get(self, status: u16) -> bool {
        match (self, status) {
            (Self::HalfClosed | Self::Pipelining | Self::SlowReader, 200) => true,
            (Self::BadToken, _) => matches!(status, 401 | 429 | 503),
            _ => (400..500).contains(&status) || matches!(status, 501 | 503 | 505),
        }
    }
}

/// One hostile client.
#[derive(Clone)]
pub(super) struct Attacker {
    pub(super) kind: Kind,
    /// Which one of its kind.
    pub(super) number: usize,
    /// A key with which it is somebody, for the kinds that have to be let in first.
    pub(super) key: String,
    /// Connections that one address may have.
    pub(super) limit: usize,
}

/// What an attempt got.
struct Got {
    answer: Vec<u8>,
    /// How its TLS was wrong.
    tls: Option<Wrong>,
}

impl From<Vec<u8>> for Got {
    fn from(answer: Vec<u8>) -> Self {
        Self { answer, tls: None }
    }
}

impl Got {
    fn wrong_tls(wrong: Wrong, answer: Vec<u8>) -> Self {
        Self {
            answer,
            tls: Some(wrong),
        }
    }
}

impl Attacker {
    /// Attacks until `end`, from an address of its own.
    pub(super) async fn attack(self, dialer: Arc<Dialer>, mut rng: Rng, end: Instant) -> Tally {
        let place = Kind::ALL.into_iter().position(|kind| kind == self.kind);
        let octet = |number: usize| u8::try_from(number + 1).expect("few kinds, and at most 64");
        let from = Ipv4Addr::new(127, 1, octet(place.unwrap_or(0)), octet(self.number));
        let dialer = Arc::new(dialer.from(IpAddr::V4(from)));
        let mut tally = Tally::default();
        while Instant::now() < end {
            let ended = match self.kind {
                Kind::BadToken => {
                    guess::burst(&self, &dialer, &mut rng, end, &mut tally).await;
                    None
                }
                Kind::Crowd => match crowd::crowd(&dialer, self.limit, tally.balance()).await {
                    Ok(refused) => Some(format!("{refused} refused")),
                    Err(error) => Some(broken(&error).to_owned()),
                },
                _ => Some(self.once(&dialer, &mut rng, end, &mut tally).await),
            };
            if let Some(ended) = ended {
                tally.attempt(self.kind.name(), ended);
            }
            sleep(REST).await;
        }
        tally
    }

    async fn once(
        &self,
        dialer: &Dialer,
        rng: &mut Rng,
        end: Instant,
        tally: &mut Tally,
    ) -> String {
        let left = end.saturating_duration_since(Instant::now());
        let patience = PATIENCE.min(left + Duration::from_secs(1));
        let mut sent = Sent::default();
        let tried = timeout(patience, self.attempt(dialer, rng, &mut sent)).await;
        let (text, ended) = match &tried {
            Err(_) => ("we gave up".to_owned(), End::GaveUp),
            Ok(Err(error)) => (broken(error).to_owned(), End::Broken),
            Ok(Ok(got)) => match got.tls {
                Some(wrong) => {
                    if let Some(complaint) = wrong.complaint(&got.answer) {
                        tally.wrong(complaint);
                    }
                    (format!("{wrong:?}"), End::NotTls(wrong))
                }
                None => {
                    let statuses = statuses(&got.answer);
                    let text = judge(self.kind, &got.answer, &statuses, tally);
                    (text, End::Answered(statuses))
                }
            },
        };
        effects(self.kind, dialer.is_tls(), &sent, &ended, tally.balance());
        text
    }
}

/// How far an attempt came.
#[derive(Default)]
struct Sent {
    /// Whether it had its connection, handshake and all.
    connected: bool,
    /// Whether it sent what its kind is about.
    all: bool,
    /// Calls whose heads it began to send.
    calls: u64,
}

/// How an attempt ended that got these answers, and what of it must not be.
fn judge(kind: Kind, answer: &[u8], statuses: &[(u16, String)], tally: &mut Tally) -> String {
    for (status, _) in statuses {
        if !kind.may_get(*status) {
            tally.wrong(format!("{}: answered with {status}", kind.name()));
        }
    }
    match statuses.first() {
        None if answer.is_empty() => "closed".into(),
        // Frames of HTTP/2, where its greeting was right.
        None => "bytes that are no HTTP/1".into(),
        Some(_) if statuses.len() > 1 => many(statuses),
        Some((status, code)) if code == "none" => status.to_string(),
        Some((status, code)) => format!("{status} {code}"),
    }
}

/// How many there are, and which.
fn many(statuses: &[(u16, String)]) -> String {
    let each: BTreeSet<_> = statuses.iter().map(|(status, _)| *status).collect();
    let each: Vec<_> = each.iter().map(u16::to_string).collect();
    format!("{} × {}", statuses.len(), each.join(" or "))
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

impl Attacker {
    async fn attempt(&self, dialer: &Dialer, rng: &mut Rng, sent: &mut Sent) -> io::Result<Got> {
        let (kind, number) = (self.kind, self.number);
        if kind == Kind::WrongTls {
            let got = tls::wrong_tls(dialer, rng).await?;
            (sent.connected, sent.all) = (true, true);
            return Ok(got);
        }
        let mut stream = dialer.stream().await?;
        let stream = &mut *stream;
        sent.connected = true;
        sent.calls = match kind {
            Kind::BadToken => guess::CALLS,
            Kind::DroppedBody | Kind::HalfClosed | Kind::HugeBody => 1,
            Kind::SlowBody | Kind::UnknownMethod => 1,
            Kind::Pipelining => 50,
            Kind::SlowReader => READER_CALLS,
            _ => 0,
        };
        match kind {
            Kind::BadToken => {
                stream.write_all(guess::calls(rng).as_bytes()).await?;
            }
            Kind::DroppedBody => {
                let more = format!("{JSON}Content-Length: 1000\r\n\r\n{{\"channel\":\"so");
                stream
                    .write_all(head("POST /v1/subjects", &more).as_bytes())
                    .await?;
                stream.flush().await?;
                sent.all = true;
                // Gone: nobody reads an answer.
                return Ok(Vec::new().into());
            }
            Kind::Garbage => {
                let length = 1 + rng.below(4096);
                let mut noise = rng.noise(length);
                // An empty line before a request is allowed.
                noise[0] |= 0x80;
                stream.write_all(&noise).await?;
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
            Kind::SlowBody => {
                let key = &self.key;
                let more = format!(
                    "Authorization: Bearer {key}\r\n{JSON}Content-Length: 1000\r\n\r\n{{\"channel\":\"so"
                );
                stream
                    .write_all(head("POST /v1/subjects", &more).as_bytes())
                    .await?;
            }
            Kind::SlowReader => {
                for _ in 0..READER_CALLS {
                    let call = "GET /v1/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
                    stream.write_all(call.as_bytes()).await?;
                }
                stream.flush().await?;
                sent.all = true;
                sleep(READER_SLEEP).await;
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
            Kind::Crowd | Kind::WrongTls => unreachable!("has no such stream"),
        }
        sent.all = true;
        stream.flush().await?;
        rest_of(stream).await.map(Got::from)
    }
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
        assert_eq!(many(&expected), "2 × 200 or 401");
        assert_eq!(many(&[&expected[1..], &expected[1..]].concat()), "2 × 401");
    }

    #[test]
    fn a_success_for_a_bad_client_and_an_error_of_the_server_are_noticed() {
        let wrongs = |kind, answer: &[u8]| {
            let mut tally = Tally::default();
            judge(kind, answer, &statuses(answer), &mut tally);
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
