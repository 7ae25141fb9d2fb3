//! The scope of a breach: who was met by whom in a window, found in the log's entries.
//!
//! An entry names a person by a tag that only their own key makes, a new one each day. So the tags of
//! the living are made for every day of the window, a slice of people at a time, and the window's entries
//! are held against them: memory is bounded by the slice, and the window is read once for each. What fits
//! nobody belongs to people who have been erased since.
//!
//! Where no call left an entry (a stolen backup, a leaked secret) everybody who was there counts, with
//! what they have; of a recipient, whoever was disclosed to it by the account of disclosures. People of the
//! policy who do not exist count nowhere.

mod scope;
mod steps;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::call::{Context, Noted};
use super::token::Call;
use super::{Vault, admin, input, token_row};
use crate::backup::registry::{self, Part};
use crate::breach::{BreachReport, BulkScope, DraftError, DraftFor, ScopeOf, draft};
use crate::commit::{Snapshot, View};
use crate::id::{BackupId, SessionId, SubjectId, TokenId};
use crate::jobs::{Job, JobKind};
use crate::limits::BREACH_DAYS_MAX;
use crate::policy::{Capability, Policy};
use crate::refusal::Refusal;
use crate::statement::{LANGUAGES, Phrases};

pub use scope::BreachScope;
use scope::Phase;
use steps::{first_at, gather, scan, tag_invented, time_of};

const CAPABILITY: Capability = Capability::IncidentsManage;
const ACTION: &str = "breach.scope";

/// What a breach came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BreachVector {
    /// An API key, with the sessions that it made.
    ApiKey(TokenId),
    /// Every API key of a role.
    Role(String),
    /// One session.
    Session(SessionId),
    /// A recipient, by its name in the policy, or in one that was in force before.
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
    /// From when; the first entry of the log unless told, and of a recipient the first disclosure.
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
    /// The first call; of a recipient, the first time in the window that is known.
    pub first: Option<Timestamp>,
    /// The last.
    pub last: Option<Timestamp>,
}

fn refuse(pointer: &str, code: &'static str, detail: impl Into<String>) -> Refusal {
    Refusal::Invalid(vec![input::error(pointer, code, detail)])
}

fn no_draft(error: DraftError) -> Refusal {
    match error {
        DraftError::Language => {
            let tags = LANGUAGES.map(|phrases| phrases.tag).join(", ");
            refuse("/lang", "unknown_word", format!("one of {tags}"))
        }
        DraftError::NoData => refuse(
            "/report",
            "no_data",
            "a letter says which data it is about, and this report names none: nobody of whom it knows \
             anything is concerned. Draft what the authority is told, or find the scope of more",
        ),
    }
}

/// What is known of the vector: its name, and whether only ciphertext was got.
struct Known {
    of: ScopeOf,
    ciphertext_only: bool,
    /// Whoever came later is not in it.
    until: Option<Timestamp>,
    people: Option<u64>,
}

/// Whether a policy that was ever in force names this recipient: one that it has lost has what it was given.
fn once_recipient(snapshot: &Snapshot, policy: &Policy, name: &str) -> Result<bool, Refusal> {
    let has = |policy: &Policy| policy.recipients().iter().any(|one| one.name == name);
    if has(policy) {
        return Ok(true);
    }
    for version in (1..policy.version()).rev() {
        if has(&admin::load_policy(snapshot, version)?.0) {
            return Ok(true);
        }
    }
    Ok(false)
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
            let found = once_recipient(snapshot, policy, name)?;
            found
                .then(|| known("recipient", name.clone()))
                .ok_or(Refusal::NotFound("recipient"))
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
                let invented = self.memory.honey.all();
                begin(snapshot, policy, context, input, invented)
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
    /// there are no words, and for a letter from a report that names no data.
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
                    let text = draft(policy, report, whom, &tag, due).map_err(no_draft)?;
                    Ok((tag, text))
                });
                drafts.collect()
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
    invented: HashSet<SubjectId>,
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
    // What a recipient was given may have been noted later than it was: without a beginning all of it counts.
    let since_ever = matches!(input.vector, BreachVector::Recipient(_)) && input.from.is_none();
    let mut scope = BreachScope {
        context: context.clone(),
        vector: input.vector.clone(),
        from: if since_ever { Timestamp::MIN } else { from },
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
        invented,
        invented_tags: HashSet::new(),
        invented_there: 0,
        since_ever,
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
            // Of a recipient there is an account of what was given.
            at_most: !matches!(input.vector, BreachVector::Recipient(_)),
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
        tag_invented(snapshot, &mut scope)?;
    }
    Ok(scope)
}
