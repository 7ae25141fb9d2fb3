//! `backup`: copies of the vault, and vaults out of copies.
//!
//! What looks at a target or restores from it needs no vault, and opens none. What the command line leaves out,
//! `backup.…` in `DIR/vault.toml` says.

mod look;
mod make;
mod restore;
mod served;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use vault_core::backup::target::{Directory, Target};
use vault_core::backup::{BackupError, Identity, Recipients, new_identity};
use vault_core::vault::{Keep, Principal, Vault};
use vault_server::config::{BackupConfig, BackupPlace, ServerConfig};
use vault_server::objects::{Objects, ObjectsConfig, ObjectsPlace, environment};

use super::Context;
use crate::args::{BackupCommand, KeyArguments, OpenArguments};
use crate::backend::Backend;
use crate::failure::{Exit, Failure};
use crate::interrupt::{self, Patience};
use crate::terminal::Step;
use crate::{place, secret};

pub(super) fn run(context: &Context<'_>, command: &BackupCommand) -> Result<(), Failure> {
    match command {
        BackupCommand::Create(arguments) => make::create(context, arguments),
        BackupCommand::Identity { to } => identity(context, to),
        BackupCommand::List { from } => look::show(context, from.as_deref()),
        BackupCommand::Verify(arguments) => look::check(context, arguments),
        BackupCommand::Restore(arguments) => restore::restore(context, arguments),
        BackupCommand::Rekey { backup, to, keys } => {
            make::rekey(context, *backup, to.as_deref(), keys)
        }
        BackupCommand::Prune {
            to,
            keep_last,
            keep_daily,
            keep_weekly,
            keep_monthly,
        } => {
            let keep = Keep {
                last: *keep_last,
                daily: *keep_daily,
                weekly: *keep_weekly,
                monthly: *keep_monthly,
            };
            make::prune(context, to.as_deref(), keep)
        }
        BackupCommand::Ledger { to } => make::ledger(context, to.as_deref()),
    }
}

/// What is to be done where deletions do not count.
const VERSIONS: &str = "the target keeps older versions of what was deleted: receipts stay open until those are gone as well. \
     Let the credentials delete versions, or make a bucket without them; or have a lifecycle rule end them, and say so then \
     (POST /v1/admin/backups/{b}/deleted)";

/// What the configuration of the directory says of backups.
fn configured(context: &Context<'_>) -> Result<BackupConfig, Failure> {
    let Ok(dir) = place::directory(&context.globals, &context.environment) else {
        return Ok(BackupConfig::default());
    };
    if let Some(config) = place::config(&dir)? {
        return Ok(config.backup);
    }
    // Another variable that is wrong is no matter of backups.
    let config = ServerConfig::load(None, place::variables());
    Ok(config.map(|config| config.backup).unwrap_or_default())
}

/// The target that a text names: a bucket, or else a directory.
fn named(path: &Path, config: &ObjectsConfig) -> Result<Arc<dyn Target>, Failure> {
    let text = path.to_str().filter(|text| ObjectsPlace::is_meant(text));
    let Some(text) = text else {
        // The registry names the place, and another working directory must not make it another.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        return Ok(Arc::new(Directory::new(path)));
    };
    let place = ObjectsPlace::parse(text).ok_or_else(|| {
        let help = format!("a bucket is named as {}", ObjectsPlace::FORM);
        Failure::usage("this names no bucket", help)
    })?;
    Ok(Arc::new(Objects::new(place, config, &environment)))
}

/// The target that is named, or that of the configuration, if there is any.
fn target(context: &Context<'_>, given: Option<&Path>) -> Result<Option<Arc<dyn Target>>, Failure> {
    let config = configured(context)?;
    if let Some(path) = given {
        return named(path, &config.s3).map(Some);
    }
    Ok(config.to.map(|place| -> Arc<dyn Target> {
        match place {
            BackupPlace::Directory(path) => Arc::new(Directory::new(path)),
            BackupPlace::Objects(place) => Arc::new(Objects::new(place, &config.s3, &environment)),
        }
    }))
}

fn needed(context: &Context<'_>, given: Option<&Path>) -> Result<Arc<dyn Target>, Failure> {
    target(context, given)?.ok_or_else(|| {
        Failure::usage(
            "no target is named",
            "name its directory or bucket with --to PLACE, or set `backup.to` in vault.toml",
        )
    })
}

/// The vault that this process has open.
fn opened(backend: &dyn Backend) -> Result<(&Vault, &Principal), Failure> {
    backend.opened().ok_or_else(|| {
        Failure::new(
            Exit::Failed,
            "held",
            "a server holds this vault",
            "make the backup through it: without --to, as its configuration says",
        )
    })
}

