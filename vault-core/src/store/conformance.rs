//! What every store must do, for whoever writes one: run [`check`] over it in its tests.
//!
//! Panics with what was expected. Does not test durability across a crash, which needs a medium that
//! can fail: see [`super::fault`].

use std::collections::BTreeMap;

use super::{Direction, KeyRange, Row, Store, StoreError, Table};
use crate::entropy::{Entropy, SeededEntropy};

/// Steps of the random history.
const STEPS: u32 = 300;
/// Tables that the history uses: neighbours, so that what ends one could reach into the next.
const TABLES: [Table; 3] = [Table::Records, Table::RecordMeta, Table::Subjects];

type Model = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// Checks the stores that `open` opens: empty at first, and each time again with what was committed.
///
/// # Panics
///
/// If the store does not do what [`Store`] and its transactions promise.
pub fn check(open: &mut dyn FnMut() -> Box<dyn Store>) {
    let mut store = open();
    snapshots_stand_still(&*store);
    refusals_leave_nothing(&*store);
    empty_ranges_are_empty(&*store);
    clear(&*store);
    let mut model = Model::new();
    let mut random = Random(SeededEntropy::new(7));
    for step in 0..STEPS {
        random_transaction(&*store, &mut model, &mut random);
        same_as_model(&*store, &model, &mut random);
        if step % 50 == 49 {
            drop(store);
            store = open();
            same_as_model(&*store, &model, &mut random);
        }
    }
}

struct Random(SeededEntropy);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_be_bytes(bytes) % bound
    }

    fn table(&mut self) -> Table {
        TABLES[self.below(3) as usize]
    }

    /// Short keys of few different bytes, the greatest among them, so that they meet and nest.
    fn key(&mut self) -> Vec<u8> {
        let length = self.below(4) + 1;
        (0..length)
            .map(|_| [0, 1, 0xfe, 0xff][self.below(4) as usize])
            .collect()
    }

    /// Mostly short, at times longer than a page of any store.
    fn value(&mut self) -> Vec<u8> {
        let length = match self.below(12) {
            0 => 20_000,
            1 => 0,
            _ => self.below(200),
        };
        let mut value = vec![0; length as usize];
        self.0.fill(&mut value);
        value
    }

    fn range(&mut self) -> KeyRange {
        match self.below(3) {
            0 => KeyRange::all(),
            1 => KeyRange::prefix(&self.key()),
            _ => KeyRange {
                start: self.key(),
                end: Some(self.key()),
            },
        }
    }
}

fn put(store: &dyn Store, table: Table, key: &[u8], value: &[u8]) {
    let written = store.write(&mut |tx| tx.put(table, key, value));
    written.expect("a store takes rows");
}

fn clear(store: &dyn Store) {
    let cleared = store.write(&mut |tx| {
        for table in Table::ALL {
            for (key, _) in tx.range(table, &KeyRange::all(), Direction::Ascending, usize::MAX)? {
                tx.delete(table, &key)?;
            }
        }
        Ok(())
    });
    cleared.expect("a store gives rows up");
}

fn snapshots_stand_still(store: &dyn Store) {
    put(store, Table::Records, b"a", b"1");
    let before = store.snapshot().expect("a store can be read");
    put(store, Table::Records, b"a", b"2");
    put(store, Table::Records, b"b", b"3");
    let old = before.get(Table::Records, b"a").expect("readable");
    assert_eq!(
        old.as_deref(),
        Some(&b"1"[..]),
        "a snapshot saw a later value"
    );
    let all = KeyRange::all();
    let rows = before.range(Table::Records, &all, Direction::Ascending, 9);
    assert_eq!(
        rows.expect("readable").len(),
        1,
        "a snapshot saw a later row"
    );
    let after = store.snapshot().expect("a store can be read");
    let new = after.get(Table::Records, b"a").expect("readable");
    assert_eq!(
        new.as_deref(),
        Some(&b"2"[..]),
        "a commit is not seen after it"
    );
}

fn refusals_leave_nothing(store: &dyn Store) {
    let refused = store.write(&mut |tx| {
        tx.put(Table::Subjects, b"x", b"y")?;
        let own = tx.get(Table::Subjects, b"x")?;
        assert_eq!(
            own.as_deref(),
            Some(&b"y"[..]),
            "a writer sees its own change"
        );
        Err(StoreError::NotFound)
    });
    assert!(
        matches!(refused, Err(StoreError::NotFound)),
        "the closure's own error comes back"
    );
    let snapshot = store.snapshot().expect("a store can be read");
    let left = snapshot.get(Table::Subjects, b"x").expect("readable");
    assert_eq!(left, None, "a refused change is there");
    put(store, Table::Subjects, b"x", b"z");
    let deleted = store.write(&mut |tx| {
        tx.delete(Table::Subjects, b"never there")?;
        tx.delete(Table::Subjects, b"x")?;
        assert_eq!(tx.get(Table::Subjects, b"x")?, None);
        Ok(())
    });
    deleted.expect("deleting what is not there succeeds");
}

fn empty_ranges_are_empty(store: &dyn Store) {
    put(store, Table::Records, b"m", b"1");
    let snapshot = store.snapshot().expect("a store can be read");
    let backwards = KeyRange {
        start: b"z".to_vec(),
        end: Some(b"a".to_vec()),
    };
    for (range, limit) in [(backwards, 9), (KeyRange::all(), 0)] {
        for direction in [Direction::Ascending, Direction::Descending] {
            let rows = snapshot.range(Table::Records, &range, direction, limit);
            assert_eq!(rows.expect("an empty range is no error"), Vec::<Row>::new());
        }
    }
}

