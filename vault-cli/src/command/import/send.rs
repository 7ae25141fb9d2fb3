//! An import under way: lines come together to batches, and each batch is sent once.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use vault_core::import::{Archive, Attachment, LineError, Mapping, Piece, read_rows};
use vault_core::limits::IMPORT_LINES_MAX;
use vault_core::vault::{ImportLine, ImportWhat};

use super::document;
use super::errors::ErrorsFile;
use super::input::Input;
use super::position::{Position, PositionFile};
use super::{changed, unread};
use crate::caller::{BlobOf, Caller};
use crate::failure::{Exit, Failure};
use crate::interrupt::{self, Patience};
use crate::terminal::Step;

/// Bytes of lines that are sent together.
const BATCH_BYTES_MAX: usize = 512 << 10;
/// Longest row that is sent, all its lines together: a call has at most a megabyte, and something besides.
const ROW_BYTES_MAX: usize = (1 << 20) - (64 << 10);
/// Refused lines that are shown where no file takes them.
const SHOWN_MAX: usize = 10;

/// An import under way.
pub(super) struct Import<'a> {
    caller: &'a dyn Caller,
    mapping: Option<&'a Mapping>,
    archive: Option<Archive<Input>>,
    beside: Option<PositionFile>,
    pub(super) position: Position,
    errors: Option<ErrorsFile>,
    /// Parts of the row at hand.
    row: Vec<(ImportLine, Vec<Attachment>)>,
    batch: Vec<(ImportLine, Vec<Attachment>)>,
    batch_bytes: usize,
    /// The last line that is in the batch, or refused, with everything before it.
    seen: u64,
    /// Refused lines that the position beside the file does not count.
    unsaved: usize,
    /// What was said last about each thing: a dry run, of which no batch stands, says it again.
    said: BTreeMap<(u8, String), ImportLine>,
    /// What ended the reading.
    failure: Option<Failure>,
    pub(super) shown: Vec<String>,
    pub(super) skipped: u64,
    pub(super) missing_files: u64,
    step: &'a Step,
    patience: Patience,
    /// Whether anything was sent now.
    begun: bool,
    dry_run: bool,
    size: u64,
}

impl<'a> Import<'a> {
    pub(super) fn new(
        caller: &'a dyn Caller,
        mapping: Option<&'a Mapping>,
        archive: Option<Archive<Input>>,
        position: Position,
        step: &'a Step,
        size: u64,
    ) -> Self {
        Self {
            caller,
            mapping,
            archive,
            beside: None,
            seen: position.line,
            position,
            errors: None,
            row: Vec::new(),
            batch: Vec::new(),
            batch_bytes: 0,
            unsaved: 0,
            said: BTreeMap::new(),
            failure: None,
            shown: Vec::new(),
            skipped: 0,
            missing_files: 0,
            step,
            patience: Patience::begin(),
            begun: false,
            dry_run: true,
            size,
        }
    }

