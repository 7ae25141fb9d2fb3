//! Who is told of an event: whom the account of disclosures names for what the event is about, one notice each.
//!
//! Source: GDPR Art. 19.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{NoticeKind, NoticeRow, NoticeState, Place, end_of, load, put, store};
use crate::clock::day_of;
use crate::commit::{Txn, View};
use crate::disclosure::{self, Line, Told};
use crate::holder::{self, Holder, Kind};
use crate::id::{RecipientNoticeId, RowHandle};
use crate::limits::{
    HOLDER_NOTICES_MAX, HOLDERS_PER_DAY_MAX, NOTICE_DAYS_MAX, NOTICE_GATHER_SECONDS,
};
use crate::pairwise::Pairwise;
use crate::person::Person;
use crate::refusal::Refusal;
use crate::standing;
use crate::store::{Direction, KeyRange, ReadTx, Table};

/// What was told of one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fan {
    /// Recipients.
    pub(crate) recipients: u32,
    /// Until when a notice may be there at the longest.
    pub(crate) until: Option<Timestamp>,
}

/// Tells of a whole erasure. To be called while the account is still there; whoever is erased but for what a hold
/// kept had the rest told of then.
pub(crate) fn erased(txn: &mut Txn<'_>, person: &Person) -> Result<Fan, Refusal> {
    let hold = standing::hold(txn, person)?.filter(|hold| hold.erasure.is_some());
    let goes = |_: u16, (collection, _): (u16, u16)| {
        hold.as_ref().is_none_or(|hold| hold.covers(collection))
    };
    tell(txn, person, NoticeKind::Erasure, false, &goes)
}

/// Tells of an erasure that leaves some collections.
pub(crate) fn erased_but(
    txn: &mut Txn<'_>,
    person: &Person,
    kept: &dyn Fn(u16) -> bool,
) -> Result<Fan, Refusal> {
    let goes = |_: u16, (collection, _): (u16, u16)| !kept(collection);
    tell(txn, person, NoticeKind::Erasure, true, &goes)
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
    let changed = |_: u16, (of, field): (u16, u16)| of == collection && fields.contains(&field);
    tell(txn, person, NoticeKind::Rectification, true, &changed)
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

/// Whether a field that was given for a purpose is one that is told of.
type About<'a> = &'a dyn Fn(u16, (u16, u16)) -> bool;

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
