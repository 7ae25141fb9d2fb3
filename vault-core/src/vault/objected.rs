//! One step of an objection, whichever call it comes from: the person's own list, the ledger, so that no backup
//! undoes it, and the recipients, who are told where from then on nothing is to be used.
//!
//! Knows nothing of who may say so, nor of the suppression list.
//!
//! Source: GDPR Art. 19, 21.

use crate::backup::ledger::LedgerEvent;
use crate::commit::{Txn, View};
use crate::outbox::{self, NoticeKind};
use crate::person::Person;
use crate::policy::Purpose;
use crate::refusal::Refusal;
use crate::standing::{self, ALL_MARKETING, ObjectionEvent, ObjectionOrigin, ObjectionState};

/// Whether the person objects to a purpose.
pub(super) fn stands(view: &dyn View, person: &Person, purpose: &Purpose) -> Result<bool, Refusal> {
    let state = standing::objection(view, person, purpose)?;
    Ok(state.is_some_and(ObjectionState::stands))
}

/// Adds a step. Who objected already, and says so again or is told that they are right, ends nothing by it that
/// recipients have not been told of.
pub(super) fn append(
    txn: &mut Txn<'_>,
    person: &mut Person,
    purpose: &Purpose,
    event: &ObjectionEvent,
) -> Result<(), Refusal> {
    let stood = stands(txn, person, purpose)?;
    put(txn, person, purpose.id, event)?;
    if event.state.stands() && !stood {
        outbox::ended(txn, person, NoticeKind::Objection, purpose.id)?;
    }
    Ok(())
}

/// Adds a step that nobody gave a reason for.
pub(super) fn append_plain(
    txn: &mut Txn<'_>,
    person: &mut Person,
    purpose: &Purpose,
    (state, origin): (ObjectionState, ObjectionOrigin),
) -> Result<(), Refusal> {
    let event = plain(txn, state, origin);
    append(txn, person, purpose, &event)
}

/// Adds, unless it stands, that a person objects to direct marketing as such: to what the policy has none of yet
/// too. To be called after each purpose that there is has its own step, by which recipients are told.
pub(super) fn append_to_all(
    txn: &mut Txn<'_>,
    person: &mut Person,
    origin: ObjectionOrigin,
) -> Result<(), Refusal> {
    if standing::objects_to_all(txn, person)? {
        return Ok(());
    }
    let event = plain(txn, ObjectionState::Upheld, origin);
    put(txn, person, ALL_MARKETING, &event)
}

fn plain(txn: &Txn<'_>, state: ObjectionState, origin: ObjectionOrigin) -> ObjectionEvent {
    ObjectionEvent {
        state,
        at: txn.now(),
        reason: None,
        origin,
    }
}

fn put(
    txn: &mut Txn<'_>,
    person: &mut Person,
    purpose: u16,
    event: &ObjectionEvent,
) -> Result<(), Refusal> {
    standing::append_objection(txn, person, purpose, event)?;
    txn.keep_in_ledger(LedgerEvent::Objected {
        handle: person.entry.handle,
        purpose,
        state: event.state,
    });
    Ok(())
}
