//! `import`: people and records from a file, in batches, each line once.

mod position;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use vault_core::audit::hex;
use vault_core::consent::ConsentState;
use vault_core::crypto::Sha256Stream;
use vault_core::entropy::{Entropy, OsEntropy};
use vault_core::import::{
    Archive, ArchiveError, Attachment, LineError, Mapping, Piece, ReadError, read_document,
    read_rows,
};
use vault_core::limits::IMPORT_LINES_MAX;
use vault_core::vault::{ImportLine, ImportWhat};

use super::Context;
use crate::args::ImportArguments;
use crate::caller::{BlobOf, Caller};
use crate::failure::{Exit, Failure};
use crate::input;
use crate::interrupt::{self, Patience};
use crate::terminal::Step;
use position::{Position, PositionFile};

/// Bytes of lines that are sent together.
const BATCH_BYTES_MAX: usize = 512 << 10;
/// Longest line that is sent: a call has at most a megabyte, and something besides.
const LINE_BYTES_MAX: usize = (1 << 20) - (64 << 10);
/// Refused lines that are shown where no file takes them.
const SHOWN_MAX: usize = 10;

pub(super) fn run(context: &Context<'_>, arguments: &ImportArguments) -> Result<(), Failure> {
    let mapping = arguments.mapping.as_deref().map(read_mapping).transpose()?;
    let (mut file, sha256, size) = open(&arguments.file, arguments.mapping.as_deref())?;
    let is_zip = refuse_foreign(&mut file, &arguments.file, mapping.is_some())?;
    let archive = match is_zip {
        true => {
            // A file of its own: clones of one share their place in it.
            let again =
                File::open(&arguments.file).map_err(|error| unreadable(&arguments.file, &error))?;
            Some(Archive::open(again).map_err(|error| damaged(&error))?)
        }
        false => None,
    };
    let caller = context.caller()?;
    let dry_run = context.globals.dry_run;
    let beside = PositionFile::beside(&arguments.file, &caller.vault()?);
    let position = match beside.read(&sha256)?.filter(|_| !dry_run) {
        Some(position) => position,
        None => begin(sha256),
    };
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
    let errors = arguments.errors.as_deref().map(errors_file).transpose()?;
    let step = context.terminal.step("importing");
    let mut import = Import {
        caller: &*caller,
        mapping: mapping.as_ref(),
        archive,
        beside: (!dry_run).then_some(beside),
        position,
        errors,
        batch: Vec::new(),
        batch_bytes: 0,
        said: BTreeMap::new(),
        failure: None,
        shown: Vec::new(),
        skipped: 0,
        missing_files: 0,
        step: &step,
        patience: Patience::begin(),
        begun: None,
        dry_run,
        size,
    };
    if let Some(file) = &import.beside {
        // Before the first line: a kill after it finds the name that the lines were sent under.
        file.write(&import.position)?;
    }
    import.read(file, is_zip)?;
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
        at: Timestamp::now(),
        done: false,
    }
}

