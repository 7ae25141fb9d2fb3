//! Conversations of a person as rows under their keys.
//!
//! A row stands under a name that only the person's audit key makes, and under the hour in which it is over, in
//! clear as the hours of other rows are: so the sweeper takes it away without opening anything. What pages of the
//! store still have of it then ends with the key of the day on which it was written. An erasure deletes it with
//! everything else of the person.

use super::Talk;
use crate::clock::hour_of;
use crate::commit::{Txn, View};
use crate::crypto::{Location, hmac, key_number};
use crate::dialogue::Language;
use crate::id::RowHandle;
use crate::keys::keyset::Compartment;
use crate::limits::{DIALOGUES_PER_PERSON_MAX, SWEEP_ROWS_MAX};
use crate::person::{DAMAGED, Person, instant};
use crate::refusal::Refusal;
use crate::request::Level;
use crate::row;
use crate::store::{Direction, KeyRange, Table, WriteTx};

/// What a conversation is called under a person: nobody else can make it, or tell from what.
pub(crate) type Name = [u8; 32];

/// The name of a conversation on a channel; `None` for the one that has none.
pub(crate) fn name(person: &Person, channel: &str, conversation: Option<&str>) -> Name {
    let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    let kind: &[u8] = if conversation.is_some() { &[1] } else { &[0] };
    let conversation = conversation.unwrap_or_default();
    let parts: [&[u8]; 5] = [
        b"dialogue",
        kind,
        &length(channel),
        channel.as_bytes(),
        conversation.as_bytes(),
    ];
    hmac(&person.keyset.audit, &parts)
}

/// The name of the row that counts the codes which somebody unknown had sent to this person.
fn strangers(person: &Person) -> Name {
    hmac(&person.keyset.audit, &[b"dialogue of strangers"])
}

fn prefix(handle: RowHandle, name: &Name) -> Vec<u8> {
    [&handle.as_bytes()[..], name].concat()
}

fn place<'a>(view: &dyn View, person: &'a Person, rest: &'a [u8]) -> Location<'a> {
    Location {
        record: rest,
        ..Location::row(
            view.vault(),
            Table::Dialogues.number(),
            person.entry.handle.as_bytes(),
        )
    }
}

fn open(view: &dyn View, person: &Person, key: &[u8], sealed: &[u8]) -> Result<Talk, Refusal> {
    let rest = key.get(16..).ok_or(DAMAGED)?;
    let bytes = person.unseal(&place(view, person, rest), sealed)?;
    row::decode(&bytes).map_err(|_| DAMAGED)
}

/// A conversation, live or not.
pub(crate) fn load(view: &dyn View, person: &Person, name: &Name) -> Result<Option<Talk>, Refusal> {
    let range = KeyRange::prefix(&prefix(person.entry.handle, name));
    let rows = view
        .tx()
        .range(Table::Dialogues, &range, Direction::Ascending, 1)?;
    let found = rows.into_iter().next();
    found
        .map(|(key, sealed)| open(view, person, &key, &sealed))
        .transpose()
}

/// When codes were sent to the person within the last hour, whoever asked for them.
pub(crate) fn sendings(view: &dyn View, person: &Person) -> Result<usize, Refusal> {
    let since = view.now().as_millisecond() - 3_600_000;
    let mut sent = 0;
    for (_, talk) in all(view, person)? {
        sent += talk.sent.iter().filter(|at| **at > since).count();
    }
    Ok(sent)
}

/// Counts a code that somebody unknown had sent to this person.
pub(crate) fn count_sending(
    txn: &mut Txn<'_>,
    person: &mut Person,
    language: Language,
) -> Result<(), Refusal> {
    let (name, now) = (strangers(person), txn.now().as_millisecond());
    let row = load(txn, person, &name)?;
    let mut row = row.unwrap_or_else(|| Talk::new(language, Level::L0));
    row.expire(now, Level::L0);
    row.sent.push(now);
    store(txn, person, &name, &row)
}

fn all(view: &dyn View, person: &Person) -> Result<Vec<(Vec<u8>, Talk)>, Refusal> {
    let range = KeyRange::prefix(person.entry.handle.as_bytes());
    let rows = view
        .tx()
        .range(Table::Dialogues, &range, Direction::Ascending, usize::MAX)?;
    let opened = rows.into_iter().map(|(key, sealed)| {
        let talk = open(view, person, &key, &sealed)?;
        Ok((key, talk))
    });
    opened.collect()
}

/// The hour after which nothing of a conversation is needed: of its turns, nor of the codes that were sent.
fn ends(talk: &Talk) -> u32 {
    let sent = talk.sent.iter().max();
    let sent = sent.map_or(0, |at| at.saturating_add(3_600_000));
    hour_of(instant(talk.until.max(sent))).saturating_add(1)
}

