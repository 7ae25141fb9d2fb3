//! The map against a model, and against somebody who keeps every row ever written.

use std::collections::BTreeMap;

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;
use crate::entropy::SeededEntropy;
use crate::store::{MemoryStore, Store};

const VAULT: VaultId = VaultId::from_bytes([1; 16]);
const MAP: ShredMap<48> = ShredMap::new(VAULT, 1, 0);

struct Bench {
    store: MemoryStore,
    entropy: SeededEntropy,
    roots: Vec<RootKey>,
    /// Every value that any row ever had: what a disk keeps.
    seen: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            store: MemoryStore::new(),
            entropy: SeededEntropy::new(1),
            roots: Vec::new(),
            seen: Vec::new(),
        };
        let root = bench.fresh_root();
        write(&bench.store, |tx| MAP.create(tx, &root)).unwrap();
        bench.roots.push(root);
        bench.keep();
        bench
    }

    fn fresh_root(&mut self) -> RootKey {
        RootKey {
            epoch: self.roots.len() as u64 + 1,
            key: Secret::generate(&mut self.entropy),
        }
    }

    fn apply(&mut self, plan: &Plan<48>) -> Result<(), ShredError> {
        let next = plan.shreds().then(|| self.fresh_root());
        let root = self.roots.last().unwrap();
        let entropy = &mut self.entropy;
        write(&self.store, |tx| {
            MAP.apply(tx, root, next.as_ref(), plan, entropy)
        })?;
        self.roots.extend(next);
        self.keep();
        Ok(())
    }

    fn keep(&mut self) {
        let tx = self.store.snapshot().unwrap();
        let rows = tx.range(
            Table::Nodes,
            &KeyRange::all(),
            Direction::Ascending,
            usize::MAX,
        );
        for row in rows.unwrap() {
            if !self.seen.contains(&row) {
                self.seen.push(row);
            }
        }
    }

    fn get(&self, tag: &Tag) -> Option<[u8; 48]> {
        let tx = self.store.snapshot().unwrap();
        let found = MAP.get(&*tx, self.roots.last().unwrap(), tag).unwrap();
        found.map(|payload| *payload)
    }

    /// Every payload that the rows ever written yield to a holder of `root` alone.
    fn forensic(&self, root: &RootKey) -> Vec<[u8; 48]> {
        let mut keys = vec![(root.key.duplicate(), Some(root.epoch))];
        let (mut payloads, mut index) = (Vec::new(), 0);
        while index < keys.len() {
            let (key, epoch) = (keys[index].0.duplicate(), keys[index].1);
            index += 1;
            for (row, sealed) in &self.seen {
                match Node::<48>::unseal(VAULT, row, epoch, &key, sealed) {
                    Some(Node::Inner(found)) => {
                        for key in found.iter() {
                            if !keys.iter().any(|(known, _)| known == key) {
                                keys.push((key.duplicate(), None));
                            }
                        }
                    }
                    Some(Node::Leaf(entries)) => payloads.extend(entries.iter().map(|e| *e.1)),
                    None => {}
                }
            }
        }
        payloads
    }
}

fn write<T>(
    store: &MemoryStore,
    mut f: impl FnMut(&mut dyn WriteTx) -> Result<T, ShredError>,
) -> Result<T, ShredError> {
    let mut outcome = None;
    let result = store.write(&mut |tx| match f(tx) {
        Ok(value) => {
            outcome = Some(Ok(value));
            Ok(())
        }
        Err(error) => {
            outcome = Some(Err(error));
            Err(StoreError::Aborted)
        }
    });
    outcome.unwrap_or_else(|| Err(result.unwrap_err().into()))
}

fn tag(seed: u64) -> Tag {
    let mut tag = [0; 16];
    SeededEntropy::new(seed).fill(&mut tag);
    tag
}

fn payload(seed: u64) -> [u8; 48] {
    let mut payload = [0; 48];
    SeededEntropy::new(seed ^ 0xffff).fill(&mut payload);
    payload
}

fn insert(seeds: impl IntoIterator<Item = u64>) -> Plan<48> {
    let mut plan = Plan::default();
    for seed in seeds {
        plan.insert(tag(seed), Zeroizing::new(payload(seed)));
    }
    plan
}

fn shred(seeds: impl IntoIterator<Item = u64>) -> Plan<48> {
    let mut plan = Plan::default();
    for seed in seeds {
        plan.shred(tag(seed));
    }
    plan
}

