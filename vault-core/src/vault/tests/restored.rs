//! How a restore gets from a backup to a vault: people with more than is opened at once, and what of it is
//! there before its end.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::copies::{Scene, rows};
use super::*;
use crate::backup::BackupError;
use crate::backup::write::Parts;
use crate::limits::RESTORE_BUNDLE_BYTES;

/// Adds so many messages to a person.
fn say(scene: &Scene, subject: SubjectId, count: usize) {
    for _ in 0..count.div_ceil(500) {
        let said = (0..500).map(|n| {
            let text = format!("word {n} of a very long story, {}", "on and on ".repeat(20));
            object(json!({"from": "user", "text": text}))
        });
        let vault = &scene.bench.vault;
        vault
            .append(&scene.support(), subject, "messages", said.collect())
            .unwrap();
    }
}

#[test]
fn whoever_has_more_than_is_opened_at_once_comes_back_to_the_byte_and_so_do_those_beside_them() {
    let scene = Scene::new(30);
    // Handles are random, so that the long ones stand anywhere among the others.
    for number in [3, 4, 17] {
        say(&scene, scene.people[number], 2_500);
    }
    scene.back_up(Parts::Both).unwrap();
    let (before, keys_before) = rows(&scene.bench.vault);
    let bytes: usize = before.values().map(Vec::len).sum();
    assert!(bytes > 3 * RESTORE_BUNDLE_BYTES);
    let (restored, vault, _locked) = scene.restore("restored");
    assert_eq!(restored.restored.unwrap().counts.people, 30);
    let (after, keys_after) = rows(&vault);
    assert!(after == before && keys_after == keys_before);
}

#[test]
fn what_a_restore_has_not_finished_does_not_open_and_without_the_file_that_says_so_it_would() {
    let scene = Scene::new(3);
    let made = scene.back_up(Parts::Both).unwrap();
    let (_, vault, locked) = scene.restore("again");
    vault.close();
    drop((vault, locked));
    // As whoever was killed before the last two steps leaves it.
    let root = scene.bench.dir.path();
    let named = |name: &str| root.join(name);
    fs::rename(named("again"), named("again.unfinished")).unwrap();
    fs::rename(named("again-anchor"), named("again-anchor.unfinished")).unwrap();
    fs::write(named("again.unfinished/restoring"), b"").unwrap();
    let backup = made.manifest.backup.to_string();
    let mark = restore::mark_of(&backup, &named("again-anchor.unfinished")).unwrap();
    fs::write(named("again.unfinished/complete"), mark).unwrap();
    let paths = VaultPaths {
        dir: named("again.unfinished"),
        anchor: named("again-anchor.unfinished"),
    };
    let settings = || settings(&scene.bench.clock);
    let refused = LockedVault::open(&paths, settings());
    assert!(matches!(refused, Err(OpenError::HalfRestored(_))));
    assert!(matches!(
        LockedVault::peek(&paths),
        Err(OpenError::HalfRestored(_))
    ));
    fs::remove_file(named("again.unfinished/restoring")).unwrap();
    drop(LockedVault::open(&paths, settings()).expect("the control"));
    fs::write(named("again.unfinished/restoring"), b"").unwrap();
    // With the anchor in its place only the end is missing: it is made, and then it opens.
    fs::rename(named("again-anchor.unfinished"), named("again-anchor")).unwrap();
    let (done, vault, _locked) = scene.restore("again");
    assert!(done.restored.is_none());
    assert_eq!(vault.status().unwrap().people, 3);
    assert!(!named("again/restoring").exists() && !named("again/complete").exists());
}

/// What would be lost: everything. A directory was put in its place whose anchor was somewhere else, or was
/// another's, and the restore said that only its last step had been missing.
#[test]
fn an_anchor_that_is_not_of_what_was_built_does_not_make_it_whole() {
    let scene = Scene::new(3);
    let made = scene.back_up(Parts::Both).unwrap();
    let named = |name: &str| scene.bench.dir.path().join(name);
    // As whoever was killed between `complete` and the first step leaves it, or just behind it, with an
    // anchor at a path that is not given again.
    let leave = |from: &str, anchor: &str| {
        fs::rename(named(from), named("again.unfinished")).unwrap();
        fs::rename(named(&format!("{from}-anchor")), named(anchor)).unwrap();
        let backup = made.manifest.backup.to_string();
        let mark = restore::mark_of(&backup, &named(anchor)).unwrap();
        fs::write(named("again.unfinished/complete"), mark).unwrap();
        fs::write(named("again.unfinished/restoring"), b"").unwrap();
    };
    let vault = |name: &str| {
        let (done, vault, locked) = scene.restore(name);
        assert!(done.restored.is_some());
        assert_eq!(vault.status().unwrap().people, 3, "{name}");
        vault.close();
        drop((vault, locked));
    };
    for anchor in ["elsewhere.unfinished", "elsewhere"] {
        vault("first");
        leave("first", anchor);
        vault("again");
        for name in ["again", "again-anchor", anchor] {
            fs::remove_dir_all(named(name)).unwrap();
        }
    }
    // An anchor of the same vault is in the place: the lost one's, or another attempt's.
    vault("first");
    leave("first", "elsewhere");
    vault("other");
    fs::rename(named("other-anchor"), named("again-anchor")).unwrap();
    let refused = scene.restore_with("again", |_| {}).map(|_| ());
    assert!(matches!(refused, Err(BackupError::Exists(path)) if path == named("again-anchor")));
    assert!(!named("again").exists());
    // The control: with its own the last step is all that is missing.
    fs::remove_dir_all(named("again-anchor")).unwrap();
    fs::rename(named("elsewhere"), named("again-anchor")).unwrap();
    let (done, _vault, _locked) = scene.restore("again");
    assert!(done.restored.is_none());
}

/// What would be lost: what the other has built, keys that nobody overwrites any more, or both in one vault.
#[test]
fn two_restores_into_one_place_are_kept_apart_until_the_first_has_ended() {
    let scene = Scene::new(300);
    scene.back_up(Parts::Both).unwrap();
    let named = |name: &str| scene.bench.dir.path().join(name);
    let others = Mutex::new(Vec::new());
    let building = AtomicUsize::new(0);
    let beside = |_: u64, _: u64| {
        let built = usize::from(named("again.unfinished").exists());
        building.fetch_add(built, Ordering::Relaxed);
        for name in ["again", "beside"] {
            let other = scene.restore_with(name, |_| {}).map(|_| ());
            others.lock().push(other);
        }
        // Who has another directory, and the same one for the anchor.
        let anchor = scene.restore_with("elsewhere/v", |options| {
            options.into.anchor = named("again-anchor");
        });
        others.lock().push(anchor.map(|_| ()));
        Ok(())
    };
    let (done, vault, _locked) = scene.restore_telling("again", &beside).unwrap();
    assert_eq!(done.restored.unwrap().counts.people, 300);
    assert_eq!(vault.status().unwrap().people, 300);
    let refused = others.into_inner();
    let (asked, built) = (refused.len() / 3, building.into_inner());
    assert!(0 < built && built == asked, "while it was built");
    let root = scene.bench.dir.path();
    for other in refused {
        assert!(matches!(other, Err(BackupError::Held(path)) if path == root));
    }
    // The control: what it held is free when it has ended.
    for name in ["beside", "elsewhere/v"] {
        assert_eq!(scene.restore(name).1.status().unwrap().people, 300);
    }
}
