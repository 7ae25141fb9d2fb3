//! Calls about lines of other programs' logs: taken, read, purged, and ended by themselves.
//!
//! Lines are looked through before the commit, over a snapshot: what is found is the same, and the writer
//! does not wait for it. The commit decides anew who may and whom a line is about, and makes tokens.
//!
//! An answer tells what was found by its shape, and is what it would be if nobody were known: else whoever writes
//! logs could ask who is.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::call::{Context, Noted};
use super::token::Principal;
use super::{Call, Vault, cursor, input};
use crate::clock::day_of;
use crate::commit::{Snapshot, Txn, View};
use crate::crypto::{Secret, sha256};
use crate::decision;
use crate::holder::{self, Holder, Kind};
use crate::id::{CallId, RowHandle, SubjectId};
use crate::limits::{
    FINAL_WITHIN_HOURS, LOG_LINES_MAX, LOG_PAGE_BYTES, LOG_PEOPLE_MAX, PAGE_RECORDS_MAX,
};
use crate::log_lines::{
    self, FAILED, Finder, Held, Line, LogRow, Mark, Own, Place, Scanned, Trouble, Written, token,
};
use crate::person::{Person, instant};
use crate::policy::{Capability, LogMode, LogStream, Policy};
use crate::refusal::Refusal;
use crate::standing::Standing;

/// The member of a line that names whom it is about.
const SUBJECT: &str = "subject";

/// What became of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogTaken {
    /// Lines that were taken.
    pub accepted: u64,
    /// Lines that are not stored, since something was found in them or nobody is there whom they name.
    pub dropped: u64,
    /// Of those that were taken: lines that could not be looked at, and are stored as that alone. One that fails by
    /// a value of somebody is stored so as well, and not counted.
    pub failed: u64,
    /// What was found by its shape, by kind.
    pub found: BTreeMap<&'static str, u64>,
}

/// Which lines are wanted.
#[derive(Clone, Debug, Default)]
pub struct LogQuery {
    /// Those that came from then on.
    pub from: Option<Timestamp>,
    /// Those that came before.
    pub to: Option<Timestamp>,
    /// Those about this person; without one, those that name nobody.
    pub subject: Option<SubjectId>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// How many.
    pub limit: usize,
}

/// A line as it is stored.
#[derive(Clone, PartialEq)]
pub struct LogLine {
    /// When it came.
    pub at: Timestamp,
    /// The line: an object or a text.
    pub line: Value,
}

/// Silent about the line.
impl std::fmt::Debug for LogLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogLine")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Some lines of a stream, the oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct LogPage {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// Where the next page begins.
    pub next: Option<String>,
    /// Stored rows that did not open, and are left out.
    pub damaged: u64,
}

/// What a purge destroyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPurged {
    /// Sets of keys of days that were destroyed.
    pub keys: u64,
    /// Of how many people and days lines were deleted.
    pub people: u64,
    /// Until when the keys of those are gone as well.
    pub final_by: Timestamp,
}

/// A line that was looked through.
struct Prepared {
    subject: Option<SubjectId>,
    what: What,
}

enum What {
    Failed,
    Scanned(Scanned),
    Whole(Line),
}

/// Lines that were looked through, and how many are left out already.
struct Looked {
    stream: LogStream,
    lines: Vec<Prepared>,
    taken: LogTaken,
}

fn stream<'p>(policy: &'p Policy, name: &str) -> Result<&'p LogStream, Refusal> {
    policy
        .log_stream(name)
        .ok_or(Refusal::NotFound("stream of logs"))
}

/// Whether a refusal says that nobody is there whom this caller may know.
fn nobody(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::NotFound(_) | Refusal::Erased { .. } | Refusal::Held(_)
    )
}

