//! What lies under the keys of the system keyset, sealed again: rows that belong to nobody, and the
//! log. The new keys seal from the commit on that begins a deep rotation; here the old ones lose what
//! they opened, and then go.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;

use super::super::Vault;
use super::super::token::Call;
use super::state::{DamagedRow, RotationRow, Stage, SystemKeyView, SystemKeysView};
use crate::audit;
use crate::commit::{Txn, View};
use crate::crypto::{Location, key_number};
use crate::jobs::{JobKind, JobState};
use crate::keys::ring::KeyRing;
use crate::limits::{ROTATION_NAMED_MAX, ROTATION_PAGE_ROWS, ROTATION_SURVEY_ROWS};
use crate::policy::Capability;
use crate::refusal::Refusal;
use crate::rotation::Budget;
use crate::store::{Direction, KeyRange, ReadTx, Row, Table, WriteTx};

/// Tables whose rows lie under a system key, and last the log, which lies under an audit key. The
/// running state and the place of the rotation are written by each commit anyway.
const TABLES: [Table; 8] = [
    Table::Tombstones,
    Table::Policies,
    Table::ApiKeys,
    Table::Receipts,
    Table::Backups,
    Table::Suppressions,
    Table::Incidents,
    Table::Audit,
];

/// What a key of the system keyset seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Rows,
    Log,
}

impl Of {
    fn table(table: Table) -> Self {
        match table {
            Table::Audit => Self::Log,
            _ => Self::Rows,
        }
    }

    fn ring(self, view: &dyn View) -> &KeyRing {
        match self {
            Self::Rows => &view.system().system,
            Self::Log => &view.system().audit,
        }
    }
}

/// What lies under keys of the system keyset.
#[derive(Default)]
struct Counts {
    /// Envelopes by the number of their key.
    values: BTreeMap<(Of, u32), u64>,
    /// Where a row does not open: what it says of its key may be damaged too, so that it may be any one's.
    lost: BTreeSet<Of>,
    /// How many do not, and the first of them.
    damaged: u64,
    named: Vec<DamagedRow>,
}

impl Counts {
    fn lose(&mut self, table: Table, key: &[u8]) {
        self.lost.insert(Of::table(table));
        self.damaged += 1;
        if self.named.len() < ROTATION_NAMED_MAX {
            self.named.push(name(table, key));
        }
    }
}

fn name(table: Table, key: &[u8]) -> DamagedRow {
    let number = <[u8; 8]>::try_from(key).map(u64::from_be_bytes);
    let (table, row) = match (table, number) {
        (Table::Audit, Ok(number)) => ("audit", number.to_string()),
        (Table::Audit, _) => ("audit", HEXLOWER.encode(key)),
        (Table::ApiKeys, _) => ("api_keys", HEXLOWER.encode(key)),
        (Table::Backups, _) => ("backups", HEXLOWER.encode(key)),
        (Table::Incidents, _) => ("incidents", HEXLOWER.encode(key)),
        (Table::Policies, _) => ("policies", HEXLOWER.encode(key)),
        (Table::Receipts, _) => ("receipts", HEXLOWER.encode(key)),
        (Table::Suppressions, _) => ("suppressions", HEXLOWER.encode(key)),
        _ => ("tombstones", HEXLOWER.encode(key)),
    };
    DamagedRow { table, row }
}

/// Whether the rotation can go on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    On,
    /// Something else has to end first.
    Wait,
}

/// Whether a row stands in clear.
fn clear(table: Table, key: &[u8]) -> bool {
    table == Table::Receipts && key.len() > 16
}

/// The next rows of the tables, from behind `after` in the table with this index on.
fn page(
    tx: &dyn ReadTx,
    table: &mut u8,
    after: &mut Vec<u8>,
    limit: usize,
) -> Result<Option<(Table, Vec<Row>)>, Refusal> {
    while let Some(name) = TABLES.get(usize::from(*table)) {
        let mut range = KeyRange::all();
        if !after.is_empty() {
            range.go_on(Direction::Ascending, after);
        }
        let rows = tx.range(*name, &range, Direction::Ascending, limit)?;
        if let Some((last, _)) = rows.last() {
            after.clone_from(last);
            return Ok(Some((*name, rows)));
        }
        *table += 1;
        after.clear();
    }
    Ok(None)
}

fn opens(view: &dyn View, table: Table, key: &[u8], row: &[u8]) -> bool {
    let location = Location::row(view.vault(), table.number(), key);
    Of::table(table).ring(view).unseal(&location, row).is_ok()
}

/// A row under the newest key; nothing if it does not open.
fn seal_again(txn: &Txn<'_>, table: Table, key: &[u8], row: &[u8]) -> Option<Vec<u8>> {
    let ring = Of::table(table).ring(txn);
    if table == Table::Audit {
        return audit::seal_again(txn.vault(), ring, key, row);
    }
    let location = Location::row(txn.vault(), table.number(), key);
    ring.seal(&location, &ring.unseal(&location, row).ok()?)
        .ok()
}

impl Vault {
    /// Whether somebody copies rows and keys: what they have begun with must open with what they end
    /// with.
    fn copies(&self) -> bool {
        let copies = [JobKind::Backup, JobKind::BackupRekey];
        let jobs = self.jobs.list();
        jobs.iter()
            .any(|job| copies.contains(&job.kind) && job.state == JobState::Running)
    }

