//! Bytes changed, one at a time.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use vault_core::medium::{FileMedium, Medium};
use vault_core::store::{Direction, KeyRange, MemoryDisk, RedbStore, Store, StoreError, Table};
use vault_core::vault::UnlockSecret;

use super::read::Seen;
use super::scene::{Files, Name, Scene};
use super::{Random, all, in_parallel};

/// What one try may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
const PAGE: usize = 4096;
/// The bit of the store's header that says which of its two commit slots is the last (redb 4.6, docs/design.md, "god
/// byte"). Changed in the file of a process that was killed, it names the commit before: an older database, whole, which
/// nothing in the file tells from the newest. What that takes back is found out by the anchor, the ledger's file and kept checkpoints
/// (docs/threat-model.md), and not here.
const LAST_COMMIT: Flip = (9, 1);

type Rows = Vec<(Table, Vec<u8>, Vec<u8>)>;

fn rows_of(store: &dyn Store) -> Result<Rows, StoreError> {
    let snapshot = store.snapshot()?;
    let mut rows = Rows::new();
    for table in Table::ALL {
        for (key, value) in
            snapshot.range(table, &KeyRange::all(), Direction::Ascending, usize::MAX)?
        {
            // What is found by walking is found by asking for it.
            if snapshot.get(table, &key)?.as_ref() != Some(&value) {
                return Err(StoreError::Corrupt);
            }
            rows.push((table, key, value));
        }
    }
    Ok(rows)
}

/// The rows of a database in memory, opened as the vault opens it.
fn rows(database: Vec<u8>) -> Result<Rows, StoreError> {
    let store = RedbStore::with_backend(MemoryDisk::from_bytes(database).open(), true)?;
    rows_of(&store)
}

/// Where a byte is changed, and which bits of it.
type Flip = (usize, u8);

fn flips(length: usize, random: &mut Random, stride: usize) -> Vec<Flip> {
    if all() {
        let bits = (0..PAGE).flat_map(|at| (0..8).map(move |bit| (at, 1 << bit)));
        let bytes = (0..length).map(|at| (at, 1 + (at * 7 % 255) as u8));
        return bits.chain(bytes).collect();
    }
    // The header of the file whole, and something of every stretch behind it.
    let header = (0..512).map(|at| (at, 1u8 << (at % 8)));
    let mut flips: Vec<Flip> = header.collect();
    for start in (512..length).step_by(stride) {
        flips.push((
            start + random.below(stride.min(length - start)),
            1 + random.below(255) as u8,
        ));
    }
    flips
}

#[test]
fn a_changed_byte_of_the_database_is_reported_or_changes_no_row() {
    let home = tempfile::tempdir().unwrap();
    let scene = Scene::new(home.path());
    let mut random = Random::new("database");
    for (name, files) in [("closed", &scene.closed), ("killed", &scene.killed)] {
        let reference = rows(files.database.clone()).expect("it is whole");
        assert!(reference.len() > 80, "there is something in it");
        let flips = flips(files.database.len(), &mut random, 700);
        let (damaged, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        in_parallel(&flips, |_, (at, bits)| {
            let mut changed = files.database.clone();
            changed[*at] ^= bits;
            let started = Instant::now();
            let outcome = std::panic::catch_unwind(|| rows(changed));
            let slow = started.elapsed() > PATIENCE;
            match outcome {
                Ok(Err(StoreError::Corrupt)) => drop(damaged.fetch_add(1, Ordering::Relaxed)),
                Ok(Ok(rows)) if rows == reference && !slow => {}
                Ok(Ok(_)) if name == "killed" && (*at, *bits) == LAST_COMMIT && !slow => {}
                other => {
                    let other = other.map(|rows| rows.map(|rows| rows.len()));
                    wrong
                        .lock()
                        .unwrap()
                        .push(format!("byte {at} ^ {bits:#x}, slow {slow}: {other:?}"));
                }
            }
        });
        let damaged = damaged.into_inner();
        let wrong = wrong.into_inner().unwrap();
        println!(
            "database, {name}: {} bytes, {} tries, {damaged} reported, {} wrong",
            files.database.len(),
            flips.len(),
            wrong.len()
        );
        assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(40)]);
        assert!(
            damaged * 20 > flips.len(),
            "the control: bytes that matter are noticed"
        );
    }
}

