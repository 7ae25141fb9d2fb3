//! The registry of backups: which copies there are, and until when the keys in them may live.
//!
//! A key part that has not been destroyed can bring back whoever was erased since. It is registered in a
//! commit of its own before its first keyset is read, so that no erasure misses one. Holds no personal
//! data. Knows nothing of how a backup is made, and takes the word of its caller for what a target holds.

mod form;

use jiff::Timestamp;
use serde::Serialize;

use crate::commit::{Txn, View};
use crate::crypto::Location;
use crate::id::{BackupId, ReceiptId};
use crate::limits::{BACKUP_TARGET_BYTES_MAX, BACKUPS_MAX};
use crate::person::{DAMAGED, instant};
use crate::refusal::{InputError, Refusal};
use crate::row;
use crate::store::{Direction, KeyRange, ReadTx, Table, WriteTx};

pub use form::{
    BackupBegin, BackupFacts, BackupSummary, BackupView, KeyPartView, Part, PartView, ReceiptStatus,
};
pub(crate) use form::{BackupRow, KeyPartRow, LiveKeys, PartRow, SummaryRow, view_of};

/// The row that says which key parts there still are, so that an erasure reads one row and not all.
const SUMMARY: &[u8] = &[0];

fn load<T: serde::de::DeserializeOwned>(view: &dyn View, key: &[u8]) -> Result<Option<T>, Refusal> {
    let Some(sealed) = view.tx().get(Table::Backups, key)? else {
        return Ok(None);
    };
    let location = Location::row(view.vault(), Table::Backups.number(), key);
    let bytes = view
        .system()
        .system
        .unseal(&location, &sealed)
        .map_err(|_| DAMAGED)?;
    row::decode(&bytes).map(Some).map_err(|_| DAMAGED)
}

fn store<T: Serialize>(txn: &mut Txn<'_>, key: &[u8], row: &T) -> Result<(), Refusal> {
    let location = Location::row(txn.vault(), Table::Backups.number(), key);
    let sealed = txn.system().system.seal(&location, &row::encode(row));
    Ok(txn.put(Table::Backups, key, &sealed.map_err(|_| DAMAGED)?)?)
}

pub(crate) fn summary_row(view: &dyn View) -> Result<SummaryRow, Refusal> {
    Ok(load(view, SUMMARY)?.unwrap_or_default())
}

fn find(view: &dyn View, backup: BackupId) -> Result<BackupRow, Refusal> {
    load(view, backup.as_bytes())?.ok_or(Refusal::NotFound("backup"))
}

fn invalid(pointer: &str, code: &'static str, detail: impl Into<String>) -> Refusal {
    Refusal::Invalid(vec![InputError {
        pointer: pointer.into(),
        code,
        detail: detail.into(),
    }])
}

/// Until when an erasure of now could be undone: the expiry of the last key part that is not verified
/// deleted; `now`, where there is none or the last is overdue.
pub(crate) fn erasure_horizon(view: &dyn View, now: Timestamp) -> Result<Timestamp, Refusal> {
    Ok(horizon(&summary_row(view)?, now))
}

fn horizon(summary: &SummaryRow, now: Timestamp) -> Timestamp {
    let keys = summary.keys.iter();
    let last = keys.map(|keys| instant(keys.expires_at)).max();
    last.map_or(now, |last| last.max(now))
}

/// Registers a backup. Nothing of it may have been read before this is committed.
pub(crate) fn begin(txn: &mut Txn<'_>, begin: &BackupBegin) -> Result<BackupId, Refusal> {
    let BackupBegin {
        target,
        data,
        keys,
        of,
    } = begin;
    if target.is_empty() || target.len() > BACKUP_TARGET_BYTES_MAX {
        let detail = format!("between 1 and {BACKUP_TARGET_BYTES_MAX} bytes");
        return Err(invalid("/target", "length", detail));
    }
    if !data && keys.is_none() {
        let detail = "a backup has a data part, a key part, or both";
        return Err(invalid("/data", "missing", detail));
    }
    let now = txn.now();
    if keys.is_some_and(|expires| expires <= now) {
        let detail = "a key part is to be destroyed after it was made";
        return Err(invalid("/keys", "out_of_range", detail));
    }
    if let Some(of) = of {
        let first = find(txn, *of)?;
        let there = first
            .data
            .is_some_and(|data| data.completed_at.is_some() && data.deleted_at.is_none());
        if *data || !there {
            return Err(Refusal::Conflict(format!(
                "{of} has no data part that is whole and still there, for which a key part could be made"
            )));
        }
    }
    let all = txn.keys(
        Table::Backups,
        &KeyRange::all(),
        Direction::Ascending,
        BACKUPS_MAX + 1,
    )?;
    if all.len() > BACKUPS_MAX {
        let detail = format!("the registry has at most {BACKUPS_MAX} backups");
        return Err(Refusal::TooLarge(detail));
    }
    let backup = BackupId::generate(txn.entropy());
    let none = PartRow {
        completed_at: None,
        deleted_at: None,
    };
    let log_size = txn.state().audit_next;
    let row = BackupRow {
        target: target.clone(),
        started_at: now.as_millisecond(),
        log_size,
        of: *of,
        data: data.then(|| none.clone()),
        keys: keys.map(|expires| KeyPartRow {
            part: none,
            expires_at: expires.as_millisecond(),
        }),
        failed_at: None,
        facts: None,
    };
    store(txn, backup.as_bytes(), &row)?;
    if let Some(expires) = keys {
        let mut summary = summary_row(txn)?;
        summary.keys.push(LiveKeys {
            backup,
            log_size,
            expires_at: expires.as_millisecond(),
        });
        store(txn, SUMMARY, &summary)?;
    }
    Ok(backup)
}

