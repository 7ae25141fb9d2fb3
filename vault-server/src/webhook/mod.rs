//! Webhooks: messages to one address that the configuration fixes, signed, tried again, and given up in
//! sight.
//!
//! Whoever has something to tell calls [`Webhook::send`], which never waits: the message goes into a
//! bounded queue in memory. A task of its own tries what is due ([`Webhook::run`]). What is not taken
//! after the last try, or does not fit into the queue, is a dead letter: counted, and named in the log
//! by its id. A restart loses what waits; the evidence of what a message tells of is the vault's log,
//! and whoever needs more than that sends the message again.
//!
//! Knows nothing of what messages say: they must hold no personal value. Where they go cannot be
//! changed by a call, a redirect or a name that resolves to another kind of address ([`address`]).
//!
//! Source: Standard Webhooks 1.0.0 (standardwebhooks.com).

pub mod address;
mod delivery;
mod queue;
pub mod signature;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;
use vault_core::clock::Clock;
use vault_core::entropy::Entropy;

pub use address::{Address, AddressError};
pub(crate) use delivery::Answer;
pub use delivery::{Failed, Target};
pub(crate) use queue::wait_after;
pub use queue::{QUEUE_MAX, TRIES_MAX};
use queue::{Queue, Verdict};
pub use signature::{Secret, SecretError};

/// Longest sleep between two looks at the queue: the clock may be set meanwhile.
const LOOK_SECONDS_MAX: u64 = 30;

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The same at every try, so that a receiver can tell repetitions.
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) body: Vec<u8>,
}

/// What became of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebhookFigures {
    /// Taken by the receiver.
    pub delivered: u64,
    /// Tries that failed.
    pub failed: u64,
    /// Given up.
    pub dead: u64,
    /// Waiting for a try.
    pub waiting: u64,
}

/// One destination with its queue; clones share it.
#[derive(Clone)]
pub struct Webhook(Arc<Inner>);

struct Inner {
    target: Target,
    queue: Mutex<Queue>,
    entropy: Mutex<Box<dyn Entropy>>,
    clock: Arc<dyn Clock>,
    changed: Notify,
    delivered: AtomicU64,
    failed: AtomicU64,
    dead: AtomicU64,
}

impl Webhook {
    /// The queue before `target`, empty.
    #[must_use]
    pub fn new(target: Target, clock: Arc<dyn Clock>, entropy: Box<dyn Entropy>) -> Self {
        Self(Arc::new(Inner {
            target,
            queue: Mutex::default(),
            entropy: Mutex::new(entropy),
            clock,
            changed: Notify::new(),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dead: AtomicU64::new(0),
        }))
    }

    /// Queues `{type, timestamp, data}` and returns at once; whether there was room.
    pub fn send(&self, kind: &'static str, at: Timestamp, data: &Value) -> bool {
        let mut random = [0; 16];
        self.0.entropy.lock().fill(&mut random);
        let message = Message {
            id: format!("msg_{}", HEXLOWER.encode(&random)),
            kind,
            body: json!({"type": kind, "timestamp": at.to_string(), "data": data})
                .to_string()
                .into_bytes(),
        };
        let id = message.id.clone();
        let room = self.0.queue.lock().add(message, self.0.clock.now());
        if room {
            self.0.changed.notify_one();
        } else {
            self.bury(&id, kind, "the queue is full");
        }
        room
    }

    /// Tries everything that is due now, one after another.
    pub async fn pass(&self) {
        loop {
            let Some(mut job) = self.0.queue.lock().due(self.0.clock.now()) else {
                return;
            };
            let now = self.0.clock.now();
            match self.0.target.deliver(&job.message, now).await {
                Ok(()) => {
                    self.0.delivered.fetch_add(1, Ordering::Relaxed);
                    self.0.queue.lock().done();
                }
                Err(failed) => {
                    self.0.failed.fetch_add(1, Ordering::Relaxed);
                    let (id, kind) = (job.message.id.clone(), job.message.kind);
                    job.tries += 1;
                    let tries = job.tries;
                    let verdict = {
                        let mut entropy = self.0.entropy.lock();
                        let now = self.0.clock.now();
                        self.0.queue.lock().failed(job, now, &mut **entropy)
                    };
                    match verdict {
                        Verdict::Again => {
                            tracing::warn!(target: "vault_server::webhook", message = %id, kind, tries, error = %failed, "a webhook was not taken and is tried again");
                        }
                        Verdict::GivenUp => self.bury(&id, kind, &failed.to_string()),
                    }
                }
            }
        }
    }

    /// Tries what is due, for as long as the server runs.
    pub async fn run(self) {
        loop {
            self.pass().await;
            let now = self.0.clock.now();
            let wait = self.0.queue.lock().wait(now);
            let most = Duration::from_secs(LOOK_SECONDS_MAX);
            let wait = wait.map_or(most, |wait| wait.min(most));
            let _ = tokio::time::timeout(wait, self.0.changed.notified()).await;
        }
    }

    fn bury(&self, id: &str, kind: &str, why: &str) {
        self.0.dead.fetch_add(1, Ordering::Relaxed);
        tracing::error!(target: "vault_server::webhook", message = %id, kind, why, "a webhook is given up: nobody was told");
    }

    /// What became of messages so far.
    #[must_use]
    pub fn figures(&self) -> WebhookFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WebhookFigures {
            delivered: read(&self.0.delivered),
            failed: read(&self.0.failed),
            dead: read(&self.0.dead),
            waiting: self.0.queue.lock().len() as u64,
        }
    }
}
