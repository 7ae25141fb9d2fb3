//! People who were erased one after another, and every anchor that there was meanwhile.
//!
//! Counts as failure: with every copy of the database and the anchor of some epoch, anything of somebody
//! who was erased in that epoch or before it is found, or can be told to have been there. The control
//! is the same search: of everybody who was erased later it must find everything, so that each anchor
//! proves the next one.

use serde_json::Value;

use super::bench::{EVERYTHING, NOTHING, everything, found, keys_of, look, with};
use super::files::Image;
use super::person::Person;
use super::scene::Scene;
use super::search::Evidence;

const NAMES: [&str; 6] = ["Alida", "Bertus", "Cornelia", "Dirkje", "Evert", "Floris"];

#[test]
fn each_anchor_gives_those_who_were_erased_after_it_and_nobody_before() {
    let scene = Scene::open();
    scene.crowd();
    let people = NAMES.map(|name| scene.person(name));
    let people: Vec<&Person> = people.iter().collect();
    people.iter().for_each(|person| scene.converse(person));
    let mut images = vec![scene.image()];
    // The last one stays.
    for person in &people[..5] {
        let path = format!("subjects/{}", person.subject);
        scene.call("dpo", "DELETE", &path, &Value::Null);
        images.push(scene.image());
    }
    let secrets = with(&scene.passphrase);
    let copies: Vec<&Image> = images.iter().collect();
    let trial = |epoch: usize| {
        let evidence = keys_of(&copies, &images[epoch]);
        let report = look(&format!("anchor {epoch}"), &evidence, &secrets, &people);
        let expected = (0..6).map(|number| match number < epoch {
            true => NOTHING,
            false => EVERYTHING,
        });
        let expected: Vec<_> = expected.collect();
        assert_eq!(found(&report, &people), expected, "{:?}", report.found);
        let stones = people.iter().flat_map(|person| person.list()).enumerate();
        let stones = stones.filter(|(number, _)| report.tombstones.contains(number));
        assert_eq!(stones.count(), 5, "an id tells of an erasure, as is said");
    };
    std::thread::scope(|threads| {
        threads.spawn(|| (0..3).for_each(trial));
        (3..6).for_each(trial);
    });
    // And all of them, of somebody who kept every anchor.
    let evidence = Evidence::of(&copies).with_keys(&images[0]);
    everything(
        &look("newest and oldest anchor", &evidence, &secrets, &people),
        &people,
    );
}
