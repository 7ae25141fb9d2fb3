//! What is left of a person whose erasure a legal hold keeps from its end: everything that is not held is
//! destroyed at once, and what is held goes under keys that are new.
//!
//! Knows nothing of who asked, or of who may read what is left.
//!
//! Source: GDPR Art. 17(3)(b) and (e).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::answer;
use crate::automated;
use crate::backup::ledger::LedgerEvent;
use crate::commit::{Txn, View};
use crate::events::{self, Topic};
use crate::id::ReceiptId;
use crate::keys::keyset::{Compartment, Lookup};
use crate::keys::system::{DECISION_FIELD, REQUEST_FIELD};
use crate::outbox::{self, Fan};
use crate::person::{self, Erasure, Person, Receipt};
use crate::policy::Policy;
use crate::pseudonym;
use crate::record;
use crate::refusal::Refusal;
use crate::request::stored;
use crate::rotation;
use crate::standing::{self, HoldEvent, PendingErasure};
use crate::store::{Direction, KeyRange, ReadTx, Table, WriteTx};
use crate::talk;

/// Notes how a hold stands, so that no backup undoes it.
pub(crate) fn keep_hold(txn: &mut Txn<'_>, person: &Person, hold: &HoldEvent) {
    let HoldEvent {
        state,
        ground,
        collections,
        // Words and names of people: the ledger outlives the person.
        by: _,
        approver: _,
        reason: _,
        review_at,
        at: _,
        erasure,
    } = hold;
    txn.keep_in_ledger(LedgerEvent::Held {
        handle: person.entry.handle,
        state: *state,
        ground: *ground,
        collections: collections.clone(),
        review_at: review_at.to_string(),
        erasure: erasure.map(|erasure| (erasure.at.as_millisecond(), erasure.receipt)),
    });
}

/// Destroys everything of a person, and has recipients told.
pub(crate) fn whole(txn: &mut Txn<'_>, person: &Person) -> Result<Receipt, Refusal> {
    let fan = fan_or_damage(outbox::erased(txn, person))?;
    person::erase(txn, person, told(fan))
}

/// Nobody is kept because what was said of their recipients does not open.
fn fan_or_damage(fan: Result<Fan, Refusal>) -> Result<Fan, Refusal> {
    match fan {
        Err(refusal) if refusal.is_damage_of_a_row() => Ok(Fan::default()),
        fan => fan,
    }
}

/// What a receipt says of who is being told: nothing where nobody is.
fn told(fan: Fan) -> Vec<(&'static str, Value)> {
    match fan.until {
        Some(until) => vec![
            ("recipients", json!(fan.recipients)),
            ("recipients_until", json!(until.to_string())),
        ],
        None => Vec::new(),
    }
}

/// Whether a hold keeps anything of a person: one over collections in which they have nothing does not.
pub(crate) fn any(view: &dyn View, person: &Person, hold: &HoldEvent) -> Result<bool, Refusal> {
    let kept = record::count_kept(view, person, &|collection| hold.covers(collection))?;
    Ok(!kept.is_empty())
}

/// Destroys everything of a person but the records that are held, and the proof of what they said and
/// were told: rows, look-up values, sessions, answers, who they are on which channel. What is left is sealed
/// under new keys in the same commit, and the old ones go together with the KEK, so that nothing waits.
/// Done again it destroys nothing but the keys of the time before, and stands for the same.
pub(crate) fn erase(
    txn: &mut Txn<'_>,
    policy: &Policy,
    mut person: Person,
    mut hold: HoldEvent,
) -> Result<Receipt, Refusal> {
    let id = ReceiptId::generate(txn.entropy());
    let epochs = txn.epochs();
    let destroyed = person::destroyed(&person);
    // Whoever is erased so a second time had everybody told the first time.
    let fan = match hold.erasure {
        None => fan_or_damage(outbox::erased_but(txn, &person, &|collection| {
            hold.covers(collection)
        }))?,
        Some(_) => Fan::default(),
    };
    let handle = person.entry.handle;
    // How a request was dealt with stays with the proof, and is found by its id; so does how a decision was reviewed.
    let (stay, go) = std::mem::take(&mut person.keyset.lookups)
        .into_iter()
        .partition(|lookup| [REQUEST_FIELD, DECISION_FIELD].contains(&lookup.field));
    person.keyset.lookups = stay;
    let go: Vec<Lookup> = go;
    for lookup in go {
        txn.shred_index(lookup.set, &lookup.mark, handle);
    }
    stored::silence(txn, &person)?;
    automated::stored::silence(txn, &person)?;
    let (_, left) = record::remove_others(txn, &person, &|collection| hold.covers(collection))?;
    let range = KeyRange::prefix(handle.as_bytes());
    for table in [
        Table::Sessions,
        Table::Answers,
        Table::LogLines,
        Table::Dialogues,
        Table::Pickups,
    ] {
        for key in txn.keys(table, &range, Direction::Ascending, usize::MAX)? {
            txn.delete(table, &key)?;
        }
    }
    person::forget_identity(txn, &mut person)?;
    pseudonym::forget(txn, &person)?;
    if hold.erasure.is_none() {
        let at = txn.now();
        hold.at = at;
        hold.erasure = Some(PendingErasure { at, receipt: id });
        standing::append_hold(txn, &mut person, &hold)?;
    }
    keep_hold(txn, &person, &hold);
    rotation::whole(txn, &mut person)?;
    txn.revoke(person.subject);
    let erasure = Erasure {
        scope: "person",
        about: person.subject.as_bytes(),
        opening: ("subject", person.subject.to_string()),
        destroyed,
        kept: kept(policy, &hold, &left),
        epochs,
        more: told(fan),
    };
    erasure.receipt(txn, id)
}

