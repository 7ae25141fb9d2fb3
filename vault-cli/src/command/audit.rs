//! `audit tail|verify|export|key|checkpoint`: what was done, and that nobody changed it since.
//!
//! No entry holds a value. Every call here leaves an entry itself.

use std::path::PathBuf;

use serde_json::{Value, json};
use vault_core::limits::AUDIT_PAGE_MAX;
use vault_core::vault::AuditQuery;

use super::{Context, cell, status};
use crate::args::{AuditCommand, TailArguments};
use crate::failure::{Exit, Failure};
use crate::input;
use crate::terminal::{Column, Table, Tone};

mod export;

pub(super) fn run(context: &Context<'_>, command: &AuditCommand) -> Result<(), Failure> {
    let terminal = context.terminal;
    match command {
        AuditCommand::Tail(arguments) => tail(context, arguments),
        AuditCommand::Verify { checkpoints } => verify(context, checkpoints),
        AuditCommand::Export { to } => export::run(context, to.as_deref()),
        AuditCommand::Key => {
            let keys = context.backend()?.log_keys()?;
            terminal.answer(&keys, |_| cell(&keys["key"]));
            Ok(())
        }
        AuditCommand::Checkpoint => {
            let note = context.backend()?.log_checkpoint()?;
            // A note ends with one line feed, which is the one that the answer gets.
            terminal.answer(&json!({"checkpoint": note}), |_| note.clone());
            Ok(())
        }
    }
}

fn tail(context: &Context<'_>, arguments: &TailArguments) -> Result<(), Failure> {
    let backend = context.backend()?;
    let wanted = usize::from(arguments.last);
    let mut query = AuditQuery {
        subject: arguments.subject,
        actor: arguments.actor,
        action: arguments.action.clone(),
        outcome: arguments.outcome.clone(),
        since: arguments.since,
        ..AuditQuery::default()
    };
    let step = context.terminal.step("reading the log");
    let mut entries: Vec<Value> = Vec::new();
    let size = loop {
        query.last = (wanted - entries.len()).min(AUDIT_PAGE_MAX);
        let mut page = backend.audit(&query)?;
        if let Value::Array(found) = page["entries"].take() {
            entries.extend(found);
        }
        // A page may be empty and have others before it: a call looks at so many entries alone.
        query.before = page["next"].as_u64();
        match query.before {
            Some(before) if entries.len() < wanted => {
                step.say(format!("reading the log, before entry {before}"));
            }
            _ => break page["size"].take(),
        }
    };
    drop(step);
    entries.reverse();
    let answer = json!({"entries": entries, "size": size});
    context.terminal.answer(&answer, |terminal| {
        let text = terminal.table(&table(&answer));
        match text.is_empty() {
            true => "no entry fits".to_owned(),
            false => text,
        }
    });
    Ok(())
}

fn table(answer: &Value) -> Table {
    let mut table = Table::new(vec![
        Column::new("entry", 4),
        Column::new("time", 0),
        Column::new("actor", 0),
        Column::new("role", 3),
        Column::new("action", 0),
        Column::new("purpose", 1),
        Column::new("fields", 2),
        Column::new("outcome", 0),
    ]);
    for found in answer["entries"].as_array().into_iter().flatten() {
        let entry = &found["entry"];
        let fields = match entry["fields"].as_array() {
            Some(fields) => json!(fields.len()),
            None => Value::Null,
        };
        let plain = |value: &Value| (cell(value), Tone::Plain);
        table.push(vec![
            plain(&found["number"]),
            plain(&entry["time"]),
            plain(&entry["actor"]),
            plain(&entry["role"]),
            plain(&entry["action"]),
            plain(&entry["purpose"]),
            plain(&fields),
            (
                cell(&entry["outcome"]),
                match entry["outcome"] == "ok" {
                    true => Tone::Good,
                    false => Tone::Warn,
                },
            ),
        ]);
    }
    table
}

fn verify(context: &Context<'_>, checkpoints: &[PathBuf]) -> Result<(), Failure> {
    let notes = checkpoints.iter().map(|path| input::read_note(path));
    let notes: Vec<String> = notes.collect::<Result<_, _>>()?;
    let backend = context.backend()?;
    let step = context.terminal.step("going over the log");
    let report = backend.verify_log(&notes, &mut |done, size| {
        step.say(format!("going over the log: {done} of {size} entries"));
    })?;
    drop(step);
    if report["sound"] != true {
        return Err(unsound(&report));
    }
    context.terminal.answer(&report, |terminal| {
        let members = terminal.table(&status::members(&report));
        format!("the log is whole\n{members}")
    });
    Ok(())
}

fn unsound(report: &Value) -> Failure {
    let faults = report["faults"].as_array();
    let mut findings: Vec<String> = faults.into_iter().flatten().map(cell).collect();
    let total = report["faults_total"].as_u64().unwrap_or(0);
    let more = total.saturating_sub(findings.len() as u64);
    if more > 0 {
        findings.push(format!("and {more} more"));
    }
    Failure {
        findings,
        ..Failure::new(
            Exit::Damaged,
            "log_unsound",
            format!(
                "the log of {} entries is not what was signed",
                report["entries"]
            ),
            "change nothing; check that each checkpoint is this vault's, and keep a copy of both directories as evidence",
        )
    }
}
