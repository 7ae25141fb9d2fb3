//! Everything that somebody gets at who has the raw bytes, an anchor, the key slots and the
//! passphrase: every key that opens anything leads to further keys, and each is tried at every
//! offset.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::cipher::{Id, Key, Place, sha256};
use super::form::{self, Dek, Revision};
use super::journal;
use super::loot::{Hints, IndexEntry, Loot, PersonEntry, RecordKey};
use super::raw::{Hit, Raw};
use super::unlock::{Epoch, Root, epochs};

/// What a node begins with.
fn node(first: u8) -> bool {
    matches!(first, 1 | 2)
}

/// What a row begins with.
fn row(first: u8) -> bool {
    first == 1
}

/// What a row or a JSON text begins with.
fn row_or_json(first: u8) -> bool {
    first == 1 || first.is_ascii_digit() || b"\"{[tfn-".contains(&first)
}

struct Hunt<'a> {
    raw: &'a Raw,
    vault: Id,
    hints: &'a Hints,
    loot: Loot,
    /// Nonces of what has been opened.
    opened: HashSet<Vec<u8>>,
    nodes: HashSet<(Vec<u8>, Key)>,
}

/// Reads all that these files give.
pub fn hunt(raw: &Raw, journal: &[u8], anchor: &[u8], roots: &[Root], hints: &Hints) -> Loot {
    let mut hunt = Hunt {
        raw,
        vault: roots[0].vault,
        hints,
        loot: Loot::default(),
        opened: HashSet::new(),
        nodes: HashSet::new(),
    };
    assert!(roots.iter().all(|root| root.vault == hunt.vault));
    let epochs = epochs(roots, anchor);
    for epoch in &epochs {
        hunt.system(epoch);
    }
    for epoch in &epochs {
        hunt.maps(epoch);
    }
    hunt.system_rows();
    hunt.journal(journal);
    hunt.keysets();
    hunt.people();
    hunt.contents();
    hunt.loot
}

