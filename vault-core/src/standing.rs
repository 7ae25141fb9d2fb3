//! What a person demanded and what was decided about them, as far as it stands in the way of a use or of
//! an end: objections, restrictions and legal holds, each an append-only list.
//!
//! Knows nothing of roles or of what is asked; `decision` does.
//!
//! Source: GDPR Art. 17(3), 18, 21.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::commit::{Txn, View};
use crate::consent::{ConsentKind, ConsentState, Said};
use crate::events::{self, Topic};
use crate::id::ReceiptId;
use crate::person::Person;
use crate::policy::{HoldGround, Purpose, RestrictionGround};
use crate::refusal::Refusal;

/// Where an objection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectionState {
    /// Made, and not decided: the purpose is restricted meanwhile (Art. 18(1)(d)).
    Pending,
    /// It holds: the purpose has no basis any more. What is about direct marketing holds at once
    /// (Art. 21(3)).
    Upheld,
    /// The controller has shown compelling grounds (Art. 21(1)).
    Overridden,
    /// The person has taken it back.
    Ended,
}

impl ObjectionState {
    /// The word of the HTTP API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Upheld => "upheld",
            Self::Overridden => "overridden",
            Self::Ended => "ended",
        }
    }

    /// Whether it stands in the way of a use.
    #[must_use]
    pub const fn stands(self) -> bool {
        matches!(self, Self::Pending | Self::Upheld)
    }

    /// What `text` names.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Pending, Self::Upheld, Self::Overridden, Self::Ended];
        all.into_iter().find(|state| state.name() == text)
    }
}

/// One step of an objection.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectionEvent {
    /// Where it stood from then on.
    pub state: ObjectionState,
    /// When.
    pub at: Timestamp,
    /// The person's grounds, or the controller's.
    pub reason: Option<String>,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "ObjectionOrigin::is_person")]
    pub origin: ObjectionOrigin,
}

/// Where a step of an objection comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectionOrigin {
    /// The person, or who decided.
    #[default]
    Person,
    /// Somebody who named an address that the person has, and was not asked who they are.
    Address,
    /// The suppression list: an address of the person stood on it.
    Suppressed,
    /// A consent that the person gave after it, which ended it.
    Consent,
    /// A file that was imported, which may be older than what was said here.
    File,
}

impl ObjectionOrigin {
    /// The word of the HTTP API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Address => "address",
            Self::Suppressed => "suppressed",
            Self::Consent => "consent",
            Self::File => "file",
        }
    }

    fn is_person(&self) -> bool {
        *self == Self::Person
    }
}

/// One step of a restriction.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestrictionEvent {
    /// Why; `None` where it was lifted.
    pub ground: Option<RestrictionGround>,
    /// Ids of the collections that it is about; all, where there is none.
    pub collections: Vec<u16>,
    /// When.
    pub at: Timestamp,
    /// The person's words, or the controller's.
    pub reason: Option<String>,
}

impl RestrictionEvent {
    /// Whether a collection is only to be stored from this step on.
    pub(crate) fn covers(&self, collection: u16) -> bool {
        let every = self.collections.is_empty();
        self.ground.is_some() && (every || self.collections.contains(&collection))
    }
}

/// Where a legal hold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// It stands.
    Placed,
    /// It stands no more.
    Released,
}

impl HoldState {
    /// The word of the HTTP API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Released => "released",
        }
    }
}

/// One step of a legal hold.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldEvent {
    /// Where it stood from then on.
    pub state: HoldState,
    /// Why.
    pub ground: HoldGround,
    /// Ids of the collections that it is about; all, where there is none.
    pub collections: Vec<u16>,
    /// The role of whoever said so; empty where a restored vault knows it from the ledger alone.
    pub by: String,
    /// Who approved it.
    pub approver: Option<String>,
    /// In what matter.
    pub reason: Option<String>,
    /// Until when somebody has to look whether it is still needed.
    pub review_at: Date,
    /// When.
    pub at: Timestamp,
    /// The erasure that waits for its end: everything else of the person is gone.
    pub erasure: Option<PendingErasure>,
}