#[test]
fn a_shredded_entry_opens_in_no_row_ever_written_and_its_neighbours_stay() {
    let mut bench = Bench::new();
    bench.apply(&insert(0..300)).unwrap();
    let before = bench.roots.last().unwrap();
    let control = RootKey {
        epoch: before.epoch,
        key: before.key.duplicate(),
    };
    bench.apply(&shred([7, 8, 150])).unwrap();
    bench.apply(&insert(300..400)).unwrap();
    for seed in 0..400 {
        let expected = (![7, 8, 150].contains(&seed)).then(|| payload(seed));
        assert_eq!(bench.get(&tag(seed)), expected);
    }
    let now = bench.forensic(bench.roots.last().unwrap());
    let old = bench.forensic(&control);
    for gone in [7, 8, 150] {
        assert!(!now.contains(&payload(gone)));
        assert!(
            old.contains(&payload(gone)),
            "the control: the old root key finds it"
        );
    }
    assert!(now.contains(&payload(9)));
}

#[test]
fn a_key_replaced_in_one_pass_leaves_no_trace_of_the_old() {
    let mut bench = Bench::new();
    bench.apply(&insert(0..100)).unwrap();
    let mut plan = shred([5]);
    plan.insert(tag(5), Zeroizing::new(payload(1000)));
    bench.apply(&plan).unwrap();
    assert_eq!(bench.get(&tag(5)), Some(payload(1000)));
    assert!(
        !bench
            .forensic(bench.roots.last().unwrap())
            .contains(&payload(5))
    );
}

#[test]
fn a_tag_that_is_there_is_not_inserted_again() {
    let mut bench = Bench::new();
    bench.apply(&insert([1])).unwrap();
    assert!(matches!(bench.apply(&insert([1])), Err(ShredError::Exists)));
    let mut plan = Plan::keeping_present();
    plan.insert(tag(1), Zeroizing::new(payload(9)));
    plan.insert(tag(2), Zeroizing::new(payload(2)));
    bench.apply(&plan).unwrap();
    assert_eq!(bench.get(&tag(1)), Some(payload(1)));
    assert_eq!(bench.get(&tag(2)), Some(payload(2)));
}

#[test]
#[should_panic(expected = "a deletion holds only with a new anchor secret")]
fn a_shred_without_a_new_root_stops() {
    let mut bench = Bench::new();
    let root = bench.roots.pop().unwrap();
    let _ = write(&bench.store, |tx| {
        MAP.apply(tx, &root, None, &shred([1]), &mut bench.entropy)
    });
}

#[test]
fn the_walk_meets_every_entry_once_in_slices() {
    let mut bench = Bench::new();
    bench.apply(&insert(0..500)).unwrap();
    let tx = bench.store.snapshot().unwrap();
    let (mut from, mut seen, mut slices) = (Some([0; 16]), Vec::new(), 0);
    while let Some(start) = from {
        let (entries, next) = MAP.walk(&*tx, &bench.roots[0], start, 3).unwrap();
        seen.extend(entries.into_iter().map(|(tag, _)| tag));
        (from, slices) = (next, slices + 1);
    }
    let mut all: Vec<Tag> = (0..500).map(tag).collect();
    all.sort_unstable();
    assert_eq!(seen, all);
    assert!(slices > 5);
}

#[test]
fn nodes_exchanged_do_not_open() {
    let mut bench = Bench::new();
    bench.apply(&insert(0..200)).unwrap();
    let rows: Vec<_> = bench
        .seen
        .iter()
        .filter(|(key, _)| key.len() == 6)
        .cloned()
        .collect();
    write(&bench.store, |tx| {
        tx.put(Table::Nodes, &rows[0].0, &rows[1].1)?;
        tx.put(Table::Nodes, &rows[1].0, &rows[0].1)?;
        Ok(())
    })
    .unwrap();
    let tx = bench.store.snapshot().unwrap();
    let result = MAP.walk(&*tx, &bench.roots[0], [0; 16], 100);
    assert!(matches!(result, Err(ShredError::Damaged)));
}

#[test]
fn a_leaf_tells_its_entries_only_to_the_next_power_of_two() {
    let size = |count: u64| {
        let entries = (0..count)
            .map(|n| (tag(n), Zeroizing::new(payload(n))))
            .collect();
        let key = Secret::take(&mut [1; 32]);
        Node::<48>::Leaf(entries)
            .seal(VAULT, b"x", None, &key)
            .len()
    };
    assert_eq!(size(0), size(8));
    assert_eq!(size(9), size(16));
    assert_eq!(size(33), size(64));
    assert!(size(8) < size(9));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn histories_agree_with_a_plain_map(
        steps in prop::collection::vec((prop::collection::vec(0u64..150, 0..40), any::<bool>()), 1..12)
    ) {
        let mut bench = Bench::new();
        let mut model: BTreeMap<u64, [u8; 48]> = BTreeMap::new();
        for (seeds, removes) in steps {
            let mut plan = Plan::default();
            for seed in seeds {
                if removes {
                    plan.shred(tag(seed));
                    model.remove(&seed);
                } else if model.insert(seed, payload(seed)).is_none() {
                    plan.insert(tag(seed), Zeroizing::new(payload(seed)));
                }
            }
            bench.apply(&plan).unwrap();
        }
        for seed in 0..150 {
            prop_assert_eq!(bench.get(&tag(seed)), model.get(&seed).copied());
        }
    }
}

