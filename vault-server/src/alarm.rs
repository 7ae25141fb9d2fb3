//! Alarms: what the vault noticed, told to the one address of the configuration.
//!
//! A message holds what happened, when, by which API key and role, and the call's id, by which the log
//! has it; no value and no id of a person. Whoever goes on and on is told of once a minute an API key and kind,
//! and counted in the metrics and the log each time.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;
use vault_core::clock::SystemClock;
use vault_core::entropy::OsEntropy;
use vault_core::id::{RequestId, TokenId};
use vault_core::refusal::Refusal;
use vault_core::vault::{Alarms, EmergencyAlarm, HoneyAlarm, PickupAlarm, RequestAlarm, Vault};
use zeroize::Zeroizing;

use crate::config::ServerConfig;
use crate::webhook::{Address, AddressError, Secret, SecretError, Target, Webhook};
use crate::{codes, recipients};

/// The kind of message for a person who does not exist.
const HONEY: &str = "vault.honey.accessed";

/// The kind of message for a step of emergency access.
fn kind(action: &str) -> &'static str {
    match action {
        "breakglass.approved" => "vault.breakglass.approved",
        "breakglass.refused" => "vault.breakglass.refused",
        "breakglass.used" => "vault.breakglass.used",
        "breakglass.ended" => "vault.breakglass.ended",
        _ => "vault.breakglass.requested",
    }
}

/// The kind of message for a request that is to be answered soon.
const REQUEST: &str = "vault.request.due";
/// The kind of message for a link that was tried again after it had been opened.
const PICKUP: &str = "vault.pickup.again";
/// How often one API key is told of.
const QUIET: SignedDuration = SignedDuration::from_mins(1);
/// Longest file of certificates, in bytes.
const CA_BYTES_MAX: u64 = 1 << 20;
/// Longest file of a secret, in bytes.
const SECRET_BYTES_MAX: u64 = 1_024;
/// DNS, where an answer is too long for UDP.
const DNS: u16 = 53;

