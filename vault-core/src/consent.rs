//! Consent, refusal and withdrawal: an append-only list of events for each person and purpose.
//!
//! Events lie in a compartment of their own. Knows nothing of what a purpose permits.
//!
//! Source: GDPR Art. 7(1), 7(3); ISO/IEC TS 27560.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::commit::{Txn, View};
use crate::crypto::{Location, seal};
use crate::entropy::Entropy;
use crate::id::{ConsentId, VaultId};
use crate::keys::keyset::{Compartment, Keyset, PersonEntry};
use crate::limits::CONSENT_EVENTS_MAX;
use crate::person::{DAMAGED, Person};
use crate::refusal::Refusal;
use crate::store::{Direction, KeyRange, ReadTx, Table, WriteTx};

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

fn row_key(person: &Person, purpose: u16, sequence: u32) -> Vec<u8> {
    let mut key = prefix(person, purpose);
    key.extend_from_slice(&sequence.to_be_bytes());
    key
}

fn prefix(person: &Person, purpose: u16) -> Vec<u8> {
    let mut key = person.entry.handle.as_bytes().to_vec();
    key.extend_from_slice(&purpose.to_be_bytes());
    key
}

fn location<'a>(
    view: &dyn View,
    person: &'a Person,
    purpose: u16,
    sequence: &'a [u8; 4],
) -> Location<'a> {
    Location {
        collection: purpose,
        record: sequence,
        ..Location::row(
            view.vault(),
            Table::Consents.number(),
            person.entry.handle.as_bytes(),
        )
    }
}

/// The events about `purpose`, oldest first.
pub(crate) fn history(
    view: &dyn View,
    person: &Person,
    purpose: u16,
) -> Result<Vec<ConsentEvent>, Refusal> {
    let range = KeyRange::prefix(&prefix(person, purpose));
    let rows = view.tx().range(
        Table::Consents,
        &range,
        Direction::Ascending,
        CONSENT_EVENTS_MAX,
    )?;
    rows.iter()
        .map(|(key, sealed)| open(view, person, purpose, key, sealed))
        .collect()
}

fn open(
    view: &dyn View,
    person: &Person,
    purpose: u16,
    key: &[u8],
    sealed: &[u8],
) -> Result<ConsentEvent, Refusal> {
    let sequence: [u8; 4] = key
        .get(18..)
        .and_then(|s| s.try_into().ok())
        .ok_or(DAMAGED)?;
    let bytes = person.unseal(&location(view, person, purpose, &sequence), sealed)?;
    serde_json::from_slice(&bytes).map_err(|_| DAMAGED)
}

/// The same event under another key.
pub(crate) fn seal_again(
    view: &dyn View,
    person: &Person,
    key: &[u8],
    sealed: &[u8],
    number: u32,
) -> Result<Vec<u8>, Refusal> {
    let part = |range| key.get(range).ok_or(DAMAGED);
    let purpose = u16::from_be_bytes(part(16..18)?.try_into().map_err(|_| DAMAGED)?);
    let sequence: [u8; 4] = part(18..22)?.try_into().map_err(|_| DAMAGED)?;
    let location = location(view, person, purpose, &sequence);
    person.seal(number, &location, &person.unseal(&location, sealed)?)
}

/// What the person last said about `purpose`; `None` if they were never asked.
pub(crate) fn state(
    view: &dyn View,
    person: &Person,
    purpose: u16,
) -> Result<Option<ConsentState>, Refusal> {
    let range = KeyRange::prefix(&prefix(person, purpose));
    let rows = view
        .tx()
        .range(Table::Consents, &range, Direction::Descending, 1)?;
    let last = rows
        .first()
        .map(|(key, sealed)| open(view, person, purpose, key, sealed));
    Ok(last.transpose()?.map(|event| event.state))
}

/// Adds an event; the person's readers end before it is acknowledged.
pub(crate) fn append(
    txn: &mut Txn<'_>,
    person: &mut Person,
    purpose: u16,
    event: &ConsentEvent,
) -> Result<(), Refusal> {
    let range = KeyRange::prefix(&prefix(person, purpose));
    let last = txn.range(Table::Consents, &range, Direction::Descending, 1)?;
    let sequence = match last.first() {
        None => 0u32,
        Some((key, _)) => {
            let last = key
                .get(18..)
                .and_then(|s| s.try_into().ok())
                .ok_or(DAMAGED)?;
            u32::from_be_bytes(last) + 1
        }
    };
    if sequence as usize >= CONSENT_EVENTS_MAX {
        return Err(Refusal::TooLarge(
            "too many consent events for this purpose".into(),
        ));
    }
    let keys = person.keyset.keys.len();
    let number = person.key_for(Compartment::CONSENTS, txn.entropy())?;
    if person.keyset.keys.len() > keys {
        person.store(txn)?;
    }
    let bytes = serde_json::to_vec(event).map_err(|_| DAMAGED)?;
    let place = sequence.to_be_bytes();
    let sealed = person.seal(number, &location(txn, person, purpose, &place), &bytes)?;
    txn.put(
        Table::Consents,
        &row_key(person, purpose, sequence),
        &sealed,
    )?;
    txn.revoke(person.subject);
    Ok(())
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
    let number = match keyset.newest(Compartment::CONSENTS) {
        Some(dek) => dek.number,
        None => keyset.add(Compartment::CONSENTS, entropy)?,
    };
    let sequence = sequence.to_be_bytes();
    let handle = entry.handle.as_bytes();
    let location = Location {
        compartment: Compartment::CONSENTS.number,
        collection: purpose,
        record: &sequence,
        ..Location::row(vault, Table::Consents.number(), handle)
    };
    let bytes = serde_json::to_vec(&event).ok()?;
    let sealed = seal(&keyset.key(number)?.key, number, &location, &bytes).ok()?;
    let key = [&handle[..], &purpose.to_be_bytes(), &sequence].concat();
    Some((key, sealed))
}
