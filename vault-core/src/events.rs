//! What a person said and what was decided about them: append-only lists, one a topic.
//!
//! They lie in one compartment, apart from records, so that the proof of a right outlives what it was
//! about. Knows places and order, not what an event means or permits.
//!
//! Source: GDPR Art. 5(2), 7(1).

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::commit::{Txn, View};
use crate::crypto::{Location, key_number, seal, unseal};
use crate::entropy::Entropy;
use crate::id::{RowHandle, VaultId};
use crate::keys::keyset::{Compartment, Keyset, PersonEntry};
use crate::limits::TOPIC_EVENTS_MAX;
use crate::person::{DAMAGED, Person};
use crate::policy::NUMBER_MAX;
use crate::refusal::Refusal;
use crate::store::{Direction, KeyRange, ReadTx, Table, WriteTx};

/// What a list is about. Its number is on disk: purposes themselves are below [`Topic::PURPOSES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// Consent to a purpose.
    Consent(u16),
    /// Notices that were shown.
    Notice,
    /// The end of the contract behind a purpose.
    Contract(u16),
    /// Restriction of processing (Art. 18).
    Restriction,
    /// Legal holds (Art. 17(3)).
    Hold,
    /// Whether a guardian is needed (Art. 8).
    Age,
    /// What recipients were given (Art. 15(1)(c), 19).
    Disclosure,
    /// The secret that recipients' references to the person are made with.
    Pairwise,
    /// Pseudonyms that were issued.
    Pseudonym,
    /// Emergencies, in which somebody sees more than their role does.
    Emergency,
    /// Corrections of what a legal hold keeps, which wait for its end.
    Correction,
    /// Objection to a purpose (Art. 21).
    Objection(u16),
    /// Requests of the person (Chapter III).
    Request,
    /// Decisions about the person, and their review (Art. 22).
    Decision,
}

impl Topic {
    /// Above the number of every purpose that can have a list.
    const PURPOSES: u16 = NUMBER_MAX + 1;
    const NOTICE: u16 = 0x4000;
    /// Of the first purpose: they are numbered from 1.
    const CONTRACT: u16 = 0x4001;
    /// From here on are the lists that can stand in the way of a use, but for those in between: most
    /// people have none, and one look tells.
    const BURDENS: u16 = 0x8000;
    const RESTRICTION: u16 = 0x8000;
    const HOLD: u16 = 0x8001;
    const AGE: u16 = 0x8002;
    /// From here to [`Topic::OBJECTION`] are lists that stand in nobody's way.
    const HARMLESS: u16 = 0xa000;
    const DISCLOSURE: u16 = 0xa000;
    const PAIRWISE: u16 = 0xa001;
    const PSEUDONYM: u16 = 0xa003;
    const EMERGENCY: u16 = 0xa002;
    const CORRECTION: u16 = 0xa004;
    const REQUEST: u16 = 0xa005;
    const DECISION: u16 = 0xa006;
    const OBJECTION: u16 = 0xc000;

    pub(crate) fn number(self) -> u16 {
        match self {
            Self::Consent(purpose) => purpose,
            Self::Notice => Self::NOTICE,
            Self::Contract(purpose) => Self::NOTICE | purpose,
            Self::Restriction => Self::RESTRICTION,
            Self::Hold => Self::HOLD,
            Self::Age => Self::AGE,
            Self::Disclosure => Self::DISCLOSURE,
            Self::Pairwise => Self::PAIRWISE,
            Self::Pseudonym => Self::PSEUDONYM,
            Self::Emergency => Self::EMERGENCY,
            Self::Correction => Self::CORRECTION,
            Self::Objection(purpose) => Self::OBJECTION | purpose,
            Self::Request => Self::REQUEST,
            Self::Decision => Self::DECISION,
        }
    }

