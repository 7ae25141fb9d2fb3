//! Everybody's keys, and the root key, replaced.
//!
//! Counts as failure: with every copy of the database and of the slots file, the passphrase and the
//! anchor of afterwards, a key of a person from before is found in any keyset at any offset; or the
//! former root key, with the anchor of now, opens anything at all; or somebody who kept everything from
//! before (slots, anchor, keysets, the keys of the system) opens anything that was written after, in the files
//! of after: a word, an entry of the log, a tombstone, a receipt; or finds whether an address is in the index.
//! And of somebody who was erased afterwards, anything, with every secret but the anchor of before.
//!
//! Does not count: what those people had before, under new keys; and what the files held once, to
//! whoever has the anchor of that time. That is the control: with it the reader must find each old key
//! and everything that lay under it.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::bench::{EVERYTHING, NOTHING, everything, found, look, nothing, with};
use super::cipher::{Id, Key};
use super::files::Image;
use super::hunt::{QUIETLY, hunt};
use super::loot::{Hints, Loot};
use super::raw::Raw;
use super::scene::Scene;
use super::search::Evidence;
use super::unlock::roots;

const LATER: &str = "said long after the leak";
const NEWCOMER: &str = "somebody who came after the leak";

/// Every key of everybody: whose, its number, itself.
fn keys(loot: &Loot) -> HashSet<(Id, u32, Key)> {
    let keysets = loot.keysets.iter();
    let keys = keysets
        .flat_map(|(handle, keyset)| keyset.keys.iter().map(|key| (*handle, key.number, key.key)));
    keys.collect()
}

fn loot(
    copies: &[&Image],
    anchor: &Image,
    slots: &[&Image],
    passphrase: &str,
    hints: &Hints,
) -> Loot {
    let files: Vec<&[u8]> = copies.iter().map(|image| &*image.database).collect();
    let mut all = Vec::new();
    for image in slots {
        for root in roots(&image.slots, passphrase) {
            if !all.contains(&root) {
                all.push(root);
            }
        }
    }
    let raw = Raw::new(&files);
    hunt(&raw, &[], &[&anchor.anchor], &all, hints, QUIETLY)
}

/// Keys of the system keyset that somebody has, but for the ledger's, which stays.
fn system(loot: &Loot) -> HashSet<Key> {
    let keys = loot.system.iter().flat_map(|keys| {
        let rings = keys.system.iter().chain(&keys.audit).map(|(_, key)| *key);
        let index = keys.index_keys().map(|(_, key)| *key);
        let placements = keys.placements.iter().map(|(.., key)| *key);
        rings.chain(index).chain(placements).chain([keys.signing])
    });
    keys.collect()
}

fn did(loot: &Loot, action: &str) -> bool {
    loot.entries.iter().any(|entry| entry.action == action)
}

fn says(loot: &Loot, word: &str) -> bool {
    let has = |text: &Vec<u8>| text.windows(word.len()).any(|part| part == word.as_bytes());
    loot.texts.iter().any(has)
}

