//! Calls about consent.

use serde_json::Value;

use super::call::{Context, Noted};
use super::input::check_text;
use super::{Call, Vault};
use crate::commit::View;
use crate::consent::{self, ConsentEvent, ConsentState};
use crate::id::{ConsentId, SubjectId};
use crate::limits::META_TEXT_BYTES_MAX;
use crate::person::Person;
use crate::policy::{Capability, LawfulBasis, Policy, Purpose};
use crate::refusal::Refusal;

/// What a person said, as the bot tells it.
#[derive(Clone, Debug)]
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

fn view(
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

impl Vault {
    fn consent_event(
        &self,
        call: &Call<'_>,
        action: &'static str,
        subject: SubjectId,
        purpose: &str,
        make: impl Fn(Option<ConsentState>) -> Result<(ConsentState, ConsentInput), Refusal>
        + Send
        + 'static,
    ) -> Result<ConsentEvent, Refusal> {
        let name = purpose.to_owned();
        self.write(
            call,
            action,
            move |txn, policy, context: &Context, noted: &mut Noted| {
                context
                    .principal
                    .require(policy, Capability::ConsentsRecord)?;
                let mut person = context.person(txn, subject)?;
                noted.person(&person, txn.now());
                let purpose = consent_purpose(policy, &name)?;
                let (state, input) = make(consent::state(txn, &person, purpose.id)?)?;
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
                consent::append(txn, &mut person, purpose.id, &event)?;
                Ok(event)
            },
        )
    }

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
        self.consent_event(call, "consents.put", subject, purpose, move |_| {
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
        self.consent_event(call, "consents.withdraw", subject, purpose, |state| {
            state.ok_or(Refusal::NotFound("consent"))?;
            let input = ConsentInput {
                given: false,
                notice: Value::Null,
                choice: None,
                message_id: None,
            };
            Ok((ConsentState::Withdrawn, input))
        })
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
                context
                    .principal
                    .require(policy, Capability::ConsentsRecord)?;
                let person = context.person(snapshot, subject)?;
                noted.person(&person, snapshot.now());
                let purpose = consent_purpose(policy, purpose)?;
                view(snapshot, &person, purpose)?.ok_or(Refusal::NotFound("consent"))
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
            |snapshot, policy, context, noted| {
                context
                    .principal
                    .require(policy, Capability::ConsentsRecord)?;
                let person = context.person(snapshot, subject)?;
                noted.person(&person, snapshot.now());
                let mut views = Vec::new();
                for purpose in policy.purposes() {
                    views.extend(view(snapshot, &person, purpose)?);
                }
                Ok(views)
            },
            |views| views,
        )
    }
}
