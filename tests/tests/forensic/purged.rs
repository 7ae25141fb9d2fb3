//! Records of one person that a purge destroyed, the moment that it was acknowledged: no run of the
//! sweeper comes between.
//!
//! Counts as failure: with the anchor as it is then, any of the purged values, or an entry of the
//! index at the position of a purged look-up value, opens at any offset of the database or of a copy
//! from before; or anything that was kept does not. The control: with the anchor from before, the same
//! reader finds all of it.

use serde_json::json;

use super::erased::{tell, texts};
use super::files::Image;
use super::hunt::{QUIETLY, hunt};
use super::loot::{Hints, Loot};
use super::raw::Raw;
use super::scene::Scene;
use super::unlock::roots;

const GONE: [&str; 3] = [
    r#""Floris lost a suitcase""#,
    r#""Floris found it again""#,
    r#""bk-floris""#,
];
const KEPT: [&str; 4] = [
    r#""Floris Vandermolen""#,
    r#""floris@mail.example.test""#,
    r#""Grietje lost a suitcase""#,
    r#""bk-grietje""#,
];

fn values(loot: &Loot, wanted: &[&str]) -> usize {
    let there = |text: &&&str| {
        let mut values = loot.values.iter();
        values.any(|(.., value)| value == text.as_bytes())
    };
    wanted.iter().filter(there).count()
}

fn booking_is_found(loot: &Loot) -> bool {
    loot.holds_position(b"bk-floris")
}

#[test]
fn what_a_purge_has_acknowledged_opens_nowhere() {
    let scene = Scene::open();
    scene.crowd();
    let floris = scene.person("Floris");
    scene.person("Grietje");
    let before = scene.image();
    for (collection, count) in [("messages", 2), ("bookings", 1)] {
        let body = json!({"collection": collection, "where": {"subject": floris.subject}});
        let purged = scene.call("bot", "POST", "records/purge", &body);
        assert_eq!(purged["count"], count);
        assert_eq!(purged["receipt"]["body"]["scope"], "purge");
    }
    let after = scene.image();
    let passphrase = scene.passphrase.clone();
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
    let control = read("before the purge", &[&before], &before);
    assert_eq!(values(&control, &GONE), GONE.len());
    assert!(booking_is_found(&control));
    let loot = read("after the purge", &[&before, &after], &after);
    assert_eq!(values(&loot, &GONE), 0);
    assert!(!booking_is_found(&loot));
    let gone: Vec<&[u8]> = GONE
        .iter()
        .map(|text| text.trim_matches('"').as_bytes())
        .collect();
    assert_eq!(texts(&loot, &gone), 0);
    assert_eq!(values(&loot, &KEPT), KEPT.len(), "the reader reads");
}
