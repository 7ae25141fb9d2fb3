//! `key status|rotate`: the vault's own keys, and new ones in their place.

use serde_json::{Value, json};

use super::{Context, cell, day};
use crate::args::{KeyCommand, RotateCommand};
use crate::backend::{Backend, Scope};
use crate::failure::{Exit, Failure};
use crate::interrupt::{self, Patience};
use crate::terminal::{Column, Table, Terminal, Tone};

/// What `--deep` replaces, and what not.
const DEEP: &str = "replaces the root key and the anchor's secret at once, then every key of every person \
    with all nodes above them, then the index with its keys, and the keys of the log, of its signature and of \
    rows that belong to nobody; keeps the key of the erasure ledger, which backups from before need, a \
    person's audit key, and the key inside each blob, which seals that blob alone";

pub(super) fn run(context: &Context<'_>, command: &KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::Status { subject } => {
            let answer = context.backend()?.keys(*subject, true)?;
            context
                .terminal
                .answer(&answer, |terminal| status(terminal, &answer));
            Ok(())
        }
        KeyCommand::Rotate(RotateCommand::Root { deep }) => root(context, *deep),
        KeyCommand::Rotate(RotateCommand::Subject { subject }) => {
            let backend = context.backend()?;
            if context.globals.dry_run {
                let keys = backend.keys(Some(*subject), false)?["subject_keys"].take();
                let answer = json!({"would_replace": keys});
                context.terminal.answer(&answer, |terminal| {
                    format!("would replace\n{}", terminal.table(&keys_of(&keys)))
                });
                return Ok(());
            }
            let step = context.terminal.step("sealing everything again");
            let answer = backend.rotate(Scope::Subject(*subject))?;
            drop(step);
            context.terminal.answer(&answer, |terminal| {
                let keys = terminal.table(&keys_of(&answer["subject_keys"]));
                format!("every key was replaced and the old ones are destroyed\n{keys}")
            });
            Ok(())
        }
        KeyCommand::Rotate(RotateCommand::All { status: true, .. }) => {
            let mut answer = context.backend()?.keys(None, false)?;
            let answer = json!({"rotation": answer["rotation"].take()});
            context
                .terminal
                .answer(&answer, |_| sentence(&answer["rotation"]));
            Ok(())
        }
        KeyCommand::Rotate(RotateCommand::All { deep, .. }) => all(context, *deep),
    }
}

/// Asks which of the two is meant, unless that was said.
fn root(context: &Context<'_>, deep: bool) -> Result<(), Failure> {
    let globals = &context.globals;
    if deep {
        return all(context, true);
    }
    if globals.dry_run {
        let answer = json!({"would_replace": "root"});
        let text = "would replace the root key and the anchor's secret, in one commit";
        context.terminal.answer(&answer, |_| text.to_owned());
        return Ok(());
    }
    if !globals.yes {
        let question = "What may have leaked?\n\
            1  a secret alone, such as the root key: it is replaced at once\n\
            2  files of the vault or its anchor as well: everybody gets new keys (--deep)\n\
            1 or 2?";
        let instead = "say --yes for a secret that leaked alone, or --deep where files or anchor may have been copied with it";
        match context.terminal.ask(question, instead)?.trim() {
            "1" => {}
            "2" => return all(context, true),
            _ => {
                return Err(Failure::new(
                    Exit::Failed,
                    "not_confirmed",
                    "neither 1 nor 2",
                    "nothing was changed",
                ));
            }
        }
    }
    let answer = context.backend()?.rotate(Scope::Root)?;
    context.terminal.answer(&answer, |_| {
        format!(
            "the root key was replaced: epoch {} is over, {} has begun. A passphrase, key file or share that leaked opens its slot all the same: `slot remove` ends that",
            answer["epoch_before"], answer["epoch_after"]
        )
    });
    Ok(())
}

fn all(context: &Context<'_>, deep: bool) -> Result<(), Failure> {
    let terminal = context.terminal;
    let backend = context.backend()?;
    let people = backend.status()?["people"].clone();
    if context.globals.dry_run {
        let what = if deep {
            DEEP
        } else {
            "replaces every key of every person"
        };
        let answer =
            json!({"would_replace": if deep { "all, deep" } else { "all" }, "people": people});
        terminal.answer(&answer, |_| format!("{people} people; {what}"));
        return Ok(());
    }
    if deep {
        terminal.note(&format!("--deep {DEEP}"));
    }
    let question = format!(
        "Give all {people} people new keys? What data backups hold of them now cannot be restored afterwards: make a new one then."
    );
    terminal.confirm(&question, context.globals.yes)?;
    let begun = backend.rotate(Scope::All { deep })?;
    if begun["resumed"] == true {
        terminal.note(&format!(
            "goes on with what was begun on {}",
            day(&begun["rotation"]["begun_at"])
        ));
    }
    let rotation = to_the_end(context, &*backend)?;
    if rotation["state"] != "done" {
        return Err(interrupt::failure(&format!(
            "{}; `key rotate all` goes on from there, and so does a server",
            sentence(&rotation)
        )));
    }
    let answer = json!({"scope": "all", "rotation": rotation, "resumed": begun["resumed"]});
    terminal.answer(&answer, |_| sentence(&answer["rotation"]));
    match answer["rotation"]["people_skipped"].as_u64() {
        None | Some(0) => Ok(()),
        Some(skipped) => Err(Failure::new(
            Exit::Damaged,
            "damaged",
            format!("{skipped} people keep their old keys, because rows of theirs are damaged"),
            "restore the vault from its last good backup, then rotate again",
        )),
    }
}

