//! What changes backups: on the directory by this process, or by the server that holds it.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use vault_core::backup::BackupError;
use vault_core::backup::write::Parts;
use vault_core::id::BackupId;
use vault_core::vault::{BackupInput, Call, Keep, LedgerCopied, LedgerCopyError};

use super::super::Context;
use super::look::manifest;
use super::{VERSIONS, configured, failure, needed, opened, recipients, served, teller};
use crate::args::{BackupCreateArguments, KeyArguments};
use crate::backend::Backend;
use crate::failure::{Exit, Failure};
use crate::interrupt::Patience;
use crate::terminal::BOLD;

/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(200);

pub(super) fn create(
    context: &Context<'_>,
    arguments: &BackupCreateArguments,
) -> Result<(), Failure> {
    let parts = match (arguments.data_only, arguments.keys_only) {
        (true, _) => Parts::Data,
        (_, true) => Parts::Keys,
        _ => Parts::Both,
    };
    let configured = configured(context)?;
    if context.globals.dry_run && served::is_meant(context) {
        return served::would_create(context, arguments);
    }
    let dry = context.globals.dry_run;
    let backend = if dry { None } else { Some(context.backend()?) };
    if let Some(remote) = backend.as_deref().and_then(Backend::remote) {
        return served::create(context, remote, arguments, parts);
    }
    let target = needed(context, arguments.to.as_deref())?;
    let recipients = recipients(&arguments.keys, &configured)?;
    if parts != Parts::Data && recipients.is_empty() {
        return Err(Failure::usage(
            "nobody could open the key part",
            "say who may: --recipient age1… (`vault-cli backup identity --to FILE` makes one), \
             --passphrase-recipient, or make --data-only",
        ));
    }
    let Some(backend) = backend else {
        let answer = json!({"would_write_to": target.place()});
        let place = target.place();
        context
            .terminal
            .answer(&answer, |_| format!("would make a backup at {place}"));
        return Ok(());
    };
    let (vault, keyholder) = opened(&*backend)?;
    let input = BackupInput {
        parts,
        recipients,
        keys_expire: arguments.keys.end(&configured.key_expiry),
    };
    let patience = Patience::begin();
    let job = vault.backup_job()?;
    let number = job.number();
    let step = context.terminal.step("copying the vault");
    let made = std::thread::scope(|scope| {
        let call = Call::new(keyholder);
        let target = &target;
        let work = scope.spawn(move || vault.back_up(&call, target, input, job));
        while !work.is_finished() {
            std::thread::park_timeout(LOOK);
            if patience.asked() {
                vault.jobs().cancel(number);
            }
            if let Some(view) = vault.jobs().find(number)
                && let Some(total) = view.total
            {
                step.say(format!(
                    "copying the vault: {} of {total} people's keys",
                    view.done
                ));
            }
        }
        work.join()
    });
    drop(step);
    let made = match made {
        Ok(made) => made.map_err(failure)?,
        Err(_) => {
            return Err(Failure::new(
                Exit::Failed,
                "internal",
                "a defect stopped the backup",
                "there is no backup of this run; tell whoever maintains this program",
            ));
        }
    };
    let mut answer = manifest(&made.manifest);
    let complete = made.ledger.as_ref().ok();
    answer["ledger_complete_until"] = complete
        .map(|ledger| ledger.complete_until.to_string())
        .into();
    context.terminal.answer(&answer, |terminal| {
        let keys = made.manifest.keys.as_ref().and_then(|keys| keys.expires_at);
        let keys = keys.map_or(String::new(), |end| {
            format!(
                "\n  keys until  {end}; erasures can be undone with them until they are deleted"
            )
        });
        format!(
            "backup {} at {}\n  people      {}\n  bytes       {}{keys}",
            terminal.style(BOLD, &made.manifest.backup.to_string()),
            target.place(),
            made.manifest.people,
            made.manifest.bytes(),
        )
    });
    beside(made.manifest.backup, made.ledger)
}

/// A backup is whole without the ledger beside it; but a restore from there would not know of the last erasures.
fn beside(backup: BackupId, ledger: Result<LedgerCopied, LedgerCopyError>) -> Result<(), Failure> {
    ledger.map(drop).map_err(|error| {
        let error = BackupError::LedgerCopy(Box::new(error));
        let help = format!(
            "backup {backup} is whole; once the target can be written, `vault-cli backup ledger` puts the ledger beside it"
        );
        Failure::caused(Exit::Failed, "ledger_copy", &error, help)
    })
}

