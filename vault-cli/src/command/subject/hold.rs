//! `subject hold` and `subject holds`: legal holds, placed, released, shown and listed.

use serde_json::{Value, json};
use vault_core::id::SubjectId;
use vault_core::vault::HoldInput;

use super::super::{Context, cell};
use crate::args::HoldArguments;
use crate::backend::Backend;
use crate::failure::{Exit, Failure};
use crate::input;
use crate::terminal::{Column, Table, Terminal, Tone};

pub(super) fn run(context: &Context<'_>, arguments: &HoldArguments) -> Result<(), Failure> {
    let subject = arguments.subject;
    if arguments.release {
        return release(context, subject);
    }
    let (Some(ground), Some(review_at)) = (arguments.ground, arguments.review_at) else {
        return show(context, subject);
    };
    let text = |path: &Option<_>| path.as_deref().map(input::read_words).transpose();
    let hold = HoldInput {
        ground,
        collections: arguments.collections.clone(),
        reason: text(&arguments.reason_file)?,
        approver: text(&arguments.approver_file)?,
        review_at,
    };
    let answer = context.backend()?.put_hold(subject, &hold)?;
    context
        .terminal
        .answer(&answer, |terminal| terminal.table(&steps(&[&answer])));
    Ok(())
}

fn show(context: &Context<'_>, subject: SubjectId) -> Result<(), Failure> {
    let answer = context.backend()?.hold(subject)?;
    context.terminal.answer(&answer, |terminal| {
        let all: Vec<&Value> = answer["history"].as_array().into_iter().flatten().collect();
        match all.is_empty() {
            true => "no hold".to_owned(),
            false => terminal.table(&steps(&all)),
        }
    });
    Ok(())
}

fn release(context: &Context<'_>, subject: SubjectId) -> Result<(), Failure> {
    let terminal = context.terminal;
    let backend = context.backend()?;
    let view = backend.hold(subject)?;
    if view["held"] != true {
        return Err(Failure::new(
            Exit::Failed,
            "not_found",
            "no hold stands over this person's data",
            "`vault-cli subject hold SUBJECT` shows what there was",
        ));
    }
    let last = view["history"].as_array().and_then(|all| all.last());
    let erases = last.is_some_and(|last| !last["erasure"].is_null());
    if context.globals.dry_run {
        let answer = json!({"would_release": last, "would_erase": erases});
        terminal.answer(&answer, |_| match erases {
            true => "would release the hold, and erase what it kept".to_owned(),
            false => "would release the hold".to_owned(),
        });
        return Ok(());
    }
    if erases {
        let question = format!(
            "Release the hold over {subject}? Their erasure waits for it: what was held is destroyed, and \
             nothing brings it back."
        );
        terminal.confirm(&question, context.globals.yes)?;
    }
    let answer = backend.release_hold(subject)?;
    if !answer["receipt"].is_null() {
        terminal.note("keep the receipt: it proves the erasure, and the vault keeps no copy of it");
    }
    terminal.answer(&answer, |terminal| match answer["receipt"].is_null() {
        true => terminal.table(&steps(&[&answer["hold"]])),
        false => serde_json::to_string_pretty(&answer["receipt"]).unwrap_or_default(),
    });
    Ok(())
}

fn names(value: &Value) -> String {
    let names: Vec<String> = value.as_array().into_iter().flatten().map(cell).collect();
    match names.is_empty() {
        true => "all".to_owned(),
        false => names.join(" "),
    }
}

fn steps(all: &[&Value]) -> Table {
    let mut table = Table::new(vec![
        Column::new("at", 0),
        Column::new("state", 0),
        Column::new("ground", 0),
        Column::new("collections", 1),
        Column::new("review_at", 0),
        Column::new("by", 2),
        Column::new("erasure", 0),
    ]);
    for step in all {
        let pending = match step["erasure"].is_null() {
            true => ("", Tone::Plain),
            false => ("pending", Tone::Warn),
        };
        let plain = |name: &str| (cell(&step[name]), Tone::Plain);
        table.push(vec![
            plain("at"),
            plain("state"),
            plain("ground"),
            (names(&step["collections"]), Tone::Plain),
            plain("review_at"),
            plain("by"),
            (pending.0.to_owned(), pending.1),
        ]);
    }
    table
}

/// Everybody under a hold, in pages.
pub(in crate::command) fn all(backend: &dyn Backend) -> Result<Vec<Value>, Failure> {
    let (mut holds, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut page = backend.holds(cursor.as_deref())?;
        if let Value::Array(more) = page["holds"].take() {
            holds.extend(more);
        }
        cursor = page["next"].as_str().map(ToOwned::to_owned);
        if cursor.is_none() {
            return Ok(holds);
        }
    }
}

pub(super) fn list(context: &Context<'_>) -> Result<(), Failure> {
    let backend = context.backend()?;
    let step = context.terminal.step("looking for holds");
    let holds = all(&*backend)?;
    drop(step);
    let answer = json!({"holds": holds});
    context.terminal.answer(&answer, |terminal| {
        match answer["holds"].as_array().is_none_or(Vec::is_empty) {
            true => "nobody is under a hold".to_owned(),
            false => listed(terminal, &answer),
        }
    });
    Ok(())
}

fn listed(terminal: &Terminal, answer: &Value) -> String {
    let mut table = Table::new(vec![
        Column::new("subject", 0),
        Column::new("ground", 0),
        Column::new("collections", 2),
        Column::new("since", 1),
        Column::new("review_at", 0),
        Column::new("erasure", 0),
    ]);
    for one in answer["holds"].as_array().into_iter().flatten() {
        let plain = |name: &str| (cell(&one[name]), Tone::Plain);
        let warns = |name: &str| match one[name] == true {
            true => Tone::Warn,
            false => Tone::Plain,
        };
        let pending = match one["erasure_pending"] == true {
            true => "pending",
            false => "",
        };
        table.push(vec![
            plain("subject"),
            plain("ground"),
            (names(&one["collections"]), Tone::Plain),
            plain("since"),
            (cell(&one["review_at"]), warns("overdue")),
            (pending.to_owned(), warns("erasure_pending")),
        ]);
    }
    terminal.table(&table)
}
