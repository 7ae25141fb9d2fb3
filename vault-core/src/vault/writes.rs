//! Writes of records.
//!
//! Each is a function of a transaction, the policy in force there and the call, so that it runs
//! alone or together with others in one commit.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::call::{Context, Ground, Noted};
use super::reads::{etag, of_kind};
use super::views::Written;
use super::{Call, Vault, corrections, input, suppressions};
use crate::commit::{Txn, View};
use crate::decision;
use crate::id::{RecordId, SubjectId};
use crate::limits::{APPEND_RECORDS_MAX, FINAL_WITHIN_HOURS, INPUT_ERRORS_MAX};
use crate::outbox;
use crate::person::{Person, keep_destroyed};
use crate::policy::{Collection, CollectionKind, Field, Policy};
use crate::record::{self, Ended, Outcome, Stored};
use crate::refusal::Refusal;
use crate::standing::Standing;

fn written(outcome: &Outcome, now: Timestamp) -> Written {
    let single = outcome.id == RecordId::SINGLE;
    Written {
        record: (!single).then_some(outcome.id),
        etag: etag(&outcome.revision),
        final_by: outcome.replaced.then(|| final_by(now)),
        beside: false,
    }
}

pub(super) fn final_by(now: Timestamp) -> Timestamp {
    now + jiff::SignedDuration::from_hours(FINAL_WITHIN_HOURS)
}

pub(super) fn check_revision(
    stored: Option<&Stored>,
    if_match: Option<&str>,
) -> Result<(), Refusal> {
    let matches = match (if_match, stored) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some("*"), Some(_)) => true,
        (Some(wanted), Some(stored)) => etag(&stored.row.revision) == wanted,
    };
    if matches {
        Ok(())
    } else {
        Err(Refusal::PreconditionFailed)
    }
}

/// Why nothing is taken out of a held collection, legal claims or not.
pub(super) const NOT_REMOVED: &str = "nothing is removed before the hold is released";

/// A writer who has been let in, with what is to be written.
struct Writer<'p> {
    person: Person,
    body: input::Body<'p>,
    grant: decision::WriteGrant,
    ended: Ended,
    /// Whether the collection is held, so that this is recorded beside what is there.
    held: bool,
}

/// What becomes of the person's own correction of what a legal hold keeps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// It is recorded beside the original.
    Recorded,
    /// There is nothing that it could stand beside.
    Refused,
}

/// The checks of a write up to purpose and basis, in the order that the API fixes.
#[expect(clippy::too_many_arguments, reason = "each is a part of one request")]
fn writer<'p>(
    txn: &Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    collection: &'p Collection,
    body: Map<String, Value>,
    base: &str,
    beside: Beside,
) -> Result<Writer<'p>, Refusal> {
    noted.met = Some(subject);
    context.purpose.as_deref().ok_or(Refusal::PurposeMissing)?;
    let role = &*context.role(policy)?;
    decision::may_write_any(collection, role)?;
    context.corrects(policy)?;
    let person = context.person(txn, subject)?;
    noted.person(&person, txn.now());
    let ground = context.ground_to_change(txn, policy, role, &person, collection)?;
    let Ground {
        purpose,
        standing,
        ended,
        held,
        term,
    } = match beside {
        Beside::Recorded => ground,
        Beside::Refused => ground.unheld(collection)?,
    };
    let body = input::body(policy, collection, body, base);
    let (set, removed) = (&body.set, &body.removed);
    let grant = decision::write(collection, role, purpose, set, removed, &standing)?;
    if !removed.is_empty() {
        decision::unheld(
            collection,
            held || standing.holds(collection.id),
            NOT_REMOVED,
        )?;
    }
    if !set.is_empty() {
        decision::takes_more(purpose, term.as_ref())?;
        context.gate(txn, policy, &person)?;
    }
    let fields = body.set.iter().chain(&body.removed);
    noted
        .fields
        .extend(fields.map(|field| (collection.id, field.id)));
    Ok(Writer {
        person,
        body,
        grant,
        ended,
        held,
    })
}

/// Which record a patch changes.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// The one of a `single` collection, made if there is none.
    Single,
    /// One of a `many` collection, which must be there.
    One(RecordId),
}

