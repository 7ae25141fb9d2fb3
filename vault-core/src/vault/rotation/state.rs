//! Where a rotation of everybody's keys stands, stored and seen; and what is told of keys.
//!
//! Knows nothing of how keys are replaced.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::commit::{Txn, View};
use crate::crypto::Location;
use crate::person::{DAMAGED, instant};
use crate::refusal::Refusal;
use crate::row;
use crate::store::{Table, WriteTx};

const ROW: &[u8] = b"rotation";

/// What a rotation of everybody's keys is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// It is over, or there was none yet.
    #[default]
    Ended,
    /// People's keys get their successors.
    People,
    /// The index is built under a new placement key and new index keys.
    Index,
    /// Marks under the old index keys leave the keysets.
    Marks,
    /// What lies under the old keys of rows and log is counted.
    Count,
    /// It is sealed again, and then the old keys go.
    Rows,
}

/// The row, sealed under the system key. A place is where a leaf begins, and names nobody.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct RotationRow {
    /// When the root key was last replaced by itself or with everybody's keys, in milliseconds.
    pub(crate) root_at: Option<i64>,
    /// Counts the rotations of everybody's keys.
    pub(crate) number: u64,
    pub(crate) deep: bool,
    pub(crate) stage: Stage,
    pub(crate) paused: bool,
    pub(crate) begun_at: i64,
    pub(crate) ended_at: i64,
    pub(crate) total: u64,
    pub(crate) done: u64,
    pub(crate) skipped: u64,
    pub(crate) place: [u8; 16],
    /// The set of index keys when it began.
    pub(crate) set: u32,
    /// Of what is gone through after people's keys: how much is done, of how much.
    pub(crate) step_done: u64,
    pub(crate) step_total: u64,
    /// Which of the tables is being sealed again, and the last row that was looked at.
    pub(crate) row_table: u8,
    pub(crate) row_after: Vec<u8>,
    /// People who are in the new index without a value that they are to be found by, since it is damaged.
    pub(crate) unindexed: u64,
    /// Those without a value of a field by which the policy does not look up any more.
    pub(crate) unsought: u64,
    /// Rows that belong to nobody, and of the log, that do not open.
    pub(crate) damaged: u64,
}

impl RotationRow {
    pub(super) fn load(view: &dyn View) -> Result<Self, Refusal> {
        let Some(sealed) = view.tx().get(Table::System, ROW)? else {
            return Ok(Self::default());
        };
        let location = Location::row(view.vault(), Table::System.number(), ROW);
        let bytes = view
            .system()
            .system
            .unseal(&location, &sealed)
            .map_err(|_| DAMAGED)?;
        row::decode(&bytes).map_err(|_| DAMAGED)
    }

    pub(super) fn store(&self, txn: &mut Txn<'_>) -> Result<(), Refusal> {
        let location = Location::row(txn.vault(), Table::System.number(), ROW);
        let sealed = txn.system().system.seal(&location, &row::encode(self));
        let sealed = sealed.map_err(|_| DAMAGED)?;
        Ok(txn.put(Table::System, ROW, &sealed)?)
    }

    /// Goes on to a stage of so much work.
    pub(super) fn enter(&mut self, stage: Stage, total: u64) {
        self.stage = stage;
        self.place = [0; 16];
        (self.step_done, self.step_total) = (0, total);
        (self.row_table, self.row_after) = (0, Vec::new());
    }

    pub(super) fn end(&mut self, now: Timestamp) {
        self.enter(Stage::Ended, 0);
        self.ended_at = now.as_millisecond();
    }

    pub(super) fn view(&self, running: bool) -> Option<RotationView> {
        let state = match (self.stage, running, self.paused) {
            (Stage::Ended, ..) => RotationState::Done,
            (_, true, _) => RotationState::Running,
            (_, _, true) => RotationState::Paused,
            _ => RotationState::Waiting,
        };
        (self.number > 0).then(|| RotationView {
            number: self.number,
            deep: self.deep,
            stage: self.stage,
            state,
            begun_at: instant(self.begun_at),
            ended_at: (self.stage == Stage::Ended).then(|| instant(self.ended_at)),
            people: self.total.max(self.done + self.skipped),
            done: self.done,
            skipped: self.skipped,
            unindexed: self.unindexed,
            unsought: self.unsought,
            rows_damaged: self.damaged,
            step_done: self.step_done,
            step_total: self.step_total.max(self.step_done),
        })
    }
}

/// How a rotation of everybody's keys stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationState {
    /// Everybody has been gone through; who could be given no new keys is counted.
    Done,
    /// Somebody has ended its job; the next call to begin one goes on with it.
    Paused,
    /// It goes on.
    Running,
    /// It was cut off, or something else has to end first; a server goes on with it within a minute.
    Waiting,
}

impl RotationState {
    /// The name, in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Paused => "paused",
            Self::Running => "running",
            Self::Waiting => "waiting",
        }
    }
}

