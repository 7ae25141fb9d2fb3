//! How much one caller may ask: by API key, by person, by look-ups, and without a key at all.
//!
//! Everything here is in memory alone, is bounded, and is forgotten at a restart and a lock; a person
//! is forgotten at their erasure. Knows nothing of what a call does. What one conversation needs is
//! far below every default; see [`Limits`].

mod known;
mod quota;
mod settings;
mod strangers;

use std::sync::Arc;
use std::time::Duration;

use vault_core::clock::Clock;
use vault_core::id::{SubjectId, TokenId};

use crate::problem::Problem;

pub use settings::Limits;
pub(crate) use strangers::Network;

use known::Known;
use quota::Quota;
use strangers::Strangers;

/// API keys that are counted; a vault has at most ten thousand.
const API_KEYS_MAX: usize = 16_384;
/// People that are counted.
const PEOPLE_MAX: usize = 131_072;
/// Codes and openings of links a minute, of everybody together: whoever asks for them has no key, and each costs the
/// hash of a code, some forty milliseconds of a processor.
const PICKUPS_PER_MINUTE: u32 = 240;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Which limit a call was over: the closed list of metrics, logs and headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Limit {
    Asks,
    Calls,
    LookupsDay,
    LookupsMinute,
    Person,
    Pickups,
    Unauthenticated,
    Unlock,
}

impl Limit {
    pub(crate) const ALL: [Self; 8] = [
        Self::Asks,
        Self::Calls,
        Self::LookupsDay,
        Self::LookupsMinute,
        Self::Person,
        Self::Pickups,
        Self::Unauthenticated,
        Self::Unlock,
    ];

    /// Its name; the configuration's, where there is a key for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Asks => "asks_per_day",
            Self::Calls => "calls_per_second",
            Self::LookupsDay => "lookups_per_day",
            Self::LookupsMinute => "lookups_per_minute",
            Self::Person => "person_calls_per_minute",
            Self::Pickups => "pickups_per_minute",
            Self::Unauthenticated => "unauthenticated_per_minute",
            Self::Unlock => "unlock",
        }
    }

    /// What it counts, for whoever was refused.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Asks => "tests of values of one person a day",
            Self::Calls => "calls a second by this API key, its sessions included",
            Self::LookupsDay => "look-ups and creations of people a day by this API key",
            Self::LookupsMinute => "look-ups and creations of people a minute by this API key",
            Self::Person => "calls a minute about one person, by all API keys together",
            Self::Pickups => "codes and openings a minute of all links to pick a copy up",
            Self::Unauthenticated => "calls without a valid API key from this network",
            Self::Unlock => "attempts to open the vault",
        }
    }
}

/// Where a caller stands with one limit, after a call was counted or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) limit: Limit,
    /// Calls at once.
    pub(crate) size: u32,
    /// In how many seconds all of them come back.
    pub(crate) window_seconds: u64,
    /// Calls that are left now.
    pub(crate) left: u32,
    /// Seconds until the next is left where none is; else until all are.
    pub(crate) wait_seconds: u64,
}

/// Every limit of a server.
pub(crate) struct Rates {
    calls: Quota<TokenId>,
    people: Quota<SubjectId>,
    lookups_minute: Quota<TokenId>,
    lookups_day: Quota<TokenId>,
    pickups: Quota<()>,
    strangers: Strangers,
    known: Known,
    clock: Arc<dyn Clock>,
}

/// What is known of a caller before the vault is asked.
#[derive(Clone, Copy)]
pub(crate) enum Caller {
    /// Has shown this key before; the call has been counted.
    Counted(TokenId, Standing),
    /// Nobody that has been seen.
    Stranger,
}

