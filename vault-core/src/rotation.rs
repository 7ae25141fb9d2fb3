//! New keys for everything of one person, in steps of bounded size.
//!
//! Of each compartment the old and the new key lie side by side; what is written goes under the new
//! one. The old ones leave the keyset together with the KEK, in the transaction that finds no envelope
//! left under them: for a person of few rows that is the first one. Where it takes several, a row in
//! the table of the sweeper's work says up to which number keys are to go, and how far the step before
//! came, so that any step after a crash goes on. It is in clear, and so are key numbers and row keys.
//!
//! Knows nothing of who asked, or of how many people there are.

use std::collections::BTreeMap;

use crate::answer;
use crate::automated;
use crate::commit::{Txn, View};
use crate::crypto::key_number;
use crate::events;
use crate::id::{RowHandle, SubjectId};
use crate::keys::keyset::Keyset;
use crate::limits::{ROTATION_COMMIT_BYTES, ROTATION_COMMIT_ROWS, ROTATION_PAGE_ROWS};
use crate::log_lines;
use crate::person::{self, DAMAGED, Person};
use crate::pickup;
use crate::record;
use crate::refusal::Refusal;
use crate::request::stored;
use crate::session;
use crate::store::{Direction, KeyRange, ReadTx, Row, Table, WriteTx};
use crate::talk;

/// The tables with envelopes under a person's DEKs, in the order in which they are gone through.
/// The values of records are reached through their metadata.
const TABLES: [Table; 10] = [
    Table::Subjects,
    Table::Sessions,
    Table::Consents,
    Table::Answers,
    Table::RecordMeta,
    Table::Requests,
    Table::LogLines,
    Table::Decisions,
    Table::Dialogues,
    Table::Pickups,
];

/// What the key of a person's row of a rotation ends with, behind the handle: no compartment.
pub(crate) const MARK: [u8; 6] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xfe];

/// What one commit may still seal again.
pub(crate) struct Budget {
    rows: usize,
    bytes: usize,
}

impl Budget {
    /// That of a whole commit.
    pub(crate) fn whole() -> Self {
        Self {
            rows: ROTATION_COMMIT_ROWS,
            bytes: ROTATION_COMMIT_BYTES,
        }
    }

    /// Whether nothing is left of it.
    pub(crate) fn spent(&self) -> bool {
        self.rows == 0 || self.bytes == 0
    }

    /// One row of so many bytes.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.rows = self.rows.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// A place in the tables of one person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    table: usize,
    /// The last row key that is done, without the handle; none of the table if empty.
    after: Option<Vec<u8>>,
}

impl Cursor {
    fn at_end(&self) -> bool {
        self.table >= TABLES.len()
    }

    /// The next rows of `person`; moves on to the next table where there are none.
    fn page(
        &mut self,
        tx: &dyn ReadTx,
        person: &Person,
        limit: usize,
    ) -> Result<Option<(Table, Vec<Row>)>, Refusal> {
        let handle = person.entry.handle.as_bytes();
        while let Some(table) = TABLES.get(self.table) {
            let mut range = KeyRange::prefix(handle);
            if let Some(after) = &self.after {
                range.go_on(Direction::Ascending, &[&handle[..], after].concat());
            }
            let rows = tx.range(*table, &range, Direction::Ascending, limit)?;
            if !rows.is_empty() {
                return Ok(Some((*table, rows)));
            }
            self.table += 1;
            self.after = None;
        }
        Ok(None)
    }

    fn pass(&mut self, key: &[u8]) -> Result<(), Refusal> {
        self.after = Some(key.get(16..).ok_or(DAMAGED)?.to_vec());
        Ok(())
    }
}

/// Where the rotation of one person stands that takes several commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Of everybody's keys, which one; 0 for this person's alone.
    pub(crate) rotation: u64,
    /// Keys up to this number are to go.
    pub(crate) up_to: u32,
    /// What is done.
    cursor: Cursor,
}

