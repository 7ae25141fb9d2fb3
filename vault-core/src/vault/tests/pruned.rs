//! What goes of backups, and what the registry hears of it.
//!
//! What would be lost otherwise: a key part that lies somewhere still and counts as deleted makes a receipt final while
//! whoever was erased can be brought back; one that was destroyed by a clock that leaps takes every backup with it.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::copies::{PUBLIC, Scene, quiet};
use super::*;
use crate::backup::target::{Directory, Sink, Target, same};
use crate::backup::verify::verify;
use crate::backup::write::Parts;
use crate::backup::{BackupError, Manifest, Recipients, list};
use crate::commit::View as _;
use crate::jobs::JobState;

const DAY: i64 = 24 * HOUR;

type Meet = Arc<dyn Fn(&str) -> io::Result<()> + Send + Sync>;

/// A directory of which something is met on the way.
struct Bent {
    below: Directory,
    create: Meet,
    delete: Meet,
    /// While an object is read.
    read: Meet,
}

impl Bent {
    fn at(path: &Path) -> Self {
        Self {
            below: Directory::new(path),
            create: Arc::new(|_| Ok(())),
            delete: Arc::new(|_| Ok(())),
            read: Arc::new(|_| Ok(())),
        }
    }
}

/// Meets it once, at the first byte.
struct Slow {
    below: Box<dyn Read + Send>,
    name: String,
    meet: Option<Meet>,
}

impl Read for Slow {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if let Some(meet) = self.meet.take() {
            meet(&self.name)?;
        }
        self.below.read(bytes)
    }
}

impl Target for Bent {
    fn place(&self) -> String {
        self.below.place()
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn Sink>> {
        (self.create)(name)?;
        self.below.create(name)
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Slow {
            below: self.below.open(name)?,
            name: name.to_owned(),
            meet: Some(self.read.clone()),
        }))
    }
    fn objects(&self, backup: &str) -> io::Result<Vec<(String, u64)>> {
        self.below.objects(backup)
    }
    fn backups(&self) -> io::Result<Vec<String>> {
        self.below.backups()
    }
    fn delete(&self, name: &str) -> io::Result<()> {
        (self.delete)(name)?;
        self.below.delete(name)
    }
    fn exists(&self, name: &str) -> io::Result<bool> {
        self.below.exists(name)
    }
    fn forget(&self, backup: &str) -> io::Result<()> {
        self.below.forget(backup)
    }
}

fn last(last: u32) -> Keep {
    Keep {
        last,
        ..Keep::default()
    }
}

fn prune(vault: &Vault, target: &dyn Target, keep: Keep) -> Result<Pruned, BackupError> {
    let keyholder = vault.keyholder();
    vault.prune_backups(&call(&keyholder, None), target, keep, false)
}

fn rekey(
    scene: &Scene,
    target: &Arc<dyn Target>,
    backup: BackupId,
    days: i64,
) -> Result<Rekeyed, BackupError> {
    let keyholder = scene.keyholder();
    let keys = (Recipients::parse([PUBLIC]).unwrap(), scene.in_days(days));
    let vault = &scene.bench.vault;
    vault.rekey_backup(&call(&keyholder, None), target, backup, keys, &quiet)
}

/// Key parts that count, by what they are of.
fn counting(scene: &Scene) -> Vec<(BackupId, Option<BackupId>)> {
    let keyholder = scene.keyholder();
    let (views, _) = scene.bench.vault.backups(&call(&keyholder, None)).unwrap();
    let counts = |view: &BackupView| view.keys.as_ref().is_some_and(|k| k.deleted_at.is_none());
    let counting: Vec<_> = views.iter().filter(|view| counts(view)).collect();
    let summary = scene.bench.vault.backup_summary().unwrap();
    assert_eq!(summary.key_parts, counting.len());
    counting.iter().map(|view| (view.backup, view.of)).collect()
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let path = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_dir(&entry.path(), &path),
            false => drop(fs::copy(entry.path(), path).unwrap()),
        }
    }
}

