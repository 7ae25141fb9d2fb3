//! A server under a mixed load for as long as one likes: good clients whose every answer is checked,
//! hostile ones beside them, its memory all the while.
//!
//! Failure is: an answer to a good client that is not what it wrote (being told to come back later
//! is none); a hostile client that is taken for a good one, or an error of the server's own; memory
//! that is not flat; a server that does not end as it was told. A slow answer is no failure.
//!
//! Everything goes to 127.0.0.1. The mix follows from the seed; the order in which the clients meet
//! does not.

mod hostile;
mod player;
mod report;
mod rng;
mod server;
mod wire;

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use hostile::Kind;
use player::Player;
use report::{Memory, Tally};
use rng::Rng;
use server::Server;

pub use server::AS_CLI;

/// What to do.
pub struct Options {
    /// For how long.
    pub length: Duration,
    /// Good clients, each with a connection and an API key.
    pub connections: usize,
    /// Hostile clients of each kind.
    pub hostile: usize,
    /// What the mix follows from.
    pub seed: u64,
    /// Whether the server speaks TLS.
    pub tls: bool,
    /// Where it shows its metrics.
    pub metrics: Option<String>,
}

/// Why nothing was tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SoakError {
    /// The metrics could not be read.
    #[error("no metrics: {0}")]
    Metrics(String),
    /// The server did not start, or did not end as it should.
    #[error("the server failed: {0}")]
    Server(String),
}

/// Runs the soak and prints what came of it; whether all was well.
///
/// # Errors
///
/// The server did not start, or did not end as it should; the metrics could not be read.
pub fn run(options: &Options) -> Result<bool, SoakError> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| SoakError::Server(format!("no threads for the clients: {error}")))?;
    let server = Server::start(options.connections, options.tls)?;
    let start = Instant::now();
    let (mut tally, memory) = runtime.block_on(load(options, &server, start));
    let elapsed = start.elapsed();
    let metrics = options.metrics.as_deref().map(scrape).transpose()?;
    let warnings = server.stop()?;
    say(&format!(
        "{:.0} s, seed {}, {} good clients, {} hostile of each kind, {}\n\n{}",
        elapsed.as_secs_f64(),
        options.seed,
        options.connections,
        options.hostile,
        if options.tls { "TLS" } else { "plain" },
        tally.table(elapsed)
    ));
    let (text, flat) = memory.verdict();
    say(&text);
    if !flat {
        tally.wrong("the server's memory is not flat".into());
    }
    if let Some(metrics) = metrics {
        match tally.compare(&metrics) {
            Ok(text) => say(&text),
            Err(text) => tally.wrong(text),
        }
    }
    say(&format!(
        "warnings and errors in the server's log: {warnings}\n"
    ));
    for wrong in tally.wrongs() {
        say(&format!("wrong: {wrong}\n"));
    }
    let well = tally.wrongs().is_empty();
    say(if well { "all was well\n" } else { "FAILED\n" });
    Ok(well)
}

/// All clients until the end, or until one of the good ones met something wrong.
async fn load(options: &Options, server: &Server, start: Instant) -> (Tally, Memory) {
    let end = start + options.length;
    let mut clients = JoinSet::new();
    for (number, key) in server.keys.iter().enumerate() {
        let rng = Rng::new(options.seed, number as u64);
        let name = format!("c{number}");
        let player = Player::new(Arc::clone(&server.dialer), key.clone(), name, rng);
        clients.spawn(player.play(end));
    }
    for (place, kind) in Kind::ALL.into_iter().enumerate() {
        for number in 0..options.hostile {
            let stream = 1 << 19 | (place as u64) << 10 | number as u64;
            let rng = Rng::new(options.seed, stream);
            let dialer = Arc::clone(&server.dialer);
            clients.spawn(hostile::attack(dialer, kind, number, rng, end));
        }
    }
    let (mut all, mut memory) = (Tally::default(), Memory::default());
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = second.tick() => {
                if let Some(kilobytes) = server.resident_kilobytes() {
                    memory.add(start.elapsed(), kilobytes);
                }
            }
            ended = clients.join_next() => match ended {
                None => return (all, memory),
                Some(Ok(tally)) => {
                    all.merge(tally);
                    if !all.wrongs().is_empty() {
                        // The run has failed; what the others would still find is another run's.
                        return (all, memory);
                    }
                }
                Some(Err(error)) => {
                    all.wrong(format!("a client panicked: {error}"));
                    return (all, memory);
                }
            },
        }
    }
}

fn scrape(url: &str) -> Result<String, SoakError> {
    let wrong = |error: ureq::Error| SoakError::Metrics(error.to_string());
    let mut answer = ureq::get(url).call().map_err(wrong)?;
    answer.body_mut().read_to_string().map_err(wrong)
}

/// To standard output; a reader that went away is no failure of the server.
fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
