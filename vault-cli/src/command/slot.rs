//! `slot list|add|remove|test`: what opens the vault.

use std::path::Path;

use serde_json::{Value, json};

use vault_core::vault::LockedVault;

use super::{Context, cell, day, shares};
use crate::args::SlotCommand;
use crate::failure::{Exit, Failure};
use crate::place::{self, Place};
use crate::secret::{self, SecretKind, SecretText};
use crate::terminal::{BOLD, Column, Table, Tone};

pub(super) fn run(context: &Context<'_>, command: &SlotCommand) -> Result<(), Failure> {
    let terminal = context.terminal;
    match command {
        SlotCommand::List => {
            let answer = context.backend()?.slots()?;
            terminal.answer(&answer, |terminal| terminal.table(&list(&answer)));
        }
        SlotCommand::Add {
            kind,
            label,
            secret_file,
            replaces,
            threshold,
            shares,
            to,
        } => {
            let new = New {
                kind: *kind,
                file: secret_file.as_deref(),
                shares: threshold.zip(*shares),
                to: to.as_deref(),
            };
            add(context, &new, label, *replaces)?;
        }
        SlotCommand::Remove { number } => remove(context, *number)?,
        SlotCommand::Test { kind, secret_file } => {
            let answer = test(context, *kind, secret_file.as_deref())?;
            if answer["slot"].is_null() {
                return Err(Failure::new(
                    Exit::Locked,
                    "wrong_secret",
                    "this secret opens no slot",
                    "check it for typing errors; `slot list` shows the slots, `slot add` makes one",
                ));
            }
            terminal.answer(&answer, |_| format!("opens slot {}", answer["slot"]));
        }
    }
    Ok(())
}

fn list(answer: &Value) -> Table {
    let mut table = Table::new(vec![
        Column::name("slot"),
        Column::new("kind", 0),
        Column::wrapped("label", 1),
        Column::new("created", 2),
    ]);
    for slot in answer["key_slots"].as_array().into_iter().flatten() {
        let made = day(&slot["created_at"]);
        let cells = [
            cell(&slot["slot"]),
            cell(&slot["kind"]),
            cell(&slot["label"]),
            made,
        ];
        table.push(cells.map(|text| (text, Tone::Plain)).into());
    }
    table
}

/// What a new slot is to be opened with.
struct New<'a> {
    kind: SecretKind,
    file: Option<&'a Path>,
    /// How many are needed, of how many.
    shares: Option<(u8, u8)>,
    to: Option<&'a Path>,
}

impl New<'_> {
    fn check(&self, replaces: Option<u8>) -> Result<(), Failure> {
        let wrong = match (self.kind, self.file) {
            (SecretKind::RecoveryKey, Some(_)) => {
                "a recovery key is made by the vault, not given to it"
            }
            (SecretKind::Shares, Some(_)) => "shares are made here, not given",
            _ if self.kind != SecretKind::Shares && self.shares.is_some() => {
                "--threshold and --shares go with --kind shares"
            }
            _ => "",
        };
        if !wrong.is_empty() {
            return Err(Failure::usage(wrong, "leave that flag out"));
        }
        if self.kind == SecretKind::KeyFile && self.file.is_none() {
            return Err(Failure::usage(
                "no key file is named",
                "name it with --secret-file FILE; `head -c 32 /dev/urandom > FILE` makes one",
            ));
        }
        if self.kind == SecretKind::RecoveryKey && replaces.is_some() {
            return Err(Failure::usage(
                "a recovery key replaces nothing before it is known to be written down",
                "add it, try it with `slot test --kind recovery-key`, then `slot remove` the other",
            ));
        }
        Ok(())
    }

    fn secret(&self, context: &Context<'_>) -> Result<Option<SecretText>, Failure> {
        let kind = self.kind;
        match (kind, self.file, self.shares) {
            (SecretKind::RecoveryKey, ..) => Ok(None),
            (SecretKind::Shares, _, Some(numbers)) => {
                shares::make(context.terminal, numbers, self.to).map(Some)
            }
            (_, Some(path), _) => {
                let secret = SecretText::file(kind, path)?;
                if kind == SecretKind::KeyFile {
                    // What cannot be one is told before anything is opened.
                    secret.parse()?;
                }
                Ok(Some(secret))
            }
            _ => secret::prompt_twice("give --secret-file FILE").map(Some),
        }
    }
}

