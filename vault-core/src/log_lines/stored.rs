//! Where lines lie: rows of many lines each, under the keys of their stream and day.
//!
//! Lines about somebody are under a compartment of that person's, one a stream and day; others under a holder,
//! of which a busy day has several. A row's key says whose keys, which stream, which day, and how many bytes of
//! text its part of the day has with it, before what is known of people was taken out: as a place in a file does, and of
//! that the size alone stands in clear.
//! The stream's name stands in the row, so that no other that comes by its number shows it.
//!
//! Knows nothing of what a line says.

use std::ops::{ControlFlow, RangeInclusive};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::{day_of, hour_of, instant_of_hour};
use crate::commit::{Txn, View};
use crate::crypto::Location;
use crate::holder::{self, Holder, Kind};
use crate::id::{RowHandle, VaultId};
use crate::keys::keyset::Compartment;
use crate::limits::{
    LOG_PART_BYTES, LOG_PERSON_BYTES, LOG_PERSON_KEYS_MAX, LOG_PURGE_ROWS, LOG_ROW_BYTES,
};
use crate::person::{self, DAMAGED, Person};
use crate::policy::{LogStream, Period, Policy};
use crate::refusal::Refusal;
use crate::row;
use crate::store::{Direction, KeyRange, ReadTx, Table, WriteTx};

/// Lines that came together.
#[derive(Serialize, Deserialize)]
pub(crate) struct LogRow {
    /// When they came.
    pub(crate) at: i64,
    /// The stream's name.
    pub(crate) stream: String,
    /// Each as JSON: an object or a text.
    pub(crate) lines: Vec<String>,
}

/// Silent about lines.
impl std::fmt::Debug for LogRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogRow").finish_non_exhaustive()
    }
}

/// Where a row lies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    handle: RowHandle,
    stream: u16,
    day: u32,
    position: u32,
}

/// What a row's text costs beside its lines: so many small rows are bounded as well.
const ROW_OVERHEAD: usize = 128;

impl Place {
    /// Bytes of a row's key.
    pub(crate) const BYTES: usize = 26;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut key = [0; Self::BYTES];
        key[..16].copy_from_slice(self.handle.as_bytes());
        key[16..18].copy_from_slice(&self.stream.to_be_bytes());
        key[18..22].copy_from_slice(&self.day.to_be_bytes());
        key[22..].copy_from_slice(&self.position.to_be_bytes());
        key
    }

    pub(crate) fn of(key: &[u8]) -> Result<Self, Refusal> {
        let key: &[u8; Self::BYTES] = key.try_into().map_err(|_| DAMAGED)?;
        let number = |at: usize| u32::from_be_bytes(key[at..at + 4].try_into().expect("four"));
        Ok(Self {
            handle: RowHandle::from_bytes(key[..16].try_into().expect("sixteen")),
            stream: u16::from_be_bytes([key[16], key[17]]),
            day: number(18),
            position: number(22),
        })
    }
}

fn location(vault: VaultId, key: &[u8]) -> Location<'_> {
    Location::row(vault, Table::LogLines.number(), key)
}

/// Whose keys lines lie under.
pub(crate) enum Held<'p> {
    /// The day's.
    Nobody,
    /// Somebody's.
    Person(&'p mut Person),
}

/// A line to be stored.
pub(crate) struct Written {
    /// As JSON; `None` where nothing of it is stored, and nobody is told.
    pub(crate) text: Option<String>,
    /// What it takes of the room for lines.
    pub(crate) bytes: usize,
}

impl Written {
    /// One that takes as much as it is long.
    pub(crate) fn plain(text: String) -> Self {
        Self {
            bytes: text.len(),
            text: Some(text),
        }
    }
}

/// Lines in rows of bounded size.
fn rows_from(lines: Vec<Written>) -> Vec<Vec<Written>> {
    let (mut rows, mut bytes) = (Vec::new(), usize::MAX);
    for line in lines {
        if bytes.saturating_add(line.bytes) > LOG_ROW_BYTES {
            rows.push(Vec::new());
            bytes = 0;
        }
        bytes += line.bytes;
        rows.last_mut().expect("one was begun").push(line);
    }
    rows
}

fn bytes_of(lines: &[Written]) -> usize {
    lines.iter().map(|line| line.bytes).sum::<usize>() + ROW_OVERHEAD
}

