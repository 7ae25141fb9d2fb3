//! Who puts addresses on the suppression list, who takes them away, and what it does to whoever has one.
//!
//! Somebody who objects to direct marketing puts every address they have there, and each that is written
//! while the objection stands. Whoever gets an address that is listed has objected, from the same commit on.
//! The person themselves takes their addresses away, by ending the objection or by a later consent; an
//! erasure does not, and a file that is imported does not either.
//!
//! Source: GDPR Art. 21(2) and (3).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use serde_json::Value;

use super::call::{Context, Noted};
use super::input;
use super::{Call, Vault, objected};
use crate::commit::{Txn, View};
use crate::id::SubjectId;
use crate::limits::SUPPRESSED_TOGETHER_MAX;
use crate::person::Person;
use crate::policy::{Capability, Collection, Policy, Purpose};
use crate::record;
use crate::refusal::Refusal;
use crate::schema::FieldType;
use crate::standing::{self, ObjectionEvent, ObjectionOrigin, ObjectionState, Standing};
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

/// Every address of a person, by what the policy in force knows as one: their name on the channel first, then in
/// the order of the policy and of writing. At most so many.
fn addresses(
    view: &dyn View,
    policy: &Policy,
    person: &Person,
    count_max: usize,
) -> Result<Vec<Address>, Refusal> {
    let row = person.row(view)?;
    let (channel, user) = row.identity();
    let first = suppression::of_channel(view, channel, user);
    let (mut all, mut seen) = (vec![first], BTreeSet::from([first]));
    for collection in policy.collections() {
        record::each_of_type(view, person, collection, is_address, &mut |field, value| {
            let address = suppression::of_field(view, field, value);
            all.extend(address.filter(|address| seen.insert(*address)));
            match all.len() < count_max {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
    }
    all.truncate(count_max);
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
    for address in addresses(txn, policy, person, SUPPRESSED_TOGETHER_MAX)? {
        list(txn, address, For::One(purpose))?;
    }
    Ok(())
}

/// The lines of a file about a person have been written: where an objection stands at their end, their addresses
/// are listed. On the way nothing is, so that what the file says was taken back leaves nothing on the list.
pub(super) fn settled(
    txn: &mut Txn<'_>,
    policy: &Policy,
    subject: SubjectId,
) -> Result<(), Refusal> {
    let person = Person::find(txn, subject)?;
    // Most people object to nothing, which costs one look.
    let standing = Standing::of(txn, &person)?;
    if !standing.objects() {
        return Ok(());
    }
    let objects = |purpose: &&Purpose| {
        let state = standing.objection(purpose);
        state.is_some_and(ObjectionState::stands)
    };
    let to: Vec<u16> = marketing(policy)
        .filter(objects)
        .map(|purpose| purpose.id)
        .collect();
    if to.is_empty() {
        return Ok(());
    }
    for address in addresses(txn, policy, &person, SUPPRESSED_TOGETHER_MAX)? {
        for purpose in &to {
            list(txn, address, For::One(*purpose))?;
        }
    }
    Ok(())
}

/// A person wants this direct marketing again: their addresses are listed for it no more.
///
/// One that somebody else is known by, who objects, stays: it is theirs as well. Whoever has it in a field that
/// nobody is found by cannot be known here; their own objection stands all the same.
pub(super) fn wanted_again(
    txn: &mut Txn<'_>,
    policy: &Policy,
    person: &Person,
    purpose: &Purpose,
) -> Result<(), Refusal> {
    // As they may be known to others: of every address that is listed one value.
    let mut listed: BTreeMap<Address, (FieldType, Value)> = BTreeMap::new();
    for collection in policy.collections() {
        record::each_of_type(txn, person, collection, is_address, &mut |field, value| {
            if let Some(address) = suppression::of_field(txn, field, value) {
                let as_here = || (field.kind, value.clone());
                listed.entry(address).or_insert_with(as_here);
            }
            ControlFlow::Continue(())
        })?;
    }
    let row = person.row(txn)?;
    let (channel, user) = row.identity();
    let channel = suppression::of_channel(txn, channel, user);
    suppression::remove(txn, channel, purpose.id)?;
    for (address, (kind, value)) in listed {
        let row = suppression::look(txn, address)?;
        if !row.is_some_and(|row| row.covers(purpose.id)) {
            continue;
        }
        let mut theirs = false;
        for other in known_by(txn, policy, kind, &value)? {
            theirs |= other != person.subject
                && objected::stands(txn, &Person::find(txn, other)?, purpose)?;
        }
        if !theirs {
            suppression::remove(txn, address, purpose.id)?;
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
    let stands = purpose.direct_marketing && objected::stands(txn, person, purpose)?;
    if context.from_file || !stands {
        return Ok(());
    }
    let ended = (ObjectionState::Ended, ObjectionOrigin::Consent);
    objected::append_plain(txn, person, purpose, ended)?;
    wanted_again(txn, policy, person, purpose)
}

/// Addresses were written to a person: where one is listed they have objected, and where they have objected
/// all are listed.
pub(super) fn written(
    txn: &mut Txn<'_>,
    policy: &Policy,
    from_file: bool,
    person: &mut Person,
    addresses: &[Address],
) -> Result<(), Refusal> {
    if addresses.is_empty() {
        return Ok(());
    }
    let among: BTreeSet<Address> = addresses.iter().copied().collect();
    let mut rows = Vec::new();
    for address in &among {
        rows.extend(suppression::look(txn, *address)?);
    }
    // For which purposes every address that they have is to be listed, and for which those that were written.
    let (mut newly, mut already) = (Vec::new(), Vec::new());
    for purpose in marketing(policy) {
        let last = standing::last_objection(txn, person, purpose)?;
        let stood = last.filter(|last| last.state.stands());
        // What a file brought a file may end, but not what the list knows besides.
        let by_file = |last: &ObjectionEvent| last.origin == ObjectionOrigin::File;
        let listed = rows.iter().any(|row| row.covers(purpose.id));
        if listed && stood.as_ref().is_none_or(by_file) {
            let upheld = (ObjectionState::Upheld, ObjectionOrigin::Suppressed);
            objected::append_plain(txn, person, purpose, upheld)?;
        }
        match (&stood, listed) {
            (None, true) => newly.push(purpose.id),
            (Some(_), _) => already.push(purpose.id),
            (None, false) => {}
        }
    }
    if rows.iter().any(|row| row.all) && !standing::objects_to_all(txn, person)? {
        for purpose in marketing(policy) {
            // Somebody with this address wanted it again: for that the list does not speak.
            if !objected::stands(txn, person, purpose)? {
                let ended = (ObjectionState::Ended, ObjectionOrigin::Suppressed);
                objected::append_plain(txn, person, purpose, ended)?;
            }
        }
        objected::append_to_all(txn, person, ObjectionOrigin::Suppressed)?;
    }
    // At the end of a file, all at once.
    if from_file {
        return Ok(());
    }
    for address in among.iter().take(SUPPRESSED_TOGETHER_MAX) {
        for purpose in &already {
            list(txn, *address, For::One(*purpose))?;
        }
    }
    // Those that they had before are theirs as well. Read once, whatever there is to list them for.
    if !newly.is_empty() {
        for address in self::addresses(txn, policy, person, SUPPRESSED_TOGETHER_MAX)? {
            for purpose in &newly {
                list(txn, address, For::One(*purpose))?;
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
    context: &Context,
    person: &mut Person,
    (channel, user): (&str, &str),
) -> Result<(), Refusal> {
    if marketing(policy).next().is_none() {
        return Ok(());
    }
    let address = suppression::of_channel(txn, channel, user);
    written(txn, policy, context.from_file, person, &[address])
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
        let address = ObjectionOrigin::Address;
        let upheld = (ObjectionState::Upheld, address);
        for purpose in &about {
            let last = standing::last_objection(txn, &person, purpose)?;
            let mut stood = last.iter().filter(|last| last.state.stands());
            // What a file brought a file may end: not what was said here.
            if stood.any(|last| last.origin != ObjectionOrigin::File) {
                continue;
            }
            unless_full(objected::append_plain(txn, &mut person, purpose, upheld))?;
        }
        if matches!(what, For::All) {
            unless_full(objected::append_to_all(txn, &mut person, address))?;
        }
    }
    Ok(())
}

/// Somebody whose list is full is not to be told apart from nobody.
fn unless_full(done: Result<(), Refusal>) -> Result<(), Refusal> {
    match done {
        Err(Refusal::TooLarge(_)) => Ok(()),
        done => done,
    }
}

impl Vault {
    /// How many addresses are on the list; remembered for the figures, which read nothing.
    pub(super) fn count_suppressions(&self, view: &dyn View) -> Result<u64, Refusal> {
        let count = suppression::count(view)?;
        self.memory.suppressions.store(count, Ordering::Relaxed);
        Ok(count)
    }

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
