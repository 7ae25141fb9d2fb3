//! What is left of two people who were erased, of whom one had objected to direct marketing.
//!
//! Counts as failure: with the passphrase, the anchor as it is after both erasures and every copy of the database,
//! an address of whoever never objected can be tested: its blind hash stands anywhere in a database or in an entry
//! of the ledger. Or more than that is left of whoever objected: a text with a word of theirs opens, or one of their
//! look-up values has its place in the index. Or the hash of an address that was objected for stands nowhere, so
//! that the list would not hold. What a test of an address needs is the key of the list: under the keys of the index
//! the same address is found in no row of table 22.

use serde_json::{Value, json};

use super::cipher::{derive, mac};
use super::erased::texts;
use super::form::{Event, ledger_entry};
use super::hunt::{QUIETLY, hunt};
use super::loot::{Hints, Loot};
use super::person::Person;
use super::raw::Raw;
use super::scene::{POLICY, Scene};
use super::unlock::roots;

/// Kind and normal form of everything that a person can be written to at.
fn addresses(person: &Person) -> Vec<(&'static [u8], Vec<u8>)> {
    let text = |name: &str| person.profile[name].as_str().unwrap().replace(' ', "");
    let channel = [&3_u32.to_be_bytes()[..], b"web", person.user.as_bytes()].concat();
    vec![
        (b"email", text("email").into_bytes()),
        (b"phone", text("phone").into_bytes()),
        (b"channel", channel),
    ]
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// How many of a person's addresses can be tested: in the databases, and in the ledger.
fn testable(person: &Person, loot: &Loot, files: &[&[u8]]) -> (usize, usize) {
    let keys = loot.system.last().expect("the system keyset opens");
    let key = derive(&[&keys.ledger], &[], "vault/1 suppression", &[]);
    let listed: Vec<[u8; 32]> = loot
        .ledger
        .iter()
        .filter_map(|row| match ledger_entry(row).event {
            Event::Suppressed(address, _) => Some(address),
            _ => None,
        })
        .collect();
    let (mut in_files, mut in_ledger, mut marks) = (0, 0, 0);
    for (kind, normal) in addresses(person) {
        let hash = mac(&key, &[kind, &[1], &normal]);
        in_files += usize::from(files.iter().any(|file| holds(file, &hash)));
        in_ledger += usize::from(listed.contains(&hash));
        for (_, other) in keys.index_keys() {
            // As the index marks a value, and as the list would under a key of the index.
            for parts in [&[&[1][..], &normal][..], &[kind, &[1], &normal]] {
                let mark = mac(other, parts);
                assert!(!files.iter().any(|file| holds(file, &mark)));
                marks += 1;
            }
        }
    }
    assert!(marks > 0, "there are keys to test with");
    (in_files, in_ledger)
}

#[test]
fn art_21_3_of_who_objected_an_address_is_testable_after_erasure_and_of_nobody_else_anything() {
    let marketing = "basis = \"consent\"\ndirect_marketing = true";
    let policy = POLICY.replace("basis = \"consent\"", marketing).replace(
        "\"consents.record\",",
        "\"consents.record\", \"objections.record\",",
    );
    let scene = Scene::open_under(&policy);
    scene.crowd();
    let (objects, never) = (scene.person("Floris"), scene.person("Grietje"));
    let before = scene.image();
    let path = format!("subjects/{}/objections/newsletter", objects.subject);
    scene.call(
        "bot",
        "PUT",
        &path,
        &json!({"reason": "Floris wants no letters"}),
    );
    let listed = scene.image();
    for person in [&objects, &never] {
        let path = format!("subjects/{}", person.subject);
        let erased = scene.call("dpo", "DELETE", &path, &Value::Null);
        assert!(erased["receipt"].is_object(), "{erased}");
    }
    let after = scene.image();
    let images = [&before, &listed, &after];
    let files: Vec<&[u8]> = images.iter().map(|image| &*image.database).collect();
    let roots = roots(&after.slots, &scene.passphrase);
    let journals: [&[u8]; 2] = [&after.journal, &after.ledger];
    let anchors: [&[u8]; 1] = [&after.anchor];
    let loot = hunt(
        &Raw::new(&files),
        &journals,
        &anchors,
        &roots,
        &Hints::default(),
        QUIETLY,
    );
    // E-mail address, telephone number, and the name on the channel.
    assert_eq!(testable(&objects, &loot, &files), (3, 3));
    assert_eq!(testable(&never, &loot, &files), (0, 0));
    for person in [&objects, &never] {
        let canaries = person.canaries();
        let words: Vec<&[u8]> = canaries.iter().map(|text| text.as_bytes()).collect();
        assert_eq!(texts(&loot, &words), 0, "{}", person.name);
        let forms = person.normal_forms();
        let found = forms.iter().filter(|form| loot.holds_position(form));
        assert_eq!(found.count(), 0, "{}", person.name);
    }
    assert_eq!(
        texts(&loot, &[b"wants no letters"]),
        0,
        "the grounds are gone"
    );
    // The control: with the anchor from before, the same reader finds both.
    let anchors: [&[u8]; 1] = [&listed.anchor];
    let control = hunt(
        &Raw::new(&files),
        &journals,
        &anchors,
        &roots,
        &Hints::default(),
        QUIETLY,
    );
    for person in [&objects, &never] {
        let canaries = person.canaries();
        let words: Vec<&[u8]> = canaries.iter().map(|text| text.as_bytes()).collect();
        assert!(texts(&control, &words) > 0, "{}", person.name);
        // So is what stands nowhere in clear: by those very keys and marks they are found, once the index opens.
        let forms = person.normal_forms();
        let found = forms.iter().filter(|form| control.holds_position(form));
        assert!(found.count() >= 3, "{}", person.name);
    }
}
