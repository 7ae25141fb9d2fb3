//! A server under a mixed load for as long as one likes: good clients whose every answer is checked,
//! hostile ones beside them, its memory all the while, its counters at the end.
//!
//! Failure is: an answer to a good client that is not what it wrote (being told to come back later
//! is none); a hostile client that is taken for a good one, or an error of the server's own; memory
//! that is not flat; a counter that says anything else than what the clients did and saw
//! (`balance`), or a refusal that nobody provoked; an error in its log; a server that does not end as
//! it was told. A slow
//! answer is no failure.
//!
//! Everything goes to loopback, hostile clients each from an address of their own. The mix follows
//! from the seed; the order in which the clients meet does not.

mod balance;
mod hostile;
mod player;
mod report;
mod rng;
mod wire;

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::memory::resident_kib;
use crate::server::{House, Plan, Server, ServerError};
use balance::CONNECTIONS;
use hostile::{Attacker, Kind};
use player::Player;
use report::{Memory, Tally};
use rng::Rng;

const POLICY: &str = include_str!("policy.toml");
/// Connections that the server lets one address have: few, so that they are soon too many.
const PER_PEER: usize = 64;
/// Calls without a valid key that a network may make in a minute: more than a good client makes with
/// tokens of sessions that have ended, fewer than two hostile ones make at a time.
const STRANGERS_PER_MINUTE: u32 = 200;
/// How long the server waits for a client that takes nothing of its answer.
const WRITE_SECONDS: u32 = 5;
/// The longest that the server's last connections may take to end after their clients.
const SETTLE: Duration = Duration::from_secs(30);

/// What to do.
pub struct Options {
    /// For how long.
    pub length: Duration,
    /// Good clients, each with a connection and an API key.
    pub connections: usize,
    /// Hostile clients of each kind.
    pub hostile: usize,
    /// How long a good client rests after each step.
    pub rest: Duration,
    /// What the mix follows from.
    pub seed: u64,
    /// Whether the server speaks TLS.
    pub tls: bool,
}

/// Why nothing was tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SoakError {
    /// The server did not start, did not end as it should, or showed no metrics.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The system gave no threads.
    #[error("no threads for the clients: {0}")]
    Threads(#[from] std::io::Error),
}

/// Runs the soak and prints what came of it; whether all was well.
///
/// # Errors
///
/// The server did not start, or did not end as it should; the metrics could not be read.
pub fn run(options: &Options) -> Result<bool, SoakError> {
    let runtime = tokio::runtime::Runtime::new()?;
    let hostile = Kind::ALL.len() * options.hostile;
    let limits = format!(
        "connections_per_peer = {PER_PEER}\nconnections = {}\nwrite_seconds = {WRITE_SECONDS}\n\
         unauthenticated_per_minute = {STRANGERS_PER_MINUTE}",
        options.connections + hostile + options.hostile * 3 * PER_PEER + 256
    );
    let house = House::make(
        None,
        &Plan {
            policy: POLICY,
            roles: vec!["bot"; options.connections + hostile],
            tls: options.tls,
            limits: &limits,
        },
    )?;
    let server = house.serve()?;
    let start = Instant::now();
    let (mut tally, memory) = runtime.block_on(load(options, &house, &server, start));
    let elapsed = start.elapsed();
    // Clients that were cut off in the middle end with the runtime.
    runtime.shutdown_timeout(Duration::from_secs(10));
    let whole = tally.wrongs().is_empty();
    let metrics = settled(&server)?;
    tally.balance().must(CONNECTIONS, server.dialer.opened());
    let warnings = server.stop()?;
    say(&format!(
        "{:.0} s, seed {}, {} good clients that rest {} ms, {} hostile of each kind, {}\n\n{}",
        elapsed.as_secs_f64(),
        options.seed,
        options.connections,
        options.rest.as_millis(),
        options.hostile,
        if options.tls { "TLS" } else { "plain" },
        tally.table(elapsed)
    ));
    let (text, flat) = memory.verdict();
    say(&text);
    if !flat {
        tally.wrong("the server's memory is not flat".into());
    }
    // Where the run was cut short, nobody knows what the others did.
    if whole {
        let (text, wrongs) = tally.balance().compare(&metrics);
        say(&text);
        wrongs.into_iter().for_each(|wrong| tally.wrong(wrong));
        if options.hostile > 0 {
            let expected = provoked(options.tls);
            let never = tally.balance().never(&expected).join(", ");
            if !never.is_empty() {
                tally.wrong(format!("nobody provoked {never}"));
            }
        }
    }
    say(&format!(
        "in the server's log: {} warnings, {} errors{}\n",
        warnings.warnings,
        warnings.errors,
        warnings
            .first
            .map_or_else(String::new, |line| format!(", the first: {line}"))
    ));
    if warnings.errors > 0 {
        tally.wrong("the server logged errors, and no call met one".into());
    }
    for wrong in tally.wrongs() {
        say(&format!("wrong: {wrong}\n"));
    }
    let well = tally.wrongs().is_empty();
    say(if well { "all was well\n" } else { "FAILED\n" });
    Ok(well)
}

