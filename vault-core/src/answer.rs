//! Answers to calls that may be sent again, remembered for a day under the person's keys.
//!
//! An answer is written in the transaction of the change that it tells of, so that after a crash
//! either both are there or neither is. It dies with the person, and with the key of its day. Knows
//! nothing of what an answer says, and not of whom a secret was shown to: of such an answer only
//! that it was given is kept.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::clock::hour_of;
use crate::commit::{Txn, View};
use crate::crypto::{Location, hmac, key_number};
use crate::id::SessionId;
use crate::keys::keyset::Compartment;
use crate::limits::{ANSWER_BYTES_MAX, ANSWER_HOURS, ANSWERS_PER_PERSON_MAX};
use crate::person::{DAMAGED, Person};
use crate::refusal::Refusal;
use crate::row;
use crate::store::{Direction, KeyRange, ReadTx, Row, Table, WriteTx};

/// Length of a period of the compartment.
const PERIOD_HOURS: u32 = 24;

/// What was answered to one operation of a call.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The operation's place in the call; 0 in a call of one.
    pub operation: u32,
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// The record's revision, if one was told.
    pub etag: Option<String>,
    /// Where the new thing is, if that was told.
    pub location: Option<String>,
}

/// A row: which call it was, when, and what was answered, unless that may not be given again.
#[derive(Serialize, Deserialize)]
pub(crate) struct AnswerRow {
    /// SHA-256 of the call. A body can be guessed, so its hash lies nowhere but in the envelope. Random once some of
    /// the person was erased.
    pub(crate) fingerprint: [u8; 32],
    pub(crate) at: i64,
    pub(crate) answers: Option<Vec<Answer>>,
}

/// Which call may be sent again: what its caller names it by, and what it says.
pub(crate) struct CallName<'a> {
    /// The hash of the API key.
    pub(crate) key_sha256: [u8; 32],
    /// The session's id, if it is a session's call.
    pub(crate) session: Option<SessionId>,
    /// What the caller named it.
    pub(crate) name: &'a str,
    /// SHA-256 over everything that the call says.
    pub(crate) fingerprint: [u8; 32],
}

/// The part of a row's key behind the handle. Under a key of the person: row keys stand in clear, and
/// what a bot names its calls by may itself be somebody's address.
fn mark(person: &Person, call: &CallName<'_>) -> [u8; 32] {
    let parts: [&[u8]; 4] = [
        b"answer",
        &call.key_sha256,
        call.session.as_ref().map_or(&[], |id| id.as_bytes()),
        call.name.as_bytes(),
    ];
    hmac(&person.keyset.audit, &parts)
}

fn row_key(person: &Person, mark: &[u8]) -> Vec<u8> {
    [&person.entry.handle.as_bytes()[..], mark].concat()
}

fn place<'a>(view: &dyn View, person: &'a Person, mark: &'a [u8]) -> Location<'a> {
    let handle = person.entry.handle.as_bytes();
    Location {
        record: mark,
        ..Location::row(view.vault(), Table::Answers.number(), handle)
    }
}

pub(crate) fn open(
    view: &dyn View,
    person: &Person,
    mark: &[u8],
    sealed: &[u8],
) -> Result<AnswerRow, Refusal> {
    let bytes = person.unseal(&place(view, person, mark), sealed)?;
    row::decode(&bytes).map_err(|_| DAMAGED)
}

/// The same answer under another key.
pub(crate) fn seal_again(
    view: &dyn View,
    person: &Person,
    key: &[u8],
    sealed: &[u8],
    number: u32,
) -> Result<Vec<u8>, Refusal> {
    let location = place(view, person, key.get(16..).ok_or(DAMAGED)?);
    person.seal(number, &location, &person.unseal(&location, sealed)?)
}

impl AnswerRow {
    fn over(&self, now: Timestamp) -> bool {
        let remembered = i64::from(ANSWER_HOURS) * 3_600_000;
        self.at.saturating_add(remembered) <= now.as_millisecond()
    }
}

/// What was answered to this call, if it was made within the last day.
///
/// # Errors
///
/// [`Refusal::IdempotencyMismatch`] if its name stands for another call; [`Refusal::Conflict`] if
/// the answer was not kept.
pub(crate) fn find(
    view: &dyn View,
    person: &Person,
    call: &CallName<'_>,
) -> Result<Option<Vec<Answer>>, Refusal> {
    let mark = mark(person, call);
    let Some(sealed) = view.tx().get(Table::Answers, &row_key(person, &mark))? else {
        return Ok(None);
    };
    let row = open(view, person, &mark, &sealed)?;
    if row.over(view.now()) {
        return Ok(None);
    }
    if !bool::from(row.fingerprint.ct_eq(&call.fingerprint)) {
        return Err(Refusal::IdempotencyMismatch);
    }
    let given_once = || {
        let what =
            "the call with this idempotency key was made; its answer cannot be given a second time";
        Refusal::Conflict(what.into())
    };
    row.answers.ok_or_else(given_once).map(Some)
}

