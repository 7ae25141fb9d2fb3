//! What a turn depends on, gathered from the vault: of one person, in one state of it.

use std::ops::ControlFlow;

use serde_json::Value;
use zeroize::Zeroizing;

use super::super::objections;
use super::super::requests::spoken;
use super::moves::Facts;
use crate::commit::View;
use crate::consent;
use crate::id::RecordId;
use crate::limits::CODES_PER_HOUR_MAX;
use crate::person::Person;
use crate::policy::{Collection, CollectionKind, Field, LawfulBasis, Policy};
use crate::record::{self, Ended, Stored};
use crate::refusal::Refusal;
use crate::schema::FieldType;
use crate::standing::{self, ObjectionState, Standing};
use crate::suppression::is_address;
use crate::talk::stored::sendings;
use crate::talk::{At, FieldId, Question, Talk};
use crate::verification::AddressKind;

/// What is known before anybody is.
pub(super) fn of_nobody(
    policy: &Policy,
    talk: &Talk,
    (private, sends): (bool, &[AddressKind]),
) -> Facts {
    Facts {
        private,
        can_send: !sends.is_empty(),
        sends_left: talk.sent.len() < CODES_PER_HOUR_MAX,
        marketing: policy.purposes().iter().any(|one| one.direct_marketing),
        room: true,
        ..Facts::default()
    }
}

/// What is known of a person.
pub(super) fn of(
    view: &dyn View,
    policy: &Policy,
    person: &Person,
    talk: &Talk,
    how: (bool, &[AddressKind]),
) -> Result<Facts, Refusal> {
    let mut facts = Facts {
        known: true,
        room: spoken::has_room(view, person)?,
        sends_left: sendings(view, person)? < CODES_PER_HOUR_MAX,
        ..of_nobody(policy, talk, how)
    };
    for purpose in policy.purposes() {
        if purpose.basis == LawfulBasis::Consent {
            let said = consent::state(view, person, purpose.id)?;
            if said.is_some_and(|said| said.state.permits()) {
                facts.consents.push(purpose.id);
            }
        }
        let objection = standing::objection(view, person, purpose)?;
        let stands = objection.is_some_and(ObjectionState::stands);
        if !stands && objections::objectionable(policy, &purpose.name).is_ok() {
            facts.objectionable.push(purpose.id);
        }
    }
    let standing = Standing::of(view, person)?;
    for collection in policy.collections() {
        if collection.kind != CollectionKind::Single {
            continue;
        }
        let held = standing.holds(collection.id);
        let stored = Stored::load(view, person, collection, RecordId::SINGLE, Ended::In)?;
        for field in &collection.fields {
            let id = (collection.id, field.id);
            let there = stored.as_ref().is_some_and(|stored| stored.holds(field.id));
            if there && is_address(field.kind) && how.1.contains(&way(field.kind)) {
                facts.addresses.push(id);
            }
            if can_be_typed(field.kind) {
                facts.fields.push(id);
                if held || is_address(field.kind) || field.lookup {
                    facts.by_hand.push(id);
                }
                let reached = is_address(field.kind) && how.1.contains(&way(field.kind));
                if reached && !held && has_room(view, person, talk, (collection, field))? {
                    facts.coded.push(id);
                }
            }
        }
    }
    let mut there = 0;
    for collection in policy.collections() {
        if record::any(view, person, collection.id)? {
            there += 1;
            if !standing.holds(collection.id) {
                facts.parts.push(collection.id);
            }
        }
    }
    facts.several = there > 1;
    let requests = spoken::standing(view, person)?;
    let open = requests.iter().filter(|event| !event.state.is_closed());
    facts.open = open.map(|event| event.request).collect();
    let mut own = requests.iter();
    let own = own.find(|event| Some(event.request) == talk.request);
    facts.ready = own.is_some_and(spoken::is_ready);
    Ok(facts)
}

/// Whether the index takes what is to be changed now: a person with very many look-up values, or an address that
/// very many share, is for somebody to look at.
fn has_room(
    view: &dyn View,
    person: &Person,
    talk: &Talk,
    (collection, field): (&Collection, &Field),
) -> Result<bool, Refusal> {
    let asked = talk.at == At::Asking(Question::ConfirmAddress);
    if !asked || !field.lookup || talk.field != Some((collection.id, field.id)) {
        return Ok(true);
    }
    match typed(field.kind, &talk.value) {
        Some(value) => {
            person.takes_lookups(view, &record::lookups(view, collection, field, &value))
        }
        None => Ok(false),
    }
}

/// Whether a value of this type can be typed in a chat.
const fn can_be_typed(kind: FieldType) -> bool {
    !matches!(kind, FieldType::Bool | FieldType::Json | FieldType::Blob)
}

/// A field by its numbers.
pub(super) fn field(
    policy: &Policy,
    (collection, field): FieldId,
) -> Option<(&Collection, &Field)> {
    let collection = policy.collection_by_id(collection)?;
    Some((collection, collection.field_by_id(field)?))
}

/// What somebody typed, as a value of the type; `None` where it is none.
pub(super) fn typed(kind: FieldType, text: &str) -> Option<Value> {
    let text = text.trim();
    let value = match kind {
        FieldType::Number => serde_json::from_str(text).ok()?,
        _ => Value::String(text.to_owned()),
    };
    kind.check(&value).is_ok().then_some(value)
}

/// The kind of an address that somebody typed; `None` where it is none.
pub(super) fn address_kind(text: &str) -> Option<FieldType> {
    let kinds = [FieldType::Email, FieldType::Phone];
    kinds.into_iter().find(|kind| typed(*kind, text).is_some())
}

/// How a code gets to an address of this type.
pub(super) const fn way(kind: FieldType) -> AddressKind {
    match kind {
        FieldType::Phone => AddressKind::Phone,
        _ => AddressKind::Email,
    }
}

/// The addresses of a person in a field.
pub(super) fn addresses(
    view: &dyn View,
    person: &Person,
    collection: &Collection,
    wanted: u16,
) -> Result<Vec<(Zeroizing<String>, String)>, Refusal> {
    let mut all = Vec::new();
    record::each_of_type(view, person, collection, is_address, &mut |field, value| {
        if let (true, Some(text)) = (field.id == wanted, value.as_str()) {
            let mask = field.kind.mask(value);
            let mask = mask.as_str().unwrap_or_default().to_owned();
            all.push((Zeroizing::new(text.to_owned()), mask));
        }
        ControlFlow::Continue(())
    })?;
    Ok(all)
}
