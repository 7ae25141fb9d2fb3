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

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock::{day_of, instant_of_hour};
use crate::commit::{Snapshot, Txn, View};
use crate::crypto::Location;
use crate::disclosure::{self, Line, Told};
use crate::holder::{self, Holder, Kind};
use crate::id::{PairwiseId, RecipientNoticeId, RowHandle, VaultId};
use crate::limits::{
    HOLDER_NOTICES_MAX, HOLDERS_PER_DAY_MAX, NOTICE_DAYS_MAX, NOTICE_GATHER_SECONDS,
    NOTICE_TRIES_DAYS,
};
use crate::pairwise::Pairwise;
use crate::person::{DAMAGED, Person, instant};
use crate::refusal::Refusal;
use crate::row;
use crate::standing;
use crate::store::{Direction, KeyRange, ReadTx, Table, WriteTx};

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

/// The holder of a day's next notice, and the notice's number there.
fn next_place(txn: &mut Txn<'_>, now: Timestamp) -> Result<(Holder, u32), Refusal> {
    let day = day_of(now);
    let of_day = |handle: &RowHandle| holder::day_of(*handle) == day;
    let there = holder::all(txn, Kind::Notices)?;
    let mut part = there.into_iter().filter(of_day).count().saturating_sub(1);
    loop {
        let number = u16::try_from(part).unwrap_or(u16::MAX);
        if number >= HOLDERS_PER_DAY_MAX {
            return Err(Refusal::Overloaded);
        }
        let handle = Kind::Notices.handle(day, number);
        let range = KeyRange::prefix(handle.as_bytes());
        let last = txn.keys(Table::Outbox, &range, Direction::Descending, 1)?;
        let sequence = match last.first() {
            Some(key) => Place::of(key)?.sequence + 1,
            None => 0,
        };
        if (sequence as usize) < HOLDER_NOTICES_MAX {
            return Ok((Holder::ensure(txn, handle)?, sequence));
        }
        part += 1;
    }
}

/// Whether a field that was given for a purpose is one that is told of.
type About<'a> = &'a dyn Fn(u16, (u16, u16)) -> bool;

/// What was told of one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fan {
    /// Recipients.
    pub(crate) recipients: u32,
    /// Until when a notice may be there at the longest.
    pub(crate) until: Option<Timestamp>,
}

/// What each recipient is told, out of the account.
struct Draft {
    references: Vec<(u16, [u8; 16])>,
    fields: Vec<(u16, u16)>,
    /// Which lines of the account it is about.
    lines: Vec<usize>,
}

fn drafts(
    lines: &[(u32, Line)],
    pairwise: Option<&Pairwise>,
    about: About<'_>,
) -> BTreeMap<String, Draft> {
    let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
    for (at, (_, line)) in lines.iter().enumerate() {
        let purpose = line.purpose;
        if !line.gave(&|field| about(purpose, field)) {
            continue;
        }
        let draft = drafts.entry(line.recipient.clone()).or_insert(Draft {
            references: Vec::new(),
            fields: Vec::new(),
            lines: Vec::new(),
        });
        let reference = pairwise.map(|names| names.name(purpose, &line.recipient));
        let reference = reference.map(|reference| (purpose, *reference.as_bytes()));
        draft.references.extend(reference);
        let given = line.fields.iter().map(|given| given.field);
        draft
            .fields
            .extend(given.filter(|field| about(purpose, *field)));
        draft.fields.sort_unstable();
        draft.fields.dedup();
        draft.lines.push(at);
    }
    drafts
}

/// Makes one notice for each recipient who was given a field, for a purpose, that `about` names; nothing,
/// and at the cost of one look, where none was. `lasts` says whether the account is there afterwards.
fn tell(
    txn: &mut Txn<'_>,
    person: &Person,
    kind: NoticeKind,
    lasts: bool,
    about: About<'_>,
) -> Result<Fan, Refusal> {
    let mut lines = disclosure::lines(txn, person)?;
    if lines.is_empty() {
        return Ok(Fan::default());
    }
    let pairwise = Pairwise::of(txn, person)?;
    let drafts = drafts(&lines, pairwise.as_ref(), about);
    let (now, mut fan) = (txn.now(), Fan::default());
    for (recipient, mut draft) in drafts {
        fan.recipients += 1;
        let mut gathering = gathering(txn, &lines, &draft)?;
        let corrects = kind == NoticeKind::Rectification;
        let last = newest(&lines, &draft).filter(|_| corrects);
        let added = last.and_then(|place| gathering.remove_entry(&place));
        let place = match added {
            Some((place, mut row)) => {
                merge(&mut row, &draft);
                store(txn, &place, &row)?;
                place
            }
            None => make(txn, kind, recipient, &mut draft)?,
        };
        if !corrects {
            // What comes behind them does not wait for more of them.
            for (place, mut row) in gathering {
                row.due_at = now.as_millisecond();
                store(txn, &place, &row)?;
            }
        }
        fan.until = fan.until.max(Some(end_of(place.holder, NOTICE_DAYS_MAX)));
        if !lasts {
            continue;
        }
        for at in draft.lines {
            let (number, line) = &mut lines[at];
            if line.told.iter().any(|told| told.notice == place.id) {
                continue;
            }
            line.note(Told::new(place, kind, now));
            disclosure::store(txn, person, *number, line)?;
        }
    }
    Ok(fan)
}

