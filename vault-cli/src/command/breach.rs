//! `breach scope`: who is affected, in numbers; whom, in a file; and drafts of what is told.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde_json::{Value, json};
use vault_core::breach::DraftFor;
use vault_core::vault::BreachInput;

use super::{Context, cell, status};
use crate::args::{BreachCommand, ScopeArguments};
use crate::backend::Backend;
use crate::failure::{Exit, Failure};
use crate::terminal::{Column, Table, Terminal, Tone};

pub(super) fn run(context: &Context<'_>, command: &BreachCommand) -> Result<(), Failure> {
    let BreachCommand::Scope(arguments) = command;
    let terminal = context.terminal;
    let input = BreachInput {
        vector: arguments.vector(),
        from: arguments.from,
        to: arguments.to,
    };
    let backend = context.backend()?;
    let people = arguments.people.as_deref();
    let file = people.map(create).transpose()?;
    let made = (|| {
        let step = terminal.step("looking for who is affected");
        let mut out = file.map(BufWriter::new);
        let sink = out.as_mut().map(|out| out as &mut dyn Write);
        let report = backend.breach_scope(&input, sink, &mut |done, total| {
            step.say(format!(
                "looking for who is affected, {done} of {total} people"
            ));
        })?;
        drop(step);
        if let (Some(out), Some(path)) = (out, people) {
            let failed = |error: &io::Error| {
                Failure::io(format!("could not write {}", path.display()), error)
            };
            let file = out.into_inner().map_err(|error| failed(error.error()))?;
            file.sync_all().map_err(|error| failed(&error))?;
        }
        Ok(report)
    })();
    let report: Value = match (made, people) {
        (Ok(report), _) => report,
        (Err(failure), people) => {
            // Half a list would be taken for a whole one.
            let _ = people.map(std::fs::remove_file);
            return Err(failure);
        }
    };
    let drafts = drafts(&*backend, arguments, &report)?;
    let answer = json!({
        "report": report,
        "people_file": people.map(|path| path.display().to_string()),
        "drafts": drafts,
    });
    terminal.answer(&answer, |terminal| text(terminal, &answer));
    Ok(())
}

/// A file of that name that was not there, for its owner alone.
fn create(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::new(
            Exit::Failed,
            "exists",
            format!("{} exists already", path.display()),
            "name a file that does not exist yet; nothing was changed",
        ),
        _ => Failure::io(format!("could not write {}", path.display()), &error),
    })
}

/// Writes the drafts that are wanted; their files.
fn drafts(
    backend: &dyn Backend,
    arguments: &ScopeArguments,
    report: &Value,
) -> Result<Vec<String>, Failure> {
    let Some(out) = &arguments.out else {
        return Ok(Vec::new());
    };
    // All of them are made before any is written: half of what was asked for would be taken for all.
    let mut made = Vec::new();
    for whom in &arguments.draft {
        let whom = DraftFor::from(*whom);
        let lang = arguments.lang.as_deref();
        let drafts = backend.breach_drafts(report, whom, lang, arguments.aware)?;
        for draft in drafts["drafts"].as_array().into_iter().flatten() {
            let lang = draft["lang"].as_str().unwrap_or_default();
            // From outside: a name of a file is letters and hyphens.
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            if lang.is_empty() || !lang.bytes().all(plain) {
                return Err(Failure::of_code("internal", "the answer names no language"));
            }
            let name = format!("{}-{lang}.md", whom.name());
            made.push((
                name,
                draft["markdown"].as_str().unwrap_or_default().to_owned(),
            ));
        }
    }
    let failed =
        |error: &io::Error| Failure::io(format!("could not make {}", out.display()), error);
    let mut builder = DirBuilder::new();
    let directory = builder.recursive(true).mode(0o700).create(out);
    directory.map_err(|error| failed(&error))?;
    let mut files = Vec::new();
    for (name, markdown) in made {
        let path = out.join(name);
        let mut file = create(&path)?;
        file.write_all(markdown.as_bytes())
            .map_err(|error| Failure::io(format!("could not write {}", path.display()), &error))?;
        files.push(path.display().to_string());
    }
    Ok(files)
}

fn text(terminal: &Terminal, answer: &Value) -> String {
    let report = &answer["report"];
    let mut text = format!(
        "{} {}\n",
        cell(&report["of"]["kind"]),
        cell(&report["of"]["name"])
    );
    text += &terminal.table(&status::members(report));
    if report["ciphertext_only"] == true {
        text += "\nciphertext only: nobody who has it can read it (Art. 34(3)(a) GDPR)\n";
    }
    if report["not_resolvable"] != 0 {
        let who = match report["damaged"] != 0 && report["at_most"] == false {
            true => "people who have been erased since, or whose rows do not open",
            false => "people who have been erased since",
        };
        text += &format!(
            "\nno longer resolvable: {} ({who})\n",
            report["not_resolvable"]
        );
    }
    let categories = report["categories"].as_array().into_iter().flatten();
    let mut table = Table::new(vec![
        Column::name("category"),
        Column::new("special", 1),
        Column::name("people"),
    ]);
    if report["of"]["kind"] == "recipient" {
        text +=
            "\nwho was disclosed to it and is still there: of whoever was erased, nobody knows\n";
    }
    let mut any = false;
    for one in categories {
        let special = match one["special"].as_str() {
            Some(special) => (special.to_owned(), Tone::Warn),
            None => ("-".to_owned(), Tone::Plain),
        };
        any = true;
        table.push(vec![
            (cell(&one["category"]), Tone::Plain),
            special,
            (cell(&one["people"]), Tone::Plain),
        ]);
    }
    if any {
        text += &format!("\n{}", terminal.table(&table));
    }
    if let Some(file) = answer["people_file"].as_str() {
        text += &format!("\nwhom: {file}, readable by you alone\n");
    }
    for file in answer["drafts"].as_array().into_iter().flatten() {
        text += &format!("\ndraft: {}", cell(file));
    }
    text
}
