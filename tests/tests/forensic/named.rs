//! What whoever holds a subject id can learn, and no more: docs/threat-model.md "Not promised" and "What the log still says".
//!
//! Counts as failure: of an erased person anything but the tombstone under their id, and the entry of a bulk
//! change of exactly the profiles whose people's ids are known; or either of them for whoever knows
//! an e-mail address alone.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::bench::{look, with};
use super::scene::Scene;
use super::search::{Evidence, How};

#[test]
fn an_id_tells_of_its_erasure_and_of_a_bulk_change_of_its_profile_alone() {
    let scene = Scene::open();
    let people = ["Alida", "Bertus"].map(|name| scene.person(name));
    let [alida, bertus] = &people;
    let update = |conditions: Value| {
        let body = json!({"collection": "profile", "where": conditions, "set": {"source": "desk"}});
        scene.call("bot", "POST", "records/update", &body)["count"].clone()
    };
    assert_eq!(update(json!({"subject": alida.subject})), 1);
    assert_eq!(update(json!({"purpose": "support"})), 2);
    for person in &people {
        let path = format!("subjects/{}", person.subject);
        scene.call("dpo", "DELETE", &path, &Value::Null);
    }
    let image = scene.image();
    let evidence = Evidence::of(&[&image]);
    let report = look(
        "erased",
        &evidence,
        &with(&scene.passphrase),
        &[alida, bertus],
    );
    // Their ids are the last things of their lists.
    let of_alida = alida.list().len() - 1;
    let of_bertus = of_alida + bertus.list().len();
    let expected = [(of_alida, BTreeSet::from([How::Trace]))];
    assert!(
        report.found.clone().into_iter().eq(expected),
        "{:?}",
        report.found
    );
    assert_eq!(report.tombstones, BTreeSet::from([of_alida, of_bertus]));
    let hash = super::cipher::sha256(&alida.id());
    let entries = report.loot.entries.iter();
    let told = entries.filter(|entry| entry.records == Some((1, hash)));
    let actions: BTreeSet<&str> = told.map(|entry| &*entry.action).collect();
    assert_eq!(actions, BTreeSet::from(["records.update"]));
}
