//! The tables, and ranges of their keys.
//!
//! Knows what the tables are called, not what a row in them means.

/// A table. Its number is on disk in its name: numbers are append-only, never reused.
#[repr(u8)]
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Epoch, header and other single rows.
    System = 1,
    /// Nodes of the shred maps.
    Nodes = 2,
    /// Keysets, one a row handle.
    Keysets = 3,
    /// Envelopes of field values.
    Records = 4,
    /// Metadata of records, beside the ciphertext so that it changes alone.
    RecordMeta = 5,
    /// Rows about people as such.
    Subjects = 6,
    /// Consents and objections.
    Consents = 7,
    /// Hashes of erased subject ids.
    Tombstones = 8,
    /// Applied policies.
    Policies = 9,
    /// API keys, by hash.
    ApiKeys = 10,
    /// Entries and tree of the evidence log.
    Audit = 11,
    /// Work for the sweeper.
    Dirty = 12,
    /// Sessions of conversations.
    Sessions = 13,
    /// Content of blobs, in chunks.
    Blobs = 14,
    /// Blobs whose chunks no field names: uploads under way, and what a removal left.
    Uploads = 15,
    /// Answers to calls that may be sent again.
    Answers = 16,
    /// Hashes of the Merkle tree over the log.
    Tree = 17,
    /// Signed checkpoints of the log.
    Checkpoints = 18,
    /// Receipts of erasures, and where in the log they stand.
    Receipts = 19,
    /// The registry of backups.
    Backups = 20,
    /// Entries of the erasure ledger.
    Ledger = 21,
    /// Blind hashes of addresses that no direct marketing goes to (Art. 21(3)).
    Suppressions = 22,
    /// Notices to recipients (Art. 19), under keys that are no person's.
    Outbox = 23,
    /// The register of personal data breaches.
    Incidents = 24,
    /// The queue of requests, one row a request.
    Requests = 25,
    /// Conversations about rights.
    Dialogues = 26,
    /// Links with which people pick a copy of their data up.
    Pickups = 27,
    /// Decisions about people, one row a decision: the queue of reviews.
    Decisions = 28,
    /// Lines of logs, under keys of a day: the person's whom they are about, or nobody's.
    LogLines = 29,
}

impl Table {
    /// Every table, in the order of their numbers.
    pub const ALL: [Self; 29] = [
        Self::System,
        Self::Nodes,
        Self::Keysets,
        Self::Records,
        Self::RecordMeta,
        Self::Subjects,
        Self::Consents,
        Self::Tombstones,
        Self::Policies,
        Self::ApiKeys,
        Self::Audit,
        Self::Dirty,
        Self::Sessions,
        Self::Blobs,
        Self::Uploads,
        Self::Answers,
        Self::Tree,
        Self::Checkpoints,
        Self::Receipts,
        Self::Backups,
        Self::Ledger,
        Self::Suppressions,
        Self::Outbox,
        Self::Incidents,
        Self::Requests,
        Self::Dialogues,
        Self::Pickups,
        Self::Decisions,
        Self::LogLines,
    ];
    /// The tables that every vault has had from its first version on: a file without one of them is none.
    pub(super) const FOUNDING: usize = 21;