/// An erasure that a hold keeps from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingErasure {
    /// When everything that is not held was destroyed.
    pub at: Timestamp,
    /// What stands for that.
    pub receipt: ReceiptId,
}

impl HoldEvent {
    /// Whether it is about a collection.
    #[must_use]
    pub fn covers(&self, collection: u16) -> bool {
        self.collections.is_empty() || self.collections.contains(&collection)
    }

    /// Whether somebody ought to have looked at it by now.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        now.to_zoned(jiff::tz::TimeZone::UTC).date() > self.review_at
    }
}

/// What was told of a person's age: no more than whether a guardian is needed, and until when.
///
/// Source: GDPR Art. 8, 5(1)(c).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgeEvent {
    /// From this day on, in UTC, they consent for themselves: at the latest, since only years were told.
    pub of_age_on: jiff::civil::Date,
    /// How a guardian's authorisation was verified, if there is one.
    pub guardian: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl AgeEvent {
    /// Whether they are below the age of consent at an instant.
    #[must_use]
    pub fn child(&self, now: Timestamp) -> bool {
        now.to_zoned(jiff::tz::TimeZone::UTC).date() < self.of_age_on
    }
}

/// Silent about what was said.
impl std::fmt::Debug for AgeEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgeEvent")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Silent about what was said.
impl std::fmt::Debug for HoldEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HoldEvent")
            .field("state", &self.state)
            .field("ground", &self.ground)
            .field("collections", &self.collections)
            .field("review_at", &self.review_at)
            .field("at", &self.at)
            .field("erasure", &self.erasure)
            .finish_non_exhaustive()
    }
}

/// Silent about what was said.
impl std::fmt::Debug for ObjectionEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectionEvent")
            .field("state", &self.state)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Silent about what was said.
impl std::fmt::Debug for RestrictionEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestrictionEvent")
            .field("ground", &self.ground)
            .field("collections", &self.collections)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Where a person stands, for one decision about one purpose.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// What they last said about the purpose, if it rests on consent.
    pub(crate) consent: Option<Said>,
    /// The last step of each purpose that they objected to, and of [`ALL_MARKETING`].
    objections: Vec<(u16, ObjectionEvent)>,
    restriction: Option<RestrictionEvent>,
    hold: Option<HoldEvent>,
    /// Whether only a guardian, who has not, could consent.
    unguarded: bool,
}

impl Standing {
    /// Of a person, without what they said about a purpose.
    pub(crate) fn of(view: &dyn View, person: &Person) -> Result<Self, Refusal> {
        let mut standing = Self::default();
        for topic in events::burdens(view, person)? {
            match topic {
                Topic::Restriction => standing.restriction = restriction(view, person)?,
                Topic::Hold => standing.hold = hold(view, person)?,
                Topic::Age => {
                    let age = age(view, person)?;
                    standing.unguarded =
                        age.is_some_and(|age| age.child(view.now()) && age.guardian.is_none());
                }
                Topic::Objection(purpose) => {
                    let last = own_objection(view, person, purpose)?;
                    standing
                        .objections
                        .extend(last.map(|event| (purpose, event)));
                }
                Topic::Consent(_)
                | Topic::Notice
                | Topic::Contract(_)
                | Topic::Disclosure
                | Topic::Pairwise
                | Topic::Pseudonym
                | Topic::Correction
                | Topic::Emergency
                | Topic::Request
                | Topic::Decision => {}
            }
        }
        Ok(standing)
    }

    /// Of somebody who agrees to everything: what is refused of them is refused of everybody.
    pub(crate) fn willing() -> Self {
        Self {
            consent: Some(Said {
                state: ConsentState::Given,
                at: Timestamp::MIN,
                kind: ConsentKind::Explicit,
                until: None,
            }),
            ..Self::default()
        }
    }

    /// What the person said about the purpose, where they may say it: a child's word is none without
    /// their guardian's.
    pub(crate) fn consents(&self) -> bool {
        self.consent.is_some_and(|said| said.state.permits()) && !self.unguarded
    }