impl LogRow {
    /// Lines of a stream that came now. One of which none is stored takes its room all the same.
    fn of(stream: &LogStream, lines: Vec<Written>, now: Timestamp) -> Self {
        Self {
            at: now.as_millisecond(),
            stream: stream.name.clone(),
            lines: lines.into_iter().filter_map(|line| line.text).collect(),
        }
    }
}

/// The last place below a prefix.
fn last(view: &dyn View, prefix: &[u8]) -> Result<Option<Place>, Refusal> {
    let range = KeyRange::prefix(prefix);
    let keys = view
        .tx()
        .keys(Table::LogLines, &range, Direction::Descending, 1)?;
    keys.first().map(|key| Place::of(key)).transpose()
}

/// Stores lines that came now; how many found no room.
///
/// # Errors
///
/// [`Refusal::TooLarge`] where a stream has taken as much as it may on a day.
pub(crate) fn append(
    txn: &mut Txn<'_>,
    stream: &LogStream,
    held: Held<'_>,
    lines: Vec<Written>,
) -> Result<usize, Refusal> {
    if lines.is_empty() {
        return Ok(0);
    }
    match held {
        Held::Nobody => append_of(txn, stream, lines).map(|()| 0),
        Held::Person(person) => append_to(txn, stream, person, lines),
    }
}

/// Stores lines that are about nobody.
fn append_of(txn: &mut Txn<'_>, stream: &LogStream, lines: Vec<Written>) -> Result<(), Refusal> {
    let (day, number) = (day_of(txn.now()), stream.number());
    let first = *holder::of_log(day, number, 0).as_bytes();
    for lines in rows_from(lines) {
        // Parts of a day differ in the last byte alone.
        let newest = last(txn, &first[..15])?;
        let (mut part, mut position) = match newest {
            Some(place) => (holder::log_of(place.handle).1, place.position),
            None => (0, 0),
        };
        let bytes = bytes_of(&lines);
        if position as usize + bytes > LOG_PART_BYTES {
            part = part.checked_add(1).ok_or_else(|| {
                Refusal::TooLarge("this stream has taken as much as it takes on one day".into())
            })?;
            position = 0;
        }
        let holder = Holder::ensure(txn, holder::of_log(day, number, part))?;
        let place = Place {
            handle: holder.handle(),
            stream: number,
            day,
            position: position + u32::try_from(bytes).expect("a row is bounded"),
        };
        put_held(txn, &holder, stream, place, lines)?;
    }
    Ok(())
}

fn put_held(
    txn: &mut Txn<'_>,
    holder: &Holder,
    stream: &LogStream,
    place: Place,
    lines: Vec<Written>,
) -> Result<(), Refusal> {
    let row = LogRow::of(stream, lines, txn.now());
    let key = place.to_bytes();
    let location = location(txn.vault(), &key);
    let sealed = holder.seal(&location, &row::encode(&row))?;
    Ok(txn.put(Table::LogLines, &key, &sealed)?)
}

fn append_to(
    txn: &mut Txn<'_>,
    stream: &LogStream,
    person: &mut Person,
    lines: Vec<Written>,
) -> Result<usize, Refusal> {
    let (day, number) = (day_of(txn.now()), stream.number());
    let keys = person.keyset.keys.len();
    let compartment = Compartment::log(number, day);
    // Keys that lines take are none for anything else of the person: a log is not to keep their records out.
    if keys >= LOG_PERSON_KEYS_MAX && person.keyset.newest(compartment).is_none() {
        return Ok(lines.len());
    }
    let dek = person.key_for(compartment, txn.entropy())?;
    if person.keyset.keys.len() > keys {
        person.store(txn)?;
    }
    let handle = person.entry.handle;
    let start = Place {
        handle,
        stream: number,
        day,
        position: 0,
    };
    let mut position = last(txn, &start.to_bytes()[..22])?.map_or(0, |place| place.position);
    let mut left_out = 0;
    for lines in rows_from(lines) {
        let bytes = bytes_of(&lines);
        if position as usize + bytes > LOG_PERSON_BYTES {
            left_out += lines.len();
            continue;
        }
        position += u32::try_from(bytes).expect("a row is bounded");
        let row = LogRow::of(stream, lines, txn.now());
        let key = Place { position, ..start }.to_bytes();
        let location = location(txn.vault(), &key);
        let sealed = person.seal(dek, &location, &row::encode(&row))?;
        txn.put(Table::LogLines, &key, &sealed)?;
    }
    Ok(left_out)
}

