//! Calls about consent.

use serde_json::Value;

use super::call::{Context, Noted};
use super::input::check_text;
use super::{Call, Vault};
use crate::backup::ledger::LedgerEvent;
use crate::commit::{Txn, View};
use crate::consent::{self, ConsentEvent, ConsentState};
use crate::id::{ConsentId, SubjectId};
use crate::limits::META_TEXT_BYTES_MAX;
use crate::person::Person;
use crate::policy::{Capability, LawfulBasis, Policy, Purpose};
use crate::refusal::Refusal;

/// What a person said, as the bot tells it.
#[derive(Clone)]
pub struct ConsentInput {
    /// Yes or no.
    pub given: bool,
    /// The notice that was shown: a text, or an object of version, language and hash.
    pub notice: Value,
    /// Which button or word.
    pub choice: Option<String>,
    /// The channel's message.
    pub message_id: Option<String>,
}

/// Silent about what was said of a person.
impl std::fmt::Debug for ConsentInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsentInput")
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}

/// What a person said about one purpose.
#[derive(Clone, Debug)]
pub struct ConsentView {
    /// The purpose's name.
    pub purpose: String,
    /// What they said last.
    pub state: ConsentState,
    /// Everything they said, oldest first.
    pub history: Vec<ConsentEvent>,
}

fn consent_purpose<'p>(policy: &'p Policy, name: &str) -> Result<&'p Purpose, Refusal> {
    let purpose = policy.purpose(name).ok_or(Refusal::NotFound("purpose"))?;
    if purpose.basis != LawfulBasis::Consent {
        return Err(Refusal::Conflict(format!(
            "`{}` does not rest on consent but on {}",
            purpose.name,
            purpose.basis.name()
        )));
    }
    Ok(purpose)
}

fn state_of(
    view: &dyn View,
    person: &Person,
    purpose: &Purpose,
) -> Result<Option<ConsentView>, Refusal> {
    let history = consent::history(view, person, purpose.id)?;
    let state = history.last().map(|event| event.state);
    Ok(state.map(|state| ConsentView {
        purpose: purpose.name.clone(),
        state,
        history,
    }))
}

fn append(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    purpose: &str,
    make: impl FnOnce(Option<ConsentState>) -> Result<(ConsentState, ConsentInput), Refusal>,
) -> Result<ConsentEvent, Refusal> {
    let capability = Capability::ConsentsRecord;
    let mut person = context.admit(txn, policy, noted, subject, capability)?;
    append_of(txn, policy, context, &mut person, purpose, make)
}

/// The same of somebody whom the caller was admitted to.
fn append_of(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    purpose: &str,
    make: impl FnOnce(Option<ConsentState>) -> Result<(ConsentState, ConsentInput), Refusal>,
) -> Result<ConsentEvent, Refusal> {
    let purpose = consent_purpose(policy, purpose)?;
    let before = consent::state(txn, person, purpose.id)?;
    let (state, input) = make(before)?;
    let ConsentInput {
        given: _,
        notice,
        choice,
        message_id,
    } = input;
    let event = ConsentEvent {
        consent: ConsentId::generate(txn.entropy()),
        state,
        at: txn.now(),
        notice,
        choice,
        message_id,
    };
    consent::append(txn, person, purpose.id, &event)?;
    context.note_word(txn, person)?;
    // Refusing what one agreed to before is withdrawing it.
    if before == Some(ConsentState::Given) && state != ConsentState::Given {
        txn.keep_in_ledger(LedgerEvent::ConsentWithdrawn {
            handle: person.entry.handle,
            purpose: purpose.id,
        });
    }
    Ok(event)
}

