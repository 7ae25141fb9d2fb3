//! Who puts addresses on the suppression list, who takes them away, and what it does to whoever has one.
//!
//! Somebody who objects to direct marketing puts every address they have there, and each that is written
//! while the objection stands. Whoever gets an address that is listed has objected, from the same commit on.
//! The person themselves takes their addresses away, by ending the objection or by a later consent; an
//! erasure does not, and a file that is imported does not either.
//!
//! Source: GDPR Art. 21(2) and (3).

use std::collections::BTreeSet;

use serde_json::Value;

use super::call::{Context, Noted};
use super::input;
use super::{Call, Vault};
use crate::backup::ledger::LedgerEvent;
use crate::commit::{Txn, View};
use crate::id::SubjectId;
use crate::person::Person;
use crate::policy::{Capability, Collection, Policy, Purpose};
use crate::record;
use crate::refusal::Refusal;
use crate::schema::FieldType;
use crate::standing::{self, ObjectionEvent, ObjectionOrigin, ObjectionState};
use crate::suppression::{self, Address, For, is_address};

/// An address that is to get no direct marketing.
#[derive(Clone)]
pub struct SuppressionInput {
    /// What the address is.
    pub what: SuppressionKind,
    /// The address.
    pub value: Value,
    /// The purpose that it is about; every purpose of direct marketing, where none is named.
    pub purpose: Option<String>,
}

/// What an address is.
#[derive(Clone)]
pub enum SuppressionKind {
    /// A value of this field, `collection.field`.
    Field(String),
    /// A value of this type.
    Type(String),
}

/// Silent about the address.
impl std::fmt::Debug for SuppressionInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SuppressionInput").finish_non_exhaustive()
    }
}

/// Silent about what a caller wrote.
impl std::fmt::Debug for SuppressionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SuppressionKind")
    }
}

fn marketing(policy: &Policy) -> impl Iterator<Item = &Purpose> {
    let all = policy.purposes().iter();
    all.filter(|purpose| purpose.direct_marketing)
}

fn stands(view: &dyn View, person: &Person, purpose: u16) -> Result<bool, Refusal> {
    let state = standing::objection(view, person, purpose)?;
    Ok(state.is_some_and(ObjectionState::stands))
}

/// Adds a step of an objection, which no backup undoes.
fn append(
    txn: &mut Txn<'_>,
    person: &mut Person,
    purpose: u16,
    (state, origin): (ObjectionState, ObjectionOrigin),
) -> Result<(), Refusal> {
    let event = ObjectionEvent {
        state,
        at: txn.now(),
        reason: None,
        origin,
    };
    standing::append_objection(txn, person, purpose, &event)?;
    txn.keep_in_ledger(LedgerEvent::Objected {
        handle: person.entry.handle,
        purpose,
        state,
    });
    Ok(())
}

/// Every address of a person, by what the policy in force knows as one.
fn addresses(
    view: &dyn View,
    policy: &Policy,
    person: &Person,
) -> Result<BTreeSet<Address>, Refusal> {
    let row = person.row(view)?;
    let (channel, user) = row.identity();
    let mut all = BTreeSet::from([suppression::of_channel(view, channel, user)]);
    for collection in policy.collections() {
        record::each_of_type(view, person, collection, is_address, &mut |field, value| {
            all.extend(suppression::of_field(view, field, value));
        })?;
    }
    Ok(all)
}

/// Puts an address on the list. One that finds no room there is passed by: whoever objects has objected all
/// the same, and nothing of theirs is used.
fn list(txn: &mut Txn<'_>, address: Address, what: For) -> Result<(), Refusal> {
    match suppression::add(txn, address, what) {
        Err(Refusal::TooLarge(_)) => Ok(()),
        done => done,
    }
}

/// A person has objected to a purpose of direct marketing: their addresses are listed.
pub(super) fn objected(
    txn: &mut Txn<'_>,
    policy: &Policy,
    person: &Person,
    purpose: u16,
) -> Result<(), Refusal> {
    for address in addresses(txn, policy, person)? {
        list(txn, address, For::One(purpose))?;
    }
    Ok(())
}

