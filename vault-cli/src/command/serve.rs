//! `serve`: runs the server on a vault until it is told to stop.

use vault_core::vault::{LockedVault, Settings, UnlockSecret};
use vault_server::config::ServerConfig;
use vault_server::{App, AppSettings, Process, ServeError, logging, unlock};

use super::Context;
use crate::args::ServeArguments;
use crate::failure::{Exit, Failure};
use crate::place;

pub(super) fn run(context: &Context<'_>, arguments: &ServeArguments) -> Result<(), Failure> {
    let terminal = context.terminal;
    let mut config = config(context)?;
    if let Some(listen) = arguments.listen {
        config.listen = listen;
    }
    if arguments.print_config {
        terminal.line(config.print().trim_end());
        return Ok(());
    }
    let dir = place::directory(&context.globals, &context.environment)?;
    let mut paths = place::paths(&dir, &context.globals)?;
    if let (None, Some(anchor)) = (&context.globals.anchor, &config.vault_anchor) {
        paths.anchor.clone_from(anchor);
    }
    let secret = secret(context, &config)?;
    let locked = LockedVault::open(
        &paths,
        Settings {
            confirm_clock: arguments.confirm_clock,
            audit_durability: config.audit_durability,
            cache_bytes: config.cache_bytes(),
            accept_rollback: arguments.accept_rollback.is_some(),
            ..crate::backend::settings()
        },
    )?;
    let _logging = logging::start(&config).map_err(|error| {
        Failure::new(
            Exit::Usage,
            "config",
            format!("traces cannot be sent: {error}"),
            "correct `otel.endpoint`",
        )
    })?;
    // Before the vault has threads: they are to be confined, too.
    let process =
        Process::prepare(&config, &paths.dir, &paths.anchor).map_err(|error| not_served(&error))?;
    let vault = secret.map(|secret| locked.unlock(&secret)).transpose()?;
    let open = vault.is_some();
    let settings = AppSettings {
        alarm: process.alarm(),
        recipients: process.recipients(),
        codes: process.codes(),
        policy_file: process.policy_file(),
        ..AppSettings::from(&config)
    };
    let app = App::new(locked, vault, settings);
    let socket = process.socket().map(|path| path.display().to_string());
    let listening = |address, tls| {
        let scheme = if tls { "https" } else { "http" };
        terminal.note(&format!("listening on {scheme}://{address}"));
        if let Some(socket) = &socket {
            terminal.note(&format!("and, for this directory's owner, on {socket}"));
        }
        if !open {
            terminal.note("the vault is locked: POST /v1/unlock from this machine opens it, or start with --passphrase-file FILE");
        }
    };
    process
        .serve(app, listening)
        .map_err(|error| not_served(&error))
}

/// What opens the vault at the start: a flag or `VAULT_PASSPHRASE_FILE`, then what the
/// configuration names, then the credential of systemd.
fn secret(context: &Context<'_>, config: &ServerConfig) -> Result<Option<UnlockSecret>, Failure> {
    let sources = place::sources(&context.globals, &context.environment);
    if config.unlock.is_none() || sources.named() {
        let given = match sources.ask_shares {
            true => Some(sources.get()?),
            false => sources.given()?,
        };
        return given.map(|secret| secret.parse()).transpose();
    }
    unlock::secret(config, None).map_err(|error| {
        Failure::caused(
            Exit::Failed,
            "config",
            &error,
            "correct `unlock` in vault.toml (VAULT_UNLOCK), or give --passphrase-file FILE",
        )
    })
}

fn not_served(error: &ServeError) -> Failure {
    let help = match error {
        ServeError::Alarm(_) => {
            "correct the keys `alarm.…` in vault.toml, or the files that they name"
        }
        ServeError::Recipients(_) => {
            "correct the keys `recipients.…` in vault.toml, or the files that they name"
        }
        ServeError::Codes(_) => {
            "correct the keys `verification.…` in vault.toml, or the files that they name"
        }
        ServeError::Backup(_) => {
            "name a directory on another disk in `backup.to` and `backup.ledger_to` (vault.toml, or VAULT_BACKUP_…)"
        }
        ServeError::Listen(..) => {
            "choose another address with --listen (without TLS loopback only), or stop what listens there"
        }
        ServeError::Policy(_) => {
            "move the file out, and correct `vault.policy` in vault.toml (VAULT_POLICY)"
        }
        ServeError::Sandbox(_) => "correct `sandbox` in vault.toml (VAULT_SANDBOX)",
        ServeError::Socket(_) => "correct `admin.socket` in vault.toml (VAULT_ADMIN_SOCKET)",
        ServeError::Tls(_) => "correct the keys `tls.…` in vault.toml, or the files that they name",
        _ => "the log on stderr may say more",
    };
    Failure::caused(Exit::Failed, "io", error, help)
}

/// `DIR/vault.toml` where it exists, else the defaults and the environment.
fn config(context: &Context<'_>) -> Result<ServerConfig, Failure> {
    let dir = place::directory(&context.globals, &context.environment).ok();
    if let Some(config) = dir.map(|dir| place::config(&dir)).transpose()?.flatten() {
        return Ok(config);
    }
    ServerConfig::load(None, place::variables()).map_err(|error| {
        Failure::caused(
            Exit::Failed,
            "config",
            &error,
            "correct the VAULT_… environment variables; `serve --print-config` shows the effective configuration",
        )
    })
}
