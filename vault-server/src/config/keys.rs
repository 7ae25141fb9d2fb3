//! Every key of the configuration: its names, what fits it, how it is read and printed.
//!
//! Knows nothing of files. A key that is added here is read, printed, overridden by the environment
//! and named in errors; nothing else lists them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vault_core::vault::AuditDurability;

use super::{
    BackupPlace, LogFormat, SandboxMode, ServerConfig, SmtpTls, UnlockSource, backup, recipients,
    verification,
};
use crate::cors::{self, Origins};
use crate::metrics::private;
use crate::objects;
use crate::webhook::Address;

/// One key.
pub(super) struct Key {
    /// In the file.
    pub(super) name: &'static str,
    /// In the environment.
    pub(super) variable: &'static str,
    pub(super) form: Form,
}

/// How a key's value looks.
pub(super) enum Form {
    /// A text: what fits, how it is read, how it is printed (`None`: not set).
    Text(
        &'static str,
        fn(&mut ServerConfig, &str) -> Option<()>,
        fn(&ServerConfig) -> Option<String>,
    ),
    /// A TOML value that is no text: as [`Form::Text`], printed as it is.
    Value(
        &'static str,
        fn(&mut ServerConfig, &str) -> Option<()>,
        fn(&ServerConfig) -> Option<String>,
    ),
    /// True or false.
    Switch(fn(&mut ServerConfig) -> &mut bool),
    /// A number from `least` to `most` of a unit.
    Number {
        least: u64,
        most: u64,
        unit: &'static str,
        read: fn(&mut ServerConfig, u64),
        show: fn(&ServerConfig) -> u64,
    },
}

/// A number that a field of the type `usize`, `u32` or `u64` holds.
macro_rules! number {
    ($($field:ident).+, $least:expr, $most:expr, $unit:literal) => {
        Form::Number {
            least: $least,
            most: $most,
            unit: $unit,
            read: |config, number| {
                config.$($field).+ = number.try_into().expect("the bounds fit the field");
            },
            show: |config| config.$($field).+ as u64,
        }
    };
}

/// Whole seconds that a field of the type `Duration` holds.
macro_rules! seconds {
    ($($field:ident).+, $least:expr, $most:expr) => {
        Form::Number {
            least: $least,
            most: $most,
            unit: " seconds",
            read: |config, number| config.$($field).+ = Duration::from_secs(number),
            show: |config| config.$($field).+.as_secs(),
        }
    };
}

/// A path that is not empty.
macro_rules! path {
    ($what:literal, optional $field:ident) => {
        Form::Text(
            $what,
            |config, text| {
                config.$field = Some(path(text)?);
                Some(())
            },
            |config| config.$field.as_deref().map(printed),
        )
    };
    ($what:literal, $field:ident) => {
        Form::Text(
            $what,
            |config, text| {
                config.$field = path(text)?;
                Some(())
            },
            |config| Some(printed(&config.$field)),
        )
    };
}

const fn key(name: &'static str, variable: &'static str, form: Form) -> Key {
    Key {
        name,
        variable,
        form,
    }
}

