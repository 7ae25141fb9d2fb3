//! What `doctor` asks the machine: directories, limits, swap, the configuration.
//!
//! Gathers and judges nothing; `vault_core::doctor` does that. Reads names, modes and figures, no file's
//! content but those of `/proc` and of the configuration. What cannot be learned is left out.

mod directories;
mod proc;

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use jiff::Timestamp;
use vault_core::doctor::{ClockFacts, CodeFacts, Configuration, Machine, SlotFact};
use vault_core::vault::{LockedVault, OpenError, VaultPaths};
use vault_server::config::ServerConfig;

pub(crate) use directories::files;

use crate::backend::SOCKET;
use crate::place;

/// The configuration, or why there is none.
pub(crate) struct Configured {
    /// Where it stands, for people.
    pub(crate) place: String,
    /// What it comes to.
    pub(crate) config: Result<ServerConfig, String>,
}

/// Reads `file`, else `DIR/vault.toml`, else the environment alone.
pub(crate) fn configured(dir: &Path, file: Option<&Path>) -> Configured {
    let beside = dir.join("vault.toml");
    let file = file.or_else(|| beside.exists().then_some(beside.as_path()));
    let place = file.map_or_else(
        || "the environment and defaults".to_owned(),
        |path| path.display().to_string(),
    );
    let config = ServerConfig::load(file, place::variables());
    Configured {
        place,
        config: config.map_err(|error| match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        }),
    }
}

impl Configured {
    /// What the checks need of it. Reads the files of TLS.
    pub(crate) fn facts(&self) -> Configuration {
        let mut facts = Configuration {
            place: self.place.clone(),
            ..Configuration::default()
        };
        match &self.config {
            Err(error) => facts.error = Some(error.clone()),
            Ok(config) => {
                facts.tls = config.tls().is_some();
                let beyond = config.metrics_listen.filter(|at| !at.ip().is_loopback());
                facts.metrics_beyond = beyond.map(|at| at.to_string());
                facts.certificate = vault_server::certificate_end(config)
                    .map(|end| end.map_err(|error| error.to_string()));
            }
        }
        facts
    }

    /// Where a server with this configuration sends verification codes.
    pub(crate) fn codes(&self) -> Option<CodeFacts> {
        let verification = &self.config.as_ref().ok()?.verification;
        let phone = verification.webhook.is_some();
        let email = phone || verification.smtp.host.is_some();
        Some(CodeFacts { email, phone })
    }

    /// The anchor's directory, where the configuration names one.
    pub(crate) fn anchor(&self) -> Option<PathBuf> {
        self.config.as_ref().ok()?.vault_anchor.clone()
    }

    /// The policy file, where the configuration names one.
    pub(crate) fn policy(&self) -> Option<PathBuf> {
        self.config.as_ref().ok()?.policy_file.clone()
    }
}

/// The machine, and the limits of the server that holds `dir`, else of this process.
pub(crate) fn machine(dir: &Path, held: bool, configured: &Configured, now: Timestamp) -> Machine {
    let socket = dir.join(SOCKET);
    let server = held.then(|| proc::holder(&socket)).flatten();
    let limits = match server {
        Some(process) => proc::limits(&process.to_string()).map(|limits| limits.of(process)),
        None if held => None,
        None => proc::limits("self").map(proc::Limits::asking),
    };
    let written = std::fs::metadata(dir.join("vault.redb"))
        .and_then(|meta| meta.modified())
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
        .and_then(|since| Timestamp::from_second(i64::try_from(since.as_secs()).ok()?).ok());
    let connections = configured.config.as_ref().ok();
    Machine {
        clock: ClockFacts {
            now,
            written,
            // Made by systemd-timesyncd. Who keeps the time otherwise leaves no file: nothing is known.
            synchronised: Path::new("/run/systemd/timesync/synchronized")
                .exists()
                .then_some(true),
        },
        limits,
        connections: connections.map(|config| config.connections.connections as u64),
        core_pattern: proc::read("/proc/sys/kernel/core_pattern"),
        swaps: proc::swaps(),
    }
}

/// The slots as their file shows them; none where it is damaged, and nothing known where it is not to
/// be read.
pub(crate) fn slots(paths: &VaultPaths) -> Option<Vec<SlotFact>> {
    match LockedVault::slots_seen(paths) {
        Ok(slots) => Some(
            slots
                .into_iter()
                .map(|slot| SlotFact {
                    number: slot.number,
                    kind: slot.kind.name().to_owned(),
                    cost: slot.cost,
                })
                .collect(),
        ),
        Err(OpenError::Slots(_)) => Some(Vec::new()),
        Err(_) => None,
    }
}
