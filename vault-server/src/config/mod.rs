//! `vault.toml` and the environment: what the server runs with.
//!
//! Knows nothing of policy, which lies sealed in the vault. A key that is not known is an error:
//! a mistyped limit must not silently be no limit. Secrets have no key here, only where they come
//! from.

mod backup;
mod keys;
mod limits;
mod recipients;
#[cfg(test)]
mod tests;
mod verification;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use backup::{BackupConfig, BackupPlace};
pub use limits::ConnectionLimits;
pub use recipients::{Allowed, RecipientConfig};
pub use verification::{SmtpConfig, SmtpTls, VerificationConfig};

use vault_core::limits::CACHE_BYTES_DEFAULT;
use vault_core::vault::AuditDurability;

use crate::cors::Origins;
use crate::nearest::{nearest, slips};
use crate::places;
use crate::rate::Limits;
use keys::KEYS;

/// Threads that block beside calls: the sweeper's, and two for backups and the ledger.
const BESIDE: usize = 3;

/// Form of the log on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Where the secret comes from that opens the vault at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnlockSource {
    /// A credential of this name that systemd hands to the service.
    Credential(String),
    /// A file with a passphrase, for its owner alone.
    File(PathBuf),
    /// A key file, for its owner alone.
    KeyFile(PathBuf),
    /// A credential of this name that is a key file.
    KeyFileCredential(String),
    /// Nowhere: the server starts locked and waits for `POST /v1/unlock`.
    Wait,
}

/// How much the sandbox must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxMode {
    /// What the kernel has; the log says what that is.
    BestEffort,
    /// Nothing.
    Off,
    /// All of it, or the server does not start.
    Require,
}

impl SandboxMode {
    /// The name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BestEffort => "best_effort",
            Self::Off => "off",
            Self::Require => "require",
        }
    }

    fn named(name: &str) -> Option<Self> {
        let all = [Self::BestEffort, Self::Off, Self::Require];
        all.into_iter().find(|mode| mode.name() == name)
    }
}

/// The files of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those between it and a root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who signs the certificates of clients; then a client without one is refused.
    pub client_ca: Option<PathBuf>,
}