    /// Whether they said so in so many words.
    pub(crate) fn consents_explicitly(&self) -> bool {
        let explicit = |said: Said| said.kind == ConsentKind::Explicit;
        self.consents() && self.consent.is_some_and(explicit)
    }

    /// Whether only a guardian, who has not, could consent.
    pub(crate) fn unguarded(&self) -> bool {
        self.unguarded
    }

    /// Whether a collection is only to be stored.
    pub(crate) fn restricts(&self, collection: u16) -> bool {
        let restriction = self.restriction.as_ref();
        restriction.is_some_and(|restriction| restriction.covers(collection))
    }

    /// Whether everything is held, and whether everything is restricted.
    pub(crate) fn wholly(&self) -> (bool, bool) {
        let hold = self.hold.as_ref();
        let held = hold.is_some_and(|hold| hold.erasure.is_some() || hold.collections.is_empty());
        let restriction = self.restriction.as_ref();
        (
            held,
            restriction.is_some_and(|one| one.collections.is_empty()),
        )
    }

    /// Whether a collection is held: of somebody who is erased but for what is held, every one, so that
    /// nobody is told of the others.
    pub(crate) fn holds(&self, collection: u16) -> bool {
        let hold = self.hold.as_ref();
        hold.is_some_and(|hold| hold.erasure.is_some() || hold.covers(collection))
    }

    /// The legal hold that stands.
    pub(crate) fn hold(&self) -> Option<&HoldEvent> {
        self.hold.as_ref()
    }

    /// Whether a collection is to stay as it is: nothing in it ends by age, by date or by a purge.
    pub(crate) fn keeps(&self, collection: u16) -> bool {
        self.restricts(collection) || self.holds(collection)
    }

    /// Where an objection to a purpose stands.
    pub(crate) fn objection(&self, purpose: &Purpose) -> Option<ObjectionState> {
        let last = |wanted: u16| {
            let mut all = self.objections.iter();
            all.find(|(known, _)| *known == wanted)
                .map(|(_, event)| event)
        };
        let all = last(ALL_MARKETING).filter(|_| purpose.direct_marketing);
        decisive(last(purpose.id), all).map(|event| event.state)
    }

    /// Whether any objection stands.
    pub(crate) fn objects(&self) -> bool {
        let mut objections = self.objections.iter();
        objections.any(|(_, event)| event.state.stands())
    }

    /// Whether anything of the person is restricted.
    pub(crate) fn restricted(&self) -> bool {
        let mut objections = self.objections.iter();
        self.restriction.is_some()
            || objections.any(|(_, event)| event.state == ObjectionState::Pending)
    }
}

/// The restriction that stands.
pub(crate) fn restriction(
    view: &dyn View,
    person: &Person,
) -> Result<Option<RestrictionEvent>, Refusal> {
    let last: Option<RestrictionEvent> = events::last(view, person, Topic::Restriction)?;
    Ok(last.filter(|event| event.ground.is_some()))
}

/// Every restriction there was, oldest first.
pub(crate) fn restrictions(
    view: &dyn View,
    person: &Person,
) -> Result<Vec<RestrictionEvent>, Refusal> {
    events::history(view, person, Topic::Restriction)
}

/// The legal hold that stands.
pub(crate) fn hold(view: &dyn View, person: &Person) -> Result<Option<HoldEvent>, Refusal> {
    let last: Option<HoldEvent> = events::last(view, person, Topic::Hold)?;
    Ok(last.filter(|event| event.state == HoldState::Placed))
}

/// Every step of legal holds, oldest first.
pub(crate) fn holds(view: &dyn View, person: &Person) -> Result<Vec<HoldEvent>, Refusal> {
    events::history(view, person, Topic::Hold)
}

/// Adds a step of a legal hold.
pub(crate) fn append_hold(
    txn: &mut Txn<'_>,
    person: &mut Person,
    event: &HoldEvent,
) -> Result<(), Refusal> {
    events::append(txn, person, Topic::Hold, event)
}

