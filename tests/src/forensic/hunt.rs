//! Everything that somebody gets at who has the raw bytes, an anchor, the key slots and the
//! passphrase: every key that opens anything leads to further keys, and each is tried at every
//! offset.

use std::collections::{BTreeSet, HashSet};

use super::cipher::{Id, Key, Place, sha256};
use super::form::{self, Ring};
use super::journal;
use super::ledger;
use super::loot::{Hints, IndexEntry, Loot, Node, PersonEntry};
use super::raw::{Hit, Raw};
use super::unlock::{Epoch, Root, epochs};

/// What a node begins with.
fn node(first: u8) -> bool {
    matches!(first, 1 | 2)
}

/// What a row begins with.
pub(super) fn row(first: u8) -> bool {
    first == 1
}

/// A hunt and what it has found so far.
pub(super) struct Hunt<'a> {
    pub(super) raw: &'a Raw,
    pub(super) tell: Tell<'a>,
    pub(super) vault: Id,
    pub(super) hints: &'a Hints,
    pub(super) loot: Loot,
    /// Nonces of what has been opened.
    opened: HashSet<Vec<u8>>,
    nodes: HashSet<(Vec<u8>, Key)>,
}

/// What is told of the progress: what is being tried, how many keys of how many.
pub type Tell<'a> = &'a dyn Fn(&str, usize, usize);

/// Tells nobody.
pub const QUIETLY: Tell<'static> = &|_, _, _| {};

/// Reads all that these files give; among the journals may be ledgers.
pub fn hunt(
    raw: &Raw,
    journals: &[&[u8]],
    anchors: &[&[u8]],
    roots: &[Root],
    hints: &Hints,
    tell: Tell<'_>,
) -> Loot {
    let mut hunt = Hunt {
        raw,
        tell,
        vault: roots[0].vault,
        hints,
        loot: Loot::default(),
        opened: HashSet::new(),
        nodes: HashSet::new(),
    };
    assert!(roots.iter().all(|root| root.vault == hunt.vault));
    let epochs = anchors.iter().flat_map(|anchor| epochs(roots, anchor));
    let epochs: Vec<Epoch> = epochs.collect();
    for epoch in &epochs {
        hunt.system(epoch);
    }
    for epoch in &epochs {
        hunt.maps(epoch);
    }
    for node in &hints.nodes {
        hunt.map_below(&node.row, &node.key, &[]);
    }
    hunt.system_rows();
    for file in journals {
        match ledger::is_ledger(file) {
            true => hunt.ledger(file),
            false => hunt.journal(file),
        }
    }
    hunt.keysets();
    hunt.people();
    hunt.contents();
    hunt.loot
}

