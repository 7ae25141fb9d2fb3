//! One large blob there and back, over real HTTP to a process of its own.
//!
//! A failure is a byte that differs, a length that differs, or a status that is not the one that must
//! come. Slowness and memory are reported and not judged.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Empty, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use vault_cli::dev::{DevOptions, start};
use vault_core::entropy::{Entropy, SeededEntropy};

/// Bytes that follow from one seed: a piece, so that any place can be made without those before it.
const BLOCK: u64 = 1 << 20;
const POLICY: &str = r#"
[controller]
name = "Invented Ferries"
contact = "privacy@ferries.example.test"
[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
[collections.profile]
kind = "single"
[collections.profile.fields]
film = { type = "blob", purposes = ["support"], media_types = ["video/*"], bytes_max = 4294967296 }
[roles.bot]
purposes = ["support"]
read  = { "*" = "full" }
write = ["*"]
may   = ["subjects.create"]
"#;

/// What to send.
pub struct Options {
    /// Bytes of content.
    pub size: u64,
    /// What they follow from.
    pub seed: u64,
    /// Where the vault is kept; a temporary directory where `None`.
    pub dir: Option<PathBuf>,
}

/// Why the round trip failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobsError {
    /// The connection.
    #[error("the connection failed: {0}")]
    Connection(#[from] hyper::Error),
    /// What came back is not what was sent.
    #[error("the content differs at byte {0}")]
    Differs(u64),
    /// Files, sockets, the other process.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// An answer that must not come.
    #[error("{what} was answered {status}: {body}")]
    Status {
        /// The call.
        what: &'static str,
        /// Its status.
        status: u16,
        /// What it said.
        body: String,
    },
    /// The server of our own.
    #[error("the server failed: {0}")]
    Server(String),
}

/// Reads `256M`.
///
/// # Errors
///
/// What fits instead.
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(['K', 'M', 'G']);
    let unit = match &text[digits.len()..] {
        "" => Some(1),
        "K" => Some(1u64 << 10),
        "M" => Some(1 << 20),
        "G" => Some(1 << 30),
        _ => None,
    };
    let number = digits.parse::<u64>().ok().zip(unit);
    let size = number.and_then(|(number, unit)| number.checked_mul(unit));
    size.filter(|size| (1..=4 << 30).contains(size))
        .ok_or_else(|| "a number of bytes up to 4G, such as 1000, 64K, 256M".into())
}

/// Serves a vault until standard input ends, and says where on one line.
///
/// # Errors
///
/// The server did not start or did not stop well.
pub fn serve(dir: Option<PathBuf>) -> Result<(), BlobsError> {
    let failed = |failure: vault_cli::failure::Failure| BlobsError::Server(failure.what);
    let running = start(DevOptions {
        dir,
        policy: Some(POLICY.into()),
        listen: Some(([127, 0, 0, 1], 0).into()),
        cors: Default::default(),
    })
    .map_err(failed)?;
    let told = json!({"url": running.url, "bot": running.token("bot")});
    writeln!(std::io::stdout(), "{told}")?;
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    running.stop().map_err(failed)
}

/// The other process; it ends when its input does.
struct Server {
    child: Child,
    url: String,
    bot: String,
}

impl Server {
    fn start(dir: Option<&PathBuf>) -> Result<Self, BlobsError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--serve");
        if let Some(dir) = dir {
            command.arg("--dir").arg(dir);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line)?;
        let told: Value = serde_json::from_str(&line).unwrap_or_default();
        let text = |name: &str| told[name].as_str().map(str::to_owned);
        match (text("url"), text("bot")) {
            (Some(url), Some(bot)) => Ok(Self { child, url, bot }),
            _ => Err(BlobsError::Server("it did not say where it listens".into())),
        }
    }

    /// The most memory that it ever had, in KiB.
    fn peak(&self) -> Result<u64, BlobsError> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
        peak.ok_or_else(|| BlobsError::Server("the system does not tell its memory".into()))
    }

    fn stop(mut self) -> Result<(), BlobsError> {
        drop(self.child.stdin.take());
        let ended = self.child.wait()?;
        match ended.success() {
            true => Ok(()),
            false => Err(BlobsError::Server(format!("it ended with {ended}"))),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// The bytes of one block.
fn block(seed: u64, number: u64) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK as usize];
    SeededEntropy::new(seed ^ (number << 20)).fill(&mut bytes);
    bytes
}

/// The content as a body, made while it is sent.
struct Content {
    seed: u64,
    size: u64,
    at: u64,
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.at >= self.size {
            return Poll::Ready(None);
        }
        let mut bytes = block(self.seed, self.at / BLOCK);
        bytes.truncate((self.size - self.at).min(BLOCK) as usize);
        self.at += bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes.into()))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.size - self.at)
    }
}

type Sent = Either<Content, Either<Full<Bytes>, Empty<Bytes>>>;

/// One connection. Whoever wants another transport changes [`Client::connect`].
struct Client {
    sender: http1::SendRequest<Sent>,
    bot: String,
}

