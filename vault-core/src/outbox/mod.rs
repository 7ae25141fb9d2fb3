//! What recipients are to be told: that a person's data were erased, corrected, restricted, or are no longer to
//! be used for a purpose. A notice holds the names that the recipient has for the person, the fields by name, and
//! no value.
//!
//! It is made in the transaction of what it tells of, out of the account of disclosures, and has to outlive the
//! person. So it lies under the keys of a holder, one a UTC day (`holder`), which go when nothing of that day
//! is open any more, and after thirty days whatever is. Knows nothing of where a recipient is reached, and tells
//! nobody itself.
//!
//! Source: GDPR Art. 19.

mod days;
mod tell;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::instant_of_hour;
use crate::commit::{Snapshot, Txn, View};
use crate::crypto::Location;
use crate::holder::{self, Holder, Kind};
use crate::id::{PairwiseId, RecipientNoticeId, RowHandle, VaultId};
use crate::limits::NOTICE_TRIES_DAYS;
use crate::person::{DAMAGED, instant};
use crate::refusal::Refusal;
use crate::row;
use crate::store::{Direction, KeyRange, Table, WriteTx};

pub(crate) use days::{Due, bury, due, rekey, shred};
pub(crate) use tell::{Fan, corrected, ended, erased, erased_but, purged, restricted};

/// What a recipient is told. Its order is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// The data, or those fields of them, were erased (Art. 17).
    Erasure,
    /// A field was corrected or removed (Art. 16).
    Rectification,
    /// The use of the data is restricted (Art. 18).
    Restriction,
    /// It no longer is.
    RestrictionLifted,
    /// The person objects to the purpose (Art. 21).
    Objection,
    /// The person withdrew consent to the purpose (Art. 7(3)).
    Withdrawal,
}

impl NoticeKind {
    /// The word in the API and in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Erasure => "erasure",
            Self::Rectification => "rectification",
            Self::Restriction => "restriction",
            Self::RestrictionLifted => "restriction_lifted",
            Self::Objection => "objection",
            Self::Withdrawal => "withdrawal",
        }
    }
}

/// Where a notice stands. Its order is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NoticeState {
    /// It was not tried yet.
    Queued,
    /// It was not taken, and is tried again.
    Failed,
    /// It was taken.
    Delivered,
    /// The recipient says that they are at it.
    Acknowledged,
    /// The recipient, or somebody here, says that it is done.
    Completed,
    /// It is tried no more: somebody has to tell them.
    Dead,
    /// Somebody here says that they cannot be told, and why.
    Impossible,
}

impl NoticeState {
    /// Every state, in the order of a notice's life.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Failed,
        Self::Delivered,
        Self::Acknowledged,
        Self::Completed,
        Self::Dead,
        Self::Impossible,
    ];

    /// The word in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
            Self::Acknowledged => "acknowledged",
            Self::Completed => "completed",
            Self::Dead => "dead",
            Self::Impossible => "impossible",
        }
    }

    /// Whether a try or somebody is waited for.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Failed | Self::Dead)
    }

    /// Whether it is tried when its time has come.
    #[must_use]
    pub fn is_tried(self) -> bool {
        matches!(self, Self::Queued | Self::Failed)
    }
}

/// A notice as it is stored.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct NoticeRow {
    pub(crate) kind: NoticeKind,
    /// The recipient's name in the policy.
    pub(crate) recipient: String,
    /// What the recipient calls the person by, for each purpose.
    pub(crate) references: Vec<(u16, [u8; 16])>,
    /// Collection and field.
    pub(crate) fields: Vec<(u16, u16)>,
    pub(crate) made_at: i64,
    pub(crate) state: NoticeState,
    /// Since when it is in this state.
    pub(crate) state_at: i64,
    pub(crate) tries: u32,
    /// When it is tried next.
    pub(crate) due_at: i64,
    /// Why it is impossible, or what came of the last try.
    pub(crate) reason: Option<String>,
}

/// Silent about whom it is about.
impl std::fmt::Debug for NoticeRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NoticeRow")
            .field("kind", &self.kind)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl NoticeRow {
    /// What the recipient calls the person by, for each purpose.
    pub(crate) fn references(&self) -> impl Iterator<Item = (u16, PairwiseId)> + '_ {
        let all = self.references.iter();
        all.map(|(purpose, bytes)| (*purpose, PairwiseId::from_bytes(*bytes)))
    }

    /// Puts it into another state.
    pub(crate) fn enter(&mut self, state: NoticeState, now: Timestamp) {
        self.state = state;
        self.state_at = now.as_millisecond();
    }

    /// When it was made.
    pub(crate) fn made_at(&self) -> Timestamp {
        instant(self.made_at)
    }

    /// Whether another correction can still be added. Not once it is due: a message may be under way then, which
    /// does not have it, and whose answer would settle both.
    fn gathers(&self, now: Timestamp) -> bool {
        self.kind == NoticeKind::Rectification
            && self.state == NoticeState::Queued
            && self.tries == 0
            && now < instant(self.due_at)
    }

    /// Whether it waits for a try. After its time one that somebody asked for does, once: that it did not succeed puts it
    /// back to where it was.
    pub(crate) fn waits(&self, place: &Place, now: Timestamp) -> bool {
        let until = place.tried_until();
        self.state.is_tried() && (now < until || instant(self.state_at) >= until)
    }
}

/// Where a notice lies: under its holder, in the order of making, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) holder: RowHandle,
    pub(crate) sequence: u32,
    pub(crate) id: RecipientNoticeId,
}

