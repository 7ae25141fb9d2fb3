//! How a request lies in the vault: its steps in the person's events, and one row for the queue.
//!
//! Both are under the person's keys, so that an erasure takes them. Each step holds the request as it stood
//! from then on. From its id a request is found as people are found by a look-up value: the entry of the
//! index ends with the person, too. The queue's row stands under the hour of the strict end, in clear as the
//! hours of other rows are, or under 0 once the request is closed.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{DelayReason, Exemption, Level, RequestKind, RequestState, words};
use crate::commit::{IndexHit, Txn, View};
use crate::crypto::{Location, sha256};
use crate::deadline::{Due, Pause};
use crate::events::{self, Topic};
use crate::id::{DecisionId, ReceiptId, RequestId, RowHandle};
use crate::keys::keyset::{Compartment, Lookup};
use crate::keys::system::REQUEST_FIELD;
use crate::person::{DAMAGED, Person};
use crate::policy::RestrictionGround;
use crate::refusal::Refusal;
use crate::row;
use crate::store::{Direction, KeyRange, ReadTx, Row, Table, WriteTx};

words! {
    /// What happened to a request.
    StepWord {
        /// It came in.
        Received = "received",
        /// It was known from the erasure ledger alone, after a restore.
        Restored = "restored",
        /// The person was asked who they are.
        IdentityAsked = "identity_asked",
        /// Somebody began to look at who they are.
        IdentityByHand = "identity_by_hand",
        /// It is known who asks.
        IdentityVerified = "identity_verified",
        /// The person was asked what they mean.
        ClarificationAsked = "clarification_asked",
        /// They answered.
        Clarified = "clarified",
        /// Somebody looks at the matter.
        ReviewBegun = "review_begun",
        /// The answer takes longer.
        Extended = "extended",
        /// It was approved and begun.
        Approved = "approved",
        /// It was carried out.
        Fulfilled = "fulfilled",
        /// It was refused.
        Refused = "refused",
        /// It was taken back.
        Cancelled = "cancelled",
    }
}

/// What a request is about, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scope {
    /// The purpose of an objection or a withdrawal.
    pub(crate) purpose: Option<u16>,
    /// The ground of a restriction.
    pub(crate) ground: Option<RestrictionGround>,
    /// The collections of a restriction or an erasure; all, where there is none. Of an erasure also
    /// [`Scope::UNNAMED`].
    pub(crate) collections: Vec<u16>,
    /// The decision that a human is to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) decision: Option<DecisionId>,
}

impl Scope {
    /// Stands among the collections for some that the person means and has not named: none has this number.
    pub(crate) const UNNAMED: u16 = 0;

    /// Whether the person means some of it alone, and has not said which.
    pub(crate) fn is_unnamed(&self) -> bool {
        self.collections.contains(&Self::UNNAMED)
    }
}

/// That an answer takes longer, as the person was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Why.
    pub reason: DelayReason,
    /// By how much, ISO 8601.
    pub period: String,
    /// When it was decided.
    pub at: Timestamp,
    /// What the person was told; `None` once what else is held of them is erased.
    pub notice: Option<String>,
}

impl Extension {
    /// The same without a sentence.
    pub(crate) fn silent(self) -> Self {
        Self {
            notice: None,
            ..self
        }
    }
}

/// Why a request was refused, as the person was told. What somebody wrote is `None` once what else is held of the
/// person is erased: the code is the proof (Art. 5(2) GDPR).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalGiven {
    /// The code.
    pub code: Exemption,
    /// Under which law.
    pub law: Option<String>,
    /// Who approved it.
    pub approver: Option<String>,
    /// What the person is told, in their language.
    pub text: Option<String>,
}

impl RefusalGiven {
    /// The same without what somebody wrote.
    pub(crate) fn silent(self) -> Self {
        Self {
            code: self.code,
            law: None,
            approver: None,
            text: None,
        }
    }
}