/// A backup that lies at a target, as its signed manifest says.
pub(crate) struct Seen {
    pub(crate) backup: BackupId,
    pub(crate) target: String,
    pub(crate) finished_at: Timestamp,
    pub(crate) log_size: u64,
    pub(crate) data: bool,
    /// Under which name its key part was registered, and when that expires.
    pub(crate) keys: Option<(BackupId, Timestamp)>,
    pub(crate) facts: BackupFacts,
}

/// Takes up what a restored vault's registry does not know, since it was made or ended after the copy that
/// it is of: also keys of those backups bring back whoever is erased from here on.
pub(crate) fn adopt(txn: &mut Txn<'_>, seen: &Seen) -> Result<(), Refusal> {
    let at = seen.finished_at.as_millisecond();
    let whole = || PartRow {
        completed_at: Some(at),
        deleted_at: None,
    };
    let first = seen.data.then_some((seen.backup, None));
    let keys = seen.keys.map(|(registered, _)| {
        let of = (registered != seen.backup).then_some(seen.backup);
        (registered, of)
    });
    let mut names: Vec<(BackupId, Option<BackupId>)> = first.into_iter().chain(keys).collect();
    names.dedup();
    for (backup, of) in names {
        let keys = seen.keys.filter(|(registered, _)| *registered == backup);
        let known: Option<BackupRow> = load(txn, backup.as_bytes())?;
        if known.as_ref().is_some_and(|row| !running(row)) {
            continue;
        }
        let expires = keys.map(|(_, expires)| expires.as_millisecond());
        let row = BackupRow {
            target: seen.target.clone(),
            started_at: known.map_or(at, |row| row.started_at),
            log_size: seen.log_size,
            of,
            data: (seen.data && of.is_none()).then(whole),
            keys: expires.map(|expires_at| KeyPartRow {
                part: whole(),
                expires_at,
            }),
            failed_at: None,
            facts: Some(seen.facts.clone()),
        };
        store(txn, backup.as_bytes(), &row)?;
        let mut summary = summary_row(txn)?;
        summary.keys.retain(|keys| keys.backup != backup);
        if let Some(expires_at) = expires {
            summary.keys.push(LiveKeys {
                backup,
                log_size: seen.log_size,
                expires_at,
            });
        }
        if of.is_none() {
            summary.last_completed_at = summary.last_completed_at.max(Some(at));
        }
        store(txn, SUMMARY, &summary)?;
    }
    Ok(())
}

fn running(row: &BackupRow) -> bool {
    let parts = row
        .data
        .iter()
        .chain(row.keys.iter().map(|keys| &keys.part));
    let mut parts = parts.filter(|part| part.completed_at.is_none());
    row.failed_at.is_none() && parts.next().is_some()
}

/// A backup is whole at its target.
pub(crate) fn complete(
    txn: &mut Txn<'_>,
    backup: BackupId,
    facts: &BackupFacts,
) -> Result<(), Refusal> {
    let mut row = find(txn, backup)?;
    if !running(&row) {
        return Err(Refusal::Conflict(format!("{backup} has ended already")));
    }
    let now = txn.now().as_millisecond();
    let parts = row.data.iter_mut();
    for part in parts.chain(row.keys.iter_mut().map(|keys| &mut keys.part)) {
        part.completed_at = Some(now);
    }
    row.facts = Some(facts.clone());
    store(txn, backup.as_bytes(), &row)?;
    if row.data.is_some() {
        let mut summary = summary_row(txn)?;
        summary.last_completed_at = summary.last_completed_at.max(Some(now));
        store(txn, SUMMARY, &summary)?;
    }
    Ok(())
}

/// A backup could not go on. What of it lies at the target counts until it is verified deleted.
pub(crate) fn fail(txn: &mut Txn<'_>, backup: BackupId) -> Result<(), Refusal> {
    let mut row = find(txn, backup)?;
    if row.failed_at.is_some() {
        return Ok(());
    }
    if !running(&row) {
        return Err(Refusal::Conflict(format!("{backup} is whole already")));
    }
    row.failed_at = Some(txn.now().as_millisecond());
    store(txn, backup.as_bytes(), &row)
}