/// The effective configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where to listen: without TLS a loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The vault's directory.
    pub vault_dir: PathBuf,
    /// The anchor's directory; `None` is `DIR-anchor` beside the vault's.
    pub vault_anchor: Option<PathBuf>,
    /// The policy file that is put in force at the start and at SIGHUP, if one is to be.
    pub policy_file: Option<PathBuf>,
    /// Form of the log.
    pub log_format: LogFormat,
    /// Least severity that is logged.
    pub log_level: tracing::Level,
    /// Longest body of a call, in bytes.
    pub body_bytes_max: usize,
    /// Most calls that run in the vault at a time.
    pub in_flight_max: usize,
    /// Most uploads and downloads of blobs at a time.
    pub transfers_max: usize,
    /// Most bytes of the database in memory.
    pub cache_bytes: u64,
    /// Where the secret comes from at the start; `None` is the credential `passphrase` where systemd
    /// gives one, else nowhere.
    pub unlock: Option<UnlockSource>,
    /// How much the sandbox must hold.
    pub sandbox: SandboxMode,
    /// PEM file of the certificate.
    pub tls_cert: Option<PathBuf>,
    /// PEM file of the private key.
    pub tls_key: Option<PathBuf>,
    /// PEM file of the roots of clients' certificates.
    pub tls_client_ca: Option<PathBuf>,
    /// Whether the directory gets a socket for whoever owns it.
    pub admin_socket: bool,
    /// Where metrics are served, if they are: a loopback or private address.
    pub metrics_listen: Option<SocketAddr>,
    /// How much one caller may ask, and how long a call waits for a place.
    pub limits: Limits,
    /// Whose pages may call from a browser.
    pub cors: Origins,
    /// When the entry of a read has to be durable.
    pub audit_durability: AuditDurability,
    /// Where traces go, `http://HOST:PORT` of an OTLP collector; with the feature `otel` alone.
    pub otel_endpoint: Option<String>,
    /// Which recipients are told of a person's rights.
    pub recipients: RecipientConfig,
    /// Where alarms are told, an `https` URL.
    pub alarm_webhook: Option<String>,
    /// The file with the secret that signs them.
    pub alarm_secret: Option<PathBuf>,
    /// PEM file of the roots that vouch for the receiver, instead of the public ones.
    pub alarm_ca: Option<PathBuf>,
    /// Whether the receiver is in a private network.
    pub alarm_private: bool,
    /// How verification codes are sent.
    pub verification: VerificationConfig,
    /// What people reach the server under: an origin, before the paths of links that they are given.
    pub public_url: Option<String>,
    /// Backups.
    pub backup: BackupConfig,
    /// Limits of connections.
    pub connections: ConnectionLimits,
    /// The directory of credentials (`CREDENTIALS_DIRECTORY`), which systemd names; no key.
    pub credentials: Option<PathBuf>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8787)),
            vault_dir: PathBuf::from("vault"),
            vault_anchor: None,
            policy_file: None,
            log_format: LogFormat::Text,
            log_level: tracing::Level::INFO,
            body_bytes_max: 1 << 20,
            in_flight_max: 256,
            transfers_max: 64,
            cache_bytes: CACHE_BYTES_DEFAULT as u64,
            unlock: None,
            sandbox: SandboxMode::BestEffort,
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            admin_socket: true,
            metrics_listen: None,
            limits: Limits::default(),
            cors: Origins::default(),
            audit_durability: AuditDurability::default(),
            otel_endpoint: None,
            recipients: RecipientConfig::default(),
            alarm_webhook: None,
            alarm_secret: None,
            alarm_ca: None,
            alarm_private: false,
            verification: VerificationConfig::default(),
            public_url: None,
            backup: BackupConfig::default(),
            connections: ConnectionLimits::default(),
            credentials: None,
        }
    }
}

/// Why a configuration is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("could not read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key that another one needs is missing.
    #[error("`{key}` needs `{needs}` too")]
    Alone {
        /// The key that is set.
        key: &'static str,
        /// The key that is missing.
        needs: &'static str,
    },
    /// A key that this program was built without.
    #[error("`{key}` needs a server built with `--features {feature}`")]
    Feature {
        /// The key, as written in file or environment.
        key: String,
        /// The feature.
        feature: &'static str,
    },
    /// The file is no TOML.
    #[error("the configuration is no TOML: {0}")]
    Syntax(String),
    /// A key that the server does not know.
    #[error("unknown key `{key}`{}", hint(.near.as_deref()))]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The known key that was perhaps meant.
        near: Option<String>,
    },
    /// A value that does not fit its key.
    #[error("`{key}` must be {expected}")]
    Value {
        /// The key, as written in file or environment.
        key: String,
        /// What fits.
        expected: String,
    },
}

fn hint(near: Option<&str>) -> String {
    near.map_or_else(
        || {
            let names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
            format!("; known: {}", names.join(", "))
        },
        |near| format!("; did you mean `{near}`?"),
    )
}