    fn of(number: u16) -> Option<Self> {
        match number {
            0..Self::PURPOSES => Some(Self::Consent(number)),
            Self::NOTICE => Some(Self::Notice),
            Self::CONTRACT..Self::RESTRICTION => Some(Self::Contract(number & !Self::NOTICE)),
            Self::RESTRICTION => Some(Self::Restriction),
            Self::HOLD => Some(Self::Hold),
            Self::AGE => Some(Self::Age),
            Self::DISCLOSURE => Some(Self::Disclosure),
            Self::PAIRWISE => Some(Self::Pairwise),
            Self::PSEUDONYM => Some(Self::Pseudonym),
            Self::EMERGENCY => Some(Self::Emergency),
            Self::CORRECTION => Some(Self::Correction),
            Self::REQUEST => Some(Self::Request),
            Self::DECISION => Some(Self::Decision),
            Self::OBJECTION.. => Some(Self::Objection(number & !Self::OBJECTION)),
            _ => None,
        }
    }
}

fn prefix(person: &Person, topic: Topic) -> Vec<u8> {
    let handle = person.entry.handle.as_bytes();
    [&handle[..], &topic.number().to_be_bytes()].concat()
}

/// Topic and sequence of a row's key.
fn place(key: &[u8]) -> Result<(u16, [u8; 4]), Refusal> {
    let part = |range| key.get(range).ok_or(DAMAGED);
    let topic = u16::from_be_bytes(part(16..18)?.try_into().map_err(|_| DAMAGED)?);
    let sequence = part(18..22)?.try_into().map_err(|_| DAMAGED)?;
    Ok((topic, sequence))
}

fn location<'a>(
    view: &dyn View,
    person: &'a Person,
    topic: u16,
    sequence: &'a [u8; 4],
) -> Location<'a> {
    Location {
        collection: topic,
        record: sequence,
        ..Location::row(
            view.vault(),
            Table::Consents.number(),
            person.entry.handle.as_bytes(),
        )
    }
}

fn open<T: DeserializeOwned>(
    view: &dyn View,
    person: &Person,
    key: &[u8],
    sealed: &[u8],
) -> Result<T, Refusal> {
    let (topic, sequence) = place(key)?;
    let bytes = person.unseal(&location(view, person, topic, &sequence), sealed)?;
    serde_json::from_slice(&bytes).map_err(|_| DAMAGED)
}

/// The events about a topic, oldest first.
pub(crate) fn history<T: DeserializeOwned>(
    view: &dyn View,
    person: &Person,
    topic: Topic,
) -> Result<Vec<T>, Refusal> {
    let range = KeyRange::prefix(&prefix(person, topic));
    let (table, order) = (Table::Consents, Direction::Ascending);
    let rows = view.tx().range(table, &range, order, TOPIC_EVENTS_MAX)?;
    rows.iter()
        .map(|(key, sealed)| open(view, person, key, sealed))
        .collect()
}

/// The same, each with its place in the list.
pub(crate) fn entries<T: DeserializeOwned>(
    view: &dyn View,
    person: &Person,
    topic: Topic,
) -> Result<Vec<(u32, T)>, Refusal> {
    let range = KeyRange::prefix(&prefix(person, topic));
    let (table, order) = (Table::Consents, Direction::Ascending);
    let rows = view.tx().range(table, &range, order, TOPIC_EVENTS_MAX)?;
    let entries = rows.iter().map(|(key, sealed)| {
        let (_, sequence) = place(key)?;
        let event = open(view, person, key, sealed)?;
        Ok((u32::from_be_bytes(sequence), event))
    });
    entries.collect()
}

/// The last event about a topic.
pub(crate) fn last<T: DeserializeOwned>(
    view: &dyn View,
    person: &Person,
    topic: Topic,
) -> Result<Option<T>, Refusal> {
    let range = KeyRange::prefix(&prefix(person, topic));
    let (table, order) = (Table::Consents, Direction::Descending);
    let rows = view.tx().range(table, &range, order, 1)?;
    let last = rows.first();
    last.map(|(key, sealed)| open(view, person, key, sealed))
        .transpose()
}

