//! Verification codes on their way to the addresses that are on file.
//!
//! Whoever makes a code hands it over with [`CodeSink::send`], which never waits: what is asked of a code
//! takes as long where none is sent. It goes into a bounded queue in memory, from which a task of its own
//! ([`Codes::run`]) sends: mail through the relay of the configuration, else, and always for telephones, one
//! webhook. What is not taken is tried again until the code is good no more, and never after.
//!
//! Nothing of a code is in a log line, a metric or an alarm: they say of which kind the address was, how
//! often it failed and at which step. A restart, and a vault that is locked, forget what waits: the person
//! asks again. Knows nothing of who a code is for.
//!
//! Source: OWASP ASVS 5.0, 6.6.2 and 6.6.3; Standard Webhooks 1.0.0 for the signature. Decision 0025.

mod mail;
mod queue;
mod setup;
mod text;

use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use vault_core::clock::Clock;
use vault_core::entropy::{Entropy, OsEntropy};
use vault_core::verification::{AddressKind, CodeToSend};

use crate::webhook::{Message, Target, Webhook};
use mail::Mail;
use queue::{Job, Queue};

pub use setup::CodesError;
pub(crate) use setup::ports;

/// The kind of message for codes that do not leave.
const FAILING: &str = "vault.verification.failing";
/// What the body of a webhook is.
const SCHEMA: &str = "vault-code/1";
/// Codes that are sent at a time: one relay that is slow must not hold up everybody for minutes.
const AT_A_TIME: usize = 8;
/// Failures in a row, of one way of sending, from which on an alarm is raised.
const FAILURES_TOLD: u64 = 5;
/// How often it is raised.
const QUIET: SignedDuration = SignedDuration::from_hours(1);
/// Longest sleep between two looks at the queue: the clock may be set meanwhile.
const LOOK_SECONDS_MAX: u64 = 30;

/// Who takes codes to be sent.
pub trait CodeSink: Send + Sync {
    /// Takes a code and returns at once, whatever becomes of it. Where it does not send the code's kind of
    /// address, the code is lost.
    fn send(&self, code: CodeToSend);

    /// Whether codes reach addresses of this kind at all.
    fn sends(&self, kind: AddressKind) -> bool;

    /// Forgets what has not been sent.
    fn forget(&self) {}

    /// What became of codes so far.
    fn figures(&self) -> CodeFigures {
        CodeFigures::default()
    }
}

/// What became of codes for one kind of address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeCounts {
    /// Taken by the relay or the receiver.
    pub sent: u64,
    /// Tries that failed.
    pub failed: u64,
    /// Never sent: refused for good, not in time, or without room in the queue.
    pub lost: u64,
}

/// What became of codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeFigures {
    /// Those to e-mail addresses.
    pub email: CodeCounts,
    /// Those to telephones.
    pub phone: CodeCounts,
    /// Waiting for a try.
    pub waiting: u64,
}

impl CodeFigures {
    /// Those of a kind.
    #[must_use]
    pub fn of(&self, kind: AddressKind) -> CodeCounts {
        match kind {
            AddressKind::Email => self.email,
            AddressKind::Phone => self.phone,
        }
    }

    fn at(&mut self, kind: AddressKind) -> &mut CodeCounts {
        match kind {
            AddressKind::Email => &mut self.email,
            AddressKind::Phone => &mut self.phone,
        }
    }
}

/// Why a code was not taken, and whether it is of use to try again: in our own words, since what the other
/// side said may repeat the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Failed {
    why: &'static str,
    for_good: bool,
}

impl Failed {
    const fn again(why: &'static str) -> Self {
        let for_good = false;
        Self { why, for_good }
    }

    const fn for_good(why: &'static str) -> Self {
        let for_good = true;
        Self { why, for_good }
    }
}

/// A way of sending, for the failures in a row of which an alarm is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Mail,
    Webhook,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::Mail => "smtp",
            Self::Webhook => "webhook",
        }
    }
}

/// Failures in a row, and when an alarm was last raised.
#[derive(Clone, Copy, Default)]
struct Streak {
    failures: u64,
    told: Option<Timestamp>,
}

impl Streak {
    /// One more; how many it is, where that is to be told now.
    fn failed(&mut self, now: Timestamp) -> Option<u64> {
        self.failures = self.failures.saturating_add(1);
        let quiet = self.told.is_some_and(|told| {
            let since = now.duration_since(told);
            !since.is_negative() && since < QUIET
        });
        let tell = self.failures >= FAILURES_TOLD && !quiet;
        if tell {
            self.told = Some(now);
        }
        tell.then_some(self.failures)
    }
}

/// Sends codes as the configuration says; clones share it.
#[derive(Clone)]
pub struct Codes(Arc<Inner>);

struct Inner {
    mail: Option<Mail>,
    webhook: Option<Target>,
    alarm: Option<Webhook>,
    queue: Mutex<Queue>,
    figures: Mutex<CodeFigures>,
    streaks: Mutex<[Streak; 2]>,
    entropy: Mutex<Box<dyn Entropy>>,
    clock: Arc<dyn Clock>,
    changed: Notify,
}

impl CodeSink for Codes {
    fn send(&self, code: CodeToSend) {
        let (kind, now) = (code.kind, self.0.clock.now());
        if self.way(kind).is_none() {
            self.lose(kind, "no way of sending is configured for such addresses");
        } else if self.0.queue.lock().add(code, now) {
            self.0.changed.notify_one();
        } else {
            self.lose(kind, "the queue is full");
        }
    }

    fn sends(&self, kind: AddressKind) -> bool {
        self.way(kind).is_some()
    }