/// Records that a person gave or refused consent.
pub(super) fn put(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    purpose: &str,
    input: &ConsentInput,
) -> Result<ConsentEvent, Refusal> {
    noted.met = Some(subject);
    append(txn, policy, context, noted, subject, purpose, |_| {
        let mut errors = Vec::new();
        let texts = [
            ("/choice", &input.choice),
            ("/message_id", &input.message_id),
        ];
        for (pointer, text) in texts {
            if let Some(text) = text {
                check_text(&mut errors, pointer, text, META_TEXT_BYTES_MAX);
            }
        }
        if input.notice.to_string().len() > 4 * META_TEXT_BYTES_MAX {
            errors.push(super::input::error("/notice", "length", "at most 1 KiB"));
        }
        if !errors.is_empty() {
            return Err(Refusal::Invalid(errors));
        }
        let state = if input.given {
            ConsentState::Given
        } else {
            ConsentState::Refused
        };
        Ok((state, input.clone()))
    })
}

/// Records that a person withdrew consent.
pub(super) fn withdraw(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    purpose: &str,
) -> Result<ConsentEvent, Refusal> {
    noted.met = Some(subject);
    append(txn, policy, context, noted, subject, purpose, withdrawn)
}

fn withdrawn(state: Option<ConsentState>) -> Result<(ConsentState, ConsentInput), Refusal> {
    state.ok_or(Refusal::NotFound("consent"))?;
    let input = ConsentInput {
        given: false,
        notice: Value::Null,
        choice: None,
        message_id: None,
    };
    Ok((ConsentState::Withdrawn, input))
}

/// Withdraws what the person agreed to, of whoever was admitted; whoever does not agree has nothing to withdraw.
pub(super) fn withdraw_of(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    purpose: &str,
) -> Result<(), Refusal> {
    let id = consent_purpose(policy, purpose)?.id;
    if consent::state(txn, person, id)? == Some(ConsentState::Given) {
        append_of(txn, policy, context, person, purpose, withdrawn)?;
    }
    Ok(())
}

/// What a person said about one purpose.
pub(super) fn read(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    purpose: &str,
) -> Result<ConsentView, Refusal> {
    let capability = Capability::ConsentsRecord;
    let person = context.admit(view, policy, noted, subject, capability)?;
    let purpose = consent_purpose(policy, purpose)?;
    state_of(view, &person, purpose)?.ok_or(Refusal::NotFound("consent"))
}

/// What a person said about every purpose.
pub(super) fn list(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
) -> Result<Vec<ConsentView>, Refusal> {
    let capability = Capability::ConsentsRecord;
    let person = context.admit(view, policy, noted, subject, capability)?;
    let mut views = Vec::new();
    for purpose in policy.purposes() {
        views.extend(state_of(view, &person, purpose)?);
    }
    Ok(views)
}

impl Vault {
    /// Records that a person gave or refused consent.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] if the purpose does not rest on consent; [`Refusal::NotFound`],
    /// [`Refusal::Erased`], [`Refusal::RoleDenied`], [`Refusal::Invalid`].
    pub fn put_consent(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        purpose: &str,
        input: ConsentInput,
    ) -> Result<ConsentEvent, Refusal> {
        let name = purpose.to_owned();
        self.write(call, "consents.put", move |txn, policy, context, noted| {
            put(txn, policy, context, noted, subject, &name, &input)
        })
    }

    /// Records that a person withdrew consent. From the answer on nothing is read for the purpose.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] if they never said anything; those of [`Vault::put_consent`].
    pub fn withdraw_consent(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        purpose: &str,
    ) -> Result<ConsentEvent, Refusal> {
        let name = purpose.to_owned();
        self.write(
            call,
            "consents.withdraw",
            move |txn, policy, context, noted| {
                withdraw(txn, policy, context, noted, subject, &name)
            },
        )
    }

    /// What a person said about one purpose.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] if they said nothing; [`Refusal::Erased`], [`Refusal::RoleDenied`].
    pub fn read_consent(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        purpose: &str,
    ) -> Result<ConsentView, Refusal> {
        self.read(
            call,
            "consents.read",
            Some(subject),
            |snapshot, policy, context, noted| {
                read(snapshot, policy, context, noted, subject, purpose)
            },
            |view| view,
        )
    }

    /// What a person said about every purpose.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`].
    pub fn list_consents(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
    ) -> Result<Vec<ConsentView>, Refusal> {
        self.read(
            call,
            "consents.read",
            Some(subject),
            |snapshot, policy, context, noted| list(snapshot, policy, context, noted, subject),
            |views| views,
        )
    }
}