    /// The number, as used in associated data.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The name on disk, where it stands in the clear: fixed, so that it tells nothing of a
    /// policy or a person.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "t01",
            Self::Nodes => "t02",
            Self::Keysets => "t03",
            Self::Records => "t04",
            Self::RecordMeta => "t05",
            Self::Subjects => "t06",
            Self::Consents => "t07",
            Self::Tombstones => "t08",
            Self::Policies => "t09",
            Self::ApiKeys => "t10",
            Self::Audit => "t11",
            Self::Dirty => "t12",
            Self::Sessions => "t13",
            Self::Blobs => "t14",
            Self::Uploads => "t15",
            Self::Answers => "t16",
            Self::Tree => "t17",
            Self::Checkpoints => "t18",
            Self::Receipts => "t19",
            Self::Backups => "t20",
            Self::Ledger => "t21",
            Self::Suppressions => "t22",
            Self::Outbox => "t23",
            Self::Incidents => "t24",
            Self::Requests => "t25",
            Self::LogLines => "t29",
            Self::Decisions => "t28",
            Self::Dialogues => "t26",
            Self::Pickups => "t27",
        }
    }

    /// The place of this table in [`Table::ALL`].
    pub(crate) fn index(self) -> usize {
        Self::PLACES[usize::from(self.number())]
    }

    /// By number: one that is not given leaves a gap.
    const PLACES: [usize; 256] = {
        let (mut places, mut place) = ([usize::MAX; 256], 0);
        while place < Self::ALL.len() {
            places[Self::ALL[place] as usize] = place;
            place += 1;
        }
        places
    };
}

/// Which end of a range comes first.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest key.
    Ascending,
    /// From the greatest key.
    Descending,
}

/// The keys in `[start, end)`, compared bytewise.
///
/// Silent in `Debug`: a key may locate somebody.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key that belongs to the range.
    pub start: Vec<u8>,
    /// The first key that no longer does; `None` for the end of the table.
    pub end: Option<Vec<u8>>,
}

impl KeyRange {
    /// Every key of a table.
    #[must_use]
    pub fn all() -> Self {
        Self {
            start: Vec::new(),
            end: None,
        }
    }

    /// The keys that begin with `prefix`, `prefix` itself among them.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        // The first key after all of them is the prefix counted up by one, its trailing 0xff bytes
        // having no successor. Nothing but such bytes, or none at all, reaches to the end.
        let kept = prefix.iter().rposition(|byte| *byte != 0xff);
        let end = kept.map(|last| {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end
        });
        Self {
            start: prefix.to_vec(),
            end,
        }
    }

    /// Leaves out `key` and what comes before it in `direction`.
    pub fn go_on(&mut self, direction: Direction, key: &[u8]) {
        match direction {
            // The first key after another is that with a zero behind it.
            Direction::Ascending => self.start = [key, &[0]].concat(),
            Direction::Descending => self.end = Some(key.to_vec()),
        }
    }

    /// Whether `key` lies in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start.as_slice() <= key && self.end.as_deref().is_none_or(|end| key < end)
    }

    /// Whether no key can lie in the range. The stores below panic on a range that ends before it
    /// begins, so they ask first.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end
            .as_deref()
            .is_some_and(|end| end <= &self.start[..])
    }
}

impl std::fmt::Debug for KeyRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRange").finish_non_exhaustive()
    }
}

/// One row: key, value.
pub type Row = (Vec<u8>, Vec<u8>);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_table_is_named_after_its_number_and_stands_at_its_index() {
        for (index, table) in Table::ALL.into_iter().enumerate() {
            assert_eq!(table.name(), format!("t{:02}", table.number()));
            assert_eq!(table.index(), index);
        }
    }

    #[test]
    fn a_prefix_of_greatest_bytes_reaches_to_the_end_of_the_table() {
        assert_eq!(KeyRange::prefix(&[0xff, 0xff]).end, None);
        assert_eq!(KeyRange::prefix(&[]), KeyRange::all());
        assert_eq!(KeyRange::prefix(&[7, 0xff]).end, Some(vec![8]));
    }

    proptest! {
        #[test]
        fn a_key_is_in_the_range_of_a_prefix_exactly_if_it_begins_with_it(
            prefix in prop::collection::vec(prop_oneof![Just(0), Just(1), Just(0xfe), Just(0xff)], 0..4),
            key in prop::collection::vec(prop_oneof![Just(0), Just(1), Just(0xfe), Just(0xff)], 0..6),
        ) {
            prop_assert_eq!(KeyRange::prefix(&prefix).contains(&key), key.starts_with(&prefix));
        }
    }
}
