//! The end of a day's notices: when they are given up, when their keys go, and what new keys for everything do to them.

use jiff::Timestamp;

use super::{NoticeRow, NoticeState, Place, SETTLED, end_of, open_or_pass, put};
use crate::clock::day_of;
use crate::commit::{Txn, View};
use crate::holder::{self, Holder};
use crate::id::{RecipientNoticeId, RowHandle};
use crate::limits::{NOTICE_DAYS_MAX, NOTICE_TRIES_DAYS};
use crate::refusal::Refusal;
use crate::store::{Direction, KeyRange, ReadTx, Table, WriteTx};

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
