//! People, records and consents taken from a file, a few hundred lines at a time.
//!
//! Each line is the write of a bot: the same checks, the same entries. The lines of one person happen in
//! one commit, which remembers under their keys that it was made: the same lines, sent again within a
//! day, are not written twice. A line that cannot be written is told by its number and where it is wrong,
//! and spoils no other.
//!
//! Knows nothing of files and their forms.

mod write;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::desk::Desk;
use super::{Answer, Call, Group, Once, RestrictionInput, Vault};
use crate::id::{RecordId, SubjectId};
use crate::jobs::{Job, JobKind};
use crate::limits::{
    ANSWER_BYTES_MAX, IMPORT_ERRORS_PER_LINE_MAX, IMPORT_IDLE_SECONDS, IMPORT_LINES_MAX,
    IMPORT_WRITERS, LABEL_BYTES_MAX,
};
use crate::person::DAMAGED;
use crate::policy::Policy;
use crate::refusal::{InputError, Refusal};
use crate::standing::ObjectionState;
use write::{files, said, write};

/// One line. No `Debug`: it holds values.
#[derive(Clone)]
pub struct ImportLine {
    /// Its number in the file.
    pub line: u64,
    /// The person's channel.
    pub channel: String,
    /// Their identity there.
    pub user: String,
    /// What is to be written.
    pub what: ImportWhat,
}

/// What a line is to write.
#[derive(Clone)]
pub enum ImportWhat {
    /// The person alone.
    Person,
    /// A record: of a `single` collection, fields of the one that there is.
    Record {
        /// The collection's name.
        collection: String,
        /// Fields, `_meta`, `occurred_at`.
        body: Map<String, Value>,
        /// Stated for the write; where absent, for each field one that its role serves, and where there
        /// is one that needs no consent, that.
        purpose: Option<String>,
        /// Fields whose files are put into the record afterwards: told is what each is written for.
        files: Vec<String>,
    },
    /// What the person said.
    Consent {
        /// About which purpose.
        purpose: String,
        /// Any state but `expired`.
        state: crate::consent::ConsentState,
        /// The notice that was shown, and what else was kept.
        notice: Value,
        /// Which button or word.
        choice: Option<String>,
        /// The channel's message.
        message_id: Option<String>,
        /// What else is known of it.
        details: Box<crate::consent::ConsentDetails>,
    },
    /// A step of the person's objection to a purpose: done again, as far as it does not stand already.
    Objection {
        /// The purpose.
        purpose: String,
        /// Where it stood from then on.
        state: ObjectionState,
        /// The person's grounds, or the controller's.
        reason: Option<String>,
    },
    /// A restriction that stands.
    Restriction(RestrictionInput),
    /// The end of the contract behind a purpose, as it stands.
    ContractEnd {
        /// The purpose.
        purpose: String,
        /// When it ended, or will.
        ended_at: Timestamp,
    },
    /// What is known of the person's age.
    Age {
        /// From which day on they consent for themselves.
        of_age_on: Date,
        /// How a guardian's authorisation was verified, if there is one.
        guardian: Option<String>,
    },
}

/// Lines that come together.
pub struct ImportBatch {
    /// Names the import, whoever sends it: the same lines under the same name are written once, also with
    /// another API key than the first time.
    pub import: String,
    /// At most 200, in the order of the file.
    pub lines: Vec<ImportLine>,
    /// Check everything and write nothing.
    pub dry_run: bool,
    /// Lines that are done before these, of how many, for whoever watches.
    pub done: u64,
    /// All lines, if that is known.
    pub total: Option<u64>,
    /// Whether these are the last.
    pub last: bool,
}

/// Why a line was not written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportError {
    /// Its number in the file.
    pub line: u64,
    /// Of which collection, where the line is a record.
    #[serde(default)]
    pub collection: Option<String>,
    /// Where, as a JSON pointer into the line's record; empty for the whole line.
    pub pointer: String,
    /// The code of the refusal or of what is wrong there.
    pub code: String,
    /// What is expected; never the value.
    pub detail: String,
}

/// What became of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedLine {
    /// Its number in the file.
    pub line: u64,
    /// The record; none for that of a `single` collection, and for what is no record.
    pub record: Option<RecordId>,
    /// Whose.
    pub subject: SubjectId,
    /// Of fields whose files are to be put: the purpose that each is written for.
    pub files: Vec<(String, String)>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// Lines that were written, or would be.
    pub written: Vec<ImportedLine>,
    /// How many of these had been written before, by the same batch.
    pub repeated: u64,
    /// Those that were not.
    pub errors: Vec<ImportError>,
}

