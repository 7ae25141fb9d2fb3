//! `subject find|show|access|export|hold|holds|erase`: people, without their values but in a package.

mod export;
pub(super) mod hold;

use std::io::IsTerminal;

use serde_json::{Value, json};
use vault_core::id::SubjectId;
use vault_core::limits::AUDIT_PAGE_MAX;
use vault_core::vault::AccessQuery;

use super::{Context, cell, status};
use crate::args::{AccessArguments, SubjectCommand};
use crate::failure::{Exit, Failure};
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
        SubjectCommand::Access(arguments) => access(context, arguments),
        SubjectCommand::Export(arguments) => export::run(context, arguments),
        SubjectCommand::Hold(arguments) => hold::run(context, arguments),
        SubjectCommand::Holds => hold::list(context),
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

fn access(context: &Context<'_>, arguments: &AccessArguments) -> Result<(), Failure> {
    // Asked for before the passphrase, as `subject find` does.
    let who = match arguments.subject {
        Some(subject) => Ok(subject),
        None => Err(lookup(context)?),
    };
    let backend = context.backend()?;
    let subject = match who {
        Ok(subject) => subject,
        Err(lookup) => found(&backend.lookup(&lookup)?)?,
    };
    let wanted = usize::from(arguments.last);
    let mut query = AccessQuery {
        from: arguments.from,
        to: arguments.to,
        ..AccessQuery::default()
    };
    let step = context.terminal.step("reading the log");
    let mut accesses: Vec<Value> = Vec::new();
    loop {
        query.limit = (wanted - accesses.len()).min(AUDIT_PAGE_MAX);
        let mut page = backend.access(subject, &query)?;
        if let Value::Array(more) = page["accesses"].take() {
            accesses.extend(more);
        }
        query.cursor = page["next"].as_str().map(ToOwned::to_owned);
        if query.cursor.is_none() || accesses.len() >= wanted {
            break;
        }
        step.say(format!("reading the log, {} calls found", accesses.len()));
    }
    drop(step);
    accesses.reverse();
    let answer = json!({"subject": subject.to_string(), "accesses": accesses});
    context.terminal.answer(&answer, |terminal| {
        match answer["accesses"].as_array().is_none_or(Vec::is_empty) {
            true => "nobody looked".to_owned(),
            false => terminal.table(&looked(&answer)),
        }
    });
    Ok(())
}

fn found(answer: &Value) -> Result<SubjectId, Failure> {
    let subject = answer["subject"].as_str().unwrap_or_default();
    subject.parse().map_err(|_| {
        Failure::new(
            Exit::Failed,
            "not_a_vault",
            "the look-up was answered without an id",
            "check that the address is that of a vault's server",
        )
    })
}

fn looked(answer: &Value) -> Table {
    let mut table = Table::new(vec![
        Column::new("time", 0),
        Column::new("role", 0),
        Column::new("purpose", 1),
        Column::new("action", 0),
        Column::new("fields", 2),
        Column::new("about", 3),
        Column::new("outcome", 0),
        Column::new("request", 4),
    ]);
    for one in answer["accesses"].as_array().into_iter().flatten() {
        let fields = one["fields"].as_array().into_iter().flatten().map(cell);
        let fields: Vec<String> = fields.collect();
        let plain = |value: &Value| (cell(value), Tone::Plain);
        table.push(vec![
            plain(&one["time"]),
            plain(&one["role"]),
            plain(&one["purpose"]),
            plain(&one["action"]),
            (fields.join(" "), Tone::Plain),
            plain(&one["about"]),
            (
                cell(&one["outcome"]),
                match one["outcome"] == "ok" {
                    true => Tone::Good,
                    false => Tone::Warn,
                },
            ),
            plain(&one["request"]),
        ]);
    }
    table
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
    let kept = answer["receipt"]["body"]["kept"].as_array();
    if kept.is_some_and(|kept| !kept.is_empty()) {
        terminal.note(
            "a legal hold keeps a part, which the receipt names: it goes when the hold is released",
        );
    }
    terminal.note("keep the receipt: it proves the erasure, and the vault keeps no copy of it");
    terminal.answer(&answer, |_| {
        serde_json::to_string_pretty(&answer["receipt"]).unwrap_or_default()
    });
    Ok(())
}