    /// Reads all of it; without a file for its position, a dry run.
    pub(super) fn read(
        &mut self,
        input: Input,
        beside: Option<PositionFile>,
        errors: Option<ErrorsFile>,
    ) -> Result<(), Failure> {
        self.dry_run = beside.is_none();
        (self.beside, self.errors) = (beside, errors);
        if self.mapping.is_none() && self.position.line == 0 && !self.dry_run {
            let (archive, import) = (self.archive.clone(), &self.position.import);
            document::check(self.caller, archive, input.clone(), import)?;
        }
        // Before the first line: a kill after it finds the name that the lines were sent under.
        self.save(false)?;
        let read = match self.mapping {
            Some(mapping) => read_rows(mapping, input, &mut |piece| self.take(piece)),
            None => document::read(self.archive.clone(), input, &mut |piece| self.take(piece))?,
        };
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => read.map_err(|error| unread(&error)),
        }
    }

    /// Takes a piece; `false` where the import has failed.
    fn take(&mut self, piece: Piece) -> bool {
        let done = match piece {
            Piece::Skipped => {
                self.skipped += 1;
                Ok(())
            }
            Piece::Wrong(error) => self.wrong(&error),
            Piece::Line(line, files) => self.line(*line, files),
        };
        self.failure = done.err();
        self.failure.is_none()
    }

    fn line(&mut self, line: ImportLine, files: Vec<Attachment>) -> Result<(), Failure> {
        let open = self.row.first().map(|(first, _)| first.line);
        if open.is_some_and(|number| number != line.line) {
            self.close_row()?;
        }
        if line.line > self.position.line {
            self.row.push((line, files));
        }
        Ok(())
    }

    /// What one row comes to stays together: it is known by its number.
    fn close_row(&mut self) -> Result<(), Failure> {
        let row = std::mem::take(&mut self.row);
        let Some(number) = row.first().map(|(line, _)| line.line) else {
            return Ok(());
        };
        let bytes: usize = row
            .iter()
            .map(|(line, _)| line_body(line).to_string().len())
            .sum();
        if bytes > ROW_BYTES_MAX || row.len() > IMPORT_LINES_MAX {
            return self.not_sent(number, "", "too_large");
        }
        // Files are put once their batch is written: what the person said later must not come before, or
        // a file that rested on consent would find none, and one that is restricted could not be put.
        let waits = self.batch.iter().any(|(_, files)| !files.is_empty());
        if (waits && row.iter().any(|(line, _)| about(line).is_some()))
            || self.batch.len() + self.said.len() + row.len() > IMPORT_LINES_MAX
            || self.batch_bytes + bytes > BATCH_BYTES_MAX
        {
            self.flush(false)?;
        }
        self.batch_bytes += bytes;
        self.batch.extend(row);
        self.seen = number;
        Ok(())
    }

    /// A line that is not in order as it stands.
    fn wrong(&mut self, error: &LineError) -> Result<(), Failure> {
        self.close_row()?;
        if error.line <= self.position.line {
            return Ok(());
        }
        self.not_sent(error.line, &error.column, error.code)
    }

    /// A line that never gets as far as the vault.
    fn not_sent(&mut self, line: u64, column: &str, code: &str) -> Result<(), Failure> {
        self.position.refused += 1;
        self.refused(line, column, code, "")?;
        self.seen = line;
        self.unsaved += 1;
        match self.unsaved {
            IMPORT_LINES_MAX => self.flush(false),
            _ => Ok(()),
        }
    }

    fn refused(
        &mut self,
        line: u64,
        column: &str,
        code: &str,
        detail: &str,
    ) -> Result<(), Failure> {
        if let Some(file) = &mut self.errors {
            file.add(line, column, code)?;
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

    /// Sends what has come together, and notes how far that is.
    fn flush(&mut self, last: bool) -> Result<(), Failure> {
        let sends = !self.batch.is_empty() || (last && self.begun);
        if !sends && self.unsaved == 0 {
            return Ok(());
        }
        if self.patience.asked() {
            let said = format!(
                "stopped after line {}; the same command goes on there",
                self.position.line
            );
            return Err(interrupt::failure(&said));
        }
        if sends {
            self.send(last)?;
        }
        // With those before it that were not sent: counted here, they are not looked at again.
        self.position.line = self.seen;
        self.save(false)?;
        let (line, size) = (self.position.line, self.size);
        self.step
            .say(format!("importing: {line} lines of {size} bytes done"));
        Ok(())
    }

    fn send(&mut self, last: bool) -> Result<(), Failure> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        self.begun = true;
        let own: HashSet<u64> = batch.iter().map(|(line, _)| line.line).collect();
        let before = self.said.values().map(line_body);
        let lines: Vec<Value> = before
            .chain(batch.iter().map(|(line, _)| line_body(line)))
            .collect();
        for (line, _) in batch.iter().filter(|_| self.dry_run) {
            if let Some(about) = about(line) {
                self.said.insert(about, line.clone());
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
        match self.dry_run {
            true => Ok(()),
            false => self.put_files(&batch, &answer),
        }
    }

    fn save(&mut self, done: bool) -> Result<(), Failure> {
        self.position.at = Timestamp::now();
        self.position.done = done;
        if let Some(errors) = &self.errors {
            self.position.errors_bytes = errors.bytes()?;
        }
        self.unsaved = 0;
        match &self.beside {
            Some(file) => file.write(&self.position),
            None => Ok(()),
        }
    }

    pub(super) fn end(&mut self) -> Result<(), Failure> {
        self.close_row()?;
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
                let mut content = archive.member(member).map_err(|_| not_there())?;
                if content.size() != file.size {
                    return Err(not_there());
                }
                let put = self.caller.put_blob(&of, &mut content);
                if content.damaged() {
                    return Err(changed());
                }
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

/// The document names a file that the manifest does not, or of another length.
fn not_there() -> Failure {
    Failure::new(
        Exit::Damaged,
        "damaged",
        "the package names a file that it does not have",
        "what was written before stays; get the package again from where it was made",
    )
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

/// What the person says something about in a line that writes no record.
fn about(line: &ImportLine) -> Option<(u8, String)> {
    match &line.what {
        ImportWhat::Person | ImportWhat::Record { .. } => None,
        ImportWhat::Consent { purpose, .. } => Some((0, purpose.clone())),
        ImportWhat::Objection { purpose, .. } => Some((1, purpose.clone())),
        ImportWhat::Restriction(_) => Some((2, String::new())),
        ImportWhat::ContractEnd { purpose, .. } => Some((3, purpose.clone())),
        ImportWhat::Age { .. } => Some((4, String::new())),
    }
}

/// A line as the API takes it.
pub(super) fn line_body(line: &ImportLine) -> Value {
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
            details,
        } => {
            let mut consent = json!({
                "purpose": purpose, "state": state.name(), "notice": notice,
                "choice": choice, "message_id": message_id,
            });
            if let (Some(members), Ok(Value::Object(more))) =
                (consent.as_object_mut(), serde_json::to_value(details))
            {
                members.extend(more);
            }
            add("consent", consent);
        }
        ImportWhat::Objection {
            purpose,
            state,
            reason,
        } => {
            let objection = json!({"purpose": purpose, "state": state.name(), "reason": reason});
            add("objection", objection);
        }
        ImportWhat::Restriction(input) => {
            let restriction = json!({
                "ground": input.ground.name(), "collections": input.collections,
                "reason": input.reason,
            });
            add("restriction", restriction);
        }
        ImportWhat::ContractEnd { purpose, ended_at } => {
            let ended = json!({"purpose": purpose, "ended_at": ended_at.to_string()});
            add("contract_end", ended);
        }
        ImportWhat::Age {
            of_age_on,
            guardian,
        } => {
            let age = json!({"of_age_on": of_age_on.to_string(), "guardian": guardian});
            add("age", age);
        }
    }
    Value::Object(body)
}