fn read_mapping(path: &Path) -> Result<Mapping, Failure> {
    let text = input::read_policy(path)?;
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

/// The file, with a hash of it and of its mapping, and its size.
fn open(path: &Path, mapping: Option<&Path>) -> Result<(File, String, u64), Failure> {
    let mut digest = Sha256Stream::default();
    let mut size = 0;
    let mut part = vec![0; 64 << 10];
    let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut add = |file: &mut File, path: &Path| -> Result<u64, Failure> {
        let mut all = 0;
        loop {
            let read = file
                .read(&mut part)
                .map_err(|error| unreadable(path, &error))?;
            if read == 0 {
                return Ok(all);
            }
            all += read as u64;
            digest.update(&part[..read]);
        }
    };
    size += add(&mut file, path)?;
    if let Some(path) = mapping {
        let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
        add(&mut file, path)?;
    }
    let start = file.seek(SeekFrom::Start(0));
    start.map_err(|error| unreadable(path, &error))?;
    Ok((file, hex(&digest.finish()), size))
}

/// Whether it is a ZIP; what cannot be imported is told at once.
fn refuse_foreign(file: &mut File, path: &Path, mapped: bool) -> Result<bool, Failure> {
    let mut head = [0; 32];
    let read = file
        .read(&mut head)
        .map_err(|error| unreadable(path, &error))?;
    let start = file.seek(SeekFrom::Start(0));
    start.map_err(|error| unreadable(path, &error))?;
    let head = &head[..read];
    if head.starts_with(b"age-encryption.org") {
        return Err(Failure::new(
            Exit::Failed,
            "encrypted",
            format!("{} is encrypted", path.display()),
            "decrypt it first: age --decrypt -i KEY -o FILE",
        ));
    }
    let (zip, json) = (
        head.starts_with(b"PK"),
        head.trim_ascii_start().starts_with(b"{"),
    );
    if !mapped && !zip && !json {
        return Err(Failure::usage(
            format!("{} is no package of ours", path.display()),
            "say which column goes where with --mapping FILE",
        ));
    }
    Ok(zip && !mapped)
}

fn errors_file(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).mode(0o600).open(path);
    file.map_err(|error| Failure::io(format!("could not write {}", path.display()), &error))
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

struct Import<'a> {
    caller: &'a dyn Caller,
    mapping: Option<&'a Mapping>,
    archive: Option<Archive<File>>,
    beside: Option<PositionFile>,
    position: Position,
    errors: Option<File>,
    batch: Vec<(ImportLine, Vec<Attachment>)>,
    batch_bytes: usize,
    /// What was said last about each purpose: a dry run, of which no batch stands, says it again.
    said: BTreeMap<String, ImportLine>,
    /// What ended the reading.
    failure: Option<Failure>,
    shown: Vec<String>,
    skipped: u64,
    missing_files: u64,
    step: &'a Step,
    patience: Patience,
    /// The first line that was sent now.
    begun: Option<u64>,
    dry_run: bool,
    size: u64,
}