/// A person wants this direct marketing again: their addresses are listed for it no more.
///
/// One that somebody else is known by, who objects, stays: it is theirs as well.
pub(super) fn wanted_again(
    txn: &mut Txn<'_>,
    policy: &Policy,
    person: &Person,
    purpose: u16,
) -> Result<(), Refusal> {
    let mut kept = BTreeSet::new();
    let mut shared: Vec<(Address, SubjectId)> = Vec::new();
    for collection in policy.collections() {
        record::each_of_type(txn, person, collection, is_address, &mut |field, value| {
            let mark = record::mark(txn, collection, field, value).filter(|_| field.lookup);
            let hits = mark.map(|mark| txn.index_hits(&mark));
            let hits = hits.and_then(Result::ok).unwrap_or_default();
            let others = hits.into_iter().filter(|hit| hit.subject != person.subject);
            if let Some(address) = suppression::of_field(txn, field, value) {
                shared.extend(others.map(|hit| (address, hit.subject)));
            }
        })?;
    }
    for (address, other) in shared {
        if stands(txn, &Person::find(txn, other)?, purpose)? {
            kept.insert(address);
        }
    }
    for address in addresses(txn, policy, person)? {
        if !kept.contains(&address) {
            suppression::remove(txn, policy, address, purpose)?;
        }
    }
    Ok(())
}

/// A person consents to a purpose: to that of direct marketing after they had objected to it, they want it
/// again. Nobody says so by a file, whose consents may be older than the objection.
pub(super) fn consented(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    purpose: &Purpose,
) -> Result<(), Refusal> {
    if !purpose.direct_marketing || context.from_file || !stands(txn, person, purpose.id)? {
        return Ok(());
    }
    let ended = (ObjectionState::Ended, ObjectionOrigin::Consent);
    append(txn, person, purpose.id, ended)?;
    wanted_again(txn, policy, person, purpose.id)
}

/// Addresses were written to a person: where one is listed they have objected, and where they have objected
/// all are listed.
pub(super) fn written(
    txn: &mut Txn<'_>,
    policy: &Policy,
    person: &mut Person,
    addresses: &[Address],
) -> Result<(), Refusal> {
    if addresses.is_empty() {
        return Ok(());
    }
    for purpose in marketing(policy) {
        let mut stands = stands(txn, person, purpose.id)?;
        let mut listed = false;
        for address in addresses {
            let row = suppression::look(txn, *address)?;
            listed |= row.is_some_and(|row| row.covers(purpose.id));
        }
        if listed && !stands {
            let upheld = (ObjectionState::Upheld, ObjectionOrigin::Suppressed);
            append(txn, person, purpose.id, upheld)?;
            // Those that they had before are theirs as well.
            objected(txn, policy, person, purpose.id)?;
            stands = true;
        }
        if stands {
            for address in addresses {
                list(txn, *address, For::One(purpose.id))?;
            }
        }
    }
    Ok(())
}

/// The addresses among values that are written into fields of a collection.
pub(super) fn among(
    view: &dyn View,
    collection: &Collection,
    fields: &[(u16, Option<Value>)],
) -> Vec<Address> {
    let of = |(field, value): &(u16, Option<Value>)| {
        suppression::of_field(view, collection.field_by_id(*field)?, value.as_ref()?)
    };
    fields.iter().filter_map(of).collect()
}

/// A person was made who is known by this name on a channel.
pub(super) fn made(
    txn: &mut Txn<'_>,
    policy: &Policy,
    person: &mut Person,
    (channel, user): (&str, &str),
) -> Result<(), Refusal> {
    if marketing(policy).next().is_none() {
        return Ok(());
    }
    let address = suppression::of_channel(txn, channel, user);
    written(txn, policy, person, &[address])
}

fn invalid(pointer: &str, code: &'static str, detail: &str) -> Refusal {
    Refusal::Invalid(vec![input::error(pointer, code, detail)])
}

