//! What recipients are to be told of somebody who is erased: it has to outlive their keys, and then to go as they
//! went.
//!
//! Counts as failure: once the day's notices are settled and the sweeper has run, the name that a recipient had
//! for the person is found in any copy of the database with the anchor of then, or can be computed. The control is
//! the anchor from before the run, which gives it, and that from before the erasure, which gives what it is
//! computed with.

use std::sync::Arc;

use serde_json::{Value, json};
use vault_core::clock::ManualClock;

use super::bench::with;
use super::cipher::mac;
use super::files::Image;
use super::hunt::QUIETLY;
use super::list::Item;
use super::person::bits;
use super::scene::{POLICY, Scene};
use super::search::{Evidence, Report, search};

const DAY: i64 = 24 * 3_600_000;

/// How often the name stands in what opened, and how often what opened gives it.
fn names(report: &Report, name: &[u8; 16], purpose: u16) -> (usize, usize) {
    let texts = &report.loot.texts;
    let holds = |text: &&Vec<u8>| text.windows(16).any(|window| window == name);
    let gives = |text: &&Vec<u8>| {
        let event: Option<Value> = serde_json::from_slice(text).ok();
        let secret = event.and_then(|event| {
            let bytes = event["secret"].as_array()?.iter();
            let bytes: Option<Vec<u8>> = bytes.map(|b| u8::try_from(b.as_u64()?).ok()).collect();
            <[u8; 32]>::try_from(bytes?).ok()
        });
        secret.is_some_and(|secret| {
            let parts: [&[u8]; 3] = [b"vault/1 pairwise", &purpose.to_be_bytes(), b"carrier"];
            mac(&secret, &parts)[..16] == name[..]
        })
    };
    (
        texts.iter().filter(holds).count(),
        texts.iter().filter(gives).count(),
    )
}

#[test]
fn art_19_what_a_recipient_calls_an_erased_person_opens_nowhere_once_they_are_told() {
    let start = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    let clock = Arc::new(ManualClock::at(start));
    let scene = Scene::open_at(&clock);
    let roles = "[roles.giver]\npurposes = [\"support\"]\nmay = [\"disclosures.record\", \"requests.decide\"]\n";
    let policy = format!("{POLICY}\n{roles}");
    scene.call("keeper", "PUT", "admin/policy", &json!({"source": policy}));
    let key = scene.call(
        "keeper",
        "POST",
        "admin/api-keys",
        &json!({"role": "giver"}),
    );
    let giver = key["secret"].as_str().unwrap();
    scene.crowd();
    let alida = scene.person("Alida");
    let path = format!("subjects/{}/disclosures", alida.subject);
    let body = json!({"recipient": "carrier", "purpose": "support", "fields": ["profile.email"]});
    let made = scene.call_as(giver, "POST", &path, &body);
    let name = bits(made["reference"].as_str().unwrap());
    let living = scene.image();
    let erased = format!("subjects/{}", alida.subject);
    let receipt = scene.call("dpo", "DELETE", &erased, &Value::Null);
    assert_eq!(receipt["receipt"]["body"]["recipients"], 1);
    let pending = scene.image();
    let list = scene.call_as(giver, "GET", "admin/recipient-notices", &Value::Null);
    let notice = &list["notices"][0];
    assert_eq!(notice["references"][0]["reference"], made["reference"]);
    let id = notice["id"].as_str().unwrap();
    let path = format!("admin/recipient-notices/{id}/complete");
    let done = scene.call_as(giver, "POST", &path, &json!({}));
    assert_eq!(done["state"], "completed");
    clock.advance(DAY);
    let waiting = scene.image();
    let run = scene.call("keeper", "POST", "admin/retention/run", &json!({}));
    assert_eq!(run["more"], false);
    let after = scene.image();

    let values = [Item::Value("alida@mail.example.test".to_owned())];
    let secrets = with(&scene.passphrase);
    let look =
        |copies: &[&Image]| search(&Evidence::of(copies), &secrets, &values, QUIETLY).unwrap();
    let purpose = 1;
    let report = look(&[&living]);
    assert_eq!(report.values(), 1, "the control");
    assert_eq!(
        names(&report, &name, purpose),
        (0, 1),
        "it is computed while she lives"
    );
    let report = look(&[&living, &pending]);
    assert_eq!(report.values(), 0);
    let (found, computed) = names(&report, &name, purpose);
    assert!(found >= 1 && computed == 0, "{found}, {computed}");
    let report = look(&[&living, &pending, &waiting]);
    assert!(names(&report, &name, purpose).0 >= 1, "until the run");
    let report = look(&[&living, &pending, &waiting, &after]);
    assert_eq!(names(&report, &name, purpose), (0, 0));
    drop(scene);
}