/// Whether anything was ever said about a topic; opens nothing.
pub(crate) fn any(view: &dyn View, handle: RowHandle, topic: Topic) -> Result<bool, Refusal> {
    let prefix = [&handle.as_bytes()[..], &topic.number().to_be_bytes()].concat();
    let (table, range) = (Table::Consents, KeyRange::prefix(&prefix));
    let keys = view.tx().keys(table, &range, Direction::Ascending, 1)?;
    Ok(!keys.is_empty())
}

/// How many events there are about a topic; opens none.
pub(crate) fn count(view: &dyn View, handle: RowHandle, topic: Topic) -> Result<usize, Refusal> {
    let prefix = [&handle.as_bytes()[..], &topic.number().to_be_bytes()].concat();
    let (table, range) = (Table::Consents, KeyRange::prefix(&prefix));
    let keys = view
        .tx()
        .keys(table, &range, Direction::Ascending, TOPIC_EVENTS_MAX)?;
    Ok(keys.len())
}

/// When the last event of any kind happened.
pub(crate) fn latest(view: &dyn View, person: &Person) -> Result<Option<Timestamp>, Refusal> {
    #[derive(Deserialize)]
    struct Dated {
        at: Timestamp,
    }
    let mut range = KeyRange::prefix(person.entry.handle.as_bytes());
    let (order, mut latest) = (Direction::Ascending, None);
    loop {
        let rows = view
            .tx()
            .range(Table::Consents, &range, order, TOPIC_EVENTS_MAX)?;
        for (key, sealed) in &rows {
            let Dated { at } = open(view, person, key, sealed)?;
            latest = latest.max(Some(at));
        }
        match rows.last() {
            Some((last, _)) if rows.len() == TOPIC_EVENTS_MAX => range.go_on(order, last),
            _ => return Ok(latest),
        }
    }
}

/// The topics that can stand in the way of a use and have a list: for most people none, which costs
/// one look.
pub(crate) fn burdens(view: &dyn View, person: &Person) -> Result<Vec<Topic>, Refusal> {
    let handle = person.entry.handle.as_bytes();
    let mut range = KeyRange::prefix(handle);
    range.start = [&handle[..], &Topic::BURDENS.to_be_bytes()].concat();
    let mut topics = Vec::new();
    loop {
        let (table, order) = (Table::Consents, Direction::Ascending);
        let keys = view.tx().keys(table, &range, order, 1)?;
        let Some(key) = keys.first() else {
            return Ok(topics);
        };
        let (number, _) = place(key)?;
        let topic = Topic::of(number).ok_or(DAMAGED)?;
        let next = match number {
            Topic::HARMLESS..Topic::OBJECTION => Some(Topic::OBJECTION),
            _ => {
                topics.push(topic);
                number.checked_add(1)
            }
        };
        let Some(next) = next else {
            return Ok(topics);
        };
        range.start = [&handle[..], &next.to_be_bytes()].concat();
    }
}

/// Adds an event; the person's readers end before it is acknowledged.
pub(crate) fn append<T: Serialize>(
    txn: &mut Txn<'_>,
    person: &mut Person,
    topic: Topic,
    event: &T,
) -> Result<(), Refusal> {
    let range = KeyRange::prefix(&prefix(person, topic));
    let last = txn.keys(Table::Consents, &range, Direction::Descending, 1)?;
    let sequence = match last.first() {
        None => 0,
        Some(key) => u32::from_be_bytes(place(key)?.1) + 1,
    };
    if sequence as usize >= TOPIC_EVENTS_MAX {
        return Err(Refusal::TooLarge(format!(
            "a person has at most {TOPIC_EVENTS_MAX} events of a kind for a purpose"
        )));
    }
    let keys = person.keyset.keys.len();
    let number = person.key_for(Compartment::CONSENTS, txn.entropy())?;
    if person.keyset.keys.len() > keys {
        person.store(txn)?;
    }
    put(txn, person, topic, sequence, number, event)?;
    txn.revoke(person.subject);
    Ok(())
}