impl Import<'_> {
    fn read(&mut self, file: File, is_zip: bool) -> Result<(), Failure> {
        let path_help = "nothing behind that was written; the same command goes on";
        let read = match (self.mapping, is_zip) {
            (Some(mapping), _) => read_rows(mapping, file, &mut |piece| self.take(piece)),
            (None, false) => read_document(file, &mut |piece| self.take(piece)),
            (None, true) => {
                let mut zip = Archive::open(file).map_err(|error| damaged(&error))?;
                let document = zip.member("data.json").map_err(|error| damaged(&error))?;
                read_document(document, &mut |piece| self.take(piece))
            }
        };
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        read.map_err(|error| {
            let code = match &error {
                ReadError::NoColumn(_) => "no_column",
                ReadError::Io(_) => "io",
                ReadError::RowTooLarge { .. } | ReadError::TooLarge(_) => "too_large",
                ReadError::Version(_) => "version",
                _ => "not_a_package",
            };
            Failure::caused(Exit::Failed, code, &error, path_help)
        })
    }

    /// Takes a piece; `false` where the import has failed.
    fn take(&mut self, piece: Piece) -> bool {
        let done = match piece {
            Piece::Skipped => {
                self.skipped += 1;
                Ok(())
            }
            Piece::Wrong(error) => self.wrong(error),
            Piece::Line(line, files) => self.line(*line, files),
        };
        self.failure = done.err();
        self.failure.is_none()
    }

    fn line(&mut self, line: ImportLine, files: Vec<Attachment>) -> Result<(), Failure> {
        if line.line <= self.position.line {
            return Ok(());
        }
        let bytes = line_body(&line).to_string().len();
        if bytes > LINE_BYTES_MAX {
            self.position.refused += 1;
            return self.refused(line.line, "", "too_large", "");
        }
        let another = self
            .batch
            .last()
            .is_some_and(|(last, _)| last.line != line.line);
        let parts = self.mapping.map_or(1, Mapping::collections) + 1;
        let withdrawn = matches!(line.what, ImportWhat::Consent { .. });
        let waiting = |batch: &[(ImportLine, Vec<Attachment>)]| {
            batch.iter().any(|(_, files)| !files.is_empty())
        };
        // Files are put once their batch is written: what the person said later must not come before, or
        // a file that rested on consent would find none.
        if withdrawn && waiting(&self.batch) {
            self.flush(false)?;
        }
        // What one row comes to stays together: it is known by its number.
        if another
            && (self.batch.len() + self.said.len() + parts > IMPORT_LINES_MAX
                || self.batch_bytes + bytes > BATCH_BYTES_MAX)
        {
            self.flush(false)?;
        }
        self.batch_bytes += bytes;
        self.batch.push((line, files));
        Ok(())
    }

    /// A line that never gets as far as the vault.
    fn wrong(&mut self, error: LineError) -> Result<(), Failure> {
        if error.line <= self.position.line {
            return Ok(());
        }
        self.position.refused += 1;
        self.refused(error.line, &error.column, error.code, "")
    }

    fn refused(
        &mut self,
        line: u64,
        column: &str,
        code: &str,
        detail: &str,
    ) -> Result<(), Failure> {
        if let Some(file) = &mut self.errors {
            let text = json!({"line": line, "column": column, "code": code});
            writeln!(file, "{text}")
                .map_err(|error| Failure::io("could not write the file of errors", &error))?;
        }
        if self.shown.len() < SHOWN_MAX {
            let place = match column {
                "" => format!("line {line}"),
                column => format!("line {line}, {column}"),
            };
            let detail = match detail {
                "" => code.to_owned(),
                detail => format!("{code}: {detail}"),
            };
            self.shown.push(format!("{place}: {detail}"));
        }
        Ok(())
    }

    /// Sends what has come together.
    fn flush(&mut self, last: bool) -> Result<(), Failure> {
        if self.batch.is_empty() && (!last || self.begun.is_none()) {
            return Ok(());
        }
        if self.patience.asked() {
            let said = format!(
                "stopped after line {}; the same command goes on there",
                self.position.line
            );
            return Err(interrupt::failure(&said));
        }
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if let Some((first, _)) = batch.first() {
            self.begun.get_or_insert(first.line);
        }
        let own: HashSet<u64> = batch.iter().map(|(line, _)| line.line).collect();
        let before = self.said.values().map(line_body);
        let lines: Vec<Value> = before
            .chain(batch.iter().map(|(line, _)| line_body(line)))
            .collect();
        for (line, _) in batch.iter().filter(|_| self.dry_run) {
            if let ImportWhat::Consent { purpose, .. } = &line.what {
                self.said.insert(purpose.clone(), line.clone());
            }
        }
        let body = json!({
            "import": self.position.import,
            "lines": lines,
            "dry_run": self.dry_run,
            "done": self.position.line,
            "last": last,
        });
        let answer = self.caller.import(&body)?;
        let mut refused: HashMap<u64, bool> = HashMap::new();
        for error in answer["errors"].as_array().into_iter().flatten() {
            let line = error["line"].as_u64().unwrap_or_default();
            if !own.contains(&line) {
                continue;
            }
            let text = |name: &str| error[name].as_str().unwrap_or_default();
            let column = self.column(text("collection"), text("pointer"));
            refused.insert(line, true);
            self.refused(line, &column, text("code"), text("detail"))?;
        }
        self.position.refused += refused.len() as u64;
        let mut numbers: Vec<u64> = batch.iter().map(|(line, _)| line.line).collect();
        numbers.dedup();
        self.position.written += (numbers.len() - refused.len().min(numbers.len())) as u64;
        if !self.dry_run {
            self.put_files(&batch, &answer)?;
        }
        if let Some((last_line, _)) = batch.last() {
            self.position.line = last_line.line;
        }
        self.save(false)?;
        let (line, size) = (self.position.line, self.size);
        self.step
            .say(format!("importing: {line} lines of {size} bytes done"));
        Ok(())
    }

    fn save(&mut self, done: bool) -> Result<(), Failure> {
        self.position.at = Timestamp::now();
        self.position.done = done;
        match &self.beside {
            Some(file) => file.write(&self.position),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.flush(true)?;
        self.save(true)
    }

    /// The column that a field came from, where there is a mapping; else the field.
    fn column(&self, collection: &str, pointer: &str) -> String {
        let field = pointer
            .trim_start_matches('/')
            .split('/')
            .next()
            .unwrap_or_default();
        let mapping = self.mapping;
        let column = mapping.and_then(|mapping| mapping.column_of(collection, field));
        column.unwrap_or(field).to_owned()
    }

    /// Puts the blobs of the lines that were written. Each replaces what stands there: again is the same.
    fn put_files(
        &mut self,
        batch: &[(ImportLine, Vec<Attachment>)],
        answer: &Value,
    ) -> Result<(), Failure> {
        let records = answer["records"].as_array().into_iter().flatten();
        let records: HashMap<u64, &Value> = records
            .filter_map(|one| Some((one["line"].as_u64()?, one)))
            .collect();
        for (line, files) in batch.iter().filter(|(_, files)| !files.is_empty()) {
            let (Some(record), ImportWhat::Record { collection, .. }) =
                (records.get(&line.line), &line.what)
            else {
                continue;
            };
            for file in files {
                let (Some(archive), Some(member)) = (&mut self.archive, &file.member) else {
                    self.missing_files += 1;
                    continue;
                };
                let of = BlobOf {
                    subject: record["subject"].as_str().unwrap_or_default(),
                    collection,
                    record: record["record"].as_str(),
                    field: &file.field,
                    purpose: record["files"][&*file.field].as_str(),
                    media_type: &file.media_type,
                    size: file.size,
                };
                let mut content = archive.member(member).map_err(|error| damaged(&error))?;
                let put = self.caller.put_blob(&of, &mut content);
                drop(content);
                match put {
                    Ok(()) => self.position.files += 1,
                    // The record stands; its file is refused as a line is, and spoils no other.
                    Err(failure) if of_this_file(&failure) => {
                        self.position.refused += 1;
                        self.refused(line.line, &file.field, &failure.code, &failure.what)?;
                    }
                    Err(failure) => return Err(failure),
                }
            }
        }
        Ok(())
    }
}

