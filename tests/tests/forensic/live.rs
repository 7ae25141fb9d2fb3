//! The tables of a vault, read through the store's interface, and the keys that open their rows: the
//! path that docs/format.md "Shred maps" describes, from the roots down.

use std::collections::BTreeMap;

use redb::{ReadableDatabase, ReadableTable, TableDefinition, TableHandle};

use super::cipher::{Id, Key, Place, number_of, open};
use super::form::{self, Keyset, Ring, SystemKeys};
use super::unlock::Epoch;

pub(crate) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// The rows of every table, and the keys that open them; a row that has been read is taken out.
pub(crate) struct Live {
    pub(crate) vault: Id,
    pub(crate) tables: BTreeMap<u8, Rows>,
    pub(crate) system: SystemKeys,
    pub(crate) people: BTreeMap<Id, (Key, Id)>,
    /// Tag to mark, subject, handle.
    pub(crate) index: BTreeMap<Id, (Vec<u8>, Id, Id)>,
    pub(crate) keysets: BTreeMap<Id, Keyset>,
}

pub(crate) fn read_tables(path: &std::path::Path) -> BTreeMap<u8, Rows> {
    let database = redb::Database::open(path).unwrap();
    let transaction = database.begin_read().unwrap();
    let mut tables = BTreeMap::new();
    for handle in transaction.list_tables().unwrap() {
        let number = handle.name().strip_prefix('t').unwrap().parse().unwrap();
        let table: TableDefinition<&[u8], &[u8]> = TableDefinition::new(handle.name());
        let table = transaction.open_table(table).unwrap();
        let rows = table.iter().unwrap().map(|row| {
            let (key, value) = row.unwrap();
            (key.value().to_vec(), value.value().to_vec())
        });
        tables.insert(number, rows.collect());
    }
    assert!(tables.keys().copied().eq(1..=29), "tables t01 to t29");
    tables
}

impl Live {
    pub(crate) fn new(mut tables: BTreeMap<u8, Rows>, epoch: &Epoch) -> Self {
        let vault = epoch.vault;
        let revision = epoch.epoch.to_be_bytes();
        let nodes = tables.get_mut(&2).unwrap();
        let place = Place {
            revision: &revision,
            ..Place::row(2, &[3])
        };
        let keys = nodes.remove(&[3][..]).unwrap();
        let system = form::system_keys(&open(&epoch.system(), &vault, &place, &keys).unwrap());
        let mut entries = Vec::new();
        let root = [1, 0, 0, 0, 0];
        walk(
            nodes,
            &vault,
            &root,
            &epoch.people(),
            &revision,
            64,
            &mut entries,
        );
        let part = |entry: &[u8], at: usize| -> Id { entry[at..at + 16].try_into().unwrap() };
        let person = |e: &Vec<u8>| (part(e, 0), (e[16..48].try_into().unwrap(), part(e, 48)));
        let people = entries.iter().map(person).collect();
        let mut entries = Vec::new();
        for (generation, ..) in &system.placements {
            let root = [&[2][..], &generation.to_be_bytes()].concat();
            let key = epoch.index(*generation);
            walk(nodes, &vault, &root, &key, &revision, 80, &mut entries);
        }
        let place = |e: &Vec<u8>| (part(e, 0), (e[16..48].to_vec(), part(e, 48), part(e, 64)));
        let mut live = Self {
            vault,
            tables,
            system,
            people,
            index: entries.iter().map(place).collect(),
            keysets: BTreeMap::new(),
        };
        for (subject, (kek, handle)) in live.people.clone() {
            let sealed = live.take(3, &handle);
            let text = open(&kek, &vault, &Place::row(3, &handle), &sealed).unwrap();
            let keyset = form::keyset(&text);
            assert_eq!(keyset.subject, subject);
            assert!(keyset.keys.iter().all(|dek| dek.number < keyset.next));
            live.keysets.insert(handle, keyset);
        }
        live
    }

    pub(crate) fn take(&mut self, table: u8, key: &[u8]) -> Vec<u8> {
        self.tables.get_mut(&table).unwrap().remove(key).unwrap()
    }

    /// The rows of a table, which is then read.
    pub(crate) fn rows(&mut self, table: u8) -> Rows {
        std::mem::take(self.tables.get_mut(&table).unwrap())
    }

    pub(crate) fn sealed_by_system(&self, table: u8, key: &[u8], sealed: &[u8]) -> Vec<u8> {
        self.under(&self.system.system, Place::row(table, key), sealed)
    }

    /// Opens an envelope under the key of a ring that it names.
    pub(crate) fn under(&self, ring: &Ring, place: Place<'_>, sealed: &[u8]) -> Vec<u8> {
        let number = number_of(sealed);
        let (_, key) = ring.iter().find(|(of, _)| *of == number).unwrap();
        open(key, &self.vault, &place, sealed).unwrap()
    }

    /// Opens an envelope of a person: what it holds, its compartment and period.
    pub(crate) fn personal(&self, place: Place<'_>, sealed: &[u8]) -> (Vec<u8>, (u16, u32)) {
        let keyset = &self.keysets[place.row];
        let number = number_of(sealed);
        let dek = keyset.keys.iter().find(|dek| dek.number == number).unwrap();
        let place = Place {
            compartment: dek.compartment,
            ..place
        };
        let text = open(&dek.key, &self.vault, &place, sealed).unwrap();
        (text, (dek.compartment, dek.period))
    }

    pub(crate) fn handle(&self, subject: &Id) -> Id {
        self.people[subject].1
    }
}

/// Reads a map from this node down and takes its rows out.
fn walk(
    nodes: &mut Rows,
    vault: &Id,
    row: &[u8],
    key: &Key,
    revision: &[u8],
    entry: usize,
    entries: &mut Vec<Vec<u8>>,
) {
    let place = Place {
        revision,
        ..Place::row(2, row)
    };
    let node = open(key, vault, &place, &nodes.remove(row).unwrap()).unwrap();
    if node[0] == 1 {
        for (nibble, child) in (0u8..).zip(node[1..].chunks(32)) {
            let row = [row, &[nibble]].concat();
            walk(
                nodes,
                vault,
                &row,
                child.try_into().unwrap(),
                &[],
                entry,
                entries,
            );
        }
    } else {
        assert_eq!(node[0], 2);
        let count = usize::from(node[1]);
        for entry in node[2..].chunks(entry).take(count) {
            let nibbles = entry.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            assert!(nibbles.take(row.len() - 5).eq(row[5..].iter().copied()));
            entries.push(entry.to_vec());
        }
        assert!(node[2 + count * entry..].iter().all(|byte| *byte == 0));
    }
}
