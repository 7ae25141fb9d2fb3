//! A person's own access ledger: who looked, when, and what for.
//!
//! Found by the person's tags, which only their audit key makes: whoever has erased them finds nothing
//! here any more. Calls over many people carry no tag, so that the log cannot say whether this person
//! was among them; those that may have met them are listed as such, and not left out.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use jiff::Timestamp;

use super::call::{Context, Noted};
use super::evidence::{LEEWAY, SLICE, Tags};
use super::{Call, Vault, cursor, honey, input};
use crate::audit::{self, Entry};
use crate::commit::{Snapshot, View};
use crate::crypto::sha256;
use crate::deadline;
use crate::emergency;
use crate::id::{CallId, EmergencyId, SubjectId};
use crate::limits::{AUDIT_PAGE_MAX, AUDIT_SCAN_MAX};
use crate::person::{Person, instant};
use crate::policy::{Capability, Policy, RIGHTS};
use crate::refusal::Refusal;

/// Which part of a person's ledger is asked for.
#[derive(Clone, Debug, Default)]
pub struct AccessQuery {
    /// Not before this.
    pub from: Option<Timestamp>,
    /// Before this.
    pub to: Option<Timestamp>,
    /// At most so many, the newest; 1 to 1,000.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Whom a call was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessAbout {
    /// Many people, of whom this person may have been one.
    Many,
    /// This person.
    Person,
}

impl AccessAbout {
    /// The word of the HTTP API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Many => "many",
            Self::Person => "person",
        }
    }
}

/// One call that met the person, or may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The number of its entry in the log, by which it can be proved.
    pub entry: u64,
    /// When.
    pub time: Timestamp,
    /// In which role.
    pub role: String,
    /// What for, where values moved.
    pub purpose: Option<String>,
    /// What was done: `records.read` and so on.
    pub action: String,
    /// `collection.field`, of the policy in force; by number where that has it no more.
    pub fields: Vec<String>,
    /// `ok`, or the code of the refusal.
    pub outcome: String,
    /// The call's id.
    pub request: CallId,
    /// Whom it was about.
    pub about: AccessAbout,
    /// The emergency whose step it was, or under which somebody saw more than their role shows.
    pub emergency: Option<EmergencyId>,
}

/// A page of the ledger, the newest first.
#[derive(Clone, Debug)]
pub struct AccessPage {
    /// The calls.
    pub accesses: Vec<Access>,
    /// Where to go on; a page may be empty and have others behind it.
    pub next: Option<String>,
}

/// Whether it was about records of many people, of which the log keeps how many and not whose; of a
/// count not even that. A query leaves an entry when it begins, which stands even where its end was lost,
/// and another at its end.
pub(super) fn of_many(entry: &Entry) -> bool {
    match &*entry.action {
        "people.count" | "records.query" => entry.outcome == "ok" && entry.records.is_none(),
        _ => entry.records.is_some(),
    }
}

pub(super) fn access(
    policy: &Policy,
    number: u64,
    entry: Entry,
    about: AccessAbout,
    emergencies: &[EmergencyId],
) -> Access {
    let emergency = entry.session.map(emergency::of_session);
    let emergency = emergency.filter(|one| emergencies.contains(one));
    let fields = entry
        .fields
        .into_iter()
        .map(|field| input::field_name(policy, field));
    Access {
        entry: number,
        time: entry.time,
        role: entry.role,
        purpose: entry.purpose,
        action: entry.action.into_owned(),
        fields: fields.collect(),
        outcome: entry.outcome.into_owned(),
        request: entry.request,
        about,
        emergency,
    }
}

/// What a cursor is good for: this caller, this person, this span.
fn cursor_query(context: &Context, subject: SubjectId, query: &AccessQuery) -> [u8; 32] {
    let token = context.principal.token();
    let session = context.principal.session();
    sha256(&[
        b"access",
        token.as_ref().map_or(&[], |token| token.as_bytes()),
        session.as_ref().map_or(&[], |session| session.as_bytes()),
        subject.as_bytes(),
        format!("{:?} {:?}", query.from, query.to).as_bytes(),
    ])
}

/// How often values of a person were looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LookUps {
    /// Since when: all calls of that time were counted.
    pub(super) since: Timestamp,
    /// For which purpose how often, in the order of their names.
    pub(super) by_purpose: BTreeMap<String, u64>,
    /// Searches over many people, of whom this person may have been one.
    pub(super) many: u64,
}

/// Calls that hand out values of one person.
const LOOKS: [&str; 4] = ["blobs.read", "records.list", "records.read", "subjects.ask"];
/// A search over many people.
const SEARCH: &str = "records.query";

/// Counts who looked values of a person up since an instant, but for those who served the person's own rights. Looks
/// at so many entries of the log, the newest, and counts from where they begin.
pub(super) fn look_ups(
    snapshot: &Snapshot,
    person: &Person,
    since: Timestamp,
    scan: u64,
) -> Result<LookUps, Refusal> {
    let mut found = LookUps {
        since,
        by_purpose: BTreeMap::new(),
        many: 0,
    };
    let mut tags = Tags::of(person);
    let mut oldest = snapshot.now();
    let end = snapshot.state().audit_next;
    let left = back(snapshot, (since, None), (end, scan), &mut |_, entry| {
        oldest = oldest.min(entry.time);
        if entry.action == SEARCH && of_many(&entry) {
            found.many += 1;
        }
        let looks = LOOKS.contains(&&*entry.action) && entry.outcome == "ok" && tags.fit(&entry);
        let purpose = entry.purpose.filter(|purpose| looks && purpose != RIGHTS);
        if let Some(purpose) = purpose {
            *found.by_purpose.entry(purpose).or_default() += 1;
        }
        ControlFlow::Continue(())
    })?;
    if left > 0 {
        found.since = oldest;
    }
    Ok(found)
}