pub(super) fn rekey(
    context: &Context<'_>,
    backup: BackupId,
    to: Option<&Path>,
    keys: &KeyArguments,
) -> Result<(), Failure> {
    let backend = context.backend()?;
    let configured = configured(context)?;
    let question = format!(
        "Make new keys for {backup} and delete its older ones? What was erased or sealed anew \
         since is lost to it."
    );
    if context.globals.dry_run {
        let answer = json!({"would_rekey": backup.to_string()});
        context
            .terminal
            .answer(&answer, |_| format!("would make new keys for {backup}"));
        return Ok(());
    }
    context.terminal.confirm(&question, context.globals.yes)?;
    if let Some(remote) = backend.remote() {
        return served::rekey(context, remote, backup, to, keys);
    }
    let (vault, keyholder) = opened(&*backend)?;
    let target = needed(context, to)?;
    let recipients = recipients(keys, &configured)?;
    let patience = Patience::begin();
    let step = context.terminal.step("making new keys");
    let tell = teller(&step, "going over the backup", &patience);
    let made = vault.rekey_backup(
        &Call::new(keyholder),
        &target,
        backup,
        (recipients, keys.end(&configured.key_expiry)),
        &tell,
    );
    let made = made.map_err(failure)?;
    drop(tell);
    drop(step);
    let answer = json!({
        "backup": backup.to_string(),
        "people_whole": made.whole,
        "people_in_part": made.in_part,
        "people_gone": made.gone,
        "files_deleted": made.deleted,
        "keys_expire_at": made.manifest.keys.as_ref().and_then(|k| k.expires_at).map(|t| t.to_string()),
    });
    context.terminal.answer(&answer, |_| {
        format!(
            "new keys for {backup}: {} people come back whole, {} in part, {} not at all; {} older \
             files are deleted, and verified gone",
            made.whole, made.in_part, made.gone, made.deleted
        )
    });
    beside(backup, made.ledger)
}

pub(super) fn prune(context: &Context<'_>, to: Option<&Path>, given: Keep) -> Result<(), Failure> {
    let backend = context.backend()?;
    if let Some(remote) = backend.remote() {
        return served::prune(context, remote, to, given);
    }
    let keep = match given == Keep::default() {
        true => configured(context)?.keep,
        false => given,
    };
    if keep == Keep::default() {
        return Err(Failure::usage(
            "no rule keeps any backup",
            "say what stays: --keep-last N, --keep-daily N, --keep-weekly N, --keep-monthly N, or `backup.keep` in vault.toml",
        ));
    }
    let (vault, keyholder) = opened(&*backend)?;
    let target = needed(context, to)?;
    let call = Call::new(keyholder);
    let would = vault
        .prune_backups(&call, &*target, keep, true)
        .map_err(failure)?;
    let ids =
        |ids: &[vault_core::id::BackupId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let counts = (
        would.backups.len(),
        would.key_parts.len(),
        would.unfinished.len(),
    );
    let mut answer = json!({
        "backups": ids(&would.backups),
        "key_parts": ids(&would.key_parts),
        "unfinished": would.unfinished,
        "gone": ids(&would.gone),
        "kept": ids(&would.kept),
        "dry_run": context.globals.dry_run,
    });
    let said = |verb: &str| {
        format!(
            "{verb} {} backups, {} expired key parts and {} unfinished ones; {} backups stay",
            counts.0,
            counts.1,
            counts.2,
            would.kept.len()
        )
    };
    let nothing = counts == (0, 0, 0) && would.gone.is_empty();
    if context.globals.dry_run || nothing {
        context.terminal.answer(&answer, |_| said("would delete"));
        return Ok(());
    }
    let question = format!("{}. Nothing brings them back. Go on?", said("Would delete"));
    context.terminal.confirm(&question, context.globals.yes)?;
    let done = vault
        .prune_backups(&Call::new(keyholder), &*target, keep, false)
        .map_err(failure)?;
    if !done.verified {
        context.terminal.note(VERSIONS);
    }
    answer["dry_run"] = false.into();
    answer["verified"] = done.verified.into();
    context.terminal.answer(&answer, |_| said("deleted"));
    Ok(())
}

pub(super) fn ledger(context: &Context<'_>, to: Option<&Path>) -> Result<(), Failure> {
    let backend = context.backend()?;
    if let Some(remote) = backend.remote() {
        return served::ledger(context, remote, to);
    }
    let (vault, keyholder) = opened(&*backend)?;
    let target = needed(context, to)?;
    let pushed = vault.push_ledger(&Call::new(keyholder), &*target);
    let pushed = pushed.map_err(|error| failure(BackupError::LedgerCopy(Box::new(error))))?;
    let answer = json!({
        "position": pushed.position,
        "complete_until": pushed.complete_until.to_string(),
    });
    context.terminal.answer(&answer, |_| {
        format!(
            "the ledger is there: {} entries, complete until {}",
            pushed.position, pushed.complete_until
        )
    });
    Ok(())
}