/// The end of what came on a day: the last of it has had its time.
fn over_at(day: u32, retention: &Period) -> Timestamp {
    let tomorrow = instant_of_hour(day.saturating_add(1).saturating_mul(24));
    retention.add_to(tomorrow)
}

/// Whether the keys of a stream's day are to go; those of a stream that the policy has no more are.
pub(crate) fn over(policy: &Policy, stream: u16, day: u32, now: Timestamp) -> bool {
    let stream = policy.log_stream_numbered(stream);
    stream.is_none_or(|stream| over_at(day, &stream.retention) <= now)
}

/// Until when a line that came at `at` is shown.
pub(crate) fn expires_at(stream: &LogStream, at: Timestamp) -> Timestamp {
    stream.retention.add_to(at)
}

/// What a reader of rows is shown: where a row lies, and the row; it says whether to go on.
pub(crate) type Rows<'a> = dyn FnMut(Place, LogRow) -> Result<ControlFlow<()>, Refusal> + 'a;

/// What opens a row, by its key and what lies there.
type Open<'a> = dyn Fn(&[u8], &[u8]) -> Result<LogRow, Refusal> + 'a;

/// Goes through rows below a prefix, behind `after`; how many did not open.
fn each(
    view: &dyn View,
    prefix: &[u8],
    after: Option<Place>,
    unseal: &Open<'_>,
    show: &mut Rows<'_>,
) -> Result<(u64, ControlFlow<()>), Refusal> {
    let mut range = KeyRange::prefix(prefix);
    if let Some(after) = after {
        let key = after.to_bytes();
        // The row itself again: the page may have ended within it.
        if range.start.as_slice() < &key[..] {
            range.start = key.to_vec();
        }
    }
    let mut damaged = 0;
    while !range.is_empty() {
        let rows = view
            .tx()
            .range(Table::LogLines, &range, Direction::Ascending, 1)?;
        let Some((key, sealed)) = rows.first() else {
            break;
        };
        match unseal(key, sealed) {
            Ok(row) => {
                if show(Place::of(key)?, row)?.is_break() {
                    return Ok((damaged, ControlFlow::Break(())));
                }
            }
            Err(refusal) if refusal.is_damage_of_a_row() => damaged += 1,
            Err(refusal) => return Err(refusal),
        }
        range.go_on(Direction::Ascending, key);
    }
    Ok((damaged, ControlFlow::Continue(())))
}

/// Rows of a stream that are about nobody, of these days, oldest first; how many did not open.
pub(crate) fn rows(
    view: &dyn View,
    stream: &LogStream,
    days: RangeInclusive<u32>,
    after: Option<Place>,
    show: &mut Rows<'_>,
) -> Result<u64, Refusal> {
    let (number, mut damaged) = (stream.number(), 0);
    for handle in holder::all(view, Kind::Logs)? {
        let of_stream = holder::log_of(handle).0 == number;
        let gone_by = after.is_some_and(|after| handle < after.handle);
        if !of_stream || gone_by || !days.contains(&holder::day_of(handle)) {
            continue;
        }
        let Some(holder) = Holder::find(view, handle)? else {
            continue;
        };
        let open = |key: &[u8], sealed: &[u8]| {
            let bytes = holder.unseal(&location(view.vault(), key), sealed)?;
            row::decode(&bytes).map_err(|_| DAMAGED)
        };
        let mut own = |place, row: LogRow| match row.stream == stream.name {
            true => show(place, row),
            false => Ok(ControlFlow::Continue(())),
        };
        let (lost, flow) = each(view, handle.as_bytes(), after, &open, &mut own)?;
        damaged += lost;
        if flow.is_break() {
            break;
        }
    }
    Ok(damaged)
}

/// A person's rows, of one stream or of all that the policy has, in the order of streams and days.
pub(crate) fn rows_of(
    view: &dyn View,
    policy: &Policy,
    person: &Person,
    stream: Option<&LogStream>,
    after: Option<Place>,
    show: &mut Rows<'_>,
) -> Result<u64, Refusal> {
    let handle = person.entry.handle.as_bytes();
    let number = stream.map_or_else(Vec::new, |one| one.number().to_be_bytes().to_vec());
    let open = |key: &[u8], sealed: &[u8]| {
        let bytes = person.unseal(&location(view.vault(), key), sealed)?;
        row::decode(&bytes).map_err(|_| DAMAGED)
    };
    let mut own = |place: Place, row: LogRow| {
        // What the policy has lost is about to go.
        let known = policy.log_stream(&row.stream);
        match known.is_some_and(|known| known.number() == place.stream) {
            true => show(place, row),
            false => Ok(ControlFlow::Continue(())),
        }
    };
    let prefix = [&handle[..], &number].concat();
    Ok(each(view, &prefix, after, &open, &mut own)?.0)
}

