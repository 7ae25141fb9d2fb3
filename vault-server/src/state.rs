//! What the server holds: the locked vault, the open one while it is open, and what waits.
//!
//! Knows nothing of requests. Opening is tried one at a time, and later after each wrong secret.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;
use vault_core::clock::{Clock, SystemClock};
use vault_core::entropy::OsEntropy;
use vault_core::id::{CallId, VaultId};
use vault_core::vault::{Call, LockedVault, Principal, UnlockError, UnlockSecret, Vault};
use zeroize::Zeroizing;

use crate::alarm;
use crate::backoff::Backoff;
use crate::backups::{BackupFigures, Backups, ledger, look};
use crate::code::Code;
use crate::codes::CodeSink;
use crate::config::{BackupConfig, ServerConfig};
use crate::connection::ConnectionFigures;
use crate::cors::Origins;
use crate::idempotency::Idempotency;
use crate::keyholder::{Keyholders, PREFIX};
use crate::metrics::{self, Metrics};
use crate::places::Places;
use crate::policy_file::{PolicyFile, PolicyReloads};
use crate::problem::Problem;
use crate::rate::{Limit, Limits, Rates};
use crate::recipients::{Recipients, Standing};
use crate::systemd;
use crate::webhook::Webhook;

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
    /// Most uploads and downloads of blobs at a time, beside the calls in flight.
    pub transfers_max: usize,
    /// How much one caller may ask, and how long a call waits for a place.
    pub limits: Limits,
    /// How often the sweeper runs while the server does; `None` never.
    pub sweep_every: Option<Duration>,
    /// Whose pages may call from a browser.
    pub cors: Origins,
    /// Which recipients are told of a person's rights, and how.
    pub recipients: Recipients,
    /// Where alarms are told.
    pub alarm: Option<Webhook>,
    /// Who sends verification codes.
    pub codes: Option<Arc<dyn CodeSink>>,
    /// What people reach the server under, before a path: without it nobody is given a link.
    pub public_url: Option<String>,
    /// The policy file that is put in force by itself.
    pub policy_file: Option<PolicyFile>,
    /// Backups that are made by themselves, and where those go that are asked for.
    pub backup: BackupConfig,
}