/// Looks through the lines of a call.
fn look(
    snapshot: &Snapshot,
    policy: &Policy,
    context: &Context,
    name: &str,
    lines: &[Vec<u8>],
) -> Result<Looked, Refusal> {
    let may = [Capability::LogsWrite];
    context.principal.require_own(policy, &may)?;
    let stream = stream(policy, name)?;
    if lines.is_empty() || lines.len() > LOG_LINES_MAX {
        return Err(Refusal::TooLarge(format!(
            "a call has 1 to {LOG_LINES_MAX} lines"
        )));
    }
    let session = context.principal.scope().map(|scope| scope.subject);
    let mut people: BTreeMap<SubjectId, Option<Own>> = BTreeMap::new();
    let mut finder = Finder::new(snapshot, policy);
    let mut looked = Looked {
        stream: stream.clone(),
        lines: Vec::with_capacity(lines.len()),
        taken: LogTaken::default(),
    };
    let whole = stream.mode == LogMode::Encrypt;
    for bytes in lines {
        let parsed = match whole {
            true => Line::whole(bytes),
            false => Line::parse(bytes),
        };
        let mut parsed = parsed.ok();
        let subject = parsed
            .as_mut()
            .and_then(|line| line.take(SUBJECT, |text| text.parse().ok()))
            .or(session);
        if let Some(subject) = subject
            && !people.contains_key(&subject)
        {
            if people.len() >= LOG_PEOPLE_MAX {
                return Err(Refusal::TooLarge(format!(
                    "the lines of a call are about at most {LOG_PEOPLE_MAX} people"
                )));
            }
            let own = match context.person(snapshot, subject) {
                Ok(person) => Some(Own::of(snapshot, policy, &person)?),
                Err(refusal) if nobody(&refusal) => None,
                Err(refusal) => return Err(refusal),
            };
            people.insert(subject, own);
        }
        let own = subject.and_then(|subject| people.get(&subject));
        if own.is_some_and(Option::is_none) {
            // Whoever is gone is not written about any more.
            looked.taken.dropped += 1;
            continue;
        }
        let own = own.and_then(Option::as_ref);
        let what = match parsed {
            None => What::Failed,
            Some(line) if whole => What::Whole(line),
            Some(line) => match scan(line, stream, &mut finder, own) {
                Ok(scanned) => What::Scanned(scanned),
                Err(Trouble::Failed) => What::Failed,
                Err(Trouble::Refused(refusal)) => return Err(refusal),
            },
        };
        looked.keep(Prepared { subject, what });
    }
    Ok(looked)
}

fn scan(
    line: Line,
    stream: &LogStream,
    finder: &mut Finder<'_>,
    own: Option<&Own>,
) -> Result<Scanned, Trouble> {
    finder.begin();
    let mut known = |text: &str| match stream.known_values {
        true => finder.find(text, own),
        false => Ok(Vec::new()),
    };
    line.scan(&stream.kinds, &mut known)
}

impl Looked {
    /// Counts a line, and keeps it unless it is one to be dropped.
    fn keep(&mut self, line: Prepared) {
        if let What::Scanned(scanned) = &line.what {
            for kind in scanned.told() {
                *self.taken.found.entry(*kind).or_default() += 1;
            }
            // Of a known value alone nobody is told: the line counts as taken, and takes its room.
            if self.stream.mode == LogMode::Drop && !scanned.told().is_empty() {
                self.taken.dropped += 1;
                return;
            }
        }
        self.taken.accepted += 1;
        self.taken.failed += u64::from(matches!(line.what, What::Failed));
        self.lines.push(line);
    }
}

/// A line as it is stored.
fn written(what: &What, stream: &LogStream, key: Option<&Secret<32>>) -> Written {
    let scanned = match what {
        What::Failed => return Written::plain(Value::String(FAILED.to_owned()).to_string()),
        What::Whole(line) => return Written::plain(line.text()),
        What::Scanned(scanned) => scanned,
    };
    let stand_in = |mark: &Mark, found: &str| match key {
        Some(key) => token(key, mark.label, found),
        None => format!("[{}]", mark.label),
    };
    let silent = stream.mode == LogMode::Drop && scanned.any();
    Written {
        text: (!silent).then(|| scanned.text(&stand_in)),
        bytes: scanned.weight(&stand_in),
    }
}

