//! Corrections of what a legal hold keeps: recorded beside the original, which stays as it is, and made in
//! the commit in which it is held no more.
//!
//! They lie with what the person said, under the person's keys, and are read by whoever may read the original.
//! A record that is erased after all takes them with it.
//!
//! Source: GDPR Art. 16, 17(3)(b) and (e).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call::Context;
use super::input::{self, Body};
use super::suppressions;
use crate::commit::{Txn, View};
use crate::decision;
use crate::events::{self, Topic};
use crate::id::RecordId;
use crate::limits::{HELD_CORRECTIONS_MAX, RECORD_BYTES_MAX};
use crate::outbox;
use crate::person::{DAMAGED, Person};
use crate::policy::{Collection, Policy};
use crate::record::{self, Ended, Patch, Stored};
use crate::refusal::Refusal;
use crate::rotation;
use crate::standing::Standing;

/// One that waits, by number.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Correction {
    collection: u16,
    record: [u8; RecordId::BYTES],
    /// Fields and what they ought to be.
    fields: Vec<(u16, Value)>,
    at: Timestamp,
}

/// A correction that waits for the end of a legal hold, as this caller may see it. No `Debug`: it holds values.
#[derive(Clone)]
pub struct CorrectionView {
    /// The collection's name.
    pub collection: String,
    /// The record; `None` for the one of a `single` collection.
    pub record: Option<RecordId>,
    /// The fields as they ought to be.
    pub fields: Map<String, Value>,
    /// When the person said so.
    pub at: Timestamp,
}

impl Correction {
    /// The collection's number.
    pub(super) fn collection(&self) -> u16 {
        self.collection
    }

    /// Whether it is about this record.
    pub(super) fn is_of(&self, collection: &Collection, record: RecordId) -> bool {
        (self.collection, &self.record) == (collection.id, record.as_bytes())
    }

    /// How long it is.
    fn bytes(&self) -> usize {
        let values = self.fields.iter().map(|(_, value)| value.to_string().len());
        values.sum()
    }

    /// By name, and of the fields those that may be seen; `None` where none may.
    pub(super) fn view(
        &self,
        collection: &Collection,
        sees: impl Fn(u16) -> bool,
    ) -> Option<CorrectionView> {
        let seen = self.fields.iter().filter(|(field, _)| sees(*field));
        let named = seen.filter_map(|(field, value)| {
            let field = collection.field_by_id(*field)?;
            Some((field.name.clone(), value.clone()))
        });
        let fields: Map<String, Value> = named.collect();
        let record = RecordId::from_slice(&self.record);
        (!fields.is_empty()).then(|| CorrectionView {
            collection: collection.name.clone(),
            record: record.filter(|record| *record != RecordId::SINGLE),
            fields,
            at: self.at,
        })
    }
}

/// Those of a person that wait, oldest first.
pub(super) fn waiting(view: &dyn View, person: &Person) -> Result<Vec<Correction>, Refusal> {
    match events::any(view, person.entry.handle, Topic::Correction)? {
        true => events::history(view, person, Topic::Correction),
        false => Ok(Vec::new()),
    }
}

/// Records one beside the original. Who may, and that the values are of their types, is known by now.
pub(super) fn record(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    (collection, stored): (&Collection, &Stored),
    body: Body<'_>,
) -> Result<(), Refusal> {
    if body.patch.meta.is_some() || body.patch.occurred_at.is_some() {
        let detail = "what is held keeps its metadata: a correction has fields alone";
        let error = input::error("", "not_here", detail.to_owned());
        return Err(Refusal::Invalid(vec![error]));
    }
    // What could never be made is not taken down as if it could.
    if !record::takes(txn, person, collection, stored, &body.patch)? {
        return Err(Refusal::TooLarge(
            "this record, or what the person is found by, has no room for it".into(),
        ));
    }
    let fields = body.patch.fields.into_iter();
    let fields = fields.filter_map(|(field, value)| Some((field, value?)));
    let correction = Correction {
        collection: collection.id,
        record: *stored.id.as_bytes(),
        fields: fields.collect(),
        at: txn.now(),
    };
    let all = waiting(txn, person)?;
    let bytes = all.iter().chain([&correction]).map(Correction::bytes);
    if all.len() >= HELD_CORRECTIONS_MAX || bytes.sum::<usize>() > RECORD_BYTES_MAX {
        return Err(Refusal::TooLarge(format!(
            "at most {HELD_CORRECTIONS_MAX} corrections of a person, and 1 MiB of them, wait for the end of a \
             legal hold"
        )));
    }
    events::append(txn, person, Topic::Correction, &correction)?;
    context.note_act(txn, policy, person)
}

