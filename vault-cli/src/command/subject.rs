//! `subject find|show|erase`: people, without their values.

use std::io::IsTerminal;

use serde_json::{Value, json};
use vault_core::id::SubjectId;

use super::{Context, cell, status};
use crate::args::SubjectCommand;
use crate::failure::Failure;
use crate::input::{self, LookUp};
use crate::terminal::{Column, Table, Terminal, Tone};

pub(super) fn run(context: &Context<'_>, command: &SubjectCommand) -> Result<(), Failure> {
    match command {
        SubjectCommand::Find => {
            let lookup = lookup(context)?;
            let answer = context.backend()?.lookup(&lookup)?;
            context
                .terminal
                .answer(&answer, |_| cell(&answer["subject"]));
            Ok(())
        }
        SubjectCommand::Show { subject } => {
            let answer = context.backend()?.view(*subject)?;
            context
                .terminal
                .answer(&answer, |terminal| text(terminal, &answer));
            Ok(())
        }
        SubjectCommand::Erase { subject } => erase(context, *subject),
    }
}

/// From standard input, or asked for: never an argument.
fn lookup(context: &Context<'_>) -> Result<LookUp, Failure> {
    if !std::io::stdin().is_terminal() {
        return input::read_lookup();
    }
    let ask = |question| {
        let instead = r#"give {"channel": "…", "user": "…"} on standard input"#;
        context.terminal.ask(question, instead)
    };
    let by = ask("Look up by field (such as profile.email) or channel (such as web):")?;
    let what = ask("Value:")?;
    if by.contains('.') {
        Ok(LookUp::Field {
            field: by,
            value: Value::String(what),
        })
    } else {
        Ok(LookUp::Channel {
            channel: by,
            user: what,
        })
    }
}

fn text(terminal: &Terminal, view: &Value) -> String {
    let mut table = Table::new(vec![Column::name("collection"), Column::name("records")]);
    for count in view["collections"].as_array().into_iter().flatten() {
        let cells = [cell(&count["collection"]), cell(&count["records"])];
        table.push(cells.map(|text| (text, Tone::Plain)).into());
    }
    let members = terminal.table(&status::members(view));
    format!("{members}\n\n{}", terminal.table(&table))
}

fn erase(context: &Context<'_>, subject: SubjectId) -> Result<(), Failure> {
    let terminal = context.terminal;
    let backend = context.backend()?;
    // Also tells an unknown or erased person before anybody is asked.
    let view = backend.view(subject)?;
    if context.globals.dry_run {
        let answer = json!({"would_erase": view});
        terminal.answer(&answer, |terminal| {
            format!("would erase\n{}", text(terminal, &view))
        });
        return Ok(());
    }
    let records: u64 = view["collections"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|count| count["records"].as_u64())
        .sum();
    let question = format!(
        "Erase {subject} with {records} records? Their keys are destroyed; nothing brings them back."
    );
    terminal.confirm(&question, context.globals.yes)?;
    let step = terminal.step("erasing");
    let answer = backend.erase(subject)?;
    drop(step);
    terminal.note("keep the receipt: it proves the erasure, and the vault keeps no copy of it");
    terminal.answer(&answer, |_| {
        serde_json::to_string_pretty(&answer["receipt"]).unwrap_or_default()
    });
    Ok(())
}