impl Rates {
    pub(crate) fn new(limits: &Limits, clock: &Arc<dyn Clock>) -> Self {
        let keys = |limit, size, rate| Quota::new(limit, size, rate, API_KEYS_MAX, clock);
        let minute = |limit, size| keys(limit, size, (size, MINUTE));
        let second = (limits.calls_per_second, SECOND);
        let person = limits.person_calls_per_minute;
        Self {
            calls: keys(Limit::Calls, limits.calls_burst, second),
            people: Quota::new(Limit::Person, person, (person, MINUTE), PEOPLE_MAX, clock),
            lookups_minute: minute(Limit::LookupsMinute, limits.lookups_per_minute),
            lookups_day: keys(
                Limit::LookupsDay,
                limits.lookups_per_day,
                (limits.lookups_per_day, DAY),
            ),
            pickups: Quota::new(
                Limit::Pickups,
                PICKUPS_PER_MINUTE,
                (PICKUPS_PER_MINUTE, MINUTE),
                1,
                clock,
            ),
            strangers: Strangers::new(limits.unauthenticated_per_minute),
            known: Known::new(),
            clock: clock.clone(),
        }
    }

    /// The API key that a bearer stood for when the vault last proved it.
    pub(crate) fn seen(&self, bearer: &str) -> Option<TokenId> {
        self.known.token(bearer)
    }

    /// Before any work: counts a call by a key that has been seen, and turns a stranger away who has
    /// to wait.
    ///
    /// # Errors
    ///
    /// 429.
    pub(crate) fn admit(
        &self,
        seen: Option<TokenId>,
        peer: Option<Network>,
    ) -> Result<Caller, Problem> {
        if let Some(token) = seen {
            return self
                .count_call(token)
                .map(|standing| Caller::Counted(token, standing));
        }
        self.strangers_wait(peer)?;
        Ok(Caller::Stranger)
    }

    /// The vault has proved the key that a bearer stands for.
    ///
    /// # Errors
    ///
    /// 429, where this is a call too many of that key.
    pub(crate) fn proved(
        &self,
        caller: Caller,
        bearer: &str,
        token: TokenId,
    ) -> Result<Standing, Problem> {
        match caller {
            Caller::Counted(counted, standing) if counted == token => Ok(standing),
            _ => {
                self.known.add(bearer, token);
                self.count_call(token)
            }
        }
    }

    /// The vault does not know the bearer, or there was none.
    pub(crate) fn failed(&self, bearer: Option<&str>, peer: Option<Network>) {
        if let Some(bearer) = bearer {
            self.known.remove(bearer);
        }
        if let Some(peer) = peer {
            self.strangers.failed(peer, self.clock.now());
        }
    }

    /// Turns away a stranger whose network has to wait.
    ///
    /// # Errors
    ///
    /// 429.
    pub(crate) fn strangers_wait(&self, peer: Option<Network>) -> Result<(), Problem> {
        let wait = peer.and_then(|peer| self.strangers.wait_seconds(peer, self.clock.now()));
        match wait {
            Some(seconds) => Err(Problem::rate_limited(Limit::Unauthenticated, seconds)),
            None => Ok(()),
        }
    }

    /// Counts a call about a person.
    ///
    /// # Errors
    ///
    /// 429.
    pub(crate) fn count_person(&self, subject: SubjectId) -> Result<(), Problem> {
        self.people.count(subject).map_err(Problem::over)?;
        Ok(())
    }

    /// Counts a look-up, or a creation: both tell whether somebody is known.
    ///
    /// # Errors
    ///
    /// 429.
    pub(crate) fn count_lookup(&self, token: TokenId) -> Result<Standing, Problem> {
        let minute = self.lookups_minute.count(token).map_err(Problem::over)?;
        let day = self.lookups_day.count(token).map_err(Problem::over)?;
        Ok(if day.left < minute.left { day } else { minute })
    }

    /// Counts a code or an opening of a link.
    ///
    /// # Errors
    ///
    /// The limit that it is over.
    pub(crate) fn count_pickup(&self) -> Result<(), Limit> {
        self.pickups.count(()).map(drop).map_err(|over| over.limit)
    }

    /// Forgets a person who was erased.
    pub(crate) fn forget_person(&self, subject: SubjectId) {
        self.people.forget(subject);
    }

    /// Forgets whoever has shown a key, or failed to.
    pub(crate) fn forget_callers(&self) {
        self.known.forget_all();
        self.strangers.forget_all();
    }

    fn count_call(&self, token: TokenId) -> Result<Standing, Problem> {
        self.calls.count(token).map_err(Problem::over)
    }
}

#[cfg(test)]
mod tests;
