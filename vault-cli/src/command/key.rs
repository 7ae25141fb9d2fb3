//! `key status|rotate`: the vault's own keys, and new ones in their place.

mod words;

use serde_json::{Value, json};

use super::{Context, day};
use crate::args::{KeyCommand, RotateCommand};
use crate::backend::{Backend, Scope};
use crate::failure::{Exit, Failure};
use crate::interrupt::{self, Patience};
use words::{count, keys_of, met, sentence, status};

/// What `--deep` replaces, in its order, and what not.
const DEEP: &str = "replaces at once the root key and the anchor's secret, and the keys of the log, of its \
    signature and of rows that belong to nobody; then every key of every person with all nodes above them, and \
    the index with its keys; then it seals again what lies under the old keys of log and rows, and these go. \
    It keeps the key of the erasure ledger, which backups from before need, a person's audit key, and the key \
    inside each blob, which seals that blob alone";

/// What to do where something does not open.
const MEND: &str = "restore the vault from its last good backup, then rotate again; until then the old keys stay \
    that it may lie under, and nothing is written under those";

pub(super) fn run(context: &Context<'_>, command: &KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::Status { subject } => {
            let answer = context.backend()?.keys(*subject, true)?;
            context
                .terminal
                .answer(&answer, |terminal| status(terminal, &answer));
            match count(&answer["damaged_rows"], "count") {
                0 => Ok(()),
                rows => Err(damaged(format!(
                    "{rows} rows that belong to nobody, or of the log, do not open"
                ))),
            }
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
        "Give all {people} people new keys? A backup from before opens with its own key part alone, until that \
         expires, and `backup rekey` gives it none that brings them back: make a new backup afterwards."
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
    match met(&answer["rotation"]) {
        met if met.is_empty() => Ok(()),
        met => Err(damaged(met.join("; "))),
    }
}

fn damaged(what: String) -> Failure {
    Failure::new(Exit::Damaged, "damaged", what, MEND)
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