impl Client {
    async fn connect(server: &Server) -> Result<Self, BlobsError> {
        let address = server.url.trim_start_matches("http://");
        let stream = TcpStream::connect(address).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self {
            sender,
            bot: server.bot.clone(),
        })
    }

    async fn call(
        &mut self,
        what: &'static str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Sent,
        expected: u16,
    ) -> Result<Response<Incoming>, BlobsError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/v1/{path}"))
            .header("Host", "vault")
            .header("Authorization", format!("Bearer {}", self.bot))
            .header("Vault-Purpose", "support");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).expect("headers of ours");
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status().as_u16();
        if status == expected {
            return Ok(answer);
        }
        let body = answer.into_body().collect().await?.to_bytes();
        Err(BlobsError::Status {
            what,
            status,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

async fn json_of(answer: Response<Incoming>) -> Result<Value, BlobsError> {
    let body = answer.into_body().collect().await?.to_bytes();
    Ok(serde_json::from_slice(&body).unwrap_or_default())
}

/// Compares a body with the content from `from` to `to`.
async fn compare(
    answer: Response<Incoming>,
    seed: u64,
    from: u64,
    to: u64,
) -> Result<(), BlobsError> {
    let mut body = answer.into_body();
    let (mut at, mut held) = (from, (u64::MAX, Vec::new()));
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame?.into_data() else {
            continue;
        };
        let mut bytes = &bytes[..];
        while !bytes.is_empty() {
            let number = at / BLOCK;
            if held.0 != number {
                held = (number, block(seed, number));
            }
            let rest = &held.1[(at % BLOCK) as usize..];
            let length = rest.len().min(bytes.len());
            if at >= to || rest[..length] != bytes[..length] {
                return Err(BlobsError::Differs(at));
            }
            at += length as u64;
            bytes = &bytes[length..];
        }
    }
    match at == to {
        true => Ok(()),
        false => Err(BlobsError::Differs(at)),
    }
}

/// Sends, gets back, reads ranges, reports.
///
/// # Errors
///
/// See [`BlobsError`].
pub fn run(options: &Options) -> Result<(), BlobsError> {
    let server = Server::start(options.dir.as_ref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(there_and_back(options, &server))?;
    server.stop()
}

async fn there_and_back(options: &Options, server: &Server) -> Result<(), BlobsError> {
    let Options { size, seed, dir: _ } = *options;
    let mut client = Client::connect(server).await?;
    let empty = || Either::Right(Either::Right(Empty::new()));
    let json = |body: Value| Either::Right(Either::Left(Full::new(body.to_string().into())));
    let of_json = [("Content-Type", "application/json")];
    let person = json(json!({"channel": "web", "user": format!("{seed}-{size}")}));
    let made = client
        .call("a person", "POST", "subjects", &of_json, person, 201)
        .await?;
    let subject = json_of(made).await?["subject"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let path = format!("subjects/{subject}/blobs/profile/film");
    let before = server.peak()?;
    let began = Instant::now();
    let film = [("Content-Type", "video/mp4")];
    let content = Either::Left(Content { seed, size, at: 0 });
    client
        .call("the upload", "PUT", &path, &film, content, 200)
        .await?;
    let up = (began.elapsed(), server.peak()?);
    let began = Instant::now();
    let whole = client
        .call("the download", "GET", &path, &[], empty(), 200)
        .await?;
    compare(whole, seed, 0, size).await?;
    let down = (began.elapsed(), server.peak()?);
    let ranges = ranges(size);
    for (from, to) in &ranges {
        let asked = format!("bytes={from}-{}", to - 1);
        let headers = [("Range", &*asked)];
        let part = client
            .call("a range", "GET", &path, &headers, empty(), 206)
            .await?;
        compare(part, seed, *from, *to).await?;
    }
    tell("upload", size, up.0)?;
    tell("download", size, down.0)?;
    let mut out = std::io::stdout();
    writeln!(out, "ranges: {} of {} bytes, as sent", ranges.len(), size)?;
    writeln!(
        out,
        "memory of the server: {before} KiB before, {} KiB more at the end of the upload, {} KiB more at the end",
        up.1 - before,
        server.peak()? - before,
    )?;
    Ok(())
}

/// Beginning, end, and places between, across the borders of chunks and blocks.
fn ranges(size: u64) -> Vec<(u64, u64)> {
    let places = [0, 262_079, 262_080, BLOCK - 1, size / 3, size / 2, size - 1];
    let starts = places.into_iter().filter(|at| *at < size);
    starts.map(|at| (at, (at + 300_000).min(size))).collect()
}

fn tell(what: &str, size: u64, took: Duration) -> Result<(), BlobsError> {
    let rate = size as f64 / took.as_secs_f64() / f64::from(1 << 20);
    let seconds = took.as_secs_f64();
    writeln!(
        std::io::stdout(),
        "{what}: {size} bytes in {seconds:.2} s, {rate:.0} MiB/s"
    )?;
    Ok(())
}