/// A part is verified gone from its target. Said again it stays gone since then.
pub(crate) fn deleted(txn: &mut Txn<'_>, backup: BackupId, part: Part) -> Result<(), Refusal> {
    let mut row = find(txn, backup)?;
    if running(&row) {
        return Err(Refusal::Conflict(format!(
            "{backup} is still being made; end it first"
        )));
    }
    let now = txn.now().as_millisecond();
    let found = match part {
        Part::Data => row.data.as_mut(),
        Part::Keys => row.keys.as_mut().map(|keys| &mut keys.part),
    };
    let found = found.ok_or(Refusal::NotFound("part of this backup"))?;
    if found.deleted_at.is_some() {
        return Ok(());
    }
    found.deleted_at = Some(now);
    store(txn, backup.as_bytes(), &row)?;
    if part == Part::Keys {
        let mut summary = summary_row(txn)?;
        summary.keys.retain(|keys| keys.backup != backup);
        store(txn, SUMMARY, &summary)?;
    }
    Ok(())
}

/// A key part is to be destroyed at another time: sooner, never later.
pub(crate) fn expire(
    txn: &mut Txn<'_>,
    backup: BackupId,
    expires: Timestamp,
) -> Result<(), Refusal> {
    let mut row = find(txn, backup)?;
    let keys = row.keys.as_mut();
    let keys = keys.ok_or(Refusal::NotFound("part of this backup"))?;
    let expires = expires.as_millisecond();
    if expires > keys.expires_at {
        let until = instant(keys.expires_at);
        return Err(Refusal::Conflict(format!(
            "the key part of {backup} is promised to be gone at {until}, and never later; make a new key part (backup rekey)"
        )));
    }
    keys.expires_at = expires;
    store(txn, backup.as_bytes(), &row)?;
    let mut summary = summary_row(txn)?;
    for keys in summary.keys.iter_mut().filter(|k| k.backup == backup) {
        keys.expires_at = expires;
    }
    store(txn, SUMMARY, &summary)
}

/// The registry in a few numbers.
pub(crate) fn summary(view: &dyn View, now: Timestamp) -> Result<BackupSummary, Refusal> {
    Ok(summarise(&summary_row(view)?, now))
}

/// What the registry's summary comes to now.
pub(crate) fn summarise(row: &SummaryRow, now: Timestamp) -> BackupSummary {
    let over = |keys: &&LiveKeys| instant(keys.expires_at) < now;
    BackupSummary {
        erasure_horizon: horizon(row, now),
        key_parts: row.keys.len(),
        overdue: row.keys.iter().filter(over).count(),
        last_completed_at: row.last_completed_at.map(instant),
    }
}

fn rows(view: &dyn View) -> Result<Vec<(BackupId, BackupRow)>, Refusal> {
    let keys = view.tx().keys(
        Table::Backups,
        &KeyRange::all(),
        Direction::Ascending,
        BACKUPS_MAX + 2,
    )?;
    let mut rows = Vec::new();
    for key in keys.iter().filter(|key| key[..] != *SUMMARY) {
        let id = <[u8; 16]>::try_from(&key[..]).map_err(|_| DAMAGED)?;
        let row = load(view, key)?.ok_or(DAMAGED)?;
        rows.push((BackupId::from_bytes(id), row));
    }
    Ok(rows)
}

/// Every backup, the newest first.
pub(crate) fn all(view: &dyn View, now: Timestamp) -> Result<Vec<BackupView>, Refusal> {
    let rows = rows(view)?.into_iter();
    let mut views: Vec<_> = rows.map(|(id, row)| form::view_of(id, row, now)).collect();
    views.sort_by_key(|view| std::cmp::Reverse((view.started_at, view.backup)));
    Ok(views)
}

/// One backup.
pub(crate) fn one(
    view: &dyn View,
    backup: BackupId,
    now: Timestamp,
) -> Result<BackupView, Refusal> {
    Ok(form::view_of(backup, find(view, backup)?, now))
}

/// How far the erasure with this receipt reaches, which was made at `time`.
pub(crate) fn receipt_status(
    view: &dyn View,
    receipt: ReceiptId,
    time: Timestamp,
) -> Result<ReceiptStatus, Refusal> {
    let key = crate::audit::tree::receipt_key(receipt);
    let number = view.tx().get(Table::Receipts, &key)?;
    let number = number.ok_or(Refusal::NotFound("receipt"))?;
    let number = u64::from_be_bytes(number.try_into().map_err(|_| DAMAGED)?);
    // The order of the log, which no clock can change.
    let holds = |log_size: u64| log_size <= number;
    let live = summary_row(view)?.keys;
    let live: Vec<&LiveKeys> = live.iter().filter(|keys| holds(keys.log_size)).collect();
    if let Some(last) = live.iter().map(|keys| keys.expires_at).max() {
        return Ok(ReceiptStatus::Open {
            horizon: instant(last),
            backups: live.iter().map(|keys| keys.backup).collect(),
        });
    }
    let mut since = time;
    for (_, row) in rows(view)?
        .into_iter()
        .filter(|(_, row)| holds(row.log_size))
    {
        let deleted = row.keys.and_then(|keys| keys.part.deleted_at);
        since = since.max(deleted.map_or(time, instant));
    }
    Ok(ReceiptStatus::Final(since))
}