/// The control: without the look at every page, a changed byte makes rows wrong or takes them away.
#[test]
fn a_store_that_does_not_look_at_every_page_gives_other_rows() {
    let home = tempfile::tempdir().unwrap();
    let scene = Scene::new(home.path());
    let database = &scene.closed.database;
    let reference = rows(database.clone()).expect("it is whole");
    // The last byte of a value as it stands in a page, all of them.
    let mut other = 0;
    for (_, _, value) in reference.iter().filter(|(_, _, value)| value.len() > 60) {
        let found = database
            .windows(60)
            .position(|window| *window == value[..60]);
        let Some(at) = found else { continue };
        let mut changed = database.clone();
        changed[at + 40] ^= 1;
        let blind = RedbStore::with_backend(MemoryDisk::from_bytes(changed.clone()).open(), false);
        other += usize::from(
            blind.is_ok_and(|store| rows_of(&store).is_ok_and(|rows| rows != reference)),
        );
    }
    assert!(
        other > 10,
        "{other} changed rows were given out as they are"
    );
}

/// Where the vault reads, of the two files that it overwrites in place.
struct Watched {
    file: FileMedium,
    name: Name,
    reads: std::sync::Arc<Mutex<Vec<(Name, u64, usize)>>>,
}

impl Medium for Watched {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> std::io::Result<()> {
        self.reads
            .lock()
            .unwrap()
            .push((self.name, offset, bytes.len()));
        self.file.read_at(offset, bytes)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn sync(&self) -> std::io::Result<()> {
        self.file.sync()
    }

