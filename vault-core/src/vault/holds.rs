//! Calls about legal holds (Art. 17(3) GDPR).

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;

use super::call::{Context, Noted};
use super::input::{self, check_text};
use super::{Call, Vault, corrections, cursor};
use crate::commit::{Snapshot, Txn, View};
use crate::crypto::sha256;
use crate::events::{self, Topic};
use crate::id::SubjectId;
use crate::keys::keyset::{Keyset, PersonEntry};
use crate::limits::{BULK_LEAVES, LABEL_BYTES_MAX, PAGE_RECORDS_MAX, REASON_BYTES_MAX};
use crate::person::{self, Person};
use crate::policy::{Capability, HoldGround, Policy};
use crate::refusal::Refusal;
use crate::remains;
use crate::standing::{self, HoldEvent, HoldState, PendingErasure};

const CAPABILITY: Capability = Capability::HoldsManage;
/// Slices of the people map that one page looks through: most people are under no hold.
const SLICES: usize = 64;

/// A hold to be placed.
#[derive(Clone)]
pub struct HoldInput {
    /// Why.
    pub ground: HoldGround,
    /// Names of the collections that it is about; all, where there is none.
    pub collections: Vec<String>,
    /// In what matter.
    pub reason: Option<String>,
    /// Who approved it.
    pub approver: Option<String>,
    /// Until when somebody has to look whether it is still needed.
    pub review_at: Date,
}

/// Silent about what was said.
impl std::fmt::Debug for HoldInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HoldInput")
            .field("ground", &self.ground)
            .field("review_at", &self.review_at)
            .finish_non_exhaustive()
    }
}

/// One step of a hold, by name.
#[derive(Clone)]
pub struct HoldStep {
    /// Where it stood from then on.
    pub state: HoldState,
    /// Why.
    pub ground: HoldGround,
    /// The collections that it is about; all, where there is none.
    pub collections: Vec<String>,
    /// The role of whoever said so; empty where a restored vault knows no more.
    pub by: String,
    /// Who approved it.
    pub approver: Option<String>,
    /// In what matter.
    pub reason: Option<String>,
    /// Until when somebody has to look whether it is still needed.
    pub review_at: Date,
    /// When.
    pub at: Timestamp,
    /// The erasure that waits for the release.
    pub erasure: Option<PendingErasure>,
}

/// Silent about what was said.
impl std::fmt::Debug for HoldStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HoldStep")
            .field("state", &self.state)
            .field("ground", &self.ground)
            .field("collections", &self.collections)
            .field("review_at", &self.review_at)
            .field("at", &self.at)
            .field("erasure", &self.erasure)
            .finish_non_exhaustive()
    }
}

/// Whether a person's data are held, and how that came.
#[derive(Clone, Debug)]
pub struct HoldView {
    /// Whether a hold stands.
    pub held: bool,
    /// Whether somebody ought to have looked at it by now.
    pub overdue: bool,
    /// Every step, oldest first.
    pub history: Vec<HoldStep>,
}

/// A hold that stands no more.
#[derive(Debug)]
pub struct HoldReleased {
    /// The release.
    pub step: HoldStep,
    /// The receipt of the erasure that waited for it.
    pub receipt: Option<Value>,
}

/// Somebody under a hold, without a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPerson {
    /// Who.
    pub subject: SubjectId,
    /// Why.
    pub ground: HoldGround,
    /// The collections that it is about; all, where there is none.
    pub collections: Vec<String>,
    /// Since when.
    pub since: Timestamp,
    /// Until when somebody has to look whether it is still needed.
    pub review_at: Date,
    /// Whether that day is over.
    pub overdue: bool,
    /// Whether an erasure waits for the release.
    pub erasure_pending: bool,
}

/// People under a hold.
#[derive(Clone, Debug)]
pub struct HeldPage {
    /// Who.
    pub holds: Vec<HeldPerson>,
    /// Where to go on; a page may be empty and have others behind it.
    pub next: Option<String>,
}

fn step(policy: &Policy, event: HoldEvent) -> HoldStep {
    let HoldEvent {
        state,
        ground,
        collections,
        by,
        approver,
        reason,
        review_at,
        at,
        erasure,
    } = event;
    HoldStep {
        state,
        ground,
        collections: input::collection_names(policy, &collections),
        by,
        approver,
        reason,
        review_at,
        at,
        erasure,
    }
}

