//! The scope of a breach: who was met by whom in a window, found in the log's entries.
//!
//! An entry names a person by a tag that only their own key makes, a new one each day. So the tags of
//! the living are made for every day of the window, a slice of people at a time, and the window's entries
//! are held against them: memory is bounded by the slice, and the window is read once for each. What fits
//! nobody belongs to people who have been erased since.
//!
//! Where no call left an entry (a stolen backup, a leaked secret) everybody who was there counts, with
//! what they have.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::call::{Context, Noted};
use super::evidence::{LEEWAY, SLICE};
use super::token::Call;
use super::{Vault, input, token_row};
use crate::audit::{self, Actor, Entry, subject_tag};
use crate::backup::registry::{self, Part};
use crate::breach::{
    BreachReport, BulkScope, CategoryScope, DraftFor, FieldScope, ScopeOf, described, draft,
};
use crate::commit::{Snapshot, View};
use crate::id::{BackupId, SessionId, SubjectId, TokenId};
use crate::jobs::{Job, JobKind};
use crate::keys::keyset::{Keyset, PersonEntry};
use crate::limits::{BREACH_DAYS_MAX, BREACH_TAGS_MAX, BULK_LEAVES};
use crate::person::{DAMAGED, Person, instant};
use crate::policy::{Capability, Policy};
use crate::refusal::Refusal;
use crate::statement::{LANGUAGES, Phrases};
use crate::store::{Direction, KeyRange, Table};

const CAPABILITY: Capability = Capability::IncidentsManage;
const ACTION: &str = "breach.scope";
/// Entries of the log that one step looks at.
const STEP_ENTRIES: u64 = 16 * SLICE;
/// Calls that hand values out.
const READS: [&str; 5] = [
    "records.read",
    "records.list",
    "blobs.read",
    "subjects.ask",
    "subjects.export",
];

/// What a breach came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BreachVector {
    /// An API key, with the sessions that it made.
    ApiKey(TokenId),
    /// Every API key of a role.
    Role(String),
    /// One session.
    Session(SessionId),
    /// A recipient, by its name in the policy.
    Recipient(String),
    /// A part of a backup.
    Backup(BackupId, Part),
    /// An unlock secret or the anchor, together with the files: what, in a word.
    Key(String),
    /// Files of the vault, without a secret.
    Files,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct BreachInput {
    /// What it came by.
    pub vector: BreachVector,
    /// From when; the first entry of the log unless told.
    pub from: Option<Timestamp>,
    /// Until when; now unless told.
    pub to: Option<Timestamp>,
}

/// Somebody who is affected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AffectedPerson {
    /// Who.
    pub subject: SubjectId,
    /// Calls that read values of theirs.
    pub reads: u64,
    /// Calls that changed some.
    pub writes: u64,
    /// The first call.
    pub first: Option<Timestamp>,
    /// The last.
    pub last: Option<Timestamp>,
}

/// One of a slice, and what was found of them.
struct Suspect {
    subject: SubjectId,
    reads: u64,
    writes: u64,
    met: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    fields: BTreeSet<(u16, u16)>,
}

impl Suspect {
    fn new(subject: SubjectId) -> Self {
        Self {
            subject,
            reads: 0,
            writes: 0,
            met: 0,
            first: None,
            last: None,
            fields: BTreeSet::new(),
        }
    }
}

enum Phase {
    /// Makes the tags of people from this place of the people map on.
    Gather([u8; 16]),
    /// Holds entries from this number on against them; then people go on from the place.
    Scan(u64, Option<[u8; 16]>),
    Done,
}

/// A scope that is being found: [`Vault::breach_step`] until it says that nothing is left.
pub struct BreachScope {
    context: Context,
    policy: Arc<Policy>,
    vector: BreachVector,
    from: Timestamp,
    to: Timestamp,
    /// The first entry that may lie in the window, and where the log ended when this began.
    begin: u64,
    size: u64,
    people_total: u64,
    people_done: u64,
    phase: Phase,
    /// Whether the window was read once: totals are counted then.
    counted: bool,
    slice: Vec<Suspect>,
    tags: HashMap<[u8; 16], u32>,
    tagged: u64,
    resolved: u64,
    people_in_backup: Option<u64>,
    by_field: BTreeMap<(u16, u16), u64>,
    by_category: BTreeMap<(Option<String>, String), u64>,
    bulk_fields: BTreeSet<(u16, u16)>,
    report: BreachReport,
    job: Option<Job>,
}