impl Mark {
    /// The mark of a person, if there is one.
    pub(crate) fn find(view: &dyn View, person: &Person) -> Result<Option<Self>, Refusal> {
        let row = view.tx().get(Table::Dirty, &mark_key(person))?;
        row.map(|bytes| Self::decode(&bytes).ok_or(DAMAGED))
            .transpose()
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            rotation,
            up_to,
            cursor: Cursor { table, after },
        } = self;
        let mut bytes = rotation.to_be_bytes().to_vec();
        bytes.extend_from_slice(&up_to.to_be_bytes());
        bytes.push(u8::try_from(*table).expect("a handful of tables"));
        bytes.push(u8::from(after.is_some()));
        bytes.extend_from_slice(after.as_deref().unwrap_or_default());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (rotation, rest) = bytes.split_first_chunk::<8>()?;
        let (up_to, rest) = rest.split_first_chunk::<4>()?;
        let (&[table, has_after], after) = rest.split_first_chunk::<2>()?;
        let table = usize::from(table);
        let after = match has_after {
            0 => after.is_empty().then_some(None)?,
            1 => Some(after.to_vec()),
            _ => return None,
        };
        let in_place = table < TABLES.len() || (table == TABLES.len() && after.is_none());
        in_place.then_some(Self {
            rotation: u64::from_be_bytes(*rotation),
            up_to: u32::from_be_bytes(*up_to),
            cursor: Cursor { table, after },
        })
    }
}

fn mark_key(person: &Person) -> Vec<u8> {
    key_of(person.entry.handle)
}

fn key_of(handle: RowHandle) -> Vec<u8> {
    [&handle.as_bytes()[..], &MARK].concat()
}

/// The row by which the sweeper gives somebody new keys for everything, for a vault that is being restored:
/// key and value.
pub(crate) fn begun(handle: RowHandle, keyset: &Keyset) -> (Vec<u8>, Vec<u8>) {
    let mark = Mark {
        rotation: 0,
        up_to: keyset.highest(),
        cursor: Cursor::default(),
    };
    (key_of(handle), mark.encode())
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// No key from before is left.
    Done,
    /// The budget is spent; another step goes on.
    More,
    /// Every row has been gone through: a [`survey`] outside the writer has to find nothing under
    /// keys up to this number, and then this person's next step ends it.
    Survey(u32),
}

/// One step towards new keys for everything of a person. `rotation` is which of everybody's keys, 0
/// for this person's alone; one of another number that is under way is ended first. `surveyed` is
/// what [`Step::Survey`] named, once nothing was found under it.
pub(crate) fn step(
    txn: &mut Txn<'_>,
    subject: SubjectId,
    rotation: u64,
    surveyed: Option<u32>,
    budget: &mut Budget,
) -> Result<Step, Refusal> {
    let mut person = Person::find(txn, subject)?;
    let found = Mark::find(txn, &person)?;
    let begun_before = found.is_some();
    let mut mark = match found {
        Some(mark) => mark,
        None => Mark {
            rotation,
            up_to: person.keyset.highest(),
            cursor: Cursor::default(),
        },
    };
    reseal(txn, &mut person, &mut mark, budget)?;
    if !mark.cursor.at_end() {
        // From here on others write as well: to what is new, in every compartment.
        person.open_successors(mark.up_to, txn.entropy());
        person.store(txn)?;
        txn.put(Table::Dirty, &mark_key(&person), &mark.encode())?;
        return Ok(Step::More);
    }
    if begun_before && surveyed != Some(mark.up_to) {
        person.store(txn)?;
        txn.put(Table::Dirty, &mark_key(&person), &mark.encode())?;
        return Ok(Step::Survey(mark.up_to));
    }
    end(txn, &mut person, &mark, begun_before)?;
    match mark.rotation == rotation {
        true => Ok(Step::Done),
        false => Ok(Step::More),
    }
}

/// New keys for everything of a person in this one commit, however much it is; what was under way for
/// them is done with that.
pub(crate) fn whole(txn: &mut Txn<'_>, person: &mut Person) -> Result<(), Refusal> {
    let mut mark = Mark {
        rotation: 0,
        up_to: person.keyset.highest(),
        cursor: Cursor::default(),
    };
    let mut budget = Budget {
        rows: usize::MAX,
        bytes: usize::MAX,
    };
    reseal(txn, person, &mut mark, &mut budget)?;
    end(txn, person, &mark, false)
}

/// The old keys go, together with the KEK.
fn end(
    txn: &mut Txn<'_>,
    person: &mut Person,
    mark: &Mark,
    begun_before: bool,
) -> Result<(), Refusal> {
    person.keyset.keys.retain(|dek| dek.number > mark.up_to);
    person.replace_kek(txn);
    person.store(txn)?;
    if begun_before {
        return Ok(txn.delete(Table::Dirty, &mark_key(person))?);
    }
    // What the sweeper was to give new keys for has got them.
    let range = KeyRange::prefix(person.entry.handle.as_bytes());
    for key in txn.keys(Table::Dirty, &range, Direction::Ascending, usize::MAX)? {
        txn.delete(Table::Dirty, &key)?;
    }
    Ok(())
}

