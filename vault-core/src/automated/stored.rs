//! How a decision lies in the vault: its steps in the person's events, and one row for queue and figures.
//!
//! Both are under the person's keys, so that an erasure takes them. The first step says what was decided and how;
//! those that follow, what happened to it. From its id a decision is found as a request is: by an entry of the index
//! that ends with the person. The row stands under the hour by which a review is due, in clear as the hours of other
//! rows are, or under 0 where none is open.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{DecisionState, DecisionWord};
use crate::commit::{IndexHit, Txn, View};
use crate::crypto::{Location, key_number, seal, sha256};
use crate::events::{self, Topic};
use crate::id::{DecisionId, RequestId, RowHandle, TokenId, VaultId};
use crate::keys::keyset::{Compartment, Keyset, Lookup};
use crate::keys::system::DECISION_FIELD;
use crate::person::{DAMAGED, Person};
use crate::policy::{Automation, DecisionBasis};
use crate::refusal::Refusal;
use crate::row;
use crate::store::{Direction, KeyRange, ReadTx, Row, Table, WriteTx};

/// What was decided, and how. Without the texts of somebody of whom only a legal hold keeps something.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decided {
    /// The name of its kind.
    pub(crate) kind: String,
    pub(crate) model_version: Option<String>,
    /// Collection and field of what went into it; no values.
    pub(crate) inputs: Vec<(u16, u16)>,
    /// What it came to.
    pub(crate) outcome: Option<String>,
    pub(crate) significant: bool,
    pub(crate) automation: Automation,
    pub(crate) basis: Option<DecisionBasis>,
    pub(crate) law: Option<String>,
    pub(crate) purpose: Option<u16>,
    /// The logic involved, by language.
    pub(crate) logic: BTreeMap<String, String>,
    /// What it means for the person, by language.
    pub(crate) consequences: BTreeMap<String, String>,
}

/// A step of a decision.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DecisionEvent {
    pub(crate) decision: DecisionId,
    pub(crate) step: DecisionWord,
    /// Where the decision stood from then on.
    pub(crate) state: DecisionState,
    /// The role of whoever took the step.
    pub(crate) by: String,
    /// The key that it was taken with; of a session, the key that made it.
    pub(crate) key: Option<TokenId>,
    pub(crate) at: Timestamp,
    /// The request for a review, from the contest on.
    pub(crate) request: Option<RequestId>,
    /// Of the first step alone.
    pub(crate) decided: Option<Decided>,
    /// What a review put in the place of the outcome.
    pub(crate) new_outcome: Option<String>,
    /// The person's view, or the reviewer's reasons.
    pub(crate) words: Option<String>,
}

impl DecisionEvent {
    /// Takes out what somebody wrote.
    fn silence(&mut self) {
        self.words = None;
        self.new_outcome = None;
        if let Some(decided) = &mut self.decided {
            decided.outcome = None;
            decided.logic.clear();
            decided.consequences.clear();
        }
    }
}

/// What queue and figures have to know of a decision without looking at its steps. Times are milliseconds, as in all
/// rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DecisionRow {
    pub(crate) kind: String,
    pub(crate) state: DecisionState,
    pub(crate) recorded: i64,
    /// When it was contested first.
    pub(crate) contested: Option<i64>,
    /// When it was shown to whoever reviews it: the last of them, if one began after another, and since the person
    /// last said something.
    pub(crate) begun: Option<i64>,
    /// When it was decided.
    pub(crate) reviewed: Option<i64>,
    /// Until when a review is due: days since 1970, and the end of that day. While one is open.
    pub(crate) due: Option<(i32, i64)>,
}

impl DecisionRow {
    fn key(&self, handle: RowHandle, decision: DecisionId) -> Vec<u8> {
        let hour = match self.due.filter(|_| self.state.is_open()) {
            Some((_, end)) => u32::try_from(end / 3_600_000).unwrap_or(1).max(1),
            None => 0,
        };
        [prefix(handle, decision), hour.to_be_bytes().to_vec()].concat()
    }

    /// The row after a step. A review that is open again counts from when it was contested first.
    pub(crate) fn follow(&mut self, event: &DecisionEvent) {
        let at = Some(event.at.as_millisecond());
        self.state = event.state;
        match event.step {
            DecisionWord::Recorded | DecisionWord::TookEffect => {}
            DecisionWord::Contested => {
                self.contested = self.contested.or(at);
                self.begun = None;
            }
            DecisionWord::ContestEnded => {
                (self.contested, self.begun, self.due) = (None, None, None);
            }
            // Whoever begins after another has read nothing of it before: their time is their own.
            DecisionWord::ReviewBegun => self.begun = at,
            DecisionWord::Reviewed => (self.reviewed, self.due) = (at, None),
        }
    }
}

/// The mark by which a decision is found in the index: see the one of a request.
pub(crate) fn mark(decision: DecisionId) -> [u8; 32] {
    sha256(&[b"vault/1 decision", decision.as_bytes()])
}

/// Whose decision it is.
pub(crate) fn whose(view: &dyn View, decision: DecisionId) -> Result<IndexHit, Refusal> {
    let hits = view.index_hits(&mark(decision))?;
    hits.into_iter().next().ok_or(Refusal::NotFound("decision"))
}

