//! `import`: people and records from a file, in batches, each line once.

mod document;
mod errors;
mod input;
mod position;
mod send;

use std::path::Path;

use jiff::Timestamp;
use serde_json::json;
use vault_core::audit::hex;
use vault_core::entropy::{Entropy, OsEntropy};
use vault_core::import::{Archive, ArchiveError, Mapping, ReadError};
use vault_core::limits::IMPORT_LINES_MAX;

use super::Context;
use crate::args::ImportArguments;
use crate::failure::{Exit, Failure};
use errors::ErrorsFile;
use input::Input;
use position::{Position, PositionFile};
use send::Import;

pub(super) fn run(context: &Context<'_>, arguments: &ImportArguments) -> Result<(), Failure> {
    let mapping = arguments.mapping.as_deref().map(read_mapping).transpose()?;
    let input = Input::open(&arguments.file)?;
    let (sha256, size) = input.hash(&arguments.file, arguments.mapping.as_deref())?;
    let archive = match input.is_zip(&arguments.file, mapping.is_some())? {
        true => Some(Archive::open(input.clone()).map_err(|error| damaged(&error))?),
        false => None,
    };
    let caller = context.caller()?;
    let dry_run = context.globals.dry_run;
    let beside = PositionFile::beside(&arguments.file, &caller.vault()?);
    let before = beside.read(&sha256)?.filter(|_| !dry_run);
    let goes_on = before.is_some();
    let position = before.unwrap_or_else(|| begin(sha256));
    if position.done {
        context
            .terminal
            .note("this file was imported before; nothing was written again");
        return answer(context, &position, 0, true);
    }
    if position.too_old(Timestamp::now()) && !arguments.accept_doubles {
        return Err(Failure::new(
            Exit::Failed,
            "position_old",
            format!(
                "this import stopped more than a day ago after line {}; the vault no longer knows whether the {IMPORT_LINES_MAX} lines behind it were written",
                position.line
            ),
            "look whether they are there; then go on with --accept-doubles, or cut the file",
        ));
    }
    let from = goes_on.then_some(position.errors_bytes);
    let errors = arguments.errors.as_deref();
    let errors = errors
        .map(|path| ErrorsFile::open(path, from))
        .transpose()?;
    let step = context.terminal.step("importing");
    let beside = (!dry_run).then_some(beside);
    let mut import = Import::new(&*caller, mapping.as_ref(), archive, position, &step, size);
    import.read(input, beside, errors)?;
    import.end()?;
    let Import {
        position,
        shown,
        skipped,
        missing_files,
        ..
    } = import;
    drop(step);
    if skipped > 0 {
        let note = format!("{skipped} values of the package are masked ones, and were left out");
        context.terminal.note(&note);
    }
    if missing_files > 0 {
        let note =
            format!("{missing_files} files are not in this form of the package; its ZIP has them");
        context.terminal.note(&note);
    }
    if position.refused == 0 {
        return answer(context, &position, skipped, false);
    }
    let all = position.written + position.refused;
    let (not, rest) = match dry_run {
        true => ("would not be", "Nothing was written."),
        false => ("were not", "The others are."),
    };
    Err(Failure {
        findings: shown,
        ..Failure::new(
            Exit::Failed,
            "lines_refused",
            format!("{} of {all} lines {not} written. {rest}", position.refused),
            "mend these lines and import them from a file of their own; --errors FILE takes all of them",
        )
    })
}

fn answer(
    context: &Context<'_>,
    position: &Position,
    skipped: u64,
    before: bool,
) -> Result<(), Failure> {
    let dry_run = context.globals.dry_run;
    let name = if dry_run { "would_write" } else { "written" };
    let answer = json!({
        (name): position.written,
        "refused": position.refused,
        "files": position.files,
        "masked_values_left_out": skipped,
        "imported_before": before,
    });
    context.terminal.answer(&answer, |_| {
        let would = if dry_run {
            "would be written"
        } else {
            "are written"
        };
        format!(
            "{} lines {would}, {} files",
            position.written, position.files
        )
    });
    Ok(())
}

fn begin(sha256: String) -> Position {
    let mut name = [0; 16];
    OsEntropy.fill(&mut name);
    Position {
        import: hex(&name),
        sha256,
        line: 0,
        written: 0,
        refused: 0,
        files: 0,
        errors_bytes: 0,
        at: Timestamp::now(),
        done: false,
    }
}

fn read_mapping(path: &Path) -> Result<Mapping, Failure> {
    let text = crate::input::read_policy(path)?;
    Mapping::parse(&text).map_err(|error| {
        Failure::new(
            Exit::Failed,
            "mapping",
            format!("{}: {error}", path.display()),
            "correct it; docs/operations.md \"Import\" has the keys",
        )
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::io(format!("could not read {}", path.display()), error)
}

fn damaged(error: &ArchiveError) -> Failure {
    let (exit, code) = match error {
        ArchiveError::Damaged => (Exit::Damaged, "damaged"),
        ArchiveError::TooLarge(_) => (Exit::Failed, "too_large"),
        _ => (Exit::Failed, "not_a_package"),
    };
    let help = "nothing was written; get the package again from where it was made";
    Failure::caused(exit, code, error, help)
}

/// It was whole, and is not any more.
fn changed() -> Failure {
    Failure::new(
        Exit::Damaged,
        "damaged",
        "the package was changed while it was read",
        "what was written before stays; put the package back as it was, and the same command goes on",
    )
}

/// Why a file cannot be read on.
fn unread(error: &ReadError) -> Failure {
    let code = match error {
        ReadError::NoColumn(_) => "no_column",
        ReadError::Io(_) => "io",
        ReadError::RowTooLarge { .. } | ReadError::TooLarge(_) => "too_large",
        ReadError::Version(_) => "version",
        _ => "not_a_package",
    };
    let help = "nothing behind that was written; the same command goes on";
    Failure::caused(Exit::Failed, code, error, help)
}