/// Goes through rows until the budget is spent, or all are done.
fn reseal(
    txn: &mut Txn<'_>,
    person: &mut Person,
    mark: &mut Mark,
    budget: &mut Budget,
) -> Result<(), Refusal> {
    while !budget.spent() {
        let limit = ROTATION_PAGE_ROWS.min(budget.rows);
        let Some((table, rows)) = mark.cursor.page(txn, person, limit)? else {
            return Ok(());
        };
        for (key, row) in rows {
            if budget.spent() {
                return Ok(());
            }
            let bytes = reseal_row(txn, person, table, &key, &row, mark.up_to)?;
            budget.take(bytes);
            mark.cursor.pass(&key)?;
        }
    }
    Ok(())
}

/// Seals one row again, where anything in it is under an old key; how many bytes were looked at. One that
/// says it is under a new key is opened as well: what it says may be what is damaged, and then its key is
/// one of those that are to go.
fn reseal_row(
    txn: &mut Txn<'_>,
    person: &mut Person,
    table: Table,
    key: &[u8],
    row: &[u8],
    up_to: u32,
) -> Result<usize, Refusal> {
    if table == Table::RecordMeta {
        return record::reseal(txn, person, key, row, up_to);
    }
    let present = key_number(row).ok_or(DAMAGED)?;
    let compartment = person.compartment_of(row)?;
    let number = match present > up_to {
        true => present,
        false => person.successor(compartment, up_to, txn.entropy()),
    };
    let sealed = match table {
        Table::Answers => answer::seal_again(txn, person, key, row, number)?,
        Table::Consents => events::seal_again(txn, person, key, row, number)?,
        Table::Requests => stored::seal_again(txn, person, key, row, number)?,
        Table::LogLines => log_lines::seal_again(txn, person, key, row, number)?,
        Table::Decisions => automated::stored::seal_again(txn, person, key, row, number)?,
        Table::Dialogues => talk::stored::seal_again(txn, person, key, row, number)?,
        Table::Pickups => pickup::stored::seal_again(txn, person, key, row, number)?,
        Table::Sessions => session::seal_again(txn, person, key, row, number)?,
        _ => person::seal_again(txn, person, row, number)?,
    };
    if number != present {
        txn.put(table, key, &sealed)?;
    }
    Ok(row.len())
}

/// Counts envelopes by the number of their key, from `cursor` on, over so many rows that no snapshot
/// lives long; where to go on, if more are left.
pub(crate) fn survey(
    view: &dyn View,
    person: &Person,
    mut cursor: Cursor,
    rows: usize,
    values: &mut BTreeMap<u32, u64>,
) -> Result<Option<Cursor>, Refusal> {
    let mut left = rows;
    while left > 0 {
        let limit = ROTATION_PAGE_ROWS.min(left);
        let Some((table, page)) = cursor.page(view.tx(), person, limit)? else {
            return Ok(None);
        };
        left -= page.len();
        for (key, row) in page {
            if table == Table::RecordMeta {
                record::key_numbers(view, &key, &row, &mut |number| {
                    *values.entry(number).or_default() += 1;
                })?;
            } else {
                let number = key_number(&row).ok_or(DAMAGED)?;
                *values.entry(number).or_default() += 1;
            }
            cursor.pass(&key)?;
        }
    }
    Ok(Some(cursor))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table that is new, and gone through by nobody, would lose what lies in it with the old key.
    #[test]
    fn every_table_of_a_person_is_gone_through_or_holds_nothing_under_their_keys() {
        for table in person::OWN_TABLES {
            let elsewhere = match table {
                // Under the KEK; with the metadata; nothing sealed; under keys of their own.
                Table::Keysets | Table::Records | Table::Uploads | Table::Blobs => true,
                _ => false,
            };
            assert_ne!(TABLES.contains(&table), elsewhere, "{table:?}");
        }
    }

    #[test]
    fn a_mark_reads_back_and_what_is_none_is_refused() {
        let mark = |table, after| Mark {
            rotation: 7,
            up_to: 3,
            cursor: Cursor { table, after },
        };
        for mark in [
            mark(0, None),
            mark(4, Some(vec![1; 18])),
            mark(0, Some(Vec::new())),
            mark(TABLES.len(), None),
        ] {
            assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        }
        let good = mark(1, None).encode();
        for length in 0..good.len() {
            assert_eq!(Mark::decode(&good[..length]), None);
        }
        for table in [TABLES.len() + 1, 255] {
            assert_eq!(Mark::decode(&mark(table, None).encode()), None);
        }
        assert_eq!(
            Mark::decode(&mark(TABLES.len(), Some(vec![1])).encode()),
            None
        );
        assert_eq!(Mark::decode(&[&good[..], &[1]].concat()), None);
    }
}