/// As `Context::admit`, also of somebody who is erased but for what is held.
fn admit(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
) -> Result<Person, Refusal> {
    noted.met = Some(subject);
    context.principal.require(policy, CAPABILITY)?;
    let person = context.remains(view, subject)?;
    noted.person(&person, view.now());
    Ok(person)
}

fn checked(policy: &Policy, input: &HoldInput, now: Timestamp) -> Result<Vec<u16>, Refusal> {
    let mut errors = Vec::new();
    if let Some(reason) = &input.reason {
        check_text(&mut errors, "/reason", reason, REASON_BYTES_MAX);
    }
    if let Some(approver) = &input.approver {
        check_text(&mut errors, "/approver", approver, LABEL_BYTES_MAX);
    }
    if input.review_at < now.to_zoned(jiff::tz::TimeZone::UTC).date() {
        errors.push(input::error(
            "/review_at",
            "past",
            "a day that is not over: until then somebody looks whether the hold is still needed",
        ));
    }
    let ids = input::collection_ids(policy, &input.collections, &mut errors);
    match errors.is_empty() {
        true => Ok(ids),
        false => Err(Refusal::Invalid(errors)),
    }
}

fn put(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    input: &HoldInput,
) -> Result<HoldStep, Refusal> {
    let mut person = admit(txn, policy, context, noted, subject)?;
    let collections = checked(policy, input, txn.now())?;
    let before = standing::hold(txn, &person)?;
    let pending = before.filter(|hold| hold.erasure.is_some());
    if pending
        .as_ref()
        .is_some_and(|hold| hold.collections != collections)
    {
        return Err(Refusal::Conflict(
            "everything else of this person is erased: what is held changes no more, until the hold is \
             released and that is erased, too"
                .into(),
        ));
    }
    let event = HoldEvent {
        state: HoldState::Placed,
        ground: input.ground,
        collections,
        by: context.principal.role().to_owned(),
        approver: input.approver.clone(),
        reason: input.reason.clone(),
        review_at: input.review_at,
        at: txn.now(),
        erasure: pending.and_then(|hold| hold.erasure),
    };
    standing::append_hold(txn, &mut person, &event)?;
    remains::keep_hold(txn, &person, &event);
    // Another hold may cover less than the one before.
    corrections::settle(txn, policy, &mut person, &|collection| {
        event.covers(collection)
    })?;
    Ok(step(policy, event))
}

/// Releases a hold; an erasure that waited for it is done in the same commit.
fn release(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
) -> Result<(HoldStep, Option<person::Receipt>), Refusal> {
    let mut person = admit(txn, policy, context, noted, subject)?;
    let hold = standing::hold(txn, &person)?.ok_or(Refusal::NotFound("hold"))?;
    let event = HoldEvent {
        state: HoldState::Released,
        by: context.principal.role().to_owned(),
        approver: None,
        reason: None,
        at: txn.now(),
        ..hold
    };
    if event.erasure.is_some() {
        let receipt = remains::whole(txn, &person)?;
        noted.receipt = Some((receipt.id, receipt.body_sha256));
        return Ok((step(policy, event), Some(receipt)));
    }
    standing::append_hold(txn, &mut person, &event)?;
    remains::keep_hold(txn, &person, &event);
    corrections::settle(txn, policy, &mut person, &|_| false)?;
    Ok((step(policy, event), None))
}

fn read(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
) -> Result<HoldView, Refusal> {
    let person = admit(view, policy, context, noted, subject)?;
    self::view(view, policy, &person)
}

/// Whether a person's data are held, and how that came.
pub(super) fn view(view: &dyn View, policy: &Policy, person: &Person) -> Result<HoldView, Refusal> {
    let history = standing::holds(view, person)?;
    let last = history
        .last()
        .filter(|last| last.state == HoldState::Placed);
    Ok(HoldView {
        held: last.is_some(),
        overdue: last.is_some_and(|last| last.is_overdue(view.now())),
        history: history
            .into_iter()
            .map(|event| step(policy, event))
            .collect(),
    })
}