/// Stores the lines of a call.
fn store(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    looked: &Looked,
) -> Result<LogTaken, Refusal> {
    let may = [Capability::LogsWrite];
    context.principal.require_own(policy, &may)?;
    let stream = stream(policy, &looked.stream.name)?;
    if *stream != looked.stream {
        // Another policy is in force than the lines were looked through under: once more, by that.
        return Err(Refusal::Overloaded);
    }
    let key = match stream.mode {
        // Of the day's first holder, so that one value has one token all day.
        LogMode::Token => {
            let first = holder::of_log(day_of(txn.now()), stream.number(), 0);
            Some(Holder::ensure(txn, first)?.token_key())
        }
        _ => None,
    };
    let mut whose: BTreeMap<Option<SubjectId>, Vec<Written>> = BTreeMap::new();
    for line in &looked.lines {
        let lines = whose.entry(line.subject).or_default();
        lines.push(written(&line.what, stream, key.as_ref()));
    }
    let (mut taken, about_one) = (looked.taken.clone(), whose.len() == 1);
    let mut leave_out = |count: usize| {
        taken.dropped += count as u64;
        taken.accepted -= count as u64;
    };
    for (subject, lines) in whose {
        let Some(subject) = subject else {
            log_lines::append(txn, stream, Held::Nobody, lines)?;
            continue;
        };
        let mut person = match context.person(txn, subject) {
            Ok(person) => person,
            Err(refusal) if nobody(&refusal) => {
                leave_out(lines.len());
                continue;
            }
            Err(refusal) => return Err(refusal),
        };
        if about_one {
            noted.person(&person, txn.now());
        }
        let held = Held::Person(&mut person);
        leave_out(log_lines::append(txn, stream, held, lines)?);
    }
    Ok(taken)
}

/// Whether the caller may read this stream: whole lines for their purpose alone, as other values are.
fn may_read(policy: &Policy, context: &Context, stream: &LogStream) -> Result<(), Refusal> {
    // What could not be told as somebody's may stand in any line: an unlock secret alone shows none.
    let role = context.role(policy)?;
    if stream.mode != LogMode::Encrypt {
        return context.principal.require(policy, Capability::AuditRead);
    }
    if !stream.readers.contains(&role.name) || context.principal.scope().is_some() {
        return Err(Refusal::RoleDenied(format!(
            "lines of `{}` are kept whole, and the role `{}` is none of its `readers`",
            stream.name, role.name
        )));
    }
    let purpose = decision::purpose(policy, &role, context.purpose.as_deref())?;
    match stream.purpose == Some(purpose.id) {
        true => Ok(()),
        false => Err(Refusal::PurposeDenied(format!(
            "lines of `{}` are kept for another purpose than `{}`",
            stream.name, purpose.name
        ))),
    }
}

/// Rows that are gone through, until a page is full.
struct Reader<'q> {
    query: &'q LogQuery,
    stream: &'q LogStream,
    now: Timestamp,
    after: Option<(Place, u16)>,
    lines: Vec<LogLine>,
    bytes: usize,
    next: Option<(Place, u16)>,
}

impl Reader<'_> {
    fn take(&mut self, place: Place, row: LogRow) -> Result<ControlFlow<()>, Refusal> {
        let at = instant(row.at);
        let outside = self.query.from.is_some_and(|from| at < from)
            || self.query.to.is_some_and(|to| at >= to)
            || log_lines::expires_at(self.stream, at) <= self.now;
        if outside {
            return Ok(ControlFlow::Continue(()));
        }
        let skip = match self.after {
            Some((after, lines)) if after == place => usize::from(lines),
            _ => 0,
        };
        let limit = self.query.limit.clamp(1, PAGE_RECORDS_MAX);
        for (number, line) in row.lines.into_iter().enumerate().skip(skip) {
            if self.lines.len() == limit || self.bytes >= LOG_PAGE_BYTES {
                let number = u16::try_from(number).expect("a call has fewer lines");
                self.next = Some((place, number));
                return Ok(ControlFlow::Break(()));
            }
            self.bytes += line.len();
            let line = serde_json::from_str(&line).map_err(|_| crate::person::DAMAGED)?;
            self.lines.push(LogLine { at, line });
        }
        Ok(ControlFlow::Continue(()))
    }
}

fn days(query: &LogQuery, now: Timestamp) -> std::ops::RangeInclusive<u32> {
    let first = query.from.map_or(0, day_of);
    first..=day_of(query.to.unwrap_or(now).min(now))
}

impl Vault {
    /// Takes lines of a log, each a JSON object or a text.
    ///
    /// What is found in a line is dropped, replaced or kept whole as the policy says of the stream; a line that
    /// cannot be looked at is stored as that alone. A line that names somebody (`subject`, or the session's person)
    /// lies under their own keys.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] without `logs.write`; [`Refusal::NotFound`] for a stream that the policy does not
    /// have; [`Refusal::TooLarge`].
    pub fn write_log(
        &self,
        call: &Call<'_>,
        stream: &str,
        lines: &[Vec<u8>],
    ) -> Result<LogTaken, Refusal> {
        const ACTION: &str = "logs.write";
        let context = Context::new(call);
        let prepared = self.snapshot().and_then(|snapshot| {
            let policy = self.policy_of(&snapshot)?;
            context.principal.check(&snapshot)?;
            look(&snapshot, &policy, &context, stream, lines)
        });
        let looked = prepared.inspect_err(|refusal| self.note_refusal(call, ACTION, refusal))?;
        self.write(call, ACTION, move |txn, policy, context, noted| {
            store(txn, policy, context, noted, &looked)
        })
    }