/// Shows the entries of a span before entry `end`, the newest first and so many at most, until told where to go on;
/// that is 0 at the end of the span.
fn back(
    snapshot: &Snapshot,
    (begin, to): (Timestamp, Option<Timestamp>),
    (mut end, scan): (u64, u64),
    show: &mut dyn FnMut(u64, Entry) -> ControlFlow<u64>,
) -> Result<u64, Refusal> {
    let floor = end.saturating_sub(scan);
    let (vault, key) = (snapshot.vault(), &snapshot.system().audit);
    while end > floor {
        let start = end.saturating_sub(SLICE).max(floor);
        let count = usize::try_from(end - start).expect("a slice");
        let slice = audit::read(snapshot.tx(), vault, key, start, count)?;
        for (number, entry) in slice.into_iter().rev() {
            if entry.time < begin - LEEWAY {
                return Ok(0);
            }
            if entry.time < begin || to.is_some_and(|to| entry.time >= to) {
                continue;
            }
            if let ControlFlow::Break(next) = show(number, entry) {
                return Ok(next);
            }
        }
        end = start;
    }
    Ok(end)
}

/// Adds the calls that met a person before entry `end`, the newest first, from an instant on and before
/// another; where to go on, which is 0 at the end. Adds so many at most, and looks at so many entries.
pub(super) fn ledger(
    snapshot: &Snapshot,
    policy: &Policy,
    person: &Person,
    span: (Timestamp, Option<Timestamp>),
    end: u64,
    (limit, scan): (usize, u64),
    accesses: &mut Vec<Access>,
) -> Result<u64, Refusal> {
    let mut tags = Tags::of(person);
    let emergencies = emergency::all(snapshot, person)?;
    let emergencies: Vec<EmergencyId> = emergencies.iter().map(|one| one.id).collect();
    back(snapshot, span, (end, scan), &mut |number, entry| {
        if entry.action == honey::ACTION {
            return ControlFlow::Continue(());
        }
        let about = match () {
            () if tags.fit(&entry) => AccessAbout::Person,
            () if of_many(&entry) => AccessAbout::Many,
            () => return ControlFlow::Continue(()),
        };
        accesses.push(access(policy, number, entry, about, &emergencies));
        match accesses.len() == limit {
            true => ControlFlow::Break(number),
            false => ControlFlow::Continue(()),
        }
    })
}

impl Vault {
    /// Reads wait in the journal for the next commit: whoever asks who looked is told of the last second, too.
    fn fold_reads(&self) -> Result<(), Refusal> {
        match self.engine.journal_figures().1 > 0 {
            true => self.engine.submit(|_| Ok(())),
            false => Ok(()),
        }
    }

    /// How often values of a person were looked up in this year, where the controller is. To be counted before a
    /// commit that tells of it, for which everybody waits.
    pub(super) fn look_ups(&self, subject: SubjectId) -> Result<LookUps, Refusal> {
        self.fold_reads()?;
        let snapshot = self.snapshot()?;
        let policy = self.policy_of(&snapshot)?;
        let person = Person::find(&snapshot, subject)?;
        let created = instant(person.row(&snapshot)?.created_at);
        let year = deadline::year_of(policy.requests(), snapshot.now());
        look_ups(&snapshot, &person, created.max(year), AUDIT_SCAN_MAX)
    }

    /// The calls that met a person, the newest first.
    ///
    /// One call looks at 200,000 entries of the log at most and goes on by its cursor; it never goes
    /// back beyond the person's creation. A session may read its own person's.
    ///
    /// What was refused before anybody looked at the person (a capability that lacks) is not theirs in
    /// the log, and not here.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] without `subjects.export` or `audit.read`; [`Refusal::NotFound`],
    /// [`Refusal::Erased`]; [`Refusal::Invalid`] for a cursor that is over or belongs to another list.
    pub fn access(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        query: &AccessQuery,
    ) -> Result<AccessPage, Refusal> {
        if query.cursor.is_none() {
            self.fold_reads()?;
        }
        self.read(
            call,
            "subjects.access",
            Some(subject),
            |snapshot, policy, context, noted| {
                self.access_page(snapshot, policy, context, noted, subject, query)
            },
            |page| page,
        )
    }

    fn access_page(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        context: &Context,
        noted: &mut Noted,
        subject: SubjectId,
        query: &AccessQuery,
    ) -> Result<AccessPage, Refusal> {
        let any = [Capability::SubjectsExport, Capability::AuditRead];
        context.principal.require_own(policy, &any)?;
        let person = context.remains(snapshot, subject)?;
        noted.person(&person, snapshot.now());
        let name = cursor_query(context, subject, query);
        let size = snapshot.state().audit_next;
        let mut end = match &query.cursor {
            Some(text) => {
                u64::from_be_bytes(cursor::open(&self.memory, snapshot, &name, text)?).min(size)
            }
            None => size,
        };
        let created = instant(person.row(snapshot)?.created_at);
        let span = (
            query.from.map_or(created, |from| from.max(created)),
            query.to,
        );
        let limit = query.limit.clamp(1, AUDIT_PAGE_MAX);
        let mut accesses = Vec::new();
        end = ledger(
            snapshot,
            policy,
            &person,
            span,
            end,
            (limit, AUDIT_SCAN_MAX),
            &mut accesses,
        )?;
        let next =
            (end > 0).then(|| cursor::sealed(&self.memory, snapshot, &name, &end.to_be_bytes()));
        Ok(AccessPage { accesses, next })
    }
}