/// Somebody of the people map, if they are under a hold.
fn held(
    snapshot: &Snapshot,
    policy: &Policy,
    context: &Context,
    subject: SubjectId,
    entry: PersonEntry,
) -> Result<Option<HeldPerson>, Refusal> {
    if !events::any(snapshot, entry.handle, Topic::Hold)? {
        return Ok(None);
    }
    let keyset = Keyset::load(snapshot.vault(), snapshot.tx(), &entry)?;
    let person = Person {
        subject,
        entry,
        keyset,
    };
    if !context.reaches(snapshot, &person)? {
        return Ok(None);
    }
    let history = standing::holds(snapshot, &person)?;
    let since = history.iter().rev();
    let since = since.take_while(|event| event.state == HoldState::Placed);
    let (Some(first), Some(last)) = (since.last(), history.last()) else {
        return Ok(None);
    };
    Ok(Some(HeldPerson {
        subject,
        ground: last.ground,
        collections: input::collection_names(policy, &last.collections),
        since: first.at,
        review_at: last.review_at,
        overdue: last.is_overdue(snapshot.now()),
        erasure_pending: last.erasure.is_some(),
    }))
}

/// A page of those under a hold, in the order of their ids, from a place in the people map on; and where
/// the next begins.
fn page(
    snapshot: &Snapshot,
    policy: &Policy,
    context: &Context,
    from: [u8; 16],
    limit: usize,
) -> Result<(Vec<HeldPerson>, Option<[u8; 16]>), Refusal> {
    let mut holds = Vec::new();
    let mut from = from;
    for _ in 0..SLICES {
        let (mut people, next) = snapshot.walk_people(from, BULK_LEAVES)?;
        people.retain(|(subject, _)| *subject.as_bytes() >= from);
        people.sort_unstable_by_key(|(subject, _)| *subject);
        for (subject, entry) in people {
            if holds.len() == limit {
                return Ok((holds, Some(*subject.as_bytes())));
            }
            holds.extend(held(snapshot, policy, context, subject, entry)?);
        }
        match next {
            Some(next) => from = next,
            None => return Ok((holds, None)),
        }
    }
    Ok((holds, Some(from)))
}

impl Vault {
    /// Places a legal hold over a person's data: from the answer on they are there for legal claims
    /// alone, nothing of them ends, and an erasure leaves them. One that stands is replaced.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] for other collections than before, while an erasure waits for the release;
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`], [`Refusal::Invalid`].
    pub fn put_hold(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        input: HoldInput,
    ) -> Result<HoldStep, Refusal> {
        self.write(call, "holds.put", move |txn, policy, context, noted| {
            put(txn, policy, context, noted, subject, &input)
        })
    }

    /// Releases a hold. Where an erasure waited for it, what was held is erased in the same commit, and
    /// the receipt of that is returned.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] if none stands; those of [`Vault::put_hold`] and [`Vault::erase_subject`].
    pub fn release_hold(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
    ) -> Result<HoldReleased, Refusal> {
        let (step, receipt) =
            self.write(call, "holds.release", move |txn, policy, context, noted| {
                let (step, receipt) = release(txn, policy, context, noted, subject)?;
                Ok((step, receipt.map(|receipt| (receipt.id, receipt.document))))
            })?;
        let receipt = receipt.map(|(id, mut document)| {
            self.memory.forget(subject);
            self.prove(id, &mut document);
            document
        });
        Ok(HoldReleased { step, receipt })
    }

    /// Whether a person's data are held, and how that came.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`].
    pub fn read_hold(&self, call: &Call<'_>, subject: SubjectId) -> Result<HoldView, Refusal> {
        self.read(
            call,
            "holds.read",
            Some(subject),
            |snapshot, policy, context, noted| read(snapshot, policy, context, noted, subject),
            |view| view,
        )
    }

    /// Who is under a hold, in the order of their ids; no values. One call looks at a part of a large
    /// vault and goes on by its cursor.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`]; [`Refusal::Invalid`] for a cursor that is over or belongs to another list.
    pub fn list_holds(
        &self,
        call: &Call<'_>,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<HeldPage, Refusal> {
        self.read(
            call,
            "holds.list",
            None,
            |snapshot, policy, context, _| {
                context.principal.require(policy, CAPABILITY)?;
                let token = context.principal.token();
                let token = token.as_ref().map_or(&[][..], |token| token.as_bytes());
                let query = sha256(&[b"holds", token]);
                let from = match cursor {
                    Some(text) => cursor::open(&self.memory, snapshot, &query, text)?,
                    None => [0; 16],
                };
                let limit = limit.clamp(1, PAGE_RECORDS_MAX);
                let (holds, next) = page(snapshot, policy, context, from, limit)?;
                Ok(HeldPage {
                    holds,
                    next: next.map(|at| cursor::sealed(&self.memory, snapshot, &query, &at)),
                })
            },
            |page| page,
        )
    }
}
