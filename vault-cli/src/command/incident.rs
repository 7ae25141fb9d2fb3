//! `incident list|show`: the register of personal data breaches, which holds no personal data.

use serde_json::Value;
use vault_core::id::IncidentId;

use super::{Context, cell};
use crate::args::IncidentCommand;
use crate::failure::Failure;
use crate::terminal::{Column, Table, Terminal, Tone};

pub(super) fn run(context: &Context<'_>, command: &IncidentCommand) -> Result<(), Failure> {
    match command {
        IncidentCommand::List => list(context),
        IncidentCommand::Show { incident } => show(context, *incident),
    }
}

fn list(context: &Context<'_>) -> Result<(), Failure> {
    let answer = context.backend()?.incidents()?;
    context.terminal.answer(&answer, |terminal| {
        match answer["incidents"].as_array().is_none_or(Vec::is_empty) {
            true => "no breach was noted".to_owned(),
            false => listed(terminal, &answer),
        }
    });
    Ok(())
}

fn listed(terminal: &Terminal, answer: &Value) -> String {
    let mut table = Table::new(vec![
        Column::new("incident", 0),
        Column::new("state", 0),
        Column::new("aware_at", 0),
        Column::new("due_at", 0),
        Column::new("risk", 1),
        Column::new("vector", 1),
        Column::new("steps", 2),
    ]);
    for one in answer["incidents"].as_array().into_iter().flatten() {
        let plain = |name: &str| (cell(&one[name]), Tone::Plain);
        let late = match one["overdue"] == true {
            true => Tone::Warn,
            false => Tone::Plain,
        };
        table.push(vec![
            plain("incident"),
            plain("state"),
            plain("aware_at"),
            (cell(&one["due_at"]), late),
            plain("risk"),
            plain("vector"),
            plain("steps"),
        ]);
    }
    terminal.table(&table)
}

fn show(context: &Context<'_>, incident: IncidentId) -> Result<(), Failure> {
    let answer = context.backend()?.incident(incident)?;
    context
        .terminal
        .answer(&answer, |terminal| shown(terminal, &answer));
    Ok(())
}

fn shown(terminal: &Terminal, view: &Value) -> String {
    let nature = view["nature"].as_array().into_iter().flatten().map(cell);
    let nature: Vec<String> = nature.collect();
    let due = match (view["overdue"] == true, view["notified_at"].as_str()) {
        (_, Some(told)) => format!("the authority was told on {told}"),
        (true, None) => format!(
            "the authority was to be told by {}, which is over",
            cell(&view["due_at"])
        ),
        (false, None) => format!("the authority is to be told by {}", cell(&view["due_at"])),
    };
    let mut text = format!(
        "{} ({}), {}, known since {}; {due}\n{}\n",
        nature.join(", "),
        cell(&view["vector"]),
        cell(&view["state"]),
        cell(&view["aware_at"]),
        cell(&view["summary"]),
    );
    if let Some(people) = view["scope"]["people"].as_u64() {
        text += &format!("people affected: {people}\n");
    }
    let mut table = Table::new(vec![
        Column::new("at", 0),
        Column::new("step", 0),
        Column::new("role", 1),
        Column::new("risk", 1),
        Column::wrapped("text", 0),
    ]);
    let steps = view["history"].as_array().map_or(&[][..], Vec::as_slice);
    for step in steps {
        let row = ["at", "step", "role", "risk", "text"];
        table.push(row.map(|name| (cell(&step[name]), Tone::Plain)).into());
    }
    match steps.is_empty() {
        true => text + "no step was noted",
        false => text + &terminal.table(&table),
    }
}
