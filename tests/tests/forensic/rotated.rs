//! Key slots that were added and removed, each with a new root key, and people erased in between.
//!
//! Counts as failure: with every copy of the database and of the slots file, both passphrases and
//! the anchor of afterwards, anything of somebody who was erased is found; or with the passphrase of a
//! slot that was removed and a copy of the slots file from before, anything at all.
//!
//! The controls: each secret, with slots file and anchor of the moment when it was good, gives
//! everything of all who were there.

use serde_json::{Value, json};

use super::bench::{EVERYTHING, NOTHING, everything, found, look, nothing, with};
use super::files::Image;
use super::person::Person;
use super::scene::Scene;
use super::search::Evidence;
use super::unlock::Secret;

const REMOVED: &str = "a second passphrase";

#[test]
fn a_removed_slot_gives_nothing_and_no_former_root_key_gives_the_erased() {
    let scene = Scene::open();
    scene.crowd();
    let [alida, bertus, stays] = ["Alida", "Bertus", "Cornelia"].map(|name| scene.person(name));
    let erase = |person: &Person| {
        let path = format!("subjects/{}", person.subject);
        scene.call("dpo", "DELETE", &path, &Value::Null);
    };
    let first = scene.image();
    erase(&alida);
    let slot = json!({"kind": "passphrase", "passphrase": REMOVED, "label": "second"});
    let slot = scene.call("keeper", "POST", "admin/key-slots", &slot);
    let added = scene.image();
    let path = format!("admin/key-slots/{}", slot["slot"]);
    scene.call("keeper", "DELETE", &path, &Value::Null);
    let removed = scene.image();
    erase(&bertus);
    let last = scene.image();
    let copies: [&Image; 4] = [&first, &added, &removed, &last];
    assert!(
        copies
            .windows(2)
            .all(|pair| pair[0].anchor != pair[1].anchor)
    );
    let (own, second) = (with(&scene.passphrase), with(REMOVED));
    let both: Vec<Secret> = own.iter().chain(&second).cloned().collect();
    let people = [&alida, &bertus, &stays];

    let mut evidence = Evidence::of(&copies);
    evidence.slots = copies.iter().map(|image| &*image.slots).collect();
    let report = look(
        "every slots file, both passphrases",
        &evidence,
        &both,
        &people,
    );
    assert_eq!(found(&report, &people), [NOTHING, NOTHING, EVERYTHING]);

    evidence.slots = vec![&added.slots];
    let report = look("the removed slot", &evidence, &second, &people);
    nothing(&report, &people);
    assert_eq!((report.texts, report.people), (0, 0));
    // The copy from just after the removal has no newer keys either.
    evidence.anchors = vec![&removed.anchor];
    let report = look("the removed slot, at once", &evidence, &second, &people);
    nothing(&report, &people);

    // What the files held once stays true of those files.
    evidence.anchors = vec![&added.anchor];
    let report = look("the slot while it was there", &evidence, &second, &people);
    assert_eq!(found(&report, &people), [NOTHING, EVERYTHING, EVERYTHING]);
    (evidence.anchors, evidence.slots) = (vec![&*first.anchor], vec![&*first.slots]);
    let report = look("the first slot, once", &evidence, &own, &people);
    everything(&report, &people);

    // And the slots file itself: of the root keys before the last nothing is left in it.
    let at = |image: &Image| {
        image
            .slots
            .windows(9)
            .filter(|w| *w == b"vlt-slot\x01")
            .count()
    };
    assert_eq!(copies.map(at), [1, 1, 1, 1]);
}
