//! Calls about objections (Art. 21 GDPR).

use super::call::{Context, Noted};
use super::input::check_text;
use super::{Call, Vault, objected, suppressions};
use crate::commit::{Txn, View};
use crate::id::SubjectId;
use crate::limits::REASON_BYTES_MAX;
use crate::person::Person;
use crate::policy::{Capability, LawfulBasis, Policy, Purpose};
use crate::refusal::Refusal;
use crate::standing::{self, ObjectionEvent, ObjectionOrigin, ObjectionState};

/// A person's objection to one purpose.
#[derive(Clone, Debug)]
pub struct ObjectionView {
    /// The purpose's name.
    pub purpose: String,
    /// Where it stands.
    pub state: ObjectionState,
    /// Every step, oldest first.
    pub history: Vec<ObjectionEvent>,
}

fn reason(text: Option<&str>) -> Result<(), Refusal> {
    let mut errors = Vec::new();
    if let Some(text) = text {
        check_text(&mut errors, "/reason", text, REASON_BYTES_MAX);
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Refusal::Invalid(errors)),
    }
}

/// The purpose, if a person may object to it.
///
/// Source: GDPR Art. 21(1) and (2).
pub(super) fn objectionable<'p>(policy: &'p Policy, name: &str) -> Result<&'p Purpose, Refusal> {
    let purpose = policy.purpose(name).ok_or(Refusal::NotFound("purpose"))?;
    let weighed = matches!(
        purpose.basis,
        LawfulBasis::LegitimateInterests | LawfulBasis::PublicTask
    );
    if weighed || purpose.direct_marketing {
        return Ok(purpose);
    }
    Err(Refusal::Conflict(format!(
        "`{}` rests on {}, which nobody can object to (Art. 21(1)); a consent is withdrawn",
        purpose.name,
        purpose.basis.name()
    )))
}

/// Where a step that a call makes comes from.
fn origin(context: &Context) -> ObjectionOrigin {
    match context.from_file {
        true => ObjectionOrigin::File,
        false => ObjectionOrigin::Person,
    }
}

/// Records that a person objects. What is about direct marketing ends at once; anything else is
/// restricted until it is decided.
pub(super) fn put(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    purpose: &str,
    grounds: Option<&str>,
) -> Result<ObjectionEvent, Refusal> {
    let capability = Capability::ObjectionsRecord;
    let mut person = context.admit(txn, policy, noted, subject, capability)?;
    put_of(txn, policy, context, &mut person, purpose, grounds)
}

/// The same of somebody whom the caller was admitted to.
pub(super) fn put_of(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    purpose: &str,
    grounds: Option<&str>,
) -> Result<ObjectionEvent, Refusal> {
    let purpose = objectionable(policy, purpose)?;
    reason(grounds)?;
    let state = match purpose.direct_marketing {
        true => ObjectionState::Upheld,
        false => ObjectionState::Pending,
    };
    // What a file brought another file may end: whoever says so here as well has to be heard.
    let mine = |last: &ObjectionEvent| context.from_file || last.origin != ObjectionOrigin::File;
    let before = standing::last_objection(txn, person, purpose)?;
    if before.is_some_and(|last| last.state.stands() && mine(&last)) {
        return Err(Refusal::Conflict(format!(
            "the person has objected to `{}` already",
            purpose.name
        )));
    }
    let event = ObjectionEvent {
        state,
        at: txn.now(),
        reason: grounds.map(str::to_owned),
        origin: origin(context),
    };
    objected::append(txn, person, purpose, &event)?;
    // Whether it still stands at the end of a file is seen there (`suppressions::settled`).
    if purpose.direct_marketing && !context.from_file {
        suppressions::objected(txn, policy, person, purpose.id)?;
    }
    context.note_word(txn, person)?;
    Ok(event)
}

/// Records that a person takes an objection back.
pub(super) fn end(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    purpose: &str,
) -> Result<ObjectionEvent, Refusal> {
    let capability = Capability::ObjectionsRecord;
    let mut person = context.admit(txn, policy, noted, subject, capability)?;
    let purpose = policy.purpose(purpose);
    let purpose = purpose.ok_or(Refusal::NotFound("purpose"))?;
    match standing::objection(txn, &person, purpose)? {
        Some(ObjectionState::Pending | ObjectionState::Upheld) => {}
        Some(ObjectionState::Overridden | ObjectionState::Ended) | None => {
            return Err(Refusal::NotFound("objection"));
        }
    }
    let event = ObjectionEvent {
        state: ObjectionState::Ended,
        at: txn.now(),
        reason: None,
        origin: origin(context),
    };
    objected::append(txn, &mut person, purpose, &event)?;
    // A file may be older than what the list was told since.
    if purpose.direct_marketing && !context.from_file {
        suppressions::wanted_again(txn, policy, &person, purpose)?;
    }
    context.note_word(txn, &mut person)?;
    Ok(event)
}

