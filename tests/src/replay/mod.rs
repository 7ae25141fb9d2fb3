//! Plays conversations against a vault: a bot writes and reads back, an agent reads what it may,
//! a data protection officer erases a tenth.
//!
//! A failure is any answer that is not the one that must come: another status, a value that is not
//! what was stored, a value where a mask must stand, anything of an erased person. A slow answer is
//! no failure. Reports name the conversation's number in the file and the kind of call, no value.

mod conversation;
mod play;
mod report;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use vault_cli::dev::{DevOptions, Running};
use vault_cli::http::Client;

pub use conversation::{Conversation, FileError, read};
pub use report::{Mismatch, Report, complain, print};

use play::{Person, Player};
use report::Timings;

/// Mismatches after which the rest is not played.
const MISMATCHES_MAX: usize = 20;
/// One person in this many is erased.
const ERASE_EVERY: usize = 10;

/// What to play, and where.
pub struct Options {
    /// The conversations.
    pub file: PathBuf,
    /// A server and a file with its tokens; one of our own where `None`.
    pub server: Option<(String, PathBuf)>,
    /// The channel of the invented users.
    pub channel: String,
    /// Conversations at the same time.
    pub threads: usize,
}

/// Why nothing could be played.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The server's address.
    #[error(transparent)]
    Address(#[from] vault_cli::http::HttpError),
    /// The conversations.
    #[error(transparent)]
    File(#[from] FileError),
    /// The server of our own did not start, or did not stop well.
    #[error("the server failed: {0}")]
    Server(String),
    /// The tokens.
    #[error("{0} is no JSON file {{bot, agent, dpo}}")]
    Tokens(PathBuf),
}

/// The tokens of the three roles.
struct Tokens {
    bot: String,
    agent: String,
    dpo: String,
}

/// The three callers of one thread, each with a connection of its own.
struct Clients {
    bot: Client,
    agent: Client,
    dpo: Client,
}

impl Tokens {
    fn read(path: &PathBuf) -> Result<Self, ReplayError> {
        let wrong = || ReplayError::Tokens(path.clone());
        let text = std::fs::read(path).map_err(|_| wrong())?;
        let json: serde_json::Value = serde_json::from_slice(&text).map_err(|_| wrong())?;
        let token = |role: &str| json[role].as_str().map(ToOwned::to_owned).ok_or_else(wrong);
        Ok(Self {
            bot: token("bot")?,
            agent: token("agent")?,
            dpo: token("dpo")?,
        })
    }

    fn of(running: &Running) -> Self {
        let token = |role| running.token(role).to_owned();
        Self {
            bot: token("bot"),
            agent: token("agent"),
            dpo: token("dpo"),
        }
    }

    fn clients(&self, url: &str) -> Result<Clients, ReplayError> {
        Ok(Clients {
            bot: Client::new(url, &self.bot)?,
            agent: Client::new(url, &self.agent)?,
            dpo: Client::new(url, &self.dpo)?,
        })
    }
}

/// Plays all conversations.
///
/// # Errors
///
/// Nothing could be played. Wrong answers are no error but in [`Report::mismatches`].
pub fn run(options: &Options) -> Result<Report, ReplayError> {
    let conversations = conversation::read(&options.file)?;
    let (running, url, tokens) = match &options.server {
        Some((url, file)) => (None, url.clone(), Tokens::read(file)?),
        None => {
            let running = vault_cli::dev::start(DevOptions {
                listen: Some(([127, 0, 0, 1], 0).into()),
                ..DevOptions::default()
            })
            .map_err(|failure| ReplayError::Server(failure.what))?;
            let (url, tokens) = (running.url.clone(), Tokens::of(&running));
            (Some(running), url, tokens)
        }
    };
    let stage = Stage {
        conversations: &conversations,
        channel: &options.channel,
        people: conversations.iter().map(|_| Mutex::new(None)).collect(),
        mismatches: Mutex::new(Vec::new()),
        timings: Mutex::new(Timings::default()),
    };
    let clients = (0..options.threads)
        .map(|_| tokens.clients(&url))
        .collect::<Result<Vec<_>, _>>()?;
    let start = Instant::now();
    stage.act("bot", &clients, |player, _, slot| {
        *slot = Some(player.converse()?);
        Ok(())
    });
    let bytes_at_rest = running
        .as_ref()
        .map(|running| report::bytes_under(&[&running.dir, &running.anchor]));
    stage.act("agent", &clients, |player, _, slot| player.attend(slot));
    stage.act("erase", &clients, |player, number, slot| {
        if number % ERASE_EVERY == 0 {
            player.erase(slot)?;
        }
        Ok(())
    });
    stage.act("after", &clients, |player, number, slot| {
        if number % ERASE_EVERY == 0 {
            player.find_erased(slot)
        } else {
            player.find_intact(slot)
        }
    });
    let elapsed = start.elapsed();
    if let Some(running) = running {
        running
            .stop()
            .map_err(|failure| ReplayError::Server(failure.what))?;
    }
    Ok(stage.report(elapsed, bytes_at_rest))
}

/// What all threads share.
struct Stage<'a> {
    conversations: &'a [Conversation],
    channel: &'a str,
    people: Vec<Mutex<Option<Person>>>,
    mismatches: Mutex<Vec<Mismatch>>,
    timings: Mutex<Timings>,
}

impl Stage<'_> {
    /// Every conversation goes through `part` once, on whichever thread is free.
    fn act(
        &self,
        name: &str,
        clients: &[Clients],
        part: impl Fn(&mut Player<'_>, usize, &mut Option<Person>) -> Result<(), &'static str> + Sync,
    ) {
        let next = AtomicUsize::new(0);
        let total = self.conversations.len();
        std::thread::scope(|scope| {
            for clients in clients {
                let (next, part) = (&next, &part);
                scope.spawn(move || {
                    let mut timings = Timings::default();
                    while !self.spoiled() {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(conversation) = self.conversations.get(index) else {
                            break;
                        };
                        let mut slot = self.people[index].lock().expect("no player panics");
                        let mut player =
                            Player::new(clients, conversation, self.channel, &mut timings);
                        if let Err(kind) = part(&mut player, index + 1, &mut slot) {
                            let number = index + 1;
                            let mismatch = Mismatch { number, kind };
                            self.mismatches
                                .lock()
                                .expect("no player panics")
                                .push(mismatch);
                        }
                        report::progress(name, index + 1, total);
                    }
                    self.timings
                        .lock()
                        .expect("no player panics")
                        .merge(timings);
                });
            }
        });
    }

    fn spoiled(&self) -> bool {
        self.mismatches.lock().expect("no player panics").len() >= MISMATCHES_MAX
    }

    fn report(self, elapsed: Duration, bytes_at_rest: Option<report::AtRest>) -> Report {
        Report {
            conversations: self.conversations.len(),
            elapsed,
            bytes_stored: self.conversations.iter().map(Conversation::bytes).sum(),
            bytes_at_rest,
            timings: self.timings.into_inner().expect("no player panics"),
            mismatches: self.mismatches.into_inner().expect("no player panics"),
        }
    }
}