/// The import that is under way, for whoever watches.
#[derive(Default)]
pub(super) struct Imports(Mutex<Option<Running>>);

struct Running {
    name: String,
    job: Job,
}

/// Why an import has failed that says no more.
const GIVEN_UP: &str =
    "whoever ran it has not been heard of for five minutes; the same command goes on with it";

/// What is remembered of a person's part of a batch.
#[derive(Clone, Serialize, Deserialize)]
struct Remembered {
    written: Vec<(u64, Option<String>)>,
    errors: Vec<ImportError>,
}

impl Remembered {
    /// As it is kept: with as much of what was wrong as there is room for. A longer answer would not be kept
    /// at all, and the lines that were written not known by it.
    fn body(&self) -> Vec<u8> {
        let json = |kept: &Self| {
            serde_json::to_vec(kept).expect("numbers, ids and codes have a JSON form")
        };
        let mut kept = self.clone();
        for error in &mut kept.errors {
            error.pointer = error.pointer.chars().take(64).collect();
            error.detail.clear();
        }
        let body = json(&kept);
        if body.len() <= ANSWER_BYTES_MAX {
            return body;
        }
        // A number and a code for each line are less than half of it.
        let mut told = HashSet::new();
        kept.errors.retain(|error| told.insert(error.line));
        for error in &mut kept.errors {
            error.pointer.clear();
            error.collection = None;
        }
        json(&kept)
    }
}

/// What one attempt came to.
#[derive(Clone)]
enum Attempt {
    Done {
        repeated: bool,
        kept: Remembered,
        subject: SubjectId,
    },
    /// The person could not be made, or some lines could not be written.
    Failed(Vec<Fault>),
}

/// Why a line of a person was not written.
#[derive(Clone)]
struct Fault {
    /// Its place among theirs.
    at: usize,
    errors: Vec<ImportError>,
    /// A refusal that says nothing about the line: the import cannot go on now.
    ends_all: Option<&'static str>,
}

impl Fault {
    fn new(lines: &[ImportLine], at: usize, refusal: &Refusal) -> Self {
        let ends_all = matches!(
            refusal,
            Refusal::Locked
                | Refusal::Overloaded
                | Refusal::Internal(_)
                | Refusal::OutcomeUnknown
                | Refusal::Unauthenticated
                | Refusal::DiskFull
                | Refusal::IdempotencyMismatch
        );
        Self {
            at,
            errors: errors_of(&lines[at], refusal),
            ends_all: ends_all.then(|| refusal.code()),
        }
    }

    fn all(lines: &[ImportLine], refusal: &Refusal) -> Attempt {
        let places = 0..lines.len();
        Attempt::Failed(places.map(|at| Self::new(lines, at, refusal)).collect())
    }

    /// The refusal that ends the import.
    fn ends(&self) -> Option<Refusal> {
        Some(match self.ends_all? {
            "locked" => Refusal::Locked,
            "overloaded" => Refusal::Overloaded,
            "outcome_unknown" => Refusal::OutcomeUnknown,
            "unauthenticated" => Refusal::Unauthenticated,
            "disk_full" => Refusal::DiskFull,
            "idempotency_mismatch" => Refusal::IdempotencyMismatch,
            _ => Refusal::Internal("a line of an import could not be written"),
        })
    }
}

fn errors_of(line: &ImportLine, refusal: &Refusal) -> Vec<ImportError> {
    let collection = match &line.what {
        ImportWhat::Record { collection, .. } => Some(collection),
        _ => None,
    };
    let one = |pointer: String, code: &str, detail: String| ImportError {
        line: line.line,
        collection: collection.cloned(),
        pointer,
        code: code.to_owned(),
        detail,
    };
    match refusal {
        Refusal::Invalid(errors) => errors
            .iter()
            .take(IMPORT_ERRORS_PER_LINE_MAX)
            .map(
                |InputError {
                     pointer,
                     code,
                     detail,
                 }| one(pointer.clone(), code, detail.clone()),
            )
            .collect(),
        other => vec![one(String::new(), other.code(), other.to_string())],
    }
}