/// All clients until the end, or until one of the good ones met something wrong.
async fn load(
    options: &Options,
    house: &House,
    server: &Server,
    start: Instant,
) -> (Tally, Memory) {
    let end = start + options.length;
    let mut clients = JoinSet::new();
    let (good, others) = house.keys.split_at(options.connections);
    let mut others = others.iter();
    for (number, key) in good.iter().enumerate() {
        let rng = Rng::new(options.seed, number as u64);
        let name = format!("c{number}");
        // A network each: whose session has ended is a stranger, and of those a network has only so
        // many a minute.
        let octet = |number: usize| u8::try_from(number).expect("at most 4096 clients");
        let from = Ipv4Addr::new(127, 2 + octet(number / 250), octet(number % 250), 1);
        let dialer = Arc::new(server.dialer.from(from.into()));
        let player = Player::new(dialer, key.clone(), name, rng, end, options.rest);
        clients.spawn(player.play());
    }
    for (place, kind) in Kind::ALL.into_iter().enumerate() {
        for number in 0..options.hostile {
            let stream = 1 << 19 | (place as u64) << 10 | number as u64;
            let rng = Rng::new(options.seed, stream);
            let attacker = Attacker {
                kind,
                number,
                key: others.next().cloned().unwrap_or_default(),
                limit: PER_PEER,
            };
            clients.spawn(attacker.attack(Arc::clone(&server.dialer), rng, end));
        }
    }
    let (mut all, mut memory) = (Tally::default(), Memory::default());
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = second.tick() => {
                if let Some(kilobytes) = resident_kib(server.process()) {
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

/// The counters once every connection is gone: what was under way then has been counted.
fn settled(server: &Server) -> Result<String, ServerError> {
    let end = Instant::now() + SETTLE;
    loop {
        let metrics = server.metrics()?;
        let quiet = metrics
            .lines()
            .any(|line| line == "vault_connections_open 0");
        if quiet || Instant::now() > end {
            return Ok(metrics);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What hostile clients must have brought about in any run that is worth something.
fn provoked(tls: bool) -> Vec<String> {
    let always = [
        balance::REFUSED_PEER,
        balance::HEADER_TIMEOUTS,
        balance::HEADS_TOO_LARGE,
        balance::BODY_TIMEOUTS,
        balance::WRITE_TIMEOUTS,
        balance::PROTOCOL_ERRORS,
    ];
    let of_tls = [balance::HANDSHAKES, balance::HANDSHAKE_TIMEOUTS];
    let of_tls = of_tls.into_iter().filter(|_| tls);
    let codes = [
        "malformed",
        "method_not_allowed",
        "rate_limited",
        "too_large",
        "unauthenticated",
    ];
    let counters = always.into_iter().chain(of_tls).map(str::to_owned);
    counters.chain(codes.map(balance::refusals)).collect()
}

/// To standard output; a reader that went away is no failure of the server.
fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
