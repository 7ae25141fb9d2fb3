//! What the reader has recovered, by kind.

#![expect(missing_docs, reason = "members are named as in docs/format.md")]

use std::collections::{BTreeSet, HashSet};

use super::cipher::{Id, Key, mac};
use super::form::{
    Backups, Blob, Entry, Keyset, MetaRow, PolicyRow, SubjectRow, SystemKeys, Tombstone,
};
use super::needles::Needles;

/// What the reader is told beside the files. A thief need not know it: a test helps him.
#[derive(Clone, Default)]
pub struct Hints {
    /// Handles of people whose handle nothing opened tells any more.
    pub handles: HashSet<Id>,
    /// Ids of people.
    pub subjects: Vec<Id>,
    /// Nodes whose keys somebody kept.
    pub nodes: Vec<Node>,
    /// What is searched for in whatever a key makes of any offset's bytes, tag or no tag.
    pub needles: Needles,
}

/// A node of a map, in one state of it.
#[derive(Clone)]
pub struct Node {
    /// The key of its row: map, generation, nibbles.
    pub row: Vec<u8>,
    pub key: Key,
    pub leaf: bool,
}

/// An entry of the people map.
pub struct PersonEntry {
    pub tag: Id,
    pub kek: Key,
    pub handle: Id,
}

/// An entry of the index map.
pub struct IndexEntry {
    pub tag: Id,
    pub mark: [u8; 32],
    pub subject: Id,
    pub handle: Id,
}

/// Collection and record id.
pub type RecordKey = (u16, [u8; 24]);

/// What was recovered.
#[derive(Default)]
pub struct Loot {
    pub people: Vec<PersonEntry>,
    pub index: Vec<IndexEntry>,
    pub system: Vec<SystemKeys>,
    pub keysets: Vec<(Id, Keyset)>,
    pub metas: Vec<(Id, RecordKey, MetaRow)>,
    /// Values as JSON texts.
    pub values: Vec<(Id, RecordKey, u16, Vec<u8>)>,
    /// What fields of type `blob` hold: the keys of their contents.
    pub blobs: Vec<(Id, RecordKey, u16, Blob)>,
    /// Contents of blobs.
    pub contents: Vec<(Id, Vec<u8>)>,
    pub subjects: Vec<(Id, SubjectRow)>,
    pub consents: Vec<(Id, Vec<u8>)>,
    /// Remembered answers, as rows.
    pub answers: Vec<(Id, Vec<u8>)>,
    /// Every text that opened, whatever it was.
    pub texts: Vec<Vec<u8>>,
    /// Sessions, as rows.
    pub sessions: Vec<(Id, Vec<u8>)>,
    /// Requests in the queue, as rows.
    pub requests: Vec<(Id, Vec<u8>)>,
    /// Decisions in the queue of reviews, as rows.
    pub decisions: Vec<(Id, Vec<u8>)>,
    pub entries: Vec<Entry>,
    /// Entries of the erasure ledger, as rows.
    pub ledger: Vec<Vec<u8>>,
    /// Key parts of backups.
    pub backups: Vec<Backups>,
    /// Bodies of receipts.
    pub receipts: Vec<Vec<u8>>,
    pub tombstones: Vec<Tombstone>,
    pub policies: Vec<PolicyRow>,
    pub nodes: Vec<Node>,
    /// Numbers of the needles that stood in what a key made of the bytes at some offset.
    pub words: BTreeSet<usize>,
    pub keys_tried: usize,
    /// How often a key was tried at an offset.
    pub tries: usize,
}

impl Loot {
    /// Where the index map would hold a value of this normal form: the beginning of the tag under
    /// every placement key, and the inner mark, under every index key.
    pub fn positions(&self, normal: &[u8]) -> HashSet<([u8; 8], [u8; 32])> {
        let mut positions = HashSet::new();
        for keys in &self.system {
            for (_, key) in keys.index_keys() {
                let mark = mac(key, &[&[1], normal]);
                for (.., placement) in &keys.placements {
                    let place = mac(placement, &[b"value", &mark]);
                    positions.insert((place[..8].try_into().unwrap(), mark));
                }
            }
        }
        positions
    }

    /// Whether any entry of the index stands where this normal form has its place.
    ///
    /// # Panics
    ///
    /// If there are no keys to compute a place with: then nothing is known.
    #[must_use]
    pub fn holds_position(&self, normal: &[u8]) -> bool {
        let positions = self.positions(normal);
        assert!(!positions.is_empty(), "there are keys to compute them with");
        self.index.iter().any(|entry| {
            let at = |(place, mark): &([u8; 8], [u8; 32])| {
                entry.tag.starts_with(place) || entry.mark == *mark
            };
            positions.iter().any(at)
        })
    }
}