impl Place {
    /// As the row's key.
    pub(crate) fn to_bytes(self) -> [u8; 36] {
        let mut key = [0; 36];
        key[..16].copy_from_slice(self.holder.as_bytes());
        key[16..20].copy_from_slice(&self.sequence.to_be_bytes());
        key[20..].copy_from_slice(self.id.as_bytes());
        key
    }

    fn of(key: &[u8]) -> Result<Self, Refusal> {
        let key: &[u8; 36] = key.try_into().map_err(|_| DAMAGED)?;
        Ok(Self::of_bytes(key))
    }

    /// From the row's key.
    pub(crate) fn of_bytes(key: &[u8; 36]) -> Self {
        let part = |range: std::ops::Range<usize>| key[range].try_into().expect("sixteen of them");
        Self {
            holder: RowHandle::from_bytes(part(0..16)),
            sequence: u32::from_be_bytes(key[16..20].try_into().expect("four of them")),
            id: RecipientNoticeId::from_bytes(part(20..36)),
        }
    }

    /// Until when it is tried.
    pub(crate) fn tried_until(&self) -> Timestamp {
        end_of(self.holder, NOTICE_TRIES_DAYS)
    }
}

/// What stands in clear before the envelope: whether the notice is open.
const OPEN: u8 = 1;
const SETTLED: u8 = 0;

fn flag(state: NoticeState) -> [u8; 1] {
    match state.is_open() {
        true => [OPEN],
        false => [SETTLED],
    }
}

fn location<'a>(vault: VaultId, key: &'a [u8; 36], flag: &'a [u8]) -> Location<'a> {
    Location {
        revision: flag,
        ..Location::row(vault, Table::Outbox.number(), key)
    }
}

fn open(
    view: &dyn View,
    holder: &Holder,
    place: &Place,
    value: &[u8],
) -> Result<NoticeRow, Refusal> {
    let (flag, envelope) = value.split_at_checked(1).ok_or(DAMAGED)?;
    let key = place.to_bytes();
    let bytes = holder.unseal(&location(view.vault(), &key, flag), envelope)?;
    row::decode(&bytes).map_err(|_| DAMAGED)
}

fn open_or_pass(
    view: &dyn View,
    holder: &Holder,
    key: &[u8],
    value: &[u8],
) -> Result<Option<(Place, NoticeRow)>, Refusal> {
    let place = Place::of(key)?;
    match open(view, holder, &place, value) {
        Ok(row) => Ok(Some((place, row))),
        Err(refusal) if refusal.is_damage() => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

fn put(txn: &mut Txn<'_>, holder: &Holder, place: &Place, row: &NoticeRow) -> Result<(), Refusal> {
    let (key, flag) = (place.to_bytes(), flag(row.state));
    let sealed = holder.seal(&location(txn.vault(), &key, &flag), &row::encode(row))?;
    Ok(txn.put(Table::Outbox, &key, &[&flag[..], &sealed].concat())?)
}

/// The notice in this place, while there is one.
pub(crate) fn load(view: &dyn View, place: &Place) -> Result<Option<NoticeRow>, Refusal> {
    let Some(value) = view.tx().get(Table::Outbox, &place.to_bytes())? else {
        return Ok(None);
    };
    let holder = Holder::find(view, place.holder)?.ok_or(DAMAGED)?;
    open(view, &holder, place, &value).map(Some)
}

/// Writes a notice back that has changed.
pub(crate) fn store(txn: &mut Txn<'_>, place: &Place, row: &NoticeRow) -> Result<(), Refusal> {
    let holder = Holder::find(txn, place.holder)?.ok_or(DAMAGED)?;
    put(txn, &holder, place, row)
}

/// Where the notice of this name lies. Opens nothing, and goes through the keys of thirty days: a thing for a
/// snapshot, since everybody else waits for a transaction.
pub(crate) fn find(snapshot: &Snapshot, id: RecipientNoticeId) -> Result<Option<Place>, Refusal> {
    let order = Direction::Ascending;
    for holder in holder::all(snapshot, Kind::Notices)? {
        let range = KeyRange::prefix(holder.as_bytes());
        let keys = snapshot
            .tx()
            .keys(Table::Outbox, &range, order, usize::MAX)?;
        if let Some(key) = keys.iter().find(|key| key.ends_with(id.as_bytes())) {
            return Place::of(key).map(Some);
        }
    }
    Ok(None)
}

/// Goes through all notices, the oldest first. One that does not open is passed by, and counted: the others are
/// not to wait for it.
pub(crate) fn each(
    view: &dyn View,
    f: &mut dyn FnMut(Place, NoticeRow) -> Result<std::ops::ControlFlow<()>, Refusal>,
) -> Result<u64, Refusal> {
    let mut damaged = 0;
    for handle in holder::all(view, Kind::Notices)? {
        let Some(holder) = Holder::find(view, handle)? else {
            continue;
        };
        let range = KeyRange::prefix(handle.as_bytes());
        let order = Direction::Ascending;
        for (key, value) in view.tx().range(Table::Outbox, &range, order, usize::MAX)? {
            match open_or_pass(view, &holder, &key, &value)? {
                Some((place, row)) => {
                    if f(place, row)?.is_break() {
                        return Ok(damaged);
                    }
                }
                None => damaged += 1,
            }
        }
    }
    Ok(damaged)
}

/// The beginning of the day so many days after a holder's.
fn end_of(holder: RowHandle, days: i64) -> Timestamp {
    instant_of_hour(holder::day_of(holder).saturating_mul(24))
        + SignedDuration::from_hours(24 * days)
}
