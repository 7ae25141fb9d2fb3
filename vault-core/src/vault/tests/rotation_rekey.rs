//! A deep rotation that passes a `backup rekey`: the old key part stays until the new one is known to open
//! what the data part holds.
//!
//! What would be lost: with the old key part deleted, every look-up of the restored people, or every row that
//! belongs to nobody.

use std::io;

use parking_lot::Mutex;

use super::copies::{PUBLIC, Scene, quiet};
use super::*;
use crate::backup::target::{Directory, Sink, Target};
use crate::backup::write::Parts;
use crate::backup::{BackupError, Manifest, Recipients};
use crate::commit::View as _;

type Then = Box<dyn FnOnce() + Send>;

/// A place at which something happens as soon as the first keyset has been read.
struct Passed {
    below: Directory,
    then: Mutex<Option<Then>>,
}

impl Target for Passed {
    fn place(&self) -> String {
        self.below.place()
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn Sink>> {
        // The file of a section comes with its first row, out of a snapshot of before.
        if name.contains("/keys-")
            && let Some(then) = self.then.lock().take()
        {
            then();
        }
        self.below.create(name)
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn io::Read + Send>> {
        self.below.open(name)
    }
    fn objects(&self, backup: &str) -> io::Result<Vec<(String, u64)>> {
        self.below.objects(backup)
    }
    fn backups(&self) -> io::Result<Vec<String>> {
        self.below.backups()
    }
    fn delete(&self, name: &str) -> io::Result<()> {
        self.below.delete(name)
    }
    fn exists(&self, name: &str) -> io::Result<bool> {
        self.below.exists(name)
    }
    fn forget(&self, backup: &str) -> io::Result<()> {
        self.below.forget(backup)
    }
    fn deletes_for_good(&self) -> io::Result<bool> {
        self.below.deletes_for_good()
    }
}

/// Has `then` happen while a rekey copies keys: it is refused, and the key part from before opens the backup
/// whole. Given again with nothing in its way, where that can be, it is made.
fn refused_and_nothing_lost(
    scene: &Scene,
    then: Then,
) -> (BackupMade, Result<Rekeyed, BackupError>) {
    let made = scene.back_up(Parts::Both).unwrap();
    let backup = made.manifest.backup;
    let keyholder = scene.keyholder();
    let rekey = |target: &Arc<dyn Target>| {
        let to = (Recipients::parse([PUBLIC]).unwrap(), scene.in_days(30));
        let call = call(&keyholder, None);
        scene
            .bench
            .vault
            .rekey_backup(&call, target, backup, to, &quiet)
    };
    let passed: Arc<dyn Target> = Arc::new(Passed {
        below: Directory::new(scene.bench.dir.path().join("backups")),
        then: Mutex::new(Some(then)),
    });
    match rekey(&passed) {
        Err(BackupError::Refused(Refusal::Conflict(what))) => {
            assert!(what.contains("backup rekey"), "{what}");
        }
        other => panic!("{other:?}"),
    }
    let (kept, _) = Manifest::read_with_hash(&*scene.target, &backup.to_string()).unwrap();
    assert_eq!(kept.keys, made.manifest.keys, "the manifest of before");
    for object in &kept.keys.as_ref().unwrap().objects {
        let name = format!("{backup}/{}", object.name);
        assert!(scene.target.exists(&name).unwrap(), "{name}");
    }
    let again = rekey(&scene.target);
    (made, again)
}

fn all_are_found(scene: &Scene, name: &str, made: &BackupMade) {
    let (restored, again, _locked) = scene
        .restore_with(name, |options| options.backup = Some(made.manifest.backup))
        .unwrap();
    let counts = restored.restored.unwrap().counts;
    assert_eq!((counts.people, counts.people_in_part), (5, 0));
    let holder = again.keyholder();
    let (_, secret) = again
        .create_token(&call(&holder, None), "bot", None)
        .unwrap();
    let bot = again.authenticate(&secret).unwrap();
    for (number, subject) in scene.people.iter().enumerate() {
        let user = format!("visitor-{number}");
        let found = again.lookup_channel(&call(&bot, Some("support")), "web", &user);
        assert_eq!(found.unwrap(), *subject, "{user}");
    }
}

#[test]
fn a_rekey_whose_index_keys_change_meanwhile_is_refused_and_the_old_part_stays() {
    let scene = Scene::new(5);
    let vault = scene.bench.vault.clone();
    let then = move || {
        let before = vault.snapshot().unwrap().system().index_set();
        let holder = vault.keyholder();
        vault.begin_rotation(&call(&holder, None), true).unwrap();
        let waits = vault.rotate_on(&mut |_| Onwards::Yes).unwrap().unwrap();
        assert_eq!(waits.stage, Stage::Rows, "a rekey is under way");
        assert!(vault.snapshot().unwrap().system().index_set() > before);
    };
    let (made, again) = refused_and_nothing_lost(&scene, Box::new(then));
    // Everybody in the data part lies under keys that went meanwhile: a key part of today's opens nothing.
    match again {
        Err(BackupError::Refused(Refusal::Conflict(what))) => {
            assert!(what.contains("nobody would come back"), "{what}");
        }
        other => panic!("{other:?}"),
    }
    all_are_found(&scene, "back", &made);
}

/// What would be lost: the backup, for which the old key part was the only one that opened anything.
#[test]
fn a_rekey_that_would_bring_nobody_back_is_refused_and_one_that_brings_some_is_not() {
    let scene = Scene::new(5);
    let (vault, keyholder) = (&scene.bench.vault, scene.keyholder());
    let made = scene.back_up(Parts::Both).unwrap();
    let rekey = || {
        let to = (Recipients::parse([PUBLIC]).unwrap(), scene.in_days(30));
        let call = call(&keyholder, None);
        vault.rekey_backup(&call, &scene.target, made.manifest.backup, to, &quiet)
    };
    for subject in &scene.people[1..] {
        vault
            .rotate_subject(&call(&keyholder, None), *subject)
            .unwrap();
    }
    let one = rekey().unwrap();
    assert_eq!((one.whole, one.in_part, one.gone), (1, 0, 4));
    vault
        .rotate_subject(&call(&keyholder, None), scene.people[0])
        .unwrap();
    match rekey() {
        Err(BackupError::Refused(Refusal::Conflict(what))) => {
            assert!(what.contains("backup create"), "{what}");
        }
        other => panic!("{other:?}"),
    }
    let (kept, _) =
        Manifest::read_with_hash(&*scene.target, &made.manifest.backup.to_string()).unwrap();
    assert_eq!(kept.keys, one.manifest.keys);
    // Who is erased is not waited for: their end is what a rekey is for.
    for subject in &scene.people {
        scene.erase(*subject);
    }
    let none = rekey().unwrap();
    assert_eq!((none.whole, none.in_part, none.gone), (0, 0, 5));
}

#[test]
fn the_part_of_before_brings_everybody_back_where_a_rotation_passed_its_rekey() {
    let scene = Scene::new(5);
    let vault = scene.bench.vault.clone();
    let then = move || {
        // As a rotation's last commit does that had looked for copies before this one began.
        vault
            .engine
            .submit(move |txn| {
                let mut keys = txn.system().duplicate();
                keys.retired_epoch = txn.epochs().1;
                txn.replace_system(keys);
                txn.ask_for_pass();
                Ok(())
            })
            .unwrap();
    };
    let (made, again) = refused_and_nothing_lost(&scene, Box::new(then));
    // From now on the check before the copying refuses it.
    assert!(matches!(
        again,
        Err(BackupError::Refused(Refusal::Conflict(_)))
    ));
    all_are_found(&scene, "back", &made);
}