fn recipients(keys: &KeyArguments, configured: &BackupConfig) -> Result<Recipients, Failure> {
    let mut texts = Vec::new();
    for text in &keys.recipients {
        let path = Path::new(text);
        if text.to_ascii_lowercase().starts_with("age") || !path.is_file() {
            texts.push(text.clone());
            continue;
        }
        let read = std::fs::read_to_string(path)
            .map_err(|error| Failure::io(format!("could not read {}", path.display()), &error))?;
        let lines = read.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        texts.extend(lines.map(str::to_owned));
    }
    let recipients = Recipients::parse(texts.iter().map(String::as_str)).map_err(failure)?;
    if recipients.is_empty() && !keys.passphrase_recipient {
        let known = configured.recipients.iter().map(String::as_str);
        return Recipients::parse(known).map_err(failure);
    }
    if !keys.passphrase_recipient {
        return Ok(recipients);
    }
    let text = match &keys.recipient_passphrase_file {
        Some(file) => secret::read_file(file)?,
        None => secret::prompt_twice("give --recipient-passphrase-file FILE")?.text,
    };
    secret::new_passphrase(&text)?;
    Ok(recipients.with_passphrase(text))
}

fn opener(open: &OpenArguments) -> Result<Option<Identity>, Failure> {
    if let Some(file) = &open.identity_passphrase_file {
        return Ok(Some(Identity::Passphrase(secret::read_file(file)?)));
    }
    let Some(file) = &open.identity else {
        return Ok(None);
    };
    let text = secret::read_file(file)?;
    Identity::parse(&text).map(Some).map_err(failure)
}

/// Shows progress, and ends the work when somebody asks.
fn teller<'s>(
    step: &'s Step,
    what: &'static str,
    patience: &'s Patience,
) -> impl Fn(u64, u64) -> Result<(), BackupError> + Sync + 's {
    let last = AtomicU64::new(u64::MAX);
    move |done, total| {
        if patience.asked() {
            return Err(BackupError::Cancelled);
        }
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(0);
        if last.swap(percent, Ordering::Relaxed) != percent {
            step.say(format!("{what}: {percent} %"));
        }
        Ok(())
    }
}

fn identity(context: &Context<'_>, to: &Path) -> Result<(), Failure> {
    let (text, recipient) = new_identity();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(to).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| Failure::io(format!("could not write {}", to.display()), &error))?;
    context.terminal.note(
        "keep the file away from the vault's machine: whoever has it and the backups has the data",
    );
    let answer = json!({"recipient": recipient, "identity_file": to.display().to_string()});
    context.terminal.answer(&answer, |_| recipient.clone());
    Ok(())
}

/// The way out of each error of a backup.
fn failure(error: BackupError) -> Failure {
    let (exit, code, help) = match &error {
        BackupError::Refused(_) => {
            let BackupError::Refused(refusal) = error else {
                unreachable!("matched above")
            };
            return refusal.into();
        }
        BackupError::Cancelled => {
            return interrupt::failure(
                "nothing of it is a backup or a vault; run the same command again to begin anew",
            );
        }
        BackupError::Damaged { .. } => (
            Exit::Damaged,
            "damaged",
            "take another backup (`backup list`), or another copy of this one; change nothing in it",
        ),
        BackupError::Ledger(_) => (
            Exit::Damaged,
            "ledger_damaged",
            "leave the damaged copy out (move `ledger` at the target away, or give no --ledger): what only it knew has to be accepted then",
        ),
        BackupError::WrongIdentity => (
            Exit::Locked,
            "wrong_identity",
            "give the identity of a recipient that the backup was made for: --identity FILE",
        ),
        BackupError::Gap(_) => (
            Exit::Refused,
            "gap",
            "find the lost vault's file `ledger` if there is any way to: who was erased must not return",
        ),
        BackupError::Exists(_) => (
            Exit::Failed,
            "exists",
            "choose a directory that does not exist yet; nothing was changed",
        ),
        BackupError::Held(_) => (
            Exit::Failed,
            "held",
            "wait until it has ended, or restore into a directory elsewhere; nothing was changed",
        ),
        BackupError::Input(_) => (
            Exit::Usage,
            "usage",
            "see `vault-cli help backup`; nothing was changed",
        ),
        BackupError::NotFound(_) => (
            Exit::Failed,
            "not_found",
            "look with `vault-cli backup list --from PLACE`",
        ),
        BackupError::Busy { .. } => (
            Exit::Failed,
            "busy",
            "there is no backup of this run; try again at a quieter time",
        ),
        _ => (
            Exit::Failed,
            "io",
            "check that the target can be reached and has room, then run the same command again",
        ),
    };
    Failure::caused(exit, code, &error, help)
}