/// Carries out a person's lines at the desk; those in `skip` are left out.
fn attempt(
    desk: &mut Desk<'_, '_>,
    policy: &Policy,
    role: &str,
    lines: &[ImportLine],
    skip: &[Fault],
    dry_run: bool,
) -> Result<Attempt, Attempt> {
    let all_fail = |refusal: &Refusal| Fault::all(lines, refusal);
    let Some(first) = lines.first() else {
        return Err(Attempt::Failed(Vec::new()));
    };
    desk.take_from_file();
    let made = desk.create_subject(&first.channel, &first.user);
    let (subject, created) = made.map_err(|refusal| all_fail(&refusal))?;
    if !created && !dry_run {
        let before = desk.recall(subject).map_err(|refusal| all_fail(&refusal))?;
        if let Some(answers) = before {
            // What is there and cannot be read must not be written again.
            let kept = answers.first().map(|one| serde_json::from_slice(&one.body));
            let Some(Ok(kept)) = kept else {
                return Err(all_fail(&DAMAGED));
            };
            return Ok(Attempt::Done {
                repeated: true,
                kept,
                subject,
            });
        }
    }
    let (mut failed, mut written) = (Vec::new(), Vec::new());
    for (at, line) in lines.iter().enumerate() {
        if skip.iter().any(|fault| fault.at == at) {
            continue;
        }
        match write(desk, subject, policy, role, &line.what) {
            Ok(record) => written.push((line.line, record.map(|record| record.to_string()))),
            Err(refusal) => failed.push(Fault::new(lines, at, &refusal)),
        }
    }
    if !failed.is_empty() {
        return Err(Attempt::Failed(failed));
    }
    // Only now is it seen which of the objections in the file still stand at its end.
    let settled = desk.suppress_objected(subject);
    settled.map_err(|refusal| all_fail(&refusal))?;
    let errors = skip.iter().flat_map(|fault| fault.errors.clone());
    let kept = Remembered {
        written,
        errors: errors.collect(),
    };
    let done = Attempt::Done {
        repeated: false,
        kept: kept.clone(),
        subject,
    };
    if dry_run {
        return Err(done);
    }
    let answer = Answer {
        operation: 0,
        status: 200,
        body: kept.body(),
        etag: None,
        location: None,
    };
    let remembered = desk.keep(subject, Some(vec![answer]));
    remembered.map_err(|refusal| all_fail(&refusal))?;
    Ok(done)
}

impl Vault {
    /// Takes lines from a file: each is the write of a bot, with the caller's role. The lines of one
    /// person happen in one commit or not at all but for those that are refused, which are told.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooLarge`] for more than 200 lines; [`Refusal::Conflict`] while another import runs;
    /// and what says nothing of a line: [`Refusal::Locked`], [`Refusal::Overloaded`],
    /// [`Refusal::OutcomeUnknown`], [`Refusal::IdempotencyMismatch`] where the name stands for other
    /// lines. Some of the batch may have been written then: the same batch again writes the rest.
    pub fn import(&self, call: &Call<'_>, batch: &ImportBatch) -> Result<Imported, Refusal> {
        self.check_open()?;
        if batch.lines.len() > IMPORT_LINES_MAX || batch.import.len() > LABEL_BYTES_MAX {
            let detail = format!("at most {IMPORT_LINES_MAX} lines in one call");
            return Err(Refusal::TooLarge(detail));
        }
        // Before it stands in anybody's way; what each line needs is asked of each line.
        self.require(call, "subjects.create")?;
        self.import_goes_on(batch)?;
        let mut groups: Vec<Vec<ImportLine>> = Vec::new();
        let mut places: HashMap<(&str, &str), usize> = HashMap::new();
        for line in &batch.lines {
            let place = places
                .entry((&line.channel, &line.user))
                .or_insert_with(|| {
                    groups.push(Vec::new());
                    groups.len() - 1
                });
            groups[*place].push(line.clone());
        }
        let queue = Mutex::new(groups.into_iter());
        let result = Mutex::new(Ok(Imported::default()));
        // Commits that wait together become one.
        std::thread::scope(|scope| {
            for _ in 0..IMPORT_WRITERS {
                scope.spawn(|| {
                    loop {
                        let next = queue.lock().next();
                        let (Some(lines), true) = (next, result.lock().is_ok()) else {
                            return;
                        };
                        let done = self.import_person(call, batch, lines);
                        let mut result = result.lock();
                        match (done, &mut *result) {
                            (Ok(one), Ok(all)) => {
                                all.written.extend(one.written);
                                all.errors.extend(one.errors);
                                all.repeated += one.repeated;
                            }
                            (Err(refusal), place @ Ok(_)) => *place = Err(refusal),
                            (_, Err(_)) => {}
                        }
                    }
                });
            }
        });
        let mut imported = result.into_inner()?;
        imported.written.sort_by_key(|one| one.line);
        imported.errors.sort_by_key(|one| one.line);
        self.import_was(batch);
        Ok(imported)
    }

