//! The index after a removal, and after it was built anew under a new placement key.
//!
//! Counts as failure: after the building, with the keys of then and every copy of the database, it can be
//! computed where an erased person's look-up values had their places; or any entry is found there.
//!
//! The control is the attack that the receipt's `lookup_horizon` names: before the building, with copies
//! from just before and just after an erasure, each of the erased person's four values lies in a leaf
//! that changed, while of addresses that never were there most do not. It is printed how well that
//! tells them apart. The nearest violation, the placement key of before kept, must win again after the
//! building.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};

use super::bench::{keys_of, look, nothing, with};
use super::cipher::{Key, mac};
use super::files::Image;
use super::live::{Rows, read_tables};
use super::scene::Scene;
use super::search::{Evidence, Report};

/// The nodes of the index of generation 0, by their nibbles.
fn nodes(image: &Image) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&image.database).unwrap();
    let rows: Rows = read_tables(file.path()).remove(&2).unwrap();
    let rows = rows
        .into_iter()
        .filter(|(key, _)| key.starts_with(&[2, 0, 0, 0, 0]));
    rows.map(|(key, sealed)| (key[5..].to_vec(), sealed))
        .collect()
}

/// Keys that a place can be computed with: those of the index, and placements of generation 0.
fn keys(report: &Report) -> (Vec<Key>, Vec<Key>) {
    let system = report.loot.system.iter();
    let index = system
        .clone()
        .flat_map(|keys| keys.index_keys().map(|(_, key)| *key));
    let placements = system.flat_map(|keys| &keys.placements);
    let first = placements.filter(|(generation, ..)| *generation == 0);
    (index.collect(), first.map(|(.., key)| *key).collect())
}

/// Whether for some key of a field the leaf of this value was written between two moments.
fn touched(
    [before, after]: [&BTreeMap<Vec<u8>, Vec<u8>>; 2],
    (index, placements): &(Vec<Key>, Vec<Key>),
    normal: &[u8],
    field: usize,
) -> bool {
    placements.iter().any(|placement| {
        let mark = mac(&index[field], &[&[1], normal]);
        let place = mac(placement, &[b"value", &mark]);
        let nibbles: Vec<u8> = place[..8].iter().flat_map(|b| [b >> 4, b & 15]).collect();
        let leaf = after
            .keys()
            .filter(|at| nibbles.starts_with(at))
            .max_by_key(|at| at.len());
        leaf.is_some_and(|leaf| before.get(leaf) != after.get(leaf))
    })
}

#[test]
fn after_the_index_was_built_anew_nobody_can_compute_where_the_erased_had_been() {
    let scene = Scene::open();
    scene.crowd();
    let names = ["Bertus", "Cornelia", "Dirkje", "Evert", "Floris", "Grietje"];
    let _stay = names.map(|name| scene.person(name));
    let alida = scene.person("Alida");
    let before = scene.image();
    let path = format!("subjects/{}", alida.subject);
    let receipt = scene.call("dpo", "DELETE", &path, &Value::Null);
    assert!(receipt["receipt"]["body"]["lookup_horizon"].is_string());
    let between = scene.image();
    let run = scene.call("keeper", "POST", "admin/retention/run", &json!({}));
    assert_eq!(run["more"], false);
    let after = scene.image();
    let secrets = with(&scene.passphrase);
    let copies: [&Image; 3] = [&before, &between, &after];
    let (old, new) = (nodes(&before), nodes(&between));
    assert!(
        old.len() > 16,
        "the index has leaves to tell apart: {}",
        old.len()
    );

    let forms = alida.normal_forms();
    let attack = |what: &str, evidence: &Evidence<'_>| {
        let report = look(what, evidence, &secrets, &[&alida]);
        let keys = keys(&report);
        let own = forms.iter().enumerate();
        let own = own
            .filter(|(field, form)| touched([&old, &new], &keys, form, *field))
            .count();
        let strangers = (0..200).map(|number| format!("stranger{number}@mail.example.test"));
        let others = strangers.filter(|form| touched([&old, &new], &keys, form.as_bytes(), 1));
        (report, own, others.count())
    };
    let (report, own, others) = attack("before the building", &keys_of(&copies[..2], &between));
    tell("before the building", own, others);
    assert!(
        own == 4 && others < 120,
        "the attack works: {own} of 4, {others} of 200"
    );
    nothing(&report, &[&alida]);

    let (report, own, others) = attack("after the building", &Evidence::of(&copies));
    tell("after the building", own, others);
    nothing(&report, &[&alida]);
    let placements = report.loot.system.iter().flat_map(|keys| &keys.placements);
    let generations: Vec<u32> = placements.map(|(generation, ..)| *generation).collect();
    assert!(!generations.is_empty(), "the reader has the keys of now");
    assert!(
        generations.iter().all(|generation| *generation == 1),
        "the placement key of before the building is found: {generations:?}"
    );
    assert_eq!((own, others), (0, 0), "a place can be computed");
    assert!(nodes(&after).is_empty(), "the rows are gone as well");

    // The placement key lies under the anchor of before: whoever kept it computes places again.
    let evidence = Evidence::of(&copies).with_keys(&between);
    let (_, own, others) = attack("the anchor of before kept", &evidence);
    tell("the anchor of before kept", own, others);
    assert!(own == 4 && others < 120);
}

#[expect(clippy::print_stdout, reason = "shown by --nocapture")]
fn tell(what: &str, own: usize, others: usize) {
    println!(
        "{what}: the leaf changed of {own} of 4 values of the erased, {others} of 200 strangers"
    );
}