/// Silent about what somebody wrote.
impl std::fmt::Debug for RefusalGiven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RefusalGiven")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

/// What a law keeps of what was to be erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Under which law.
    pub law: String,
    /// Until when somebody has to look whether it is still needed.
    pub until: Date,
    /// Names of the collections.
    pub collections: Vec<String>,
}

/// What the erasure ledger says of a request whose backup knew less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FromLedger {
    /// The strict end, which is taken as it is: by which rules it was counted, and whether it was extended and by how
    /// much, is known to nobody here.
    pub(crate) due: Due,
    /// Whether it was extended.
    pub(crate) extended: bool,
}

/// A step of a request, and the request as it stood from then on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RequestEvent {
    pub(crate) request: RequestId,
    pub(crate) kind: RequestKind,
    pub(crate) step: StepWord,
    pub(crate) state: RequestState,
    pub(crate) level: Level,
    /// The role of whoever took the step; empty where a restored vault knows no more.
    pub(crate) by: String,
    pub(crate) at: Timestamp,
    /// When it came in.
    pub(crate) received: Timestamp,
    /// In which language the person is answered, BCP 47.
    pub(crate) language: String,
    pub(crate) strict: Due,
    /// `None` while the vault waits for an answer that it promptly asked for.
    pub(crate) effective: Option<Due>,
    pub(crate) pauses: Vec<Pause>,
    pub(crate) scope: Scope,
    pub(crate) extension: Option<Extension>,
    pub(crate) from_ledger: Option<FromLedger>,
    pub(crate) refusal: Option<RefusalGiven>,
    pub(crate) receipt: Option<ReceiptId>,
    pub(crate) kept: Vec<Kept>,
    /// What was said with this step: the person's words, the evidence, the question, the answer.
    pub(crate) words: Option<String>,
}

impl RequestEvent {
    /// Whether the answer takes longer: as somebody decided here, or as the ledger has it.
    pub(crate) fn is_extended(&self) -> bool {
        self.extension.is_some() || self.from_ledger.is_some_and(|from| from.extended)
    }

    /// Takes out everything that somebody wrote, and every sentence made of it.
    pub(crate) fn silence(&mut self) {
        self.words = None;
        self.extension = self.extension.take().map(Extension::silent);
        self.refusal = self.refusal.take().map(RefusalGiven::silent);
    }
}

/// What the queue has to know of a request without looking at its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RequestRow {
    pub(crate) kind: RequestKind,
    pub(crate) state: RequestState,
    /// Milliseconds, as all times in rows.
    pub(crate) received: i64,
    /// Days since 1970.
    pub(crate) due_on: i32,
    pub(crate) due_end: i64,
    /// Days since 1970; `None` while it is paused.
    pub(crate) effective_on: Option<i32>,
    /// How many reminders were given.
    pub(crate) reminded: u8,
}

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

/// A day as days since 1970.
pub(crate) fn days(day: Date) -> i32 {
    (day - EPOCH).get_days()
}

/// The day so many days after the beginning of 1970; `None` where the calendar has none.
pub(crate) fn day(days: i32) -> Option<Date> {
    let span = jiff::Span::new().try_days(days).ok()?;
    EPOCH.checked_add(span).ok()
}

impl RequestRow {
    pub(super) fn of(event: &RequestEvent, reminded: u8) -> Self {
        Self {
            kind: event.kind,
            state: event.state,
            received: event.received.as_millisecond(),
            due_on: days(event.strict.on),
            due_end: event.strict.end.as_millisecond(),
            effective_on: event.effective.map(|due| days(due.on)),
            reminded,
        }
    }

    /// The strict end. A row is a stranger's, too: a number need not be a day.
    pub(crate) fn due(&self) -> Result<Due, Refusal> {
        Ok(Due {
            on: day(self.due_on).ok_or(DAMAGED)?,
            end: Timestamp::from_millisecond(self.due_end).map_err(|_| DAMAGED)?,
        })
    }

