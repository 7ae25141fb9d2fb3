//! `vault-server`: serves a vault that exists; starts locked unless it is given a passphrase.
//!
//! Knows nothing of creating vaults: `vault-cli init` does that. Exit codes: 0 stopped in order,
//! 1 failed, 2 usage or configuration, 3 wrong secret.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use vault_core::clock::SystemClock;
use vault_core::vault::{LockedVault, Passphrase, Settings, UnlockError, UnlockSecret, VaultPaths};
use vault_server::config::ServerConfig;
use vault_server::{App, AppSettings, Server, logging};

/// Serves an encrypted vault over HTTP on loopback.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration; each key also as VAULT_… in the environment.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Unlocks with the passphrase in this file, readable by its owner alone. Without it the
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
    hide_memory()?;
    let _logging =
        logging::start(&config).map_err(|error| failed(2, "traces cannot be sent", &error))?;
    let paths = match &config.vault_anchor {
        Some(anchor) => VaultPaths {
            dir: config.vault_dir.clone(),
            anchor: anchor.clone(),
        },
        None => VaultPaths::beside(&config.vault_dir),
    };
    let settings = Settings {
        clock: Arc::new(SystemClock),
        accept_any_file_system: arguments.accept_any_file_system,
        confirm_clock: arguments.confirm_clock,
    };
    let locked = LockedVault::open(&paths, settings)
        .map_err(|error| failed(1, "the vault cannot be served", &error))?;
    let vault = match &arguments.passphrase_file {
        None => None,
        Some(file) => {
            let secret = UnlockSecret::Passphrase(read_passphrase(file)?);
            let vault = locked.unlock(&secret).map_err(|error| {
                let code = if matches!(error, UnlockError::NoSlotMatches) {
                    3
                } else {
                    1
                };
                failed(code, "the vault stays locked", &error)
            })?;
            Some(vault)
        }
    };
    let app = App::new(locked, vault, AppSettings::from(&config));
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(config.blocking_threads())
        .build()
        .map_err(|error| failed(1, "could not start", &error))?
        .block_on(serve(&config, app))
}

async fn serve(config: &ServerConfig, app: App) -> Result<(), Failure> {
    // Before the listener: a signal that comes early must not kill the process in the middle.
    let handler = |kind| signal(kind).map_err(|error| failed(1, "could not take signals", &error));
    let (mut terminate, mut interrupt) = (
        handler(SignalKind::terminate())?,
        handler(SignalKind::interrupt())?,
    );
    let server = Server::bind(config, app).await.map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::InvalidInput {
            2
        } else {
            1
        };
        failed(code, "could not listen", &error)
    })?;
    let address = server
        .local_addr()
        .map_err(|error| failed(1, "could not listen", &error))?;
    tracing::info!(target: "vault_server::server", %address, "listening");
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    server
        .run(shutdown)
        .await
        .map_err(|error| failed(1, "the server ended", &error))
}

/// No core dump, and no other process of this user, shall read keys out of this one's memory.
fn hide_memory() -> Result<(), Failure> {
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(|error| failed(1, "could not forbid core dumps", &error))?;
    Ok(())
}

/// The passphrase in a file: all of it but one line end.
fn read_passphrase(file: &Path) -> Result<Passphrase, Failure> {
    let refused = |error: std::io::Error| failed(2, "could not read the passphrase file", &error);
    let mode = std::fs::metadata(file).map_err(refused)?.mode();
    if mode & 0o077 != 0 {
        return Err(Failure(
            2,
            format!(
                "{} can be read by others (mode {:o}); chmod 600 it",
                file.display(),
                mode & 0o777
            ),
        ));
    }
    let mut text = std::fs::read_to_string(file).map_err(refused)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Passphrase::new(text).map_err(|error| failed(2, "the passphrase file does not fit", &error))
}
