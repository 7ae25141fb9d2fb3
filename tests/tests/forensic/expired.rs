//! What a vault forgets by itself when its time is over: records of a collection that expires, a
//! record whose own end came, answers that were remembered for a day.
//!
//! Counts as failure: after the run of the sweeper that is due, with the anchor of then, any such value
//! is found in any copy of the database; or anything that had not expired is not.
//!
//! The control is the anchor from before the run, which gives all of it.

use std::sync::Arc;

use serde_json::{Value, json};
use vault_core::clock::ManualClock;

use super::bench::with;
use super::files::Image;
use super::hunt::QUIETLY;
use super::list::Item;
use super::scene::Scene;
use super::search::{Evidence, Report, search};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn values(texts: &[&str]) -> Vec<Item> {
    texts
        .iter()
        .map(|text| Item::Value((*text).to_owned()))
        .collect()
}

#[test]
fn what_has_expired_opens_nowhere_after_the_run_that_is_due() {
    let start = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    let clock = Arc::new(ManualClock::at(start));
    let scene = Scene::open_at(&clock);
    scene.crowd();
    let alida = scene.person("Alida");
    scene.converse(&alida);
    let ends = start + jiff::SignedDuration::from_hours(30);
    let short = json!({"number": "bk-alida-short", "_meta": {"expires_at": ends.to_string()}});
    scene.records("POST", &alida.subject, "bookings", &short);
    let first = scene.image();
    let run = |times: usize| {
        let more = (0..times).map(|_| {
            let run = scene.call("keeper", "POST", "admin/retention/run", &json!({}));
            run["more"] == json!(true)
        });
        let more: Vec<bool> = more.collect();
        assert_eq!(more.last(), Some(&false));
    };
    // Two days later the record's end has come; the answer of the first day is over a day later still.
    clock.advance(4 * DAY);
    let late = json!([{"text": "Alida waits for news"}]);
    scene.records("POST", &alida.subject, "messages", &late);
    let before = scene.image();
    // A record that has ended marks its compartment, whose turn is in the run after.
    run(2);
    let between = scene.image();
    // Ninety days and a period of three after the first messages, they are over; the late one is not.
    clock.advance(90 * DAY);
    let waiting = scene.image();
    run(2);
    let after = scene.image();

    let secrets = with(&scene.passphrase);
    let look = |what: &str, copies: &[&Image], list: &[Item]| {
        let report = search(&Evidence::of(copies), &secrets, list, QUIETLY).unwrap();
        tell(what, &report);
        report
    };
    let answers = |report: &Report| report.loot.answers.len();
    let short = values(&["bk-alida-short"]);
    let old = values(&["Alida lost a suitcase", "Alida found it again"]);
    let kept = values(&[
        "Alida Vandermolen",
        "alida@mail.example.test",
        "Alida waits for news",
    ]);
    let all = [&short[..], &old, &kept].concat();

    let control = look("before the first run", &[&first, &before], &all);
    assert_eq!((control.values(), answers(&control)), (6, 1));
    let report = look("after the first run", &[&first, &before, &between], &all);
    assert_eq!((report.values(), answers(&report)), (5, 0));
    assert!(!report.found.contains_key(&0), "{:?}", report.found);

    let copies = [&first, &before, &between, &waiting];
    let control = look("before the second run", &copies, &all);
    assert_eq!(control.values(), 5);
    let copies = [&first, &before, &between, &waiting, &after];
    let report = look("after the second run", &copies, &all);
    let found: Vec<usize> = report.found.keys().copied().collect();
    assert_eq!(found, [3, 4, 5], "{:?}", report.found);
    drop(scene);
}

#[expect(clippy::print_stdout, reason = "shown by --nocapture")]
fn tell(what: &str, report: &Report) {
    println!(
        "{what}: {report}, remembered answers: {}",
        report.loot.answers.len()
    );
}

/// The vault's own word for what is over is no argument: a value that is refused is still there until
/// the run.
#[test]
fn what_is_refused_because_it_ended_is_found_until_the_run() {
    let start = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    let clock = Arc::new(ManualClock::at(start));
    let scene = Scene::open_at(&clock);
    let alida = scene.person("Alida");
    clock.advance(95 * DAY);
    let list = scene.records("GET", &alida.subject, "messages", &Value::Null);
    assert_eq!(list["records"], json!([]));
    let image = scene.image();
    let old = values(&["Alida lost a suitcase", "Alida found it again"]);
    let report = search(
        &Evidence::of(&[&image]),
        &with(&scene.passphrase),
        &old,
        QUIETLY,
    )
    .unwrap();
    assert_eq!(report.values(), 2);
}
