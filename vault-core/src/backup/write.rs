//! Makes a backup of a vault that goes on being read and written.
//!
//! First everything is copied, table by table in key order, in slices that each take a snapshot of their
//! own: no reader stays for long, so that freed pages are used again. Meanwhile the writer notes what it
//! changes. Then rounds: what changed since the one before is copied again, until little did. The last
//! round, the end of the log and the running state come from one snapshot, so that the whole is the vault
//! as it was at that moment.
//!
//! The manifest is written last. Whatever ends this early leaves objects that nobody takes for a backup.

use std::sync::Arc;

use jiff::Timestamp;

use super::error::BackupError;
use super::gone::clear;
use super::keys::{PartKey, Recipients};
use super::manifest::{KeyPart, KeysOf, Manifest};
use super::people::{Slices, copy_keys, copy_touched, copy_touched_keys};
use super::sections::{Destination, Ended, Sections, write_heads};
use super::target::Target;
use crate::commit::{Engine, View};
use crate::id::BackupId;
use crate::jobs::Job;
use crate::limits::{
    BACKUP_ATTEMPTS_MAX, BACKUP_LAST_PEOPLE_MAX, BACKUP_ROUNDS_MAX, BACKUP_SLICE_BYTES,
};
use crate::refusal::Refusal;
use crate::row;
use crate::store::{Direction, KeyRange, Table};

/// Tables of the data part whose keys begin with a row handle.
pub(super) const PEOPLE_TABLES: [Table; 10] = [
    Table::Records,
    Table::RecordMeta,
    Table::Subjects,
    Table::Consents,
    Table::Sessions,
    Table::Blobs,
    Table::Answers,
    Table::Dirty,
    Table::Requests,
    Table::Decisions,
];
/// Tables that belong to nobody and may be long: copied first, then what changed of them.
pub(super) const LONG_TABLES: [Table; 4] = [
    Table::Tombstones,
    Table::Receipts,
    Table::Ledger,
    Table::Suppressions,
];
/// Tables that are short against what a backup copies, taken whole from the last snapshot.
const LAST_TABLES: [Table; 6] = [
    Table::Policies,
    Table::ApiKeys,
    Table::Tree,
    Table::Checkpoints,
    Table::Backups,
    Table::Incidents,
];
/// The key of the row that is copied of the table of single rows.
const STATE_ROW: &[u8] = b"state";
/// The key of the system keyset in a key part.
pub(super) const SYSTEM_KEY: &[u8] = b"system";

/// Which parts are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parts {
    /// Both.
    #[default]
    Both,
    /// What opens nothing.
    Data,
    /// What opens everything.
    Keys,
}

/// What a backup is to be.
pub struct Options {
    /// Which parts.
    pub parts: Parts,
    /// Who may open the key part.
    pub recipients: Recipients,
    /// When the key part is to be deleted.
    pub keys_expire: Timestamp,
}

/// Makes a backup: everything that there is when it ends.
///
/// # Errors
///
/// See [`BackupError`]; there is no backup then, and what was written of it is deleted as far as the
/// target lets it be. With the manifest comes the SHA-256 of its file.
pub fn write(
    engine: &Engine,
    target: &Arc<dyn Target>,
    backup: BackupId,
    options: &Options,
    job: Option<&Job>,
) -> Result<(Manifest, [u8; 32]), BackupError> {
    let place = Destination {
        target,
        backup,
        job,
    };
    again(|| {
        let made = attempt(engine, &place, options);
        if made.is_err() {
            clear(&**target, &backup.to_string());
        }
        made
    })
}

/// Tries again where more changed than is remembered, a few times.
fn again<T>(mut attempt: impl FnMut() -> Result<T, BackupError>) -> Result<T, BackupError> {
    for _ in 1..BACKUP_ATTEMPTS_MAX {
        match attempt() {
            Err(BackupError::Busy { .. }) => {}
            ended => return ended,
        }
    }
    attempt().map_err(|error| match error {
        BackupError::Busy { .. } => BackupError::Busy {
            attempts: BACKUP_ATTEMPTS_MAX,
        },
        error => error,
    })
}

