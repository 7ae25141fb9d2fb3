//! `slot list|add|remove|test`: what opens the vault.

use std::path::Path;

use serde_json::{Value, json};

use super::{Context, cell, day};
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
        } => add(context, *kind, label, secret_file.as_deref())?,
        SlotCommand::Remove { number } => remove(context, *number)?,
        SlotCommand::Test { kind, secret_file } => {
            let backend = context.backend()?;
            let secret = candidate(context, *kind, secret_file.as_deref())?;
            let answer = backend.test_slot(&secret)?;
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

fn add(
    context: &Context<'_>,
    kind: SecretKind,
    label: &str,
    file: Option<&Path>,
) -> Result<(), Failure> {
    if kind == SecretKind::RecoveryKey && file.is_some() {
        return Err(Failure::usage(
            "a recovery key is made by the vault, not given to it",
            "leave --secret-file out",
        ));
    }
    let backend = context.backend()?;
    if context.globals.dry_run {
        let answer = json!({"would_add": {"label": label}});
        context
            .terminal
            .answer(&answer, |_| "would add a slot".to_owned());
        return Ok(());
    }
    let passphrase = match (kind, file) {
        (SecretKind::RecoveryKey, _) => None,
        (SecretKind::Passphrase, Some(path)) => Some(SecretText {
            kind,
            text: secret::read_file(path)?,
        }),
        (SecretKind::Passphrase, None) => Some(secret::prompt_twice("give --secret-file FILE")?),
    };
    let answer = backend.add_slot(passphrase.as_ref(), label)?;
    context.terminal.answer(&answer, |terminal| {
        let mut text = format!("slot {} added", answer["slot"]);
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
    context.terminal.confirm(
        &format!("Remove slot {number}? Its secret opens the vault no more."),
        context.globals.yes,
    )?;
    backend.remove_slot(number)?;
    let answer = json!({"removed": number});
    context
        .terminal
        .answer(&answer, |_| format!("slot {number} removed"));
    Ok(())
}

/// The secret to test: a file, else the one that opened the directory, else a prompt.
fn candidate(
    context: &Context<'_>,
    kind: SecretKind,
    file: Option<&Path>,
) -> Result<SecretText, Failure> {
    if let Some(path) = file {
        let text = secret::read_file(path)?;
        return Ok(SecretText { kind, text });
    }
    let place = place::place(&context.globals, &context.environment)?;
    if matches!(place, Place::Directory(_)) {
        let sources = place::sources(&context.globals, &context.environment);
        if let Some(secret) = sources.given()? {
            return Ok(secret);
        }
    }
    let text = secret::prompt("Secret to test: ", "give --secret-file FILE")?;
    Ok(SecretText { kind, text })
}
