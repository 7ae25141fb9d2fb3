//! `vault-server`: serves a vault that exists; starts locked unless it is given a passphrase.
//!
//! Knows nothing of creating vaults: `vault-cli init` does that. Exit codes: 0 stopped in order,
//! 1 failed, 2 usage or configuration, 3 wrong secret.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use vault_core::clock::SystemClock;
use vault_core::vault::{LockedVault, OpenError, Settings, UnlockError, VaultPaths};
use vault_server::config::ServerConfig;
use vault_server::rollback::{Accepted, accepted};
use vault_server::{App, AppSettings, Process, ServeError, logging, unlock};

/// Serves an encrypted vault over HTTP: with TLS anywhere, without on loopback.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration; each key also as VAULT_… in the environment.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Unlocks with the passphrase in this file, readable by its owner alone. Without it the key
    /// `unlock` says where the passphrase is, or a credential of systemd named `passphrase`; else the
    /// server starts locked and waits for `POST /v1/unlock`.
    #[arg(long, value_name = "FILE", env = "VAULT_PASSPHRASE_FILE")]
    passphrase_file: Option<PathBuf>,
    /// Prints the effective configuration and ends.
    #[arg(long)]
    print_config: bool,
    /// Accepts file systems under the anchor that may keep overwritten bytes: erasure is then
    /// only as final as they are.
    #[arg(long)]
    accept_any_file_system: bool,
    /// Says that the system's clock is right, though it is more than a day ahead of the vault's last
    /// commit: nothing expires until then.
    #[arg(long)]
    confirm_clock: bool,
    /// Goes on with a database that is older than the checkpoint in its anchor. TEXT says what that
    /// means, exactly: what happened since is lost
    #[arg(long, value_name = "TEXT", value_parser = accepted)]
    accept_rollback: Option<Accepted>,
}

/// What went wrong, and the exit code that says so.
struct Failure(u8, String);

fn failed(code: u8, what: &str, error: &dyn std::error::Error) -> Failure {
    let mut text = format!("{what}: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    Failure(code, text)
}

fn main() -> ExitCode {
    logging::hide_panics();
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(code, text)) => {
            let _ = writeln!(std::io::stderr(), "vault-server: {text}");
            ExitCode::from(code)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    // Variables that are no UTF-8 cannot be ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let config = ServerConfig::load(arguments.config.as_deref(), environment)
        .map_err(|error| failed(2, "the configuration is not accepted", &error))?;
    if arguments.print_config {
        return std::io::stdout()
            .write_all(config.print().as_bytes())
            .map_err(|error| failed(1, "could not print", &error));
    }
    vault_server::hide_memory()
        .map_err(|error| failed(1, "could not forbid core dumps", &error))?;
    let _logging =
        logging::start(&config).map_err(|error| failed(2, "traces cannot be sent", &error))?;
    let secret = unlock::secret(&config, arguments.passphrase_file.as_deref())
        .map_err(|error| failed(2, "the vault stays locked", &error))?;
    let paths = match &config.vault_anchor {
        Some(anchor) => VaultPaths {
            dir: config.vault_dir.clone(),
            anchor: anchor.clone(),
        },
        None => VaultPaths::beside(&config.vault_dir),
    };
    let settings = Settings {
        accept_any_file_system: arguments.accept_any_file_system,
        confirm_clock: arguments.confirm_clock,
        audit_durability: config.audit_durability,
        cache_bytes: config.cache_bytes(),
        accept_rollback: arguments.accept_rollback.is_some(),
        ..Settings::new(Arc::new(SystemClock))
    };
    let locked = LockedVault::open(&paths, settings).map_err(not_opened)?;
    // Before the vault has threads: they are to be confined, too.
    let process = Process::prepare(&config, &paths.dir, &paths.anchor).map_err(not_served)?;
    let vault = match secret {
        None => None,
        Some(secret) => {
            let opened = locked.unlock(&secret);
            Some(opened.map_err(|error| {
                let wrong = matches!(error, UnlockError::NoSlotMatches);
                failed(if wrong { 3 } else { 1 }, "the vault stays locked", &error)
            })?)
        }
    };
    let settings = AppSettings {
        alarm: process.alarm(),
        recipients: process.recipients(),
        codes: process.codes(),
        policy_file: process.policy_file(),
        ..AppSettings::from(&config)
    };
    let app = App::new(locked, vault, settings);
    process
        .serve(app, |address, tls| {
            tracing::info!(target: "vault_server::server", %address, tls, "listening");
        })
        .map_err(not_served)
}

/// Whoever has just installed it has no vault yet.
fn not_opened(error: OpenError) -> Failure {
    let Failure(code, mut text) = failed(1, "the vault cannot be served", &error);
    if let OpenError::NotFound(dir) = &error {
        let dir = dir.display();
        text = format!(
            "{text}; make one, as the user who runs this, with `vault-cli --vault {dir} init`, or name another \
             directory (`vault.dir`, VAULT_DIR)"
        );
    }
    Failure(code, text)
}

/// What the configuration asks for and cannot have is its fault; the rest is the machine's.
fn not_served(error: ServeError) -> Failure {
    let configuration = match &error {
        ServeError::Listen(_, source) => source.kind() == std::io::ErrorKind::InvalidInput,
        ServeError::Alarm(_)
        | ServeError::Recipients(_)
        | ServeError::Codes(_)
        | ServeError::Backup(_)
        | ServeError::Policy(_)
        | ServeError::Sandbox(_)
        | ServeError::Socket(_)
        | ServeError::Tls(_) => true,
        _ => false,
    };
    let code = if configuration { 2 } else { 1 };
    failed(code, "the vault cannot be served", &error)
}
