//! What is looked at without a vault, and with no secret of one: the backups at a target. Where a server holds the vault,
//! and no target is named, it is asked: it knows what its registry and its schedule say besides.

use std::path::Path;

use serde_json::{Value, json};
use vault_core::backup::verify::{Verified, verify};
use vault_core::backup::{BackupError, Counts, KeysOf, Manifest, Signature, list};

use super::super::{Context, receipt};
use super::{failure, opener, served, target, teller};
use crate::args::VerifyArguments;
use crate::failure::Failure;
use crate::interrupt::Patience;

pub(super) fn manifest(manifest: &Manifest) -> Value {
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

pub(super) fn show(context: &Context<'_>, from: Option<&Path>) -> Result<(), Failure> {
    if from.is_none() && served::is_meant(context) {
        return served::show(context);
    }
    let Some(target) = target(context, from)? else {
        return served::show(context);
    };
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

pub(super) fn check(context: &Context<'_>, arguments: &VerifyArguments) -> Result<(), Failure> {
    // A server is given nothing that opens backups, and knows its own key.
    let itself = arguments.from.is_some() || arguments.key.is_some() || served::opens(arguments);
    if !itself && served::is_meant(context) {
        return served::check(context, arguments);
    }
    let Some(target) = target(context, arguments.from.as_deref())? else {
        return served::check(context, arguments);
    };
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