/// Remembers what is being answered to this call; without `answers`, that it was made.
pub(crate) fn keep(
    txn: &mut Txn<'_>,
    person: &mut Person,
    call: &CallName<'_>,
    answers: Option<Vec<Answer>>,
) -> Result<(), Refusal> {
    make_room(txn, person)?;
    let bytes =
        |answers: &Vec<Answer>| -> usize { answers.iter().map(|answer| answer.body.len()).sum() };
    let row = AnswerRow {
        fingerprint: call.fingerprint,
        at: txn.now().as_millisecond(),
        answers: answers.filter(|answers| bytes(answers) <= ANSWER_BYTES_MAX),
    };
    let keys = person.keyset.keys.len();
    let day = Compartment::answers(hour_of(txn.now()));
    let number = person.key_for(day, txn.entropy())?;
    if person.keyset.keys.len() > keys {
        person.store(txn)?;
    }
    let mark = mark(person, call);
    let sealed = person.seal(number, &place(txn, person, &mark), &row::encode(&row))?;
    Ok(txn.put(Table::Answers, &row_key(person, &mark), &sealed)?)
}

/// Takes out of every row what was answered and what the call said: either may tell what is gone. That a call was made
/// stays, so that it is not made again. The old bytes stay in freed pages under a key that lives: for whoever replaces
/// the person's keys in the same commit.
pub(crate) fn silence(txn: &mut Txn<'_>, person: &Person) -> Result<(), Refusal> {
    let range = KeyRange::prefix(person.entry.handle.as_bytes());
    for (key, sealed) in txn.range(Table::Answers, &range, Direction::Ascending, usize::MAX)? {
        let mark = key.get(16..).ok_or(DAMAGED)?;
        let mut row = open(txn, person, mark, &sealed)?;
        txn.entropy().fill(&mut row.fingerprint);
        row.answers = None;
        let number = key_number(&sealed).ok_or(DAMAGED)?;
        let sealed = person.seal(number, &place(txn, person, mark), &row::encode(&row))?;
        txn.put(Table::Answers, &key, &sealed)?;
    }
    Ok(())
}

fn rows(view: &dyn View, person: &Person) -> Result<Vec<Row>, Refusal> {
    let range = KeyRange::prefix(person.entry.handle.as_bytes());
    let limit = ANSWERS_PER_PERSON_MAX + 1;
    Ok(view
        .tx()
        .range(Table::Answers, &range, Direction::Ascending, limit)?)
}

/// Where the person has as many as they may, the oldest quarter goes, and whatever is over.
fn make_room(txn: &mut Txn<'_>, person: &Person) -> Result<(), Refusal> {
    let stored = rows(txn, person)?;
    if stored.len() < ANSWERS_PER_PERSON_MAX {
        return Ok(());
    }
    let mut by_age = Vec::with_capacity(stored.len());
    for (key, sealed) in &stored {
        let row = open(txn, person, key.get(16..).ok_or(DAMAGED)?, sealed)?;
        by_age.push((row.at, row.over(txn.now()), key));
    }
    by_age.sort_unstable();
    let spare = ANSWERS_PER_PERSON_MAX / 4;
    for (index, (_, over, key)) in by_age.into_iter().enumerate() {
        if over || index < spare {
            txn.delete(Table::Answers, key)?;
        }
    }
    Ok(())
}

/// Whether every answer of the day that begins with hour `period` is over at hour `now`.
pub(crate) fn period_over(period: u32, now: u32) -> bool {
    period + PERIOD_HOURS + ANSWER_HOURS <= now
}

/// Removes the rows that lie in these compartments, whose keys are about to go.
pub(crate) fn remove_of(
    txn: &mut Txn<'_>,
    person: &Person,
    ended: &[Compartment],
) -> Result<(), Refusal> {
    if ended.iter().all(|one| one.number != Compartment::ANSWERS) {
        return Ok(());
    }
    for (key, sealed) in rows(txn, person)? {
        if ended.contains(&person.compartment_of(&sealed)?) {
            txn.delete(Table::Answers, &key)?;
        }
    }
    Ok(())
}