#[test]
fn no_old_key_is_left_at_any_offset_and_whoever_kept_one_reads_nothing_new() {
    let scene = Scene::open();
    scene.crowd();
    let [ann, ben] = ["Alida", "Bertus"].map(|name| scene.person(name));
    let people = [&ann, &ben];
    for person in people {
        scene.converse(person);
    }
    let before = scene.image();
    let rotate = json!({"scope": "all", "deep": true});
    let begun = scene.call("keeper", "POST", "admin/keys/rotate", &rotate);
    assert_eq!(begun["rotation"]["people"], 68);
    loop {
        let keys = scene.call("keeper", "GET", "admin/keys", &Value::Null);
        if keys["rotation"]["state"] == "done" {
            // Nobody was left out either, whose old keys would stay.
            for counted in ["people_left", "people_skipped"] {
                assert_eq!(keys["rotation"][counted], 0, "{counted}: {keys}");
            }
            break;
        }
        std::thread::yield_now();
    }
    let rotated = scene.image();
    let later = json!({"name": LATER});
    scene.records("PATCH", &ann.subject, "profile", &later);
    let said = json!([{"text": LATER}]);
    scene.records("POST", &ann.subject, "messages", &said);
    let new = json!({"channel": "web", "user": NEWCOMER});
    scene.call("bot", "POST", "subjects", &new);
    let path = format!("subjects/{}", ben.subject);
    scene.call("dpo", "DELETE", &path, &Value::Null);
    let after = scene.image();
    let copies: [&Image; 3] = [&before, &rotated, &after];
    let passphrase = &*scene.passphrase;
    let hints = Hints {
        subjects: vec![ben.id()],
        ..Hints::default()
    };
    let newcomer = [&3u32.to_be_bytes()[..], b"web", NEWCOMER.as_bytes()].concat();

    // The control: whoever has the anchor of that time has all that there was then, and its keys.
    let control = loot(&copies, &before, &[&before], passphrase, &hints);
    let old = keys(&control);
    assert!(old.len() > 68, "each has at least one: {}", old.len());
    assert!(did(&control, "subjects.create") && !control.policies.is_empty());
    let mut evidence = Evidence::of(&[&before]);
    let own = with(passphrase);
    everything(&look("before", &evidence, &own, &people), &people);
    // Out of the files of after, too: freed pages hold what was replaced, under the keys of then. Nothing
    // of it is from later: not the entry of the rotation itself, which is the first under the new keys.
    let control = loot(&[&after], &before, &[&before], passphrase, &hints);
    assert!(!says(&control, LATER), "an old key opens something new");
    assert!(keys(&control).is_subset(&old));
    // And with every key of before at hand, the system keyset's too, tried at every offset of after.
    let control = loot(&[&before, &after], &before, &[&before], passphrase, &hints);
    assert!(!says(&control, LATER), "an old key opens something new");
    assert!(keys(&control).is_subset(&old) && !control.system.is_empty());
    assert!(!did(&control, "keys.rotate_all") && !did(&control, "subjects.erase"));
    assert!(control.tombstones.is_empty() && control.receipts.is_empty());
    assert!(!control.holds_position(&newcomer));
    let known = system(&control);

    // With the anchor of now no old key is to be had, from any copy, whatever else was kept.
    let now = loot(&copies, &after, &copies, passphrase, &hints);
    let new = keys(&now);
    assert!(says(&now, LATER) && new.len() > 67);
    assert!(did(&now, "keys.rotate_all") && did(&now, "subjects.erase"));
    assert_eq!((now.tombstones.len(), now.receipts.len()), (1, 1));
    assert!(now.holds_position(&newcomer), "the control of the index");
    let left: Vec<u32> = new
        .intersection(&old)
        .map(|(_, number, _)| *number)
        .collect();
    assert!(left.is_empty(), "old keys are left: {left:?}");
    assert!(known.len() > 5 && system(&now).is_disjoint(&known));
    evidence = Evidence::of(&copies);
    (evidence.anchors, evidence.slots) = (vec![&*after.anchor], vec![&*after.slots]);
    let report = look("after", &evidence, &own, &people);
    // Her former name too: it was sealed again, and replaced after that; the sweeper is to come. Of him,
    // who was erased after it, nothing.
    assert_eq!(found(&report, &people), [EVERYTHING, NOTHING]);

    // The former root key opens nothing with the anchor of now, nor the present one with that of then.
    for (anchor, slots) in [(&after, &before), (&before, &after)] {
        (evidence.anchors, evidence.slots) = (vec![&*anchor.anchor], vec![&*slots.slots]);
        let report = look("one of the two is old", &evidence, &own, &people);
        nothing(&report, &people);
        assert_eq!((report.texts, report.people), (0, 0));
    }
}