/// Sets and removes fields of a record (RFC 7396).
#[expect(clippy::too_many_arguments, reason = "each is a part of one request")]
pub(super) fn patch(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    collection: &str,
    target: Target,
    body: Map<String, Value>,
    if_match: Option<&str>,
) -> Result<Written, Refusal> {
    let (kind, record) = match target {
        Target::Single => (CollectionKind::Single, RecordId::SINGLE),
        Target::One(record) => (CollectionKind::Many, record),
    };
    let collection = of_kind(policy, collection, kind)?;
    let Writer {
        mut person,
        body,
        grant,
        ended,
        held,
    } = writer(
        txn,
        policy,
        context,
        noted,
        subject,
        &collection,
        body,
        "",
        Beside::Recorded,
    )?;
    let stored = Stored::load(txn, &person, &collection, record, ended)?;
    if kind == CollectionKind::Many && stored.is_none() {
        return Err(Refusal::NotFound("record"));
    }
    check_revision(stored.as_ref(), if_match)?;
    if !body.errors.is_empty() {
        return Err(Refusal::Invalid(body.errors));
    }
    if held {
        let Some(stored) = stored else {
            return Err(Refusal::Held(format!(
                "`{}` is held, and nothing is there that a correction could stand beside",
                collection.name
            )));
        };
        let beside = (&collection, &stored);
        corrections::record(txn, policy, context, &mut person, beside, body)?;
        return Ok(Written {
            record: (kind == CollectionKind::Many).then_some(record),
            etag: etag(&stored.row.revision),
            final_by: None,
            beside: true,
        });
    }
    // What was there before, and is replaced or removed.
    let there = |field: &&Field| stored.as_ref().is_some_and(|stored| stored.holds(field.id));
    let changed = body.set.iter().chain(&body.removed).copied();
    let changed: Vec<u16> = changed.filter(there).map(|field| field.id).collect();
    let outcome = record::change(
        txn,
        &mut person,
        &collection,
        policy.version(),
        &grant,
        record,
        stored,
        &body.patch,
    )?;
    let addresses = suppressions::among(txn, &collection, &body.patch.fields);
    suppressions::written(txn, policy, context.from_file, &mut person, &addresses)?;
    outbox::corrected(txn, &person, collection.id, &changed)?;
    context.note_act(txn, policy, &mut person)?;
    Ok(written(&outcome, txn.now()))
}

/// How many records one append may have.
pub(super) fn check_length(bodies: &[Map<String, Value>]) -> Result<(), Refusal> {
    if bodies.is_empty() || bodies.len() > APPEND_RECORDS_MAX {
        let detail = format!("1 to {APPEND_RECORDS_MAX} records in one call");
        return Err(Refusal::TooLarge(detail));
    }
    Ok(())
}

/// Appends records to a `many` collection.
pub(super) fn append(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    collection: &str,
    bodies: &[Map<String, Value>],
) -> Result<Vec<RecordId>, Refusal> {
    let collection = of_kind(policy, collection, CollectionKind::Many)?;
    let mut errors = Vec::new();
    let mut ready = Vec::new();
    for (index, body) in bodies.iter().enumerate() {
        let base = if bodies.len() == 1 {
            String::new()
        } else {
            format!("/{index}")
        };
        let body = body.clone();
        let writer = writer(
            txn,
            policy,
            context,
            noted,
            subject,
            &collection,
            body,
            &base,
            Beside::Refused,
        )?;
        // Every record is decided all the same: a refusal comes before what is wrong with the input.
        if errors.len() < INPUT_ERRORS_MAX {
            errors.extend(writer.body.errors.clone());
        }
        ready.push(writer);
    }
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    noted.fields.sort_unstable();
    noted.fields.dedup();
    let mut ids = Vec::new();
    // One person, whose keyset may gain a key with the first of the records.
    let mut ready = ready.into_iter();
    let Some(Writer {
        mut person,
        body,
        grant,
        ended: _,
        held: _,
    }) = ready.next()
    else {
        return Ok(ids);
    };
    let (version, mut addresses) = (policy.version(), Vec::new());
    for (body, grant) in
        std::iter::once((body, grant)).chain(ready.map(|writer| (writer.body, writer.grant)))
    {
        let patch = &body.patch;
        let outcome = record::append(txn, &mut person, &collection, version, &grant, patch)?;
        ids.push(outcome.id);
        addresses.extend(suppressions::among(txn, &collection, &patch.fields));
    }
    suppressions::written(txn, policy, context.from_file, &mut person, &addresses)?;
    context.note_act(txn, policy, &mut person)?;
    Ok(ids)
}

