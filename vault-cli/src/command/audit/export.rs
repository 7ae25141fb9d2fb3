//! The whole log as lines: canonical entries from the first on, then
//! `{"checkpoint": note, "key": vkey}`.
//!
//! The checkpoint is taken first, so that entries made meanwhile are no part of it; what is written is
//! held to it before a file gets its name. Memory does not grow with the log.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use vault_core::audit::canonical::canonical;
use vault_core::audit::checkpoint::{Checkpoint, VerifierKey};
use vault_core::audit::verify::LogVerifier;
use vault_core::limits::AUDIT_PAGE_MAX;
use vault_core::vault::AuditQuery;

use crate::backend::Backend;
use crate::command::Context;
use crate::failure::{Exit, Failure};
use crate::interrupt::{self, Patience};
use crate::terminal::Step;

/// What is exported: all that one checkpoint covers.
struct Export {
    note: String,
    vkey: String,
    key: VerifierKey,
    size: u64,
}

pub(super) fn run(context: &Context<'_>, to: Option<&Path>) -> Result<(), Failure> {
    let terminal = context.terminal;
    let Some(to) = to else {
        if terminal.json() {
            return Err(Failure::usage(
                "--json has one document on standard output, and the export is lines",
                "add --to FILE, or leave --json out: the lines are JSON as they are",
            ));
        }
        return to_stdout(context);
    };
    if to.try_exists().unwrap_or(false) {
        return Err(exists(to));
    }
    let backend = context.backend()?;
    let export = Export::begin(&*backend)?;
    let file = to.display().to_string();
    if context.globals.dry_run {
        let answer = json!({"would_write": {"file": file, "entries": export.size}});
        terminal.answer(&answer, |_| {
            format!("would write {} entries to {file}", export.size)
        });
        return Ok(());
    }
    // Beside the file, which gets its name when all is there: there is never half an export.
    let dir = match to.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    };
    let unwritable = |error: io::Error| Failure::io(format!("could not write {file}"), &error);
    let patience = Patience::begin();
    let mut out = BufWriter::new(NamedTempFile::new_in(dir).map_err(unwritable)?);
    let step = terminal.step("writing the log");
    export
        .write(&*backend, &mut out, &step, &patience)
        .map_err(|stop| stop.failure(&file))?;
    drop(step);
    let out = out.into_inner().map_err(|error| unwritable(error.into()))?;
    out.as_file().sync_all().map_err(unwritable)?;
    out.persist_noclobber(to)
        .map_err(|error| match error.error.kind() {
            ErrorKind::AlreadyExists => exists(to),
            _ => unwritable(error.error),
        })?;
    let answer = json!({"file": file, "entries": export.size, "key": export.vkey});
    terminal.answer(&answer, |_| {
        format!("{} entries and a checkpoint in {file}", export.size)
    });
    Ok(())
}

fn to_stdout(context: &Context<'_>) -> Result<(), Failure> {
    let backend = context.backend()?;
    let export = Export::begin(&*backend)?;
    if context.globals.dry_run {
        let said = format!("would write {} entries", export.size);
        context.terminal.line(&said);
        return Ok(());
    }
    let step = context.terminal.step("writing the log");
    let mut out = BufWriter::new(io::stdout().lock());
    let patience = Patience::begin();
    let written = export.write(&*backend, &mut out, &step, &patience);
    let written = written.and_then(|()| out.flush().map_err(Stop::Io));
    match written {
        // A reader that went away is no error of ours.
        Err(Stop::Io(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|stop| stop.failure("standard output")),
    }
}

fn exists(to: &Path) -> Failure {
    Failure::new(
        Exit::Failed,
        "exists",
        format!("{} exists already", to.display()),
        "name a file that does not exist yet; nothing was changed",
    )
}

/// Why an export ended before its end.
enum Stop {
    Failure(Failure),
    Io(io::Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl Stop {
    fn failure(self, file: &str) -> Failure {
        match self {
            Self::Failure(failure) => failure,
            Self::Io(error) => Failure::io(format!("could not write {file}"), &error),
        }
    }
}

fn damaged(findings: Vec<String>) -> Failure {
    Failure {
        findings,
        ..Failure::new(
            Exit::Damaged,
            "log_unsound",
            "the entries are not those that the log's checkpoint was signed over",
            "run `vault-cli audit verify`, which names each fault",
        )
    }
}

impl Export {
    fn begin(backend: &dyn Backend) -> Result<Self, Failure> {
        let vkey = backend.log_key()?;
        let note = backend.log_checkpoint()?;
        let unsigned = |error: &dyn std::error::Error| damaged(vec![error.to_string()]);
        let key = VerifierKey::parse(&vkey).map_err(|error| unsigned(&error))?;
        let size = Checkpoint::open(&note, &key).map_err(|error| unsigned(&error))?;
        let size = size.size;
        Ok(Self {
            note,
            vkey,
            key,
            size,
        })
    }

    fn write(
        &self,
        backend: &dyn Backend,
        out: &mut dyn Write,
        step: &Step,
        patience: &Patience,
    ) -> Result<(), Stop> {
        let mut verifier = LogVerifier::new(&self.key.clone().into(), [(None, self.note.clone())]);
        let mut done = 0;
        while done < self.size {
            if patience.asked() {
                let said = format!("stopped after {done} of {} entries", self.size);
                return Err(interrupt::failure(&said).into());
            }
            let upto = self.size.min(done + AUDIT_PAGE_MAX as u64);
            let query = AuditQuery {
                before: Some(upto),
                last: usize::try_from(upto - done).expect("a page"),
                ..AuditQuery::default()
            };
            let mut page = backend.audit(&query)?;
            let Value::Array(mut entries) = page["entries"].take() else {
                return Err(damaged(Vec::new()).into());
            };
            entries.reverse();
            let numbers = entries.iter().map(|entry| entry["number"].as_u64());
            if !numbers.eq((done..upto).map(Some)) {
                let missing = format!("entries {done} to {upto} are not all there");
                return Err(damaged(vec![missing]).into());
            }
            for entry in &entries {
                let line = canonical(&entry["entry"])
                    .map_err(|error| damaged(vec![format!("{}: {error}", entry["number"])]))?;
                verifier.push(&line, |_, _, _| {});
                out.write_all(&line).map_err(Stop::Io)?;
                out.write_all(b"\n").map_err(Stop::Io)?;
            }
            done = upto;
            step.say(format!("writing the log: {done} of {} entries", self.size));
        }
        let report = verifier.finish();
        if !report.sound() {
            let faults = report.faults.iter().map(ToString::to_string).collect();
            return Err(damaged(faults).into());
        }
        let last = json!({"checkpoint": self.note, "key": self.vkey});
        writeln!(out, "{last}").map_err(Stop::Io)
    }
}