impl Stage {
    /// The name, in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::People => "people",
            Self::Index => "index",
            Self::Marks => "marks",
            Self::Count | Self::Rows => "rows",
        }
    }
}

/// A rotation of everybody's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationView {
    /// Counts from 1.
    pub number: u64,
    /// Whether root key, index and system keyset were to be renewed as well.
    pub deep: bool,
    /// What it is at.
    pub stage: Stage,
    /// How it stands.
    pub state: RotationState,
    /// Since when.
    pub begun_at: Timestamp,
    /// Until when.
    pub ended_at: Option<Timestamp>,
    /// People there were when it began, or more where more came.
    pub people: u64,
    /// Those who have new keys.
    pub done: u64,
    /// Those who could not be given any, because a row of theirs is damaged. Their old keys stay.
    pub skipped: u64,
    /// Those whom look-ups in the new index do not find by every value that is theirs: one is damaged.
    pub unindexed: u64,
    /// Those who are in the new index without the values of a field by which the policy does not look up
    /// any more.
    pub unsought: u64,
    /// Rows that belong to nobody, and of the log, that do not open. The old keys stay that they may be under.
    pub rows_damaged: u64,
    /// At the stages `index` and `marks`: people who are done with; at `rows`: rows.
    pub step_done: u64,
    /// Of so many.
    pub step_total: u64,
}

impl RotationView {
    /// People whose turn is yet to come: none behind the stage `people`, though some of those counted
    /// when it began were erased before it.
    #[must_use]
    pub fn people_left(&self) -> u64 {
        match self.stage {
            Stage::People => self.people.saturating_sub(self.done + self.skipped),
            _ => 0,
        }
    }

    /// Whether it met something that does not open.
    #[must_use]
    pub fn met_damage(&self) -> bool {
        self.skipped > 0 || self.unindexed > 0 || self.rows_damaged > 0
    }
}

/// The state of the vault's keys.
#[derive(Clone, Debug)]
pub struct KeysView {
    /// The anchor's epoch: which secret the root key works with.
    pub epoch: u64,
    /// Slots that the root key is sealed to.
    pub slots: usize,
    /// When the root key was last rotated; slots that came or went replaced it as well.
    pub root_at: Option<Timestamp>,
    /// Which building of the index look-ups go to.
    pub index_generation: u32,
    /// Whether the next one is being built.
    pub index_in_work: bool,
    /// Which set of index keys look-ups are made with, from 0.
    pub index_keys: u32,
    /// The public key that checkpoints verify by.
    pub signer: String,
    /// How many there were before it.
    pub signers_past: usize,
    /// The last rotation of everybody's keys, or the one under way.
    pub rotation: Option<RotationView>,
}

/// A key of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// Its number in the person's keyset.
    pub key: u32,
    /// What it is for: `control`, `general`, `consents`, `answers`, or a collection's name.
    pub compartment: String,
    /// When the period began that it is for, where there are periods.
    pub period: Option<Timestamp>,
    /// Whether the compartment is written under it; an older one waits for its end.
    pub current: bool,
    /// Envelopes under it: values, metadata of records, rows of the person's own.
    pub values: u64,
}

/// What lies under keys of the system keyset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemKeysView {
    /// The keys.
    pub keys: Vec<SystemKeyView>,
    /// How many rows do not open.
    pub damaged: u64,
    /// The first of these.
    pub named: Vec<DamagedRow>,
}

/// A row that does not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRow {
    /// Its table: `api_keys`, `audit`, `backups`, `policies`, `receipts` or `tombstones`.
    pub table: &'static str,
    /// Its key: of the log, the number of its first entry; else in hexadecimal digits.
    pub row: String,
}

/// A key of the system keyset that rows lie under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemKeyView {
    /// What it seals: `rows` that belong to nobody, or the entries of the `log`.
    pub of: &'static str,
    /// Its number, from 0.
    pub key: u32,
    /// Whether it seals; an older one waits for its end.
    pub current: bool,
    /// Envelopes under it.
    pub values: u64,
}

/// A root key that was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootRotated {
    /// The epoch before.
    pub epoch_before: u64,
    /// The epoch after.
    pub epoch_after: u64,
}

/// Whether to go on, as whoever is told of the progress says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onwards {
    /// Go on.
    Yes,
    /// Stop here; it goes on another time.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_left_with_old_keys_once_everybody_was_gone_through() {
        let left = |stage, total, done, skipped| {
            let row = RotationRow {
                number: 1,
                stage,
                total,
                done,
                skipped,
                ..RotationRow::default()
            };
            row.view(false).unwrap().people_left()
        };
        assert_eq!(left(Stage::People, 10, 3, 2), 5);
        // Somebody was erased before their turn came: they are not waited for.
        for stage in [
            Stage::Index,
            Stage::Marks,
            Stage::Count,
            Stage::Rows,
            Stage::Ended,
        ] {
            assert_eq!(left(stage, 10, 7, 2), 0, "{stage:?}");
        }
    }
}