fn random_transaction(store: &dyn Store, model: &mut Model, random: &mut Random) {
    let changes: Vec<(Table, Vec<u8>, Option<Vec<u8>>)> = (0..=random.below(6))
        .map(|_| {
            let value = (random.below(3) > 0).then(|| random.value());
            (random.table(), random.key(), value)
        })
        .collect();
    let refused = random.below(5) == 0;
    let outcome = store.write(&mut |tx| {
        for (table, key, value) in &changes {
            match value {
                Some(value) => tx.put(*table, key, value)?,
                None => tx.delete(*table, key)?,
            }
        }
        if refused {
            Err(StoreError::Aborted)
        } else {
            Ok(())
        }
    });
    assert_eq!(outcome.is_err(), refused, "a transaction ended unasked");
    if refused {
        return;
    }
    for (table, key, value) in changes {
        match value {
            Some(value) => model.insert((table, key), value),
            None => model.remove(&(table, key)),
        };
    }
}

fn same_as_model(store: &dyn Store, model: &Model, random: &mut Random) {
    let snapshot = store.snapshot().expect("a store can be read");
    for table in TABLES {
        let (range, limit) = (random.range(), random.below(8) as usize);
        let rows = model
            .iter()
            .filter(|((of, key), _)| *of == table && range.contains(key) && !range.is_empty());
        let rows: Vec<Row> = rows
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect();
        let found = |direction| {
            let rows = snapshot.range(table, &range, direction, limit);
            let rows = rows.expect("readable");
            let keys = snapshot.keys(table, &range, direction, limit);
            let same = rows.iter().map(|(key, _)| key).eq(&keys.expect("readable"));
            assert!(same, "the keys are those of the rows");
            rows
        };
        let first: Vec<Row> = rows.iter().take(limit).cloned().collect();
        assert_eq!(found(Direction::Ascending), first);
        let last: Vec<Row> = rows.iter().rev().take(limit).cloned().collect();
        assert_eq!(found(Direction::Descending), last);
        let key = random.key();
        let value = snapshot.get(table, &key).expect("readable");
        assert_eq!(value.as_ref(), model.get(&(table, key)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fault::FaultBackend;
    use crate::store::{MemoryDisk, MemoryStore, Overlay, ReadTx, RedbStore, WriteTx};

    #[test]
    fn memory_conforms() {
        let store = std::sync::Arc::new(MemoryStore::default());
        check(&mut || Box::new(Shared(store.clone())));
    }

    #[test]
    fn redb_conforms() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        drop(RedbStore::create(&path, 1 << 20).unwrap());
        check(&mut || Box::new(RedbStore::open(&path, 1 << 20, true).unwrap()));
    }

    #[test]
    fn redb_conforms_over_the_backend_that_can_fail() {
        let disk = MemoryDisk::default();
        check(&mut || {
            let (backend, _) = FaultBackend::new(disk.open()).unwrap();
            Box::new(RedbStore::with_backend(backend, false).unwrap())
        });
    }

    #[test]
    fn an_overlay_over_each_conforms() {
        let store = std::sync::Arc::new(MemoryStore::default());
        check(&mut || Box::new(ThroughOverlay(Shared(store.clone()))));
    }

    /// The nearest violation: a store whose refusals leave their changes behind is found out.
    #[test]
    #[should_panic(expected = "a refused change is there")]
    fn a_store_that_keeps_refused_changes_is_found_out() {
        let store = std::sync::Arc::new(MemoryStore::default());
        check(&mut || Box::new(Careless(Shared(store.clone()))));
    }

    /// A memory store that outlives its handle, as a file does.
    struct Shared(std::sync::Arc<MemoryStore>);

    type Closure<'f> = &'f mut dyn FnMut(&mut dyn WriteTx) -> Result<(), StoreError>;

    impl Store for Shared {
        fn snapshot(&self) -> Result<Box<dyn ReadTx + Send>, StoreError> {
            self.0.snapshot()
        }

        fn write(&self, f: Closure<'_>) -> Result<(), StoreError> {
            self.0.write(f)
        }
    }

    /// Every write goes through an overlay whose changes are then applied, as the writer does it.
    struct ThroughOverlay(Shared);

    impl Store for ThroughOverlay {
        fn snapshot(&self) -> Result<Box<dyn ReadTx + Send>, StoreError> {
            self.0.snapshot()
        }

        fn write(&self, f: Closure<'_>) -> Result<(), StoreError> {
            let base = self.0.snapshot()?;
            let mut overlay = Overlay::new(&*base);
            f(&mut overlay)?;
            let changes = overlay.into_changes();
            self.0.write(&mut |tx| changes.apply(tx))
        }
    }

    struct Careless(Shared);

    impl Store for Careless {
        fn snapshot(&self) -> Result<Box<dyn ReadTx + Send>, StoreError> {
            self.0.snapshot()
        }

        fn write(&self, f: Closure<'_>) -> Result<(), StoreError> {
            let mut verdict = Ok(());
            self.0.write(&mut |tx| {
                verdict = f(tx);
                Ok(())
            })?;
            verdict
        }
    }
}