/// Why alarms cannot be told as the configuration says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlarmError {
    /// The URL is none.
    #[error("`alarm.webhook`: {0}")]
    Address(#[from] AddressError),
    /// `alarm.ca` holds no root.
    #[error("`{0}`, {1}, holds no PEM certificate that can be used as a root")]
    Ca(&'static str, PathBuf),
    /// Others may read the secret.
    #[error("`{key}`, {path}, can be read by others (mode {mode:o}); chmod 600 it")]
    Mode {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file could not be read.
    #[error("could not read {path} (`{key}`)")]
    Read {
        /// The key that names it.
        key: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The secret is none.
    #[error("`{key}`, {path}: {source}")]
    Secret {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: SecretError,
    },
}

fn read(key: &'static str, path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, AlarmError> {
    use io::Read as _;
    let failed = |source| AlarmError::Read {
        key,
        path: path.to_owned(),
        source,
    };
    let mut bytes = Zeroizing::new(Vec::new());
    let file = std::fs::File::open(path).map_err(failed)?;
    let read = file
        .take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    match u64::try_from(read).is_ok_and(|read| read <= most) {
        true => Ok(bytes),
        false => Err(failed(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("more than {most} bytes"),
        ))),
    }
}

/// A file that its owner alone may read; a credential of systemd is as systemd hands it out.
pub(crate) fn private(
    key: &'static str,
    path: &Path,
    credentials: Option<&Path>,
) -> Result<Zeroizing<Vec<u8>>, AlarmError> {
    let bytes = read(key, path, SECRET_BYTES_MAX)?;
    let mode = std::fs::metadata(path).map_or(0, |file| file.mode() & 0o777);
    let handed = credentials.is_some_and(|dir| path.starts_with(dir));
    match mode & 0o077 != 0 && !handed {
        false => Ok(bytes),
        true => Err(AlarmError::Mode {
            key,
            path: path.to_owned(),
            mode,
        }),
    }
}

/// The secret in such a file.
pub(crate) fn secret(
    key: &'static str,
    path: &Path,
    credentials: Option<&Path>,
) -> Result<Secret, AlarmError> {
    let bytes = private(key, path, credentials)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::Form);
    text.and_then(Secret::parse)
        .map_err(|source| AlarmError::Secret {
            key,
            path: path.to_owned(),
            source,
        })
}

/// The certificates of a file, each of which can be a root; at least one.
pub(crate) fn certificates(
    key: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, AlarmError> {
    let bytes = read(key, path, CA_BYTES_MAX)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let all = all.unwrap_or_default();
    let mut roots = RootCertStore::empty();
    let added = all.iter().try_for_each(|one| roots.add(one.clone()));
    match added.is_ok() && !all.is_empty() {
        true => Ok(all),
        false => Err(AlarmError::Ca(key, path.to_owned())),
    }
}

/// The roots of a file; the public ones without one.
pub(crate) fn roots(key: &'static str, path: Option<&Path>) -> Result<RootCertStore, AlarmError> {
    let Some(path) = path else {
        return Ok(Target::public_roots());
    };
    let mut roots = RootCertStore::empty();
    for one in certificates(key, path)? {
        let added = roots.add(one);
        added.map_err(|_| AlarmError::Ca(key, path.to_owned()))?;
    }
    Ok(roots)
}

/// The webhook of the configuration, if it names one. Reads its files.
///
/// # Errors
///
/// See [`AlarmError`].
pub(crate) fn webhook(config: &ServerConfig) -> Result<Option<Webhook>, AlarmError> {
    let (Some(url), Some(file)) = (&config.alarm_webhook, &config.alarm_secret) else {
        return Ok(None);
    };
    let address = Address::parse(url, config.alarm_private)?;
    let credentials = config.credentials.as_deref();
    let secret = secret("alarm.secret_file", file, credentials)?;
    let roots = roots("alarm.ca", config.alarm_ca.as_deref())?;
    let target = Target::new(address, secret, roots);
    let (clock, entropy) = (Arc::new(SystemClock), Box::new(OsEntropy));
    Ok(Some(Webhook::new(target, clock, entropy)))
}

/// The ports that are connected to: of the webhook, of recipients, of whoever takes codes and, for their names, of
/// DNS; of a collector of traces; and `further` ones.
pub(crate) fn ports(config: &ServerConfig, further: Vec<u16>) -> Vec<u16> {
    let webhook = config.alarm_webhook.as_deref();
    let webhook = webhook.and_then(|url| Address::parse(url, false).ok());
    let traces = config.otel_endpoint.as_deref();
    let traces = traces.map(|url| {
        let authority = url.trim_start_matches("http://").split('/').next();
        let port = authority.and_then(|authority| authority.rsplit_once(':'));
        port.and_then(|(_, port)| port.parse().ok()).unwrap_or(80)
    });
    let own = webhook
        .map(|address| address.port())
        .into_iter()
        .chain(traces)
        .chain(recipients::ports(&config.recipients))
        .chain(codes::ports(&config.verification))
        .chain(further);
    let mut ports: Vec<u16> = own.collect();
    if !ports.is_empty() {
        ports.push(DNS);
    }
    ports
}

/// Has the vault tell of what it notices.
pub(crate) fn listen(vault: &Vault, webhook: Option<&Webhook>) {
    vault.on_alarm(Arc::new(Teller {
        webhook: webhook.cloned(),
        told: Mutex::default(),
    }));
}

struct Teller {
    webhook: Option<Webhook>,
    /// When each API key was last told of, by the kind of message: whoever is noisy about one thing is still
    /// told of for another. As many as there are kinds and keys at most.
    told: Mutex<HashMap<(&'static str, Option<TokenId>), Timestamp>>,
}

impl Teller {
    /// Whether an API key has not been told of for a while in a message of this kind.
    fn anew(&self, kind: &'static str, token: Option<TokenId>, now: Timestamp) -> bool {
        let mut told = self.told.lock();
        told.retain(|_, at| {
            let since = now.duration_since(*at);
            !since.is_negative() && since < QUIET
        });
        let anew = !told.contains_key(&(kind, token));
        if anew {
            told.insert((kind, token), now);
        }
        anew
    }
}

impl Alarms for Teller {
    fn honey(&self, alarm: &HoneyAlarm) {
        let token = alarm.token.map(|token| token.to_string());
        let request = alarm.request.to_string();
        tracing::error!(
            target: "vault_server::alarm",
            person = %alarm.person, action = alarm.action, outcome = alarm.outcome,
            role = %alarm.role, token = token.as_deref().unwrap_or("keyholder"), request = %request,
            "somebody met a person who does not exist"
        );
        let Some(webhook) = self.webhook.as_ref() else {
            return;
        };
        if self.anew(HONEY, alarm.token, alarm.time) {
            let data = json!({
                "person": alarm.person,
                "action": alarm.action,
                "outcome": alarm.outcome,
                "purpose": alarm.purpose,
                "role": alarm.role,
                "token": token,
                "request": request,
            });
            webhook.send(HONEY, alarm.time, &data);
        }
    }

    fn emergency(&self, alarm: &EmergencyAlarm) {
        let token = alarm.token.map(|token| token.to_string());
        let emergency = alarm.emergency.map(|emergency| emergency.to_string());
        let request = alarm.request.to_string();
        tracing::error!(
            target: "vault_server::alarm",
            action = alarm.action, outcome = alarm.outcome,
            emergency = emergency.as_deref().unwrap_or("none"), role = %alarm.role,
            token = token.as_deref().unwrap_or("keyholder"), request = %request,
            "a step of emergency access"
        );
        let Some(webhook) = self.webhook.as_ref() else {
            return;
        };
        // Every step that was taken is told; of what was refused, each key once a minute a kind of step.
        let kind = kind(alarm.action);
        if alarm.outcome == "ok" || self.anew(kind, alarm.token, alarm.time) {
            let data = json!({
                "emergency": emergency,
                "action": alarm.action,
                "outcome": alarm.outcome,
                "role": alarm.role,
                "token": token,
                "request": request,
            });
            webhook.send(kind, alarm.time, &data);
        }
    }

    fn request(&self, alarm: &RequestAlarm) {
        let request = alarm.request.to_string();
        tracing::warn!(
            target: "vault_server::alarm",
            request = %request, kind = alarm.kind.name(), state = alarm.state.name(),
            due = %alarm.due_on, days_left = alarm.days_left,
            "a request of a person is to be answered"
        );
        let Some(webhook) = self.webhook.as_ref() else {
            return;
        };
        let data = json!({
            "request": request,
            "type": alarm.kind.name(),
            "state": alarm.state.name(),
            "due": alarm.due_on.to_string(),
            "days_left": alarm.days_left,
        });
        webhook.send(REQUEST, alarm.time, &data);
    }

    fn pickup(&self, alarm: &PickupAlarm) {
        let request = alarm.request.to_string();
        let incident = alarm.incident.map(|incident| incident.to_string());
        tracing::error!(
            target: "vault_server::alarm",
            request = %request, incident = incident.as_deref().unwrap_or("none"),
            "a link to pick a copy up was used a second time: somebody else may have the first"
        );
        let Some(webhook) = self.webhook.as_ref() else {
            return;
        };
        let data = json!({"request": request, "incident": incident});
        webhook.send(PICKUP, alarm.time, &data);
    }

    fn unwatched_request(&self, request: RequestId, refusal: &Refusal) {
        tracing::error!(
            target: "vault_server::alarm",
            request = %request, error = %refusal,
            "a request of a person cannot be watched: look at it with `vault-cli request show`"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_key_is_told_of_once_a_minute_and_another_at_once() {
        let teller = Teller {
            webhook: None,
            told: Mutex::default(),
        };
        let at = |second| Timestamp::from_second(second).expect("in range");
        let key = |byte| Some(TokenId::from_bytes([byte; 16]));
        assert!(teller.anew(HONEY, key(1), at(100)));
        assert!(!teller.anew(HONEY, key(1), at(159)));
        assert!(teller.anew(HONEY, key(2), at(159)));
        assert!(teller.anew(HONEY, None, at(159)));
        assert!(teller.anew(HONEY, key(1), at(160)));
        // A clock that was set back silences nobody.
        assert!(teller.anew(HONEY, key(1), at(10)));
    }

    /// Failure: an emergency that nobody hears of because the same key met somebody who does not exist.
    #[test]
    fn a_message_of_one_kind_silences_none_of_another() {
        let teller = Teller {
            webhook: None,
            told: Mutex::default(),
        };
        let at = Timestamp::from_second(100).expect("in range");
        let key = Some(TokenId::from_bytes([1; 16]));
        let kinds = [HONEY, kind("breakglass.requested"), kind("breakglass.used")];
        for kind in kinds {
            assert!(teller.anew(kind, key, at), "{kind}");
        }
        for kind in kinds {
            assert!(!teller.anew(kind, key, at), "{kind}");
        }
    }

    #[test]
    fn ports_are_those_of_the_configuration_and_none_without() {
        let config = |text: &str| ServerConfig::parse(text, []).expect("fits");
        let of = |text: &str| ports(&config(text), Vec::new());
        assert!(of("").is_empty());
        assert_eq!(ports(&config(""), vec![9000]), [9000, DNS]);
        let alarm = |url| format!("[alarm]\nwebhook = \"{url}\"\nsecret_file = \"s\"");
        assert_eq!(of(&alarm("https://hooks.example.test/x")), [443, DNS]);
        assert_eq!(of(&alarm("http://localhost:9000/x")), [9000, DNS]);
        let told = "[recipients]\nallow = [\"a.example.test\", \"b.example.test:8443\", \"c.example.test\"]\nsecret_dir = \"s\"";
        assert_eq!(of(told), [443, 8443, DNS]);
        let codes = "[verification]\nwebhook = \"https://hooks.example.test:8444/\"\nsecret_file = \"s\"\nsmtp.host = \"mail.example.test\"\nsmtp.from = \"a@example.test\"";
        assert_eq!(of(codes), [8444, 465, DNS]);
    }

    #[test]
    fn a_secret_that_others_may_read_or_that_is_none_is_refused_and_not_shown() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("secret");
        let write = |text: &str, mode| {
            std::fs::write(&path, text).expect("writes");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("sets");
        };
        let good = format!("whsec_{}\n", data_encoding::BASE64.encode(&[7; 32]));
        write(&good, 0o600);
        assert!(secret("k", &path, None).is_ok());
        write(&good, 0o640);
        assert!(matches!(
            secret("k", &path, None),
            Err(AlarmError::Mode { mode: 0o640, .. })
        ));
        assert!(
            secret("k", &path, Some(dir.path())).is_ok(),
            "as systemd hands it out"
        );
        write("whsec_canary", 0o600);
        let refused = secret("k", &path, None).expect_err("none");
        assert!(!refused.to_string().contains("canary"));
        write(&"x".repeat(5_000), 0o600);
        assert!(matches!(
            secret("k", &path, None),
            Err(AlarmError::Read { .. })
        ));
        assert!(matches!(roots("k", Some(&path)), Err(AlarmError::Ca(..))));
    }
}