    fn import_person(
        &self,
        call: &Call<'_>,
        batch: &ImportBatch,
        lines: Vec<ImportLine>,
    ) -> Result<Imported, Refusal> {
        let lines = Arc::new(lines);
        let policy = self.policy_of(&self.snapshot()?)?;
        let role = call.principal.role().to_owned();
        let first = lines.first().map_or(0, |line| line.line);
        let once = Once::of_import(&batch.import, first, said(&lines));
        let mut skip: Vec<Fault> = Vec::new();
        loop {
            let group = Group {
                changes: true,
                subject: None,
                once: (!batch.dry_run).then(|| once.clone()),
            };
            let (skipped, dry_run) = (skip.clone(), batch.dry_run);
            let tried = (policy.clone(), lines.clone(), role.clone());
            let (policy, lines, role) = tried.clone();
            let done = self.together(call, group, move |desk, before| match before {
                Some(before) => Ok(Clone::clone(before)),
                None => attempt(desk, &policy, &role, &lines, &skipped, dry_run),
            })?;
            let failed = match done {
                Ok(attempt) | Err(attempt @ Attempt::Done { .. }) => match attempt {
                    Attempt::Done {
                        repeated,
                        kept,
                        subject,
                    } => {
                        let (policy, lines, role) = tried;
                        let files = |line: u64| {
                            let mut all = lines.iter().filter(|one| one.line == line);
                            // Parts of a row share its number; a line with files is a row of its own.
                            let with_files = all.find_map(|one| {
                                Some(files(&policy, &role, one)).filter(|files| !files.is_empty())
                            });
                            with_files.unwrap_or_default()
                        };
                        return Ok(told(repeated, kept, subject, &files));
                    }
                    Attempt::Failed(failed) => failed,
                },
                Err(Attempt::Failed(failed)) => failed,
            };
            if let Some(refusal) = failed.iter().find_map(Fault::ends) {
                return Err(refusal);
            }
            let none = failed.is_empty();
            skip.extend(failed);
            if none || skip.len() >= tried.1.len() {
                let errors = skip.into_iter().flat_map(|fault| fault.errors);
                return Ok(Imported {
                    errors: errors.collect(),
                    ..Imported::default()
                });
            }
        }
    }

    /// Notes that an import is under way; one at a time. One that has not been heard of for a while has failed
    /// ([`crate::jobs`]), and so has, for another, one that somebody has ended.
    fn import_goes_on(&self, batch: &ImportBatch) -> Result<(), Refusal> {
        let mut running = self.imports.0.lock();
        if running.as_ref().is_some_and(|one| !one.job.running()) {
            *running = None;
        }
        if let Some(one) = running.take_if(|one| one.job.cancelled()) {
            one.job.ended_early();
            if one.name == batch.import {
                return Err(Refusal::Conflict(
                    "somebody has ended this import; the same command goes on with it".into(),
                ));
            }
        }
        match &*running {
            Some(one) if one.name == batch.import => {
                one.job.expect_within(IMPORT_IDLE_SECONDS, GIVEN_UP);
                Ok(())
            }
            Some(_) => Err(Refusal::Conflict(
                "another import is under way: wait for its end, or cancel it".into(),
            )),
            None => {
                let job = self.jobs.begin(JobKind::Import, "lines")?;
                job.progress(batch.done, batch.total);
                job.expect_within(IMPORT_IDLE_SECONDS, GIVEN_UP);
                *running = Some(Running {
                    name: batch.import.clone(),
                    job,
                });
                Ok(())
            }
        }
    }

    fn import_was(&self, batch: &ImportBatch) {
        let mut running = self.imports.0.lock();
        let Some(one) = running.as_mut().filter(|one| one.name == batch.import) else {
            return;
        };
        let done = batch.done + batch.lines.len() as u64;
        one.job.progress(done, batch.total);
        one.job.expect_within(IMPORT_IDLE_SECONDS, GIVEN_UP);
        if batch.last
            && let Some(one) = running.take()
        {
            one.job.done();
        }
    }
}

fn told(
    repeated: bool,
    kept: Remembered,
    subject: SubjectId,
    files: &dyn Fn(u64) -> Vec<(String, String)>,
) -> Imported {
    let count = kept.written.len() as u64;
    let written = kept.written.into_iter().map(|(line, record)| ImportedLine {
        line,
        record: record.and_then(|record| record.parse().ok()),
        subject,
        files: files(line),
    });
    Imported {
        written: written.collect(),
        repeated: if repeated { count } else { 0 },
        errors: kept.errors,
    }
}