/// Every step of every decision about a person, oldest first.
pub(crate) fn history(view: &dyn View, person: &Person) -> Result<Vec<DecisionEvent>, Refusal> {
    events::history(view, person, Topic::Decision)
}

fn prefix(handle: RowHandle, decision: DecisionId) -> Vec<u8> {
    [&handle.as_bytes()[..], decision.as_bytes()].concat()
}

fn place<'a>(view: &dyn View, person: &'a Person, rest: &'a [u8]) -> Location<'a> {
    Location {
        record: rest,
        ..Location::row(
            view.vault(),
            Table::Decisions.number(),
            person.entry.handle.as_bytes(),
        )
    }
}

/// The row of a decision.
pub(crate) fn row(
    view: &dyn View,
    person: &Person,
    decision: DecisionId,
) -> Result<Option<DecisionRow>, Refusal> {
    let range = KeyRange::prefix(&prefix(person.entry.handle, decision));
    let rows = view
        .tx()
        .range(Table::Decisions, &range, Direction::Ascending, 1)?;
    let row = rows.first();
    row.map(|(key, sealed)| open(view, person, key, sealed))
        .transpose()
}

/// Opens a row.
pub(crate) fn open(
    view: &dyn View,
    person: &Person,
    key: &[u8],
    sealed: &[u8],
) -> Result<DecisionRow, Refusal> {
    let rest = key.get(16..).ok_or(DAMAGED)?;
    let bytes = person.unseal(&place(view, person, rest), sealed)?;
    row::decode(&bytes).map_err(|_| DAMAGED)
}

/// Decision and hour in the key of a row.
pub(crate) fn parts(key: &[u8]) -> Result<(DecisionId, u32), Refusal> {
    let decision = key.get(16..32).and_then(|part| part.try_into().ok());
    let hour = key.get(32..).and_then(|part| part.try_into().ok());
    match (decision, hour) {
        (Some(decision), Some(hour)) => {
            Ok((DecisionId::from_bytes(decision), u32::from_be_bytes(hour)))
        }
        _ => Err(DAMAGED),
    }
}

/// Rows of everybody, behind a key.
pub(crate) fn page(tx: &dyn ReadTx, after: &[u8], limit: usize) -> Result<Vec<Row>, Refusal> {
    let mut range = KeyRange::all();
    if !after.is_empty() {
        range.go_on(Direction::Ascending, after);
    }
    Ok(tx.range(Table::Decisions, &range, Direction::Ascending, limit)?)
}

/// Adds a step with the row after it. The first makes the decision findable by its id.
pub(crate) fn append(
    txn: &mut Txn<'_>,
    person: &mut Person,
    event: &DecisionEvent,
    row: &DecisionRow,
) -> Result<(), Refusal> {
    let mark = mark(event.decision);
    let there = |lookup: &Lookup| lookup.field == DECISION_FIELD && lookup.mark == mark;
    if !person.keyset.lookups.iter().any(there) {
        for set in txn.system().index_sets() {
            let field = DECISION_FIELD;
            person.add_lookup(txn, Lookup { field, set, mark })?;
        }
        person.store(txn)?;
    }
    events::append(txn, person, Topic::Decision, event)?;
    put_row(txn, person, event.decision, row)
}

fn put_row(
    txn: &mut Txn<'_>,
    person: &mut Person,
    decision: DecisionId,
    row: &DecisionRow,
) -> Result<(), Refusal> {
    let range = KeyRange::prefix(&prefix(person.entry.handle, decision));
    for key in txn.keys(Table::Decisions, &range, Direction::Ascending, usize::MAX)? {
        txn.delete(Table::Decisions, &key)?;
    }
    let keys = person.keyset.keys.len();
    let number = person.key_for(Compartment::CONTROL, txn.entropy())?;
    if person.keyset.keys.len() > keys {
        person.store(txn)?;
    }
    let key = row.key(person.entry.handle, decision);
    let sealed = {
        let location = place(txn, person, &key[16..]);
        person.seal(number, &location, &row::encode(row))?
    };
    Ok(txn.put(Table::Decisions, &key, &sealed)?)
}

/// Takes out of every step what somebody wrote: of whom everything else is erased, no more than that, when and how
/// something was decided and reviewed. The old bytes go with the keys that the caller replaces.
pub(crate) fn silence(txn: &mut Txn<'_>, person: &Person) -> Result<(), Refusal> {
    events::each(txn, person, Topic::Decision, DecisionEvent::silence)
}

/// A step without what somebody wrote, of whom only what a hold keeps comes back. `None` if it does not open.
pub(crate) fn silent(
    (vault, handle, keyset): (VaultId, RowHandle, &Keyset),
    key: &[u8],
    value: &[u8],
) -> Option<Vec<u8>> {
    let mut event: DecisionEvent = events::open_row(vault, handle, keyset, key, value)?;
    event.silence();
    let dek = keyset.key(key_number(value)?)?;
    let bytes = serde_json::to_vec(&event).ok()?;
    let location = events::row_location(vault, &handle, key)?;
    let location = Location {
        compartment: dek.compartment.number,
        ..location
    };
    seal(&dek.key, dek.number, &location, &bytes).ok()
}

/// The row under another key.
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