    /// A page of a stream's lines, the oldest first: those that name nobody, or those about one person.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] without `audit.read`, or where the stream keeps whole lines and does not name the
    /// role among its readers; of such a stream [`Refusal::PurposeMissing`], and [`Refusal::PurposeDenied`] for another
    /// purpose than its own; [`Refusal::NotFound`] for an unknown stream or person; [`Refusal::Restricted`],
    /// [`Refusal::Held`], [`Refusal::Erased`] of the person; [`Refusal::Invalid`] for a cursor of another list.
    pub fn read_log(
        &self,
        call: &Call<'_>,
        name: &str,
        query: &LogQuery,
    ) -> Result<LogPage, Refusal> {
        self.read(
            call,
            "logs.read",
            query.subject,
            |snapshot, policy, context, noted| {
                self.log_page(snapshot, policy, context, noted, name, query)
            },
            |page| page,
        )
    }

    fn log_page(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        context: &Context,
        noted: &mut Noted,
        name: &str,
        query: &LogQuery,
    ) -> Result<LogPage, Refusal> {
        // Whoever may read no stream is not told which there are.
        let found = stream(policy, name);
        if found.is_err() {
            context.principal.require(policy, Capability::AuditRead)?;
        }
        let stream = found?;
        may_read(policy, context, stream)?;
        let token = context.principal.token();
        let token = token.as_ref().map_or(&[][..], |token| token.as_bytes());
        let bounds = format!("{:?} {:?} {:?}", query.from, query.to, query.subject);
        let tie = sha256(&[b"log lines", token, name.as_bytes(), bounds.as_bytes()]);
        let after = match &query.cursor {
            None => None,
            Some(text) => {
                let bytes =
                    cursor::open::<{ Place::BYTES + 2 }>(&self.memory, snapshot, &tie, text)?;
                let (place, line) = bytes.split_at(Place::BYTES);
                Some((Place::of(place)?, u16::from_be_bytes([line[0], line[1]])))
            }
        };
        let mut reader = Reader {
            query,
            stream,
            now: snapshot.now(),
            after,
            lines: Vec::new(),
            bytes: 0,
            next: None,
        };
        let place = after.map(|(place, _)| place);
        let damaged = match query.subject {
            None => {
                let days = days(query, snapshot.now());
                let show = &mut |place, row| reader.take(place, row);
                log_lines::rows(snapshot, stream, days, place, show)?
            }
            Some(subject) => {
                let person = context.person(snapshot, subject)?;
                noted.person(&person, snapshot.now());
                let standing = Standing::of(snapshot, &person)?;
                let role = context.role(policy)?;
                decision::nameable(&role, &standing, context.restricted_use)?;
                let show = &mut |place, row| reader.take(place, row);
                log_lines::rows_of(snapshot, policy, &person, Some(stream), place, show)?
            }
        };
        let next = reader.next.map(|(place, line)| {
            let bytes = [&place.to_bytes()[..], &line.to_be_bytes()].concat();
            cursor::sealed(&self.memory, snapshot, &tie, &bytes)
        });
        Ok(LogPage {
            lines: reader.lines,
            next,
            damaged,
        })
    }

