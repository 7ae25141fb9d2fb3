//! What the server holds: the locked vault, the open one while it is open, and what waits.
//!
//! Knows nothing of requests. Opening is tried one at a time, and later after each wrong secret.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;
use vault_core::clock::{Clock, SystemClock};
use vault_core::id::VaultId;
use vault_core::vault::{LockedVault, UnlockError, UnlockSecret, Vault};

use crate::backoff::Backoff;
use crate::code::Code;
use crate::config::ServerConfig;
use crate::idempotency::Idempotency;
use crate::problem::Problem;

/// Most streams at a time.
const STREAMS_MAX: usize = 32;

/// What an [`App`] runs with.
#[derive(Clone)]
pub struct AppSettings {
    /// The present, for waiting times and for what is remembered.
    pub clock: Arc<dyn Clock>,
    /// Longest body of a call, in bytes.
    pub body_bytes_max: usize,
    /// Most calls that run in the vault at a time.
    pub in_flight_max: usize,
    /// How often the sweeper runs while the server does; `None` never.
    pub sweep_every: Option<Duration>,
}

impl From<&ServerConfig> for AppSettings {
    fn from(config: &ServerConfig) -> Self {
        Self {
            clock: Arc::new(SystemClock),
            body_bytes_max: config.body_bytes_max,
            in_flight_max: config.in_flight_max,
            sweep_every: Some(Duration::from_secs(60)),
        }
    }
}

/// What can be opened with a secret. A trait, so that this crate's own tests can stand a door
/// there that never opens.
pub(crate) trait Door: Send + Sync {
    fn unlock(&self, secret: &UnlockSecret) -> Result<Arc<Vault>, UnlockError>;
    fn vault_id(&self) -> VaultId;
}

impl Door for LockedVault {
    fn unlock(&self, secret: &UnlockSecret) -> Result<Arc<Vault>, UnlockError> {
        Self::unlock(self, secret)
    }

    fn vault_id(&self) -> VaultId {
        Self::vault_id(self)
    }
}

/// The server's state; clones share it.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    door: Box<dyn Door>,
    vault: RwLock<Option<Arc<Vault>>>,
    // Held for the whole of an attempt: one at a time.
    backoff: Mutex<Backoff>,
    in_flight: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    idempotency: Idempotency,
    settings: AppSettings,
}

impl App {
    /// The state over a vault's directory; open already if `vault` is given.
    #[must_use]
    pub fn new(locked: LockedVault, vault: Option<Arc<Vault>>, settings: AppSettings) -> Self {
        Self::over(Box::new(locked), vault, settings)
    }

    pub(crate) fn over(
        door: Box<dyn Door>,
        vault: Option<Arc<Vault>>,
        settings: AppSettings,
    ) -> Self {
        Self(Arc::new(Inner {
            door,
            vault: RwLock::new(vault),
            backoff: Mutex::default(),
            in_flight: Arc::new(Semaphore::new(settings.in_flight_max)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            idempotency: Idempotency::default(),
            settings,
        }))
    }

    /// The open vault, if it is open.
    #[must_use]
    pub fn vault(&self) -> Option<Arc<Vault>> {
        self.0
            .vault
            .read()
            .as_ref()
            .filter(|vault| vault.is_open())
            .cloned()
    }

    /// Closes the vault and forgets every key, session and remembered answer. Calls under way
    /// are refused as locked by the vault itself. Blocks on the disk.
    pub fn lock(&self) {
        let vault = self.0.vault.write().take();
        self.0.idempotency.forget_all();
        if let Some(vault) = vault {
            vault.close();
        }
    }

    /// Opens the vault. Takes about a second of Argon2id; blocks.
    ///
    /// # Errors
    ///
    /// 409 if it is open; 429 while another attempt runs, or too soon after a wrong secret; 401 for
    /// a wrong secret; 503 or 500 where the files do not open.
    pub(crate) fn unlock(&self, secret: &UnlockSecret) -> Result<(), Problem> {
        let Some(mut backoff) = self.0.backoff.try_lock() else {
            return Err(Problem::rate_limited(1));
        };
        let clock = &self.0.settings.clock;
        if let Some(seconds) = backoff.wait_seconds(clock.now()) {
            return Err(Problem::rate_limited(seconds));
        }
        if self.vault().is_some() {
            return Err(Problem::with_detail(
                Code::Conflict,
                "the vault is open already; `POST /v1/lock` closes it",
            ));
        }
        match self.0.door.unlock(secret) {
            Ok(vault) => {
                *self.0.vault.write() = Some(vault);
                backoff.succeeded();
                Ok(())
            }
            Err(UnlockError::NoSlotMatches) => {
                backoff.failed(clock.now());
                tracing::warn!(target: "vault_server::unlock", "a wrong unlock secret was refused");
                Err(Problem::with_detail(
                    Code::Unauthenticated,
                    "no key slot opens with this passphrase or key",
                ))
            }
            Err(error) => {
                // These errors name files and faults, never a secret.
                tracing::error!(target: "vault_server::unlock", error = %chain(&error), "the vault does not open");
                Err(match error {
                    UnlockError::Anchor => Problem::with_detail(
                        Code::AnchorUnavailable,
                        "the anchor does not open this database",
                    ),
                    _ => Problem::new(Code::Internal),
                })
            }
        }
    }

    pub(crate) fn vault_id(&self) -> VaultId {
        self.0.door.vault_id()
    }

    pub(crate) fn settings(&self) -> &AppSettings {
        &self.0.settings
    }

    pub(crate) fn in_flight(&self) -> &Arc<Semaphore> {
        &self.0.in_flight
    }

    /// Places for streams, which may last as long as their readers.
    pub(crate) fn streams(&self) -> &Arc<Semaphore> {
        &self.0.streams
    }

    pub(crate) fn idempotency(&self) -> &Idempotency {
        &self.0.idempotency
    }
}

/// An error and its sources, for one line of a log or a terminal.
#[must_use]
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