fn kind(policy: &Policy, what: &SuppressionKind) -> Result<FieldType, Refusal> {
    let (kind, pointer) = match what {
        SuppressionKind::Field(path) => (Some(input::field(policy, path)?.1.kind), "/field"),
        SuppressionKind::Type(name) => (FieldType::parse(name), "/kind"),
    };
    let kind = kind.filter(|kind| is_address(*kind));
    kind.ok_or_else(|| {
        let detail = "an address that somebody can be written to: of type `email` or `phone`";
        invalid(pointer, "not_an_address", detail)
    })
}

/// Everybody who is known by a value of this type.
pub(super) fn known_by(
    view: &dyn View,
    policy: &Policy,
    kind: FieldType,
    value: &Value,
) -> Result<BTreeSet<SubjectId>, Refusal> {
    let mut known = BTreeSet::new();
    for collection in policy.collections() {
        let fields = collection.fields.iter();
        for field in fields.filter(|field| field.lookup && field.kind == kind) {
            let mark = record::mark(view, collection, field, value);
            let hits = mark.map(|mark| view.index_hits(&mark)).transpose()?;
            known.extend(hits.into_iter().flatten().map(|hit| hit.subject));
        }
    }
    Ok(known)
}

/// Puts an address on the list, for somebody of whom nothing but that is known, and records the objection of
/// whoever is known by it.
pub(super) fn put(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    _noted: &mut Noted,
    input: &SuppressionInput,
) -> Result<(), Refusal> {
    let capability = Capability::ObjectionsRecord;
    context.principal.require(policy, capability)?;
    put_of(txn, policy, input)
}

/// The same of whoever was let in.
pub(super) fn put_of(
    txn: &mut Txn<'_>,
    policy: &Policy,
    input: &SuppressionInput,
) -> Result<(), Refusal> {
    let what = match &input.purpose {
        None => For::All,
        Some(name) => {
            let purpose = policy.purpose(name).ok_or(Refusal::NotFound("purpose"))?;
            For::One(purpose.id)
        }
    };
    let about: Vec<&Purpose> = marketing(policy)
        .filter(|purpose| {
            matches!(what, For::All) || matches!(what, For::One(id) if id == purpose.id)
        })
        .collect();
    if about.is_empty() {
        return Err(Refusal::Conflict(match &input.purpose {
            Some(_) => "this purpose is no direct marketing: an objection to another purpose is a known person's \
                        (Art. 21(1)), `PUT /v1/subjects/{s}/objections/{purpose}`"
                .into(),
            None => "the policy has no purpose of direct marketing".into(),
        }));
    }
    let kind = kind(policy, &input.what)?;
    kind.check(&input.value).map_err(|complaint| {
        invalid(
            &format!("/value{}", complaint.pointer),
            complaint.code,
            &complaint.detail,
        )
    })?;
    let address = suppression::of_value(txn, kind, &input.value)
        .ok_or_else(|| invalid("/value", "not_an_address", "an address is expected"))?;
    suppression::add(txn, address, what)?;
    for subject in known_by(txn, policy, kind, &input.value)? {
        let mut person = Person::find(txn, subject)?;
        for purpose in &about {
            if stands(txn, &person, purpose.id)? {
                continue;
            }
            let upheld = (ObjectionState::Upheld, ObjectionOrigin::Address);
            match append(txn, &mut person, purpose.id, upheld) {
                // Somebody whose list is full is not to be told apart from nobody.
                Err(Refusal::TooLarge(_)) => {}
                done => done?,
            }
        }
    }
    Ok(())
}

impl Vault {
    /// Puts an address on the suppression list, and records the objection of whoever is known by it: the
    /// answer is the same whether or not anybody is.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] where there is no such direct marketing; [`Refusal::Invalid`],
    /// [`Refusal::NotFound`], [`Refusal::RoleDenied`], [`Refusal::TooLarge`] for a list that is full.
    pub fn suppress(&self, call: &Call<'_>, input: SuppressionInput) -> Result<(), Refusal> {
        let action = "suppressions.put";
        self.write(call, action, move |txn, policy, context, noted| {
            put(txn, policy, context, noted, &input)
        })
    }
}