/// In the order in which they are printed: a key without a section before all that have one, and
/// the keys of a section together.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key("listen", "VAULT_LISTEN", Form::Text(
        "an address and a port, such as 127.0.0.1:8787",
        |config, text| { config.listen = text.parse().ok()?; Some(()) },
        |config| Some(config.listen.to_string()),
    )),
    key("store", "VAULT_STORE", Form::Text(
        "redb, the only store there is",
        |_, text| (text == "redb").then_some(()),
        |_| Some("redb".into()),
    )),
    key("unlock", "VAULT_UNLOCK", Form::Text(
        "wait, file:PATH, credential:NAME, keyfile:PATH or keyfile-credential:NAME",
        |config, text| { config.unlock = Some(unlock(text)?); Some(()) },
        |config| config.unlock.as_ref().map(|source| match source {
            UnlockSource::Credential(name) => format!("credential:{name}"),
            UnlockSource::File(path) => format!("file:{}", path.display()),
            UnlockSource::KeyFile(path) => format!("keyfile:{}", path.display()),
            UnlockSource::KeyFileCredential(name) => format!("keyfile-credential:{name}"),
            UnlockSource::Wait => "wait".into(),
        }),
    )),
    key("sandbox", "VAULT_SANDBOX", Form::Text(
        "require, best_effort or off",
        |config, text| { config.sandbox = SandboxMode::named(text)?; Some(()) },
        |config| Some(config.sandbox.name().into()),
    )),
    key("public_url", "VAULT_PUBLIC_URL", Form::Text(
        "an origin such as https://privacy.example.test: https, or http on this machine; no path, no default port",
        |config, text| { config.public_url = Some(cors::is_exact(text).then(|| text.to_owned())?); Some(()) },
        |config| config.public_url.clone(),
    )),
    key("vault.dir", "VAULT_DIR", path!("a directory", vault_dir)),
    key("vault.anchor", "VAULT_ANCHOR", path!("a directory", optional vault_anchor)),
    key("vault.policy", "VAULT_POLICY", path!("a policy file outside of the vault's directories", optional policy_file)),
    key("tls.cert", "VAULT_TLS_CERT", path!("a file of PEM certificates, the server's own first", optional tls_cert)),
    key("tls.key", "VAULT_TLS_KEY", path!("a file with a PEM private key", optional tls_key)),
    key("tls.client_ca", "VAULT_TLS_CLIENT_CA", path!("a file of PEM certificates", optional tls_client_ca)),
    key("admin.socket", "VAULT_ADMIN_SOCKET", Form::Switch(|config| &mut config.admin_socket)),
    key("cors.origins", "VAULT_CORS_ORIGINS", Form::Value(
        cors::EXPECTED,
        |config, text| { config.cors = Origins::parse(text)?; Some(()) },
        |config| Some(config.cors.print()),
    )),
    key("audit.durability", "VAULT_AUDIT_DURABILITY", Form::Text(
        "batched or power-safe",
        |config, text| {
            config.audit_durability = match text {
                "batched" => AuditDurability::Batched,
                "power-safe" => AuditDurability::PowerSafe,
                _ => return None,
            };
            Some(())
        },
        |config| Some(match config.audit_durability {
            AuditDurability::Batched => "batched".into(),
            AuditDurability::PowerSafe => "power-safe".into(),
        }),
    )),
    key("metrics.listen", "VAULT_METRICS_LISTEN", Form::Text(
        "a port at a loopback or private address, such as 127.0.0.1:9464: metrics are served without TLS",
        |config, text| {
            config.metrics_listen = Some(text.parse().ok().filter(|at: &SocketAddr| private(at.ip()))?);
            Some(())
        },
        |config| config.metrics_listen.map(|at| at.to_string()),
    )),
    key("otel.endpoint", "VAULT_OTEL_ENDPOINT", Form::Text(
        "http://HOST:PORT of a collector, without credentials (traces go in clear: one on this machine)",
        |config, text| {
            let authority = text.strip_prefix("http://")?;
            let fits = !authority.is_empty() && !authority.contains(['@', '?', '#', ' ']);
            config.otel_endpoint = Some(fits.then(|| text.to_owned())?);
            Some(())
        },
        |config| config.otel_endpoint.clone(),
    )),
    key("alarm.webhook", "VAULT_ALARM_WEBHOOK", Form::Text(
        "an https:// URL (http:// to this machine alone), without user, password and fragment",
        |config, text| {
            config.alarm_webhook = Some(Address::parse(text, false).ok().map(|_| text.to_owned())?);
            Some(())
        },
        |config| config.alarm_webhook.clone(),
    )),
    key("alarm.secret_file", "VAULT_ALARM_SECRET_FILE", path!("a file with a secret, whsec_…", optional alarm_secret)),
    key("alarm.ca", "VAULT_ALARM_CA", path!("a file of PEM certificates", optional alarm_ca)),
    key("alarm.private", "VAULT_ALARM_PRIVATE", Form::Switch(|config| &mut config.alarm_private)),
    key("verification.webhook", "VAULT_VERIFICATION_WEBHOOK", Form::Text(
        "an https:// URL (http:// to this machine alone), without user, password and fragment",
        |config, text| {
            config.verification.webhook = Some(Address::parse(text, false).ok().map(|_| text.to_owned())?);
            Some(())
        },
        |config| config.verification.webhook.clone(),
    )),
    key("verification.secret_file", "VAULT_VERIFICATION_SECRET_FILE", Form::Text(
        "a file with a secret, whsec_…",
        |config, text| { config.verification.secret_file = Some(path(text)?); Some(()) },
        |config| config.verification.secret_file.as_deref().map(printed),
    )),
    key("verification.ca", "VAULT_VERIFICATION_CA", Form::Text(
        "a file of PEM certificates",
        |config, text| { config.verification.ca = Some(path(text)?); Some(()) },
        |config| config.verification.ca.as_deref().map(printed),
    )),
    key("verification.private", "VAULT_VERIFICATION_PRIVATE", Form::Switch(|config| &mut config.verification.private)),
    key("verification.smtp.host", "VAULT_VERIFICATION_SMTP_HOST", Form::Text(
        verification::HOST,
        |config, text| { config.verification.smtp.host = Some(verification::host(text)?); Some(()) },
        |config| config.verification.smtp.host.clone(),
    )),
    key("verification.smtp.port", "VAULT_VERIFICATION_SMTP_PORT", Form::Value(
        "a port, 1 to 65535",
        |config, text| {
            config.verification.smtp.port = Some(text.parse().ok().filter(|port| *port != 0)?);
            Some(())
        },
        |config| config.verification.smtp.port.map(|port| port.to_string()),
    )),
    key("verification.smtp.tls", "VAULT_VERIFICATION_SMTP_TLS", Form::Text(
        verification::TLS,
        |config, text| { config.verification.smtp.tls = SmtpTls::named(text)?; Some(()) },
        |config| Some(config.verification.smtp.tls.name().into()),
    )),
    key("verification.smtp.from", "VAULT_VERIFICATION_SMTP_FROM", Form::Text(
        verification::FROM,
        |config, text| { config.verification.smtp.from = Some(verification::from(text)?); Some(()) },
        |config| config.verification.smtp.from.clone(),
    )),
    key("verification.smtp.user", "VAULT_VERIFICATION_SMTP_USER", Form::Text(
        verification::USER,
        |config, text| { config.verification.smtp.user = Some(verification::user(text)?); Some(()) },
        |config| config.verification.smtp.user.clone(),
    )),
    key("verification.smtp.password_file", "VAULT_VERIFICATION_SMTP_PASSWORD_FILE", Form::Text(
        "a file with a password, for its owner alone",
        |config, text| { config.verification.smtp.password_file = Some(path(text)?); Some(()) },
        |config| config.verification.smtp.password_file.as_deref().map(printed),
    )),
    key("verification.smtp.ca", "VAULT_VERIFICATION_SMTP_CA", Form::Text(
        "a file of PEM certificates",
        |config, text| { config.verification.smtp.ca = Some(path(text)?); Some(()) },
        |config| config.verification.smtp.ca.as_deref().map(printed),
    )),
    key("recipients.allow", "VAULT_RECIPIENTS_ALLOW", Form::Value(
        recipients::ALLOW,
        |config, text| { config.recipients.allow = recipients::allow(&backup::list(text)?)?; Some(()) },
        |config| backup::print(config.recipients.allow.iter().map(ToString::to_string)),
    )),
    key("recipients.secret_dir", "VAULT_RECIPIENTS_SECRET_DIR", Form::Text(
        "a directory with a file for each recipient, whsec_… in it",
        |config, text| { config.recipients.secret_dir = Some(path(text)?); Some(()) },
        |config| config.recipients.secret_dir.as_deref().map(printed),
    )),
    key("recipients.ca", "VAULT_RECIPIENTS_CA", Form::Text(
        "a file of PEM certificates",
        |config, text| { config.recipients.ca = Some(path(text)?); Some(()) },
        |config| config.recipients.ca.as_deref().map(printed),
    )),
    key("recipients.private", "VAULT_RECIPIENTS_PRIVATE", Form::Switch(|config| &mut config.recipients.private)),
    key("backup.to", "VAULT_BACKUP_TO", Form::Text(
        backup::TARGET,
        |config, text| { config.backup.to = Some(BackupPlace::parse(text)?); Some(()) },
        |config| config.backup.to.as_ref().map(ToString::to_string),
    )),
    key("backup.recipients", "VAULT_BACKUP_RECIPIENTS", Form::Value(
        "a list of at most 32 public keys of age, age1…, each 62 letters",
        |config, text| { config.backup.recipients = backup::recipients(text)?; Some(()) },
        |config| backup::print(config.backup.recipients.iter().cloned()),
    )),
    key("backup.every", "VAULT_BACKUP_EVERY", Form::Text(
        "an ISO 8601 period of a minute or more, such as P1D or PT6H, or none",
        |config, text| { config.backup.every = backup::every(text)?; Some(()) },
        |config| config.backup.every.as_ref().map(ToString::to_string),
    )),
    key("backup.key_expiry", "VAULT_BACKUP_KEY_EXPIRY", Form::Text(
        "an ISO 8601 period of a minute or more, such as P30D",
        |config, text| { config.backup.key_expiry = backup::key_expiry(text)?; Some(()) },
        |config| Some(config.backup.key_expiry.to_string()),
    )),
    key("backup.keep.last", "VAULT_BACKUP_KEEP_LAST", number!(backup.keep.last, 0, 100_000, "")),
    key("backup.keep.daily", "VAULT_BACKUP_KEEP_DAILY", number!(backup.keep.daily, 0, 100_000, "")),
    key("backup.keep.weekly", "VAULT_BACKUP_KEEP_WEEKLY", number!(backup.keep.weekly, 0, 100_000, "")),
    key("backup.keep.monthly", "VAULT_BACKUP_KEEP_MONTHLY", number!(backup.keep.monthly, 0, 100_000, "")),
    key("backup.ledger_to", "VAULT_BACKUP_LEDGER_TO", Form::Value(
        "a list of at most 8 absolute directories or s3://BUCKET/PREFIX",
        |config, text| { config.backup.ledger_to = backup::ledger_to(text)?; Some(()) },
        |config| backup::print(config.backup.ledger_to.iter().map(ToString::to_string)),
    )),
    key("backup.s3.endpoint", "VAULT_BACKUP_S3_ENDPOINT", Form::Text(
        "an https:// URL without a path (http:// to this machine alone)",
        |config, text| {
            objects::endpoint(text)?;
            config.backup.s3.endpoint = Some(text.to_owned());
            Some(())
        },
        |config| config.backup.s3.endpoint.clone(),
    )),
    key("backup.s3.region", "VAULT_BACKUP_S3_REGION", Form::Text(
        "a region, such as eu-central-1",
        |config, text| { config.backup.s3.region = Some(objects::region(text)?); Some(()) },
        |config| config.backup.s3.region.clone(),
    )),
    key("backup.s3.credentials_file", "VAULT_BACKUP_S3_CREDENTIALS_FILE", Form::Text(
        "a file of the form of ~/.aws/credentials, for its owner alone",
        |config, text| { config.backup.s3.credentials_file = Some(path(text)?); Some(()) },
        |config| config.backup.s3.credentials_file.as_deref().map(printed),
    )),
    key("backup.s3.ca", "VAULT_BACKUP_S3_CA", Form::Text(
        "a file of PEM certificates",
        |config, text| { config.backup.s3.ca = Some(path(text)?); Some(()) },
        |config| config.backup.s3.ca.as_deref().map(printed),
    )),
    key("log.format", "VAULT_LOG_FORMAT", Form::Text(
        "json or text",
        |config, text| {
            config.log_format = match text {
                "json" => LogFormat::Json,
                "text" => LogFormat::Text,
                _ => return None,
            };
            Some(())
        },
        |config| Some(match config.log_format {
            LogFormat::Json => "json".into(),
            LogFormat::Text => "text".into(),
        }),
    )),
    key("log.level", "VAULT_LOG_LEVEL", Form::Text(
        "error, warn, info or debug",
        |config, text| {
            config.log_level = match text {
                "error" => tracing::Level::ERROR,
                "warn" => tracing::Level::WARN,
                "info" => tracing::Level::INFO,
                "debug" => tracing::Level::DEBUG,
                _ => return None,
            };
            Some(())
        },
        |config| Some(config.log_level.to_string().to_lowercase()),
    )),
    key("limits.body_bytes", "VAULT_LIMITS_BODY_BYTES", number!(body_bytes_max, 1024, 64 << 20, " bytes")),
    key("limits.in_flight", "VAULT_LIMITS_IN_FLIGHT", number!(in_flight_max, 1, 10_000, "")),
    // Each may hold a thread that blocks and a few megabytes.
    key("limits.transfers", "VAULT_LIMITS_TRANSFERS", number!(transfers_max, 1, 200, "")),
    key("limits.cache_bytes", "VAULT_LIMITS_CACHE_BYTES", number!(cache_bytes, 1 << 20, 64 << 30, " bytes")),
    key("limits.waiting", "VAULT_LIMITS_WAITING", number!(limits.waiting, 1, 10_000, "")),
    key("limits.wait_milliseconds", "VAULT_LIMITS_WAIT_MILLISECONDS", number!(limits.wait_milliseconds, 1, 10_000, " milliseconds")),
    key("limits.reserve", "VAULT_LIMITS_RESERVE", number!(limits.reserve, 1, 100, "")),
    key("limits.calls_per_second", "VAULT_LIMITS_CALLS_PER_SECOND", number!(limits.calls_per_second, 1, 1_000_000, "")),
    key("limits.calls_burst", "VAULT_LIMITS_CALLS_BURST", number!(limits.calls_burst, 1, 1_000_000, "")),
    key("limits.person_calls_per_minute", "VAULT_LIMITS_PERSON_CALLS_PER_MINUTE", number!(limits.person_calls_per_minute, 1, 10_000_000, "")),
    key("limits.lookups_per_minute", "VAULT_LIMITS_LOOKUPS_PER_MINUTE", number!(limits.lookups_per_minute, 1, 10_000_000, "")),
    key("limits.lookups_per_day", "VAULT_LIMITS_LOOKUPS_PER_DAY", number!(limits.lookups_per_day, 1, 1_000_000_000, "")),
    key("limits.unauthenticated_per_minute", "VAULT_LIMITS_UNAUTHENTICATED_PER_MINUTE", number!(limits.unauthenticated_per_minute, 1, 1_000_000, "")),
    key("limits.connections", "VAULT_LIMITS_CONNECTIONS", number!(connections.connections, 1, 100_000, "")),
    key("limits.connections_per_peer", "VAULT_LIMITS_CONNECTIONS_PER_PEER", number!(connections.connections_per_peer, 1, 100_000, "")),
    key("limits.handshake_seconds", "VAULT_LIMITS_HANDSHAKE_SECONDS", seconds!(connections.handshake, 1, 120)),
    key("limits.header_seconds", "VAULT_LIMITS_HEADER_SECONDS", seconds!(connections.header, 1, 120)),
    key("limits.header_bytes", "VAULT_LIMITS_HEADER_BYTES", number!(connections.header_bytes, 1024, 256 << 10, " bytes")),
    key("limits.headers", "VAULT_LIMITS_HEADERS", number!(connections.headers, 8, 1000, "")),
    key("limits.body_idle_seconds", "VAULT_LIMITS_BODY_IDLE_SECONDS", seconds!(connections.body_idle, 1, 600)),
    key("limits.body_seconds", "VAULT_LIMITS_BODY_SECONDS", seconds!(connections.body, 1, 3600)),
    key("limits.body_bytes_per_second", "VAULT_LIMITS_BODY_BYTES_PER_SECOND", number!(connections.body_rate, 256, 1 << 30, " bytes")),
    key("limits.idle_seconds", "VAULT_LIMITS_IDLE_SECONDS", seconds!(connections.idle, 1, 3600)),
    key("limits.write_seconds", "VAULT_LIMITS_WRITE_SECONDS", seconds!(connections.write, 1, 3600)),
    key("limits.streams", "VAULT_LIMITS_STREAMS", number!(connections.streams, 1, 1000, "")),
    key("limits.reset_streams", "VAULT_LIMITS_RESET_STREAMS", number!(connections.reset_streams, 1, 1000, "")),
    key("limits.drain_seconds", "VAULT_LIMITS_DRAIN_SECONDS", seconds!(connections.drain, 0, 60)),
];

