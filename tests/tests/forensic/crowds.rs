//! So many people that leaves of both maps split, and many of them erased at the same time.
//!
//! Counts as failure: with every copy of the database and the anchor of afterwards, anything of
//! somebody who was erased is found, wherever their entries lay: in a leaf from before it split, or
//! in one of its children.
//!
//! The controls: the anchor from before gives everything of all of them; and so does the key of one
//! leaf, kept from before, to whoever has the new anchor besides: what a leaf that is not sealed under a
//! new key would give.
//!
//! `FORENSIC_PEOPLE=5000` makes the crowd larger.

use std::sync::Barrier;

use serde_json::{Value, json};

use super::bench::{EVERYTHING, everything, found, keys_of, look, nothing, with};
use super::cipher::Id;
use super::files::Image;
use super::loot::Node;
use super::person::Person;
use super::scene::Scene;
use super::search::{Evidence, Report};

/// Of the crowd, how many are made in one call.
const BATCH: usize = 100;
/// A thousand and some: more than sixteen leaves of the people map hold.
const PEOPLE: usize = 1_100;
/// Who is erased besides, of whom only the identity on a channel is known.
const OF_THE_CROWD: usize = 24;

fn size() -> usize {
    let told = std::env::var("FORENSIC_PEOPLE").ok();
    told.map_or(PEOPLE, |told| told.parse().expect("a number of people"))
}

fn crowd(scene: &Scene, size: usize) -> Vec<Person> {
    let parts: Vec<usize> = (0..size.div_ceil(BATCH)).collect();
    let make = |part: usize| {
        let users: Vec<String> = (0..BATCH)
            .map(|n| format!("passenger {part:04} {n:02}"))
            .collect();
        let operations = users.iter().map(|user| {
            let body = json!({"channel": "web", "user": user});
            json!({"method": "POST", "path": "/v1/subjects", "body": body})
        });
        let operations: Vec<Value> = operations.collect();
        let made = scene.call("bot", "POST", "batch", &json!({"operations": operations}));
        let results = made["results"].as_array().unwrap().iter();
        let subjects = results.map(|result| result["body"]["subject"].as_str().unwrap().to_owned());
        let of = |(user, subject)| Person::bare(user, subject);
        users.into_iter().zip(subjects).map(of).collect::<Vec<_>>()
    };
    std::thread::scope(|threads| {
        let parts = parts.chunks(parts.len().div_ceil(8));
        let threads: Vec<_> = parts
            .map(|parts| {
                threads.spawn(move || {
                    parts
                        .iter()
                        .flat_map(|part| make(*part))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    })
}

/// The key of the leaf of `map` that a tag lies in, as the reader found it.
fn leaf_of(report: &Report, map: u8, tag: &Id) -> Node {
    let nibbles = tag.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let nibbles: Vec<u8> = nibbles.collect();
    let at = |node: &&Node| node.row[0] == map && node.leaf && nibbles.starts_with(&node.row[5..]);
    let leaves = report.loot.nodes.iter().filter(at);
    leaves
        .max_by_key(|node| node.row.len())
        .expect("there is one")
        .clone()
}

#[test]
fn erased_together_nobody_is_found_in_leaves_from_before_or_after_they_split() {
    let scene = Scene::open();
    let early = ["Alida", "Bertus"].map(|name| scene.person(name));
    let first = scene.image();
    let crowd = crowd(&scene, size());
    let late = ["Cornelia", "Dirkje"].map(|name| scene.person(name));
    let before = scene.image();
    let [stays, gone] = [&early[1], &late[1]];
    let mut erased: Vec<&Person> = vec![&early[0], &late[0], gone];
    erased.extend(
        crowd
            .iter()
            .step_by(crowd.len() / OF_THE_CROWD)
            .take(OF_THE_CROWD),
    );
    let together = Barrier::new(erased.len());
    std::thread::scope(|threads| {
        for person in &erased {
            threads.spawn(|| {
                together.wait();
                let path = format!("subjects/{}", person.subject);
                scene.call("dpo", "DELETE", &path, &Value::Null);
            });
        }
    });
    let after = scene.image();
    let secrets = with(&scene.passphrase);
    let copies: [&Image; 3] = [&first, &before, &after];
    let (known, others) = erased.split_at(3);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let evidence = keys_of(&copies, &before);
            let control = look("old anchor", &evidence, &secrets, &erased);
            let mut rest = found(&control, &erased);
            rest.drain(..3);
            everything(&control, known);
            // Of the crowd: identity and id, both of them as values and as who had been there.
            assert_eq!(rest, vec![(2, 2); others.len()]);
            for map in [1, 2] {
                let depths = control.loot.nodes.iter().filter(|node| node.row[0] == map);
                let deepest = depths.map(|node| node.row.len() - 5).max();
                assert!(deepest >= Some(2), "map {map} is {deepest:?} deep");
            }
            let mut evidence = Evidence::of(&copies);
            evidence.nodes = vec![leaf_of(&control, 1, &known[1].id())];
            let kept = look("one leaf's old key", &evidence, &secrets, &[known[1]]);
            assert_eq!(found(&kept, &[known[1]])[0].0, 11, "{:?}", kept.found);
        });
        let list: Vec<&Person> = erased.iter().copied().chain([stays]).collect();
        let report = look("erased", &Evidence::of(&copies), &secrets, &list);
        assert_eq!(found(&report, &list).pop(), Some(EVERYTHING));
        let (_, gone) = list.split_last().unwrap();
        nothing(&report, gone);
    });
}
