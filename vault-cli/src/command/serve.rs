//! `serve`: runs the server on a vault until it is told to stop.

use std::path::PathBuf;
use std::sync::Arc;

use vault_core::clock::SystemClock;
use vault_core::vault::LockedVault;
use vault_server::config::Config;
use vault_server::logging::{self, LogFormat};
use vault_server::{App, Server};

use super::Context;
use crate::args::ServeArguments;
use crate::dev::stop_signal;
use crate::failure::{Exit, Failure};
use crate::place;

pub(super) fn run(context: &Context<'_>, arguments: &ServeArguments) -> Result<(), Failure> {
    let terminal = context.terminal;
    let mut config = config(context)?;
    if let Some(listen) = arguments.listen {
        config.server.listen = listen;
    }
    if arguments.print_config {
        terminal.line(config.print().trim_end());
        return Ok(());
    }
    let dir = directory(context, &config)?;
    let mut paths = place::paths(&dir, &context.globals)?;
    if let (None, Some(anchor)) = (&context.globals.anchor, &config.anchor) {
        paths.anchor.clone_from(anchor);
    }
    let locked = LockedVault::open(&paths, crate::backend::settings())?;
    let sources = place::sources(&context.globals, &context.environment);
    let vault = match sources.given()? {
        Some(secret) => Some(locked.unlock(&secret.parse()?)?),
        None => None,
    };
    let open = vault.is_some();
    logging::init(LogFormat::Json, "info");
    let app = App::new(locked, vault, Arc::new(SystemClock));
    let failed = |what: &str, error: &std::io::Error| {
        Failure::new(
            Exit::Failed,
            "io",
            format!("{what} {}: {error}", config.server.listen),
            "choose another address with --listen (loopback only), or stop what listens there",
        )
    };
    runtime()?.block_on(async {
        let server = Server::bind(&config.server, app)
            .map_err(|error| failed("could not listen on", &error))?;
        terminal.note(&format!("listening on http://{}", server.local_addr()));
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
fn config(context: &Context<'_>) -> Result<Config, Failure> {
    let dir = place::directory(&context.globals, &context.environment).ok();
    if let Some(config) = dir.map(|dir| place::config(&dir)).transpose()?.flatten() {
        return Ok(config);
    }
    Config::load(None).map_err(|error| {
        Failure::caused(
            Exit::Failed,
            "config",
            &error,
            "correct the VAULT_… environment variables; `serve --print-config` shows the effective configuration",
        )
    })
}

fn directory(context: &Context<'_>, config: &Config) -> Result<PathBuf, Failure> {
    match place::directory(&context.globals, &context.environment) {
        Ok(dir) => Ok(dir),
        Err(failure) => config.dir.clone().ok_or(failure),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Runtime::new()
        .map_err(|error| Failure::io("could not start the server's threads", &error))
}
