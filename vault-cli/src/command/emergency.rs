//! `emergency list|approve|deny`: the word of a second person, with an API key of theirs.
//!
//! An unlock secret alone decides nothing here: two API keys are what the promise rests on.

use serde_json::{Value, json};

use super::{Context, cell};
use crate::args::{EmergencyArguments, EmergencyCommand};
use crate::failure::{Exit, Failure};
use crate::terminal::{Column, Table, Terminal, Tone};

pub(super) fn run(context: &Context<'_>, command: &EmergencyCommand) -> Result<(), Failure> {
    match command {
        EmergencyCommand::List { subject } => {
            let answer = context.caller()?.emergencies(*subject)?;
            context.terminal.answer(&answer, |terminal| {
                match answer["emergencies"].as_array().is_none_or(Vec::is_empty) {
                    true => "nobody asked".to_owned(),
                    false => listed(terminal, &answer),
                }
            });
            Ok(())
        }
        EmergencyCommand::Approve(arguments) => decide(context, arguments, true),
        EmergencyCommand::Deny(arguments) => decide(context, arguments, false),
    }
}

fn listed(terminal: &Terminal, answer: &Value) -> String {
    let mut table = Table::new(vec![
        Column::new("emergency", 0),
        Column::new("state", 0),
        Column::new("requested_as", 1),
        Column::new("requested_at", 0),
        Column::new("expires_at", 0),
        Column::new("fields", 1),
        Column::wrapped("reason", 0),
    ]);
    for one in answer["emergencies"].as_array().into_iter().flatten() {
        let plain = |name: &str| (cell(&one[name]), Tone::Plain);
        let waits = match one["state"] == "requested" {
            true => Tone::Warn,
            false => Tone::Plain,
        };
        table.push(vec![
            plain("emergency"),
            (cell(&one["state"]), waits),
            plain("requested_as"),
            plain("requested_at"),
            plain("expires_at"),
            (fields(one), Tone::Plain),
            plain("reason"),
        ]);
    }
    terminal.table(&table)
}

fn fields(one: &Value) -> String {
    let fields = one["fields"].as_array().into_iter().flatten().map(cell);
    fields.collect::<Vec<_>>().join(" ")
}

fn decide(
    context: &Context<'_>,
    arguments: &EmergencyArguments,
    approve: bool,
) -> Result<(), Failure> {
    let (terminal, emergency) = (context.terminal, arguments.emergency);
    let caller = context.caller()?;
    // Whoever agrees sees first what to.
    let all = caller.emergencies(arguments.subject)?;
    let name = emergency.to_string();
    let mut found = all["emergencies"].as_array().into_iter().flatten();
    let one = found.find(|one| one["emergency"] == name.as_str());
    let one = one.ok_or_else(|| {
        Failure::new(
            Exit::Failed,
            "not_found",
            "this person has no such emergency",
            "`emergency list` shows those that there are",
        )
    })?;
    let verb = if approve { "approve" } else { "refuse" };
    if context.globals.dry_run {
        let would = json!({"would": verb, "emergency": one});
        terminal.answer(&would, |_| format!("would {verb} it: {}", asked(one)));
        return Ok(());
    }
    if approve {
        let question = format!("Approve {emergency}? {}.", asked(one));
        terminal.confirm(&question, context.globals.yes)?;
    }
    let answer = caller.decide_emergency(arguments.subject, emergency, approve)?;
    terminal.answer(&answer, |_| cell(&answer["state"]));
    Ok(())
}

/// What it is about.
fn asked(one: &Value) -> String {
    format!(
        "{} asks to see {}, because: {}",
        cell(&one["requested_as"]),
        fields(one),
        cell(&one["reason"])
    )
}
