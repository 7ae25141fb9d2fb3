//! What the keys of people give: keysets, metadata, values, blobs, sessions, answers, consents.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::cipher::{Id, Key, Place};
use super::form::{self, Dek, PolicyRow, Revision};
use super::hunt::{Hunt, row};
use super::loot::RecordKey;
use super::raw::Hit;

/// What a row or a JSON text begins with.
fn row_or_json(first: u8) -> bool {
    first == 1 || first.is_ascii_digit() || b"\"{[tfn-".contains(&first)
}

impl Hunt<'_> {
    pub(super) fn keysets(&mut self) {
        let keks: BTreeSet<(Id, Key)> =
            self.loot.people.iter().map(|p| (p.handle, p.kek)).collect();
        for (done, (handle, kek)) in keks.iter().copied().enumerate() {
            (self.tell)("keys of people", done, keks.len());
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
    pub(super) fn people(&mut self) {
        let mut handles = self.hints.handles.clone();
        handles.extend(self.loot.people.iter().map(|person| person.handle));
        let highest = self.loot.policies.iter().flat_map(PolicyRow::highest);
        let highest = highest.max().unwrap_or(0).max(NUMBERS_MIN);
        let rows = Rows {
            records: self.raw.after::<26>(&handles),
            events: self.raw.after::<6>(&handles),
            sessions: self.raw.after::<16>(&handles),
            answers: self.raw.after::<32>(&handles),
            notices: self.raw.after::<20>(&handles),
            requests: self.raw.after::<20>(&handles),
            logs: self.raw.after::<10>(&handles),
            highest,
        };
        let mut deks: BTreeMap<(Id, u32, Key), Dek> = BTreeMap::new();
        for (handle, keyset) in &self.loot.keysets {
            for dek in &keyset.keys {
                deks.insert((*handle, dek.number, dek.key), dek.clone());
            }
        }
        let mut hits = Vec::new();
        for (done, ((own, ..), dek)) in deks.iter().enumerate() {
            (self.tell)("keys of values", done, deks.len());
            let of_dek = self.hits(&dek.key, dek.number, row_or_json);
            let mut handles = vec![*own];
            handles.extend(self.hints.handles.iter().filter(|handle| *handle != own));
            hits.push((handles, dek, of_dek));
        }
        // Metadata first: it tells the revisions of the values.
        for (handles, dek, hits) in &hits {
            for handle in handles {
                match dek.compartment {
                    ANSWERS => self.answers(handle, dek, hits, &rows),
                    _ if handle.starts_with(&NOBODYS) => {
                        self.notices(handle, dek, hits, &rows);
                        self.logs(handle, dek, hits, &rows);
                    }
                    LOGS.. => self.logs(handle, dek, hits, &rows),
                    _ => self.metadata(handle, dek, hits, &rows),
                }
            }
        }
        for (handles, dek, hits) in &hits {
            for handle in handles {
                self.values(handle, dek, hits, &rows);
            }
        }
    }

    fn answers(&mut self, handle: &Id, dek: &Dek, hits: &[Hit], rows: &Rows) {
        let marks = rows.answers.get(handle).into_iter().flatten();
        let places = marks.map(|record| Place {
            compartment: dek.compartment,
            record: &record[..],
            ..Place::row(16, handle)
        });
        let places: Vec<_> = places.collect();
        for hit in hits.iter().filter(|hit| row(hit.first)) {
            if let Some((_, text)) = self.open_hit(*hit, &dek.key, &places) {
                form::answer_row(&text);
                self.loot.answers.push((*handle, text));
            }
        }
    }

    /// Notices to recipients, under a key that is nobody's.
    fn notices(&mut self, handle: &Id, dek: &Dek, hits: &[Hit], rows: &Rows) {
        let keys = rows.notices.get(handle).into_iter().flatten();
        let keys: Vec<Vec<u8>> = keys.map(|rest| [&handle[..], rest].concat()).collect();
        let places = keys.iter().flat_map(|key| {
            [&[0][..], &[1]].map(|flag| Place {
                compartment: dek.compartment,
                revision: flag,
                ..Place::row(23, key)
            })
        });
        let places: Vec<_> = places.collect();
        for hit in hits.iter().filter(|hit| row(hit.first)) {
            if let Some((_, text)) = self.open_hit(*hit, &dek.key, &places) {
                form::notice_row(&text);
            }
        }
    }

    /// Lines of logs, under a day's key that is nobody's or a person's.
    fn logs(&mut self, handle: &Id, dek: &Dek, hits: &[Hit], rows: &Rows) {
        let keys = rows.logs.get(handle).into_iter().flatten();
        let keys: Vec<Vec<u8>> = keys.map(|rest| [&handle[..], rest].concat()).collect();
        let places = keys.iter().map(|key| Place {
            compartment: dek.compartment,
            ..Place::row(29, key)
        });
        let places: Vec<_> = places.collect();
        for hit in hits.iter().filter(|hit| row(hit.first)) {
            if let Some((_, text)) = self.open_hit(*hit, &dek.key, &places) {
                form::log_row(&text);
            }
        }
    }

    /// Metadata, the person's own row and sessions.
    fn metadata(&mut self, handle: &Id, dek: &Dek, hits: &[Hit], rows: &Rows) {
        let records = rows.records_of(handle);
        let place = |table| Place {
            compartment: dek.compartment,
            ..Place::row(table, handle)
        };
        for hit in hits.iter().filter(|hit| row(hit.first)) {
            let expiry = self.raw.before(hit.at);
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
            let sessions = rows.sessions.get(handle).into_iter().flatten();
            places.extend(sessions.map(|session| Place {
                record: session,
                ..place(13)
            }));
            let sessions = places.len();
            let requests = rows.requests.get(handle).into_iter().flatten();
            places.extend(requests.map(|request| Place {
                record: request,
                ..place(25)
            }));
            match self.open_hit(*hit, &dek.key, &places) {
                Some((index, text)) if index < records.len() => {
                    let row = form::meta_row(&text);
                    self.loot.metas.push((*handle, records[index], row));
                }
                Some((index, text)) if index == records.len() => {
                    let row = form::subject_row(&text);
                    self.loot.subjects.push((*handle, row));
                }
                Some((index, text)) if index < sessions => {
                    form::session_row(&text);
                    self.loot.sessions.push((*handle, text));
                }
                Some((_, text)) => {
                    form::request_row(&text);
                    self.loot.requests.push((*handle, text));
                }
                None => {}
            }
        }
    }

    /// Values and what was said about consent.
    fn values(&mut self, handle: &Id, dek: &Dek, hits: &[Hit], rows: &Rows) {
        let place = |table| Place {
            compartment: dek.compartment,
            ..Place::row(table, handle)
        };
        let written = self.written(handle);
        let mut places = Vec::new();
        for (record, at) in &written {
            for (revision, policy) in at {
                places.extend((1..=rows.highest).map(|field| Place {
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
        let events = rows.events_of(handle);
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
                    let record = at.record.try_into().expect("a record id");
                    let record = (at.collection, record);
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
    pub(super) fn contents(&mut self) {
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
            at.extend(row.values);
            at.extend(
                row.older
                    .iter()
                    .map(|(_, revision, policy)| (*revision, *policy)),
            );
        }
        written
    }
}

/// How handles begin that belong to nobody.
const NOBODYS: [u8; 8] = [0xff; 8];
/// Topics of events beside purposes: what recipients were given, and what their names for a person are made with.
const TOPICS: [u16; 3] = [0xa000, 0xa001, 0xa005];

/// From here on are the compartments of logs.
const LOGS: u16 = 0x8000;

/// The compartments of remembered answers.
const ANSWERS: u16 = 3;

/// Numbers of fields, collections and purposes up to this are tried, whatever the policies say.
const NUMBERS_MIN: u16 = 12;

/// What stands behind people's handles anywhere, as the rest of rows' keys.
struct Rows {
    records: HashMap<Id, BTreeSet<[u8; 26]>>,
    events: HashMap<Id, BTreeSet<[u8; 6]>>,
    sessions: HashMap<Id, BTreeSet<[u8; 16]>>,
    answers: HashMap<Id, BTreeSet<[u8; 32]>>,
    notices: HashMap<Id, BTreeSet<[u8; 20]>>,
    requests: HashMap<Id, BTreeSet<[u8; 20]>>,
    logs: HashMap<Id, BTreeSet<[u8; 10]>>,
    /// Highest number of a field, a collection or a purpose.
    highest: u16,
}

impl Rows {
    fn records_of(&self, handle: &Id) -> Vec<RecordKey> {
        let rests = self.records.get(handle).into_iter().flatten();
        let records = rests.map(|rest| {
            let collection = u16::from_be_bytes([rest[0], rest[1]]);
            (collection, rest[2..].try_into().expect("a record id"))
        });
        let fits = |(collection, _): &RecordKey| (1..=self.highest).contains(collection);
        records.filter(fits).collect()
    }

    fn events_of(&self, handle: &Id) -> Vec<(u16, [u8; 4])> {
        let rests = self.events.get(handle).into_iter().flatten();
        let events = rests.map(|rest| {
            let purpose = u16::from_be_bytes([rest[0], rest[1]]);
            (purpose, rest[2..].try_into().expect("a sequence"))
        });
        // Of every kind of list: what stands before the number of a purpose, or of the list, says which.
        events
            .filter(|(topic, _)| *topic & 0x1fff <= self.highest || TOPICS.contains(topic))
            .collect()
    }
}
