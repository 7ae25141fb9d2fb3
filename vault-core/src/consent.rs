//! Consent, refusal and withdrawal: an append-only list of events for each person and purpose.
//!
//! Knows nothing of what a purpose permits.
//!
//! Source: GDPR Art. 7(1), 7(3); ISO/IEC TS 27560.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::commit::{Txn, View};
use crate::entropy::Entropy;
use crate::events::{self, Topic};
use crate::id::{ConsentId, VaultId};
use crate::keys::keyset::{Keyset, PersonEntry};
use crate::person::Person;
use crate::refusal::Refusal;

/// What a person last said. Only [`ConsentState::Given`] and [`ConsentState::Renewed`] permit anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentState {
    /// Yes.
    Given,
    /// No, when asked.
    Refused,
    /// No longer.
    Withdrawn,
    /// Asked, and not answered.
    Requested,
    /// Asked, and put off.
    Deferred,
    /// Yes, again.
    Renewed,
    /// Yes, for a time that is over. Nobody says so: the time does.
    Expired,
    /// Yes, and found not to count.
    Invalidated,
}

impl ConsentState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Requested,
        Self::Deferred,
        Self::Given,
        Self::Renewed,
        Self::Refused,
        Self::Withdrawn,
        Self::Expired,
        Self::Invalidated,
    ];

    /// The word of the HTTP API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Requested => "requested",
            Self::Deferred => "deferred",
            Self::Renewed => "renewed",
            Self::Expired => "expired",
            Self::Invalidated => "invalidated",
        }
    }

    /// What `text` names.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == text)
    }

    /// Whether it permits the purpose.
    #[must_use]
    pub const fn permits(self) -> bool {
        matches!(self, Self::Given | Self::Renewed)
    }

    /// Whether the person has answered: that somebody asks again takes nothing back.
    #[must_use]
    pub const fn decides(self) -> bool {
        !matches!(self, Self::Requested | Self::Deferred)
    }
}

/// Whose word a consent is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsentActor {
    /// The person's own.
    #[default]
    #[serde(rename = "self")]
    Person,
    /// Their guardian's (Art. 8).
    #[serde(rename = "guardian")]
    Guardian,
}

impl ConsentActor {
    /// The word of the HTTP API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Person => "self",
            Self::Guardian => "guardian",
        }
    }

    /// What `text` names.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Person, Self::Guardian];
        all.into_iter().find(|actor| actor.name() == text)
    }

    fn is_person(&self) -> bool {
        *self == Self::Person
    }
}

/// How plainly somebody consented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentKind {
    /// By a clear act (Art. 4(11)).
    #[default]
    Regular,
    /// In so many words, as special data demand (Art. 9(2)(a)).
    Explicit,
}

impl ConsentKind {
    /// The word of the HTTP API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::Explicit => "explicit",
        }
    }

    /// What `text` names.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Regular, Self::Explicit];
        all.into_iter().find(|kind| kind.name() == text)
    }

    fn is_regular(&self) -> bool {
        *self == Self::Regular
    }
}

/// What a consent platform wrote: kept as it is, and never read for what it permits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentEvidence {
    /// `tcf` or `gpp`.
    pub kind: String,
    /// Its own form.
    pub string: String,
}

/// What else is known of an event, after ISO/IEC TS 27560. Events of an earlier version have none of it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentDetails {
    /// Whose word it is.
    #[serde(default, skip_serializing_if = "ConsentActor::is_person")]
    pub actor: ConsentActor,
    /// How plainly.
    #[serde(
        default,
        rename = "type",
        skip_serializing_if = "ConsentKind::is_regular"
    )]
    pub kind: ConsentKind,
    /// For how long, as it was told: an ISO 8601 period, or an instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<String>,
    /// When that ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// The language of the text that was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// SHA-256 of that text, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Where it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// How it was collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What a consent platform wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<ConsentEvidence>,
}