/// Whether any waits for a hold that is over: one whose release came back with the erasure ledger, and not
/// with what it did.
pub(super) fn due(view: &dyn View, person: &Person, standing: &Standing) -> Result<bool, Refusal> {
    let waiting = waiting(view, person)?;
    Ok(waiting.iter().any(|one| !standing.holds(one.collection)))
}

/// Makes those of collections that are held no more, as far as there is room. What was recorded of them is gone
/// with the person's old keys, in this commit.
pub(super) fn settle(
    txn: &mut Txn<'_>,
    policy: &Policy,
    person: &mut Person,
    held: &dyn Fn(u16) -> bool,
) -> Result<(), Refusal> {
    let all = waiting(txn, person)?;
    let (stay, due): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| held(one.collection));
    let kept = stay.len();
    let (mut stay, before) = (stay, due.len());
    for correction in due {
        // Something else took the room meanwhile: it waits on, and fails nobody's release and no sweep.
        stay.extend(make(txn, policy, person, correction)?);
    }
    if stay.len() == kept + before {
        return Ok(());
    }
    events::forget(txn, person, Topic::Correction)?;
    for correction in &stay {
        events::append(txn, person, Topic::Correction, correction)?;
    }
    rotation::whole(txn, person)
}

/// One of what the policy still has: a field that is gone, or is of another type by now, takes no correction, nor
/// does a record that is gone. Given back where there is no room for it.
fn make(
    txn: &mut Txn<'_>,
    policy: &Policy,
    person: &mut Person,
    correction: Correction,
) -> Result<Option<Correction>, Refusal> {
    let Some(collection) = policy.collection_by_id(correction.collection) else {
        return Ok(None);
    };
    let fits = |(field, value): &&(u16, Value)| {
        let field = collection.field_by_id(*field);
        field.is_some_and(|field| field.kind.check(value).is_ok())
    };
    let fields = correction.fields.iter().filter(fits);
    let patch = Patch {
        fields: fields
            .map(|(field, value)| (*field, Some(value.clone())))
            .collect(),
        meta: None,
        occurred_at: None,
    };
    let record = RecordId::from_slice(&correction.record).ok_or(DAMAGED)?;
    // A correction makes nothing: what it was about may have been destroyed since.
    let stored = Stored::load(txn, person, collection, record, Ended::In)?;
    let Some(stored) = stored.filter(|_| !patch.fields.is_empty()) else {
        return Ok(None);
    };
    if !record::takes(txn, person, collection, &stored, &patch)? {
        return Ok(Some(correction));
    }
    let there = |field: &u16| stored.holds(*field);
    let changed = patch.fields.iter().map(|(field, _)| *field);
    let changed: Vec<u16> = changed.filter(there).collect();
    let grant = decision::correction(collection);
    let version = policy.version();
    record::change(
        txn,
        person,
        collection,
        version,
        &grant,
        record,
        Some(stored),
        &patch,
    )?;
    let addresses = suppressions::among(txn, collection, &patch.fields);
    suppressions::written(txn, policy, false, person, &addresses)?;
    outbox::corrected(txn, person, collection.id, &changed)?;
    Ok(None)
}
