//! How a restore gets from a backup to a vault: people with more than is opened at once, and what of it is
//! there before its end.

use std::fs;

use super::copies::{Scene, rows};
use super::*;
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
    fs::write(named("again.unfinished/complete"), &backup).unwrap();
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