/// Puts a notice behind all others.
fn make(
    txn: &mut Txn<'_>,
    kind: NoticeKind,
    recipient: String,
    draft: &mut Draft,
) -> Result<Place, Refusal> {
    let now = txn.now();
    let (holder, sequence) = next_place(txn, now)?;
    let place = Place {
        holder: holder.handle(),
        sequence,
        id: RecipientNoticeId::generate(txn.entropy()),
    };
    let gathers = match kind {
        NoticeKind::Rectification => NOTICE_GATHER_SECONDS * 1_000,
        _ => 0,
    };
    let row = NoticeRow {
        kind,
        recipient,
        references: std::mem::take(&mut draft.references),
        fields: std::mem::take(&mut draft.fields),
        made_at: now.as_millisecond(),
        state: NoticeState::Queued,
        state_at: now.as_millisecond(),
        tries: 0,
        due_at: now.as_millisecond().saturating_add(gathers),
        reason: None,
    };
    put(txn, &holder, &place, &row)?;
    Ok(place)
}

/// What the recipient was told last of these lines.
fn newest(lines: &[(u32, Line)], draft: &Draft) -> Option<Place> {
    let told = draft.lines.iter().filter_map(|at| lines[*at].1.told.last());
    told.map(Told::place).max()
}

/// Corrections that the recipient is told of soon, and to which more can be added until then. Those alone that
/// nothing came behind: before that, they would tell something else.
fn gathering(
    txn: &Txn<'_>,
    lines: &[(u32, Line)],
    draft: &Draft,
) -> Result<BTreeMap<Place, NoticeRow>, Refusal> {
    let told = draft.lines.iter().filter_map(|at| lines[*at].1.told.last());
    let corrected = told.filter(|told| told.kind == NoticeKind::Rectification);
    let places: BTreeSet<Place> = corrected.map(Told::place).collect();
    let mut found = BTreeMap::new();
    for place in places {
        match load(txn, &place) {
            Ok(Some(row)) if row.gathers(txn.now()) => {
                found.insert(place, row);
            }
            Ok(_) => {}
            // Nobody's correction is refused because of it.
            Err(refusal) if refusal.is_damage_of_a_row() => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(found)
}

fn merge(row: &mut NoticeRow, draft: &Draft) {
    row.references.extend(&draft.references);
    row.references.sort_unstable();
    row.references.dedup();
    row.fields.extend(&draft.fields);
    row.fields.sort_unstable();
    row.fields.dedup();
}

/// Tells of a whole erasure. To be called while the account is still there; whoever is erased but for what a hold
/// kept had the rest told of then.
pub(crate) fn erased(txn: &mut Txn<'_>, person: &Person) -> Result<Fan, Refusal> {
    let hold = standing::hold(txn, person)?.filter(|hold| hold.erasure.is_some());
    tell(txn, person, NoticeKind::Erasure, false, &|_,
                                                    (
        collection,
        _,
    )| {
        hold.as_ref().is_none_or(|hold| hold.covers(collection))
    })
}

/// Tells of an erasure that leaves some collections.
pub(crate) fn erased_but(
    txn: &mut Txn<'_>,
    person: &Person,
    kept: &dyn Fn(u16) -> bool,
) -> Result<Fan, Refusal> {
    tell(txn, person, NoticeKind::Erasure, true, &|_,
                                                   (
        collection,
        _,
    )| {
        !kept(collection)
    })
}

/// Tells of records that were destroyed for good.
pub(crate) fn purged(txn: &mut Txn<'_>, person: &Person, collection: u16) -> Result<Fan, Refusal> {
    tell(txn, person, NoticeKind::Erasure, true, &|_, field| {
        field.0 == collection
    })
}

/// Tells of values that were replaced or removed.
pub(crate) fn corrected(
    txn: &mut Txn<'_>,
    person: &Person,
    collection: u16,
    fields: &[u16],
) -> Result<Fan, Refusal> {
    if fields.is_empty() {
        return Ok(Fan::default());
    }
    tell(txn, person, NoticeKind::Rectification, true, &|_,
                                                         (
        of,
        field,
    )| {
        of == collection && fields.contains(&field)
    })
}

/// Tells of a restriction of these collections, or of its end.
pub(crate) fn restricted(
    txn: &mut Txn<'_>,
    person: &Person,
    kind: NoticeKind,
    covered: &dyn Fn(u16) -> bool,
) -> Result<Fan, Refusal> {
    tell(txn, person, kind, true, &|_, (collection, _)| {
        covered(collection)
    })
}

/// Tells that nothing is to be used for this purpose any more.
pub(crate) fn ended(
    txn: &mut Txn<'_>,
    person: &Person,
    kind: NoticeKind,
    purpose: u16,
) -> Result<Fan, Refusal> {
    tell(txn, person, kind, true, &|of, _| of == purpose)
}

/// What has to be done about a day's notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Its time is over, or nothing of it is open: the keys go.
    Shred,
    /// It is tried no more.
    Bury,
    Nothing,
}

/// What has to be done about one holder now.
pub(crate) fn due(view: &dyn View, handle: RowHandle) -> Result<Due, Refusal> {
    let now = view.now();
    if now >= end_of(handle, NOTICE_DAYS_MAX) {
        return Ok(Due::Shred);
    }
    let range = KeyRange::prefix(handle.as_bytes());
    let order = Direction::Ascending;
    let rows = view.tx().range(Table::Outbox, &range, order, usize::MAX)?;
    let open = rows
        .iter()
        .any(|(_, value)| value.first() != Some(&SETTLED));
    // While its day lasts more may come.
    if !open && holder::day_of(handle) < day_of(now) {
        return Ok(Due::Shred);
    }
    if !open || now < end_of(handle, NOTICE_TRIES_DAYS) {
        return Ok(Due::Nothing);
    }
    let Some(holder) = Holder::find(view, handle)? else {
        return Ok(Due::Nothing);
    };
    for (key, value) in &rows {
        let row = open_or_pass(view, &holder, key, value)?;
        if row.is_some_and(|(place, row)| is_over(&place, &row, now)) {
            return Ok(Due::Bury);
        }
    }
    Ok(Due::Nothing)
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

/// Whether it is tried for nothing.
fn is_over(place: &Place, row: &NoticeRow, now: Timestamp) -> bool {
    row.state.is_tried() && !row.waits(place, now)
}

/// Gives up what is still tried of a day; which.
pub(crate) fn bury(
    txn: &mut Txn<'_>,
    handle: RowHandle,
) -> Result<Vec<RecipientNoticeId>, Refusal> {
    let mut buried = Vec::new();
    let Some(holder) = Holder::find(txn, handle)? else {
        return Ok(buried);
    };
    let (range, now) = (KeyRange::prefix(handle.as_bytes()), txn.now());
    let rows = txn.range(Table::Outbox, &range, Direction::Ascending, usize::MAX)?;
    for (key, value) in rows {
        let Some((place, mut row)) = open_or_pass(txn, &holder, &key, &value)? else {
            continue;
        };
        if is_over(&place, &row, now) {
            row.enter(NoticeState::Dead, now);
            put(txn, &holder, &place, &row)?;
            buried.push(place.id);
        }
    }
    Ok(buried)
}

/// Destroys the keys of a day's notices, and what lay under them; which were open.
pub(crate) fn shred(
    txn: &mut Txn<'_>,
    handle: RowHandle,
) -> Result<Vec<RecipientNoticeId>, Refusal> {
    let range = KeyRange::prefix(handle.as_bytes());
    let rows = txn.range(Table::Outbox, &range, Direction::Ascending, usize::MAX)?;
    let mut open = Vec::new();
    for (key, value) in &rows {
        if value.first() != Some(&SETTLED) {
            open.push(Place::of(key)?.id);
        }
        txn.delete(Table::Outbox, key)?;
    }
    if let Some(holder) = Holder::find(txn, handle)? {
        holder.shred(txn)?;
    }
    Ok(open)
}

/// New keys for a day's notices, for whoever replaces all keys.
pub(crate) fn rekey(txn: &mut Txn<'_>, handle: RowHandle) -> Result<(), Refusal> {
    let Some(holder) = Holder::find(txn, handle)? else {
        return Ok(());
    };
    let range = KeyRange::prefix(handle.as_bytes());
    let rows = txn.range(Table::Outbox, &range, Direction::Ascending, usize::MAX)?;
    let (old, new) = holder.renew(txn)?;
    for (key, value) in rows {
        match open_or_pass(txn, &old, &key, &value)? {
            Some((place, row)) => put(txn, &new, &place, &row)?,
            // Nothing will ever open it again; it would only be counted for ever.
            None => txn.delete(Table::Outbox, &key)?,
        }
    }
    Ok(())
}