/// Entries in memory.
struct Given(BTreeMap<Tag, [u8; 48]>);

impl Source<48> for Given {
    fn count(&self, part: u8) -> usize {
        self.0.keys().filter(|tag| tag[0] == part).count()
    }

    fn take(&mut self, part: u8) -> Result<Entries<48>, ShredError> {
        let of = self.0.iter().filter(|(tag, _)| tag[0] == part);
        Ok(of
            .map(|(tag, payload)| (*tag, Zeroizing::new(*payload)))
            .collect())
    }
}

impl Bench {
    /// A bench whose map was written whole.
    fn built(entries: &BTreeMap<Tag, [u8; 48]>) -> Self {
        let mut bench = Self::new();
        let mut rows = Vec::new();
        let (root, entropy) = (&bench.roots[0], &mut bench.entropy);
        let mut given = Given(entries.clone());
        MAP.build(root, &mut given, entropy, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            Ok(())
        })
        .unwrap();
        assert!(rows.is_sorted_by(|(one, _), (next, _)| one < next));
        write(&bench.store, |tx| {
            rows.iter()
                .try_for_each(|(key, value)| Ok(tx.put(Table::Nodes, key, value)?))
        })
        .unwrap();
        bench.keep();
        bench
    }

    fn places(&self) -> Vec<Vec<u8>> {
        let tx = self.store.snapshot().unwrap();
        let keys = tx.keys(
            Table::Nodes,
            &KeyRange::all(),
            Direction::Ascending,
            usize::MAX,
        );
        keys.unwrap()
    }

    fn all(&self) -> BTreeMap<Tag, [u8; 48]> {
        let tx = self.store.snapshot().unwrap();
        let (entries, next) = MAP
            .walk(&*tx, self.roots.last().unwrap(), [0; 16], usize::MAX)
            .unwrap();
        assert!(next.is_none());
        entries
            .into_iter()
            .map(|(tag, payload)| (tag, *payload))
            .collect()
    }
}

fn drawn(count: usize) -> BTreeMap<Tag, [u8; 48]> {
    let mut entropy = SeededEntropy::new(count as u64);
    let mut entries = BTreeMap::new();
    for _ in 0..count {
        let (mut tag, mut payload) = ([0; 16], [0; 48]);
        entropy.fill(&mut tag);
        entropy.fill(&mut payload);
        entries.insert(tag, payload);
    }
    entries
}

#[test]
fn a_map_that_is_written_whole_is_the_tree_that_insertions_make() {
    for count in [0, 1, 64, 65, 700, 1_025, 20_000] {
        let entries = drawn(count);
        let mut inserted = Bench::new();
        let mut plan = Plan::default();
        for (tag, payload) in &entries {
            plan.insert(*tag, Zeroizing::new(*payload));
        }
        inserted.apply(&plan).unwrap();
        let built = Bench::built(&entries);
        assert_eq!(built.places(), inserted.places(), "{count}");
        assert_eq!(built.all(), entries, "{count}");
    }
}

#[test]
fn what_is_shredded_from_a_map_that_was_written_whole_opens_with_no_key_that_is_left() {
    let entries = drawn(700);
    let mut bench = Bench::built(&entries);
    let gone: Vec<Tag> = entries.keys().step_by(7).copied().collect();
    let mut plan = Plan::default();
    gone.iter().for_each(|tag| plan.shred(*tag));
    // The control: before it, everybody is found.
    let found = bench.forensic(bench.roots.last().unwrap());
    assert!(gone.iter().all(|tag| found.contains(&entries[tag])));
    bench.apply(&plan).unwrap();
    let found = bench.forensic(bench.roots.last().unwrap());
    assert!(gone.iter().all(|tag| !found.contains(&entries[tag])));
    assert_eq!(bench.all().len(), entries.len() - gone.len());
}