impl BreachScope {
    /// How far it is: people, of so many.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        (self.people_done, self.people_total)
    }

    /// The number of its job.
    #[must_use]
    pub fn job(&self) -> Option<u64> {
        self.job.as_ref().map(Job::number)
    }

    fn evidence(&self) -> bool {
        matches!(
            self.vector,
            BreachVector::ApiKey(_) | BreachVector::Role(_) | BreachVector::Session(_)
        )
    }

    /// Whether an entry is of whoever had what leaked.
    fn is_of(&self, entry: &Entry) -> bool {
        let inside = entry.time >= self.from && entry.time < self.to;
        inside
            && match &self.vector {
                BreachVector::ApiKey(token) => entry.actor == Actor::Token(*token),
                // Whoever has an unlock secret is no role of a policy, and has no key.
                BreachVector::Role(role) => {
                    matches!(entry.actor, Actor::Token(_)) && entry.role == *role
                }
                BreachVector::Session(session) => entry.session == Some(*session),
                _ => false,
            }
    }

    /// Counts what an entry says by itself, once.
    fn count(&mut self, entry: &Entry) {
        if entry.outcome != "ok" {
            self.report.refused += 1;
            return;
        }
        let query = entry.action == "records.query";
        // A query leaves an entry when it begins, which stands even where its end was lost.
        if query && entry.records.is_none() || !query && entry.records.is_some() {
            self.report.bulk.calls += 1;
        }
        if let Some((records, _)) = entry.records {
            self.report.bulk.records += records;
            self.bulk_fields.extend(&entry.fields);
        }
        if query {
            self.bulk_fields.extend(&entry.fields);
        }
        if entry.subject.is_none() {
            return;
        }
        self.tagged += 1;
        match moved(entry) {
            Moved::Read => self.report.reads += 1,
            Moved::Write => self.report.writes += 1,
            Moved::Nothing => {}
        }
        let (first, last) = (self.report.first, self.report.last);
        self.report.first = Some(first.map_or(entry.time, |first| first.min(entry.time)));
        self.report.last = Some(last.map_or(entry.time, |last| last.max(entry.time)));
    }

    /// Notes an entry with whom it was about, if they are in the slice.
    fn note(&mut self, entry: &Entry) {
        let place = entry.subject.and_then(|tag| self.tags.get(&tag));
        let Some(suspect) = place.map(|place| &mut self.slice[*place as usize]) else {
            return;
        };
        if entry.outcome != "ok" {
            return;
        }
        self.resolved += 1;
        match moved(entry) {
            Moved::Read => suspect.reads += 1,
            Moved::Write => suspect.writes += 1,
            Moved::Nothing => suspect.met += 1,
        }
        if moved(entry) != Moved::Nothing {
            suspect.fields.extend(&entry.fields);
        }
        suspect.first = Some(suspect.first.map_or(entry.time, |at| at.min(entry.time)));
        suspect.last = Some(suspect.last.map_or(entry.time, |at| at.max(entry.time)));
    }

    /// Adds one person's part to the numbers.
    fn add(&mut self, suspect: Suspect, people: &mut Vec<AffectedPerson>) {
        if suspect.reads + suspect.writes == 0 && suspect.fields.is_empty() && self.evidence() {
            self.report.people_without_values += u64::from(suspect.met > 0);
            return;
        }
        self.report.people += 1;
        let mut categories = BTreeSet::new();
        for field in &suspect.fields {
            *self.by_field.entry(*field).or_default() += 1;
            let (_, category, special) = described(&self.policy, *field);
            categories.insert((special, category));
        }
        for category in categories {
            *self.by_category.entry(category).or_default() += 1;
        }
        people.push(AffectedPerson {
            subject: suspect.subject,
            reads: suspect.reads,
            writes: suspect.writes,
            first: suspect.first,
            last: suspect.last,
        });
    }

    fn days(&self) -> u64 {
        let hours = self.to.duration_since(self.from).as_hours();
        // The first and the last day may both be cut.
        u64::try_from(hours / 24).unwrap_or(0) + 2
    }

    /// The report as it stands: whole only when nothing is left to do.
    #[must_use]
    pub fn report(&self) -> BreachReport {
        let mut report = self.report.clone();
        report.not_resolvable = match self.people_in_backup {
            Some(people) => people.saturating_sub(report.people),
            None => self.tagged.saturating_sub(self.resolved),
        };
        let bulk = self.bulk_fields.iter();
        report.bulk.fields = bulk
            .map(|field| described(&self.policy, *field).0)
            .collect();
        report.fields = self
            .by_field
            .iter()
            .map(|(field, people)| {
                let (field, category, special) = described(&self.policy, *field);
                FieldScope {
                    field,
                    category,
                    special,
                    people: *people,
                }
            })
            .collect();
        let categories = self.by_category.iter();
        report.categories = categories
            .map(|((special, category), people)| CategoryScope {
                category: category.clone(),
                special: special.clone(),
                people: *people,
            })
            .collect();
        // Special data first, then where most people are.
        report
            .fields
            .sort_by_key(|one| (one.special.is_none(), std::cmp::Reverse(one.people)));
        report
            .categories
            .sort_by_key(|one| (one.special.is_none(), std::cmp::Reverse(one.people)));
        report
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Moved {
    Nothing,
    Read,
    Write,
}

/// Whether a call that was granted moved values. Steps of emergency access name fields, and move none.
fn moved(entry: &Entry) -> Moved {
    match &*entry.action {
        action if READS.contains(&action) => Moved::Read,
        action if action.starts_with("breakglass.") || entry.fields.is_empty() => Moved::Nothing,
        _ => Moved::Write,
    }
}

/// The first entry that can be as late as `from`: entries of reads join the log with the next commit, so
/// that times run back a little.
fn first_at(snapshot: &Snapshot, from: Timestamp, size: u64) -> Result<u64, Refusal> {
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        match time_of(snapshot, middle)? {
            Some(time) if time < from - LEEWAY => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

fn time_of(snapshot: &Snapshot, number: u64) -> Result<Option<Timestamp>, Refusal> {
    let key = &snapshot.system().audit;
    let found = audit::read(snapshot.tx(), snapshot.vault(), key, number, 1)?;
    Ok(found.first().map(|(_, entry)| entry.time))
}

/// Fields of the collections of which somebody has anything: what there may be, without opening a value.
fn held(
    snapshot: &Snapshot,
    policy: &Policy,
    entry: &PersonEntry,
) -> Result<BTreeSet<(u16, u16)>, Refusal> {
    let mut fields = BTreeSet::new();
    for collection in policy.collections() {
        let prefix = [&entry.handle.as_bytes()[..], &collection.id.to_be_bytes()].concat();
        let range = KeyRange::prefix(&prefix);
        let any = snapshot
            .tx()
            .keys(Table::RecordMeta, &range, Direction::Ascending, 1)?;
        if !any.is_empty() {
            fields.extend(collection.fields.iter().map(|one| (collection.id, one.id)));
        }
    }
    Ok(fields)
}

fn refuse(pointer: &str, code: &'static str, detail: impl Into<String>) -> Refusal {
    Refusal::Invalid(vec![input::error(pointer, code, detail)])
}

/// What is known of the vector: its name, and whether only ciphertext was got.
struct Known {
    of: ScopeOf,
    ciphertext_only: bool,
    /// Whoever came later is not in it.
    until: Option<Timestamp>,
    people: Option<u64>,
}

fn known(snapshot: &Snapshot, policy: &Policy, vector: &BreachVector) -> Result<Known, Refusal> {
    let known = |kind: &str, name: String| Known {
        of: ScopeOf {
            kind: kind.into(),
            name,
        },
        ciphertext_only: false,
        until: None,
        people: None,
    };
    match vector {
        BreachVector::ApiKey(token) => {
            let rows = token_row::all(snapshot)?;
            let found = rows.iter().any(|(_, row)| row.token == *token);
            found
                .then(|| known("api_key", token.to_string()))
                .ok_or(Refusal::NotFound("API key"))
        }
        BreachVector::Role(role) => {
            // One that the policy has lost may still stand in the log, with its keys.
            let rows = token_row::all(snapshot)?;
            let any = rows.iter().any(|(_, row)| row.role == *role);
            (any || policy.role(role).is_some())
                .then(|| known("role", role.clone()))
                .ok_or(Refusal::NotFound("role"))
        }
        BreachVector::Session(session) => Ok(known("session", session.to_string())),
        BreachVector::Recipient(name) => {
            let mut recipients = policy.recipients().iter();
            if !recipients.any(|one| one.name == *name) {
                return Err(Refusal::NotFound("recipient"));
            }
            // Who was disclosed to a recipient is in no entry of the log but in a ledger of each person
            // (`disclosure`, topic a000 of t07), which `gather` is the place to ask, as it asks `held`.
            Err(Refusal::Conflict(
                "who was disclosed to a recipient is not recorded by this version".into(),
            ))
        }
        BreachVector::Backup(id, part) => {
            let view = registry::one(snapshot, *id, snapshot.now())?;
            let until = match part {
                Part::Data => view.data.as_ref().and_then(|part| part.completed_at),
                Part::Keys => view.keys.as_ref().and_then(|part| part.completed_at),
            };
            let until = until.ok_or(Refusal::NotFound("part of this backup"))?;
            Ok(Known {
                ciphertext_only: *part == Part::Data,
                // Whoever came in the millisecond of its end may be in it.
                until: Some(until + SignedDuration::from_millis(1)),
                people: view.facts.map(|facts| facts.people),
                ..known("backup", format!("{id} {}", part.name()))
            })
        }
        BreachVector::Key(what) => Ok(known("key", what.clone())),
        BreachVector::Files => Ok(Known {
            ciphertext_only: true,
            ..known("files", "files".into())
        }),
    }
}

impl Vault {
    /// Begins to find who is affected by a breach. Leaves an entry.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] without `incidents.manage`; [`Refusal::NotFound`] for a key, role, backup
    /// or recipient that is not known; [`Refusal::Invalid`] for a window that is none;
    /// [`Refusal::Conflict`] while another scope is being found.
    pub fn begin_breach_scope(
        &self,
        call: &Call<'_>,
        input: &BreachInput,
    ) -> Result<BreachScope, Refusal> {
        if self.engine.journal_figures().1 > 0 {
            // Reads wait in the journal for the next commit.
            self.engine.submit(|_| Ok(()))?;
        }
        let begun = self.read(
            call,
            ACTION,
            None,
            |snapshot, _, context, _: &mut Noted| {
                let policy = self.policy_of(snapshot)?;
                context.principal.require(&policy, CAPABILITY)?;
                begin(snapshot, policy, context, input)
            },
            |begun| begun,
        );
        let mut scope = begun?;
        scope.job = Some(self.jobs.begin(JobKind::BreachScope, "people")?);
        Ok(scope)
    }

    /// Drafts in Markdown of what is told of a breach, from a report: each with its language. In every language
    /// of the controller that there are words of (English where there is none), unless one is named. Sends
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] without `incidents.manage`; [`Refusal::Invalid`] for a language of which
    /// there are no words.
    pub fn breach_drafts(
        &self,
        call: &Call<'_>,
        report: &BreachReport,
        whom: DraftFor,
        language: Option<&str>,
        aware_at: Option<Timestamp>,
    ) -> Result<Vec<(String, String)>, Refusal> {
        self.read(
            call,
            "breach.draft",
            None,
            |_, policy, context, _| {
                context.principal.require(policy, CAPABILITY)?;
                let spoken = policy.controller().languages.iter();
                let spoken = spoken.filter(|tag| Phrases::of(tag).is_some()).cloned();
                let mut wanted: Vec<String> = match language {
                    Some(language) => vec![language.to_owned()],
                    None => spoken.collect(),
                };
                if wanted.is_empty() {
                    wanted.push("en".to_owned());
                }
                let within = &policy.incidents().notify_within;
                let due = aware_at.map(|aware| (aware, within.add_to(aware)));
                let drafts = wanted.into_iter().map(|tag| {
                    let text = draft(policy, report, whom, &tag, due);
                    Some((tag, text?))
                });
                drafts.collect::<Option<Vec<_>>>().ok_or_else(|| {
                    let tags = LANGUAGES.map(|phrases| phrases.tag).join(", ");
                    refuse("/lang", "unknown_word", format!("one of {tags}"))
                })
            },
            |drafts| drafts,
        )
    }

    /// Goes on; whether anything is left. People who are affected are added to `people` as they are found.
    ///
    /// # Errors
    ///
    /// [`Refusal::Unauthenticated`] or [`Refusal::RoleDenied`] if the caller was meanwhile revoked;
    /// [`Refusal::Conflict`] if somebody ended the job.
    pub fn breach_step(
        &self,
        scope: &mut BreachScope,
        people: &mut Vec<AffectedPerson>,
    ) -> Result<bool, Refusal> {
        let more = self.try_breach_step(scope, people);
        if let Some(job) = &scope.job {
            job.progress(scope.people_done, Some(scope.people_total));
        }
        match &more {
            Ok(true) => {}
            Ok(false) => {
                if let Some(job) = scope.job.take() {
                    job.done();
                }
            }
            Err(refusal) => {
                if let Some(job) = scope.job.take() {
                    match job.cancelled() {
                        true => job.ended_early(),
                        false => job.failed(refusal.to_string()),
                    }
                }
            }
        }
        more
    }

    fn try_breach_step(
        &self,
        scope: &mut BreachScope,
        people: &mut Vec<AffectedPerson>,
    ) -> Result<bool, Refusal> {
        if scope.job.as_ref().is_some_and(Job::cancelled) {
            return Err(Refusal::Conflict("somebody ended this job".into()));
        }
        let snapshot = self.snapshot()?;
        scope.context.principal.check(&snapshot)?;
        let policy = self.policy_of(&snapshot)?;
        scope.context.principal.require(&policy, CAPABILITY)?;
        match scope.phase {
            Phase::Gather(from) => gather(&snapshot, scope, from, people)?,
            Phase::Scan(at, next) => scan(&snapshot, scope, (at, next), people)?,
            Phase::Done => {}
        }
        Ok(!matches!(scope.phase, Phase::Done))
    }
}

fn begin(
    snapshot: &Snapshot,
    policy: Arc<Policy>,
    context: &Context,
    input: &BreachInput,
) -> Result<BreachScope, Refusal> {
    let known = known(snapshot, &policy, &input.vector)?;
    let size = snapshot.state().audit_next;
    let first = time_of(snapshot, 0)?.unwrap_or(snapshot.now());
    // A millisecond later, so that what is committed now is inside.
    let now = snapshot.now() + SignedDuration::from_millis(1);
    let to = input
        .to
        .unwrap_or(now)
        .min(known.until.unwrap_or(now))
        .min(now);
    // Where nobody says from when, the window begins with the log, and is none that is empty.
    let before = to - SignedDuration::from_millis(1);
    let from = input.from.unwrap_or(first.min(before));
    if from >= to {
        return Err(refuse(
            "/from",
            "out_of_range",
            "`from` is before `to`, and not in the future",
        ));
    }
    let mut scope = BreachScope {
        context: context.clone(),
        vector: input.vector.clone(),
        from,
        to,
        begin: size,
        size,
        people_total: snapshot.state().people,
        people_done: 0,
        phase: Phase::Gather([0; 16]),
        counted: false,
        slice: Vec::new(),
        tags: HashMap::new(),
        tagged: 0,
        resolved: 0,
        people_in_backup: known.people,
        by_field: BTreeMap::new(),
        by_category: BTreeMap::new(),
        bulk_fields: BTreeSet::new(),
        report: BreachReport {
            of: known.of,
            from,
            to,
            made_at: snapshot.now(),
            log_size: size,
            ciphertext_only: known.ciphertext_only,
            at_most: true,
            people: 0,
            people_without_values: 0,
            reads: 0,
            writes: 0,
            refused: 0,
            first: None,
            last: None,
            not_resolvable: 0,
            damaged: 0,
            bulk: BulkScope::default(),
            categories: Vec::new(),
            fields: Vec::new(),
        },
        policy,
        job: None,
    };
    if scope.evidence() {
        if scope.days() > BREACH_DAYS_MAX {
            let detail = format!("a window has at most {BREACH_DAYS_MAX} days");
            return Err(refuse("/from", "out_of_range", detail));
        }
        scope.report.at_most = false;
        scope.begin = first_at(snapshot, from, size)?;
    }
    Ok(scope)
}

/// Takes people up to a slice, with their tags; of a vector without entries each is done at once.
fn gather(
    snapshot: &Snapshot,
    scope: &mut BreachScope,
    from: [u8; 16],
    affected: &mut Vec<AffectedPerson>,
) -> Result<(), Refusal> {
    let (mut people, next) = snapshot.walk_people(from, BULK_LEAVES)?;
    people.retain(|(subject, _)| *subject.as_bytes() >= from);
    let evidence = scope.evidence();
    for (subject, entry) in people {
        scope.people_done += 1;
        let Ok(keyset) = Keyset::load(snapshot.vault(), snapshot.tx(), &entry) else {
            scope.report.damaged += 1;
            continue;
        };
        if evidence {
            tag(scope, subject, &keyset);
            continue;
        }
        let person = Person {
            subject,
            entry,
            keyset,
        };
        let created = match person.row(snapshot) {
            Ok(row) => instant(row.created_at),
            Err(refusal) if refusal.is_damage_of_a_row() => {
                scope.report.damaged += 1;
                continue;
            }
            Err(refusal) => return Err(refusal),
        };
        if created < scope.to {
            let mut suspect = Suspect::new(subject);
            suspect.fields = held(snapshot, &scope.policy, &person.entry)?;
            scope.add(suspect, affected);
        }
    }
    let full = scope.tags.len() as u64 + BULK_LEAVES as u64 * 64 * scope.days() > BREACH_TAGS_MAX;
    scope.phase = match next {
        Some(next) if !(evidence && full) => Phase::Gather(next),
        next if evidence => Phase::Scan(scope.begin, next),
        _ => Phase::Done,
    };
    Ok(())
}

/// Makes the tags of one person, for every day of the window.
fn tag(scope: &mut BreachScope, subject: SubjectId, keyset: &Keyset) {
    let place = u32::try_from(scope.slice.len()).expect("a slice is bounded by its tags");
    let mut day = scope.from;
    for _ in 0..scope.days() {
        scope.tags.insert(subject_tag(&keyset.audit, day), place);
        day = day
            .checked_add(SignedDuration::from_hours(24))
            .unwrap_or(Timestamp::MAX);
    }
    scope.slice.push(Suspect::new(subject));
}

/// Holds entries against the tags of the slice; behind the last, its people are done.
fn scan(
    snapshot: &Snapshot,
    scope: &mut BreachScope,
    (mut at, next): (u64, Option<[u8; 16]>),
    affected: &mut Vec<AffectedPerson>,
) -> Result<(), Refusal> {
    let (vault, key) = (snapshot.vault(), &snapshot.system().audit);
    let end = scope.size.min(at + STEP_ENTRIES);
    while at < end {
        let count = usize::try_from((end - at).min(SLICE)).map_err(|_| DAMAGED)?;
        let entries = audit::read(snapshot.tx(), vault, key, at, count)?;
        let Some((last, _)) = entries.last() else {
            break;
        };
        at = last + 1;
        for (_, entry) in &entries {
            if entry.time > scope.to + LEEWAY {
                at = scope.size;
                break;
            }
            if scope.is_of(entry) {
                if !scope.counted {
                    scope.count(entry);
                }
                scope.note(entry);
            }
        }
    }
    if at < scope.size {
        scope.phase = Phase::Scan(at, next);
        return Ok(());
    }
    scope.counted = true;
    scope.tags.clear();
    for suspect in std::mem::take(&mut scope.slice) {
        scope.add(suspect, affected);
    }
    scope.phase = match next {
        Some(next) => Phase::Gather(next),
        None => Phase::Done,
    };
    Ok(())
}
