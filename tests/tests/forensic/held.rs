//! Somebody who is erased while a legal hold keeps one collection, the moment that it was acknowledged: no
//! run of the sweeper comes between.
//!
//! Counts as failure: with the anchor as it is then, any value that is not held, the photograph, who they are
//! on their channel, a remembered answer, a session, or an entry of the index under their id or at the position
//! of a look-up value, of what is held too, opens at any offset of the database or of a copy from before; or
//! what is held, or is another's, does not. The control: with the anchor from before, the same reader finds all of it.

use serde_json::{Value, json};

use super::erased::{tell, texts};
use super::files::Image;
use super::hunt::{QUIETLY, hunt};
use super::loot::{Hints, Loot};
use super::raw::Raw;
use super::scene::Scene;
use super::unlock::roots;

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
    r#""bk-grietje""#,
];

fn values(loot: &Loot, wanted: &[&str]) -> usize {
    let there = |text: &&&str| {
        let mut values = loot.values.iter();
        values.any(|(.., value)| value == text.as_bytes())
    };
    wanted.iter().filter(there).count()
}

fn identities(loot: &Loot) -> usize {
    let rows = loot.subjects.iter();
    rows.filter(|(_, row)| row.user == "user-floris").count()
}

#[test]
fn what_an_erasure_under_a_hold_has_acknowledged_opens_nowhere_and_what_is_held_does() {
    let scene = Scene::open();
    scene.crowd();
    let floris = scene.person("Floris");
    scene.converse(&floris);
    scene.person("Grietje");
    let before = scene.image();
    let hold =
        json!({"ground": "legal_claims", "collections": ["bookings"], "review_at": "2099-12-31"});
    let path = format!("subjects/{}/hold", floris.subject);
    scene.call("dpo", "PUT", &path, &hold);
    let held = scene.image();
    let path = format!("subjects/{}", floris.subject);
    let erased = scene.call("dpo", "DELETE", &path, &Value::Null);
    assert_eq!(
        erased["receipt"]["body"]["kept"][0]["collection"],
        "bookings"
    );
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
        let mut index = loot.index.iter();
        let of_floris = loot.people.iter().find(|one| one.tag == floris.id());
        let handle = of_floris.map(|one| one.handle);
        let answers = loot.answers.iter().filter(|(of, _)| Some(*of) == handle);
        let sessions = loot.sessions.iter().filter(|(of, ..)| Some(*of) == handle);
        [
            identities(loot),
            loot.contents
                .iter()
                .filter(|(_, content)| *content == photograph)
                .count(),
            usize::from(index.any(|one| one.subject == floris.id())),
            floris
                .normal_forms()
                .iter()
                .filter(|form| loot.holds_position(form))
                .count(),
            answers.count(),
            sessions.count(),
        ]
    };
    let control = read("before the erasure", &[&before, &held], &held);
    assert_eq!(values(&control, &GONE), GONE.len());
    let found = known(&control);
    assert!(found.iter().all(|count| *count > 0), "{found:?}");
    let loot = read("after the erasure", &[&before, &held, &after], &after);
    assert_eq!(values(&loot, &GONE), 0);
    assert_eq!(known(&loot), [0; 6]);
    let gone: Vec<&[u8]> = GONE
        .iter()
        .map(|text| text.trim_matches('"').as_bytes())
        .collect();
    assert_eq!(texts(&loot, &gone), 0);
    assert_eq!(values(&loot, &KEPT), KEPT.len(), "the reader reads");
}