#[test]
fn more_entries_in_one_place_than_uniform_tags_have_are_damage() {
    let mut entries = BTreeMap::new();
    for number in 0..=LEAF_ENTRIES_MAX {
        let mut tag = [7; 16];
        tag[15] = u8::try_from(number).unwrap();
        entries.insert(tag, [0; 48]);
    }
    let root = Bench::new().fresh_root();
    let mut given = Given(entries);
    let built = MAP.build(
        &root,
        &mut given,
        &mut SeededEntropy::new(1),
        &mut |_, _| Ok(()),
    );
    assert!(matches!(built, Err(ShredError::Damaged)));
}

/// What would be lost: the erasure of somebody whose key is read out of memory that was given back, which a
/// core or the next page that is swapped out has.
#[test]
fn a_map_that_is_read_and_changed_leaves_no_payload_in_memory_that_was_given_back() {
    const COUNT: u32 = 3_000;
    const RESIDUE: residue::Residue = residue::Residue(*b"\x9b~\x03Q\xe1k\x17H");
    let mut bench = Bench::new();
    let mut tags: Vec<Tag> = (0..COUNT)
        .map(|number| tag(u64::from(number) + 1_000_000))
        .collect();
    tags.sort_unstable();
    /// Makes them when they are asked for.
    struct Made<'t>(&'t [Tag]);
    impl Source<48> for Made<'_> {
        fn count(&self, part: u8) -> usize {
            self.0.iter().filter(|tag| tag[0] == part).count()
        }
        fn take(&mut self, part: u8) -> Result<Entries<48>, ShredError> {
            let mut entries = Entries::with_capacity(self.count(part));
            let of = (0..).zip(self.0).filter(|(_, tag)| tag[0] == part);
            entries.extend(of.map(|(number, tag)| (*tag, RESIDUE.payload(number))));
            Ok(entries)
        }
    }
    let mut rows = Vec::new();
    let root = &bench.roots[0];
    MAP.build(
        root,
        &mut Made(&tags),
        &mut bench.entropy,
        &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            Ok(())
        },
    )
    .unwrap();
    write(&bench.store, |tx| {
        rows.iter()
            .try_for_each(|(key, value)| Ok(tx.put(Table::Nodes, key, value)?))
    })
    .unwrap();
    let walked = |bench: &Bench| {
        let tx = bench.store.snapshot().unwrap();
        let walked = MAP.walk(&*tx, bench.roots.last().unwrap(), [0; 16], usize::MAX);
        walked.unwrap().0
    };
    let all = walked(&bench);
    assert_eq!(all.len(), tags.len());
    assert_eq!(RESIDUE.count(COUNT), tags.len(), "the control");
    drop(all);
    for tag in &tags {
        assert!(bench.get(tag).is_some());
    }
    // Every leaf is rewritten without some, and then with so many more that it is split.
    let mut plan = Plan::default();
    tags.iter().step_by(9).for_each(|tag| plan.shred(*tag));
    bench.apply(&plan).unwrap();
    let mut plan = Plan::default();
    for number in 0..20_000 {
        plan.insert(tag(number), Zeroizing::new([0; 48]));
    }
    bench.apply(&plan).unwrap();
    assert!(walked(&bench).len() > 20_000);
    // What a stack still has is no more than it was at work with last.
    let left = RESIDUE.count(COUNT);
    assert!(left <= 8, "{left}");
}

/// A transaction that copies no node for its key.
struct KeysOnly<'a>(&'a mut dyn WriteTx);

impl ReadTx for KeysOnly<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(table, key)
    }

    fn range(
        &self,
        _: Table,
        _: &KeyRange,
        _: Direction,
        _: usize,
    ) -> Result<Vec<crate::store::Row>, StoreError> {
        panic!("rows were copied");
    }

    fn keys(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        self.0.keys(table, range, direction, limit)
    }
}

impl WriteTx for KeysOnly<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.0.put(table, key, value)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.0.delete(table, key)
    }
}

/// What would be lost: memory of the size of a whole index, at the commit that ends it.
#[test]
fn the_rows_of_a_map_go_by_their_keys_and_another_maps_stay() {
    let mut bench = Bench::new();
    let other = ShredMap::<48>::new(VAULT, 2, 0);
    let root = bench.fresh_root();
    write(&bench.store, |tx| other.create(tx, &root)).unwrap();
    write(&bench.store, |tx| MAP.drop_rows(&mut KeysOnly(tx))).unwrap();
    let tx = bench.store.snapshot().unwrap();
    let all = (KeyRange::all(), Direction::Ascending, usize::MAX);
    let left = tx.keys(Table::Nodes, &all.0, all.1, all.2).unwrap();
    assert_eq!(left, [other.row_key(&[])]);
}
