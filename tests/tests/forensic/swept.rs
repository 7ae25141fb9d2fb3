//! A record that was deleted, values and a blob that were replaced or removed, after a run of the sweeper.
//!
//! Counts as failure: with the anchor as it is after the run, any of the old values, or an entry of
//! the index at their positions, opens at any offset of the database or of a copy from before; or
//! anything that was kept does not.
//!
//! The controls: with the anchor from before the changes the same reader finds all of it, and with
//! that from just before the run it still finds the values (not the index entries: those go with the
//! change), which is what `final_by` is about.

use serde_json::{Value, json};

use super::erased::{tell, texts};
use super::files::Image;
use super::hunt::{QUIETLY, hunt};
use super::loot::{Hints, Loot};
use super::person::Person;
use super::raw::Raw;
use super::scene::Scene;
use super::unlock::roots;

/// What was stored and is to be gone.
const GONE: [&str; 5] = [
    r#""Floris lost a suitcase""#,
    r#""bk-floris""#,
    r#""Grietje Vandermolen""#,
    r#""grietje@mail.example.test""#,
    r#""+31 20 6695816""#,
];
/// Those that were look-up values, in their normal forms.
const POSITIONS: [&str; 3] = ["bk-floris", "grietje@mail.example.test", "+31206695816"];
/// What the same people keep.
const KEPT: [&str; 5] = [
    r#""Floris found it again""#,
    r#""Floris Vandermolen""#,
    r#""Grietje lost a suitcase""#,
    r#""Grietje Wijngaarden""#,
    r#""grietje@post.example.test""#,
];

fn values(loot: &Loot, wanted: &[&str]) -> usize {
    let there = |text: &&&str| {
        loot.values
            .iter()
            .any(|(.., value)| value == text.as_bytes())
    };
    wanted.iter().filter(there).count()
}

fn positions(loot: &Loot) -> usize {
    let there = |normal: &&&str| loot.holds_position(normal.as_bytes());
    POSITIONS.iter().filter(there).count()
}

#[test]
fn after_a_run_of_the_sweeper_what_was_deleted_or_replaced_opens_nowhere() {
    let scene = Scene::open();
    scene.crowd();
    let floris = scene.person("Floris");
    let grietje = scene.person("Grietje");
    let before = scene.image();
    let message = format!("messages/{}", floris.message);
    scene.records("DELETE", &floris.subject, &message, &Value::Null);
    let list = scene.records("GET", &floris.subject, "bookings", &Value::Null);
    let booking = format!(
        "bookings/{}",
        list["records"][0]["record"].as_str().unwrap()
    );
    scene.records("DELETE", &floris.subject, &booking, &Value::Null);
    scene.photo("DELETE", &floris.subject, &[]);
    let changes = json!({
        "name": "Grietje Wijngaarden",
        "email": "grietje@post.example.test",
        "phone": null,
    });
    let written = scene.records("PATCH", &grietje.subject, "profile", &changes);
    assert!(written["final_by"].is_string());
    let between = scene.image();
    let run = scene.call("keeper", "POST", "admin/retention/run", &json!({}));
    assert_eq!(run["more"], false);
    let after = scene.image();
    let passphrase = scene.passphrase.clone();
    let photographs = |loot: &Loot| {
        let there = |person: &Person| {
            let wanted = person.photograph();
            loot.contents.iter().any(|(_, content)| *content == wanted)
        };
        (there(&floris), there(&grietje))
    };
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
    let control = read("before the changes", &[&before], &before);
    assert_eq!((values(&control, &GONE), positions(&control)), (5, 3));
    assert_eq!(photographs(&control), (true, true));
    let control = read("before the run", &[&before, &between], &between);
    assert_eq!((values(&control, &GONE), positions(&control)), (5, 0));
    assert_eq!(photographs(&control), (true, true));
    let loot = read("after the run", &[&before, &between, &after], &after);
    let gone: Vec<&[u8]> = GONE
        .iter()
        .map(|text| text.trim_matches('"').as_bytes())
        .collect();
    assert_eq!((values(&loot, &GONE), positions(&loot)), (0, 0));
    assert_eq!(texts(&loot, &gone), 0);
    assert_eq!(photographs(&loot), (false, true));
    assert_eq!(values(&loot, &KEPT), KEPT.len(), "the reader reads");
}