    fn forget_cache(&self) -> std::io::Result<()> {
        self.file.forget_cache()
    }
}

/// The stretches of anchor and slots that an opening reads: a byte elsewhere cannot matter.
fn read_by_opening(scene: &Scene, files: &Files) -> BTreeMap<u64, (Name, usize)> {
    let home = tempfile::tempdir().unwrap();
    files.put(home.path());
    let reads = std::sync::Arc::new(Mutex::new(Vec::new()));
    let names = std::cell::Cell::new(0);
    scene
        .open_through(home.path(), &|file| {
            // The slots are opened first.
            let name = [Name::Slots, Name::Anchor][names.replace(names.get() + 1).min(1)];
            Box::new(Watched {
                file,
                name,
                reads: reads.clone(),
            })
        })
        .expect("it opens")
        .close();
    let reads = reads.lock().unwrap();
    let mut merged = BTreeMap::new();
    for (name, offset, length) in reads.iter() {
        let key = offset + if *name == Name::Slots { 1 << 40 } else { 0 };
        merged.insert(key, (*name, *length));
    }
    merged
}

#[test]
fn a_changed_byte_of_anchor_slots_or_journal_is_reported_or_changes_nothing_that_is_read() {
    let home = tempfile::tempdir().unwrap();
    let scene = Scene::new(home.path());
    let mut random = Random::new("anchor, slots, journal");
    for (state, files) in [("closed", &scene.closed), ("killed", &scene.killed)] {
        let mut tries: Vec<(Name, usize, u8)> = Vec::new();
        let stretches = read_by_opening(&scene, files);
        let anchor: usize = stretches
            .values()
            .filter(|(name, _)| *name == Name::Anchor)
            .map(|(_, length)| length)
            .sum();
        assert!(
            anchor <= 4 * PAGE,
            "of the anchor four pages are read: {stretches:?}"
        );
        for (key, (name, length)) in &stretches {
            let start = (key & !(1 << 40)) as usize;
            // Slots and records begin a stretch; the rest of it is random.
            let stride = if all() { 1 } else { 37 };
            for at in (start..start + (*length).min(600)).step_by(stride) {
                tries.push((
                    *name,
                    at + random.below(stride),
                    1 + random.below(255) as u8,
                ));
            }
            for _ in 0..if all() { 400 } else { 4 } {
                tries.push((
                    *name,
                    start + random.below(*length),
                    1 + random.below(255) as u8,
                ));
            }
        }
        // What is in the log already is long and looked at frame by frame; what is not lies at the end.
        // Every bit of a short one is changed beside the journal's own code.
        let journal = files.journal.len();
        let late = journal.saturating_sub(if all() { 4_000 } else { 900 });
        let strides = if all() { (61, 1) } else { (journal / 20, 43) };
        let early = (0..late).step_by(strides.0);
        for at in early.chain((late..journal).step_by(strides.1)) {
            tries.push((Name::Journal, at, 1 + random.below(255) as u8));
        }
        // Every byte of the ledger is changed beside its own code.
        let ledger = files.ledger.len();
        for at in (0..ledger).step_by(if all() { 1 } else { ledger / 16 + 1 }) {
            tries.push((Name::Ledger, at, 1 + random.below(255) as u8));
        }
        try_all(&scene, files, state, &tries);
    }
}

#[test]
fn a_changed_byte_of_the_database_never_changes_what_a_vault_reads() {
    let home = tempfile::tempdir().unwrap();
    let scene = Scene::new(home.path());
    let mut random = Random::new("database, through the vault");
    for (state, files) in [("closed", &scene.closed), ("killed", &scene.killed)] {
        let length = files.database.len();
        let count = if all() { 4_000 } else { 20 };
        let tries = (0..count).map(|_| {
            (
                Name::Database,
                random.below(length),
                1 + random.below(255) as u8,
            )
        });
        try_all(&scene, files, state, &tries.collect::<Vec<_>>());
    }
}

/// Changes each of these bytes in a vault of its own, and reads everything.
fn try_all(scene: &Scene, files: &Files, state: &str, tries: &[(Name, usize, u8)]) {
    let homes: Vec<tempfile::TempDir> = (0..64).map(|_| tempfile::tempdir().unwrap()).collect();
    files.put(homes[0].path());
    let reference = scene.see(homes[0].path());
    assert!(matches!(reference, Seen::All(_)), "{reference:?}");
    let (damaged, wrong) = (Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    in_parallel(tries, |worker, (name, at, bits)| {
        let home = homes[worker % homes.len()].path();
        let mut changed = files.clone();
        changed.file(*name)[*at] ^= bits;
        changed.put(home);
        let started = Instant::now();
        let seen = std::panic::catch_unwind(|| scene.see(home));
        let slow = started.elapsed() > PATIENCE;
        let lost = || {
            state == "killed" && *name == Name::Journal && !scene.late_reads_or_a_word_of_them(home)
        };
        match seen {
            Ok(Seen::Damage(what)) if !slow => {
                *damaged.lock().unwrap().entry(what).or_insert(0) += 1
            }
            Ok(seen) if !slow && seen == reference && !lost() => {}
            other => {
                let other = format!("{other:?}").chars().take(300).collect::<String>();
                wrong
                    .lock()
                    .unwrap()
                    .push(format!("{name:?} {at} ^ {bits:#x}, slow {slow}: {other}"));
            }
        }
    });
    let (damaged, wrong) = (damaged.into_inner().unwrap(), wrong.into_inner().unwrap());
    println!(
        "{state}: {} tries, reported {damaged:?}, {} wrong",
        tries.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(20)]);
    let noticed: usize = damaged.values().sum();
    assert!(noticed > 0, "the control: bytes that matter are noticed");
    let _ = fs::metadata("/proc/self/status").map(|_| assert!(peak_mebibytes() < 2_048));
}

/// The most memory that this process ever had.
fn peak_mebibytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or(0) / 1024
}

/// A key that no slot has: what the reader would see who has the wrong secret, and is no damage.
#[test]
fn a_wrong_secret_is_not_damage() {
    let home = tempfile::tempdir().unwrap();
    let scene = Scene::new(home.path());
    scene.closed.put(home.path());
    let other = "0000-0000-0000-0000-0000-0000-0000-0000";
    assert!(
        other.parse::<vault_core::vault::RecoveryKey>().is_err(),
        "its checksum is wrong"
    );
    let passphrase = vault_core::vault::Passphrase::new("another passphrase".into()).unwrap();
    let seen = scene.unlock(home.path(), &UnlockSecret::Passphrase(passphrase));
    assert!(matches!(seen, Err(Seen::Other(what)) if what.contains("NoSlotMatches")));
}