/// Decides an objection: upheld, or overridden for compelling grounds, which are to be told.
pub(super) fn decide(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    purpose: &str,
    (upheld, rationale): (bool, &str),
) -> Result<ObjectionEvent, Refusal> {
    noted.met = Some(subject);
    let capability = Capability::RequestsDecide;
    context.principal.require(policy, capability)?;
    let mut person = context.person(txn, subject)?;
    noted.person(&person, txn.now());
    decide_of(
        txn,
        policy,
        context,
        &mut person,
        purpose,
        (upheld, rationale),
    )
}

/// The same of somebody whom the caller was admitted to.
pub(super) fn decide_of(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    purpose: &str,
    (upheld, rationale): (bool, &str),
) -> Result<ObjectionEvent, Refusal> {
    let purpose = policy.purpose(purpose);
    let purpose = purpose.ok_or(Refusal::NotFound("purpose"))?;
    match standing::objection(txn, person, purpose)? {
        Some(ObjectionState::Pending) => {}
        Some(state) => {
            return Err(Refusal::Conflict(format!(
                "the objection to `{}` is {} and waits for no decision",
                purpose.name,
                state.name()
            )));
        }
        None => return Err(Refusal::NotFound("objection")),
    }
    if rationale.is_empty() {
        return Err(Refusal::Invalid(vec![super::input::error(
            "/reason",
            "required",
            "a decision says why (Art. 21(1), 12(4) GDPR)",
        )]));
    }
    reason(Some(rationale))?;
    let event = ObjectionEvent {
        state: match upheld {
            true => ObjectionState::Upheld,
            false => ObjectionState::Overridden,
        },
        at: txn.now(),
        reason: Some(rationale.to_owned()),
        origin: origin(context),
    };
    objected::append(txn, person, purpose, &event)?;
    Ok(event)
}

/// Every objection of a person.
pub(super) fn list(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
) -> Result<Vec<ObjectionView>, Refusal> {
    let any = [Capability::ObjectionsRecord, Capability::RequestsDecide];
    context.principal.require_any(policy, &any)?;
    let person = context.person(view, subject)?;
    noted.person(&person, view.now());
    all(view, policy, &person)
}

/// Every objection of a person, whoever asks.
pub(super) fn all(
    view: &dyn View,
    policy: &Policy,
    person: &Person,
) -> Result<Vec<ObjectionView>, Refusal> {
    let mut views = Vec::new();
    for purpose in policy.purposes() {
        let history = standing::objections(view, person, purpose)?;
        views.extend(history.last().map(|last| ObjectionView {
            purpose: purpose.name.clone(),
            state: last.state,
            history: history.clone(),
        }));
    }
    Ok(views)
}

impl Vault {
    /// Records that a person objects to a purpose. From the answer on nothing is used for it.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] if the purpose is not one that a person can object to, or they have;
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`], [`Refusal::Invalid`].
    pub fn put_objection(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        purpose: &str,
        grounds: Option<&str>,
    ) -> Result<ObjectionEvent, Refusal> {
        let (name, grounds) = (purpose.to_owned(), grounds.map(str::to_owned));
        let action = "objections.put";
        self.write(call, action, move |txn, policy, context, noted| {
            let grounds = grounds.as_deref();
            put(txn, policy, context, noted, subject, &name, grounds)
        })
    }

    /// Records that a person takes an objection back.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] if none stands; those of [`Vault::put_objection`].
    pub fn end_objection(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        purpose: &str,
    ) -> Result<ObjectionEvent, Refusal> {
        let name = purpose.to_owned();
        let action = "objections.end";
        self.write(call, action, move |txn, policy, context, noted| {
            end(txn, policy, context, noted, subject, &name)
        })
    }

    /// Decides an objection: `upheld`, or overridden, with the reason that the person is told.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] if it waits for no decision; [`Refusal::Invalid`] without a reason;
    /// those of [`Vault::put_objection`].
    pub fn decide_objection(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        purpose: &str,
        upheld: bool,
        rationale: &str,
    ) -> Result<ObjectionEvent, Refusal> {
        let (name, rationale) = (purpose.to_owned(), rationale.to_owned());
        let action = "objections.decide";
        self.write(call, action, move |txn, policy, context, noted| {
            let decision = (upheld, &*rationale);
            decide(txn, policy, context, noted, subject, &name, decision)
        })
    }

    /// Every objection of a person, with its history.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`].
    pub fn list_objections(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
    ) -> Result<Vec<ObjectionView>, Refusal> {
        self.read(
            call,
            "objections.read",
            Some(subject),
            |snapshot, policy, context, noted| list(snapshot, policy, context, noted, subject),
            |views| views,
        )
    }
}