/// Deletes one record, or the one of a `single` collection.
#[expect(clippy::too_many_arguments, reason = "each is a part of one request")]
pub(super) fn delete(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    collection: &str,
    record: RecordId,
    if_match: Option<&str>,
) -> Result<Written, Refusal> {
    let collection = input::collection(policy, collection)?.clone();
    let none = Map::new();
    let Writer {
        mut person, ended, ..
    } = writer(
        txn,
        policy,
        context,
        noted,
        subject,
        &collection,
        none,
        "",
        Beside::Refused,
    )?;
    let held = Standing::of(txn, &person)?.holds(collection.id);
    decision::unheld(&collection, held, NOT_REMOVED)?;
    let role = context.role(policy)?;
    let all = collection
        .fields
        .iter()
        .all(|f| role.may_write(collection.id, f.id));
    if !all {
        return Err(Refusal::RoleDenied(format!(
            "deleting needs leave to write every field of `{}`",
            collection.name
        )));
    }
    let stored = Stored::load(txn, &person, &collection, record, ended)?;
    let stored = stored.ok_or(Refusal::NotFound("record"))?;
    check_revision(Some(&stored), if_match)?;
    let fields: Vec<u16> = stored.fields().collect();
    record::remove(txn, &mut person, &collection, &stored)?;
    outbox::corrected(txn, &person, collection.id, &fields)?;
    context.note_act(txn, policy, &mut person)?;
    keep_destroyed(txn, person.entry.handle, collection.id, &[record]);
    Ok(Written {
        record: (record != RecordId::SINGLE).then_some(record),
        etag: String::new(),
        final_by: Some(final_by(txn.now())),
        beside: false,
    })
}

impl Vault {
    /// Sets and removes fields of the one record of a `single` collection (RFC 7396).
    ///
    /// # Errors
    ///
    /// In this order: [`Refusal::PurposeMissing`], [`Refusal::RoleDenied`], [`Refusal::NotFound`],
    /// [`Refusal::Erased`], [`Refusal::PurposeDenied`], [`Refusal::ConsentRequired`],
    /// [`Refusal::PreconditionFailed`], [`Refusal::Invalid`]; and those of every write.
    pub fn patch_single(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        collection: &str,
        body: Map<String, Value>,
        if_match: Option<&str>,
    ) -> Result<Written, Refusal> {
        self.patch(call, subject, collection, Target::Single, body, if_match)
    }

    /// Sets and removes fields of one record of a `many` collection.
    ///
    /// # Errors
    ///
    /// As for [`Vault::patch_single`]; [`Refusal::NotFound`] also for the record.
    pub fn patch_record(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        collection: &str,
        record: RecordId,
        body: Map<String, Value>,
        if_match: Option<&str>,
    ) -> Result<Written, Refusal> {
        let target = Target::One(record);
        self.patch(call, subject, collection, target, body, if_match)
    }

    fn patch(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        collection: &str,
        target: Target,
        body: Map<String, Value>,
        if_match: Option<&str>,
    ) -> Result<Written, Refusal> {
        let name = collection.to_owned();
        let if_match = if_match.map(str::to_owned);
        self.write(call, "records.patch", move |txn, policy, context, noted| {
            let (body, if_match) = (body.clone(), if_match.as_deref());
            patch(
                txn, policy, context, noted, subject, &name, target, body, if_match,
            )
        })
    }

    /// Appends records to a `many` collection: all of them or none.
    ///
    /// # Errors
    ///
    /// As for [`Vault::patch_single`]; [`Refusal::TooLarge`] for more than 1,000.
    pub fn append(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        collection: &str,
        bodies: Vec<Map<String, Value>>,
    ) -> Result<Vec<RecordId>, Refusal> {
        check_length(&bodies)?;
        let name = collection.to_owned();
        self.write(
            call,
            "records.append",
            move |txn, policy, context, noted| {
                append(txn, policy, context, noted, subject, &name, &bodies)
            },
        )
    }

    /// Deletes one record, or the one of a `single` collection.
    ///
    /// # Errors
    ///
    /// As for [`Vault::patch_single`]; [`Refusal::RoleDenied`] unless the role may write every
    /// field of it.
    pub fn delete_record(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        collection: &str,
        record: RecordId,
        if_match: Option<&str>,
    ) -> Result<Written, Refusal> {
        let name = collection.to_owned();
        let if_match = if_match.map(str::to_owned);
        self.write(
            call,
            "records.delete",
            move |txn, policy, context, noted| {
                let if_match = if_match.as_deref();
                delete(
                    txn, policy, context, noted, subject, &name, record, if_match,
                )
            },
        )
    }
}
