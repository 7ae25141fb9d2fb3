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

/// What a person last said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentState {
    /// Yes.
    Given,
    /// No, when asked.
    Refused,
    /// No longer.
    Withdrawn,
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

/// What the person last said about `purpose`; `None` if they were never asked.
pub(crate) fn state(
    view: &dyn View,
    person: &Person,
    purpose: u16,
) -> Result<Option<ConsentState>, Refusal> {
    Ok(last(view, person, purpose)?.map(|event| event.state))
}

/// The last event about `purpose`.
pub(crate) fn last(
    view: &dyn View,
    person: &Person,
    purpose: u16,
) -> Result<Option<ConsentEvent>, Refusal> {
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
    };
    let place = (Topic::Consent(purpose), sequence);
    events::row_of(vault, entry, keyset, place, &event, entropy)
}