/// Prunes at every object that is begun: what each came to.
fn pruning_meanwhile(scene: &Scene, keep: Keep) -> (Arc<dyn Target>, Arc<AtomicUsize>) {
    let (vault, place) = (scene.bench.vault.clone(), scene.place());
    let refused = Arc::new(AtomicUsize::new(0));
    let count = refused.clone();
    let mut target = Bent::at(&place);
    target.create = Arc::new(move |name| {
        // Not beside the ledger, which is written when the work is done.
        if name.starts_with("bak_") {
            let pruned = prune(&vault, &Directory::new(&place), keep);
            if matches!(pruned, Err(BackupError::Refused(Refusal::Conflict(_)))) {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
        Ok(())
    });
    (Arc::new(target), refused)
}

#[test]
fn while_keys_or_a_backup_are_made_nothing_is_taken_away_and_what_is_made_counts() {
    let scene = Scene::new(3);
    let made = scene.back_up(Parts::Both).unwrap().manifest.backup;
    let (target, refused) = pruning_meanwhile(&scene, last(9));
    let rekeyed = rekey(&scene, &target, made, 30).unwrap();
    assert!(refused.load(Ordering::SeqCst) > 2, "it was tried");
    let registered = rekeyed.manifest.keys.unwrap().registered;
    assert_eq!(counting(&scene), [(registered, Some(made))]);
    // The same while a backup is made, which no rule keeps until it is whole.
    scene.bench.clock.advance(HOUR);
    let (target, refused) = pruning_meanwhile(&scene, last(0));
    let keyholder = scene.keyholder();
    let input = BackupInput {
        parts: Parts::Both,
        recipients: Recipients::parse([PUBLIC]).unwrap(),
        keys_expire: scene.in_days(30),
    };
    let vault = &scene.bench.vault;
    let job = vault.backup_job().unwrap();
    let new = vault.back_up(&call(&keyholder, None), &target, input, job);
    let new = new.unwrap().manifest.backup;
    assert!(refused.load(Ordering::SeqCst) > 2);
    assert!(verify(&scene.target, &new.to_string(), None, None, None, &quiet).is_ok());
    assert_eq!(counting(&scene).len(), 2);
    // And when that has ended it goes on.
    let pruned = prune(vault, &*scene.target, last(1)).unwrap();
    assert_eq!((pruned.backups, pruned.kept), (vec![made], vec![new]));
    assert_eq!(counting(&scene), [(new, None)]);
}

/// A backup here, and a copy of it at another place, which was given keys of its own.
fn two_places(scene: &Scene) -> (BackupId, BackupId, Arc<dyn Target>) {
    let made = scene.back_up(Parts::Both).unwrap().manifest.backup;
    let elsewhere = scene.bench.dir.path().join("elsewhere");
    copy_dir(&scene.place(), &elsewhere);
    let elsewhere: Arc<dyn Target> = Arc::new(Directory::new(elsewhere));
    let rekeyed = rekey(scene, &elsewhere, made, 90).unwrap();
    assert!(rekeyed.deleted > 0);
    let there = rekeyed.manifest.keys.unwrap().registered;
    (made, there, elsewhere)
}

#[test]
fn a_key_part_of_another_place_counts_whatever_is_deleted_here() {
    let scene = Scene::new(2);
    let vault = scene.bench.vault.clone();
    let (made, there, elsewhere) = two_places(&scene);
    let both = counting(&scene);
    assert_eq!(both.len(), 2, "that of here was not deleted: {both:?}");
    // Expired here: only the part of here goes.
    scene.bench.clock.advance(31 * DAY);
    let pruned = prune(&vault, &*scene.target, last(9)).unwrap();
    assert_eq!(pruned.key_parts, [made]);
    assert_eq!(counting(&scene), [(there, Some(made))]);
    // Whole here.
    let pruned = prune(&vault, &*scene.target, last(0)).unwrap();
    assert_eq!(pruned.backups, [made]);
    assert_eq!(counting(&scene), [(there, Some(made))]);
    // There: now it does not count any more.
    let pruned = prune(&vault, &*elsewhere, last(0)).unwrap();
    assert_eq!(pruned.backups, [made]);
    assert_eq!(counting(&scene), []);
}

#[test]
fn a_copy_at_another_place_that_goes_says_nothing_of_what_is_here() {
    let scene = Scene::new(2);
    let vault = scene.bench.vault.clone();
    let made = scene.back_up(Parts::Both).unwrap().manifest.backup;
    let elsewhere = scene.bench.dir.path().join("elsewhere");
    copy_dir(&scene.place(), &elsewhere);
    // What is half copied there is nothing that was left over.
    let half = elsewhere.join(made.to_string());
    let manifest = fs::read(half.join("manifest.json")).unwrap();
    fs::remove_file(half.join("manifest.json")).unwrap();
    let elsewhere = Directory::new(elsewhere);
    let pruned = prune(&vault, &elsewhere, last(9)).unwrap();
    assert!(pruned.unfinished.is_empty() && pruned.gone.is_empty());
    fs::write(half.join("manifest.json"), manifest).unwrap();
    // Its keys, then all of it.
    scene.bench.clock.advance(31 * DAY);
    let pruned = prune(&vault, &elsewhere, last(9)).unwrap();
    assert_eq!(pruned.key_parts, [made]);
    assert_eq!(counting(&scene), [(made, None)]);
    assert_eq!(prune(&vault, &elsewhere, last(0)).unwrap().backups, [made]);
    assert_eq!(counting(&scene), [(made, None)]);
    assert!(list(&elsewhere).unwrap().0.is_empty());
    assert_eq!(list(&*scene.target).unwrap().0.len(), 1);
    // A slash at its end makes it no other place.
    let mut slash = scene.place().into_os_string();
    slash.push("/");
    let slash = Directory::new(slash);
    assert_eq!(slash.place(), scene.target.place());
    assert!(same("/b/", "/b") && !same("/b/c", "/b"));
    assert_eq!(prune(&vault, &slash, last(9)).unwrap().key_parts, [made]);
    assert_eq!(counting(&scene), []);
}

#[test]
fn by_a_clock_that_leaps_ahead_no_key_part_goes_and_by_time_that_passes_it_does() {
    let scene = Scene::new(2);
    let vault = scene.bench.vault.clone();
    let first = scene.back_up(Parts::Both).unwrap().manifest.backup;
    scene.bench.clock.set(3_650 * DAY);
    let keyholder = scene.keyholder();
    let would = vault.prune_backups(&call(&keyholder, None), &*scene.target, last(9), true);
    assert!(would.unwrap().key_parts.is_empty());
    let pruned = prune(&vault, &*scene.target, last(9)).unwrap();
    assert!(pruned.key_parts.is_empty(), "{pruned:?}");
    assert_eq!(counting(&scene), [(first, None)]);
    // One that is made meanwhile is not the newest for ever.
    let leapt = scene.back_up(Parts::Both).unwrap().manifest.backup;
    scene.bench.clock.set(-3_650 * DAY);
    scene.bench.clock.advance(HOUR);
    let second = scene.back_up(Parts::Both).unwrap().manifest.backup;
    let pruned = prune(&vault, &*scene.target, last(1)).unwrap();
    assert_eq!(pruned.backups, [first]);
    assert_eq!(pruned.kept, [second, leapt]);
    // Time that really passes is believed.
    scene.bench.clock.advance(31 * DAY);
    let pruned = prune(&vault, &*scene.target, last(1)).unwrap();
    assert_eq!(pruned.key_parts, [second]);
    assert_eq!(counting(&scene), [(leapt, None)]);
}

#[test]
fn whoever_is_cut_off_while_keys_go_leaves_a_whole_data_part_and_is_followed() {
    let scene = Scene::new(2);
    let vault = scene.bench.vault.clone();
    let made = scene.back_up(Parts::Both).unwrap().manifest.backup;
    scene.bench.clock.advance(31 * DAY);
    let deleted = AtomicUsize::new(0);
    let mut cut = Bent::at(&scene.place());
    cut.delete = Arc::new(move |_| match deleted.fetch_add(1, Ordering::SeqCst) {
        0 => Ok(()),
        _ => Err(io::ErrorKind::PermissionDenied.into()),
    });
    assert!(prune(&vault, &cut, last(9)).is_err());
    let left = || {
        let left = scene.target.objects(&made.to_string()).unwrap();
        left.iter()
            .filter(|(name, _)| name.starts_with("keys-"))
            .count()
    };
    assert!(left() > 0, "it was cut off in the middle");
    let whole = || verify(&scene.target, &made.to_string(), None, None, None, &quiet);
    assert!(whole().is_ok(), "no file is missing that it names");
    assert_eq!(counting(&scene), [(made, None)], "some of it is there");
    let pruned = prune(&vault, &*scene.target, last(9)).unwrap();
    assert_eq!((pruned.key_parts, left()), (vec![made], 0));
    assert_eq!(counting(&scene), []);
    assert!(
        prune(&vault, &*scene.target, last(9))
            .unwrap()
            .key_parts
            .is_empty()
    );
    let manifest = Manifest::read(&*scene.target, &made.to_string()).unwrap();
    assert!(whole().is_ok() && manifest.keys.is_none() && !manifest.objects.is_empty());
}

#[test]
fn a_backup_whose_ledger_cannot_be_written_is_whole_and_says_so() {
    let scene = Scene::new(2);
    let vault = scene.bench.vault.clone();
    let keyholder = scene.keyholder();
    let mut target = Bent::at(&scene.place());
    target.create = Arc::new(|name| match name.starts_with("ledger-") {
        true => Err(io::ErrorKind::StorageFull.into()),
        false => Ok(()),
    });
    let target: Arc<dyn Target> = Arc::new(target);
    let input = BackupInput {
        parts: Parts::Both,
        recipients: Recipients::parse([PUBLIC]).unwrap(),
        keys_expire: scene.in_days(30),
    };
    let job = vault.backup_job().unwrap();
    let number = job.number();
    let made = vault.back_up(&call(&keyholder, None), &target, input, job);
    let made = made.unwrap();
    assert!(matches!(made.ledger, Err(LedgerCopyError::Write(_))));
    assert_eq!(vault.jobs().find(number).unwrap().state, JobState::Done);
    let backup = made.manifest.backup;
    let view = vault.backup(&call(&keyholder, None), backup).unwrap();
    assert!(view.facts.is_some() && view.failed_at.is_none());
    let rekeyed = rekey(&scene, &target, backup, 30).unwrap();
    assert!(matches!(rekeyed.ledger, Err(LedgerCopyError::Write(_))));
    assert_eq!(counting(&scene).len(), 1);
    // The control: where it can be written, it is.
    assert!(scene.back_up(Parts::Data).unwrap().ledger.is_ok());
}

#[test]
fn what_is_erased_while_the_copy_is_compared_is_no_other_vaults_ledger() {
    let scene = Scene::new(3);
    scene.back_up(Parts::Both).unwrap();
    let vault = scene.bench.vault.clone();
    let keyholder = scene.keyholder();
    let erasing = Mutex::new(vec![(scene.bench.vault.clone(), scene.people[0])]);
    let dpo = scene.bench.role("dpo");
    let mut target = Bent::at(&scene.place());
    target.read = Arc::new(move |_| {
        for (vault, person) in erasing.lock().drain(..) {
            vault.erase_subject(&call(&dpo, None), person).unwrap();
        }
        Ok(())
    });
    let pushed = vault.push_ledger(&call(&keyholder, None), &target);
    assert_eq!(pushed.unwrap().position, 1);
}

#[test]
fn a_copy_that_cannot_be_read_is_not_written_over() {
    let scene = Scene::new(3);
    scene.back_up(Parts::Both).unwrap();
    let vault = scene.bench.vault.clone();
    let keyholder = scene.keyholder();
    let name = crate::backup::target::ledger_of(vault.snapshot().unwrap().vault());
    let file = scene.place().join(name);
    let before = fs::read(&file).unwrap();
    scene.erase(scene.people[0]);
    let mut target = Bent::at(&scene.place());
    target.read = Arc::new(|_| Err(io::ErrorKind::TimedOut.into()));
    let pushed = vault.push_ledger(&call(&keyholder, None), &target);
    assert!(matches!(pushed, Err(LedgerCopyError::Compare(_))));
    assert_eq!(fs::read(&file).unwrap(), before);
    // Nor where our own is what cannot be read.
    let own = scene.bench.dir.path().join("v/ledger");
    let bytes = fs::read(&own).unwrap();
    let mut bent = bytes.clone();
    bent[30] ^= 1;
    fs::write(&own, &bent).unwrap();
    let pushed = vault.push_ledger(&call(&keyholder, None), &*scene.target);
    assert!(
        matches!(pushed, Err(LedgerCopyError::Compare(_))),
        "{pushed:?}"
    );
    assert_eq!(fs::read(&file).unwrap(), before);
    fs::write(&own, bytes).unwrap();
    // The control: one that is damaged is worth less than ours.
    fs::write(&file, &before[..30]).unwrap();
    let mut bent = before;
    bent[26] ^= 1;
    fs::write(&file, bent).unwrap();
    let pushed = vault.push_ledger(&call(&keyholder, None), &*scene.target);
    assert_eq!(pushed.unwrap().position, 1);
}

/// What would be lost: the copy on a disk that is not mounted lags behind, while one is written beneath it that nobody
/// looks for, and everything seems well.
#[test]
fn a_place_of_the_ledger_alone_is_known_again_when_its_disk_is_not_mounted() {
    let mut scene = Scene::new(2);
    let place = scene.bench.dir.path().join("ledgers");
    fs::create_dir(&place).unwrap();
    let push = |scene: &Scene| {
        let keyholder = scene.keyholder();
        let target = Directory::new(scene.bench.dir.path().join("ledgers/"));
        let vault = &scene.bench.vault;
        vault.push_ledger(&call(&keyholder, None), &target)
    };
    push(&scene).unwrap();
    push(&scene).unwrap();
    // Also for the next process; as a directory that is empty, and as one that is not there.
    scene.bench.reopen();
    let away = scene.bench.dir.path().join("away");
    fs::rename(&place, &away).unwrap();
    for empty in [true, false] {
        if empty {
            fs::create_dir(&place).unwrap();
        }
        let pushed = push(&scene);
        let Err(LedgerCopyError::Elsewhere(said)) = pushed else {
            panic!("{pushed:?}");
        };
        assert!(said.contains("not mounted"), "{said}");
        if empty {
            assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
            fs::remove_dir(&place).unwrap();
        }
    }
    assert!(!place.exists());
    fs::rename(&away, &place).unwrap();
    push(&scene).unwrap();
    // A new disk at the same place: somebody says that it is meant.
    fs::remove_dir_all(&place).unwrap();
    fs::create_dir(&place).unwrap();
    fs::write(place.join("vault-backups"), "").unwrap();
    push(&scene).unwrap();
}