    /// The last day where the vault waited for the person; `None` while it waits.
    pub(crate) fn effective(&self) -> Result<Option<Date>, Refusal> {
        let on = self.effective_on;
        on.map(|on| day(on).ok_or(DAMAGED)).transpose()
    }

    /// The key that it stands under.
    pub(super) fn key(&self, handle: RowHandle, request: RequestId) -> Vec<u8> {
        [prefix(handle, request), self.hour().to_be_bytes().to_vec()].concat()
    }

    /// The hour that it stands under: that in which its strict end lies.
    fn hour(&self) -> u32 {
        match self.state.is_closed() {
            true => 0,
            false => hour_of_end(self.due_end),
        }
    }
}

/// The hour of an open request whose strict end is at this millisecond; never 0.
pub(crate) fn hour_of_end(end: i64) -> u32 {
    u32::try_from(end / 3_600_000).unwrap_or(1).max(1)
}

/// The mark by which a request is found in the index. Its id is random, so that no key has to keep anybody
/// from guessing; the index's placement hides where it lies.
pub(crate) fn mark(request: RequestId) -> [u8; 32] {
    sha256(&[b"vault/1 request", request.as_bytes()])
}

/// Whose request it is.
pub(crate) fn whose(view: &dyn View, request: RequestId) -> Result<IndexHit, Refusal> {
    let hits = view.index_hits(&mark(request))?;
    hits.into_iter().next().ok_or(Refusal::NotFound("request"))
}

/// Every step of every request of a person, oldest first.
pub(crate) fn history(view: &dyn View, person: &Person) -> Result<Vec<RequestEvent>, Refusal> {
    events::history(view, person, Topic::Request)
}

/// Every step of one request, oldest first; never empty.
pub(crate) fn steps(
    view: &dyn View,
    person: &Person,
    request: RequestId,
) -> Result<Vec<RequestEvent>, Refusal> {
    let mut all = history(view, person)?;
    all.retain(|event| event.request == request);
    match all.is_empty() {
        true => Err(Refusal::NotFound("request")),
        false => Ok(all),
    }
}

fn prefix(handle: RowHandle, request: RequestId) -> Vec<u8> {
    [&handle.as_bytes()[..], request.as_bytes()].concat()
}

fn place<'a>(view: &dyn View, person: &'a Person, rest: &'a [u8]) -> Location<'a> {
    Location {
        record: rest,
        ..Location::row(
            view.vault(),
            Table::Requests.number(),
            person.entry.handle.as_bytes(),
        )
    }
}

/// The queue's row of a request.
pub(crate) fn row(
    view: &dyn View,
    person: &Person,
    request: RequestId,
) -> Result<Option<(Vec<u8>, RequestRow)>, Refusal> {
    let range = KeyRange::prefix(&prefix(person.entry.handle, request));
    let rows = view
        .tx()
        .range(Table::Requests, &range, Direction::Ascending, 1)?;
    let Some((key, sealed)) = rows.into_iter().next() else {
        return Ok(None);
    };
    let row = open(view, person, &key, &sealed)?;
    Ok(Some((key, row)))
}

/// Opens a row of the queue.
pub(crate) fn open(
    view: &dyn View,
    person: &Person,
    key: &[u8],
    sealed: &[u8],
) -> Result<RequestRow, Refusal> {
    let rest = key.get(16..).ok_or(DAMAGED)?;
    let bytes = person.unseal(&place(view, person, rest), sealed)?;
    row::decode(&bytes).map_err(|_| DAMAGED)
}

/// Request and hour in the key of a row.
pub(crate) fn parts(key: &[u8]) -> Result<(RequestId, u32), Refusal> {
    let request = key.get(16..32).and_then(|part| part.try_into().ok());
    let hour = key.get(32..).and_then(|part| part.try_into().ok());
    match (request, hour) {
        (Some(request), Some(hour)) => {
            Ok((RequestId::from_bytes(request), u32::from_be_bytes(hour)))
        }
        _ => Err(DAMAGED),
    }
}