/// Whether there is any line of a stream about a person; opens nothing.
pub(crate) fn any_of(
    view: &dyn View,
    person: &Person,
    stream: &LogStream,
) -> Result<bool, Refusal> {
    let handle = person.entry.handle.as_bytes();
    let prefix = [&handle[..], &stream.number().to_be_bytes()].concat();
    Ok(last(view, &prefix)?.is_some())
}

/// The row of a person under another key.
pub(crate) fn seal_again(
    view: &dyn View,
    person: &Person,
    key: &[u8],
    sealed: &[u8],
    number: u32,
) -> Result<Vec<u8>, Refusal> {
    let location = location(view.vault(), key);
    person.seal(number, &location, &person.unseal(&location, sealed)?)
}

/// The holders whose time is over, or whose stream is gone.
pub(crate) fn ended(view: &dyn View, policy: &Policy) -> Result<Vec<RowHandle>, Refusal> {
    let now = view.now();
    let mut all = holder::all(view, Kind::Logs)?;
    all.retain(|handle| {
        let (stream, _) = holder::log_of(*handle);
        over(policy, stream, holder::day_of(*handle), now)
    });
    Ok(all)
}

/// Destroys the keys of one holder, and what lay under them.
pub(crate) fn shred(txn: &mut Txn<'_>, handle: RowHandle) -> Result<(), Refusal> {
    let range = KeyRange::prefix(handle.as_bytes());
    for key in txn.keys(Table::LogLines, &range, Direction::Ascending, usize::MAX)? {
        txn.delete(Table::LogLines, &key)?;
    }
    match Holder::find(txn, handle)? {
        Some(holder) => holder.shred(txn),
        None => Ok(()),
    }
}

