//! The pseudonyms of somebody who was erased: what a recipient goes on having.
//!
//! Counts as failure: with the anchor as it is after the acknowledgement, and every copy of the database from
//! before, an entry of the index at the position of one of the person's pseudonyms opens, or a secret that
//! makes one; or those of another are not found. The control: with the anchor from before, the same reader
//! finds both of both.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::cipher::{Key, mac};
use super::erased::tell;
use super::files::Image;
use super::hunt::{QUIETLY, hunt};
use super::list::base32;
use super::loot::{Hints, Loot};
use super::raw::Raw;
use super::scene::Scene;
use super::unlock::roots;

/// A pseudonym's bits, and the recipient that it was issued for.
type Issued = (Vec<u8>, &'static str);

/// Two pseudonyms of somebody.
fn issue(scene: &Scene, person: &str) -> Vec<Issued> {
    let path = format!("subjects/{person}/pseudonyms");
    let issue = |recipient: &'static str| {
        let body = match recipient {
            "" => json!({}),
            name => json!({"recipient": name}),
        };
        let answer = scene.call("bot", "POST", &path, &body);
        let text = answer["pseudonym"].as_str().unwrap().to_owned();
        let bits = base32(text.strip_prefix("psn_").unwrap()).unwrap();
        assert_eq!(bits.len(), 16);
        (bits, recipient)
    };
    ["", "carrier"].map(issue).to_vec()
}

/// Every name that the secrets which opened make for these recipients.
fn made(loot: &Loot, recipients: &[&str]) -> BTreeSet<Vec<u8>> {
    let mut names = BTreeSet::new();
    for (_, text) in &loot.consents {
        let event: Value = serde_json::from_slice(text).unwrap();
        let Some(secret) = event["secret"].as_array() else {
            continue;
        };
        let bytes: Vec<u8> = secret
            .iter()
            .map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap())
            .collect();
        let secret: Key = bytes.try_into().unwrap();
        for purpose in 1..16_u16 {
            for recipient in recipients {
                let parts: [&[u8]; 3] = [
                    b"vault/1 pairwise",
                    &purpose.to_be_bytes(),
                    recipient.as_bytes(),
                ];
                names.insert(mac(&secret, &parts)[..16].to_vec());
            }
        }
    }
    names
}

/// How many of these are found in the index, and how many can be made.
fn found(loot: &Loot, issued: &[Issued]) -> [usize; 2] {
    let names = made(loot, &["", "carrier"]);
    let positions = issued
        .iter()
        .filter(|(bits, _)| loot.holds_position(bits))
        .count();
    let made = issued
        .iter()
        .filter(|(bits, _)| names.contains(bits))
        .count();
    [positions, made]
}

#[test]
fn a_pseudonym_of_somebody_who_was_erased_can_be_tied_to_nobody_and_not_be_tested_for() {
    let scene = Scene::open();
    scene.crowd();
    let hendrik = scene.person("Hendrik");
    let ilse = scene.person("Ilse");
    let (gone, stays) = (
        issue(&scene, &hendrik.subject),
        issue(&scene, &ilse.subject),
    );
    let before = scene.image();
    let path = format!("subjects/{}", hendrik.subject);
    scene.call("dpo", "DELETE", &path, &Value::Null);
    let after = scene.image();
    let passphrase = scene.passphrase.clone();
    let read = |what: &str, files: &[&Image], keys: &Image| {
        let files: Vec<&[u8]> = files.iter().map(|image| &*image.database).collect();
        let raw = Raw::new(&files);
        let roots = roots(&keys.slots, &passphrase);
        let journals: [&[u8]; 2] = [&keys.journal, &keys.ledger];
        let anchors: [&[u8]; 1] = [&keys.anchor];
        let hints = Hints::default();
        let loot = hunt(&raw, &journals, &anchors, &roots, &hints, QUIETLY);
        tell(what, &raw, &loot, found(&loot, &gone)[0]);
        loot
    };
    let control = read("before the erasure", &[&before], &before);
    assert_eq!(found(&control, &gone), [2, 2]);
    assert_eq!(found(&control, &stays), [2, 2]);
    let loot = read("after the erasure", &[&before, &after], &after);
    assert_eq!(found(&loot, &gone), [0, 0]);
    assert_eq!(found(&loot, &stays), [2, 2], "the reader reads");
}