impl Hunt<'_> {
    /// Tries `key` at every offset with this key number; `places` are where an envelope may stand.
    fn open(
        &mut self,
        key: &Key,
        number: u32,
        begins: fn(u8) -> bool,
        places: &[Place<'_>],
    ) -> Vec<(usize, Vec<u8>)> {
        self.loot.keys_tried += 1;
        let mut found = Vec::new();
        for hit in self.raw.hits(key, number, begins) {
            if let Some((place, text)) = self.open_hit(hit, key, places) {
                found.push((place, text));
            }
        }
        found
    }

    fn open_hit(&mut self, hit: Hit, key: &Key, places: &[Place<'_>]) -> Option<(usize, Vec<u8>)> {
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
        for entry in self.map(&[1, 0, 0, 0, 0], &epoch.people(), &revision, 64) {
            self.loot.people.push(PersonEntry {
                tag: entry[..16].try_into().unwrap(),
                kek: entry[16..48].try_into().unwrap(),
                handle: entry[48..].try_into().unwrap(),
            });
        }
        // Generations follow one another; some beyond the newest are tried as well.
        let placements = self.loot.system.iter().flat_map(|keys| &keys.placements);
        let newest = placements.map(|(generation, _)| *generation).max();
        for generation in 0..=newest.unwrap_or(0) + 2 {
            let root = [&[2][..], &generation.to_be_bytes()].concat();
            for entry in self.map(&root, &epoch.index(generation), &revision, 80) {
                self.loot.index.push(IndexEntry {
                    tag: entry[..16].try_into().unwrap(),
                    mark: entry[16..48].try_into().unwrap(),
                    subject: entry[48..64].try_into().unwrap(),
                    handle: entry[64..].try_into().unwrap(),
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

    /// What the system and audit keys open: state, policies, tombstones, entries of the log. API
    /// keys lie under hashes of their own, and belong to nobody.
    fn system_rows(&mut self) {
        let keys: BTreeSet<(Key, Key)> = self
            .loot
            .system
            .iter()
            .map(|k| (k.system, k.audit))
            .collect();
        let stones: Vec<[u8; 32]> = self.hints.subjects.iter().map(|id| sha256(id)).collect();
        let versions: Vec<[u8; 4]> = (0..8u32).map(u32::to_be_bytes).collect();
        let mut places = vec![Place::row(1, b"state")];
        places.extend(stones.iter().map(|key| Place::row(8, key)));
        places.extend(versions.iter().map(|key| Place::row(9, key)));
        for (system, audit) in keys {
            let mut entries = 0;
            for (place, text) in self.open(&system, 0, row, &places) {
                if place == 0 {
                    entries = entries.max(form::state(&text).next_entry);
                }
            }
            let numbers: Vec<[u8; 8]> = (0..entries).map(u64::to_be_bytes).collect();
            let places: Vec<_> = numbers.iter().map(|key| Place::row(11, key)).collect();
            for (_, text) in self.open(&audit, 0, row, &places) {
                form::entries(&text);
            }
        }
    }

    fn journal(&mut self, file: &[u8]) {
        let keys: BTreeSet<Key> = self.loot.system.iter().map(|keys| keys.audit).collect();
        for key in keys {
            let frames = journal::frames(file, &self.vault, &key)
                .into_iter()
                .flatten();
            self.loot.texts.extend(frames.map(|(_, entry)| entry));
        }
    }

    fn keysets(&mut self) {
        let keks: BTreeSet<(Id, Key)> =
            self.loot.people.iter().map(|p| (p.handle, p.kek)).collect();
        for (handle, kek) in keks {
            let mut handles = vec![handle];
            handles.extend(&self.hints.handles);
            let places: Vec<_> = handles.iter().map(|handle| Place::row(3, handle)).collect();
            for (place, text) in self.open(&kek, 0, row, &places) {
                self.loot
                    .keysets
                    .push((handles[place], form::keyset(&text)));
            }
        }
    }

    /// What the keys of every keyset open.
    fn people(&mut self) {
        let mut handles = self.hints.handles.clone();
        handles.extend(self.loot.people.iter().map(|person| person.handle));
        let records = self.raw.after::<26>(&handles);
        let events = self.raw.after::<6>(&handles);
        let marks = self.raw.after::<32>(&handles);
        let mut deks: BTreeMap<(Id, u32, Key), Dek> = BTreeMap::new();
        for (handle, keyset) in &self.loot.keysets {
            for dek in &keyset.keys {
                deks.insert((*handle, dek.number, dek.key), dek.clone());
            }
        }
        for ((own, ..), dek) in &deks {
            let hits = self.raw.hits(&dek.key, dek.number, row_or_json);
            self.loot.keys_tried += 1;
            let mut handles = vec![*own];
            handles.extend(self.hints.handles.iter().filter(|handle| *handle != own));
            for handle in handles {
                if dek.compartment == ANSWERS {
                    let marks: Vec<_> = marks.get(&handle).into_iter().flatten().collect();
                    self.answers(&handle, dek, &hits, &marks);
                    continue;
                }
                let records = records.get(&handle).into_iter().flatten();
                let records: Vec<RecordKey> = records.filter_map(record_key).collect();
                let events = events.get(&handle).into_iter().flatten();
                let events: Vec<(u16, [u8; 4])> = events.filter_map(event_key).collect();
                self.person(&handle, dek, &hits, &records, &events);
            }
        }
    }

    fn answers(&mut self, handle: &Id, dek: &Dek, hits: &[Hit], marks: &[&[u8; 32]]) {
        let places: Vec<_> = marks
            .iter()
            .map(|record| Place {
                compartment: dek.compartment,
                record: &record[..],
                ..Place::row(16, handle)
            })
            .collect();
        for hit in hits.iter().filter(|hit| row(hit.first)) {
            if let Some((_, text)) = self.open_hit(*hit, &dek.key, &places) {
                form::answer_row(&text);
                self.loot.answers.push((*handle, text));
            }
        }
    }

    fn person(
        &mut self,
        handle: &Id,
        dek: &Dek,
        hits: &[Hit],
        records: &[RecordKey],
        events: &[(u16, [u8; 4])],
    ) {
        let place = |table| Place {
            compartment: dek.compartment,
            ..Place::row(table, handle)
        };
        // Metadata first: it tells the revisions of the values.
        for hit in hits.iter().filter(|hit| row(hit.first)) {
            let expiry = self.raw.before(hit.at);
            let meta = |(collection, record): &RecordKey| (*collection, *record);
            let mut places: Vec<_> = records
                .iter()
                .map(|(collection, record)| Place {
                    collection: *collection,
                    record,
                    revision: &expiry,
                    ..place(5)
                })
                .collect();
            places.push(place(6));
            match self.open_hit(*hit, &dek.key, &places) {
                Some((index, text)) if index < records.len() => {
                    let row = form::meta_row(&text);
                    self.loot.metas.push((*handle, meta(&records[index]), row));
                }
                Some((_, text)) => {
                    let row = form::subject_row(&text);
                    self.loot.subjects.push((*handle, row));
                }
                None => {}
            }
        }
        let written = self.written(handle);
        let mut places = Vec::new();
        for (record, at) in &written {
            for (revision, policy) in at {
                places.extend((1..=FIELD_MAX).map(|field| Place {
                    collection: record.0,
                    record: &record.1,
                    field,
                    revision,
                    policy: *policy,
                    ..place(4)
                }));
            }
        }
        let values = places.len();
        places.extend(events.iter().map(|(purpose, sequence)| Place {
            collection: *purpose,
            record: sequence,
            ..place(7)
        }));
        // A value that begins as a row does is that of a blob.
        for hit in hits {
            match self.open_hit(*hit, &dek.key, &places) {
                Some((index, text)) if index < values => {
                    let at = &places[index];
                    let record = (at.collection, at.record.try_into().unwrap());
                    match row(hit.first) {
                        true => {
                            let blob = form::blob(&text);
                            self.loot.blobs.push((*handle, record, at.field, blob));
                        }
                        false => self.loot.values.push((*handle, record, at.field, text)),
                    }
                }
                Some((_, text)) => self.loot.consents.push((*handle, text)),
                None => {}
            }
        }
    }

    /// What the keys in fields open of what lies anywhere.
    fn contents(&mut self) {
        let mut tried = HashSet::new();
        for (handle, (collection, record), field, blob) in self.loot.blobs.clone() {
            if !tried.insert(blob.id) {
                continue;
            }
            self.loot.keys_tried += 1;
            let row = [handle, blob.id].concat();
            let place = Place {
                collection,
                record: &record,
                field,
                ..Place::row(14, &row)
            };
            if let Some(content) = self.raw.content(&blob, &self.vault, &place) {
                self.loot.texts.push(content.clone());
                self.loot.contents.push((handle, content));
            }
        }
    }

    /// Every revision and policy version that the metadata of a person's records tells of.
    fn written(&self, handle: &Id) -> HashMap<RecordKey, BTreeSet<(Revision, u32)>> {
        let mut written: HashMap<RecordKey, BTreeSet<(Revision, u32)>> = HashMap::new();
        for (_, record, row) in self.loot.metas.iter().filter(|(of, ..)| of == handle) {
            let at = written.entry(*record).or_default();
            at.insert((row.revision, row.policy));
            at.extend(
                row.older
                    .iter()
                    .map(|(_, revision, policy)| (*revision, *policy)),
            );
        }
        written
    }
}

/// The compartments of remembered answers.
const ANSWERS: u16 = 3;

/// Highest number of a field, a collection or a purpose that is tried.
const FIELD_MAX: u16 = 12;

fn record_key(bytes: &[u8; 26]) -> Option<RecordKey> {
    let collection = u16::from_be_bytes([bytes[0], bytes[1]]);
    let record = bytes[2..].try_into().unwrap();
    (1..=FIELD_MAX)
        .contains(&collection)
        .then_some((collection, record))
}

fn event_key(bytes: &[u8; 6]) -> Option<(u16, [u8; 4])> {
    let purpose = u16::from_be_bytes([bytes[0], bytes[1]]);
    let sequence = bytes[2..].try_into().unwrap();
    (purpose <= FIELD_MAX).then_some((purpose, sequence))
}