/// Rows of the queue, of everybody, behind a key.
pub(crate) fn page(tx: &dyn ReadTx, after: &[u8], limit: usize) -> Result<Vec<Row>, Refusal> {
    let mut range = KeyRange::all();
    if !after.is_empty() {
        range.go_on(Direction::Ascending, after);
    }
    Ok(tx.range(Table::Requests, &range, Direction::Ascending, limit)?)
}

/// Writes the queue's row in the place of the one before.
pub(crate) fn put_row(
    txn: &mut Txn<'_>,
    person: &mut Person,
    request: RequestId,
    row: RequestRow,
) -> Result<(), Refusal> {
    let range = KeyRange::prefix(&prefix(person.entry.handle, request));
    for key in txn.keys(Table::Requests, &range, Direction::Ascending, usize::MAX)? {
        txn.delete(Table::Requests, &key)?;
    }
    let keys = person.keyset.keys.len();
    let number = person.key_for(Compartment::CONTROL, txn.entropy())?;
    if person.keyset.keys.len() > keys {
        person.store(txn)?;
    }
    let key = row.key(person.entry.handle, request);
    let sealed = {
        let location = place(txn, person, &key[16..]);
        person.seal(number, &location, &row::encode(&row))?
    };
    Ok(txn.put(Table::Requests, &key, &sealed)?)
}

/// Adds a step, and keeps the queue in step with it. The first makes the request findable by its id.
pub(crate) fn append(
    txn: &mut Txn<'_>,
    person: &mut Person,
    event: &RequestEvent,
) -> Result<(), Refusal> {
    let mark = mark(event.request);
    let there = |lookup: &Lookup| lookup.field == REQUEST_FIELD && lookup.mark == mark;
    if !person.keyset.lookups.iter().any(there) {
        for set in txn.system().index_sets() {
            let field = REQUEST_FIELD;
            person.add_lookup(txn, Lookup { field, set, mark })?;
        }
        person.store(txn)?;
    }
    events::append(txn, person, Topic::Request, event)?;
    let reminded = match event.step {
        // Of the end that it has now nobody was reminded.
        StepWord::Extended => 0,
        _ => row(txn, person, event.request)?.map_or(0, |(_, row)| row.reminded),
    };
    put_row(txn, person, event.request, RequestRow::of(event, reminded))
}

/// Takes out of every step what somebody wrote: of whom everything else is erased, no more than that, when and
/// how a request was dealt with. The old bytes go with the keys that the caller replaces.
pub(crate) fn silence(txn: &mut Txn<'_>, person: &Person) -> Result<(), Refusal> {
    events::each(txn, person, Topic::Request, |event: &mut RequestEvent| {
        event.silence();
    })
}

/// The queue's row under another key.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_day_where_the_calendar_has_one_and_none_elsewhere() {
        for on in [jiff::civil::date(1970, 1, 1), Date::MIN, Date::MAX] {
            assert_eq!(day(days(on)), Some(on));
        }
        for number in [days(Date::MIN) - 1, days(Date::MAX) + 1, i32::MIN, i32::MAX] {
            assert_eq!(day(number), None);
        }
    }

    #[test]
    fn a_row_of_no_day_is_damage_and_nothing_worse() {
        let row = RequestRow {
            kind: RequestKind::Access,
            state: RequestState::Received,
            received: 0,
            due_on: 20_514,
            due_end: 0,
            effective_on: Some(20_514),
            reminded: 0,
        };
        assert!(row.due().is_ok() && row.effective().is_ok());
        let of = |due_on, due_end, effective_on| RequestRow {
            due_on,
            due_end,
            effective_on,
            ..row
        };
        assert!(of(i32::MAX, 0, None).due().is_err());
        assert!(of(0, i64::MAX, None).due().is_err());
        assert!(of(0, 0, Some(i32::MIN)).effective().is_err());
        assert_eq!(of(0, 0, None).effective().ok(), Some(None));
    }
}