/// A correction that waits, as far as it is looked at here.
#[derive(Serialize, Deserialize)]
struct Beside {
    collection: u16,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What came of an erasure of some collections.
pub(crate) struct Parted {
    pub(crate) receipt: Receipt,
    /// The hold that keeps some of them, and those.
    pub(crate) kept: Option<(HoldEvent, Vec<u16>)>,
}

/// Whether anything of these collections can be destroyed: that no hold keeps them all.
pub(crate) fn can_part(
    view: &dyn View,
    person: &Person,
    collections: &[u16],
) -> Result<bool, Refusal> {
    let hold = standing::hold(view, person)?;
    let held = |collection: &u16| hold.as_ref().is_some_and(|hold| hold.covers(*collection));
    Ok(!collections.iter().all(held))
}

/// Destroys every record of a person in these collections, but for what a hold keeps, and nothing else of them: rows,
/// look-up values, corrections that wait, and what calls and conversations had answered. All that is left of the person is sealed under new keys in
/// the same commit, and the old ones go together with the KEK, so that no freed page can be read.
pub(crate) fn part(
    txn: &mut Txn<'_>,
    policy: &Policy,
    mut person: Person,
    collections: &[u16],
) -> Result<Parted, Refusal> {
    let id = ReceiptId::generate(txn.entropy());
    let epochs = txn.epochs();
    let destroyed = person::destroyed(&person);
    let hold = standing::hold(txn, &person)?;
    let held = |collection: u16| hold.as_ref().is_some_and(|hold| hold.covers(collection));
    let goes = |collection: u16| collections.contains(&collection) && !held(collection);
    let fan = fan_or_damage(outbox::erased_but(txn, &person, &|collection| {
        !goes(collection)
    }))?;
    let handle = person.entry.handle;
    let (go, stay): (Vec<Lookup>, Vec<Lookup>) = std::mem::take(&mut person.keyset.lookups)
        .into_iter()
        .partition(|lookup| goes(lookup.field.0));
    person.keyset.lookups = stay;
    for lookup in go {
        txn.shred_index(lookup.set, &lookup.mark, handle);
    }
    talk::stored::silence(txn, &person)?;
    answer::silence(txn, &person)?;
    // A correction that waits holds values of the record that it is about, and goes with it.
    events::retain(txn, &mut person, Topic::Correction, |waits: &Beside| {
        !goes(waits.collection)
    })?;
    let (gone, left) = record::remove_others(txn, &person, &|collection| !goes(collection))?;
    for (collection, records) in &gone {
        person::keep_destroyed(txn, handle, *collection, records);
    }
    rotation::whole(txn, &mut person)?;
    txn.revoke(person.subject);
    let names = gone.iter().map(|(collection, records)| {
        let name = policy.collection_by_id(*collection);
        let name = name.map_or_else(|| collection.to_string(), |one| one.name.clone());
        json!({"collection": name, "records": records.len()})
    });
    let names = json!(names.collect::<Vec<Value>>());
    let law = |collection: &u16| collections.contains(collection) && held(*collection);
    let left: record::Counted = left.into_iter().filter(|(one, _)| law(one)).collect();
    let erasure = Erasure {
        scope: "collections",
        about: person.subject.as_bytes(),
        opening: ("subject", person.subject.to_string()),
        destroyed,
        kept: match &hold {
            Some(hold) => held_records(policy, hold, &left).collect(),
            None => Vec::new(),
        },
        epochs,
        more: [("collections", names)]
            .into_iter()
            .chain(told(fan))
            .collect(),
    };
    let receipt = erasure.receipt(txn, id)?;
    let kept: Vec<u16> = left.into_keys().collect();
    let kept = hold.filter(|_| !kept.is_empty()).map(|hold| (hold, kept));
    Ok(Parted { receipt, kept })
}

/// Records that a hold keeps, as a receipt names them.
fn held_records<'a>(
    policy: &'a Policy,
    hold: &'a HoldEvent,
    left: &'a record::Counted,
) -> impl Iterator<Item = Value> + 'a {
    left.iter().map(|(id, records)| {
        let name = policy.collection_by_id(*id).map(|one| one.name.clone());
        json!({
            "collection": name.unwrap_or_else(|| id.to_string()),
            "records": records,
            "ground": hold.ground.name(),
            "law": hold.ground.law(),
            "review_at": hold.review_at.to_string(),
        })
    })
}

/// What was not erased, and under which law.
fn kept(policy: &Policy, hold: &HoldEvent, left: &record::Counted) -> Vec<Value> {
    let proof = json!({
        "compartment": Compartment::CONSENTS.number,
        "ground": "evidence",
        "law": "Art. 5(2) GDPR",
    });
    held_records(policy, hold, left).chain([proof]).collect()
}