/// New keys for what lies under one holder, for whoever replaces all keys. Tokens that are made from then on
/// are others.
pub(crate) fn rekey_holder(txn: &mut Txn<'_>, handle: RowHandle) -> Result<(), Refusal> {
    let Some(holder) = Holder::find(txn, handle)? else {
        return Ok(());
    };
    let range = KeyRange::prefix(handle.as_bytes());
    let rows = txn.range(Table::LogLines, &range, Direction::Ascending, usize::MAX)?;
    let (old, new) = holder.renew(txn)?;
    for (key, sealed) in rows {
        let location = location(txn.vault(), &key);
        match old.unseal(&location, &sealed) {
            Ok(bytes) => {
                let sealed = new.seal(&location, &bytes)?;
                txn.put(Table::LogLines, &key, &sealed)?;
            }
            // Nothing will ever open it again.
            Err(refusal) if refusal.is_damage_of_a_row() => txn.delete(Table::LogLines, &key)?,
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(())
}

/// Removes a person's rows that lie in these compartments, whose keys are about to go.
pub(crate) fn remove_of(
    txn: &mut Txn<'_>,
    person: &Person,
    ended: &[Compartment],
) -> Result<(), Refusal> {
    for (stream, day) in ended.iter().filter_map(|one| one.log_of()) {
        for key in keys_of(txn, person, stream, day)? {
            txn.delete(Table::LogLines, &key)?;
        }
    }
    Ok(())
}

fn keys_of(
    view: &dyn View,
    person: &Person,
    stream: u16,
    day: u32,
) -> Result<Vec<Vec<u8>>, Refusal> {
    let place = Place {
        handle: person.entry.handle,
        stream,
        day,
        position: 0,
    };
    let range = KeyRange::prefix(&place.to_bytes()[..22]);
    Ok(view
        .tx()
        .keys(Table::LogLines, &range, Direction::Ascending, usize::MAX)?)
}

/// Gives a person's compartments of logs new keys, from which a purge took lines: what came since is sealed
/// again. One in which nothing is left gets none.
pub(crate) fn rekey(
    txn: &mut Txn<'_>,
    person: &mut Person,
    compartments: &[Compartment],
) -> Result<(), Refusal> {
    let up_to = person.keyset.highest();
    let mut touched = false;
    for (compartment, (stream, day)) in compartments
        .iter()
        .filter_map(|one| Some((*one, one.log_of()?)))
    {
        for key in keys_of(txn, person, stream, day)? {
            let sealed = txn.get(Table::LogLines, &key)?.ok_or(DAMAGED)?;
            let number = person.successor(compartment, up_to, txn.entropy());
            let sealed = seal_again(txn, person, &key, &sealed, number)?;
            txn.put(Table::LogLines, &key, &sealed)?;
        }
        let old =
            |dek: &crate::keys::keyset::Dek| dek.compartment == compartment && dek.number <= up_to;
        touched |= person.keyset.keys.iter().any(old);
        person.keyset.keys.retain(|dek| !old(dek));
    }
    if touched {
        person.replace_kek(txn);
        person.store(txn)?;
    }
    Ok(())
}

/// What a slice of a purge found: rows of people, and where the next slice begins.
pub(crate) struct PurgeSlice {
    keys: Vec<Vec<u8>>,
    pub(crate) next: Option<Vec<u8>>,
}

/// Rows of people, of a stream and these days, among the next ones from `from` on. Opens nothing.
pub(crate) fn purge_people(
    view: &dyn View,
    stream: u16,
    days: &RangeInclusive<u32>,
    from: Vec<u8>,
) -> Result<PurgeSlice, Refusal> {
    let range = KeyRange {
        start: from,
        end: Some(RowHandle::NOBODYS.to_vec()),
    };
    let (table, order) = (Table::LogLines, Direction::Ascending);
    let looked = match range.is_empty() {
        true => Vec::new(),
        false => view.tx().keys(table, &range, order, LOG_PURGE_ROWS)?,
    };
    let next = looked.last().filter(|_| looked.len() == LOG_PURGE_ROWS);
    let next = next.map(|last| [&last[..], &[0]].concat());
    let mut keys = Vec::new();
    for key in looked {
        let place = Place::of(&key)?;
        if place.stream == stream && days.contains(&place.day) {
            keys.push(key);
        }
    }
    Ok(PurgeSlice { keys, next })
}

impl PurgeSlice {
    /// Removes the rows, and marks their compartments for new keys; of how many people and days they were.
    pub(crate) fn remove(&self, txn: &mut Txn<'_>) -> Result<u64, Refusal> {
        let (mut people, mut before) = (0, None);
        let hour = hour_of(txn.now()).to_be_bytes();
        for key in &self.keys {
            let Place {
                handle,
                stream,
                day,
                position: _,
            } = Place::of(key)?;
            // Whoever was erased since has lost both already.
            if txn.get(Table::LogLines, key)?.is_none() {
                continue;
            }
            txn.delete(Table::LogLines, key)?;
            // What is left of somebody who is gone has no keys that could be replaced.
            if txn.get(Table::Keysets, handle.as_bytes())?.is_none() {
                continue;
            }
            if before.replace((handle, day)) == Some((handle, day)) {
                continue;
            }
            people += 1;
            let mark = person::dirty_key(&handle, Compartment::log(stream, day));
            if txn.get(Table::Dirty, &mark)?.is_none() {
                txn.put(Table::Dirty, &mark, &hour)?;
            }
        }
        Ok(people)
    }

    /// Whether it found anything.
    pub(crate) fn any(&self) -> bool {
        !self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_rows_are_bounded() {
        let place = Place {
            handle: holder::of_log(20_000, 7, 2),
            stream: 7,
            day: 20_000,
            position: 300,
        };
        let back = Place::of(&place.to_bytes());
        assert!(back.is_ok_and(|back| back == place));
        assert!(Place::of(&place.to_bytes()[..25]).is_err());
        let lines = (0..5).map(|_| Written::plain("x".repeat(LOG_ROW_BYTES / 2)));
        let rows = rows_from(lines.collect());
        assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    }

    #[test]
    fn a_day_is_over_when_its_last_line_has_had_its_time() {
        let retention = Period::parse("P2D").unwrap();
        let midnight = instant_of_hour(13 * 24);
        assert_eq!(over_at(10, &retention), midnight);
        let day = Compartment::log(7, 10);
        assert_eq!(day.log_of(), Some((7, 10)));
        assert_eq!(Compartment::GENERAL.log_of(), None);
        assert_eq!(
            Compartment::period(crate::policy::NUMBER_MAX, 1, 9).log_of(),
            None
        );
    }
}