    fn forget(&self) {
        self.0.queue.lock().clear();
    }

    fn figures(&self) -> CodeFigures {
        CodeFigures {
            waiting: self.0.queue.lock().len() as u64,
            ..*self.0.figures.lock()
        }
    }
}

impl Codes {
    fn new(
        mail: Option<Mail>,
        webhook: Option<Target>,
        alarm: Option<Webhook>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Inner {
            mail,
            webhook,
            alarm,
            queue: Mutex::default(),
            figures: Mutex::default(),
            streaks: Mutex::default(),
            entropy: Mutex::new(Box::new(OsEntropy)),
            clock,
            changed: Notify::new(),
        }))
    }

    /// How a code for such an address goes.
    fn way(&self, kind: AddressKind) -> Option<Way> {
        match (kind, &self.0.mail, &self.0.webhook) {
            (AddressKind::Email, Some(_), _) => Some(Way::Mail),
            (_, _, Some(_)) => Some(Way::Webhook),
            (_, _, None) => None,
        }
    }

    /// Sends everything that is due now, several at a time.
    pub async fn pass(&self) {
        let mut running = JoinSet::new();
        loop {
            while running.len() < AT_A_TIME {
                let now = self.0.clock.now();
                let (over, due) = {
                    let mut queue = self.0.queue.lock();
                    (queue.take_over(now), queue.due(now))
                };
                for kind in over {
                    self.lose(kind, "it was not taken while the code was good");
                }
                let Some(job) = due else { break };
                let codes = self.clone();
                running.spawn(async move { codes.attempt(job).await });
            }
            // One that comes meanwhile does not wait for a relay that is slow with another.
            tokio::select! {
                joined = running.join_next() => if joined.is_none() { return },
                () = self.0.changed.notified() => {}
            }
        }
    }

    /// Sends what is due, for as long as the server runs.
    pub async fn run(self) {
        loop {
            self.pass().await;
            let wait = self.0.queue.lock().wait(self.0.clock.now());
            let most = Duration::from_secs(LOOK_SECONDS_MAX);
            let wait = wait.map_or(most, |wait| wait.min(most));
            let _ = tokio::time::timeout(wait, self.0.changed.notified()).await;
        }
    }

    async fn attempt(&self, mut job: Job) {
        let kind = job.code.kind;
        let (way, answer) = match (self.way(kind), &self.0.mail, &self.0.webhook) {
            (Some(Way::Mail), Some(mail), _) => {
                let answer = mail.send(&job.code, self.0.clock.now()).await;
                (Way::Mail, answer)
            }
            (_, _, Some(webhook)) => (Way::Webhook, self.tell(webhook, &job.code).await),
            (_, _, None) => return self.0.queue.lock().done(),
        };
        let now = self.0.clock.now();
        match answer {
            Ok(()) => {
                self.0.queue.lock().done();
                self.0.figures.lock().at(kind).sent += 1;
                self.0.streaks.lock()[way as usize] = Streak::default();
            }
            Err(failed) => {
                self.0.figures.lock().at(kind).failed += 1;
                let told = self.0.streaks.lock()[way as usize].failed(now);
                if let Some(failures) = told {
                    self.raise(way, failures, failed.why, now);
                }
                job.tries += 1;
                let tries = job.tries;
                if failed.for_good {
                    self.0.queue.lock().done();
                    return self.lose(kind, failed.why);
                }
                let mut entropy = self.0.entropy.lock();
                self.0.queue.lock().again(job, now, &mut **entropy);
                tracing::warn!(target: "vault_server::codes", kind = kind.name(), way = way.name(), tries, why = failed.why, "a verification code was not taken and is tried again");
            }
        }
    }

    async fn tell(&self, webhook: &Target, code: &CodeToSend) -> Result<(), Failed> {
        let sending = HEXLOWER.encode(&code.sending);
        let body = json!({
            "schema": SCHEMA,
            "sending": sending,
            "kind": code.kind.name(),
            "address": code.address.as_str(),
            "code": code.code.as_str(),
            "language": code.language.name(),
            "expires_at": code.expires_at.to_string(),
            "text": text::of(code).as_str(),
        });
        let message = Message {
            id: format!("code_{sending}"),
            kind: SCHEMA,
            body: body.to_string().into_bytes(),
        };
        let answer = webhook.deliver(&message, self.0.clock.now()).await;
        answer.map_err(|failed| Failed::again(failed.kind()))
    }

    fn raise(&self, way: Way, failures: u64, why: &'static str, now: Timestamp) {
        tracing::error!(target: "vault_server::codes", way = way.name(), failures, why, "verification codes do not leave: nobody can be verified by them");
        if let Some(alarm) = &self.0.alarm {
            let data = json!({"way": way.name(), "failures": failures, "why": why});
            alarm.send(FAILING, now, &data);
        }
    }

    fn lose(&self, kind: AddressKind, why: &'static str) {
        self.0.figures.lock().at(kind).lost += 1;
        tracing::warn!(target: "vault_server::codes", kind = kind.name(), why, "a verification code was not sent");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_failure_in_a_row_is_told_and_then_one_an_hour() {
        let at = |minutes: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
        let mut streak = Streak::default();
        for _ in 1..FAILURES_TOLD {
            assert_eq!(streak.failed(at(0)), None);
        }
        assert_eq!(streak.failed(at(0)), Some(FAILURES_TOLD));
        assert_eq!(streak.failed(at(59)), None);
        assert_eq!(streak.failed(at(60)), Some(FAILURES_TOLD + 2));
        // A clock that was set back silences nobody.
        assert!(streak.failed(at(10)).is_some());
    }
}
