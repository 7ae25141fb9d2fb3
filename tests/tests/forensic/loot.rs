//! What the reader has recovered, by kind.

use std::collections::HashSet;

use super::cipher::{Id, Key, mac};
use super::form::{Blob, Keyset, MetaRow, SubjectRow, SystemKeys};

/// What the reader is told beside the files. A thief need not know it: a test helps him.
#[derive(Clone, Default)]
pub(crate) struct Hints {
    /// Handles of people whose handle nothing opened tells any more.
    pub(crate) handles: HashSet<Id>,
    /// Ids of people.
    pub(crate) subjects: Vec<Id>,
}

/// An entry of the people map.
pub(crate) struct PersonEntry {
    pub(crate) tag: Id,
    pub(crate) kek: Key,
    pub(crate) handle: Id,
}

/// An entry of the index map.
pub(crate) struct IndexEntry {
    pub(crate) tag: Id,
    pub(crate) mark: [u8; 32],
    pub(crate) subject: Id,
    pub(crate) handle: Id,
}

/// Collection and record id.
pub(crate) type RecordKey = (u16, [u8; 24]);

/// What was recovered.
#[derive(Default)]
pub(crate) struct Loot {
    pub(crate) people: Vec<PersonEntry>,
    pub(crate) index: Vec<IndexEntry>,
    pub(crate) system: Vec<SystemKeys>,
    pub(crate) keysets: Vec<(Id, Keyset)>,
    pub(crate) metas: Vec<(Id, RecordKey, MetaRow)>,
    /// Values as JSON texts.
    pub(crate) values: Vec<(Id, RecordKey, u16, Vec<u8>)>,
    /// What fields of type `blob` hold: the keys of their contents.
    pub(crate) blobs: Vec<(Id, RecordKey, u16, Blob)>,
    /// Contents of blobs.
    pub(crate) contents: Vec<(Id, Vec<u8>)>,
    pub(crate) subjects: Vec<(Id, SubjectRow)>,
    pub(crate) consents: Vec<(Id, Vec<u8>)>,
    /// Remembered answers, as rows.
    pub(crate) answers: Vec<(Id, Vec<u8>)>,
    /// Every text that opened, whatever it was.
    pub(crate) texts: Vec<Vec<u8>>,
    pub(crate) keys_tried: usize,
}

impl Loot {
    /// Where the index map would hold a value of this normal form: the beginning of the tag under
    /// every placement key, and the inner mark, under every index key.
    pub(crate) fn positions(&self, normal: &[u8]) -> HashSet<([u8; 8], [u8; 32])> {
        let mut positions = HashSet::new();
        for keys in &self.system {
            for (_, key) in &keys.index {
                let mark = mac(key, &[&[1], normal]);
                for (_, placement) in &keys.placements {
                    let place = mac(placement, &[b"value", &mark]);
                    positions.insert((place[..8].try_into().unwrap(), mark));
                }
            }
        }
        positions
    }
}
