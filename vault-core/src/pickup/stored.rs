//! Links as rows under the keys of their people, so that an erasure takes them; they are in no backup.
//!
//! A row stands under its person's handle, the hash of the token, the request and the hour in which it is over, in
//! clear. Whoever has a token looks for its hash among all rows, of which there are few: what has to be done is
//! the same whether or not there is one. From the request on the person is found as every request's is.

use super::{Mark, PickupRow};
use crate::clock::hour_of;
use crate::commit::{Txn, View};
use crate::crypto::Location;
use crate::id::RequestId;
use crate::keys::keyset::Compartment;
use crate::limits::{PICKUPS_MAX, SWEEP_ROWS_MAX};
use crate::person::{DAMAGED, Person, instant};
use crate::refusal::Refusal;
use crate::request::stored::whose;
use crate::row;
use crate::store::{Direction, KeyRange, Table, WriteTx};

/// Where the parts of a key begin, behind the handle: hash, request, hour.
const MARK: usize = 16;
const REQUEST: usize = MARK + 32;
const HOUR: usize = REQUEST + 16;
const KEY_BYTES: usize = HOUR + 4;

/// A link.
pub(crate) struct Link {
    pub(crate) request: RequestId,
    pub(crate) mark: Mark,
    pub(crate) row: PickupRow,
}

fn mark_of(key: &[u8]) -> Option<Mark> {
    key.get(MARK..REQUEST)?.try_into().ok()
}

fn request_of(key: &[u8]) -> Option<RequestId> {
    let bytes = key.get(REQUEST..HOUR)?.try_into().ok()?;
    Some(RequestId::from_bytes(bytes))
}

/// The key of a link: under the hour from which on nothing of it is needed.
fn key_of(person: &Person, link: &Link) -> Vec<u8> {
    let ends = hour_of(instant(link.row.expires_at)).saturating_add(1);
    [
        &person.entry.handle.as_bytes()[..],
        &link.mark,
        link.request.as_bytes(),
        &ends.to_be_bytes(),
    ]
    .concat()
}

fn place<'a>(view: &dyn View, person: &'a Person, rest: &'a [u8]) -> Location<'a> {
    Location {
        record: rest,
        ..Location::row(
            view.vault(),
            Table::Pickups.number(),
            person.entry.handle.as_bytes(),
        )
    }
}

fn open(view: &dyn View, person: &Person, key: &[u8], sealed: &[u8]) -> Result<PickupRow, Refusal> {
    let rest = key.get(MARK..).ok_or(DAMAGED)?;
    let bytes = person.unseal(&place(view, person, rest), sealed)?;
    row::decode(&bytes).map_err(|_| DAMAGED)
}

/// The keys of every link there is.
fn keys(view: &dyn View) -> Result<Vec<Vec<u8>>, Refusal> {
    let all = KeyRange::all();
    let order = Direction::Ascending;
    Ok(view.tx().keys(Table::Pickups, &all, order, usize::MAX)?)
}

/// Whether the vault has room for another link.
pub(crate) fn has_room(view: &dyn View) -> Result<bool, Refusal> {
    Ok(keys(view)?.len() < PICKUPS_MAX)
}

/// The link of a token; none where its request, or its person, is gone. Looks at every link, always.
pub(crate) fn find(view: &dyn View, mark: &Mark) -> Result<Option<(Person, Link)>, Refusal> {
    let mut own = None;
    for key in keys(view)? {
        // The hash is of 256 random bits: what comparing it takes tells nothing of another.
        if key.len() == KEY_BYTES && mark_of(&key).as_ref() == Some(mark) {
            own = Some(key);
        }
    }
    let Some(key) = own else { return Ok(None) };
    let request = request_of(&key).ok_or(DAMAGED)?;
    let person = match whose(view, request).and_then(|hit| Person::find(view, hit.subject)) {
        Ok(person) => person,
        Err(Refusal::NotFound(_) | Refusal::Erased { .. }) => return Ok(None),
        Err(refusal) => return Err(refusal),
    };
    if !key.starts_with(person.entry.handle.as_bytes()) {
        return Ok(None);
    }
    let sealed = view.tx().get(Table::Pickups, &key)?.ok_or(DAMAGED)?;
    let row = open(view, &person, &key, &sealed)?;
    let mark = *mark;
    Ok(Some((person, Link { request, mark, row })))
}

/// Requests and rows of a person's links, with their keys.
pub(crate) fn of_person(
    view: &dyn View,
    person: &Person,
) -> Result<Vec<(Vec<u8>, RequestId, PickupRow)>, Refusal> {
    let range = KeyRange::prefix(person.entry.handle.as_bytes());
    let order = Direction::Ascending;
    let rows = view.tx().range(Table::Pickups, &range, order, usize::MAX)?;
    let opened = rows.into_iter().map(|(key, sealed)| {
        let row = open(view, person, &key, &sealed)?;
        let request = request_of(&key).ok_or(DAMAGED)?;
        Ok((key, request, row))
    });
    opened.collect()
}

/// Writes a link, new or changed.
pub(crate) fn store(txn: &mut Txn<'_>, person: &mut Person, link: &Link) -> Result<(), Refusal> {
    let keys = person.keyset.keys.len();
    let number = person.key_for(Compartment::CONTROL, txn.entropy())?;
    if person.keyset.keys.len() > keys {
        person.store(txn)?;
    }
    let key = key_of(person, link);
    let sealed = {
        let location = place(txn, person, &key[MARK..]);
        person.seal(number, &location, &row::encode(&link.row))?
    };
    Ok(txn.put(Table::Pickups, &key, &sealed)?)
}

/// The same link under another key.
pub(crate) fn seal_again(
    view: &dyn View,
    person: &Person,
    key: &[u8],
    sealed: &[u8],
    number: u32,
) -> Result<Vec<u8>, Refusal> {
    let rest = key.get(MARK..).ok_or(DAMAGED)?;
    let location = place(view, person, rest);
    person.seal(number, &location, &person.unseal(&location, sealed)?)
}

/// Keys of rows, and where to go on.
type Over = (Vec<Vec<u8>>, Option<Vec<u8>>);

/// Links that are over, by their keys, behind a key; and where to go on.
pub(crate) fn over(view: &dyn View, after: &[u8]) -> Result<Over, Refusal> {
    let mut range = KeyRange::all();
    if !after.is_empty() {
        range.go_on(Direction::Ascending, after);
    }
    let order = Direction::Ascending;
    let mut keys = view
        .tx()
        .keys(Table::Pickups, &range, order, SWEEP_ROWS_MAX)?;
    let next = match keys.len() == SWEEP_ROWS_MAX {
        true => keys.last().cloned(),
        false => None,
    };
    let now = hour_of(view.now());
    keys.retain(|key| {
        let hour = key
            .get(HOUR..KEY_BYTES)
            .and_then(|hour| hour.try_into().ok());
        hour.is_none_or(|hour| u32::from_be_bytes(hour) <= now)
    });
    Ok((keys, next))
}