fn attempt(
    engine: &Engine,
    place: &Destination<'_>,
    options: &Options,
) -> Result<(Manifest, [u8; 32]), BackupError> {
    let watching = engine.watch()?;
    let first = engine.snapshot()?;
    let vault = first.vault();
    let started_at = first.now();
    let people = first.state().people;
    drop(first);
    let mut data = (options.parts != Parts::Keys).then(|| Sections::data(place, vault));
    let part = PartKey::generate();
    let mut keys = match options.parts {
        Parts::Data => None,
        Parts::Both | Parts::Keys => Some(Sections::keys(place, vault, &part, 0)),
    };
    let mut audit_from = KeyRange::all();
    std::thread::scope(|scope| {
        let copying = keys.as_mut().map(|keys| {
            scope.spawn(move || {
                keys.begin(0, Table::Keysets.number())?;
                copy_keys(engine, keys, people).map(drop)
            })
        });
        let copied = data
            .as_mut()
            .map_or(Ok(()), |data| copy_data(engine, data, &mut audit_from));
        let keys = copying.map_or(Ok(()), |copying| {
            let joined = copying.join();
            joined.unwrap_or_else(|_| Err(Refusal::Internal("a copying thread broke").into()))
        });
        copied.and(keys)
    })?;
    let mut round = 0;
    let last = loop {
        round += 1;
        let (touched, snapshot) = watching.drain()?;
        if touched.overflown {
            return Err(BackupError::Busy { attempts: 1 });
        }
        let last = round >= BACKUP_ROUNDS_MAX || touched.len() <= BACKUP_LAST_PEOPLE_MAX;
        let mut view = Slices {
            engine,
            held: Some(snapshot),
            // The last round and what follows are of one moment.
            renewed: !last,
            bytes: 0,
        };
        if let Some(data) = &mut data {
            copy_touched(&mut view, data, round, &touched)?;
        }
        if let Some(keys) = &mut keys {
            copy_touched_keys(&mut view, keys, round, &touched)?;
        }
        if last {
            break view.held.ok_or(Refusal::Internal("a snapshot was lost"))?;
        }
        place.check()?;
    };
    if let Some(data) = &mut data {
        data.begin(round, Table::Audit.number())?;
        data.scan(&last, Table::Audit, &audit_from, u64::MAX)?;
        for table in LAST_TABLES {
            data.begin(round, table.number())?;
            data.scan(&last, table, &KeyRange::all(), u64::MAX)?;
        }
        data.begin(round, Table::System.number())?;
        let state = last.tx().get(Table::System, STATE_ROW)?;
        let state = state.ok_or(Refusal::Internal("the state is missing"))?;
        data.row(STATE_ROW, &state)?;
    }
    if let Some(keys) = &mut keys {
        keys.begin(0, Table::System.number())?;
        keys.row(SYSTEM_KEY, &row::encode(&last.system().for_backup()))?;
    }
    let objects = data.map(Sections::finish).transpose()?.unwrap_or_default();
    let keys = match keys {
        Some(keys) => {
            let objects = keys.finish()?;
            let made = KeyPart {
                registered: place.backup,
                made_at: last.now(),
                expires_at: Some(options.keys_expire),
                keys_of: KeysOf::Backup,
                people: last.state().people,
                heads: write_heads(place, &options.recipients, &part, 0)?,
                objects,
            };
            Some(made)
        }
        None => None,
    };
    let mut manifest = Manifest {
        version: Manifest::version(),
        vault,
        backup: place.backup,
        started_at,
        finished_at: last.now(),
        epoch: last.epoch(),
        policy_version: last.state().policy_version,
        people: last.state().people,
        log_entries: last.state().audit_next,
        ledger_position: last.state().ledger,
        objects,
        keys,
        signature: String::new(),
    };
    manifest.sign(&last.system().signing);
    drop(last);
    place.check()?;
    let at = place.target.place();
    let sha256 = manifest
        .write(&**place.target)
        .map_err(BackupError::io(format!("write the manifest at {at}")))?;
    Ok((manifest, sha256))
}

/// Copies what is long, the end of the log last: where `audit_from` begins afterwards.
fn copy_data(
    engine: &Engine,
    data: &mut Sections<'_>,
    audit_from: &mut KeyRange,
) -> Result<(), BackupError> {
    for table in LONG_TABLES.into_iter().chain(PEOPLE_TABLES) {
        data.begin(0, table.number())?;
        copy_all(engine, data, table, &mut KeyRange::all())?;
    }
    data.begin(0, Table::Audit.number())?;
    copy_all(engine, data, Table::Audit, audit_from)
}

/// Copies a table in slices, from where `range` begins; afterwards it begins behind the last row.
fn copy_all(
    engine: &Engine,
    out: &mut Sections<'_>,
    table: Table,
    range: &mut KeyRange,
) -> Result<(), BackupError> {
    loop {
        out.place.check()?;
        let snapshot = engine.snapshot()?;
        let last = out.scan(&snapshot, table, range, BACKUP_SLICE_BYTES)?;
        match last {
            Ended::All(last) => {
                if let Some(key) = last {
                    range.go_on(Direction::Ascending, &key);
                }
                return Ok(());
            }
            Ended::At(key) => range.go_on(Direction::Ascending, &key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gives_up_says_how_often_it_was_tried() {
        let mut tries = 0;
        let given_up = again::<()>(|| {
            tries += 1;
            Err(BackupError::Busy { attempts: 1 })
        });
        assert!(matches!(
            given_up,
            Err(BackupError::Busy {
                attempts: BACKUP_ATTEMPTS_MAX
            })
        ));
        assert_eq!(tries, BACKUP_ATTEMPTS_MAX);
        // Whatever else goes wrong is not tried again.
        let mut tries = 0;
        let ended = again::<()>(|| {
            tries += 1;
            Err(BackupError::Cancelled)
        });
        assert!(matches!(ended, Err(BackupError::Cancelled)));
        assert_eq!(tries, 1);
    }
}
