//! Calls about consent.

use jiff::Timestamp;
use serde_json::Value;

use super::call::{Context, Noted};
use super::input::check_text;
use super::{Call, Vault, consent_receipt, suppressions};
use crate::backup::ledger::LedgerEvent;
use crate::commit::{Txn, View};
use crate::consent::{self, ConsentDetails, ConsentEvent, ConsentKind, ConsentState};
use crate::id::{ConsentId, SubjectId};
use crate::limits::{EVIDENCE_BYTES_MAX, LABEL_BYTES_MAX, META_TEXT_BYTES_MAX};
use crate::outbox::{self, NoticeKind};
use crate::person::Person;
use crate::policy::{Capability, LawfulBasis, Period, Policy, Purpose};
use crate::refusal::{InputError, Refusal};

/// What a person said, as the bot tells it.
#[derive(Clone, Default)]
pub struct ConsentInput {
    /// Yes or no.
    pub given: bool,
    /// The notice that was shown: a text, or an object of version, language and hash.
    pub notice: Value,
    /// Which button or word.
    pub choice: Option<String>,
    /// The channel's message.
    pub message_id: Option<String>,
    /// The state in its own word, where that says more than yes or no.
    pub state: Option<ConsentState>,
    /// What else is known of it.
    pub details: ConsentDetails,
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
    /// How it stands now.
    pub state: ConsentState,
    /// Until when it permits anything, where that has an end.
    pub valid_until: Option<Timestamp>,
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
    let said = consent::said(history.iter(), view.now());
    Ok(said.map(|said| ConsentView {
        purpose: purpose.name.clone(),
        state: said.state,
        valid_until: said.until,
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
    make: impl FnOnce(Timestamp, Option<ConsentState>) -> Result<(ConsentState, ConsentInput), Refusal>,
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
    make: impl FnOnce(Timestamp, Option<ConsentState>) -> Result<(ConsentState, ConsentInput), Refusal>,
) -> Result<ConsentEvent, Refusal> {
    let purpose = consent_purpose(policy, purpose)?;
    let before = consent::state(txn, person, purpose.id)?;
    let (state, input) = make(txn.now(), before.map(|said| said.state))?;
    let ConsentInput {
        given: _,
        state: _,
        notice,
        choice,
        message_id,
        details,
    } = input;
    let event = ConsentEvent {
        consent: ConsentId::generate(txn.entropy()),
        state,
        at: txn.now(),
        notice,
        choice,
        message_id,
        details,
    };
    consent::append(txn, person, purpose.id, &event)?;
    if state.permits() {
        suppressions::consented(txn, policy, context, person, purpose)?;
    }
    context.note_word(txn, person)?;
    if let Some(before) = before.filter(|before| before.state.permits()) {
        lessened(txn, policy, person, purpose, &before, &event)?;
    }
    Ok(event)
}

/// What follows where a person agrees to less than they did: no longer, for less time, or no more in so many words.
///
/// Whichever it is, a vault out of an older backup must not hold what was agreed to before: the ledger says
/// that it is withdrawn, and there it is to be given anew. Recipients are told of what they may no longer use, and of
/// nothing else: a consent that goes on is not withdrawn.
///
/// Source: GDPR Art. 7(3), 9(2)(a).
fn lessened(
    txn: &mut Txn<'_>,
    policy: &Policy,
    person: &Person,
    purpose: &Purpose,
    before: &consent::Said,
    event: &ConsentEvent,
) -> Result<(), Refusal> {
    let until = |until: Option<Timestamp>| until.unwrap_or(Timestamp::MAX);
    let permits = event.state.permits();
    let shorter = permits && until(event.details.valid_until) < until(before.until);
    let plainer = permits
        && before.kind == ConsentKind::Explicit
        && event.details.kind == ConsentKind::Regular;
    // Refusing what one agreed to before is withdrawing it; being asked again is not.
    let ended = !permits && event.state.decides();
    if !(shorter || plainer || ended) {
        return Ok(());
    }
    txn.keep_in_ledger(LedgerEvent::ConsentWithdrawn {
        handle: person.entry.handle,
        purpose: purpose.id,
    });
    let kind = NoticeKind::Withdrawal;
    if ended {
        outbox::ended(txn, person, kind, purpose.id)?;
    } else if plainer {
        outbox::ended_for(txn, person, kind, purpose.id, &wanting_explicit(policy))?;
    }
    Ok(())
}

/// The fields that a purpose on consent may only use by an explicit one.
fn wanting_explicit(policy: &Policy) -> Vec<(u16, u16)> {
    let all = policy.collections().iter().flat_map(|collection| {
        let fields = collection.fields.iter();
        let wanting = fields.filter(|field| field.wants_explicit_consent());
        wanting.map(|field| (collection.id, field.id))
    });
    all.collect()
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
    append(
        txn,
        policy,
        context,
        noted,
        subject,
        purpose,
        |now, before| {
            let mut input = input.clone();
            let state = input.state.unwrap_or(match input.given {
                true => ConsentState::Given,
                false => ConsentState::Refused,
            });
            let mut errors = Vec::new();
            checked(&mut errors, &mut input, (state, before), now);
            match errors.is_empty() {
                true => Ok((state, input)),
                false => Err(Refusal::Invalid(errors)),
            }
        },
    )
}

/// What is wrong with what was said, if anything; from the period that it is to hold for comes its end.
fn checked(
    errors: &mut Vec<InputError>,
    input: &mut ConsentInput,
    (state, before): (ConsentState, Option<ConsentState>),
    now: Timestamp,
) {
    let details = &mut input.details;
    let texts = [
        ("/choice", &input.choice, META_TEXT_BYTES_MAX),
        ("/message_id", &input.message_id, META_TEXT_BYTES_MAX),
        ("/lang", &details.language, LABEL_BYTES_MAX),
        ("/channel", &details.channel, LABEL_BYTES_MAX),
        ("/method", &details.method, META_TEXT_BYTES_MAX),
    ];
    for (pointer, text, bytes_max) in texts {
        if let Some(text) = text {
            check_text(errors, pointer, text, bytes_max);
        }
    }
    let mut wrong = |pointer: &str, code, detail: &str| {
        errors.push(super::input::error(pointer, code, detail));
    };
    if input.notice.to_string().len() > 4 * META_TEXT_BYTES_MAX {
        wrong("/notice", "length", "at most 1 KiB");
    }
    match (state, before) {
        (ConsentState::Expired, _) => {
            wrong("/state", "unknown_word", "only time makes a consent expire")
        }
        (ConsentState::Renewed | ConsentState::Invalidated, None) => {
            wrong(
                "/state",
                "nothing_before",
                "nothing was said before; the first consent is `given`",
            );
        }
        _ => {}
    }
    let digits = |text: &String| {
        text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    if details.sha256.as_ref().is_some_and(|text| !digits(text)) {
        wrong(
            "/sha256",
            "not_a_hash",
            "64 hexadecimal digits in small letters",
        );
    }
    if let Some(evidence) = &details.evidence {
        if !matches!(&*evidence.kind, "tcf" | "gpp") {
            wrong("/evidence/kind", "unknown_word", "`tcf` or `gpp`");
        }
        if evidence.string.is_empty() || evidence.string.len() > EVIDENCE_BYTES_MAX {
            let detail = format!("1 to {EVIDENCE_BYTES_MAX} bytes");
            wrong("/evidence/string", "length", &detail);
        }
    }
    // What comes from a file says when it ends, and is not prolonged.
    let Some(valid) = details
        .valid
        .as_ref()
        .filter(|_| details.valid_until.is_none())
    else {
        return;
    };
    let instant = || valid.parse::<Timestamp>().ok();
    let until = match Period::parse(valid) {
        Ok(period) => Some(period.add_to(now)),
        Err(_) => instant(),
    };
    match until {
        _ if !state.permits() => {
            wrong(
                "/valid",
                "not_given",
                "only what is given or renewed is so for a time",
            );
        }
        None => wrong(
            "/valid",
            "not_a_time",
            "a period such as P2Y, or an instant such as 2030-01-31T00:00:00Z",
        ),
        Some(until) if until <= now => wrong("/valid", "over", "it is over already"),
        Some(until) => details.valid_until = Some(until),
    }
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

fn withdrawn(
    _: Timestamp,
    state: Option<ConsentState>,
) -> Result<(ConsentState, ConsentInput), Refusal> {
    state.ok_or(Refusal::NotFound("consent"))?;
    Ok((ConsentState::Withdrawn, ConsentInput::default()))
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
    let said = consent::state(txn, person, id)?;
    if said.is_some_and(|said| said.state.permits()) {
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

/// The receipt of what a person said about one purpose.
pub(super) fn receipt(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    purpose: &str,
) -> Result<Value, Refusal> {
    let found = read(view, policy, context, noted, subject, purpose)?;
    let purpose = consent_purpose(policy, purpose)?;
    Ok(consent_receipt::document(
        policy,
        subject,
        purpose,
        &found.history,
    ))
}

impl Vault {
    /// The receipt of what a person said about one purpose, after ISO/IEC TS 27560.
    ///
    /// # Errors
    ///
    /// Those of [`Vault::read_consent`].
    pub fn consent_receipt(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        purpose: &str,
    ) -> Result<Value, Refusal> {
        self.read(
            call,
            "consents.read",
            Some(subject),
            |snapshot, policy, context, noted| {
                receipt(snapshot, policy, context, noted, subject, purpose)
            },
            |document| document,
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