impl Key {
    /// Sets the key.
    ///
    /// # Errors
    ///
    /// What would fit.
    pub(super) fn read(&self, config: &mut ServerConfig, text: &str) -> Result<(), String> {
        match &self.form {
            Form::Text(expected, read, _) | Form::Value(expected, read, _) => {
                read(config, text).ok_or((*expected).to_owned())
            }
            Form::Switch(field) => {
                *field(config) = match text {
                    "true" => true,
                    "false" => false,
                    _ => return Err("true or false".to_owned()),
                };
                Ok(())
            }
            Form::Number {
                least,
                most,
                unit,
                read,
                ..
            } => {
                let number = text.parse().ok();
                let number = number.filter(|number| (least..=most).contains(&number));
                let expected = || format!("between {least} and {most}{unit}");
                read(config, number.ok_or_else(expected)?);
                Ok(())
            }
        }
    }

    /// The key's value as TOML; `None` where it is not set.
    pub(super) fn show(&self, config: &ServerConfig) -> Option<String> {
        match &self.form {
            Form::Value(_, _, show) => show(config),
            Form::Text(_, _, show) => Some(toml::Value::String(show(config)?).to_string()),
            Form::Switch(field) => Some(field(&mut config.clone()).to_string()),
            Form::Number { show, .. } => Some(show(config).to_string()),
        }
    }
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

fn printed(path: &Path) -> String {
    path.display().to_string()
}

fn unlock(text: &str) -> Option<UnlockSource> {
    match text.split_once(':') {
        None => (text == "wait").then_some(UnlockSource::Wait),
        Some(("file", file)) => path(file).map(UnlockSource::File),
        Some(("keyfile", file)) => path(file).map(UnlockSource::KeyFile),
        Some(("credential", name)) => credential(name).map(UnlockSource::Credential),
        Some(("keyfile-credential", name)) => credential(name).map(UnlockSource::KeyFileCredential),
        Some(_) => None,
    }
}

/// A credential is a name in one directory and not a way out of it.
fn credential(name: &str) -> Option<String> {
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains('/');
    plain.then(|| name.to_owned())
}
