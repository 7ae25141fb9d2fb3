//! Calls about restriction of processing (Art. 18 GDPR).

use jiff::Timestamp;

use super::call::{Context, Noted};
use super::input::{self, check_text};
use super::{Call, Vault};
use crate::backup::ledger::LedgerEvent;
use crate::commit::{Txn, View};
use crate::id::SubjectId;
use crate::limits::REASON_BYTES_MAX;
use crate::notice::{self, NoticeAbout};
use crate::outbox::{self, NoticeKind};
use crate::person::Person;
use crate::policy::{Capability, Policy, RestrictionGround};
use crate::refusal::Refusal;
use crate::standing::{self, RestrictionEvent};

/// A restriction to be set.
#[derive(Clone)]
pub struct RestrictionInput {
    /// Why.
    pub ground: RestrictionGround,
    /// Names of the collections that it is about; all, where there is none.
    pub collections: Vec<String>,
    /// The person's words.
    pub reason: Option<String>,
}

/// Silent about what the person said.
impl std::fmt::Debug for RestrictionInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestrictionInput")
            .field("ground", &self.ground)
            .finish_non_exhaustive()
    }
}

/// One step of a restriction, by name.
#[derive(Clone)]
pub struct RestrictionStep {
    /// Why; `None` where it was lifted.
    pub ground: Option<RestrictionGround>,
    /// The collections that it is about, `#` and its number for one that the policy has no more; all,
    /// where there is none.
    pub collections: Vec<String>,
    /// When.
    pub at: Timestamp,
    /// The reason that was given.
    pub reason: Option<String>,
}

/// Silent about what somebody wrote.
impl std::fmt::Debug for RestrictionStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestrictionStep")
            .field("ground", &self.ground)
            .field("collections", &self.collections)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Whether a person's data are restricted, and how that came.
#[derive(Clone, Debug)]
pub struct RestrictionView {
    /// Whether a restriction stands.
    pub restricted: bool,
    /// Every step, oldest first.
    pub history: Vec<RestrictionStep>,
}

fn step(policy: &Policy, event: RestrictionEvent) -> RestrictionStep {
    RestrictionStep {
        ground: event.ground,
        collections: input::collection_names(policy, &event.collections),
        at: event.at,
        reason: event.reason,
    }
}

const CAPABILITY: Capability = Capability::RestrictionsSet;

fn checked(policy: &Policy, input: &RestrictionInput) -> Result<Vec<u16>, Refusal> {
    let mut errors = Vec::new();
    if let Some(reason) = &input.reason {
        check_text(&mut errors, "/reason", reason, REASON_BYTES_MAX);
    }
    let ids = input::collection_ids(policy, &input.collections, &mut errors);
    match errors.is_empty() {
        true => Ok(ids),
        false => Err(Refusal::Invalid(errors)),
    }
}

/// Adds a step, which no backup undoes.
fn append(txn: &mut Txn<'_>, person: &mut Person, event: &RestrictionEvent) -> Result<(), Refusal> {
    standing::append_restriction(txn, person, event)?;
    txn.keep_in_ledger(LedgerEvent::Restricted {
        handle: person.entry.handle,
        ground: event.ground,
        collections: event.collections.clone(),
    });
    Ok(())
}

/// Restricts the use of a person's data; one that stands is replaced, and recipients are told of what it covers
/// no more.
pub(super) fn put(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    input: &RestrictionInput,
) -> Result<RestrictionStep, Refusal> {
    let mut person = context.admit(txn, policy, noted, subject, CAPABILITY)?;
    put_of(txn, policy, &mut person, input)
}

/// The same of somebody whom the caller was admitted to.
pub(super) fn put_of(
    txn: &mut Txn<'_>,
    policy: &Policy,
    person: &mut Person,
    input: &RestrictionInput,
) -> Result<RestrictionStep, Refusal> {
    let collections = checked(policy, input)?;
    let event = RestrictionEvent {
        ground: Some(input.ground),
        collections,
        at: txn.now(),
        reason: input.reason.clone(),
    };
    let before = standing::restriction(txn, person)?;
    append(txn, person, &event)?;
    if let Some(before) = before {
        // First, so that a recipient who looks at no fields ends with the restriction.
        let freed = |collection| before.covers(collection) && !event.covers(collection);
        outbox::restricted(txn, person, NoticeKind::RestrictionLifted, &freed)?;
    }
    let covered = |collection| event.covers(collection);
    outbox::restricted(txn, person, NoticeKind::Restriction, &covered)?;
    Ok(step(policy, event))
}

/// Lifts a restriction, of which the person was told before.
///
/// Source: GDPR Art. 18(3).
pub(super) fn lift(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
) -> Result<RestrictionStep, Refusal> {
    let mut person = context.admit(txn, policy, noted, subject, CAPABILITY)?;
    let restriction = standing::restriction(txn, &person)?;
    let restriction = restriction.ok_or(Refusal::NotFound("restriction"))?;
    let told = notice::last_about(txn, &person, NoticeAbout::RestrictionLift)?;
    if told.is_none_or(|told| told.at < restriction.at) {
        return Err(Refusal::Conflict(
            "the person has to be told before a restriction is lifted (Art. 18(3) GDPR): tell them, \
             record it as a notice with `about: restriction_lift`, and repeat"
                .into(),
        ));
    }
    let event = RestrictionEvent {
        ground: None,
        collections: Vec::new(),
        at: txn.now(),
        reason: None,
    };
    append(txn, &mut person, &event)?;
    let covered = |collection| restriction.covers(collection);
    outbox::restricted(txn, &person, NoticeKind::RestrictionLifted, &covered)?;
    Ok(step(policy, event))
}

/// Whether a person's data are restricted, and how that came.
pub(super) fn read(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
) -> Result<RestrictionView, Refusal> {
    let person = context.admit(view, policy, noted, subject, CAPABILITY)?;
    self::view(view, policy, &person)
}

/// The same, whoever asks.
pub(super) fn view(
    view: &dyn View,
    policy: &Policy,
    person: &Person,
) -> Result<RestrictionView, Refusal> {
    let history = standing::restrictions(view, person)?;
    Ok(RestrictionView {
        restricted: history.last().is_some_and(|last| last.ground.is_some()),
        history: history
            .into_iter()
            .map(|event| step(policy, event))
            .collect(),
    })
}

impl Vault {
    /// Restricts the use of a person's data. From the answer on they are stored and nothing else.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`], [`Refusal::Invalid`].
    pub fn put_restriction(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        input: RestrictionInput,
    ) -> Result<RestrictionStep, Refusal> {
        let action = "restrictions.put";
        self.write(call, action, move |txn, policy, context, noted| {
            put(txn, policy, context, noted, subject, &input)
        })
    }

    /// Lifts a restriction.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] until the person was told; [`Refusal::NotFound`] if none stands; those
    /// of [`Vault::put_restriction`].
    pub fn lift_restriction(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
    ) -> Result<RestrictionStep, Refusal> {
        let action = "restrictions.lift";
        self.write(call, action, move |txn, policy, context, noted| {
            lift(txn, policy, context, noted, subject)
        })
    }

    /// Whether a person's data are restricted, and how that came.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`].
    pub fn read_restriction(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
    ) -> Result<RestrictionView, Refusal> {
        self.read(
            call,
            "restrictions.read",
            Some(subject),
            |snapshot, policy, context, noted| read(snapshot, policy, context, noted, subject),
            |view| view,
        )
    }
}
