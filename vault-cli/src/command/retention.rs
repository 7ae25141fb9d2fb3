//! `retention run`: drops what has expired, to the end.

use serde_json::{Value, json};

use super::{Context, status};
use crate::args::RetentionCommand;
use crate::failure::Failure;
use crate::interrupt::{self, Patience};
use crate::terminal::Tone;

pub(super) fn run(context: &Context<'_>, command: &RetentionCommand) -> Result<(), Failure> {
    let RetentionCommand::Run = command;
    let terminal = context.terminal;
    let backend = context.backend()?;
    let step = terminal.step("counting what is due");
    let due = backend.retention_due()?;
    drop(step);
    let damaged = due["people_damaged"].as_u64().unwrap_or(0);
    if damaged > 0 {
        terminal.warn(&format!(
            "{damaged} people are passed by: a row of theirs does not open; restore the last good backup (docs/operations.md)"
        ));
    }
    if context.globals.dry_run {
        let answer = json!({"would_drop": due});
        terminal.answer(&answer, |terminal| {
            let mut members = status::members(&due);
            for due in due["purposes"].as_array().into_iter().flatten() {
                let purpose = due["purpose"].as_str().unwrap_or_default();
                let count = format!("{} of {} people", due["values"], due["people"]);
                members.push(vec![
                    (format!("values of {purpose}"), Tone::Plain),
                    (count, Tone::Plain),
                ]);
            }
            format!("due\n{}", terminal.table(&members))
        });
        return Ok(());
    }
    if !any(&due) {
        let answer = json!({"passes": 0, "more": false, "due": due});
        terminal.answer(&answer, |_| "nothing is due".to_owned());
        return Ok(());
    }
    let question = format!(
        "Drop {} records or values in them of {} people ({} of them with everything), and {} keys? \
         Nothing brings them back.",
        due["records"], due["people"], due["people_whole"], due["keys"]
    );
    terminal.confirm(&question, context.globals.yes)?;
    let patience = Patience::begin();
    let step = terminal.step("dropping what has expired");
    let mut passes = 0;
    loop {
        let pass = backend.retention_pass()?;
        passes += pass["passes"].as_u64().unwrap_or(0);
        if pass["more"] != true {
            break;
        }
        if patience.asked() {
            drop(step);
            return Err(interrupt::failure(&format!(
                "stopped after {passes} passes, which stay done; `retention run` goes on from there"
            )));
        }
        step.say(format!("dropping what has expired, pass {}", passes + 1));
    }
    drop(step);
    let answer = json!({"passes": passes, "more": false, "due": due});
    terminal.answer(&answer, |_| {
        format!(
            "dropped {} records or values in them of {} people, and {} keys",
            due["records"], due["people"], due["keys"]
        )
    });
    Ok(())
}

fn any(due: &Value) -> bool {
    let counts = ["people", "records", "keys"];
    due["index"] == true || counts.iter().any(|name| due[*name] != 0)
}