fn add(
    context: &Context<'_>,
    new: &New<'_>,
    label: &str,
    replaces: Option<u8>,
) -> Result<(), Failure> {
    new.check(replaces)?;
    let backend = context.backend()?;
    if context.globals.dry_run {
        let answer = json!({"would_add": {"label": label}, "would_remove": replaces});
        context
            .terminal
            .answer(&answer, |_| "would add a slot".to_owned());
        return Ok(());
    }
    if let Some(number) = replaces {
        let slots = backend.slots()?;
        let mut list = slots["key_slots"].as_array().into_iter().flatten();
        if !list.any(|slot| slot["slot"] == number) {
            return Err(Failure::of_code("not_found", format!("no slot {number}")));
        }
    }
    let secret = new.secret(context)?;
    let answer = backend.add_slot(secret.as_ref(), label, replaces)?;
    context.terminal.answer(&answer, |terminal| {
        let mut text = format!("slot {} added", answer["slot"]);
        if let Some(number) = replaces {
            text.push_str(&format!(", slot {number} removed"));
        }
        if let Some(key) = answer["recovery_key"].as_str() {
            text.push_str(&format!(
                "\nrecovery key, shown this once: {}",
                terminal.style(BOLD, key)
            ));
        }
        text
    });
    Ok(())
}

fn remove(context: &Context<'_>, number: u8) -> Result<(), Failure> {
    let backend = context.backend()?;
    let slots = backend.slots()?;
    let list = slots["key_slots"].as_array().cloned().unwrap_or_default();
    if !list.iter().any(|slot| slot["slot"] == number) {
        return Err(Failure::of_code("not_found", format!("no slot {number}")));
    }
    if context.globals.dry_run {
        let answer = json!({"would_remove": number, "left": list.len() - 1});
        context.terminal.answer(&answer, |_| {
            format!("would remove slot {number}; {} are left", list.len() - 1)
        });
        return Ok(());
    }
    let kinds = list.iter().filter(|slot| slot["slot"] != number);
    let mut kinds = kinds.map(|slot| cell(&slot["kind"]));
    if list.len() > 1 && kinds.all(|kind| kind == "recovery_key") {
        context
            .terminal
            .warn("after this, recovery keys alone open the vault: each start needs one");
    }
    context.terminal.confirm(
        &format!("Remove slot {number}? Its secret opens the vault no more."),
        context.globals.yes,
    )?;
    let removed = backend.remove_slot(number)?;
    let mut answer = json!({"removed": number});
    if !removed["warning"].is_null() {
        answer["warning"] = removed["warning"].clone();
    }
    context
        .terminal
        .answer(&answer, |_| format!("slot {number} removed"));
    Ok(())
}

/// Tries a secret on the slots: in a directory on their file alone, whether or not anybody holds the
/// vault; through a server otherwise.
fn test(
    context: &Context<'_>,
    kind: Option<SecretKind>,
    file: Option<&Path>,
) -> Result<Value, Failure> {
    let secret = candidate(context, kind, file)?;
    match place::place(&context.globals, &context.environment)? {
        Place::Server(url) => {
            // A text that can be none of its kind opens no slot, and is not sent.
            secret.parse()?;
            context.server(&url)?.test_slot(&secret)
        }
        Place::Directory(dir) => {
            let paths = place::paths(&dir, &context.globals)?;
            let number = LockedVault::test_slot(&paths, &secret.parse()?)?;
            Ok(json!({"slot": number}))
        }
    }
}

/// The secret to test: a file, else the one that would open the directory if it is of the kind that is meant,
/// else a prompt.
fn candidate(
    context: &Context<'_>,
    kind: Option<SecretKind>,
    file: Option<&Path>,
) -> Result<SecretText, Failure> {
    if let Some(path) = file {
        return SecretText::file(kind.unwrap_or(SecretKind::Passphrase), path);
    }
    let sources = place::sources(&context.globals, &context.environment);
    let given = sources.given()?;
    if let Some(secret) = given.filter(|secret| kind.is_none_or(|kind| kind == secret.kind)) {
        return Ok(secret);
    }
    let kind = kind.unwrap_or(SecretKind::Passphrase);
    let instead = "give --secret-file FILE";
    if kind == SecretKind::Shares || sources.ask_shares {
        return secret::prompt_shares(None, instead);
    }
    if kind == SecretKind::KeyFile {
        return Err(Failure::usage("no key file is named", instead));
    }
    let text = secret::prompt("Secret to test: ", instead)?;
    Ok(SecretText { kind, text })
}