/// Seals an event in its place.
fn put<T: Serialize>(
    txn: &mut Txn<'_>,
    person: &Person,
    topic: Topic,
    sequence: u32,
    number: u32,
    event: &T,
) -> Result<(), Refusal> {
    let bytes = serde_json::to_vec(event).map_err(|_| DAMAGED)?;
    let sequence = sequence.to_be_bytes();
    let location = location(txn, person, topic.number(), &sequence);
    let sealed = person.seal(number, &location, &bytes)?;
    let key = [prefix(person, topic), sequence.to_vec()].concat();
    Ok(txn.put(Table::Consents, &key, &sealed)?)
}

/// Puts an event into the place of an earlier one, for a list that is an account and no history. It permits
/// and forbids nothing, so that nobody's reading ends by it.
pub(crate) fn replace<T: Serialize>(
    txn: &mut Txn<'_>,
    person: &Person,
    topic: Topic,
    sequence: u32,
    event: &T,
) -> Result<(), Refusal> {
    let key = person.keyset.newest(Compartment::CONSENTS).ok_or(DAMAGED)?;
    put(txn, person, topic, sequence, key.number, event)
}

/// Removes everything about a topic. What is left in freed pages goes with the keys, which whoever calls
/// destroys in the same commit.
pub(crate) fn forget(txn: &mut Txn<'_>, person: &Person, topic: Topic) -> Result<(), Refusal> {
    let range = KeyRange::prefix(&prefix(person, topic));
    let (table, order) = (Table::Consents, Direction::Ascending);
    for key in txn.keys(table, &range, order, TOPIC_EVENTS_MAX)? {
        txn.delete(table, &key)?;
    }
    Ok(())
}

/// Keeps of the events about a topic those alone that `stays` is true of, in their order. The old bytes go with the
/// keys, as those of [`forget`].
pub(crate) fn retain<T: Serialize + DeserializeOwned>(
    txn: &mut Txn<'_>,
    person: &mut Person,
    topic: Topic,
    stays: impl Fn(&T) -> bool,
) -> Result<(), Refusal> {
    let mut all: Vec<T> = history(txn, person, topic)?;
    let before = all.len();
    all.retain(stays);
    if all.len() == before {
        return Ok(());
    }
    forget(txn, person, topic)?;
    all.iter()
        .try_for_each(|event| append(txn, person, topic, event))
}

/// Changes every event about a topic in its place. The old bytes stay in freed pages under a key that lives:
/// for whoever replaces the person's keys in the same commit.
pub(crate) fn each<T: Serialize + DeserializeOwned>(
    txn: &mut Txn<'_>,
    person: &Person,
    topic: Topic,
    mut change: impl FnMut(&mut T),
) -> Result<(), Refusal> {
    let range = KeyRange::prefix(&prefix(person, topic));
    let (table, order) = (Table::Consents, Direction::Ascending);
    for (key, sealed) in txn.range(table, &range, order, TOPIC_EVENTS_MAX)? {
        let mut event: T = open(txn, person, &key, &sealed)?;
        change(&mut event);
        let bytes = serde_json::to_vec(&event).map_err(|_| DAMAGED)?;
        let number = key_number(&sealed).ok_or(DAMAGED)?;
        let (topic, sequence) = place(&key)?;
        let location = location(txn, person, topic, &sequence);
        let sealed = person.seal(number, &location, &bytes)?;
        txn.put(table, &key, &sealed)?;
    }
    Ok(())
}