/// Whether every conversation that was written on the day that begins with hour `period` is over at hour `now`.
pub(crate) fn period_over(period: u32, now: u32) -> bool {
    // A day, and what `ends` comes to for the last hour of it.
    period + 24 + 2 <= now
}

/// Removes the rows that lie in these compartments, whose keys are about to go.
pub(crate) fn remove_of(
    txn: &mut Txn<'_>,
    person: &Person,
    ended: &[Compartment],
) -> Result<(), Refusal> {
    if ended.iter().all(|one| one.number != Compartment::TALKS) {
        return Ok(());
    }
    let range = KeyRange::prefix(person.entry.handle.as_bytes());
    let rows = txn
        .tx()
        .range(Table::Dialogues, &range, Direction::Ascending, usize::MAX)?;
    for (key, sealed) in rows {
        if ended.contains(&person.compartment_of(&sealed)?) {
            txn.delete(Table::Dialogues, &key)?;
        }
    }
    Ok(())
}

/// Writes a conversation in the place of what it was. Where there are too many, that one goes which was over
/// first and has no codes to be counted.
pub(crate) fn store(
    txn: &mut Txn<'_>,
    person: &mut Person,
    name: &Name,
    talk: &Talk,
) -> Result<(), Refusal> {
    let own = prefix(person.entry.handle, name);
    let mut others = Vec::new();
    for (key, other) in all(txn, person)? {
        match key.starts_with(&own) {
            true => txn.delete(Table::Dialogues, &key)?,
            false => others.push((other.sent.is_empty(), other.until, key)),
        }
    }
    if others.len() >= DIALOGUES_PER_PERSON_MAX {
        // At most as many have codes to count as may be sent in an hour, and those are fewer.
        let free = others.iter().filter(|(free, ..)| *free);
        if let Some((.., key)) = free.min_by_key(|(_, until, _)| *until) {
            txn.delete(Table::Dialogues, key)?;
        }
    }
    let keys = person.keyset.keys.len();
    let day = Compartment::talks(hour_of(txn.now()));
    // Of these there are three at most, and nobody is refused their rights for want of room for a key.
    let number = person.successor(day, 0, txn.entropy());
    if person.keyset.keys.len() > keys {
        person.store(txn)?;
    }
    let key = [&own[..], &ends(talk).to_be_bytes()].concat();
    let sealed = {
        let location = place(txn, person, &key[16..]);
        person.seal(number, &location, &row::encode(talk))?
    };
    Ok(txn.put(Table::Dialogues, &key, &sealed)?)
}

/// Takes out of every conversation what was said in its answers, and what was typed to be put in a field: it may say what
/// is gone. Where one stands stays, which messages were answered, and when codes were sent.
pub(crate) fn silence(txn: &mut Txn<'_>, person: &Person) -> Result<(), Refusal> {
    let range = KeyRange::prefix(person.entry.handle.as_bytes());
    let rows = txn
        .tx()
        .range(Table::Dialogues, &range, Direction::Ascending, usize::MAX)?;
    for (key, sealed) in rows {
        let mut talk = open(txn, person, &key, &sealed)?;
        talk.silence();
        let number = key_number(&sealed).ok_or(DAMAGED)?;
        let sealed = person.seal(number, &place(txn, person, &key[16..]), &row::encode(&talk))?;
        txn.put(Table::Dialogues, &key, &sealed)?;
    }
    Ok(())
}

/// The same conversation under another key.
pub(crate) fn seal_again(
    view: &dyn View,
    person: &Person,
    key: &[u8],
    sealed: &[u8],
    number: u32,
) -> Result<Vec<u8>, Refusal> {
    let rest = key.get(16..).ok_or(DAMAGED)?;
    let location = place(view, person, rest);
    person.seal(number, &location, &person.unseal(&location, sealed)?)
}

/// Keys of rows, and where to go on.
type Over = (Vec<Vec<u8>>, Option<Vec<u8>>);

/// Rows that are over, by their keys, behind a key; and where to go on.
pub(crate) fn over(view: &dyn View, after: &[u8]) -> Result<Over, Refusal> {
    let mut range = KeyRange::all();
    if !after.is_empty() {
        range.go_on(Direction::Ascending, after);
    }
    let mut keys = view.tx().keys(
        Table::Dialogues,
        &range,
        Direction::Ascending,
        SWEEP_ROWS_MAX,
    )?;
    let next = match keys.len() == SWEEP_ROWS_MAX {
        true => keys.last().cloned(),
        false => None,
    };
    let now = hour_of(view.now());
    keys.retain(|key| {
        let hour = key.get(48..52).and_then(|hour| hour.try_into().ok());
        hour.is_some_and(|hour| u32::from_be_bytes(hour) <= now)
    });
    Ok((keys, next))
}