    /// Destroys a stream's lines of these days, both included, whoever they are about. Of lines that name nobody
    /// the keys are gone when this returns; those of people within a day.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] without `retention.run`; [`Refusal::NotFound`]; [`Refusal::Invalid`] where the days
    /// end before they begin. What was destroyed before an error stays so; doing it again does the rest.
    pub fn purge_log(
        &self,
        call: &Call<'_>,
        name: &str,
        from: Option<jiff::civil::Date>,
        to: Option<jiff::civil::Date>,
    ) -> Result<LogPurged, Refusal> {
        let wanted = name.to_owned();
        let day = |date: jiff::civil::Date| {
            let midnight = date.to_zoned(jiff::tz::TimeZone::UTC);
            midnight.map_or(0, |at| day_of(at.timestamp()))
        };
        let days = from.map_or(0, day)..=to.map_or(u32::MAX, day);
        let empty = days.is_empty();
        let (number, handles) = self.write(call, "logs.purge", {
            let days = days.clone();
            move |txn, policy, context, _| {
                let may = Capability::RetentionRun;
                context.principal.require(policy, may)?;
                let number = stream(policy, &wanted)?.number();
                if empty {
                    let detail = "a day that is not before `from`";
                    return Err(Refusal::Invalid(vec![input::error(
                        "/to",
                        "out_of_range",
                        detail,
                    )]));
                }
                let mut handles = holder::all(txn, Kind::Logs)?;
                handles.retain(|handle| {
                    let of_stream = holder::log_of(*handle).0 == number;
                    of_stream && days.contains(&holder::day_of(*handle))
                });
                Ok((number, handles))
            }
        })?;
        let keys = handles.len() as u64;
        // One a commit: each may have megabytes of rows to delete.
        for handle in handles {
            self.engine
                .submit(move |txn| log_lines::shred(txn, handle))?;
        }
        let (mut from, mut people) = (Some(Vec::new()), 0);
        while let Some(start) = from {
            let slice = log_lines::purge_people(&self.snapshot()?, number, &days, start)?;
            from = slice.next.clone();
            if slice.any() {
                people += self.engine.submit(move |txn| slice.remove(txn))?;
            }
        }
        let final_by = self.engine.now() + SignedDuration::from_hours(FINAL_WITHIN_HOURS);
        Ok(LogPurged {
            keys,
            people,
            final_by,
        })
    }

    /// Destroys the keys of days whose lines have had their time, and of streams that the policy has no more.
    pub(super) fn sweep_logs(&self) -> Result<(), Refusal> {
        let snapshot = self.snapshot()?;
        let policy = self.policy_of(&snapshot)?;
        let ended = log_lines::ended(&snapshot, &policy)?;
        drop(snapshot);
        for handle in ended {
            let policy = policy.clone();
            self.engine.submit(move |txn| {
                log_lines::shred(txn, handle)?;
                let principal = Principal::server();
                let context = Context::new(&Call {
                    principal: &principal,
                    purpose: None,
                    restricted_use: None,
                    id: CallId::generate(txn.entropy()),
                });
                let (now, noted) = (txn.now(), Noted::default());
                txn.record(context.entry(&policy, now, "logs.forget", noted, "ok"));
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Holders of logs, for whoever replaces all keys.
    pub(super) fn log_holders(&self) -> Result<Vec<RowHandle>, Refusal> {
        holder::all(&self.snapshot()?, Kind::Logs)
    }
}

/// A person's lines of every stream, for their package: each with the stream's name.
pub(super) fn lines_of(
    snapshot: &Snapshot,
    (policy, role): (&Policy, Option<&str>),
    person: &Person,
    after: Option<Place>,
    show: &mut dyn FnMut(&str, &LogLine),
) -> Result<Option<Place>, Refusal> {
    let (now, mut bytes, mut next) = (snapshot.now(), 0, None);
    log_lines::rows_of(snapshot, policy, person, None, after, &mut |place, row| {
        if after == Some(place) {
            return Ok(ControlFlow::Continue(()));
        }
        if bytes >= LOG_PAGE_BYTES {
            return Ok(ControlFlow::Break(()));
        }
        next = Some(place);
        let at = instant(row.at);
        let kept = policy.log_stream(&row.stream);
        let shown = kept
            .is_some_and(|stream| sees(stream, role) && log_lines::expires_at(stream, at) > now);
        if !shown {
            return Ok(ControlFlow::Continue(()));
        }
        for line in row.lines {
            bytes += line.len();
            let line = serde_json::from_str(&line).map_err(|_| crate::person::DAMAGED)?;
            show(&row.stream, &LogLine { at, line });
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(next)
}

/// Whether a role may see a stream's lines in a person's own package; the person themselves, who has none, sees them.
fn sees(stream: &LogStream, role: Option<&str>) -> bool {
    let reads = |role: &str| stream.readers.iter().any(|reader| reader == role);
    stream.mode != LogMode::Encrypt || role.is_none_or(reads)
}

/// Streams with lines about a person that this role may not see.
pub(super) fn hidden(
    view: &dyn View,
    policy: &Policy,
    role: Option<&str>,
    person: &Person,
) -> Result<Vec<String>, Refusal> {
    let mut hidden = Vec::new();
    for stream in policy.log_streams() {
        if !sees(stream, role) && log_lines::any_of(view, person, stream)? {
            hidden.push(stream.name.clone());
        }
    }
    Ok(hidden)
}