/// The row of an event in the place `sequence` of a topic, for a vault that is being restored. `None` if
/// the keyset is full.
pub(crate) fn row_of<T: Serialize>(
    vault: VaultId,
    entry: &PersonEntry,
    keyset: &mut Keyset,
    (topic, sequence): (Topic, u32),
    event: &T,
    entropy: &mut dyn Entropy,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let number = match keyset.newest(Compartment::CONSENTS) {
        Some(dek) => dek.number,
        None => keyset.add(Compartment::CONSENTS, entropy)?,
    };
    let (topic, sequence) = (topic.number(), sequence.to_be_bytes());
    let handle = entry.handle.as_bytes();
    let location = Location {
        compartment: Compartment::CONSENTS.number,
        collection: topic,
        record: &sequence,
        ..Location::row(vault, Table::Consents.number(), handle)
    };
    let bytes = serde_json::to_vec(event).ok()?;
    let sealed = seal(&keyset.key(number)?.key, number, &location, &bytes).ok()?;
    let key = [&handle[..], &topic.to_be_bytes(), &sequence].concat();
    Some((key, sealed))
}

/// Whether a row's key is of this topic.
pub(crate) fn is_about(key: &[u8], topic: Topic) -> bool {
    place(key).is_ok_and(|(number, _)| number == topic.number())
}

/// Where the row with this key lies, in a vault that is being restored; the compartment is left open.
pub(crate) fn row_location<'a>(
    vault: VaultId,
    handle: &'a RowHandle,
    key: &'a [u8],
) -> Option<Location<'a>> {
    let (topic, _) = place(key).ok()?;
    Some(Location {
        collection: topic,
        record: key.get(18..22)?,
        ..Location::row(vault, Table::Consents.number(), handle.as_bytes())
    })
}

/// The event in a row of a vault that is being restored; `None` if it does not open.
pub(crate) fn open_row<T: DeserializeOwned>(
    vault: VaultId,
    handle: RowHandle,
    keyset: &Keyset,
    key: &[u8],
    sealed: &[u8],
) -> Option<T> {
    let dek = keyset.key(key_number(sealed)?)?;
    let location = Location {
        compartment: dek.compartment.number,
        ..row_location(vault, &handle, key)?
    };
    serde_json::from_slice(&unseal(&dek.key, &location, sealed).ok()?).ok()
}

/// The same event under another key.
pub(crate) fn seal_again(
    view: &dyn View,
    person: &Person,
    key: &[u8],
    sealed: &[u8],
    number: u32,
) -> Result<Vec<u8>, Refusal> {
    let (topic, sequence) = place(key)?;
    let location = location(view, person, topic, &sequence);
    person.seal(number, &location, &person.unseal(&location, sealed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_its_number_and_no_two_share_one() {
        let last = Topic::PURPOSES - 1;
        let all = [
            Topic::Consent(1),
            Topic::Consent(last),
            Topic::Notice,
            Topic::Contract(1),
            Topic::Contract(last),
            Topic::Restriction,
            Topic::Hold,
            Topic::Age,
            Topic::Disclosure,
            Topic::Pairwise,
            Topic::Pseudonym,
            Topic::Emergency,
            Topic::Correction,
            Topic::Request,
            Topic::Decision,
            Topic::Objection(1),
            Topic::Objection(last),
        ];
        for topic in all {
            assert_eq!(Topic::of(topic.number()), Some(topic));
        }
        let burdens = [Topic::Restriction, Topic::Hold, Topic::Objection(0)];
        assert!(burdens.iter().all(|topic| topic.number() >= Topic::BURDENS));
        assert!(Topic::Contract(last).number() < Topic::BURDENS);
        let harmless = Topic::HARMLESS..Topic::OBJECTION;
        assert!(harmless.contains(&Topic::Pairwise.number()));
        assert!(harmless.contains(&Topic::Pseudonym.number()));
        assert!(harmless.contains(&Topic::Disclosure.number()));
        assert!(
            burdens
                .iter()
                .all(|topic| !harmless.contains(&topic.number()))
        );
        assert_eq!(Topic::of(0x8003), None);
        assert_eq!(Topic::of(0xbfff), None);
    }
}
