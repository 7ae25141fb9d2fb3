//! Ciphertexts put in each other's place.

use std::path::Path;
use std::sync::Mutex;

use vault_core::crypto::{Location, Secret, seal, unseal};
use vault_core::entropy::SeededEntropy;
use vault_core::id::VaultId;
use vault_core::store::{Direction, KeyRange, RedbStore, Store, Table};

use super::read::Seen;
use super::scene::{Files, Scene};
use super::{Random, all, in_parallel};

type Place = (Table, Vec<u8>);

fn store(home: &Path) -> RedbStore {
    RedbStore::open(&home.join("v/vault.redb"), 1 << 20, false).unwrap()
}

fn rows(home: &Path) -> Vec<(Place, Vec<u8>)> {
    let store = store(home);
    let snapshot = store.snapshot().unwrap();
    let all = KeyRange::all();
    let tables = Table::ALL.into_iter();
    let rows = tables.flat_map(|table| {
        let rows = snapshot
            .range(table, &all, Direction::Ascending, usize::MAX)
            .unwrap();
        rows.into_iter()
            .map(move |(key, value)| ((table, key), value))
    });
    rows.collect()
}

fn put(home: &Path, changes: &[(&Place, &[u8])]) {
    let store = store(home);
    let written = store.write(&mut |tx| {
        changes
            .iter()
            .try_for_each(|((table, key), value)| tx.put(*table, key, value))
    });
    written.unwrap();
    store.close().unwrap();
}

/// Puts each of these pairs in each other's place in a vault of its own: nothing opens there, so
/// what is read is damage or what was there.
fn swap_all(scene: &Scene, pairs: &[(usize, usize)], rows: &[(Place, Vec<u8>)]) -> usize {
    let homes: Vec<tempfile::TempDir> = (0..64).map(|_| tempfile::tempdir().unwrap()).collect();
    scene.closed.put(homes[0].path());
    let reference = scene.see(homes[0].path());
    assert!(matches!(reference, Seen::All(_)), "{reference:?}");
    let (damaged, wrong) = (Mutex::new(0), Mutex::new(Vec::new()));
    in_parallel(pairs, |worker, (one, other)| {
        let home = homes[worker % homes.len()].path();
        scene.closed.put(home);
        let ((first, a), (second, b)) = (&rows[*one], &rows[*other]);
        put(home, &[(first, b), (second, a)]);
        match std::panic::catch_unwind(|| scene.see(home)) {
            Ok(Seen::Damage(_)) => *damaged.lock().unwrap() += 1,
            Ok(seen) if seen == reference => {
                // Rows that are in clear, or that only the sweeper looks at.
                let known = [Table::Dirty, Table::Uploads];
                if !known.contains(&first.0) || !known.contains(&second.0) {
                    let what = format!("{:?} {:?}: nobody noticed", first.0, second.0);
                    wrong.lock().unwrap().push(what);
                }
            }
            other => {
                let other = format!("{other:?}").chars().take(300).collect::<String>();
                wrong
                    .lock()
                    .unwrap()
                    .push(format!("{:?} {:?}: {other}", first.0, second.0));
            }
        }
    });
    let (damaged, mut wrong) = (damaged.into_inner().unwrap(), wrong.into_inner().unwrap());
    wrong.sort();
    println!(
        "{} pairs of {} rows, {damaged} reported, {} not",
        pairs.len(),
        rows.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(40)]);
    damaged
}

#[test]
fn no_two_rows_in_each_others_place_are_read_as_something_else() {
    let home = tempfile::tempdir().unwrap();
    let scene = Scene::new(home.path());
    scene.closed.put(home.path());
    let rows = rows(home.path());
    let every = (0..rows.len()).flat_map(|one| (0..one).map(move |other| (one, other)));
    let mut pairs: Vec<(usize, usize)> = every
        .filter(|(one, other)| rows[*one].1 != rows[*other].1)
        .collect();
    let mut random = Random::new("swap");
    if !all() {
        // Of the same table first: there a row fits best.
        let (mut near, mut far): (Vec<_>, Vec<_>) = pairs
            .into_iter()
            .partition(|(one, other)| rows[*one].0.0 == rows[*other].0.0);
        for (pairs, count) in [(&mut near, 50), (&mut far, 20)] {
            for at in 0..count.min(pairs.len()) {
                let other = at + random.below(pairs.len() - at);
                pairs.swap(at, other);
            }
            pairs.truncate(count);
        }
        near.extend(far);
        pairs = near;
    }
    assert!(swap_all(&scene, &pairs, &rows) > pairs.len() / 2);
}