/// What was last told of a person's age.
pub(crate) fn age(view: &dyn View, person: &Person) -> Result<Option<AgeEvent>, Refusal> {
    events::last(view, person, Topic::Age)
}

/// Everything that was told of a person's age, oldest first.
pub(crate) fn ages(view: &dyn View, person: &Person) -> Result<Vec<AgeEvent>, Refusal> {
    events::history(view, person, Topic::Age)
}

/// Adds what was told of a person's age.
pub(crate) fn append_age(
    txn: &mut Txn<'_>,
    person: &mut Person,
    event: &AgeEvent,
) -> Result<(), Refusal> {
    events::append(txn, person, Topic::Age, event)
}

/// What stands for the purpose where somebody objects to direct marketing as such, to purposes that the policy
/// does not have yet too: those that it has are numbered from 1.
pub(crate) const ALL_MARKETING: u16 = 0;

/// Which step counts for a purpose of direct marketing: that of its own, unless the person objected to all of it
/// since. At the same instant its own, which is written along with the other for what there is then.
fn decisive<'e>(
    own: Option<&'e ObjectionEvent>,
    all: Option<&'e ObjectionEvent>,
) -> Option<&'e ObjectionEvent> {
    match (own, all) {
        (Some(own), Some(all)) if all.at > own.at => Some(all),
        (None, all) => all,
        (own, _) => own,
    }
}

/// Where an objection to a purpose stands; `None` if there never was one.
pub(crate) fn objection(
    view: &dyn View,
    person: &Person,
    purpose: &Purpose,
) -> Result<Option<ObjectionState>, Refusal> {
    Ok(last_objection(view, person, purpose)?.map(|event| event.state))
}

/// The last step of an objection to a purpose.
pub(crate) fn last_objection(
    view: &dyn View,
    person: &Person,
    purpose: &Purpose,
) -> Result<Option<ObjectionEvent>, Refusal> {
    let own = own_objection(view, person, purpose.id)?;
    let all = match purpose.direct_marketing {
        true => own_objection(view, person, ALL_MARKETING)?,
        false => None,
    };
    Ok(decisive(own.as_ref(), all.as_ref()).cloned())
}

/// Whether the person objects to direct marketing as such.
pub(crate) fn objects_to_all(view: &dyn View, person: &Person) -> Result<bool, Refusal> {
    let last = own_objection(view, person, ALL_MARKETING)?;
    Ok(last.is_some_and(|event| event.state.stands()))
}

/// The last step in the list of this purpose, or of [`ALL_MARKETING`].
fn own_objection(
    view: &dyn View,
    person: &Person,
    purpose: u16,
) -> Result<Option<ObjectionEvent>, Refusal> {
    events::last(view, person, Topic::Objection(purpose))
}

/// Every step of an objection to a purpose, oldest first: where the one to all direct marketing is about it, what
/// that adds to the purpose's own.
pub(crate) fn objections(
    view: &dyn View,
    person: &Person,
    purpose: &Purpose,
) -> Result<Vec<ObjectionEvent>, Refusal> {
    let mut steps = events::history(view, person, Topic::Objection(purpose.id))?;
    if !purpose.direct_marketing {
        return Ok(steps);
    }
    for all in events::history::<ObjectionEvent>(view, person, Topic::Objection(ALL_MARKETING))? {
        let later = steps.iter().position(|step| step.at >= all.at);
        let there = later.is_some_and(|at| steps[at].at == all.at);
        if !there {
            steps.insert(later.unwrap_or(steps.len()), all);
        }
    }
    Ok(steps)
}

/// Adds a step of an objection.
pub(crate) fn append_objection(
    txn: &mut Txn<'_>,
    person: &mut Person,
    purpose: u16,
    event: &ObjectionEvent,
) -> Result<(), Refusal> {
    events::append(txn, person, Topic::Objection(purpose), event)
}

/// Adds a step of a restriction.
pub(crate) fn append_restriction(
    txn: &mut Txn<'_>,
    person: &mut Person,
    event: &RestrictionEvent,
) -> Result<(), Refusal> {
    events::append(txn, person, Topic::Restriction, event)
}
