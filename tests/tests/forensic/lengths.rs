//! What lengths tell, of somebody who is there and of somebody who was erased.
//!
//! Two vaults with the same story about two people whose values differ in length, but each within its
//! step of padding. Counts as failure: any table in which the lengths of rows are not the same, before the
//! erasure or after it. The control is a third person, one of whose values is a step longer.
//!
//! Does not count: the log's rows, which hold as many entries as a commit happened to take.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use serde_json::Value;
use vault_core::clock::ManualClock;

use super::files::Image;
use super::live::read_tables;
use super::scene::Scene;

/// How many rows with keys and values of each length a table has.
type Shape = BTreeMap<(u8, usize, usize), usize>;

/// The log: entries, tree, checkpoints.
const LOG: [u8; 3] = [11, 17, 18];

fn shape(image: &Image) -> Shape {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&image.database).unwrap();
    let mut shape = Shape::new();
    for (number, rows) in read_tables(file.path()) {
        for (key, value) in rows.iter().filter(|_| !LOG.contains(&number)) {
            *shape.entry((number, key.len(), value.len())).or_default() += 1;
        }
    }
    shape
}

fn story(name: &str) -> [Shape; 2] {
    let start = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    let scene = Scene::open_at(&Arc::new(ManualClock::at(start)));
    (0..5).for_each(|number| drop(scene.subject(&format!("passenger {number}"))));
    let person = scene.person(name);
    scene.converse(&person);
    let before = shape(&scene.image());
    let path = format!("subjects/{}", person.subject);
    scene.call("dpo", "DELETE", &path, &Value::Null);
    [before, shape(&scene.image())]
}

#[test]
fn lengths_tell_the_step_of_padding_and_nothing_finer() {
    let [(alida, gone), (astrid, also_gone), (long, _)] =
        ["Alida", "Astrid", "Wilhelminamargaretha"].map(|name| {
            let [before, after] = story(name);
            (before, after)
        });
    assert_eq!(alida, astrid);
    assert_eq!(gone, also_gone);
    assert_ne!(
        alida, long,
        "a longer value shows: the comparison sees lengths"
    );
    // Of the person nothing is left but the tombstone, and the receipt with its number.
    let rows = |shape: &Shape, table: u8| -> usize {
        let of = shape.iter().filter(|((number, ..), _)| *number == table);
        of.map(|(_, count)| count).sum()
    };
    let personal = [3, 4, 5, 6, 7, 12, 13, 14, 15, 16];
    let left = personal.map(|table| rows(&gone, table));
    assert_eq!(left, [5, 0, 0, 5, 0, 0, 0, 0, 0, 0]);
    assert_eq!((rows(&gone, 8), rows(&gone, 19)), (1, 2));
}