#[test]
fn the_parts_of_another_vault_or_of_an_epoch_that_is_over_open_nothing() {
    let (home, other_home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (scene, other) = (Scene::new(home.path()), Scene::new(other_home.path()));
    let (ours, theirs, before) = (&scene.closed, &other.closed, &scene.before);
    let with = |change: &dyn Fn(&mut Files)| {
        let mut files = ours.clone();
        change(&mut files);
        files.put(home.path());
        scene.see(home.path())
    };
    assert!(matches!(with(&|_| {}), Seen::All(_)), "the control");
    let refused = |seen: Seen| match seen {
        Seen::Damage(_) => {}
        Seen::Other(what) => assert!(what.contains("NoSlotMatches"), "{what}"),
        Seen::All(all) => panic!("{all}"),
    };
    refused(with(&|files| files.anchor = theirs.anchor.clone()));
    refused(with(&|files| files.slots = theirs.slots.clone()));
    refused(with(&|files| files.database = theirs.database.clone()));
    refused(with(&|files| {
        (files.slots, files.anchor) = (theirs.slots.clone(), theirs.anchor.clone())
    }));
    refused(with(&|files| {
        (files.slots, files.database) = (theirs.slots.clone(), theirs.database.clone())
    }));
    refused(with(&|files| files.anchor = before.anchor.clone()));
    refused(with(&|files| files.database = before.database.clone()));
    // Pages of the anchor, each alone: the two secrets, the two checkpoints.
    for page in [64 << 10, 576 << 10, 256 << 10, 768 << 10] {
        for from in [&theirs.anchor, &before.anchor] {
            let seen = with(&|files| {
                files.anchor[page..page + 4096].copy_from_slice(&from[page..page + 4096])
            });
            match seen {
                Seen::Damage(_) => {}
                seen => assert_eq!(seen, with(&|_| {}), "page {page}"),
            }
        }
    }
    // Both together, but for the ledger of erasures: it names what they lack.
    let mut without_ledger = before.clone();
    without_ledger.ledger = ours.ledger.clone();
    without_ledger.put(home.path());
    refused(scene.see(home.path()));
    // All together are the vault as it was: docs/threat-model.md says so.
    before.put(home.path());
    assert!(scene.open(home.path()).is_ok());
}

#[test]
fn a_row_of_another_vault_is_not_read() {
    let (home, other_home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (scene, other) = (Scene::new(home.path()), Scene::new(other_home.path()));
    scene.closed.put(home.path());
    other.closed.put(other_home.path());
    let (ours, theirs) = (rows(home.path()), rows(other_home.path()));
    let reference = scene.see(home.path());
    let mut tried = 0;
    for (place, own) in ours
        .iter()
        .filter(|(place, _)| !matches!(place.0, Table::Dirty | Table::Uploads))
    {
        // What is in clear may be the same: numbers of entries, the epoch.
        let same = theirs
            .iter()
            .filter(|(other, value)| other.0 == place.0 && value != own);
        for (_, value) in same.step_by(if all() { 1 } else { 61 }) {
            scene.closed.put(home.path());
            put(home.path(), &[(place, value)]);
            match scene.see(home.path()) {
                Seen::Damage(_) => tried += 1,
                Seen::All(all) => assert!(
                    place.0 == Table::System && Seen::All(all) == reference,
                    "{:?}",
                    place.0
                ),
                Seen::Other(what) => panic!("{:?}: {what}", place.0),
            }
        }
    }
    println!("{tried} rows of another vault, each reported");
    assert!(tried > ours.len() / 2);
}

/// The control: what the threat model names, an envelope put back with its metadata row, is read.
#[test]
fn an_older_envelope_with_its_metadata_row_is_read_and_alone_is_not() {
    let home = tempfile::tempdir().unwrap();
    let scene = Scene::new(home.path());
    scene.closed.put(home.path());
    let old = rows(home.path());
    let reference = scene.see(home.path());
    scene.rename_first(home.path());
    let new = Files::of(home.path());
    let place = |table: Table| {
        let now = rows(home.path());
        let mut changed = old.iter().filter(|(place, value)| {
            place.0 == table
                && now
                    .iter()
                    .any(|(same, other)| same == place && other != value)
        });
        changed.next().cloned().expect("it was changed")
    };
    let (values, meta) = (place(Table::Records), place(Table::RecordMeta));
    let changed = scene.see(home.path());
    assert_ne!(changed, reference);
    for one in [&values, &meta] {
        new.put(home.path());
        put(home.path(), &[(&one.0, &one.1)]);
        assert!(matches!(scene.see(home.path()), Seen::Damage(_)));
    }
    new.put(home.path());
    put(home.path(), &[(&values.0, &values.1), (&meta.0, &meta.1)]);
    let seen = scene.see(home.path());
    assert!(
        matches!(seen, Seen::All(_)) && seen != changed,
        "the harness sees another value"
    );
}

/// The control: sealed without a place, every ciphertext opens at every other's.
#[test]
fn without_a_place_in_the_associated_data_a_swap_opens() {
    let key = Secret::<32>::generate(&mut SeededEntropy::new(1));
    let vault = VaultId::from_bytes([1; 16]);
    let places: Vec<[u8; 2]> = (0..8u8).map(|number| [number, 7]).collect();
    let own = |at: usize| Location::row(vault, u8::try_from(at).expect("few"), &places[at]);
    let none = |_: usize| Location::row(vault, 4, b"");
    let opens = |one: Location<'_>, other: Location<'_>| {
        let sealed = seal(&key, 1, &one, b"value").expect("short");
        unseal(&key, &other, &sealed).is_ok()
    };
    for one in 0..places.len() {
        for other in (0..places.len()).filter(|other| *other != one) {
            assert!(!opens(own(one), own(other)), "{one} {other}");
            assert!(opens(none(one), none(other)), "{one} {other}");
        }
    }
}
