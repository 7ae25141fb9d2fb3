//! `backup`: copies of the vault, and vaults out of copies.
//!
//! What looks at a target or restores from it needs no vault, and opens none.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use vault_core::backup::target::{Directory, Target};
use vault_core::backup::verify::{Verified, verify};
use vault_core::backup::write::Parts;
use vault_core::backup::{
    BackupError, Counts, Identity, KeysOf, Manifest, Recipients, Signature, list, new_identity,
};
use vault_core::clock::SystemClock;
use vault_core::vault::{
    BackupInput, Call, Keep, LockedVault, Principal, RestoreOptions, Settings, Vault, VaultPaths,
};

use super::{Context, receipt};
use crate::args::{
    BackupCommand, BackupCreateArguments, KeyArguments, OpenArguments, RestoreArguments,
    VerifyArguments,
};
use crate::backend::Backend;
use crate::failure::{Exit, Failure};
use crate::interrupt::{self, Patience};
use crate::place;
use crate::secret;
use crate::terminal::{BOLD, Step};

/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(200);

pub(super) fn run(context: &Context<'_>, command: &BackupCommand) -> Result<(), Failure> {
    match command {
        BackupCommand::Create(arguments) => create(context, arguments),
        BackupCommand::Identity { to } => identity(context, to),
        BackupCommand::List { from } => show(context, from),
        BackupCommand::Verify(arguments) => check(context, arguments),
        BackupCommand::Restore(arguments) => restore(context, arguments),
        BackupCommand::Rekey { backup, to, keys } => {
            let backend = context.backend()?;
            let (vault, keyholder) = opened(&*backend)?;
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
            let target = target(to);
            let recipients = recipients(keys)?;
            let patience = Patience::begin();
            let step = context.terminal.step("making new keys");
            let tell = teller(&step, "going over the backup", &patience);
            let made = vault.rekey_backup(
                &Call::new(keyholder),
                &target,
                *backup,
                (recipients, keys.end()),
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
            Ok(())
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
            prune(context, to, keep)
        }
        BackupCommand::Ledger { to } => {
            let backend = context.backend()?;
            let (vault, keyholder) = opened(&*backend)?;
            let pushed = vault.push_ledger(&Call::new(keyholder), &*target(to));
            let pushed =
                pushed.map_err(|error| failure(BackupError::LedgerCopy(Box::new(error))))?;
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
    }
}

fn target(path: &Path) -> Arc<dyn Target> {
    // The registry names the place, and another working directory must not make it another.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Arc::new(Directory::new(path))
}

/// The vault that this process has open.
fn opened(backend: &dyn Backend) -> Result<(&Vault, &Principal), Failure> {
    backend.opened().ok_or_else(|| {
        Failure::new(
            Exit::Failed,
            "held",
            "a server holds this vault, and backups are not made through it yet",
            "stop the server, make the backup on the directory, and start it again",
        )
    })
}

fn recipients(keys: &KeyArguments) -> Result<Recipients, Failure> {
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

fn create(context: &Context<'_>, arguments: &BackupCreateArguments) -> Result<(), Failure> {
    let parts = match (arguments.data_only, arguments.keys_only) {
        (true, _) => Parts::Data,
        (_, true) => Parts::Keys,
        _ => Parts::Both,
    };
    let recipients = recipients(&arguments.keys)?;
    if parts != Parts::Data && recipients.is_empty() {
        return Err(Failure::usage(
            "nobody could open the key part",
            "say who may: --recipient age1… (`vault-cli backup identity --to FILE` makes one), \
             --passphrase-recipient, or make --data-only",
        ));
    }
    let target = target(&arguments.to);
    if context.globals.dry_run {
        let answer = json!({"would_write_to": target.place()});
        let place = target.place();
        context
            .terminal
            .answer(&answer, |_| format!("would make a backup at {place}"));
        return Ok(());
    }
    let backend = context.backend()?;
    let (vault, keyholder) = opened(&*backend)?;
    let input = BackupInput {
        parts,
        recipients,
        keys_expire: arguments.keys.end(),
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
    answer["ledger_complete_until"] = made.ledger.complete_until.to_string().into();
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
    Ok(())
}

fn manifest(manifest: &Manifest) -> Value {
    let keys = manifest.keys.as_ref().map(|keys| {
        json!({
            "made_at": keys.made_at.to_string(),
            "expires_at": keys.expires_at.map(|end| end.to_string()),
            "of": match keys.keys_of { KeysOf::Backup => "backup", KeysOf::Later => "later" },
            "people": keys.people,
        })
    });
    json!({
        "backup": manifest.backup.to_string(),
        "vault": manifest.vault.to_string(),
        "started_at": manifest.started_at.to_string(),
        "finished_at": manifest.finished_at.to_string(),
        "people": manifest.people,
        "records": manifest.records(),
        "rows": manifest.rows(),
        "bytes": manifest.bytes(),
        "epoch": manifest.epoch,
        "policy_version": manifest.policy_version,
        "data": !manifest.objects.is_empty(),
        "keys": keys,
    })
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

fn show(context: &Context<'_>, from: &Path) -> Result<(), Failure> {
    let target = target(from);
    let (whole, others) = list(&*target).map_err(failure)?;
    let answer = json!({
        "backups": whole.iter().map(manifest).collect::<Vec<_>>(),
        "unfinished": others,
    });
    context.terminal.answer(&answer, |_| {
        let mut lines: Vec<String> = whole
            .iter()
            .map(|manifest| {
                let keys = match &manifest.keys {
                    None => "no keys".to_owned(),
                    Some(keys) => {
                        let end = keys.expires_at.map_or("ever".into(), |end| end.to_string());
                        let later = match keys.keys_of {
                            KeysOf::Backup => "",
                            KeysOf::Later => " (later ones)",
                        };
                        format!("keys{later} until {end}")
                    }
                };
                format!(
                    "{}  {}  {} people  {} bytes  {keys}",
                    manifest.backup,
                    manifest.finished_at,
                    manifest.people,
                    manifest.bytes()
                )
            })
            .collect();
        lines.extend(
            others
                .iter()
                .map(|name| format!("{name}  not finished, or damaged")),
        );
        match lines.is_empty() {
            true => "no backups".to_owned(),
            false => lines.join("\n"),
        }
    });
    Ok(())
}

fn counted(counts: &Counts) -> Value {
    json!({
        "people": counts.people,
        "rows": counts.rows,
        "envelopes": counts.envelopes,
        "envelopes_lost": counts.lost,
        "people_in_part": counts.people_in_part,
    })
}

fn check(context: &Context<'_>, arguments: &VerifyArguments) -> Result<(), Failure> {
    let target = target(&arguments.from);
    let key = arguments
        .key
        .as_deref()
        .map(receipt::read_key)
        .transpose()?;
    let identity = opener(&arguments.open)?;
    if arguments.share.is_some() && identity.is_none() {
        return Err(Failure::usage(
            "a share of the people is opened, and nothing opens them",
            "add --identity FILE, or leave --share out",
        ));
    }
    let names: Vec<String> = match arguments.backup {
        Some(backup) => vec![backup.to_string()],
        None => {
            let (whole, _) = list(&*target).map_err(failure)?;
            whole.iter().map(|m| m.backup.to_string()).collect()
        }
    };
    if names.is_empty() {
        let what = format!("there is no finished backup at {}", target.place());
        return Err(failure(BackupError::NotFound(what)));
    }
    let patience = Patience::begin();
    let mut all = Vec::new();
    for name in names {
        let step = context.terminal.step("verifying");
        let tell = teller(&step, "verifying", &patience);
        let verified = verify(
            &target,
            &name,
            key.as_ref(),
            identity.as_ref(),
            arguments.share,
            &tell,
        );
        all.push(verified.map_err(failure)?);
    }
    let answer = json!({"verified": all.iter().map(verified).collect::<Vec<_>>()});
    context.terminal.answer(&answer, |_| {
        let lines = all.iter().map(|one| {
            let signed = match one.signature {
                Signature::Checked => "signed by its vault",
                Signature::NotChecked => "signature not checked (give --key VKEY)",
            };
            let opened = one.opened.as_ref().map_or_else(
                || "; contents not opened (give --identity FILE)".to_owned(),
                |counts| {
                    format!(
                        "; {} people, {} envelopes open",
                        counts.people, counts.envelopes
                    )
                },
            );
            format!(
                "{} is whole: {} objects, {} bytes; {signed}{opened}",
                one.manifest.backup, one.objects, one.bytes
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

fn verified(one: &Verified) -> Value {
    json!({
        "backup": one.manifest.backup.to_string(),
        "signature": match one.signature {
            Signature::Checked => "checked",
            Signature::NotChecked => "not_checked",
        },
        "objects": one.objects,
        "bytes": one.bytes,
        "opened": one.opened.as_ref().map(counted),
    })
}

fn restore(context: &Context<'_>, arguments: &RestoreArguments) -> Result<(), Failure> {
    let identity = opener(&arguments.open)?.ok_or_else(|| {
        Failure::usage(
            "nothing opens the key part",
            "give --identity FILE, or --identity-passphrase-file FILE",
        )
    })?;
    let mut into = VaultPaths::beside(&arguments.into);
    if let Some(anchor) = &context.globals.anchor {
        into.anchor.clone_from(anchor);
    }
    if context.globals.dry_run {
        let (dir, anchor) = (into.dir.display(), into.anchor.display());
        let answer = json!({"would_create": [dir.to_string(), anchor.to_string()]});
        context
            .terminal
            .answer(&answer, |_| format!("would create {dir} and {anchor}"));
        return Ok(());
    }
    let sources = place::sources(&context.globals, &context.environment);
    let passphrase = secret::new_passphrase(&sources.new_passphrase()?.text)?;
    let options = RestoreOptions {
        target: target(&arguments.from),
        backup: arguments.backup,
        identity: &identity,
        into,
        passphrase: &passphrase,
        ledgers: arguments.ledgers.clone(),
        accept_gap: arguments.accept_gap.as_deref(),
        settings: Settings {
            accept_any_file_system: arguments.accept_file_system,
            ..Settings::new(Arc::new(SystemClock))
        },
    };
    let patience = Patience::begin();
    let step = context.terminal.step("restoring");
    let tell = teller(&step, "restoring", &patience);
    let done = LockedVault::restore(&options, &tell).map_err(failure)?;
    drop(tell);
    drop(step);
    let key = done
        .recovery_key
        .as_ref()
        .map(vault_core::vault::RecoveryKey::to_text);
    let until = done.replay.complete_until;
    let counts = done.restored.unwrap_or_default();
    let answer = json!({
        "backup": done.manifest.backup.to_string(),
        "vault": done.manifest.vault.to_string(),
        "dir": options.into.dir.display().to_string(),
        "anchor": options.into.anchor.display().to_string(),
        "people": counts.counts.people,
        "people_erased_since": counts.counts.erased,
        "people_in_part": counts.counts.people_in_part,
        "rows": counts.counts.rows,
        "envelopes": counts.counts.envelopes,
        "envelopes_lost": counts.counts.lost,
        "removed_since": counts.counts.removed,
        "consents_withdrawn_since": counts.withdrawn,
        "api_keys_revoked": counts.api_keys,
        "ledger_complete_until": until.to_string(),
        "recovery_key": key,
    });
    context.terminal.answer(&answer, |terminal| {
        let Some(key) = &key else {
            return format!(
                "only the last step of an earlier restore was missing, and is made: the vault of {} is in \
                 {}. Its recovery key was not shown: `slot add --kind recovery-key` makes one that is.",
                done.manifest.backup,
                options.into.dir.display()
            );
        };
        format!(
            "vault {} restored from {}, of {}\n  directory     {}\n  anchor        {}\n  people        {} \
             came back, {} in part ({} values lost)\n  not back      {} people erased since, {} records and \
             rows removed since\n  consents      {} withdrawn since\n  API keys      {}, all revoked: make \
             new ones with `token create`\n  ledger        complete until {until}\n  recovery key  {}\n\n\
             The recovery key is shown this once. Write it down and keep it apart from the machine.",
            done.manifest.vault,
            done.manifest.backup,
            done.manifest.finished_at,
            options.into.dir.display(),
            options.into.anchor.display(),
            counts.counts.people,
            counts.counts.people_in_part,
            counts.counts.lost,
            counts.counts.erased,
            counts.counts.removed,
            counts.withdrawn,
            counts.api_keys,
            terminal.style(BOLD, key),
        )
    });
    Ok(())
}

fn prune(context: &Context<'_>, to: &Path, keep: Keep) -> Result<(), Failure> {
    if keep == Keep::default() {
        return Err(Failure::usage(
            "no rule keeps any backup",
            "say what stays: --keep-last N, --keep-daily N, --keep-weekly N, --keep-monthly N",
        ));
    }
    let backend = context.backend()?;
    let (vault, keyholder) = opened(&*backend)?;
    let target = target(to);
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
    vault
        .prune_backups(&Call::new(keyholder), &*target, keep, false)
        .map_err(failure)?;
    answer["dry_run"] = false.into();
    context.terminal.answer(&answer, |_| said("deleted"));
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
        BackupError::Input(_) => (
            Exit::Usage,
            "usage",
            "see `vault-cli help backup`; nothing was changed",
        ),
        BackupError::NotFound(_) => (
            Exit::Failed,
            "not_found",
            "look with `vault-cli backup list --from DIR`",
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