fn to_the_end(context: &Context<'_>, backend: &dyn Backend) -> Result<Value, Failure> {
    let patience = Patience::begin();
    let step = context.terminal.step("giving everybody new keys");
    let rotation = backend.rotate_on(&mut |rotation| {
        step.say(sentence(rotation));
        !patience.asked()
    })?;
    drop(step);
    match rotation.is_null() {
        // Another process has ended it meanwhile.
        true => Ok(backend.keys(None, false)?["rotation"].take()),
        false => Ok(rotation),
    }
}

/// How a rotation stands, in words.
fn sentence(rotation: &Value) -> String {
    if rotation.is_null() {
        return "there was no rotation of all keys yet".to_owned();
    }
    let (done, people) = (&rotation["people_done"], &rotation["people"]);
    let kind = if rotation["deep"] == true {
        " (deep)"
    } else {
        ""
    };
    match (rotation["state"].as_str(), rotation["stage"].as_str()) {
        (Some("done"), _) => format!(
            "rotation {}{kind} has ended on {}: {done} people have new keys, {} old ones",
            rotation["number"],
            day(&rotation["ended_at"]),
            rotation["people_left"],
        ),
        (state, Some(stage @ ("index" | "marks" | "rows"))) => {
            let (what, of) = match stage {
                "index" => ("the index is built under new keys", "people"),
                "marks" => ("what led to the old index leaves the keysets", "people"),
                _ => (
                    "what belongs to nobody, and the log, is sealed again",
                    "rows",
                ),
            };
            format!(
                "rotation {}{kind} is {}: everybody has new keys; {what}: {} of {} {of}",
                rotation["number"],
                state.unwrap_or("under way"),
                rotation["step_done"],
                rotation["step_total"],
            )
        }
        (state, _) => format!(
            "rotation {}{kind} is {}: {done} of {people} people have new keys, {} are left",
            rotation["number"],
            state.unwrap_or("under way"),
            rotation["people_left"],
        ),
    }
}

fn status(terminal: &Terminal, answer: &Value) -> String {
    let (root, index) = (&answer["root"], &answer["index"]);
    let table = Table::pairs(
        [
            ("root key, epoch", cell(&root["epoch"])),
            ("root key, slots", cell(&root["slots"])),
            ("root key rotated", day(&root["rotated_at"])),
            ("index, generation", cell(&index["generation"])),
            ("index, keys", cell(&index["keys"])),
            ("log signed by", cell(&answer["signer"]["key"])),
            ("people's keys", sentence(&answer["rotation"])),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let mut text = terminal.table(&table);
    let system = &answer["system_keys"];
    if system.is_array() {
        text = format!(
            "{}\n\n{}",
            text.trim_end(),
            terminal.table(&system_keys(system))
        );
        let ending = system.as_array().into_iter().flatten();
        for key in ending.filter(|key| key["state"] == "ending") {
            text.push_str(&format!(
                "{} values still under key {} of {}\n",
                key["values"],
                key["key"],
                match key["of"] == "log" {
                    true => "the log",
                    false => "rows that belong to nobody",
                },
            ));
        }
    }
    let keys = &answer["subject_keys"];
    if keys.is_array() {
        text = format!("{}\n\n{}", text.trim_end(), terminal.table(&keys_of(keys)));
        let keys = keys.as_array().into_iter().flatten();
        for key in keys.filter(|key| key["state"] == "ending") {
            text.push_str(&format!(
                "{} values still under key {}\n",
                key["values"], key["key"]
            ));
        }
    }
    text
}

fn system_keys(keys: &Value) -> Table {
    let mut table = Table::new(vec![
        Column::name("of"),
        Column::new("key", 0),
        Column::new("state", 1),
        Column::new("values", 2),
    ]);
    for key in keys.as_array().into_iter().flatten() {
        let cells = ["of", "key", "state", "values"].map(|name| cell(&key[name]));
        table.push(cells.map(|text| (text, Tone::Plain)).into());
    }
    table
}

fn keys_of(keys: &Value) -> Table {
    let mut table = Table::new(vec![
        Column::name("key"),
        Column::new("compartment", 0),
        Column::new("period", 1),
        Column::new("state", 2),
        Column::new("values", 3),
    ]);
    for key in keys.as_array().into_iter().flatten() {
        let cells = [
            cell(&key["key"]),
            cell(&key["compartment"]),
            day(&key["period"]),
            cell(&key["state"]),
            cell(&key["values"]),
        ];
        table.push(cells.map(|text| (text, Tone::Plain)).into());
    }
    table
}