    /// Envelopes under keys of the system keyset; `opening` tries each.
    fn count_rows(&self, opening: bool) -> Result<Counts, Refusal> {
        let (mut counts, mut table, mut after) = (Counts::default(), 0, Vec::new());
        loop {
            let view = self.snapshot()?;
            let found = page(view.tx(), &mut table, &mut after, ROTATION_SURVEY_ROWS)?;
            let Some((name, rows)) = found else {
                return Ok(counts);
            };
            for (key, row) in rows {
                if clear(name, &key) {
                    continue;
                }
                let of = Of::table(name);
                let ring = of.ring(&view);
                let number = key_number(&row).filter(|number| ring.numbers().any(|n| n == *number));
                if let Some(number) = number {
                    *counts.values.entry((of, number)).or_default() += 1;
                }
                if opening && !opens(&view, name, &key, &row) {
                    counts.lose(name, &key);
                }
            }
        }
    }

    /// How much there is to do, before it is done.
    pub(super) fn count_old_rows(&self) -> Result<(), Refusal> {
        let counts = self.count_rows(false)?;
        self.engine.submit(move |txn| {
            let mut row = RotationRow::load(txn)?;
            let old = |(of, number): (Of, u32)| number != of.ring(txn).newest();
            let left = counts.values.iter().filter(|(key, _)| old(**key));
            let left = left.map(|(_, count)| count).sum();
            if row.stage == Stage::Count {
                row.enter(Stage::Rows, left);
                row.store(txn)?;
            }
            Ok(())
        })
    }

    /// Some rows more; at the end of the last table the old keys go.
    pub(super) fn rotate_rows(&self, row: &RotationRow) -> Result<Pace, Refusal> {
        if self.copies() {
            return Ok(Pace::Wait);
        }
        if usize::from(row.row_table) >= TABLES.len() {
            return self.retire();
        }
        self.engine.submit(|txn| {
            let mut row = RotationRow::load(txn)?;
            if row.stage != Stage::Rows {
                return Ok(());
            }
            let mut budget = Budget::whole();
            while !budget.spent() {
                let (table, after) = (&mut row.row_table, &mut row.row_after);
                let Some((table, rows)) = page(txn, table, after, ROTATION_PAGE_ROWS)? else {
                    break;
                };
                for (key, sealed) in rows {
                    budget.take(sealed.len());
                    let newest = Of::table(table).ring(txn).newest();
                    if clear(table, &key) || key_number(&sealed) == Some(newest) {
                        continue;
                    }
                    // One that is damaged keeps its key, which then stays; the others are not to wait.
                    if let Some(sealed) = seal_again(txn, table, &key, &sealed) {
                        txn.put(table, &key, &sealed)?;
                        row.step_done += 1;
                    }
                }
            }
            row.store(txn)
        })?;
        Ok(Pace::On)
    }

    /// Takes every old key out of the system keyset that nothing lies under, in one commit that is an
    /// anchor pass, and with it ends the rotation. Where a row may be under any of them, all stay.
    fn retire(&self) -> Result<Pace, Refusal> {
        // Frames of the journal are under the audit key as well.
        self.engine.renew_journal()?;
        // Nothing can come under an old key any more: what is not there now is not there then.
        let counts = self.count_rows(true)?;
        self.engine.submit(move |txn| {
            let mut row = RotationRow::load(txn)?;
            if row.stage != Stage::Rows {
                return Ok(());
            }
            let mut keys = txn.system().duplicate();
            let keep =
                |of, number| counts.lost.contains(&of) || counts.values.contains_key(&(of, number));
            let system = keys.system.retire(|number| keep(Of::Rows, number));
            let audit = keys.audit.retire(|number| keep(Of::Log, number));
            if system || audit {
                keys.retired_epoch = txn.epochs().1;
                txn.replace_system(keys);
                txn.ask_for_pass();
            }
            row.damaged = counts.damaged;
            row.end(txn.now());
            row.store(txn)
        })?;
        Ok(Pace::On)
    }

    /// The keys that rows of nobody and the log lie under, how many envelopes under each, and which do not
    /// open: it opens each of them.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`].
    pub fn system_keys(&self, call: &Call<'_>) -> Result<SystemKeysView, Refusal> {
        let keys = self.read(
            call,
            "keys.list",
            None,
            |snapshot, policy, context, _| {
                context.principal.require(policy, Capability::KeysManage)?;
                let of = |of: Of| {
                    let (ring, newest) = (of.ring(snapshot), of.ring(snapshot).newest());
                    let keys = ring.numbers().map(|number| (of, number, number == newest));
                    keys.collect::<Vec<_>>()
                };
                Ok([of(Of::Rows), of(Of::Log)].concat())
            },
            |keys| keys,
        )?;
        let counts = self.count_rows(true)?;
        let views = keys.into_iter().map(|(of, key, current)| SystemKeyView {
            of: match of {
                Of::Rows => "rows",
                Of::Log => "log",
            },
            key,
            current,
            values: counts.values.get(&(of, key)).copied().unwrap_or(0),
        });
        Ok(SystemKeysView {
            keys: views.collect(),
            damaged: counts.damaged,
            named: counts.named,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::OWN_TABLES;

    /// A table that is new, and gone through by nobody, would lose what lies in it with the old key.
    #[test]
    fn every_table_is_a_persons_or_gone_through_or_under_no_such_key() {
        for table in Table::ALL {
            let elsewhere = match table {
                // Under the roots; written by each commit, or in clear; in clear; under the ledger key; under
                // keys of holders.
                Table::Nodes
                | Table::System
                | Table::Dirty
                | Table::Tree
                | Table::Checkpoints
                | Table::Ledger
                | Table::Outbox => true,
                _ => OWN_TABLES.contains(&table),
            };
            assert_ne!(TABLES.contains(&table), elsewhere, "{table:?}");
        }
    }
}
