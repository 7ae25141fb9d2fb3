//! `serve`: runs the server on a vault until it is told to stop.

use vault_core::vault::{LockedVault, Settings};
use vault_server::config::ServerConfig;
use vault_server::{App, AppSettings, Server, logging};

use super::Context;
use crate::args::ServeArguments;
use crate::dev::stop_signal;
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
    let locked = LockedVault::open(
        &paths,
        Settings {
            confirm_clock: arguments.confirm_clock,
            ..crate::backend::settings()
        },
    )?;
    let sources = place::sources(&context.globals, &context.environment);
    let vault = match sources.given()? {
        Some(secret) => Some(locked.unlock(&secret.parse()?)?),
        None => None,
    };
    let open = vault.is_some();
    let _logging = logging::start(&config).map_err(|error| {
        Failure::new(
            Exit::Usage,
            "config",
            format!("traces cannot be sent: {error}"),
            "correct `otel.endpoint`",
        )
    })?;
    let app = App::new(locked, vault, AppSettings::from(&config));
    let failed = |what: &str, error: &std::io::Error| {
        Failure::new(
            Exit::Failed,
            "io",
            format!("{what} {}: {error}", config.listen),
            "choose another address with --listen (loopback only), or stop what listens there",
        )
    };
    runtime()?.block_on(async {
        let server = Server::bind(&config, app)
            .await
            .map_err(|error| failed("could not listen on", &error))?;
        let address = server
            .local_addr()
            .map_err(|error| failed("could not listen on", &error))?;
        terminal.note(&format!("listening on http://{address}"));
        if !open {
            terminal.note("the vault is locked: POST /v1/unlock from this machine opens it, or start with --passphrase-file FILE");
        }
        server
            .run(stop_signal())
            .await
            .map_err(|error| failed("could not serve on", &error))
    })
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

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Runtime::new()
        .map_err(|error| Failure::io("could not start the server's threads", &error))
}