/// Whether a failure is about one file and no other: the policy, or what the field takes.
fn of_this_file(failure: &Failure) -> bool {
    const OF_THE_FILE: [&str; 4] = [
        "invalid",
        "too_large",
        "unsupported_media_type",
        "not_found",
    ];
    failure.exit == Exit::Refused || OF_THE_FILE.contains(&&*failure.code)
}

/// A line as the API takes it.
fn line_body(line: &ImportLine) -> Value {
    let mut body = Map::new();
    let mut add = |name: &str, value: Value| body.insert(name.to_owned(), value);
    add("line", json!(line.line));
    add("channel", json!(line.channel));
    add("user", json!(line.user));
    match &line.what {
        ImportWhat::Person => {}
        ImportWhat::Record {
            collection,
            body,
            purpose,
            files,
        } => {
            add("collection", json!(collection));
            add("record", Value::Object(body.clone()));
            add("purpose", json!(purpose));
            if !files.is_empty() {
                add("files", json!(files));
            }
        }
        ImportWhat::Consent {
            purpose,
            state,
            notice,
            choice,
            message_id,
        } => {
            let state = match state {
                ConsentState::Given => "given",
                ConsentState::Refused => "refused",
                ConsentState::Withdrawn => "withdrawn",
            };
            let consent = json!({
                "purpose": purpose, "state": state, "notice": notice,
                "choice": choice, "message_id": message_id,
            });
            add("consent", consent);
        }
    }
    Value::Object(body)
}
