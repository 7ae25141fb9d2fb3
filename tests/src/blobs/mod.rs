//! One large blob there and back, over real HTTP to a process of its own.
//!
//! A failure is a byte that differs, a length that differs, a status that is not the one that must
//! come, more than 64 MiB added to the idle server's memory, and anything that stands of an upload in
//! whose middle the server was killed. Slowness is reported and not judged.

mod content;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::Notify;
use vault_core::store::{Direction, KeyRange, RedbStore, Store, StoreError, Table};

use crate::dialer::Dialer;
use crate::memory::{Watch, resident_kib};
use crate::server::{House, Plan, Server, ServerError};
use content::{BLOCK, Content, Halt, compare};

/// What the server may add to its idle memory, however long the blob is.
const ADDED_KIB_MAX: u64 = 64 << 10;
/// The upload that is killed: what it announces, and how much of it is sent.
const KILLED_BYTES: (u64, u64) = (64 << 20, 32 << 20);
/// A page cache for looking into the database of a server that is gone.
const LOOK_CACHE_BYTES: usize = 4 << 20;
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
    /// Where the vault is made; a temporary directory where `None`.
    pub dir: Option<PathBuf>,
    /// Whether the server speaks TLS.
    pub tls: bool,
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
    /// More memory than a server may add for one blob.
    #[error("the server added {added} KiB to its idle memory, more than {ADDED_KIB_MAX}")]
    Memory {
        /// KiB at most beyond those of the idle server.
        added: u64,
    },
    /// An upload that was killed is not as it must be.
    #[error("after kill -9 in mid-upload {0}")]
    Remains(String),
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
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The database, while nobody serves it.
    #[error("the database cannot be looked into: {0}")]
    Store(#[from] StoreError),
    /// The system.
    #[error("the system does not tell the server's memory")]
    Unmeasured,
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

type Sent = Either<Content, Either<Full<Bytes>, Empty<Bytes>>>;

/// One connection.
struct Client {
    sender: http1::SendRequest<Sent>,
    bot: String,
}

impl Client {
    async fn connect(dialer: &Dialer, bot: &str) -> Result<Self, BlobsError> {
        let stream = TokioIo::new(dialer.stream().await?);
        let (sender, connection) = http1::handshake(stream).await?;
        tokio::spawn(connection);
        Ok(Self {
            sender,
            bot: bot.to_owned(),
        })
    }

    /// A new person's blob, by its path.
    async fn film_of(&mut self, user: &str) -> Result<String, BlobsError> {
        let of_json = [("Content-Type", "application/json")];
        let person = json!({"channel": "web", "user": user}).to_string();
        let person = Either::Right(Either::Left(Full::new(person.into())));
        let made = self
            .call("a person", "POST", "subjects", &of_json, person, 201)
            .await?;
        let made = made.into_body().collect().await?.to_bytes();
        let made: Value = serde_json::from_slice(&made).unwrap_or_default();
        let subject = made["subject"].as_str().unwrap_or_default();
        Ok(format!("subjects/{subject}/blobs/profile/film"))
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

/// Sends, gets back, reads ranges, kills a server in mid-upload, reports.
///
/// # Errors
///
/// See [`BlobsError`].
pub fn run(options: &Options) -> Result<(), BlobsError> {
    let plan = Plan {
        policy: POLICY,
        roles: vec!["bot"],
        tls: options.tls,
        limits: "",
    };
    let house = House::make(options.dir.as_deref(), &plan)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let server = house.serve()?;
    let path = runtime.block_on(there_and_back(options, &house, &server))?;
    let killed = runtime.block_on(half_sent(&house, &server))?;
    server.kill()?;
    // The control: there was something to be got rid of.
    let (listed, before) = rows_of_blobs(&house)?;
    if listed == 0 {
        return Err(BlobsError::Remains("nothing of it had been stored".into()));
    }
    let server = house.serve()?;
    runtime.block_on(after_the_kill(options, &house, &server, &path, &killed))?;
    server.stop()?;
    let (listed, after) = rows_of_blobs(&house)?;
    if listed != 0 || after >= before {
        let rows = format!("{listed} uploads are on the list, and {after} of {before} chunks left");
        return Err(BlobsError::Remains(rows));
    }
    writeln!(
        std::io::stdout(),
        "kill -9 in mid-upload: {} chunks of it were on the disk, none after the start; \
         no content at its place, the other blob as sent",
        before - after
    )?;
    Ok(())
}

async fn there_and_back(
    options: &Options,
    house: &House,
    server: &Server,
) -> Result<String, BlobsError> {
    let (size, seed) = (options.size, options.seed);
    let mut client = Client::connect(&server.dialer, &house.keys[0]).await?;
    let path = client.film_of("there and back").await?;
    let idle = resident_kib(server.process()).ok_or(BlobsError::Unmeasured)?;
    let watch = Watch::begin(server.process());
    let added = || -> Result<u64, BlobsError> {
        let peak = watch.peak_kib().ok_or(BlobsError::Unmeasured)?;
        Ok(peak.saturating_sub(idle))
    };
    let began = Instant::now();
    let film = [("Content-Type", "video/mp4")];
    let content = Either::Left(Content {
        seed,
        size,
        at: 0,
        halt: None,
    });
    client
        .call("the upload", "PUT", &path, &film, content, 200)
        .await?;
    let up = (began.elapsed(), added()?);
    let began = Instant::now();
    let whole = client
        .call("the download", "GET", &path, &[], empty(), 200)
        .await?;
    compare(whole, seed, 0, size).await?;
    let down = began.elapsed();
    let ranges = read_ranges(&mut client, options, &path).await?;
    tell("upload", size, up.0)?;
    tell("download", size, down)?;
    let added = added()?;
    writeln!(
        std::io::stdout(),
        "ranges: {ranges} of {size} bytes, as sent\n\
         memory of the server, {}: {idle} KiB idle; at most {} KiB more in the upload, \
         {added} KiB more in all (bound {ADDED_KIB_MAX}); now {} KiB",
        watch.how(),
        up.1,
        resident_kib(server.process()).ok_or(BlobsError::Unmeasured)?,
    )?;
    match added <= ADDED_KIB_MAX {
        true => Ok(path),
        false => Err(BlobsError::Memory { added }),
    }
}

fn empty() -> Sent {
    Either::Right(Either::Right(Empty::new()))
}

/// How many ranges were read.
async fn read_ranges(
    client: &mut Client,
    options: &Options,
    path: &str,
) -> Result<usize, BlobsError> {
    let ranges = ranges(options.size);
    for (from, to) in &ranges {
        let asked = format!("bytes={from}-{}", to - 1);
        let headers = [("Range", &*asked)];
        let part = client
            .call("a range", "GET", path, &headers, empty(), 206)
            .await?;
        compare(part, options.seed, *from, *to).await?;
    }
    Ok(ranges.len())
}

/// Begins an upload for somebody new, and returns while the server waits for the rest.
async fn half_sent(house: &House, server: &Server) -> Result<String, BlobsError> {
    let mut client = Client::connect(&server.dialer, &house.keys[0]).await?;
    let path = client.film_of("killed").await?;
    let reached = Arc::new(Notify::new());
    let (size, at) = KILLED_BYTES;
    let halt = Halt {
        at,
        reached: Arc::clone(&reached),
    };
    let content = Either::Left(Content {
        seed: 0,
        size,
        at: 0,
        halt: Some(halt),
    });
    let film = [("Content-Type", "video/mp4")];
    tokio::select! {
        answered = client.call("an upload without an end", "PUT", &path, &film, content, 200) => {
            answered?;
            Err(BlobsError::Remains("half an upload was taken for a whole one".into()))
        }
        () = reached.notified() => Ok(path),
    }
}

/// The killed one has no content, and the whole one has all of it.
async fn after_the_kill(
    options: &Options,
    house: &House,
    server: &Server,
    whole: &str,
    killed: &str,
) -> Result<(), BlobsError> {
    let mut client = Client::connect(&server.dialer, &house.keys[0]).await?;
    let none = client
        .call("the killed upload", "GET", killed, &[], empty(), 404)
        .await?;
    none.into_body().collect().await?;
    read_ranges(&mut client, options, whole).await.map(drop)
}

/// Uploads on the list, and chunks, in the database of a server that is gone.
fn rows_of_blobs(house: &House) -> Result<(usize, usize), BlobsError> {
    let store = RedbStore::open(&house.database(), LOOK_CACHE_BYTES, false)?;
    let snapshot = store.snapshot()?;
    let count = |table| {
        let keys = snapshot.keys(table, &KeyRange::all(), Direction::Ascending, usize::MAX);
        keys.map(|keys| keys.len())
    };
    Ok((count(Table::Uploads)?, count(Table::Blobs)?))
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
