//! A vault out of a backup.

use std::sync::Arc;

use serde_json::json;
use vault_core::clock::SystemClock;
use vault_core::limits::RESTORE_OPENED_PEOPLE;
use vault_core::vault::{LockedVault, RestoreOptions, Settings, VaultPaths};

use super::super::Context;
use super::{configured, failure, named, opener, teller};
use crate::args::RestoreArguments;
use crate::failure::Failure;
use crate::interrupt::Patience;
use crate::terminal::BOLD;
use crate::{place, secret};

pub(super) fn restore(context: &Context<'_>, arguments: &RestoreArguments) -> Result<(), Failure> {
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
        target: named(&arguments.from, &configured(context)?.s3)?,
        backup: arguments.backup,
        identity: &identity,
        into,
        passphrase: &passphrase,
        ledgers: arguments.ledgers.clone(),
        accept_gap: arguments.accept_gap.as_deref(),
        opened_people: RESTORE_OPENED_PEOPLE,
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
        "people_opened": counts.counts.opened,
        "rows": counts.counts.rows,
        "envelopes": counts.counts.envelopes,
        "envelopes_lost": counts.counts.lost,
        "removed_since": counts.counts.removed,
        "consents_withdrawn_since": counts.withdrawn,
        "objections_and_restrictions_since": counts.demands,
        "api_keys_revoked": counts.api_keys,
        // They are in no backup, whatever there was.
        "recipient_notices": 0,
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
             came back, {} in part ({} values lost)\n  opened        every value of {} of them: `backup verify --identity` opens all\n  not back      {} people erased since, {} records and \
             rows removed since\n  consents      {} withdrawn since\n  demands       {} objections, restrictions, holds, contracts' ends and ages said since\n  API keys      {}, all revoked: make \
             new ones with `token create`\n  recipients    nobody is told of what waited or happened since: notices are in no backup \
             (docs/operations.md, \"Telling recipients\")\n  ledger        complete until {until}\n  recovery key  {}\n\n\
             The recovery key is shown this once. Write it down and keep it apart from the machine.",
            done.manifest.vault,
            done.manifest.backup,
            done.manifest.finished_at,
            options.into.dir.display(),
            options.into.anchor.display(),
            counts.counts.people,
            counts.counts.people_in_part,
            counts.counts.lost,
            counts.counts.opened,
            counts.counts.erased,
            counts.counts.removed,
            counts.withdrawn,
            counts.demands,
            counts.api_keys,
            terminal.style(BOLD, key),
        )
    });
    Ok(())
}
