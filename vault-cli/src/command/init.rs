//! `init`: creates a vault, and says what would lose it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use vault_core::clock::SystemClock;
use vault_core::policy::SAMPLE;
use vault_core::vault::{LockedVault, Settings, VaultPaths};

use super::{Context, policy};
use crate::args::InitArguments;
use crate::failure::{Exit, Failure};
use crate::input;
use crate::place;
use crate::secret;
use crate::terminal::BOLD;

const NO_BACKUP: &str = "no backup exists yet: losing the anchor directory loses the vault, and the recovery key does not replace it";

pub(super) fn run(context: &Context<'_>, arguments: &InitArguments) -> Result<(), Failure> {
    let terminal = context.terminal;
    let dir = place::directory(&context.globals, &context.environment)?;
    let source = match &arguments.policy {
        Some(file) => input::read_policy(file)?,
        None => SAMPLE.to_owned(),
    };
    policy::check(&source)?;
    let mut paths = VaultPaths::beside(&dir);
    if let Some(anchor) = &context.globals.anchor {
        paths.anchor.clone_from(anchor);
    }
    if context.globals.dry_run {
        return dry_run(context, &paths);
    }
    let sources = place::sources(&context.globals, &context.environment);
    let passphrase = secret::new_passphrase(&sources.new_passphrase()?.text)?;
    let settings = Settings {
        accept_any_file_system: arguments.accept_file_system,
        ..Settings::new(Arc::new(SystemClock))
    };
    let step = terminal.step("creating the vault");
    let created = LockedVault::create(&paths, settings, &passphrase, &source)?;
    drop(step);
    created.vault.close();
    let default_anchor = VaultPaths::beside(&dir).anchor;
    let unwritten = if paths.anchor == default_anchor {
        None
    } else {
        // The vault stands already: without this file its anchor must be named at every call,
        // which is worth a warning and no failure.
        write_config(&dir, &paths.anchor).err()
    };

    if arguments.policy.is_none() {
        terminal.note(
            "the sample policy is in force: write your own and run `vault-cli policy apply FILE`",
        );
    }
    if let Some(error) = &unwritten {
        terminal.note(&format!(
            "could not write vault.toml ({}): name --anchor at every call",
            error.kind()
        ));
    }
    terminal.note(NO_BACKUP);
    let key = created.recovery_key.to_text();
    let answer = json!({
        "vault": created.locked.vault_id().to_string(),
        "dir": paths.dir.display().to_string(),
        "anchor": paths.anchor.display().to_string(),
        "policy": if arguments.policy.is_some() { "given" } else { "sample" },
        "recovery_key": key,
        "warnings": [NO_BACKUP],
    });
    terminal.answer(&answer, |terminal| {
        format!(
            "vault {} created\n  directory     {}\n  anchor        {}\n  recovery key  {}\n\nThe recovery key is shown this once. Write it down and keep it apart from the machine.",
            created.locked.vault_id(),
            paths.dir.display(),
            paths.anchor.display(),
            terminal.style(BOLD, &key),
        )
    });
    Ok(())
}

fn dry_run(context: &Context<'_>, paths: &VaultPaths) -> Result<(), Failure> {
    for path in [&paths.dir, &paths.anchor] {
        let entries = std::fs::read_dir(path).map(|mut entries| entries.next().is_some());
        if entries.unwrap_or(false) {
            return Err(Failure::new(
                Exit::Failed,
                "exists",
                format!("{} is not empty", path.display()),
                "choose a directory that does not exist yet with --vault DIR",
            ));
        }
    }
    let (dir, anchor) = (paths.dir.display(), paths.anchor.display());
    let answer = json!({"would_create": [dir.to_string(), anchor.to_string()]});
    context
        .terminal
        .answer(&answer, |_| format!("would create {dir} and {anchor}"));
    Ok(())
}

/// Says where the anchor is, so that later commands find it.
fn write_config(dir: &Path, anchor: &Path) -> std::io::Result<()> {
    let anchor = std::path::absolute(anchor)?;
    let value = serde_json::Value::from(anchor.display().to_string());
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(dir.join("vault.toml"))?;
    // A JSON string is a TOML basic string.
    writeln!(file, "[vault]\nanchor = {value}")?;
    file.sync_all()
}