impl From<&ServerConfig> for AppSettings {
    fn from(config: &ServerConfig) -> Self {
        Self {
            clock: Arc::new(SystemClock),
            body_bytes_max: config.body_bytes_max,
            in_flight_max: config.in_flight_max,
            transfers_max: config.transfers_max,
            limits: config.limits.clone(),
            sweep_every: Some(Duration::from_secs(60)),
            cors: config.cors.clone(),
            recipients: Recipients::default(),
            alarm: None,
            codes: None,
            public_url: config.public_url.clone(),
            policy_file: None,
            backup: config.backup.clone(),
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
    transfers: Arc<Semaphore>,
    places: Places,
    rates: Rates,
    metrics: Metrics,
    streams: Arc<Semaphore>,
    idempotency: Idempotency,
    keyholders: Keyholders<Vault>,
    connections: ConnectionFigures,
    policy_reloads: PolicyReloads,
    backups: Backups,
    telling: Standing,
    /// Held while the vault is closed or opened: files that are still being written are opened by nobody.
    closing: Mutex<()>,
    stopping: AtomicBool,
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
        if let Some(vault) = &vault {
            alarm::listen(vault, settings.alarm.as_ref());
        }
        Self(Arc::new(Inner {
            door,
            vault: RwLock::new(vault),
            backoff: Mutex::default(),
            transfers: Arc::new(Semaphore::new(settings.transfers_max)),
            places: Places::new(settings.in_flight_max, &settings.limits),
            rates: Rates::new(&settings.limits, &settings.clock),
            metrics: Metrics::new(settings.clock.now()),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            idempotency: Idempotency::default(),
            keyholders: Keyholders::default(),
            connections: ConnectionFigures::default(),
            policy_reloads: PolicyReloads::default(),
            backups: Backups::new(settings.backup.clone()),
            telling: Standing::default(),
            closing: Mutex::new(()),
            stopping: AtomicBool::new(false),
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

    /// Closes the vault and forgets every key, session, remembered answer and code that waits to be sent. Calls under way
    /// are refused as locked by the vault itself. Where a copy of the erasure ledger lacks something it is made first,
    /// for five seconds at most. Blocks on the disk.
    pub fn lock(&self) {
        let _closing = self.0.closing.lock();
        let vault = self.0.vault.write().take();
        self.0.idempotency.forget_all();
        self.0.keyholders.end_all();
        self.0.rates.forget_callers();
        if let Some(vault) = vault {
            look::part(self, &vault);
            vault.close();
        }
        self.0.backups.forget();
        // The addresses in there are people's.
        if let Some(codes) = &self.0.settings.codes {
            codes.forget();
        }
        if !self.stopping() {
            systemd::state(false);
        }
    }

    /// Opens the vault. Takes about a second of Argon2id; blocks.
    ///
    /// # Errors
    ///
    /// 409 if it is open; 429 while another attempt runs, or too soon after a wrong secret; 401 for
    /// a wrong secret; 503 or 500 where the files do not open.
    pub(crate) fn unlock(&self, secret: &UnlockSecret) -> Result<(), Problem> {
        let mut backoff = self.attempt()?;
        let _closing = self.0.closing.lock();
        if self.vault().is_some() {
            return Err(Problem::with_detail(
                Code::Conflict,
                "the vault is open already; `POST /v1/lock` closes it",
            ));
        }
        match self.0.door.unlock(secret) {
            Ok(vault) => {
                alarm::listen(&vault, self.0.settings.alarm.as_ref());
                *self.0.vault.write() = Some(vault);
                self.reload_policy();
                backoff.succeeded();
                systemd::state(true);
                Ok(())
            }
            Err(UnlockError::NoSlotMatches) => Err(self.wrong_secret(&mut backoff)),
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

    /// A bearer for whoever proves an unlock secret, and until when it is good. Takes about a second
    /// of Argon2id; blocks.
    ///
    /// # Errors
    ///
    /// 429 while another attempt runs, or too soon after a wrong secret; 503 while the vault is
    /// locked; 401 for a wrong secret.
    pub(crate) fn keyholder(
        &self,
        secret: &UnlockSecret,
        id: CallId,
    ) -> Result<(Zeroizing<String>, Timestamp), Problem> {
        let mut backoff = self.attempt()?;
        let vault = self.vault().ok_or(Problem::new(Code::Locked))?;
        let principal = vault.keyholder();
        let call = Call {
            principal: &principal,
            purpose: None,
            restricted_use: None,
            id,
        };
        if vault.test_slot(&call, secret)?.is_none() {
            return Err(self.wrong_secret(&mut backoff));
        }
        backoff.succeeded();
        tracing::info!(target: "vault_server::unlock", request_id = %id, "an unlock secret was proved: its bearer is good for ten minutes");
        let now = self.0.settings.clock.now();
        Ok(self.0.keyholders.issue(&vault, now, &mut OsEntropy))
    }

    /// The right to try a secret now; nobody else has it until this is dropped.
    fn attempt(&self) -> Result<parking_lot::MutexGuard<'_, Backoff>, Problem> {
        let Some(backoff) = self.0.backoff.try_lock() else {
            return Err(Problem::rate_limited(Limit::Unlock, 1));
        };
        match backoff.wait_seconds(self.0.settings.clock.now()) {
            Some(seconds) => Err(Problem::rate_limited(Limit::Unlock, seconds)),
            None => Ok(backoff),
        }
    }

    fn wrong_secret(&self, backoff: &mut Backoff) -> Problem {
        backoff.failed(self.0.settings.clock.now());
        tracing::warn!(target: "vault_server::unlock", "a wrong unlock secret was refused");
        Problem::with_detail(Code::Unauthenticated, "no key slot opens with this secret")
    }

    /// Whom a bearer stands for. A keyholder's is good through the admin socket alone.
    ///
    /// # Errors
    ///
    /// 401, and what the vault says.
    pub(crate) fn principal(
        &self,
        vault: &Arc<Vault>,
        bearer: &str,
        through_socket: bool,
    ) -> Result<Principal, Problem> {
        if bearer.starts_with(PREFIX) {
            let now = self.0.settings.clock.now();
            let good = through_socket && self.0.keyholders.holds(bearer, vault, now);
            return good
                .then(|| vault.keyholder())
                .ok_or(Problem::new(Code::Unauthenticated));
        }
        Ok(vault.authenticate(bearer)?)
    }

    pub(crate) fn keyholders(&self) -> &Keyholders<Vault> {
        &self.0.keyholders
    }

    /// What has happened to connections.
    #[must_use]
    pub fn connections(&self) -> &ConnectionFigures {
        &self.0.connections
    }

    /// From now on the server says that it is not ready.
    pub(crate) fn stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }

    pub(crate) fn stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Acquire)
    }

    /// Puts the policy file in force, if there is one and the vault is open. What came of it is in the log.
    /// Blocks on the disk.
    pub(crate) fn reload_policy(&self) {
        if let (Some(file), Some(vault)) = (&self.0.settings.policy_file, self.vault()) {
            file.reload(&vault, &self.0.policy_reloads);
        }
    }

    pub(crate) fn policy_reloads(&self) -> &PolicyReloads {
        &self.0.policy_reloads
    }

    /// How notices to recipients stood at the last look.
    pub(crate) fn telling(&self) -> &Standing {
        &self.0.telling
    }

    pub(crate) fn backups(&self) -> &Backups {
        &self.0.backups
    }

    /// How backups stand; `None` where the configuration says nothing of them.
    pub(crate) fn backup_figures(&self, vault: &Vault) -> Option<BackupFigures> {
        let clock = &self.0.settings.clock;
        let entries = vault.ledger_entries();
        self.0
            .backups
            .figures(clock.now(), clock.running(), entries)
    }

    /// Makes a backup if one is due by the configuration, and copies of the erasure ledger that are: what a running
    /// server does each second. Blocks until they are made.
    pub fn look_after_backups(&self) {
        look::schedule(self);
        ledger::look(self);
    }

    pub(crate) fn vault_id(&self) -> VaultId {
        self.0.door.vault_id()
    }

    pub(crate) fn settings(&self) -> &AppSettings {
        &self.0.settings
    }

    pub(crate) fn places(&self) -> &Places {
        &self.0.places
    }

    pub(crate) fn rates(&self) -> &Rates {
        &self.0.rates
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// What a scraper of metrics is shown now, in the Prometheus text form. Reads sizes of files.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        metrics::text(self)
    }

    pub(crate) fn transfers(&self) -> &Arc<Semaphore> {
        &self.0.transfers
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