impl ServerConfig {
    /// Reads the file, if one is named, and lets the environment override it.
    ///
    /// # Errors
    ///
    /// See [`ConfigError`].
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let text = match file {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
                path: path.to_owned(),
                source,
            })?,
        };
        Self::parse(&text, environment)
    }

    /// Reads a configuration from text, and lets the environment override it.
    ///
    /// An unknown `VAULT_…` variable one slip away from a known one is an error. Others belong to
    /// other programs and are left alone.
    ///
    /// # Errors
    ///
    /// See [`ConfigError`].
    pub fn parse(
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| ConfigError::Syntax(error.message().to_owned()))?;
        let mut written = BTreeMap::new();
        flatten("", &table, &mut written);
        let mut config = Self::default();
        for (key, value) in written {
            let Some(known) = KEYS.iter().find(|known| known.name == key) else {
                let near = nearest(&key, KEYS.iter().map(|known| known.name)).map(str::to_owned);
                return Err(ConfigError::UnknownKey { key, near });
            };
            config.set(known, key, &value)?;
        }
        for (name, value) in environment {
            if let Some(key) = KEYS.iter().find(|key| key.variable == name) {
                config.set(key, name, &value)?;
            } else if name == "CREDENTIALS_DIRECTORY" {
                config.credentials = (!value.is_empty()).then(|| PathBuf::from(value));
            } else if name.starts_with("VAULT_")
                && let Some(near) = KEYS.iter().find(|key| slips(key.variable, &name) == 1)
            {
                return Err(ConfigError::UnknownKey {
                    key: name,
                    near: Some(near.variable.to_owned()),
                });
            }
        }
        config.complete()
    }

    /// What no single key can see.
    fn complete(self) -> Result<Self, ConfigError> {
        let alone = |key, needs| Err(ConfigError::Alone { key, needs });
        match (&self.alarm_webhook, &self.alarm_secret, &self.alarm_ca) {
            (Some(_), None, _) => return alone("alarm.webhook", "alarm.secret_file"),
            (None, Some(_), _) => return alone("alarm.secret_file", "alarm.webhook"),
            (None, None, Some(_)) => return alone("alarm.ca", "alarm.webhook"),
            (None, None, None) if self.alarm_private => {
                return alone("alarm.private", "alarm.webhook");
            }
            _ => {}
        }
        let lacks = self.backup.alone().or(self.recipients.alone());
        if let Some((key, needs)) = lacks.or(self.verification.alone()) {
            return alone(key, needs);
        }
        self.verification.demand_tls()?;
        match (&self.tls_cert, &self.tls_key, &self.tls_client_ca) {
            (Some(_), None, _) => alone("tls.cert", "tls.key"),
            (None, Some(_), _) => alone("tls.key", "tls.cert"),
            (None, None, Some(_)) => alone("tls.client_ca", "tls.cert"),
            _ => Ok(self),
        }
    }

    /// The files of TLS, where it is spoken.
    #[must_use]
    pub fn tls(&self) -> Option<TlsFiles> {
        Some(TlsFiles {
            cert: self.tls_cert.clone()?,
            key: self.tls_key.clone()?,
            client_ca: self.tls_client_ca.clone(),
        })
    }

    /// What the vault is to keep of its database in memory.
    #[must_use]
    pub fn cache_bytes(&self) -> usize {
        usize::try_from(self.cache_bytes).unwrap_or(usize::MAX)
    }

    /// Blocking threads that a runtime needs for every place of a call.
    #[must_use]
    pub fn blocking_threads(&self) -> usize {
        places::threads(self.in_flight_max, &self.limits) + self.transfers_max + BESIDE
    }

    /// The effective configuration as TOML that reads back as the same.
    #[must_use]
    pub fn print(&self) -> String {
        let (mut text, mut within) = (String::new(), "");
        for key in KEYS {
            let Some(value) = key.show(self) else {
                continue;
            };
            let (section, name) = key.name.split_once('.').unwrap_or(("", key.name));
            if section != within {
                let _ = write!(text, "\n[{section}]\n");
                within = section;
            }
            let _ = writeln!(text, "{name} = {value}");
        }
        text
    }

    /// `written` is the key as its writer wrote it, for the error.
    fn set(&mut self, key: &keys::Key, written: String, value: &str) -> Result<(), ConfigError> {
        if key.name == "otel.endpoint" && !cfg!(feature = "otel") {
            let feature = "otel";
            return Err(ConfigError::Feature {
                key: written,
                feature,
            });
        }
        key.read(self, value)
            .map_err(|expected| ConfigError::Value {
                key: written,
                expected,
            })
    }
}

fn flatten(prefix: &str, table: &toml::Table, into: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            toml::Value::Table(table) => flatten(&key, table, into),
            toml::Value::String(text) => drop(into.insert(key, text.clone())),
            other => drop(into.insert(key, other.to_string())),
        }
    }
}