/// Silent about what was said of a person.
impl std::fmt::Debug for ConsentDetails {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsentDetails")
            .field("actor", &self.actor)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Silent about what was said of a person.
impl std::fmt::Debug for ConsentEvidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsentEvidence").finish_non_exhaustive()
    }
}

/// One event.
#[derive(Clone, Serialize, Deserialize)]
pub struct ConsentEvent {
    /// Names the event.
    pub consent: ConsentId,
    /// What the person said.
    pub state: ConsentState,
    /// When.
    pub at: Timestamp,
    /// The notice that was shown, as the bot named it.
    pub notice: Value,
    /// Which button or word.
    pub choice: Option<String>,
    /// The channel's message.
    pub message_id: Option<String>,
    /// What else is known of it.
    #[serde(flatten)]
    pub details: ConsentDetails,
}

/// Silent about what was said of a person.
impl std::fmt::Debug for ConsentEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsentEvent")
            .field("consent", &self.consent)
            .field("state", &self.state)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// The events about `purpose`, oldest first.
pub(crate) fn history(
    view: &dyn View,
    person: &Person,
    purpose: u16,
) -> Result<Vec<ConsentEvent>, Refusal> {
    events::history(view, person, Topic::Consent(purpose))
}

/// How a consent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) state: ConsentState,
    /// Since when.
    pub(crate) at: Timestamp,
    pub(crate) kind: ConsentKind,
    /// Until when it permits anything, if it does.
    pub(crate) until: Option<Timestamp>,
}

/// How it stands after these events, oldest first.
pub(crate) fn said<'e>(
    mut events: impl DoubleEndedIterator<Item = &'e ConsentEvent>,
    now: Timestamp,
) -> Option<Said> {
    let last = events.next_back()?;
    let decisive = match last.state.decides() {
        true => last,
        false => events.rfind(|event| event.state.decides()).unwrap_or(last),
    };
    let until = decisive
        .details
        .valid_until
        .filter(|_| decisive.state.permits());
    let over = until.filter(|until| *until <= now);
    Some(Said {
        state: over.map_or(decisive.state, |_| ConsentState::Expired),
        at: over.unwrap_or(decisive.at),
        kind: decisive.details.kind,
        until,
    })
}

/// How the consent to `purpose` stands now; `None` if the person was never asked.
pub(crate) fn state(
    view: &dyn View,
    person: &Person,
    purpose: u16,
) -> Result<Option<Said>, Refusal> {
    let now = view.now();
    match last(view, person, purpose)? {
        Some(event) if !event.state.decides() => {
            Ok(said(history(view, person, purpose)?.iter(), now))
        }
        last => Ok(said(last.iter(), now)),
    }
}

/// The last event about `purpose`.
fn last(view: &dyn View, person: &Person, purpose: u16) -> Result<Option<ConsentEvent>, Refusal> {
    events::last(view, person, Topic::Consent(purpose))
}

/// Adds an event; the person's readers end before it is acknowledged.
pub(crate) fn append(
    txn: &mut Txn<'_>,
    person: &mut Person,
    purpose: u16,
    event: &ConsentEvent,
) -> Result<(), Refusal> {
    events::append(txn, person, Topic::Consent(purpose), event)
}

/// The row that says that a person no longer agrees, for a vault that is being restored: purpose,
/// sequence, and since when. `None` if the keyset is full.
pub(crate) fn withdrawal(
    vault: VaultId,
    entry: &PersonEntry,
    keyset: &mut Keyset,
    (purpose, sequence, at): (u16, u32, Timestamp),
    entropy: &mut dyn Entropy,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let event = ConsentEvent {
        consent: ConsentId::generate(entropy),
        state: ConsentState::Withdrawn,
        at,
        notice: Value::Null,
        choice: None,
        message_id: None,
        details: ConsentDetails::default(),
    };
    let place = (Topic::Consent(purpose), sequence);
    events::row_of(vault, entry, keyset, place, &event, entropy)
}