impl Hunt<'_> {
    /// Tries `key` at every offset with this key number; `places` are where an envelope may stand.
    pub(super) fn open(
        &mut self,
        key: &Key,
        number: u32,
        begins: fn(u8) -> bool,
        places: &[Place<'_>],
    ) -> Vec<(usize, Vec<u8>)> {
        let mut found = Vec::new();
        for hit in self.hits(key, number, begins) {
            if let Some((place, text)) = self.open_hit(hit, key, places) {
                found.push((place, text));
            }
        }
        found
    }

    pub(super) fn hits(&mut self, key: &Key, number: u32, begins: fn(u8) -> bool) -> Vec<Hit> {
        self.loot.keys_tried += 1;
        self.loot.tries += self.raw.places_of(number);
        let (words, needles) = (&mut self.loot.words, &self.hints.needles);
        self.raw.hits(key, number, begins, needles, |word| {
            words.insert(word);
        })
    }

    pub(super) fn open_hit(
        &mut self,
        hit: Hit,
        key: &Key,
        places: &[Place<'_>],
    ) -> Option<(usize, Vec<u8>)> {
        if self.opened.contains(self.raw.nonce(hit)) {
            return None;
        }
        let (place, text) = places.iter().enumerate().find_map(|(index, place)| {
            let text = self.raw.open(hit, key, &self.vault, place)?;
            Some((index, text))
        })?;
        self.opened.insert(self.raw.nonce(hit).to_vec());
        self.loot.texts.push(text.clone());
        Some((place, text))
    }

    fn system(&mut self, epoch: &Epoch) {
        let revision = epoch.epoch.to_be_bytes();
        let place = Place {
            revision: &revision,
            ..Place::row(2, &[3])
        };
        for (_, text) in self.open(&epoch.system(), 0, row, &[place]) {
            self.loot.system.push(form::system_keys(&text));
        }
    }

    fn maps(&mut self, epoch: &Epoch) {
        let revision = epoch.epoch.to_be_bytes();
        self.map_below(&[1, 0, 0, 0, 0], &epoch.people(), &revision);
        // Generations follow one another; some beyond the newest are tried as well.
        let placements = self.loot.system.iter().flat_map(|keys| &keys.placements);
        let newest = placements.map(|(generation, ..)| *generation).max();
        for generation in 0..=newest.unwrap_or(0) + 2 {
            let root = [&[2][..], &generation.to_be_bytes()].concat();
            self.map_below(&root, &epoch.index(generation), &revision);
        }
    }

    /// Takes the entries below a node of the people map or of an index.
    fn map_below(&mut self, row: &[u8], key: &Key, revision: &[u8]) {
        let part = |entry: &[u8], at: usize| entry[at..at + 16].try_into().expect("sixteen");
        if row[0] == 1 {
            for entry in self.map(row, key, revision, 64) {
                self.loot.people.push(PersonEntry {
                    tag: part(&entry, 0),
                    kek: entry[16..48].try_into().expect("a key"),
                    handle: part(&entry, 48),
                });
            }
        } else {
            for entry in self.map(row, key, revision, 80) {
                self.loot.index.push(IndexEntry {
                    tag: part(&entry, 0),
                    mark: entry[16..48].try_into().expect("a mark"),
                    subject: part(&entry, 48),
                    handle: part(&entry, 64),
                });
            }
        }
    }

    /// The entries below a node, in every state of it that any offset holds.
    fn map(&mut self, row: &[u8], key: &Key, revision: &[u8], entry: usize) -> Vec<Vec<u8>> {
        if !self.nodes.insert((row.to_vec(), *key)) {
            return Vec::new();
        }
        let place = Place {
            revision,
            ..Place::row(2, row)
        };
        let mut entries = Vec::new();
        for (_, text) in self.open(key, 0, node, &[place]) {
            self.loot.nodes.push(Node {
                row: row.to_vec(),
                key: *key,
                leaf: text[0] == 2,
            });
            match text[0] {
                1 => {
                    assert_eq!(text.len(), 1 + 16 * 32);
                    for (nibble, child) in (0u8..).zip(text[1..].chunks(32)) {
                        let row = [row, &[nibble]].concat();
                        entries.extend(self.map(&row, child.try_into().unwrap(), &[], entry));
                    }
                }
                _ => {
                    let count = usize::from(text[1]);
                    let places = count.next_power_of_two().max(8);
                    assert_eq!(text.len(), 2 + places * entry);
                    entries.extend(text[2..].chunks(entry).take(count).map(<[u8]>::to_vec));
                }
            }
        }
        entries
    }

    /// What any key of a ring opens.
    fn under(
        &mut self,
        ring: &Ring,
        begins: fn(u8) -> bool,
        places: &[Place<'_>],
    ) -> Vec<(usize, Vec<u8>)> {
        let each = ring.iter();
        each.flat_map(|(number, key)| self.open(key, *number, begins, places))
            .collect()
    }

    /// What the system and audit keys open: state, policies, tombstones, entries of the log, receipts.
    /// API keys lie under hashes of their own, and belong to nobody.
    fn system_rows(&mut self) {
        let keys = self
            .loot
            .system
            .iter()
            .map(|keys| (keys.system.clone(), keys.audit.clone()));
        let keys: BTreeSet<(Ring, Ring)> = keys.collect();
        let stones: Vec<[u8; 32]> = self.hints.subjects.iter().map(|id| sha256(id)).collect();
        for (system, audit) in keys {
            let (mut entries, mut version) = (0, 0);
            for (_, text) in self.under(&system, row, &[Place::row(1, b"state")]) {
                let state = form::state(&text);
                entries = entries.max(state.next_entry);
                version = version.max(state.policy);
            }
            let numbers: Vec<[u8; 8]> = (0..entries).map(u64::to_be_bytes).collect();
            let places: Vec<_> = numbers.iter().map(|key| Place::row(11, key)).collect();
            for (_, text) in self.under(&audit, row, &places) {
                self.loot.entries.extend(form::entries(&text));
            }
            let versions: Vec<[u8; 4]> = (0..=version).map(u32::to_be_bytes).collect();
            let mut places: Vec<_> = stones.iter().map(|key| Place::row(8, key)).collect();
            places.extend(versions.iter().map(|key| Place::row(9, key)));
            for (place, text) in self.under(&system, row, &places) {
                match place < stones.len() {
                    true => self.loot.tombstones.push(form::tombstone(&text)),
                    false => self.loot.policies.push(form::policy_row(&text)),
                }
            }
            for (_, text) in self.under(&system, row, &[Place::row(20, &[0])]) {
                self.loot.backups.push(form::backups(&text));
            }
            let known = self.loot.backups.iter().flat_map(|backups| &backups.keys);
            let known: BTreeSet<Id> = known.map(|(backup, ..)| *backup).collect();
            let places: Vec<_> = known.iter().map(|key| Place::row(20, key)).collect();
            for (_, text) in self.under(&system, row, &places) {
                form::backup_row(&text);
            }
            let receipts = self.loot.entries.iter().filter_map(|entry| entry.receipt);
            let receipts: BTreeSet<Id> = receipts.map(|(receipt, _)| receipt).collect();
            let places: Vec<_> = receipts.iter().map(|key| Place::row(19, key)).collect();
            for (_, text) in self.under(&system, |first| first == b'{', &places) {
                self.loot.receipts.push(text);
            }
        }
    }

    /// The entries of a ledger's file, whose every frame is a row of table 21 as well. What its key makes
    /// of the bytes at every other offset is searched, too.
    fn ledger(&mut self, file: &[u8]) {
        let keys: BTreeSet<Key> = self.loot.system.iter().map(|keys| keys.ledger).collect();
        for key in keys {
            self.hits(&key, 0, row);
            let Some(read) = ledger::read(file, &self.vault, &key) else {
                continue;
            };
            for entry in read.entries {
                form::ledger_entry(&entry);
                if !self.loot.ledger.contains(&entry) {
                    self.loot.ledger.push(entry);
                }
            }
            let heads = read.heads.into_iter();
            self.loot
                .texts
                .extend(heads.map(|(_, note)| note.into_bytes()));
        }
    }

    fn journal(&mut self, file: &[u8]) {
        let keys = self.loot.system.iter().map(|keys| keys.audit.clone());
        let keys: BTreeSet<Ring> = keys.collect();
        for keys in keys {
            let frames = journal::frames(file, &self.vault, &keys)
                .into_iter()
                .flatten();
            self.loot.texts.extend(frames.map(|(_, entry)| entry));
        }
    }
}
