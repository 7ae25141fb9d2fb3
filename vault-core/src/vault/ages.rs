//! Whether a person needs a guardian to consent: told, and read. Their age itself is not kept.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::call::{Context, Noted};
use super::input::{self, check_text};
use super::{Call, Vault};
use crate::backup::ledger::LedgerEvent;
use crate::commit::{Txn, View};
use crate::id::SubjectId;
use crate::limits::REASON_BYTES_MAX;
use crate::person::{DAMAGED, Person};
use crate::policy::{Capability, Policy};
use crate::refusal::Refusal;
use crate::standing::{self, AgeEvent};

const CAPABILITY: Capability = Capability::ConsentsRecord;
/// Nobody was ever older.
const YEARS_MAX: u8 = 130;

/// What somebody tells of a person's age.
#[derive(Clone)]
pub struct AgeInput {
    /// How many years old they are.
    pub years: u8,
    /// Whose age of consent counts, ISO 3166-1 alpha-2; the policy's own without one.
    pub country: Option<String>,
    /// How a guardian's authorisation was verified, if there is one (Art. 8(2)).
    pub guardian: Option<String>,
}

/// Silent about what was said of a person.
impl std::fmt::Debug for AgeInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgeInput").finish_non_exhaustive()
    }
}

/// Whether a person needs a guardian.
#[derive(Clone, Debug)]
pub struct AgeView {
    /// Whether they are below the age of consent.
    pub child: bool,
    /// Whether a guardian has authorised what they consent to.
    pub guardian: bool,
    /// Everything that was told, oldest first.
    pub history: Vec<AgeEvent>,
}

fn check(input: &AgeInput) -> Result<(), Refusal> {
    let mut errors = Vec::new();
    if input.years > YEARS_MAX {
        let detail = format!("whole years, 0 to {YEARS_MAX}");
        errors.push(input::error("/years", "out_of_range", detail));
    }
    if let Some(country) = &input.country
        && (country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()))
    {
        let detail = "an ISO 3166-1 code of two capitals, such as NL";
        errors.push(input::error("/country", "bad_country", detail));
    }
    if let Some(guardian) = &input.guardian {
        check_text(&mut errors, "/guardian", guardian, REASON_BYTES_MAX);
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Refusal::Invalid(errors)),
    }
}

/// The day from which they consent for themselves: today for who does; else so many years on as are
/// missing, which is late by a year at most.
fn of_age_on(years: u8, from: u8, now: Timestamp) -> Option<Date> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let missing = from.saturating_sub(years);
    today.checked_add(Span::new().years(missing)).ok()
}

/// Notes what was told of a person's age.
pub(super) fn put(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    input: &AgeInput,
) -> Result<AgeEvent, Refusal> {
    let mut person = context.admit(txn, policy, noted, subject, CAPABILITY)?;
    check(input)?;
    let from = policy.children().consent_from(input.country.as_deref());
    let event = AgeEvent {
        of_age_on: of_age_on(input.years, from, txn.now()).ok_or(DAMAGED)?,
        guardian: input.guardian.clone(),
        at: txn.now(),
    };
    append(txn, &mut person, &event)?;
    Ok(event)
}

/// Notes what was told, and where it stands in the ledger, so that no backup makes a child of age.
fn append(txn: &mut Txn<'_>, person: &mut Person, event: &AgeEvent) -> Result<(), Refusal> {
    standing::append_age(txn, person, event)?;
    txn.keep_in_ledger(LedgerEvent::Aged {
        handle: person.entry.handle,
        of_age_on: event.of_age_on.to_string(),
        // How it was verified is somebody's words: the ledger outlives the person.
        guardian: event.guardian.is_some(),
    });
    Ok(())
}

/// Notes what another vault was told of a person's age, which it keeps as a day; nothing where that stands
/// already.
pub(super) fn take(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    (of_age_on, guardian): (Date, Option<&str>),
) -> Result<(), Refusal> {
    let mut person = context.admit(txn, policy, noted, subject, CAPABILITY)?;
    check(&AgeInput {
        years: 0,
        country: None,
        guardian: guardian.map(Into::into),
    })?;
    let stands = standing::age(txn, &person)?;
    if stands
        .is_some_and(|last| (last.of_age_on, last.guardian.as_deref()) == (of_age_on, guardian))
    {
        return Ok(());
    }
    let event = AgeEvent {
        of_age_on,
        guardian: guardian.map(Into::into),
        at: txn.now(),
    };
    append(txn, &mut person, &event)
}

/// Whether a person needs a guardian, and what was told.
pub(super) fn read(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
) -> Result<AgeView, Refusal> {
    let person = context.admit(view, policy, noted, subject, CAPABILITY)?;
    self::view(view, &person)
}

/// Whether a person needs a guardian, and what was told.
pub(super) fn view(view: &dyn View, person: &Person) -> Result<AgeView, Refusal> {
    let history = standing::ages(view, person)?;
    let last = history.last();
    Ok(AgeView {
        child: last.is_some_and(|last| last.child(view.now())),
        guardian: last.is_some_and(|last| last.guardian.is_some()),
        history,
    })
}

impl Vault {
    /// Notes what was told of a person's age, in years: kept is the day from which they consent for
    /// themselves.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`], [`Refusal::Invalid`].
    pub fn put_age(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        input: AgeInput,
    ) -> Result<AgeEvent, Refusal> {
        self.write(call, "age.put", move |txn, policy, context, noted| {
            put(txn, policy, context, noted, subject, &input)
        })
    }

    /// Whether a person needs a guardian to consent.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`].
    pub fn read_age(&self, call: &Call<'_>, subject: SubjectId) -> Result<AgeView, Refusal> {
        self.read(
            call,
            "age.read",
            Some(subject),
            |snapshot, policy, context, noted| read(snapshot, policy, context, noted, subject),
            |view| view,
        )
    }
}
