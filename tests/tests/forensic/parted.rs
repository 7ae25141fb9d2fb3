//! A person of whom some collections were erased, at their request, the moment that it was acknowledged: no run of
//! the sweeper comes between.
//!
//! Counts as failure: with the anchor as it is then, any value of these collections, the photograph, or an entry of the
//! index at the position of a look-up value opens at any offset of the database or of a copy from before; or anything
//! that was not asked for does not. The control: with the anchor from before, the same reader finds all of it.

use serde_json::json;

use super::erased::{tell, texts};
use super::files::Image;
use super::hunt::{QUIETLY, hunt};
use super::loot::{Hints, Loot};
use super::raw::Raw;
use super::scene::{POLICY, Scene};
use super::unlock::roots;

/// A role that decides requests.
const DECIDING: &str = r#"
[roles.deciding]
may = ["requests.decide", "subjects.erase"]
"#;

const GONE: [&str; 4] = [
    r#""Floris lost a suitcase""#,
    r#""Floris found it again""#,
    r#""Floris Vandermolen""#,
    r#""floris@mail.example.test""#,
];
const KEPT: [&str; 4] = [
    r#""bk-floris""#,
    "1177",
    r#""Grietje Vandermolen""#,
    r#""Grietje lost a suitcase""#,
];

fn values(loot: &Loot, wanted: &[&str]) -> usize {
    let there = |text: &&&str| {
        let mut values = loot.values.iter();
        values.any(|(.., value)| value == text.as_bytes())
    };
    wanted.iter().filter(there).count()
}

#[test]
fn what_an_erasure_of_some_collections_has_acknowledged_opens_nowhere_and_the_rest_does() {
    let scene = Scene::open_under(&format!("{POLICY}{DECIDING}"));
    scene.crowd();
    let floris = scene.person("Floris");
    scene.person("Grietje");
    let before = scene.image();
    let path = format!("subjects/{}/requests", floris.subject);
    let asked = json!({"type": "erase", "collections": ["profile", "messages"]});
    let made = scene.call("deciding", "POST", &path, &asked);
    let request = made["request"].as_str().expect("taken down").to_owned();
    let step = |step: &str, body: serde_json::Value| {
        let path = format!("requests/{request}/{step}");
        scene.call("deciding", "POST", &path, &body)
    };
    step(
        "identity",
        json!({"outcome": "verified", "evidence": "known by voice"}),
    );
    let asked = scene.image();
    let confirmation = step("confirm", json!({}))["confirmation"].clone();
    let done = step("approve", json!({"confirmation": confirmation}));
    assert_eq!(done["receipt"]["body"]["scope"], "collections", "{done}");
    let after = scene.image();
    let passphrase = scene.passphrase.clone();
    let photograph = floris.photograph();
    let read = |what: &str, files: &[&Image], keys: &Image| {
        let files: Vec<&[u8]> = files.iter().map(|image| &*image.database).collect();
        let raw = Raw::new(&files);
        let roots = roots(&keys.slots, &passphrase);
        let journals: [&[u8]; 2] = [&keys.journal, &keys.ledger];
        let anchors: [&[u8]; 1] = [&keys.anchor];
        let loot = hunt(
            &raw,
            &journals,
            &anchors,
            &roots,
            &Hints::default(),
            QUIETLY,
        );
        let plain: Vec<&[u8]> = GONE.iter().map(|text| text.as_bytes()).collect();
        tell(what, &raw, &loot, texts(&loot, &plain));
        loot
    };
    let known = |loot: &Loot| {
        let contents = loot.contents.iter();
        [
            contents.filter(|(_, one)| *one == photograph).count(),
            usize::from(loot.holds_position(b"floris@mail.example.test")),
        ]
    };
    let control = read("before the erasure", &[&before, &asked], &asked);
    assert_eq!(values(&control, &GONE), GONE.len());
    assert!(known(&control).iter().all(|count| *count > 0));
    assert_eq!(values(&control, &KEPT), KEPT.len());
    let loot = read("after the erasure", &[&before, &asked, &after], &after);
    assert_eq!(values(&loot, &GONE), 0);
    assert_eq!(known(&loot), [0; 2]);
    let gone: Vec<&[u8]> = GONE
        .iter()
        .map(|text| text.trim_matches('"').as_bytes())
        .collect();
    assert_eq!(texts(&loot, &gone), 0);
    assert_eq!(values(&loot, &KEPT), KEPT.len(), "the reader reads");
    assert!(loot.holds_position(b"bk-floris"), "and finds by what stays");
    let mut people = loot.people.iter();
    assert!(people.any(|one| one.tag == floris.id()), "who is there");
}
